"""Tables of every type for the encoders' round trips."""

from __future__ import annotations

import datetime
import io
import math

import pyarrow as pa
from hypothesis import strategies as st

from sentiment_batch.records import WriteOptions

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "\t",
        '"',
        '""',
        "a,b",
        "a\nb",
        "a\rb",
        "\r\n",
        "'",
        "\\",
        "\\n",
        "\x00",
        "\x1f",
        "\x7f",
        "\x85",
        "é",
        "😀",
    ]
)
TEXTS |= st.sampled_from(
    ["\u2028", "\ufeff", "null", "NaN", "=1+1", "#", "007", "1e5", "true", "//", "</script>", "N/A", "2024-01-01"]
)
"""Short texts, among them those that have broken CSV or JSON files before."""
NAIVE = st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59))
DECIMALS = st.decimals(-(10**9), 10**9, places=4)


def integers(bits, signed=True):
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


SCALARS = {
    pa.string(): TEXTS,
    pa.large_string(): TEXTS,
    pa.string_view(): TEXTS,
    pa.bool_(): st.booleans(),
    pa.int8(): integers(8),
    pa.int64(): integers(64),
    pa.uint64(): integers(64, signed=False),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.decimal128(18, 4): DECIMALS,
    pa.decimal256(60, 4): DECIMALS,
    pa.date32(): st.dates(),
    pa.timestamp("us"): NAIVE,
    pa.timestamp("s"): NAIVE.map(lambda value: value.replace(microsecond=0)),
    pa.timestamp("ns", "UTC"): integers(63),
    pa.time64("us"): st.times(),
    pa.duration("ms"): st.timedeltas(datetime.timedelta(-999), datetime.timedelta(999)).map(
        lambda value: value - datetime.timedelta(microseconds=value.microseconds % 1000)
    ),
}
"""A strategy for the values of each type."""


def array(kind, values):
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.array(values, pa.int64()).cast(kind)
    return pa.array(values, kind)


@st.composite
def tables(draw, kinds, least_columns=1, most_rows=12):
    """A table of one to three columns, with nulls, cut into batches at random places."""
    chosen = draw(st.lists(st.sampled_from(list(kinds)), min_size=least_columns, max_size=3))
    rows = draw(st.integers(0, most_rows))
    columns = [array(kind, draw(st.lists(st.none() | kinds[kind], min_size=rows, max_size=rows))) for kind in chosen]
    names = draw(st.lists(TEXTS, min_size=len(chosen), max_size=len(chosen), unique=True))
    table = pa.table(columns, names=names)
    cut = draw(st.integers(0, rows))
    return pa.concat_tables([table.slice(0, cut), table.slice(cut)])


def encode(encoder, table, **options):
    """The bytes that `encoder` makes of the batches of `table`."""
    stream = io.BytesIO()
    made = encoder(stream, table.schema, WriteOptions(**options))
    for batch in table.to_batches():
        made.write(batch)
    made.close()
    assert not stream.closed
    return stream.getvalue()


def same(left, right):
    """Equality in which a NaN equals a NaN, and 0.0 is not -0.0."""
    if isinstance(left, float) and isinstance(right, float):
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and left == right


def values(table):
    """The columns as lists of Python values; nanoseconds and zones as integers, which Python's datetime cannot hold."""
    return [_plain(column).to_pylist() for column in table.columns]


def _plain(column):
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
