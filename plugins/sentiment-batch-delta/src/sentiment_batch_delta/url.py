"""Parses the URL of a table: the folder, the version to read, and whether rows are added."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import unquote

from sentiment_batch import UsageError, split_url, without_password

_OTHER_PLACES = re.compile(r"[\w+.-]+:/")
"""The start of another URL after `delta://`, such as `s3://`."""

_PERCENT_CODE = re.compile("%[0-9A-Fa-f]{2}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TableUrl:
    """A table on this machine's disk."""

    path: str
    """The absolute path of the table's folder, with links resolved."""
    version: int | None
    """The version to read; None for the newest one."""
    appends: bool
    """True if rows are added to the table."""
    shown: str
    """The location for messages."""


def is_misread(path: str) -> bool:
    """True if deltalake would open another path, because it decodes percent codes in paths.

    >>> [is_misread(path) for path in ("/data/100%", "/data/a%41")]
    [False, True]
    """
    return _PERCENT_CODE.search(path) is not None


def parse_url(location: str) -> TableUrl:
    """Parse the URL of a table.

    Args:
        location: such as `delta://tables/reviews` or `delta:///data/reviews?version=3`. Percent codes stand for
            characters, and `~` for the home folder.

    Raises:
        UsageError: it names no folder, or has a parameter that is unknown or has no valid value.
    """
    shown = without_password(location)
    try:
        url = split_url(location)
    except ValueError as error:
        raise UsageError(str(error)) from None
    path = os.path.expanduser(unquote(url.place))
    if url.scheme != "delta" or url.user is not None or not path.strip("/"):
        raise UsageError(
            f"{shown} names no folder. Write delta://folder/table for a folder below this one, or "
            "delta:///folder/table for a path from the root."
        )
    if _OTHER_PLACES.match(path):
        raise UsageError(f"{shown} is not on this machine. Copy the table, or export its rows to Parquet.")
    path = os.path.realpath(path)
    if is_misread(path):
        raise UsageError(f"{shown} has a folder with a percent code in its name, which deltalake misreads. Rename it.")
    parameters = {name: unquote(value) for name, value in url.parameters}
    version, mode = parameters.pop("version", None), parameters.pop("mode", None)
    if parameters:
        raise UsageError(f"{shown} has the parameter {next(iter(parameters))!r}. The parameters are version and mode.")
    if version is not None and not re.fullmatch("[0-9]{1,18}", version):
        raise UsageError(f"{shown} has the version {version!r}. Write a whole number, such as ?version=3.")
    if mode not in (None, "append"):
        raise UsageError(f"{shown} has the mode {mode!r}. The only mode is ?mode=append, which adds rows to a table.")
    return TableUrl(
        path=path,
        version=None if version is None else int(version),
        appends=mode == "append",
        shown=shown,
    )
