"""Where a table is written: odd paths, other things in the way, scratch folders, full disks, and folders of others."""

from __future__ import annotations

import os
from urllib.parse import quote

import pytest
from conftest import ROWS, open_writer, read, refuse, write
from sentiment_batch_delta import commits, data_files, writer

from sentiment_batch import OutputError, UsageError


def test_other_folders_and_files_are_never_touched(table):
    table.path.mkdir()
    write(table.url(), ROWS)
    other = table.folder / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    for options in ({}, {"overwrite": True}):
        assert "holds other things than a Delta Lake table" in refuse(f"delta://{other}", ROWS, **options)
        assert "holds other things" in refuse(f"delta://{other}/mine.txt", ROWS, **options)
    assert os.listdir(other) == ["mine.txt"]


def test_a_disk_that_is_full_publishes_nothing(table, monkeypatch):
    table.make()

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    for name in ("link", "rename"):
        with monkeypatch.context() as patch:
            patch.setattr(commits.os, name, fail)
            assert "No space left on device. Free some space there." in refuse(table.url("?mode=append"), ROWS)
    assert (table.version(), table.list_orphans()) == (0, [])


@pytest.mark.parametrize("name", ["a#b", "100%", "a%zz", "a b", "a?b", "größer", "[x]*"])
def test_a_path_may_have_odd_characters(table, name):
    location = f"delta://{table.folder / quote(name)}"
    write(location, ROWS)
    write(f"{location}?mode=append", ROWS)
    write(location, ROWS.slice(1), overwrite=True)
    assert read(location).equals(ROWS.slice(1))
    assert read(f"{location}?version=1").num_rows == 6
    assert os.listdir(table.folder) == [name]


def test_no_path_is_given_to_deltalake_that_it_misreads(table):
    with pytest.raises(UsageError, match="which deltalake misreads"):
        write(f"delta://{table.folder}/a%2541", ROWS)
    scratch = table.folder / "a%41"
    scratch.mkdir()
    write(table.url(), ROWS, scratch=str(scratch))
    assert read(table.url()).equals(ROWS)
    assert sorted(os.listdir(table.folder)) == ["a%41", "table"]


def test_a_scratch_folder_on_the_same_disk_is_used(table, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    made = open_writer(table.url(), ROWS.schema, scratch=str(scratch))
    made.write(ROWS.to_batches()[0])
    assert len(os.listdir(scratch)) == 1
    assert os.listdir(table.folder) == []
    made.commit()
    assert os.listdir(scratch) == []
    assert read(table.url()).equals(ROWS)


@pytest.mark.parametrize("mode", ["", "?mode=append"])
def test_a_scratch_folder_on_another_disk_is_not_used(table, mode):
    memory = "/dev/shm"
    if not os.path.isdir(memory) or os.stat(memory).st_dev == os.stat(table.folder).st_dev:
        pytest.skip("there is no other disk")
    write(table.url(mode), ROWS, scratch=memory)
    made = open_writer(table.url(), ROWS.schema, scratch=memory, overwrite=True)
    made.write(ROWS.to_batches()[0])
    assert read(table.url()).equals(ROWS)
    made.commit()
    assert (table.version(), table.list_orphans()) == (1, [])
    assert [path.name for path in table.path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("mode", ["", "?mode=append"])
def test_what_a_killed_run_left_beside_the_table_is_removed(table, mode, monkeypatch, tmp_path):
    monkeypatch.setattr(data_files, "is_misread", lambda path: True)  # so that the scratch folder is not used
    if mode:
        table.make()
    killed = open_writer(table.url(mode), ROWS.schema, scratch=str(tmp_path))
    killed.write(ROWS.to_batches()[0])
    killed._files.end_file()
    left = table.list_orphans() if mode else [path.name for path in table.folder.iterdir()]
    assert len(left) == 1
    write(table.url(mode), ROWS, scratch=str(tmp_path))
    assert read(table.url()).num_rows == (6 if mode else 3)
    assert table.list_orphans() == []


def test_a_folder_that_must_not_be_written_is_refused_at_once(table, monkeypatch):
    monkeypatch.setattr(writer.os, "access", lambda path, mode: not path.endswith("_delta_log"))
    with pytest.raises(OutputError, match=r"you must not write to .*_delta_log"):
        open_writer(table.make().url("?mode=append"), ROWS.schema)


def test_the_log_of_other_users_is_copied(table, monkeypatch):
    real = os.link

    def refuse_links(source, target):
        if os.path.dirname(source) == str(table.path / "_delta_log"):
            raise PermissionError(1, "Operation not permitted")
        real(source, target)

    monkeypatch.setattr(commits.os, "link", refuse_links)
    write(table.make().url("?mode=append"), ROWS)
    assert read(table.url()).num_rows == 6
