"""What earlier versions wrote still works: models, outputs, unfinished work, caches, pickles and plugins.

`make.py` made the artefacts of each version in `artefacts/`, and describes them.

An unfinished run may be finished, or refused in one line that names `--restart`. A finished run must give equal bytes
where the processor and the libraries are the recorded ones, and where the model's probabilities equal the recorded ones
bit by bit. Other processors and libraries may round differently: there the probabilities must agree within 1e-3.
"""

from __future__ import annotations

import csv
import importlib
import json
import math
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import sentiment_batch
from sentiment_batch import Scorer, SentimentBatchError, clear_cache
from tests.compatibility.make import CPU, MODIFIED, PLACEHOLDER, SCORE, TRAIN, processor, rewrite

HERE = Path(__file__).parent
PUBLIC = {
    "sentiment_batch": """DeviceError Engine FileWriter InputError ModelError OutputError PluginError Problem
        ReadOptions Reader Registry ScoreSettings Scorer Sealed SentimentBatchError Split UsageError Worker WriteOptions
        Writer __version__ clear_cache evaluate explain hookimpl score train without_password""",
    "sentiment_batch.testing": """ODD_NAMES ODD_TEXTS EngineSuite ReaderSuite WriterSuite sample_types
        write_tiny_model""",
    "sentiment_batch.writing": """TEXT decoded entries is_text json_text marked not_json refuse repeated_name
        scalar_text""",
}
"""The public names of version 0.1.0, by the module that they are imported from."""
SAME = 1e-3
"""Probabilities may differ so much where another processor or another library rounds differently."""
LIBRARIES = ("torch", "transformers", "tokenizers")
UNFINISHED = pytest.mark.parametrize("edit", ["as recorded", "with the versions of today"])


@pytest.fixture(params=sorted(path.name for path in (HERE / "artefacts").iterdir()))
def old(request, tmp_path, monkeypatch):
    """A copy of the artefacts of one version; the test works in it."""
    folder = Path(os.path.realpath(tmp_path)) / "old"
    shutil.copytree(HERE / "artefacts" / request.param, folder)
    os.utime(folder / "table.csv", (MODIFIED, MODIFIED))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def expected(old):
    return json.loads((old / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture
def same_bits(old, expected):
    """Whether this machine computes the very bits of the one that made the artefacts."""
    machine = [expected["processor"], *(expected["versions"][name] for name in LIBRARIES)]
    here = [processor(), *map(version, LIBRARIES)]
    return machine == here and np.array_equal(probabilities("model", expected), recorded(expected), equal_nan=True)


def recorded(expected):
    return np.array(expected["probabilities"], np.float32)


def probabilities(model, expected):
    """The probabilities (n, K) of the recorded texts."""
    with Scorer.load(str(model), device="cpu", dtype="float32") as scorer:
        batches = pa.table({"text": expected["texts"]}).to_batches()
        return np.concatenate([found for _, found in scorer.probabilities(batches, ["text"])])


def one_line_error(result):
    """The error of a command that was refused; it must be one line for people."""
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    (error,) = [line for line in result.stderr.splitlines() if line.lower().startswith("error:")]
    assert result.stderr.rstrip().endswith(error)
    return error


def rows_of(path):
    """The rows of an output as dictionaries of text."""
    if path.is_dir():
        lines = [line for part in sorted(path.glob("part-*")) for line in part.read_text("utf-8").splitlines()]
        return [{name: str(value) for name, value in json.loads(line).items()} for line in lines]
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def bytes_of(path):
    return {file.name: file.read_bytes() for file in path.iterdir()} if path.is_dir() else path.read_bytes()


def assert_equal_output(path, other, same_bits):
    if same_bits:
        assert bytes_of(path) == bytes_of(other)
        return
    rows, others = rows_of(path), rows_of(other)
    assert len(rows) == len(others)
    for row, known in zip(rows, others, strict=True):
        assert row.keys() == known.keys()
        for name in row:
            if name in ("sentiment_score", "sentiment_negative", "sentiment_positive"):
                assert number(row[name]) == pytest.approx(number(known[name]), abs=SAME, nan_ok=True)
            elif name != "sentiment":  # the label turns where both probabilities are about 0.5
                assert row[name] == known[name]


def number(cell):
    return math.nan if cell in ("", "None") else float(cell)


def put_into(path, folder, edit):
    """Give a recorded file of JSON the folder where it lies now; and the versions of today where `edit` says so."""

    def change(text):
        content = json.loads(text.replace(PLACEHOLDER, json.dumps(str(folder))[1:-1]))
        if edit != "as recorded":
            for part in (content, content.get("fingerprint", {})):
                for name in ("sentiment-batch", *LIBRARIES):
                    part.update({key: version(name) for key in (name, f"the version of {name}") if key in part})
        return json.dumps(content)

    rewrite(path, change)


@pytest.mark.parametrize(("module", "name"), [(module, name) for module in PUBLIC for name in PUBLIC[module].split()])
def test_a_public_name_can_be_imported(module, name):
    assert getattr(importlib.import_module(module), name) is not None


@pytest.mark.parametrize("module", PUBLIC)
def test_a_public_module_exports_what_it_exported(module):
    assert set(PUBLIC[module].split()) <= set(importlib.import_module(module).__all__)


def test_a_model_gives_the_recorded_probabilities(expected):
    found = probabilities("model", expected)
    np.testing.assert_allclose(found, recorded(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("output", ["scored.csv", "scored.jsonl/"])
@pytest.mark.parametrize("input_is_there", [True, False], ids=["with its input", "without its input"])
def test_an_output_passes_verify(old, cli, output, input_is_there):
    if input_is_there:
        put_into(old / f"{output.rstrip('/')}.manifest.json", old, "as recorded")
    result = cli("verify", output, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["rows"], found["bad_rows"]) == (40, 1)


def test_a_damaged_output_does_not_pass_verify(old, cli):
    content = (old / "scored.csv").read_bytes()
    (old / "scored.csv").write_bytes(content.replace(b"great", b"Great", 1))
    assert "scored.csv" in one_line_error(cli("verify", "scored.csv"))


def test_an_output_without_all_rows_does_not_pass_verify(old, cli):
    put_into(old / "scored.csv.manifest.json", old, "as recorded")
    head, _, last = (old / "table.csv").read_bytes()[:-1].rpartition(b"\n")
    (old / "table.csv").write_bytes(head + b"," + last + b"\n")  # one row less, in a file of the same size and time
    os.utime(old / "table.csv", (MODIFIED, MODIFIED))
    assert "table.csv" in one_line_error(cli("verify", "scored.csv"))


@UNFINISHED
@pytest.mark.parametrize("output", ["resumed.csv", "resumed.jsonl/"])
def test_unfinished_scoring_is_finished_or_refused(old, cli, same_bits, output, edit):
    work = f".{output.rstrip('/')}.scoring"
    shutil.move(old / "unfinished" / work, old)
    put_into(old / work / "job.json", old, edit)
    result = cli("score", "table.csv", output, *SCORE, "--quiet")
    if result.exit_code:
        assert "--restart" in one_line_error(result)
        assert not (old / output).exists()
        result = cli("score", "table.csv", output, *SCORE, "--quiet", "--restart")
    assert result.exit_code == 0, result.output
    assert not (old / work).exists()
    assert_equal_output(old / output, old / output.replace("resumed", "scored"), same_bits)
    assert (old / f"{output.rstrip('/')}.problems.jsonl").exists()


@UNFINISHED
def test_unfinished_training_is_finished_or_refused(old, cli, expected, edit):
    shutil.move(old / "unfinished" / "resumed.training", old)
    put_into(old / "resumed.training" / "state.json", old, edit)
    result = cli(*TRAIN, "--output", "resumed", "--quiet", "--resume")
    finished = result.exit_code == 0
    if not finished:
        assert "--restart" in one_line_error(result)
        assert not (old / "resumed").exists()
        result = cli(*TRAIN, "--output", "resumed", "--quiet", "--restart")
    assert result.exit_code == 0, result.output
    assert not (old / "resumed.training").exists()
    found, wanted = probabilities("resumed", expected), recorded(expected)
    assert found.shape == wanted.shape
    if finished:  # a new training may draw other numbers
        # Probabilities, not weights: where a gradient is nothing but rounding, AdamW makes whole steps of it.
        np.testing.assert_allclose(found, wanted, rtol=0, atol=SAME)


def test_an_unfinished_training_can_be_scored_with(old, expected):
    found = probabilities(old / "unfinished" / "resumed.training" / "best", expected)
    assert found.shape == recorded(expected).shape


def test_the_outcome_of_probes_is_used_or_made_again(old, expected, monkeypatch):
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(old / "cache"))
    before = {path: path.read_bytes() for path in (old / "cache").rglob("*.json")}
    np.testing.assert_allclose(probabilities("model", expected), recorded(expected), rtol=0, atol=1e-6)
    assert {path: path.read_bytes() for path in before} == before


def test_a_pickled_scorer_scores_or_is_refused(old, expected):
    try:
        with (old / "scorer.pickle").open("rb") as file:
            scorer = pickle.load(file)
        annotated, message = scorer(pa.table({"text": expected["texts"]})), ""
    except SentimentBatchError as error:  # one clear error of ours, and no other
        annotated, message = None, str(error)
    finally:
        clear_cache()
    if annotated is None:
        assert message
        assert "\n" not in message
        return
    found = [annotated[f"sentiment_{label}"].to_numpy(zero_copy_only=False) for label in expected["labels"]]
    np.testing.assert_allclose(np.stack(found, axis=1), recorded(expected), rtol=0, atol=1e-5)


@pytest.fixture
def plugin(old, tmp_path):
    """Installs an old wheel into a folder of its own; gives a function that runs Python with it."""

    def install(name):
        (wheel,) = old.glob(f"sentiment_batch_{name}-*.whl")
        target = tmp_path / "installed"
        zipfile.ZipFile(wheel).extractall(target)  # as pip does, but in no time
        # Before all others, so that this version of the plugin counts; and sentiment_batch is the one under test.
        root = Path(sentiment_batch.__file__).parents[1]
        paths = os.pathsep.join([str(target), str(root), os.environ.get("PYTHONPATH", "")])

        def run(*arguments):
            environment = os.environ | {"PYTHONPATH": paths, "SENTIMENT_BATCH_LOAD_PLUGINS": name}
            both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
            done = subprocess.run([sys.executable, *arguments], cwd=old, env=environment, **both)
            assert done.returncode == 0, done.stdout
            return done.stdout

        return run

    return install


def test_an_old_plugin_passes_its_conformance_suite(old, plugin):
    python = plugin("lines")
    assert "sentiment-batch-lines 0.1.0" in python("-m", "sentiment_batch", "plugins")
    shutil.copy(HERE / "plugin" / "conformance.py", old / "test_lines.py")
    printed = python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(old), "test_lines.py"
    )
    assert int(printed.rpartition(" passed")[0].split()[-1]) > 60


def test_an_old_plugin_reads_and_writes_in_a_run(old, plugin):
    python = plugin("lines")
    (old / "reviews.txt").write_text("A quiet triumph.\nI want those two hours back.\n", encoding="utf-8")
    python("-m", "sentiment_batch", "score", "reviews.txt", "scored.md", "--model", "model", *CPU, "--quiet")
    head, _, first, second = (old / "scored.md").read_text(encoding="utf-8").splitlines()
    assert head == "| text | sentiment | sentiment_score |"
    assert first.startswith("| A quiet triumph. | ")
    assert second.startswith("| I want those two hours back. | ")


def test_the_old_excel_plugin_reads_and_writes_in_a_run(old, plugin):
    pytest.importorskip("openpyxl")
    python = plugin("excel")
    found = python("-c", "import sentiment_batch_excel; print(sentiment_batch_excel.__file__)")
    assert Path(found.strip()).parent.parent.name == "installed"
    score = ("-m", "sentiment_batch", "score")
    python(*score, "reviews.csv", "first.xlsx", "--model", "model", *CPU, "--text-column", "review", "--quiet")
    options = ("--prefix", "again", "--text-column", "review", *CPU, "--quiet")
    python(*score, "first.xlsx", "second.csv", "--model", "model", *options)
    rows = rows_of(old / "second.csv")
    assert len(rows) == 60
    assert all(row["sentiment"] == row["again"] for row in rows)
