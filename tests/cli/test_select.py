"""`sentiment-batch select`: rows to label out, by the words of the command line, and nothing half-written."""

from __future__ import annotations

import inspect as python_inspect
import io
import json
import random
import signal

import pandas as pd
import pytest

import sentiment_batch
from sentiment_batch.cli import group
from tests.cli.helpers import CPU, failed
from tests.conftest import BAD, GOOD, WORDS
from tests.crashes import Runner


@pytest.fixture(scope="module")
def scored(tmp_path_factory, tiny_model):
    """A scored table of 200 reviews, with its manifest."""
    from sentiment_batch.scoring.pipeline import ScoreJob, score_table
    from sentiment_batch.settings import ScoreSettings

    folder, chance = tmp_path_factory.mktemp("scored"), random.Random(1)
    texts = [" ".join(chance.choices(WORDS, k=6)) for _ in range(200)]
    pd.DataFrame({"id": [f"{n:05d}" for n in range(200)], "review": texts}).to_csv(folder / "in.csv", index=False)
    settings = ScoreSettings(device="cpu", dtype="float32")
    source, out = str(folder / "in.csv"), folder / "scored.csv"
    score_table(ScoreJob(source=source, destination=str(out), model=str(tiny_model), settings=settings, quiet=True))
    return out


def test_rows_to_label_are_written_and_reported(scored, cli, tmp_path, tiny_model):
    out = tmp_path / "to_label.csv"
    result = cli("select", scored, *CPU, "--rows", 12, "-o", out)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(out, dtype=str)
    assert list(table) == ["id", "review", "label"]
    assert len(table) == 12
    assert table["label"].isna().all()
    source = pd.read_csv(scored, dtype=str).set_index("id")["review"]
    assert (source[table["id"]].to_numpy() == table["review"]).all()
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0] == f"model: {tiny_model} (it scored the table, by the manifest)"
    assert "scores: sentiment_score; the output leaves out 'sentiment', 'sentiment_score'" in lines
    assert f"{out}: 12 rows of 200, chosen among the 200 most uncertain ones" in lines
    assert (
        "Fill in its column label, such as with negative, positive. Training leaves out rows without a label" in lines
    )


def test_json_is_one_line(scored, cli, tmp_path):
    result = cli("select", scored, *CPU, "--rows", 3, "-o", tmp_path / "out.parquet", "--json", "--quiet")
    (line,) = result.stdout.splitlines()
    found = json.loads(line)
    assert (found["rows"], found["selected"], found["output"]) == (200, 3, str(tmp_path / "out.parquet"))
    assert result.stderr == ""
    failed(cli("select", scored, "-o", "-", "--json"), "cannot both go to standard output", code=2)


def test_a_table_goes_through_standard_input_and_output(scored, cli, tiny_model):
    given = ("select", "-", "-m", tiny_model, *CPU, "--input-format", "csv", "--rows", 4, "--quiet", "-o", "-")
    result = cli(*given, input=scored.read_bytes())
    assert result.exit_code == 0, result.output
    table = pd.read_csv(io.StringIO(result.stdout), dtype=str)
    assert (len(table), list(table)) == (4, ["id", "review", "label"])


def test_the_same_command_writes_the_same_bytes(scored, cli, tmp_path):
    for name in ("one.csv", "two.csv"):
        assert cli("select", scored, *CPU, "--rows", 20, "--seed", 7, "-o", tmp_path / name).exit_code == 0
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_errors_speak_the_words_of_the_command_line(scored, cli, tmp_path, tiny_model):
    out = tmp_path / "out.csv"
    (tmp_path / "plain.csv").write_text("review\nfine\n")
    line = failed(cli("select", tmp_path / "plain.csv", "-m", tiny_model, *CPU, "-o", out), "Score the table first")
    assert "--prefix" in line
    table = pd.read_csv(scored, dtype=str).assign(label="x")
    table.to_csv(tmp_path / "labelled.csv", index=False)
    failed(
        cli("select", tmp_path / "labelled.csv", "-m", tiny_model, *CPU, "-o", out), "--label-column new_label", code=2
    )
    failed(cli("select", scored, "--candidates", 5, "-o", out), "--candidates is 5, but 200 rows", code=2)
    out.write_text("mine")
    failed(cli("select", scored, *CPU, "-o", out), "exists already", "--overwrite")
    assert out.read_text() == "mine"
    failed(cli("select", tmp_path / "none.csv", "-o", tmp_path / "b.csv"), "none.csv")
    failed(cli("select", scored, "--labelled", tmp_path / "none.csv", "-o", tmp_path / "b.csv", *CPU), "none.csv")
    assert not (tmp_path / "b.csv").exists()


def test_what_was_labelled_trains_together_with_the_rest(scored, cli, tmp_path, tiny_base, reviews_csv):
    to_label, labelled, model = (tmp_path / name for name in ("to_label.csv", "labelled.csv", "model"))
    chosen = ("--rows", 30, "--labelled", reviews_csv, "-o", to_label)
    assert cli("select", scored, *CPU, *chosen).exit_code == 0
    table = pd.read_csv(to_label, dtype=str)
    good = table["review"].map(lambda text: sum(text.count(word) for word in GOOD) - sum(map(text.count, BAD)))
    table["label"] = ["positive" if count > 0 else "negative" for count in good]
    table.loc[20:, "label"] = ""  # whoever labels stops early
    table.to_csv(labelled, index=False)
    given = ("--base", tiny_base, "--epochs", 1, "--folds", 0, "--max-length", 16, "--no-baseline", "--device", "cpu")
    result = cli("train", reviews_csv, labelled, "-o", model, *given, "--json")
    assert result.exit_code == 0, result.output
    meta = json.loads((model / "sentiment_batch.json").read_text(encoding="utf-8"))
    assert meta["data"]["sources"] == [str(reviews_csv), str(labelled)]
    assert (meta["data"]["rows"], meta["data"]["label_missing"]) == (90, 10)
    # The next round leaves out both.
    again = ("--labelled", reviews_csv, "--labelled", to_label, "-o", tmp_path / "next.csv")
    assert cli("select", scored, *CPU, "--rows", 30, *again).exit_code == 0
    assert set(pd.read_csv(tmp_path / "next.csv")["review"]).isdisjoint(table["review"])


def test_the_function_and_the_command_have_the_same_settings():
    parameters = set(python_inspect.signature(sentiment_batch.select).parameters) - {"settings"}
    options = {max(one.opts, key=len).lstrip("-").replace("-", "_") for one in group.commands["select"].params}
    assert parameters <= options
    defaults = group.commands["select"].make_context("select", ["scored.csv"]).params
    for name, parameter in python_inspect.signature(sentiment_batch.select).parameters.items():
        if name in {"rows", "label_column", "seed", "candidates", "overwrite", "quiet", "model"}:
            assert parameter.default == defaults[name], name


@pytest.fixture(scope="module")
def crash(tmp_path_factory):
    runner = Runner(
        SENTIMENT_BATCH_CACHE=str(tmp_path_factory.mktemp("crash")), CRASHES_IMPORT="sentiment_batch.selection.run"
    )
    yield runner
    runner.close()


def test_a_killed_run_leaves_the_file_as_it_was(scored, crash, tmp_path, end_points):
    out = tmp_path / "out.csv"
    command = ("select", scored, *CPU, "--rows", 10, "-o", out, "--overwrite", "--quiet")
    assert crash.run(*command)["status"] == 0  # the first run also writes the cache
    whole, wanted = crash.run(*command), out.read_bytes()
    for number in end_points(whole["operations"], every=6):
        out.write_text("mine")
        assert crash.run(*command, disk={"kill_at": number})["status"] == -signal.SIGKILL
        assert out.read_bytes() in {b"mine", wanted}, number
    assert crash.run(*command)["status"] == 0
    assert out.read_bytes() == wanted


def test_a_failed_run_is_one_line_and_leaves_nothing(scored, crash, tmp_path, end_points):
    command = ("select", scored, *CPU, "--rows", 10, "-o", tmp_path / "out.csv")
    crash.run(*command)
    (tmp_path / "out.csv").unlink()
    whole = crash.run(*command)
    for number in end_points(whole["operations"], every=6):
        (tmp_path / "out.csv").unlink(missing_ok=True)
        ended = crash.run(*command, disk={"error_at": number, "code": 28})
        assert ended["status"] in {0, 1}, ended["err"]
        assert "Traceback" not in ended["err"]
        if ended["status"] == 1:
            assert len([line for line in ended["err"].splitlines() if line.startswith("Error: ")]) == 1
            assert list(tmp_path.iterdir()) == [], number


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.3])
def test_an_interrupted_run_leaves_nothing(seconds, scored, crash, tmp_path):
    ended = crash.run("select", scored, *CPU, "-o", tmp_path / "out.csv", signal=(signal.SIGTERM, seconds))
    assert ended["status"] in {0, 128 + signal.SIGTERM, -signal.SIGTERM}
    assert [path.name for path in tmp_path.iterdir()] == (["out.csv"] if ended["status"] == 0 else [])
