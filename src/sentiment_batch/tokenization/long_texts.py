"""Cuts a very long text into pieces whose tokens, one after the other, are those of the whole text."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer

GIANT_PIECES = 4
"""A stretch without a blank that is longer than this number of pieces is cut elsewhere, which takes more work."""
MAX_HELD_PIECES = 64
"""While a place to cut is looked for, at most this number of pieces is held."""
_BREAKS = " " + string.punctuation
"""BERT's tokenizer makes each of these marks a word of its own, so a piece may begin with one."""
_WORDY = "(?:[^\\W_]|[\u2500-\u2767\U0001f000-\U0001faff])"
"""Letters, digits and signs such as emoji: they are part of a word, whatever their neighbours."""


class TextPieces:
    """Finds the places where a text can be cut without changing its tokens.

    Args:
        backend: the tokenizer.
        special_as_text: True if the tokenizer reads a literal "[SEP]" as text.
    """

    def __init__(self, backend: Tokenizer, *, special_as_text: bool) -> None:
        parts: dict[str, Any] = json.loads(backend.to_str())
        self.can_cut = _splits_at_blanks(parts)
        """True if a text can be cut at all, as BERT's word pieces allow."""
        added = parts.get("added_tokens", [])
        # Added tokens are searched in the unchanged text. A stretch where none can begin may be changed.
        self._begin = "" if special_as_text else "".join({one["content"][:1] for one in added})
        self._anywhere = (
            self.can_cut and all(one["special"] for one in added) and set(self._begin) <= set(string.punctuation)
        )
        self._normalizer = backend.normalizer
        if self._anywhere:
            self._keep = int(parts["model"]["max_input_chars_per_word"]) + 1
            self._long_word = re.compile(f"({_WORDY}{{{self._keep}}}){_WORDY}+")

    def cut_forwards(self, text: str, size: int) -> Iterator[str]:
        """Pieces of about `size` characters from the front, each but the first beginning at a blank or a mark."""
        start = 0
        while start < len(text):
            # The first blank after `size` characters begins the next piece.
            blank = text.find(" ", start + size)
            stop = len(text) if blank < 0 else blank
            stretch = text[start:stop]
            if self._is_giant(stretch, size):
                yield from self._giant_forwards(stretch, size)
            else:
                yield stretch
            start = stop

    def cut_backwards(self, text: str, size: int) -> Iterator[str]:
        """Pieces of about `size` characters from the back, last piece first; see `cut_forwards`."""
        stop = len(text)
        while stop > 0:
            start = max(text.rfind(" ", 0, max(stop - size, 0)), 0)
            stretch = text[start:stop]
            if self._is_giant(stretch, size):
                yield from self._giant_backwards(stretch, size)
            else:
                yield stretch
            stop = start

    def _is_giant(self, stretch: str, size: int) -> bool:
        long = self._anywhere and len(stretch) > GIANT_PIECES * size
        return long and not any(mark in stretch for mark in self._begin)

    # A giant stretch is first cleaned as the tokenizer does it, one character at a time; cleaning it again changes
    # nothing. This puts blanks around each Chinese character, and drops accents and control characters. A word that is
    # still too long for the vocabulary is unknown, however long it is. So it is shortened.

    def _giant_forwards(self, stretch: str, size: int) -> Iterator[str]:
        """Cleaned pieces of a giant stretch from the front. If no place to cut is found, the rest is one piece."""
        held = ""
        for at in range(0, len(stretch), size):
            # The end of `held` may continue in the next piece, so it is held until a mark follows.
            held = self._clean(held, stretch[at : at + size], "")
            if len(held) > MAX_HELD_PIECES * size:
                yield held + stretch[at + size :]
                return
            cut = max(max(held.rfind(mark) for mark in _BREAKS), 0)
            yield held[:cut]  # even if it is empty, because the work can be stopped between pieces
            held = held[cut:]
        yield held

    def _giant_backwards(self, stretch: str, size: int) -> Iterator[str]:
        """The same from the back, last piece first."""
        held = ""
        for stop in range(len(stretch), 0, -size):
            start = max(stop - size, 0)
            held = self._clean("", stretch[start:stop], held)
            if len(held) > MAX_HELD_PIECES * size:
                yield stretch[:start] + held
                return
            cut = min((place for mark in _BREAKS if (place := held.find(mark)) >= 0), default=len(held))
            yield held[cut:]
            held = held[:cut]
        yield held

    def _clean(self, before: str, raw: str, after: str) -> str:
        # A word keeps one letter more than the vocabulary allows, so it is still too long, and thus still unknown.
        clean: str = self._normalizer.normalize_str(raw)
        return self._long_word.sub(r"\1", before + clean + after)


def _splits_at_blanks(parts: dict[str, Any]) -> bool:
    """True if the tokens of a text are those of its parts, wherever it is cut at a blank."""
    if any(" " in added["content"] for added in parts.get("added_tokens", [])):
        return False
    kinds = {part: (parts.get(part) or {}).get("type") for part in ("normalizer", "pre_tokenizer", "model")}
    return kinds == {"normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer", "model": "WordPiece"}
