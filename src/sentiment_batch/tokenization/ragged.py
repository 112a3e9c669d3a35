"""Ragged token ids: flat arrays with offsets, and the gathering of runs out of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """The token ids of N texts in S segments (S = N unless long texts are scored in windows)."""

    ids: Ids
    """All ids (sum of lengths,), the special ones included."""
    offsets: Integers
    """(S + 1,): segment s is `ids[offsets[s] : offsets[s + 1]]`."""
    owners: Integers
    """(S,): the text that each segment belongs to, in rising order."""
    cut: npt.NDArray[np.bool_]
    """(N,): whether the text was longer than what fits."""
    whole: Integers | None = None
    """(N,): tokens of the text before it was cut, the special ones included; of a very long one an estimate."""

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(S,): tokens per segment."""
        return np.diff(self.offsets)


def gather_runs(ids: Ids, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Ids:
    """The runs `ids[start : start + length]`, one after the other, without a Python loop over them."""
    ends = np.cumsum(lengths)
    places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
    runs: Ids = ids[places]
    return runs
