"""Decides the dtype of scoring: bfloat16 where the hardware has it and no probe text changes its label."""

from __future__ import annotations

import copy
import dataclasses
import importlib.resources
import json
import logging
import re
from typing import TYPE_CHECKING

import numpy as np
import torch

from sentiment_batch.assemble import combine, softmax
from sentiment_batch.cache import cache_folder, write_text
from sentiment_batch.device import bfloat16_reason
from sentiment_batch.errors import UsageError
from sentiment_batch.records import Choice
from sentiment_batch.scoring.forward import forward

if TYPE_CHECKING:
    from sentiment_batch.assemble import Floats
    from sentiment_batch.model import Loaded
    from sentiment_batch.tokenise import Tokeniser

logger = logging.getLogger("sentiment_batch")


def probe_texts() -> list[str]:
    """The package's own texts: short reviews, and some of them joined into middling and long ones."""
    lines = importlib.resources.files("sentiment_batch").joinpath("probe.txt").read_text(encoding="utf-8").splitlines()
    fives = [" ".join(lines[start : start + 5]) for start in range(0, len(lines), 5)]
    return [*lines, *fives, " ".join(lines)]


def to_device(loaded: Loaded, tokeniser: Tokeniser, digest: str, device: str, name: str) -> tuple[Loaded, Choice]:
    """The model on its device in the dtype of `--dtype`, and why.

    Args:
        loaded: the model in float32 on the CPU; used up.
        tokeniser: of the model, for the probe.
        digest: of the model's folder; the outcome of a probe is kept under it.
        device: where to score.
        name: `auto`, `float32`, `bfloat16` or `float16`.

    Raises:
        UsageError: float16 on a CPU.
    """
    if name == "float16" and device == "cpu":
        raise UsageError("--dtype float16 is many times slower than float32 on a CPU. Take auto, bfloat16 or float32.")
    if name != "auto":
        return loaded.to(device, name), Choice(value=name, reason="as asked")
    supported, reason = bfloat16_reason(device)
    if not supported:
        return loaded.to(device, "float32"), Choice(value="float32", reason=reason)
    reference = loaded.to(device, "float32")
    flips, largest = _probe(reference, tokeniser, digest, device)
    outcome = f"{flips} labels of the probe texts flip, largest change of a probability {largest:.1e}"
    if flips:
        return reference, Choice(value="float32", reason=f"in bfloat16 {outcome}")
    return reference.to(device, "bfloat16"), Choice(value="bfloat16", reason=f"{reason}; {outcome}")


def _probe(reference: Loaded, tokeniser: Tokeniser, digest: str, device: str) -> tuple[int, float]:
    """How many labels flip in bfloat16, and the largest change of a probability; remembered in the cache."""
    kind = torch.cuda.get_device_name(device) if device.startswith("cuda") else torch.backends.cpu.get_cpu_capability()
    policy = tokeniser.policy
    key = re.sub(r"[^\w.+-]+", "-", f"{kind}-torch{torch.__version__}-{policy.max_length}-{policy.long_text}")
    path = cache_folder() / "probes" / digest[:32] / f"{key}.json"
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return int(known["flips"]), float(known["largest"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not probed yet, or somebody wrote nonsense there
    before = _probabilities(reference, tokeniser, device)
    # A copy: the float32 weights are needed again if the probe fails.
    half = _probabilities(_copy(reference).to(device, "bfloat16"), tokeniser, device)
    flips = int((before.argmax(axis=1) != half.argmax(axis=1)).sum())
    largest = float(np.abs(before - half).max())
    try:
        write_text(path, json.dumps({"flips": flips, "largest": largest}) + "\n")
    except OSError as error:
        logger.debug("the outcome of the dtype probe is not kept: %s", error)  # it comes out the same next time
    return flips, largest


def _copy(loaded: Loaded) -> Loaded:
    return dataclasses.replace(loaded, network=copy.deepcopy(loaded.network))


def _probabilities(loaded: Loaded, tokeniser: Tokeniser, device: str) -> Floats:
    tokens = tokeniser(probe_texts())
    logits = forward(loaded, tokens, device, budget=4_096)
    return softmax(combine(logits, tokens.owners, tokens.lengths))
