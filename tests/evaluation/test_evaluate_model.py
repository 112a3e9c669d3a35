"""A model is measured on labelled rows whose labels may be written in another way than it was trained with."""

from __future__ import annotations

import dataclasses
import json
import logging
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sentiment_batch import evaluate
from sentiment_batch.data.labelled_rows import LabelledRows
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.evaluation import evaluate_model
from sentiment_batch.evaluation.evaluate_model import evaluate_labelled
from sentiment_batch.labels.mapping import LabelMapping
from sentiment_batch.labels.settings import LabelSettings
from sentiment_batch.scoring.scorer import Scorer

TEXTS = ["the film was great", "boring", "awful plot", "loved it", "a warm story", "never again"]


@pytest.fixture(scope="module")
def predicted(scorer):
    """(n, 2): what the model says of the texts."""
    batch = pa.record_batch({"text": TEXTS})
    return np.concatenate([part for _, part in scorer.probabilities([batch], ["text"])])


def rows(labels, texts=None):
    return LabelledRows(
        name="rows.csv",
        texts=texts or TEXTS[: len(labels)],
        labels=labels,
        groups=None,
        text_columns=("text",),
        label_column="label",
        num_blank=0,
    )


def test_the_metrics_are_those_of_the_predictions(scorer, predicted):
    labels = ["negative", "positive"] * 3
    codes = np.array([0, 1] * 3)
    measured = evaluate_labelled(scorer, rows(labels))
    assert measured.rows == 6
    assert measured.accuracy == pytest.approx((predicted.argmax(1) == codes).mean())
    assert measured.loss == pytest.approx(-np.log(predicted[np.arange(6), codes]).mean(), rel=1e-5)
    confusion = np.zeros((2, 2), int)
    np.add.at(confusion, (codes, predicted.argmax(1)), 1)
    assert np.array_equal(measured.confusion, confusion)
    json.dumps(measured.to_json())


@pytest.mark.parametrize(
    "labels",
    [
        ["neg", "pos"] * 3,
        ["Negative", "POSITIVE "] * 3,
        [0, 1] * 3,
        ["0", "1"] * 3,
        [False, True] * 3,
    ],
)
def test_labels_are_understood_by_their_meaning(scorer, labels):
    measured = evaluate_labelled(scorer, rows(labels))
    words = evaluate_labelled(scorer, rows(["negative", "positive"] * 3))
    assert dataclasses.replace(measured, mapping=words.mapping) == words


def test_a_value_of_no_answer_that_never_occurs_is_logged(scorer, caplog):
    with caplog.at_level(logging.INFO):
        evaluate_labelled(scorer, rows(["positive", "negative"] * 3), label_settings=LabelSettings(no_answer=("9",)))
    assert "`no_answer` names '9', but no label is '9'" in caplog.text


def test_stars_are_read_with_their_cut_points(scorer):
    by_stars = evaluate_labelled(scorer, rows([1, 5, 2, 4, 3, 1]), label_settings=LabelSettings(stars="2,4"))
    words = rows(["negative", "positive", "negative", "positive", "negative"], [*TEXTS[:4], TEXTS[5]])
    assert by_stars.metrics == evaluate_labelled(scorer, words).metrics
    assert 4 not in {error["row"] for error in by_stars.errors}, "rows are counted as they came, left out or not"


def test_rows_that_are_left_out_are_counted_and_named(scorer, caplog):
    caplog.set_level("INFO", "sentiment_batch")
    labels = ["negative", "positive", "mixed", None, "mixed", "positive"]
    measured = evaluate_labelled(scorer, dataclasses.replace(rows(labels), num_blank=1_234))
    assert measured.rows == 3
    found = {"blank": 1_234, "label_missing": 1, "label_unknown_rows": 2, "label_unknown": {"mixed": 2}}
    assert measured.to_json()["left_out"] == found
    reasons = ["1,234 without a text", "1 without a label", "2 with a label of no class ('mixed' 2)"]
    assert "".join(f"rows left out: {reason}\n" for reason in reasons) in str(measured)
    assert caplog.records[-1].levelname == "INFO"
    assert f"left out: {', '.join(reasons)}" in caplog.text


def test_many_unknown_labels_are_a_warning_without_long_ones(scorer, caplog):
    labels = ["negative", "positive", "x" * 100, "\x1b[1m", None, "x" * 100]
    measured = evaluate_labelled(scorer, rows(labels))
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("of 6 rows, the figures leave out 1 without a label, 3 with a label of no class (")
    assert measured.left_out.label_unknown == {"\x1b[1m": 1}
    assert "\x1b" not in str(measured)


def test_how_labels_were_read_is_a_part_of_the_result(scorer):
    measured = evaluate_labelled(scorer, rows([0, 1] * 3))
    assert measured.mapping == "0 -> negative, 1 -> positive"
    assert "labels: 0 -> negative, 1 -> positive\n" in str(measured)
    assert "left out" not in str(measured)


def test_lengths_are_tokens_before_the_cut_whatever_the_batches(scorer, monkeypatch):
    texts = ["film " * n for n in (1, 600, 3, 20, 40, 700, 2)]
    labels = ["negative", "positive"] * 3 + ["negative"]
    whole = evaluate_labelled(scorer, rows(labels, texts))
    most = scorer.policy.max_length
    expected = [n + 2 for n in (1, 600, 3, 20, 40, 700, 2)]
    assert sum(one["cut"] for one in whole.by_length) == sum(length > most for length in expected)
    assert [(one["group"], one["rows"]) for one in whole.by_length] == [
        ("1-16 tokens", 3),
        ("17-32 tokens", 1),
        ("33-64 tokens", 1),
        ("over 512 tokens", 2),
    ]
    monkeypatch.setattr(evaluate_model, "TEXTS_PER_BATCH", 2)
    assert evaluate_labelled(scorer, rows(labels, texts)).by_length == whole.by_length


def test_windows_cut_nothing(tiny_model):
    with Scorer.load(str(tiny_model), device="cpu", dtype="float32", long_text="windows") as whole:
        measured = evaluate_labelled(whole, rows(["negative", "positive"], ["film " * 600, "film"]))
    assert [one["cut"] for one in measured.by_length] == [0, 0]


def test_an_evaluation_says_in_few_lines_what_it_is(scorer):
    measured = evaluate_labelled(scorer, rows(["negative", "positive"] * 3))
    assert (
        repr(measured)
        == f"Evaluation(rows={measured.rows}, accuracy={measured.accuracy:.4f}, macro_f1={measured.macro_f1:.4f})"
    )
    assert len(str(measured).splitlines()) < 10


def test_labels_that_the_model_does_not_have_are_an_error(scorer):
    with pytest.raises(InputError) as caught:
        evaluate_labelled(scorer, rows(["cat", "dog"] * 3))
    assert "\n" not in str(caught.value)
    assert "label" in str(caught.value)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (rows([None] * 6), "holds no row to measure: 6 without a label. Check its `label_column`."),
        (rows([]), "holds no row to measure: it has no rows at all."),
        (dataclasses.replace(rows([]), num_blank=2), "measure: 2 without a text. Check its `text_column`."),
        (
            dataclasses.replace(rows([None]), num_blank=2),
            "2 without a text, 1 without a label. Check its `label_column`",
        ),
    ],
)
def test_no_row_that_can_be_measured_is_an_error_that_says_why(scorer, found, said):
    with pytest.raises(InputError, match=re.escape(said)):
        evaluate_labelled(scorer, found)


def test_numbers_for_some_of_the_labels_are_read_with_a_warning(make_model, caplog):
    with Scorer.load(str(make_model("negative", "neutral", "positive")), device="cpu", dtype="float32") as three:
        evaluate_labelled(three, rows([0, 1] * 3))
        assert "0 -> negative, 1 -> positive, but none is 'neutral'" in caplog.text
        caplog.clear()
        evaluate_labelled(three, rows([0, 1, 2] * 2))
        assert "but none is" not in caplog.text


def test_a_model_of_ours_reads_labels_as_it_was_taught(make_model):
    folder = make_model("negative", "positive")
    mapping = LabelMapping(labels=("negative", "positive"), kind="words", values={"no": "negative", "yes": "positive"})
    text = {"max_length": 64, "long_text": "head", "special_tokens_as_text": True}
    (folder / "sentiment_batch.json").write_text(json.dumps({"labels": mapping.to_json(), "text": text}))
    with Scorer.load(str(folder), device="cpu", dtype="float32") as scorer:
        taught = evaluate_labelled(scorer, rows(["no", "yes"] * 3))
        assert taught == evaluate_labelled(scorer, rows(["negative", "positive"] * 3))
    with Scorer.load(str(folder), device="cpu", dtype="float32", labels=("bad", "good")) as renamed:
        assert evaluate_labelled(renamed, rows(["bad", "good"] * 3)).accuracy == taught.accuracy


def test_the_order_of_the_rows_does_not_matter(scorer):
    labels = ["negative", "positive", "positive", "negative", "positive", "negative"]
    backwards = evaluate_labelled(scorer, rows(labels[::-1], TEXTS[::-1]))
    forwards = evaluate_labelled(scorer, rows(labels))
    assert backwards.confusion == forwards.confusion
    assert backwards.loss == pytest.approx(forwards.loss)


def test_from_python_a_frame_is_measured_by_a_column_of_its_own(make_model):
    folder = make_model("negative", "neutral", "positive")
    shops = pd.Categorical(["a", None, "b", "a", "b", "a"])
    frame = pd.DataFrame({"text": TEXTS, "label": ["negative", "neutral", "positive"] * 2, "shop": shops})
    measured = evaluate(frame, folder, by="shop", errors=2, device="cpu", dtype="float32")
    assert [(one["group"], one["rows"]) for one in measured.by["groups"]] == [("a", 3), ("b", 2), ("(none)", 1)]
    assert "shop" in measured.table()
    assert len(measured.errors) <= 2
    assert len(measured.roc) == 3
    assert json.loads(json.dumps(measured.to_json(), allow_nan=False))["labels"] == ["negative", "neutral", "positive"]
    with pytest.raises(InputError, match=r"no column 'shp'.*`by`"):
        evaluate(frame, folder, by="shp", device="cpu")
    with pytest.raises(UsageError, match="neutral_band"):
        evaluate(frame, folder, neutral_band=0.7)
    for nothing in (frame.head(0), frame.assign(text=None)):
        with pytest.raises(InputError, match="no row to measure"):
            evaluate(nothing, folder, by="shop", device="cpu")


def test_the_object_has_the_names_that_a_report_is_made_of(scorer):
    found = evaluate_labelled(scorer, rows(["negative", "positive"] * 3)).to_json()
    assert set(found) == {
        *("rows", "accuracy", "macro_f1", "loss", "roc_auc", "calibration_error", "intervals", "labels", "classes"),
        *("confusion", "reliability", "roc", "precision_recall", "histogram", "by_length", "by", "errors"),
        *("likely_wrong_labels", "mapping", "left_out", "input", "unlike", "unlike_reasons", "trained_on", "words"),
    }
    assert set(found["intervals"]) == {"accuracy", "macro_f1", "loss", "roc_auc", "calibration_error"}
    group = {"group", "rows", "accuracy", "interval", "macro_f1", "calibration_error", "cut"}
    assert all(set(one) == group for one in found["by_length"])
    error = {"file", "row", "id_column", "id", "text", "label", "predicted", "score", "words"}
    assert all(set(one) == error for one in found["errors"])
    assert (len(found["histogram"]["edges"]), len(found["histogram"]["correct"])) == (21, 20)
