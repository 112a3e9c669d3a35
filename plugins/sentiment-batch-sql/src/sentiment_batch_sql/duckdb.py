"""DuckDB: a file, most of whose types are types of Arrow. ADBC streams the rows, unlike the Python API of DuckDB."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

import adbc_driver_duckdb

from sentiment_batch import InputError
from sentiment_batch_sql.connection import Connection
from sentiment_batch_sql.conversions import convert_for_duckdb
from sentiment_batch_sql.database import JSON, Column, Database, DatabaseTarget, find_columns, mark_type, read_mark
from sentiment_batch_sql.file_target import DatabaseFileTarget
from sentiment_batch_sql.url import quote_name, quote_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from sentiment_batch import WriteOptions

_PLAIN = re.compile(
    r"BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|VARCHAR|BLOB|DATE|TIME|TIME_NS|"
    r"TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE|TIMESTAMPTZ_NS|U?HUGEINT"
)
"""Types that the driver returns unchanged; HUGEINT as a decimal of 38 digits."""
_NESTED = re.compile(r"(STRUCT|MAP)\(.*\)|.*\[\d*\]", re.DOTALL)
_NOT_NESTED = re.compile(
    r"INTERVAL|BIT\b|BIGNUM|UNION|HUGEINT|NULL|VARIANT|GEOMETRY|ENUM|UUID|TIME WITH|TIMESTAMPTZ_NS"
)
"""Types because of which a nested type that holds one becomes JSON as a whole."""
_RESTORABLE = ("UUID", "HUGEINT", "UHUGEINT", "BIGNUM", "BIT", "INTERVAL", "JSON")
"""Types that are text in Arrow and can be restored."""
_MAX_DECIMAL = "9" * 38


def connect(path: str, mode: str) -> Connection:
    """Open a file; `mode` is `READ_ONLY` or `READ_WRITE`."""
    return Connection(
        adbc_driver_duckdb.driver_path(),
        "SET TimeZone = 'UTC'",
        "SET memory_limit = '1GB'",  # else it uses most of the memory for pages that are read once
        entrypoint="duckdb_adbc_init",
        path=os.path.abspath(path),
        access_mode=mode,
    )


class DuckDB(Database):
    """A file of DuckDB."""

    def open(self) -> Connection:
        """Open the file. Nobody can write to it until the connection is closed.

        Raises:
            InputError: there is no such file.
        """
        if not os.path.isfile(self.url.address):
            raise InputError(f"{self.url.shown}: there is no file {self.url.database}. Check the path.")
        return connect(self.url.address, "READ_ONLY")

    def columns(self, connection: Connection) -> list[Column]:
        """The columns. Values without a type in Arrow are text, or JSON if they are nested."""
        self.names(connection)
        described = connection.rows(f"DESCRIBE SELECT * FROM {self.url.source} AS q")
        types = {row[0]: row[1] for row in described}
        conditions = [(name, _beyond_arrow(quote_name("q", name), type)) for name, type in types.items()]
        odd = find_columns(connection, self.url, [(name, text) for name, text in conditions if text])
        return [_column(name, type, exact=name not in odd) for name, type in types.items()]

    def sql_literal(self, column: Column, value: str) -> str:
        """A literal with its type."""
        after = quote_text(f"' AS {column.type})")
        return f"concat('CAST(''', replace(CAST({value} AS VARCHAR), '''', ''''''), {after})"

    def checksum(self, columns: Sequence[Column]) -> str:
        """The sum of a hash of each row."""
        return f"coalesce(sum(hash({', '.join(quote_name('q', column.name) for column in columns)})), 0)::VARCHAR"

    def find_comment(self) -> str | None:
        """The comment of the table."""
        if not os.path.isfile(self.url.address):
            return None
        with contextlib.closing(self.open()) as connection:
            return _find_table(connection, self.url.table)[1]

    def target(self, schema: pa.Schema, options: WriteOptions) -> DatabaseTarget:
        """Begin to write a table, in a file of its own until it is complete."""
        return DatabaseFileTarget(self.url, DuckDBFile(schema), schema, options)


def _beyond_arrow(column: str, type: str) -> str:
    """The condition for values that Arrow cannot represent; empty if it can represent all values."""
    if type.startswith(("TIMESTAMP", "DATE")) and _PLAIN.fullmatch(type):
        return f"NOT isfinite({column})"
    if type == "HUGEINT":
        return f"{column} NOT BETWEEN -{_MAX_DECIMAL} AND {_MAX_DECIMAL}"
    return f"{column} > {_MAX_DECIMAL}" if type == "UHUGEINT" else ""


def _column(name: str, type: str, *, exact: bool) -> Column:
    """A column, by its type. `exact`: Arrow can represent all its values."""
    plain = quote_name("q", name)
    if exact and _PLAIN.fullmatch(type):
        return Column(name=name, expression=plain, type=type)
    if _NESTED.fullmatch(type):
        if not _NOT_NESTED.search(type):
            return Column(name=name, expression=plain, type=type)
        return Column(name=name, expression=f"CAST(to_json({plain}) AS VARCHAR)", type=type, metadata=JSON)
    metadata = mark_type("duckdb", type) if type in _RESTORABLE else ()
    if type == "JSON":
        metadata += JSON
    return Column(name=name, expression=f"CAST({plain} AS VARCHAR)", type=type, metadata=metadata)


def _find_table(connection: Connection, name: tuple[str, ...]) -> tuple[str | None, str | None]:
    """The kind of object with that name: `table`, `view` and so on, and its comment; None for what is not there."""
    *schema, table = name
    condition = f"lower(table_name) = lower({quote_text(table)}) AND table_catalog = current_database()"
    condition += f" AND lower(table_schema) = lower({quote_text(schema[0] if schema else 'main')})"
    found = connection.rows(f"SELECT table_type, table_comment FROM information_schema.tables WHERE {condition}")
    if not found:
        return None, None
    kind, comment = found[0]
    return {"BASE TABLE": "table"}.get(kind, kind.lower()), comment


class DuckDBFile:
    """Writes a table to a DuckDB file."""

    def __init__(self, schema: pa.Schema) -> None:
        self.columns = [convert_for_duckdb(field) for field in schema]
        marks = [read_mark(field, "duckdb") for field in schema]
        self._types = [mark if mark in _RESTORABLE else None for mark in marks]

    def open(self, path: str, *, write: bool) -> Connection:
        """Open a file. If `write` is True, it is created if it does not exist."""
        return connect(path, "READ_WRITE" if write else "READ_ONLY")

    def stage(self, connection: Connection, schema: pa.Schema, table: str) -> None:
        """Create the table in a file that only this process uses."""
        import pyarrow as pa

        wire = pa.schema([(name, column.wire) for name, column in zip(schema.names, self.columns, strict=True)])
        connection.ingest(pa.RecordBatch.from_pylist([], wire), table, mode="create")
        connection.run("BEGIN")

    def kind_of(self, connection: Connection, name: tuple[str, ...]) -> str | None:
        """The kind of object with that name: `table`, `view` and so on; None if there is none."""
        return _find_table(connection, name)[0]

    def full_name(self, table: tuple[str, ...]) -> tuple[str, ...]:
        """The name with its schema."""
        return table if len(table) == 2 else ("main", *table)

    def attach(self, path: str) -> str:
        """The statement that attaches the staged file as `staged`."""
        return f"ATTACH {quote_text(os.path.abspath(path))} AS staged (READ_ONLY)"

    def begin(self) -> str:
        """The statement that begins a transaction. Others cannot open the file anyway."""
        return "BEGIN"

    def create(self, schema: pa.Schema, name: tuple[str, ...], staged: str, comment: str | None) -> list[str]:
        """The statements that create the table from the staged one, with a comment."""
        chosen = ", ".join(
            quote_name(column) if type is None else f"CAST({quote_name(column)} AS {type}) AS {quote_name(column)}"
            for column, type in zip(schema.names, self._types, strict=True)
        )
        created = f"CREATE TABLE {quote_name(*name)} AS SELECT {chosen} FROM staged.{quote_name(staged)}"
        return [created] + (
            [] if comment is None else [f"COMMENT ON TABLE {quote_name(*name)} IS {quote_text(comment)}"]
        )
