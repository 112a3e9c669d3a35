"""Kills writers at their operations on files, and checks what is there and what the next writer makes of it.

    LD_PRELOAD=file_operations.so python killed_writers.py FOLDER EVERY

Every operation counts if EVERY is 1, every second one if it is 2, and so on.

deltalake cannot be used in a fork of a process that has used it. So each writer and each check is a fork of its own.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import shutil
import sys
import traceback
from pathlib import Path

import pyarrow as pa
import sentiment_batch_delta.reader  # what is imported here need not be imported by each fork
import sentiment_batch_delta.run_ids
import sentiment_batch_delta.writer  # noqa: F401
from conftest import Table, has_run_id, read, write

from tests import file_operations

OLD = pa.table({"id": [1, 2, 3]})
NEW = pa.table({"id": [4, 5]})
RUN = "0a1b2c3d"
KINDS = ("new", "append", "replace")


class Scene:
    """A table, and what writes it.

    Args:
        folder: an empty folder.
        kind: `new`, `append` or `replace`.
    """

    def __init__(self, folder, kind):
        self.table, self.scratch, self.kind = Table(folder / "tables"), folder / "tables" / "scratch", kind
        self.url = self.table.url("?mode=append" if kind == "append" else "")
        self.old = None if kind == "new" else OLD
        self.new = pa.concat_tables([OLD, NEW]) if kind == "append" else NEW
        self.start = folder / "start"
        self.start.mkdir()
        if kind != "new":
            in_fork(lambda: write(f"delta://{self.start / 'table'}", OLD))

    def reset(self):
        shutil.rmtree(self.table.folder, ignore_errors=True)
        shutil.copytree(self.start, self.table.folder)
        self.scratch.mkdir()

    def write(self, kill_at=0, record=""):
        file_operations.watch(str(self.table.folder), kill_at=kill_at, record=record)
        write(self.url, NEW, overwrite=self.kind == "replace", run_id=RUN, scratch=str(self.scratch))
        if record:
            file_operations.add_note("done")

    def finish(self):
        """What a killed writer has left is whole, and the next writer completes it."""
        found = read(self.table.url()) if self.table.path.exists() else None
        is_new = has_run_id(self.url, RUN)
        assert (found == self.new) if is_new else (found == self.old), f"{found} is there"
        orphans = self.table.list_orphans() if found is not None else []
        assert all(path.endswith(".parquet") for path in orphans if not path.startswith(str(self.scratch))), orphans
        shutil.rmtree(self.scratch)  # as the next run does
        self.scratch.mkdir()
        if not is_new:
            self.write()
        assert read(self.table.url()) == self.new
        assert has_run_id(self.url, RUN)
        assert os.listdir(self.scratch) == []
        assert set(os.listdir(self.table.folder)) == {"scratch", "table"}


def in_fork(work):
    """Run a function in a fork; its exit status, minus the number of a signal."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def check_all(folder, kind, every):
    """Kill at operations; their number, those of a whole writer, and what is wrong."""
    folder.mkdir()
    scene, wrong = Scene(folder, kind), []
    scene.reset()
    assert in_fork(lambda: scene.write(record=str(folder / "record"))) == 0
    operations = file_operations.read_operations(folder / "record")
    for number in itertools.count(1, every):
        scene.reset()
        status = in_fork(functools.partial(scene.write, kill_at=number))
        if status == 0:
            counts = file_operations.format_counts(operations)
            return {"points": len(range(1, number, every)), "wrong": wrong, "counts": counts}
        if status != -9 or in_fork(scene.finish) != 0:
            wrong.append(number)


if __name__ == "__main__":
    place, step = Path(sys.argv[1]), int(sys.argv[2])
    print(json.dumps({kind: check_all(place / kind, kind, step) for kind in KINDS}))
