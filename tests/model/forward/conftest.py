"""Fixtures for the forward passes: training makes the classifiers that its packed pass is tested with."""

import pytest
import torch

from tests.training.conftest import learner

__all__ = ["learner"]


@pytest.fixture
def pretend_cuda(monkeypatch):
    """`pretend_cuda(capability, flash=...)`: what torch says of a CUDA device and of its own build."""

    def pretend(capability=(8, 0), *, flash=True):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.backends.cuda, "is_flash_attention_available", lambda: flash)

    return pretend
