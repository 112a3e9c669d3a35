"""Measures texts by their pieces and their scripts, so that texts of another kind can be noticed."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sentiment_batch.tokenization.packing import Ids, Integers, Tokens, gather_runs

if TYPE_CHECKING:
    from sentiment_batch.tokenization.tokenizer import TextTokenizer

Values = npt.NDArray[np.float64]
MAX_CHARACTERS_PER_TEXT = 256
"""Characters of a text whose scripts are looked at; the first ones show the language."""
_ODD_PIECE = re.compile(r"(##|[▁Ġ]+)?([^\W\d_]|\[UNK\]|<unk>|<0x[0-9A-F]{2}>)")
"""An unknown piece, a byte that stands for one, or a single letter, with the marks of several kinds of tokenizers."""
_SCRIPT_STARTS = (
    "0 -, 40 latin, 80 -, C0 latin, 2B0 -, 370 greek, 400 cyrillic, 530 armenian, 590 hebrew, 600 arabic, "
    "900 devanagari, 980 bengali, A00 gurmukhi, A80 gujarati, B00 oriya, B80 tamil, C00 telugu, C80 kannada, "
    "D00 malayalam, D80 sinhala, E00 thai, E80 lao, F00 tibetan, 1000 myanmar, 10A0 georgian, 1100 hangul, "
    "1200 ethiopic, 13A0 other, 1780 khmer, 1800 mongolian, 18B0 other, 1E00 latin, 1F00 greek, 2000 -, 2C00 other, "
    "2E80 han, 3000 -, 3040 kana, 3100 han, 3130 hangul, 3190 -, 31F0 kana, 3200 -, 3400 han, A000 other, "
    "AC00 hangul, D800 -, F900 han, FB00 -, FB50 arabic, FE00 -, FE70 arabic, FF00 -, 10000 other, 1F000 -, 20000 han, "
    "40000 -"
)
"""The scripts by the first character of each range in Unicode, in steps of 16 characters; a dash for what is no letter,
such as digits, punctuation and emoji. It is coarse: a few signs among the letters count as letters."""
_STARTS, _NAMES = zip(*(one.split() for one in _SCRIPT_STARTS.split(", ")), strict=True)
SCRIPTS: tuple[str, ...] = tuple(dict.fromkeys(_NAMES))
"""The names of all scripts; the first is the dash."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextMeasures:
    """Measures of N texts with T pieces, the special ones of the tokenizer left out."""

    values: dict[str, Values]
    """Each (N,): `tokens`, the pieces of the whole text before it was cut; `characters_per_token`; and `odd_pieces`,
    the share of unknown pieces and single letters."""
    letters: Integers
    """(N, S) the letters of each of `SCRIPTS` among the first characters; none for the dash."""
    ids: Ids
    """(T,) the pieces of all texts that the model sees."""
    owners: Integers
    """(T,) the number of each piece's text."""


class TextMeter:
    """Measures texts that `tokenizer` has tokenized."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._special_counts = tokenizer.special_counts
        self._is_odd = np.array([_ODD_PIECE.fullmatch(piece) is not None for piece in tokenizer.list_pieces()])

    def measure(self, texts: Sequence[str], tokens: Tokens, rows: Integers) -> TextMeasures:
        """Measure some of the texts (M,) with their tokens: those with the numbers `rows` (N,), in rising order."""
        before, after = self._special_counts
        # The segments of the chosen texts, without the special tokens around them.
        places = np.minimum(np.searchsorted(rows, tokens.owners), len(rows) - 1)
        segments = np.flatnonzero(rows[places] == tokens.owners)
        lengths = tokens.lengths[segments] - before - after
        ids = gather_runs(tokens.ids, tokens.offsets[segments] + before, lengths)
        owners = np.repeat(places[segments], lengths)
        used = np.bincount(owners, minlength=len(rows))
        uncut = np.maximum(tokens.uncut_lengths[rows] - before - after, used)
        chosen = [texts[row] for row in rows.tolist()]
        odd = np.bincount(owners, self._is_odd[ids], minlength=len(rows))
        return TextMeasures(
            values={
                "tokens": uncut.astype(np.float64),
                "characters_per_token": np.array([len(text) for text in chosen]) / np.maximum(uncut, 1),
                "odd_pieces": odd / np.maximum(used, 1),
            },
            letters=count_letters(chosen),
            ids=ids,
            owners=owners,
        )


def count_letters(texts: Sequence[str]) -> Integers:
    """(N, S) the letters of each of `SCRIPTS` among the first characters of each of N texts."""
    beginnings = [text[:MAX_CHARACTERS_PER_TEXT] for text in texts]
    characters = np.frombuffer("".join(beginnings).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    owners = np.repeat(np.arange(len(texts)), [len(text) for text in beginnings])
    # In UTF-32 each character is one number, whose upper bits index the table of scripts.
    letters = count_pairs(owners, _list_scripts()[characters >> 4], (len(texts), len(SCRIPTS)))
    letters[:, 0] = 0
    return letters


def count_pairs(rows: Integers, columns: Integers, shape: tuple[int, int]) -> Integers:
    """How often each pair of a row and a column occurs.

    Args:
        rows: (T,) row numbers, below `shape[0]`.
        columns: (T,) column numbers, below `shape[1]`.
        shape: the shape of the table to return.
    """
    return np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)


@functools.cache
def _list_scripts() -> Integers:
    """The number of the script of every 16 characters."""
    starts = np.array([*(int(start, 16) for start in _STARTS), 0x110000]) >> 4
    return np.repeat([SCRIPTS.index(name) for name in _NAMES], np.diff(starts))
