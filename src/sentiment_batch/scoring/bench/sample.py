"""The rows to measure on: rows from all over a table, or generated texts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sentiment_batch.errors import InputError
from sentiment_batch.tokenization.parity_texts import read_parity_texts

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.records import Split
    from sentiment_batch.tokenization.tokenizer import TextTokenizer

SAMPLE_PARTS = 16
"""Places of a large table from which rows are taken. There are more if these do not hold enough rows."""
SAMPLE_RUNS = 64
"""Runs of neighbouring rows that make up a part of a sample."""
MAX_SAMPLE_BYTES = 256 * 2**20
"""Bytes of all columns of a sample, so that there are fewer rows if they are wide."""
MAX_GENERATED_TOKENS = 8_000_000
"""Tokens that are generated if the user does not say how many rows."""
LENGTH_SPREAD = 0.65
"""Standard deviation of the logarithm of text lengths in tokens, as measured on every fifth review of IMDb."""
GENERATOR_SEED = 20_260_101
"""Each run generates the same texts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Rows to measure on."""

    name: str
    """Where the rows are from."""
    table: pa.Table
    """The rows, with all their columns."""
    text_columns: tuple[str, ...]
    total: int | None
    """Rows of the whole table; None if the number is unknown or the texts are generated."""

    def spread(self, rows: int) -> pa.Table:
        """`rows` rows in their order, in runs that begin at even distances; all rows if there are not more."""
        count, runs = self.table.num_rows, min(SAMPLE_RUNS, rows)
        if rows >= count:
            return self.table
        edges = np.arange(runs + 1) * count // runs
        slices, left = [], rows  # slices, because not every type of column can be picked row by row
        for run, (start, stop) in enumerate(itertools.pairwise(edges.tolist())):
            slices.append(self.table.slice(start, min(stop - start, -(-left // (runs - run)))))
            left -= slices[-1].num_rows
        return pa.concat_tables(slices)


def take_sample(reader: Reader, name: str, text_columns: Sequence[str], rows: int) -> Sample:
    """Take up to `rows` rows of a table: the first rows of parts that are spread evenly over it.

    A format that can only be read from its beginning is one part.

    Args:
        reader: an open table.
        name: its path, for messages.
        text_columns: the columns of the text.
        rows: how many. There are fewer if the table is shorter or its rows are wide.

    Raises:
        InputError: it has no rows, or cannot be read.
    """
    splits = list(reader.splits())
    parts = _choose_parts(splits, rows)
    taken: dict[int, list[pa.RecordBatch]] = {}
    # If all parts are read to their ends, the rows are counted, even if the format does not know their number
    whole, left = len(parts) == len(splits), rows
    # The smallest parts come first, so that the others can supply the rows that they lack.
    for done, part in enumerate(sorted(parts, key=lambda part: (part.num_rows is None, part.num_rows))):
        # The rows that are still needed, divided among the parts that are left, and rounded up
        batches, ended = _read_head(reader, part, -(-left // (len(parts) - done)), MAX_SAMPLE_BYTES // len(parts))
        taken[part.index] = batches
        left -= sum(batch.num_rows for batch in batches)
        whole = whole and ended
    table = pa.Table.from_batches(itertools.chain(*(taken[index] for index in sorted(taken))), schema=reader.schema)
    if not table.num_rows:
        raise InputError(f"{name} has no rows to measure on. Name another table, or `tokens=256` for generated texts.")
    total = table.num_rows if whole else reader.num_rows
    return Sample(name=name, table=table, text_columns=tuple(text_columns), total=total)


def _choose_parts(splits: list[Split], rows: int) -> list[Split]:
    """Enough splits, at even distances, to hold the rows. A split of unknown size counts as large."""
    count = min(SAMPLE_PARTS, len(splits))
    while True:
        parts = [splits[number * len(splits) // count] for number in range(count)]
        if count == len(splits) or sum(rows if part.num_rows is None else part.num_rows for part in parts) >= rows:
            return parts
        count = min(2 * count, len(splits))


def _read_head(reader: Reader, part: Split, rows: int, size: int) -> tuple[list[pa.RecordBatch], bool]:
    """The first rows of a part, up to `rows` and about `size` bytes; and True if that is the whole part."""
    taken: list[pa.RecordBatch] = []
    held = 0
    for batch in reader.batches(part):
        # The part has enough rows. One batch more was requested, to see whether the part ends here.
        if not rows or held > size:
            return taken, batch.num_rows == 0
        taken.append(batch.slice(0, rows))
        held += taken[-1].nbytes
        if batch.num_rows > rows:
            return taken, False
        rows -= batch.num_rows
    return taken, True


def generate_sample(tokenizer: TextTokenizer, tokens: int, rows: int) -> Sample:
    """Make a table of one column of generated texts, no two of which are equal.

    Args:
        tokenizer: counts their tokens.
        tokens: mean tokens per text, special tokens included. The lengths are log-normal, like those of reviews, and
            the model cuts texts that are too long for it.
        rows: how many texts.
    """
    texts = generate_texts(tokenizer, tokens, rows)
    table = pa.table({"text": pa.array(texts, pa.large_string())})
    return Sample(name=f"generated texts of about {tokens:,} tokens", table=table, text_columns=("text",), total=None)


def generate_texts(tokenizer: TextTokenizer, tokens: int, rows: int) -> list[str]:
    """The texts of `generate_sample`: words of the parity texts in random order."""
    words = np.array(sorted({word for text in read_parity_texts() for word in text.split()}), dtype=object)
    # The special tokens of each text, such as [CLS] and [SEP], are no words
    special = tokenizer.policy.max_length - tokenizer.room
    per_word = float(tokenizer(words.tolist()).lengths.mean()) - special
    # Draw the lengths in tokens, and count the words that give about as many tokens
    draw = np.random.default_rng(GENERATOR_SEED)
    lengths = draw.lognormal(np.log(tokens) - LENGTH_SPREAD**2 / 2, LENGTH_SPREAD, rows)  # whose mean is `tokens`
    counts = np.maximum(1, np.rint((lengths - special) / per_word)).astype(np.int64)
    texts: dict[str, None] = {}
    for count in counts.tolist():
        text = " ".join(words[draw.integers(len(words), size=count)])
        # Equal texts are scored once in a block, which would make the model look faster than it is
        while text in texts:
            text += " " + words[draw.integers(len(words))]
        texts[text] = None
    return list(texts)
