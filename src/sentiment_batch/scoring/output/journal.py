"""The progress of a scoring run: which parts are finished, so that a later run can resume after them.

`Journal` keeps the parts in a work folder; see `part_files` for what lies there. `MemoryJournal` keeps nothing on disk.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch.data.writers.write_errors import translate_write_errors
from sentiment_batch.errors import OutputError
from sentiment_batch.files import atomic
from sentiment_batch.files.checksums import checked_json, hash_json, read_checked_json
from sentiment_batch.files.lock import LOCK_FILES, FolderLock
from sentiment_batch.scoring.output.fingerprint import list_changes
from sentiment_batch.scoring.output.own_files import refuse_foreign_files, remove_own_file, remove_work_folder
from sentiment_batch.scoring.output.part_files import (
    DATA,
    JOB,
    MANIFEST,
    SCRATCH,
    Part,
    PartFiles,
    describe_part,
    name_scores_file,
    pack_scores,
)
from sentiment_batch.scoring.output.run_record import remove_run_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentiment_batch.model.probabilities import Floats

FORMAT = 3
"""The format of job.json; a work folder of another format cannot be resumed."""
_CURE = "Repeat the command of that run to resume it, or start over with `restart=True`."


@dataclass(slots=True, eq=False)
class MemoryJournal:
    """The parts of an output that no later run can resume, such as standard output: they are counted, not stored."""

    parts: list[Part] = field(default_factory=list)
    """The parts that are finished."""
    scratch: str | None = None
    """There is no folder for files that are being written."""

    @property
    def rows(self) -> int:
        """Rows of the finished parts."""
        return sum(part.rows for part in self.parts)

    def add_scores(self, scores: Floats, counts: dict[str, Any], problems: bytes = b"") -> None:
        """Count the next part; arguments as for `Journal.add_scores`."""
        self.parts.append(Part(index=len(self.parts), rows=len(scores), counts=counts, file="", bytes=0, sha256=""))

    def find_scores(self, start: int, rows: int) -> None:
        """No earlier run left scores."""
        return None


@dataclass(slots=True, eq=False)
class Journal:
    """The work folder of one output, locked for this process. Close it.

    Args:
        folder: the work folder.
        destination: the output, for messages.

    Raises:
        OutputError: another process writes to this output, or the folder cannot be made.
    """

    folder: Path
    """The work folder."""
    destination: str
    """The output, for messages."""
    parts: list[Part] = field(default_factory=list)
    """The finished parts, from the first row on without a gap."""
    ahead: dict[int, Part] = field(default_factory=dict)
    """Finished parts after a gap, by their index; several workers finish parts in any order."""
    damaged: Path | None = field(default=None, init=False)
    """The record of a part that an earlier run left damaged."""
    _files: PartFiles = field(init=False)
    _resumable: bool = field(default=False, init=False)
    """True if a later run can resume the parts of this run."""
    _begun: bool = field(default=False, init=False)
    """True if the content of the folder belongs to this run; before `begin` it belongs to an interrupted run."""
    _lock: FolderLock | None = field(default=None, init=False)
    """Keeps other processes from the folder; None once the journal is closed."""
    _last_scores: tuple[int, Floats] | None = field(default=None, init=False)
    """The index and the scores of the part that was read last."""

    def __post_init__(self) -> None:
        self._files = PartFiles(self.folder)
        with self._translating_errors():
            # The folder will be emptied. Through a link, that could be any folder of the user.
            if self.folder.is_symlink() or (self.folder / DATA).is_symlink():
                raise OutputError(f"the work folder {self.folder} is or holds a link. Remove the link.")
            for folder in (self.folder, get_leftovers_folder(self.folder)):
                refuse_foreign_files(folder)
            self._lock = FolderLock(self.folder, self.destination)

    @property
    def rows(self) -> int:
        """Rows of the finished parts before the first gap."""
        return sum(part.rows for part in self.parts)

    @property
    def finished_rows(self) -> int:
        """Rows of all finished parts."""
        return self.rows + sum(part.rows for part in self.ahead.values())

    @property
    def scratch(self) -> str:
        """The folder for files that are being written."""
        return str(self.folder / SCRATCH)

    @property
    def can_resume(self) -> bool:
        """True if a later run can resume after what is finished now."""
        return self._resumable and bool(self.parts or self.ahead)

    def begin(self, job: dict[str, Any] | None, *, restart: bool, gaps: bool = False) -> None:
        """Take over the parts that an earlier run of the same job left, or start over.

        Args:
            job: what decides the bytes of the output; None if no later run can resume this one.
            restart: start over, even if an earlier run left parts.
            gaps: take over the parts after a missing one, too, because this run can do the missing one alone.

        Raises:
            OutputError: parts of another job are there, or the folder cannot be written.
        """
        with self._translating_errors():
            # Find what the earlier run left. Records of parts carry the digest of their job, so parts of another job
            # that was begun in the same folder are not taken for parts of this one.
            stored = read_checked_json(self.folder / JOB)
            self._files = PartFiles(self.folder, None if stored is None else hash_json(stored))
            parts: list[Part] = []
            ahead: dict[int, Part] = {}
            published = False
            if not restart and stored not in ({}, {"format": FORMAT, "job": None}):  # those cannot be resumed
                parts, self.damaged = self._files.find_first()
                ahead = self._files.find_beyond(len(parts))
                published = (self.folder / MANIFEST).exists()
            # Refuse before anything is deleted: hours of finished work may lie here
            if parts or ahead or published:
                self._check_same_job(stored, job)
            if restart:
                remove_run_record(self.folder)
            # Remove the rest. A part after a gap is of no use to a run that scores row after row.
            ahead = ahead if gaps else {}
            remove_work_folder(get_leftovers_folder(self.folder))
            for path in self._files.list_others([*parts, *ahead.values()], published=published):
                remove_own_file(path)
            self._begun, self._resumable, self.parts, self.ahead = True, job is not None, parts, ahead
            (self.folder / SCRATCH).mkdir(exist_ok=True)
            # A resumed run keeps the stored description, even if it differs in what `list_changes` allows
            if not parts and not ahead:
                description = {"format": FORMAT, "job": job}
                self._files = PartFiles(self.folder, hash_json(description))
                atomic.write_whole(self.folder / JOB, checked_json(description))

    def add(self, part: Part, problems: bytes = b"") -> None:
        """Record a part whose data are safe on disk.

        Args:
            part: the part.
            problems: its bad rows, as JSON lines.

        Raises:
            OutputError: it could not be recorded; the parts before it stay.
        """
        with self._translating_errors():
            self.ahead[part.index] = self._files.write(part, problems)
        # A part that fills a gap also brings those that were waiting after it
        while (following := self.ahead.pop(len(self.parts), None)) is not None:
            self.parts.append(following)

    def adopt(self, part: Part, data: bytes | Path, problems: bytes = b"") -> None:
        """Make a worker's attempt the part, in whatever order; only this decides which attempt counts.

        Args:
            part: the part.
            data: the content of its file, or a file on the same disk that is moved to its place, safe on disk.
            problems: its bad rows, as JSON lines.

        Raises:
            OutputError: as for `add`.
        """
        with self._translating_errors():
            self._files.write_data(part, data)
        self.add(part, problems)

    def add_scores(self, scores: Floats, counts: dict[str, Any], problems: bytes = b"") -> None:
        """Store the scores of the next part, and record it.

        Args:
            scores: (rows, labels) the probabilities.
            counts: what `Tally.to_json` gives.
            problems: its bad rows, as JSON lines.

        Raises:
            OutputError: as for `add`.
        """
        index, data = len(self.parts), pack_scores(scores)
        part = describe_part(index, rows=len(scores), counts=counts, file=name_scores_file(index), data=data)
        self.adopt(part, data, problems)

    def find_scores(self, start: int, rows: int) -> Floats | None:
        """The probabilities (rows, labels) of `rows` rows of one part, from the row `start` on; None if not finished.

        Raises:
            OutputError: the part cannot be read any more.
        """
        first = 0
        for part in self.parts:  # there are few thousand at most
            if start < first + part.rows:
                scores = self._read_scores(part)
                return scores[start - first : start - first + rows]
            first += part.rows
        return None

    def read_problems(self) -> Iterator[bytes]:
        """The bad rows of each part that has some, in order, as JSON lines."""
        for part in self.parts:
            if part.problems is not None:
                yield self._files.read_problems(part)

    def close(self, *, resumable: bool) -> None:
        """Unlock the folder. It stays only if `resumable` is True and it holds finished parts."""
        if self._lock is None:
            return
        # Before `begin`, the content belongs to the earlier run and stays. Only an empty folder was made by this one.
        if resumable and self.can_resume:
            atomic.remove(self.folder / SCRATCH)
        elif self._begun or not resumable:
            self._remove()
        elif set(os.listdir(self.folder)) <= LOCK_FILES:
            remove_work_folder(self.folder)
        self._lock.release()
        self._lock = None

    def _remove(self) -> None:
        """Remove the folder; it is renamed first, so that no later run resumes from a half of it.

        If an earlier run died in this, its leftovers are removed last: they show that the output was complete. For an
        output without a manifest, the record of the run shows it.
        """
        leftovers = get_leftovers_folder(self.folder)
        try:
            os.rename(self.folder, leftovers)
        except OSError:  # leftovers of an earlier run are there, or the system refuses
            remove_work_folder(self.folder)
        remove_work_folder(leftovers)
        remove_run_record(self.folder)

    def _read_scores(self, part: Part) -> Floats:
        if self._last_scores is None or self._last_scores[0] != part.index:
            with self._translating_errors():
                self._last_scores = part.index, self._files.read_scores(part)
        return self._last_scores[1]

    def _check_same_job(self, stored: dict[str, Any] | None, job: dict[str, Any] | None) -> None:
        """Refuse to resume the parts of another job, or of one that nothing describes any more."""
        if stored is None:
            raise self._make_damage_error()
        if stored.get("format") != FORMAT:
            raise OutputError(
                f"{self.destination} was begun by another version of sentiment-batch, whose parts this version cannot "
                "resume. Finish it with that version, or start over with `restart=True`."
            )
        if job is None:
            raise OutputError(
                f"{self.destination} was begun by another run, which can be resumed; this one cannot. {_CURE}"
            )
        try:
            changes = list_changes(stored["job"], job)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._make_damage_error() from None
        refuse_changes(self.destination, changes)

    def _make_damage_error(self) -> OutputError:
        return OutputError(
            f"{self.destination} was begun by a run that cannot be resumed, because its description "
            f"{self.folder / JOB} is missing or damaged. Start over with `restart=True`."
        )

    def _translating_errors(self) -> AbstractContextManager[None]:
        return translate_write_errors(str(self.folder))


def refuse_changes(destination: str, changes: list[str]) -> None:
    """Refuse to resume a run from which this one differs.

    Raises:
        OutputError: there are changes, each in a few words.
    """
    if changes:
        raise OutputError(f"{destination} was begun by another run: {'; '.join(changes)}. {_CURE}")


def get_leftovers_folder(folder: Path) -> Path:
    """The name of a work folder while it is removed."""
    return folder.with_name(f"{folder.name}.done")
