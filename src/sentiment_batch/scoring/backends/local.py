"""Scores blocks of rows with one model on one device; each stage runs in a thread, ahead of the next stage."""

from __future__ import annotations

import importlib.metadata
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.columns import is_blank
from sentiment_batch.errors import DeviceError, ModelError, UsageError
from sentiment_batch.memory import advise
from sentiment_batch.model.device import choose_batch_tokens, choose_device, describe_hardware
from sentiment_batch.model.forward.batches import Budget, LaunchedBatches, ThreadPool, open_thread_pool
from sentiment_batch.model.forward.int8_labels import Int8LabelError, Int8Strategy, launch_with_exact_labels
from sentiment_batch.model.forward.int8_setup import refute_int8
from sentiment_batch.model.forward.packed import PackedStrategy
from sentiment_batch.model.openmp import wait_briefly
from sentiment_batch.model.probabilities import average_segments, softmax
from sentiment_batch.scoring.backends.base import MUST_COMPILE, Description, OnRows
from sentiment_batch.scoring.backends.model_start import start_model
from sentiment_batch.scoring.backends.prefetch import Stages
from sentiment_batch.scoring.backends.row_blocks import Counts, Failure, ScoredBlock, reuse_known_scores
from sentiment_batch.tokenization.text_fingerprint import TextComparer, find_fingerprint

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment_batch.model.forward.strategies import ForwardStrategy
    from sentiment_batch.model.stock import LoadedModel, ModelFacts
    from sentiment_batch.scoring.backends.row_blocks import RowBlock
    from sentiment_batch.settings import ScoreSettings
    from sentiment_batch.tokenization.packing import Tokens
    from sentiment_batch.tokenization.tokenizer import TextTokenizer

logger = logging.getLogger("sentiment_batch")

MIN_OPERATIONS_TO_COMPILE = 5e16
"""Floating-point operations of a job that gains by compiling: minutes of work for the fastest device."""


@dataclass(kw_only=True, slots=True)
class _Tokenized:
    """A block and the tokens of its distinct texts."""

    block: RowBlock
    rows: npt.NDArray[np.int64]
    """(rows,) the number of each row's text among the distinct texts, -1 for a row without a text."""
    tokens: Tokens
    sample: Counter[str]
    """What `TextComparer.count` counted in some of the texts."""
    unknown: Mapping[int, int] = field(default_factory=dict)
    """By the number of a text, the first of its tokens that the model has no embedding for."""


class LocalBackend:
    """A model in this process, on one device.

    Args:
        model: a folder or Hub id.
        settings: how to load it.

    Raises:
        ModelError: the model cannot be used.
        DeviceError: the device is not there, or its memory does not hold the model.
        UsageError: a setting is out of range for this model.
    """

    def __init__(self, model: str, settings: ScoreSettings) -> None:
        device = choose_device(settings.device)
        if settings.compile and device.value == "cpu":
            raise UsageError("`compile=True` is for CUDA; on a CPU it gains nothing. Leave it out.")
        self._model = model
        self._settings = settings
        with wait_briefly(device.value):  # the checks at the first use of a model compute on all cores at a time
            started = self._started = start_model(model, device.value, settings)
        facts, shape = started.facts, started.texts.shape
        self.strategy: ForwardStrategy = started.strategy
        # A model of another program has no fingerprint of its training texts, so nothing is compared
        fingerprint = find_fingerprint(facts.meta)
        self._comparer = TextComparer(fingerprint, self.tokenizer) if fingerprint else None
        tokens = shape.tokens if shape else settings.batch_tokens or choose_batch_tokens(device.value, facts.width)
        self._budget = Budget(tokens)
        self._gave_numbers = False
        self._cannot_compile = False
        # Packs are computed by our own code. So another version of Transformers does not change their scores.
        is_packed = isinstance(self.strategy, PackedStrategy | Int8Strategy)
        self.description = Description(
            labels=facts.labels,
            meta=facts.meta,
            device=device,
            dtype=started.dtype,
            policy=started.texts.policy,
            batching=started.batching,
            batch_tokens=tokens,
            digest=started.digest,
            hardware=describe_hardware(device.value),
            int8=started.int8,
            transformers=None if is_packed else importlib.metadata.version("transformers"),
        )

    @property
    def facts(self) -> ModelFacts:
        """What the model's folder says about it."""
        return self._started.facts

    @property
    def tokenizer(self) -> TextTokenizer:
        """Turns texts into this model's tokens."""
        return self._started.texts.tokenizer

    @property
    def loaded(self) -> LoadedModel:
        """The model as Transformers loaded it; after a fast start, it is loaded at the first call.

        Raises:
            ModelError: the model was changed since it began to score.
        """
        if self._started.loaded is None:
            started = start_model(self._model, self.description.device.value, self._settings, in_full=True)
            # Scores of two states of a folder must not be mixed under the digest of the first one
            if started.digest != self._started.digest:
                raise ModelError(f"{self._model} was changed while it was in use. Load it again.")
            self._started, self.strategy = started, started.strategy  # the weights are then held once again
        assert self._started.loaded is not None
        return self._started.loaded

    def score_blocks(
        self, blocks: Iterable[RowBlock], on_rows: OnRows | None = None, expected_rows: int | None = None
    ) -> Iterator[ScoredBlock]:
        """Score a stream of blocks, as `Backend.score_blocks` describes it.

        Rows are reported to `on_rows` by the share of their tokens that is done, so that an estimate of the time left
        holds for short and for long texts.

        Raises:
            ModelError: the model gives no numbers.
        """
        # One block is read, one is tokenized and one is computed at the same time. So a GPU does not wait for the CPU.
        # Each stage passes known blocks through, because the blocks must come out in their order.
        with Stages() as stages, open_thread_pool(self.strategy.device, single=self.strategy.shape is not None) as pool:
            read = stages.run_ahead(blocks, "read")
            tokenized = stages.run_ahead((self._tokenize(block, stages.check) for block in read), "tokenize")
            planned = self._compile_before_first(tokenized, expected_rows)
            launched = stages.run_ahead((self._launch(one, pool, stages, on_rows) for one in planned), "model")
            for one, batches in launched:
                yield reuse_known_scores(one.block) if batches is None else self._finish(one, batches)

    def close(self) -> None:
        """Do nothing: all memory is freed with this object."""

    def _tokenize(self, block: RowBlock, check: Callable[[], object]) -> _Tokenized:
        """Tokenize each distinct text of a block once, and compare some of the texts with those of the training."""
        if block.known is not None:
            nothing = self.tokenizer([], check)
            return _Tokenized(block=block, rows=np.empty(0, np.int64), tokens=nothing, sample=Counter())
        # A dictionary finds equal texts, so that each is scored only once in its block
        encoded = pa.chunked_array(block.texts, type=pa.large_string()).combine_chunks().dictionary_encode()
        texts: list[str] = encoded.dictionary.to_pylist()
        blank = np.array([is_blank(text) for text in texts], dtype=np.bool_)
        numbers = np.where(blank, -1, np.cumsum(~blank) - 1)  # of the distinct texts, counting only those to score
        # A null row points behind the last text, where -1 is appended below
        indices = pc.fill_null(encoded.indices, len(texts)).to_numpy(zero_copy_only=False)
        distinct = [text for text, empty in zip(texts, blank, strict=True) if not empty]
        tokens = self.tokenizer(distinct, check)
        rows = np.append(numbers, -1)[indices]
        sample = self._comparer.count(distinct, tokens, rows[rows >= 0]) if self._comparer else Counter()
        return _Tokenized(block=block, rows=rows, tokens=tokens, sample=sample)

    def _compile_before_first(self, stream: Iterator[_Tokenized], expected_rows: int | None) -> Iterator[_Tokenized]:
        """Compile the model before the first block to score if that gains time, judged by the tokens of that block."""
        looked = False
        for tokenized in stream:
            if not looked and tokenized.block.known is None:
                looked = True
                tokens, rows = len(tokenized.tokens.ids), len(tokenized.rows)
                # Assume that the other blocks have as many tokens to a row as this one
                self._compile((expected_rows or 0) * tokens // max(1, rows), must=expected_rows == MUST_COMPILE)
            yield tokenized

    def _compile(self, expected_tokens: int, *, must: bool) -> None:
        """Use fixed shapes and fused kernels from here on if that gains time, or if they `must` be used.

        A deterministic run is never compiled, because its bits must not depend on the size of the job.

        Raises:
            DeviceError: torch cannot compile, although it must or the settings demand it.
        """
        strategy, wanted = self.strategy, self._settings.compile
        if not isinstance(strategy, PackedStrategy) or strategy.device == "cpu" or wanted is False:
            return
        # Deterministic runs have a fixed shape, and a compiled model stays compiled
        if strategy.shape or strategy.compiled_tokens:
            return
        gains = expected_tokens * strategy.model.flops_per_token >= MIN_OPERATIONS_TO_COMPILE
        if not (wanted or must or (gains and not self._cannot_compile)):
            return
        # Logged here and not by the caller, who would see nothing of it before the minute is over.
        logger.info("compiling the model for batches of %s tokens; this takes up to a minute", self._budget.tokens)
        try:
            self.strategy = strategy.compile(self._budget.tokens)
        except DeviceError as error:
            if wanted:
                cure = "Install a C compiler and Triton, or leave it out."
                raise DeviceError(f"`compile` is True, but {error}. {cure}") from error
            if must:
                before = "an earlier run scored rows with a compiled model"
                raise DeviceError(f"{before}, but {error}. Repair this, or start over with `restart=True`.") from error
            self._cannot_compile = True  # it is not tried again for each stream
            logger.warning("the model is not compiled, which makes long jobs slower: %s", error)

    def _launch(
        self, tokenized: _Tokenized, pool: ThreadPool | None, stages: Stages, on_rows: OnRows | None
    ) -> tuple[_Tokenized, LaunchedBatches | None]:
        """Start the model on a block; None for a block whose scores are known."""
        if tokenized.block.known is not None:
            return tokenized, None
        # A token without an embedding is replaced, so that it fails its own row and not the whole batch
        tokenized.tokens, tokenized.unknown = tokenized.tokens.replace_unknown(self.facts.vocabulary)
        on_tokens = _count_rows_by_tokens(tokenized, on_rows, stages.check)
        try:
            return tokenized, launch_with_exact_labels(self.strategy, tokenized.tokens, self._budget, pool, on_tokens)
        except Int8LabelError:
            # Later runs with this model begin in float32 at once
            refute_int8(self.tokenizer, self.description.digest)
            raise

    def _finish(self, tokenized: _Tokenized, batches: LaunchedBatches) -> ScoredBlock:
        """Wait for the model, and give each row the probabilities of its text."""
        rows, tokens = tokenized.rows, tokenized.tokens
        # A long text has several segments, whose logits are averaged
        distinct = softmax(average_segments(batches.logits(), tokens.owners, tokens.lengths))
        numbers = np.isfinite(distinct.sum(axis=1))
        self._gave_numbers = self._gave_numbers or bool(numbers.any())
        # A text that alone gives no numbers is a bad row. If no text ever gave numbers, the model is to blame.
        if not numbers.all() and not self._gave_numbers and not batches.refused:
            raise ModelError(
                f"{self._model} gives scores that are no numbers: its weights are damaged, or too large for "
                f'{self.description.dtype.value}. Try `dtype="float32"`, or another model.'
            )
        # The replaced tokens gave numbers, but not those of these texts
        numbers[list(tokenized.unknown)] = False
        distinct[~numbers] = np.nan
        # One more row of NaN, which the rows without a text (-1) pick.
        padded = np.concatenate([distinct, np.full((1, distinct.shape[1]), np.nan, dtype=np.float32)])
        null = int((rows < 0).sum())
        # A sum of many float32 values would lose digits
        best = padded.max(axis=1)[rows].astype(np.float64)
        is_compiled = isinstance(self.strategy, PackedStrategy) and bool(self.strategy.compiled_tokens)
        counts = Counts(
            rows=len(rows),
            tokens=len(tokens.ids),
            null=null,
            # `tokens.cut` has an entry for each distinct text
            repeated=len(rows) - null - len(tokens.cut),
            cut=int(tokens.cut.sum()),
            compiled=len(rows) if is_compiled else 0,
            model_seconds=batches.seconds(),
            scored_twice=batches.scored_twice,
            scored=int(np.isfinite(best).sum()),
            confidence=float(np.nansum(best)),
            sample=tokenized.sample,
        )
        failures = () if numbers.all() else tuple(self._find_failures(tokenized, batches, numbers))
        return ScoredBlock(block=tokenized.block, probabilities=padded[rows], counts=counts, failures=failures)

    def _find_failures(
        self, tokenized: _Tokenized, batches: LaunchedBatches, numbers: npt.NDArray[np.bool_]
    ) -> Iterator[Failure]:
        """The rows whose text has no numbers, each with its reason."""
        refused = {int(tokenized.tokens.owners[segment]): reason for segment, reason in batches.refused.items()}
        for row, text in enumerate(tokenized.rows.tolist()):
            if text < 0 or numbers[text]:
                continue
            if text in tokenized.unknown:
                reason = (
                    f"the model's tokenizer gives the token {tokenized.unknown[text]}, but the model knows only "
                    f"{self.facts.vocabulary}: the two do not belong together"
                )
                yield Failure(row=row, reason=reason, cure="Fetch the model again", kind=ModelError)
            elif text in refused:
                cure = advise("a smaller `max_length`", self.description.device.value).rstrip(".")
                yield Failure(row=row, reason=refused[text], cure=cure, kind=DeviceError)
            else:
                reason = f"the model gives no numbers for its text in {self.description.dtype.value}"
                yield Failure(row=row, reason=reason, cure='Try `dtype="float32"`', kind=ModelError)


def _count_rows_by_tokens(
    tokenized: _Tokenized, on_rows: OnRows | None, check: Callable[[], object]
) -> Callable[[int], object]:
    """A callback for the tokens that are done; it reports rows, and stops the model if the run is over."""
    tokens, rows = len(tokenized.tokens.ids), len(tokenized.rows)
    # Without tokens `on_tokens` is never called, so all rows are reported here
    if on_rows is not None and not tokens:
        on_rows(rows)
    done = 0

    def on_tokens(more: int) -> None:
        nonlocal done
        check()
        # The difference of two rounded-down shares, so that the reports add up to exactly `rows`
        before, done = done, done + more
        if on_rows is not None:
            on_rows(rows * done // tokens - rows * before // tokens)

    return on_tokens
