"""Encodes whole texts, with the fastest library that gives the tokens of the library `tokenizers`."""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from sentiment_batch.errors import first_line
from sentiment_batch.records import Choice
from sentiment_batch.tokenization.fast_library import (
    choose_library,
    load_nanotoken,
    locate_check,
    name_library,
    read_check,
    write_check,
)
from sentiment_batch.tokenization.odd_texts import make_odd_texts
from sentiment_batch.tokenization.parity_texts import read_parity_texts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from sentiment_batch.tokenization.fast_library import Encode
    from sentiment_batch.tokenization.packing import Ids, Integers

logger = logging.getLogger("sentiment_batch")

MIN_CHARACTERS = 1_000_000
"""`nanotoken` is loaded after this number of characters, which `tokenizers` encodes in half a second on one core."""
NUM_ODD_TEXTS = 4_000
"""Texts that are made for the check. It takes two seconds, once for a tokenizer."""


class TextEncoder:
    """Encodes whole texts, without special tokens around them.

    Args:
        backend: the tokenizer, without truncation and padding.
        special_as_text: True if it reads a literal "[SEP]" as text.
        word_pieces: True if it works as BERT's, which `nanotoken` can copy.
    """

    def __init__(self, backend: Tokenizer, *, special_as_text: bool, word_pieces: bool) -> None:
        self._backend = backend
        self._special_as_text = special_as_text
        self._seen = 0
        self._fast: Encode | None = None
        self.library = choose_library()
        """The library that encodes the next texts, and why."""
        self._can_load = word_pieces and self.library.value.startswith("nanotoken")
        if self._can_load:
            self._use_tokenizers(f"{self.library.value} takes over after {MIN_CHARACTERS:,} characters")
        elif not word_pieces:
            self._use_tokenizers("the model's tokenizer is not one of word pieces")

    def __call__(self, texts: list[str]) -> tuple[Ids, Integers]:
        """All ids of `texts` (N,), one text after the other, and the number of each text's ids (N,)."""
        self._seen += sum(map(len, texts))
        if self._can_load and self._seen > MIN_CHARACTERS:
            self._can_load = False  # it is tried once, also if it fails
            self._load_fast()
        if self._fast is not None:
            try:
                return self._fast(texts)
            except BaseException as error:
                if not _is_failure(error):
                    raise
                logger.debug("tokenizers encodes %s texts, because nanotoken fails: %s", len(texts), first_line(error))
        return self._encode_slowly(texts)

    def _encode_slowly(self, texts: list[str]) -> tuple[Ids, Integers]:
        encoded = self._backend.encode_batch_fast(texts, add_special_tokens=False)
        lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
        # Each list of ids is freed before the next is made. This holds the interpreter lock for 25 ns per token, which
        # the library's lists cost. With short texts, an array for each text would double that (measured).
        every = chain.from_iterable(encoding.ids for encoding in encoded)
        return np.fromiter(every, dtype=np.int32, count=int(lengths.sum())), lengths

    def _load_fast(self) -> None:
        """Use `nanotoken` from here on if it encodes the check texts as `tokenizers` does."""
        try:
            fast = load_nanotoken(self._backend, special_as_text=self._special_as_text)
            if self._gives_same_tokens(fast):
                self._fast = fast
                reason = f"it gives the tokens of {name_library('tokenizers')} for all check texts"
                self.library = Choice(value=name_library("nanotoken"), reason=reason)
                return
            reason = "nanotoken gives other tokens for the check texts"
        except BaseException as error:
            if not _is_failure(error):
                raise
            reason = f"nanotoken fails with this tokenizer: {first_line(error)}"
        logger.warning("%s; tokenizers is used, which is slower", reason)
        self._use_tokenizers(reason)

    def _use_tokenizers(self, reason: str) -> None:
        self.library = Choice(value=name_library("tokenizers"), reason=reason)

    def _gives_same_tokens(self, fast: Encode) -> bool:
        """True if `fast` encodes the check texts as `tokenizers` does: from the cache, or compared now and cached."""
        # The answer holds for this tokenizer, so its whole definition is a part of the key.
        tokenizer = f"{self._backend.to_str()} {self._special_as_text}"
        path = locate_check(hashlib.sha256(tokenizer.encode()).hexdigest()[:32])
        known = read_check(path)
        if known is not None:
            return known
        texts = [*read_parity_texts(), *make_odd_texts(self._backend, NUM_ODD_TEXTS, seed=0)]
        ids, lengths = self._encode_slowly(texts)
        # Twice, because the second time it takes the words from its own cache.
        found = [fast(texts) for _ in range(2)]
        equal = all(np.array_equal(ids, own) and np.array_equal(lengths, sizes) for own, sizes in found)
        with suppress(OSError):  # then it is compared again next time
            write_check(path, equal)
        return equal


def _is_failure(error: BaseException) -> bool:
    """True if a library failed. A panic of one that is written in Rust is no `Exception`."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
