"""`sentiment-batch compare`: two models on the same rows, the paired difference, and the rows whose label changes."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from sentiment_batch.evaluation import compare_models
from sentiment_batch.evaluation.intervals import difference_interval, share_interval
from tests.cli.helpers import CPU, failed


@pytest.fixture(scope="module")
def models(make_model):
    return make_model("negative", "positive"), make_model("negative", "positive", seed=8)


@pytest.fixture
def compare(cli, models, reviews_csv):
    return lambda *arguments: cli("compare", *models, reviews_csv, *CPU, "--quiet", *arguments)


@pytest.fixture
def predicted(cli, models, reviews_csv, tmp_path):
    """The labels that `score` gives with each of the two models, and the true ones."""
    frames = []
    for number, model in enumerate(models):
        out = tmp_path / f"{number}.csv"
        assert cli("score", reviews_csv, out, "-m", model, *CPU, "--quiet").exit_code == 0
        frames.append(pd.read_csv(out))
    return frames[0].sentiment, frames[1].sentiment, frames[0].label


def test_the_figures_are_those_of_the_scored_tables(compare, predicted):
    a, b, label = predicted
    result = compare("--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    right_a, right_b = (a == label).to_numpy(), (b == label).to_numpy()
    assert found["rows"] == 60
    assert (found["a"]["accuracy"], found["b"]["accuracy"]) == (right_a.mean(), right_b.mean())
    assert found["a"]["interval"] == share_interval(int(right_a.sum()), 60)
    assert found["difference"] == pytest.approx(right_b.mean() - right_a.mean())
    assert found["difference_interval"] == pytest.approx(difference_interval(right_b, right_a))
    assert (found["only_a"], found["only_b"]) == ((right_a & ~right_b).sum(), (right_b & ~right_a).sum())
    assert sorted(one["row"] for one in found["changed"]) == [row for row in range(60) if a[row] != b[row]]
    assert found["changed"]
    for one in found["changed"]:
        row = one["row"]
        assert (one["label_a"], one["label_b"], one["label"]) == (a[row], b[row], label[row])


def test_text_names_both_models_and_the_rows(compare, models):
    text = compare("--changes", 2).stdout
    for part in (
        *map(str, models),
        "60 rows, measured with both models",
        "B less A: ",
        "95 % interval",
        ": A ",
        "labelled",
    ):
        assert part in text
    assert text.count("\n  row ") == 2
    assert "whose label changes" not in compare("--changes", 0).stdout.partition("labelled")[2]


def test_all_changes_are_written_as_a_table(compare, tmp_path, predicted):
    a, b, _ = predicted
    assert compare("--output", tmp_path / "changes.csv", "--changes", 1).exit_code == 0
    table = pd.read_csv(tmp_path / "changes.csv")
    assert set(table.row) == {row for row in range(60) if a[row] != b[row]}
    assert list(table.columns[-4:]) == ["label_a", "score_a", "label_b", "score_b"]


def test_a_model_compared_with_itself_does_not_differ(cli, models, reviews_csv):
    result = cli("compare", models[0], models[0], reviews_csv, *CPU, "--quiet")
    assert "B less A: +0.0 points" in result.stdout
    assert "no clear difference" in result.stdout
    assert "0 labels changed" in result.stdout


@pytest.mark.parametrize(
    ("figure", "least"),
    [
        ("difference", -1),
        ("difference_low", -1),
        ("difference_high", -1),
        ("accuracy_a", 0),
        ("accuracy_b", 0),
        ("rows", 0),
    ],
)
def test_each_figure_can_be_a_gate(compare, figure, least):
    assert compare("--fail-if", f"{figure} >= {least}").exit_code == 3
    assert compare("--fail-if", f"{figure} < {least}").exit_code == 0


def test_models_of_other_labels_are_compared_on_what_both_know(cli, models, make_model, reviews_csv):
    three = make_model("negative", "neutral", "positive")
    assert json.loads(cli("compare", models[0], three, reviews_csv, *CPU, "--json", "--quiet").stdout)["rows"] == 60
    other = make_model("cat", "dog")
    failed(cli("compare", models[0], other, reviews_csv, *CPU, "--quiet"), "'cat', 'dog'")


def test_a_missing_model_is_one_line(cli, models, reviews_csv, tmp_path):
    failed(cli("compare", models[0], tmp_path / "none", reviews_csv, *CPU, "--quiet"), "none")


def test_rows_that_a_model_cannot_know_are_counted(cli, models, make_model, tmp_path):
    labels = ["negative", "neutral", "positive", "neutral"]
    table = tmp_path / "three.csv"
    pd.DataFrame({"review": [f"the film {n} was fine" for n in range(4)], "label": labels}).to_csv(table, index=False)
    three = make_model("negative", "neutral", "positive")
    result = cli("compare", models[0], three, table, *CPU, "--json")
    assert "of 4 rows, the figures leave out 2 with a label of no class ('neutral' 2)" in result.stderr
    found = json.loads(result.stdout)
    assert found["rows"] == 2
    assert found["a"]["left_out"]["label_unknown"] == {"neutral": 2}
    assert found["b"]["left_out"]["label_unknown_rows"] == 0


def test_another_spelling_of_a_label_is_no_change(cli, models, make_model, reviews_csv):
    other = make_model("NEG", "POS")
    found = json.loads(cli("compare", models[0], other, reviews_csv, *CPU, "--json", "--quiet").stdout)
    assert len(found["changed"]) == found["only_a"] + found["only_b"]


def test_models_that_read_the_labels_differently_are_refused(cli, models, make_model, tmp_path, monkeypatch):
    table = tmp_path / "stars.csv"
    stars = [1, 2, 3, 4, 5] * 4
    pd.DataFrame({"review": [f"the film {n} was fine" for n in range(20)], "stars": stars}).to_csv(table, index=False)
    other = make_model("1 star", "2 stars", "3 stars", "4 stars", "5 stars")
    monkeypatch.setattr(compare_models, "_measure", None)  # nothing is scored
    words = "'negative' for the first and '1 star' for the second model. Say what the labels mean with --stars"
    failed(
        cli("compare", models[0], other, table, *CPU), "read the labels of 'stars' in different ways: 16 rows", words
    )


@pytest.mark.parametrize(("text", "words"), [("", "40 without a text. Check its --text-column"), (None, "no rows")])
def test_a_table_without_texts_is_named(cli, models, tmp_path, text, words):
    table = tmp_path / "empty.csv"
    rows = [] if text is None else [(text, "positive")] * 40
    pd.DataFrame(rows, columns=["review", "label"]).to_csv(table, index=False)
    failed(cli("compare", *models, table, *CPU), words)
