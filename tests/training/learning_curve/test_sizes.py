"""Which rows the models of a learning curve learn from, and what they cost."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.records import Choice
from sentiment_batch.settings import TrainSettings
from sentiment_batch.training import components
from sentiment_batch.training.learning_curve.sizes import (
    choose_rows,
    count_training_rows,
    describe_curve_cost,
    plan_shares,
    with_share,
)
from sentiment_batch.training.prepare import PreparedData, prepare
from sentiment_batch.training.schedule import plan_schedule

ON = {"learning_curve": True}


def data_of(codes: list[int]) -> PreparedData:
    """The data of a run without folds whose training rows have these classes."""
    training = SimpleNamespace(codes=np.array(codes))
    given = dict.fromkeys(PreparedData.__dataclass_fields__)
    return PreparedData(**given | {"training": SizedRows(training.codes)})


class SizedRows:
    """Training rows of which only the classes are known."""

    def __init__(self, codes: np.ndarray) -> None:
        self.codes = codes

    def __len__(self) -> int:
        return len(self.codes)


def setup_of(data: PreparedData, *, batch_size: int = 16, epochs: int | None = None, **chosen) -> SimpleNamespace:
    settings = TrainSettings(epochs=epochs, **chosen)
    steps = -(-count_training_rows(data, 1.0) // batch_size)
    schedule = plan_schedule(steps, epochs, keeps_last=data.folds is not None)
    return SimpleNamespace(
        data=data, schedule=schedule, config=SimpleNamespace(settings=settings, batch_size=batch_size)
    )


@given(codes=st.lists(st.integers(0, 2), min_size=8, max_size=300), seed=st.integers(0, 5))
def test_each_size_holds_the_smaller_one_with_all_classes(codes, seed):
    data = data_of(codes)
    quarter, half, whole = (choose_rows(data, 0, share, seed) for share in (1 / 4, 1 / 2, 1.0))
    assert set(quarter) <= set(half) <= set(whole) == set(range(len(codes)))
    assert (len(quarter), len(half)) == (round(len(codes) / 4), round(len(codes) / 2))
    counts = np.bincount(codes, minlength=3)
    for rows in (quarter, half):
        taken = np.bincount(data.training.codes[rows], minlength=3)
        assert (np.abs(taken - counts * len(rows) / len(codes)) <= 2).all(), "each class has its share"
        if len(rows) >= 3:
            assert ((taken > 0) == (counts > 0)).all(), "no class is lost"
        assert (np.diff(rows) > 0).all(), "in their order"


def test_the_rows_of_a_fold_are_those_outside_it(reviews):
    data = prepare([reviews(60)], TrainSettings(folds=3))
    for fold in range(3):
        rows = choose_rows(data, fold, 1 / 2, 0)
        assert len(rows) == 20
        assert (data.folds.training_N[rows] != fold).all()


def test_another_seed_draws_other_rows():
    data = data_of([0, 1] * 50)
    assert set(choose_rows(data, 0, 1 / 4, 1)) != set(choose_rows(data, 0, 1 / 4, 2))


@pytest.mark.parametrize(("rows", "shares"), [(14, []), (16, [1 / 2]), (31, [1 / 4, 1 / 2]), (500, [1 / 4, 1 / 2])])
def test_sizes_of_a_few_rows_are_left_out(rows, shares):
    data = data_of([0, 1] * (rows // 2) + [0] * (rows % 2))
    assert plan_shares(setup_of(data, **ON)) == shares
    assert plan_shares(setup_of(data)) == [], "only who asks gets a curve"


def test_what_a_curve_costs_is_said_before(reviews):
    split, folds = data_of([0, 1] * 800), prepare([reviews(60)], TrainSettings(folds=3))
    assert describe_curve_cost(setup_of(split, epochs=2, **ON)) == (
        "learning curve: 2 more trainings, on 400 and 800 rows, which take about as long as 0.8 trainings on 1,600 rows"
    )
    # Few rows are gone through more often, so that each of these trainings has about as many steps.
    assert describe_curve_cost(setup_of(folds, **ON)) == (
        "learning curve: 6 more trainings, on 10 and 20 rows, which take about as long as 4.4 trainings on 40 rows"
    )
    assert describe_curve_cost(setup_of(data_of([0, 1] * 5), **ON)) == (
        "the rows are too few for a learning curve, so it is left out"
    )


def test_a_share_crops_if_its_own_rows_are_few(settings, reviews, tiny_base, monkeypatch):
    monkeypatch.setattr(components, "MIN_CROP_TOKENS", 4)
    monkeypatch.setattr(components, "MIN_ROWS_WITHOUT_CROPS", 50)
    how, cpu, float32 = settings(**ON), Choice(value="cpu", reason="a test"), Choice(value="float32", reason="a test")
    run = components.set_up(prepare([reviews(120)], how), tiny_base, how, cpu, float32, quiet=True)
    assert (len(run.training), run.config.random_crops) == (108, 0.0)
    shares = {share: with_share(run, 0, share) for share in (1 / 4, 1 / 2)}
    assert {share: one.config.random_crops for share, one in shares.items()} == {1 / 4: 0.7, 1 / 2: 0.0}
