"""Every fenced command and every example in Python runs, page by page, in the order of the page."""

from __future__ import annotations

import csv
import itertools
import os
import shlex
import shutil
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

import sentiment_batch
from sentiment_batch.data import formats
from tests.docs import pages

ROWS = 30
"""Rows of the small tables."""
TRAINING_ROWS = 48
HOLDOUT_ROWS = 40
SETUP = ("python3 -m venv ", ". .venv/", "pip install ", "make ")
"""Beginnings of commands that prepare a machine; `test_install.py` and `tests/test_packaging.py` look at them."""
PLUGINS = {"docs/how-to/databases.md": "sql", "docs/how-to/delta-lake.md": "delta"}
"""The pages whose commands need a plugin."""
PACKAGES = {"share-a-model.md": ("onnxruntime", "onnxscript", "openvino"), "dataframes.md": ("datasets",)}
"""The pages whose examples need packages that only these tests install."""
CLUSTER_PAGE = pages.DOCS / "how-to" / "cluster.md"
"""The tests of the plugin for Ray follow this page, because they have a cluster."""


def has_commands(page):
    lines = [command for block in pages.blocks(page) for command, _ in pages.commands(block.body)]
    return any("sentiment-batch " in line for line in lines) or any(
        block.language == "python" for block in pages.blocks(page)
    )


OTHERS = {pages.PLUGIN_PAGE, CLUSTER_PAGE, pages.SCHEDULE_PAGE}
"""Pages that have tests of their own."""
STORIES = [page for page in pages.PAGES if page not in OTHERS and has_commands(page)]


def first_rows(path, rows):
    """Leave only the first rows of a CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        kept = list(itertools.islice(csv.reader(file), rows + 1))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(kept)


@pytest.fixture
def desk(tmp_path, tiny_model, monkeypatch):
    """A folder with small tables and a tiny model under the names that the pages use."""
    sample = tmp_path / "sample_data"
    shutil.copytree(pages.ROOT / "sample_data", sample)
    first_rows(sample / "holdout.csv", HOLDOUT_ROWS)
    pq.write_table(pq.read_table(sample / "unlabelled.parquet").slice(0, ROWS), sample / "unlabelled.parquet")
    shutil.copy(sample / "unlabelled.parquet", tmp_path / "new_reviews.parquet")
    for name in ("reviews.csv", "holdout.csv"):
        shutil.copy(sample / name, tmp_path / name)
    (tmp_path / "plain.tsv").write_text('id\treview\n1\ta 12" screen, superb\n', encoding="utf-8")
    for name in ("my-model", "sentiment-model"):
        shutil.copytree(tiny_model, tmp_path / name)
    quick = {"LIMIT": TRAINING_ROWS, "FOLDS": 0, "MAX_LENGTH": 48, "EPOCHS": 1, "OVERWRITE": 1}
    for name, value in quick.items():
        monkeypatch.setenv(f"SENTIMENT_BATCH_TRAIN_{name}", str(value))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def follow(cli, tmp_path, monkeypatch):
    """Runs the blocks of a page; what stands in `replaced` is replaced in them first."""

    def run(page, replaced):
        monkeypatch.setenv("SENTIMENT_BATCH_LOAD_PLUGINS", PLUGINS.get(pages.name_of(page), ""))
        formats.get_plugins.cache_clear()  # a page before may have loaded another plugin
        namespace: dict[str, object] = {}
        count = 0
        for block in pages.blocks(page):
            body = block.body
            for old, new in replaced.items():
                body = body.replace(old, new)
            if block.language == "console":
                count += sum(follow_command(*command, cli, tmp_path) for command in pages.commands(body))
            elif block.language == "python" and "pyspark" not in body:  # Spark has a test of its own
                exec(compile(body, f"{pages.name_of(page)}, block {count}", "exec"), namespace)
                count += 1
        return count

    return run


def follow_command(command, shown, cli, folder):
    """Run a command in this process, or in a shell where it needs one; True if it ran."""
    assert not shown, f"no test compares this output: {shown}"
    if command.startswith(SETUP):
        return False
    if command.startswith("sentiment-batch "):
        result = cli(*shlex.split(command)[1:])
        assert result.exit_code == 0, f"{command}\n{result.output}"
        assert "Traceback" not in result.output
        return True
    assert "sentiment-batch " in command, f"a command that no test runs: {command}"
    line = command.replace("sentiment-batch ", f"{shlex.quote(sys.executable)} -m sentiment_batch ", 1)
    ran = subprocess.run(line, shell=True, cwd=folder, env=os.environ, text=True, capture_output=True)
    assert ran.returncode == 0, f"{command}\n{ran.stderr}"
    return True


def small_frames(monkeypatch):
    """pandas reads a few rows only, so that training from a frame takes seconds."""
    import pandas as pd

    read_csv = pd.read_csv
    monkeypatch.setattr(pd, "read_csv", lambda path, **options: read_csv(path, **options, nrows=TRAINING_ROWS))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.reset_index:DeprecationWarning")  # dask's own
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated:FutureWarning")  # torch's own, in an export
@pytest.mark.filterwarnings("ignore:# The axis name. .*will not be used:UserWarning")
@pytest.mark.parametrize("page", STORIES, ids=pages.name_of)
def test_every_command_and_example_of_a_page_runs(page, desk, follow, tiny_base, monkeypatch):
    if plugin := PLUGINS.get(pages.name_of(page)):
        pytest.importorskip(f"sentiment_batch_{plugin}", reason=f"the plugin {plugin} is not installed")
    for package in PACKAGES.get(page.name, ()):
        pytest.importorskip(package, reason=f"{package} is not installed")
    if page.name == "shell-completion.md" and sys.platform == "win32":
        pytest.skip("the command is for a shell")
    small_frames(monkeypatch)
    count = follow(page, {"--base minilm": f"--base {shlex.quote(str(tiny_base))}", '"minilm"': repr(str(tiny_base))})
    assert count
    for name in ("helpful.parquet", "from_sql.parquet"):
        if page.name == "dataframes.md":
            assert pq.read_table(desk / name)["sentiment"].null_count < ROWS


@pytest.mark.slow
def test_the_commands_of_the_readme_run_as_they_stand(desk, follow, offline_base):
    shutil.rmtree(desk / "my-model")
    assert follow(pages.README, {}) == 6
    assert (desk / "my-model" / "report.html").exists()
    assert pq.read_table(desk / "scored.parquet")["sentiment"].null_count < ROWS


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
def test_the_example_of_spark_runs(desk, monkeypatch):
    pytest.importorskip("pyspark", reason="pyspark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, which is not on the path")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    page = pages.DOCS / "how-to" / "dataframes.md"
    (example,) = [block.body for block in pages.blocks(page) if "pyspark" in block.body]
    namespace = {"score": sentiment_batch.score}
    exec(compile(example, "the example of Spark", "exec"), namespace)
    namespace["spark"].stop()
    assert pq.read_table(desk / "from_spark")["sentiment"].drop_null().value_counts().to_pylist()


def test_every_block_says_in_which_language_it_is():
    for page in [pages.README, pages.ROOT / "CONTRIBUTING.md", *pages.PAGES]:
        for block in pages.blocks(page):
            languages = {"console", "python", "text", "toml"}
            languages |= {"yaml", "dockerfile"} if page == pages.SCHEDULE_PAGE else set()
            assert block.language in languages, f"{pages.name_of(page)}: {block.body}"
            assert block.language != "toml" or page in {pages.PLUGIN_PAGE, pages.DEFAULTS_PAGE}
