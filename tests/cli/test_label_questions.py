"""Questions about labels on the command line: one line with options that can be typed, exit code 2, nothing written."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.cli.helpers import CPU, failed

GOOD, BAD = "a wonderful film, number", "a terrible film, number"


@pytest.fixture
def train(cli, tiny_base, tmp_path):
    """Runs `train` on a table of these columns, one row of each value again and again."""

    def run(*options, rows=40, **columns):
        names = ["review", *columns]
        lines = [
            [f"{GOOD if n % 2 else BAD} {n}", *(values[n % len(values)] for values in columns.values())]
            for n in range(rows)
        ]
        table = tmp_path / "reviews.csv"
        text = "\n".join(",".join(f'"{cell}"' for cell in line) for line in [names, *lines])
        table.write_text(text, encoding="utf-8")
        fast = ("--epochs", "1", "--folds", "0", "--batch-size", "8", "--max-length", "8", "--no-report")
        return cli("train", table, "--base", tiny_base, "-o", tmp_path / "model", *CPU, *fast, *options)

    return run


@pytest.mark.parametrize(
    ("columns", "parts"),
    [
        ({"label": [1, 2, 3, 4, 5, 6, 7]}, ["1 (6 rows), 2 (6)", "--stars 3,5 (up to 3 is negative"]),
        ({"label": [0, 1, 9]}, ["--no-answer 9.", "--stars negative=0,positive=1,", "--label-column."]),
        (
            {"rating": [1, 5], "human_label": ["positive", "negative"]},
            ["--label-column rating or --label-col"],
        ),
        ({"Note": [1, 2, 4, 5]}, ["--stars positive=1-2,negative=4-5. If not", "--stars negative=1-2,positive=4-5,"]),
        ({"label": ["+", "-"]}, ["--labels-map -=negative,+=positive. If", "--no-answer -, or"]),
        ({"sentiment": ["a", "b"], "sentiment_score": [0.9, 0.8]}, ["predictions", "--label-column sentiment."]),
    ],
)
def test_a_question_is_one_line_and_nothing_is_written(train, tmp_path, columns, parts):
    code = 1 if "sentiment_score" in columns else 2
    failed(train(**columns), *parts, code=code)
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.csv"]


@pytest.mark.parametrize("labels", [[0, 1, 9], ["+", "-"]])
def test_the_answer_of_a_question_can_be_typed(train, labels):
    question = failed(train(label=labels), code=2)
    answer = question.partition("use ")[2].partition(".")[0]
    result = train(*shlex.split(answer), "--json", label=labels)
    assert result.exit_code == 0, result.stderr
    assert sorted(json.loads(result.stdout)["labels"]) == ["negative", "positive"]


def test_other_words_are_mapped_for_training_and_measuring(train, cli, tmp_path):
    result = train("--labels-map", "schlecht=negative,gut=positive", label=["schlecht", "gut"])
    assert result.exit_code == 0, result.stderr
    table, model = tmp_path / "reviews.csv", ("--model", tmp_path / "model", *CPU)
    measured = cli("evaluate", table, *model, "--json")
    assert json.loads(measured.stdout)["rows"] == 40, measured.stderr
    table.write_text(table.read_text().replace("schlecht", "negativ").replace("gut", "positiv"))
    question = failed(cli("evaluate", table, *model), "--labels-map negativ=negative,positiv=positive.")
    answer = question.partition("meaning with ")[2].rstrip(".")
    mapped = cli("evaluate", table, *model, *shlex.split(answer), "--json")
    assert json.loads(mapped.stdout)["rows"] == 40, mapped.stderr


def test_the_answered_column_is_measured_without_asking_again(train, cli, tmp_path):
    columns = {"rating": [1, 5, 5, 5], "human_label": ["negative", "positive"]}
    assert train("--label-column", "human_label", **columns).exit_code == 0
    measured = cli("evaluate", tmp_path / "reviews.csv", "--model", tmp_path / "model", *CPU)
    assert measured.exit_code == 0, measured.stderr
    assert "label      human_label: negative, positive" in measured.stderr


def test_settings_that_cannot_be_read_are_refused_first(cli):
    failed(cli("train", "nothing.csv", "--labels-map", "negativ"), "--labels-map is 'negativ'", code=2)
    failed(cli("evaluate", "nothing.csv", "--no-answer", ","), "--no-answer is ','", code=2)
    failed(cli("train", "nothing.csv", "--stars", "2"), "--stars is '2'", code=2)
