"""Each option, export, hook, setting, error and JSON key is documented, and nothing is documented that is gone."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
import shlex
from pathlib import Path

import click
import pytest

from scripts import command_line_reference
from tests.docs import pages

REFERENCE = pages.DOCS / "reference"
JSON_PAGE = REFERENCE / "json-output.md"
FREE = {"shares", "words", "group", "classes", "label_mapping", "labels", "label_values"}
FREE |= {"probabilities", "label_unknown", "intervals"}
"""Keys below which the names are those of labels or of other keys."""
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def exports(module):
    return {name for name in importlib.import_module(module).__all__ if not name.startswith("__")}


def documented_names():
    """The names in the first columns of the pages that list what Python code may import."""
    listed = {name: REFERENCE / name for name in ("python.md", "plugins.md", "exit-codes.md")}
    tables = [re.split(r"^## (?:score|sentiment_batch)", pages.text_of(listed["python.md"]), flags=re.MULTILINE)[0]]
    tables += [pages.section(listed["plugins.md"], "## Names for plugins")]
    tables += [pages.section(listed["exit-codes.md"], "## Errors")]
    return [name for table in tables for name in pages.first_cells(table) if not name.startswith("__")]


def test_the_reference_of_the_command_line_is_up_to_date():
    written = command_line_reference.PAGE.read_text(encoding="utf-8")
    assert written == command_line_reference.page(), f"run: {command_line_reference.COMMAND}"


def test_every_option_of_every_command_is_in_the_reference():
    from sentiment_batch.cli import group

    for name, command in group.commands.items():
        found = pages.section(command_line_reference.PAGE, f"## {name}")
        for option in command.params:
            if isinstance(option, click.Option):
                assert max(option.opts, key=len) in found, f"{name} {option.opts}"


def test_every_example_of_the_help_can_be_parsed():
    from sentiment_batch.cli import group

    for name, command in group.commands.items():
        for _, line in command_line_reference.examples_of(command):
            first = next(part for part in re.split(r" (?:\||&&) ", line) if f"sentiment-batch {name}" in part)
            words = shlex.split(first.partition(f"sentiment-batch {name}")[2].partition(" > ")[0])
            assert command.make_context(name, words).command is command, line


def test_the_readme_names_every_command():
    from sentiment_batch.cli import group

    text = pages.section(pages.README, "## Five commands")
    assert [name for name in group.commands if f"`{name}`" not in text] == []
    assert f"There are {NUMBERS[len(group.commands) - 5]} more commands" in text


def test_every_option_in_the_pages_is_one_of_some_command():
    from sentiment_batch.cli import group

    known = {"--help", "--version"}
    for command in group.commands.values():
        known |= {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    others = {"--constraint", "--editable", "--find-links", "--index-url", "--strict", "--quiet"}  # of pip and mypy
    others |= {
        "--exclude",
        "--no-cache-dir",
        "--extra-index-url",
        "--tag",
        "--rm",
        "--volume",
        "--user",
    }  # of hf, docker
    for page in [pages.README, *pages.PAGES]:
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", pages.text_of(page)))
        named -= {word for word in re.findall(r"--\w+--", pages.text_of(page))}  # the marks of explain
        assert named <= known | others, f"{pages.name_of(page)}: {named - known - others}"


def test_every_export_is_documented_once():
    names = documented_names()
    assert set(names) == exports("sentiment_batch")
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)


@pytest.mark.parametrize("module", ["sentiment_batch.testing", "sentiment_batch.reading", "sentiment_batch.writing"])
def test_every_export_for_plugins_is_documented(module):
    assert pages.first_cells(pages.section(REFERENCE / "plugins.md", f"## {module}")) == exports(module)


def test_every_hook_is_documented():
    from sentiment_batch.plugins import hookspecs

    hooks = {name for name in vars(hookspecs) if name.startswith("register_")}
    documented = pages.first_cells(pages.section(REFERENCE / "plugins.md", "## Hooks"))
    assert {name.partition("(")[0] for name in documented} == hooks


@pytest.mark.parametrize(("heading", "record"), [("## Training", "TrainSettings"), ("## Scoring", "ScoreSettings")])
def test_every_setting_is_documented_with_its_default(heading, record):
    from sentiment_batch import settings

    table = pages.section(REFERENCE / "settings.md", heading)
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", table, flags=re.MULTILINE))
    fields = dataclasses.fields(getattr(settings, record))
    assert rows == {field.name: repr(field.default).replace("'", '"') for field in fields}


def test_every_error_is_documented_with_its_exit_code():
    from sentiment_batch import errors

    table = pages.section(REFERENCE / "exit-codes.md", "## Errors")
    rows = dict(re.findall(r"^\| `(\w+)` \|[^|]*\| (\d) \|", table, flags=re.MULTILINE))
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert rows == {kind.__name__: str(kind.exit_code) for kind in kinds}


def test_every_variable_of_the_program_is_documented():
    sources = (pages.ROOT / "src").rglob("*.py")
    named = {name for path in sources for name in re.findall(r'"(SENTIMENT_BATCH_\w+[A-Z])"', path.read_text("utf-8"))}
    assert named >= {"SENTIMENT_BATCH_CACHE", "SENTIMENT_BATCH_MODEL"}
    assert named <= pages.first_cells(pages.text_of(REFERENCE / "environment.md"))


@pytest.mark.slow
@pytest.mark.parametrize("file", ["OUT.manifest.json", "sentiment_batch.json"])
def test_every_key_of_a_file_is_documented_and_no_other(results, file):
    assert pages.first_cells(pages.section(REFERENCE / "files.md", f"### {file}")) == set(results[file])


def json_keys(value, free=False):
    """The keys of a JSON value and of all values in it, but for names of labels."""
    if isinstance(value, dict):
        keys = set() if free else set(value)
        return keys.union(*(json_keys(inner, key in FREE) for key, inner in value.items()))
    if isinstance(value, list):
        return set().union(*(json_keys(inner) for inner in value))
    return set()


@pytest.fixture(scope="module")
def results(tmp_path_factory, tiny_model, tiny_base, make_model):
    """What each command that has --json prints, by the command's name."""
    from click.testing import CliRunner

    from sentiment_batch.cli import group

    folder = tmp_path_factory.mktemp("json")
    reviews, holdout = (pages.ROOT / "sample_data" / name for name in ("reviews.csv", "holdout.csv"))
    other_model = make_model("negative", "positive", seed=8)
    model, cpu = ("--model", tiny_model), ("--device", "cpu", "--dtype", "float32")
    few = ("--limit", 520, "--folds", 0, "--epochs", 1, "--max-length", 16)
    training = ("--base", tiny_base, *few, "--test-file", holdout)
    scored = folder / "scored.csv"
    given = {
        "inspect": (holdout,),
        "train": (reviews, *training, "--output", folder / "model", "--device", "cpu", "--no-report"),
        "score": (holdout, scored, *model, *cpu),
        "verify": (scored,),
        "summary": (scored, "--by", "stars"),
        "select": (scored, *cpu, "--label-column", "answer", "--output", folder / "to_label.csv"),
        "predict": ("loved it", *model, *cpu),
        "explain": ("loved it", *model, *cpu),
        "evaluate": (holdout, *model, *cpu, "--by", "stars", "--max-length", 16),
        "compare": (tiny_model, other_model, holdout, *cpu, "--max-length", 16),
        "bench": (*model, *cpu, "--tokens", 20, "--seconds", 0.05),
        "doctor": (),
    }
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTIMENT_BATCH_CACHE", str(folder / "cache"))
        for command, arguments in given.items():
            words = [command, *map(str, arguments), "--json"]
            ran = CliRunner().invoke(group, words, prog_name="sentiment-batch")
            assert ran.exit_code == 0, ran.output
            found[command] = json.loads(ran.stdout)
    with_json = {
        name for name, command in group.commands.items() if any("--json" in one.opts for one in command.params)
    }
    assert found.keys() == with_json
    found["OUT.manifest.json"] = json.loads(Path(f"{scored}.manifest.json").read_text(encoding="utf-8"))["content"]
    found["sentiment_batch.json"] = json.loads((folder / "model" / "sentiment_batch.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        *("inspect", "train", "score", "verify", "summary", "select"),
        *("predict", "explain", "evaluate", "compare", "bench", "doctor"),
    ],
)
def test_every_json_key_is_documented_and_no_other(results, command):
    own = pages.section(JSON_PAGE, f"## {command}")
    top = pages.first_cells(own.partition("\n### ")[0])
    top |= {"explain": pages.first_cells(pages.section(JSON_PAGE, "## predict"))}.get(command, set())
    top |= {"evaluate": pages.first_cells(pages.section(JSON_PAGE, "### Metrics"))}.get(command, set())
    printed = set(results[command])
    assert printed <= top, f"not documented: {sorted(printed - top)}"
    assert top <= printed, f"documented, but gone: {sorted(top - printed)}"
    named = set(re.findall(r"`([^`\n]+)`", pages.text_of(JSON_PAGE) if command == "evaluate" else own))
    named |= top | pages.first_cells(pages.section(JSON_PAGE, "## How a table is read"))
    every = json_keys(results[command])
    assert every <= named, f"not documented: {sorted(every - named)}"
