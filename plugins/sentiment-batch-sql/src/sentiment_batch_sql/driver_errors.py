"""Turns the errors of drivers and of pyarrow into one line that says what to do and shows no secret."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING

import adbc_driver_manager
import pyarrow as pa

from sentiment_batch import InputError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentiment_batch_sql.url import DatabaseUrl

MAX_QUOTED_LENGTH = 400
"""Characters that are quoted of a driver's message."""
_PREFIX = re.compile(r"^(?:[A-Z_]+: )?(?:\[\w+\] )?(?:Failed to [\w ]+: )?(?:PGRES_FATAL_ERROR )?(?:ERROR: +)?")
_VALUES = r"out of range|invalid (byte|input)|encoding|convert|would lose|would result|duplicate key|too long|mismatch"
_OTHER_VALUES = {
    InputError: "Leave the column out with `query`, or cast it there.",
    OutputError: "Leave the column out with `columns`, or write Parquet.",
}
_REACH = "Check that the server runs and can be reached, and run the same command again."
_ADVICE = (
    (
        r"password|authentication|role .* does not exist",
        "Check user and password. PGPASSWORD and ~/.pgpass are read.",
    ),
    (r"permission denied|must be owner", "Ask for the permission, or name another user."),
    (r"read-?only", "Only a SELECT can be read, and a file to be written needs write permission."),
    (r"too many|remaining connection slots", "Try again when fewer programs are connected."),
    (r"database .* does not exist", "Check the name of the database."),
    (r"does not exist|no such (table|column)", "Check the name and its schema. Upper and lower case matter."),
    (r"syntax error|parser error|incomplete input", "Check the query: it must be one SELECT."),
    (r"lock", "Close the program that has it open, and run the same command again."),
    (r"disk|no space|could not (extend|write)", "Free some space there."),
    (r"not a (valid duckdb )?database", "Check the path."),
    (r"connect|server|terminat|shut|crash|translate host|timeout|timed out", _REACH),
)


def describe_error(error: BaseException) -> str:
    """The sentence of an error of a driver that says what is wrong, without the query and the name of the driver."""
    details = dict(getattr(error, "details", None) or ())
    if (primary := details.get(b"PG_DIAG_MESSAGE_PRIMARY")) is not None:
        return " ".join(primary.decode(errors="replace").split())
    text = str(error).strip()
    lines = (line.strip() for line in _PREFIX.sub("", text).splitlines())
    line = next(filter(None, lines), "") or type(error).__name__
    with contextlib.suppress(ValueError, TypeError, KeyError):
        line = json.loads(line)["exception_message"]  # DuckDB reports some errors as JSON
    return " ".join(line.split())


@contextlib.contextmanager
def translate_errors(url: DatabaseUrl, kind: type[InputError] | type[OutputError]) -> Iterator[None]:
    """Turn errors of drivers and of pyarrow into an error of one line about `url`. Bugs and interrupts pass.

    Raises:
        InputError: or OutputError; the type is `kind`.
    """
    try:
        yield
    except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
        # The text is cut last, because no search finds a part of a secret.
        why = url.without_secrets(describe_error(error))[:MAX_QUOTED_LENGTH].rstrip(" .!")
        advice = ((_VALUES, _OTHER_VALUES[kind]), *_ADVICE, ("", "Check the URL."))
        step = next(step for pattern, step in advice if re.search(pattern, why, re.IGNORECASE))
        doing = "read" if kind is InputError else "written"
        # The error of the driver quotes the query and sometimes the URL, so the traceback must not show it.
        raise kind(f"{url.shown} cannot be {doing}: {why}. {step}") from None
