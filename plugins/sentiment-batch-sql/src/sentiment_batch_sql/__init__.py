"""Registers the format `sql` with sentiment-batch; drivers are imported when a database is opened.

url          what a location says, and what of it is secret
failures     what drivers raise, in one line with a cure
connection   ADBC: statements in, Arrow out
postgresql   sqlite   duckdb      one database each: how it is opened, which columns it has, how a table appears
outgoing     Arrow columns as a database takes them
keys         the ranges of a key that a table is read in
reader       writer               what sentiment-batch is handed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentiment_batch import hookimpl

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch import Reader, ReadOptions, Registry, WriteOptions, Writer

SCHEMES = ("postgresql", "postgres", "sqlite", "duckdb")


def _open_reader(location: str, options: ReadOptions) -> Reader:
    from sentiment_batch_sql.reader import SqlReader

    return SqlReader(location, options)


def _open_writer(location: str, schema: pa.Schema, options: WriteOptions) -> Writer:
    from sentiment_batch_sql.writer import SqlWriter

    return SqlWriter(location, schema, options)


@hookimpl
def register_readers(registry: Registry) -> None:
    """Add the reader of databases."""
    registry.add(
        "sql",
        _open_reader,
        schemes=SCHEMES,
        description="a table or a query of PostgreSQL, SQLite or DuckDB",
        options=("query", "key"),
    )


@hookimpl
def register_writers(registry: Registry) -> None:
    """Add the writer of databases."""
    registry.add("sql", _open_writer, schemes=SCHEMES, description="a table of PostgreSQL, SQLite or DuckDB")
