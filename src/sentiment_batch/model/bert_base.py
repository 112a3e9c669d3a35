"""Takes a BERT encoder as a DistilBERT: the same network under other names, without its pooler.

DistilBERT has no token types. A single text has the first type at every token, so the row of that type is added to
every position embedding. The result is checked by the package's own texts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sentiment_batch.errors import ModelError
from sentiment_batch.model.families import BERT, DISTILBERT
from sentiment_batch.model.folder import ATTENTION
from sentiment_batch.tokenization.parity_texts import read_parity_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

NORM_EPSILON = 1e-12
"""What DistilBERT's layer norms add to the variance. It cannot be set."""
MAX_DIFFERENCE = 1e-4
"""The largest difference of two hidden values in float32 that counts as equal, relative to the largest value."""
NUM_CHECK_TEXTS = 8
MAX_CHECK_TOKENS = 64


def convert_encoder(bert: Any, folder: Path, tokenizer: Any) -> Any:
    """The `DistilBertModel` that computes the same as a `BertModel`.

    Args:
        bert: the encoder, in float32 on the CPU.
        folder: where it comes from, for messages.
        tokenizer: its tokenizer, for the check.

    Raises:
        ModelError: DistilBERT cannot compute this network, or computes something else.
    """
    from transformers import DistilBertModel

    config = _convert_config(bert.config, folder)
    with torch.random.fork_rng(devices=[]):  # its initial weights, which are replaced, may not affect training
        encoder = DistilBertModel._from_config(config, attn_implementation=ATTENTION)
    encoder.load_state_dict(_rename_weights(bert.state_dict()))
    _check_equal(bert, encoder, folder, tokenizer)
    return encoder


def _convert_config(config: Any, folder: Path) -> Any:
    """DistilBERT's configuration of the same network.

    Raises:
        ModelError: DistilBERT cannot compute this network.
    """
    from transformers import DistilBertConfig

    obstacles = {
        "is a decoder": config.is_decoder or config.add_cross_attention,
        f"has layer norms with an epsilon of {config.layer_norm_eps:g}": config.layer_norm_eps != NORM_EPSILON,
        "has relative positions": getattr(config, "position_embedding_type", "absolute") != "absolute",
    }
    for obstacle, applies in obstacles.items():
        if applies:
            raise ModelError(f"{folder} {obstacle}, which DistilBERT does not have. Take another base.")
    return DistilBertConfig(
        vocab_size=config.vocab_size,
        max_position_embeddings=config.max_position_embeddings,
        n_layers=config.num_hidden_layers,
        n_heads=config.num_attention_heads,
        dim=config.hidden_size,
        hidden_dim=config.intermediate_size,
        activation=config.hidden_act,
        dropout=config.hidden_dropout_prob,
        attention_dropout=0.0,
        initializer_range=config.initializer_range,
        pad_token_id=config.pad_token_id,
        architectures=["DistilBertModel"],
    )


def _rename_weights(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a BERT encoder, in the shapes in which they are stored, under DistilBERT's names."""
    # Position and token type are added to each token. If the type is constant, one sum can hold both.
    position, token_type = "embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"
    typed = dict(weights) | {position: weights[position] + weights[token_type][0]}
    renamed = {BERT.rename_weight(name, DISTILBERT): weight for name, weight in typed.items()}
    return {name: weight for name, weight in renamed.items() if name is not None}


def _check_equal(bert: Any, encoder: Any, folder: Path, tokenizer: Any) -> None:
    """Compare the last hidden states of both networks.

    Raises:
        ModelError: they differ by more than rounding.
    """
    length = min(MAX_CHECK_TOKENS, bert.config.max_position_embeddings)
    texts, states = read_parity_texts()[:NUM_CHECK_TEXTS], []
    with torch.inference_mode():
        for network in (bert.eval(), encoder.eval()):
            rows = (tokenizer.backend_tokenizer.encode(text).ids[:length] for text in texts)
            states.append([network(input_ids=torch.tensor([row])).last_hidden_state for row in rows])
    for theirs, ours in zip(*states, strict=True):
        # `not <=` instead of `>`, so that a difference of NaN counts as one.
        if not (theirs - ours).abs().max() <= MAX_DIFFERENCE * theirs.abs().max():
            raise ModelError(
                f"{folder} cannot be converted: as a DistilBERT it computes something else. Take another base."
            )
