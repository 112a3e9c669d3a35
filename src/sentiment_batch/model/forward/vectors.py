"""The vector of a text: what the encoder gives for its first token, which the head of a classifier reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from sentiment_batch.errors import ModelError
from sentiment_batch.model.families import FAMILIES
from sentiment_batch.model.forward.int8_labels import Int8Strategy
from sentiment_batch.model.forward.packed import PackedStrategy
from sentiment_batch.model.forward.strategies import PaddedStrategy

if TYPE_CHECKING:
    from sentiment_batch.model.forward.strategies import ForwardStrategy
    from sentiment_batch.model.stock import LoadedModel

# B segments of a batch, T tokens of the longest, D the encoder's width.


def make_vector_strategy(strategy: ForwardStrategy, width: int, load: Callable[[], LoadedModel]) -> ForwardStrategy:
    """A strategy that gives the vector of each segment in place of its logits.

    For the families in `model/families.py`, it is the last vector of the first token, [CLS] in BERT. For others, whose
    heads may read another token, it is the mean of the last vectors of all tokens.

    Args:
        strategy: that of the classifier, whose weights are shared.
        width: D.
        load: gives the classifier as Transformers loaded it. It is called only if the classifier is not packed.
    """
    # Vectors have no label to keep, so int8 needs no second pass in float32.
    if isinstance(strategy, Int8Strategy):
        strategy = strategy.fast
    if isinstance(strategy, PackedStrategy):
        return replace(strategy, model=replace(strategy.model, head=_keep), classes=width)
    loaded = load()
    return PaddedStrategy(
        model=_LastVectors(pad_id=loaded.pad_id, network=loaded.network),
        device=strategy.device,
        classes=width,
        shape=strategy.shape,
        equal_lengths=loaded.padding_changes_scores,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _LastVectors:
    """A Transformers classifier that gives vectors where `strategies.Model` gives logits."""

    pad_id: int
    network: Any

    def logits(self, ids_BT: torch.Tensor, mask_BT: torch.Tensor | None) -> torch.Tensor:
        """The vectors (B, D) in float32.

        Raises:
            ModelError: the model gives none.
        """
        mask_BT = None if mask_BT is None else mask_BT.long()
        with torch.inference_mode():
            output = self.network(input_ids=ids_BT, attention_mask=mask_BT, output_hidden_states=True)
        # An encoder-decoder such as BART has no `hidden_states`.
        states = getattr(output, "hidden_states", None) or getattr(output, "decoder_hidden_states", None)
        if not states or states[-1].shape[:2] != ids_BT.shape:
            raise ModelError(
                f"{self.network.name_or_path} is a {self.network.config.model_type} model, which gives no vector for "
                "each token. Name a DistilBERT or BERT classifier with `model`."
            )
        last_BTD: torch.Tensor = states[-1].float()
        if self.network.config.model_type in FAMILIES:
            return last_BTD[:, 0]
        if mask_BT is None:
            return last_BTD.mean(dim=1)
        # The mean over the tokens, without the padding.
        return (last_BTD * mask_BT[..., None]).sum(dim=1) / mask_BT.sum(dim=1, keepdim=True)


def _keep(first_BD: torch.Tensor) -> torch.Tensor:
    return first_BD
