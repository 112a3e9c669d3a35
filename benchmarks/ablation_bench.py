"""The rows and the model of an ablation, and functions that run them in one way or another."""

from __future__ import annotations

import argparse
import contextlib
import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

import sentiment_batch.scoring.backends.row_blocks as blocks_module
from benchmarks import common
from benchmarks.predictions import CORE_SPEED, CUDA_SPEED, Numbers
from benchmarks.variants import swapped
from sentiment_batch.model.forward.batches import Budget, compute_segment_logits
from sentiment_batch.model.forward.packed import PackedModel, PackedStrategy
from sentiment_batch.model.forward.strategies import ForwardStrategy, PaddedStrategy
from sentiment_batch.model.probabilities import softmax
from sentiment_batch.scoring.scorer import Scorer

if TYPE_CHECKING:
    from sentiment_batch.model.forward.batches import ThreadPool

Floats = np.ndarray[Any, np.dtype[np.float32]]


class AblationBench:
    """The rows, the model by its strategies, and a way to run each."""

    def __init__(self, model: str, texts: list[str], arguments: argparse.Namespace, pool: ThreadPool | None) -> None:
        self._load = functools.partial(
            Scorer.load, model, device=arguments.device, max_length=arguments.max_length, long_text="head"
        )
        self.scorer = self._load(dtype=arguments.dtype, compile=False)
        engine: Any = self.scorer.backend
        if not isinstance(engine.strategy, PackedStrategy):
            raise SystemExit(f"nothing to switch off: this model is scored in {self.scorer.description.batching}")
        self.strategy: PackedStrategy = engine.strategy
        self.stock = PaddedStrategy(model=engine.loaded, device=self.strategy.device, classes=len(engine.loaded.labels))
        self.dtype: str = self.scorer.dtype.value
        self.texts = texts
        self.repeats: float = arguments.repeats
        self.pool = pool
        self.budget: int = arguments.batch_tokens or self.scorer.description.batch_tokens
        self.tokens = engine.tokenizer(texts)
        self.tokenizer_cores = common.machine("cpu")["cores"]
        lengths = self.tokens.lengths
        packed, cores = self.strategy.model, pool.count if pool else 1
        self.on_cpu = self.strategy.device == "cpu"
        self.numbers = Numbers(
            layers=len(packed.encoder.layers),
            width=packed.encoder.word_embeddings.shape[1],
            heads=packed.heads,
            linear=packed.flops_per_token,
            last_kv=2 * packed.encoder.last_key_value.weight.numel(),
            lengths=lengths,
            budget=self.budget,
            dtype=self.dtype,
            cores=cores,
            speed=(CORE_SPEED if self.on_cpu else CUDA_SPEED)[self.dtype],
        )

    def run(
        self,
        strategy: ForwardStrategy | PackedModel | None = None,
        *,
        budget: int | None = None,
        pool: ThreadPool | str | None = "as scored",
        inside: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> Callable[[], Floats]:
        """The forward pass over all rows, by the strategy as it is, by another strategy, or with another model."""
        if strategy is None or isinstance(strategy, PackedModel):
            strategy = replace(self.strategy, model=strategy or self.strategy.model)
        crew: Any = self.pool if pool == "as scored" else pool

        def scores() -> Floats:
            with inside():
                return softmax(compute_segment_logits(strategy, self.tokens, Budget(budget or self.budget), crew))

        return scores

    def end_to_end(
        self, texts: list[str], block_rows: int, inside: Callable[[], AbstractContextManager[object]]
    ) -> Callable[[], Floats]:
        """From record batches to probabilities, with blocks of a given number of rows."""
        rows = pa.record_batch({"text": pa.array(texts, pa.large_string())})

        def scores() -> Floats:
            with swapped((blocks_module, "MAX_ROWS_PER_BLOCK", block_rows)), inside():
                return np.concatenate([found for _, found in self.scorer.probabilities([rows], ["text"])])

        return scores

    def float32(self) -> Callable[[], Floats]:
        """The same rows in float32, by the strategy that scoring takes then."""

        @functools.cache  # loaded when it is first needed
        def run() -> Callable[[], Floats]:
            engine: Any = self._load(dtype="float32", compile=False).backend
            return self.run(engine.strategy)

        return lambda: run()()
