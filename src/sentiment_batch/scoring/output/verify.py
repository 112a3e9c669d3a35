"""Checks an output against its manifest: the digest and the rows of each file, and the rows of the input."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentiment_batch.data import formats
from sentiment_batch.data.readers.base import stream_batches
from sentiment_batch.data.readers.input_state import drop_machine_bound
from sentiment_batch.errors import InputError, OutputError, SentimentBatchError
from sentiment_batch.locations import without_password
from sentiment_batch.records import ReadOptions
from sentiment_batch.report.formatting import format_quantity
from sentiment_batch.scoring.output import fingerprint
from sentiment_batch.scoring.output.manifest import locate_files, read_size_and_sha256
from sentiment_batch.scoring.output.targets import SUCCESS
from sentiment_batch.scoring.output.written_output import find_output, open_written_file

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.scoring.output.paths import OutputPaths

_CURE = "Score the table again and replace the output, or restore the file."


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifiedOutput:
    """An output that is what its manifest says."""

    output: str
    files: int
    bytes: int
    """Bytes of all files."""
    rows: int
    bad_rows: int
    """Rows in the list of bad rows."""
    input: str
    """What the input shows: the same number of rows, or why they were not counted."""

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        bad = f", {self.bad_rows:,} of them listed as bad" if self.bad_rows else ""
        return (
            f"{self.output} is complete: {format_quantity(self.files, 'file')} of {self.bytes:,} bytes with the "
            f"digests of the manifest, {format_quantity(self.rows, 'row')}{bad}; {self.input}"
        )


def verify_output(destination: str) -> VerifiedOutput:
    """Re-read everything that a scoring run published.

    Args:
        destination: the output, as it was named to `score`.

    Raises:
        InputError: there is no manifest, or it is damaged.
        OutputError: a file is missing or was changed, or rows are missing; the message names the first of them.
    """
    paths, manifest = find_output(destination)
    check_files(paths, manifest)
    destination, files = paths.destination, manifest["files"]
    for location, entry in locate_files(destination, files, is_folder=paths.is_folder):
        if entry["rows"]:  # JSON lines without rows have no columns to read
            _check_rows(location, entry["rows"], manifest["settings"]["output_format"])
    rows = sum(entry["rows"] for entry in files)
    return VerifiedOutput(
        output=without_password(destination),
        files=len(files),
        bytes=sum(entry["bytes"] for entry in files),
        rows=rows,
        bad_rows=_check_problems(paths, manifest["problems"]),
        input=_check_input(manifest, rows),
    )


def check_files(paths: OutputPaths, manifest: dict[str, Any]) -> None:
    """Compare the files of an output with its manifest: names, sizes, digests, and the sum of their rows.

    Raises:
        OutputError: a file is missing, was changed, or does not belong to the output.
    """
    files: list[dict[str, Any]] = manifest["files"]
    for location, entry in locate_files(paths.destination, files, is_folder=paths.is_folder):
        _check_file(location, entry)
    if paths.is_folder:
        _check_folder(paths, files)
    rows = sum(entry["rows"] for entry in files)
    if rows != manifest["rows"]:
        raise OutputError(
            f"{paths.destination} has {format_quantity(rows, 'row')} in its files, but {manifest['rows']:,} were "
            "scored."
        )


def _check_file(location: str, entry: dict[str, Any]) -> None:
    """Compare the size and the digest of a file with its entry in the manifest."""
    try:
        size, sha256 = read_size_and_sha256(location)
    except (InputError, OSError) as error:
        raise OutputError(f"{location} belongs to the output and cannot be read: {error}") from error
    # The size first, because a file that was cut off is the usual damage, and its size says more than a digest
    if size != entry["bytes"]:
        raise OutputError(f"{location} has {size:,} bytes, but {entry['bytes']:,} were written. {_CURE}")
    if sha256 != entry["sha256"]:
        raise OutputError(f"{location} was changed: its SHA-256 is not the one of the manifest. {_CURE}")


def _check_rows(location: str, rows: int, format_name: str) -> None:
    """Read a file, and count its rows."""
    try:
        if (reader := open_written_file(location, format_name)) is None:
            return
        # The digests are right by now. Reading shows whether what was written is a readable table with all rows.
        with closing(reader):
            found = _count_rows(reader)
    except InputError as error:
        raise OutputError(f"{location} cannot be read: {error}") from error
    if found != rows:
        raise OutputError(f"{location} has {format_quantity(found, 'row')}, but {rows:,} were written. {_CURE}")


def _check_folder(paths: OutputPaths, files: list[dict[str, Any]]) -> None:
    """Check that a folder holds the files of the manifest, the mark of success, and nothing else."""
    names = paths.list_names()
    if SUCCESS not in names:
        raise OutputError(f"{paths.destination} has no {SUCCESS}, so it is not complete. {_CURE}")
    others = sorted(set(names) - {entry["name"] for entry in files} - {SUCCESS})
    if others:
        raise OutputError(f"{paths.destination} holds {others[0]!r}, which is not part of the output. Remove it.")


def _check_problems(paths: OutputPaths, problems: dict[str, Any] | None) -> int:
    """Check the list of bad rows; returns their number."""
    if problems is None:
        return 0
    _check_file(str(paths.problems), problems)
    return int(problems["rows"])


def _check_input(manifest: dict[str, Any], rows: int) -> str:
    """Compare the number of rows with the input, if it is still the same; returns what was found, in words.

    Raises:
        OutputError: the input is the same, and has another number of rows.
    """
    source, settings = manifest["source"], manifest["settings"]
    if manifest["input_state"] is None:
        return f"the rows of {source} cannot be counted again"
    # Read the input as the run did, or the number of rows could not be compared
    marks = settings.get("on_bad_row") == "mark"
    read = ReadOptions(
        **{name: settings.get(name) for name in fingerprint.READ_SETTINGS},
        skip_rows=settings.get("skip_rows") or 0,
        on_bad_row=(lambda problem: None) if marks else None,
    )
    input_format = settings["input_format"]
    try:
        with closing(formats.open_reader(source, format=input_format, options=read)) as reader:
            now = fingerprint.read_input_state(reader, source, input_format)
            if manifest["input_state"] not in (now, drop_machine_bound(now)):  # older versions stored less
                return f"{source} was changed since, so the number of its rows was not compared"
            found = _count_rows(reader)
    except SentimentBatchError as error:  # a plugin may be missing, or fail
        return f"the rows of the input were not counted: {error}"
    limit = settings.get("limit")
    expected = found if limit is None else min(found, limit)
    if expected != rows:
        raise OutputError(f"the output has {format_quantity(rows, 'row')}, but {source} has {expected:,}. {_CURE}")
    return f"{source} has the same number of rows"


def _count_rows(reader: Reader) -> int:
    """Read all rows of a table, and count them."""
    return sum(batch.num_rows for batch in stream_batches(reader))
