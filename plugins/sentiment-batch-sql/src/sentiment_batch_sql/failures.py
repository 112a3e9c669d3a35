"""What drivers and pyarrow raise, turned into one line with a cure and without anything secret."""

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

    from sentiment_batch_sql.url import Place

_PREFIX = re.compile(r"^(?:[A-Z_]+: )?(?:\[\w+\] )?(?:Failed to [\w ]+: )?(?:PGRES_FATAL_ERROR )?(?:ERROR: +)?")
_VALUES = r"out of range|invalid (byte|input)|encoding|convert|would lose|would result|duplicate key|too long|mismatch"
_OTHER_VALUES = {
    InputError: "Leave the column out of a --query, or cast it there.",
    OutputError: "Leave the column out with --columns, or write Parquet.",
}
_REACH = "See to it that the server runs and can be reached, and give the same command again."
_CURES = (
    (
        r"password|authentication|role .* does not exist",
        "Check user and password: PGPASSWORD and ~/.pgpass are honoured.",
    ),
    (r"permission denied|must be owner", "Ask for the permission, or name another user."),
    (r"read-?only", "Only a SELECT can be read, and a file that is written needs the permission."),
    (r"too many|remaining connection slots", "Try again when fewer programs are connected."),
    (r"database .* does not exist", "Check the name of the database."),
    (r"does not exist|no such (table|column)", "Check the name; capitals count, and so does the schema."),
    (r"syntax error|parser error|incomplete input", "Check the query: it is one SELECT."),
    (r"lock", "Close the program that has it open, and give the same command again."),
    (r"disk|no space|could not (extend|write)", "Free some space there."),
    (r"not a (valid duckdb )?database", "Check the path."),
    (r"connect|server|terminat|shut|crash|translate host|timeout|timed out", _REACH),
)


def said(error: BaseException) -> str:
    """The sentence of a driver's error that says what is wrong; it names neither the query nor the driver."""
    details = dict(getattr(error, "details", None) or ())
    if (primary := details.get(b"PG_DIAG_MESSAGE_PRIMARY")) is not None:
        return " ".join(primary.decode(errors="replace").split())
    text = str(error).strip()
    lines = (line.strip() for line in _PREFIX.sub("", text).splitlines())
    line = next(filter(None, lines), "") or type(error).__name__
    with contextlib.suppress(ValueError, TypeError, KeyError):
        line = json.loads(line)["exception_message"]  # as DuckDB says what it cannot take
    return " ".join(line.split())[:400].rstrip(" .!")


@contextlib.contextmanager
def failures_named(place: Place, kind: type[InputError] | type[OutputError]) -> Iterator[None]:
    """Turn what drivers and pyarrow raise into one line about `place`; bugs and interrupts pass.

    Raises:
        InputError: or OutputError, whichever `kind` is.
    """
    try:
        yield
    except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
        why = place.without_secrets(said(error))
        cures = ((_VALUES, _OTHER_VALUES[kind]), *_CURES, ("", "Check the URL."))
        cure = next(cure for pattern, cure in cures if re.search(pattern, why, re.IGNORECASE))
        doing = "read" if kind is InputError else "written"
        # The driver's own error quotes the query and, at worst, the URL: a traceback must not show it.
        raise kind(f"{place.shown} cannot be {doing}: {why}. {cure}") from None
