"""The base of the checks of readers: tables that the author has stored, opened as the program opens them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sentiment_batch.records import ReadOptions
from sentiment_batch.testing.checks import MAX_SECONDS_PER_CALL
from sentiment_batch.testing.samples import sample_types
from sentiment_batch.testing.suite import FormatSuite, read_splits

if TYPE_CHECKING:
    import pyarrow as pa
    import pytest

    from sentiment_batch.data.readers.base import Reader


class ReadingSuite(FormatSuite):
    """The attributes that describe a reader, and the methods with which the checks open it."""

    resumable = True
    """True if an interrupted run over this input can be resumed, because a change of the input is noticed: the input is
    a file, or the reader has `identity()`."""
    checksums = False
    """True if the format detects every changed byte, so that a damaged file never gives other rows."""
    repeated_names = False
    """True if an input can have two columns with the same name."""
    seconds = MAX_SECONDS_PER_CALL
    """A call that takes longer counts as one that never ends."""
    large_rows = 20_000
    """Number of rows, of some 400 bytes each, of the table whose memory use is measured. 0 skips that check. A format
    with very large batches needs more rows."""
    _stored: ClassVar[dict[tuple[type, int], str]] = {}
    """The locations that `place` returned for a class."""

    def location(self, table: pa.Table, folder: Path) -> str | Path:
        """Store the rows of `table` so that the reader can read them, without code of the reader or writer itself.

        Args:
            table: the rows that the reader must return. It has only types, texts and names that the suite allows.
            folder: a folder for the input. It is empty, unless this input replaces another. The input must stay there
                until all tests have run.

        Returns:
            The path or URL to read.
        """
        raise NotImplementedError("a suite of a reader needs the method location(self, table, folder)")

    def missing(self, location: str) -> str | None:
        """A location like this one that does not exist. None skips that check."""
        head, name = os.path.split(location)
        return os.path.join(head, f"not-there-{name}") if os.path.exists(location) else None

    def malformed(self, folder: Path) -> str | Path | None:
        """Store three rows, the second of which is malformed so that the reader reports it to `on_bad_row`.

        Returns:
            The path or URL to read. None: no row can be malformed, or the reader does not keep malformed rows.
        """
        return None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test for each type that the format supports."""
        if "carried_type" in metafunc.fixturenames:
            every = sample_types() if self.types is None else self.types
            metafunc.parametrize("carried_type", () if self.schema else every, ids=str)

    def store(self, table: pa.Table) -> str:
        """Store a table, and return its location."""
        return str(self.location(table, self.folder()))

    def place(self, rows: int) -> str:
        """The location of a table with that number of rows, which is stored once for the class."""
        # pytest makes a new object for each test, so the locations are kept by class.
        key = (type(self), rows)
        if key not in self._stored:
            self._stored[key] = self.store(self.table(rows))
        return self._stored[key]

    @contextlib.contextmanager
    def opened(self, location: str, **options: Any) -> Iterator[Reader]:
        """The reader of a location. It is closed at the end of the block."""
        from sentiment_batch.data import formats

        wanted = ReadOptions(**(dict(self.options) | options))
        with contextlib.closing(formats.open_reader(location, format=self.format, options=wanted)) as reader:
            yield reader

    def read(self, location: str, **options: Any) -> pa.Table:
        """Read all rows of a location."""
        with self.opened(location, **options) as reader:
            return read_splits(reader, *reader.splits())
