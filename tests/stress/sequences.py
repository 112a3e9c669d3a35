"""Runs many sequences of events around an output (see `tests/scoring/any_sequence.py`), and appends to a log.

    python -m tests.stress.sequences --runs 500 --log tests/stress/sequences.log

A line of the log is a seed with its sequences, and how often each event ended in which way. The exit status is 1 if a
rule was broken; the shortest sequence that breaks it is in the log then.
"""

from __future__ import annotations

import argparse
import collections
import os
import sys
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stress.models import tiny_model
from tests.stress.seed_log import SeedLog, describe

RUNS_PER_SEED = 20
MAX_STEPS = 28
"""Hypothesis ends many sequences earlier, so that they have 20 steps on average."""


def run_seed(number: int, scorer, folder: Path) -> collections.Counter[str]:
    """Run the sequences of one seed; how often each event ended in which way.

    Raises:
        AssertionError: a rule was broken.
    """
    from tests.scoring.any_sequence import AnySequence, Workshop

    class Machine(AnySequence):
        workshop = Workshop(scorer, folder)

    chosen = settings(
        max_examples=RUNS_PER_SEED,
        stateful_step_count=MAX_STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(number)(Machine), settings=chosen)
    return Machine.workshop.counts


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500, help="sequences in all; default: 500")
    parser.add_argument("--log", type=Path, required=True, help="what is appended to")
    given = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    log = SeedLog(given.log)
    with tempfile.TemporaryDirectory(prefix="sequences-") as temporary:
        folder = Path(temporary)
        os.environ["SENTIMENT_BATCH_CACHE"] = str(folder / "cache")
        model = tiny_model(folder)
        from sentiment_batch import Scorer

        with Scorer.load(str(model), device="cpu", dtype="float32", decimals=7) as scorer:
            seeds = range(1, -(-given.runs // RUNS_PER_SEED) + 1)
            if not log.run(seeds, lambda number: run_seed(number, scorer, folder), folder):
                return 1
    total = log.sum_up()
    log.say(f"{RUNS_PER_SEED * len(log.done)} sequences, {sum(total.values())} events, all held: {describe(total)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
