"""Gradient times input: tokens and directions of the logits in, how much each token weighs in them out."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from sentiment_batch.batching import pad, plan
from sentiment_batch.errors import DeviceError, ModelError, first_line

if TYPE_CHECKING:
    from sentiment_batch.assemble import Floats
    from sentiment_batch.batching import Rows
    from sentiment_batch.model import Loaded
    from sentiment_batch.tokens import Tokens

logger = logging.getLogger("sentiment_batch")

# B segments of a batch, T tokens of the longest, D the width of an embedding, K labels, S segments.


class Gradients:
    """A scoring model's twin, of which gradients can be asked.

    The twin has the weights of the model's own modules, not a copy, unless they are in half precision: it computes in
    float32, in which small differences last, where the memory is there. The model itself stays as it is: no weight is
    asked for its gradient, no hook is put on it, and it may score in another thread meanwhile.

    Args:
        loaded: the model as it scores.
        device: where it is.

    Raises:
        ModelError: the model has no embeddings of words to take gradients by.
    """

    def __init__(self, loaded: Loaded, device: str) -> None:
        self._pad_id = loaded.pad_id
        self._device = device
        try:
            self._network = _twin(loaded.network, torch.float32)
        except torch.OutOfMemoryError:
            logger.warning("the memory of %s does not hold the model in float32: weights of words are rough", device)
            self._network = _twin(loaded.network, None)
        self._embedded: list[torch.Tensor] = []
        try:
            self._network.get_input_embeddings().register_forward_hook(self._keep)
        except (NotImplementedError, AttributeError) as error:
            raise _no_gradient("it has no embeddings of words") from error

    def weights(self, tokens: Tokens, directions_SK: Floats, budget: int) -> Floats:
        """What each token adds to its segment's logits, projected on the segment's direction, to first order.

        It is the gradient by the token's embedding times the embedding, summed over the width. Of a network that is
        linear in the embeddings, the weights of a segment add up to the projection less that of embeddings of zero.

        Args:
            tokens: S segments.
            directions_SK: (S, K) what is asked of each segment's logits.
            budget: tokens per batch, padding included; halved when the device's memory runs out.

        Returns:
            (sum of lengths,) beside `tokens.ids`.

        Raises:
            ModelError: no gradient can be had, or it is no number.
            DeviceError: one segment alone does not fit into the device's memory.
        """
        found = np.zeros(len(tokens.ids), dtype=np.float32)
        batches = plan(tokens.lengths, budget)
        while batches:
            rows = batches.pop(0)
            weights_BT = self._tried(tokens, rows, directions_SK)
            if weights_BT is not None:
                for row, weights_T in zip(rows, weights_BT, strict=True):
                    start, stop = tokens.offsets[row : row + 2]
                    found[start:stop] = weights_T[: stop - start]
                continue
            # Outside the handler: its traceback would keep the failed pass's tensors alive.
            torch.cuda.empty_cache()
            budget = max(1, int(tokens.lengths[rows].sum()) // 2)
            left = np.concatenate([rows, *batches])
            batches = [left[some] for some in plan(tokens.lengths[left], budget)]
        if not np.isfinite(found).all():
            raise _no_gradient("its gradients are no numbers")
        return found

    def _tried(self, tokens: Tokens, rows: Rows, directions_SK: Floats) -> Floats | None:
        """The weights (B, T) of some segments, None if the device's memory does not hold so many."""
        ids, mask = pad(tokens, rows, self._pad_id)
        ids_BT, mask_BT, directions_BK = (
            torch.from_numpy(array).to(self._device) for array in (ids, mask, directions_SK[rows])
        )
        try:
            return self._batch(ids_BT, None if mask.all() else mask_BT, directions_BK)
        except torch.OutOfMemoryError as error:
            if len(rows) > 1:
                return None
            raise DeviceError(
                f"the memory of {self._device} does not hold one text of {ids.shape[1]:,} tokens with its gradients. "
                "Take a smaller --max-length, or --device cpu."
            ) from error

    def _batch(self, ids_BT: torch.Tensor, mask_BT: torch.Tensor | None, directions_BK: torch.Tensor) -> Floats:
        self._embedded = []
        with torch.inference_mode(False), torch.enable_grad():
            logits_BK = self._network(input_ids=ids_BT, attention_mask=mask_BT).logits.float()
            inputs, self._embedded = self._embedded, []
            if len(inputs) != 1 or not logits_BK.requires_grad:
                raise _no_gradient("its scores do not go through its embeddings of words")
            try:
                (gradient_BTD,) = torch.autograd.grad((logits_BK * directions_BK).sum(), inputs)
            except NotImplementedError as error:
                raise _no_gradient(first_line(error)) from error
        weights_BT: Floats = (gradient_BTD.float() * inputs[0].detach().float()).sum(dim=-1).cpu().numpy()
        return weights_BT

    def _keep(self, module: nn.Module, arguments: Any, output: torch.Tensor) -> torch.Tensor:
        """A hook on the embeddings: what comes out of them is where the graph of the gradients begins."""
        self._embedded.append(output.detach().requires_grad_())
        return self._embedded[-1]


def _twin(network: Any, dtype: torch.dtype | None) -> Any:
    """Modules like those of `network` over the same weights, or over copies of them in another dtype."""
    twins: dict[int, Any] = {}
    for weight in (*network.parameters(), *network.buffers()):
        same = weight.clone() if weight.is_inference() else weight.detach()
        same = same.to(dtype or same.dtype) if same.is_floating_point() else same
        twins[id(weight)] = nn.Parameter(same, requires_grad=False) if isinstance(weight, nn.Parameter) else same
    return copy.deepcopy(network, twins).eval()


def _no_gradient(why: str) -> ModelError:
    return ModelError(f"the words of this model cannot be weighed: {why}. Explain with another model.")
