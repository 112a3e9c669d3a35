"""The state of the files that a reader reads, which shows whether they changed in the meantime."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sentiment_batch.data import formats
from sentiment_batch.data.readers.input_state import identify_input
from sentiment_batch.plugins.registry import BUILT_IN

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader


def identify_files(reader: Reader, source: str, input_format: str | None) -> list[dict[str, Any]] | None:
    """The present state of each file of an input. If the states are equal to earlier ones, the rows are the same.

    Args:
        reader: the open input.
        source: its path or URL.
        input_format: the name of its format; None if the source shows it.

    Returns:
        What `identify_input` gives for each file. None if a file can be read only once, or if the source of a plugin is
        no file.

    Raises:
        InputError: a file is gone.
    """
    built_in = formats.find_reader_format(source, input_format).owner == BUILT_IN
    if not built_in and not os.path.isfile(source):
        return None
    locations: Sequence[str] = getattr(reader, "locations", [source])
    found = [state for location in locations if (state := identify_input(location)) is not None]
    return found if len(found) == len(locations) else None
