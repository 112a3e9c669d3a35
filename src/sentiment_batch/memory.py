"""Recognizes a lack of main memory, which Python, pyarrow, torch and the system each report in another way."""

from __future__ import annotations

import errno
import re

_MORE = "give this process more memory (ulimit -v, the limit of the container, or fewer other programs)"
OUT_OF_MEMORY = f"this process gets no more memory. Use a smaller model, `batch_tokens` or `max_length`, or {_MORE}."
"""The message where smaller batches cannot help."""
_WORDS = re.compile(
    r"DefaultCPUAllocator|not enough memory|can't allocate memory|Cannot allocate memory|std::bad_alloc|"
    r"could not create a (?:memory|primitive)|failed to map segment|os error 12\b|"
    r"can't start new thread|Failed to launch worker thread"
)
"""What torch, oneDNN, safetensors, the loader of libraries and the starters of threads say. A thread needs a stack."""


def lacks_memory(error: BaseException) -> bool:
    """True if `error` is a lack of main memory."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    known = isinstance(error, RuntimeError | ImportError | OSError) or type(error).__name__ == "SafetensorError"
    return known and _WORDS.search(str(error)) is not None


def advise(smaller: str, device: str) -> str:
    """A sentence that says what to do if the memory of `device` is too small, such as to use a `smaller` model."""
    return f"Use {smaller}, or " + (f"{_MORE}." if device == "cpu" else '`device="cpu"`.')
