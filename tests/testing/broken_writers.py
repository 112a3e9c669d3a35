"""Writers that break one rule each. `breaks` names the checks that must notice it, and part of their message."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pyarrow as pa

from sentiment_batch import FinishedFile, OutputError
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


@breaks(ORDER, "There are 0 rows, but should be 90.")
class LosingTheLast(GoodWriter):
    def table(self):
        return pa.Table.from_batches(self.rows[:-1], self.schema)


@breaks("a_table_of_one_row", "There are 0 rows, but should be 1.")
@breaks("many_small_batches", "There are 0 rows, but should be 300.")
class Headed(GoodWriter):
    def write(self, batch):
        super().write(batch if batch.num_rows > 1 else batch.slice(0, 0))


@breaks("many_small_batches", ", but should be 1.")
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


@breaks("a_table_without_rows", "There is no output after `commit`.")
class OnlyRows(GoodWriter):
    def commit(self):
        return super().commit() if self.rows else self.abort()


@breaks("values_of_a_type[timestamp[us]]", ", but should be")
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


@breaks("values_of_a_type[duration[ms]]", "Its message does not name 'value'")
class Vague(GoodWriter):
    def check_types(self):
        if DURATION in self.schema.types:
            raise OutputError("A type is not supported.")


@breaks("values_of_a_type[duration[ms]]", "The refusal left ['scored.tables.part'] behind.")
class RefusingLate(GoodWriter):
    def check_types(self):
        pass

    def write(self, batch):
        super().check_types()
        super().write(batch)

    def abort(self):
        pass


@breaks("values_of_a_type[binary]", "It refused a type that is in `types`")
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


@breaks("odd_texts", "row 0 is None, but should be ''")
class EmptyIsNull(Rewriting):
    def text(self, value):
        return value or None


@breaks("a_very_long_text", "(1,000 characters), but should be")
@breaks("a_very_long_text", "It accepted 'so good! ", holds=lambda self, text: len(text) <= 1_000)
class CuttingTexts(Rewriting):
    def text(self, value):
        return value and value[:1_000]


@breaks("texts_that_the_format_cannot_store", "It accepted 'a NUL ", holds=lambda self, text: "\0" not in text)
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


@breaks("names_that_repeat[review]", "There are 2 columns, but should be 3.")
class FirstOfEach(Renaming):
    def renamed(self, table):
        return table.select([table.schema.names.index(name) for name in dict.fromkeys(table.schema.names)])


@breaks("labels_whose_dictionary_has_more_values_than_the_rows", ", but should be 'positive'")
class OwnDictionary(GoodWriter):
    """Reverses the dictionary, but not the indices."""

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


@breaks(
    "nothing_is_visible_before_commit", "There is an output at the destination when it was opened, before `commit`."
)
@breaks("an_interrupted_run_can_be_resumed", "There is an output at the destination, although the run was interrupted.")
class HalfWritten(GoodWriter):
    def begin(self):
        Path(self.location).touch()
        super().begin()


@breaks("nothing_is_visible_before_commit", "There is an output at the destination when it was finished")
@breaks(
    "abort_leaves_nothing_behind[it was finished]",
    "There is an output at the destination after `abort` when it was finished.",
)
class FinishedInPublic(GoodWriter):
    def finish(self):
        finished = super().finish()
        if os.path.exists(self.part):
            os.replace(self.part, self.location)
        return finished

    def commit(self):
        self.finish()


@breaks("nothing_is_visible_before_commit", "There is no output after `commit`.")
class NeverPublished(GoodWriter):
    def commit(self):
        self.abort()


@breaks("nothing_is_visible_before_commit", "`commit` left ['scored.tables.log'] beside the output.")
class Chatty(GoodWriter):
    def begin(self):
        super().begin()
        Path(f"{self.location}.log").touch()


@breaks("abort_leaves_nothing_behind[it was opened]", "left ['scored.tables.part'] behind")
@breaks("abort_leaves_nothing_behind[rows were written]", "left ['scored.tables.part'] behind")
@breaks("abort_leaves_nothing_behind[a write failed]", "left ['scored.tables.part'] behind")
class Littering(GoodWriter):
    def abort(self):
        pass


@breaks("abort_leaves_nothing_behind[a write failed]", "`abort` when a write failed left")
class LitteringAfterAFailure(GoodWriter):
    failed = False

    def write(self, batch):
        self.failed = batch is None
        super().write(batch)

    def abort(self):
        if not self.failed:
            super().abort()


@breaks("abort_leaves_nothing_behind[it was opened]", "FileNotFoundError")
class AbortedOnce(GoodWriter):
    def abort(self):
        os.remove(self.part)


@breaks("the_destination_is_free_after_abort", "exists already")
class Locking(GoodWriter):
    def begin(self):
        try:
            open(f"{self.location}.lock", "x").close()
        except FileExistsError:
            raise OutputError.exists(self.location) from None
        super().begin()


@breaks("an_existing_output_is_not_replaced_unasked", "It raised no error. It must raise OutputError.")
class Replacing(GoodWriter):
    def __init__(self, location, schema, options):
        super().__init__(location, schema, dataclasses.replace(options, overwrite=True))


@breaks("an_existing_output_is_not_replaced_unasked", "There are 0 rows, but should be 5.")
class RefusingTooLate(GoodWriter):
    def __init__(self, location, schema, options):
        if os.path.exists(location) and not options.overwrite:
            Path(location).write_bytes(content(schema.empty_table()))
        super().__init__(location, schema, options)


@breaks("overwrite_replaces_an_existing_output", "exists already")
class NeverReplacing(GoodWriter):
    def __init__(self, location, schema, options):
        super().__init__(location, schema, dataclasses.replace(options, overwrite=False))


@breaks("overwrite_replaces_an_existing_output", "The old output was removed before `commit`.")
@breaks("abort_keeps_the_output_to_be_replaced", "is not there")
class RemovingFirst(GoodWriter):
    def begin(self):
        if os.path.exists(self.location):
            os.remove(self.location)
        super().begin()


@breaks("overwrite_replaces_an_existing_output", "There are 12 rows, but should be 7.")
class Appending(GoodWriter):
    def begin(self):
        super().begin()
        if os.path.exists(self.location):
            self.rows += pa.ipc.open_file(Path(self.location).read_bytes()[32:]).read_all().to_batches()


@breaks("an_unwritable_destination_is_named", "It raised PluginError instead of OutputError")
class Unguarded(GoodWriter):
    def begin(self):
        open(self.part, "wb").close()


@breaks("an_unwritable_destination_is_named", "It raised no error. It must raise OutputError.")
class SwallowingErrors(GoodWriter):
    def begin(self):
        pass

    def commit(self):
        if os.path.isdir(os.path.dirname(self.location)):
            super().commit()


@breaks("a_destination_whose_folder_vanishes_is_named", "It raised PluginError instead of OutputError")
class UnguardedCommit(GoodWriter):
    def commit(self):
        self.finish()
        os.replace(self.part, self.location)


@breaks("finish_returns_the_size_and_digest", "other bytes were published")
class WrongDigest(GoodWriter):
    def finish(self):
        return dataclasses.replace(super().finish(), sha256="0" * 64)


@breaks("finish_returns_the_size_and_digest", " and then ")
class FinishedTwice(GoodWriter):
    times = 0

    def finish(self):
        self.times += 1
        return FinishedFile(bytes=super().finish().bytes + self.times, sha256="0" * 64)


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


@breaks("the_run_id_is_that_of_the_published_output", "find_run_id() returned None after `commit`, but the ID")
class WithoutRunId(GoodWriter):
    def __init__(self, location, schema, options):
        super().__init__(location, schema, dataclasses.replace(options, run_id=None))


@breaks("the_run_id_is_that_of_the_published_output", "find_run_id() returned '0a1b2c3d' before `abort`, but the ID")
class EarlyRunId(GoodWriter):
    early = None

    def __init__(self, location, schema, options):
        super().__init__(location, schema, options)
        EarlyRunId.early = options.run_id

    @staticmethod
    def find_run_id(location):
        return EarlyRunId.early


@breaks("the_run_id_is_that_of_the_published_output", "its find_run_id() returned an object of the type bytes")
class BytesAsRunId(GoodWriter):
    @staticmethod
    def find_run_id(location):
        return b"0a1b2c3d"


@breaks("the_run_id_is_that_of_the_published_output", "has_run_id() returned True for '4e5f6a7b' after `commit`, but")
class EveryRunId(GoodWriter):
    @staticmethod
    def has_run_id(location, run_id):
        return os.path.exists(location)


@breaks("the_run_id_is_that_of_the_published_output", "its has_run_id() returned an object of the type str")
class TextForHasRunId(GoodWriter):
    @staticmethod
    def has_run_id(location, run_id):
        return run_id
