"""Opens a table, and refuses one with a feature that is not supported."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from sentiment_batch import InputError, OutputError
from sentiment_batch_delta.delta_errors import translate_errors

if TYPE_CHECKING:
    from sentiment_batch_delta.url import TableUrl

LOG = "_delta_log"
"""The folder in a table that holds its log."""
MAX_READER_VERSION = 3
MAX_WRITER_VERSION = 7
"""The versions of the protocol in which a table lists the features that it needs."""
READABLE = {
    "columnMapping",  # unless a table uses it
    "deletionVectors",  # the same
    "timestampNtz",
    "v2Checkpoint",
    "vacuumProtocolCheck",
    "variantType",  # unless a column has that type
    "variantType-preview",
}
"""Features of tables that can be read."""
WRITABLE = {
    *("appendOnly", "changeDataFeed", "checkConstraints", "columnMapping", "deletionVectors", "generatedColumns"),
    *("identityColumns", "invariants", "timestampNtz", "vacuumProtocolCheck", "variantType", "variantType-preview"),
}
"""Features of tables that can be written, unless a table uses one that must be refused."""
_RULES_OF_COLUMNS = ("delta.invariants", "delta.generationExpression", "delta.identity.start")
_CONSTRAINT = "delta.constraints."
_COMMIT = re.compile(r"[0-9]{20}\.json")


def find_table(url: TableUrl, kind: type[InputError] | type[OutputError]) -> DeltaTable | None:
    """Open the table of a URL, in the version that it names; None if there is no table.

    Args:
        url: the table.
        kind: the type of the error.

    Raises:
        InputError: or OutputError: the log is damaged, or needs a feature that deltalake lacks; or the version is not
            there.
    """
    if not os.path.isdir(os.path.join(url.path, LOG)):
        return None
    with translate_errors(url, kind):
        _refuse_empty_commits(url, kind)
        try:
            newest = DeltaTable(url.path)
        except TableNotFoundError:
            return None
        if url.version is None or url.version == newest.version():
            return newest
        if url.version > newest.version():
            raise kind(f"{url.shown} has no version {url.version}. The newest one is {newest.version()}.")
        return DeltaTable(url.path, version=url.version)


def check_readable(table: DeltaTable, url: TableUrl) -> None:
    """Make sure that all rows of a table can be read.

    Raises:
        InputError: it needs a feature that is not supported.
    """
    protocol = table.protocol()
    features = set(protocol.reader_features or ())
    if protocol.min_reader_version > MAX_READER_VERSION:
        _refuse(url, InputError, f"version {protocol.min_reader_version} of the protocol")
    if unknown := sorted(features - READABLE):
        _refuse(url, InputError, f"the feature {unknown[0]}")
    _refuse_rare_features(table, url, InputError)


def check_writable(table: DeltaTable, url: TableUrl, *, overwrite: bool) -> None:
    """Make sure that rows can be added to a table, or that its rows can be replaced.

    Raises:
        OutputError: it needs a feature that is not supported, or has a rule for its rows.
    """
    protocol, metadata = table.protocol(), table.metadata()
    features = set(protocol.reader_features or ()) | set(protocol.writer_features or ())
    if protocol.min_writer_version > MAX_WRITER_VERSION:
        _refuse(url, OutputError, f"version {protocol.min_writer_version} of the protocol")
    if unknown := sorted(features - WRITABLE):
        _refuse(url, OutputError, f"the feature {unknown[0]}")
    _refuse_rare_features(table, url, OutputError)
    if metadata.partition_columns:
        _refuse(url, OutputError, f"partitions by {metadata.partition_columns[0]!r}")
    if constraint := next((name for name in metadata.configuration if name.startswith(_CONSTRAINT)), None):
        _refuse(url, OutputError, f"the constraint {constraint.removeprefix(_CONSTRAINT)!r}")
    if overwrite and metadata.configuration.get("delta.appendOnly") == "true":
        raise OutputError(f"{url.shown} only takes more rows. Add rows with ?mode=append, or name another table.")
    for field in table.schema().fields:
        if not overwrite and (rule := next((name for name in _RULES_OF_COLUMNS if name in field.metadata), None)):
            _refuse(url, OutputError, f"the rule {rule} of the column {field.name!r}")


def _refuse_empty_commits(url: TableUrl, kind: type[InputError] | type[OutputError]) -> None:
    """Refuse a table with an empty commit, as a power cut may leave it. deltalake reads it without its rows."""
    log = os.path.join(url.path, LOG)
    for name in filter(_COMMIT.fullmatch, os.listdir(log)):
        with contextlib.suppress(FileNotFoundError):  # Another program has just removed the file.
            if os.path.getsize(os.path.join(log, name)) == 0:
                raise kind(f"{url.shown} is damaged: the commit {name} is empty. Restore that file or the table.")


def _refuse_rare_features(table: DeltaTable, url: TableUrl, kind: type[InputError] | type[OutputError]) -> None:
    """Refuse features that a table may allow without using them, if the table uses them."""
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        _refuse(url, kind, "columns with other names in the files (columnMapping)")
    if '"variant"' in table.schema().to_json():
        _refuse(url, kind, "a column of the type variant")
    if "deletionVectors" in (table.protocol().reader_features or ()) and _has_deletion_vectors(table):
        _refuse(url, kind, "deletion vectors")


def _has_deletion_vectors(table: DeltaTable) -> bool:
    """True if a file of the table has rows that count as deleted."""
    try:
        return any(batch.num_rows for batch in table.deletion_vectors())
    except Exception:  # deltalake reads the vectors themselves, which may be damaged
        return True


def _refuse(url: TableUrl, kind: type[InputError] | type[OutputError], what: str) -> None:
    doing, cure = (
        ("read", "Export its rows to Parquet with a program that supports it.")
        if kind is InputError
        else ("written", "Name another table.")
    )
    raise kind(f"{url.shown} cannot be {doing}: it has {what}, which is not supported. {cure}")
