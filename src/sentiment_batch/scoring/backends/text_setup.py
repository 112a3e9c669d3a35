"""How a model reads texts in scoring: its text policy, its tokenizer, and the batch shape of deterministic runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sentiment_batch.errors import UsageError
from sentiment_batch.settings import DETERMINISTIC_BATCH
from sentiment_batch.tokenization.packing import BatchShape
from sentiment_batch.tokenization.tokenizer import TextPolicy, TextTokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from sentiment_batch.model.stock import ModelFacts
    from sentiment_batch.settings import ScoreSettings


class TextSetup(NamedTuple):
    """How a model reads texts under some settings."""

    policy: TextPolicy
    shape: BatchShape | None
    """The shape of every batch of a deterministic run, None in other runs."""
    tokenizer: TextTokenizer


def set_up_texts(settings: ScoreSettings, loaded: ModelFacts) -> TextSetup:
    """How a loaded model reads texts.

    Raises:
        UsageError: as `choose_text_policy` does.
    """
    policy = choose_text_policy(settings, loaded)
    shape = choose_fixed_shape(loaded, policy) if settings.deterministic else None
    return TextSetup(policy, shape, make_tokenizer(loaded.backend, loaded.meta, policy))


def choose_text_policy(settings: ScoreSettings, loaded: ModelFacts) -> TextPolicy:
    """The policy that the user set, else the one of the training, else the one of the model's own tokenizer.

    Raises:
        UsageError: `max_length` is larger than the model's number of positions.
    """
    trained = loaded.meta["text"] if loaded.meta else {}
    wanted = settings.max_length or trained.get("max_length") or loaded.positions
    # Only a number that the user set is an error. One of a model folder is brought down below.
    if wanted > loaded.positions and settings.max_length:
        raise UsageError(f"`max_length` is {wanted}, but the model takes {loaded.positions} tokens. Take fewer.")
    return TextPolicy(
        max_length=min(wanted, loaded.positions),
        long_text=settings.long_text or trained.get("long_text") or loaded.long_text,
    )


def make_tokenizer(backend: Tokenizer, meta: dict[str, Any] | None, policy: TextPolicy) -> TextTokenizer:
    """The tokenizer of a model whose sentiment_batch.json holds `meta`."""
    return TextTokenizer(backend, policy, special_as_text=bool(meta and meta["text"].get("special_tokens_as_text")))


def choose_fixed_shape(loaded: ModelFacts, policy: TextPolicy) -> BatchShape:
    """The shape of all batches of a deterministic run: the model's own if it has one. The longest text always fits."""
    stored = (loaded.meta or {}).get("batch") or DETERMINISTIC_BATCH
    # All batches have one shape, so the shape must hold the longest text that the policy allows
    tokens, texts = stored["tokens"], stored["texts"]
    return BatchShape(tokens=max(tokens, policy.max_length), texts=max(texts, 1), longest=policy.max_length)
