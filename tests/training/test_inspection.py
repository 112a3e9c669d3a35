"""A table is looked at as a stream: how it is read, what it holds, and what must be answered first."""

from __future__ import annotations

import json
import subprocess
import sys

import pyarrow as pa
import pytest

from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.errors import InputError
from sentiment_batch.labels.settings import LabelSettings
from sentiment_batch.training import inspection
from sentiment_batch.training.inspection import inspect_table


def reader(**columns):
    return TableReader(pa.table(columns))


def test_rows_labels_and_texts_are_counted():
    table = {
        "id": [1, 2, 3, 4, 5, 6],
        "review": ["Good film", "good  FILM", None, "A dull one", "Good film", " "],
        "stars": [5, 4, 1, 1, 2, None],
    }
    found = inspect_table(reader(**table))
    assert found.question is None
    assert found.input.label_mapping == {"1-2": "negative", "4-5": "positive"}
    assert found.input.assumed == ("text_columns", "label_column", "label_mapping")
    assert found.counts == {
        "rows": 6,
        "blank": 2,
        "mean_characters": 9.5,
        "longest_characters": 10,
        "repeated": 2,
        "conflicting": 1,
        "label_missing": 0,
        "label_unknown": {},
        "label_unknown_rows": 0,
        "labels": {"5": 1, "4": 1, "1": 1, "2": 1},
        "classes": {"negative": 2, "positive": 2},
    }
    assert found.first_rows[:3] == (("1", "Good film", "5"), ("2", "good  FILM", "4"), ("3", None, "1"))
    assert found.columns == (("id", "int64"), ("review", "string"), ("stars", "int64"))
    assert any("hold no text" in one.text for one in found.findings)
    assert json.loads(json.dumps(found.to_json()))["question"] is None


def test_labels_without_a_class_are_named():
    found = inspect_table(reader(review=[f"text {n}" for n in range(9)], stars=[1, 2, 3, 3, 3, 4, 5, 5, 3]))
    assert (found.counts["label_unknown"], found.counts["label_unknown_rows"]) == ({"3": 4}, 4)
    (text,) = [one.text for one in found.findings if "a label of no class" in one.text]
    assert "such as '3', and are left out. Check `label_column`, or give them a class with `stars=" in text
    assert text.endswith('`stars="negative=1-2,neutral=3,positive=4-5"`.')


def test_nothing_is_left_out_for_want_of_a_text_column():
    found = inspect_table(reader(pros=["The walk to work is short"] * 9, cons=["The pay is low, too low"] * 9))
    assert "'pros', 'cons' could all be it" in str(found.question)
    assert found.counts["blank"] == 0


def test_a_table_without_labels_or_rows_is_fine():
    found = inspect_table(reader(review=["A good film", "A dull one"]))
    assert (found.question, found.input.label_column, found.counts["classes"]) == (None, None, None)
    (finding,) = found.findings
    assert finding.text.startswith("`train` would need labels, but cannot tell which column holds the labels. Name it")
    empty = inspect_table(TableReader(pa.table({"review": pa.array([], pa.string())})))
    assert (empty.counts["rows"], empty.first_rows, empty.counts["mean_characters"]) == (0, (), None)


def test_what_must_be_answered_comes_with_the_counts():
    codes = inspect_table(reader(review=["a", "b", "c", "d"] * 9, label=[3, 17, 40, 99] * 9))
    assert codes.question is not None
    assert codes.counts["labels"] == {"3": 9, "17": 9, "40": 9, "99": 9}
    answered = inspect_table(
        reader(review=["a", "b", "c", "d"] * 9, label=[3, 17, 40, 99] * 9),
        label_settings=LabelSettings.parse(stars="17,40"),
    )
    assert answered.question is None
    assert answered.counts["classes"] == {"negative": 18, "positive": 18}
    assert "label_mapping" not in answered.input.assumed
    unnamed = inspect_table(reader(a=["x"], b=["y"]))
    assert "cannot tell which column holds the text" in str(unnamed.question)
    assert (unnamed.counts["rows"], unnamed.first_rows) == (1, (("x", "y"),))


def test_labels_that_train_refuses_are_a_warning():
    found = inspect_table(reader(review=["a", "b", "c"] * 9, label=["LABEL_0", "LABEL_1", "LABEL_2"] * 9)).findings
    assert "`train` would stop, because the labels 'LABEL_0', 'LABEL_1', 'LABEL_2' are placeholders" in found[0].text


def test_labels_of_one_class_do_not_conflict():
    texts = [f"film {n // 2}" for n in range(40)]
    for one, other in (("positive", "POSITIVE"), ("positive", ""), (5, 4)):
        labels = [one, other, "negative" if one == "positive" else 1, "negative" if one == "positive" else 2] * 10
        counts = inspect_table(reader(text=texts, rating=[str(label) for label in labels])).counts
        assert (counts["repeated"], counts["conflicting"]) == (20, 0)
    counts = inspect_table(reader(text=texts, rating=["1", "5", "1", "2"] * 10)).counts
    assert (counts["repeated"], counts["conflicting"]) == (20, 10)
    labels = ["", "positive", "negative", "negative"] * 5
    later = inspect_table(reader(text=["same"] * 4 + ["other"] * 16, label=labels))
    assert later.counts["conflicting"] == 2 + 8
    unknown = inspect_table(reader(text=texts, label=["3", "17", "40", "40"] * 10))
    assert unknown.counts["conflicting"] == 10
    assert unknown.question is not None


def test_labels_in_bytes_are_read_as_in_training():
    table = pa.table({"text": [b"good", b"bad"] * 9, "label": pa.array([b"5", b"1"] * 9, pa.binary())})
    found = inspect_table(TableReader(table))
    assert found.counts["labels"] == {"5": 9, "1": 9}
    assert found.counts["classes"] == {"negative": 9, "positive": 9}
    assert found.first_rows[0] == ("good", "5")


def test_a_column_of_objects_as_labels_is_a_question():
    found = inspect_table(reader(text=["good", "bad"] * 9, label=[{"a": 1}, {"a": 0}] * 9))
    assert "holds objects with the keys 'a'" in str(found.question)


def test_a_single_class_is_a_warning():
    (found,) = inspect_table(reader(text=["good", "fine"], label=["pos", "pos"])).findings
    assert (found.level, found.text[:20]) == ("warning", "All labels are 'pos'")


@pytest.mark.parametrize("named", [{"text_columns": ["txt"]}, {"label_column": "lable"}])
def test_a_column_that_is_named_and_missing_is_an_error(named):
    with pytest.raises(InputError, match="did you mean"):
        inspect_table(reader(text=["good"], label=["p"]), **named)


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(inspection, "MAX_TEXTS", 3)
    monkeypatch.setattr(inspection, "MAX_LABELS", 4)
    found = inspect_table(reader(text=[f"text {n % 6}" for n in range(12)], label=[f"w{n % 6}" for n in range(12)]))
    assert (found.all_compared, found.counts["repeated"]) == (False, 3)
    assert len(found.counts["labels"]) == 4


def test_values_that_python_cannot_hold_are_shown_by_their_type():
    years = pa.array([2**62], pa.timestamp("s"))
    found = inspect_table(reader(text=["good"], when=years))
    assert found.first_rows == (("good", "a value of timestamp[s]"),)


def test_no_torch_is_loaded(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("review,label\nA good film,pos\nA dull film,neg\nA fine film,pos\nA poor film,neg\n")
    code = (
        "import sys\nfrom sentiment_batch.cli import group\n"
        f"group(['inspect', {str(path)!r}, '--json'], standalone_mode=False)\n"
        "print(sorted({'torch', 'transformers', 'sklearn'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"review": ["", None], "label": ["pos", "neg"]}, "reviews.csv: no row holds a text. Check `text_column`"),
        ({"review": pa.array([], pa.string()), "label": pa.array([], pa.string())}, "there are no rows to learn from"),
        ({"label": ["pos", "neg"]}, "column 'label' would be both the text and the label"),
    ],
)
def test_the_question_is_the_one_of_a_training(columns, words):
    assert words in str(inspect_table(reader(**columns), name="reviews.csv").question)
