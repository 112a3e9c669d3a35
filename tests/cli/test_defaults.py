"""Defaults of options from a file, and variables of the environment that set nothing."""

from __future__ import annotations

import json
import os
import sys

import pytest

from sentiment_batch.cli.defaults import find_defaults_file, find_lost_defaults
from sentiment_batch.scoring.default_model import choose_model, locate_model
from sentiment_batch.settings import DEFAULT_HUB_MODEL
from tests.cli.helpers import CPU
from tests.docs import pages


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """The current folder, with a table to score."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("id,review\n1,a great film\n", encoding="utf-8")
    return tmp_path


def write(desk, text, name="sentiment-batch.toml"):
    (desk / name).write_text(text, encoding="utf-8")


def test_values_of_the_file_are_defaults(desk, cli, tiny_model):
    write(desk, f"[score]\nmodel = {str(tiny_model)!r}\ndecimals = 1\ncolumns = 'review'\n[train]\nepochs = 9\n")
    run = cli("score", "a.csv", "b.csv", *CPU)
    assert run.exit_code == 0, run.stderr
    assert run.stderr.startswith(f"defaults from sentiment-batch.toml: --model {tiny_model} ")
    assert {"--columns review", "--decimals 1"} <= {
        f"--{one.strip()}" for one in run.stderr.splitlines()[0].split("--")
    }
    head, row = (desk / "b.csv").read_text(encoding="utf-8").splitlines()
    assert head == "review,sentiment,sentiment_score"
    assert len(row.rpartition(",")[2]) == 3


def test_the_command_line_and_variables_win(desk, cli, tiny_model, monkeypatch):
    write(desk, "[score]\nmodel = 'nowhere'\ndecimals = 1\n")
    monkeypatch.setenv("SENTIMENT_BATCH_SCORE_DECIMALS", "3")
    run = cli("score", "a.csv", "b.csv", "--model", tiny_model, *CPU)
    assert run.exit_code == 0, run.stderr
    assert "defaults from" not in run.stderr
    assert len((desk / "b.csv").read_text(encoding="utf-8").splitlines()[1].rpartition(",")[2]) == 5


def test_switches_are_true_or_false(desk, cli, tiny_model):
    write(desk, "[score]\noverwrite = true\nquiet = true\n")
    (desk / "b.csv").write_text("old", encoding="utf-8")
    for _ in range(2):
        run = cli("score", "a.csv", "b.csv", "--model", tiny_model, *CPU)
        assert (run.exit_code, run.stdout) == (0, "")
    assert "defaults" not in run.stderr


def test_a_project_file_is_read_where_there_is_no_other(desk, cli, tiny_model):
    write(desk, "[tool.sentiment-batch.score]\ndecimals = 2\n", "pyproject.toml")
    assert "defaults from pyproject.toml: --decimals 2" in cli("score", "a.csv", "b.csv", "-m", tiny_model, *CPU).stderr
    write(desk, "[score]\ndecimals = 1\n")
    run = cli("score", "a.csv", "c.csv", "-m", tiny_model, *CPU)
    assert "defaults from sentiment-batch.toml: --decimals 1" in run.stderr


@pytest.mark.parametrize("text", ["[tool", "[tool]\n", "[project]\nname = 'x'\n", "tool = 1"])
def test_the_project_file_of_others_is_left_alone(desk, cli, tiny_model, text):
    write(desk, text, "pyproject.toml")
    run = cli("score", "a.csv", "b.csv", "-m", tiny_model, *CPU)
    assert run.exit_code == 0
    assert "defaults" not in run.stderr


def test_a_broken_project_file_with_our_table_is_warned_of(desk, cli, tiny_model):
    for text in ("[tool.sentiment-batch.score]\nfail-if = 'rows < 9", "[tool . 'sentiment-batch']\n" + "#" * 1_000_001):
        write(desk, text, "pyproject.toml")
        run = cli("score", "a.csv", "b.csv", "-m", tiny_model, *CPU, "--quiet", "--overwrite")
        assert (run.exit_code, run.stderr.count("\n")) == (0, 1)
        assert run.stderr.startswith("warning: pyproject.toml cannot be read, so its defaults are not used: ")
        assert run.stderr.endswith(". Correct it.\n")
        assert "none (pyproject.toml cannot be read" in json.loads(cli("doctor", "--json").stdout)["defaults"]
    write(desk, "[score]\n")
    assert cli("score", "a.csv", "b.csv", "-m", tiny_model, *CPU, "--quiet", "--overwrite").stderr == ""


def test_a_misspelt_file_of_defaults_is_named(desk, cli):
    write(desk, "[score]\ndecimals = 2\n", "sentiment_batch.toml")
    run = cli("score", "a.csv", "b.csv")
    assert (run.exit_code, run.stdout) == (2, "")
    assert run.stderr.startswith("Error: sentiment_batch.toml is not read. Rename it to sentiment-batch.toml, or move")


@pytest.mark.parametrize("name", ["sentiment_batch", "Sentiment-Batch"])
def test_a_misspelt_table_of_the_project_file_is_named(desk, cli, name):
    write(desk, f"[tool.{name}.score]\ndecimals = 2\n", "pyproject.toml")
    run = cli("score", "a.csv", "b.csv")
    assert (run.exit_code, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert f"pyproject.toml has a table [tool.{name}], which no tool reads." in run.stderr
    assert "Do you mean [tool.sentiment-batch]?" in run.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[scor]", "has a table [scor], which is no command. Do you mean score?"),
        ("limit = 3", "limit stands in no table. Write it below that of a command, such as [score]."),
        ("[score]\nbatchtokens = 3", "there is no option --batchtokens. Do you mean batch-tokens?"),
        ("[score]\nhelp = true", "there is no option --help."),
        ("[score]\ndecimals = 1.5", "decimals is 1.5. '1.5' is not a valid integer"),
        ("[score]\ndecimals = [1]", "decimals is [1]. It must be a text or a number."),
        ("[score]\noverwrite = 'yes'", "overwrite is 'yes'. It must be true or false."),
        ("[score]\ndtype = 'float8'", "dtype is 'float8'."),
        ("score = 1", "[score] must be a table"),
        ("[score", "cannot be read: "),
        ("[score]\nmodel = '\x1b[31m'", "cannot be read: "),
        ("[score]\ndecimals = true", "decimals is true. It must be a text or a number."),
        ("[score]\ndecimals = 1979-05-27", "decimals is 1979-05-27. '1979-05-27' is not a valid integer"),
        ("x = " + "[" * 5_000, "cannot be read: "),
        ("#" * 1_000_001, "cannot be read: it is longer than 1,000,000 bytes"),
    ],
)
def test_a_wrong_file_is_one_line(desk, cli, text, words):
    write(desk, text)
    run = cli("score", "a.csv", "b.csv")
    assert (run.exit_code, run.stdout) == (2, "")
    assert run.stderr.startswith("Error: sentiment-batch.toml")
    assert words in run.stderr
    assert run.stderr.count("\n") == 1
    assert not (desk / "b.csv").exists()
    assert cli("score", "--help").exit_code == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "limit = 3",
            "limit stands in no table. Write it below that of a command, such as [tool.sentiment-batch.score].",
        ),
        ("score = 1", "[score] must be a table, such as [tool.sentiment-batch.score]."),
        (
            "[tool.sentiment-batch.score]\nlimt = 3",
            "pyproject.toml, [tool.sentiment-batch.score]: there is no option --limt.",
        ),
    ],
)
def test_a_table_of_the_project_file_has_its_full_name(desk, cli, text, words):
    write(desk, text if text.startswith("[") else f"[tool.sentiment-batch]\n{text}", "pyproject.toml")
    run = cli("score", "a.csv", "b.csv")
    assert (run.exit_code, run.stdout) == (2, "")
    assert words in run.stderr.replace("\n", " ")


def test_a_file_that_begins_with_a_byte_order_mark_is_read(desk, cli, tiny_model):
    write(desk, "\ufeff[score]\ndecimals = 1\n")
    assert "--decimals 1" in cli("score", "a.csv", "b.csv", "-m", tiny_model, *CPU).stderr.splitlines()[0]


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to("nowhere.toml")])
def test_what_is_no_file_is_not_passed_over(desk, cli, make):
    write(desk, "[tool.sentiment-batch.score]\ndecimals = 2\n", "pyproject.toml")
    make(desk / "sentiment-batch.toml")
    run = cli("score", "a.csv", "b.csv")
    assert (run.exit_code, run.stderr.count("\n")) == (2, 1)
    assert "sentiment-batch.toml cannot be read: it is no file, or a link that leads nowhere" in run.stderr


@pytest.mark.parametrize(
    ("text", "given", "end"),
    [
        (
            "deterministic = true\nquiet = true",
            ["--compile"],
            " Leave one of them out. sentiment-batch.toml gives --deterministic.",
        ),
        ("deterministic = true", ["--compile", "--deterministic"], " Leave one of them out."),
        ("compile = true\ndeterministic = true", [], " sentiment-batch.toml gives --deterministic, --compile."),
        ("overwrite = false", [], "name another destination."),
    ],
)
def test_an_error_names_the_options_that_nobody_typed(desk, cli, tiny_model, text, given, end):
    write(desk, f"[score]\n{text}\n")
    (desk / "b.csv").write_text("old", encoding="utf-8")
    run = cli("score", "a.csv", "b.csv", "-m", tiny_model, *CPU, *given)
    assert run.exit_code in (1, 2)
    assert run.stderr.endswith(f"{end}\n")


def test_a_misspelt_variable_is_named(desk, cli, tiny_model, monkeypatch):
    for name in ("SCORE_DECIMAL", "SCORE_COLOUR", "MODLE", "DATA", "MODEL", "SCORE_DECIMALS"):
        monkeypatch.setenv(f"SENTIMENT_BATCH_{name}", "1")
    run = cli("score", "a.csv", "b.csv", "--model", tiny_model, *CPU, "--quiet")
    warnings = [line for line in run.stderr.splitlines() if "environment variable" in line]
    assert warnings == [
        "warning: the environment variable SENTIMENT_BATCH_MODLE has no effect. Do you mean SENTIMENT_BATCH_MODEL?",
        "warning: the environment variable SENTIMENT_BATCH_SCORE_COLOUR has no effect."
        " Do you mean SENTIMENT_BATCH_SCORE_COLUMNS?",
        "warning: the environment variable SENTIMENT_BATCH_SCORE_DECIMAL has no effect."
        " Do you mean SENTIMENT_BATCH_SCORE_DECIMALS?",
    ]


def test_doctor_shows_the_file_and_lost_variables(desk, cli, monkeypatch):
    assert json.loads(cli("doctor", "--json").stdout)["defaults"].startswith("none (")
    write(desk, "[score]\ndecimals = 1\n[train]\n")
    monkeypatch.setenv("SENTIMENT_BATCH_MODLE", "x")
    found = json.loads(cli("doctor", "--json").stdout)
    assert found["defaults"] == "sentiment-batch.toml (score, train)"
    assert found["variables without effect"] == ["SENTIMENT_BATCH_MODLE. Do you mean SENTIMENT_BATCH_MODEL?"]


def test_the_file_of_the_page_is_a_valid_one(desk, cli):
    (block,) = [one for one in pages.blocks(pages.DEFAULTS_PAGE) if one.language == "toml"]
    write(desk, block.body)
    for name in ("score", "train"):
        run = cli(name, "nowhere.csv", *(["b.csv"] if name == "score" else []))
        assert "sentiment-batch.toml" not in run.stderr.splitlines()[-1]
        assert run.exit_code == 1, run.stderr


@pytest.mark.skipif(sys.platform == "win32" or os.getuid() != 0, reason="only root can become another user")
def test_a_folder_that_a_user_may_not_enter_has_no_defaults(desk):
    write(desk, "[score]\ndecimals = 1\n")
    desk.chmod(0o700)
    os.seteuid(65534)
    try:
        found = find_defaults_file(), find_lost_defaults(), choose_model(None).value, locate_model("model")
    finally:
        os.seteuid(0)
    assert found == (None, None, DEFAULT_HUB_MODEL, "model")
