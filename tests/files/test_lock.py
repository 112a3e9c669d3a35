"""The lock on a work folder: two processes never hold it at the same time."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys

import filelock
import pytest

from sentiment_batch.errors import OutputError
from sentiment_batch.files.lock import HOLDER, LOCK, FolderLock

HOLDING = """
import pathlib, sys, time
from sentiment_batch.files.lock import FolderLock
lock = FolderLock(pathlib.Path(sys.argv[1]), "out.csv")
print("locked", flush=True)
time.sleep(600)
"""


def test_the_lock_has_one_holder_until_its_release(tmp_path):
    first = FolderLock(tmp_path / "deep" / "work", "out.csv")
    with pytest.raises(OutputError, match=rf"out\.csv is being written by process {os.getpid()} on .* since \d{{4}}-"):
        FolderLock(tmp_path / "deep" / "work", "out.csv")
    first.release()
    first.release()
    FolderLock(tmp_path / "deep" / "work", "out.csv").release()


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(OutputError, match=rf"out\.csv is being written by process {other.pid} on "):
            FolderLock(tmp_path, "out.csv")
        other.send_signal(signal.SIGKILL)
        other.wait()
    FolderLock(tmp_path, "out.csv").release()


def test_an_unreadable_holder_does_not_weaken_the_lock(tmp_path):
    first = FolderLock(tmp_path, "out.csv")
    (tmp_path / HOLDER).write_bytes(b"{")
    with pytest.raises(OutputError, match="by another process"):
        FolderLock(tmp_path, "out.csv")
    first.release()


def test_a_full_disk_does_not_weaken_the_lock(tmp_path):
    (tmp_path / HOLDER).mkdir()
    first = FolderLock(tmp_path, "out.csv")
    with pytest.raises(OutputError, match="by another process"):
        FolderLock(tmp_path, "out.csv")
    first.release()


def test_a_lock_file_of_version_0_1_can_be_locked(tmp_path):
    (tmp_path / LOCK).write_text(json.dumps({"process": 1, "machine": "old", "since": "2026-01-01 00:00:00"}))
    first = FolderLock(tmp_path, "out.csv")
    with pytest.raises(OutputError, match=f"by process {os.getpid()} on"):
        FolderLock(tmp_path, "out.csv")
    first.release()


@pytest.mark.parametrize("moment", ["before the lock", "after the lock"])
def test_a_lock_file_that_was_moved_away_is_locked_anew(tmp_path, monkeypatch, moment):
    real, moved = filelock.lock_descriptor, []

    def lock_descriptor(descriptor, **options):
        taken = real(descriptor, **options) if moment == "after the lock" else True
        if not moved:
            moved.append(1)
            os.rename(tmp_path / LOCK, tmp_path / "gone")  # by the run that held it
        return taken if moment == "after the lock" else real(descriptor, **options)

    monkeypatch.setattr(filelock, "lock_descriptor", lock_descriptor)
    lock = FolderLock(tmp_path, "out.csv")
    assert (tmp_path / LOCK).exists()
    with pytest.raises(OutputError, match="is being written by"):
        FolderLock(tmp_path, "out.csv")
    lock.release()


def test_a_folder_that_vanishes_is_made_anew(tmp_path, monkeypatch):
    real, removed = os.open, []

    def opened(path, *arguments):
        if not removed:
            removed.append(1)
            os.rmdir(tmp_path / "work")
        return real(path, *arguments)

    monkeypatch.setattr(os, "open", opened)
    FolderLock(tmp_path / "work", "out.csv").release()
    assert (tmp_path / "work" / LOCK).exists()


def _link(path):
    (path.parent / "elsewhere").write_bytes(b"theirs")
    path.symlink_to(path.parent / "elsewhere")


def _dangling_link(path):
    path.symlink_to(path.parent / "elsewhere")


def _second_name(path):
    (path.parent / "elsewhere").write_bytes(b"theirs")
    os.link(path.parent / "elsewhere", path)


@pytest.mark.parametrize("make", [_link, _dangling_link, _second_name, os.mkfifo, os.mkdir])
@pytest.mark.parametrize("no_follow", [True, False])
def test_only_a_regular_file_with_one_name_is_locked(tmp_path, monkeypatch, make, no_follow):
    if not no_follow:
        flags = "sentiment_batch.files.lock._OPEN_FLAGS"
        monkeypatch.setattr(flags, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK)
    make(tmp_path / LOCK)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(OutputError, match="lock is a link or a special file, so it cannot be locked"):
        FolderLock(tmp_path, "out.csv")
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
def test_a_file_system_without_locks_is_no_error(tmp_path, monkeypatch, code):
    def fails(descriptor, **options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(filelock, "lock_descriptor", fails)
    FolderLock(tmp_path, "out.csv").release()


@pytest.mark.parametrize("content", [b"[" * 200_000, b"[7]", b'{"process": 1}', None])
def test_an_odd_holder_is_another_process(tmp_path, content):
    first = FolderLock(tmp_path, "out.csv")
    (tmp_path / HOLDER).unlink()
    if content is None:
        os.mkfifo(tmp_path / HOLDER)
    else:
        (tmp_path / HOLDER).write_bytes(content)
    with pytest.raises(OutputError, match="by another process"):
        FolderLock(tmp_path, "out.csv")
    first.release()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_the_holder_is_not_written_through_a_link(tmp_path, link):
    (tmp_path / "thesis").write_text("mine")
    (tmp_path / "work").mkdir()
    link(tmp_path / "thesis", tmp_path / "work" / HOLDER)
    FolderLock(tmp_path / "work", "out.csv").release()
    assert (tmp_path / "thesis").read_text() == "mine"
