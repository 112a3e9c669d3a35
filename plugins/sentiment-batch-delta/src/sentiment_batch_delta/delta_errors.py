"""Turns the errors of deltalake, pyarrow and the system into one line that says what to do."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake.exceptions import DeltaError

from sentiment_batch import InputError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentiment_batch_delta.url import TableUrl

MAX_QUOTED_LENGTH = 400
"""Maximum number of characters to quote from a message of a library."""
_PREFIX = re.compile(r"^(?:(?:Generic delta kernel|Kernel|External|Json|Generic|Arrow|Schema) error: |Unsupported: )+")
_ADVICE = (
    (
        r"would lose|out of (range|bounds)|unsupported cast|no kernel|the column ",
        "Leave the column out with `columns`.",
    ),
    (r"feature|reader version|writer version|unsupported", "Use a program that supports it to export the rows."),
    (
        r"json|log segment|metadata or protocol|checkpoint|whilst|parsing|deserial",
        "Its log is damaged. Restore the table, or name another.",
    ),
    (r"no space|disk quota", "Free some space there."),
    (r"permission|not permitted|read-only", "Ask for the permission, or name another table."),
)


def describe_error(error: BaseException) -> str:
    """The sentence of a library's error, without its stack.

    >>> describe_error(DeltaError("Kernel error: Unsupported: Feature 'x' is not supported"))
    "Feature 'x' is not supported"
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = (line.strip() for line in str(error).splitlines())
    line = next(filter(None, lines), "") or type(error).__name__
    return _PREFIX.sub("", line)[:MAX_QUOTED_LENGTH].rstrip(" .")


@contextlib.contextmanager
def translate_errors(url: TableUrl, kind: type[InputError] | type[OutputError]) -> Iterator[None]:
    """Turn errors of deltalake, pyarrow and the system into an error of one line about `url`. Bugs pass.

    Raises:
        InputError: or OutputError; the type is `kind`.
    """
    try:
        yield
    except (DeltaError, pa.ArrowException, OSError) as error:
        why = describe_error(error)
        advice = (*_ADVICE, ("", "Check the table."))
        step = next(step for pattern, step in advice if re.search(pattern, why, re.IGNORECASE))
        doing = "read" if kind is InputError else "written"
        raise kind(f"{url.shown} cannot be {doing}: {why}. {step}") from error
