"""Cuts a very long text into pieces that have, one after the other, the tokens of the whole; it makes no tokens."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer

GIANT_PIECES = 4
"""Pieces' lengths without a blank from which a stretch is cut elsewhere, which takes more work."""
MAX_HELD_PIECES = 64
"""Pieces' lengths that are held while a place to cut is looked for."""
_BREAKS = " " + string.punctuation
"""BERT's tokeniser makes each of these marks a word of its own, so a piece may begin with one."""
_WORDY = "(?:[^\\W_]|[\u2500-\u2767\U0001f000-\U0001faff])"
"""Letters, digits, and signs such as emoji: what is part of a word, whatever stands beside it."""


class TextPieces:
    """Knows where the tokeniser of a model lets a text be cut.

    Args:
        backend: the tokeniser.
        special_as_text: whether it reads a literal "[SEP]" as text.
    """

    def __init__(self, backend: Tokenizer, *, special_as_text: bool) -> None:
        parts: dict[str, Any] = json.loads(backend.to_str())
        self.possible = _splits_at_blanks(parts)
        """Whether a text can be cut at all: true of BERT's word pieces."""
        added = parts.get("added_tokens", [])
        # An added token is found in the text as it stands. Where none can begin there, it may be changed.
        self._begin = "" if special_as_text else "".join({one["content"][:1] for one in added})
        self._anywhere = (
            self.possible and all(one["special"] for one in added) and set(self._begin) <= set(string.punctuation)
        )
        self._normalizer = backend.normalizer
        if self._anywhere:
            self._keep = int(parts["model"]["max_input_chars_per_word"]) + 1
            self._long_word = re.compile(f"({_WORDY}{{{self._keep}}}){_WORDY}+")

    def forwards(self, text: str, size: int) -> Iterator[str]:
        """Pieces of about `size` characters from the front, each but the first beginning at a blank or a mark."""
        start = 0
        while start < len(text):
            blank = text.find(" ", start + size)
            stop = len(text) if blank < 0 else blank
            stretch = text[start:stop]
            if self._is_giant(stretch, size):
                yield from self._giant_forwards(stretch, size)
            else:
                yield stretch
            start = stop

    def backwards(self, text: str, size: int) -> Iterator[str]:
        """The like from the back, last piece first."""
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

    # A giant stretch is cleaned as the tokeniser would do first, which looks at one character at a time and changes
    # nothing when it is done again. That puts blanks around each Chinese character, and drops accents and control
    # characters. What then is still one word, and too long for the vocabulary, is unknown however long it is.

    def _giant_forwards(self, stretch: str, size: int) -> Iterator[str]:
        held = ""
        for at in range(0, len(stretch), size):
            held = self._cleaned(held, stretch[at : at + size], "")
            if len(held) > MAX_HELD_PIECES * size:
                yield held + stretch[at + size :]
                return
            cut = max(max(held.rfind(mark) for mark in _BREAKS), 0)
            yield held[:cut]  # even if it is empty: between pieces the work can be stopped
            held = held[cut:]
        yield held

    def _giant_backwards(self, stretch: str, size: int) -> Iterator[str]:
        held = ""
        for stop in range(len(stretch), 0, -size):
            start = max(stop - size, 0)
            held = self._cleaned("", stretch[start:stop], held)
            if len(held) > MAX_HELD_PIECES * size:
                yield stretch[:start] + held
                return
            cut = min((place for mark in _BREAKS if (place := held.find(mark)) >= 0), default=len(held))
            yield held[cut:]
            held = held[:cut]
        yield held

    def _cleaned(self, before: str, raw: str, after: str) -> str:
        clean: str = self._normalizer.normalize_str(raw)
        return self._long_word.sub(r"\1", before + clean + after)


def _splits_at_blanks(parts: dict[str, Any]) -> bool:
    """Whether the tokens of a text are those of its parts, cut at any blank."""
    if any(" " in added["content"] for added in parts.get("added_tokens", [])):
        return False
    kinds = {part: (parts.get(part) or {}).get("type") for part in ("normalizer", "pre_tokenizer", "model")}
    return kinds == {"normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer", "model": "WordPiece"}
