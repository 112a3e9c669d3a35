import numpy as np
import pyarrow as pa
import pytest

from sentiment_batch.data import labelled_rows, other_columns
from sentiment_batch.data.other_columns import OtherColumns, to_codes
from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.data.value_names import concatenate_dictionaries
from sentiment_batch.errors import InputError


def seen(table: pa.Table, taken=(), rows=None, batch=3) -> dict[str, list]:
    columns = OtherColumns(table.schema, set(taken))
    for one in table.to_batches(max_chunksize=batch):
        columns.add(one)
    found = columns.select_rows(range(len(table)) if rows is None else rows)
    return {name: words.to_pylist() for name, words in found.items()}


def test_only_short_words_and_whole_numbers_are_collected():
    table = pa.table(
        {
            "film": ["a", "b", None, "a"],
            "user": pa.array([7, 7, None, 9], pa.uint16()),
            "kind": pa.array(["x", "y", "x", None]).dictionary_encode(),
            "share": [0.5, 0.1, 0.2, 0.3],
            "prose": ["long " * 40] * 4,
            "tags": [["x"], [], None, ["y"]],
            "none": pa.nulls(4),
            "bytes": [b"a", b"b", b"c", b"d"],
            "label": [0, 1, 0, 1],
        }
    )
    assert seen(table, ["label"], [3, 2, 0]) == {
        "film": ["a", None, "a"],
        "user": ["9", None, "7"],
        "kind": [None, "x", "x"],
    }


def test_repeated_names_and_bad_bytes_are_left_out():
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"]), pa.array(["c"])], ["x", "x", "y"])
    assert seen(twice) == {"y": ["c"]}
    broken = pa.Array.from_buffers(pa.string(), 1, [None, *pa.array([b"\xff"]).buffers()[1:]])
    assert seen(pa.table({"x": broken, "y": ["c"]})) == {"y": ["c"]}


def test_a_column_that_hardly_repeats_is_dropped_after_many_rows(monkeypatch):
    monkeypatch.setattr(other_columns, "MIN_ROWS_TO_JUDGE", 50)
    table = pa.table({"time": range(200), "film": [n // 2 for n in range(200)]})
    assert list(seen(table, batch=20)) == ["film"]
    assert list(seen(table.slice(0, 40), batch=20)) == ["time", "film"]


def test_unused_entries_of_a_large_dictionary_are_dropped():
    words = pa.array([f"w{n}" for n in range(1_000)])
    column = pa.DictionaryArray.from_arrays(pa.array([5, 5, None, 900], pa.int32()), words)
    table = pa.table({"x": column})
    columns = OtherColumns(table.schema, ())
    columns.add(table.to_batches()[0])
    found = columns.select_rows([0, 1, 2, 3])["x"]
    assert (found.to_pylist(), len(found.dictionary)) == (["w5", "w5", None, "w900"], 2)


def test_equal_values_of_two_tables_have_equal_codes():
    first, second = pa.array(["b", " ", "a", None]).dictionary_encode(), pa.array(["a", "c", "b"]).dictionary_encode()
    found = to_codes(
        concatenate_dictionaries(
            [first.cast(pa.dictionary(pa.int32(), pa.large_string())) for first in (first, second)]
        )
    )
    assert found.tolist()[1] == found.tolist()[3] == -1
    assert found[0] == found[6]
    assert found[2] == found[4]
    assert len(set(found.tolist())) == 4
    null_inside = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array([None, "x"], pa.large_string()))
    assert to_codes(null_inside).tolist() == [-1, 1]
    assert to_codes(pa.array([], pa.large_string()).dictionary_encode()).dtype == np.int64


def test_other_columns_hold_the_rows_that_have_a_text():
    table = pa.table({"text": ["a", " ", "c"], "label": [0, 1, 1], "film": ["x", "y", "z"], "user": [1, 2, 3]})
    found = labelled_rows.read_labelled_rows(TableReader(table), "t", group_column="user", others=True)
    assert {name: words.to_pylist() for name, words in found.others.items()} == {"film": ["x", "z"]}
    assert (found.groups, found.group_column) == ([1, 3], "user")
    assert labelled_rows.read_labelled_rows(TableReader(table), "t").others == {}


def test_a_group_column_may_be_missing_where_it_is_optional():
    table = pa.table({"text": ["a", "c"], "label": [0, 1]})
    found = labelled_rows.read_labelled_rows(TableReader(table), "t", group_column="film", group_optional=True)
    assert (found.groups, found.group_column) == (None, None)
    with pytest.raises(InputError, match="no column 'film'"):
        labelled_rows.read_labelled_rows(TableReader(table), "t", group_column="film")


def test_a_null_among_the_values_of_a_dictionary_is_none():
    some = pa.DictionaryArray.from_arrays([0, 1, None], ["a", None])
    more = pa.DictionaryArray.from_arrays([0, 1, 1], ["b", "a"])
    table = pa.table({"store": pa.chunked_array([some, more])})
    assert seen(table) == {"store": ["a", None, None, "b", "a", "a"]}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"user_id": [1, 1, 2], "review_id": [7, 8, 9], "id": ["a", "b", "c"]}, "id"),
        ({"tweet_id": [1, 2, 3], "reviewId": [7, 8, 9]}, "reviewId"),
        ({"film_id": [1, 1, 2], "tweet-id": ["x", "y", "z"]}, "tweet-id"),
        ({"id": [1, 2, None]}, None),
        ({"id": [1, 2, 2], "paid": [1, 2, 3], "grid": [1, 2, 3], "n": [1, 2, 3]}, None),
    ],
)
def test_the_column_that_names_each_row_is_found(table, expected):
    columns = OtherColumns(pa.table(table).schema, (), ids_only=True)
    for batch in pa.table(table).to_batches(max_chunksize=2):
        columns.add(batch)
    assert other_columns.find_id_column(columns.select_rows(range(3))) == expected


def test_a_long_column_of_ids_stays_to_name_its_rows(monkeypatch):
    monkeypatch.setattr(other_columns, "MIN_ROWS_TO_JUDGE", 4)
    assert seen(pa.table({"id": range(9), "time": range(100, 109)})) == {"id": [str(n) for n in range(9)]}
