"""What a plugin's reader or writer raises names the plugin; its own words to the user pass as they are."""

from __future__ import annotations

from types import SimpleNamespace

import pyarrow as pa
import pytest

from sentiment_batch.errors import InputError, PluginError
from sentiment_batch.guards import GuardedReader, GuardedWriter, Plugin
from sentiment_batch.records import Split

PLUGIN = Plugin(name="sheets", location="a.sheet")
ROWS = pa.record_batch({"n": [1]})
SPLIT = Split(index=0, label="sheet 1")


def crash(*arguments):
    raise ZeroDivisionError("oh\nno")


def reader(**parts):
    good = {"schema": ROWS.schema, "num_rows": 1, "splits": lambda: [SPLIT], "batches": lambda split: [ROWS]}
    return SimpleNamespace(**good | {"close": lambda: None} | parts)


def test_a_good_reader_is_handed_through():
    guarded = GuardedReader(reader(), PLUGIN)
    assert (guarded.schema, guarded.num_rows, guarded.splits()) == (ROWS.schema, 1, [SPLIT])
    assert list(guarded.batches(SPLIT)) == [ROWS]
    guarded.close()


@pytest.mark.parametrize("part", ["splits", "batches", "close"])
def test_a_crash_of_a_reader_is_one_line_with_its_name(part):
    guarded = GuardedReader(reader(**{part: crash}), PLUGIN)
    calls = {"splits": guarded.splits, "batches": lambda: list(guarded.batches(SPLIT)), "close": guarded.close}
    with pytest.raises(PluginError) as caught:
        calls[part]()
    assert str(caught.value) == (
        "plugin 'sheets' failed on a.sheet: ZeroDivisionError: oh no. Report it to the plugin's author."
    )


def test_a_reader_without_a_part_is_named():
    with pytest.raises(PluginError, match=r"'sheets' failed on a\.sheet: AttributeError: .*schema"):
        GuardedReader(SimpleNamespace(), PLUGIN)
    with pytest.raises(PluginError, match="num_rows"):
        _ = GuardedReader(SimpleNamespace(schema=ROWS.schema), PLUGIN).num_rows


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ({"n": [1]}, "it gave a dict for a record batch in sheet 1"),
        (pa.table({"n": [1]}), "it gave a Table for a record batch"),
        (pa.record_batch({"m": [1]}), "it gave a batch of other columns than it promised in sheet 1"),
    ],
)
def test_a_batch_that_was_not_promised_is_refused(batch, said):
    with pytest.raises(PluginError, match=said):
        list(GuardedReader(reader(batches=lambda split: [ROWS, batch]), PLUGIN).batches(SPLIT))


@pytest.mark.parametrize("part", ["write", "commit", "abort"])
def test_a_crash_of_a_writer_names_it(part):
    good = {"write": lambda batch: None, "commit": lambda: None, "abort": lambda: None}
    for parts, fails in ((good, False), (good | {part: crash}, True)):
        call = getattr(GuardedWriter(SimpleNamespace(**parts), PLUGIN), part)
        arguments = [ROWS] if part == "write" else []
        if fails:
            with pytest.raises(PluginError, match=r"'sheets' failed on a\.sheet: ZeroDivisionError"):
                call(*arguments)
        else:
            call(*arguments)


@pytest.mark.parametrize("error", [InputError("the sheet is empty. Fill it."), BrokenPipeError(), KeyboardInterrupt()])
def test_words_for_the_user_and_interrupts_pass(error):
    def fail(split):
        raise error

    with pytest.raises(type(error)) as caught:
        list(GuardedReader(reader(batches=fail), PLUGIN).batches(SPLIT))
    assert caught.value is error
