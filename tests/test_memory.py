"""A lack of memory is recognized in the words of each library, also as the cause of another error."""

from __future__ import annotations

import errno

import pytest

from sentiment_batch.memory import lacks_memory


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "no memory"),
        RuntimeError("can't start new thread"),
        RuntimeError("can't allocate read lock"),
        RuntimeError("could not create a primitive"),
        ImportError("lib.so: failed to map segment from shared object"),
        caused(ImportError("scipy seems to be broken"), ImportError("lib.so: failed to map segment")),
        caused(ValueError("a"), caused(KeyError("b"), MemoryError())),
    ],
    ids=str,
)
def test_a_lack_of_memory_is_known(error):
    assert lacks_memory(error)


def test_other_errors_lack_no_memory():
    itself = ValueError("its own cause")
    itself.__cause__ = itself
    for error in (ValueError("can't start new thread"), OSError(errno.ENOSPC, "full"), ImportError("no"), itself):
        assert not lacks_memory(error)
