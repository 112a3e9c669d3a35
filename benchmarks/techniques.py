"""The techniques of the scoring engine, each with its alternative, its predicted gain and functions that run both."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

import sentiment_batch.model.forward.attention as attention_module
import sentiment_batch.model.forward.packed as packed_module
import sentiment_batch.model.forward.strategies as strategies_module
import sentiment_batch.scoring.backends.local as local_module
from benchmarks import common
from benchmarks.predictions import (
    CALL,
    CALLS,
    COPY,
    CUDA_BYTES,
    CUDA_SPEED,
    MIX_CALLS,
    PLAIN_TIME,
    SOFTMAX_SAVED,
    TOKENIZER,
    WAIT,
)
from benchmarks.variants import (
    AsTheyCome,
    FromApart,
    Fused,
    InLine,
    OneByOne,
    Softmax,
    WholeLast,
    as_kind,
    every_row,
    plainly_multiplied,
    separate,
    swapped,
    without_pinning,
)
from sentiment_batch.tokenization.packing import plan_rectangles

if TYPE_CHECKING:
    from benchmarks.ablation_bench import AblationBench, Floats
    from sentiment_batch.model.forward.attention import CpuPackAttention


@dataclass(frozen=True, kw_only=True)
class Technique:
    """A technique that makes scoring fast, and the alternative that it is compared with."""

    name: str
    instead: str
    predicted: float
    why: str
    with_it: Callable[[], Floats]
    """Probabilities (n, K)."""
    without: Callable[[], Floats]


def techniques(bench: AblationBench) -> Iterator[Technique]:
    """All techniques that can be switched off on this device. Each is made when its turn comes, to save memory."""
    yield from _layout(bench)
    yield from _products(bench)
    if bench.on_cpu:
        yield from _attention(bench)
        yield _one_core_a_batch(bench)
    else:
        yield from _cuda(bench)
    yield from _sizes(bench)
    if bench.dtype != "float32":
        yield _half(bench)
    yield from _rows(bench)


def _layout(bench: AblationBench) -> Iterator[Technique]:
    numbers, lengths = bench.numbers, bench.numbers.lengths
    jumbled = AsTheyCome(model=bench.stock.model, device=bench.stock.device, classes=bench.stock.classes)
    mixed = numbers.padded(jumbled.plan(lengths, numbers.budget))
    ordered = numbers.padded(plan_rectangles(lengths, numbers.budget))
    yield Technique(
        name="batches by length",
        instead="batches in the order of rows; both padded, stock model",
        predicted=mixed / ordered,
        why="operations on padded texts, by those on sorted ones",
        with_it=bench.run(bench.stock),
        without=bench.run(jumbled),
    )
    bare = plainly_multiplied(bench.strategy.model, WholeLast)
    yield Technique(
        name="packs, whole last layer, plain products",
        instead="sorted padded batches, stock model",
        predicted=ordered / numbers.operations(lengths),
        why="the padding that sorting leaves; masks not counted",
        with_it=bench.run(bare),
        without=bench.run(bench.stock),
    )
    yield Technique(
        name="short last layer",
        instead="the last layer for all tokens",
        predicted=numbers.operations(lengths) / numbers.short,
        why="operations; all but keys and values of one layer go",
        with_it=bench.run(),
        without=bench.run(as_kind(WholeLast, bench.strategy.model)),
    )
    yield Technique(
        name="the whole forward pass",
        instead="batches in the order of rows, padded, stock model",
        predicted=mixed / numbers.short,
        why="operations alone",
        with_it=bench.run(),
        without=bench.run(jumbled),
    )


def _products(bench: AblationBench) -> Iterator[Technique]:
    numbers = bench.numbers
    extra = len(numbers.packs) * (2 * numbers.layers - 1) * CALL
    yield Technique(
        name="queries, keys, values in one product",
        instead="three products",
        predicted=1 + extra / numbers.seconds,
        why="the same operations; two calls a layer go",
        with_it=bench.run(),
        without=bench.run(
            separate(bench.strategy.model), inside=lambda: swapped((packed_module, "CpuPackAttention", FromApart))
        ),
    )
    if bench.strategy.model.encoder.last_key_value.prepacked is None:
        return
    linear_share = 1 - numbers.attention_share
    yield Technique(
        name="prepacked weights, GELU inside the product",
        instead="plain F.linear, GELU after it",
        predicted=1 / (1 - linear_share + linear_share * PLAIN_TIME[numbers.dtype]),
        why="what a product alone gained, on its share",
        with_it=bench.run(),
        without=bench.run(plainly_multiplied(bench.strategy.model)),
    )


def _attention(bench: AblationBench) -> Iterator[Technique]:
    """The attention on a CPU."""
    numbers = bench.numbers
    scores = numbers.heads * (numbers.layers - 1) * float((numbers.lengths**2).sum())

    def attention(kind: type[CpuPackAttention]) -> Callable[[], AbstractContextManager[object]]:
        return lambda: swapped((packed_module, "CpuPackAttention", kind))

    saved = SOFTMAX_SAVED[numbers.dtype] * scores / numbers.short
    yield Technique(
        name="exp2, division after the product",
        instead="softmax",
        predicted=1 + saved,
        why="half the passes over scores",
        with_it=bench.run(),
        without=bench.run(inside=attention(Softmax)),
    )
    yield Technique(
        name="exp2, division after the product",
        instead="scaled_dot_product_attention",
        predicted=1 + saved / 2,
        why="its passes are half hidden in its products",
        with_it=bench.run(),
        without=bench.run(inside=attention(Fused)),
    )
    large = numbers.lengths[numbers.heads * numbers.lengths**2 > attention_module.MAX_CACHED_SCORES]
    share = 4 * numbers.width * numbers.layers * float((large**2).sum()) / numbers.operations(numbers.lengths)
    yield Technique(
        name="scores bounded to the cache",
        instead="all scores of a run at once",
        predicted=1 + share / 2,
        why="attention over longer texts, half as slow again",
        with_it=bench.run(),
        without=bench.run(inside=lambda: swapped((attention_module, "MAX_CACHED_SCORES", 2**40))),
    )
    spared = (len(numbers.lengths) - numbers.runs) * numbers.layers * MIX_CALLS * CALL
    yield Technique(
        name="texts of one length together",
        instead="each text by itself",
        predicted=1 + spared / numbers.seconds,
        why=f"{len(numbers.lengths)} texts in {numbers.runs} runs, {MIX_CALLS} calls each",
        with_it=bench.run(),
        without=bench.run(inside=attention(OneByOne)),
    )


def _one_core_a_batch(bench: AblationBench) -> Technique:
    numbers = bench.numbers
    waits = len(numbers.packs) * CALLS * numbers.layers + numbers.runs * numbers.layers * MIX_CALLS
    cores = numbers.cores
    return Technique(
        name="one core for each batch",
        instead="all cores on one batch",
        predicted=1 + waits * (CALL + WAIT) * (cores - 1) / numbers.seconds if cores > 1 else 1.0,
        why=f"{cores} cores need not wait for each other after each call",
        with_it=bench.run(),
        without=bench.run(pool=None, budget=numbers.budget),  # the same batches
    )


def _cuda(bench: AblationBench) -> Iterator[Technique]:
    numbers = bench.numbers
    tokens = float(numbers.lengths.sum())
    spared = 2 * 2 * 2 * numbers.width * numbers.layers * tokens / CUDA_BYTES
    yield Technique(
        name="compiled layers, packs of one size",
        instead="one kernel after the other",
        predicted=1 + spared / numbers.seconds,
        why="each sum with the residual stays out of memory",
        with_it=bench.run(bench.strategy.compile(bench.budget)),
        without=bench.run(),
    )
    yield Technique(
        name="copies from pinned memory",
        instead="copies that the host waits for",
        predicted=1 + COPY * len(numbers.packs) / numbers.seconds,
        why="the host makes a pack while the device works",
        with_it=bench.run(),
        without=bench.run(
            inside=lambda: swapped(
                (attention_module, "move_to_device", without_pinning),
                (strategies_module, "move_to_device", without_pinning),
            )
        ),
    )


def _sizes(bench: AblationBench) -> Iterator[Technique]:
    share = bench.numbers.calls_share
    if not bench.on_cpu:
        share = max(0.0, share - 1)  # what calls take longer than the device
    for name, factor, predicted in (("half", 0.5, 1 + share), ("twice", 2.0, 1 - share / 2)):
        size = max(1, int(bench.budget * factor))
        yield Technique(
            name=f"batches of {bench.budget:,} tokens",
            instead=f"{name} as many, {size:,}",
            predicted=max(0.5, predicted),
            why="calls that are made once for each batch",
            with_it=bench.run(),
            without=bench.run(budget=size),
        )


def _half(bench: AblationBench) -> Technique:
    if bench.on_cpu:
        tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
        factor = 8 if tiles else 2
        predicted, why = 1 / (0.2 + 0.8 / factor), f"products, 80 % of the time, {factor} times as fast"
    else:
        predicted = CUDA_SPEED[bench.dtype] / CUDA_SPEED["float32"]
        why = "products by the device's figures; float32 is padded"
    return Technique(
        name=bench.dtype,
        instead="float32, as scoring would compute it",
        predicted=predicted,
        why=why,
        with_it=bench.run(),
        without=bench.float32(),
    )


def _rows(bench: AblationBench) -> Iterator[Technique]:
    """The techniques around the forward pass, from texts to probabilities."""
    rows = len(bench.texts)
    different = max(1, round(rows * (1 - bench.repeats)))
    texts = [bench.texts[place] for place in np.random.default_rng(common.SEED).permutation(rows) % different]
    everything = functools.partial(bench.end_to_end, texts, rows)
    yield Technique(
        name="different texts once",
        instead=f"all rows, {1 - different / rows:.0%} of them repeats",
        predicted=rows / different,
        why="rows by different texts; from texts to scores",
        with_it=everything(contextlib.nullcontext),
        without=everything(lambda: swapped((local_module.LocalBackend, "_tokenize", every_row))),
    )
    tokenizing = float(bench.numbers.lengths.sum()) / (TOKENIZER * bench.tokenizer_cores)
    model = bench.numbers.seconds / bench.numbers.cores
    apart = (tokenizing + model) / max(tokenizing, model)
    # Few rows are divided into several blocks, too, as those of a long table are.
    in_blocks = functools.partial(bench.end_to_end, bench.texts, max(1, rows // 8))
    yield Technique(
        name="tokenizing ahead of the model",
        instead="one after the other",
        predicted=1.0 if bench.on_cpu else apart,
        why="the same cores do both" if bench.on_cpu else "both, by the longer one, in 8 blocks",
        with_it=in_blocks(contextlib.nullcontext),
        without=in_blocks(lambda: swapped((local_module, "Stages", InLine))),
    )
