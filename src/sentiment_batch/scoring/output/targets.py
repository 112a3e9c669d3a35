"""The two kinds of output: one file, written anew from the scores that are kept, and a folder of a file for each part.

Both take annotated rows and the end of each part, and appear when all is there, not before.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sentiment_batch.data import formats
from sentiment_batch.data.writers.write_errors import translate_write_errors
from sentiment_batch.errors import OutputError
from sentiment_batch.files import atomic
from sentiment_batch.files.checksums import file_sha256
from sentiment_batch.scoring.output.journal import DATA, Journal, Part, part_name
from sentiment_batch.scoring.output.paths import Layout, part_file_suffix

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.data.writers.base import Writer
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.plugins.registry import Format
    from sentiment_batch.records import FinishedFile, WriteOptions

SUCCESS = "_SUCCESS"
"""The empty file that says that a folder is whole, as Hadoop and Spark write it."""
OLD = "old"
"""Where a folder that is replaced lies until the new one is in its place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PartResult:
    """What a part comes to."""

    scores: Floats
    """(rows, K) probabilities, unrounded."""
    counts: dict[str, Any]
    problems: bytes
    """JSON lines."""


class PartTarget(Protocol):
    """What takes the rows of parts."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Take the next rows."""
        ...

    def end_part(self, result: PartResult) -> None:
        """Keep the part whose last row was just written."""
        ...


class Target(PartTarget, Protocol):
    """An output under way."""

    start: int
    """The number of the first row that it still needs."""

    def finish(self) -> list[dict[str, Any]] | None:
        """Make all safe on disk, not yet visible; its files for the manifest, None where nobody can tell."""
        ...

    def publish(self) -> None:
        """Make it visible."""
        ...

    def abort(self) -> None:
        """Let go of what is under way; the journal's parts stay."""
        ...


@dataclass(kw_only=True, slots=True, eq=False)
class FileTarget:
    """An output of one file, or whatever a plugin makes of it. It needs all rows, but only new ones need scores."""

    layout: Layout
    schema: pa.Schema
    format: Format
    options: WriteOptions
    journal: Journal
    start: int = 0
    _writer: Writer = field(init=False)

    def __post_init__(self) -> None:
        options = dataclasses.replace(self.options, scratch=self.journal.scratch)
        self._writer = formats.open_writer(
            self.layout.destination, self.schema, format=self.format.name, options=options
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Hand the rows to the writer."""
        self._writer.write(batch)

    def end_part(self, result: PartResult) -> None:
        """Keep the scores."""
        self.journal.add_scores(result.scores, result.counts, result.problems)

    def finish(self) -> list[dict[str, Any]] | None:
        """End the file."""
        finish = getattr(self._writer, "finish", None)
        finished: FinishedFile | None = None if finish is None else finish()
        if finished is None or self.layout.beside is None:
            return None
        name = os.path.basename(self.layout.destination.partition("?")[0])
        return [{"name": name, "rows": self.journal.rows, "bytes": finished.bytes, "sha256": finished.sha256}]

    def publish(self) -> None:
        """Let the writer publish."""
        self._writer.commit()

    def abort(self) -> None:
        """Let the writer take everything away."""
        self._writer.abort()


@dataclass(kw_only=True, slots=True, eq=False)
class FolderTarget:
    """An output that is a folder: each part is a file of it, finished for good when the part ends."""

    layout: Layout
    schema: pa.Schema
    format: Format
    options: WriteOptions
    journal: Journal
    start: int = field(init=False)
    _writer: Writer | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.start = self.journal.rows
        if self.layout.path is None:
            from sentiment_batch.data.writers.remote import check_folder

            check_folder(self.layout.destination, SUCCESS, overwrite=self.options.overwrite)
        elif self.layout.exists():
            _check_replaceable(self.layout, self.options)
        with translate_write_errors(str(self._data)):
            self._data.mkdir(exist_ok=True)

    @property
    def _data(self) -> Path:
        assert self.journal.folder is not None
        return self.journal.folder / DATA

    def _file(self) -> Path:
        return (
            self._data / f"{part_name(len(self.journal.parts))}{part_file_suffix(self.layout.destination, self.format)}"
        )

    def _open(self) -> Writer:
        options = dataclasses.replace(self.options, overwrite=True, scratch=self.journal.scratch)
        return formats.open_writer(str(self._file()), self.schema, format=self.format.name, options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        """Hand the rows to the writer of this part, opened with its first rows."""
        if self._writer is None:
            self._writer = self._open()
        self._writer.write(batch)

    def end_part(self, result: PartResult) -> None:
        """Finish the part's file and record it."""
        writer, file = self._writer or self._open(), self._file()
        self._writer = writer
        writer.commit()
        self._writer = None
        with translate_write_errors(str(file)):
            part = Part(
                index=len(self.journal.parts),
                rows=len(result.scores),
                counts=result.counts,
                file=f"{DATA}/{file.name}",
                bytes=file.stat().st_size,
                sha256=file_sha256(file),
            )
        self.journal.add(part, result.problems)

    def finish(self) -> list[dict[str, Any]] | None:
        """Write the mark of success into the folder, which nobody sees yet."""
        files = [
            {"name": Path(part.file).name, "rows": part.rows, "bytes": part.bytes, "sha256": part.sha256}
            for part in self.journal.parts
        ]
        with translate_write_errors(self.layout.destination):
            atomic.write_whole(self._data / SUCCESS, b"")
        return files

    def publish(self) -> None:
        """Move the folder to its place in one rename; behind a URL file by file, the mark of success last."""
        if self.layout.path is None:
            from sentiment_batch.data.writers.remote import send_folder

            names = [Path(part.file).name for part in self.journal.parts]
            send_folder(self._data, names, SUCCESS, self.layout.destination, overwrite=self.options.overwrite)
            return
        with translate_write_errors(self.layout.destination):
            if self.layout.exists():
                _check_replaceable(self.layout, self.options)
                assert self.journal.folder is not None
                os.rename(self.layout.path, self.journal.folder / OLD)
            try:
                os.rename(self._data, self.layout.path)
            finally:
                put_back(self.layout)  # where the old one is not replaced
            atomic.sync_folder(self.layout.path.parent)

    def abort(self) -> None:
        """Drop the file of the part that is not finished."""
        if self._writer is not None:
            self._writer.abort()
            self._writer = None


def put_back(layout: Layout) -> None:
    """Put an old folder back that a run took away and did not come to replace."""
    if layout.is_folder and layout.path is not None and layout.work is not None:
        old = layout.work / OLD
        if old.exists() and not layout.path.exists():
            with translate_write_errors(layout.destination):
                os.rename(old, layout.path)


def _check_replaceable(layout: Layout, options: WriteOptions) -> None:
    """Only what was written by a run like this is ever replaced.

    Raises:
        OutputError: the folder holds other things, or `--overwrite` is not given.
    """
    assert layout.path is not None
    names = [path.name for path in layout.path.iterdir()]
    if SUCCESS not in names or not all(name == SUCCESS or name.startswith("part-") for name in names):
        raise OutputError(
            f"{layout.destination} holds other things than a finished data set, so it is not replaced. Name another "
            "OUT."
        )
    if not options.overwrite:
        raise OutputError.exists(layout.destination)
