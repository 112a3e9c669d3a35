"""Linear layers where the CPU's library refuses; and a library that feels a row's place is found out."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sentiment_batch.model.forward import layers as layers_module
from sentiment_batch.model.forward.layers import (
    GELU,
    LayerWeights,
    LinearWeights,
    NormWeights,
    finish_layer,
    has_equal_row_bits,
    linear,
)

WIDTH = 32


def product(outputs, inputs=WIDTH, dtype=torch.float32):
    generator = torch.Generator().manual_seed(outputs)
    weight = torch.randn((outputs, inputs), generator=generator)
    return LinearWeights.prepack(weight.to(dtype), torch.ones(outputs, dtype=dtype))


def layer(dtype=torch.float32):
    norm = NormWeights(torch.ones(WIDTH, dtype=dtype), torch.zeros(WIDTH, dtype=dtype), 1e-5)
    sizes = ((3 * WIDTH, WIDTH), (WIDTH, WIDTH), (48, WIDTH), (WIDTH, 48))
    qkv, out, up, down = (product(*size, dtype) for size in sizes)
    return LayerWeights(qkv, out, norm, up, down, norm)


@pytest.mark.parametrize("activation", [None, GELU, F.relu])
@pytest.mark.parametrize("rows", [1, 7, 64])
def test_a_product_is_the_stock_layer_s(rows, activation):
    ours = product(48)
    stock = nn.Linear(WIDTH, 48)
    stock.weight.data, stock.bias.data = ours.weight, ours.bias
    x = torch.randn((rows, WIDTH), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = stock(x) if activation is None else activation(stock(x))
        torch.testing.assert_close(linear(x, ours, activation), expected, atol=1e-5, rtol=1e-5)


def test_where_the_library_refuses_a_dtype_torch_itself_computes(monkeypatch):
    def refuse(weight, rows):
        raise RuntimeError("bf16 path needs the cpu support avx512bw")

    monkeypatch.setattr(layers_module, "reorder_linear_weight", refuse)
    monkeypatch.setattr(layers_module, "linear_pointwise", None)
    refused = product(48, dtype=torch.bfloat16)
    assert refused.prepacked is None
    x = torch.ones((3, WIDTH), dtype=torch.bfloat16)
    assert torch.equal(linear(x, refused), F.linear(x, refused.weight, refused.bias))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("outputs", [3 * WIDTH, WIDTH, 48])
def test_a_library_with_another_order_in_the_last_row_is_found(monkeypatch, outputs, dtype):
    whole, further = layer(dtype), product(2 * WIDTH, dtype=dtype)
    functions = [lambda x, one=one: layers_module.linear(x, one) for one in (whole.qkv, further)]
    functions.append(lambda x: finish_layer(whole, GELU, x, x))
    assert has_equal_row_bits(functions, whole.qkv.weight, 64)

    def edged(x, weights, activation=None):
        result = linear(x, weights, activation)
        if weights.weight.shape[0] == outputs:
            result[-1, 0] = torch.nextafter(result[-1, 0], result.new_tensor(torch.inf))
        return result

    monkeypatch.setattr(layers_module, "linear", edged)
    assert not has_equal_row_bits(functions, whole.qkv.weight, 64)
