"""Explains why no installed format reads or writes a location, and what to do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from sentiment_batch.data.readers.dataset import names_several_files
from sentiment_batch.errors import InputError, SentimentBatchError, UsageError, listed
from sentiment_batch.files.filesystems import local_path
from sentiment_batch.locations import scheme_of, suffix_of

if TYPE_CHECKING:
    from sentiment_batch.plugins.registry import Registry

Kind = Literal["readers", "writers"]
_EXCEL = "needs the plugin for Excel workbooks. Install it with pip install sentiment-batch-excel"
_SQL = "needs the plugin for databases. Install it with pip install sentiment-batch-sql"
_DELTA = "needs the plugin for Delta Lake tables. Install it with pip install sentiment-batch-delta"
_NAME_A_TABLE = "is a database. Name one of its tables with a URL such as {}?table=reviews"
_DATABASE_FILES = {
    **dict.fromkeys((".db", ".sqlite", ".sqlite3"), _NAME_A_TABLE.format("sqlite:///shop.db")),
    ".duckdb": _NAME_A_TABLE.format("duckdb:///shop.duckdb"),
}
_EXPORT = "is a database that no plugin reads. Export the rows of a query to Parquet or CSV, and name that file"
NEEDED = {
    **dict.fromkeys((".xlsx", ".xlsm", "excel"), _EXCEL),
    ".xls": "is a workbook of an old Excel. Save it as .xlsx or as CSV",
    ".ods": "is a spreadsheet of LibreOffice. Save it as .xlsx or as CSV",
    **dict.fromkeys(("postgresql", "postgres", "sqlite", "duckdb", "sql"), _SQL),
    "delta": _DELTA,
    **_DATABASE_FILES,
    **dict.fromkeys(("mysql", "mariadb", "snowflake", "mssql", "oracle", "redshift", "bigquery", "mongodb"), _EXPORT),
}
"""What to do with a file ending, URL scheme or format name that nothing installed reads or writes."""


def explain_unknown(kind: Kind, location: str, name: str | None, registry: Registry) -> SentimentBatchError:
    """The error for a location that no format claims, or for the name of no format.

    Args:
        kind: whether the location was to be read or written.
        location: the location.
        name: the format that the caller named, or None.
        registry: all formats of this kind.

    Raises:
        InputError: the first bytes of the file show what it is. Then this error is the clearest one.
    """
    path = local_path(location) or ""
    if message := _explain_need(kind, location, name, registry):
        return UsageError(message)
    known = listed(candidate.name for candidate in registry)
    setting = "input_format" if kind == "readers" else "output_format"
    if name is not None:
        return UsageError(f"no format is called {name!r}; `{setting}` takes one of {known}.")
    if kind == "writers":
        return UsageError(f"the name {location!r} does not show the format; give `{setting}` with one of {known}.")
    if os.path.isfile(path):
        from sentiment_batch.data.readers.unknown_files import refuse_known_kind

        refuse_known_kind(location)
    # A path that does not exist is likelier misspelt than of an unknown format
    if not (location == "-" or "://" in location or names_several_files(location) or os.path.exists(path)):
        return InputError(f"{location} is not there. Check the path; the formats are {known}.")
    return UsageError(
        f"the name {location!r} does not show the format; give `{setting}` with one of {known}. Lines of text, and "
        "tables with any delimiter, are csv."
    )


def _explain_need(kind: Kind, location: str, name: str | None, registry: Registry) -> str | None:
    """What a file, database or format name needs to be read or written, if that is known; else None.

    Raises:
        InputError: the file has the ending of an old workbook, and is text or a web page.
    """
    key = name or scheme_of(location).partition("+")[0] or suffix_of(location)
    path = local_path(location) or ""
    # Of a file to read, the ending counts only if the file is there. Else its path is likelier misspelt.
    if key not in NEEDED or not (name or kind == "writers" or scheme_of(location) or os.path.exists(path)):
        return None
    # Many programs give a text or a web page the ending .xls. So the first bytes decide which cure is named.
    if key == ".xls" and kind == "readers" and os.path.isfile(path):
        from sentiment_batch.data.readers.unknown_files import refuse_no_workbook

        refuse_no_workbook(location)
    more = f" It {_SQL}." if key in _DATABASE_FILES and registry.named("sql") is None else ""
    return f"{location} {NEEDED[key]}.{more}"
