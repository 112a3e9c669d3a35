"""What passes between an engine and who asked it to score: windows with their probabilities, and counts."""

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
    from sentiment_batch.scoring.backends.row_blocks import Window
    from sentiment_batch.tokenization.tokenizer import TextPolicy

OnRows = Callable[[int], object]
"""Told as the work goes on how many more rows are done."""
_counting = threading.Lock()
"""Threads that share a scorer count in turn."""


@dataclass(kw_only=True, slots=True)
class Counts:
    """What was seen and done."""

    rows: int = 0
    tokens: int = 0
    """Tokens that the model computed, padding not counted."""
    null: int = 0
    """Rows without a text: null, empty or white space."""
    repeated: int = 0
    """Rows whose score was taken from an equal text in the same window."""
    cut: int = 0
    """Different texts that were longer than what the model takes."""
    tokenising_seconds: float = 0.0
    """In which texts were tokenised; beside the model, not before it."""
    compiled: int = 0
    """Rows that a compiled model scored, which has other last bits."""
    model_seconds: float = 0.0
    """In which the model was at work."""

    def add(self, other: Counts) -> None:
        """Count these too."""
        with _counting:
            for field in fields(Counts):
                setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def since(self, before: Counts) -> Counts:
        """What came after `before`, an earlier state of these counts."""
        return Counts(
            **{field.name: getattr(self, field.name) - getattr(before, field.name) for field in fields(Counts)}
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A row whose text the model could not score, though it scores others."""

    row: int
    """Its number in the window."""
    reason: str
    cure: str
    kind: type[SentimentBatchError]
    """What to raise where it must not happen."""

    def error(self, row: int, more: str = "") -> SentimentBatchError:
        """The error for the row of that number in the input; `more` is a further cure."""
        return self.kind(f"row {row:,} (counted from 0): {self.reason}. {self.cure}{more}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """A window and what the model says of it."""

    window: Window
    probabilities: Floats
    """(n, K), unrounded; NaN where a row has no text."""
    counts: Counts
    failures: tuple[Failure, ...] = ()
    """In the order of their rows, whose probabilities are NaN."""

    def pieces(self) -> Iterator[tuple[pa.RecordBatch, Floats]]:
        """Runs of rows as they came from the reader, each with its probabilities."""
        start = 0
        for batch in self.window.batches:
            yield batch, self.probabilities[start : start + batch.num_rows]
            start += batch.num_rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """What a model is and how it is run."""

    labels: tuple[str, ...]
    meta: dict[str, Any] | None
    device: Choice
    dtype: Choice
    policy: TextPolicy
    road: str
    """How batches are laid out, in words."""
    batch_tokens: int
    digest: str
    """The SHA-256 of everything in the model's folder that decides its scores."""
    hardware: str
    """What computes, as far as it decides bits: the name of the GPU, or `cpu`."""
    devices: int = 1
    """How many of them compute at once."""


class WindowScorer(Protocol):
    """What scores windows: a model in this process, or several in others."""

    description: Description

    def scored(
        self, stream: Iterable[Window], on_rows: OnRows | None = None, expected_rows: int | None = None
    ) -> Iterator[Scored]:
        """The windows in their order, each with its probabilities."""
        ...

    def close(self) -> None:
        """Free what the models hold."""
        ...


def passed(window: Window) -> Scored:
    """A window that an earlier run scored."""
    assert window.known is not None
    return Scored(window=window, probabilities=window.known, counts=Counts())
