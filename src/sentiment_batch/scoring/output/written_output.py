"""Finds what a scoring run wrote: the paths of an output, its manifest, and the rows of its files."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from sentiment_batch.data import formats
from sentiment_batch.errors import InputError, SentimentBatchError, UsageError
from sentiment_batch.files.filesystems import local_path
from sentiment_batch.records import ReadOptions
from sentiment_batch.scoring.output.manifest import locate_files, read_manifest
from sentiment_batch.scoring.output.paths import OutputPaths, locate_output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentiment_batch.data.readers.base import Reader

logger = logging.getLogger("sentiment_batch")


def find_output(destination: str) -> tuple[OutputPaths, dict[str, Any]]:
    """The paths and the manifest of an output.

    Args:
        destination: the output, as it was named to `score`; a folder with or without its slash.

    Raises:
        InputError: there is no manifest, or it is damaged.
    """
    paths = _locate(destination)
    if paths.manifest is None:
        raise InputError(f"{paths.destination} has no manifest, because only files and folders have one. Name a file.")
    try:
        return paths, read_manifest(paths.manifest)
    except InputError as error:
        raise InputError(
            f"{error} Without a manifest nothing can be checked; `score` writes one beside every file and folder."
        ) from error


def find_manifest(location: str) -> dict[str, Any] | None:
    """The manifest beside a table; None if there is none. One that cannot be read is named in a warning.

    Args:
        location: the table; nothing shows yet that a scoring run wrote it.
    """
    try:
        manifest = _locate(location).manifest
    except SentimentBatchError:  # nothing can have been written there
        return None
    if manifest is None:
        return None
    try:
        return read_manifest(manifest)
    except InputError as error:
        if os.path.lexists(manifest):
            logger.warning("%s Without it, nothing is known of the model", error)
        return None


def has_written_sizes(location: str, manifest: Mapping[str, Any]) -> bool:
    """False if a local file of an output has another size than its manifest says, so that somebody changed it."""
    paths = _locate(location)
    for place, entry in locate_files(paths.destination, manifest["files"], is_folder=paths.is_folder):
        path = local_path(place)
        if path is not None and os.path.exists(path) and os.path.getsize(path) != entry["bytes"]:
            return False
    return True


def open_written_file(location: str, format_name: str) -> Reader | None:
    """A reader of a file that a scoring run wrote; None if the plugin of its format can only write.

    Raises:
        InputError: the file cannot be read.
    """
    if (one := formats.get_plugins().readers.named(format_name)) is None:
        return None
    # The first row of what we write names the columns, even if it looks like data.
    read = ReadOptions(header=True if "header" in one.options else None)
    return formats.open_reader(location, format=format_name, options=read)


def _locate(destination: str) -> OutputPaths:
    """The paths of an output. If its name does not show its format, any will do, because all have the same paths."""
    if os.path.isdir(local_path(destination) or ""):
        destination = destination.rstrip("/") + "/"
    try:
        output_format = formats.find_writer_format(destination)
    except UsageError:
        output_format = formats.find_writer_format(destination, "csv")
    return locate_output(destination, output_format)
