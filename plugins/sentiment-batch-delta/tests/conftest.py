"""Functions that read and write tables as sentiment-batch does, and tables that other programs have made."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
import sentiment_batch_delta
from deltalake import DeltaTable, write_deltalake

from sentiment_batch import OutputError, ReadOptions, Registry, WriteOptions

ROWS = pa.table({"id": [1, 2, 3], "review": ["good", None, "bad"]})


class Table:
    """The place of a table, for one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "table"

    def url(self, rest=""):
        return f"delta://{self.path}{rest}"

    def make(self, rows=ROWS, **options):
        """Write rows with deltalake, as another program does."""
        write_deltalake(self.path, rows, **options)
        return self

    def open(self):
        return DeltaTable(self.path)

    def version(self):
        return self.open().version()

    def read_commit(self, version):
        """The actions of a commit, as a list of dictionaries."""
        return [json.loads(line) for line in self.commit(version).read_text().splitlines()]

    def change_commit(self, version, change):
        """Apply a function to each action of a commit."""
        actions = [change(action) or action for action in self.read_commit(version)]
        self.commit(version).write_text("".join(f"{json.dumps(action)}\n" for action in actions))

    def commit(self, version):
        return self.path / "_delta_log" / f"{version:020}.json"

    def list_orphans(self):
        """The files that belong to no version and the hidden ones."""
        known = {Path(uri).name for number in range(self.version() + 1) for uri in self._files(number)}
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.parent.name != "_delta_log"]
        return [str(path) for path in files if path.name not in known]

    def _files(self, version):
        return DeltaTable(self.path, version=version).file_uris()


def with_protocol(reader, writer, *features):
    """A function that changes the protocol of a table."""
    protocol = {"minReaderVersion": reader, "minWriterVersion": writer}
    if features and reader == 3:
        protocol["readerFeatures"] = list(features)
    if features:
        protocol["writerFeatures"] = list(features)
    return lambda action: {"protocol": protocol} if "protocol" in action else None


@pytest.fixture
def table(tmp_path):
    """A place where no table is yet."""
    folder = tmp_path / "tables"
    folder.mkdir()
    yield Table(folder)
    shutil.rmtree(folder, ignore_errors=True)


def find_format(register):
    """The format that the plugin registers."""
    registry = Registry()
    register(registry)
    return registry.named("delta")


def open_reader(location, **options):
    return find_format(sentiment_batch_delta.register_readers).open(location, ReadOptions(**options))


def open_writer(location, schema, **options):
    return find_format(sentiment_batch_delta.register_writers).open(location, schema, WriteOptions(**options))


def has_run_id(location, run_id):
    return find_format(sentiment_batch_delta.register_writers).has_run_id(location, run_id)


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


def refuse(location, rows, **options):
    """The message with which rows are refused."""
    with pytest.raises(OutputError) as caught:
        write(location, rows, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)
