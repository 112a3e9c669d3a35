"""Two programs write one table at the same time: one commit wins, and no row is lost or doubled."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from conftest import ROWS, open_writer, read, write
from deltalake import write_deltalake

from sentiment_batch import OutputError

CHANGED = "was changed by another program since version"


def number(value, rows=3):
    """Rows that name their writer."""
    return pa.table({"writer": [value] * rows})


def begin(location, rows, **options):
    """A writer that has taken its rows."""
    made = open_writer(location, rows.schema, **options)
    for batch in rows.to_batches():
        made.write(batch)
    return made


def commit_together(*writers):
    """Commit in threads at the same moment; the message of each error, None for a success."""
    barrier = threading.Barrier(len(writers))

    def commit(writer):
        barrier.wait()
        try:
            writer.commit()
        except OutputError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(len(writers)) as threads:
        return list(threads.map(commit, writers))


@pytest.mark.parametrize("round", range(5))
@pytest.mark.parametrize("overwrite", [False, True])
def test_one_of_two_writers_wins(table, round, overwrite):
    if overwrite:
        write(table.url(), number(-1))
    writers = [begin(table.url(), number(value), overwrite=overwrite) for value in range(2)]
    messages = commit_together(*writers)
    (winner,) = (value for value, message in enumerate(messages) if message is None)
    assert (CHANGED if overwrite else "exists already") in messages[1 - winner]
    assert read(table.url()).equals(number(winner))
    assert table.version() == int(overwrite)
    assert table.list_orphans() == []


def test_rows_that_many_add_are_all_kept(table):
    def add(value):
        write(table.url("?mode=append"), number(value, rows=value))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(1, 25)))
    found = read(table.url())["writer"].to_pylist()
    assert sorted(found) == sorted(value for value in range(1, 25) for _ in range(value))
    assert table.version() == 23
    assert table.list_orphans() == []


def test_rows_that_another_program_adds_are_kept(table):
    write(table.url(), number(0))

    def add(value):
        if value % 2:
            write(table.url("?mode=append"), number(value))
        else:
            write_deltalake(table.path, number(value), mode="append")

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(add, range(1, 21)))
    assert sorted(read(table.url())["writer"].to_pylist()) == [value for value in range(21) for _ in range(3)]


def test_a_table_that_changed_meanwhile_is_not_replaced(table):
    write(table.url(), number(0))
    made = begin(table.url(), number(1), overwrite=True)
    table.make(number(2), mode="append")
    with pytest.raises(OutputError, match=CHANGED):
        made.commit()
    assert read(table.url())["writer"].to_pylist() == [0, 0, 0, 2, 2, 2]
    assert table.list_orphans() == []


def test_a_table_that_appeared_meanwhile_is_kept(table):
    made, replacing = begin(table.url(), number(1)), begin(table.url(), number(1), overwrite=True)
    table.make(number(2))
    with pytest.raises(OutputError, match="exists already"):
        made.commit()
    with pytest.raises(OutputError, match="made by another program meanwhile, so it is not replaced"):
        replacing.commit()
    adding = begin(table.url("?mode=append"), number(1))
    adding.commit()
    assert read(table.url())["writer"].to_pylist() == [2, 2, 2, 1, 1, 1]


def test_rows_are_not_added_to_columns_that_changed_meanwhile(table):
    write(table.url(), number(0))
    made = begin(table.url("?mode=append"), number(1))
    write(table.url(), ROWS, overwrite=True)
    with pytest.raises(OutputError, match="also has the columns 'id', 'review'"):
        made.commit()
    assert read(table.url()).equals(ROWS)
    assert table.list_orphans() == []


def test_a_folder_of_others_that_appeared_meanwhile_is_kept(table):
    made = begin(table.url(), number(1))
    table.path.mkdir()
    (table.path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        made.commit()
    assert [path.name for path in table.folder.rglob("*")] == ["table", "mine.txt"]
