"""The suites of sentiment-batch for readers and writers, on all three databases."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import sentiment_batch_sql
from conftest import Db
from sentiment_batch_sql import postgresql
from sentiment_batch_sql.url import parse_url

from sentiment_batch.testing import ReaderSuite, WriterSuite


def key_of(table):
    """The option that names the key, where the table has one."""
    known = "id" in table.schema.names and table.schema.field("id").type == pa.int64()
    return "&key=id" if known else ""


def declared(field):
    kind = "INTEGER" if pa.types.is_integer(field.type) else "REAL" if pa.types.is_floating(field.type) else "TEXT"
    name = field.name.replace('"', '""')
    return f'"{name}" {kind}'


def tables_of(path):
    if path.suffix == ".db":
        with contextlib.closing(sqlite3.connect(path)) as connection:
            return [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
    with contextlib.closing(duckdb.connect(str(path))) as connection:
        return [name for (name,) in connection.execute("SELECT table_name FROM information_schema.tables").fetchall()]


class TestSqliteReader(ReaderSuite):
    plugin = sentiment_batch_sql
    types = (pa.int64(), pa.float64(), pa.string())
    many_rows = 5_000

    def holds(self, text):
        return "\0" not in text

    def location(self, table, folder):
        path = folder / "shop.db"
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DROP TABLE IF EXISTS reviews")
            connection.execute(f"CREATE TABLE reviews ({', '.join(map(declared, table.schema))})")
            rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
            connection.executemany(f"INSERT INTO reviews VALUES ({', '.join('?' * table.num_columns)})", rows)
        return f"sqlite:///{path}?table=reviews{key_of(table)}"

    def missing(self, location):
        return location.replace("shop.db", "nowhere.db")


class TestDuckdbReader(ReaderSuite):
    plugin = sentiment_batch_sql
    types = (pa.int64(), pa.float64(), pa.string(), pa.timestamp("us"), pa.date32(), pa.bool_(), pa.list_(pa.int64()))
    many_rows = 5_000

    def location(self, table, folder):
        path = folder / "shop.duckdb"
        with contextlib.closing(duckdb.connect(str(path))) as connection:
            connection.register("given", table)
            connection.execute("CREATE OR REPLACE TABLE reviews AS SELECT * FROM given")
        return f"duckdb:///{path}?table=reviews{key_of(table)}"

    def missing(self, location):
        return location.replace("shop.duckdb", "nowhere.duckdb")


class Tables:
    """What the writers of both have in common: a destination is a table, and its traces are tables."""

    plugin = sentiment_batch_sql
    keeps_types = False
    many_rows = 5_000
    file: str

    def url(self, folder):
        return f"{folder / self.file}?table=scored"

    def path(self, location):
        return Path(location.partition("://")[2].partition("?")[0].replace("//", "/", 1))

    def is_there(self, location):
        return "scored" in tables_of(self.path(location))

    def traces(self, folder):
        return tables_of(folder / self.file)


class TestSqliteWriter(Tables, WriterSuite):
    types = (pa.int64(), pa.string(), pa.float64())
    file = "shop.db"

    def location(self, folder):
        (folder / self.file).touch()
        return f"sqlite:///{self.url(folder)}"

    def unwritable(self, folder):
        return f"sqlite:///{folder}/not-there/shop.db?table=scored"


class TestDuckdbWriter(Tables, WriterSuite):
    types = (pa.int64(), pa.string(), pa.float64(), pa.timestamp("us"), pa.bool_(), pa.date32())
    file = "shop.duckdb"

    def location(self, folder):
        duckdb.connect(str(folder / self.file)).close()
        return f"duckdb:///{self.url(folder)}"

    def unwritable(self, folder):
        return f"duckdb:///{folder}/not-there/shop.duckdb?table=scored"


class OnServer:
    """What the suites on PostgreSQL have in common: the server of the tests."""

    plugin = sentiment_batch_sql
    many_rows = 5_000

    @pytest.fixture(autouse=True)
    def _connected(self, server):
        self.db = Db("postgresql", server.url())

    def holds(self, text):
        return "\0" not in text


class TestPostgresqlReader(OnServer, ReaderSuite):
    types = (pa.int64(), pa.float64(), pa.string(), pa.timestamp("us"), pa.date32(), pa.bool_(), pa.list_(pa.int64()))

    def location(self, table, folder):
        name = f"reviews_{folder.name}"
        with contextlib.closing(postgresql.connect(parse_url(self.db.url(f"table={name}")))) as connection:
            connection.run(f"DROP TABLE IF EXISTS {name}")
            for batch in table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]:
                connection.ingest(batch, name, mode="create_append")
        return self.db.url(f"table={name}{key_of(table)}")

    def missing(self, location):
        return location.replace("table=reviews", "table=nowhere")


class TestPostgresqlWriter(OnServer, WriterSuite):
    types = (pa.int64(), pa.string(), pa.float64(), pa.timestamp("us"), pa.bool_(), pa.date32())
    keeps_types = False

    def location(self, folder):
        return self.db.url(f"table=scored_{folder.name}")

    def is_there(self, location):
        return location.rpartition("table=")[2] in self.db.tables()

    def traces(self, folder):
        return [name for name in self.db.tables() if folder.name in name]

    def unwritable(self, folder):
        return self.db.url("table=nowhere.scored")
