"""What the checks of writers start from: a place to write to, opened as the program opens it, and a way to read it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch.testing.checks import Broken
from sentiment_batch.testing.samples import sample_types
from sentiment_batch.testing.suite import FormatSuite, name_of, rows_of

if TYPE_CHECKING:
    import pyarrow as pa
    import pytest

    from sentiment_batch.data.writers.base import Writer


class WritingSuite(FormatSuite):
    """What an author states of his writer, and how the checks open it."""

    def location(self, folder: Path) -> str | Path:
        """The path or URL to write to, where nothing is yet; of the same folder always the same one."""
        raise NotImplementedError("a suite of a writer needs the method location(self, folder)")

    def read(self, location: str) -> pa.Table:
        """The table that was written; by default the program's reader of this format reads it."""
        from sentiment_batch.data import formats
        from sentiment_batch.records import ReadOptions

        reader = formats.open_reader(location, format=self.format, options=ReadOptions())
        try:
            return rows_of(reader, *reader.splits())
        finally:
            reader.close()

    def is_there(self, location: str) -> bool:
        """Whether others see something at the location; by default, whether there is such a file or folder."""
        return os.path.lexists(location)

    def traces(self, folder: Path) -> Iterable[str]:
        """The names of all that is in the folder, hidden ones too; of a database its tables, temporary ones too."""
        return [str(path.relative_to(folder)) for path in folder.rglob("*")]

    def unwritable(self, folder: Path) -> str | Path | None:
        """A location that cannot be written to; by default one in a folder that is not there. None leaves it out."""
        location = str(self.location(folder))
        return None if "://" in location else os.path.join(folder, "not-there", os.path.basename(location))

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each type, whether the format carries it or refuses it."""
        if "written_type" in metafunc.fixturenames:
            every = () if self.schema else dict.fromkeys([*sample_types(), *(self.types or ())])
            metafunc.parametrize("written_type", every, ids=name_of)

    def place(self) -> tuple[Path, str]:
        """A folder of its own, and the location in it."""
        folder = self.folder()
        return folder, str(self.location(folder))

    def open(self, location: str, schema: pa.Schema, **options: Any) -> Writer:
        """The writer, which the caller commits or aborts."""
        from sentiment_batch.data import formats
        from sentiment_batch.records import WriteOptions

        options = dict(self.options) | options
        return formats.open_writer(location, schema, format=self.format, options=WriteOptions(**options))

    def write(self, location: str, table: pa.Table, rows: int | None = None, **options: Any) -> None:
        """Write a table in batches of at most so many rows, and publish it."""
        self.write_batches(location, table.schema, table.to_batches(max_chunksize=rows), **options)

    def write_batches(
        self, location: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], **options: Any
    ) -> None:
        """Write batches and publish them; what fails is taken away, as by a run."""
        writer = self.open(location, schema, **options)
        try:
            for batch in batches:
                writer.write(batch)
            writer.commit()
        except BaseException:
            writer.abort()
            raise

    def check_traces(self, folder: Path, before: set[str], what: str) -> None:
        """See to it that nothing has come or gone in the folder.

        Raises:
            Broken: something has.
        """
        after = set(self.traces(folder))
        if after != before:
            raise Broken(f"After {what} there is also {sorted(after - before)}, and {sorted(before - after)} is gone.")
