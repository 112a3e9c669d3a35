"""The suite for readers: all their checks, and those of complete scoring runs from the reader to a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sentiment_batch.records import ReadOptions
from sentiment_batch.testing.checks import Broken, check
from sentiment_batch.testing.compare import describe_difference
from sentiment_batch.testing.reader_failures import ReaderFailures
from sentiment_batch.testing.reader_rows import ReaderRows
from sentiment_batch.testing.reader_splits import ReaderSplits

if TYPE_CHECKING:
    from sentiment_batch.scoring.job import ScoreJob


class ReaderSuite(ReaderRows, ReaderSplits, ReaderFailures):
    """All checks of the protocol of a reader.

    A subclass has the method `location`, and states what the format cannot do:

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
        plugin: the module or object with the hooks. Default: the installed plugins.
        format: the name of the format, if locations do not show it.
        options: fields of `ReadOptions` for every reader.
        schema: the schema of all tables, if the columns of the format are fixed. Default: any columns are possible.
        types: the Arrow types that the format supports. Default: all of `sample_types()`.
        keeps_types: True if types come back unchanged; False if they may come back as text or a wider type.
        null_is_empty: True if a null and an empty text are the same.
        resumable: True if an interrupted run can be resumed.
        checksums: True if every changed byte is detected.
        repeated_names: True if an input can have two columns with the same name.
        many_rows: number of rows of a table that needs more than one batch.
        seconds: a call that takes longer counts as one that never ends.
        large_rows: number of rows of the table whose memory use is measured. 0 skips that check.

    Optional methods: `holds(text)`, whether the format can store a text; `missing(location)`, a location that does not
    exist; and `malformed(folder)`, which stores three rows, the second of which is malformed.
    """

    @check
    def test_a_run_scores_every_row_in_its_place(self) -> None:
        """A run over the input writes all rows unchanged and in order, each with the sentiment of its own text."""
        from sentiment_batch.testing import runs

        job = self._job("whole.parquet")
        runs.run(job)
        self._check_scored(job)

    @check
    def test_an_interrupted_run_can_be_resumed(self) -> None:
        """A resumed run scores no row twice, and its output is byte for byte that of an uninterrupted run. A run starts
        over if a change of the input cannot be noticed; set `resumable = False` then."""
        from sentiment_batch.testing import runs

        # One run to the end, one that is interrupted and then run again.
        whole, job = self._job("whole.parquet"), self._job("resumed.parquet")
        runs.run(whole)
        runs.interrupt(job, blocks=3)
        resumed = runs.run(job).rows_resumed
        if Path(job.destination).read_bytes() != Path(whole.destination).read_bytes():
            raise Broken("The output of a resumed run is not the output of an uninterrupted run.")
        if self.resumable and not resumed:
            raise Broken("An interrupted run started over: the reader has no identity(), and the input is not a file.")

    @check
    def test_identity_changes_with_the_input(self) -> None:
        """`identity()` returns plain values, such as JSON can store. They are equal as long as the input is unchanged,
        and differ if its rows may differ. For a file, its size and time of change suffice. If a change cannot be
        noticed, set `resumable = False`."""
        if not self.resumable:
            pytest.skip("the suite sets `resumable = False`")
        folder = self.folder()
        location = str(self.location(self.table(20), folder))
        first, again = self._identity(location), self._identity(location)
        if first is None:
            raise Broken(
                "A change of the input cannot be noticed: the reader has no identity(), and the input is not a file."
            )
        if json.dumps(first) != json.dumps(again):
            raise Broken(f"identity() returned {first} and then {again} for an unchanged input.")
        # Another input at the same place. A suite may also give it another location, which is a change in itself.
        if str(self.location(self.table(23), folder)) == location and self._identity(location) == first:
            raise Broken(f"identity() still returns {first}, although the input has other rows now.")

    def _identity(self, location: str) -> Any:
        from sentiment_batch.scoring.output.fingerprint import read_input_state

        with self.opened(location) as reader:
            return read_input_state(reader, location, self.format)

    def _job(self, name: str) -> ScoreJob:
        """A run from the input to a Parquet file."""
        from sentiment_batch.testing import runs

        return runs.make_job(
            self.place(runs.NUM_ROWS),
            str(self.folder() / name),
            self.text_column(),
            input_format=self.format,
            read=ReadOptions(**self.options),
        )

    def _check_scored(self, job: ScoreJob) -> None:
        import pyarrow.parquet as pq

        from sentiment_batch.testing import runs

        scored, rows = pq.read_table(job.destination), self.read(job.source)
        difference = describe_difference(
            rows, scored.select(range(rows.num_columns)), same_types=False, null_is_empty=False
        )
        if difference is not None:
            raise Broken(difference)
        runs.check_scores(scored, rows[self.text_column()].to_pylist())
