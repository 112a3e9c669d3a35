"""Finds columns that a format cannot hold before anything is written; it knows types, not values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from sentiment_batch.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def refuse(schema: pa.Schema, cannot: Callable[[pa.Field], str | None], format: str, instead: str) -> None:
    """Raise for the first column that `cannot` gives a reason against.

    Args:
        schema: the columns to be written.
        cannot: why the format cannot hold the field, or None.
        format: the format's name, for the message.
        instead: formats that can.

    Raises:
        OutputError: names the column, the reason and the cure.
    """
    for field in schema:
        reason = cannot(field)
        if reason:
            reason = " ".join(reason.split())[:400]  # a type names its fields, whose names may have line breaks
            raise OutputError(
                f"{format} cannot hold the column {field.name!r}: {reason}. Leave it out with --columns, or write "
                f"{instead}."
            )


def not_json(field: pa.Field) -> str | None:
    """Why the values of `field` have no exact form as text or, where they are nested, as JSON; None where they have."""
    for kind in _parts(field.type):
        where = "" if kind == field.type else f" within {field.type}"
        if pa.types.is_union(kind) or pa.types.is_interval(kind) or _is_binary(kind):
            return f"{kind}{where} has no exact form as text"
        # pyarrow aborts when it takes run-ends out of structs that are null.
        if any(pa.types.is_run_end_encoded(inner) for inner in _inner(kind)):
            return f"run-ends within {kind} cannot be taken apart"
        # An object whose names repeat reads back without the first of them.
        if pa.types.is_struct(kind) and (name := repeated_name(kind)) is not None:
            return f"two fields of {kind}{where} are named {name!r}"
    return None


def _is_binary(kind: pa.DataType) -> bool:
    checks = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(check(kind) for check in checks)


def _parts(kind: pa.DataType) -> Iterator[pa.DataType]:
    """The type with extensions, dictionaries and run-ends taken off, and all types inside it."""
    if isinstance(kind, pa.BaseExtensionType):
        yield from _parts(kind.storage_type)
    elif pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        yield from _parts(kind.value_type)
    else:
        yield kind
        for inner in _inner(kind):
            yield from _parts(inner)


def _inner(kind: pa.DataType) -> list[pa.DataType]:
    """The types directly inside a nested one."""
    if not pa.types.is_nested(kind) or pa.types.is_union(kind):
        return []
    return [kind.field(index).type for index in range(kind.num_fields)]


def repeated_name(fields: pa.Schema | pa.StructType) -> str | None:
    """The first name that two fields share, or None."""
    seen: set[str] = set()
    for field in fields:
        if field.name in seen:
            return str(field.name)
        seen.add(field.name)
    return None
