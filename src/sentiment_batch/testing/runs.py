"""Scores tables from end to end with a stand-in for the model, as `sentiment-batch score` does; needs no weights."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from sentiment_batch.data.labelled_rows import is_blank
from sentiment_batch.records import Choice
from sentiment_batch.scoring.backends.results import Counts, Description, OnRows, Scored, passed
from sentiment_batch.scoring.pipeline import Summary, score_table
from sentiment_batch.scoring.scorer import Scorer
from sentiment_batch.settings import ScoreSettings
from sentiment_batch.testing.checks import Broken
from sentiment_batch.tokenization.tokenizer import TextPolicy

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.scoring.backends.results import WindowScorer
    from sentiment_batch.scoring.backends.row_blocks import Window
    from sentiment_batch.scoring.job import Job

ROWS = 250
PART_ROWS = 40
"""Rows of a part: a run of `ROWS` has seven, the last of which is short."""
LABELS = ("negative", "positive")


class CutOffError(Exception):
    """What ends a run in the middle."""


class Checksums:
    """A stand-in for a model: the probability of a text is its checksum, so that no two rows can be mistaken.

    Args:
        windows: after so many it stops with `CutOffError`; None never.
    """

    def __init__(self, windows: int | None = None) -> None:
        self._left = windows
        here = Choice(value="cpu", reason="it needs no other")
        self.description = Description(
            labels=LABELS,
            meta=None,
            device=here,
            dtype=Choice(value="float32", reason="a checksum has no other"),
            policy=TextPolicy(max_length=512, long_text="head"),
            road="one text after the other",
            batch_tokens=1,
            digest="checksums",
            hardware="cpu",
        )

    def scored(
        self, stream: Iterable[Window], on_rows: OnRows | None = None, expected_rows: int | None = None
    ) -> Iterator[Scored]:
        """The windows in their order, each with its probabilities; NaN where there is no text."""
        import numpy as np

        for window in stream:
            if window.known is not None:
                yield passed(window)
                continue
            if self._left == 0:
                raise CutOffError
            if self._left is not None:
                self._left -= 1
            texts = [text for array in window.texts for text in array.to_pylist()]
            positive = np.array([probability(text) for text in texts], np.float32)
            pairs = np.stack([1 - positive, positive], axis=1)
            yield Scored(window=window, probabilities=pairs, counts=Counts(rows=len(texts), tokens=len(texts)))

    def close(self) -> None:
        """Nothing to free."""


class StandIn(Scorer):
    """A scorer whose engine is given and not loaded."""

    def __init__(self, engine: WindowScorer) -> None:
        super().__init__(model="a stand-in", settings=ScoreSettings())
        self._engine = engine


def probability(text: str | None) -> float:
    """What `Checksums` gives for a text: between 0 and 1, NaN where there is none."""
    return float("nan") if text is None or is_blank(text) else zlib.crc32(text.encode()) / 2**32


def run(job: Job, windows: int | None = None) -> Summary:
    """Score, and let the run be cut off after so many windows, each of which is a part; None lets it end.

    Raises:
        CutOffError: it was cut off.
    """
    return score_table(job, lambda: StandIn(Checksums(windows)))


def cut_off(job: Job, windows: int) -> None:
    """Score, but let the run be cut off.

    Raises:
        Broken: it came to its end, for it gave fewer rows.
    """
    try:
        run(job, windows)
    except CutOffError:
        return
    raise Broken(f"A run over {ROWS:,} rows ended after {windows * PART_ROWS:,}.")


def check_scores(scored: pa.Table, texts: Sequence[str | None]) -> None:
    """See to it that each row has the label of its own text.

    Raises:
        Broken: one has another.
    """
    found = scored["sentiment"].to_pylist()
    for row, (text, label) in enumerate(zip(texts, found, strict=True)):
        positive = probability(text)
        expected = None if positive != positive else LABELS[positive >= 0.5]
        if (label or None) != expected:
            raise Broken(f"Row {row:,} has the sentiment {label!r}, and its text {text!r} was scored {expected!r}.")
