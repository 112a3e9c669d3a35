"""The choice among candidates: uncertain rows, no two alike if others are left, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from sentiment_batch.selection.diversity import choose_diverse


def make_groups(sizes, width=8, seed=0):
    """Vectors around one centre for each group, and the group of each."""
    chance = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    centres = 10 * np.eye(len(sizes), width, dtype=np.float32)
    return centres[groups] + chance.normal(0, 0.1, (len(groups), width)).astype(np.float32), groups


def test_a_small_group_is_not_missed():
    vectors, groups = make_groups([400, 5, 3, 2])
    weights = np.full(len(groups), 0.4, np.float32)
    for seed in range(10):
        chosen = choose_diverse(vectors, weights, 4, seed)
        assert set(groups[chosen]) == {0, 1, 2, 3}


def test_uncertain_rows_are_preferred():
    vectors, _ = make_groups([400])
    weights = np.full(400, 0.01, np.float32)
    weights[:200] = 0.5
    chosen = choose_diverse(vectors, weights, 50, seed=3)
    assert (chosen < 200).mean() > 0.9


@pytest.mark.parametrize("different", [1, 3, 10])
def test_rows_with_equal_vectors_are_chosen_once(different):
    vectors = np.tile(np.eye(different, 16, dtype=np.float32), (20, 1))
    weights = np.linspace(0.5, 0.1, len(vectors)).astype(np.float32)
    chosen = choose_diverse(vectors, weights, 12, seed=0)
    assert len(set(chosen.tolist())) == 12
    # The most uncertain of the others follow, once each different vector is there.
    assert set(np.argmax(vectors[chosen[:different]], axis=1)) == set(range(different))


def test_a_seed_gives_the_same_rows_and_another_seed_others():
    vectors, _ = make_groups([100, 100])
    weights = np.full(200, 0.3, np.float32)
    first, again, other = (choose_diverse(vectors, weights, 20, seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    assert len(set(first.tolist())) == 20


def test_all_rows_are_chosen_if_they_are_few():
    vectors, _ = make_groups([3])
    assert sorted(choose_diverse(vectors, np.ones(3, np.float32), 5, seed=0)) == [0, 1, 2]
