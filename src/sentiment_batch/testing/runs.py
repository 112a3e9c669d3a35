"""Scores tables as `sentiment-batch score` does, with a stand-in for the model that needs no weights."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sentiment_batch.data.columns import is_blank
from sentiment_batch.records import Choice
from sentiment_batch.scoring.backends.base import Description, OnRows
from sentiment_batch.scoring.backends.row_blocks import Counts, ScoredBlock, reuse_known_scores
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.pipeline import Summary, score_table
from sentiment_batch.scoring.scorer import Scorer
from sentiment_batch.settings import ScoreSettings
from sentiment_batch.testing.checks import Broken, InterruptedRun
from sentiment_batch.tokenization.tokenizer import TextPolicy

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.scoring.backends.base import Backend
    from sentiment_batch.scoring.backends.row_blocks import RowBlock

NUM_ROWS = 250
"""Number of rows of the input of a run."""
PART_ROWS = 40
"""Number of rows of a part. A run has seven parts, the last of which is short."""
LABELS = ("negative", "positive")


class Checksums:
    """A stand-in for a model. The probability of a text is its checksum, so that different rows have different scores.

    Args:
        blocks: the number of blocks of rows after which it raises `InterruptedRun`. None: never.
    """

    def __init__(self, blocks: int | None = None) -> None:
        self._remaining = blocks
        here = Choice(value="cpu", reason="it needs no other")
        self.description = Description(
            labels=LABELS,
            meta=None,
            device=here,
            dtype=Choice(value="float32", reason="a checksum has no other"),
            policy=TextPolicy(max_length=512, long_text="head"),
            batching="one text after the other",
            batch_tokens=1,
            digest="checksums",
            hardware="cpu",
        )

    def score_blocks(
        self, blocks: Iterable[RowBlock], on_rows: OnRows | None = None, expected_rows: int | None = None
    ) -> Iterator[ScoredBlock]:
        """Score blocks of rows in order. The probabilities are NaN for rows without text."""
        import numpy as np

        for block in blocks:
            if block.known is not None:
                yield reuse_known_scores(block)
                continue
            # Before the block is scored, as a kill between two parts would come.
            if self._remaining == 0:
                raise InterruptedRun
            if self._remaining is not None:
                self._remaining -= 1
            texts = [text for array in block.texts for text in array.to_pylist()]
            positive = np.array([probability(text) for text in texts], np.float32)
            pairs = np.stack([1 - positive, positive], axis=1)
            yield ScoredBlock(block=block, probabilities=pairs, counts=Counts(rows=len(texts), tokens=len(texts)))

    def close(self) -> None:
        """Do nothing: there are no resources."""


class StandInScorer(Scorer):
    """A scorer with a given backend instead of one that is loaded."""

    def __init__(self, engine: Backend) -> None:
        super().__init__(model="a stand-in", settings=ScoreSettings())
        self._backend = engine


def probability(text: str | None) -> float:
    """The probability that `Checksums` gives a text, between 0 and 1; NaN if there is no text."""
    return float("nan") if text is None or is_blank(text) else zlib.crc32(text.encode()) / 2**32


def make_job(source: str, destination: str, text_column: str, **settings: Any) -> ScoreJob:
    """A scoring job for `run` and `interrupt`."""
    return ScoreJob(
        source=source,
        destination=destination,
        text_columns=(text_column,),
        part_rows=PART_ROWS,
        quiet=True,
        **settings,
    )


def run(job: ScoreJob, blocks: int | None = None) -> Summary:
    """Run a scoring job.

    Args:
        job: the job.
        blocks: the number of blocks of rows after which the run is interrupted; each is a part. None: never.

    Raises:
        InterruptedRun: the run was interrupted.
    """
    return score_table(job, lambda: StandInScorer(Checksums(blocks)))


def interrupt(job: ScoreJob, blocks: int) -> None:
    """Run a scoring job, and interrupt it after that number of blocks of rows.

    Raises:
        Broken: the run ended before, because the input had too few rows.
    """
    try:
        run(job, blocks)
    except InterruptedRun:
        return
    raise Broken(f"A run over {NUM_ROWS:,} rows ended after {blocks * PART_ROWS:,} rows.")


def check_scores(scored: pa.Table, texts: Sequence[str | None]) -> None:
    """Check that each row has the label of its own text.

    Raises:
        Broken: a row has another label.
    """
    found = scored["sentiment"].to_pylist()
    for row, (text, label) in enumerate(zip(texts, found, strict=True)):
        positive = probability(text)
        # NaN is not equal to itself: the row has no text, and thus no label.
        expected = None if positive != positive else LABELS[positive >= 0.5]
        if (label or None) != expected:
            raise Broken(f"Row {row:,} has the sentiment {label!r}, but its text {text!r} was scored as {expected!r}.")
