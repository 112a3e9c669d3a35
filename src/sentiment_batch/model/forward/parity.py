"""Decides dtype and road of scoring: bfloat16 where the hardware has it and no probe text changes its label."""

from __future__ import annotations

import copy
import dataclasses
import importlib.resources
import json
import logging
import math
import re
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch

from sentiment_batch.errors import ModelError, SentimentBatchError, UsageError, first_line
from sentiment_batch.files.cache import cache_folder, write_text
from sentiment_batch.model.device import check_bfloat16
from sentiment_batch.model.forward.batches import Budget, compute_segment_logits
from sentiment_batch.model.forward.packed import build_packed
from sentiment_batch.model.forward.strategies import ForwardStrategy, PackedStrategy, PaddedStrategy
from sentiment_batch.model.probabilities import average_segments, softmax
from sentiment_batch.records import Choice

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.model.stock import LoadedModel
    from sentiment_batch.tokenization.packing import BatchShape
    from sentiment_batch.tokenization.tokenizer import Tokeniser

logger = logging.getLogger("sentiment_batch")

PARITY_BATCH_TOKENS = 4_096
"""Tokens per batch of a probe, on every device alike."""
MAX_DIFFERENCE = 1e-4
"""What the probabilities of two roads may differ by in float32; seen are 1e-6."""


def read_parity_texts() -> list[str]:
    """The package's own texts: short reviews, and some of them joined into middling and long ones."""
    lines = (
        importlib.resources.files("sentiment_batch.model.forward")
        .joinpath("parity_texts.txt")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    fives = [" ".join(lines[start : start + 5]) for start in range(0, len(lines), 5)]
    return [*lines, *fives, " ".join(lines)]


def texts_of_doubling_length() -> list[str]:
    """Of the package's own texts a letter, two, four and so on up to 1,024: no lengths differ more."""
    whole = " ".join(read_parity_texts())
    return [whole[step : step + 2**step] for step in range(11)]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PreparedModel:
    """A model on its device, in its dtype, and the way through it."""

    loaded: LoadedModel
    dtype: Choice
    strategy: ForwardStrategy
    batching: str


def prepare_model(
    loaded: LoadedModel, tokeniser: Tokeniser, digest: str, device: str, name: str, shape: BatchShape | None = None
) -> PreparedModel:
    """The model on its device in the dtype of `--dtype`, and why; and the fastest road that it can take.

    Args:
        loaded: the model in float32 on the CPU; used up.
        tokeniser: of the model, for the probe.
        digest: of the model's folder; the outcome of a probe is kept under it.
        device: where to score.
        name: `auto`, `float32`, `bfloat16` or `float16`.
        shape: of every batch of a deterministic run.

    Raises:
        ModelError: the model fails on the probe texts.
        UsageError: float16 on a CPU.
    """
    if name == "float16" and device == "cpu":
        raise UsageError("--dtype float16 is many times slower than float32 on a CPU. Take auto, bfloat16 or float32.")
    probe = _ParityCheck(tokeniser, digest)
    may_pack = probe.packs(loaded)
    if not may_pack:  # packs that score as rectangles do have shown that padding is not felt
        loaded = dataclasses.replace(loaded, feels_padding=probe.feels_padding(loaded))
    dtype = Choice(value=name, reason="as asked")
    loaded = loaded.to(device, "float32")
    if name == "auto":
        dtype = probe.dtype(loaded, device, may_pack)
    loaded = loaded.to(device, dtype.value)
    strategy, reason = _strategy(loaded, device, dtype.value, may_pack, shape)
    if not may_pack:
        probe.passes(loaded, strategy)
    return PreparedModel(loaded=loaded, dtype=dtype, strategy=strategy, batching=reason)


def _strategy(
    loaded: LoadedModel, device: str, dtype: str, may_pack: bool | None, shape: BatchShape | None = None
) -> tuple[ForwardStrategy, str]:
    model, reason = None, "padded batches, for packs give other scores"
    if may_pack is not False:
        model, reason = build_packed(loaded.network, device, dtype)
    if model is not None:
        return PackedStrategy(model=model, device=device, classes=len(loaded.labels), shape=shape), reason
    if loaded.feels_padding:
        reason += "; only texts of equal length together, for it feels padding"
    return PaddedStrategy(model=loaded, device=device, shape=shape, bare=loaded.feels_padding), reason


class _ParityCheck:
    """What the probe texts say of a model; each answer is computed once and then read from the cache."""

    def __init__(self, tokeniser: Tokeniser, digest: str) -> None:
        self._tokeniser = tokeniser
        self._digest = digest

    def packs(self, loaded: LoadedModel) -> bool | None:
        """Whether the packed road gives the stock model's scores: it is checked, for the stock code may change.

        None where there is no such road.
        """
        if build_packed(loaded.network, "cpu", "float32")[0] is None:
            return None

        def compare() -> dict[str, float]:
            strategies = (_strategy(loaded, "cpu", "float32", may_pack)[0] for may_pack in (False, True))
            return _difference(*(self._probabilities(loaded, strategy) for strategy in strategies))

        difference = self._of_roads("strategies", compare)
        if not difference <= MAX_DIFFERENCE:
            logger.warning("packs change scores by up to %.1e; this model is scored in padded batches", difference)
        return difference <= MAX_DIFFERENCE

    def feels_padding(self, loaded: LoadedModel) -> bool:
        """Whether a text scores otherwise in a padded batch than alone; asked on the CPU, for every device."""

        def compare() -> dict[str, float]:
            strategy = PaddedStrategy(model=loaded, device="cpu")
            together, alone = 4 * PARITY_BATCH_TOKENS, 1
            return _difference(
                *(self._probabilities(loaded, strategy, texts_of_doubling_length(), size) for size in (together, alone))
            )

        difference = self._of_roads("padding", compare)
        if not difference <= MAX_DIFFERENCE:
            logger.warning("padding changes scores by up to %.1e; only texts of equal length go together", difference)
        return not difference <= MAX_DIFFERENCE

    def passes(self, loaded: LoadedModel, strategy: ForwardStrategy) -> None:
        """Make sure that the stock code computes on the device and in the dtype, by one short text."""
        self._probabilities(loaded, strategy, texts_of_doubling_length()[:1])

    def dtype(self, reference: LoadedModel, device: str, may_pack: bool | None) -> Choice:
        """bfloat16 if the device has it and no label flips, else float32."""
        supported, reason = check_bfloat16(device)
        if not supported:
            return Choice(value="float32", reason=reason)

        def compare() -> dict[str, float]:
            before = self._probabilities(reference, _strategy(reference, device, "float32", may_pack)[0])
            # A copy: the float32 weights are needed again if the probe fails.
            half = dataclasses.replace(reference, network=copy.deepcopy(reference.network)).to(device, "bfloat16")
            try:
                after = self._probabilities(half, _strategy(half, device, "bfloat16", may_pack)[0])
            except ModelError as error:
                logger.debug("%s", error)
                return {"flips": math.nan, "largest": math.nan}
            flips = int((before.argmax(axis=1) != after.argmax(axis=1)).sum())
            return {"flips": flips, "largest": float(np.abs(before - after).max())}

        kind = torch.cuda.get_device_name(device) if device != "cpu" else torch.backends.cpu.get_cpu_capability()
        found = self._known(kind, ("flips", "largest"), compare)
        flips, largest = found["flips"], found["largest"]
        if math.isnan(flips):
            return Choice(value="float32", reason="its code fails in bfloat16")
        outcome = f"{flips:.0f} labels of the probe texts flip, largest change of a probability {largest:.1e}"
        if flips:
            return Choice(value="float32", reason=f"in bfloat16 {outcome}")
        return Choice(value="bfloat16", reason=f"{reason}; {outcome}")

    def _of_roads(self, name: str, compare: Callable[[], dict[str, float]]) -> float:
        question = f"{name}-transformers{version('transformers')}"
        return self._known(question, ("difference",), compare)["difference"]

    def _known(self, question: str, names: tuple[str, ...], answer: Callable[[], dict[str, float]]) -> dict[str, float]:
        policy = self._tokeniser.policy
        key = re.sub(r"[^\w.+-]+", "-", f"{question}-torch{torch.__version__}-{policy.max_length}-{policy.long_text}")
        path = cache_folder() / "probes-2" / self._digest[:32] / f"{key}.json"
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            return {name: float(known[name]) for name in names}
        except (OSError, ValueError, TypeError, KeyError):
            pass  # not probed yet, or somebody wrote nonsense there
        found = answer()
        try:
            write_text(path, json.dumps(found) + "\n")
        except OSError as error:
            logger.debug("the outcome of a probe is not kept: %s", error)  # it comes out the same next time
        return found

    def _probabilities(
        self,
        loaded: LoadedModel,
        strategy: ForwardStrategy,
        texts: list[str] | None = None,
        budget: int = PARITY_BATCH_TOKENS,
    ) -> Floats:
        tokens = self._tokeniser(texts or read_parity_texts())
        loaded.check_ids(tokens.ids)
        try:
            logits = compute_segment_logits(strategy, tokens, Budget(budget))
        except (SentimentBatchError, torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # stock code has no common error
            dtype = str(loaded.network.dtype).removeprefix("torch.")
            raise ModelError(
                f"{loaded.network.name_or_path} fails in {dtype} ({type(error).__name__}: {first_line(error)}). "
                + ("Name another model." if dtype == "float32" else "Try --dtype float32, or another model.")
            ) from error
        return softmax(average_segments(logits, tokens.owners, tokens.lengths))


def _difference(one: Floats, other: Floats) -> dict[str, float]:
    return {"difference": float(np.abs(one - other).max())}
