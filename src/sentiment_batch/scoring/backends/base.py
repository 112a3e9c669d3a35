"""What every backend does: it takes blocks of rows and gives back each block with its probabilities and counts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.errors import SentimentBatchError
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.records import Choice
    from sentiment_batch.scoring.backends.row_blocks import RowBlock
    from sentiment_batch.tokenization.tokenizer import TextPolicy

OnRows = Callable[[int], object]
"""Called with the number of rows that were scored since its last call."""

_COUNTING = threading.Lock()
"""Held while counts are added, because several threads may share a scorer."""


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
                compiled first.

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
    """The name of the GPU, or `cpu`; other hardware may give other last bits."""
    devices: int = 1
    """The number of devices that compute at the same time."""


@dataclass(kw_only=True, slots=True)
class Counts:
    """What a backend counted and timed."""

    rows: int = 0
    tokens: int = 0
    """Tokens that the model computed, without padding."""
    null: int = 0
    """Rows without a text: null, empty or white space."""
    repeated: int = 0
    """Rows whose score was taken from an equal text in the same block."""
    cut: int = 0
    """Different texts with more tokens than the model takes."""
    tokenising_seconds: float = 0.0
    """Seconds of tokenising, which runs beside the model."""
    compiled: int = 0
    """Rows that a compiled model scored, whose last bits differ."""
    model_seconds: float = 0.0
    """Seconds in which the model was computing."""

    def add(self, other: Counts) -> None:
        """Add other counts to these; several threads may do so."""
        with _COUNTING:
            for field in fields(Counts):
                setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def subtract(self, earlier: Counts) -> Counts:
        """The counts since `earlier`, a former state of these."""
        return Counts(
            **{field.name: getattr(self, field.name) - getattr(earlier, field.name) for field in fields(Counts)}
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A row whose text the model could not score, although it scores others."""

    row: int
    """The number of the row in its block, from 0."""
    reason: str
    cure: str
    """What the user may do, without a full stop."""
    kind: type[SentimentBatchError]
    """The error to raise if bad rows end the run."""

    def error(self, row: int, more: str = "") -> SentimentBatchError:
        """The error for the row with number `row` in the input; `more` is appended to the cure."""
        return self.kind(f"row {row:,} (counted from 0): {self.reason}. {self.cure}{more}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredBlock:
    """A block of rows with its probabilities."""

    block: RowBlock
    probabilities: Floats
    """(rows, labels), unrounded; NaN if a row has no text or its text failed."""
    counts: Counts
    failures: tuple[Failure, ...] = ()
    """The texts that failed, in the order of their rows."""

    def batches(self) -> Iterator[tuple[pa.RecordBatch, Floats]]:
        """The record batches of the block as they came from the reader, each with its probabilities."""
        start = 0
        for batch in self.block.batches:
            yield batch, self.probabilities[start : start + batch.num_rows]
            start += batch.num_rows


def reuse_known_scores(block: RowBlock) -> ScoredBlock:
    """A block that an earlier run scored, with the scores of that run."""
    assert block.known is not None
    return ScoredBlock(block=block, probabilities=block.known, counts=Counts())
