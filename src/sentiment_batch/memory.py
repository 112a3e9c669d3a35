"""Recognizes a lack of main memory, which Python, pyarrow, torch and the system each report in another way."""

from __future__ import annotations

import errno
import os
import re
import sys

from sentiment_batch.errors import DeviceError

_MORE = "give this process more memory (ulimit -v, the limit of the container, or fewer other programs)"
OUT_OF_MEMORY = f"this process is out of memory. Use a smaller model, `batch_tokens` or `max_length`, or {_MORE}."
"""The message where smaller batches cannot help."""
MIN_ADDRESS_SPACE = 2**30
"""Least address space in bytes to load torch. Its import takes some 650 MB, and this package 200 MB more."""
_WORDS = re.compile(
    r"DefaultCPUAllocator|not enough memory|can't allocate memory|Cannot allocate memory|std::bad_alloc|"
    r"could not create a (?:memory|primitive)|failed to map segment|os error 12\b|"
    r"can't start new thread|can't allocate (?:read )?lock|Failed to launch worker thread"
)
"""What torch, oneDNN, safetensors, the loader of libraries and the starters of threads say. A thread needs a stack."""


def lacks_memory(error: BaseException) -> bool:
    """True if `error`, or one of its causes, is a lack of main memory."""
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in found:  # a foreign error may be its own cause
        if _is_lack_of_memory(cause):
            return True
        found.append(cause)
        cause = cause.__cause__
    return False


def _is_lack_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    known = isinstance(error, RuntimeError | ImportError | OSError) or type(error).__name__ == "SafetensorError"
    return known and _WORDS.search(str(error)) is not None


def respect_address_limit() -> None:
    """Prepare for a limit of the addresses of this process (`ulimit -v`), if there is one.

    Called before torch is loaded. Below some size, the libraries of torch end the process without an error of Python
    while they are imported. The threads of `tokenizers` hang if they cannot all be started. So under any limit,
    `tokenizers` uses the calling thread alone.

    Raises:
        DeviceError: the limit is smaller than `MIN_ADDRESS_SPACE`.
    """
    if sys.platform == "win32":  # has no such limit
        return
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return
    if limit < MIN_ADDRESS_SPACE:
        raise DeviceError(
            f"this process may use {limit / 2**20:,.0f} MiB of addresses (ulimit -v), but torch needs at least "
            f"{MIN_ADDRESS_SPACE / 2**20:,.0f} MiB to be loaded, and a model needs more. Give this process more memory."
        )
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def advise(smaller: str, device: str) -> str:
    """A sentence that says what to do if the memory of `device` is too small, such as to use a `smaller` model."""
    return f"Use {smaller}, or " + (f"{_MORE}." if device == "cpu" else '`device="cpu"`.')
