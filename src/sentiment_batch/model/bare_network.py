"""A network of plain tensors under the names of a Transformers model, for the families in `model/families.py`.

`build_packed` (`forward/packed.py`) walks it like the Transformers model itself. Importing Transformers takes longer
than everything else that a small table needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from sentiment_batch.model.families import FAMILIES
from sentiment_batch.model.folder_faults import find_weights
from sentiment_batch.model.forward.layers import GELU

if TYPE_CHECKING:
    from sentiment_batch.model.forward.packed import PackedModel


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkShape:
    """What the tensors of a network do not tell."""

    family: str
    """The name of its family in `FAMILIES`."""
    prefix: str
    """The name of its encoder among its modules."""
    width: int
    """The width of the encoder."""
    heads: int
    """Heads of the attention."""
    epsilon: float
    """That of every layer norm."""
    padding: int | None
    """The padding id if positions are counted from after it, else None. The cache stores it under this name."""


def describe_network(network: Any, packed: PackedModel) -> NetworkShape | None:
    """The shape of a Transformers model and its packed form; None for an activation that a bare network lacks."""
    if packed.encoder.activation is not GELU:
        return None
    return NetworkShape(
        family=network.config.model_type,
        prefix=network.base_model_prefix,
        width=network.config.hidden_size,
        heads=packed.heads,
        epsilon=packed.encoder.norm.epsilon,
        padding=packed.position_padding_id,
    )


class _Module(SimpleNamespace):
    """The tensors and modules under one name; a linear layer if it is called."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight, self.bias)

    def __iter__(self) -> Iterator[Any]:
        """The numbered modules of a list, in their order."""
        return (vars(self)[number] for number in sorted(filter(str.isdecimal, vars(self)), key=int))


def load_weights(folder: Path, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The weights of a model folder by their names, on the CPU, in memory of their own.

    They are rounded to float32 first, as Transformers does it.

    Args:
        folder: the model folder.
        dtype: the dtype of all tensors.

    Returns:
        Each tensor in the shape in which it is stored, by its name, such as `distilbert.embeddings.LayerNorm.weight`.
    """
    from safetensors.torch import load_file

    files = [load_file(file) for file in find_weights(folder)]
    return {name: tensor.float().to(dtype, copy=True) for file in files for name, tensor in file.items()}


def build_bare_network(weights: Mapping[str, torch.Tensor], shape: NetworkShape) -> Any:
    """The network of these weights, for `build_packed`.

    Args:
        weights: the tensors as they are stored, by name; see `load_weights`.
        shape: what the tensors do not tell.

    Raises:
        AttributeError, KeyError: the weights have other names than those of the family.
    """
    family, root = FAMILIES[shape.family], _Module()
    # `a.b.weight` becomes the attribute `weight` of the module `b` of the module `a`.
    for name, tensor in weights.items():
        module, path = root, name.split(".")
        for part in path[:-1]:
            module = vars(module).setdefault(part, _Module(eps=shape.epsilon))
        setattr(module, path[-1], tensor)
    # What is left are the parts of the family that have no tensors: the activation, and what its head does.
    encoder = getattr(root, shape.prefix)
    for layer in attrgetter(family.layers)(encoder):
        *path, last = family.paths.activation.split(".")
        setattr(attrgetter(".".join(path))(layer), last, F.gelu)
    if family.head == "pooler":
        pooler = encoder.pooler.dense
        encoder.pooler = lambda x_BTD: torch.tanh(pooler(x_BTD[:, 0]))
    elif family.head == "own":
        head = root.classifier
        root.classifier = lambda x_BTD: head.out_proj(torch.tanh(head.dense(x_BTD[:, 0])))
    # `build_packed` reads these attributes.
    encoder.embeddings.padding_idx = shape.padding
    root.base_model = encoder
    root.config = SimpleNamespace(model_type=shape.family, hidden_size=shape.width, num_attention_heads=shape.heads)
    return root
