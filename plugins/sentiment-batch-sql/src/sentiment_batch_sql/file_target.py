"""A table in a file: rows gather in a file of their own, and one transaction at the end takes them over.

So the other file can be read meanwhile, by this run too, and until that transaction is done nothing of it is changed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING, Protocol

from sentiment_batch import OutputError
from sentiment_batch_sql.url import named

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from sentiment_batch import WriteOptions
    from sentiment_batch_sql.connection import Connection
    from sentiment_batch_sql.outgoing import Outgoing
    from sentiment_batch_sql.url import Place

_STAGED = "staged_rows"


class File(Protocol):
    """How tables are written to a kind of file."""

    @property
    def columns(self) -> Sequence[Outgoing]:
        """How each column goes to the database."""
        ...

    def open(self, path: str, *, write: bool) -> Connection:
        """Open a file."""
        ...

    def stage(self, connection: Connection, schema: pa.Schema, table: str) -> None:
        """Make a table in a new file, and begin a transaction."""
        ...

    def kind_of(self, connection: Connection, name: tuple[str, ...]) -> str | None:
        """What has that name."""
        ...

    def full_name(self, table: tuple[str, ...]) -> tuple[str, ...]:
        """The name with a schema."""
        ...

    def attach(self, path: str) -> str:
        """The statement that opens another file as `staged`."""
        ...

    def begin(self) -> str:
        """The statement that a transaction begins with."""
        ...

    def create(self, schema: pa.Schema, name: tuple[str, ...], staged: str) -> list[str]:
        """Statements that make the table."""
        ...


class FileTarget:
    """A table to be in a file.

    Args:
        place: the file and the table.
        file: its kind.
        schema: the columns as they come.
        options: what the user said.

    Raises:
        OutputError: the table is there and is not to be replaced, is no table, or the file cannot be written.
    """

    def __init__(self, place: Place, file: File, schema: pa.Schema, options: WriteOptions) -> None:
        self._place, self._file, self._schema, self._overwrite = place, file, schema, options.overwrite
        self.columns = file.columns
        self._name = file.full_name(place.table)
        folded = [name.encode("utf-8", "surrogatepass").lower() for name in schema.names]  # ASCII alone, as they do it
        for name, known in zip(schema.names, folded, strict=True):
            if folded.count(known) > 1:
                raise OutputError(f"{place.shown} tells no columns apart by capitals, as with {name!r}. Rename one.")
        folder, name = os.path.split(place.database)
        self._connection: Connection | None = None
        self._look = self._looked(folder)
        hidden = f".{name[:60]}.{secrets.token_hex(4)}.part"
        self._path = os.path.join(options.scratch or folder, hidden)
        try:
            self._connection = file.open(self._path, write=True)
            file.stage(self._connection, schema, _STAGED)
        except BaseException:
            self.discard()
            raise

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows, of the columns' wire types."""
        assert self._connection is not None
        self._connection.ingest(batch, _STAGED)

    def publish(self) -> None:
        """Take the table over into the file."""
        assert self._connection is not None
        self._connection.run("COMMIT")
        self._close()
        new = not os.path.exists(self._place.database)
        try:
            with contextlib.closing(self._file.open(self._place.database, write=True)) as connection:
                connection.run(self._file.attach(self._path), self._file.begin())
                if self._is_there(connection):
                    connection.run(f"DROP TABLE {named(*self._name)}")
                connection.run(*self._file.create(self._schema, self._name, _STAGED), "COMMIT")
        except BaseException:
            if new:
                _remove(self._place.database)
            raise
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove the rows gathered so far."""
        self._close()
        _remove(self._path)

    def _close(self) -> None:
        for connection in (self._connection, self._look):
            if connection is not None:
                connection.close()
        self._connection = self._look = None

    def _looked(self, folder: str) -> Connection | None:
        """A look at the file, so that what is wrong with it shows before the first row; None where there is none yet.

        It stays open: to close a file takes the locks of this whole process off it, and the input may be in it.
        """
        path, shown = self._place.database, self._place.shown
        if not os.path.isdir(folder):
            raise OutputError(f"{shown} cannot be written: there is no folder {folder}. Create it.")
        if not os.path.exists(path):
            return None
        if not os.path.isfile(path) or not os.access(path, os.W_OK):
            raise OutputError(f"{shown} cannot be written: {path} is no file, or not yours to write. Name another.")
        connection = self._file.open(path, write=False)
        try:
            self._is_there(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_there(self, connection: Connection) -> bool:
        """Whether there is a table to replace.

        Raises:
            OutputError: there is, and it is not to be replaced, or it is no table.
        """
        kind = self._file.kind_of(connection, self._name)
        if kind not in (None, "table"):
            raise OutputError(f"{self._place.shown} is a {kind}, which is never replaced. Name another table.")
        if kind and not self._overwrite:
            raise OutputError.exists(self._place.shown)
        return kind is not None


def _remove(path: str) -> None:
    for ending in ("", ".wal", "-journal", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            os.unlink(path + ending)
