"""Checks an output against its manifest: digests of all files, rows of each as they are read, and rows of the input."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentiment_batch.data import formats
from sentiment_batch.errors import InputError, OutputError
from sentiment_batch.locations import without_password
from sentiment_batch.records import ReadOptions
from sentiment_batch.scoring.output import fingerprint
from sentiment_batch.scoring.output.manifest import digest_at, files_of, read_manifest
from sentiment_batch.scoring.output.paths import Layout, layout_of
from sentiment_batch.scoring.output.targets import SUCCESS

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """An output that is what its manifest says."""

    output: str
    files: int
    bytes: int
    rows: int
    bad_rows: int
    """Listed beside it."""
    input: str
    """What was found of the input: its rows agree, or why they were not counted."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        plural = "s" if self.files != 1 else ""
        bad = f", {self.bad_rows:,} of them listed as bad" if self.bad_rows else ""
        return (
            f"{self.output} is whole: {self.files:,} file{plural} of {self.bytes:,} bytes with the digests of the "
            f"manifest, {self.rows:,} rows{bad}; {self.input}"
        )


def verify(destination: str, on_bytes: Callable[[int], object] = lambda more: None) -> Verified:
    """Re-read everything that a scoring run published.

    Args:
        destination: the output, as it was named to `score`.
        on_bytes: told as the work goes on how many more bytes are checked.

    Raises:
        InputError: there is no manifest, or it is damaged.
        OutputError: a file is missing or not what was written, or rows are missing; the message names the first.
    """
    if os.path.isdir(destination):
        destination = destination.rstrip("/") + "/"
    layout = layout_of(destination, formats.writing_format(destination, _format_of(destination)))
    if layout.manifest is None:
        raise InputError(f"{destination} has no manifest: only files and folders have one. Name a file.")
    try:
        manifest = read_manifest(layout.manifest)
    except InputError as error:
        raise InputError(
            f"{error} Without a manifest nothing can be checked; `score` writes one beside every file and folder."
        ) from error
    for location, entry in files_of(destination, manifest["files"], is_folder=layout.is_folder):
        _check_file(location, entry)
        if entry["rows"]:  # JSON lines of no rows have no columns to read
            _check_rows(location, entry["rows"], manifest)
        on_bytes(entry["bytes"])
    if layout.is_folder:
        _check_folder(layout, manifest)
    rows = sum(entry["rows"] for entry in manifest["files"])
    if rows != manifest["rows"]:
        raise OutputError(f"{destination} has {rows:,} rows in its files where {manifest['rows']:,} were scored.")
    return Verified(
        output=without_password(destination),
        files=len(manifest["files"]),
        bytes=sum(entry["bytes"] for entry in manifest["files"]),
        rows=rows,
        bad_rows=_check_problems(layout, manifest["problems"]),
        input=_input_rows(manifest, rows),
    )


def _format_of(destination: str) -> str | None:
    """The format's name where the destination does not tell it: any will do to find the manifest."""
    from sentiment_batch.errors import UsageError

    try:
        formats.writing_format(destination)
    except UsageError:
        return "csv"
    return None


def _check_file(location: str, entry: dict[str, Any]) -> None:
    try:
        size, sha256 = digest_at(location)
    except (InputError, OSError) as error:
        raise OutputError(f"{location} is part of the output and cannot be read: {error}") from error
    if size != entry["bytes"]:
        raise OutputError(f"{location} has {size:,} bytes where {entry['bytes']:,} were written. {_CURE}")
    if sha256 != entry["sha256"]:
        raise OutputError(f"{location} is not what was written: its SHA-256 is another one. {_CURE}")


def _check_rows(location: str, rows: int, manifest: dict[str, Any]) -> None:
    name = manifest["--output-format"]
    if name not in {format.name for format in formats.plugins().readers}:
        return  # a plugin that writes what it does not read
    try:
        with closing(formats.open_reader(location, format=name)) as reader:
            found = _count(reader)
    except InputError as error:
        raise OutputError(f"{location} cannot be read back: {error}") from error
    if found != rows:
        raise OutputError(f"{location} has {found:,} rows where {rows:,} were written. {_CURE}")


def _check_folder(layout: Layout, manifest: dict[str, Any]) -> None:
    if layout.path is not None:
        names = [path.name for path in layout.path.iterdir()]
    else:
        from sentiment_batch.data.writers.remote import names_in

        names = names_in(layout.destination)
    if SUCCESS not in names:
        raise OutputError(f"{layout.destination} has no {SUCCESS}, so it is not whole. {_CURE}")
    known = {entry["name"] for entry in manifest["files"]} | {SUCCESS}
    foreign = sorted(set(names) - known)
    if foreign:
        raise OutputError(f"{layout.destination} holds {foreign[0]!r}, which is no part of the output. Take it out.")


def _check_problems(layout: Layout, problems: dict[str, Any] | None) -> int:
    if problems is None:
        return 0
    assert layout.problems is not None
    _check_file(layout.problems, problems)
    return int(problems["rows"])


def _input_rows(manifest: dict[str, Any], rows: int) -> str:
    """What the input says today of the number of rows.

    Raises:
        OutputError: it is the very input, and has another number of rows.
    """
    source = manifest["IN"]
    if manifest["input"] is None:
        return f"the rows of {source} cannot be counted again"
    reading = ReadOptions(
        encoding=manifest["--encoding"],
        delimiter=manifest["--delimiter"],
        quotes=not manifest["--no-quotes"],
        query=manifest.get("--query"),
        key=manifest.get("--key"),
        on_bad_row=(lambda problem: None) if manifest["--on-bad-row"] == "mark" else None,
    )
    try:
        format = formats.reading_format(source, manifest["--input-format"])
        with closing(formats.open_reader(source, format=format.name, options=reading)) as reader:
            if fingerprint.input_identity(reader, source, built_in=True) != manifest["input"]:
                return f"{source} has been changed since, so its rows say nothing"
            found = _count(reader)
    except InputError as error:
        return f"the rows of the input were not counted: {error}"
    limit = manifest["--limit"]
    expected = found if limit is None else min(found, limit)
    if expected != rows:
        raise OutputError(f"the output has {rows:,} rows where {source} has {expected:,}. {_CURE}")
    return f"{source} has as many rows"


def _count(reader: Reader) -> int:
    """The rows of a table, all of them read."""
    return sum(batch.num_rows for split in reader.splits() for batch in reader.batches(split))


_CURE = "Score again with --overwrite, or get the file again."
