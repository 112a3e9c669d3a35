"""Writers that break one promise each; `breaks` names the checks that must see it, and what they must say."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pyarrow as pa

from sentiment_batch import OutputError, Sealed
from sentiment_batch.testing import WriterSuite
from tests.testing.checksum_format import GoodReader, GoodWriter, breaker, content, plugin

ORDER = "rows_read_back_in_order_with_their_values"
DURATION = pa.duration("ms")


class TestGoodWriter(WriterSuite):
    plugin = plugin(GoodReader, GoodWriter)
    many_rows = 90

    def carries(self, kind):
        return kind != DURATION

    def location(self, folder):
        return folder / "scored.tables"


breaks, CASES = breaker(TestGoodWriter, lambda writer: plugin(GoodReader, writer))


class Backwards(GoodWriter):
    def table(self):
        table = super().table()
        return table.take(list(reversed(range(table.num_rows))))


@breaks(ORDER, "There are 0 rows where there were 90.")
class LosingTheLast(GoodWriter):
    def table(self):
        return pa.Table.from_batches(self.rows[:-1], self.schema)


@breaks("a_table_of_one_row", "There are 0 rows where there were 1.")
@breaks("many_small_batches", "There are 0 rows where there were 300.")
class Headed(GoodWriter):
    def write(self, batch):
        super().write(batch if batch.num_rows > 1 else batch.slice(0, 0))


@breaks("many_small_batches", "where it was 1.")
class WithoutOffsets(GoodWriter):
    """Reads the buffers of a slice from their beginning."""

    def write(self, batch):
        columns = [
            pa.Array.from_buffers(column.type, len(column), column.buffers()) if column.type == pa.int64() else column
            for column in batch.columns
        ]
        super().write(pa.RecordBatch.from_arrays(columns, schema=self.schema))


@breaks("batches_without_rows", "IndexError")
class FirstValue(GoodWriter):
    def write(self, batch):
        self.first = batch.column(0)[0]
        super().write(batch)


@breaks("a_table_without_rows", "Nothing is there after `commit`.")
class OnlyRows(GoodWriter):
    def commit(self):
        return super().commit() if self.rows else self.abort()


@breaks("values_of_a_type[timestamp[us]]", "where it was")
class Rounding(GoodWriter):
    def table(self):
        table = super().table()
        for place, field in enumerate(table.schema):
            if field.type == pa.timestamp("us"):
                table = table.set_column(
                    place, field, table.column(place).cast(pa.timestamp("s"), safe=False).cast(field.type)
                )
        return table


@breaks("values_of_a_type[duration[ms]]", "NotImplementedError: duration")
class NotForUsers(GoodWriter):
    def check_types(self):
        if DURATION in self.schema.types:
            raise NotImplementedError("duration")


@breaks("values_of_a_type[duration[ms]]", "Its message does not name the column 'value'")
class Vague(GoodWriter):
    def check_types(self):
        if DURATION in self.schema.types:
            raise OutputError("A type is not supported.")


@breaks("values_of_a_type[duration[ms]]", "After the refusal there is also ['scored.tables.part']")
class RefusingLate(GoodWriter):
    def check_types(self):
        pass

    def write(self, batch):
        super().check_types()
        super().write(batch)

    def abort(self):
        pass


@breaks("values_of_a_type[binary]", "It refused the type, which is among `types`")
class Choosy(GoodWriter):
    def check_types(self):
        for field in self.schema:
            if field.type == pa.binary():
                raise OutputError(f"tables cannot hold the column {field.name!r}. Leave it out with --columns.")


class Rewriting(GoodWriter):
    """Changes each text in the last column."""

    def write(self, batch):
        field = batch.schema.field(-1)
        if field.type == pa.string():
            values = pa.array([self.text(value) for value in batch.column(-1).to_pylist()], pa.string())
            batch = batch.set_column(batch.num_columns - 1, field, values)
        super().write(batch)


@breaks("odd_texts", "row 0 is None where it was ''")
class EmptyIsNull(Rewriting):
    def text(self, value):
        return value or None


@breaks("a_very_long_text", "(1,000 characters) where it was")
@breaks("a_very_long_text", "It took 'so good! ", holds=lambda self, text: len(text) <= 1_000)
class CuttingTexts(Rewriting):
    def text(self, value):
        return value and value[:1_000]


@breaks("texts_that_the_format_cannot_hold", "It took 'a NUL ", holds=lambda self, text: "\0" not in text)
class WithoutNul(Rewriting):
    def text(self, value):
        return value and value.replace("\0", "")


class Renaming(GoodWriter):
    """Changes the names of columns."""

    def table(self):
        table = super().table()
        return self.renamed(table) if table.num_columns else table


@breaks("odd_names_of_columns", "The columns are 'id', 'grösse, cm'")
class LowerNames(Renaming):
    def renamed(self, table):
        return table.rename_columns([name.replace("ß", "ss").lower() for name in table.schema.names])


@breaks("names_that_repeat[review]", "There are 2 columns where there were 3.")
class FirstOfEach(Renaming):
    def renamed(self, table):
        return table.select([table.schema.names.index(name) for name in dict.fromkeys(table.schema.names)])


@breaks("labels_whose_dictionary_holds_more_than_the_rows", "where it was 'positive'")
class OwnDictionary(GoodWriter):
    """Takes the indices for those of the labels that it has seen."""

    def table(self):
        table = super().table()
        for place, field in enumerate(table.schema):
            if pa.types.is_dictionary(field.type):
                chunks = [
                    pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.take([2, 1, 0]))
                    for chunk in table.column(place).chunks
                ]
                table = table.set_column(place, field, pa.chunked_array(chunks))
        return table


@breaks("nothing_is_seen_before_commit", "Something is at the destination when it was opened, before `commit`.")
@breaks("a_run_that_was_cut_off_goes_on", "Something is at the destination though the run was cut off.")
class HalfWritten(GoodWriter):
    def begin(self):
        Path(self.location).touch()
        super().begin()


@breaks("nothing_is_seen_before_commit", "Something is at the destination when it was sealed")
@breaks("abort_leaves_no_trace[it was sealed]", "Something is at the destination after `abort` when it was sealed.")
class SealedInPublic(GoodWriter):
    def seal(self):
        sealed = super().seal()
        if os.path.exists(self.part):
            os.replace(self.part, self.location)
        return sealed

    def commit(self):
        self.seal()


@breaks("nothing_is_seen_before_commit", "Nothing is there after `commit`.")
class NeverPublished(GoodWriter):
    def commit(self):
        self.abort()


@breaks("nothing_is_seen_before_commit", "Beside the output there is also ['scored.tables.log'] after `commit`.")
class Chatty(GoodWriter):
    def begin(self):
        super().begin()
        Path(f"{self.location}.log").touch()


@breaks("abort_leaves_no_trace[it was opened]", "there is also ['scored.tables.part']")
@breaks("abort_leaves_no_trace[rows were written]", "there is also ['scored.tables.part']")
@breaks("abort_leaves_no_trace[a write failed]", "there is also ['scored.tables.part']")
class Littering(GoodWriter):
    def abort(self):
        pass


@breaks("abort_leaves_no_trace[a write failed]", "After `abort` when a write failed there is also")
class LitteringAfterAFailure(GoodWriter):
    failed = False

    def write(self, batch):
        self.failed = batch is None
        super().write(batch)

    def abort(self):
        if not self.failed:
            super().abort()


@breaks("abort_leaves_no_trace[it was opened]", "FileNotFoundError")
class AbortedOnce(GoodWriter):
    def abort(self):
        os.remove(self.part)


@breaks("abort_makes_room_for_the_next", "exists already")
class Locking(GoodWriter):
    def begin(self):
        try:
            open(f"{self.location}.lock", "x").close()
        except FileExistsError:
            raise OutputError.exists(self.location) from None
        super().begin()


@breaks("what_exists_is_not_replaced_unasked", "It raised nothing where it must raise OutputError.")
class Replacing(GoodWriter):
    def __init__(self, location, schema, options):
        super().__init__(location, schema, dataclasses.replace(options, overwrite=True))


@breaks("what_exists_is_not_replaced_unasked", "There are 0 rows where there were 5.")
class RefusingTooLate(GoodWriter):
    def __init__(self, location, schema, options):
        if os.path.exists(location) and not options.overwrite:
            Path(location).write_bytes(content(schema.empty_table()))
        super().__init__(location, schema, options)


@breaks("overwrite_replaces_what_exists", "exists already")
class NeverReplacing(GoodWriter):
    def __init__(self, location, schema, options):
        super().__init__(location, schema, dataclasses.replace(options, overwrite=False))


@breaks("overwrite_replaces_what_exists", "The old table was gone before `commit`.")
@breaks("what_was_to_be_replaced_stays_where_it_is_given_up", "is not there")
class RemovingFirst(GoodWriter):
    def begin(self):
        if os.path.exists(self.location):
            os.remove(self.location)
        super().begin()


@breaks("overwrite_replaces_what_exists", "There are 12 rows where there were 7.")
class Appending(GoodWriter):
    def begin(self):
        super().begin()
        if os.path.exists(self.location):
            self.rows += pa.ipc.open_file(Path(self.location).read_bytes()[32:]).read_all().to_batches()


@breaks("a_place_that_cannot_be_written_is_named", "It raised PluginError, no OutputError")
class Unguarded(GoodWriter):
    def begin(self):
        open(self.part, "wb").close()


@breaks("a_place_that_cannot_be_written_is_named", "It raised nothing where it must raise OutputError.")
class SwallowingErrors(GoodWriter):
    def begin(self):
        pass

    def commit(self):
        if os.path.isdir(os.path.dirname(self.location)):
            super().commit()


@breaks("a_place_that_goes_away_is_named", "It raised PluginError, no OutputError")
class UnguardedCommit(GoodWriter):
    def commit(self):
        self.seal()
        os.replace(self.part, self.location)


@breaks("a_seal_tells_what_will_be_there", "other bytes were published")
class WrongDigest(GoodWriter):
    def seal(self):
        return dataclasses.replace(super().seal(), sha256="0" * 64)


@breaks("a_seal_tells_what_will_be_there", "and the second time")
class SealedTwice(GoodWriter):
    times = 0

    def seal(self):
        self.times += 1
        return Sealed(bytes=super().seal().bytes + self.times, sha256="0" * 64)


@breaks("a_run_writes_every_row_in_its_place", "has the sentiment None")
class WithoutSentiment(GoodWriter):
    def write(self, batch):
        place = batch.schema.get_field_index("sentiment")
        super().write(
            batch
            if place < 0
            else batch.set_column(
                place, self.schema.field(place), pa.nulls(batch.num_rows, self.schema.field(place).type)
            )
        )
