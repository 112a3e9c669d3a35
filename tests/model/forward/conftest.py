"""Fixtures for the forward passes: training makes the classifiers that its packed pass is tested with."""

from tests.training.conftest import learner

__all__ = ["learner"]
