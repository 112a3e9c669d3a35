"""Chooses the device, the dtype and the token budget, each with its reason; sets seeds. Knows no model, no data."""

from __future__ import annotations

import contextlib
import os
import platform
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from sentiment_batch.errors import DeviceError, UsageError
from sentiment_batch.records import Choice

CPU_BATCH_TOKENS = 2_048
"""For an encoder 384 wide, computed by one core: larger batches leave its caches, smaller ones cost more calls."""
MIN_CPU_BATCH_TOKENS = 512
CPU_STEP_TOKENS = 8_192
"""For an encoder 384 wide: a batch of 16 long texts is one part, and a larger one takes no more memory."""
CUDA_BATCH_TOKENS_PER_GB = 1_024
"""Tokens of a 768-wide encoder per GB of the device's memory: far below what fits, well above what keeps it busy."""


def choose_device(name: str) -> Choice:
    """The device for `--device` (`auto`, `cpu`, `cuda`, `cuda:N`).

    Raises:
        UsageError: the name is none of these.
        DeviceError: the device is not there.
    """
    if name == "cpu":
        return Choice(value="cpu", reason="as asked")
    if name == "auto":
        if torch.cuda.is_available():
            return Choice(value="cuda:0", reason=torch.cuda.get_device_name(0))
        why = "no CUDA device is there" if torch.version.cuda else "this build of torch knows no CUDA"
        return Choice(value="cpu", reason=f"{why}; {torch.get_num_threads()} threads")
    kind, _, number = name.partition(":")
    if kind != "cuda" or (number and not number.isdecimal()):
        raise UsageError(f"--device is {name!r}; it must be auto, cpu, cuda or cuda:N.")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(number or 0) >= count:
        there = f"only cuda:0 to cuda:{count - 1} are there" if count else "torch finds no CUDA device"
        raise DeviceError(f"--device {name}: {there}. Take --device auto or cpu, or install a CUDA build of torch.")
    return Choice(value=f"cuda:{number or 0}", reason=f"as asked, {torch.cuda.get_device_name(int(number or 0))}")


def check_bfloat16(device: str) -> tuple[bool, str]:
    """Whether the device computes in bfloat16 by hardware, decided by what it says of itself, never by timing."""
    if device.startswith("cuda"):
        major, minor = torch.cuda.get_device_capability(device)
        return major >= 8, f"compute capability {major}.{minor}"
    # Builds without oneDNN, as for a Mac, have no such question to ask.
    onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not (onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return False, "this CPU has no bfloat16"
    if platform.machine().lower() in {"x86_64", "amd64"}:
        # oneDNN also says yes where it would only emulate bfloat16, slower than float32
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        found = any(getattr(torch.cpu, check)() for check in checks if hasattr(torch.cpu, check))
        return found, "AVX-512 bfloat16 or AMX, as the CPU says"
    return True, "as oneDNN says of this CPU"


def choose_training_dtype(name: str, device: str) -> Choice:
    """The dtype of the forward and backward pass; weights and optimiser stay float32.

    Raises:
        UsageError: float16 was asked for, which would need loss scaling.
    """
    if name == "float16":
        raise UsageError("--dtype float16 is for scoring on CUDA; train in bfloat16 or float32.")
    if name != "auto":
        return Choice(value=name, reason="as asked")
    supported, reason = check_bfloat16(device)
    return Choice(value="bfloat16" if supported else "float32", reason=reason)


def choose_batch_tokens(device: str, width: int) -> int:
    """Tokens per scoring batch, padding included: a pure function of the device's model and the encoder's width.

    It never looks at the memory that happens to be free, so that the same command makes the same batches.
    """
    if device == "cpu":
        return max(MIN_CPU_BATCH_TOKENS, min(CPU_BATCH_TOKENS, CPU_BATCH_TOKENS * 384 // width))
    gigabytes = torch.cuda.get_device_properties(device).total_memory / 2**30
    return max(4_096, int(CUDA_BATCH_TOKENS_PER_GB * gigabytes * 768 / width) // 1_024 * 1_024)


def choose_step_tokens(device: str, width: int) -> int:
    """Most tokens of a training step that are computed at a time, but for one text that is longer; likewise pure.

    An encoder of 6 layers, 768 wide, keeps about 180 kB a token for the backward pass in half precision: a fifth of the
    memory, on CUDA.
    """
    if device == "cpu":
        return CPU_STEP_TOKENS * 384 // max(384, width)
    return choose_batch_tokens(device, width)


@contextlib.contextmanager
def make_repeatable(seed: int, device: str) -> Iterator[None]:
    """Seed every generator and choose deterministic kernels; both are as they were before when the block ends."""
    # cuBLAS reads this when its first handle is made; without it torch refuses deterministic matrix products
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    python_state, numpy_state = random.getstate(), np.random.get_state()
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    guard: Any = torch.utils.deterministic
    fills = guard.fill_uninitialized_memory
    devices = [torch.device(device)] if device.startswith("cuda") else []
    # Its first call imports much of torch. Outside of the block: after a Ctrl-C in there a second call fails as a bug.
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng(devices=devices):
            random.seed(seed)
            np.random.seed(seed)
            torch.default_generator.manual_seed(seed)  # not torch.manual_seed: it would reseed every CUDA device too
            for one in devices:
                with torch.cuda.device(one):  # cuda.manual_seed seeds the current device, which may be another
                    torch.cuda.manual_seed(seed)
            # A guard for programs that read memory they never wrote; it costs a write of every new tensor
            guard.fill_uninitialized_memory = False
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        guard.fill_uninitialized_memory = fills
