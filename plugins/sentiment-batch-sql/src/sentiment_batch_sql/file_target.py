"""Writes a table to a database that is a file: rows are gathered in a file of their own, and one transaction copies
them.

So the database can be read meanwhile, even by this run, and it stays unchanged until that transaction.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from typing import TYPE_CHECKING, Protocol

from sentiment_batch import OutputError
from sentiment_batch.writing import sync_path
from sentiment_batch_sql.run_comments import write_comment
from sentiment_batch_sql.url import quote_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from sentiment_batch import WriteOptions
    from sentiment_batch_sql.connection import Connection
    from sentiment_batch_sql.conversions import Conversion
    from sentiment_batch_sql.url import DatabaseUrl

_STAGED = "staged_rows"


class DatabaseFile(Protocol):
    """Writes tables to one kind of database file."""

    @property
    def columns(self) -> Sequence[Conversion]:
        """The conversion of each column."""
        ...

    def open(self, path: str, *, write: bool) -> Connection:
        """Open a file."""
        ...

    def stage(self, connection: Connection, schema: pa.Schema, table: str) -> None:
        """Create a table in a new file, and begin a transaction."""
        ...

    def kind_of(self, connection: Connection, name: tuple[str, ...]) -> str | None:
        """The kind of object with that name: `table`, `view` and so on; None if there is none."""
        ...

    def full_name(self, table: tuple[str, ...]) -> tuple[str, ...]:
        """The name with a schema."""
        ...

    def attach(self, path: str) -> str:
        """The statement that attaches another file as `staged`."""
        ...

    def begin(self) -> str:
        """The statement that begins a transaction."""
        ...

    def create(self, schema: pa.Schema, name: tuple[str, ...], staged: str, comment: str | None) -> list[str]:
        """The statements that create the table with a comment."""
        ...


class DatabaseFileTarget:
    """A table that is being written to a file.

    Args:
        url: the file and the table.
        file: the kind of file.
        schema: the columns of the batches.
        options: the settings of the output.

    Raises:
        OutputError: the table exists and `overwrite` is False, it is no table, or the file cannot be written.
    """

    def __init__(self, url: DatabaseUrl, file: DatabaseFile, schema: pa.Schema, options: WriteOptions) -> None:
        self._url, self._file, self._schema, self._overwrite = url, file, schema, options.overwrite
        self._comment = None if options.run_id is None else write_comment(options.run_id)
        self.columns = file.columns
        self._name = file.full_name(url.table)
        # These databases ignore the case of ASCII letters only.
        folded = [name.encode("utf-8", "surrogatepass").lower() for name in schema.names]
        for name, known in zip(schema.names, folded, strict=True):
            if folded.count(known) > 1:
                raise OutputError(f"{url.shown} ignores the case of names, so {name!r} is there twice. Rename one.")
        folder, name = os.path.split(url.database)
        self._connection: Connection | None = None
        self._guard = self._open_guard(folder)
        hidden = f".{name[:60]}.{secrets.token_hex(4)}.part"
        self._path = os.path.join(options.scratch or folder, hidden)
        try:
            self._connection = file.open(self._path, write=True)
            file.stage(self._connection, schema, _STAGED)
        except BaseException:
            self.discard()
            raise

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows in the wire types of the columns."""
        assert self._connection is not None
        self._connection.ingest(batch, _STAGED)

    def publish(self) -> None:
        """Copy the table into the file, in one transaction. A new file appears with its table."""
        assert self._connection is not None
        self._connection.run("COMMIT")
        self._close()
        try:
            if os.path.exists(self._url.database) or not self._publish_new_file(self._url.database):
                self._copy_into(self._url.database)
        finally:
            self.discard()

    def _publish_new_file(self, path: str) -> bool:
        """Make a file with the table under a hidden name, and link it to `path` when it is on disk.

        Databases write the first pages of a new file in several steps. After a power cut between them, nobody can open
        the file.

        Returns:
            False if another program has made a file at `path` meanwhile.
        """
        folder, name = os.path.split(path)
        gathered = os.path.dirname(self._path)  # where the caller removes what a killed run has left
        scratch = gathered if os.stat(gathered).st_dev == os.stat(folder).st_dev else folder
        # The same name each time, so that a later run replaces what a killed one has left.
        table = hashlib.sha256(quote_name(*self._name).encode("utf-8", "surrogatepass")).hexdigest()[:8]
        hidden = os.path.join(scratch, f".{name[:60]}.{table}.part")
        _remove(hidden)
        try:
            self._copy_into(hidden)
            sync_path(hidden)
            try:
                os.link(hidden, path)
            except FileExistsError:
                return False
            except OSError:  # a file system without links
                if os.path.exists(path):
                    return False
                os.rename(hidden, path)
            with contextlib.suppress(OSError):  # the file is there for everybody, so an error changes nothing
                sync_path(folder)
            return True
        finally:
            _remove(hidden)

    def _copy_into(self, path: str) -> None:
        """Copy the table into a file, in one transaction."""
        with contextlib.closing(self._file.open(path, write=True)) as connection:
            connection.run(self._file.attach(self._path), self._file.begin())
            if self._must_replace(connection):
                connection.run(f"DROP TABLE {quote_name(*self._name)}")
            connection.run(*self._file.create(self._schema, self._name, _STAGED, self._comment), "COMMIT")

    def discard(self) -> None:
        """Remove the gathered rows."""
        self._close()
        _remove(self._path)

    def _close(self) -> None:
        for connection in (self._connection, self._guard):
            if connection is not None:
                connection.close()
        self._connection = self._guard = None

    def _open_guard(self, folder: str) -> Connection | None:
        """A connection to the file, so that errors appear before the first row. None if the file does not exist.

        It stays open, because closing a file releases all locks of this process on it, and the input may be in it.
        """
        path, shown = self._url.database, self._url.shown
        if not os.path.isdir(folder):
            raise OutputError(f"{shown} cannot be written: there is no folder {folder}. Create it.")
        if not os.access(folder, os.W_OK):  # SQLite would report a lack of memory after all rows
            raise OutputError(f"{shown} cannot be written: you must not write into the folder {folder}. Name another.")
        if not os.path.exists(path):
            return None
        if not os.path.isfile(path) or not os.access(path, os.W_OK):
            raise OutputError(f"{shown} cannot be written: {path} is no file, or you must not write it. Name another.")
        connection = self._file.open(path, write=False)
        try:
            self._must_replace(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _must_replace(self, connection: Connection) -> bool:
        """True if there is a table to replace.

        Raises:
            OutputError: there is a table and `overwrite` is False, or it is no table.
        """
        kind = self._file.kind_of(connection, self._name)
        if kind not in (None, "table"):
            raise OutputError(f"{self._url.shown} is a {kind}, which is never replaced. Name another table.")
        if kind and not self._overwrite:
            raise OutputError.exists(self._url.shown)
        return kind is not None


def _remove(path: str) -> None:
    for ending in ("", ".wal", "-journal", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            os.unlink(path + ending)
