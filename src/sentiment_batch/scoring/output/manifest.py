"""What an output is, beside it as OUT.manifest.json: its files with their digests, and what it was made of, and how.

It is written into the work folder before the output is published and copied to its place after, so that a crash between
the two can be told from one before them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch.data.writers.write_errors import failures_named
from sentiment_batch.errors import InputError, OutputError
from sentiment_batch.files import atomic, filesystems
from sentiment_batch.files.checksums import checked_json, parse_checked_json, read_checked_json
from sentiment_batch.scoring.output.journal import MANIFEST, PROBLEMS, Journal
from sentiment_batch.scoring.output.targets import SUCCESS

if TYPE_CHECKING:
    from sentiment_batch.scoring.output.paths import Layout
    from sentiment_batch.scoring.output.targets import Target

FORMAT = 1
"""Raised when a manifest changes so that an older reader would misunderstand it."""


def publish(layout: Layout, journal: Journal, target: Target, about: dict[str, Any]) -> None:
    """Publish an output whose rows are all written: the list of bad rows first, then itself, then its manifest.

    Args:
        layout: where to.
        journal: all parts of it.
        target: what was written.
        about: what the manifest says beside the files.

    Raises:
        OutputError: something could not be written, or appeared at the destination meanwhile; nothing is published.
    """
    problems = _gather_problems(journal)
    files = target.seal()
    if files is None or journal.folder is None:
        if layout.beside is not None and journal.folder is not None:
            _replace_neighbours(layout, journal, problems is not None)
        target.publish()
        return
    manifest = {"format": FORMAT, "files": files, "problems": problems} | about
    with failures_named(str(journal.folder)):
        atomic.write_whole(journal.folder / MANIFEST, checked_json(manifest))
    _replace_neighbours(layout, journal, problems is not None)
    target.publish()
    _place(layout, journal.folder / MANIFEST, layout.manifest)


def finish_publishing(layout: Layout, journal: Journal) -> bool:
    """Whether the output was published by a run that was cut off right after; if so, the rest of its work is done.

    Raises:
        OutputError: the manifest cannot be put in its place.
    """
    if journal.folder is None:
        return False
    manifest = read_checked_json(journal.folder / MANIFEST)
    if manifest is None or not _is_published(layout, manifest["files"]):
        atomic.remove(journal.folder / MANIFEST)
        atomic.remove(journal.folder / PROBLEMS)
        return False
    if layout.is_folder and layout.path is None:
        from sentiment_batch.data.writers.remote import SENDING, remove_file

        remove_file(f"{layout.destination.rstrip('/')}/{SENDING}")
    if manifest["problems"] is not None and (journal.folder / PROBLEMS).exists():
        _place(layout, journal.folder / PROBLEMS, layout.problems)
    _place(layout, journal.folder / MANIFEST, layout.manifest)
    return True


def check_neighbours(layout: Layout, *, overwrite: bool) -> None:
    """See to it that nothing of somebody else's is where the manifest and the list of bad rows go.

    What an earlier run left is replaced: its manifest tells it. Only this machine's disk is looked at.

    Raises:
        OutputError: something else is there.
    """
    if layout.path is None or layout.manifest is None or layout.problems is None:
        return
    ours = read_checked_json(Path(layout.manifest)) is not None
    for location in (layout.manifest, layout.problems):
        file = Path(location)
        if os.path.lexists(file) and (file.is_dir() or not (ours or overwrite)):
            raise OutputError(
                f"{location} is there, where a file beside {layout.destination} goes, and was not written by a run "
                "like this. Move it, or name another OUT."
            )


def read_manifest(location: str) -> dict[str, Any]:
    """The manifest at a location.

    Raises:
        InputError: it is not there, or not what was written.
    """
    with filesystems.open_raw(location) as file:
        found = parse_checked_json(file.read())
    if found is None or found.get("format") != FORMAT:
        raise InputError(f"{location} is damaged, or of another version: it is not what was written. Score again.")
    return found


def digest_at(location: str) -> tuple[int, str]:
    """The size in bytes and the SHA-256 of a file.

    Raises:
        InputError: it is not there.
        OSError: it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    with filesystems.open_raw(location) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def files_of(destination: str, files: list[dict[str, Any]], *, is_folder: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each file of an output is, and what the manifest says of it."""
    for entry in files:
        yield (f"{destination.rstrip('/')}/{entry['name']}" if is_folder else destination), entry


def _is_published(layout: Layout, files: list[dict[str, Any]]) -> bool:
    """Whether the very files are at the destination."""
    try:
        if layout.is_folder:
            digest_at(f"{layout.destination.rstrip('/')}/{SUCCESS}")
        return all(
            digest_at(location) == (entry["bytes"], entry["sha256"])
            for location, entry in files_of(layout.destination, files, is_folder=layout.is_folder)
        )
    except (InputError, OSError):
        return False


def _gather_problems(journal: Journal) -> dict[str, Any] | None:
    """Put the parts' lists of bad rows into one file of the work folder; what it holds, None where no row is bad."""
    if journal.folder is None or not any(part.problems for part in journal.parts):
        return None
    digest, size, rows = hashlib.sha256(), 0, 0
    with failures_named(str(journal.folder)), (journal.folder / PROBLEMS).open("wb") as file:
        for some in journal.problems():
            file.write(some)
            digest.update(some)
            size += len(some)
            rows += some.count(b"\n")
        file.flush()
        atomic.sync(file.fileno())
    return {"rows": rows, "bytes": size, "sha256": digest.hexdigest()}


def _replace_neighbours(layout: Layout, journal: Journal, problems: bool) -> None:
    """Put the list of bad rows in its place, and take away what an earlier output of that name left."""
    assert journal.folder is not None
    for location in (layout.manifest, layout.problems):
        if layout.path is None:
            from sentiment_batch.data.writers.remote import remove_file

            remove_file(str(location))
        else:
            with failures_named(str(location)):
                Path(str(location)).unlink(missing_ok=True)
    if problems:
        _place(layout, journal.folder / PROBLEMS, layout.problems)


def _place(layout: Layout, file: Path, location: str | None) -> None:
    """Put a copy of a file of the work folder beside the output; the work folder's own tells a crash from none."""
    assert location is not None
    if layout.path is None:
        from sentiment_batch.data.writers.remote import send_file

        send_file(file, location)
        return
    with failures_named(location):
        part = file.with_suffix(".copy")
        shutil.copyfile(file, part)
        with part.open("rb+") as copy:
            atomic.sync(copy.fileno())
        os.replace(part, location)
        atomic.sync_folder(layout.path.parent)
