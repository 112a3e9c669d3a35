"""What survives a crash: whole files, or those from before; and a lock that two runs cannot both hold."""

from __future__ import annotations

import errno
import os

import pytest

from sentiment_batch.errors import OutputError
from sentiment_batch.files import atomic
from sentiment_batch.files import lock as lock_module
from sentiment_batch.files.checksums import checked_json, file_sha256, parse_checked_json, read_checked_json


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


def test_a_file_is_synced_before_it_has_its_name_and_its_folder_after(tmp_path, monkeypatch):
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


def test_removing_takes_files_folders_links_and_nothing(tmp_path):
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    for name in ("folder", "link", "missing"):
        atomic.remove(tmp_path / name)
    assert os.listdir(tmp_path) == ["kept"]
    assert os.listdir(tmp_path / "kept") == ["file"]


def test_a_lock_is_held_by_one_and_let_go(tmp_path):
    first = lock_module.Lock(tmp_path / "lock", "out.csv")
    with pytest.raises(OutputError, match=rf"out\.csv is being written by process {os.getpid()} on .* since \d{{4}}-"):
        lock_module.Lock(tmp_path / "lock", "out.csv")
    first.release()
    first.release()
    lock_module.Lock(tmp_path / "lock", "out.csv").release()


def test_a_lock_whose_holder_cannot_be_read_is_still_a_lock(tmp_path):
    first = lock_module.Lock(tmp_path / "lock", "out.csv")
    (tmp_path / "lock").write_bytes(b"{")
    with pytest.raises(OutputError, match="by another process"):
        lock_module.Lock(tmp_path / "lock", "out.csv")
    first.release()


def test_a_lock_on_a_file_that_was_taken_away_is_taken_anew(tmp_path, monkeypatch):
    real, moved = lock_module._locked, []

    def locked(descriptor):
        if not moved:
            moved.append(1)
            os.rename(tmp_path / "lock", tmp_path / "gone")  # by the run that held it
        return real(descriptor)

    monkeypatch.setattr(lock_module, "_locked", locked)
    lock = lock_module.Lock(tmp_path / "lock", "out.csv")
    assert (tmp_path / "lock").exists()
    lock.release()


def test_json_that_knows_its_digest_comes_back_or_not_at_all(tmp_path):
    content = {"a": 1, "b": [None, 2.5, "é"], "c": {}}
    data = checked_json(content)
    assert parse_checked_json(data) == content
    for bit in range(0, len(data) * 8, 3):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        assert parse_checked_json(bytes(damaged)) in (None, content)
    for cut in range(0, len(data) - 2):
        assert parse_checked_json(data[:cut]) is None
    (tmp_path / "a.json").write_bytes(data)
    assert read_checked_json(tmp_path / "a.json") is not None
    assert read_checked_json(tmp_path / "b.json") is None
    assert len(file_sha256(tmp_path / "a.json")) == 64
