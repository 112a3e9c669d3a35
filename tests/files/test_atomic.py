"""After a crash a file is complete: the new one or the old one."""

from __future__ import annotations

import errno
import os

import pytest

from sentiment_batch.files import atomic


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_file_that_cannot_be_written_stays_what_it_was(tmp_path, monkeypatch, call):
    path = tmp_path / "part.json"
    path.write_bytes(b"before")

    def fails(*arguments):
        assert path.read_bytes() == b"before"  # nobody sees the new one yet
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, call, fails)
    with pytest.raises(OSError, match="full"):
        atomic.write_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["part.json"]


def test_a_file_is_synced_before_the_rename_its_folder_after(tmp_path, monkeypatch):
    order = []
    for call in ("fsync", "replace"):
        real = getattr(os, call)
        monkeypatch.setattr(os, call, lambda *given, call=call, real=real: (order.append(call), real(*given))[1])
    atomic.write_whole(tmp_path / "a", b"bytes")
    assert order == ["fsync", "replace", "fsync"]
    assert (tmp_path / "a").read_bytes() == b"bytes"


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_sync_serves(tmp_path, monkeypatch, code):
    def fails(descriptor):
        raise OSError(code, "not here")

    monkeypatch.setattr(os, "fsync", fails)
    atomic.write_whole(tmp_path / "a", b"bytes")
    assert (tmp_path / "a").read_bytes() == b"bytes"


def test_removing_takes_files_folders_links_and_missing_paths(tmp_path):
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("folder", "link", "missing"):
        atomic.remove(tmp_path / name)
    assert os.listdir(tmp_path) == ["target"]
    assert os.listdir(tmp_path / "target") == ["file"]


def test_a_block_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"before")

    def fail(file):
        file.write(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), atomic.replace_file(path) as file:
        fail(file)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["a"]


def test_the_hidden_file_lies_in_the_scratch_folder(tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with atomic.replace_file(tmp_path / "a", scratch=scratch) as file:
        file.write(b"bytes")
        assert os.listdir(tmp_path) == ["scratch"]
        assert len(os.listdir(scratch)) == 1
    assert sorted(os.listdir(tmp_path)) == ["a", "scratch"]
    assert os.listdir(scratch) == []


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", lambda *names: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    part = atomic.HiddenFile(tmp_path / "a")
    part.finish()
    (tmp_path / "a").write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        part.publish(overwrite=False)
    part.discard()
    part.discard()
    assert (tmp_path / "a").read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["a"]


def test_the_names_of_new_folders_are_synced_once(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(atomic, "sync_folder", synced.append)
    atomic.make_folder(tmp_path / "cache" / "work")
    atomic.make_folder(tmp_path / "cache" / "work")
    assert (tmp_path / "cache" / "work").is_dir()
    assert synced == [tmp_path, tmp_path / "cache"]
