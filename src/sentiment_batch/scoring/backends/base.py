"""What every backend does: it takes blocks of rows and gives back each block with its probabilities."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sentiment_batch.records import Choice
    from sentiment_batch.scoring.backends.row_blocks import RowBlock, ScoredBlock
    from sentiment_batch.tokenization.tokenizer import TextPolicy

MUST_COMPILE = sys.maxsize
"""In place of a number of rows: a compiled model scored the rows before, so it must score these, too."""
OnRows = Callable[[int], object]
"""Called with the number of rows that were scored since its last call."""


class Backend(Protocol):
    """A loaded model that scores blocks of rows: in this process, on several devices, or on other machines."""

    description: Description

    def score_blocks(
        self, blocks: Iterable[RowBlock], on_rows: OnRows | None = None, expected_rows: int | None = None
    ) -> Iterator[ScoredBlock]:
        """Score a stream of blocks.

        Args:
            blocks: the blocks, read in a thread. A block whose scores are known already passes through.
            on_rows: called in a thread as rows are scored.
            expected_rows: the number of rows in the whole stream, None if it is unknown. For many rows the model may be
                compiled first. With `MUST_COMPILE`, the stream ends with an error if the model should be compiled and
                cannot be.

        Yields:
            The blocks in their order, each with its probabilities.
        """
        ...

    def close(self) -> None:
        """Free the memory and the processes that the model uses."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """What a model is, and how a backend runs it."""

    labels: tuple[str, ...]
    """The labels in the model's order."""
    meta: dict[str, Any] | None
    """The content of the model's sentiment_batch.json; None if the model was trained by another program."""
    device: Choice
    dtype: Choice
    policy: TextPolicy
    """How much of a text the model reads."""
    batching: str
    """How texts are put into batches, in words."""
    batch_tokens: int
    """Tokens per batch, padding included."""
    digest: str
    """The SHA-256 of all files of the model that decide its scores."""
    hardware: str
    """The name of the GPU, or the kind of CPU, as by `describe_hardware`. Other hardware may give other last bits."""
    int8: str | None = None
    """Stands for the ranges and the error band of int8, which are fixed before the first text; None in other dtypes."""
    transformers: str | None = None
    """The version of Transformers, if its code computes the scores; None for packs, which are computed without it."""
    devices: int = 1
    """The number of devices that compute at the same time."""
