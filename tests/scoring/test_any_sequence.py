"""A few sequences of events around an output keep the rules of `any_sequence.py`; `make stress` runs 500."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from sentiment_batch import Scorer
from tests.scoring.any_sequence import AnySequence, Workshop

SEQUENCES, MAX_STEPS = 8, 20


@pytest.fixture
def workshop(tiny_model, tmp_path):
    """All digits are written, so that the least damage to a score shows."""
    with Scorer.load(str(tiny_model), device="cpu", dtype="float32", decimals=7) as scorer:
        yield Workshop(scorer, tmp_path)


def test_any_sequence_of_events_keeps_the_rules(workshop):
    class Machine(AnySequence):
        pass

    Machine.workshop = workshop
    run_state_machine_as_test(Machine, settings=settings(max_examples=SEQUENCES, stateful_step_count=MAX_STEPS))
    assert sum(workshop.counts.values()) > SEQUENCES
