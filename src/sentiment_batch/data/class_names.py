"""Reads the names of classes that the library `datasets` stores in the files that it writes.

Its files hold the number of each class. The metadata of their schema hold the names, under the key `huggingface`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa

_KEY = b"huggingface"


def find_class_names(schema: pa.Schema, column: str) -> list[str] | None:
    """The names of the classes of a column of numbers, in the order of their numbers; None if none are stored."""
    try:
        feature = json.loads((schema.metadata or {})[_KEY])["info"]["features"][column]
        names = feature["names"] if feature["_type"] == "ClassLabel" else None
        is_number = pa.types.is_integer(schema.field(column).type)
    except (KeyError, TypeError, ValueError):  # no such metadata, or no such column
        return None
    is_named = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return names if is_named and is_number else None


def name_classes(numbers: Sequence[object], names: Sequence[str]) -> list[str | None]:
    """(N,) the names of class numbers; None for a number without a name, such as -1, which means no label."""
    known = dict(enumerate(names))
    return [known.get(one) if isinstance(one, int) else None for one in numbers]
