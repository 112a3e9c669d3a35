"""Chooses the database of a location. Only this module imports the modules of the databases, each when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentiment_batch_sql.database import Database
    from sentiment_batch_sql.url import DatabaseUrl


def find_database(url: DatabaseUrl) -> Database:
    """The database of a location."""
    if url.kind == "postgresql":
        from sentiment_batch_sql.postgresql import PostgreSQL

        return PostgreSQL(url)
    if url.kind == "sqlite":
        from sentiment_batch_sql.sqlite import SQLite

        return SQLite(url)
    from sentiment_batch_sql.duckdb import DuckDB

    return DuckDB(url)
