"""The manifest of an output, OUT.manifest.json: its files with their digests, and what the output was made from.

The manifest is written into the work folder before the output is published, and copied beside the output after that. So
a later run can see whether an interrupted run had published its output.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch.data import formats
from sentiment_batch.data.writers.remote import remove_file, send_file
from sentiment_batch.data.writers.write_errors import translate_write_errors
from sentiment_batch.errors import InputError, OutputError
from sentiment_batch.files import atomic
from sentiment_batch.files.checksums import MAX_JSON_BYTES, checked_json, parse_checked_json, read_checked_json
from sentiment_batch.scoring.output.journal import MemoryJournal, get_leftovers_folder
from sentiment_batch.scoring.output.manifest_values import has_source, is_manifest
from sentiment_batch.scoring.output.own_files import CHUNK_BYTES, check_neighbours, open_stored
from sentiment_batch.scoring.output.part_files import MANIFEST, PART_PREFIX, PROBLEMS
from sentiment_batch.scoring.output.run_record import read_run_record, write_run_record
from sentiment_batch.scoring.output.targets import SUCCESS, open_claim

if TYPE_CHECKING:
    from sentiment_batch.plugins.registry import Format
    from sentiment_batch.scoring.output.journal import Journal
    from sentiment_batch.scoring.output.paths import OutputPaths
    from sentiment_batch.scoring.output.targets import Target

FORMAT = 3
"""The format of a manifest; it rises when an older reader would misunderstand a manifest."""


def publish(paths: OutputPaths, journal: Journal, target: Target, description: dict[str, Any]) -> None:
    """Publish an output whose rows are all written, then the list of bad rows, then the manifest.

    Args:
        paths: where to.
        journal: all parts of the output.
        target: the written output.
        description: what the manifest holds besides the files.

    Raises:
        OutputError: something could not be written, or appeared at the destination. The output is not published, or a
            later run completes it.
    """
    # 1. All bytes are on disk, and nothing is visible yet
    problems = _gather_problems(journal)
    files = target.finish()
    manifest = {"format": FORMAT, "files": files, "problems": problems} | description
    # 2a. Without a place for a manifest, such as a database: the ID is recorded first. A later run asks for it.
    if paths.beside is None:
        if target.run_id is not None:
            write_run_record(journal.folder, target.run_id, manifest)
        target.publish()
        return
    check_neighbours(paths)  # hours may lie between the two looks
    # 2b. The writer of a plugin that does not say what it wrote. An older manifest would describe other bytes.
    if files is None:
        _replace_neighbours(paths, journal.folder, has_problems=problems is not None, has_manifest=False)
        target.publish()
        return
    # 2c. The manifest in the work folder is the point from which on a killed run is completed, not repeated: if the
    #     output is what it says, `complete_publication` does the rest
    with translate_write_errors(str(journal.folder)):
        atomic.write_whole(journal.folder / MANIFEST, checked_json(manifest))
    target.publish()
    _replace_neighbours(paths, journal.folder, has_problems=problems is not None)
    target.release()


def complete_publication(paths: OutputPaths, journal: Journal | MemoryJournal, format: Format) -> dict[str, Any] | None:
    """Complete the work of a run that ended after it had published its output.

    It may have ended before its manifest lay beside the output, or while it removed its work folder. It changes
    nothing if the output is not what the manifest says.

    Args:
        paths: where the output is.
        journal: its journal.
        format: its format.

    Returns:
        The manifest; None if there was no such run.

    Raises:
        OutputError: the manifest cannot be put in its place, or the output cannot be looked at.
        PluginError: the plugin of the format failed.
    """
    if isinstance(journal, MemoryJournal):
        return None
    if paths.beside is None:
        record = read_run_record(journal.folder)
        is_published = record is not None and formats.has_run_id(paths.destination, format, record["run_id"])
        return record if is_published else None
    found = read_checked_json(journal.folder / MANIFEST)
    if found is not None and is_manifest(found) and _is_published(paths, found["files"]):
        if claim := open_claim(paths):
            claim.take()
        check_neighbours(paths)
        _replace_neighbours(paths, journal.folder, has_problems=found["problems"] is not None)
        if claim:
            claim.release()
        return found
    # The output is not what the manifest says, so that run had not published. Its manifest must not outlive it.
    atomic.remove(journal.folder / MANIFEST)
    atomic.remove(journal.folder / PROBLEMS)
    if not get_leftovers_folder(journal.folder).exists():
        return None
    # The run died while it removed its work folder, so the manifest lies beside the output already
    try:
        found = read_manifest(str(paths.manifest))
    except InputError:
        return None
    return found if _is_published(paths, found["files"]) else None


def read_manifest(location: str) -> dict[str, Any]:
    """The manifest at a location; one of an older format is returned with the current keys.

    Raises:
        InputError: it is not there, or not what was written.
    """
    # Bounded, because anything may lie there. The digest in the file shows a change of any byte.
    with open_stored(location) as file:
        found = parse_checked_json(file.read(MAX_JSON_BYTES))
    whole = None if found is None or not is_manifest(found) else _convert(found)
    if whole is None or not has_source(whole):
        raise InputError(f"{location} is damaged, or of another version: it is not what was written. Score again.")
    return whole


def read_size_and_sha256(location: str) -> tuple[int, str]:
    """The size in bytes and the SHA-256 of a file.

    Raises:
        InputError: it is not there.
        OSError: it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    with open_stored(location) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def locate_files(
    destination: str, files: list[dict[str, Any]], *, is_folder: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The location of each file of an output, with its entry in the manifest."""
    for entry in files:
        yield (f"{destination.rstrip('/')}/{entry['name']}" if is_folder else destination), entry


def _convert(manifest: dict[str, Any]) -> dict[str, Any] | None:
    """A manifest with the keys of the current format; None if its format is not known."""
    if manifest.get("format") not in (1, 2):
        return manifest if manifest.get("format") == FORMAT else None
    # Up to format 2, the state of the input stood under the key of its description.
    older = manifest if manifest["format"] == 2 else _convert_format_1(manifest)
    return older | {"input": None, "input_state": manifest.get("input")}


def _convert_format_1(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest of version 0.1, whose settings stood as options of the command line among the other keys."""
    settings = {name[2:].replace("-", "_"): value for name, value in manifest.items() if name.startswith("--")}
    settings["quotes"] = not settings.pop("no_quotes", False)
    return manifest | {"source": manifest.get("IN"), "settings": settings}


def _is_published(paths: OutputPaths, files: list[dict[str, Any]]) -> bool:
    """True if exactly these files are at the destination."""
    try:
        if paths.is_folder:
            read_size_and_sha256(f"{paths.destination.rstrip('/')}/{SUCCESS}")
            parts = {name for name in paths.list_names() if name.startswith(PART_PREFIX)}
            if not parts <= {entry["name"] for entry in files}:
                return False  # an older data set that begins with the same parts
        return all(
            read_size_and_sha256(location) == (entry["bytes"], entry["sha256"])
            for location, entry in locate_files(paths.destination, files, is_folder=paths.is_folder)
        )
    except (InputError, OutputError, OSError):
        return False


def _gather_problems(journal: Journal) -> dict[str, Any] | None:
    """Put the bad rows of all parts into one file of the work folder; its size and digest, None if no row is bad."""
    if not any(part.problems for part in journal.parts):
        return None
    digest, size, rows = hashlib.sha256(), 0, 0
    with translate_write_errors(str(journal.folder)), atomic.replace_file(journal.folder / PROBLEMS) as file:
        for lines in journal.read_problems():
            file.write(lines)
            digest.update(lines)
            size += len(lines)
            rows += lines.count(b"\n")
    return {"rows": rows, "bytes": size, "sha256": digest.hexdigest()}


def _replace_neighbours(paths: OutputPaths, folder: Path, *, has_problems: bool, has_manifest: bool = True) -> None:
    """Put the list of bad rows and the manifest of a work folder beside the output, and remove those of an older one.

    The manifest comes last, because it shows that all is complete.
    """
    for name, location, wanted in (
        (PROBLEMS, str(paths.problems), has_problems),
        (MANIFEST, str(paths.manifest), has_manifest),
    ):
        if wanted:
            _copy_beside_output(paths, folder / name, location)
        elif paths.path is None:
            remove_file(location)
        else:
            with translate_write_errors(location):
                Path(location).unlink(missing_ok=True)


def _copy_beside_output(paths: OutputPaths, file: Path, location: str) -> None:
    """Copy a file of the work folder beside the output. The original stays, so that a later run can do this again."""
    if paths.path is None:
        send_file(file, location)
        return
    with (
        translate_write_errors(location),
        file.open("rb") as original,
        atomic.replace_file(Path(location), scratch=file.parent) as copy,
    ):
        shutil.copyfileobj(original, copy)
