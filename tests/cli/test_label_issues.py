"""`--label-issues`: rows with planted wrong labels come first in a table of their own."""

from __future__ import annotations

import json
import random

import pandas as pd
import pytest

from sentiment_batch import train
from tests.cli.helpers import CPU, failed
from tests.conftest import BAD, GOOD, WORDS

PLAIN = [word for word in WORDS if word not in {*GOOD, *BAD}]


def make_reviews(rows, seed, *, flipped=0):
    """Reviews that one word decides; the labels of some are wrong, as `wrong` says."""
    chance = random.Random(seed)
    texts = []
    for row in range(rows):
        words = [*chance.choices(PLAIN, k=6), chance.choice(GOOD if row % 2 else BAD)]
        texts.append(" ".join(chance.sample(words, 7)))
    wrong = set(chance.sample(range(rows), flipped))
    labels = ["positive" if (row % 2 == 1) != (row in wrong) else "negative" for row in range(rows)]
    return pd.DataFrame({"id": range(1000, 1000 + rows), "text": texts, "label": labels}), wrong


@pytest.fixture(scope="module")
def model(tiny_base, tmp_path_factory):
    """A model that has learned which words decide."""
    output = tmp_path_factory.mktemp("trained") / "model"
    chosen = {"epochs": 6, "folds": 0, "batch_size": 16, "learning_rate": 2e-3, "patience": None, "max_length": 32}
    train(make_reviews(400, 1)[0], output, base=str(tiny_base), quiet=True, device="cpu", dtype="float32", **chosen)
    return output


@pytest.mark.parametrize("name", ["issues.csv", "issues.parquet", "issues.jsonl.gz"])
def test_planted_wrong_labels_are_written_first(name, model, cli, tmp_path):
    reviews, wrong = make_reviews(300, 2, flipped=30)
    reviews.to_csv(tmp_path / "test.csv", index=False)
    issues = tmp_path / name
    result = cli(
        "evaluate", tmp_path / "test.csv", "-m", model, *CPU, "--label-issues", issues, "--errors", 2, "--json"
    )
    assert result.exit_code == 0, result.stderr
    assert len(json.loads(result.stdout)["likely_wrong_labels"]) == 2
    assert f"label issues: {issues}" in result.stderr
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "gz": lambda path: pd.read_json(path, lines=True)}
    table = read[name.rpartition(".")[2]](issues)
    assert list(table) == ["file", "row", "id_column", "id", "text", "label", "suggested", "score"]
    hits = [row in wrong for row in table["row"]]
    precision = [sum(hits[: place + 1]) / (place + 1) for place, hit in enumerate(hits) if hit]
    assert sum(precision) / len(wrong) > 0.75, "average precision"
    assert len(hits) - sum(hits) < 0.05 * 270, "false alarms on clean rows"
    first = table.iloc[0]
    source = reviews.iloc[first["row"]]
    assert (source["text"], source["label"], str(source["id"])) == (first["text"], first["label"], str(first["id"]))
    assert first["suggested"] != first["label"]


def test_the_table_is_never_the_measured_one(model, cli, tmp_path):
    reviews, _ = make_reviews(40, 3, flipped=4)
    table = tmp_path / "test.csv"
    reviews.to_csv(table, index=False)
    before = table.read_bytes()
    command = ("evaluate", table, "-m", model, *CPU)
    failed(cli(*command, "--label-issues", table, "--overwrite"), "need a file of their own", code=2)
    (tmp_path / "link.csv").hardlink_to(table)
    failed(cli(*command, "--label-issues", tmp_path / "link.csv", "--overwrite"), "a file of their own", code=2)
    failed(cli(*command, "--label-issues", "-"), "need a file of their own", code=2)
    day = tmp_path / "days" / "1.csv"
    day.parent.mkdir()
    day.write_bytes(before)
    for several in (day.parent, day.parent / "*.csv"):
        many = ("evaluate", several, "-m", model, *CPU, "--label-issues", day, "--overwrite")
        failed(cli(*many), "need a file of their own", code=2)
    assert day.read_bytes() == before
    (tmp_path / "issues.csv").write_text("mine")
    failed(cli(*command, "--label-issues", tmp_path / "issues.csv"), "issues.csv", "exists")
    assert (tmp_path / "issues.csv").read_text() == "mine"
    assert cli(*command, "--label-issues", tmp_path / "issues.csv", "--overwrite").exit_code == 0
    assert (tmp_path / "issues.csv").read_text().startswith("file,row,")
    assert table.read_bytes() == before


def test_a_run_that_fails_leaves_no_table(model, cli, tmp_path):
    (tmp_path / "test.csv").write_text("text,label\na film,unheard of\n")
    assert (
        cli("evaluate", tmp_path / "test.csv", "-m", model, *CPU, "--label-issues", tmp_path / "i.csv").exit_code == 1
    )
    assert not (tmp_path / "i.csv").exists()


def test_training_finds_wrong_labels_among_all_rows_by_its_folds(tiny_base, cli, tmp_path):
    reviews, wrong = make_reviews(400, 5, flipped=40)
    reviews.to_csv(tmp_path / "reviews.csv", index=False)
    learn = ("--epochs", 8, "--folds", 3, "--batch-size", 16, "--learning-rate", 2e-3, "--patience", 0)
    command = ("train", tmp_path / "reviews.csv", "--base", tiny_base, "-o", tmp_path / "model", *CPU, *learn)
    result = cli(*command, "--max-length", 32, "--no-report", "--label-issues", tmp_path / "issues.csv")
    assert result.exit_code == 0, result.stderr
    found = pd.read_csv(tmp_path / "issues.csv")
    hits = [row in wrong for row in found["row"]]
    assert sum(hits) > 0.3 * len(wrong)
    assert sum(hits) > 0.4 * len(hits), "of rows drawn by lot, 0.1 would have a wrong label"
    assert len(hits) - sum(hits) < 0.06 * 360, "false alarms on clean rows"
    again = cli(*command, "--max-length", 32, "--no-report", "--resume", "--label-issues", tmp_path / "again.csv")
    failed(again, "finished by an earlier run", "--overwrite", code=2)
    assert not (tmp_path / "again.csv").exists()
    failed(cli(*command, "--label-issues", tmp_path / "reviews.csv", "--overwrite"), "a file of their own", code=2)


@pytest.mark.parametrize("inside", ["model/issues.csv", "model/more/issues.csv", "model.training/issues.csv"])
def test_a_table_inside_the_model_folder_is_refused(inside, cli, tmp_path):
    (tmp_path / "model").mkdir()
    arguments = ("train", tmp_path / "reviews.csv", "-o", tmp_path / "model", "--label-issues", tmp_path / inside)
    failed(cli(*arguments), "inside the model folder", "Name a file beside", code=2)


def test_resume_replaces_no_file_of_label_issues(cli, tmp_path):
    (tmp_path / "issues.csv").write_text("precious")
    arguments = ("train", tmp_path / "in.csv", "-o", tmp_path / "model", "--resume")
    failed(cli(*arguments, "--label-issues", tmp_path / "issues.csv"), "issues.csv exists already", "--overwrite")
    assert (tmp_path / "issues.csv").read_text() == "precious"
