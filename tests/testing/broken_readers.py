"""Readers that break one rule each. `breaks` names the checks that must notice it, and part of their message."""

from __future__ import annotations

import itertools
import sys
import threading
from types import SimpleNamespace

import pyarrow as pa

from sentiment_batch import InputError, Problem, Split
from sentiment_batch.testing import ReaderSuite
from tests.testing.checksum_format import MALFORMED, GoodReader, GoodWriter, breaker, content, plugin

COUNTER = itertools.count()
ORDER = "rows_come_in_order_with_their_values"


class TestGoodReader(ReaderSuite):
    plugin = plugin(GoodReader, GoodWriter)
    many_rows = 90
    large_rows = 4_000
    checksums = True
    repeated_names = True
    types = (pa.int64(), pa.timestamp("us"), pa.string())

    def location(self, table, folder):
        (folder / "reviews.tables").write_bytes(content(table))
        return folder / "reviews.tables"

    def malformed(self, folder):
        return self.location(pa.table({"review": ["fine", MALFORMED, "fine"]}), folder)


breaks, CASES = breaker(TestGoodReader, lambda reader: plugin(reader, GoodWriter))


class Unknown(GoodReader):
    """Its numbers of rows are not known before they are read, so that no guard misses one."""

    num_rows = property(lambda self: None, lambda self, rows: None)

    def splits(self):
        return [Split(index=place, label=f"batch {place}") for place in range(len(self.sizes))]


class Changing(GoodReader):
    """Changes each batch, and the schema with them."""

    def __init__(self, location, options):
        super().__init__(location, options)
        self.schema = self.changed(pa.RecordBatch.from_pylist([], schema=self.schema)).schema

    def batches(self, split):
        return map(self.changed, super().batches(split))


class Rewriting(GoodReader):
    """Changes each text in the last column."""

    def batches(self, split):
        for batch in super().batches(split):
            field = batch.schema.field(-1)
            values = [
                self.text(value) if field.type == pa.string() else value for value in batch.column(-1).to_pylist()
            ]
            yield batch.set_column(batch.num_columns - 1, field, pa.array(values, field.type))


@breaks(ORDER, "In the column 'id' (int64), row 0 is 7, but should be 0.")
class Backwards(GoodReader):
    def batches(self, split):
        return reversed(list(super().batches(split)))


@breaks(ORDER, "There are 86 rows, but should be 90.")
class Forgetful(Unknown):
    def batches(self, split):
        return (batch.slice(0, batch.num_rows - (batch.num_rows > 7)) for batch in super().batches(split))


@breaks(ORDER, "it returned 7 rows in batch 0 but announced 20")
class Short(GoodReader):
    def batches(self, split):
        return itertools.islice(super().batches(split), 1)


@breaks(ORDER, "row 5 is '', but should be None")
class Filling(Rewriting):
    def text(self, value):
        return value or ""


@breaks(ORDER, "but the reader promised\nid: int64")
class WithMetadata(GoodReader):
    def batches(self, split):
        return (batch.replace_schema_metadata({"made by": "me"}) for batch in super().batches(split))


@breaks(ORDER, "it returned a batch with other columns than its schema in batch 0")
class Narrow(GoodReader):
    def batches(self, split):
        return (batch.select(["id"]) for batch in super().batches(split))


@breaks(ORDER, "it called sys.exit(0)")
class Leaving(GoodReader):
    def batches(self, split):
        sys.exit(0)


@breaks(ORDER, "KeyError: 'no such key'")
class Failing(GoodReader):
    def batches(self, split):
        return {}["no such key"]


@breaks("the_schema_is_known_at_once_and_stays", "its schema has the type NoneType, not pyarrow.Schema")
class Late(GoodReader):
    def __init__(self, location, options):
        super().__init__(location, options)
        self.schema = None


@breaks("a_table_of_one_row", "There are 0 rows, but should be 1.")
class Headed(Unknown):
    def batches(self, split):
        return (batch.slice(batch.num_rows == 1) for batch in super().batches(split))


@breaks("a_table_without_rows", "ZeroDivisionError: division by zero")
class Average(GoodReader):
    def __init__(self, location, options):
        super().__init__(location, options)
        self.average = len(self.stored) / self.num_rows


@breaks("values_of_a_type[timestamp[us]]", "has the type timestamp[ms], but should have timestamp[us]")
class Coarse(Changing):
    def changed(self, batch):
        types = [pa.timestamp("ms") if kind == pa.timestamp("us") else kind for kind in batch.schema.types]
        return batch.cast(pa.schema(zip(batch.schema.names, types, strict=True)), safe=False)


@breaks("values_of_a_type[string]", "is 'grer', but should be 'größer'")
class OnlyAscii(Rewriting):
    def text(self, value):
        return value and value.encode("ascii", "ignore").decode()


@breaks("odd_texts", "row 1 is '', but should be ' '.")
class Stripping(Rewriting):
    def text(self, value):
        return value and value.strip()


@breaks("a_very_long_text", "(1,000 characters), but should be")
class Cutting(Rewriting):
    def text(self, value):
        return value and value[:1_000]


@breaks("odd_names_of_columns", "The columns are 'id'")
class StrippingNames(Changing):
    def changed(self, batch):
        return batch.rename_columns([name.strip() for name in batch.schema.names])


@breaks("names_that_repeat", "There are 2 columns, but should be 3.")
class FirstOfEach(Changing):
    def changed(self, batch):
        return batch.select([batch.schema.names.index(name) for name in dict.fromkeys(batch.schema.names)])


@breaks("memory_does_not_grow_with_the_table", "bytes more than for a table with half the rows")
class Hoarding(GoodReader):
    def __init__(self, location, options):
        super().__init__(location, options)
        self.rows = pa.ipc.open_file(self.stored).read_all().to_pylist()


@breaks("splits_are_numbered_and_named", "has the index 7")
class OddlyNumbered(GoodReader):
    def splits(self):
        return [Split(index=7, label="the first")]


@breaks("splits_are_numbered_and_named", "the label ''")
class Nameless(GoodReader):
    def splits(self):
        return [Split(index=0, label="")]


@breaks("splits_are_the_same_each_time", "its splits are not the same each time they are listed")
class Counting(GoodReader):
    def splits(self):
        return [Split(index=0, label=f"asked {next(COUNTER)} times")]


@breaks("splits_are_the_same_each_time", "in another reader of the same input")
class Dated(GoodReader):
    def __init__(self, location, options):
        super().__init__(location, options)
        self.opened = next(COUNTER)

    def splits(self):
        return [Split(index=split.index, label=f"{split.label}, {self.opened}") for split in super().splits()]


@breaks("num_rows_is_correct", "The num_rows of the reader is 1, but 0 rows were returned.")
class Boasting(Unknown):
    num_rows = property(lambda self: sum(self.sizes) + 1, lambda self, rows: None)


class Following(Unknown):
    """Returns the next rows, whichever split is read."""

    turn = -1

    def batches(self, split):
        self.turn += 1
        return super().batches(Split(index=self.turn % len(self.sizes), label="the next"))


breaks("any_split_can_be_read_alone", "The split 2, read alone, returned 20 rows")(Following)
breaks("splits_can_be_read_in_any_order", "The split 4, read from the last to the first, returned 20 rows")(Following)


@breaks("a_split_can_be_read_twice", "it returned 0 rows in batch 0 but announced 20")
class Consumed(Unknown):
    def batches(self, split):
        size, self.sizes[split.index] = self.sizes[split.index], 0
        return (batch.slice(0, size) for batch in super().batches(split))


@breaks("another_thread_can_read", "RuntimeError: the cursor is of another thread")
class OfOneThread(GoodReader):
    def __init__(self, location, options):
        super().__init__(location, options)
        self.thread = threading.get_ident()

    def batches(self, split):
        if threading.get_ident() != self.thread:
            raise RuntimeError("the cursor is of another thread")
        return super().batches(split)


@breaks("two_iterators_do_not_disturb_each_other", "read in turn with another iterator, returned")
class OneCursor(Unknown):
    def batches(self, split):
        self.cursor = super().batches(split)
        while (batch := next(self.cursor, None)) is not None:
            yield batch


@breaks("an_iterator_may_be_dropped_half_way", "RuntimeError: the cursor is busy")
class ToTheEnd(GoodReader):
    busy = False

    def batches(self, split):
        if self.busy:
            raise RuntimeError("the cursor is busy")
        self.busy = True
        yield from super().batches(split)
        self.busy = False


@breaks("it_may_be_closed_twice", "failed on")
class ClosedOnce(GoodReader):
    def close(self):
        del self.stored


@breaks("it_may_be_closed_while_an_iterator_is_open", "had not ended after 0.3 seconds", seconds=0.3)
class Waiting(GoodReader):
    def batches(self, split):
        self.open = True
        yield from super().batches(split)
        self.open = False

    def close(self):
        if getattr(self, "open", False):
            threading.Event().wait(1)


@breaks("a_missing_location_is_named", "It raised PluginError instead of InputError")
class Unguarded(GoodReader):
    def mapped(self):
        return pa.memory_map(self.location).read_buffer()[32:]


@breaks("a_missing_location_is_named", "Its message does not name 'not-there-reviews.tables'")
class Silent(GoodReader):
    def mapped(self):
        try:
            return super().mapped()
        except InputError as error:
            raise InputError("The file is not there.") from error


@breaks("an_input_that_is_cut_short", "It raised PluginError instead of InputError")
class Trusting(GoodReader):
    def check_digest(self):
        pass


@breaks("an_input_that_is_cut_short", "Its message does not name 'reviews.tables'")
class Curt(GoodReader):
    def check_digest(self):
        try:
            super().check_digest()
        except InputError as error:
            raise InputError("The file is damaged.") from error


@breaks("an_input_that_is_cut_short", "had not ended after 0.3 seconds", seconds=0.3)
class Hanging(GoodReader):
    def check_digest(self):
        try:
            super().check_digest()
        except InputError:
            threading.Event().wait(1)


@breaks("an_input_with_a_changed_byte", "returned other rows, although the suite sets `checksums`")
class Lenient(GoodReader):
    def __init__(self, location, options):
        try:
            super().__init__(location, options)
        except InputError:
            self.stored, self.report = pa.py_buffer(content(pa.table({"id": [1]}))[32:]), None
            self.schema, self.sizes, self.num_rows = pa.schema({"id": pa.int64()}), [1], 1


@breaks("a_good_row_is_not_reported_as_bad", "bad rows in a table without any")
class Suspicious(GoodReader):
    def batches(self, split):
        if self.report:
            self.malformed(0)
        return super().batches(split)


@breaks("a_malformed_row_stops_the_reading", "It raised no error. It must raise InputError.")
@breaks("a_malformed_row_is_reported_and_stays", "before it reported the row")
class Swallowing(GoodReader):
    def malformed(self, row):
        pass


@breaks("a_malformed_row_is_reported_and_stays", "reported the rows [1, 1]")
class Twice(GoodReader):
    def malformed(self, row):
        super().malformed(row)
        super().malformed(row)


@breaks("a_malformed_row_is_reported_and_stays", "reported the rows [2]")
class FromOne(GoodReader):
    def malformed(self, row):
        self.report(Problem(row=row + 1, where="row 2", reason="it is malformed"))


@breaks("a_malformed_row_is_reported_and_stays", "It returned 2 of 3 rows")
class Dropping(Unknown):
    def batches(self, split):
        for batch in super().batches(split):
            yield batch.filter(pa.array([text != MALFORMED for text in batch.column(-1).to_pylist()], pa.bool_()))


@breaks("identity_changes_with_the_input", "not JSON serializable")
class Bytes(GoodReader):
    def identity(self):
        return b"no plain value"


@breaks("identity_changes_with_the_input", "although the input has other rows now")
class Constant(GoodReader):
    def identity(self):
        return "a table"


@breaks("identity_changes_with_the_input", "for an unchanged input")
@breaks("an_interrupted_run_can_be_resumed", "was changed while it was read")
class Moody(GoodReader):
    def identity(self):
        return next(COUNTER)


@breaks("a_run_scores_every_row_in_its_place", "rows, but should be")
class Tiring(Unknown):
    """Returns at most five rows of each batch in its first thirteen reads, and all rows afterwards."""

    opened = 0

    def batches(self, split):
        Tiring.opened += 1
        return (batch.slice(0, 5) if Tiring.opened <= 13 else batch for batch in super().batches(split))


@breaks(
    "an_interrupted_run_can_be_resumed",
    "started over: the reader has no identity()",
    location=lambda self, table, folder: at_url(self, table, folder),
)
class Stateless(GoodReader):
    def __init__(self, location, options):
        super().__init__(location.removeprefix("tables://"), options)

    def identity(self):
        return None


def at_url(suite, table, folder):
    return f"tables://{TestGoodReader.location(suite, table, folder)}"


MISSPELT = SimpleNamespace(register_raeders=plugin(GoodReader, GoodWriter).register_readers)
breaks(ORDER, "The plugin cannot be used: PluginValidationError", plugin=MISSPELT)(GoodReader)
