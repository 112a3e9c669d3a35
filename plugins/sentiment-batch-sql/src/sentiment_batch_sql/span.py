"""How far a database's days and instants reach; at the ends, which are others to Arrow, its infinities begin."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.writing import entries

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """The ends of what a database has days and instants for, themselves outside, counted from 1970 as Arrow does."""

    days: tuple[int, int]
    ticks: tuple[int, int]

    def check(self, column: pa.Array) -> None:
        """Look through a column, whatever it nests.

        Raises:
            pa.ArrowInvalid: one of its dates and timestamps is outside, or more than microseconds can count.
        """
        for leaf in _leaves(column):
            if pa.types.is_date(leaf.type):
                _check(leaf.cast(pa.date32()).cast(pa.int32()), self.days, leaf.type)
            elif pa.types.is_timestamp(leaf.type):
                if leaf.type.unit in ("s", "ms"):
                    leaf.cast(pa.timestamp("us", leaf.type.tz))
                _check(leaf.cast(pa.int64()), self.ticks, leaf.type)


_TO_2000 = 10_957
"""Days from 1970 to the day that PostgreSQL counts from."""
POSTGRESQL = Span(days=(_TO_2000 - 2**31, 2**31), ticks=(_TO_2000 * 86_400 * 10**6 - 2**63, 2**63))
DUCKDB = Span(days=(1 - 2**31, 2**31 - 1), ticks=(1 - 2**63, 2**63 - 1))


def _check(numbers: pa.Array, ends: tuple[int, int], kind: pa.DataType) -> None:
    for number in pc.min_max(numbers).as_py().values():
        if number is not None and not ends[0] < number < ends[1]:
            raise pa.ArrowInvalid(f"{number} as {kind} is out of range")


def _leaves(column: pa.Array) -> Iterator[pa.Array]:
    """The values that are not nested, without those under a null."""
    kind = column.type
    if not kind.num_fields:
        yield column
        return
    if pa.types.is_map(kind):
        column = entries(column)
    for part in column.flatten() if pa.types.is_struct(kind) else [column.flatten()]:
        yield from _leaves(part)
