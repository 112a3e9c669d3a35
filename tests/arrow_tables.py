"""Draws Arrow tables of every type, nested two deep, with nulls everywhere and odd names, cut into batches."""

from __future__ import annotations

import decimal
import itertools
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from tests.data.writers.helpers import TEXTS

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
FLOATS = [pa.float16(), pa.float32(), pa.float64()]
DECIMALS = [pa.decimal32(7, 2), pa.decimal64(16, 0), pa.decimal128(38, 10), pa.decimal256(76, 76), pa.decimal128(5, -2)]
TEXT = [pa.string(), pa.large_string(), pa.string_view()]
BYTES = [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3)]
ZONES = [None, "UTC", "Europe/Paris", "America/St_Johns", "+05:30"]
TIMES = [
    pa.date32(),
    pa.date64(),
    *(pa.time32(unit) for unit in ("s", "ms")),
    *(pa.time64(unit) for unit in ("us", "ns")),
    *(pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in ZONES),
    *(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
]
EXTENSIONS = [pa.json_(pa.string()), pa.bool8()]
PLAIN = [pa.null(), pa.bool_(), *INTEGERS, *FLOATS, *DECIMALS, *TEXT, *TIMES]
KEYS = [pa.string(), pa.string_view(), pa.int8(), pa.date32()]
"""Types of the keys of maps."""
TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
FIRST_DAY, LAST_DAY = -719_162, 2_932_896
"""The days of the years 1 to 9999, counted from 1970."""
NAMES = TEXTS | st.sampled_from(["a;b", "a, b", "a|b", "x\ty", "#a", "id", "text"])
NAMES = NAMES.filter(lambda name: "\x00" not in name)
"""Of columns; a header that is full of NUL is taken for UTF-16."""
METADATA = st.none() | st.dictionaries(TEXTS.map(str.encode), TEXTS.map(str.encode), min_size=1, max_size=2)
Draw = Callable[[st.SearchStrategy], object]


@st.composite
def types(draw, plain, packed=(), depth=2):
    """One of `plain`, a dictionary or run-ends of one of `packed`, or a list, struct or map up to `depth` deep."""
    form = draw(st.integers(0, 5 if depth else 3))
    if form < 3 or (form == 3 and not packed):
        return draw(st.sampled_from(plain))
    if form == 3:
        return _packed(draw, draw(st.sampled_from(packed)))
    return _nested(draw, types(plain, packed, depth - 1), [kind for kind in plain if kind in KEYS])


def _packed(draw, value):
    if draw(st.booleans()):
        return pa.run_end_encoded(draw(st.sampled_from([pa.int16(), pa.int32(), pa.int64()])), value)
    index = draw(st.sampled_from([pa.int8(), pa.int16(), pa.int64(), pa.uint8()]))
    return pa.dictionary(index, value, draw(st.booleans()))


def _nested(draw, inner, keys):
    form = draw(st.sampled_from(["struct", "map", "fixed", pa.list_, pa.large_list, pa.list_view, pa.large_list_view]))
    if form == "struct":
        names = draw(st.lists(TEXTS, min_size=1, max_size=3, unique=True))
        return pa.struct([_field(draw, name, inner) for name in names])
    if form == "map":
        key = pa.field("key", draw(st.sampled_from(keys)), nullable=False)
        return pa.map_(key, _field(draw, "value", inner), draw(st.booleans()))
    item = _field(draw, draw(TEXTS), inner)
    return pa.list_(item, draw(st.integers(1, 3))) if form == "fixed" else form(item)


def _field(draw, name, kinds):
    kind = draw(kinds)
    nullable = pa.types.is_null(kind) or draw(st.integers(0, 3)) > 0
    return pa.field(name, kind, nullable, metadata=draw(METADATA))


@st.composite
def schemas(draw, kinds, *, repeated=False, least=1):
    """One to three columns with odd names and metadata, some of which may not be null."""
    names = draw(st.lists(NAMES, min_size=least, max_size=3, unique=not repeated))
    return pa.schema([_field(draw, name, kinds) for name in names], draw(METADATA))


@st.composite
def tables(draw, kinds, *, calendar=False, repeated=False, least=1, most_rows=7):
    """A table of one to three batches, each with buffers of its own; some are slices of longer ones.

    Args:
        draw: hypothesis gives it.
        kinds: a strategy of types.
        calendar: keep dates and times within the years 1 to 9999.
        repeated: let names repeat.
        least: columns.
        most_rows: of one batch.
    """
    schema = draw(schemas(kinds, repeated=repeated, least=least))
    batches = []
    for _ in range(draw(st.integers(0, 3))):
        before, rows, after = draw(st.sampled_from([0, 0, 2])), draw(st.integers(0, most_rows)), draw(st.integers(0, 1))
        make = Maker(draw, calendar)
        columns = [make.array(field.type, before + rows + after, field.nullable) for field in schema]
        batches.append(pa.RecordBatch.from_arrays(columns, schema=schema).slice(before, rows))
    table = pa.Table.from_batches(batches, schema)
    table.validate(full=True)
    return table


class Maker:
    """Draws arrays of any type, from the innermost values outwards."""

    def __init__(self, draw: Draw, calendar: bool) -> None:
        self._draw = draw
        self._calendar = calendar

    def array(self, kind: pa.DataType, size: int, nullable: bool = True) -> pa.Array:
        """`size` values of `kind`."""
        if isinstance(kind, pa.BaseExtensionType):
            return pa.ExtensionArray.from_storage(kind, self.array(kind.storage_type, size, nullable))
        if pa.types.is_dictionary(kind):
            return self._dictionary(kind, size, nullable)
        if pa.types.is_run_end_encoded(kind):
            ends = list(itertools.accumulate(self._lengths(size)))
            values = Maker(self._draw, calendar=True).array(kind.value_type, len(ends), nullable)
            return pa.RunEndEncodedArray.from_arrays(pa.array(ends, kind.run_end_type), values, kind)
        if pa.types.is_nested(kind):
            return self._nested(kind, size, self._mask(size, nullable))
        if pa.types.is_null(kind):
            return pa.nulls(size)
        mask = self._mask(size, nullable)
        values = self._draw(st.lists(self._values(kind), min_size=size, max_size=size))
        return flat([None if null else value for null, value in zip(mask, values, strict=True)], kind)

    def _mask(self, size: int, nullable: bool) -> list[bool]:
        if not nullable or self._draw(st.booleans()):
            return [False] * size
        return self._draw(st.lists(st.booleans(), min_size=size, max_size=size))

    def _lengths(self, size: int) -> list[int]:
        lengths = []
        while sum(lengths) < size:
            lengths.append(self._draw(st.integers(1, size - sum(lengths))))
        return lengths

    def _dictionary(self, kind: pa.DataType, size: int, nullable: bool) -> pa.Array:
        entries = self._draw(st.integers(1, 4)) if size else self._draw(st.integers(0, 2))
        values = self._values(kind.value_type)
        if pa.types.is_floating(kind.value_type):  # pyarrow takes dictionaries for equal that differ in the sign of 0
            values = values.map(lambda value: value + 0.0)
        words = self._draw(st.lists(values, min_size=entries, max_size=entries, unique=True))
        chosen = self._draw(st.lists(st.integers(0, max(entries - 1, 0)), min_size=size, max_size=size))
        mask = self._mask(size, nullable)
        indices = pa.array([None if null else one for null, one in zip(mask, chosen, strict=True)], kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, flat(words, kind.value_type), ordered=kind.ordered)

    def _nested(self, kind: pa.DataType, size: int, mask: list[bool]) -> pa.Array:
        nulls = pa.array(mask, pa.bool_())
        if pa.types.is_struct(kind):
            children = [self.array(field.type, size, field.nullable) for field in kind]
            return pa.StructArray.from_arrays(children, fields=list(kind), mask=nulls)
        if pa.types.is_fixed_size_list(kind):
            items = self.array(kind.value_type, size * kind.list_size, kind.value_field.nullable)
            return pa.FixedSizeListArray.from_arrays(items, type=kind, mask=nulls)
        lengths = self._draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
        offsets = [0, *itertools.accumulate(lengths)]
        if pa.types.is_map(kind):
            keys = self._keys(kind.key_type, lengths)
            items = self.array(kind.item_type, offsets[-1], kind.item_field.nullable)
            return pa.MapArray.from_arrays(offsets, keys, items, kind, mask=nulls)
        items = self.array(kind.value_type, offsets[-1], kind.value_field.nullable)
        wide = pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind)
        offset_type = pa.int64() if wide else pa.int32()
        if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
            made = pa.LargeListViewArray if wide else pa.ListViewArray
            starts, sizes = pa.array(offsets[:-1], offset_type), pa.array(lengths, offset_type)
            return made.from_arrays(starts, sizes, items, kind, mask=nulls)
        made = pa.LargeListArray if wide else pa.ListArray
        return made.from_arrays(pa.array(offsets, offset_type), items, kind, mask=nulls)

    def _keys(self, kind: pa.DataType, lengths: list[int]) -> pa.Array:
        values = self._values(kind)
        drawn = [self._draw(st.lists(values, min_size=size, max_size=size, unique=True)) for size in lengths]
        return flat(list(itertools.chain.from_iterable(drawn)), kind)

    def _values(self, kind: pa.DataType) -> st.SearchStrategy:
        if pa.types.is_temporal(kind):
            return self._ticks(kind)
        return values_of(kind)

    def _ticks(self, kind: pa.DataType) -> st.SearchStrategy:
        if pa.types.is_date64(kind):
            ends = (FIRST_DAY, LAST_DAY) if self._calendar else (-(2**31), 2**31 - 1)
            return st.integers(*ends).map(lambda day: day * 86_400_000)
        if pa.types.is_date32(kind):
            return st.integers(FIRST_DAY, LAST_DAY) if self._calendar else _integers(32)
        if pa.types.is_time(kind):
            return st.integers(0, 86_400 * TICKS[kind.unit] - 1)
        if pa.types.is_timestamp(kind) and self._calendar:
            ticks = 86_400 * TICKS[kind.unit]
            low, high = max(FIRST_DAY * ticks, -(2**63)), min((LAST_DAY + 1) * ticks - 1, 2**63 - 1)
            return st.integers(low, high) | st.integers(-(2**31), 2**31).map(lambda value: value * ticks // 86_400)
        # Seconds stay within what milliseconds can count, for Parquet has no seconds.
        return _integers(64) if kind.unit != "s" else st.integers(-(2**63) // 1000 + 1, (2**63 - 1) // 1000)


def _integers(bits: int, signed: bool = True) -> st.SearchStrategy[int]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(low, high) | st.sampled_from([low, high, 0, 1])


def values_of(kind: pa.DataType) -> st.SearchStrategy:
    """Values of a type that is neither nested nor a time."""
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_integer(kind):
        return _integers(kind.bit_width, pa.types.is_signed_integer(kind))
    if pa.types.is_floating(kind):
        return st.floats(width=kind.bit_width)
    if pa.types.is_decimal(kind):
        most = 10**kind.precision - 1
        digits = st.integers(-most, most) | st.integers(-9, 9)
        return digits.map(lambda number: decimal.Decimal((number < 0, _digits(number), -kind.scale)))
    if pa.types.is_fixed_size_binary(kind):
        return st.binary(min_size=kind.byte_width, max_size=kind.byte_width)
    return st.binary(max_size=20) if kind in BYTES else TEXTS


def _digits(number: int) -> tuple[int, ...]:
    return tuple(map(int, str(abs(number))))


def flat(values: list, kind: pa.DataType) -> pa.Array:
    """An array that is not nested; times are given in ticks."""
    if pa.types.is_temporal(kind):
        return pa.array(values, pa.int32() if kind.bit_width == 32 else pa.int64()).view(kind)
    if kind == pa.float16():
        return pa.array([None if value is None else np.float16(value) for value in values], kind)
    return pa.array(values, kind)
