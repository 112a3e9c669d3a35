"""The base of the checks of writers: destinations, opened as the program opens them, and a way to read them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch.records import ReadOptions, WriteOptions
from sentiment_batch.testing.checks import Broken
from sentiment_batch.testing.samples import sample_types
from sentiment_batch.testing.suite import FormatSuite, read_splits

if TYPE_CHECKING:
    import pyarrow as pa
    import pytest

    from sentiment_batch.data.writers.base import Writer


class WritingSuite(FormatSuite):
    """The attributes that describe a writer, and the methods with which the checks open it."""

    def location(self, folder: Path) -> str | Path:
        """The path or URL to write to. It does not exist yet. For the same folder it is always the same."""
        raise NotImplementedError("a suite of a writer needs the method location(self, folder)")

    def read(self, location: str) -> pa.Table:
        """Read the table that was written. Default: the reader of the program for this format."""
        from sentiment_batch.data import formats

        names_columns = "header" in formats.find_reader_format(location, self.format).options
        # The first row always names the columns here. Odd names of columns must not be taken for data.
        options = ReadOptions(header=True if names_columns else None)
        with closing(formats.open_reader(location, format=self.format, options=options)) as reader:
            return read_splits(reader, *reader.splits())

    def is_there(self, location: str) -> bool:
        """True if others see an output at the location. Default: True if there is a file or folder."""
        return os.path.lexists(location)

    def traces(self, folder: Path) -> Iterable[str]:
        """The names of everything in the folder, including hidden files; for a database, all tables, including
        temporary ones."""
        return [str(path.relative_to(folder)) for path in folder.rglob("*")]

    def unwritable(self, folder: Path) -> str | Path | None:
        """A location that cannot be written. Default: a file in a folder that does not exist. None skips the check."""
        location = str(self.location(folder))
        return None if "://" in location else os.path.join(folder, "not-there", os.path.basename(location))

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test for each type, whether the format supports it or refuses it."""
        if "written_type" in metafunc.fixturenames:
            every = () if self.schema else dict.fromkeys([*sample_types(), *(self.types or ())])
            metafunc.parametrize("written_type", every, ids=str)

    def place(self) -> tuple[Path, str]:
        """A new folder, and the location in it."""
        folder = self.folder()
        return folder, str(self.location(folder))

    def open(self, location: str, schema: pa.Schema, **options: Any) -> Writer:
        """Open the writer. The caller commits or aborts it."""
        from sentiment_batch.data import formats

        wanted = WriteOptions(**(dict(self.options) | options))
        return formats.open_writer(location, schema, format=self.format, options=wanted)

    def write(self, location: str, table: pa.Table, rows: int | None = None, **options: Any) -> None:
        """Write a table in batches of at most `rows` rows, and publish it."""
        self.write_batches(location, table.schema, table.to_batches(max_chunksize=rows), **options)

    def write_batches(
        self, location: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], **options: Any
    ) -> None:
        """Write batches and publish them."""
        with self.opened(location, schema, **options) as writer:
            for batch in batches:
                writer.write(batch)
            writer.commit()

    @contextmanager
    def opened(self, location: str, schema: pa.Schema, **options: Any) -> Iterator[Writer]:
        """The writer of a location. After an error it is aborted, as a run does."""
        writer = self.open(location, schema, **options)
        try:
            yield writer
        except BaseException:
            writer.abort()
            raise

    def check_traces(self, folder: Path, before: set[str], what: str) -> None:
        """Check that the folder holds the same names as before.

        Args:
            folder: the folder of the destination.
            before: the names in it before.
            what: the step that must not change them, for the message.

        Raises:
            Broken: a name has come or gone.
        """
        after = set(self.traces(folder))
        if after != before:
            changes = [f"left {sorted(after - before)} behind"] if after - before else []
            changes += [f"removed {sorted(before - after)}"] if before - after else []
            raise Broken(f"{what[0].upper()}{what[1:]} {' and '.join(changes)}.")
