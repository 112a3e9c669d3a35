"""Chooses the dtype and the forward strategy of scoring, by parity checks of the model on the package's own texts.

- The packed strategy is used if it gives the probabilities of the Transformers code.
- Padding is used if it changes no probabilities; else only texts of equal length share a batch.
- bfloat16 is used if the device has it and no check text changes its label.

Each answer is computed once for a model, then read from the cache. No answer depends on a clock.
"""

from __future__ import annotations

import copy
import dataclasses
import logging
import math
import re
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch

from sentiment_batch.errors import ModelError, SentimentBatchError, UsageError, first_line
from sentiment_batch.files.cache import cache_folder, read_record, try_write_record
from sentiment_batch.model.device import describe_hardware, prefer_bfloat16
from sentiment_batch.model.forward.batches import Budget, compute_segment_logits
from sentiment_batch.model.forward.packed import PackedStrategy, build_packed
from sentiment_batch.model.forward.strategies import ForwardStrategy, PaddedStrategy
from sentiment_batch.model.memory import unify_memory_errors
from sentiment_batch.model.probabilities import average_segments, softmax
from sentiment_batch.records import Choice
from sentiment_batch.tokenization.parity_texts import read_parity_texts

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.model.stock import LoadedModel
    from sentiment_batch.tokenization.packing import BatchShape
    from sentiment_batch.tokenization.tokenizer import TextTokenizer

logger = logging.getLogger("sentiment_batch")

PARITY_BATCH_TOKENS = 4_096
"""Tokens per batch of a check, the same on every device."""
MAX_DIFFERENCE = 1e-4
"""The largest difference of two probabilities in float32 that counts as equal. Differences of 1e-6 are usual."""
CACHE_FOLDER = "parity-checks-4"
"""Its number rises when the cached answers or their keys change."""


def texts_of_doubling_length() -> list[str]:
    """Pieces of the package's own texts of 1, 2, 4 and so on up to 1,024 characters, whose lengths differ most."""
    whole = " ".join(read_parity_texts())
    return [whole[step : step + 2**step] for step in range(11)]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PreparedModel:
    """A model on its device and in its dtype, with the strategy of its forward pass."""

    loaded: LoadedModel
    dtype: Choice
    strategy: ForwardStrategy
    batching: str
    """How the strategy lays out batches, and why, in words."""


def prepare_model(
    loaded: LoadedModel, tokenizer: TextTokenizer, digest: str, device: str, name: str, shape: BatchShape | None = None
) -> PreparedModel:
    """Move a model to its device, and choose its dtype and the fastest strategy that gives its scores.

    Args:
        loaded: the model in float32 on the CPU; it must not be used afterwards.
        tokenizer: the model's, for the check texts.
        digest: of the model's folder; answers are cached under it.
        device: where to score.
        name: the dtype: `auto`, `float32`, `bfloat16` or `float16`.
        shape: of every batch of a deterministic run.

    Raises:
        ModelError: the model fails on the check texts, or on one of them on the device.
        UsageError: float16 on a CPU.
    """
    if name == "float16" and device == "cpu":
        raise UsageError(
            "`dtype` is float16, which is many times slower than float32 on a CPU. Set it to auto, bfloat16 or float32."
        )
    checks = _ParityChecks(tokenizer, digest)
    # The layout of batches is checked first, on the CPU in float32, where rounding makes differences of 1e-6 only.
    can_pack = checks.packs_keep_scores(loaded)
    if not can_pack:  # packs that keep the scores of padded batches have shown that padding changes nothing
        loaded = dataclasses.replace(loaded, padding_changes_scores=checks.padding_changes_scores(loaded))
    # The dtype is checked on the device, because each kind of hardware rounds in its own way.
    dtype = Choice(value=name, reason="as asked")
    loaded = loaded.to(device, "float32")
    if name == "auto":
        dtype = checks.choose_dtype(loaded, device, can_pack)
    loaded = loaded.to(device, dtype.value)
    strategy, batching = _choose_strategy(loaded, device, dtype.value, can_pack, shape)
    if not can_pack or device != "cpu":  # a kernel of CUDA may be missing in this build or for this device
        checks.check_it_computes(loaded, strategy)
    return PreparedModel(loaded=loaded, dtype=dtype, strategy=strategy, batching=batching)


def _choose_strategy(
    loaded: LoadedModel, device: str, dtype: str, can_pack: bool | None, shape: BatchShape | None = None
) -> tuple[ForwardStrategy, str]:
    """The fastest strategy, and how it lays out batches; `can_pack` is what `packs_keep_scores` returned."""
    model, batching = None, "padded batches, because packs give other scores"
    if can_pack is not False:
        model, batching = build_packed(loaded.network, device, dtype)
    classes = len(loaded.labels)
    if model is not None:
        return PackedStrategy(model=model, device=device, classes=classes, shape=shape), batching
    if loaded.padding_changes_scores:
        batching += "; only texts of equal length share a batch, because padding changes its scores"
    equal_lengths = loaded.padding_changes_scores
    return PaddedStrategy(
        model=loaded, device=device, classes=classes, shape=shape, equal_lengths=equal_lengths
    ), batching


class _ParityChecks:
    """Questions about a model that its probabilities of the check texts answer."""

    def __init__(self, tokenizer: TextTokenizer, digest: str) -> None:
        self._tokenizer = tokenizer
        self._digest = digest

    def packs_keep_scores(self, loaded: LoadedModel) -> bool | None:
        """True if the packed strategy gives the probabilities of the Transformers code, which may change.

        None if the model cannot be packed.
        """
        if build_packed(loaded.network, "cpu", "float32")[0] is None:
            return None

        def compare() -> float:
            strategies = (_choose_strategy(loaded, "cpu", "float32", can_pack)[0] for can_pack in (False, True))
            return _largest_difference(*(self._probabilities(loaded, strategy) for strategy in strategies))

        difference = self._cached_difference("strategies", compare)
        # `not <=` instead of `>`, so that a difference of NaN counts as one.
        if not difference <= MAX_DIFFERENCE:
            logger.warning("packs change scores by up to %.1e; this model is scored in padded batches", difference)
        return difference <= MAX_DIFFERENCE

    def padding_changes_scores(self, loaded: LoadedModel) -> bool:
        """True if a text scores otherwise in a padded batch than alone. Checked on the CPU, for every device."""

        def compare() -> float:
            strategy = PaddedStrategy(model=loaded, device="cpu", classes=len(loaded.labels))
            texts = texts_of_doubling_length()
            # A budget that holds all texts in one rectangle, and one that holds no two texts.
            together, alone = 4 * PARITY_BATCH_TOKENS, 1
            return _largest_difference(
                *(self._probabilities(loaded, strategy, texts, budget) for budget in (together, alone))
            )

        difference = self._cached_difference("padding", compare)
        if not difference <= MAX_DIFFERENCE:
            logger.warning("padding changes scores by up to %.1e; only texts of equal length share a batch", difference)
        return not difference <= MAX_DIFFERENCE

    def check_it_computes(self, loaded: LoadedModel, strategy: ForwardStrategy) -> None:
        """Compute one short text, so that a model that fails on the device or in the dtype fails now.

        Raises:
            ModelError: it fails.
        """
        self._probabilities(loaded, strategy, texts_of_doubling_length()[:1])

    def choose_dtype(self, reference: LoadedModel, device: str, can_pack: bool | None) -> Choice:
        """bfloat16 if it is faster on the device and no check text changes its label, else float32."""
        preferred, reason = prefer_bfloat16(device)
        if not preferred:
            return Choice(value="float32", reason=reason)

        def compare() -> dict[str, float]:
            before = self._probabilities(reference, _choose_strategy(reference, device, "float32", can_pack)[0])
            # A copy, because the float32 weights are needed again if the check fails.
            half = dataclasses.replace(reference, network=copy.deepcopy(reference.network)).to(device, "bfloat16")
            try:
                after = self._probabilities(half, _choose_strategy(half, device, "bfloat16", can_pack)[0])
            except ModelError as error:
                logger.debug("%s", error)
                return {"flips": math.nan, "largest": math.nan}
            flips = int((before.argmax(axis=1) != after.argmax(axis=1)).sum())
            return {"flips": flips, "largest": _largest_difference(before, after)}

        answer = self._cached_answer(describe_hardware(device), ("flips", "largest"), compare)
        flips, largest = answer["flips"], answer["largest"]
        if math.isnan(flips):
            return Choice(value="float32", reason="its code fails in bfloat16")
        # Changed probabilities alone are accepted. A changed label is not.
        labels = f"{flips:.0f} label{'s' * (flips != 1)} of the check texts change{'s' * (flips == 1)}"
        outcome = f"{labels}, probabilities by at most {largest:.1e}"
        if flips:
            return Choice(value="float32", reason=f"in bfloat16 {outcome}")
        return Choice(value="bfloat16", reason=f"{reason}; {outcome}")

    def _cached_difference(self, question: str, compare: Callable[[], float]) -> float:
        """The answer to a question about the Transformers code, for its version."""
        key = f"{question}-transformers{version('transformers')}"
        return self._cached_answer(key, ("difference",), lambda: {"difference": compare()})["difference"]

    def _cached_answer(
        self, question: str, names: tuple[str, ...], compute: Callable[[], dict[str, float]]
    ) -> dict[str, float]:
        """The cached answer, or the answer that is computed now and cached."""
        policy = self._tokenizer.policy
        # The answer depends on all of this. The key becomes a file name, so other characters are replaced.
        key = re.sub(r"[^\w.+-]+", "-", f"{question}-torch{torch.__version__}-{policy.max_length}-{policy.long_text}")
        path = cache_folder() / CACHE_FOLDER / self._digest[:32] / f"{key}.json"
        holds_for = [self._digest, key]  # the file name holds a part of the digest only
        known = read_record(path, holds_for)
        if known is not None:
            return {name: float(known[name]) for name in names}
        answer = compute()  # not computed yet, or the file is damaged
        try_write_record(path, holds_for, answer)
        return answer

    def _probabilities(
        self,
        loaded: LoadedModel,
        strategy: ForwardStrategy,
        texts: list[str] | None = None,
        budget: int = PARITY_BATCH_TOKENS,
    ) -> Floats:
        """The probabilities (N, K) of `texts` (N,), by default of all check texts."""
        tokens, _ = self._tokenizer(texts or read_parity_texts()).replace_unknown(loaded.vocabulary)
        try:
            with unify_memory_errors():
                logits = compute_segment_logits(strategy, tokens, Budget(budget))
        except (SentimentBatchError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # the code of model families has no common error
            dtype = str(loaded.network.dtype).removeprefix("torch.")
            raise ModelError(
                f"{loaded.network.name_or_path} fails in {dtype} ({type(error).__name__}: {first_line(error)}). "
                + ("Name another model." if dtype == "float32" else 'Try `dtype="float32"`, or another model.')
            ) from error
        return softmax(average_segments(logits, tokens.owners, tokens.lengths))


def _largest_difference(one: Floats, other: Floats) -> float:
    return float(np.abs(one - other).max())
