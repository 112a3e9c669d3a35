"""Three and five classes, and classes of unequal size, go through training and scoring as two of equal size do."""

from __future__ import annotations

import csv
import json
import random
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from sentiment_batch.evaluation.evaluate_model import evaluate_labelled
from sentiment_batch.scoring.scorer import Scorer
from sentiment_batch.training import optimizer
from tests.cli.helpers import CPU, failed
from tests.conftest import BAD, GOOD, WORDS

if TYPE_CHECKING:
    from sentiment_batch.data.labelled_rows import LabelledRows

FIVE = {1: ("hated", "awful"), 2: ("boring", "dull"), 3: ("film", "plot"), 4: ("fine", "warm"), 5: ("loved", "superb")}
STARS = "very negative=1,negative=2,neutral=3,positive=4,very positive=5"
THREE = {"negative": ("hated", "awful"), "neutral": ("film", "plot"), "positive": ("loved", "superb")}


@pytest.fixture
def table(tmp_path):
    """Writes a table of so many rows for each class, its words among others; gives its place."""

    def table(name, words, counts, column="label", seed=0):
        draw = random.Random(seed)
        rows = [(label, draw.choice(words[label])) for label, count in counts.items() for _ in range(count)]
        draw.shuffle(rows)
        with (tmp_path / name).open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["text", column])
            out.writerows([f"the {word} story {seed} {n} was {word}", label] for n, (label, word) in enumerate(rows))
        return tmp_path / name

    return table


def run(cli, *arguments):
    done = cli(*arguments)
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.parametrize(
    ("words", "column", "more", "labels"),
    [
        (FIVE, "stars", ["--stars", STARS], ["very negative", "negative", "neutral", "positive", "very positive"]),
        (THREE, "airline_sentiment", ["--label-column", "airline_sentiment"], ["negative", "neutral", "positive"]),
    ],
    ids=["stars into five", "words for three"],
)
def test_all_classes_are_trained_measured_scored_and_predicted(
    cli, tiny_base, table, tmp_path, words, column, more, labels
):
    counts = dict.fromkeys(words, 60)
    reviews, test = table("a.csv", words, counts, column), table("b.csv", words, counts, column, seed=1)
    model = tmp_path / "model"
    learn = ["--base", tiny_base, "--epochs", 5, "--learning-rate", 0.003, "--val-size", 0.3, *CPU, "--quiet", "--json"]
    trained = json.loads(run(cli, "train", reviews, "-o", model, "--test-file", test, *learn, *more).stdout)
    assert trained["labels"] == labels
    assert trained["calibration"]["rows"] >= 50
    assert trained["calibration"]["temperature"] != 1.0

    naming = [] if column == "stars" else more
    measured = json.loads(run(cli, "evaluate", test, "-m", model, *CPU, "--json", "--quiet", *naming).stdout)
    assert measured["rows"] == 60 * len(labels)
    assert measured["accuracy"] > 0.9
    assert measured["loss"] == pytest.approx(trained["test"]["loss"], rel=1e-4)
    assert measured["labels"] == labels

    run(cli, "score", test, tmp_path / "out.csv", "-m", model, *CPU, "--probabilities", "--quiet")
    scored = pyarrow.csv.read_csv(tmp_path / "out.csv")
    assert set(scored["sentiment"].to_pylist()) == set(labels)
    chances = np.stack([scored[f"sentiment_{label}"].to_numpy() for label in labels], axis=1)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=5e-4)
    assert [labels[best] for best in chances.argmax(axis=1)] == scored["sentiment"].to_pylist()

    (one,) = run(cli, "predict", "-m", model, *CPU, "--json", "it was superb").stdout.splitlines()
    assert json.loads(one)["sentiment"] == labels[-1]
    assert list(json.loads(one)["probabilities"]) == labels
    failed(cli("predict", "-m", model, *CPU, "--neutral-band", 0.7, "fine"), "has a label neutral itself", code=2)


UNEQUAL = {"negative": BAD, **{f"positive{' ' * n}": GOOD for n in range(7)}}
"""One review in eight is negative; the labels of the others are written in seven ways."""


def test_class_weights_have_no_influence_on_what_is_measured(train, reviews, monkeypatch):
    seen = []
    cross_entropy = optimizer.functional.cross_entropy

    def noted(*arguments, weight, **options):
        seen.append(weight.tolist())
        return cross_entropy(*arguments, weight=weight, **options)

    monkeypatch.setattr(optimizer.functional, "cross_entropy", noted)
    val = reviews(160, UNEQUAL, start=1_000)
    trained = train("model", reviews(320, UNEQUAL), val=val, class_weights="auto", epochs=1)
    assert seen
    assert all(weights == pytest.approx([4.0, 320 / 560]) for weights in seen)
    assert [one.rows for one in trained.validation.classes] == [20, 140]

    with Scorer.load(trained.path, device="cpu", dtype="float32") as scorer:
        measured = evaluate_labelled(scorer, val)
    assert measured.loss == pytest.approx(trained.validation.loss, rel=1e-5), "which weighs no row"
    assert trained.calibration.rows == 160
    assert trained.calibration.before["loss"] == trained.best.validation_loss


def silent(rows: LabelledRows, seed: int) -> LabelledRows:
    """The same labels on texts that have nothing to do with them."""
    draw = random.Random(seed)
    rows.texts[:] = [f"{' '.join(draw.choices(WORDS, k=5))} {n}" for n in range(len(rows.texts))]
    return rows


def test_only_class_weights_make_a_rare_class_equally_likely(train, reviews):
    rare = {}
    for choice in ("none", "auto"):
        chosen = {"class_weights": choice, "epochs": 1, "batch_size": 32, "learning_rate": 0.002, "calibrate": False}
        rows, val, test = (silent(reviews(count, UNEQUAL), count) for count in (640, 80, 40))
        trained = train(choice, rows, val=val, **chosen)
        with Scorer.load(trained.path, device="cpu", dtype="float32", probabilities=True) as scorer:
            rare[choice] = float(np.mean(scorer(pa.table({"text": test.texts}))["sentiment_negative"].to_numpy()))
    assert rare["none"] == pytest.approx(1 / 8, abs=0.06)
    assert rare["auto"] == pytest.approx(1 / 2, abs=0.15)
