"""SQLite: a file whose columns hold values of any type, so the values decide the types of the columns."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING
from urllib.parse import quote

import adbc_driver_sqlite

from sentiment_batch import InputError, UsageError
from sentiment_batch_sql.connection import Connection
from sentiment_batch_sql.conversions import convert_for_sqlite
from sentiment_batch_sql.database import Column, Database, DatabaseTarget
from sentiment_batch_sql.file_target import DatabaseFileTarget
from sentiment_batch_sql.url import quote_name, quote_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from sentiment_batch import WriteOptions

_LOCK_TIMEOUT = "PRAGMA busy_timeout = 60000"
_INTEGER, _REAL, _TEXT, _BLOB, _LARGE = (1 << bit for bit in range(5))
"""The kinds of values in a column, as bits. `_LARGE` is set if a double cannot represent one of the integers."""
_KINDS = (("integer", _INTEGER), ("real", _REAL), ("text", _TEXT), ("blob", _BLOB))
_EXACT = 2**53
"""A double can represent all integers up to this one."""
_SAMPLES = {"INTEGER": "0", "REAL": "0.5", "TEXT": "''", "BLOB": "x''"}
_AS_TEXT = (
    "CASE typeof({0}) WHEN 'blob' THEN {1} WHEN 'real' THEN"
    " CASE WHEN CAST(CAST({0} AS TEXT) AS REAL) = {0} THEN CAST({0} AS TEXT) ELSE printf('%!.17g', {0}) END"
    " ELSE CAST({0} AS TEXT) END"
)
"""The text of any value: a real with as many digits as needed, and a blob as its second placeholder says."""


def connect(path: str, mode: str, *statements: str) -> Connection:
    """Open a file. `mode` is `ro` for reading, `rwc` for writing."""
    uri = f"file:{quote(os.path.abspath(path))}?mode={mode}"
    return Connection(adbc_driver_sqlite._driver_path(), _LOCK_TIMEOUT, *statements, uri=uri)


class SQLite(Database):
    """A file of SQLite."""

    rows_ahead = 1

    def open(self) -> Connection:
        """Open the file, with a snapshot until the connection is closed.

        Raises:
            InputError: there is no such file.
        """
        if not os.path.isfile(self.url.address):
            raise InputError(f"{self.url.shown}: there is no file {self.url.database}. Check the path.")
        return connect(self.url.address, "ro", "BEGIN")

    def columns(self, connection: Connection) -> list[Column]:
        """The columns. Their type is one that can hold all values, or else text."""
        names = self.names(connection)
        found = [_column(name, kinds) for name, kinds in zip(names, self._kinds(connection, names), strict=True)]
        if all(column.type for column in found):
            return found
        declared = self._declared(connection)
        return [column if column.type else _column(column.name, declared.get(column.name, _TEXT)) for column in found]

    def select(self, columns: Sequence[Column], rest: str = "") -> str:
        """SQL for the rows after a row with sample values: the driver takes types from the first rows, which may be
        null."""
        samples = ", ".join(f"{_SAMPLES[column.type]} AS {quote_name(column.name)}" for column in columns)
        # The limit keeps the order, which SQLite ignores in a part of a UNION without one.
        return f"SELECT {samples} UNION ALL SELECT * FROM ({super().select(columns, rest)} LIMIT -1)"

    def sql_literal(self, column: Column, value: str) -> str:
        """The literal that SQLite makes."""
        return f"quote({value})"

    def checksum(self, columns: Sequence[Column]) -> str:
        """The sizes and the times of change of the files, because SQLite has no hash function."""
        paths = [path for end in ("", "-wal") if os.path.exists(path := self.url.address + end)]
        states = [state for state in map(os.stat, paths) if state.st_size]  # an empty log file counts as a missing one
        return quote_text(" ".join(f"{state.st_size}:{state.st_mtime_ns}" for state in states))

    def find_comment(self) -> str | None:
        """The statement that has made the table, with its comments."""
        if not os.path.isfile(self.url.address):
            return None
        with contextlib.closing(self.open()) as connection:
            return _find_table(connection, self.url.table)[1]

    def target(self, schema: pa.Schema, options: WriteOptions) -> DatabaseTarget:
        """Begin to write a table, in a file of its own until it is complete."""
        return DatabaseFileTarget(self.url, SQLiteFile(schema), schema, options)

    def _kinds(self, connection: Connection, names: list[str]) -> list[int]:
        """The kinds of the values of each column, as bits."""
        counts = ", ".join(
            " + ".join(f"coalesce(max(typeof({quote_name('q', name)}) = '{kind}'), 0) * {bit}" for kind, bit in _KINDS)
            + f" + coalesce(max(typeof({quote_name('q', name)}) = 'integer'"
            f" AND {quote_name('q', name)} NOT BETWEEN -{_EXACT} AND {_EXACT}), 0) * {_LARGE}"
            for name in names
        )
        (found,) = connection.rows(f"SELECT {counts} FROM {self.url.source} AS q")
        return list(found)

    def _declared(self, connection: Connection) -> dict[str, int]:
        """The kinds of the columns by their declared types, for columns without values."""
        if not self.url.table:
            return {}
        rows = connection.rows(f"SELECT name, type FROM pragma_table_info({quote_text(self.url.table[-1])})")
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
    """A column of values of these kinds. Its type is empty if there are no values."""
    plain = quote_name("q", name)
    if kinds == 0:
        return Column(name=name, expression=plain, type="")
    if kinds & ~_LARGE == _INTEGER:
        return Column(name=name, expression=plain, type="INTEGER")
    if kinds in (_REAL, _REAL | _INTEGER):
        return Column(name=name, expression=f"CAST({plain} AS REAL)", type="REAL")
    if kinds == _BLOB:
        return Column(name=name, expression=plain, type="BLOB")
    # Bytes among texts are texts, too, which some libraries write as bytes. They are checked where texts are used.
    bytes_as_text = f"CAST({plain} AS TEXT)" if kinds & _TEXT else f"hex({plain})"
    return Column(name=name, expression=plain if kinds == _TEXT else _AS_TEXT.format(plain, bytes_as_text), type="TEXT")


def _find_table(connection: Connection, name: tuple[str, ...]) -> tuple[str | None, str | None]:
    """The kind of object with that name (`table`, `view` and so on), and the statement that made it. None: missing."""
    condition = f"lower(name) = lower({quote_text(name[-1])})"
    found = connection.rows(f"SELECT type, sql FROM main.sqlite_schema WHERE {condition}")
    return found[0] if found else (None, None)


class SQLiteFile:
    """Writes a table to a SQLite file."""

    def __init__(self, schema: pa.Schema) -> None:
        self.columns = [convert_for_sqlite(field) for field in schema]

    def open(self, path: str, *, write: bool) -> Connection:
        """Open a file. If `write` is True, it is created if it does not exist."""
        # FULL, the default, does not wait until the name of the journal is gone: after a power cut, a journal that is
        # there again takes the transaction back.
        return connect(path, "rwc", "PRAGMA synchronous = EXTRA") if write else connect(path, "ro")

    def stage(self, connection: Connection, schema: pa.Schema, table: str) -> None:
        """Create the table in a file that only this process uses. It need not survive a crash."""
        connection.run("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "BEGIN")
        connection.run(f"CREATE TABLE {quote_name(table)} ({self._definitions(schema)})")

    def kind_of(self, connection: Connection, name: tuple[str, ...]) -> str | None:
        """The kind of object with that name: `table`, `view` and so on; None if there is none."""
        return _find_table(connection, name)[0]

    def full_name(self, table: tuple[str, ...]) -> tuple[str, ...]:
        """The name with the only schema of SQLite.

        Raises:
            UsageError: the name has another schema.
        """
        if len(table) == 2 and table[0] != "main":
            raise UsageError(f"SQLite has no schema {table[0]!r}. Name the table without a schema.")
        return ("main", table[-1])

    def attach(self, path: str) -> str:
        """The statement that attaches the staged file as `staged`."""
        return f"ATTACH {quote_text(f'file:{quote(os.path.abspath(path))}?mode=ro')} AS staged"

    def begin(self) -> str:
        """The statement that begins a transaction, in which nobody else can write."""
        return "BEGIN IMMEDIATE"

    def create(self, schema: pa.Schema, name: tuple[str, ...], staged: str, comment: str | None) -> list[str]:
        """The statements that create the table from the staged one, with a comment.

        SQLite keeps a comment only inside of the parentheses.
        """
        taken = {column.lower() for column in schema.names}
        number = next((word for word in ("rowid", "oid", "_rowid_") if word not in taken), None)
        inside = "" if comment is None else f" /* {comment} */"
        order = f" ORDER BY {number}" if number else ""  # if all its names are taken, rows come in this order anyway
        return [
            f"CREATE TABLE {quote_name(*name)} ({self._definitions(schema)}{inside})",
            f"INSERT INTO {quote_name(*name)} SELECT * FROM staged.{quote_name(staged)}{order}",
        ]

    def _definitions(self, schema: pa.Schema) -> str:
        return ", ".join(
            f"{quote_name(name)} {column.final}" for name, column in zip(schema.names, self.columns, strict=True)
        )
