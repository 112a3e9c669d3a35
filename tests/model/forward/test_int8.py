"""The products of 8-bit integers: near those of float32, and each row by itself."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sentiment_batch.model.forward import int8_products
from sentiment_batch.model.forward.int8 import Int8Layer
from sentiment_batch.model.forward.int8_products import FeedForward, Int8Product, Range, casts_by_sign, widen
from sentiment_batch.model.forward.layers import GELU, LayerWeights, LinearWeights, NormWeights, linear
from sentiment_batch.model.torch_operators import has_fast_int8

pytestmark = pytest.mark.skipif(not has_fast_int8(), reason="this CPU has no fast products of 8-bit integers")

WIDTH, HIDDEN, ROWS = 64, 256, 96


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def product(outputs, inputs, seed):
    return LinearWeights.prepack(draw(outputs, inputs, seed=seed) / inputs**0.5, draw(outputs, seed=seed + 1))


def layer():
    norm = NormWeights(torch.ones(WIDTH), torch.zeros(WIDTH), 1e-5)
    qkv, out = product(3 * WIDTH, WIDTH, 10), product(WIDTH, WIDTH, 20)
    return LayerWeights(qkv, out, norm, product(HIDDEN, WIDTH, 30), product(WIDTH, HIDDEN, 40), norm)


def spread(found, expected):
    """The standard deviation of the error, as a share of that of the values."""
    return float((found - expected).std() / expected.std())


def test_floats_become_codes_whichever_cast_is_used(monkeypatch):
    x = draw(ROWS, WIDTH)
    found = widen(None, x)
    code = Int8Product.build(product(8, WIDTH, 3), found).code
    quick = code.encode(x)
    monkeypatch.setattr(int8_products, "casts_by_sign", lambda: not casts_by_sign())
    assert torch.equal(code.encode(x), quick)
    assert quick.dtype == torch.uint8
    assert len(quick.unique()) > 100


def test_values_outside_of_the_range_become_its_ends():
    x = draw(ROWS, WIDTH)
    code = Int8Product.build(product(8, WIDTH, 3), widen(None, x)).code
    far = torch.stack([torch.full((WIDTH,), -1e9), torch.full((WIDTH,), 1e9)])
    assert code.encode(far).tolist() == [[0] * WIDTH, [255] * WIDTH]


@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_a_product_is_near_that_of_float32(shift):
    weights, x = product(96, WIDTH, 5), draw(ROWS, WIDTH) + shift  # a shifted range costs no exactness
    found = Int8Product.build(weights, widen(None, x))(x, torch.float32)
    assert spread(found, linear(x, weights)) < 0.03


def test_an_empty_range_and_an_output_without_weights():
    weight = draw(16, WIDTH) / 8
    weight[3] = 0
    weights, x = LinearWeights.prepack(weight, draw(16)), draw(ROWS, WIDTH)
    x[:, 5] = 0.25
    found = Int8Product.build(weights, widen(None, x))(x, torch.float32)
    assert found.isfinite().all()
    assert spread(found, linear(x, weights)) < 0.03
    assert torch.equal(found[:, 3], weights.bias[3].expand(ROWS))


def test_one_huge_channel_does_not_spoil_the_others():
    whole = layer()
    whole.up.bias[7] = 40.0
    whole = whole._replace(up=LinearWeights.prepack(whole.up.weight, whole.up.bias))
    x = draw(ROWS, WIDTH)
    hidden = linear(x, whole.up, GELU)
    found = FeedForward.build(whole, widen(None, x), widen(None, hidden))
    assert spread(found(x), linear(hidden, whole.down) + x) < 0.03
    assert found.scale < 40 / 255 / 2  # the huge channel does not widen the range of the others


def test_a_row_does_not_depend_on_its_neighbours():
    whole, x = layer(), draw(ROWS, WIDTH)
    ranges = widen(None, x)
    hidden = widen(None, linear(x, whole.up, GELU))
    part = Int8Layer(
        qkv=Int8Product.build(whole.qkv, ranges),
        attention_output=Int8Product.build(whole.attention_output, ranges),
        attention_norm=whole.attention_norm,
        feed_forward=FeedForward.build(whole, ranges, hidden),
        norm=whole.norm,
        attention_dtype=torch.float32,
    )
    together = part.project(x)
    other = torch.cat([draw(ROWS, WIDTH, seed=9) * 100, x])  # neighbours far outside of the range
    assert torch.equal(part.project(other)[ROWS:], together)
    assert torch.equal(part.project(x[:1]), together[:1])
    torch.testing.assert_close(part.finish(other, other)[ROWS:], part.finish(x, x), atol=1e-5, rtol=1e-5)


def test_ranges_widen():
    first = widen(None, torch.tensor([[0.0, 1.0], [2.0, -1.0]]))
    assert [one.tolist() for one in widen(first, torch.tensor([[-3.0, 0.0]]))] == [[-3.0, -1.0], [2.0, 1.0]]
    assert first == Range(*first)


def test_gelu_lies_above_the_least_value_that_the_codes_hold():
    assert F.gelu(torch.linspace(-5, 5, 10_001)).min() > int8_products.MIN_GELU
