"""Keeps a sample of the different texts of a stream: in bounded memory, and the same in any order of the rows."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable

from sentiment_batch.data.columns import is_blank
from sentiment_batch.data.texts import hash_content, normalize_text
from sentiment_batch.training.dataset import strip_marks

MAX_TEXT_CHARACTERS = 50_000
"""Characters to keep of a text. Of a longer text both ends are kept. They hold more tokens than any encoder reads."""


class TextPool:
    """Takes texts, and keeps the `size` different ones with the lowest digests.

    Texts count as equal if they differ at most in case, blanks, Unicode form, punctuation and HTML, as in the split. At
    most twice `size` texts are in memory.

    Args:
        size: the most texts to keep.
        left_out: digests of texts that are never taken, see `hash_words`.
        seed: the seed of all digests.
    """

    def __init__(self, size: int, left_out: Collection[bytes], seed: int) -> None:
        self._size, self._left_out, self._seed = size, left_out, seed
        self._texts: dict[bytes, str] = {}
        self._limit: bytes | None = None
        """A text with a higher digest is not among the `size` lowest."""
        self.rows = 0
        """Number of rows that were seen."""
        self.blank = 0
        """Number of rows without a text."""
        self.labelled = 0
        """Number of rows whose text is left out."""

    def add(self, texts: Iterable[str | None]) -> None:
        """Take the texts of the next rows."""
        for text in texts:
            self.rows += 1
            if text is None or is_blank(text):
                self.blank += 1
                continue
            digest = hash_words(text, self._seed)  # of the whole text, as those to leave out have it
            if digest in self._left_out:
                self.labelled += 1
            # Digests order the texts by chance. So those with the lowest ones are a random sample in any order of rows.
            elif self._limit is None or digest <= self._limit:
                text = _cut_middle(text)
                # Of nearly equal texts the first in the alphabet is kept, so the order of the rows does not matter
                self._texts[digest] = min(text, self._texts.get(digest, text))
                # Not at each text above `size`: to prune at twice `size` costs little for each text
                if len(self._texts) >= 2 * self._size:
                    self._prune()

    def finish(self) -> list[str]:
        """The texts in the order of their digests."""
        return [self._texts[digest] for digest in heapq.nsmallest(self._size, self._texts)]

    def _prune(self) -> None:
        kept = heapq.nsmallest(self._size, self._texts)
        self._texts = {digest: self._texts[digest] for digest in kept}
        self._limit = kept[-1]


def hash_words(text: str, seed: int) -> bytes:
    """16 bytes that are equal for texts that count as equal."""
    content = normalize_text(text)
    return hash_content(strip_marks(content) or content, seed)


def _cut_middle(text: str) -> str:
    """Both ends of a text of more than `MAX_TEXT_CHARACTERS`."""
    half = MAX_TEXT_CHARACTERS // 2
    return text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[:half]} {text[-half:]}"
