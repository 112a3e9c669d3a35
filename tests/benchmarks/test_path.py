"""The path of one batch is counted."""

from __future__ import annotations

from benchmarks import path


def test_the_files_of_one_batch_are_counted(tmp_path):
    counted = path.files_of_one_batch(tmp_path)
    for name in ("data/readers/csv.py", "tokenization/tokenizer.py", "model/forward/packed.py", "data/writers/csv.py"):
        assert counted[name] > 10
    assert len(counted) <= path.MAX_FILES
    assert max(counted.values()) <= path.MAX_LINES
    assert not any(name.startswith(("training/", "cli/", "report/")) for name in counted)
