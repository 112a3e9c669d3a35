"""Windows, by stand-ins: names of devices, files that others have open, drive letters, folders without sync."""

from __future__ import annotations

import errno
import os

import pyarrow as pa
import pytest

from sentiment_batch.data.formats import open_writer
from sentiment_batch.errors import OutputError
from sentiment_batch.files import atomic, windows
from sentiment_batch.files.atomic import replace_file, write_whole
from sentiment_batch.files.filesystems import local_path
from sentiment_batch.locations import scheme_of, suffix_of
from sentiment_batch.records import WriteOptions

ROWS = pa.record_batch({"review": ["a"]})


@pytest.fixture
def on_windows(monkeypatch):
    """The package believes that it runs on Windows, and waits no more than a moment."""
    monkeypatch.setattr(windows, "IS_WINDOWS", True)
    monkeypatch.setattr(windows, "MAX_WAIT_SECONDS", 0.2)


@pytest.fixture
def refuse_replacing(monkeypatch):
    """`refuse_replacing(times)` lets that many renames fail, as Windows does while a program has the file open."""

    def refuse(times):
        real, left = os.replace, iter(range(times))

        def replace(source, target):
            if next(left, None) is not None:
                raise PermissionError(errno.EACCES, "Access is denied", str(target))
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)

    return refuse


def test_a_file_that_a_reader_closes_in_time_is_replaced(on_windows, refuse_replacing, tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    refuse_replacing(2)
    write_whole(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_file_that_stays_open_keeps_its_content(on_windows, refuse_replacing, tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    refuse_replacing(10**6)
    with pytest.raises(PermissionError), replace_file(tmp_path / "a") as file:
        file.write(b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_other_systems_do_not_wait(refuse_replacing, tmp_path):
    refuse_replacing(1)
    with pytest.raises(PermissionError):
        write_whole(tmp_path / "a", b"new")


def test_an_output_that_stays_open_is_one_line(on_windows, refuse_replacing, tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    refuse_replacing(10**6)
    writer = open_writer(str(path), ROWS.schema, options=WriteOptions(overwrite=True))
    writer.write(ROWS)
    with pytest.raises(OutputError, match=r"out\.csv cannot be written: permission denied\. Close the program that"):
        writer.commit()
    writer.abort()
    assert [one.name for one in tmp_path.iterdir()] == ["out.csv"]
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    "name", ["NUL.csv", "con.csv", "Com1.csv", "lpt9.tar.csv", "aux .csv", "a?.csv", "a:b.csv", "a*.csv", "a|b.csv"]
)
def test_a_name_that_windows_cannot_store_is_refused(on_windows, tmp_path, name):
    with pytest.raises(OutputError, match=r"cannot be written: .* on Windows\. Choose another name\."):
        open_writer(str(tmp_path / name), ROWS.schema)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["nulls.csv", "com10.csv", "console.csv", "a.b c.csv", "com.csv", ".csv"])
def test_names_that_look_like_devices_are_taken(on_windows, name):
    assert windows.find_name_problem(name) is None


def test_other_systems_store_any_name():
    assert windows.find_name_problem("NUL") is None


def test_names_that_end_with_a_dot_or_a_blank_are_refused(on_windows):
    assert windows.find_name_problem("a.") is not None
    assert windows.find_name_problem("a ") is not None


@pytest.mark.parametrize("path", [r"C:\x.csv", "C:/x.csv", "c://x.csv", r"\\server\share\x.csv", "x.csv"])
def test_a_drive_letter_is_no_scheme(path):
    assert (scheme_of(path), local_path(path), suffix_of(path)) == ("", path, ".csv")


def test_a_file_url_with_a_drive_is_that_path(on_windows, monkeypatch):
    assert local_path("file:///C:/data/x.csv") == "C:/data/x.csv"
    monkeypatch.setattr(windows, "IS_WINDOWS", False)
    assert local_path("file:///C:/data/x.csv") == "/C:/data/x.csv"


def test_a_folder_that_cannot_be_opened_is_not_synced(monkeypatch, tmp_path):
    real = os.open

    def refuse(path, flags, *more):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Access is denied", str(path))
        return real(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse)
    write_whole(tmp_path / "a", b"new")
    atomic.sync_folder(tmp_path)
    assert (tmp_path / "a").read_bytes() == b"new"
