"""Checks that plain values are those of a manifest, because another program may have written them."""

from __future__ import annotations

from typing import Any

from sentiment_batch.scoring.output.part_files import is_count

_TEXT, _FLAG, _NUMBER = (str, type(None)), (bool, type(None)), (int, type(None))
_TYPES_OF_SETTINGS = {
    "input_format": (str,),
    "output_format": (str,),
    "on_bad_row": _TEXT,
    "limit": _NUMBER,
    "skip_rows": _NUMBER,
    "quotes": _FLAG,
    "header": _FLAG,
    **dict.fromkeys(("encoding", "delimiter", "comment", "escape", "sheet", "query", "key"), _TEXT),
}
"""The types of the settings that are read again. Older versions stored fewer, so a missing one stands for None."""


def is_manifest(content: dict[str, Any] | None) -> bool:
    """True if plain values name files as every manifest does, and the list of bad rows."""
    if content is None:
        return False
    files, problems = content.get("files"), content.get("problems")
    return (
        isinstance(files, list)
        and "problems" in content
        and all(isinstance(file, dict) and type(file.get("name")) is str and _is_counted(file) for file in files)
        and (problems is None or (isinstance(problems, dict) and _is_counted(problems)))
    )


def has_source(manifest: dict[str, Any]) -> bool:
    """True if a manifest names its input and how that was read."""
    settings = manifest.get("settings")
    return (
        type(manifest.get("source")) is str
        and is_count(manifest.get("rows"))
        and "input_state" in manifest
        and isinstance(settings, dict)
        and all(type(settings.get(name)) in types for name, types in _TYPES_OF_SETTINGS.items())
        and _is_list_of_names(settings.get("text_column"))
        and all(_is_list_of_names(manifest.get(name)) for name in ("output_columns", "reuse_differences"))
        and type(manifest.get("reuse_tolerance")) in (float, type(None))
    )


def _is_list_of_names(value: Any) -> bool:
    """True for a list of strings, and for None, because older versions stored fewer values."""
    return value is None or (isinstance(value, list) and all(type(one) is str for one in value))


def _is_counted(file: dict[str, Any]) -> bool:
    """True if there are the rows, bytes and digest of a file."""
    return all(map(is_count, (file.get("rows"), file.get("bytes")))) and type(file.get("sha256")) is str
