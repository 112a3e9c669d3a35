"""Every private or young operator of torch that this program calls, in one list to check when torch is upgraded.

| here | in torch | used by |
|---|---|---|
| `reorder_linear_weight` | `torch.ops.mkldnn._reorder_linear_weight` | `layers` |
| `linear_pointwise` | `torch.ops.mkldnn._linear_pointwise` | `layers` |
| `prepack_int8_weight` | `torch.ops.onednn.qlinear_prepack` | `int8_products` |
| `int8_linear`, `int8_linear_add` | `torch.ops.onednn.qlinear_pointwise` | `int8_products` |
| `gelu_in_place` | `torch.ops.aten.gelu_` | `layers`, `packed` |
| `softmax_backward` | `torch._softmax_backward_data` | `attention_backward` |
| `interpolate_in_place` | `torch._foreach_lerp_` | `training/weight_average` |
| `variable_length_attention` | `torch.nn.attention.varlen.varlen_attn`, new in torch 2.10 | `attention`, on CUDA only |
| `onednn_has_bfloat16` | `torch.ops.mkldnn._is_mkldnn_bf16_supported` | `device` |
| `find_bfloat16_instructions` | `torch.cpu._is_avx512_bf16_supported`, `._is_amx_tile_supported` | `device` |
| `has_fast_int8` | `torch.cpu._is_vnni_supported` | `device`, `int8_setup` |

A build of torch without oneDNN, such as one for a Mac, lacks the operators of `mkldnn`. Their names are None there.
The parity check (`forward/parity.py`) compares the scores of these operators with those of the Transformers code.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

reorder_linear_weight: Any = getattr(torch.ops.mkldnn, "_reorder_linear_weight", None)
"""A weight (out, in) and the usual number of rows to the weight in oneDNN's own layout."""
linear_pointwise: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
"""A linear layer with a reordered weight, fused with an activation."""
prepack_int8_weight: Any = getattr(torch.ops.onednn, "qlinear_prepack", None)
"""A weight (out, in) of signed 8-bit integers and the usual shape of its input to the weight in oneDNN's own layout."""
int8_linear: Any = getattr(torch.ops.onednn, "qlinear_pointwise", None)
"""A linear layer of unsigned 8-bit rows with such a weight, fused with an activation, in any dtype."""
int8_linear_add: Any = getattr(int8_linear, "binary", None)
"""The same with the sum of the result and another tensor in place of the activation."""
gelu_in_place: Any = torch.ops.aten.gelu_
softmax_backward: Any = torch._softmax_backward_data
"""The gradient by the scores, from the gradient by the softmax, the softmax, its dimension and its dtype."""

interpolate_in_place: Any = torch._foreach_lerp_
"""Moves each tensor of a list towards its partner in a second list by a share of the way."""


def has_onednn() -> bool:
    """True if this build of torch has oneDNN, and oneDNN the operators for linear layers."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and reorder_linear_weight is not None and linear_pointwise is not None


def onednn_has_bfloat16() -> bool:
    """True if oneDNN computes in bfloat16 on this CPU, by hardware or by emulation."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def find_bfloat16_instructions() -> list[str]:
    """The instructions for bfloat16 that this x86 CPU has, among `AVX-512 bfloat16` and `AMX`."""
    checks = {"AVX-512 bfloat16": "_is_avx512_bf16_supported", "AMX": "_is_amx_tile_supported"}
    return [name for name, check in checks.items() if getattr(torch.cpu, check, bool)()]


@functools.cache
def has_fast_int8() -> bool:
    """True if torch and this CPU multiply 8-bit integers by instructions for dot products (VNNI).

    Without these, oneDNN sums pairs of products in 16 bits, which may overflow. So the greatest sum is tried, too.
    """
    vnni: bool = getattr(torch.cpu, "_is_vnni_supported", bool)()
    if not (vnni and has_onednn() and prepack_int8_weight is not None and int8_linear_add is not None):
        return False
    codes, weight = torch.full((2, 64), 255, dtype=torch.uint8), torch.full((8, 64), 127, dtype=torch.int8)
    scales, zeros, other = torch.ones(8), torch.zeros(8, dtype=torch.int64), torch.ones(2, 8)
    try:
        layer = (1.0, 0, prepack_int8_weight(weight, [2, 64]), scales, zeros)
        plain = int8_linear(codes, *layer, None, 1.0, 0, torch.float32, "none", [], "")
        summed = int8_linear_add(codes, *layer, other, None, 1.0, 0, torch.float32, 1.0, 0, "add", 1.0, "none", [], "")
    except (RuntimeError, TypeError):  # a release of torch with other arguments
        return False
    return bool((plain == 64 * 255 * 127).all() and (summed == plain + 1).all())


def variable_length_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    query_offsets: torch.Tensor,
    key_offsets: torch.Tensor,
    max_queries: int,
    max_keys: int,
) -> torch.Tensor:
    """Attention inside each of B texts that lie end to end, in one CUDA kernel.

    Args:
        query: (Q, H, E) for Q queries of all texts, H heads and E the width of a head.
        key: (K, H, E).
        value: (K, H, E).
        query_offsets: (B + 1,) where the queries of each text begin, and the end of the last.
        key_offsets: (B + 1,) the same for the keys.
        max_queries: queries of the longest text.
        max_keys: keys of the longest text.

    Returns:
        (Q, H, E).
    """
    from torch.nn.attention.varlen import varlen_attn

    # By position only, because its further arguments differ from release to release.
    mixed = varlen_attn(query, key, value, query_offsets, key_offsets, max_queries, max_keys)
    assert isinstance(mixed, torch.Tensor)  # a pair only if the log-sum-exp is asked for
    return mixed
