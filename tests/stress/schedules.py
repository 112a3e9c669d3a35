"""Scores under many seeded schedules of the threads (see `tests/scoring/thread_schedules.py`), and appends to a log.

    python -m tests.stress.schedules --seeds 1000 --log tests/stress/schedules.log

A line of the log is a group of 25 schedules, and how often each ended in which way. The exit status is 1 if the bytes
differed, another error than the first came out, or a thread was left. A deadlock prints all stacks and ends the run.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.stress.models import tiny_model
from tests.stress.seed_log import SeedLog, describe

SCHEDULES_PER_LINE = 25
OUTPUTS = ("out.csv", "out.parquet", "out/")
THREADS = 2


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1_000, help="schedules in all; default: 1,000")
    parser.add_argument("--log", type=Path, required=True, help="what is appended to")
    given = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    log = SeedLog(given.log)
    with tempfile.TemporaryDirectory(prefix="schedules-") as temporary:
        folder = Path(temporary)
        os.environ["SENTIMENT_BATCH_CACHE"] = str(folder / "cache")
        model = tiny_model(folder)
        import torch

        from sentiment_batch import Scorer
        from tests.scoring.thread_schedules import Trial, make_source

        torch.set_num_threads(THREADS)
        source = make_source(folder / "in.parquet")
        with Scorer.load(str(model), device="cpu", dtype="float32") as scorer:
            trials = []
            for number, out in enumerate(OUTPUTS):
                (folder / str(number)).mkdir()
                trials.append(Trial(scorer, source, folder / str(number), out))

            def run_group(group: int) -> Counter[str]:
                first = group * SCHEDULES_PER_LINE
                numbers = range(first, first + SCHEDULES_PER_LINE)
                return Counter(trials[number % len(trials)].run_seed(number) for number in numbers)

            if not log.run(range(-(-given.seeds // SCHEDULES_PER_LINE)), run_group, folder):
                return 1
    total = log.sum_up()
    log.say(f"{sum(total.values())} schedules, all held: {describe(total)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
