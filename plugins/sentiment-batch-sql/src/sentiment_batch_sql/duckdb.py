"""DuckDB: a file whose types are mostly Arrow's own; ADBC streams its rows, which its own interface gathers first."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import adbc_driver_duckdb

from sentiment_batch import InputError
from sentiment_batch_sql.connection import Connection
from sentiment_batch_sql.database import JSON, Column, Database, columns_that, mark_of, marked
from sentiment_batch_sql.outgoing import duckdb_column
from sentiment_batch_sql.url import literal, named

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from sentiment_batch import WriteOptions
    from sentiment_batch_sql.writer import Target

_PLAIN = re.compile(
    r"BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|VARCHAR|BLOB|DATE|TIME|TIME_NS|"
    r"TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE|TIMESTAMPTZ_NS|U?HUGEINT"
)
"""Types that the driver gives as they are; HUGEINT as a decimal of 38 digits."""
_NESTED = re.compile(r"(STRUCT|MAP)\(.*\)|.*\[\d*\]", re.DOTALL)
_NOT_NESTED = re.compile(
    r"INTERVAL|BIT\b|BIGNUM|UNION|HUGEINT|NULL|VARIANT|GEOMETRY|ENUM|UUID|TIME WITH|TIMESTAMPTZ_NS"
)
"""What within a nested type makes JSON of all of it."""
_KEPT = ("UUID", "HUGEINT", "UHUGEINT", "BIGNUM", "BIT", "INTERVAL", "JSON")
"""Types that are text in Arrow and can be had again."""
_MOST = "9" * 38


def connect(path: str, mode: str) -> Connection:
    """Open a file; `mode` is `READ_ONLY` or `READ_WRITE`."""
    return Connection(
        adbc_driver_duckdb.driver_path(),
        "SET TimeZone = 'UTC'",
        "SET memory_limit = '1GB'",  # it would take most of the machine's for pages that are read once
        entrypoint="duckdb_adbc_init",
        path=os.path.abspath(path),
        access_mode=mode,
    )


class DuckDB(Database):
    """A file of DuckDB."""

    def open(self) -> Connection:
        """Open the file, which nobody can write to until the connection is closed."""
        if not os.path.isfile(self.place.address):
            raise InputError(f"{self.place.shown}: there is no file {self.place.database}. Check the path.")
        return connect(self.place.address, "READ_ONLY")

    def columns(self, connection: Connection) -> list[Column]:
        """The columns; what Arrow has no type for is text, or JSON where it is nested."""
        self.names(connection)
        described = connection.rows(f"DESCRIBE SELECT * FROM {self.place.source} AS q")
        types = {row[0]: row[1] for row in described}
        conditions = [(name, _beyond_arrow(named("q", name), type)) for name, type in types.items()]
        odd = columns_that(connection, self.place, [(name, text) for name, text in conditions if text])
        return [_column(name, type, exact=name not in odd) for name, type in types.items()]

    def literal(self, column: Column, value: str) -> str:
        """A literal with its type."""
        after = literal(f"' AS {column.type})")
        return f"concat('CAST(''', replace(CAST({value} AS VARCHAR), '''', ''''''), {after})"

    def checksum(self, columns: Sequence[Column]) -> str:
        """The sum of a hash of each row."""
        return f"coalesce(sum(hash({', '.join(named('q', column.name) for column in columns)})), 0)::VARCHAR"

    def target(self, schema: pa.Schema, options: WriteOptions) -> Target:
        """A table to be, in a file of its own until it is whole."""
        from sentiment_batch_sql.file_target import FileTarget

        return FileTarget(self.place, DuckDBFile(schema), schema, options)


def _beyond_arrow(column: str, type: str) -> str:
    """The condition for values of a column that Arrow cannot have; empty where it can have all."""
    if type.startswith(("TIMESTAMP", "DATE")) and _PLAIN.fullmatch(type):
        return f"NOT isfinite({column})"
    if type == "HUGEINT":
        return f"{column} NOT BETWEEN -{_MOST} AND {_MOST}"
    return f"{column} > {_MOST}" if type == "UHUGEINT" else ""


def _column(name: str, type: str, *, exact: bool) -> Column:
    """A column, by its type; `exact` says whether Arrow can have all its values."""
    plain = named("q", name)
    if exact and _PLAIN.fullmatch(type):
        return Column(name=name, expression=plain, type=type)
    if _NESTED.fullmatch(type):
        if not _NOT_NESTED.search(type):
            return Column(name=name, expression=plain, type=type)
        return Column(name=name, expression=f"CAST(to_json({plain}) AS VARCHAR)", type=type, metadata=JSON)
    metadata = marked("duckdb", type) if type in _KEPT else ()
    if type == "JSON":
        metadata += JSON
    return Column(name=name, expression=f"CAST({plain} AS VARCHAR)", type=type, metadata=metadata)


class DuckDBFile:
    """How a table is written to a file of DuckDB."""

    def __init__(self, schema: pa.Schema) -> None:
        self.columns = [duckdb_column(field) for field in schema]
        marks = [mark_of(field, "duckdb") for field in schema]
        self._types = [mark if mark in _KEPT else None for mark in marks]

    def open(self, path: str, *, write: bool) -> Connection:
        """Open a file, which is made if there is none and it is to be written."""
        return connect(path, "READ_WRITE" if write else "READ_ONLY")

    def stage(self, connection: Connection, schema: pa.Schema, table: str) -> None:
        """Make the table in a file that nobody else has."""
        import pyarrow as pa

        wire = pa.schema([(name, column.wire) for name, column in zip(schema.names, self.columns, strict=True)])
        connection.ingest(pa.RecordBatch.from_pylist([], wire), table, mode="create")
        connection.run("BEGIN")

    def kind_of(self, connection: Connection, name: tuple[str, ...]) -> str | None:
        """`table`, `view` or what else has that name; None if nothing has."""
        *schema, table = name
        condition = f"lower(table_name) = lower({literal(table)}) AND table_catalog = current_database()"
        condition += f" AND lower(table_schema) = lower({literal(schema[0] if schema else 'main')})"
        found = connection.rows(f"SELECT table_type FROM information_schema.tables WHERE {condition}")
        return {"BASE TABLE": "table"}.get(found[0][0], found[0][0].lower()) if found else None

    def full_name(self, table: tuple[str, ...]) -> tuple[str, ...]:
        """The name behind that of its schema."""
        return table if len(table) == 2 else ("main", *table)

    def attach(self, path: str) -> str:
        """The statement that opens the staged file beside the other as `staged`."""
        return f"ATTACH {literal(os.path.abspath(path))} AS staged (READ_ONLY)"

    def begin(self) -> str:
        """The statement that a transaction begins with; the file is locked for others anyway."""
        return "BEGIN"

    def create(self, schema: pa.Schema, name: tuple[str, ...], staged: str) -> list[str]:
        """Statements that make the table from the staged one."""
        chosen = ", ".join(
            named(column) if type is None else f"CAST({named(column)} AS {type}) AS {named(column)}"
            for column, type in zip(schema.names, self._types, strict=True)
        )
        return [f"CREATE TABLE {named(*name)} AS SELECT {chosen} FROM staged.{named(staged)}"]
