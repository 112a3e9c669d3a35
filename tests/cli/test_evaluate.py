"""`sentiment-batch evaluate`: how well a model does, as tables or as JSON, on standard output."""

from __future__ import annotations

import json

import pytest

from tests.cli.helpers import CPU, failed


@pytest.fixture
def evaluate(cli, tiny_model):
    """Runs `evaluate` with the tiny model on the CPU."""
    return lambda *arguments, **options: cli("evaluate", "-m", tiny_model, *CPU, *arguments, **options)


def test_the_metrics_are_tables_on_standard_output(evaluate, reviews_csv, tiny_model):
    result = evaluate(reviews_csv)
    assert result.exit_code == 0, result.stderr
    for part in ("accuracy", "macro F1", "loss", "on 60 rows", "precision", "recall", "true / predicted", "negative"):
        assert part in result.stdout
    assert f"model: {tiny_model} (as named)" in result.stderr
    assert "labels of 'label'" in result.stderr


def test_json_is_one_object_of_the_same_numbers(evaluate, reviews_csv):
    result = evaluate(reviews_csv, "--json", "--quiet")
    assert result.stderr == ""
    measured = json.loads(result.stdout)
    assert set(measured) == {"rows", "accuracy", "macro_f1", "loss", "classes", "confusion", "labels"}
    assert measured["rows"] == sum(map(sum, measured["confusion"])) == 60
    hits = sum(row[place] for place, row in enumerate(measured["confusion"]))
    assert measured["accuracy"] == pytest.approx(hits / 60)
    assert f"accuracy {measured['accuracy']:.4f}" in evaluate(reviews_csv).stdout


def test_standard_input_is_a_dash(evaluate, reviews_csv):
    piped = evaluate("-", "--input-format", "csv", "--json", input=reviews_csv.read_text())
    assert piped.stdout == evaluate(reviews_csv, "--json").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["{tmp}/nowhere.csv"], 1, "nowhere.csv is not there"),
        (["{in}", "--text-column", "x"], 1, "no column 'x'"),
        (["{in}", "--label-column", "x"], 1, "no column 'x'"),
        (["{in}", "--stars", "five"], 2, "--stars"),
        (["{in}", "--batch-tokens", "1.5"], 2, "--batch-tokens"),
        (["{in}", "-m", "./nowhere"], 1, "no model folder"),
        (["{in}", "--max-length", "3"], 2, "--max-length is 3"),
        (["{in}", "--input-format", "xml"], 2, "no format is called 'xml'"),
        (["{in}", "--label-column", "id"], 1, "label"),
    ],
)
def test_a_mistake_is_one_line(evaluate, reviews_csv, tmp_path, arguments, code, part):
    failed(evaluate(*[word.format(**{"tmp": tmp_path, "in": reviews_csv}) for word in arguments]), part, code=code)


def test_a_setting_out_of_range_is_found_before_the_data_are_read(evaluate, tmp_path):
    failed(evaluate(tmp_path / "nowhere.csv", "--max-length", "3"), "--max-length is 3", code=2)
