"""The commands that are killed at each operation on files, or that lose power: what they start from and what they make.

All files that a command may change lie in one folder, which is watched. Its content is kept as a dictionary, so that it
can be put back in a millisecond.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from tests.conftest import BAD, GOOD, WORDS
from tests.stress.models import tiny_model
from tests.warm_commands import Ended, WarmCommands

Tree = dict[str, bytes | None]
"""The content of a folder: bytes for each file, None for each folder, by their paths in it."""
ROWS, PART_ROWS = 100, 10
TABLE = "scored"
FAST_TRAINING = (
    *("--epochs", "2", "--batch-size", "48", "--patience", "0", "--val-size", "0.2", "--no-report"),
    *("--device", "cpu", "--dtype", "float32", "--quiet"),
)


def read_tree(folder: Path) -> Tree:
    """What lies in a folder."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def write_tree(folder: Path, tree: Tree) -> None:
    """Make this the content of a folder."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, data in sorted(tree.items()):
        if data is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(data)
            os.utime(folder / name, (1, 1))


class Place:
    """A folder with inputs and models, and a watched folder `work` in it.

    Args:
        folder: an empty folder, best in memory, because a command waits for the disk at each fsync.
        library: what `file_operations.build_library` made.
        server: a PostgreSQL server, if there is one.
        **environment: variables of the warm process.
    """

    def __init__(self, folder: Path, library: Path, server: Any = None, **environment: str) -> None:
        self.folder, self.server = folder, server
        self.work = folder / "work"
        self.work.mkdir()
        tiny_model(folder)
        texts = [None if n % 11 == 5 else f"the film {n} was great and {n * n}" for n in range(ROWS)]
        table = pa.table({"id": range(ROWS), "text": texts})
        pa.csv.write_csv(table, folder / "in.csv")
        pa.csv.write_csv(table.slice(0, 60), folder / "short.csv")
        pq.write_table(table, folder / "in.parquet", row_group_size=33)
        pq.write_table(table.slice(0, 60), folder / "short.parquet", row_group_size=33)
        lines = (folder / "short.csv").read_bytes().splitlines(keepends=True)
        for number in (3, 17, 18, 44):
            lines[number] = b"%d,a bad\xff film,and more\n" % number
        (folder / "bad.csv").write_bytes(b"".join(lines))
        labelled = ["review,label"]
        for n in range(60):
            words, label = (GOOD, "positive") if n % 2 else (BAD, "negative")
            labelled.append(f"the {WORDS[n % 40]} film {n} was {words[n % 8]} and {words[(n + 3) % 8]},{label}")
        (folder / "reviews.csv").write_text("\n".join(labelled) + "\n")
        self.warm = WarmCommands(library, **environment)
        # The first use of a model leaves files in the cache.
        first = self.run(Case("", [], lambda place: None), _score_command("{here}/short.csv", "first.csv"))
        assert first.status == 0, first

    def close(self) -> None:
        """End the warm process."""
        self.warm.close()

    def run(self, case: Case, arguments: list[str] | None = None, **watched: Any) -> Ended:
        """Run a command, or another one, of a case; the rest as for `WarmCommands.run`."""
        cache = self.work if case.is_database else self.folder
        if watched:
            watched["folder"] = str(self.work)
        named = [self.fill(word) for word in arguments or case.command]
        if case.needs_fork and not watched:  # a watch that kills nothing
            watched["folder"] = str(self.work)
        return self.warm.run(named, environment={"SENTIMENT_BATCH_CACHE": str(cache / "cache")}, **watched)

    def fill(self, word: str) -> str:
        """A word of a command with the names of these folders."""
        server = self.server.url() if self.server else ""
        return word.format(work=self.work, here=self.folder, postgresql=server, table=TABLE)

    def reset(self, case: Case) -> None:
        """Make everything as it is before the command of a case."""
        write_tree(self.work, case.start)
        if case.server_statements:
            connection = connect_postgresql(self.server.url())
            with contextlib.closing(connection):
                connection.run(*case.server_statements)

    def prepare(self, case: Case) -> None:
        """Make the start of a case, and note what its command makes when nobody breaks it."""
        self.reset(case)
        case.prepare(self, case)
        case.start = read_tree(self.work)
        self.reset(case)
        case.old = case.read_output(self)
        first = self.run(case)
        assert first.status == 0, f"{case.name}: {first}"
        case.new, case.end = case.read_output(self), self.describe_end()
        assert case.new != case.old, f"{case.name} changes nothing"
        self.reset(case)
        again = self.run(case)
        assert again.status == 0, f"{case.name}: {again}"
        output, end = case.read_output(self), self.describe_end()
        assert output == case.new, f"{case.name} publishes something else the second time"
        assert end == case.end, f"{case.name} leaves something else the second time: {[*end]}, not {[*case.end]}"

    def describe_end(self) -> dict[str, Any]:
        """The watched folder without what is compared otherwise or holds a time: all names, and most bytes."""
        return {name: _describe_file(name, data) for name, data in read_tree(self.work).items() if not _is_random(name)}


@dataclass(eq=False)
class Case:
    """A command."""

    name: str
    command: list[str]
    read_output: Callable[[Place], Any]
    """What is published; None if nothing is."""
    again: list[str] | None = None
    """The command that continues an interrupted run, if it is another one."""
    prepare: Callable[[Place, Case], object] = lambda place, case: None
    """Fills the watched folder before the command."""
    is_folder: bool = False
    """True if the output is a folder. Two renames replace one, and for a moment nothing is there."""
    is_database: bool = False
    server_statements: list[str] = field(default_factory=list)
    """SQL that makes the database of a server as it is before the command."""
    needs_fork: bool = False
    """True if the warm process must not run the command itself, because its library cannot be forked after use."""
    sends: bool = False
    """True if what is sent to a server counts as operations, too."""
    start: Tree = field(default_factory=dict)
    old: Any = None
    """What is published before the command."""
    new: Any = None
    """What an unbroken command publishes."""
    end: dict[str, Any] = field(default_factory=dict)
    """What `Place.describe_end` gives after an unbroken command."""

    def may_be_published(self, found: Any) -> bool:
        """True if what is published is the old or the new, whole; or nothing for the moment between two renames."""
        return found in (self.old, self.new) or (self.is_folder and found is None)


def list_cases(*, with_server: bool) -> list[Case]:
    """All commands."""
    cases = [
        _score("a CSV file to a file", "{here}/in.csv", "out.csv"),
        _score("a Parquet file to a file", "{here}/in.parquet", "out.parquet"),
        _score("a Parquet file to a folder", "{here}/in.parquet", "out/"),
        _score("to a file with --overwrite", "{here}/short.csv", "out.csv", "--overwrite", old="{here}/in.csv"),
        _score("to a folder with --overwrite", "{here}/short.parquet", "out/", "--overwrite", old="{here}/in.parquet"),
        _score("a CSV file in place", "{work}/table.csv", "table.csv", "--overwrite", own="short.csv"),
        _score("a Parquet file in place", "{work}/table.parquet", "table.parquet", "--overwrite", own="short.parquet"),
        _score(
            *("new rows in place with --reuse", "{here}/in.csv", "out.csv", "--overwrite", "--reuse", "{work}/out.csv"),
            old="{here}/short.csv",
        ),
        _score("bad rows to a file", "{here}/bad.csv", "out.jsonl", "--on-bad-row", "mark"),
        _score("bad rows to a folder", "{here}/bad.csv", "out.csv/", "--on-bad-row", "mark"),
        _train("train"),
        _train("train with --overwrite", "--overwrite", old=True),
        _train("train with --resume after a kill", "--resume", killed_at=60),
    ]
    for kind, connect in (("sqlite", sqlite3.connect), ("duckdb", _connect_duckdb)):
        cases += [_score_into(kind, connect, old=False), _score_into(kind, connect, old=True)]
    cases += [_score_into_delta("a new"), _score_into_delta("a replaced", "--overwrite")]
    cases += [_score_into_delta("more rows of a", mode="?mode=append")]
    if with_server:
        cases += [_score_into_postgresql(old=False), _score_into_postgresql(old=True)]
    return cases


def _score(name: str, source: str, out: str, *more: str, old: str | None = None, own: str | None = None) -> Case:
    """A case whose output is a file or folder in the watched folder, of that name, which may end in a slash."""

    def read(place: Place) -> Any:
        path = place.work / out.rstrip("/")
        if path.is_dir():
            return read_tree(path)
        return path.read_bytes() if path.exists() else None

    def prepare(place: Place, case: Case) -> None:
        if own:
            shutil.copy(place.folder / own, place.work / out)
        if old:
            done = place.run(case, _score_command(old, out))
            assert done.status == 0, done

    is_folder = out.endswith("/")
    return Case(f"score {name}", _score_command(source, out, *more), read, prepare=prepare, is_folder=is_folder)


def _score_command(source: str, out: str, *more: str) -> list[str]:
    destination = out if "://" in out or out.startswith("{") else f"{{work}}/{out}"
    options = ["--device", "cpu", "--dtype", "float32", "--part-rows", str(PART_ROWS), "--quiet", "--json"]
    return ["score", source, destination, "--model", "{here}/model", *options, *more]


def _train(name: str, *more: str, old: bool = False, killed_at: int = 0) -> Case:
    command = ["train", "{here}/reviews.csv", "--base", "{here}/base", "-o", "{work}/model", *FAST_TRAINING]

    def read(place: Place) -> Any:
        path = place.work / "model"
        return {name: _describe_file(name, data) for name, data in read_tree(path).items()} if path.exists() else None

    def prepare(place: Place, case: Case) -> None:
        if old:
            done = place.run(case, [*command, "--seed", "7", "--epochs", "1"])
            assert done.status == 0, done
        if killed_at:
            killed = place.run(case, command, kill_at=killed_at)
            assert killed.status == -9, killed

    resumed = [*command, *more] + ([] if "--resume" in more else ["--resume"])
    return Case(name, [*command, *more], read, again=resumed, prepare=prepare, is_folder=True)


def _score_into(kind: str, connect: Callable[[str], Any], *, old: bool) -> Case:
    """A case whose output is a table of a database file, in which another table lies before."""
    database = f"shop.{kind}"

    def read(place: Place) -> Any:
        path = place.work / database
        if not path.exists():
            return None
        with contextlib.closing(connect(str(path))) as connection:
            if old:  # what others have written stays
                assert connection.execute("SELECT count(*), max(n) FROM other").fetchall() == [(500, 499)]
            schema = (
                "sqlite_schema WHERE type = 'table' AND name"
                if kind == "sqlite"
                else "duckdb_tables() WHERE table_name"
            )
            if connection.execute(f"SELECT count(*) FROM {schema} = '{TABLE}'").fetchall() == [(0,)]:
                return None
            return connection.execute(f"SELECT * FROM {TABLE}").fetchall()

    def prepare(place: Place, case: Case) -> None:
        (place.work / "cache" / "scoring").mkdir(parents=True)
        if old:
            with contextlib.closing(connect(str(place.work / database))) as connection:
                connection.execute("CREATE TABLE other (n INTEGER)")
                connection.executemany("INSERT INTO other VALUES (?)", [(n,) for n in range(500)])
                connection.execute(f"CREATE TABLE {TABLE} AS SELECT n FROM other WHERE n < 7")
                connection.commit()

    command = _score_command("{here}/short.csv", f"{kind}:///{{work}}/{database}?table={{table}}")
    name = f"score to {'a table to replace in' if old else 'a new'} {'SQLite' if kind == 'sqlite' else 'DuckDB'} file"
    return Case(name, command + ["--overwrite"] * old, read, prepare=prepare, is_database=True)


def _score_into_delta(what: str, *more: str, mode: str = "") -> Case:
    """A case whose output is a Delta Lake table, in which other rows lie before if they are replaced or added to."""

    def read(place: Place) -> Any:
        from sentiment_batch.data.formats import open_reader

        if not (place.work / "lake").exists():
            return None
        with contextlib.closing(open_reader(f"delta://{place.work}/lake")) as reader:
            return [row for split in reader.splits() for batch in reader.batches(split) for row in batch.to_pylist()]

    def prepare(place: Place, case: Case) -> None:
        (place.work / "cache" / "scoring").mkdir(parents=True)
        if more or mode:
            done = place.run(case, _score_command("{here}/in.csv", "delta://{work}/lake"))
            assert done.status == 0, done

    command = [*_score_command("{here}/short.csv", f"delta://{{work}}/lake{mode}"), *more]
    return Case(f"score to {what} Delta Lake table", command, read, prepare=prepare, is_database=True, needs_fork=True)


def _score_into_postgresql(*, old: bool) -> Case:
    def read(place: Place) -> Any:
        with contextlib.closing(connect_postgresql(place.server.url())) as connection:
            if not connection.rows(f"SELECT 1 FROM pg_tables WHERE tablename = '{TABLE}'"):
                return None
            return connection.rows(f"SELECT * FROM {TABLE}")

    def prepare(place: Place, case: Case) -> None:
        (place.work / "cache" / "scoring").mkdir(parents=True)

    statements = ["SET client_min_messages = error", "DROP SCHEMA public CASCADE", "CREATE SCHEMA public"]
    statements += [f"CREATE TABLE {TABLE} AS SELECT 7 AS n"] * old
    command = _score_command("{here}/short.csv", "{postgresql}table={table}")
    return Case(
        f"score to {'a table to replace in' if old else 'a new table of'} PostgreSQL",
        command + ["--overwrite"] * old,
        read,
        prepare=prepare,
        is_database=True,
        server_statements=statements,
        sends=True,
    )


def connect_postgresql(url: str) -> Any:
    """A connection to the server."""
    from sentiment_batch_sql import postgresql
    from sentiment_batch_sql.url import parse_url

    return postgresql.connect(parse_url(f"{url}table=x"))


def _connect_duckdb(path: str) -> Any:
    import duckdb

    return duckdb.connect(path)


def _is_random(name: str) -> bool:
    """True for a data file of a Delta Lake table. Its name is another one each time, and a kill may leave it behind."""
    return os.path.dirname(name) == "lake" and name.endswith(".zstd.parquet")


def _describe_file(name: str, data: bytes | None) -> Any:
    """What is compared of a file: its bytes, but for times and what depends on the history of a database."""
    base = os.path.basename(name)
    if data is None or base.endswith((".sqlite", ".duckdb")) or "_delta_log" in name:
        return None
    if base.endswith("manifest.json"):
        return {key: value for key, value in json.loads(data)["content"].items() if key != "input_state"}
    return data
