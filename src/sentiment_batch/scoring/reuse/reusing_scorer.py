"""A scorer that looks up each text in an index first. Only texts that the index lacks go through the model."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.scoring.backends.row_blocks import Counts, RowBlock, ScoredBlock
from sentiment_batch.scoring.reuse.index import ScoredTextIndex, hash_texts
from sentiment_batch.scoring.scorer import Scorer

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.scoring.backends.base import OnRows


@dataclass(kw_only=True, slots=True, eq=False, repr=False)
class ReusingScorer(Scorer):
    """A scorer that shares the loaded model, the counts and the turn of another. A pickle of it does not reuse."""

    index: ScoredTextIndex

    @classmethod
    def share(cls, scorer: Scorer, index: ScoredTextIndex) -> ReusingScorer:
        """A scorer with the loaded model of another; it must not be closed before this one is done."""
        shared = cls(model=scorer.model, settings=scorer.settings, counts=scorer.counts, index=index)
        shared._backend, shared._turn = scorer.backend, scorer._turn
        return shared

    def score_blocks(
        self, blocks: Iterable[RowBlock], on_rows: OnRows | None = None, expected_rows: int | None = None
    ) -> Iterator[ScoredBlock]:
        """Score a stream of blocks, as `Backend.score_blocks` describes it, and count what is done.

        How many rows the model gets is not known, so the model is only compiled for them if the settings demand it.
        """
        waiting: deque[_DividedBlock] = deque()  # this runs in the thread that reads

        def divide() -> Iterator[RowBlock]:
            for block in blocks:
                waiting.append(_divide(block, self.index))
                yield waiting[-1].rest

        # A backend keeps the order of the blocks. So the oldest divided block belongs to the next scored one.
        for scored in self.backend.score_blocks(divide(), on_rows):
            divided = waiting.popleft()
            # The backend reports only the rows that it scores itself
            if on_rows is not None and divided.known_rows:
                on_rows(divided.known_rows)
            merged = divided.merge(scored)
            self.counts.add(merged.counts)
            yield merged


@dataclass(frozen=True, kw_only=True, slots=True)
class _DividedBlock:
    """A block of rows, and the part of it that the model scores."""

    block: RowBlock
    rest: RowBlock
    """The texts that the index lacks; the whole block if an earlier run or the index knows all of its scores."""
    known: Floats | None = None
    """(rows, labels) what the index knows, NaN for other rows; None if an earlier run scored the block."""
    is_new: npt.NDArray[np.bool_] | None = None
    """(rows,) True for the rows that are in `rest`; None as for `known`."""

    @property
    def known_rows(self) -> int:
        """The number of rows whose scores the index knows."""
        return 0 if self.is_new is None else int((~self.is_new).sum())

    def merge(self, scored: ScoredBlock) -> ScoredBlock:
        """Combine the known scores of the block with the scores of the rest."""
        if self.known is None or self.is_new is None:
            return scored
        places = np.flatnonzero(self.is_new)
        probabilities = self.known.copy()
        counts, failures = Counts(), scored.failures
        if len(places):
            probabilities[places] = scored.probabilities
            counts.add(scored.counts)
            # A failure names its row in `rest`, but the row in the whole block is wanted
            failures = tuple(dataclasses.replace(one, row=int(places[one.row])) for one in failures)
        # The expected accuracy is that of all rows, so the rows that were taken over count, too
        confidence = float(self.known[~self.is_new].max(axis=1).sum(dtype=np.float64)) if self.known_rows else 0.0
        reused = self.known_rows
        counts.add(Counts(rows=reused, reused=reused, scored=reused, confidence=confidence))
        return ScoredBlock(block=self.block, probabilities=probabilities, counts=counts, failures=failures)


def _divide(block: RowBlock, index: ScoredTextIndex) -> _DividedBlock:
    """Look up the texts of a block."""
    if block.known is not None:
        return _DividedBlock(block=block, rest=block)
    texts = pa.chunked_array(block.texts, pa.large_string()).combine_chunks()
    # Each distinct text is looked up once
    encoded = texts.dictionary_encode()
    found = index.find(hash_texts(encoded.dictionary))
    # One more row of NaN, which the rows without a text pick.
    padded = np.concatenate([found, np.full((1, index.labels), np.nan, np.float32)])
    known = padded[pc.fill_null(encoded.indices, len(found)).to_numpy(zero_copy_only=False)]
    is_new = np.isnan(known[:, 0])
    if is_new.any():
        new = texts.filter(pa.array(is_new))
        rest = RowBlock(start=block.start, texts=[new], rows=len(new), held_bytes=block.held_bytes)
    else:
        # With known scores, backends pass the block through without any work
        rest = RowBlock(start=block.start, rows=block.rows, held_bytes=block.held_bytes, known=known)
    return _DividedBlock(block=block, rest=rest, known=known, is_new=is_new)
