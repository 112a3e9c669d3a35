"""Ends a scoring run in the middle, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest

from sentiment_batch.scoring.output.journal import Journal


class CutOffError(Exception):
    """What ends a run in the middle."""


@contextmanager
def cut_off_after(parts: int) -> Iterator[None]:
    """End the run in this block when it has recorded `parts` parts; it must come so far."""
    real = Journal.add

    def add(journal, part, problems=b""):
        real(journal, part, problems)
        if len(journal.parts) == parts:
            raise CutOffError

    with mock.patch.object(Journal, "add", add), pytest.raises(CutOffError):
        yield
