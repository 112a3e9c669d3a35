"""How many steps a run has by default, and when it validates."""

from __future__ import annotations

import pytest

from sentiment_batch.training.schedule import MIN_STEPS, VALIDATIONS_OF_FEW_ROWS, choose_validation_steps, plan_schedule


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (1, {1}),
        (999, {999}),
        (1_999, {1_999}),
        (2_000, {1_000, 2_000}),
        (3_001, {1_000, 2_001, 3_001}),
        (100_000, {25_000, 50_000, 75_000, 100_000}),
    ],
)
def test_long_epochs_are_validated_within_all_at_their_end(steps, expected):
    assert choose_validation_steps(steps) == expected


def test_a_run_has_three_epochs_by_default_where_rows_are_plenty():
    found = plan_schedule(1_000, None)
    assert (found.epochs, found.steps) == (3, 3_000)
    assert found.validations == {1_000, 2_000, 3_000}


@pytest.mark.parametrize("steps_per_epoch", [1, 5, 20, 33])
def test_few_rows_are_gone_through_until_there_are_enough_steps(steps_per_epoch):
    found = plan_schedule(steps_per_epoch, None)
    assert MIN_STEPS <= found.steps < MIN_STEPS + steps_per_epoch
    assert found.steps == found.epochs * steps_per_epoch
    assert len(found.validations) == VALIDATIONS_OF_FEW_ROWS
    assert max(found.validations) == found.steps


def test_epochs_of_the_user_are_taken_and_each_is_validated():
    found = plan_schedule(4, 50)
    assert (found.epochs, found.steps) == (50, 200)
    assert found.validations == set(range(4, 201, 4))


def test_the_last_training_has_the_epochs_of_the_folds():
    found = plan_schedule(4, 30, keeps_last=True).without_validation(5)
    assert (found.epochs, found.steps, found.validations) == (30, 150, frozenset())
