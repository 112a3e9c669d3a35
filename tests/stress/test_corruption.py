"""A sample of the damage that `corruption.py` does: every damaged file is refused, made again, or harmless."""

from __future__ import annotations

import pytest

from tests.stress.corrupted_models import CacheScene, ModelScene, TrainingScene
from tests.stress.corrupted_outputs import ScoringScene
from tests.stress.corruption import WRONG, damage_all

MOST = 12
"""Times that each scene is damaged."""


@pytest.fixture
def check():
    """Damages the files of a scene; nothing may be wrong."""

    def check(scene, seed, most=MOST):
        wrong = []
        found = damage_all(scene, seed, wrong.append, most)
        assert wrong == []
        assert not any(name.endswith(WRONG) for name in found)
        assert found

    return check


@pytest.mark.parametrize(
    ("out", "stage"), [("out.csv", "parts"), ("out/", "parts"), ("out.csv", "publishing"), ("out/", "published")]
)
def test_damage_around_an_output_is_never_silent(check, scorer, tmp_path, out, stage):
    check(ScoringScene(tmp_path, out, scorer, stage), seed=len(out + stage))


def test_damage_to_a_model_is_never_silent(check, tiny_base, tmp_path):
    check(ModelScene(tmp_path, tiny_base), seed=1)


def test_damage_to_a_checkpoint_is_never_silent(check, tiny_base, tmp_path):
    check(TrainingScene(tmp_path, tiny_base), seed=2, most=6)


@pytest.mark.parametrize("kind", ["fast-start", "parity-checks"])
def test_damage_to_the_cache_is_never_silent(check, tiny_model, tmp_path, kind):
    check(CacheScene(tmp_path, tiny_model, kind), seed=3, most=3)
