"""The suite for writers: all checks of its parts, and those of a whole run from a file to the writer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentiment_batch.testing.checks import Broken, check
from sentiment_batch.testing.writer_publication import WriterPublication
from sentiment_batch.testing.writer_rows import WriterRows

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.scoring.job import Job


class WriterSuite(WriterRows, WriterPublication):
    """Every check of the protocol of a writer.

    A subclass has the method `location`, and `read` where no reader of this format is installed:

        class TestMarkdownWriter(WriterSuite):
            types = [pa.string(), pa.int64()]

            def location(self, folder):
                return folder / "scored.md"

            def read(self, location):
                ...  # give what was written as a pyarrow.Table

    Attributes:
        plugin: the module or object with the hooks; by default those that are installed are found.
        format: the format's name, where a location does not tell it.
        options: fields of `WriteOptions` to open with.
        schema: the schema of every table, for a format of fixed columns; by default `id` and `review`, and others.
        types: the Arrow types that the format carries; by default all of `sample_types()`. Any other is refused in one
            line, or comes back with its values under another type.
        keeps_types: whether they come back as the same types; False: as text, or wider, with the same values.
        null_is_empty: whether a null and an empty text are the same.
        many_rows: rows of a table that takes more than one batch.

    Beside `location` and `read` there are the methods `holds(text)`, whether the format can hold a text; and, for what
    is no file, `is_there(location)`, whether others see something there; `traces(folder)`, the names of all that was
    made; and `unwritable(folder)`, a location that cannot be written to.
    """

    @check
    def test_a_run_writes_every_row_in_its_place(self) -> None:
        """A run writes all rows of its input in order, unchanged, each with the sentiment of its own text."""
        from sentiment_batch.testing import runs

        job = self._job()
        runs.run(job)
        self._check_scored(job)

    @check
    def test_a_run_that_was_cut_off_goes_on(self) -> None:
        """A run that was cut off leaves nothing at the destination; the next one scores what is left and writes all
        rows, as an unbroken run does."""
        from sentiment_batch.testing import runs

        job = self._job()
        runs.cut_off(job, windows=3)
        if self.is_there(job.destination):
            raise Broken("Something is at the destination though the run was cut off.")
        resumed = runs.run(job).rows_resumed
        if resumed != 3 * runs.PART_ROWS:
            raise Broken(f"{resumed:,} rows were not scored again, where {3 * runs.PART_ROWS:,} had been scored.")
        self._check_scored(job)

    def _scored_table(self) -> pa.Table:
        from sentiment_batch.testing import runs

        return self.table(runs.ROWS)

    def _job(self) -> Job:
        """A run over a Parquet file to the writer."""
        import pyarrow.parquet as pq

        from sentiment_batch.records import WriteOptions
        from sentiment_batch.scoring.job import Job
        from sentiment_batch.testing import runs

        _, destination = self.place()
        source = self.folder() / "reviews.parquet"
        pq.write_table(self._scored_table(), source)
        return Job(
            source=str(source),
            destination=destination,
            text_columns=(self.text_column(),),
            output_format=self.format,
            write=WriteOptions(**self.options),
            part_rows=runs.PART_ROWS,
            quiet=True,
        )

    def _check_scored(self, job: Job) -> None:
        from sentiment_batch.testing import runs

        found, table = self.read(job.destination), self._scored_table()
        self.check_same(table, found.select(range(table.num_columns)), same_types=False)
        runs.check_scores(found, table[self.text_column()].to_pylist())
