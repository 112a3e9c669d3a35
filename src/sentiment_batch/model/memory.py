"""One error for a lack of memory, whatever the device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from sentiment_batch.memory import lacks_memory


@contextlib.contextmanager
def unify_memory_errors() -> Iterator[None]:
    """Turn a lack of main memory into `torch.OutOfMemoryError`, which torch raises for that of a GPU.

    Raises:
        torch.OutOfMemoryError: the main memory, or that of the device, is used up.
    """
    try:
        yield
    except Exception as error:
        if not lacks_memory(error):
            raise
        raise torch.OutOfMemoryError(" ".join(str(error).split())[:200] or "out of memory") from None
