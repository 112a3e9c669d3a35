"""SQLite: a file whose columns take values of any type, so that it is the values that tell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote

import adbc_driver_sqlite

from sentiment_batch import InputError, UsageError
from sentiment_batch_sql.connection import Connection
from sentiment_batch_sql.database import Column, Database
from sentiment_batch_sql.outgoing import sqlite_column
from sentiment_batch_sql.url import literal, named

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from sentiment_batch import WriteOptions
    from sentiment_batch_sql.writer import Target

_WAIT = "PRAGMA busy_timeout = 60000"
_INTEGER, _REAL, _TEXT, _BLOB, _LARGE = (1 << bit for bit in range(5))
_KINDS = (("integer", _INTEGER), ("real", _REAL), ("text", _TEXT), ("blob", _BLOB))
_EXACT = 2**53
"""Up to here a double is any integer."""
_SAMPLES = {"INTEGER": "0", "REAL": "0.5", "TEXT": "''", "BLOB": "x''"}
_AS_TEXT = (
    "CASE typeof({0}) WHEN 'blob' THEN hex({0}) WHEN 'real' THEN"
    " CASE WHEN CAST(CAST({0} AS TEXT) AS REAL) = {0} THEN CAST({0} AS TEXT) ELSE printf('%!.17g', {0}) END"
    " ELSE CAST({0} AS TEXT) END"
)
"""The text of any value: a real with as many digits as it needs, a blob as its hexadecimal digits."""


def connect(path: str, mode: str, *statements: str) -> Connection:
    """Open a file; `mode` is `ro` for reading, `rwc` for writing."""
    uri = f"file:{quote(os.path.abspath(path))}?mode={mode}"
    return Connection(adbc_driver_sqlite._driver_path(), _WAIT, *statements, uri=uri)


class SQLite(Database):
    """A file of SQLite."""

    rows_ahead = 1

    def open(self) -> Connection:
        """Open the file, and see what is there now until the connection is closed."""
        if not os.path.isfile(self.place.address):
            raise InputError(f"{self.place.shown}: there is no file {self.place.database}. Check the path.")
        return connect(self.place.address, "ro", "BEGIN")

    def columns(self, connection: Connection) -> list[Column]:
        """The columns, of the one type that all values can have; where there is none, of text."""
        names = self.names(connection)
        found = [_column(name, kinds) for name, kinds in zip(names, self._kinds(connection, names), strict=True)]
        if all(column.type for column in found):
            return found
        declared = self._declared(connection)
        return [column if column.type else _column(column.name, declared.get(column.name, _TEXT)) for column in found]

    def select(self, columns: Sequence[Column], rest: str = "") -> str:
        """The rows behind one of the columns' types: the driver goes by the first rows, which may all be null."""
        samples = ", ".join(f"{_SAMPLES[column.type]} AS {named(column.name)}" for column in columns)
        # The limit keeps the order: without one, that of a part of a UNION means nothing.
        return f"SELECT {samples} UNION ALL SELECT * FROM ({super().select(columns, rest)} LIMIT -1)"

    def literal(self, column: Column, value: str) -> str:
        """The literal that SQLite itself makes."""
        return f"quote({value})"

    def checksum(self, columns: Sequence[Column]) -> str:
        """SQLite has no hash: the sizes of its files and when they were written last, which every change changes."""
        paths = [path for end in ("", "-wal") if os.path.exists(path := self.place.address + end)]
        states = [state for state in map(os.stat, paths) if state.st_size]  # an empty log may be there or not
        return literal(" ".join(f"{state.st_size}:{state.st_mtime_ns}" for state in states))

    def target(self, schema: pa.Schema, options: WriteOptions) -> Target:
        """A table to be, in a file of its own until it is whole."""
        from sentiment_batch_sql.file_target import FileTarget

        return FileTarget(self.place, SQLiteFile(schema), schema, options)

    def _kinds(self, connection: Connection, names: list[str]) -> list[int]:
        """The kinds of values that each column has, as bits."""
        counts = ", ".join(
            " + ".join(f"coalesce(max(typeof({named('q', name)}) = '{kind}'), 0) * {bit}" for kind, bit in _KINDS)
            + f" + coalesce(max(typeof({named('q', name)}) = 'integer'"
            f" AND {named('q', name)} NOT BETWEEN -{_EXACT} AND {_EXACT}), 0) * {_LARGE}"
            for name in names
        )
        (found,) = connection.rows(f"SELECT {counts} FROM {self.place.source} AS q")
        return list(found)

    def _declared(self, connection: Connection) -> dict[str, int]:
        """The kinds of the columns of a table by what was declared, for columns without values."""
        if not self.place.table:
            return {}
        rows = connection.rows(f"SELECT name, type FROM pragma_table_info({literal(self.place.table[-1])})")
        return {name: _affinity(type.upper()) for name, type in rows}


def _affinity(declared: str) -> int:
    """The kind of a declared type, by the rules of "Datatypes In SQLite", chapter 3.1."""
    if "INT" in declared:
        return _INTEGER
    if any(part in declared for part in ("CHAR", "CLOB", "TEXT")):
        return _TEXT
    if "BLOB" in declared:
        return _BLOB
    return _REAL if any(part in declared for part in ("REAL", "FLOA", "DOUB")) else _TEXT


def _column(name: str, kinds: int) -> Column:
    """A column of values of these kinds; without a type where there are none."""
    plain = named("q", name)
    if kinds == 0:
        return Column(name=name, expression=plain, type="")
    if kinds & ~_LARGE == _INTEGER:
        return Column(name=name, expression=plain, type="INTEGER")
    if kinds in (_REAL, _REAL | _INTEGER):
        return Column(name=name, expression=f"CAST({plain} AS REAL)", type="REAL")
    if kinds == _BLOB:
        return Column(name=name, expression=plain, type="BLOB")
    return Column(name=name, expression=plain if kinds == _TEXT else _AS_TEXT.format(plain), type="TEXT")


class SQLiteFile:
    """How a table is written to a file of SQLite."""

    def __init__(self, schema: pa.Schema) -> None:
        self.columns = [sqlite_column(field) for field in schema]

    def open(self, path: str, *, write: bool) -> Connection:
        """Open a file, which is made if there is none and it is to be written."""
        return connect(path, "rwc" if write else "ro")

    def stage(self, connection: Connection, schema: pa.Schema, table: str) -> None:
        """Make the table in a file that nobody else has; if the machine crashes, it is of no use anyway."""
        connection.run("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "BEGIN")
        connection.run(f"CREATE TABLE {named(table)} ({self._definitions(schema)})")

    def kind_of(self, connection: Connection, name: tuple[str, ...]) -> str | None:
        """`table`, `view` or what else has that name; None if nothing has."""
        found = connection.rows(f"SELECT type FROM main.sqlite_schema WHERE lower(name) = lower({literal(name[-1])})")
        return found[0][0] if found else None

    def full_name(self, table: tuple[str, ...]) -> tuple[str, ...]:
        """The name behind that of the one schema there is.

        Raises:
            UsageError: another one is named.
        """
        if len(table) == 2 and table[0] != "main":
            raise UsageError(f"SQLite has no schema {table[0]!r}. Name the table alone.")
        return ("main", table[-1])

    def attach(self, path: str) -> str:
        """The statement that opens the staged file beside the other as `staged`."""
        return f"ATTACH {literal(f'file:{quote(os.path.abspath(path))}?mode=ro')} AS staged"

    def begin(self) -> str:
        """The statement after which nobody else writes."""
        return "BEGIN IMMEDIATE"

    def create(self, schema: pa.Schema, name: tuple[str, ...], staged: str) -> list[str]:
        """Statements that make the table from the staged one."""
        taken = {column.lower() for column in schema.names}
        number = next((word for word in ("rowid", "oid", "_rowid_") if word not in taken), None)
        order = f" ORDER BY {number}" if number else ""  # without a word for it, rows come in this order anyway
        return [
            f"CREATE TABLE {named(*name)} ({self._definitions(schema)})",
            f"INSERT INTO {named(*name)} SELECT * FROM staged.{named(staged)}{order}",
        ]

    def _definitions(self, schema: pa.Schema) -> str:
        return ", ".join(
            f"{named(name)} {column.final}" for name, column in zip(schema.names, self.columns, strict=True)
        )
