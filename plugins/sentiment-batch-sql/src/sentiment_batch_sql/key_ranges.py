"""Splits a table into ranges of its key with a fixed number of rows, so that a run can be resumed at any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sentiment_batch import InputError, Split
from sentiment_batch_sql.url import quote_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentiment_batch_sql.connection import Connection
    from sentiment_batch_sql.database import Column, Database

MAX_ROWS_PER_RANGE = 65_536
"""Number of rows of a range. The last range has the remaining rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranges:
    """The ranges of a table in the order of its key."""

    rows: int
    """Number of rows of the table."""
    checksum: str
    """A value that changes with the rows."""
    starts: tuple[str, ...]
    """The first key of each range, as a SQL literal."""
    last: str
    """The last key of the table, as a SQL literal; empty if there are no rows."""

    def splits(self, label: str) -> list[Split]:
        """A split for each range. Its key holds the first key of the range and of the next one."""
        found = []
        for index, start in enumerate(self.starts):
            first = index * MAX_ROWS_PER_RANGE
            rows = min(MAX_ROWS_PER_RANGE, self.rows - first)
            after = self.starts[index + 1 : index + 2]
            name = f"{label}, rows {first + 1:,} to {first + rows:,}"
            found.append(Split(index=index, label=name, num_rows=rows, key=(start, *after)))
        return found


def find_ranges(connection: Connection, database: Database, columns: Sequence[Column], key: Column) -> Ranges:
    """Split a table into ranges. One query sorts the table and checks the key.

    Raises:
        InputError: the key is null in a row, or equal in two rows.
    """
    source, column = database.url.source, quote_name("q", key.name)
    ((rows, checksum),) = connection.rows(f"SELECT count(*), {database.checksum(columns)} FROM {source} AS q")
    query = (
        f"SELECT {database.sql_literal(key, 'k')} AS mark,"
        " CASE WHEN k IS NULL THEN 1 WHEN k = earlier THEN 2 ELSE 0 END AS bad"
        f" FROM (SELECT {column} AS k, row_number() OVER (ORDER BY {column}) AS n,"
        f" lag({column}) OVER (ORDER BY {column}) AS earlier FROM {source} AS q) AS numbered"
        f" WHERE (n - 1) % {MAX_ROWS_PER_RANGE} = 0 OR n = {rows} OR k IS NULL OR k = earlier ORDER BY n"
    )
    found: list[str] = []
    with connection.batches(query) as batches:
        for mark, bad in (tuple(row.values()) for batch in batches for row in batch.to_pylist()):
            if bad:
                why = "is null in a row" if bad == 1 else f"is {mark} in more than one row"
                raise InputError(
                    f"{database.url.shown}: the key {key.name!r} {why}. Name a unique column without nulls, "
                    "or leave out `key`."
                )
            found.append(mark)
    starts = -(-rows // MAX_ROWS_PER_RANGE)
    return Ranges(rows=rows, checksum=checksum, starts=tuple(found[:starts]), last=found[-1] if found else "")


def make_condition(split: Split, key: Column) -> str:
    """SQL after the source in a query for the rows of a split, in the order of the key."""
    column = quote_name("q", key.name)
    after = "" if len(split.key) == 1 else f" AND {column} < {split.key[1]}"
    return f"WHERE {column} >= {split.key[0]}{after} ORDER BY {column}"
