"""Checks that a reader returns the stored rows with their schema, order and values, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sentiment_batch.errors import InputError
from sentiment_batch.testing.checks import Broken, catch_refusal, check
from sentiment_batch.testing.reading import ReadingSuite
from sentiment_batch.testing.samples import ODD_NAMES, make_long_text
from sentiment_batch.testing.suite import read_splits

if TYPE_CHECKING:
    import pyarrow as pa

WIDE_TEXT_CHARACTERS = 400


class ReaderRows(ReadingSuite):
    """The rows of whole inputs."""

    @check
    def test_rows_come_in_order_with_their_values(self) -> None:
        """The splits, read in the order of their index, give all rows of the input unchanged and in order. Every batch
        has exactly the schema of the reader, including the metadata."""
        table = self.table(self.many_rows)
        self.check_same(table, self.read(self.place(self.many_rows)))

    @check
    def test_the_schema_is_known_at_once_and_stays(self) -> None:
        """`schema` is known when the reader is opened, before a row is read. Reading does not change it."""
        with self.opened(self.place(50)) as reader:
            before = reader.schema
            read_splits(reader, *reader.splits())
            if not reader.schema.equals(before, check_metadata=True):
                raise Broken(f"The schema was\n{before}\nbut after the rows were read it is\n{reader.schema}")

    @check
    def test_a_table_of_one_row(self) -> None:
        """A table may have a single row."""
        self.check_same(self.table(1), self.read(self.place(1)))

    @check
    def test_a_table_without_rows(self) -> None:
        """A table without rows is read with its columns. A format that cannot store such a table raises an `InputError`
        of one line."""
        if catch_refusal(InputError, lambda: self.read(self.place(0))) is None:
            self.check_same(self.table(0), self.read(self.place(0)), same_types=False)

    @check
    def test_values_of_a_type(self, carried_type: Any) -> None:
        """Each type in `types` comes back with equal values and nulls. If the suite sets `keeps_types`, it comes back
        as the same type."""
        self._check_read_back(self.table_of_type(carried_type))

    @check
    def test_odd_texts(self) -> None:
        """Every text comes back exactly as it was stored, with its blanks, quotes and line breaks, even if it looks
        like a number. Exclude the texts that the format cannot store in `holds`."""
        self._check_read_back(self.odd_table())

    @check
    def test_a_very_long_text(self) -> None:
        """A text may be as long as the format allows. Exclude longer texts in `holds`."""
        text = make_long_text()
        if not self.holds(text):
            pytest.skip("`holds` excludes a text of this length")
        self._check_read_back(self.table_with_text(text))

    @check
    def test_odd_names_of_columns(self) -> None:
        """A column may have any name that the format can store, and keeps it."""
        if self.schema is not None:
            pytest.skip("the columns of the format are fixed")
        self._check_read_back(self.named_table([name for name in ODD_NAMES if self.holds(name)]))

    @check
    def test_names_that_repeat(self) -> None:
        """Of two columns with the same name none is lost. Both are returned, under any names, or an `InputError` of one
        line names them."""
        if not self.repeated_names:
            pytest.skip("the suite does not set `repeated_names`")
        table = self.named_table(["review", "id", "review"])
        location = self.store(table)
        if catch_refusal(InputError, lambda: self.read(location)) is None:
            self.check_same_but_names(table, self.read(location))

    @check
    def test_memory_does_not_grow_with_the_table(self) -> None:
        """Rows are streamed: a table with twice the rows needs no more memory of Arrow and Python together."""
        if not self.large_rows:
            pytest.skip("`large_rows` is 0")
        half, whole = self._wide_texts(self.large_rows // 2), self._wide_texts(self.large_rows)
        # A reader that holds the whole table needs the full size of the further rows, one that streams needs none.
        more = self._most_held(whole) - self._most_held(half)
        if more > (whole.nbytes - half.nbytes) / 2:
            raise Broken(
                f"While it read a table of {whole.nbytes:,} bytes, it held {more:,} bytes more than for a table with "
                "half the rows."
            )

    def _check_read_back(self, table: pa.Table) -> None:
        self.check_same(table, self.read(self.store(table)))

    def _wide_texts(self, rows: int) -> pa.Table:
        """A table of long texts."""
        return self.table_with_texts([f"{row} ".ljust(WIDE_TEXT_CHARACTERS, "x") for row in range(rows)])

    def _most_held(self, table: pa.Table) -> int:
        """The highest number of bytes that are allocated whenever a batch is returned, without those at the start."""
        import gc
        import tracemalloc

        import pyarrow as pa

        location = self.store(table)
        # Arrow's memory and that of Python objects are counted apart. Garbage of earlier checks must not count.
        gc.collect()
        gc.freeze()  # makes the collections below fast, because they leave out all objects of before
        before, most, rows = int(pa.total_allocated_bytes()), 0, 0

        def held() -> int:
            return int(pa.total_allocated_bytes()) - before + tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            with self.opened(location) as reader:
                for split in reader.splits():
                    for batch in reader.batches(split):
                        rows += batch.num_rows
                        if held() > most:
                            gc.collect()  # cycles of a parser that Python has not freed yet are not held by the reader
                            most = max(most, held())
        finally:
            tracemalloc.stop()
            gc.unfreeze()
        if rows != table.num_rows:
            raise Broken(f"There are {rows:,} rows, but should be {table.num_rows:,}.")
        return most
