"""Registers the format `sql` with sentiment-batch. Drivers are imported when a database is opened.

reader  writer                  the Reader and the Writer that sentiment-batch uses
databases                       chooses the module of a database
postgresql  sqlite  duckdb      one database each: how to open it, its columns, how to write a table
file_target                     writes a table to a database that is a file
database                        the base class of databases, and what they have in common
run_comments                    the comment of a table that names the run
key_ranges                      splits a table into ranges of a key
conversions  date_ranges        convert Arrow columns for a database
connection  driver_errors       statements over ADBC, and the errors of drivers
url                             the parts of a location, and its secrets
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


def _find_run_id(location: str) -> str | None:
    from sentiment_batch_sql.writer import find_run_id

    return find_run_id(location)


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
    registry.add(
        "sql",
        _open_writer,
        schemes=SCHEMES,
        description="a table of PostgreSQL, SQLite or DuckDB",
        find_run_id=_find_run_id,
    )
