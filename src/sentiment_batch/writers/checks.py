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
            raise OutputError(
                f"{format} cannot hold the column {field.name!r}: {reason}. Leave it out with --columns, or write "
                f"{instead}."
            )


def not_text(field: pa.Field) -> str | None:
    """Why the values of `field` have no exact text, or None."""
    for kind in _parts(field.type):
        if pa.types.is_union(kind) or pa.types.is_interval(kind) or _is_binary(kind):
            where = "" if kind == field.type else f" within {field.type}"
            return f"{kind}{where} has no exact form as text"
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
        if pa.types.is_nested(kind) and not pa.types.is_union(kind):
            for index in range(kind.num_fields):
                yield from _parts(kind.field(index).type)


def repeated_name(fields: pa.Schema | pa.StructType) -> str | None:
    """The first name that two fields share, or None."""
    seen: set[str] = set()
    for field in fields:
        if field.name in seen:
            return str(field.name)
        seen.add(field.name)
    return None
