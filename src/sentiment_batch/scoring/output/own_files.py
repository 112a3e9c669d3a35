"""Recognizes the files that scoring runs write. No run deletes or replaces other files.

A work folder holds known names, and JSON that holds its own digest. So does a manifest, which lists the files of a data
set and the digest of the list of bad rows.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch.errors import InputError, OutputError, listed
from sentiment_batch.files import atomic, filesystems
from sentiment_batch.files.checksums import MAX_JSON_BYTES, parse_checked_json, read_checked_json
from sentiment_batch.files.lock import LOCK_FILES
from sentiment_batch.scoring.output.bad_rows import is_problem_list
from sentiment_batch.scoring.output.manifest_values import is_manifest
from sentiment_batch.scoring.output.part_files import DATA, JOB, MANIFEST, OLD, PART_PREFIX, PROBLEMS, SCRATCH

if TYPE_CHECKING:
    from sentiment_batch.scoring.output.paths import OutputPaths

_BEING_WRITTEN = r"\..+\.[0-9a-f]{8}\.part"
"""What `atomic` writes before it renames it."""
_OF_SYSTEMS = r"\.nfs\w+|\.fuse_hidden\w+|\.DS_Store|Thumbs\.db"
"""What file systems leave of removed files that are open, and what file managers leave."""
_UNMARKED = re.compile("|".join(map(re.escape, sorted(LOCK_FILES))) + rf"|{_BEING_WRITTEN}|{_OF_SYSTEMS}")
"""The files that a work folder may hold before it holds a description of the job."""
_NAMES = re.compile(
    "|".join(map(re.escape, (JOB, MANIFEST, PROBLEMS))) + rf"|{PART_PREFIX}\d{{5,}}\.(json|scores|problems\.jsonl)"
)
"""The other files of a work folder."""
_DATA_NAMES = re.compile(rf"[._~$]*{PART_PREFIX}\d{{5,}}\..+|_SUCCESS|{_BEING_WRITTEN}|{_OF_SYSTEMS}")
"""The files of a data set, and what the writers of plugins write first."""
CHUNK_BYTES = 2**20
"""Bytes of a file that are read at a time."""
_FOLDERS = {DATA, OLD, SCRATCH}
"""The folders in a work folder. Writers of plugins choose their own names in `SCRATCH`."""


def refuse_foreign_files(folder: Path) -> None:
    """Make sure that a work folder holds nothing but what runs leave, because it will be deleted.

    Raises:
        OutputError: it holds something else, or nothing shows that a run made it.
        OSError: it cannot be listed.
    """
    if not os.path.lexists(folder):
        return
    # Two conditions: every name is one that runs give, and a description of a job or nothing but locks lies there
    try:
        foreign = _list_foreign(folder) if folder.is_dir() and not folder.is_symlink() else [folder.name]
        is_marked = bool(foreign) or _is_marked(folder)
    except FileNotFoundError:  # another run has just removed it
        return
    if foreign:
        raise OutputError(
            f"{folder} is needed as work folder, but holds other things ({listed(foreign, 3)}). Move them, or name "
            "another output."
        )
    if not is_marked:
        raise OutputError(
            f"{folder} is needed as work folder, but nothing shows that a run made it, because its {JOB} is missing or "
            "damaged. Remove the folder, or name another output."
        )


def remove_work_folder(folder: Path) -> None:
    """Remove what runs have left in a work folder, then the folder if it is empty. What cannot be removed stays.

    The description of the job goes last, and only if all else is gone, because it shows that a run made the folder.
    """
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name != JOB:
                remove_own_file(path)
        # Something that could not be removed is left. Without its mark, later runs would refuse the folder for ever.
        if {path.name for path in folder.iterdir()} <= {JOB}:
            remove_own_file(folder / JOB)
            folder.rmdir()


def remove_own_file(path: Path) -> None:
    """Remove a file or folder in a work folder, if a run has written it."""
    if path.name in _FOLDERS and path.name != SCRATCH and not path.is_symlink():
        remove_work_folder(path)
    elif path.name == SCRATCH or _is_own(path):
        atomic.remove(path)


def check_neighbours(paths: OutputPaths, inputs: Sequence[str] = ()) -> None:
    """Check that no file of the user is where the manifest and the list of bad rows are to be.

    Args:
        paths: the places of the output.
        inputs: the files of the input.

    Raises:
        OutputError: the input, or another file or folder, is there.
        InputError: the storage of a URL refuses.
    """
    if paths.manifest is None or paths.problems is None:
        return
    # The input may be called as our list of bad rows, and would be overwritten by it
    for location in (paths.manifest, paths.problems):
        if location in inputs or any(filesystems.is_same_file(location, one) for one in inputs):
            raise OutputError(
                f"the input {location} has the name of a file that is written beside {paths.destination}. Rename it, "
                "or name another output."
            )
    manifest = _read_manifest(paths)
    if manifest is None and _is_taken(paths.manifest, paths):
        raise _make_foreign_file_error(paths.manifest, paths)
    if not _is_own_problem_list(paths, manifest):
        raise _make_foreign_file_error(paths.problems, paths)


def list_published_names(paths: OutputPaths) -> set[str]:
    """The names of the files of a finished data set, by the manifest beside it; none if there is no manifest.

    Raises:
        InputError: the storage of a URL refuses.
    """
    return {str(entry["name"]) for entry in (_read_manifest(paths) or {}).get("files", ())}


def open_stored(location: str) -> Any:
    """An unbuffered stream of a file that can be read again; opening a named pipe could wait for ever.

    Raises:
        InputError: as for `filesystems.open_raw`; or there is a pipe or a device.
    """
    if filesystems.is_read_once(location):
        raise InputError(f"{location} is a pipe or a device, but a file belongs there. Remove it.")
    return filesystems.open_raw(location)


def _list_foreign(folder: Path) -> list[str]:
    """The names in a work folder, or in a folder of it, that no run writes."""
    foreign = []
    for path in sorted(folder.iterdir()):
        if path.name in _FOLDERS and path.is_dir() and not path.is_symlink():
            foreign += [f"{path.name}/{name}" for name in _list_foreign(path)]
        elif not _is_own(path):
            foreign.append(path.name)
    return foreign


def _is_own(path: Path) -> bool:
    """True for a regular file with a name that runs give."""
    if path.parent.name == SCRATCH:
        return True
    try:
        patterns = [_DATA_NAMES] if path.parent.name in _FOLDERS else [_UNMARKED, _NAMES]
        return any(names.fullmatch(path.name) for names in patterns) and stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:  # another run has just removed it
        return True


def _is_marked(folder: Path) -> bool:
    """True if a file with its own digest shows that a run made a work folder, or there is nothing yet to show it."""
    if read_checked_json(folder / JOB) is not None:  # another run that removes the folder removes this file last
        return True
    names = {path.name for path in folder.iterdir() if not _UNMARKED.fullmatch(path.name)}
    records = [MANIFEST, *(name for name in names if name.startswith(PART_PREFIX) and name.endswith(".json"))]
    return names <= {SCRATCH} or any(read_checked_json(folder / name) is not None for name in records)


def _read_manifest(paths: OutputPaths) -> dict[str, Any] | None:
    """The manifest beside an output; None if there is none, or it is damaged or something else."""
    with _open_neighbour(str(paths.manifest), paths) as file:
        found = None if file is None else parse_checked_json(file.read(MAX_JSON_BYTES))
    return found if is_manifest(found) else None


def _is_own_problem_list(paths: OutputPaths, manifest: dict[str, Any] | None) -> bool:
    """True if a run has written the list of bad rows beside an output, or nothing is there.

    The manifest stores the hash of the list. If it names no list, because the writer of a plugin gave no files for a
    manifest, each line shows who wrote it.
    """
    location = str(paths.problems)
    unfinished = None if paths.work_folder is None else read_checked_json(paths.work_folder / MANIFEST)
    manifests = [found for found in (manifest, unfinished) if found is not None and is_manifest(found)]
    known = [found["problems"]["sha256"] for found in manifests if found["problems"]]
    with _open_neighbour(location, paths) as file:
        if file is None:
            return not _is_taken(location, paths)
        if known:
            return hashlib.file_digest(file, "sha256").hexdigest() in known
        return is_problem_list(_read_lines(file))


def _read_lines(file: Any) -> Iterator[bytes]:
    """The lines of a file, up to one that is too long for JSON."""
    # Read in pieces, because a file of the user in this place may be large, and may have no line breaks
    rest = bytearray()
    while len(rest) <= MAX_JSON_BYTES and (data := file.read(CHUNK_BYTES)):
        *lines, last = data.split(b"\n")
        for line in lines:
            yield bytes(rest + line)
            rest.clear()
        rest += last
    if rest:
        yield bytes(rest)


def _is_taken(location: str, paths: OutputPaths) -> bool:
    """True if there is a file, or on this machine's disk anything else."""
    with _open_neighbour(location, paths) as file:
        return file is not None or (paths.path is not None and os.path.lexists(location))


def _make_foreign_file_error(location: str, paths: OutputPaths) -> OutputError:
    return OutputError(
        f"{location} exists where a file beside {paths.destination} is to be, and was not written by a scoring run, or "
        "was changed since. Move it, or name another output."
    )


@contextlib.contextmanager
def _open_neighbour(location: str, paths: OutputPaths) -> Iterator[Any]:
    """A file beside the output, open for reading; None if there is no regular file."""
    file = None
    if paths.path is None or os.path.isfile(location):
        try:
            file = open_stored(location)
        except InputError as error:
            # A storage that refuses must not pass for one without the file, which would then be replaced
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
    try:
        yield file
    finally:
        if file is not None:
            file.close()
