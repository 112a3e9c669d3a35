"""Finds that the vocabulary of the base does not fit the training texts, as an English one does not fit German."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentiment_batch.training.data_check.findings import Finding, format_share

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_SAMPLED_TEXTS = 256
MAX_SAMPLED_CHARACTERS = 400
"""Characters at the beginning of a text that are looked at. The whole sample takes a few hundredths of a second."""
MULTILINGUAL_BASE = "distilbert/distilbert-base-multilingual-cased"
MIN_TOKENS = 50
"""Tokens from which on a share of them is no accident."""
MAX_UNKNOWN_SHARE = 0.05
"""With the vocabulary of MiniLM, 0.1 % are unknown in English tweets, 5 % in Korean, 30 % in Japanese and 71 % in
Chinese."""
MAX_CONTINUED_SHARE = 0.35
"""With the vocabulary of MiniLM, 5 to 16 % continue a word in English reviews and tweets, and at most 19 % in a sample
of 30 tweets; 39 % in Vietnamese, 41 % in French, 58 % in German, 76 % in Arabic and 84 % in Russian."""
MIN_MULTILINGUAL_VOCABULARY = 80_000
"""Ids of a vocabulary for many languages, which cuts words of most of them; it is only checked for unknown words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VocabularyFit:
    """How the words of some texts are cut into tokens. Emoji, digits and punctuation are not counted."""

    tokens: int
    """The number of tokens with a letter."""
    unknown: float
    """Share of these tokens that stand for a word or character that the vocabulary lacks."""
    continued: float
    """Share of these tokens that do not begin a word. It is 0 if each word is one token."""


def add_vocabulary_fit(summary: dict[str, Any], tokenizer: Any, texts: Sequence[str]) -> dict[str, Any]:
    """The summary of a data check with a finding if the texts do not fit the base.

    Args:
        summary: the summary that `check_data` gave.
        tokenizer: the tokenizer of the base as a Transformers object.
        texts: the training texts, at least one.
    """
    fit = measure_vocabulary_fit(tokenizer.backend_tokenizer, texts, tokenizer.unk_token_id)
    findings = [finding.to_json() for finding in check_vocabulary_fit(fit, len(tokenizer))]
    return summary | {"findings": summary["findings"] + findings}


def measure_vocabulary_fit(backend: Tokenizer, texts: Sequence[str], unknown_id: int | None) -> VocabularyFit:
    """The fit of a tokenizer to a sample of `texts`.

    Args:
        backend: the tokenizer, written in Rust.
        texts: one or more texts; those of the sample are spread evenly over them.
        unknown_id: the id of the token for what the vocabulary lacks; None if there is no such token.
    """
    step = -(-len(texts) // MAX_SAMPLED_TEXTS)  # rounded up
    sample = [text[:MAX_SAMPLED_CHARACTERS] for text in texts[::step]]
    tokens = unknown = continued = 0
    for text, encoding in zip(sample, backend.encode_batch(sample, add_special_tokens=False), strict=True):
        # A token with the same word number as the one before it continues a word
        before = None
        for token, word, (start, stop) in zip(encoding.ids, encoding.word_ids, encoding.offsets, strict=True):
            if any(map(str.isalpha, text[start:stop])):
                tokens += 1
                unknown += token == unknown_id
                continued += word == before
            before = word
    whole = max(tokens, 1)
    return VocabularyFit(tokens=tokens, unknown=unknown / whole, continued=continued / whole)


def check_vocabulary_fit(fit: VocabularyFit, vocabulary: int) -> Iterator[Finding]:
    """Find that many words are unknown or cut into pieces.

    Args:
        fit: what was measured.
        vocabulary: the number of ids of the tokenizer.
    """
    if fit.tokens < MIN_TOKENS:
        return
    if fit.unknown >= MAX_UNKNOWN_SHARE:
        what, weight = f"{format_share(fit.unknown)} of the words or characters are unknown to it", fit.unknown
    elif fit.continued >= MAX_CONTINUED_SHARE and vocabulary < MIN_MULTILINGUAL_VOCABULARY:
        what, weight = f"{format_share(fit.continued)} of the tokens are later pieces of cut words", fit.continued
    else:
        return
    yield Finding(
        text=f"The vocabulary of the base does not fit the texts: {what}. Their language is likely another one. Take "
        f'`base="{MULTILINGUAL_BASE}"`, or a DistilBERT of their language.',
        weight=weight,
        level="warning",
    )
