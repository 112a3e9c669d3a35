"""Reads the names of classes that the library `datasets` stores in the files that it writes.

Its files hold the number of each class. The metadata of their schema hold the names, under the key `huggingface`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from sentiment_batch.errors import InputError, listed

_KEY = b"huggingface"


def find_class_names(schema: pa.Schema, column: str) -> list[str] | None:
    """The names of the classes of a column of numbers, in the order of their numbers; None if none are stored."""
    return _read_names(_read_features(schema), schema, column)


def name_classes(numbers: Sequence[object], names: Sequence[str]) -> list[str | None]:
    """(N,) the names of class numbers; None for a number without a name, such as -1, which means no label."""
    known = dict(enumerate(names))
    return [known.get(one) if isinstance(one, int) else None for one in numbers]


def unify_class_names(schemas: Sequence[pa.Schema], files: Sequence[str]) -> dict[bytes, bytes] | None:
    """The metadata of the first of several files, with the class names of all of them.

    Args:
        schemas: the schema of each file.
        files: what messages call the files.

    Raises:
        InputError: a number means another class in one file than in another, or only some files name the classes.
    """
    metadata: dict[bytes, bytes] | None = schemas[0].metadata
    if not any(_KEY in (schema.metadata or {}) for schema in schemas):
        return metadata
    features = list(map(_read_features, schemas))
    columns = dict.fromkeys(name for one in features for name in one)
    found = {name: names for name in columns if (names := _agree_on_names(name, features, schemas, files)) is not None}
    # The table keeps the metadata of its first file. Names of columns that this file lacks are added to them.
    further = {name: names for name, names in found.items() if _read_names(features[0], schemas[0], name) is None}
    if not further:
        return metadata
    added = {name: {"names": names, "_type": "ClassLabel"} for name, names in further.items()}
    stored = json.dumps({"info": {"features": {**features[0], **added}}})
    return {**(metadata or {}), _KEY: stored.encode()}


def _agree_on_names(
    column: str, features: Sequence[dict[str, Any]], schemas: Sequence[pa.Schema], files: Sequence[str]
) -> list[str] | None:
    """The class names that all files with values in a column give it, or None if none of them does."""
    known: list[tuple[list[str] | None, str]] = []
    for one, schema, file in zip(features, schemas, files, strict=True):
        # A file without values in the column says nothing about it
        if column in schema.names and not pa.types.is_null(schema.field(column).type):
            known.append((_read_names(one, schema, column), file))
    for names, file in known:
        if names != known[0][0]:
            raise InputError(
                f"the numbers in column {column!r} need not mean the same in all files: {known[0][1]} has "
                f"{_describe(known[0][0])}, {file} has {_describe(names)}. Write the names into the column in place of "
                "the numbers, or give the files one by one."
            )
    return known[0][0] if known else None


def _describe(names: Sequence[str] | None) -> str:
    return "no class names" if names is None else f"the class names {listed(names)}"


def _read_features(schema: pa.Schema) -> dict[str, Any]:
    """What the metadata say about the columns, by name; empty if they say nothing."""
    try:
        features = json.loads((schema.metadata or {})[_KEY])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):  # no such metadata, or damaged ones
        return {}
    return features if isinstance(features, dict) else {}


def _read_names(features: dict[str, Any], schema: pa.Schema, column: str) -> list[str] | None:
    try:
        feature = features[column]
        names = feature["names"] if feature["_type"] == "ClassLabel" else None
        is_number = pa.types.is_integer(schema.field(column).type)
    except (KeyError, TypeError):  # no such column
        return None
    is_named = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return names if is_named and is_number else None
