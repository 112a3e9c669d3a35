"""Infers the Arrow type of the JSON values of a column."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from sentiment_batch.data.readers.json_numbers import RoundedFloat

MAX_DEPTH = 16
"""Lists and objects that are nested deeper become JSON text. Arrow's file format allows at most 64 levels."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_EXACT_INTEGER = 1 << 53
"""A float64 holds every integer up to this one exactly."""


class JsonShape:
    """The types of the values of a column so far, or of one place in nested values.

    Args:
        depth: the number of lists and objects around these values.
    """

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._kinds: set[type] = set()
        self._lowest = 0
        self._highest = 0
        self._uniform = True  # False once nothing but JSON text holds all values; nothing is counted from then on
        self._items: JsonShape | None = None
        self._members: dict[str, JsonShape] | None = None

    def add(self, values: list[Any]) -> None:
        """Add values, as `json` parses them."""
        kinds = set(map(type, values))
        kinds.discard(type(None))
        self._kinds |= kinds
        # Integers and floats share a type. No other mixture does, and a float that lost digits is not exact.
        if (len(self._kinds) > 1 and self._kinds != {int, float}) or RoundedFloat in self._kinds:
            self._uniform = False
        if not self._uniform:
            return
        adders: dict[type, Callable[[list[Any]], None]] = {
            int: self._add_ints,
            float: self._add_floats,
            list: self._add_lists,
            dict: self._add_dicts,
        }
        # Values are added by kind, because each kind is checked in another way
        for kind in kinds & adders.keys():
            adders[kind]([value for value in values if type(value) is kind])

    def arrow_type(self) -> pa.DataType | None:
        """The type that holds all values exactly, or None if only their JSON text does."""
        if not self._uniform:
            return None
        kinds = set(self._kinds)
        if kinds == {int}:
            return self._integer_type()
        if kinds == {int, float}:
            # Larger integers would lose digits as floats, so JSON text keeps them
            return pa.float64() if max(self._highest, -self._lowest) <= _MAX_EXACT_INTEGER else None
        if self._items is not None:
            item = self._items.arrow_type()
            return None if item is None else pa.list_(item)
        if self._members is not None:
            return self._struct_type(self._members)
        return {bool: pa.bool_(), str: pa.string(), float: pa.float64()}[kinds.pop()] if kinds else pa.null()

    def _integer_type(self) -> pa.DataType | None:
        if self._lowest >= -(1 << 63) and self._highest < 1 << 63:
            return pa.int64()
        return pa.uint64() if self._lowest >= 0 and self._highest < 1 << 64 else None

    def _struct_type(self, members: dict[str, JsonShape]) -> pa.DataType | None:
        types = {name: member.arrow_type() for name, member in members.items()}
        return None if None in types.values() else pa.struct(list(types.items()))

    def _add_ints(self, values: list[int]) -> None:
        self._lowest = min(self._lowest, min(values))
        self._highest = max(self._highest, max(values))

    def _add_floats(self, values: list[float]) -> None:
        # None of them is NaN. One is infinite if its number was too large for a float64.
        self._uniform = max(values) < math.inf and min(values) > -math.inf

    def _add_lists(self, values: list[list[Any]]) -> None:
        if self._items is None:
            self._items = JsonShape(self._depth + 1)
        self._uniform = self._depth < MAX_DEPTH
        if self._uniform:
            # All items of all lists are one column, as Arrow stores them
            self._items.add(list(itertools.chain.from_iterable(values)))

    def _add_dicts(self, values: list[dict[str, Any]]) -> None:
        if self._members is None:
            self._members = {name: JsonShape(self._depth + 1) for name in values[0]}
        names = self._members.keys()
        # Parquet has no struct without fields, and a schema can hold only names in UTF-8.
        self._uniform = len(names) > 0 and self._depth < MAX_DEPTH and all(value.keys() == names for value in values)
        self._uniform = self._uniform and all(name.isascii() or not count_lone_surrogates(name) for name in names)
        if self._uniform:
            for name, member in self._members.items():
                member.add([value[name] for value in values])


def count_lone_surrogates(value: Any, depth: int = 0) -> int:
    """The number of lone halves of surrogate pairs in the strings of `value`. UTF-8 cannot encode them."""
    if isinstance(value, str):
        return 0 if value.isascii() else len(_SURROGATE.findall(value))
    if depth > MAX_DEPTH:
        return 0  # such values become JSON text, in which surrogates stay escaped
    if isinstance(value, dict):
        return count_lone_surrogates(list(value), depth) + count_lone_surrogates(list(value.values()), depth)
    return sum(count_lone_surrogates(item, depth + 1) for item in value) if isinstance(value, list) else 0


def replace_surrogates(value: Any) -> Any:
    """`value` with U+FFFD for each lone surrogate in its strings. The names in objects stay as they are."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [replace_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {name: replace_surrogates(item) for name, item in value.items()}
    return value
