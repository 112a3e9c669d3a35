"""The two kinds of output: one file, and a folder with a file for each part.

Both take annotated rows and the end of each part, and appear at the destination when they are complete.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sentiment_batch.data import formats
from sentiment_batch.data.writers.object_store import SENDING, FolderClaim
from sentiment_batch.data.writers.remote import send_folder
from sentiment_batch.data.writers.write_errors import translate_write_errors
from sentiment_batch.errors import OutputError, listed
from sentiment_batch.files import atomic
from sentiment_batch.locations import path_of, without_password
from sentiment_batch.report.formatting import format_quantity
from sentiment_batch.scoring.output.journal import Journal, MemoryJournal
from sentiment_batch.scoring.output.own_files import list_published_names
from sentiment_batch.scoring.output.part_files import DATA, OLD, describe_part, name_part
from sentiment_batch.scoring.output.paths import OutputPaths, part_file_suffix

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.data.writers.base import Writer
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.plugins.registry import Format
    from sentiment_batch.records import FinishedFile, WriteOptions

logger = logging.getLogger("sentiment_batch")

SUCCESS = "_SUCCESS"
"""The empty file that marks a complete folder, as Hadoop and Spark write it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PartResult:
    """What is stored of a part besides its rows."""

    scores: Floats
    """(rows, labels) the probabilities, unrounded."""
    counts: dict[str, Any]
    """What `Tally.to_json` gives."""
    problems: bytes
    """The bad rows, as JSON lines."""


class PartTarget(Protocol):
    """Takes the rows of parts."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Take the next rows."""
        ...

    def end_part(self, result: PartResult) -> None:
        """Store the part whose last row was just written."""
        ...


class Target(PartTarget, Protocol):
    """An output that is being written."""

    start: int
    """Number of the first row not yet written, from 0."""
    run_id: str | None
    """The ID of this run that is stored with the output; None for an output that has a manifest, or stores no ID."""

    def finish(self) -> list[dict[str, Any]] | None:
        """Make everything safe on disk, but not visible yet; its files for the manifest, None if they are unknown."""
        ...

    def publish(self) -> None:
        """Make the output visible."""
        ...

    def release(self) -> None:
        """Let other machines write to the destination, because the manifest is beside it."""
        ...

    def abort(self) -> None:
        """Give up what is not finished; the parts of the journal stay."""
        ...


@dataclass(kw_only=True, slots=True, eq=False)
class FileTarget:
    """An output of one file, or whatever the writer of a plugin makes of it.

    Every run writes the whole file, so it needs all rows; the scores of finished parts come from the journal.
    """

    paths: OutputPaths
    """Where the output lies."""
    schema: pa.Schema
    """The schema of the output."""
    format: Format
    """The format of the output."""
    options: WriteOptions
    """What the user set for the output."""
    journal: Journal | MemoryJournal
    """The finished parts."""
    start: int = 0
    run_id: str | None = field(init=False)
    _writer: Writer = field(init=False)
    _is_published: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        # A table of a database has no manifest beside it. The ID shows a later run that this one was committed.
        stores_id = self.paths.beside is None and self.format.stores_run_id
        self.run_id = secrets.token_hex(16) if stores_id else None
        options = dataclasses.replace(self.options, scratch=self.journal.scratch, run_id=self.run_id)
        self._writer = formats.open_writer(
            self.paths.destination, self.schema, format=self.format.name, options=options
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Pass the rows to the writer."""
        self._writer.write(batch)

    def end_part(self, result: PartResult) -> None:
        """Record the scores."""
        self.journal.add_scores(result.scores, result.counts, result.problems)

    def finish(self) -> list[dict[str, Any]] | None:
        """Finish the file; the writer of a plugin may not report what it wrote."""
        finish = getattr(self._writer, "finish", None)
        finished: FinishedFile | None = None if finish is None else finish()
        if finished is None or self.paths.beside is None:
            return None
        destination = self.paths.destination
        # A password that holds a ? may be taken for the file's name.
        name = without_password(os.path.basename(path_of(destination)), destination)
        return [{"name": name, "rows": self.journal.rows, "bytes": finished.bytes, "sha256": finished.sha256}]

    def publish(self) -> None:
        """Let the writer publish."""
        self._writer.commit()
        self._is_published = True

    def release(self) -> None:
        """Do nothing: one file needs no claim."""

    def abort(self) -> None:
        """Let the writer remove everything, unless it has published: then a later run completes the output."""
        if not self._is_published:
            self._writer.abort()


@dataclass(kw_only=True, slots=True, eq=False)
class FolderTarget:
    """An output that is a folder: each part is one of its files, which is finished when the part ends."""

    paths: OutputPaths
    """Where the folder lies."""
    schema: pa.Schema
    """The schema of each file."""
    format: Format
    """The format of the files."""
    options: WriteOptions
    """What the user set for the output."""
    journal: Journal
    """The finished parts."""
    start: int = field(init=False)
    run_id: str | None = field(default=None, init=False)
    _data: Path = field(init=False)
    """The folder in the work folder that is published in the end."""
    _claim: FolderClaim | None = field(init=False)
    """Keeps other machines from a folder in a storage; None for a folder on this machine, which has a lock."""
    _writer: Writer | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.start = self.journal.rows
        self._data = self.journal.folder / DATA
        self._claim = open_claim(self.paths)
        if self._claim is None or not self._claim.is_held():
            _check_replaceable(self.paths, self.options)
        with translate_write_errors(str(self._data)):
            self._data.mkdir(exist_ok=True)

    def write(self, batch: pa.RecordBatch) -> None:
        """Pass the rows to the writer of this part, which is opened with its first rows."""
        if self._writer is None:
            self._writer = self._open()
        self._writer.write(batch)

    def end_part(self, result: PartResult) -> None:
        """Finish the part's file, and record it."""
        self._writer = self._writer or self._open()  # a part without rows has a file, too
        self._writer.commit()
        self._writer = None
        file = self._name_file()
        with translate_write_errors(str(file)):
            name, rows = f"{DATA}/{file.name}", len(result.scores)
            part = describe_part(len(self.journal.parts), rows=rows, counts=result.counts, file=name, data=file)
        self.journal.add(part, result.problems)

    def finish(self) -> list[dict[str, Any]] | None:
        """Write the mark of success into the folder, which is not visible yet."""
        with translate_write_errors(self.paths.destination):
            atomic.write_whole(self._data / SUCCESS, b"")
        return [
            {"name": Path(part.file).name, "rows": part.rows, "bytes": part.bytes, "sha256": part.sha256}
            for part in self.journal.parts
        ]

    def publish(self) -> None:
        """Move the folder to its place in one rename; to a URL its files are sent one by one, the mark last."""
        path = self.paths.path
        if path is None:
            self._send()
            return
        # No system call swaps two folders on all systems. So the old one is moved into the work folder first. If the
        # process dies between the two renames, the next run finds it there and puts it back.
        with translate_write_errors(self.paths.destination):
            if self.paths.exists():
                _check_replaceable(self.paths, self.options)
                os.rename(path, self.journal.folder / OLD)
            try:
                os.rename(self._data, path)
            finally:
                restore_replaced_folder(self.paths)  # if the new folder did not take its place
            atomic.sync_folder(path.parent)  # else a loss of power could undo the renames

    def _send(self) -> None:
        """Send the files while no other machine does; if this fails, a later run of this machine sends them again."""
        if self._claim is not None and not self._claim.take():
            try:
                _check_replaceable(self.paths, self.options)  # hours may lie between the two looks
            except OutputError:
                self._claim.release()
                raise
        names = [Path(part.file).name for part in self.journal.parts]
        send_folder(self._data, names, SUCCESS, self.paths.destination)

    def release(self) -> None:
        """Give up the claim on a folder in a storage."""
        if self._claim is not None:
            self._claim.release()

    def abort(self) -> None:
        """Remove the file of the unfinished part."""
        if self._writer is not None:
            self._writer.abort()
            self._writer = None

    def _name_file(self) -> Path:
        """The file of the next part."""
        suffix = part_file_suffix(self.paths.destination, self.format)
        return self._data / f"{name_part(len(self.journal.parts))}{suffix}"

    def _open(self) -> Writer:
        # A killed run may have left a file of this part without its record
        options = dataclasses.replace(self.options, overwrite=True, scratch=self.journal.scratch)
        return formats.open_writer(str(self._name_file()), self.schema, format=self.format.name, options=options)


@contextlib.contextmanager
def open_journal(paths: OutputPaths) -> Iterator[Journal | MemoryJournal]:
    """The journal of an output; if the block fails, its finished parts stay for a later run."""
    if paths.work_folder is None:
        yield MemoryJournal()
        return
    journal = Journal(paths.work_folder, paths.destination)
    try:
        restore_replaced_folder(paths)  # before the input is opened, because it may be the input
        yield journal
    except BaseException:
        journal.close(resumable=True)
        if journal.can_resume:
            logger.info("%s finished. The same command resumes there", format_quantity(journal.finished_rows, "row"))
        raise
    journal.close(resumable=False)


@contextlib.contextmanager
def open_target(
    paths: OutputPaths, schema: pa.Schema, format: Format, options: WriteOptions, journal: Journal | MemoryJournal
) -> Iterator[Target]:
    """Open an output for writing; what is not finished is removed if the block fails.

    Raises:
        OutputError: the output exists, or cannot be written.
    """
    target: Target
    if paths.is_folder and not isinstance(journal, MemoryJournal):
        target = FolderTarget(paths=paths, schema=schema, format=format, options=options, journal=journal)
    else:
        target = FileTarget(paths=paths, schema=schema, format=format, options=options, journal=journal)
    try:
        yield target
    except BaseException:
        target.abort()
        raise


def open_claim(paths: OutputPaths) -> FolderClaim | None:
    """The claim on an output that is a folder in a storage; None for other outputs."""
    return FolderClaim(paths.destination, str(paths.work_folder)) if paths.is_folder and paths.path is None else None


def restore_replaced_folder(paths: OutputPaths) -> None:
    """Put an old folder back that an earlier run had moved away before it ended without replacing it."""
    if paths.is_folder and paths.path is not None and paths.work_folder is not None:
        old = paths.work_folder / OLD
        if old.exists() and not paths.path.exists():
            with translate_write_errors(paths.destination):
                os.rename(old, paths.path)


def _check_replaceable(paths: OutputPaths, options: WriteOptions) -> None:
    """Check that a folder at the destination was written by a scoring run; no other is ever replaced.

    It may be empty, or a finished data set if `options.overwrite` is True. The manifest beside it shows which files
    belong to the data set.

    Raises:
        OutputError: the folder holds other files, or a data set that must not be replaced; or its storage refuses.
    """
    # `list_published_names` reads the manifest. A file that it does not list was put there by somebody else.
    names = set(paths.list_names()) - {SENDING}
    if not names:
        return
    others = sorted(names - list_published_names(paths) - {SUCCESS})
    if SUCCESS not in names or others:
        raise OutputError(
            f"{paths.destination} holds other things than a finished data set with its manifest ({listed(others, 3)}), "
            "so it is not replaced. Move them, or name another output."
        )
    if not options.overwrite:
        raise OutputError.exists(paths.destination)
