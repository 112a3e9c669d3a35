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
    from sentiment_batch_delta.url import Place

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


def find_table(place: Place, kind: type[InputError] | type[OutputError]) -> DeltaTable | None:
    """Open the table at a place, in the version that the place names; None if there is no table.

    Args:
        place: the table.
        kind: the type of the error.

    Raises:
        InputError: or OutputError: the log is damaged, or needs a feature that deltalake lacks; or the version is not
            there.
    """
    if not os.path.isdir(os.path.join(place.path, LOG)):
        return None
    with translate_errors(place, kind):
        _refuse_empty_commits(place, kind)
        try:
            newest = DeltaTable(place.path)
        except TableNotFoundError:
            return None
        if place.version is None or place.version == newest.version():
            return newest
        if place.version > newest.version():
            raise kind(f"{place.shown} has no version {place.version}. The newest one is {newest.version()}.")
        return DeltaTable(place.path, version=place.version)


def check_readable(table: DeltaTable, place: Place) -> None:
    """Make sure that all rows of a table can be read.

    Raises:
        InputError: it needs a feature that is not supported.
    """
    protocol = table.protocol()
    features = set(protocol.reader_features or ())
    if protocol.min_reader_version > MAX_READER_VERSION:
        _refuse(place, InputError, f"version {protocol.min_reader_version} of the protocol")
    if unknown := sorted(features - READABLE):
        _refuse(place, InputError, f"the feature {unknown[0]}")
    _refuse_rare_features(table, place, InputError)


def check_writable(table: DeltaTable, place: Place, *, overwrite: bool) -> None:
    """Make sure that rows can be added to a table, or that its rows can be replaced.

    Raises:
        OutputError: it needs a feature that is not supported, or has a rule for its rows.
    """
    protocol, metadata = table.protocol(), table.metadata()
    features = set(protocol.reader_features or ()) | set(protocol.writer_features or ())
    if protocol.min_writer_version > MAX_WRITER_VERSION:
        _refuse(place, OutputError, f"version {protocol.min_writer_version} of the protocol")
    if unknown := sorted(features - WRITABLE):
        _refuse(place, OutputError, f"the feature {unknown[0]}")
    _refuse_rare_features(table, place, OutputError)
    if metadata.partition_columns:
        _refuse(place, OutputError, f"partitions by {metadata.partition_columns[0]!r}")
    if constraint := next((name for name in metadata.configuration if name.startswith(_CONSTRAINT)), None):
        _refuse(place, OutputError, f"the constraint {constraint.removeprefix(_CONSTRAINT)!r}")
    if overwrite and metadata.configuration.get("delta.appendOnly") == "true":
        raise OutputError(f"{place.shown} only takes more rows. Add rows with ?mode=append, or name another table.")
    for field in table.schema().fields:
        if not overwrite and (rule := next((name for name in _RULES_OF_COLUMNS if name in field.metadata), None)):
            _refuse(place, OutputError, f"the rule {rule} of the column {field.name!r}")


def _refuse_empty_commits(place: Place, kind: type[InputError] | type[OutputError]) -> None:
    """Refuse a table with an empty commit, as a power cut may leave it. deltalake reads it without its rows."""
    log = os.path.join(place.path, LOG)
    for name in filter(_COMMIT.fullmatch, os.listdir(log)):
        with contextlib.suppress(FileNotFoundError):  # Another program has just removed the file.
            if os.path.getsize(os.path.join(log, name)) == 0:
                raise kind(f"{place.shown} is damaged: the commit {name} is empty. Restore that file or the table.")


def _refuse_rare_features(table: DeltaTable, place: Place, kind: type[InputError] | type[OutputError]) -> None:
    """Refuse features that a table may allow without using them, if the table uses them."""
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        _refuse(place, kind, "columns with other names in the files (columnMapping)")
    if '"variant"' in table.schema().to_json():
        _refuse(place, kind, "a column of the type variant")
    if "deletionVectors" in (table.protocol().reader_features or ()) and _has_deletion_vectors(table):
        _refuse(place, kind, "deletion vectors")


def _has_deletion_vectors(table: DeltaTable) -> bool:
    """True if a file of the table has rows that count as deleted."""
    try:
        return any(batch.num_rows for batch in table.deletion_vectors())
    except Exception:  # deltalake reads the vectors themselves, which may be damaged
        return True


def _refuse(place: Place, kind: type[InputError] | type[OutputError], what: str) -> None:
    doing, cure = (
        ("read", "Export its rows to Parquet with a program that supports it.")
        if kind is InputError
        else ("written", "Name another table.")
    )
    raise kind(f"{place.shown} cannot be {doing}: it has {what}, which is not supported. {cure}")
