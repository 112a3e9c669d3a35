"""Checks that an output appears completely or not at all: not before `commit`, and nothing is left after `abort`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sentiment_batch.errors import OutputError
from sentiment_batch.testing.checks import Broken, check, check_no_warnings, check_refuses, shown_name
from sentiment_batch.testing.writing import WritingSuite

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.data.writers.base import Writer
    from sentiment_batch.plugins.registry import Format

STAGES = ("it was opened", "rows were written", "a write failed", "it was finished")
RUN_IDS = ("0a1b2c3d", "4e5f6a7b")
NUM_ROWS = 100


class WriterPublication(WritingSuite):
    """What others see of an output at each moment."""

    @check
    def test_nothing_is_visible_before_commit(self) -> None:
        """Nothing is visible at the destination before `commit`: not after opening, while rows are written, or after
        `finish`. After `commit` all rows are there."""
        folder, location = self.place()
        before, table = set(self.traces(folder)), self.table(NUM_ROWS)
        with self.opened(location, table.schema) as writer:
            for stage in _reach("it was finished", writer, table):
                if self.is_there(location):
                    raise Broken(f"There is an output at the destination when {stage}, before `commit`.")
            writer.commit()
        if not self.is_there(location):
            raise Broken("There is no output after `commit`.")
        self.check_same(table, self.read(location))
        if "://" not in location:
            # The output itself may be a folder of files. Nothing else may be left, such as a temporary file.
            output = Path(os.path.relpath(location, folder)).parts[0]
            left = [name for name in set(self.traces(folder)) - before if Path(name).parts[0] != output]
            if left:
                raise Broken(f"`commit` left {sorted(left)} beside the output.")

    @pytest.mark.parametrize("stage", STAGES)
    @check
    def test_abort_leaves_nothing_behind(self, stage: str) -> None:
        """`abort` removes everything that the writer made, whether or not rows were written, even after an error. It
        may be called twice."""
        folder, location = self.place()
        before, table = set(self.traces(folder)), self.table(NUM_ROWS)
        with check_no_warnings(), self.opened(location, table.schema) as writer:
            list(_reach(stage, writer, table))
            for what in ("`abort`", "the second `abort`"):
                writer.abort()
                if self.is_there(location):
                    raise Broken(f"There is an output at the destination after {what} when {stage}.")
                self.check_traces(folder, before, f"{what} when {stage}")

    @check
    def test_the_destination_is_free_after_abort(self) -> None:
        """After `abort` the same destination can be written again, as a resumed run does."""
        _, location = self.place()
        self._write_and_abort(location)
        self.write(location, self.table(3))
        self.check_same(self.table(3), self.read(location))

    @check
    def test_an_existing_output_is_not_replaced_unasked(self) -> None:
        """Opening a destination that exists raises an `OutputError` of one line, and the output stays unchanged."""
        (folder, location), table = self.place(), self.table(5)
        self.write(location, table)
        before = set(self.traces(folder))
        check_refuses(OutputError, lambda: self.open(location, table.schema).abort(), shown_name(location))
        self.check_same(table, self.read(location))
        self.check_traces(folder, before, "the refusal")

    @check
    def test_overwrite_replaces_an_existing_output(self) -> None:
        """With `options.overwrite` the old output stays until `commit`. Afterwards there is only the new one."""
        _, location = self.place()
        self.write(location, self.table(5))
        new = self.table(7, start=100)
        with self.opened(location, new.schema, overwrite=True) as writer:
            for batch in new.to_batches():
                writer.write(batch)
            if not self.is_there(location):
                raise Broken("The old output was removed before `commit`.")
            writer.commit()
        self.check_same(new, self.read(location))

    @check
    def test_abort_keeps_the_output_to_be_replaced(self) -> None:
        """With `options.overwrite`, too, `abort` changes nothing: the old output stays."""
        folder, location = self.place()
        self.write(location, self.table(5))
        before = set(self.traces(folder))
        self._write_and_abort(location, overwrite=True)
        self.check_same(self.table(5), self.read(location))
        self.check_traces(folder, before, "`abort`")

    @check
    def test_an_unwritable_destination_is_named(self) -> None:
        """A destination that cannot be written raises an `OutputError` of one line that names it."""
        folder, _ = self.place()
        location = self.unwritable(folder)
        if location is None:
            pytest.skip("`unwritable` returns no location")
        check_refuses(OutputError, lambda: self.write(str(location), self.table(3)), shown_name(str(location)))

    @check
    def test_a_destination_whose_folder_vanishes_is_named(self) -> None:
        """If the folder of the destination vanishes, `commit` or an earlier call raises an `OutputError` of one line
        that names the destination. `abort` raises nothing then."""
        folder, location = self.place()
        if "://" in location or os.name == "nt":
            pytest.skip("the destination has no folder that could be removed")
        table = self.table(3)
        writer = self.open(location, table.schema)
        shutil.rmtree(folder)

        def fill() -> None:
            for batch in table.to_batches():
                writer.write(batch)
            writer.commit()

        with check_no_warnings():
            check_refuses(OutputError, fill, shown_name(location))
            writer.abort()

    @check
    def test_finish_returns_the_size_and_digest(self) -> None:
        """A writer of files may have `finish()`. It returns a `FinishedFile` with the number of bytes that `commit`
        will publish, and their SHA-256. A second call returns an equal record."""
        (_, location), table = self.place(), self.table(NUM_ROWS)
        with self.opened(location, table.schema) as writer:
            list(_reach("rows were written", writer, table))
            first, again = _finish(writer), _finish(writer)
            if first is None:
                pytest.skip("the writer has no finish()")
            if first != again:
                raise Broken(f"finish() returned {first} and then {again}.")
            writer.commit()
        data = Path(location).read_bytes()
        if (first.bytes, first.sha256) != (len(data), hashlib.sha256(data).hexdigest()):
            raise Broken(f"finish() returned {first}, but {len(data):,} other bytes were published.")

    @check
    def test_the_run_id_is_that_of_the_published_output(self) -> None:
        """A writer may register `find_run_id`. It returns the `options.run_id` of the run that published the output. So
        it is None before the first `commit`, the old ID until the next `commit`, and None if that run has no ID. The
        same holds for `has_run_id`, which is True for this ID and False for all others."""
        from sentiment_batch.data import formats

        (_, location), table = self.place(), self.table(NUM_ROWS)
        format = formats.find_writer_format(location, self.format)
        if not format.stores_run_id:
            pytest.skip("the writer registers no find_run_id and no has_run_id")
        published: str | None = None
        for run_id in (*RUN_IDS, None):
            # An aborted run publishes nothing, so its ID must not show either.
            for ends in ("abort", "commit"):
                with self.opened(location, table.schema, overwrite=True, run_id=run_id) as writer:
                    list(_reach("it was finished", writer, table))
                    _check_run_id(location, format, published, f"before `{ends}`")
                    getattr(writer, ends)()
                published = run_id if ends == "commit" else published
                _check_run_id(location, format, published, f"after `{ends}`")
        self.check_same(table, self.read(location))

    def _write_and_abort(self, location: str, **options: Any) -> None:
        table = self.table(NUM_ROWS)
        with self.opened(location, table.schema, **options) as writer:
            list(_reach("rows were written", writer, table))
            writer.abort()


def _reach(stage: str, writer: Writer, table: pa.Table) -> Iterator[str]:
    """Bring a writer to a stage step by step, and yield what has happened."""
    yield "it was opened"
    if stage == "it was opened":
        return
    for batch in table.to_batches(max_chunksize=NUM_ROWS // 2):
        writer.write(batch)
        yield "rows were written"
    # No writer takes None. Whether it raises an error or fails half-way, `abort` must clean up.
    if stage == "a write failed":
        with contextlib.suppress(Exception):
            writer.write(None)
        yield stage
    if stage == "it was finished":
        _finish(writer)
        yield stage


def _check_run_id(location: str, format: Format, published: str | None, when: str) -> None:
    """Check what the writer says about the ID of the run that published the output.

    Raises:
        Broken: it names another run.
    """
    from sentiment_batch.data import formats

    truth = f"but the ID of the published output is {published!r}."
    if format.has_run_id is None:
        if (found := formats.find_run_id(location, format)) != published:
            raise Broken(f"find_run_id() returned {found!r} {when}, {truth}")
        return
    for run_id in RUN_IDS:
        if (answer := formats.has_run_id(location, format, run_id)) != (run_id == published):
            raise Broken(f"has_run_id() returned {answer} for {run_id!r} {when}, {truth}")


def _finish(writer: Writer) -> Any:
    finish = getattr(writer, "finish", None)
    return None if finish is None else finish()
