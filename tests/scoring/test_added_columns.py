import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sentiment_batch.errors import UsageError
from sentiment_batch.model.probabilities import average_segments, softmax
from sentiment_batch.scoring.added_columns import AddedColumns

LABELS = ("negative", "neutral", "positive")


def columns(labels=LABELS, prefix="sentiment", probabilities=False, decimals=4) -> AddedColumns:
    return AddedColumns(labels=labels, prefix=prefix, probabilities=probabilities, decimals=decimals)


def table(columns: AddedColumns, probabilities) -> dict[str, list]:
    arrays = columns.arrays(np.array(probabilities, dtype=np.float32).reshape(-1, len(columns.labels)))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(columns.fields())).to_pydict()


def test_each_row_gets_its_most_likely_label_and_its_probability():
    assert table(columns(), [[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]) == {
        "sentiment": ["positive", "negative"],
        "sentiment_score": [np.float32(0.7), 0.5],
    }


def test_a_row_without_a_text_gets_nulls_in_every_added_column():
    nothing = [float("nan")] * 3
    added = table(columns(probabilities=True), [nothing, [0.0, 1.0, 0.0], nothing])
    assert all(values[0] is None and values[2] is None and values[1] is not None for values in added.values())


def test_probabilities_add_a_column_per_label_in_order():
    added = columns(prefix="mood", probabilities=True)
    assert added.names == ["mood", "mood_score", "mood_negative", "mood_neutral", "mood_positive"]
    assert table(added, [[0.25, 0.5, 0.25]]) == {
        "mood": ["neutral"],
        "mood_score": [0.5],
        "mood_negative": [0.25],
        "mood_neutral": [0.5],
        "mood_positive": [0.25],
    }


def test_the_dictionary_is_always_the_full_label_list():
    label = columns().arrays(np.array([[0, 0, 1]], dtype=np.float32))[0]
    assert label.dictionary.to_pylist() == list(LABELS)
    assert label.type == pa.dictionary(pa.int8(), pa.string())
    many = columns(labels=tuple(f"class {n}" for n in range(200)))
    label = many.arrays(np.eye(200, dtype=np.float32)[[199]])[0]
    assert label.to_pylist() == ["class 199"]
    assert label.type == many.fields()[0].type


@pytest.mark.parametrize(("decimals", "shown"), [(0, 1.0), (2, 0.67), (4, 0.6667), (7, 0.6666667)])
def test_scores_are_rounded_to_the_decimals_and_are_float32(decimals, shown):
    added = columns(labels=("a", "b"), decimals=decimals, probabilities=True)
    scores = added.arrays(np.array([[2 / 3, 1 / 3]], dtype=np.float32))[1]
    assert scores.type == pa.float32()
    assert scores.to_pylist() == [float(np.float32(shown))]


def test_the_label_is_chosen_before_rounding():
    assert table(columns(labels=("a", "b"), decimals=1), [[0.4999, 0.5001]])["sentiment"] == ["b"]


def test_of_no_rows_come_empty_columns_of_the_same_types():
    arrays = columns(probabilities=True).arrays(np.empty((0, 3), dtype=np.float32))
    assert [len(array) for array in arrays] == [0] * 5
    assert [array.type for array in arrays] == [field.type for field in columns(probabilities=True).fields()]


def test_an_added_column_never_takes_the_name_of_another():
    with pytest.raises(UsageError, match=r"already has the columns 'sentiment_score'.*`prefix="):
        columns().check_names(["id", "sentiment_score"])
    with pytest.raises(UsageError, match="`prefix="):
        columns(probabilities=True).check_names(["sentiment_neutral"])
    columns().check_names(["Sentiment", "sentiment_neutral"])


def test_a_label_that_would_make_a_repeated_column_is_refused():
    with pytest.raises(UsageError, match="have the same name"):
        columns(labels=("score", "b"), probabilities=True).check_names([])


LOGITS = hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(2, 5)), elements=st.floats(-80, 80, width=32))


@given(LOGITS)
def test_softmax_is_that_of_torch(logits):
    import torch

    expected = torch.softmax(torch.from_numpy(logits).double(), dim=1).float().numpy()
    np.testing.assert_allclose(softmax(logits), expected, rtol=1e-6, atol=1e-30)
    assert softmax(logits).dtype == np.float32


def test_softmax_takes_huge_logits_no_rows_and_what_is_no_number():
    assert softmax(np.array([[1e30, -1e30]], dtype=np.float32)).tolist() == [[1.0, 0.0]]
    assert softmax(np.empty((0, 2), dtype=np.float32)).shape == (0, 2)
    assert np.isnan(softmax(np.array([[np.nan, 1.0]], dtype=np.float32))).all()


def test_windows_of_a_text_are_averaged_by_their_tokens():
    logits = np.array([[1, 0], [4, 8], [0, 2], [5, 5]], dtype=np.float32)
    combined = average_segments(logits, np.array([0, 1, 1, 2]), np.array([7, 3, 1, 9]))
    assert combined.tolist() == [[1, 0], [3, 6.5], [5, 5]]
    assert combined.dtype == np.float32


@given(LOGITS, st.data())
def test_a_text_of_one_window_keeps_its_logits(logits, data):
    lengths = data.draw(hnp.arrays(np.int64, len(logits) + 2, elements=st.integers(1, 512)))
    long = np.concatenate([logits, logits[:1], logits[:1]])  # the last text has three windows
    owners = np.minimum(np.arange(len(long)), len(logits) - 1)
    combined = average_segments(long, owners, lengths)
    assert (combined[:-1] == logits[:-1]).all()
    assert (average_segments(logits, np.arange(len(logits)), lengths[: len(logits)]) == logits).all()


def test_half_a_surrogate_pair_is_no_part_of_a_prefix():
    with pytest.raises(UsageError, match=r"`prefix` is '\\ud800', which holds half a surrogate pair"):
        AddedColumns(labels=("a", "b"), prefix="\ud800", probabilities=False, decimals=4)
