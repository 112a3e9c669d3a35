"""`sentiment-batch bench`: figures as a table or as JSON on standard output; how fast anything is, no test says."""

from __future__ import annotations

import json

import pytest

from sentiment_batch.scoring.bench import measure
from tests.cli.helpers import CPU, failed

POSITIVE = (
    "rows",
    "tokens",
    "seconds",
    "tokens_per_row",
    "tokenising_tokens_per_second",
    "model_tokens_per_second",
    "tokens_per_second",
    "rows_per_second",
    "model_busy",
    "for_rows",
    "hours",
    "loading_seconds",
    "batch_tokens",
    "max_length",
)


@pytest.fixture
def bench(cli, tiny_model, monkeypatch):
    """Runs `bench` with the tiny model on the CPU, on 100 rows at least, however slow the machine is."""
    count = measure.count_fitting_rows
    monkeypatch.setattr(measure, "count_fitting_rows", lambda *arguments: max(100, count(*arguments)))
    return lambda *arguments, **options: cli("bench", "-m", tiny_model, *CPU, "--seconds", "0.2", *arguments, **options)


def test_the_figures_are_a_table_on_standard_output(bench, reviews_csv, tiny_model):
    result = bench(reviews_csv, "--for-rows", "5000000")
    assert result.exit_code == 0, result.stderr
    for part in ("tokenizer alone", "model alone", "end to end", "5,000,000 rows would take", "as asked"):
        assert part in result.stdout
    assert f"model: {tiny_model} (as named)" in result.stderr
    assert "measuring end to end in float32 on 60 rows" in result.stderr


@pytest.mark.parametrize("what", [["{in}"], ["--tokens", "20", "--rows", "50"]])
def test_json_is_one_object_of_figures_that_belong_together(bench, reviews_csv, what):
    result = bench(*[word.format(**{"in": reviews_csv}) for word in what], "--json", "--quiet")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert {name: found[name] for name in POSITIVE if not found[name] > 0} == {}
    assert found["hours"] == pytest.approx(found["for_rows"] / found["rows_per_second"] / 3_600)
    assert [one["dtype"] for one in found["dtypes"]] == ["float32"]
    assert 0 <= found["cut_share"] <= 1
    assert found["source"] == (str(reviews_csv) if len(what) == 1 else "generated texts of about 20 tokens")
    assert found["for_rows"] == (60 if len(what) == 1 else 1_000_000)
    assert found["rows"] == (60 if len(what) == 1 else 50)


def test_standard_input_is_a_dash(bench, reviews_csv):
    result = bench("-", "--input-format", "csv", "--json", "--quiet", input=reviews_csv.read_text())
    assert json.loads(result.stdout)["rows"] == 60


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        ([], 2, "Name a TABLE of yours, or --tokens 256"),
        (["{in}", "--tokens", "20"], 2, "both a TABLE and --tokens. Name a TABLE of yours, or --tokens 256"),
        (["{tmp}/nowhere.csv"], 1, "nowhere.csv is not there"),
        (["{in}", "--text-column", "x"], 1, "no column 'x'"),
        (["{in}", "-m", "./nowhere"], 1, "no model folder"),
        (["{in}", "--max-length", "3"], 2, "--max-length is 3"),
        (["{in}", "--rows", "0"], 2, "--rows is 0"),
        (["{in}", "--seconds", "0"], 2, "--seconds is 0"),
        (["{in}", "--device", "cpu,cpu"], 2, "one device at a time"),
        (["{in}", "--device", "tpu"], 2, "--device is 'tpu'"),
        (["{in}", "--input-format", "xml"], 2, "no format is called 'xml'"),
        (["{tmp}/empty.csv"], 1, "has no rows to measure on"),
        (["{tmp}/blank.csv"], 1, "hold no text"),
    ],
)
def test_a_mistake_is_one_line(bench, reviews_csv, tmp_path, arguments, code, part):
    (tmp_path / "empty.csv").write_text("id,text\n", encoding="utf-8")
    (tmp_path / "blank.csv").write_text("id,text\n1,\n2,  \n", encoding="utf-8")
    failed(bench(*[word.format(**{"tmp": tmp_path, "in": reviews_csv}) for word in arguments]), part, code=code)
