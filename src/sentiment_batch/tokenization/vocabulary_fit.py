"""Measures how well the vocabulary of a tokenizer fits some texts, so that texts in a foreign language are noticed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_SAMPLED_TEXTS = 256
MAX_SAMPLED_CHARACTERS = 400
"""Characters at the beginning of a text that are looked at. The whole sample takes a few hundredths of a second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VocabularyFit:
    """How the words of some texts are cut into tokens. Emoji, digits and punctuation are not counted."""

    tokens: int
    """The number of tokens with a letter."""
    unknown: float
    """Share of these tokens that stand for a word or character that the vocabulary lacks."""
    continued: float
    """Share of these tokens that do not begin a word. It is 0 if each word is one token."""


def measure_vocabulary_fit(backend: Tokenizer, texts: Sequence[str], unknown_id: int | None) -> VocabularyFit:
    """The fit of a tokenizer to a sample of `texts`.

    Args:
        backend: the tokenizer, written in Rust.
        texts: one or more texts; those of the sample are spread evenly over them.
        unknown_id: the id of the token for what the vocabulary lacks; None if there is no such token.
    """
    step = -(-len(texts) // MAX_SAMPLED_TEXTS)
    sample = [text[:MAX_SAMPLED_CHARACTERS] for text in texts[::step]]
    tokens = unknown = continued = 0
    for text, encoding in zip(sample, backend.encode_batch(sample, add_special_tokens=False), strict=True):
        before = None
        for token, word, (start, stop) in zip(encoding.ids, encoding.word_ids, encoding.offsets, strict=True):
            if any(map(str.isalpha, text[start:stop])):
                tokens += 1
                unknown += token == unknown_id
                continued += word == before
            before = word
    whole = max(tokens, 1)
    return VocabularyFit(tokens=tokens, unknown=unknown / whole, continued=continued / whole)
