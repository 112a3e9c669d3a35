"""The suite for writers: all their checks, and those of complete scoring runs from a file to the writer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentiment_batch.records import WriteOptions
from sentiment_batch.testing.checks import Broken, check
from sentiment_batch.testing.writer_publication import WriterPublication
from sentiment_batch.testing.writer_rows import WriterRows

if TYPE_CHECKING:
    from sentiment_batch.scoring.job import ScoreJob


class WriterSuite(WriterRows, WriterPublication):
    """All checks of the protocol of a writer.

    A subclass has the method `location`, and `read` if no reader of this format is installed:

        class TestMarkdownWriter(WriterSuite):
            types = [pa.string(), pa.int64()]

            def location(self, folder):
                return folder / "scored.md"

            def read(self, location):
                ...  # return the written rows as a pyarrow.Table

    Attributes:
        plugin: the module or object with the hooks. Default: the installed plugins.
        format: the name of the format, if locations do not show it.
        options: fields of `WriteOptions` for every writer.
        schema: the schema of all tables, if the columns of the format are fixed. Default: any columns are possible.
        types: the Arrow types that the format supports. Default: all of `sample_types()`. Any other type must be
            refused with an error of one line, or come back with equal values as another type.
        keeps_types: True if types come back unchanged; False if they may come back as text or a wider type.
        null_is_empty: True if a null and an empty text are the same.
        many_rows: number of rows of a table that needs more than one batch.

    Optional methods: `holds(text)`, whether the format can store a text; and, for outputs that are not files,
    `is_there(location)`, whether others see an output; `traces(folder)`, the names of everything that was made; and
    `unwritable(folder)`, a location that cannot be written.
    """

    @check
    def test_a_run_writes_every_row_in_its_place(self) -> None:
        """A run writes all rows of its input unchanged and in order, each with the sentiment of its own text."""
        from sentiment_batch.testing import runs

        job = self._job()
        runs.run(job)
        self._check_scored(job)

    @check
    def test_an_interrupted_run_can_be_resumed(self) -> None:
        """An interrupted run leaves nothing at the destination. The resumed run scores the remaining rows, and writes
        all rows as an uninterrupted run does."""
        from sentiment_batch.testing import runs

        job = self._job()
        runs.interrupt(job, blocks=3)
        if self.is_there(job.destination):
            raise Broken("There is an output at the destination, although the run was interrupted.")
        # The same job again finds the stored parts.
        resumed = runs.run(job).rows_resumed
        if resumed != 3 * runs.PART_ROWS:
            raise Broken(f"The resumed run reused {resumed:,} of {3 * runs.PART_ROWS:,} scored rows.")
        self._check_scored(job)

    def _job(self) -> ScoreJob:
        """A run from a Parquet file to the writer."""
        import pyarrow.parquet as pq

        from sentiment_batch.testing import runs

        source = str(self.folder() / "reviews.parquet")
        pq.write_table(self.table(runs.NUM_ROWS), source)
        return runs.make_job(
            source,
            self.place()[1],
            self.text_column(),
            output_format=self.format,
            write=WriteOptions(**self.options),
        )

    def _check_scored(self, job: ScoreJob) -> None:
        from sentiment_batch.testing import runs

        found, table = self.read(job.destination), self.table(runs.NUM_ROWS)
        self.check_same(table, found.select(range(table.num_columns)), same_types=False)
        runs.check_scores(found, table[self.text_column()].to_pylist())
