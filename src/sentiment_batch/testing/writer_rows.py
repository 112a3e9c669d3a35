"""Checks that written rows read back with their order, values, types and names, in batches of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sentiment_batch.errors import InputError, OutputError
from sentiment_batch.testing.checks import Broken, catch_refusal, check
from sentiment_batch.testing.samples import ODD_NAMES, ODD_TEXTS, make_long_text
from sentiment_batch.testing.writing import WritingSuite

if TYPE_CHECKING:
    import pyarrow as pa

LABELS = ("negative", "neutral", "positive")


class WriterRows(WritingSuite):
    """The rows that are read back."""

    @check
    def test_rows_read_back_in_order_with_their_values(self) -> None:
        """After `commit` all rows are there, unchanged and in order."""
        self._check_round_trip(self.table(self.many_rows), 4_096)

    @check
    def test_a_table_of_one_row(self) -> None:
        """A table may have a single row."""
        self._check_round_trip(self.table(1))

    @check
    def test_a_table_without_rows(self) -> None:
        """A table without rows is published, too. Its reader may refuse it with an `InputError` of one line, because
        the format cannot store the columns alone."""
        _, location = self.place()
        self.write(location, self.table(0))
        if not self.is_there(location):
            raise Broken("There is no output after `commit`.")
        if catch_refusal(InputError, lambda: self.read(location)) is None:
            self.check_same(self.table(0), self.read(location), same_types=False)

    @check
    def test_many_small_batches(self) -> None:
        """Batches may have any size. They are often slices of larger batches, so their values do not begin at offset
        0."""
        self._check_round_trip(self.table(300), 1)

    @check
    def test_batches_without_rows(self) -> None:
        """A batch may have no rows, whether it is the first, the last, or between others."""
        import pyarrow as pa

        table, (_, location) = self.table(10), self.place()
        empty, full = [pa.RecordBatch.from_pylist([], schema=table.schema)], table.to_batches()
        self.write_batches(location, table.schema, [*empty, *full, *empty, *full, *empty])
        self.check_same(pa.concat_tables([table, table]), self.read(location))

    @check
    def test_values_of_a_type(self, written_type: Any) -> None:
        """Each type in `types` reads back with equal values and nulls. If the suite sets `keeps_types`, it reads back
        as the same type. Any other type is refused with an `OutputError` of one line that names the column, or reads
        back with equal values as another type. No value changes without an error."""
        table, supported = self.table_of_type(written_type), self.carries(written_type)
        folder, location = self.place()
        before = set(self.traces(folder))
        refusal = catch_refusal(OutputError, lambda: self.write(location, table), "value")
        if refusal is None:
            self.check_same(table, self.read(location), same_types=self.keeps_types and supported)
        elif supported:
            raise Broken(f"It refused a type that is in `types`: {refusal}")
        else:
            self.check_traces(folder, before, "the refusal")

    @check
    def test_odd_texts(self) -> None:
        """Every text reads back exactly, with its blanks, quotes and line breaks, even if it looks like a number.
        Exclude the texts that the format cannot store in `holds`."""
        self._check_round_trip(self.odd_table())

    @check
    def test_a_very_long_text(self) -> None:
        """A text may be as long as the format allows, and reads back completely. A longer text is refused with an
        `OutputError` of one line, and leaves nothing behind."""
        text = make_long_text()
        if self.holds(text):
            self._check_round_trip(self.table_with_text(text))
        else:
            self._check_refused(text)

    @check
    def test_texts_that_the_format_cannot_store(self) -> None:
        """A text that `holds` excludes is refused with an `OutputError` of one line, and leaves nothing behind. It is
        never changed or left out without an error."""
        strange = [text for text in ODD_TEXTS if not self.holds(text)]
        if not strange:
            pytest.skip("`holds` excludes no text")
        for text in strange:
            self._check_refused(text)

    @check
    def test_odd_names_of_columns(self) -> None:
        """A column may have any name that the format can store, and keeps it."""
        if self.schema is not None:
            pytest.skip("the columns of the format are fixed")
        self._check_round_trip(self.named_table([name for name in ODD_NAMES if self.holds(name)]))

    @pytest.mark.parametrize("name", ["review", "Review"])
    @check
    def test_names_that_repeat(self, name: str) -> None:
        """Of two columns whose names are equal, or differ only in case, none is lost. Both are written, under any
        names; or the writer raises an `OutputError`, or the reader an `InputError`, of one line."""
        if self.schema is not None:
            pytest.skip("the columns of the format are fixed")
        table, (_, location) = self.named_table(["review", "id", name]), self.place()
        if catch_refusal(OutputError, lambda: self.write(location, table)) is not None:
            return
        if catch_refusal(InputError, lambda: self.read(location)) is None:
            self.check_same_but_names(table, self.read(location))

    @check
    def test_labels_whose_dictionary_has_more_values_than_the_rows(self) -> None:
        """The label column is a dictionary with all labels of the model in its order, even if the rows have only some
        of them. Each row reads back with its own label, whatever `types` holds."""
        import pyarrow as pa

        if self.schema is not None:
            pytest.skip("the columns of the format are fixed")
        # No row has the label 1, and the rows do not begin with the label 0.
        indices = pa.array([2, None, 0, 2], pa.int8())
        labels = pa.DictionaryArray.from_arrays(indices, pa.array(LABELS))
        table = pa.table({"id": pa.array(range(4), pa.int64()), "sentiment": labels})
        _, location = self.place()
        self.write(location, table, 2)
        self.check_same(table, self.read(location), same_types=False)

    def _check_round_trip(self, table: pa.Table, rows: int | None = None) -> None:
        _, location = self.place()
        self.write(location, table, rows)
        self.check_same(table, self.read(location))

    def _check_refused(self, text: str) -> None:
        (folder, location), table = self.place(), self.table_with_text(text)
        before = set(self.traces(folder))
        if catch_refusal(OutputError, lambda: self.write(location, table)) is None:
            raise Broken(f"It accepted {text[:40]!r}, which `holds` excludes.")
        self.check_traces(folder, before, "the refusal")
