"""The errors that this project raises on purpose; everything else is a bug and keeps its traceback.

    SentimentBatchError
    ├── UsageError      settings that exclude each other, or a value out of range      exit code 2
    ├── InputError      the data: a missing file, column or label, bytes that cannot be read
    ├── OutputError     the destination: it exists, cannot be written, the disk is full
    ├── ModelError      a model or a base: not found, incomplete, unsafe, of an unknown kind
    ├── DeviceError     the requested device is missing, or too small
    ├── PluginError     a plugin that failed; the message names it
    └── GateError       a condition of `fail_if` holds; all results were published      exit code 3

Every message is one line: what is wrong, where, and what to do about it. Messages speak Python. A setting stands in
backquotes, alone or with a value: `decimals`, `overwrite=True`. The command line turns these into its options.
"""

from __future__ import annotations

import contextlib
import difflib
import re
import sys
from typing import TYPE_CHECKING

from sentiment_batch.locations import split_url, without_password

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


MAX_NAME_LENGTH = 80
"""Characters that a list of names shows of each name."""
MAX_QUOTED_LENGTH = 400
"""Characters that are quoted of another library's message."""

_SETTING = re.compile(r"`([A-Za-z_]\w*)(?:=[^`]*)?`")


class SentimentBatchError(Exception):
    """The base of all errors of this project.

    The command line prints the message in one line and exits with `exit_code`. A password in a URL is never shown, not
    even by the error of a library that is being handled, because a traceback shows that, too.
    """

    exit_code = 1
    """The exit status of the command line."""

    def __init__(self, message: str = "") -> None:
        # The error of a library that is being handled becomes the context of this one, and a traceback shows both
        hide_passwords(sys.exception(), message)
        super().__init__(without_password(message))

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of the settings that the message puts in backquotes, each once, in order of appearance.

        >>> UsageError("`decimals` is 9; it must lie between 0 and 7.").settings
        ('decimals',)
        >>> OutputError.exists("out.csv").settings
        ('overwrite',)
        """
        return tuple(dict.fromkeys(_SETTING.findall(str(self))))


class UsageError(SentimentBatchError):
    """Settings exclude each other, or a value is out of range."""

    exit_code = 2


class InputError(SentimentBatchError):
    """The data cannot be read, or does not hold what was asked for."""

    @classmethod
    def no_column(cls, name: str, columns: Iterable[str], setting: str) -> InputError:
        """The column `name` is not among `columns`; `setting` is the setting that names a column, in Python words."""
        known = list(columns)
        close = find_closest(name, known)
        hint = "." if close is None else f"; did you mean {close!r}?"
        return cls(f"no column {name!r}{hint} The columns are {listed(known)}. Name one with `{setting}`.")


class OutputError(SentimentBatchError):
    """The destination cannot be written; nothing was published."""

    @classmethod
    def exists(cls, path: str) -> OutputError:
        """`path` exists, and the settings do not allow to replace it."""
        return cls(f"{path} exists already. Replace it with `overwrite=True`, or name another destination.")


class ModelError(SentimentBatchError):
    """A model or a base cannot be used."""


class DeviceError(SentimentBatchError):
    """The device asked for is not there, or is too small for one text."""


class PluginError(SentimentBatchError):
    """A plugin failed; the message names it."""


class GateError(SentimentBatchError):
    """A condition of `fail_if` holds. All results were published."""

    exit_code = 3


def refuse_ambiguous_url(location: str) -> None:
    """Raise a UsageError for a URL whose secrets cannot be separated from the rest, before a message quotes it."""
    try:
        split_url(location)
    except ValueError as error:
        raise UsageError(str(error)) from None


def hide_passwords(error: BaseException | None, message: str = "") -> None:
    """Hide the secrets of URLs in `error` and in the errors that led to it.

    Args:
        error: the error of a library, or None. Arguments and attributes that show a secret become text without it.
        message: a text whose secrets are hidden in the error, too, because libraries quote parts of a URL.
    """
    # Errors may refer to each other in a circle
    done: set[int] = set()
    while error is not None and id(error) not in done:
        done.add(id(error))
        with contextlib.suppress(Exception):  # a plugin's error may refuse to be changed
            error.args = tuple(_hide_in_value(one, message) for one in error.args)
            # The attributes of OSError are not in `vars`, because C code holds them
            for name in (*vars(error), "strerror", "filename", "filename2"):
                value = getattr(error, name, None)
                shown = _hide_in_value(value, message)
                if shown is not value:
                    setattr(error, name, shown)
        error = error.__cause__ or error.__context__


def _hide_in_value(value: object, message: str) -> object:
    """The value itself, or its text without secrets if the text shows some."""
    if isinstance(value, list):  # the notes of an error
        return [_hide_in_value(one, message) for one in value]
    shown = without_password(text := str(value), message)
    return value if shown == text else shown


def find_closest(name: str, known: Sequence[str]) -> str | None:
    """The one of the `known` names that somebody who wrote `name` most likely meant; None if none is similar."""
    # Another case comes first, because `difflib` would rate TEXT and text as unlike as any two words
    same = [one for one in known if one.casefold() == name.casefold()]
    return next(iter(same or difflib.get_close_matches(name, known, n=1, cutoff=0.6)), None)


def listed(names: Iterable[str], most: int = 12) -> str:
    """The first `most` of `names`, quoted and joined by commas; a long name is cut."""
    shown = (without_password(str(name)) for name in names)  # before a cut takes the @ after a password
    known = [name if len(name) <= MAX_NAME_LENGTH else f"{name[:MAX_NAME_LENGTH]}…" for name in shown]
    more = f" and {len(known) - most:,} more" if len(known) > most else ""
    return ", ".join(repr(name) for name in known[:most]) + more if known else "none at all"


def first_line(error: BaseException) -> str:
    """The message of another library's error in one line, or the error's type if there is no message."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # the __str__ of a plugin's exception may fail
        text = ""
    shown = without_password(text)
    if len(shown) > MAX_QUOTED_LENGTH:  # cut between words, because a part of a secret would not be found and hidden
        shown = shown[: MAX_QUOTED_LENGTH + 1].rpartition(" ")[0]
    return shown or type(error).__name__


def reason(error: BaseException) -> str:
    """The message of `error` in one line without its full stop, so that it fits into a sentence."""
    return first_line(error).rstrip(".")
