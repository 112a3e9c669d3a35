"""Compares texts apart from case, spacing and Unicode form, and tells which cells hold no text."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

_BLANK_RANGES = (
    *((0x00, 0x20), (0x7F, 0xA0), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x1680, 0x1680)),
    *((0x17B4, 0x17B5), (0x180B, 0x180F), (0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F), (0x2800, 0x2800)),
    *((0x3000, 0x3000), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF9, 0xFFFB)),
    *((0xE0000, 0xE007F), (0xE0100, 0xE01EF)),
)
BLANK_CHARACTERS = "".join(chr(code) for first, last in _BLANK_RANGES for code in range(first, last + 1))
"""White space, control characters and characters without a width, of which a tokenizer makes nothing."""
NULL_WORDS = (
    *("\\N", "NULL", "null", "<NULL>", "<null>", "(null)", "[NULL]"),
    *("NaN", "nan", "<NA>", "NA", "N/A", "n/a", "#N/A", "None"),
)
"""What databases and data frames write for a missing value. A cell that holds one of them alone holds no text."""
_MAX_NULL_WORD_BYTES = max(map(len, NULL_WORDS))


def is_blank(text: str) -> bool:
    """True if a text holds nothing that can be seen."""
    return not text.strip(BLANK_CHARACTERS)


def drop_null_words(texts: pa.LargeStringArray, found: Counter[str] | None = None) -> pa.LargeStringArray:
    """`texts` (n,) with null for each of the `NULL_WORDS`, which are counted in `found`."""
    short = pc.less_equal(pc.binary_length(texts), _MAX_NULL_WORD_BYTES)
    if not pc.any(short).as_py():
        return texts
    words = texts.filter(short)
    words = words.filter(pc.is_in(words, pa.array(NULL_WORDS, pa.large_string())))
    if not len(words):
        return texts
    if found is not None:
        found.update(words.to_pylist())
    return pc.if_else(pc.is_in(texts, words.unique()), None, texts)


def describe_null_words(found: Counter[str]) -> str:
    """A sentence about the `NULL_WORDS` that were found, with their numbers of cells.

    >>> describe_null_words(Counter({"NULL": 12, "n/a": 1}))
    "words for a missing value count as no text: 'NULL' (12), 'n/a' (1)"
    """
    words = ", ".join(f"{word!r} ({count:,})" for word, count in found.most_common())
    return f"words for a missing value count as no text: {words}"


def normalize_text(text: str) -> bytes:
    """A text in lower case, in Unicode form NFKC, with one space between its words; encoded in UTF-8."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).encode("utf-8", "surrogatepass")


def hash_content(content: bytes, seed: int = 0) -> bytes:
    """The BLAKE2b hash of `content`: 16 bytes that also depend on `seed`."""
    return hashlib.blake2b(content, digest_size=16, salt=seed.to_bytes(16, "big")).digest()


def fingerprint_text(text: str, seed: int = 0) -> bytes:
    """16 bytes that are equal for texts that differ only in case, spacing or Unicode form."""
    return hash_content(normalize_text(text), seed)
