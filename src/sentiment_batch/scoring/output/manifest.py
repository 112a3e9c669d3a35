"""The manifest of an output, OUT.manifest.json: its files with their digests, and what the output was made from.

The manifest is written into the work folder before the output is published, and copied beside the output after that. So
a later run can see whether an interrupted run had published its output.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch.data.writers.remote import SENDING, remove_file, send_file
from sentiment_batch.data.writers.write_errors import translate_write_errors
from sentiment_batch.errors import InputError, OutputError
from sentiment_batch.files import atomic, filesystems
from sentiment_batch.files.checksums import checked_json, parse_checked_json, read_checked_json
from sentiment_batch.scoring.output.part_files import MANIFEST, PROBLEMS
from sentiment_batch.scoring.output.targets import SUCCESS

if TYPE_CHECKING:
    from sentiment_batch.scoring.output.journal import Journal
    from sentiment_batch.scoring.output.paths import OutputPaths
    from sentiment_batch.scoring.output.targets import Target

FORMAT = 3
"""The format of a manifest; it rises when an older reader would misunderstand a manifest."""
CHUNK_BYTES = 2**20
"""Bytes of a file that are read at a time."""


def publish(paths: OutputPaths, journal: Journal, target: Target, description: dict[str, Any]) -> None:
    """Publish an output whose rows are all written: the list of bad rows, then the output, then its manifest.

    Args:
        paths: where to.
        journal: all parts of the output.
        target: the written output.
        description: what the manifest holds besides the files.

    Raises:
        OutputError: something could not be written, or appeared at the destination; nothing is published.
    """
    problems = _gather_problems(journal)
    files = target.finish()
    if paths.beside is None:
        target.publish()
        return
    if files is not None:
        manifest = {"format": FORMAT, "files": files, "problems": problems} | description
        with translate_write_errors(str(journal.folder)):
            atomic.write_whole(journal.folder / MANIFEST, checked_json(manifest))
    _replace_neighbours(paths, journal, has_problems=problems is not None)
    target.publish()
    if files is not None:
        _place(paths, journal.folder / MANIFEST, str(paths.manifest))


def finish_publishing(paths: OutputPaths, journal: Journal) -> bool:
    """Complete the work of a run that ended right after it had published its output.

    Returns:
        True if the output is published and complete, so that nothing is left to do.

    Raises:
        OutputError: the manifest cannot be put in its place.
    """
    manifest = read_checked_json(journal.folder / MANIFEST)
    if manifest is None or not _is_published(paths, manifest["files"]):
        atomic.remove(journal.folder / MANIFEST)
        atomic.remove(journal.folder / PROBLEMS)
        return False
    if paths.is_folder and paths.path is None:
        remove_file(f"{paths.destination.rstrip('/')}/{SENDING}")
    if manifest["problems"] is not None and (journal.folder / PROBLEMS).exists():
        _place(paths, journal.folder / PROBLEMS, str(paths.problems))
    _place(paths, journal.folder / MANIFEST, str(paths.manifest))
    return True


def check_neighbours(paths: OutputPaths, *, overwrite: bool) -> None:
    """Check that no file of the user is where the manifest and the list of bad rows are to be.

    Files of an earlier run are replaced; its manifest shows that they are. Only this machine's disk is looked at.

    Raises:
        OutputError: another file or folder is there.
    """
    if paths.path is None or paths.manifest is None or paths.problems is None:
        return
    is_ours = read_checked_json(Path(paths.manifest)) is not None
    for location in (paths.manifest, paths.problems):
        file = Path(location)
        if os.path.lexists(file) and (file.is_dir() or not (is_ours or overwrite)):
            raise OutputError(
                f"{location} exists where a file beside {paths.destination} is to be, and was not written by a scoring "
                "run. Move it, or name another output."
            )


def read_manifest(location: str) -> dict[str, Any]:
    """The manifest at a location; one of an older format is given with the keys of today's.

    Raises:
        InputError: it is not there, or not what was written.
    """
    with filesystems.open_raw(location) as file:
        found = parse_checked_json(file.read())
    if found is None or found.get("format") not in {1, 2, FORMAT}:
        raise InputError(f"{location} is damaged, or of another version: it is not what was written. Score again.")
    if found["format"] == FORMAT:
        return found
    # Up to format 2, the state of the input stood under the key of its description.
    older = found if found["format"] == 2 else _convert_format_1(found)
    return older | {"input": None, "input_state": found["input"]}


def hash_file_at(location: str) -> tuple[int, str]:
    """The size in bytes and the SHA-256 of a file.

    Raises:
        InputError: it is not there.
        OSError: it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    with filesystems.open_raw(location) as file:
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


def _convert_format_1(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest of version 0.1, whose settings stood as options of the command line among the other keys."""
    settings = {name[2:].replace("-", "_"): value for name, value in manifest.items() if name.startswith("--")}
    settings["quotes"] = not settings.pop("no_quotes")
    return manifest | {"source": manifest["IN"], "settings": settings}


def _is_published(paths: OutputPaths, files: list[dict[str, Any]]) -> bool:
    """True if exactly these files are at the destination."""
    try:
        if paths.is_folder:
            hash_file_at(f"{paths.destination.rstrip('/')}/{SUCCESS}")
        return all(
            hash_file_at(location) == (entry["bytes"], entry["sha256"])
            for location, entry in locate_files(paths.destination, files, is_folder=paths.is_folder)
        )
    except (InputError, OSError):
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


def _replace_neighbours(paths: OutputPaths, journal: Journal, *, has_problems: bool) -> None:
    """Remove what an earlier output of that name left beside it, and put the list of bad rows in its place."""
    for location in (paths.manifest, paths.problems):
        if paths.path is None:
            remove_file(str(location))
        else:
            with translate_write_errors(str(location)):
                Path(str(location)).unlink(missing_ok=True)
    if has_problems:
        _place(paths, journal.folder / PROBLEMS, str(paths.problems))


def _place(paths: OutputPaths, file: Path, location: str) -> None:
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
