"""Puts objects into the storage of a URL, and claims a folder there, so that of two runs at once only one wins.

Storages that know a conditional request, such as S3 (`If-None-Match: *`), refuse the second of two new objects. The
others are only asked whether an object exists just before it is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from sentiment_batch.data.writers.write_errors import translate_write_errors
from sentiment_batch.errors import OutputError
from sentiment_batch.files.filesystems import open_filesystem

SENDING = "_SENDING"
"""The object that marks a folder whose upload has begun and not yet ended, and names the run that sends it."""
_MAX_CLAIM_BYTES = 10_000


def replace_object(file_system: Any, file: str, path: str) -> None:
    """Upload a file, and replace what is there.

    Args:
        file_system: the fsspec file system.
        file: the path of the file on this machine.
        path: the path of the object.

    Raises:
        Exception: the error of the storage, if the object is not there afterwards.
    """
    # The answer to a request may get lost although the object was written, so an error alone proves nothing.
    try:
        file_system.put_file(file, path)
    except Exception:
        if not _holds(file_system, path, file):
            raise


def create_object(file_system: Any, file: str, path: str) -> None:
    """Upload a file to a path where no object is; arguments as for `replace_object`.

    Raises:
        FileExistsError: another object is there.
        Exception: the error of the storage, if no object is there afterwards.
    """
    try:
        # This costs one request, and is the only check of storages that know no conditional request
        if file_system.exists(path):
            raise FileExistsError(path)
        try:
            file_system.put_file(file, path, mode="create")
        except (TypeError, NotImplementedError):  # this storage, or its package, does not know the mode
            file_system.put_file(file, path)
    except Exception as error:
        # If the answer to a request was lost, the client asks again, and finds the object that it has written.
        holds = _holds(file_system, path, file)
        if holds is None:
            raise
        if not holds:
            raise FileExistsError(path) from error


def _holds(file_system: Any, path: str, file: str) -> bool | None:
    """True if the object at `path` has the bytes of `file`; None if no object is there, or the storage refuses."""
    with contextlib.suppress(Exception):
        file_system.invalidate_cache()
        # The size costs one request. Only an object of the same size is read and hashed.
        if file_system.info(path)["size"] != os.path.getsize(file):
            return False
        with open(file, "rb") as ours, file_system.open(path, "rb") as theirs:
            ours_256, theirs_256 = (hashlib.file_digest(one, "sha256").digest() for one in (ours, theirs))
            return ours_256 == theirs_256
    return None


class FolderClaim:
    """The claim of a run on a folder in a storage. While it lasts, no other run writes to this folder.

    Every method raises `OutputError` if another run has claimed the folder, or the storage refuses.

    Args:
        location: the URL of the folder.
        work_folder: the work folder, which this process holds locked. It tells the runs of this output on this machine
            from all others. A later run with the same work folder takes over the claim of an interrupted one.
    """

    def __init__(self, location: str, work_folder: str) -> None:
        self._location = location
        self._file_system, path = open_filesystem(location, OutputError)
        self._path = f"{path.rstrip('/')}/{SENDING}"
        machine = platform.node()
        # The hash tells runs apart and shows no paths of this machine to whoever reads the storage
        digest = hashlib.sha256(f"{machine} {uuid.getnode()} {work_folder}".encode("utf-8", "surrogateescape"))
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        self._content = {"machine": machine, "place": digest.hexdigest(), "since": since}

    def is_held(self) -> bool:
        """True if a run with this work folder has claimed the folder, False if nobody has."""
        with translate_write_errors(self._location, storage=True):
            return self._read() is not None

    def take(self) -> bool:
        """Claim the folder; True if an earlier run with this work folder had claimed it and was interrupted."""
        with translate_write_errors(self._location, storage=True), tempfile.TemporaryDirectory() as folder:
            if self._read() is not None:
                return True
            file = Path(folder) / SENDING
            file.write_text(json.dumps(self._content), encoding="utf-8")
            try:
                create_object(self._file_system, str(file), self._path)
            except FileExistsError:
                # Another run was faster. `_read` raises an error that names it, unless the claim is already gone.
                if self._read() is None:
                    raise
        return False

    def release(self) -> None:
        """Give up the claim, if this work folder holds it."""
        with translate_write_errors(self._location, storage=True), contextlib.suppress(FileNotFoundError):
            if self._read() is not None:
                self._file_system.rm_file(self._path)

    def _read(self) -> dict[str, Any] | None:
        """The claim of this work folder; None if nobody has claimed the folder."""
        # A listing that fsspec remembers would hide the claim of another machine
        self._file_system.invalidate_cache()
        try:
            with self._file_system.open(self._path, "rb") as file:
                found = file.read(_MAX_CLAIM_BYTES)
        except FileNotFoundError:
            return None
        try:
            claim = dict(json.loads(found))
        except (ValueError, TypeError, RecursionError):
            claim = {}
        if claim.get("place") == self._content["place"]:
            return claim
        sender = f" on {claim.get('machine')} since {claim.get('since')}" if claim else ""
        raise OutputError(
            f"{self._location} is being sent by another run{sender}, or that run was interrupted. Wait for it. If it "
            f"has ended, repeat its command there, or remove {SENDING} from the folder."
        )
