"""Switches off one technique of the scoring engine at a time and compares the gain with what was predicted.

All variants score the same tokenised rows, with the same weights in the dtype that scoring takes, in turn, A B A B: as
it is, and with the one technique switched off. The gain is the second's time by the first's, round by round; the
prediction beside it is computed from the model's sizes and the rows' lengths before anything is timed. Every variant
must give the same probabilities.

The command line sets OMP_WAIT_POLICY=PASSIVE, which has to be in the environment before torch is loaded: set it here
too, for the like of what it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import gc
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.nn import functional as F

import sentiment_batch.attention as attention_module
import sentiment_batch.packed as packed_module
import sentiment_batch.scoring.engine as engine_module
import sentiment_batch.scoring.roads as roads_module
import sentiment_batch.scoring.windows as windows_module
from benchmarks import common, models
from benchmarks.common import tell
from sentiment_batch.assemble import softmax
from sentiment_batch.attention import Looped
from sentiment_batch.batching import plan, plan_packs
from sentiment_batch.linear import Product, linear
from sentiment_batch.packed import Layer, Packed, layer_rest
from sentiment_batch.scoring.forward import Budget, forward
from sentiment_batch.scoring.roads import PackedRoad, PaddedRoad, Road
from sentiment_batch.scoring.scorer import Scorer
from sentiment_batch.scoring.stages import Stages
from sentiment_batch.scoring.workers import Workers, workers

Floats = np.ndarray[Any, np.dtype[np.float32]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

TOLERANCE = {"float32": 1e-4, "bfloat16": 0.05, "float16": 0.02}
"""What probabilities may differ by: of sums in another order, in this dtype."""

# What the predictions assume of the machine, in round figures: an order of magnitude, set down before measuring.
CORE_SPEED = {"float32": 5e10, "bfloat16": 1e11, "float16": 1e11}
"""Operations a second of one core's products."""
CUDA_SPEED = {"float32": 4e13, "bfloat16": 4e14, "float16": 4e14}
"""Of a data centre's device: half of what it could."""
CUDA_BYTES = 3e12
"""A second, to and from its memory."""
CALL = 4e-6
"""Seconds of the host for one operator."""
CALLS = 12
"""Operators of a layer, attention as one of them."""
MIX_CALLS = 10
"""Operators of one run of the looped attention."""
WAIT = 5e-6
"""Seconds in which all cores come together after an operator that they share."""
COPY = 1e-3
"""Seconds of the host to make one pack."""
PLAIN_TIME = {"float32": 0.55, "bfloat16": 0.9, "float16": 1.0}
"""Of a product's time, what it takes with its weights laid out; measured alone, see `linear.Product`."""
SOFTMAX_SAVED = {"float32": 25, "bfloat16": 50, "float16": 50}
"""For one score, the operations of products in the time that exp2 with a late division saves: two of four passes, and
half of the exponential, some 0.4 cycles at 64 operations each (128 in bfloat16)."""
TOKENISER = 1e6
"""Tokens a second of one core."""


@dataclass(frozen=True, kw_only=True)
class Technique:
    """One way in which scoring is fast, with what it is compared."""

    name: str
    instead: str
    predicted: float
    why: str
    with_it: Callable[[], Floats]
    """Probabilities (n, K)."""
    without: Callable[[], Floats]


# --- Variants --------------------------------------------------------------------------------------------------------


class AsTheyCome(PaddedRoad):
    """Batches of neighbours, whatever their lengths."""

    def plan(self, lengths: Integers, budget: int, workers: int = 1) -> list[Integers]:
        batches, start, longest = [], 0, 0
        for row, length in enumerate(lengths.tolist()):
            longest = max(longest, length)
            if row > start and longest * (row + 1 - start) > budget:
                batches.append(np.arange(start, row))
                start, longest = row, length
        return [*batches, np.arange(start, len(lengths))] if len(lengths) else []


class WholeLast(Packed):
    """Walks the last layer for all tokens, too, and then takes the first of each text."""

    def _walk(self, texts: attention_module.Texts) -> torch.Tensor:
        x_TD = self._embed(texts)
        for layer in self.layers:
            x_TD = self.rest(layer, self.activation, texts.attend(linear(x_TD, layer.qkv)), x_TD)
        return self.head(x_TD.index_select(0, texts.first))


class Apart:
    """Queries, keys and values that were computed apart, for code that takes slices of one tensor."""

    def __init__(self, parts: list[torch.Tensor]) -> None:
        self.parts = parts
        self.shape = (len(parts[0]), sum(part.shape[1] for part in parts))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Apart:
        return Apart([part[rows] for part in self.parts])

    def view(self, rows: int, parts: int, heads: int, width: int) -> Apart:
        return Apart([part.view(rows, heads, width) for part in self.parts])

    def unbind(self, dim: int) -> list[torch.Tensor]:
        return self.parts


class FromApart(Looped):
    """Takes each of the three by itself."""

    def _by_head(self, x: Any, parts: int, texts: int, length: int) -> Any:
        return [super(FromApart, self)._by_head(part, 1, texts, length)[0].clone() for part in x.parts]


class Separate(Packed):
    """A product each for queries, keys and values; `qkv` and `last_kv` are tuples of them."""

    def _walk(self, texts: attention_module.Texts) -> torch.Tensor:
        x_TD = self._embed(texts)
        for layer in self.layers[:-1]:
            x_TD = self.rest(layer, self.activation, texts.attend(self._apart(x_TD, layer.qkv)), x_TD)
        first_BD = x_TD.index_select(0, texts.first)
        context_BD = texts.attend_first(linear(first_BD, self.last_query), self._apart(x_TD, self.last_kv))
        return self.head(layer_rest(self.layers[-1], self.activation, context_BD, first_BD))

    @staticmethod
    def _apart(x: torch.Tensor, products: Any) -> Any:
        return Apart([linear(x, product) for product in products])


class Softmax(Looped):
    """The usual softmax, in the same memory."""

    def _mix(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, length: int, mixed: torch.Tensor
    ) -> None:
        queries, keys = query.shape[1], key.shape[1]
        outcome = torch.empty_like(query)
        step = max(1, attention_module.SCORES // (queries * keys))
        for start in range(0, len(query), step):
            some = slice(start, start + step)
            scores = self._space.take("scores", len(query[some]) * queries, keys).view(-1, queries, keys)
            scale = query.shape[2] ** -0.5
            torch.baddbmm(scores, query[some], key[some].transpose(1, 2), beta=0, alpha=scale, out=scores)
            scores[..., length:] = -torch.inf
            torch.softmax(scores, -1, out=scores)
            torch.bmm(scores, value[some], out=outcome[some])
        texts, heads, wanted, _ = mixed.shape
        mixed.copy_(outcome.view(texts, heads, queries, -1)[:, :, :wanted])


class Fused(Looped):
    """torch's own attention for each run of texts."""

    def _mix(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, length: int, mixed: torch.Tensor
    ) -> None:
        whole = (part.view(*mixed.shape[:2], *part.shape[1:]) for part in (query, key, value))
        query, key, value = (part[:, :, :length] for part in whole)
        mixed.copy_(F.scaled_dot_product_attention(query, key, value))


class OneByOne(Looped):
    """Each text by itself, also where others of its length stand beside it."""

    def __init__(self, pack: Any, *others: Any) -> None:
        super().__init__(pack, *others)
        self._runs = list(pack.runs(lambda length: 1))


class InLine(Stages):
    """One stage after the other, in one thread."""

    def ahead(self, items: Iterable[Any], name: str, depth: int = 1) -> Iterator[Any]:
        yield from items


def every_row(window: Any, tokeniser: Any, check: Any) -> Any:
    """What `engine._prepare` does, but each row with a text of its own."""
    texts = list(itertools.chain.from_iterable(part.to_pylist() for part in window.texts))
    tokens = tokeniser(texts, check)
    return engine_module._Ready(window=window, rows=np.arange(len(texts)), tokens=tokens, seconds=0.0)


def without_pinning(tensor: torch.Tensor, device: Any) -> torch.Tensor:
    """A copy that the host waits for."""
    return tensor.to(device)


def as_kind(kind: type[Packed], model: Packed, **changes: Any) -> Packed:
    """The same weights in another class."""
    kept = {field.name: getattr(model, field.name) for field in dataclasses.fields(Packed)}
    return kind(**kept | {"spaces": []} | changes)


def separate(model: Packed) -> Packed:
    """A product for each of queries, keys and values."""

    def cut(product: Product, parts: int) -> Any:
        weights, biases = product.weight.chunk(parts), product.bias.chunk(parts)
        return tuple(Product.of(weight.contiguous(), bias) for weight, bias in zip(weights, biases, strict=True))

    layers = tuple(layer._replace(qkv=cut(layer.qkv, 3)) for layer in model.layers)
    return as_kind(Separate, model, layers=layers, last_kv=cut(model.last_kv, 2))


def plainly_multiplied(model: Packed, kind: type[Packed] = Packed) -> Packed:
    """Plain `F.linear`, with the activation after it."""

    def plain(layer: Layer) -> Layer:
        return Layer(*(part._replace(laid_out=None) if isinstance(part, Product) else part for part in layer))

    changes = {name: getattr(model, name)._replace(laid_out=None) for name in ("last_query", "last_kv")}
    return as_kind(kind, model, layers=tuple(map(plain, model.layers)), **changes)


@contextlib.contextmanager
def swapped(*places: tuple[Any, str, Any]) -> Iterator[None]:
    """Other values for names in modules."""
    before = [(module, name, getattr(module, name)) for module, name, _ in places]
    try:
        for module, name, value in places:
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


# --- Predictions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What predictions are computed from."""

    layers: int
    width: int
    heads: int
    linear: int
    """Operations of the linear layers for a token."""
    last_kv: int
    """Of the last layer's keys and values."""
    lengths: Integers
    budget: int
    """Tokens per batch."""
    dtype: str
    cores: int
    """That work side by side; 1 on CUDA."""
    speed: float
    """Of one of them."""

    def operations(self, lengths: Integers) -> float:
        """Of whole layers over texts of these lengths."""
        return float(self.linear * lengths.sum() + 4 * self.width * self.layers * (lengths**2).sum())

    def padded(self, batches: list[Integers]) -> float:
        """The same in rectangles."""
        sizes = [np.full(len(rows), self.lengths[rows].max()) for rows in batches]
        return self.operations(np.concatenate(sizes))

    @property
    def short(self) -> float:
        """Of packs as they are: the last layer has all keys and values, and else the first tokens alone."""
        per_layer = self.linear // self.layers
        spared = (per_layer - self.last_kv) * (self.lengths - 1).sum()
        attention = 4 * self.width * (self.lengths**2 - self.lengths).sum()
        return self.operations(self.lengths) - float(spared + attention)

    @property
    def attention_share(self) -> float:
        """Of the operations."""
        return 1 - self.linear * float(self.lengths.sum()) / self.operations(self.lengths)

    @property
    def seconds(self) -> float:
        """That products take, on one core."""
        return self.short / self.speed

    @property
    def packs(self) -> list[Integers]:
        return plan_packs(self.lengths, self.budget)

    @property
    def runs(self) -> int:
        """Of texts of one length that the looped attention takes together, in all packs."""
        found = 0
        for rows in self.packs:
            for length, texts in zip(*np.unique(self.lengths[rows], return_counts=True), strict=True):
                found += -(-int(texts) // max(1, attention_module.SCORES // (self.heads * int(length) ** 2)))
        return found

    @property
    def calls_share(self) -> float:
        """Operators' own time by that of the products."""
        return len(self.packs) * self.layers * CALLS * CALL / self.seconds


# --- The bench -------------------------------------------------------------------------------------------------------


class Bench:
    """The rows, the model in its roads, and a way to run each."""

    def __init__(self, model: str, texts: list[str], arguments: argparse.Namespace, pool: Workers | None) -> None:
        self._load = functools.partial(
            Scorer.load, model, device=arguments.device, max_length=arguments.max_length, long_text="head"
        )
        self.scorer = self._load(dtype=arguments.dtype, compile=False)
        engine: Any = self.scorer.engine
        if not isinstance(engine.road, PackedRoad):
            raise SystemExit(f"nothing to switch off: this model is scored in {self.scorer.about.road}")
        self.road: PackedRoad = engine.road
        self.stock = PaddedRoad(model=engine.loaded, device=self.road.device)
        self.dtype: str = self.scorer.dtype.value
        self.texts = texts
        self.repeats: float = arguments.repeats
        self.pool = pool
        self.budget: int = arguments.batch_tokens or self.scorer.about.batch_tokens
        self.tokens = engine.tokeniser(texts)
        self.tokeniser_cores = common.machine("cpu")["cores"]
        lengths = self.tokens.lengths
        packed, cores = self.road.model, pool.count if pool else 1
        self.on_cpu = self.road.device == "cpu"
        self.numbers = Numbers(
            layers=len(packed.layers),
            width=packed.words.shape[1],
            heads=packed.heads,
            linear=packed.flops_per_token,
            last_kv=2 * packed.last_kv.weight.numel(),
            lengths=lengths,
            budget=self.budget,
            dtype=self.dtype,
            cores=cores,
            speed=(CORE_SPEED if self.on_cpu else CUDA_SPEED)[self.dtype],
        )

    def run(
        self,
        road: Road | Packed | None = None,
        *,
        budget: int | None = None,
        pool: Workers | str | None = "as scored",
        inside: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> Callable[[], Floats]:
        """The forward pass over all rows: by the road as it is, another, or another model on it."""
        if road is None or isinstance(road, Packed):
            road = replace(self.road, model=road or self.road.model)
        crew: Any = self.pool if pool == "as scored" else pool

        def scores() -> Floats:
            with inside():
                return softmax(forward(road, self.tokens, Budget(budget or self.budget), crew))

        return scores

    def end_to_end(
        self, texts: list[str], window: int, inside: Callable[[], AbstractContextManager[object]]
    ) -> Callable[[], Floats]:
        """From record batches to probabilities, so many rows at a time."""
        rows = pa.record_batch({"text": pa.array(texts, pa.large_string())})

        def scores() -> Floats:
            with swapped((windows_module, "WINDOW_ROWS", window)), inside():
                return np.concatenate([found for _, found in self.scorer.probabilities([rows], ["text"])])

        return scores

    def float32(self) -> Callable[[], Floats]:
        """The same rows in float32, by the road that scoring takes then."""

        @functools.cache  # loaded when it is first needed
        def run() -> Callable[[], Floats]:
            engine: Any = self._load(dtype="float32", compile=False).engine
            return self.run(engine.road)

        return lambda: run()()


def techniques(bench: Bench) -> Iterator[Technique]:
    """All that can be switched off on this device; each is made when its turn comes, and may then be forgotten."""
    yield from _layout(bench)
    yield from _products(bench)
    yield from _loops(bench) if bench.on_cpu else _cuda(bench)
    yield from _sizes(bench)
    if bench.dtype != "float32":
        yield _half(bench)
    yield from _rows(bench)


def _layout(bench: Bench) -> Iterator[Technique]:
    numbers, lengths = bench.numbers, bench.numbers.lengths
    jumbled = AsTheyCome(model=bench.stock.model, device=bench.stock.device)
    mixed = numbers.padded(jumbled.plan(lengths, numbers.budget))
    ordered = numbers.padded(plan(lengths, numbers.budget))
    yield Technique(
        name="batches by length",
        instead="as rows come; both padded, stock model",
        predicted=mixed / ordered,
        why="operations on padded texts, by those on sorted ones",
        with_it=bench.run(bench.stock),
        without=bench.run(jumbled),
    )
    bare = plainly_multiplied(bench.road.model, WholeLast)
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
        without=bench.run(as_kind(WholeLast, bench.road.model)),
    )
    yield Technique(
        name="all that makes the forward pass",
        instead="as rows come, padded, stock model",
        predicted=mixed / numbers.short,
        why="operations alone",
        with_it=bench.run(),
        without=bench.run(jumbled),
    )


def _products(bench: Bench) -> Iterator[Technique]:
    numbers = bench.numbers
    extra = len(numbers.packs) * (2 * numbers.layers - 1) * CALL
    yield Technique(
        name="queries, keys, values in one product",
        instead="three products",
        predicted=1 + extra / numbers.seconds,
        why="the same operations; two calls a layer go",
        with_it=bench.run(),
        without=bench.run(separate(bench.road.model), inside=lambda: swapped((packed_module, "Looped", FromApart))),
    )
    if bench.road.model.last_kv.laid_out is None:
        return
    linear_share = 1 - numbers.attention_share
    yield Technique(
        name="laid-out weights, GELU inside the product",
        instead="plain F.linear, GELU after it",
        predicted=1 / (1 - linear_share + linear_share * PLAIN_TIME[numbers.dtype]),
        why="what a product alone gained, on its share",
        with_it=bench.run(),
        without=bench.run(plainly_multiplied(bench.road.model)),
    )


def _loops(bench: Bench) -> Iterator[Technique]:
    """The looped attention and the worker threads."""
    numbers = bench.numbers
    scores = numbers.heads * (numbers.layers - 1) * float((numbers.lengths**2).sum())

    def attention(kind: type[Looped]) -> Callable[[], AbstractContextManager[object]]:
        return lambda: swapped((packed_module, "Looped", kind))

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
    large = numbers.lengths[numbers.heads * numbers.lengths**2 > attention_module.SCORES]
    share = 4 * numbers.width * numbers.layers * float((large**2).sum()) / numbers.operations(numbers.lengths)
    yield Technique(
        name="scores bounded to the cache",
        instead="all scores of a run at once",
        predicted=1 + share / 2,
        why="attention over longer texts, half as slow again",
        with_it=bench.run(),
        without=bench.run(inside=lambda: swapped((attention_module, "SCORES", 2**40))),
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
    waits = len(numbers.packs) * CALLS * numbers.layers + numbers.runs * numbers.layers * MIX_CALLS
    cores = numbers.cores
    yield Technique(
        name="one core for each batch",
        instead="all cores on one batch",
        predicted=1 + waits * (CALL + WAIT) * (cores - 1) / numbers.seconds if cores > 1 else 1.0,
        why=f"{cores} cores need not wait for each other after each call",
        with_it=bench.run(),
        without=bench.run(pool=None, budget=numbers.budget),  # the same batches
    )


def _cuda(bench: Bench) -> Iterator[Technique]:
    numbers = bench.numbers
    tokens = float(numbers.lengths.sum())
    spared = 2 * 2 * 2 * numbers.width * numbers.layers * tokens / CUDA_BYTES
    yield Technique(
        name="compiled layers, packs of one size",
        instead="one kernel after the other",
        predicted=1 + spared / numbers.seconds,
        why="each sum with the residual stays out of memory",
        with_it=bench.run(bench.road.compiled(bench.budget)),
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
                (attention_module, "on_device", without_pinning), (roads_module, "on_device", without_pinning)
            )
        ),
    )


def _sizes(bench: Bench) -> Iterator[Technique]:
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


def _half(bench: Bench) -> Technique:
    if bench.on_cpu:
        tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
        factor = 8 if tiles else 2
        predicted, why = 1 / (0.2 + 0.8 / factor), f"products, 80 % of the time, {factor} times as fast"
    else:
        predicted = CUDA_SPEED[bench.dtype] / CUDA_SPEED["float32"]
        why = "products by the device's figures; float32 is padded"
    return Technique(
        name=bench.dtype,
        instead="float32, as it would be scored",
        predicted=predicted,
        why=why,
        with_it=bench.run(),
        without=bench.float32(),
    )


def _rows(bench: Bench) -> Iterator[Technique]:
    """What goes on around the forward pass, from texts to probabilities."""
    rows = len(bench.texts)
    different = max(1, round(rows * (1 - bench.repeats)))
    texts = [bench.texts[place] for place in np.random.default_rng(common.SEED).permutation(rows) % different]
    # Where the rows are few, several windows of them all the same, as in a long table.
    everything = functools.partial(bench.end_to_end, texts, rows)
    yield Technique(
        name="different texts once",
        instead=f"all rows, {1 - different / rows:.0%} of them repeats",
        predicted=rows / different,
        why="rows by different texts; from texts to scores",
        with_it=everything(contextlib.nullcontext),
        without=everything(lambda: swapped((engine_module, "_prepare", every_row))),
    )
    tokenising = float(bench.numbers.lengths.sum()) / (TOKENISER * bench.tokeniser_cores)
    model = bench.numbers.seconds / bench.numbers.cores
    apart = (tokenising + model) / max(tokenising, model)
    windows = functools.partial(bench.end_to_end, bench.texts, max(1, rows // 8))
    yield Technique(
        name="tokenising ahead of the model",
        instead="one after the other",
        predicted=1.0 if bench.on_cpu else apart,
        why="the same cores do both" if bench.on_cpu else "both, by the longer one, in 8 windows",
        with_it=windows(contextlib.nullcontext),
        without=windows(lambda: swapped((engine_module, "Stages", InLine))),
    )


def main(argv: list[str] | None = None) -> None:
    """Measure each technique and print one table; write one JSON where asked.

    Raises:
        SystemExit: a variant fails, or gives other probabilities.
    """
    arguments = _arguments(argv)
    with common.quietly():
        model = models.chosen(arguments)
        chosen = common.choose_texts(arguments.table, arguments.text_column, arguments.rows)
        from sentiment_batch.device import choose_device

        device = choose_device(arguments.device).value
        with workers(device, single=False) as pool:
            bench = Bench(model, chosen.texts, arguments, pool)
            tolerance = arguments.tolerance or TOLERANCE[bench.dtype]
            _print_head(bench, arguments.runs)
            results = []
            for technique in techniques(bench):
                results.append(_measured(technique, arguments.runs))
                _print(results[-1], tolerance)
                del technique
                gc.collect()  # its weights
    common.save(
        arguments.json,
        device,
        arguments,
        {
            "data": chosen.record() | {"tokens": int(bench.numbers.lengths.sum())},
            "model": {"folder": Path(model).name, "dtype": bench.dtype, "batch_tokens": bench.budget},
            "numbers": _plain(bench.numbers),
            "tolerance": tolerance,
            "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
            "results": results,
        },
    )
    wrong = [one for one in results if "failed" in one or not one["largest_difference"] <= tolerance]
    if wrong:
        said = (one.get("failed", f"another by {one.get('largest_difference', 0):.1e}") for one in wrong)
        named = (f"{one['technique']} ({why})" for one, why in zip(wrong, said, strict=True))
        sys.exit(f"not the same probabilities within {tolerance:g}: {'; '.join(named)}")


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    models.add_options(parser)
    parser.add_argument("--table", default=models.SAMPLE, help="the texts (default: %(default)s)")
    parser.add_argument("--text-column", help="default: found by name")
    parser.add_argument("--rows", type=int, default=256, help="how many of them, shuffled (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="counted rounds of each, after a warm-up")
    parser.add_argument("--repeats", type=float, default=0.2, help="share of rows, for that technique alone")
    parser.add_argument("--tolerance", type=float, help="of a probability; default: 1e-4, 0.05 in bfloat16")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto", help="default: what scoring would take")
    parser.add_argument("--max-length", type=int, help="tokens per text; default: the model's")
    parser.add_argument("--batch-tokens", type=int, help="default: what scoring would take")
    parser.add_argument("--quick", action="store_true", help="24 rows, one round: only to see that it works")
    parser.add_argument("--json", help="write the figures here")
    arguments = parser.parse_args(argv)
    if not 0 <= arguments.repeats < 1:
        parser.error("--repeats must be at least 0 and less than 1")
    if arguments.quick:
        arguments.rows, arguments.runs = min(arguments.rows, 24), 1
    return arguments


def _measured(technique: Technique, runs: int) -> dict[str, Any]:
    """Both ways once to warm up and to compare what they give, then in turn; or why one of them failed."""
    tell(f"{technique.name}: predicted {technique.predicted:.2f}")
    found: dict[str, Any] = {
        "technique": technique.name,
        "instead_of": technique.instead,
        "predicted": technique.predicted,
        "because": technique.why,
    }
    try:
        difference = float(np.abs(technique.with_it() - technique.without()).max())
        seconds = common.in_turn({"with": technique.with_it, "without": technique.without}, runs)
    except Exception as error:  # a kernel that is not there, or too little memory, costs the others nothing
        return found | {"failed": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"}
    gains = [off / on for on, off in zip(seconds["with"], seconds["without"], strict=True)]
    return found | {
        "gain": common.spread(gains),
        "seconds": {name: common.spread(values) for name, values in seconds.items()},
        "largest_difference": difference,
    }


def _plain(numbers: Numbers) -> dict[str, Any]:
    """The numbers of the predictions as JSON takes them; the lengths in short."""
    kept = dataclasses.asdict(numbers) | {"lengths": common.spread(numbers.lengths.tolist())}
    return kept | {"packs": len(numbers.packs), "runs": numbers.runs, "attention_share": numbers.attention_share}


WIDTHS = (41, 42, 9)


def _print_head(bench: Bench, runs: int) -> None:
    numbers = bench.numbers
    print(
        f"{len(numbers.lengths):,} texts of {numbers.lengths.mean():,.0f} tokens, {bench.dtype} on "
        f"{bench.road.device}; {numbers.layers} layers, {numbers.width} wide; attention is "
        f"{numbers.attention_share:.0%} of the operations"
    )
    print(f"gain: time without by time with it, median (least - greatest) of {runs} rounds")
    first, second, third = WIDTHS
    print(
        f"{'technique':{first}} {'instead of':{second}} {'predicted':>{third}}  measured              difference  why"
    )


def _print(one: dict[str, Any], tolerance: float) -> None:
    first, second, third = WIDTHS
    start = f"{one['technique']:{first}} {one['instead_of']:{second}} {one['predicted']:{third}.2f}"
    if "failed" in one:
        print(f"{start}  failed: {one['failed']}", flush=True)
        return
    gain = one["gain"]
    measured = f"{gain['median']:5.2f} ({gain['least']:5.2f} - {gain['greatest']:5.2f})"
    mark = " " if one["largest_difference"] <= tolerance else "!"
    print(f"{start}  {measured} {one['largest_difference']:10.1e}{mark}  {one['because']}", flush=True)


if __name__ == "__main__":
    main()
