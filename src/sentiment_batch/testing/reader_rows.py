"""Checks that a reader gives the rows that are there: their schema, order and values, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sentiment_batch.errors import InputError
from sentiment_batch.testing.checks import Broken, check, check_line
from sentiment_batch.testing.reading import ReadingSuite
from sentiment_batch.testing.samples import ODD_NAMES
from sentiment_batch.testing.suite import rows_of

if TYPE_CHECKING:
    import pyarrow as pa

WIDE_TEXT = 400
LONG_TEXT = 3_000_000


class ReaderRows(ReadingSuite):
    """The rows as they come out."""

    @check
    def test_rows_come_in_order_with_their_values(self) -> None:
        """The splits, read in the order of their index, give all rows of the input in their order, unchanged, and every
        batch has exactly the schema of the reader, its metadata included."""
        table = self.table(self.many_rows)
        self.check_same(table, self.read(self.place(self.many_rows)))

    @check
    def test_the_schema_is_known_at_once_and_stays(self) -> None:
        """`schema` is there when the reader is opened, before a row is read, and reading does not change it."""
        with self.opened(self.place(50)) as reader:
            before = reader.schema
            rows_of(reader, *reader.splits())
            if not reader.schema.equals(before, check_metadata=True):
                raise Broken(f"The schema was\n{before}\nand is, after the rows were read,\n{reader.schema}")

    @check
    def test_a_table_of_one_row(self) -> None:
        """One row is a table, too."""
        self.check_same(self.table(1), self.read(self.place(1)))

    @check
    def test_a_table_without_rows(self) -> None:
        """A table without rows has its columns and no rows; a format that cannot say so refuses it with an `InputError`
        of one line."""
        table, location = self.table(0), self.place(0)
        try:
            found = self.read(location)
        except InputError as error:
            check_line(str(error))
            return
        self.check_same(table, found, same_types=False)

    @check
    def test_values_of_a_type(self, carried_type: Any) -> None:
        """Each type among `types` comes back with every value as it was, nulls included; where `keeps_types` is stated,
        as the same type."""
        table = self.table_of_type(carried_type)
        self.check_same(table, self.read(self.laid_out(table)))

    @check
    def test_odd_texts(self) -> None:
        """Every text comes out as it stands in the input: blanks, quotes, line breaks, what looks like a number. What
        the format cannot hold, the suite states in `holds`."""
        table = self.odd_table()
        self.check_same(table, self.read(self.laid_out(table)))

    @check
    def test_a_very_long_text(self) -> None:
        """A text may be as long as the format allows; what it does not allow, the suite states in `holds`."""
        text = "so good! " * (LONG_TEXT // 9)
        if not self.holds(text):
            pytest.skip("the suite states in `holds` that the format has no room for it")
        table = self.texts_table(text)
        self.check_same(table, self.read(self.laid_out(table)))

    @check
    def test_odd_names_of_columns(self) -> None:
        """A column may have any name that the format can hold, and keeps it."""
        if self.schema is not None:
            pytest.skip("the columns of the format are fixed")
        table = self.named_table([name for name in ODD_NAMES if self.holds(name)])
        self.check_same(table, self.read(self.laid_out(table)))

    @check
    def test_names_that_repeat(self) -> None:
        """Of two columns of one name neither is lost: both come, under whatever names, or an `InputError` of one line
        says which it is."""
        if not self.repeated_names:
            pytest.skip("the suite states that no input has them")
        table = self.named_table(["review", "id", "review"])
        try:
            found = self.read(self.laid_out(table))
        except InputError as error:
            check_line(str(error))
            return
        if found.num_columns != 3:
            raise Broken(f"There are {found.num_columns} columns where there were 3.")
        self.check_same(table, found.rename_columns(table.schema.names))

    @check
    def test_memory_does_not_grow_with_the_table(self) -> None:
        """Rows are streamed: a table of twice the rows takes no more memory, Arrow's and Python's together."""
        if not self.large_rows:
            pytest.skip("the suite leaves it out: `large_rows` is 0")
        half, whole = self._wide_texts(self.large_rows // 2), self._wide_texts(self.large_rows)
        more = self._most_held(whole) - self._most_held(half)
        if more > (whole.nbytes - half.nbytes) / 2:
            raise Broken(
                f"Between two batches of a table of {whole.nbytes:,} bytes, {more:,} more were held than of one that "
                "has half the rows."
            )

    def _wide_texts(self, rows: int) -> pa.Table:
        """A table of long texts."""
        import pyarrow as pa

        table = self.table(rows)
        place = table.schema.get_field_index(self.text_column())
        field = table.schema.field(place)
        texts = [f"{row} ".ljust(WIDE_TEXT, "x") for row in range(rows)]
        return table.set_column(place, field, pa.array(texts, field.type))

    def _most_held(self, table: pa.Table) -> int:
        """The most bytes that are held, beside those at the start, when a batch has come."""
        import gc
        import tracemalloc

        import pyarrow as pa

        location = self.laid_out(table)
        gc.collect()
        before, most, rows = pa.total_allocated_bytes(), 0, 0
        tracemalloc.start()
        try:
            with self.opened(location) as reader:
                for split in reader.splits():
                    for batch in reader.batches(split):
                        rows += batch.num_rows
                        held = pa.total_allocated_bytes() - before + tracemalloc.get_traced_memory()[0]
                        most = max(most, held)
        finally:
            tracemalloc.stop()
        if rows != table.num_rows:
            raise Broken(f"There are {rows:,} rows where there were {table.num_rows:,}.")
        return most
