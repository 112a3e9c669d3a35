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

Shares = npt.NDArray[np.float64]

MAX_CHARACTERS_PER_TEXT = 256
"""Characters of a text whose scripts are looked at; the first ones show the language."""
_ODD_PIECE = re.compile(r"(##|[▁Ġ]+)?([^\W\d_]|\[UNK\]|<unk>|<0x[0-9A-F]{2}>)")
"""An unknown piece, a byte that stands for one, or a single letter, with the marks of several kinds of tokenizers."""
_SCRIPT_STARTS = {
    **{0x0000: "", 0x0040: "latin", 0x0080: "", 0x00C0: "latin", 0x02B0: "", 0x0370: "greek", 0x0400: "cyrillic"},
    **{0x0530: "armenian", 0x0590: "hebrew", 0x0600: "arabic", 0x0900: "devanagari", 0x0980: "bengali"},
    **{0x0A00: "gurmukhi", 0x0A80: "gujarati", 0x0B00: "oriya", 0x0B80: "tamil", 0x0C00: "telugu", 0x0C80: "kannada"},
    **{0x0D00: "malayalam", 0x0D80: "sinhala", 0x0E00: "thai", 0x0E80: "lao", 0x0F00: "tibetan", 0x1000: "myanmar"},
    **{0x10A0: "georgian", 0x1100: "hangul", 0x1200: "ethiopic", 0x13A0: "other", 0x1780: "khmer", 0x1800: "mongolian"},
    **{0x18B0: "other", 0x1E00: "latin", 0x1F00: "greek", 0x2000: "", 0x2C00: "other", 0x2E80: "han", 0x3000: ""},
    **{0x3040: "kana", 0x3100: "han", 0x3130: "hangul", 0x3190: "", 0x31F0: "kana", 0x3200: "", 0x3400: "han"},
    **{0xA000: "other", 0xAC00: "hangul", 0xD800: "", 0xF900: "han", 0xFB00: "", 0xFB50: "arabic", 0xFE00: ""},
    **{0xFE70: "arabic", 0xFF00: "", 0x10000: "other", 0x1F000: "", 0x20000: "han", 0x40000: ""},
}
"""The scripts by the first character of each range, in steps of 16 characters; an empty name for what is no letter of a
script, such as digits, punctuation and emoji. Coarse: a few signs among the letters count as letters."""
SCRIPTS = tuple(dict.fromkeys(_SCRIPT_STARTS.values()))
"""The names of all scripts; the first is the empty one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextMeasures:
    """Measures of N texts with T pieces, the special ones of the tokenizer left out."""

    tokens: Integers
    """(N,) pieces of each whole text, before it was cut."""
    characters_per_token: Shares
    """(N,); 0 for a text without a piece."""
    odd_pieces: Shares
    """(N,) the share of unknown pieces and of single letters."""
    letters: Integers
    """(N, S) the letters of each of `SCRIPTS` among the first characters; nothing is counted for the empty name."""
    ids: Ids
    """(T,) the pieces of all texts that the model sees."""
    owners: Integers
    """(T,) the number of each piece's text."""


class TextMeter:
    """Measures texts that one tokenizer has tokenized.

    Args:
        tokenizer: the tokenizer; it is asked for the text of each piece that occurs, once.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self._odd = np.empty(0, dtype=np.int8)
        """By id: 1 if the piece is odd, 0 if it is not, -1 if it has not been looked at."""

    def measure(self, texts: Sequence[str], tokens: Tokens, rows: Integers) -> TextMeasures:
        """Measure some texts.

        Args:
            texts: (M,) all texts.
            tokens: their tokens.
            rows: (N,) the numbers of the texts to measure, in rising order.
        """
        before, after = self._tokenizer.special_counts
        places = np.searchsorted(rows, tokens.owners)
        segments = np.flatnonzero(rows[np.minimum(places, len(rows) - 1)] == tokens.owners)
        lengths = tokens.lengths[segments] - before - after
        ids = gather_runs(tokens.ids, tokens.offsets[segments] + before, lengths)
        owners = np.repeat(places[segments], lengths)
        chosen = [texts[row] for row in rows.tolist()]
        used = np.bincount(owners, minlength=len(rows))
        whole = used if tokens.whole is None else np.maximum(tokens.whole[rows] - before - after, used)
        characters = np.fromiter(map(len, chosen), dtype=np.int64, count=len(chosen))
        return TextMeasures(
            tokens=whole,
            characters_per_token=characters / np.maximum(whole, 1) * (whole > 0),
            odd_pieces=np.bincount(owners, self._find_odd(ids), minlength=len(rows)) / np.maximum(used, 1),
            letters=count_letters(chosen),
            ids=ids,
            owners=owners,
        )

    def _find_odd(self, ids: Ids) -> npt.NDArray[np.int8]:
        """(T,) 1 for each piece that is odd, else 0."""
        more = int(ids.max(initial=0)) + 1 - len(self._odd)
        odd = np.pad(self._odd, (0, max(0, more)), constant_values=-1)
        for piece in np.flatnonzero((np.bincount(ids, minlength=len(odd)) > 0) & (odd < 0)).tolist():
            odd[piece] = _ODD_PIECE.fullmatch(self._tokenizer.piece_text(piece)) is not None
        self._odd = odd
        found: npt.NDArray[np.int8] = odd[ids]
        return found


def count_letters(texts: Sequence[str]) -> Integers:
    """(N, S) the letters of each of `SCRIPTS` among the first characters of each of N texts."""
    beginnings = [text[:MAX_CHARACTERS_PER_TEXT] for text in texts]
    characters = np.frombuffer("".join(beginnings).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    owners = np.repeat(np.arange(len(texts)), [len(text) for text in beginnings])
    scripts = _script_table()[characters >> 4]
    counts = np.bincount(owners * len(SCRIPTS) + scripts, minlength=len(texts) * len(SCRIPTS))
    letters: Integers = counts.reshape(len(texts), len(SCRIPTS))
    letters[:, 0] = 0
    return letters


@functools.cache
def _script_table() -> Integers:
    """The number of the script of every 16 characters."""
    starts = np.array([*_SCRIPT_STARTS, 0x110000]) >> 4
    return np.repeat([SCRIPTS.index(name) for name in _SCRIPT_STARTS.values()], np.diff(starts))
