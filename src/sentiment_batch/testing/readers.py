"""The suite for readers: all checks of its parts, and those of a whole run from the reader to a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sentiment_batch.testing.checks import Broken, check
from sentiment_batch.testing.compare import difference
from sentiment_batch.testing.reader_failures import ReaderFailures
from sentiment_batch.testing.reader_rows import ReaderRows
from sentiment_batch.testing.reader_splits import ReaderSplits

if TYPE_CHECKING:
    from sentiment_batch.scoring.job import Job


class ReaderSuite(ReaderRows, ReaderSplits, ReaderFailures):
    """Every check of the protocol of a reader.

    A subclass has the method `location`, and states what its format cannot do:

        class TestLinesReader(ReaderSuite):
            schema = pa.schema([("text", pa.string())])
            null_is_empty = True

            def holds(self, text):
                return "\\n" not in text

            def location(self, table, folder):
                path = folder / "reviews.txt"
                path.write_text("".join(f"{text or ''}\\n" for text in table["text"].to_pylist()), encoding="utf-8")
                return path

    Attributes:
        plugin: the module or object with the hooks; by default those that are installed are found.
        format: the format's name, where a location does not tell it.
        options: fields of `ReadOptions` to open with.
        schema: the schema of every table, for a format of fixed columns; by default `id` and `review`, and others.
        types: the Arrow types that the format carries; by default all of `sample_types()`.
        keeps_types: whether they come back as the same types; False: as text, or wider, with the same values.
        null_is_empty: whether a null and an empty text are the same.
        resumable: whether a run can go on where it was cut off.
        checksums: whether every changed byte is noticed.
        repeated_names: whether an input can have two columns of one name.
        many_rows: rows of a table that takes more than one batch.
        seconds: after so long a call counts as one that never ends.
        large_rows: rows of the table whose memory is measured; 0 leaves that out.

    Beside `location` there are the methods `holds(text)`, whether the format can hold a text; `missing(location)`, a
    location where nothing is; and `malformed(folder)`, which lays out three rows, the second of which is malformed.
    """

    @check
    def test_a_run_scores_every_row_in_its_place(self) -> None:
        """A run over the input writes all its rows in order, unchanged, each with the sentiment of its own text."""
        from sentiment_batch.testing import runs

        job = self._job("whole.parquet")
        runs.run(job)
        self._check_scored(job)

    @check
    def test_a_run_that_was_cut_off_goes_on(self) -> None:
        """A run that was cut off goes on where it was, without scoring a row again, and writes what an unbroken run
        writes, byte for byte. An input of which nothing tells that it is still the same starts over; the suite then
        states `resumable = False`."""
        from sentiment_batch.testing import runs

        whole, job = self._job("whole.parquet"), self._job("resumed.parquet")
        runs.run(whole)
        runs.cut_off(job, windows=3)
        resumed = runs.run(job).rows_resumed
        if Path(job.destination).read_bytes() != Path(whole.destination).read_bytes():
            raise Broken("What a run wrote that was cut off and gone on with is not what an unbroken run wrote.")
        if self.resumable and not resumed:
            raise Broken("A run that was cut off started over: there is no identity(), and the input is no file.")

    @check
    def test_what_tells_one_state_of_the_input_from_another(self) -> None:
        """`identity()` gives plain values, as JSON has them, that are the same as long as the input is, and differ when
        its rows may; of a file, its size and time of change do. Where nothing can tell, the suite states `resumable =
        False`."""
        if not self.resumable:
            pytest.skip("the suite states `resumable = False`")
        folder = self.folder()
        location = str(self.location(self.table(20), folder))
        first, again = self._identity(location), self._identity(location)
        if first is None:
            raise Broken("Nothing tells its state: there is no identity(), and it is no file.")
        if json.dumps(first) != json.dumps(again):
            raise Broken(f"It was {first}, and is {again}, of an input that nobody changed.")
        if str(self.location(self.table(23), folder)) == location and self._identity(location) == first:
            raise Broken(f"It is still {first} though there are other rows now.")

    def _identity(self, location: str) -> Any:
        from sentiment_batch.data import formats
        from sentiment_batch.plugins.registry import BUILT_IN
        from sentiment_batch.scoring.output.fingerprint import input_identity

        with self.opened(location) as reader:
            ours = formats.reading_format(location, self.format).owner == BUILT_IN
            return input_identity(reader, location, built_in=ours)

    def _job(self, name: str) -> Job:
        """A run over the input into a Parquet file."""
        from sentiment_batch.records import ReadOptions
        from sentiment_batch.scoring.job import Job
        from sentiment_batch.testing import runs

        return Job(
            source=self.place(runs.ROWS),
            destination=str(self.folder() / name),
            text_columns=(self.text_column(),),
            input_format=self.format,
            read=ReadOptions(**self.options),
            part_rows=runs.PART_ROWS,
            quiet=True,
        )

    def _check_scored(self, job: Job) -> None:
        import pyarrow.parquet as pq

        from sentiment_batch.testing import runs

        scored, rows = pq.read_table(job.destination), self.read(job.source)
        said = difference(rows, scored.select(range(rows.num_columns)), same_types=False, null_is_empty=False)
        if said is not None:
            raise Broken(said)
        runs.check_scores(scored, rows[self.text_column()].to_pylist())
