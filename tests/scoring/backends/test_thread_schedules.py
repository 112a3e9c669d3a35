"""Whatever the threads of a run do first, it writes the same bytes, or raises the first error and can be resumed."""

from __future__ import annotations

import pytest
import torch

from tests.scoring.thread_schedules import Trial, make_source


@pytest.fixture
def _two_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("_two_threads")
@pytest.mark.parametrize("out", ["out.csv", "out/"])
def test_no_order_of_the_threads_changes_the_bytes(scorer, tmp_path, out):
    trial = Trial(scorer, make_source(tmp_path / "in.parquet"), tmp_path, out)
    endings = {trial.run_seed(seed) for seed in range(15)}
    assert len(endings) >= 5
