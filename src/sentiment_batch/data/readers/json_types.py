"""Infers the Arrow type of JSON values that come in lists; it parses nothing."""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 16
"""Lists and objects nested deeper than this become JSON text; Arrow's own file format refuses more than 64."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_EXACT = 1 << 53
"""A float64 holds every integer up to this one exactly."""


class NonFinite(float):
    """A `NaN`, `Infinity` or `-Infinity` that stands in the file; a number such as 1e400 gives a plain infinity."""


class JsonShape:
    """What the values of one column, or of one place inside it, have been so far.

    Args:
        depth: how many lists and objects are around these values.
    """

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._kinds: set[type] = set()
        self._lowest = 0
        self._highest = 0
        self._uniform = True
        self._items: JsonShape | None = None
        self._members: dict[str, JsonShape] | None = None

    def add(self, values: list[Any]) -> None:
        """Take more values into account, as `json` parses them."""
        kinds = set(map(type, values))
        kinds.discard(type(None))
        self._kinds |= kinds
        if len(self._kinds) > 1 and not self._kinds <= {int, float, NonFinite}:
            self._uniform = False
        if not self._uniform:
            return
        adders: dict[type, Callable[[list[Any]], None]] = {
            int: self._add_ints,
            float: self._add_floats,
            list: self._add_lists,
            dict: self._add_dicts,
        }
        for kind in kinds & adders.keys():
            adders[kind]([value for value in values if type(value) is kind])

    def arrow_type(self) -> pa.DataType | None:
        """The type that holds all values exactly; None where only their JSON text does."""
        if not self._uniform:
            return None
        kinds = {float if kind is NonFinite else kind for kind in self._kinds}
        if kinds == {int}:
            return self._integer()
        if kinds == {int, float}:
            return pa.float64() if max(self._highest, -self._lowest) <= _EXACT else None
        if self._items is not None:
            item = self._items.arrow_type()
            return None if item is None else pa.list_(item)
        if self._members is not None:
            return self._struct(self._members)
        return {bool: pa.bool_(), str: pa.string(), float: pa.float64()}[kinds.pop()] if kinds else pa.null()

    def _integer(self) -> pa.DataType | None:
        if self._lowest >= -(1 << 63) and self._highest < 1 << 63:
            return pa.int64()
        return pa.uint64() if self._lowest >= 0 and self._highest < 1 << 64 else None

    def _struct(self, members: dict[str, JsonShape]) -> pa.DataType | None:
        types = {name: member.arrow_type() for name, member in members.items()}
        return None if None in types.values() else pa.struct(list(types.items()))

    def _add_ints(self, values: list[int]) -> None:
        self._lowest = min(self._lowest, min(values))
        self._highest = max(self._highest, max(values))

    def _add_floats(self, values: list[float]) -> None:
        # There is no NaN among plain floats, so the extremes tell whether one was too large for a float64.
        self._uniform = max(values) < math.inf and min(values) > -math.inf

    def _add_lists(self, values: list[list[Any]]) -> None:
        if self._items is None:
            self._items = JsonShape(self._depth + 1)
        self._uniform = self._depth < MAX_DEPTH
        if self._uniform:
            self._items.add(list(itertools.chain.from_iterable(values)))

    def _add_dicts(self, values: list[dict[str, Any]]) -> None:
        if self._members is None:
            self._members = {name: JsonShape(self._depth + 1) for name in values[0]}
        names = self._members.keys()
        # Arrow has no struct without fields in Parquet, and a name that is no UTF-8 has no place in a schema.
        self._uniform = len(names) > 0 and self._depth < MAX_DEPTH and all(value.keys() == names for value in values)
        self._uniform = self._uniform and all(name.isascii() or not count_lone_surrogates(name) for name in names)
        if self._uniform:
            for name, member in self._members.items():
                member.add([value[name] for value in values])


def count_lone_surrogates(value: Any, depth: int = 0) -> int:
    """How many halves of surrogate pairs stand alone in the strings of `value`; UTF-8 has no bytes for them."""
    if isinstance(value, str):
        return 0 if value.isascii() else len(_SURROGATE.findall(value))
    if depth > MAX_DEPTH:
        return 0  # this will be JSON text, where they stay escaped
    if isinstance(value, dict):
        return count_lone_surrogates(list(value), depth) + count_lone_surrogates(list(value.values()), depth)
    return sum(count_lone_surrogates(item, depth + 1) for item in value) if isinstance(value, list) else 0


def replace_surrogates(value: Any) -> Any:
    """`value` with U+FFFD in place of each lone surrogate in its strings; the names in objects stay as they are."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [replace_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {name: replace_surrogates(item) for name, item in value.items()}
    return value
