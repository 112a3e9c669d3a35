"""The rows that a measurement runs on: some of a table, spread over it, or generated ones; it measures nothing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sentiment_batch.data.columns import detect_text_columns
from sentiment_batch.errors import InputError
from sentiment_batch.model.forward.parity import read_parity_texts

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.records import Split
    from sentiment_batch.tokenization.tokenizer import Tokeniser

PARTS = 16
"""Places of a large table that rows are taken from; more where these do not hold enough."""
RUNS = 64
"""Of neighbouring rows, which a part of a sample is made of."""
SAMPLE_BYTES = 256 * 2**20
"""Of all columns of a sample: of wide rows there are fewer."""
GENERATED_TOKENS = 8_000_000
"""Most tokens that are generated where nobody says how many rows."""
SPREAD = 0.65
"""Standard deviation of the logarithm of the lengths of texts in tokens: that of IMDb's reviews (every fifth one)."""
SEED = 20_260_101
"""The same generated texts at each run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Rows to measure on."""

    name: str
    """Where they are from."""
    table: pa.Table
    """All their columns."""
    text_columns: tuple[str, ...]
    total: int | None
    """Rows of the whole table, None where nobody knows or there is none."""

    def spread(self, rows: int) -> pa.Table:
        """`rows` rows, in runs that begin at even distances, in their order; all if there are not more."""
        count, runs = self.table.num_rows, min(RUNS, rows)
        if rows >= count:
            return self.table
        edges = np.arange(runs + 1) * count // runs
        slices, left = [], rows  # slices, for not every type of column can be picked row by row
        for run, (start, stop) in enumerate(itertools.pairwise(edges.tolist())):
            slices.append(self.table.slice(start, min(stop - start, -(-left // (runs - run)))))
            left -= slices[-1].num_rows
        return pa.concat_tables(slices)


def sample_of(reader: Reader, name: str, text_columns: Sequence[str], rows: int) -> Sample:
    """Up to `rows` rows of a table: the first ones of parts that are spread evenly over it.

    A format that can only be read from its beginning is one part.

    Args:
        reader: an open table.
        name: its path, for messages.
        text_columns: what the user named; found by name if empty.
        rows: how many; fewer where the table or its rows' size does not give them.

    Raises:
        InputError: it has no rows, no such column, or cannot be read.
    """
    found = detect_text_columns(reader, text_columns)
    splits = list(reader.splits())
    parts = _parts(splits, rows)
    taken: dict[int, list[pa.RecordBatch]] = {}
    whole, left = len(parts) == len(splits), rows
    # The smallest first, so that what they lack can be had from the others.
    for done, part in enumerate(sorted(parts, key=lambda part: (part.num_rows is None, part.num_rows))):
        batches, ended = _head(reader, part, -(-left // (len(parts) - done)), SAMPLE_BYTES // len(parts))
        taken[part.index] = batches
        left -= sum(batch.num_rows for batch in batches)
        whole = whole and ended
    table = pa.Table.from_batches(itertools.chain(*(taken[index] for index in sorted(taken))), schema=reader.schema)
    if not table.num_rows:
        raise InputError(f"{name} has no rows to measure on. Name another table, or take --tokens 256.")
    total = table.num_rows if whole else reader.num_rows
    return Sample(name=name, table=table, text_columns=tuple(found), total=total)


def _parts(splits: list[Split], rows: int) -> list[Split]:
    """So many splits, at even distances, that they hold the rows; those of unknown size are taken to be large."""
    count = min(PARTS, len(splits))
    while True:
        parts = [splits[number * len(splits) // count] for number in range(count)]
        if count == len(splits) or sum(rows if part.num_rows is None else part.num_rows for part in parts) >= rows:
            return parts
        count = min(2 * count, len(splits))


def _head(reader: Reader, part: Split, rows: int, size: int) -> tuple[list[pa.RecordBatch], bool]:
    """The first rows of a part, up to `rows` and about `size` bytes; and whether that is all of it."""
    taken: list[pa.RecordBatch] = []
    held = 0
    for batch in reader.batches(part):
        if not rows or held > size:
            return taken, batch.num_rows == 0
        taken.append(batch.slice(0, rows))
        held += taken[-1].nbytes
        if batch.num_rows > rows:
            return taken, False
        rows -= batch.num_rows
    return taken, True


def generated(tokeniser: Tokeniser, tokens: int, rows: int) -> Sample:
    """A table of one column of generated texts, no two of which are equal.

    Args:
        tokeniser: counts their tokens.
        tokens: mean tokens per text, special ones included; lengths are log-normal, as those of reviews are, and what
            is longer than the model takes is cut by it.
        rows: how many.
    """
    texts = generated_texts(tokeniser, tokens, rows)
    table = pa.table({"text": pa.array(texts, pa.large_string())})
    return Sample(name=f"generated texts of about {tokens:,} tokens", table=table, text_columns=("text",), total=None)


def generated_texts(tokeniser: Tokeniser, tokens: int, rows: int) -> list[str]:
    """The texts of `generated`: words of the package's own reviews in random order."""
    words = np.array(sorted({word for text in read_parity_texts() for word in text.split()}), dtype=object)
    special = tokeniser.policy.max_length - tokeniser.room
    per_word = float(tokeniser(words.tolist()).lengths.mean()) - special
    draw = np.random.default_rng(SEED)
    lengths = draw.lognormal(np.log(tokens) - SPREAD**2 / 2, SPREAD, rows)  # whose mean is `tokens`
    counts = np.maximum(1, np.rint((lengths - special) / per_word)).astype(np.int64)
    texts: dict[str, None] = {}
    for count in counts.tolist():
        text = " ".join(words[draw.integers(len(words), size=count)])
        while text in texts:
            text += " " + words[draw.integers(len(words))]
        texts[text] = None
    return list(texts)
