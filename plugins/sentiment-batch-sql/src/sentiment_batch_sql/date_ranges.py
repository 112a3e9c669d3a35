"""The ranges of the dates and timestamps of databases. Values outside would become infinite dates."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.writing import entries

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DateRange:
    """The exclusive limits of the dates and timestamps of a database."""

    days: tuple[int, int]
    """For dates, in days since 1970."""
    ticks: tuple[int, int]
    """For timestamps, in microseconds since 1970."""

    def check(self, column: pa.Array) -> None:
        """Check the dates and timestamps of a column, including nested ones.

        Raises:
            pa.ArrowInvalid: a value lies outside the range, or is too large for microseconds.
        """
        for leaf in _leaves(column):
            if pa.types.is_date(leaf.type):
                _check(leaf.cast(pa.date32()).cast(pa.int32()), self.days, leaf.type)
            elif pa.types.is_timestamp(leaf.type):
                if leaf.type.unit in ("s", "ms"):
                    leaf.cast(pa.timestamp("us", leaf.type.tz))
                _check(leaf.cast(pa.int64()), self.ticks, leaf.type)


_TO_2000 = 10_957
"""Days from 1970 to 2000, from which PostgreSQL counts."""
POSTGRESQL = DateRange(days=(_TO_2000 - 2**31, 2**31), ticks=(_TO_2000 * 86_400 * 10**6 - 2**63, 2**63))
DUCKDB = DateRange(days=(1 - 2**31, 2**31 - 1), ticks=(1 - 2**63, 2**63 - 1))


def _check(numbers: pa.Array, ends: tuple[int, int], kind: pa.DataType) -> None:
    for number in pc.min_max(numbers).as_py().values():
        if number is not None and not ends[0] < number < ends[1]:
            raise pa.ArrowInvalid(f"{number} as {kind} is out of range")


def _leaves(column: pa.Array) -> Iterator[pa.Array]:
    """The arrays of values that are not nested, without the values below a null."""
    kind = column.type
    if not kind.num_fields:
        yield column
        return
    if pa.types.is_map(kind):
        column = entries(column)
    for part in column.flatten() if pa.types.is_struct(kind) else [column.flatten()]:
        yield from _leaves(part)
