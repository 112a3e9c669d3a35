"""Tables of every type, written and read back. The strategies are those of the tests of sentiment-batch."""

from __future__ import annotations

import re
import shutil

import pyarrow as pa
import pytest
from conftest import read, write
from hypothesis import HealthCheck, example, given, settings
from sentiment_batch_delta.storage_types import explain_no_type

from sentiment_batch import OutputError
from sentiment_batch.testing.compare import describe_difference
from sentiment_batch.writing import decoded

arrow_tables = pytest.importorskip("tests.arrow_tables", reason="run from the root of sentiment-batch's repository")
PACKED = [*arrow_tables.TEXT, pa.int64(), pa.float32(), pa.bool_(), pa.date32()]
PLAIN = [*arrow_tables.PLAIN, *arrow_tables.BYTES, *arrow_tables.EXTENSIONS]
STORED = [kind for kind in PLAIN if explain_no_type(pa.field("x", kind)) is None]
KINDS = arrow_tables.types(STORED, PACKED) | arrow_tables.types(PLAIN, PACKED)
REFUSALS = (
    r"Delta Lake cannot hold the column .* Leave it out with `columns`",
    r"the column .*: .*(would lose data|out of bounds|out of range).* Leave the column out with `columns`",
    r"ignores the case of names",
)
MOMENTS = pa.array([[(1, 7)], None, []], pa.map_(pa.int8(), pa.timestamp("ms")))
NESTED = pa.array(
    [[{"at": 1, "n": 2**64 - 1}], None, []], pa.list_(pa.struct([("at", pa.int64()), ("n", pa.uint64())]))
)


@settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(rows=pa.table({"x": MOMENTS}))
@example(rows=pa.table({"x": NESTED, "beyond 16 bits: 𠀀": ["𠀀", None, "😀"]}))
@given(rows=arrow_tables.tables(KINDS, calendar=True))
def test_every_value_arrives_or_is_refused(table, rows):
    rows = rows.rename_columns([f"{number}{name}"[:15] for number, name in enumerate(rows.schema.names)])
    shutil.rmtree(table.path, ignore_errors=True)
    refusal = find_refusal(table, rows)
    if refusal is not None:
        assert any(re.search(known, refusal) for known in REFUSALS), refusal
        assert not table.path.exists()
        return
    found = read(table.url())
    difference = describe_difference(decode(rows), found, same_types=False, null_is_empty=False)
    if difference is not None:  # NaN differs from itself, and the same values of two dictionaries differ in lists
        assert repr(found.to_pylist()) == repr(decode(rows).to_pylist()), difference


def decode(rows):
    """The same rows without extension types, dictionaries and run-ends, which pyarrow cannot compare."""
    columns = [
        pa.concat_arrays([decoded(chunk) for chunk in column.chunks] or [decoded(pa.nulls(0, column.type))])
        for column in rows.columns
    ]
    return pa.table(columns, names=rows.schema.names)


def find_refusal(table, rows):
    """The message with which rows are refused; None if they were written."""
    try:
        write(table.url(), rows)
    except OutputError as error:
        return str(error)
    return None
