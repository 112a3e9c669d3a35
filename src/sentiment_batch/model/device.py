"""Chooses the device, the dtype and the token budgets, and makes torch repeatable; knows no model and no data."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sentiment_batch.errors import DeviceError, UsageError
from sentiment_batch.model.torch_operators import find_bfloat16_instructions, has_fast_int8, onednn_has_bfloat16
from sentiment_batch.records import Choice

FAST_BFLOAT16 = {"AMD": "AVX-512 bfloat16", "Intel": "AMX"}
"""The instructions that make bfloat16 faster than float32 on an x86 CPU, by its make. On an Intel CPU without AMX, a
product of matrices takes twice as long in bfloat16 as in float32 (benchmarks/README.md)."""
CPU_BATCH_TOKENS = 2_048
"""Tokens of a scoring batch for an encoder 384 wide on one core. Larger batches do not fit its caches, smaller ones
cost more calls."""
MIN_CPU_BATCH_TOKENS = 512
CPU_STEP_TOKENS = 8_192
"""Tokens of a part of a training step for an encoder 384 wide. A batch of 16 long texts is one part, and a larger
batch takes no more memory."""
CUDA_BATCH_TOKENS_PER_GB = 1_024
"""Tokens of a batch per GB of the device's memory, for an encoder 768 wide. This is far below what fits and well above
what keeps the device busy."""


def choose_device(name: str) -> Choice:
    """The device for a name (`auto`, `cpu`, `cuda`, `cuda:N`).

    Raises:
        UsageError: the name is none of these.
        DeviceError: this machine has no such device.
    """
    if name == "cpu":
        return Choice(value="cpu", reason="as asked")
    if name == "auto":
        if torch.cuda.is_available():
            return Choice(value="cuda:0", reason=torch.cuda.get_device_name(0))
        threads = torch.get_num_threads()
        why = "no CUDA device found" if torch.version.cuda else "this build of torch has no CUDA"
        return Choice(value="cpu", reason=f"{why}; {threads} thread{'s' * (threads != 1)}")
    kind, _, number = name.partition(":")
    if kind != "cuda" or (number and not number.isdecimal()):
        raise UsageError(f"`device` is {name!r}; it must be auto, cpu, cuda or cuda:N.")
    # `cuda` alone is the first device.
    place = int(number or 0)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if place >= count:
        found = f"this machine has only cuda:0 to cuda:{count - 1}" if count else "torch finds no CUDA device"
        raise DeviceError(
            f"`device` is {name!r}, but {found}. Set `device` to auto or cpu, or install a CUDA build of torch."
        )
    return Choice(value=f"cuda:{place}", reason=f"as asked, {torch.cuda.get_device_name(place)}")


def has_bfloat16(device: str) -> bool:
    """True if the device computes in bfloat16 by hardware."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(device)[0] >= 8
    # oneDNN also returns true if it would only emulate bfloat16 on an x86 CPU.
    return onednn_has_bfloat16() and (not _is_x86() or bool(find_bfloat16_instructions()))


def prefer_bfloat16(device: str) -> tuple[bool, str]:
    """True if bfloat16 is faster than float32 on the device, and why. Nothing is timed, so that runs repeat."""
    if device.startswith("cuda"):
        major, minor = torch.cuda.get_device_capability(device)
        return major >= 8, f"compute capability {major}.{minor}"
    if not has_bfloat16(device):
        return False, "this CPU has no bfloat16"
    if not _is_x86():
        return True, "as oneDNN reports for this CPU"
    make = find_cpu_make()
    needed = FAST_BFLOAT16.get(make)
    if needed in find_bfloat16_instructions():
        return True, f"{make} with {needed}"
    return False, f"{make or 'an unknown'} CPU" + (f" without {needed}" if needed else "")


def prefers_int8(device: str) -> bool:
    """True if `auto` tries int8 on the device: on a CPU with VNNI whose fastest float is float32.

    There int8 is several times as fast. Beside a fast bfloat16 it gains too little to change probabilities for it.
    """
    return device == "cpu" and has_fast_int8() and not prefer_bfloat16("cpu")[0]


@functools.cache
def find_cpu_make() -> str:
    """`AMD` or `Intel`; empty for another make, or if the system does not tell."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = platform.processor()  # on Windows, it ends with the name of the vendor
    vendors = {"AuthenticAMD": "AMD", "GenuineIntel": "Intel"}
    return next((make for vendor, make in vendors.items() if vendor in text), "")


def describe_hardware(device: str) -> str:
    """What the last bits of a sum depend on, besides versions and settings.

    This is the name of a GPU, or of a CPU the make and the instructions that torch uses on it. An example is `AMD CPU,
    AVX512, AVX-512 bfloat16`.
    """
    if device != "cpu":
        return torch.cuda.get_device_name(device)
    make = find_cpu_make() or platform.machine()
    return ", ".join([f"{make} CPU", torch.backends.cpu.get_cpu_capability(), *find_bfloat16_instructions()])


def _is_x86() -> bool:
    return platform.machine().lower() in {"x86_64", "amd64"}


def choose_training_dtype(name: str, device: str) -> Choice:
    """The dtype of the forward and backward pass in training; weights and optimizer stay in float32."""
    if name != "auto":
        return Choice(value=name, reason="as asked")
    preferred, reason = prefer_bfloat16(device)
    return Choice(value="bfloat16" if preferred else "float32", reason=reason)


def choose_batch_tokens(device: str, width: int) -> int:
    """Tokens per scoring batch, padding included: a pure function of the device's model and the encoder's width.

    It ignores how much memory is free, so that the same command always makes the same batches.
    """
    if device == "cpu":
        return max(MIN_CPU_BATCH_TOKENS, min(CPU_BATCH_TOKENS, CPU_BATCH_TOKENS * 384 // width))
    # The total memory, because the free memory of the moment would make other batches each time.
    gigabytes = torch.cuda.get_device_properties(device).total_memory / 2**30
    return max(4_096, int(CUDA_BATCH_TOKENS_PER_GB * gigabytes * 768 / width) // 1_024 * 1_024)


def choose_step_tokens(device: str, width: int) -> int:
    """Most tokens of a training step that are computed at a time, except for one text that is longer; also pure.

    An encoder of 6 layers, 768 wide, keeps about 180 kB per token for the backward pass in half precision. On CUDA this
    comes to a fifth of the memory.
    """
    if device == "cpu":
        return CPU_STEP_TOKENS * 384 // max(384, width)
    return choose_batch_tokens(device, width)


def seed_generators(seed: int, device: str) -> None:
    """Seed the random generators of Python, numpy, torch and the device; other CUDA devices keep theirs."""
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)  # not torch.manual_seed: it would reseed every CUDA device too
    if device.startswith("cuda"):
        with torch.cuda.device(device):  # cuda.manual_seed seeds the current device, which may be another
            torch.cuda.manual_seed(seed)


@contextlib.contextmanager
def make_repeatable(seed: int, device: str) -> Iterator[None]:
    """Seed every generator and choose deterministic kernels. After the block, all are as they were before."""
    # cuBLAS reads this when its first handle is made. Without it, torch refuses deterministic matrix products.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    python_state, numpy_state = random.getstate(), np.random.get_state()
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    guard: Any = torch.utils.deterministic
    fills = guard.fill_uninitialized_memory
    devices = [torch.device(device)] if device.startswith("cuda") else []
    # Its first call imports much of torch. It stands outside of the block, because the second call fails after a Ctrl-C
    # during the import.
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng(devices=devices):
            seed_generators(seed, device)
            # Off: this guard for programs that read memory they never wrote writes to every new tensor.
            guard.fill_uninitialized_memory = False
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        guard.fill_uninitialized_memory = fills
