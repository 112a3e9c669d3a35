"""A wrong report of a bad row is an error of the plugin: no bad row is lost or put on another row."""

from __future__ import annotations

import contextlib
import threading
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from sentiment_batch.data.plugin_guards import GuardedReader, PluginGuard
from sentiment_batch.errors import PluginError
from sentiment_batch.plugins.bad_row_guard import BadRowGuard
from sentiment_batch.records import Problem, Split

ROWS = pa.record_batch({"n": [1, 2, 3]})
SPLITS = [Split(index=0, label="sheet 1"), Split(index=1, label="sheet 2", num_rows=3)]


def problem(row, **parts):
    return Problem(**{"row": row, "where": "sheet 1, row 1", "reason": "too few cells", "original": b"x"} | parts)


def read(batches):
    """What is passed on while all splits are read; `batches(split, report)` are those of the plugin."""
    plugin, passed = PluginGuard(name="sheets", location="a.sheet"), []
    guard = BadRowGuard(plugin.make_error, passed.append)
    parts = {"schema": ROWS.schema, "num_rows": None, "splits": lambda: SPLITS, "close": lambda: None}
    reader = GuardedReader(SimpleNamespace(**parts, batches=lambda split: batches(split, guard.report)), plugin, guard)
    for split in reader.splits():
        list(reader.batches(split))
    return passed


def reporting(*reports, split=0, late=False):
    def batches(asked, report):
        wanted = reports if asked.index == split else ()
        for one in () if late else wanted:
            report(one)
        yield ROWS
        for one in wanted if late else ():
            report(one)

    return batches


def test_good_reports_pass_unchanged():
    found = read(reporting(problem(0), problem(2), split=1))
    assert found == [problem(0), problem(2)]


def test_a_row_may_be_a_number_of_numpy():
    (found,) = read(reporting(problem(np.int64(1))))
    assert (found.row, type(found.row)) == (1, int)


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ({"row": 1}, "it reported an object of the type dict as a bad row, not a Problem"),
        (None, "it reported an object of the type NoneType"),
        (problem(-1), "a bad row with row=-1; it must be the number of the row in its split"),
        (problem("1"), "a bad row with row='1'"),
        (problem(True), "a bad row with row=True"),
        (problem(1.0), r"a bad row with row=1\.0"),
        (problem(1, original="x"), "row 1 as a bad row with original of the type str; it must be bytes"),
        (problem(1, original=None), "original of the type NoneType; it must be bytes"),
        (problem(1, where=7), "where of the type int; it must be str"),
        (problem(1, reason=None), "reason of the type NoneType; it must be str"),
    ],
)
def test_a_report_that_is_wrong_in_itself_is_refused(report, message):
    with pytest.raises(PluginError, match=rf"^plugin 'sheets' failed on a\.sheet: .*{message}"):
        read(reporting(report))


@pytest.mark.parametrize("split", [0, 1])
@pytest.mark.parametrize("row", [3, 99])
def test_a_row_that_the_split_does_not_have_is_refused(split, row):
    label = f"sheet {split + 1}"
    message = f"it reported row {row} of {label} as a bad row, but {label} has 3 rows, counted from 0"
    with pytest.raises(PluginError, match=message):
        read(reporting(problem(row), split=split))


def test_a_row_that_was_returned_before_is_refused():
    with pytest.raises(PluginError, match="reported row 1 of sheet 1 as a bad row after it had returned that row"):
        read(reporting(problem(1), late=True))


def test_a_reader_that_catches_everything_hides_no_wrong_report():
    def batches(split, report):
        with contextlib.suppress(Exception):
            report(problem(-1))
        yield ROWS

    with pytest.raises(PluginError, match="row=-1"):
        read(batches)


def test_a_report_from_a_thread_belongs_to_the_open_split():
    def batches(split, report):
        thread = threading.Thread(target=report, args=(problem(3),))
        thread.start()
        thread.join()
        yield ROWS

    with pytest.raises(PluginError, match="row 3 of sheet 1"):
        read(batches)


def test_splits_that_are_read_in_turn_are_told_apart():
    plugin, passed = PluginGuard(name="sheets", location="a.sheet"), []
    guard = BadRowGuard(plugin.make_error, passed.append)

    def batches(split):
        for row in range(0, 9 if split.index else 6, 3):
            guard.report(problem(row + 2))
            yield ROWS

    splits = [Split(index=0, label="short"), Split(index=1, label="long")]
    parts = {"schema": ROWS.schema, "num_rows": None, "splits": lambda: splits, "close": lambda: None}
    reader = GuardedReader(SimpleNamespace(**parts, batches=batches), plugin, guard)
    iterators = [reader.batches(split) for split in reader.splits()]
    for which in (1, 0, 1, 0, 1):
        next(iterators[which])
    assert [list(one) for one in iterators] == [[], []]
    assert [one.row for one in passed] == [2, 2, 5, 5, 8]
