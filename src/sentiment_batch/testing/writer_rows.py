"""Checks that what a writer wrote reads back as what it was given: order, values, types, names, however batches lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sentiment_batch.errors import InputError, OutputError
from sentiment_batch.testing.checks import Broken, check, check_line
from sentiment_batch.testing.samples import ODD_NAMES, ODD_TEXTS
from sentiment_batch.testing.writing import WritingSuite

if TYPE_CHECKING:
    import pyarrow as pa

LABELS = ("negative", "neutral", "positive")


class WriterRows(WritingSuite):
    """The rows as they read back."""

    @check
    def test_rows_read_back_in_order_with_their_values(self) -> None:
        """All rows that were written are there after `commit`, in their order, unchanged."""
        self._check_round_trip(self.table(self.many_rows), 4_096)

    @check
    def test_a_table_of_one_row(self) -> None:
        """One row is a table, too."""
        self._check_round_trip(self.table(1))

    @check
    def test_a_table_without_rows(self) -> None:
        """A table to which no row was written is published all the same. Where its reader refuses it, for the format
        cannot say its columns, that is an `InputError` of one line."""
        _, location = self.place()
        self.write(location, self.table(0))
        if not self.is_there(location):
            raise Broken("Nothing is there after `commit`.")
        try:
            found = self.read(location)
        except InputError as error:
            check_line(str(error))
            return
        self.check_same(self.table(0), found, same_types=False)

    @check
    def test_many_small_batches(self) -> None:
        """Batches may be of any size; they are often slices of larger ones, whose values begin further on."""
        self._check_round_trip(self.table(300), 1)

    @check
    def test_batches_without_rows(self) -> None:
        """A batch may have no rows: as the first, between others and as the last."""
        import pyarrow as pa

        table, (_, location) = self.table(10), self.place()
        empty, full = [pa.RecordBatch.from_pylist([], schema=table.schema)], table.to_batches()
        self.write_batches(location, table.schema, [*empty, *full, *empty, *full, *empty])
        self.check_same(pa.concat_tables([table, table]), self.read(location))

    @check
    def test_values_of_a_type(self, written_type: Any) -> None:
        """Each type among `types` reads back with every value as it was, nulls included; where `keeps_types` is stated,
        as the same type. Any other is refused with an `OutputError` of one line that names the column, or reads back
        with its values under another type; a value is never changed in silence."""
        table, carried = self.table_of_type(written_type), self.carries(written_type)
        folder, location = self.place()
        before = set(self.traces(folder))
        try:
            self.write(location, table)
        except OutputError as error:
            if carried:
                raise Broken(f"It refused the type, which is among `types`: {error}") from error
            check_line(str(error))
            if "value" not in str(error):
                raise Broken(f"Its message does not name the column 'value': {error}") from error
            self.check_traces(folder, before, "the refusal")
            return
        self.check_same(table, self.read(location), same_types=self.keeps_types and carried)

    @check
    def test_odd_texts(self) -> None:
        """Every text reads back as it was: blanks, quotes, line breaks, what looks like a number. What the format
        cannot hold, the suite states in `holds`."""
        self._check_round_trip(self.odd_table())

    @check
    def test_a_very_long_text(self) -> None:
        """A text may be as long as the format allows, and reads back whole; one that is longer is refused with an
        `OutputError` of one line, and leaves no trace."""
        text = "so good! " * 333_333
        if self.holds(text):
            self._check_round_trip(self.texts_table(text))
        else:
            self._check_refused(text)

    @check
    def test_texts_that_the_format_cannot_hold(self) -> None:
        """A text that the format cannot hold, as the suite states in `holds`, is refused with an `OutputError` of one
        line, and leaves no trace; it is never changed or left out in silence."""
        strange = [text for text in ODD_TEXTS if not self.holds(text)]
        if not strange:
            pytest.skip("the suite states in `holds` that the format holds every text")
        for text in strange:
            self._check_refused(text)

    @check
    def test_odd_names_of_columns(self) -> None:
        """A column may have any name that the format can hold, and keeps it."""
        if self.schema is not None:
            pytest.skip("the columns of the format are fixed")
        self._check_round_trip(self.named_table([name for name in ODD_NAMES if self.holds(name)]))

    @pytest.mark.parametrize("name", ["review", "Review"])
    @check
    def test_names_that_repeat(self, name: str) -> None:
        """Of two columns whose names are the same, or differ in their case alone, neither is lost: both are written,
        under whatever names; or the writer says with an `OutputError` of one line, or the reader with an `InputError`,
        which it is."""
        if self.schema is not None:
            pytest.skip("the columns of the format are fixed")
        table, (_, location) = self.named_table(["review", "id", name]), self.place()
        try:
            self.write(location, table)
            found = self.read(location)
        except (OutputError, InputError) as error:
            check_line(str(error))
            return
        if found.num_columns != 3:
            raise Broken(f"There are {found.num_columns} columns where there were 3.")
        self.check_same(table, found.rename_columns(table.schema.names))

    @check
    def test_labels_whose_dictionary_holds_more_than_the_rows(self) -> None:
        """The column of labels is a dictionary that holds all labels of the model in its order, whichever the rows
        have; each row reads back with its own label, whichever types the suite states."""
        import pyarrow as pa

        if self.schema is not None:
            pytest.skip("the columns of the format are fixed")
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
        (folder, location), table = self.place(), self.texts_table(text)
        before = set(self.traces(folder))
        try:
            self.write(location, table)
        except OutputError as error:
            check_line(str(error))
            self.check_traces(folder, before, "the refusal")
            return
        raise Broken(f"It took {text[:40]!r}, which it cannot hold, as the suite states in `holds`.")
