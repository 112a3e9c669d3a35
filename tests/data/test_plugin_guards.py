"""What a plugin's reader or writer raises, or gives wrongly, names the plugin; its own words to the user pass."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from sentiment_batch.cli.signals import SignalExit
from sentiment_batch.data.plugin_guards import GuardedReader, GuardedWriter, PluginGuard
from sentiment_batch.errors import InputError, OutputError, PluginError
from sentiment_batch.plugins.bad_row_guard import BadRowGuard
from sentiment_batch.progress import update_estimated
from sentiment_batch.records import FinishedFile, Split

PLUGIN = PluginGuard(name="sheets", location="a.sheet")
ROWS = pa.record_batch({"n": [1]})
SPLIT = Split(index=0, label="sheet 1")
FINISHED = FinishedFile(bytes=1, sha256="00")


def raising(error):
    def fail(*arguments):
        raise error

    return fail


class Mute(Exception):
    """An error that cannot even be printed."""

    def __str__(self):
        raise ZeroDivisionError


FAILURES = [
    (ZeroDivisionError("oh\nno"), r"ZeroDivisionError: oh no\."),
    (KeyError("a."), r"KeyError: 'a\.'\."),
    (SystemExit(0), r"it called sys\.exit\(0\)\."),
    (SystemExit("bye"), r"it called sys\.exit\('bye'\)\."),
    (Mute(), r"Mute: Mute\."),
    (asyncio.CancelledError(), r"CancelledError: CancelledError\."),
    (BrokenPipeError("the database has gone"), r"BrokenPipeError: the database has gone\."),
    (InputError("one\ntwo"), r"InputError: one two\."),
    (InputError(""), r"InputError: InputError\."),
]


def guarded(plugin=PLUGIN, on_bad_row=None, **parts):
    good = {"schema": ROWS.schema, "num_rows": None, "splits": lambda: [SPLIT], "batches": lambda split: [ROWS]}
    bad_rows = None if on_bad_row is None else BadRowGuard(plugin.make_error, on_bad_row)
    return GuardedReader(SimpleNamespace(**good | {"close": lambda: None} | parts), plugin, bad_rows)


def writer(plugin=PLUGIN, **parts):
    good = {"write": lambda batch: None, "commit": lambda: None, "abort": lambda: None, "finish": lambda: FINISHED}
    return GuardedWriter(SimpleNamespace(**good | parts), plugin)


def test_a_good_reader_is_handed_through():
    reader = guarded(num_rows=np.int64(1), identity=lambda: {"version": (1, 2)})
    assert (reader.schema, reader.num_rows, list(reader.splits())) == (ROWS.schema, 1, [SPLIT])
    assert list(reader.batches(SPLIT)) == list(reader.batches(SPLIT)) == [ROWS]
    assert reader.identity() == {"version": [1, 2]}
    assert guarded().identity() is None
    reader.close()


def test_a_good_writer_is_handed_through():
    done = []
    made = writer(write=done.append, commit=lambda: done.append("commit"), abort=lambda: done.append("abort"))
    made.write(ROWS)
    made.abort()
    assert made.finish() is FINISHED
    made.commit()
    assert done == [ROWS, "abort", "commit"]
    bare = SimpleNamespace(write=print, commit=print, abort=print)
    assert GuardedWriter(bare, PLUGIN).finish() is None
    old = SimpleNamespace(write=print, commit=print, abort=print, seal=lambda: FINISHED)  # of version 0.1
    assert GuardedWriter(old, PLUGIN).finish() is FINISHED


def test_a_writer_that_has_published_is_not_asked_to_abort():
    """A plugin may remove in `abort` whatever lies at the destination."""
    done = []
    made = writer(commit=lambda: done.append("commit"), abort=lambda: done.append("abort"))
    made.commit()
    made.abort()
    assert done == ["commit"]


@pytest.mark.parametrize(("error", "message"), FAILURES)
@pytest.mark.parametrize("part", ["splits", "batches", "identity"])
def test_a_failure_of_a_reader_is_one_line_with_its_name(part, error, message):
    reader = guarded(**{part: raising(error)})
    calls = {"splits": reader.splits, "batches": lambda: list(reader.batches(SPLIT)), "identity": reader.identity}
    with pytest.raises(PluginError, match=rf"^plugin 'sheets' failed on a\.sheet: {message} Report it to") as caught:
        calls[part]()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("error", "message"), FAILURES)
@pytest.mark.parametrize("part", ["write", "commit", "finish"])
def test_a_failure_of_a_writer_is_one_line_with_its_name(part, error, message):
    made = writer(**{part: raising(error)})
    with pytest.raises(PluginError, match=rf"^plugin 'sheets' failed on a\.sheet: {message}"):
        made.write(ROWS) if part == "write" else getattr(made, part)()


@pytest.mark.parametrize(("error", "message"), FAILURES)
def test_an_error_while_closing_is_only_logged(caplog, error, message):
    guarded(close=raising(error)).close()
    writer(abort=raising(error)).abort()
    first, second = (record.message for record in caplog.records)
    assert first == second
    assert first.startswith("plugin 'sheets' failed on a.sheet: ")


@pytest.mark.parametrize(
    ("schema", "message"),
    [(None, "NoneType"), ({"n": "int"}, "dict"), (ROWS, "RecordBatch")],
)
def test_an_invalid_schema_is_refused(schema, message):
    with pytest.raises(PluginError, match=rf"its schema has the type {message}, not pyarrow\.Schema"):
        guarded(schema=schema)


def test_a_reader_or_writer_without_a_part_is_refused_at_once():
    with pytest.raises(PluginError, match=r"'sheets' failed on a\.sheet: AttributeError: .*schema"):
        GuardedReader(SimpleNamespace(), PLUGIN)
    with pytest.raises(PluginError, match=r"its SimpleNamespace has no method batches\(\)"):
        guarded(batches=None)
    with pytest.raises(PluginError, match=r"its NoneType has no method write\(\)"):
        GuardedWriter(None, PLUGIN)
    reader = GuardedReader(SimpleNamespace(schema=ROWS.schema, splits=list, batches=list, close=list), PLUGIN)
    with pytest.raises(PluginError, match=r"AttributeError: .*num_rows"):
        _ = reader.num_rows


@pytest.mark.parametrize("rows", ["1", 1.0, True, -1, [1]])
def test_an_invalid_number_of_rows_is_refused(rows):
    with pytest.raises(PluginError, match=r"its num_rows is .*, neither None nor a number of rows"):
        _ = guarded(num_rows=rows).num_rows
    with pytest.raises(PluginError, match="num_rows of sheet 1 is"):
        guarded(splits=lambda: [Split(index=0, label="sheet 1", num_rows=rows)]).splits()


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (None, "TypeError: 'NoneType' object is not iterable"),
        ([None], "it returned an object of the type NoneType as a split"),
        ("ab", "it returned an object of the type str as a split"),
        ([{"index": 0}], "it returned an object of the type dict as a split"),
        ([SPLIT, SPLIT], "the split at place 1 has the index 0"),
        ([Split(index="0", label="a")], "the split at place 0 has the index '0'"),
        ([Split(index=0, label=None)], "the label None"),
    ],
)
def test_invalid_splits_are_refused(splits, message):
    with pytest.raises(PluginError, match=message):
        guarded(splits=lambda: splits).splits()


def test_splits_that_change_are_refused():
    answers = iter([[SPLIT], [SPLIT], []])
    reader = guarded(splits=lambda: next(answers))
    assert reader.splits() == reader.splits()
    with pytest.raises(PluginError, match="its splits are not the same each time"):
        reader.splits()


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (None, "TypeError: 'NoneType' object is not iterable"),
        ([ROWS, None], "it returned an object of the type NoneType as a record batch in sheet 1"),
        ([ROWS, {"n": [1]}], "it returned an object of the type dict as a record batch in sheet 1"),
        ([pa.table({"n": [1]})], "it returned an object of the type Table as a record batch"),
        ([pa.record_batch({"m": [1]})], "it returned a batch with other columns than its schema in sheet 1"),
        ([pa.record_batch({"n": ["1"]})], "other columns"),
    ],
)
def test_an_invalid_batch_is_refused(batches, message):
    with pytest.raises(PluginError, match=message):
        list(guarded(batches=lambda split: batches).batches(SPLIT))


@pytest.mark.parametrize(
    ("given", "message"), [(0, "0 rows in sheet 1 but announced 2"), (3, "more than the 2 rows of sheet 1")]
)
def test_a_split_has_as_many_rows_as_announced(given, message):
    split = Split(index=0, label="sheet 1", num_rows=2)
    reader = guarded(splits=lambda: [split], batches=lambda split: [ROWS] * given)
    with pytest.raises(PluginError, match=message):
        list(reader.batches(split))
    assert len(list(guarded(batches=lambda split: [ROWS] * 2).batches(split))) == 2


def test_a_batch_that_would_crash_the_process_is_refused():
    astray = pa.DictionaryArray.from_arrays(pa.array([99], pa.int32()), pa.array(["a"]), safe=False)
    batch = pa.record_batch({"n": astray})
    with pytest.raises(PluginError, match=r"its record batch in sheet 1 is not valid: ArrowInvalid"):
        list(guarded(schema=batch.schema, batches=lambda split: [batch]).batches(SPLIT))


def test_batches_have_the_marks_of_the_schema():
    schema = pa.schema([field.with_metadata({"mark": "1"}) for field in ROWS.schema])
    (batch,) = guarded(schema=schema).batches(SPLIT)
    assert batch.schema.equals(schema, check_metadata=True)


def test_strings_that_are_not_utf8_are_bad_rows():
    offsets = pa.array([0, 1, 2], pa.int32()).buffers()[1]
    batch = pa.record_batch({"n": pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"a\xff")])})
    parts = {"schema": batch.schema, "batches": lambda split: [batch, batch]}
    with pytest.raises(InputError, match=r"sheet 1, column 'n', row 1 \(counted from 0\): byte 0xff .* is not UTF-8"):
        list(guarded(**parts).batches(SPLIT))
    bad = []
    read = list(guarded(**parts, on_bad_row=bad.append).batches(SPLIT))
    assert [one["n"].to_pylist() for one in read] == [["a", "\ufffd"]] * 2
    assert [(problem.row, problem.original) for problem in bad] == [(1, b"\xff"), (3, b"\xff")]


def test_rows_that_never_end_are_noticed():
    def endless(split):
        while True:
            yield ROWS

    with pytest.raises(PluginError, match="more than the 2 rows"):
        list(guarded(batches=endless).batches(Split(index=0, label="sheet 1", num_rows=2)))


def test_a_split_has_as_many_rows_as_the_last_time():
    answers = iter([[ROWS], [ROWS, ROWS]])
    reader = guarded(batches=lambda split: next(answers))
    assert len(list(reader.batches(SPLIT))) == 1
    with pytest.raises(PluginError, match="it returned 2 rows in sheet 1 but announced 1"):
        list(reader.batches(SPLIT))


@pytest.mark.parametrize("total", [1, 3])
def test_all_splits_have_as_many_rows_as_the_table(total):
    splits = [SPLIT, Split(index=1, label="sheet 2")]
    reader = guarded(num_rows=total, splits=lambda: splits)
    assert len(list(reader.batches(reader.splits()[0]))) == 1
    with pytest.raises(PluginError, match=f"it returned 2 rows in all but announced {total}"):
        list(reader.batches(splits[1]))


def test_a_reader_that_is_read_in_part_is_not_counted():
    reader = guarded(num_rows=9, splits=lambda: [SPLIT], batches=lambda split: iter([ROWS] * 5))
    batches = reader.batches(reader.splits()[0])
    assert next(batches) == ROWS
    batches.close()


@pytest.mark.parametrize("identity", [{1, 2}, b"1", float("nan"), ROWS])
def test_an_identity_of_other_than_json_values_is_refused(identity):
    with pytest.raises(PluginError, match=r"'sheets' failed on a\.sheet: (TypeError|ValueError)"):
        guarded(identity=lambda: identity).identity()


@pytest.mark.parametrize("finished", [None, "safe", True, {"bytes": 1}])
def test_a_finish_that_returns_no_finished_file_is_refused(finished):
    with pytest.raises(PluginError, match=r"its finish\(\) returned an object"):
        writer(finish=lambda: finished).finish()


@pytest.mark.parametrize(
    "error", [InputError("the sheet is empty. Fill it."), OutputError("no."), KeyboardInterrupt(), SignalExit(143)]
)
def test_errors_for_the_user_and_interrupts_pass(error):
    with pytest.raises(type(error)) as caught:
        list(guarded(batches=raising(error)).batches(SPLIT))
    assert caught.value is error
    with pytest.raises(type(error)):
        writer(write=raising(error)).write(ROWS)


def test_a_broken_pipe_of_standard_output_passes():
    with pytest.raises(BrokenPipeError):
        writer(PluginGuard(name="sheets", location="-"), write=raising(BrokenPipeError())).write(ROWS)


OPTIONAL = ["estimate_rows", "locations", "select_columns"]


@pytest.mark.parametrize("name", [*OPTIONAL, "anything"])
def test_a_reader_without_an_optional_member_has_none(name):
    assert not hasattr(guarded(), name)
    assert getattr(guarded(**{name: None}), name, "none") == "none"


def test_the_optional_members_are_handed_through():
    chosen = []
    reader = guarded(estimate_rows=lambda: np.int64(7), locations=("a", "b"), select_columns=chosen.append)
    assert (reader.estimate_rows(), reader.locations) == (7, ["a", "b"])
    reader.select_columns(name for name in ("n", "m"))
    assert chosen == [["n", "m"]]
    assert guarded(estimate_rows=lambda: None).estimate_rows() is None
    bar = SimpleNamespace(disable=False, total=None, n=0, bar_format=None, update=lambda rows: rows)
    update_estimated(bar, reader)(1)
    assert bar.total == 7


@pytest.mark.parametrize(("error", "message"), FAILURES)
@pytest.mark.parametrize("part", ["estimate_rows", "select_columns"])
def test_a_failure_of_an_optional_member_names_the_plugin(part, error, message):
    reader = guarded(**{part: raising(error)})
    with pytest.raises(PluginError, match=rf"^plugin 'sheets' failed on a\.sheet: {message}"):
        reader.estimate_rows() if part == "estimate_rows" else reader.select_columns(["n"])


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_member_that_cannot_be_looked_up_names_the_plugin(name):
    class Lazy(SimpleNamespace):
        def __getattr__(self, wanted):
            raise (ZeroDivisionError if wanted == name else AttributeError)(wanted)

    reader = GuardedReader(Lazy(**vars(guarded()._reader)), PLUGIN)
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        getattr(reader, name, None)


@pytest.mark.parametrize("rows", ["1", 1.0, True, -1])
def test_an_invalid_estimate_is_refused(rows):
    with pytest.raises(PluginError, match=r"the result of its estimate_rows\(\) is .*, neither None nor a number"):
        guarded(estimate_rows=lambda: rows).estimate_rows()


@pytest.mark.parametrize("locations", ["a.sheet", 7, {"a.sheet": 1}])
def test_an_attribute_that_is_no_list_of_locations_is_none(locations):
    assert not hasattr(guarded(locations=locations), "locations")
    assert guarded(locations=[Path("a.sheet")]).locations == ["a.sheet"]


def test_batches_may_be_null_in_columns_that_were_not_chosen():
    schema = pa.schema([pa.field("n", pa.int64(), nullable=False), ("d", pa.dictionary(pa.int8(), pa.string()))])
    schema = schema.append(pa.field("s", pa.struct([pa.field("x", pa.string(), nullable=False)]), nullable=False))
    batch = pa.RecordBatch.from_arrays([pa.nulls(2, kind) for kind in schema.types], schema=schema)
    reader = guarded(schema=schema, batches=lambda split: [batch], select_columns=lambda names: None)
    reader.select_columns([])
    assert [found.num_rows for found in reader.batches(SPLIT)] == [2]
