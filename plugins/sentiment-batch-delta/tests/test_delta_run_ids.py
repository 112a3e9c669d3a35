"""A table keeps the ID of the run that has written it, as long as its rows are there."""

from __future__ import annotations

import pytest
from conftest import ROWS, has_run_id, write

from sentiment_batch import OutputError

RUN = "0a1b2c3d"


def test_a_new_table_keeps_the_id(table):
    assert not has_run_id(table.url(), RUN)
    write(table.url(), ROWS, run_id=RUN)
    assert has_run_id(table.url(), RUN)
    assert not has_run_id(table.url(), "77")


@pytest.mark.parametrize("mode", ["", "?mode=append"])
def test_rows_and_checkpoints_of_others_keep_the_id(table, mode):
    write(table.url(mode), ROWS, run_id=RUN)
    table.make(mode="append").make(mode="append").open().optimize.compact()
    write(table.url("?mode=append"), ROWS, run_id="77")
    table.open().create_checkpoint()
    assert has_run_id(table.url(mode), RUN)
    assert has_run_id(table.url("?mode=append"), "77")


def test_a_table_that_others_replaced_has_another_id(table):
    write(table.url(), ROWS, run_id=RUN)
    table.make(mode="overwrite")
    assert not has_run_id(table.url(), RUN)
    assert has_run_id(table.url("?mode=append"), RUN), "the rows were added once and must not be added again"


def test_a_table_whose_rows_were_deleted_has_another_id(table):
    write(table.url(), ROWS, run_id=RUN)
    table.open().delete("id = 2")
    assert not has_run_id(table.url(), RUN)


def test_an_empty_table_that_was_replaced_has_another_id(table):
    write(table.url(), ROWS.slice(0, 0), run_id=RUN)
    table.make(mode="overwrite")
    assert not has_run_id(table.url(), RUN)


def test_without_the_later_commits_the_id_is_unknown(table):
    write(table.url(), ROWS, run_id=RUN)
    table.make(mode="append").open().create_checkpoint()
    table.commit(1).unlink()
    assert not has_run_id(table.url(), RUN)
    assert has_run_id(table.url("?mode=append"), RUN)


def test_a_damaged_log_is_one_line(table):
    write(table.url(), ROWS, run_id=RUN)
    table.make(mode="append").commit(1).write_text("garbage")
    with pytest.raises(OutputError, match="Restore the table"):
        has_run_id(table.url(), RUN)
