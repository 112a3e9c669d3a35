"""Writes data files into a hidden folder, before they belong to a table."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import shutil
import uuid
from typing import TYPE_CHECKING

from deltalake.transaction import AddAction

from sentiment_batch import FileWriter, WriteOptions
from sentiment_batch.writing import ParquetEncoder
from sentiment_batch_delta.url import is_misread

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

MAX_ROWS_PER_FILE = 1 << 20
"""A data file ends when it has this many rows."""
MAX_BYTES_PER_FILE = 1 << 29
"""A data file ends after the batch with which its values have this many bytes in memory."""


class DataFiles:
    """The data files of one run, in a hidden folder.

    Args:
        home: the folder in which the files will appear.
        scratch: the folder for files that are not published yet; None if there is none. It is used if it is on the same
            disk. Else a hidden folder in `home` is used.
        schema: the storage types of the columns.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, home: str, scratch: str | None, schema: pa.Schema) -> None:
        self._schema = schema
        self.folder = _name_folder(home, scratch)
        """Holds the files."""
        self.names: list[str] = []
        """The names of the finished files, in the order of their rows."""
        self._run = uuid.uuid4()
        self._writer: FileWriter | None = None
        self._rows = self._bytes = 0
        self._counts: list[int] = []
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder)

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows in their storage types."""
        while batch.num_rows:
            rows = batch.slice(0, MAX_ROWS_PER_FILE - self._rows)
            batch = batch.slice(rows.num_rows)
            self._writer = self._writer or self._open()
            self._writer.write(rows)
            self._rows += rows.num_rows
            self._bytes += rows.nbytes
            if self._rows >= MAX_ROWS_PER_FILE or self._bytes >= MAX_BYTES_PER_FILE:
                self.end_file()

    def end_file(self) -> None:
        """Put the file that is being written on disk."""
        if self._writer is not None:
            self._writer.commit()
            self._writer = None
            self.names.append(self._name())
            self._counts.append(self._rows)
            self._rows = self._bytes = 0

    def describe(self, *, after: int = 0) -> Sequence[AddAction]:
        """What a commit says about the finished files.

        Args:
            after: the time of change of the newest file in the table, in milliseconds since 1970.
        """
        states = [os.stat(os.path.join(self.folder, name)) for name in self.names]
        newest = max([after + 1, *(state.st_mtime_ns // 10**6 for state in states)])
        return [
            AddAction(
                path=name,
                size=state.st_size,
                partition_values={},
                modification_time=newest,  # All files get the same time, because readers sort files by it.
                data_change=True,
                stats=json.dumps({"numRecords": rows}),
            )
            for name, state, rows in zip(self.names, states, self._counts, strict=True)
        ]

    def discard(self) -> None:
        """Remove the folder with everything that was not moved away. It may be called twice."""
        if self._writer is not None:
            self._writer.abort()
            self._writer = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _name(self) -> str:
        return f"part-{len(self.names):05}-{self._run}-c000.zstd.parquet"

    def _open(self) -> FileWriter:
        path = os.path.join(self.folder, self._name())
        return FileWriter(path, self._schema, WriteOptions(), ParquetEncoder)


def _name_folder(home: str, scratch: str | None) -> str:
    """The name of the hidden folder. For one that lies in `home`, it is the same for each run with this scratch folder.

    So the next run removes what a killed one has left there. Other machines must not choose this name.
    """
    token = secrets.token_hex(16)
    if scratch is None:
        return os.path.join(home, f".{token}.part")
    if os.stat(scratch).st_dev == os.stat(home).st_dev and not is_misread(scratch):
        return os.path.join(scratch, f".{token}.part")
    key = f"{platform.node()}\n{uuid.getnode()}\n{os.path.abspath(scratch)}"
    return os.path.join(home, f".{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.part")
