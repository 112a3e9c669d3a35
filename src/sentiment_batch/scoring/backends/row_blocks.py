"""Blocks of rows to score together: split off a stream of record batches, and given back with their scores.

Where a block ends depends on the rows alone, so that every run over the same input scores the same blocks. For very
wide rows (`MAX_HELD_BYTES_PER_BLOCK`) it depends on the reader's batches, too, which are the same each time.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.columns import describe_null_words, extract_texts

if TYPE_CHECKING:
    from sentiment_batch.errors import SentimentBatchError
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.records import Problem

logger = logging.getLogger("sentiment_batch")

MAX_ROWS_PER_BLOCK = 8_192
"""Enough rows to fill batches with texts of nearly equal length."""
MAX_TEXT_BYTES_PER_BLOCK = 32 * 2**20
"""Bytes of the texts of a block, in UTF-8."""
MAX_HELD_BYTES_PER_BLOCK = 64 * 2**20
"""Bytes of all columns of a block; a limit on the memory that wide rows take."""

_TEXTS = pa.schema({"text": pa.large_string()})
_COUNTING = threading.Lock()
"""Held while counts are added, because several threads may share a scorer."""


@dataclass(kw_only=True, slots=True)
class RowBlock:
    """Some rows of the input, in their order."""

    start: int = 0
    """The number of the first row in the input, from 0."""
    batches: list[pa.RecordBatch] = field(default_factory=list)
    """The rows with all columns, as they came from the reader; never joined, so that no type can change."""
    texts: list[pa.LargeStringArray] = field(default_factory=list)
    """The text of each row, an array per batch."""
    rows: int = 0
    """Number of rows."""
    text_bytes: int = 0
    """Bytes of the texts, in UTF-8."""
    held_bytes: int = 0
    """Bytes of all columns."""
    known: Floats | None = None
    """(rows, labels) the probabilities of these rows from an earlier run; None if they are still to be scored."""

    def add(self, batch: pa.RecordBatch, texts: pa.LargeStringArray, text_bytes: int) -> None:
        """Append rows."""
        self.batches.append(batch)
        self.texts.append(texts)
        self.rows += batch.num_rows
        self.text_bytes += text_bytes
        self.held_bytes += batch.nbytes

    def pack_texts(self) -> bytes:
        """The texts alone, for another process. Unlike a pickle, a slice is packed without the rest of its array."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, _TEXTS) as stream:
            for texts in self.texts:
                stream.write_batch(pa.record_batch([texts], schema=_TEXTS))
        packed: bytes = sink.getvalue().to_pybytes()
        return packed

    @classmethod
    def unpack_texts(cls, packed: bytes) -> RowBlock:
        """A block with the texts that `pack_texts` packed, and no columns."""
        batches = list(pa.ipc.open_stream(packed))
        return cls(texts=[batch.column(0) for batch in batches], rows=sum(batch.num_rows for batch in batches))


@dataclass(kw_only=True, slots=True)
class Counts:
    """What a backend counted and timed."""

    rows: int = 0
    """Rows that are done, with and without a text."""
    tokens: int = 0
    """Tokens that the model computed, without padding."""
    null: int = 0
    """Rows without a text: null, empty or white space."""
    repeated: int = 0
    """Rows whose score was taken from an equal text in the same block."""
    cut: int = 0
    """Different texts with more tokens than the model takes."""
    compiled: int = 0
    """Rows that a compiled model scored, whose last bits differ."""
    model_seconds: float = 0.0
    """Seconds in which the model was computing."""
    scored: int = 0
    """Rows with a score."""
    confidence: float = 0.0
    """The sum of the probabilities of the likeliest label of these rows."""
    scored_twice: int = 0
    """Different texts that were scored in int8 and again in float32."""
    reused: int = 0
    """Rows that took over the scores of an equal text in an earlier output."""
    sample: Counter[str] = field(default_factory=Counter)
    """What `TextComparer.count` counted in a sample of the texts; empty if the model has no fingerprint."""

    def add(self, other: Counts) -> None:
        """Add other counts to these; several threads may do so."""
        with _COUNTING:
            for one in fields(Counts):
                # Numbers and `Counter` both have +, so no field needs a case of its own
                setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def subtract(self, earlier: Counts) -> Counts:
        """The counts since `earlier`, a former state of these."""
        return Counts(**{one.name: getattr(self, one.name) - getattr(earlier, one.name) for one in fields(Counts)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A row whose text the model could not score, although it scores others."""

    row: int
    """The number of the row in its block, from 0."""
    reason: str
    """Why the text could not be scored, without a full stop."""
    cure: str
    """What the user may do, without a full stop."""
    kind: type[SentimentBatchError]
    """The error to raise if bad rows end the run."""

    def make_error(self, row: int, more: str = "") -> SentimentBatchError:
        """The error for the row with number `row` in the input; `more` is appended to the cure."""
        return self.kind(f"row {row:,} (counted from 0): {self.reason}. {self.cure}{more}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredBlock:
    """A block of rows with its probabilities."""

    block: RowBlock
    """The rows."""
    probabilities: Floats
    """(rows, labels), unrounded; NaN if a row has no text or its text failed."""
    counts: Counts
    """What was counted while the block was scored."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockRules:
    """What decides where blocks end, beside the rows themselves, and what is known of their rows."""

    start: int = 0
    """The number of the stream's first row in the input."""
    part_rows: int | None = None
    """No block crosses a multiple of this, so that the blocks after a part do not depend on the part."""
    known: Callable[[int, int], Floats | None] = lambda start, rows: None
    """Gives the probabilities of `rows` rows from the row `start` on; None if no earlier run scored them."""
    on_bad_row: Callable[[Problem], None] | None = None
    """Called with each text that is not UTF-8, by its row in the input; None makes such a text an error."""


def split_into_row_blocks(
    batches: Iterable[pa.RecordBatch], text_columns: Sequence[str], rules: BlockRules | None = None
) -> Iterator[RowBlock]:
    """Split rows into blocks; no row is lost or moved.

    Args:
        batches: the rows.
        text_columns: the columns that hold the text.
        rules: further rules; None for a stream that starts with row 0 and is divided by its size alone.

    Raises:
        InputError: a text is not UTF-8, and `rules.on_bad_row` is None.
    """
    rules = rules or BlockRules()
    block = RowBlock(start=rules.start)
    seen = rules.start
    null_words: Counter[str] = Counter()
    for batch in batches:
        texts = extract_texts(batch, text_columns, seen, rules.on_bad_row, null_words)
        # The bytes before each row, so that a binary search finds where the block is full
        lengths = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
        ends = np.concatenate([[0], np.cumsum(lengths)])
        start = 0
        while start < batch.num_rows:
            stop = _find_stop(ends, start, block, batch.num_rows, rules.part_rows)
            if stop == start:  # the block is full
                yield _add_known_scores(block, rules)
                block = RowBlock(start=seen + start)
                continue
            block.add(batch.slice(start, stop - start), texts[start:stop], int(ends[stop] - ends[start]))
            start = stop
        seen += batch.num_rows
        # Wide rows may be much larger than their texts. The block ends with the batch, which is in memory anyway.
        if block.held_bytes > MAX_HELD_BYTES_PER_BLOCK:
            yield _add_known_scores(block, rules)
            block = RowBlock(start=seen)
    if block.rows:
        yield _add_known_scores(block, rules)
    if null_words:
        logger.warning("%s", describe_null_words(null_words))


def _add_known_scores(block: RowBlock, rules: BlockRules) -> RowBlock:
    """A block that is full, with the scores that an earlier run left."""
    block.known = rules.known(block.start, block.rows)
    return block


def _find_stop(
    ends: np.ndarray[tuple[int], np.dtype[np.int64]], start: int, block: RowBlock, rows: int, part_rows: int | None
) -> int:
    """The end of the rows from `start` on that still fit into the block; an empty block takes at least one row.

    Args:
        ends: (rows + 1,) the bytes of text before each row of the batch.
        start: the first row of the batch that is in no block yet.
        block: the block that is being filled.
        rows: rows of the batch.
        part_rows: as in `BlockRules`.
    """
    max_rows = MAX_ROWS_PER_BLOCK if part_rows is None else min(MAX_ROWS_PER_BLOCK, part_rows - block.start % part_rows)
    free_bytes = MAX_TEXT_BYTES_PER_BLOCK - block.text_bytes
    # The last row whose text ends within the free bytes. `ends` grows, so a binary search finds it.
    by_bytes = int(np.searchsorted(ends, ends[start] + free_bytes, side="right")) - 1
    stop = min(by_bytes, start + max_rows - block.rows, rows)
    # A single text may be larger than a block. Without this row, the loop of the caller would never end.
    return max(stop, start + 1 if block.rows == 0 else start)
