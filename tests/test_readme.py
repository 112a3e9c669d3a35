"""The README cannot lie: its commands and examples run, its help is the help, and what is exported stands in it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import tomllib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import sentiment_batch

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
WITHOUT_PLUGIN = re.sub(r"^### Write a plugin in ten minutes\n.*?(?=^## )", "", README, flags=re.MULTILINE | re.DOTALL)
"""The page without the chapter that tests/test_readme_plugin.py follows."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_every_help_block_equals_the_help_and_every_command_has_one(cli):
    from sentiment_batch.cli import group

    shown = {}
    for block in blocks("text"):
        command, _, text = block.partition("\n")
        words = shlex.split(command.removeprefix("$ "))
        assert words[0] == "sentiment-batch"
        shown[" ".join(words[1:-1])] = text
        result = cli(*words[1:], terminal_width=80)
        assert result.exit_code == 0
        assert text == result.output, f"the README's help of {command} is out of date"
    assert shown.keys() == {"", *group.commands}


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with small tables under the README's names, for a user whose default base is at hand."""
    for name in ("reviews.csv", "holdout.csv"):
        lines = (ROOT / "sample_data" / name).read_bytes()
        (tmp_path / name).write_bytes(lines)
    table = pq.read_table(ROOT / "sample_data" / "unlabelled.parquet").slice(0, 30)
    # Nested values and dictionaries do well in CSV; that is part of what the README promises.
    pq.write_table(table, tmp_path / "new_reviews.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.reset_index:DeprecationWarning")  # dask's own
def test_every_command_and_python_example_runs_in_the_order_of_the_page(
    cli, desk, tiny_base, offline_base, monkeypatch
):
    monkeypatch.setenv("SENTIMENT_BATCH_TRAIN_BASE", str(tiny_base))
    monkeypatch.setenv("SENTIMENT_BATCH_TRAIN_LIMIT", "48")
    monkeypatch.setenv("SENTIMENT_BATCH_TRAIN_MAX_LENGTH", "48")
    monkeypatch.setenv("SENTIMENT_BATCH_LOAD_PLUGINS", "")
    small_frames(monkeypatch)
    namespace: dict[str, object] = {}
    count = 0
    for language, block in re.findall(
        r"^```(console|python)\n(.*?)^```", WITHOUT_PLUGIN, flags=re.MULTILINE | re.DOTALL
    ):
        count += 1
        if "pyspark" in block:
            continue  # not among what tests need; it has a test of its own
        if language == "python":
            exec(compile(block, f"README example {count}", "exec"), namespace)
            continue
        for line in block.splitlines():
            assert line.startswith("$ sentiment-batch "), f"a line that no test runs: {line}"
            result = cli(*shlex.split(line)[2:])
            assert result.exit_code == 0, f"{line}\n{result.output}"
            assert "Traceback" not in result.output
    assert count >= 8
    assert (desk / "scored.parquet").exists()
    assert (desk / "scored.jsonl.gz").exists()
    for name in ("helpful.parquet", "from_sql.parquet"):
        assert pq.read_table(desk / name)["sentiment"].null_count < 30


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
def test_the_example_of_spark_runs(desk, tiny_model, monkeypatch):
    pytest.importorskip("pyspark", reason="pyspark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, which is not on the path")
    shutil.copytree(tiny_model, desk / "my-model")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    (example,) = [block for block in blocks("python") if "pyspark" in block]
    namespace = {"score": sentiment_batch.score}
    exec(compile(example, "README example", "exec"), namespace)
    namespace["spark"].stop()
    assert pq.read_table(desk / "from_spark")["sentiment"].drop_null().value_counts().to_pylist()


def small_frames(monkeypatch):
    """pandas reads a few rows only, so that training from a frame takes seconds."""
    import pandas as pd

    read_csv = pd.read_csv
    monkeypatch.setattr(pd, "read_csv", lambda path, **options: read_csv(path, **options, nrows=48))


def test_every_exported_name_hook_and_variable_is_in_the_readme():
    from sentiment_batch.plugins import hookspecs

    hooks = [name for name in vars(hookspecs) if name.startswith("register_")]
    assert hooks
    for name in [*sentiment_batch.__all__, *hooks]:
        if not name.startswith("__"):
            assert re.search(rf"\b{name}\b", README), f"{name} is not in the README"


def test_what_the_readme_says_of_installing_is_in_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extras in re.findall(r"(?:batch|\.)\[(\w+(?:,\w+)*)\]", README):
        assert set(extras.split(",")) <= project["optional-dependencies"].keys()
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(re.findall(r"`make (\w+)`", README)) <= set(targets)
    assert {"demo", "test", "lint", "bench", "clean"} <= set(targets)


def test_every_link_of_the_readme_to_a_file_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert os.path.exists(ROOT / target), target
