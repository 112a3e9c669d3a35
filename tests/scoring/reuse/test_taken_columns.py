"""The columns that a run added are turned back into probabilities that give the same columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.errors import InputError
from sentiment_batch.scoring.added_columns import AddedColumns
from sentiment_batch.scoring.reuse.taken_columns import restore_probabilities

LABELS = ("bad", "mixed", "good")


def columns_of(labels=2, **options):
    names = LABELS if labels == 3 else ("bad", "good")
    return AddedColumns(**{"labels": names, "prefix": "s", "probabilities": False, "decimals": 4} | options)


def as_text(column):
    """A column as a CSV file gives it."""
    values = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return pa.array(["" if value is None else str(value) for value in values.to_pylist()])


def near_borders(draw, labels):
    """Probabilities that rounding makes equal, or moves over a border."""
    first = draw(st.sampled_from([0.5, 0.50001, 0.65, 0.64999, 0.65001, 0.999999, 1.0]) | st.floats(1 / labels, 1))
    shares = np.array(draw(st.lists(st.floats(0.01, 1), min_size=labels - 1, max_size=labels - 1)))
    return np.random.default_rng(draw(st.integers(0, 9))).permutation([first, *(shares / shares.sum() * (1 - first))])


@given(data=st.data())
def test_restored_probabilities_give_the_same_columns(data):
    labels = data.draw(st.sampled_from([2, 3]))
    band = data.draw(st.sampled_from([None, 0.65, 0.9])) if labels == 2 else None
    added = columns_of(
        labels, decimals=data.draw(st.integers(0, 6)), probabilities=data.draw(st.booleans()), neutral_band=band
    )
    rows = [near_borders(data.draw, labels) for _ in range(data.draw(st.integers(1, 6)))]
    probabilities = np.array([*rows, [np.nan] * labels], np.float32)
    columns = added.arrays(probabilities)
    for given_columns in (columns, [as_text(column) for column in columns]):
        restored = restore_probabilities(added, given_columns)
        assert np.isnan(restored).any(axis=1).tolist() == [False] * len(rows) + [True]
        assert [column.to_pylist() for column in added.arrays(restored)] == [column.to_pylist() for column in columns]


def test_rows_of_seven_decimals_are_the_same_or_left_out():
    added = columns_of(decimals=7)
    share = np.random.default_rng(1).random(500, np.float32)
    columns = added.arrays(np.stack([share, 1 - share], axis=1))
    restored = restore_probabilities(added, columns)
    kept = ~np.isnan(restored[:, 0])
    assert kept.mean() > 0.5
    for old, new in zip(columns, added.arrays(restored), strict=True):
        assert old.filter(pa.array(kept)).to_pylist() == new.filter(pa.array(kept)).to_pylist()


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.5, 1.5, 0.3, 0.98765, None])
def test_a_score_that_no_run_writes_is_not_taken_over(score):
    columns = [pa.array(["good"]), pa.array([score], pa.float32())]
    assert np.isnan(restore_probabilities(columns_of(), columns)).all()


@pytest.mark.parametrize("others", [[0.2, 0.9], [0.1, 0.95], [None, 0.9], [0.9, 0.1]])
def test_probabilities_that_no_run_writes_are_not_taken_over(others):
    columns = [pa.array(["good"]), pa.array([0.9], pa.float32()), *(pa.array([one], pa.float32()) for one in others)]
    assert np.isnan(restore_probabilities(columns_of(probabilities=True), columns)).all()


def test_a_foreign_label_is_refused_by_its_name():
    with pytest.raises(InputError, match=r"column 's' holds 'gut', but the labels of the model are 'bad', 'good'"):
        restore_probabilities(columns_of(), [pa.array(["good", "gut"]), pa.array([0.9, 0.9])])


@pytest.mark.parametrize("label", [["good"], {"a": "good"}, b"\xff"])
def test_what_is_no_label_is_refused_by_its_column(label):
    with pytest.raises(InputError, match="column 's' holds something that is no label"):
        restore_probabilities(columns_of(), [pa.array([label]), pa.array([0.9])])


def test_a_word_for_a_number_is_refused_by_its_column():
    with pytest.raises(InputError, match="column 's_score' holds something that is no number"):
        restore_probabilities(columns_of(), [pa.array(["good"]), pa.array(["high"])])
