"""The rows alone decide where a row group ends, not their batches."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment_batch.data.writers.row_groups import RowGroups, row_bytes
from tests.arrow_tables import BYTES, EXTENSIONS, PLAIN, TEXT, tables, types


def groups(batches, **limits):
    """The rows of each row group."""
    made = RowGroups(**limits)
    found = [group for batch in batches for group in made.add(batch)]
    found.append(made.take_rest())
    return [sum(batch.num_rows for batch in group) for group in found if group]


@settings(max_examples=100, derandomize=True)
@given(tables(types([*PLAIN, *BYTES, *EXTENSIONS], [pa.string(), pa.int64()])), st.data())
def test_the_bytes_of_a_row_do_not_count_its_neighbours(table, data):
    for batch in table.to_batches():
        sizes = row_bytes(batch)
        assert len(sizes) == batch.num_rows
        start = data.draw(st.integers(0, batch.num_rows))
        assert np.array_equal(row_bytes(batch.slice(start)), sizes[start:])


LISTS = [pa.list_(pa.string()), pa.large_list(pa.string_view()), pa.list_view(pa.string()), pa.list_(pa.string(), 1)]


@pytest.mark.parametrize(
    "kind",
    [*TEXT, *LISTS, pa.struct([("a", pa.string())]), pa.map_(pa.string(), pa.string()), pa.json_()],
)
def test_long_texts_are_counted_wherever_they_are(kind):
    def made(text):
        if kind == pa.json_():
            return pa.ExtensionArray.from_storage(kind, pa.array([text]))
        value = [(text, None)] if pa.types.is_map(kind) else {"a": text} if pa.types.is_struct(kind) else [text]
        return pa.array([value] if pa.types.is_nested(kind) else value, kind)

    short, long = (int(row_bytes(pa.record_batch({"t": made(text)}))[0]) for text in ("x", "x" * 1001))
    assert long - short == 1000
    assert row_bytes(pa.record_batch({"t": pa.nulls(1, kind)}))[0] < short + 20


@given(st.lists(st.integers(0, 40)), st.integers(1, 7), st.integers(1, 200), st.lists(st.integers(0, 5), max_size=9))
def test_batches_do_not_decide_where_a_row_group_ends(lengths, rows, size, cuts):
    whole = pa.record_batch({"t": ["x" * length for length in lengths]})
    batches, start = [], 0
    for cut in [*cuts, len(lengths)]:
        batches.append(whole.slice(start, cut))
        start += cut
    found = groups(batches, max_rows=rows, max_bytes=size)
    assert found == groups([whole], max_rows=rows, max_bytes=size)
    assert sum(found) == len(lengths)
    ends = np.cumsum(found)
    for end, count in zip(ends, found, strict=True):
        weight = row_bytes(whole)[end - count : end]
        assert count <= rows
        assert weight[:-1].sum() < size  # it ends with the row that fills it
        assert end == len(lengths) or count == rows or weight.sum() >= size
