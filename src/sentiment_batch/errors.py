"""The errors that this project raises on purpose; everything else is a bug and keeps its traceback.

    SentimentBatchError
    ├── UsageError      options that cannot go together, or a value out of range      exit code 2
    ├── InputError      the data: a missing file, column or label, bytes that cannot be read
    ├── OutputError     the destination: it exists, cannot be written, the disk is full
    ├── ModelError      a model or a base: not found, incomplete, unsafe, of an unknown kind
    ├── DeviceError     the device asked for is not there, or is too small
    └── PluginError     a plugin that failed; the message names it

Every message is one line that ends with what to do about it.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from sentiment_batch.locations import without_password

if TYPE_CHECKING:
    from collections.abc import Iterable


LONGEST = 80
"""Characters of a name in a list of names."""


class SentimentBatchError(Exception):
    """The base of all errors of this project; the command line prints it in one line and exits with `exit_code`.

    No message shows the password of a URL that it names.
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(without_password(message))


class UsageError(SentimentBatchError):
    """Options that cannot go together, or a value out of range."""

    exit_code = 2


class InputError(SentimentBatchError):
    """The data cannot be read, or does not hold what was asked for."""

    @classmethod
    def no_column(cls, name: str, columns: Iterable[str], option: str) -> InputError:
        """The column `name` is not among `columns`; `option` is the flag that names it."""
        known = list(columns)
        close = [column for column in known if column.casefold() == name.casefold()]
        close = close or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        return cls(f"no column {name!r}{hint} The columns are {listed(known)}. Name one with {option}.")


class OutputError(SentimentBatchError):
    """The destination cannot be written; nothing was published."""

    @classmethod
    def exists(cls, path: str) -> OutputError:
        """Something is at `path` already."""
        return cls(f"{path} exists already. Replace it with --overwrite, or name another destination.")


class ModelError(SentimentBatchError):
    """A model or a base cannot be used."""


class DeviceError(SentimentBatchError):
    """The device asked for is not there, or is too small for one text."""


class PluginError(SentimentBatchError):
    """A plugin failed; the message names it."""


def listed(names: Iterable[str], most: int = 12) -> str:
    """`names` quoted and joined by commas, cut after `most` of them; a long one shows its beginning."""
    known = [name if len(name) <= LONGEST else f"{name[:LONGEST]}…" for name in map(str, names)]
    more = f" and {len(known) - most:,} more" if len(known) > most else ""
    return ", ".join(repr(name) for name in known[:most]) + more if known else "none at all"


def first_line(error: BaseException) -> str:
    """What `error` says, in one line, for quoting the errors of other libraries."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # a plugin's exception may not even be able to say what it is
        text = ""
    return text[:400] if text else type(error).__name__


def reason(error: BaseException) -> str:
    """What `error` says, in one line that fits into a sentence."""
    return first_line(error).rstrip(".")
