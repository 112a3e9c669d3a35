"""The state of an input shows whether its file is the one that was read."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from sentiment_batch.data.readers import input_state
from sentiment_batch.data.readers.input_state import drop_machine_bound, identify_input


@pytest.fixture
def file(tmp_path):
    (tmp_path / "in.csv").write_text("text\ngood\n")
    return tmp_path / "in.csv"


def test_a_file_that_nobody_touched_keeps_its_state(file):
    assert identify_input(str(file)) == identify_input(f"file://{file}")


@pytest.mark.parametrize("how", ["replaced", "rewritten"])
def test_a_file_of_the_same_size_and_time_is_another(file, how):
    before, status = identify_input(str(file)), file.stat()
    new = file.with_name("new.csv") if how == "replaced" else file
    new.write_text("text\nevil\n")
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(new, file)
    after = identify_input(str(file))
    assert before != after
    assert drop_machine_bound([before]) == drop_machine_bound([after])


@pytest.mark.parametrize(("device", "inodes", "counts"), [(0x801, 9, True), (0x801, 0, False), (0x30, 9, False)])
def test_an_inode_number_counts_where_a_disk_stores_it(file, monkeypatch, device, inodes, counts):
    status = SimpleNamespace(st_dev=device, st_ino=7, st_ctime_ns=8)
    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_files=inodes))
        found = input_state._identify_on_machine(str(file), status)
    assert found == {"changed": 8} | ({"inode": 7} if counts else {})


def test_what_a_plugin_reports_of_its_input_stays():
    for state in (None, {"changed": 1}, "v1", [1, "x"]):
        assert drop_machine_bound(state) == state
