"""Checks that an output appears whole or not at all: nothing before `commit`, no trace after `abort`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sentiment_batch.errors import OutputError
from sentiment_batch.testing.checks import Broken, check, named, nothing_told, refused
from sentiment_batch.testing.writing import WritingSuite

if TYPE_CHECKING:
    from sentiment_batch.data.writers.base import Writer

STAGES = ("it was opened", "rows were written", "a write failed", "it was sealed")
ROWS = 100


class WriterPublication(WritingSuite):
    """What others see of an output, and when."""

    @check
    def test_nothing_is_seen_before_commit(self) -> None:
        """Nobody sees anything at the destination before `commit`: not when it is opened, nor while rows are written,
        nor when it is sealed. Afterwards all is there."""
        folder, location = self.place()
        before = set(self.traces(folder))
        with self._until(location, "it was sealed") as (writer, reached):
            for stage in reached:
                if self.is_there(location):
                    raise Broken(f"Something is at the destination when {stage}, before `commit`.")
            writer.commit()
        if not self.is_there(location):
            raise Broken("Nothing is there after `commit`.")
        self.check_same(self.table(ROWS), self.read(location))
        self._check_only_the_output(before, set(self.traces(folder)), location, folder)

    @pytest.mark.parametrize("stage", STAGES)
    @check
    def test_abort_leaves_no_trace(self, stage: str) -> None:
        """`abort` takes away all that was made, whether or not rows were written, also after a failure, and may be
        called twice."""
        folder, location = self.place()
        before = set(self.traces(folder))
        with nothing_told(), self._until(location, stage) as (writer, reached):
            list(reached)
            writer.abort()
            self._check_gone(folder, location, before, f"`abort` when {stage}")
            writer.abort()
            self._check_gone(folder, location, before, f"the second `abort` when {stage}")

    @check
    def test_abort_makes_room_for_the_next(self) -> None:
        """After `abort` the same destination can be written to, as by a run that goes on."""
        _, location = self.place()
        with self._until(location, "rows were written") as (writer, reached):
            list(reached)
            writer.abort()
        self.write(location, self.table(3))
        self.check_same(self.table(3), self.read(location))

    @check
    def test_what_exists_is_not_replaced_unasked(self) -> None:
        """A destination that exists is refused, when it is opened, with an `OutputError` of one line, and stays as it
        was."""
        folder, location = self.place()
        self.write(location, self.table(5))
        before = set(self.traces(folder))
        refused(OutputError, lambda: self._opened_and_left(location), named(location))
        self.check_same(self.table(5), self.read(location))
        self.check_traces(folder, before, "the refusal")

    @check
    def test_overwrite_replaces_what_exists(self) -> None:
        """With `options.overwrite` the old table is there until `commit`, and the new one alone afterwards."""
        _, location = self.place()
        self.write(location, self.table(5))
        new = self.table(7, start=100)
        writer = self.open(location, new.schema, overwrite=True)
        try:
            for batch in new.to_batches():
                writer.write(batch)
            if not self.is_there(location):
                raise Broken("The old table was gone before `commit`.")
            writer.commit()
        except BaseException:
            writer.abort()
            raise
        self.check_same(new, self.read(location))

    @check
    def test_what_was_to_be_replaced_stays_where_it_is_given_up(self) -> None:
        """With `options.overwrite`, too, `abort` leaves everything as it was: the old table stays."""
        folder, location = self.place()
        self.write(location, self.table(5))
        before = set(self.traces(folder))
        with self._until(location, "rows were written", overwrite=True) as (writer, reached):
            list(reached)
            writer.abort()
        self.check_same(self.table(5), self.read(location))
        self.check_traces(folder, before, "`abort`")

    @check
    def test_a_place_that_cannot_be_written_is_named(self) -> None:
        """A destination that cannot be written makes an `OutputError` of one line that names it."""
        folder, _ = self.place()
        location = self.unwritable(folder)
        if location is None:
            pytest.skip("the suite names in `unwritable` no place that cannot be written to")
        refused(OutputError, lambda: self.write(str(location), self.table(3)), named(str(location)))

    @check
    def test_a_place_that_goes_away_is_named(self) -> None:
        """What cannot be written any more, for its folder has gone, makes an `OutputError` of one line that names the
        destination, at the latest in `commit`; `abort` has nothing to say about it then."""
        folder, location = self.place()
        if "://" in location or os.name == "nt":
            pytest.skip("no folder can be taken away here")
        table = self.table(3)
        writer = self.open(location, table.schema)
        shutil.rmtree(folder)

        def fill() -> None:
            for batch in table.to_batches():
                writer.write(batch)
            writer.commit()

        with nothing_told():
            refused(OutputError, fill, named(location))
            writer.abort()

    @check
    def test_a_seal_tells_what_will_be_there(self) -> None:
        """A writer of files may have `seal()`, which gives a `Sealed`: the number of bytes that `commit` will publish
        and their SHA-256. The second time it only tells the same."""
        _, location = self.place()
        with self._until(location, "rows were written") as (writer, reached):
            list(reached)
            first, again = _sealed(writer), _sealed(writer)
            if first is None:
                pytest.skip("the writer has no seal()")
            if first != again:
                raise Broken(f"seal() gave {first}, and the second time {again}.")
            writer.commit()
        data = Path(location).read_bytes()
        if (first.bytes, first.sha256) != (len(data), hashlib.sha256(data).hexdigest()):
            raise Broken(f"seal() gave {first}, and {len(data):,} other bytes were published.")

    @contextlib.contextmanager
    def _until(self, location: str, stage: str, **options: Any) -> Any:
        """A writer, and what brings it to a stage step by step; it is aborted if a check fails."""
        table = self.table(ROWS)
        writer = self.open(location, table.schema, **options)

        def reached() -> Any:
            yield "it was opened"
            if stage == "it was opened":
                return
            for batch in table.to_batches(max_chunksize=ROWS // 2):
                writer.write(batch)
                yield "rows were written"
            if stage == "a write failed":
                with contextlib.suppress(Exception):
                    writer.write(None)
                yield stage
            if stage == "it was sealed":
                _sealed(writer)
                yield stage

        try:
            yield writer, reached()
        except BaseException:
            writer.abort()
            raise

    def _opened_and_left(self, location: str) -> None:
        self.open(location, self.table(5).schema).abort()

    def _check_gone(self, folder: Path, location: str, before: set[str], what: str) -> None:
        if self.is_there(location):
            raise Broken(f"Something is at the destination after {what}.")
        self.check_traces(folder, before, what)

    def _check_only_the_output(self, before: set[str], after: set[str], location: str, folder: Path) -> None:
        """Of files, those that are new are the output."""
        own = os.path.relpath(location, folder) if "://" not in location else None
        left = [name for name in after - before if own is not None and name.split(os.sep)[0] != own.split(os.sep)[0]]
        if left:
            raise Broken(f"Beside the output there is also {sorted(left)} after `commit`.")


def _sealed(writer: Writer) -> Any:
    seal = getattr(writer, "seal", None)
    return None if seal is None else seal()
