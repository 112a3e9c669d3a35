"""A new database file appears with its table: complete, on disk, and never in the place of another one."""

from __future__ import annotations

import os

import pyarrow as pa
import pytest
from conftest import read, write
from sentiment_batch_sql import file_target
from sentiment_batch_sql.file_target import DatabaseFileTarget

ROWS = pa.table({"id": [1, 2], "review": ["good", None]})


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_new_file_appears_with_its_table(kind, tmp_path, monkeypatch):
    path = tmp_path / "new.db"
    there = []
    link = os.link
    monkeypatch.setattr(os, "link", lambda *places: there.append(path.exists()) or link(*places))
    write(f"{kind}:///{path}?table=t", ROWS)
    assert there == [False], "it is complete before it gets its name"
    assert read(f"{kind}:///{path}?table=t").num_rows == 2
    assert [one.name for one in tmp_path.iterdir()] == ["new.db"]


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_what_a_killed_run_left_of_a_new_file_is_replaced(kind, tmp_path, monkeypatch):
    path = tmp_path / "new.db"
    made = []
    monkeypatch.setattr(file_target, "sync_path", made.append)
    monkeypatch.setattr(file_target, "_remove", lambda path: None)
    write(f"{kind}:///{path}?table=t", ROWS)
    hidden = made[0]
    monkeypatch.undo()
    path.unlink()
    with open(hidden, "wb") as file:
        file.write(b"half of a file")
    write(f"{kind}:///{path}?table=t", ROWS)
    assert read(f"{kind}:///{path}?table=t").num_rows == 2
    assert not os.path.exists(hidden)


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_that_another_program_makes_meanwhile_stays(kind, has_links, tmp_path, monkeypatch):
    path = tmp_path / "new.db"
    copy = DatabaseFileTarget._copy_into

    def copy_beside_another(self, place):
        copy(self, place)
        if not path.exists():
            monkeypatch.setattr(DatabaseFileTarget, "_copy_into", copy)
            write(f"{kind}:///{path}?table=theirs", ROWS)

    monkeypatch.setattr(DatabaseFileTarget, "_copy_into", copy_beside_another)
    if not has_links:
        monkeypatch.setattr(os, "link", _refuse_links)
    write(f"{kind}:///{path}?table=ours", ROWS)
    for table in ("ours", "theirs"):
        assert read(f"{kind}:///{path}?table={table}").num_rows == 2


def _refuse_links(source, target):
    raise PermissionError("this file system has no links")
