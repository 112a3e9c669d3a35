"""What the checks of readers start from: tables that the author laid out, opened as the program opens them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sentiment_batch.testing.checks import SECONDS
from sentiment_batch.testing.samples import sample_types
from sentiment_batch.testing.suite import FormatSuite, name_of, rows_of

if TYPE_CHECKING:
    import pyarrow as pa
    import pytest

    from sentiment_batch.data.readers.base import Reader


class ReadingSuite(FormatSuite):
    """What an author states of his reader, and how the checks open it."""

    resumable = True
    """Whether a run over this input can go on where it was cut off, because something tells that the input is still the
    same: it is a file, or the reader has `identity()`."""
    checksums = False
    """Whether the format notices every changed byte, so that damage never gives other rows."""
    repeated_names = False
    """Whether an input can have two columns of one name."""
    seconds = SECONDS
    """After so long a call counts as one that never ends."""
    large_rows = 20_000
    """Rows of the table whose memory is measured, of some 400 bytes each; 0 leaves that out. A format whose batches are
    very large takes more."""
    _laid: ClassVar[dict[int, Any]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._laid = {}

    def location(self, table: pa.Table, folder: Path) -> str | Path:
        """Lay out the rows of `table` such that the reader can read them, without the reader's or writer's own code.

        Args:
            table: what reading must give; of the types, texts and names that the suite states.
            folder: a folder for it, empty unless this input is to be replaced by another; what is laid out must stay
                until all tests have run.

        Returns:
            The path or URL to be read.
        """
        raise NotImplementedError("a suite of a reader needs the method location(self, table, folder)")

    def missing(self, location: str) -> str | None:
        """A location like this one where nothing is; None leaves that check out."""
        head, name = os.path.split(location)
        return os.path.join(head, f"not-there-{name}") if os.path.exists(location) else None

    def malformed(self, folder: Path) -> str | Path | None:
        """Lay out three rows, the second of which is malformed in a way that `on_bad_row` is told of; None: no row can
        be, or the reader keeps none."""
        return None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each type that the format carries."""
        if "carried_type" in metafunc.fixturenames:
            every = sample_types() if self.types is None else self.types
            metafunc.parametrize("carried_type", () if self.schema else every, ids=name_of)

    def laid_out(self, table: pa.Table) -> str:
        """The location of a table."""
        return str(self.location(table, self.folder()))

    def place(self, rows: int) -> str:
        """The location of a table of so many rows, which is laid out once for the class."""
        if rows not in self._laid:
            self._laid[rows] = self.laid_out(self.table(rows))
        return str(self._laid[rows])

    @contextlib.contextmanager
    def opened(self, location: str, **options: Any) -> Iterator[Reader]:
        """The reader, closed in the end."""
        from sentiment_batch.data import formats
        from sentiment_batch.records import ReadOptions

        reader = formats.open_reader(
            location, format=self.format, options=ReadOptions(**(dict(self.options) | options))
        )
        try:
            yield reader
        finally:
            reader.close()

    def read(self, location: str, **options: Any) -> pa.Table:
        """All rows."""
        with self.opened(location, **options) as reader:
            return rows_of(reader, *reader.splits())
