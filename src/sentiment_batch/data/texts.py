"""Compares texts without regard to case, spacing and Unicode form."""

from __future__ import annotations

import hashlib
import unicodedata


def normalize_text(text: str) -> bytes:
    """A text in lower case, in Unicode form NFKC, with one space between its words; encoded in UTF-8."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).encode("utf-8", "surrogatepass")


def hash_content(content: bytes, seed: int = 0) -> bytes:
    """The BLAKE2b hash of `content`: 16 bytes that also depend on `seed`."""
    return hashlib.blake2b(content, digest_size=16, salt=seed.to_bytes(16, "big")).digest()


def hash_text(text: str, seed: int = 0) -> bytes:
    """A hash of 16 bytes that is equal for texts that differ only in case, spacing or Unicode form."""
    return hash_content(normalize_text(text), seed)
