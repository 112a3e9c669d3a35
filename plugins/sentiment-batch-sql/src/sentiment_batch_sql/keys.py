"""The ranges of a key that a table is read in: of so many rows each, so that a run goes on in the middle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sentiment_batch import InputError, Split
from sentiment_batch_sql.url import named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentiment_batch_sql.connection import Connection
    from sentiment_batch_sql.database import Column, Database

ROWS = 65_536
"""Of a range; the last one has the rest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranges:
    """A table in the order of its key, cut into ranges."""

    rows: int
    checksum: str
    """Another one when the rows are."""
    starts: tuple[str, ...]
    """The first key of each range, as a literal of SQL."""
    last: str
    """The last key of all; empty where there is no row."""

    def splits(self, label: str) -> list[Split]:
        """A split for each range, whose key is its first key and that of the next."""
        found = []
        for index, start in enumerate(self.starts):
            first = index * ROWS
            rows = min(ROWS, self.rows - first)
            after = self.starts[index + 1 : index + 2]
            name = f"{label}, rows {first + 1:,} to {first + rows:,}"
            found.append(Split(index=index, label=name, num_rows=rows, key=(start, *after)))
        return found


def ranges_of(connection: Connection, database: Database, columns: Sequence[Column], key: Column) -> Ranges:
    """Cut a table into ranges; one query sorts it, and checks the key.

    Raises:
        InputError: the key is null somewhere, or the same in two rows.
    """
    source, column = database.place.source, named("q", key.name)
    ((rows, checksum),) = connection.rows(f"SELECT count(*), {database.checksum(columns)} FROM {source} AS q")
    query = (
        f"SELECT {database.literal(key, 'k')} AS mark,"
        " CASE WHEN k IS NULL THEN 1 WHEN k = earlier THEN 2 ELSE 0 END AS bad"
        f" FROM (SELECT {column} AS k, row_number() OVER (ORDER BY {column}) AS n,"
        f" lag({column}) OVER (ORDER BY {column}) AS earlier FROM {source} AS q) AS numbered"
        f" WHERE (n - 1) % {ROWS} = 0 OR n = {rows} OR k IS NULL OR k = earlier ORDER BY n"
    )
    found: list[str] = []
    with connection.batches(query) as batches:
        for mark, bad in (tuple(row.values()) for batch in batches for row in batch.to_pylist()):
            if bad:
                why = "is null in some row" if bad == 1 else f"is {mark} in more than one row"
                raise InputError(
                    f"{database.place.shown}: the key {key.name!r} {why}. Name a column that is another in each row, "
                    "or leave the key out."
                )
            found.append(mark)
    starts = -(-rows // ROWS)
    return Ranges(rows=rows, checksum=checksum, starts=tuple(found[:starts]), last=found[-1] if found else "")


def condition(split: Split, key: Column) -> str:
    """What comes after the source in a query for the rows of a split, in their order."""
    column = named("q", key.name)
    after = "" if len(split.key) == 1 else f" AND {column} < {split.key[1]}"
    return f"WHERE {column} >= {split.key[0]}{after} ORDER BY {column}"
