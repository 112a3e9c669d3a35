"""Finds the columns that a format cannot hold by their types, before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from sentiment_batch.errors import OutputError, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def refuse(schema: pa.Schema, cannot: Callable[[pa.Field], str | None], format: str, instead: str) -> None:
    """Raise an error for the first column that the format cannot hold.

    Args:
        schema: the columns to write.
        cannot: returns why the format cannot hold a field, or None.
        format: the name of the format, for the message.
        instead: the formats that can hold the column, for the message.

    Raises:
        OutputError: the format cannot hold a column. The message names it and the reason.
    """
    for field in schema:
        why = cannot(field)
        if why:
            why = " ".join(why.split())[:400]  # the names of fields in a type may hold line breaks
            raise OutputError(
                f"{format} cannot hold the column {field.name!r}: {why}. Leave it out with `columns`, or write "
                f"{instead}."
            )


def refuse_out_of_range(column: pa.Array, name: str, format: str, instead: str) -> None:
    """Raise an `OutputError` if a value lies out of the range of its type; the arguments are those of `refuse`."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise OutputError(
            f"{format} cannot hold the column {name!r}: {reason(error)}. Leave it out with `columns`, or write "
            f"{instead}."
        ) from error


def not_json(field: pa.Field) -> str | None:
    """Why the values of `field` have no exact form as text or, if they are nested, as JSON; None if they have one."""
    for kind in _parts(field.type):
        where = "" if kind == field.type else f" within {field.type}"
        if pa.types.is_union(kind) or pa.types.is_interval(kind) or is_bytes(kind):
            return f"{kind}{where} has no exact form as text"
        # pyarrow crashes when it decodes run-ends in null structs.
        if any(pa.types.is_run_end_encoded(inner) for inner in _inner(kind)):
            return f"pyarrow cannot decode the run-ends within {kind}"
        # The first of two equal names in a JSON object is lost when it is read.
        if pa.types.is_struct(kind) and (name := repeated_name(kind)) is not None:
            return f"two fields of {kind}{where} are named {name!r}"
    return None


def is_bytes(kind: pa.DataType) -> bool:
    """True if `kind` is one of the four binary types of Arrow."""
    return kind in (pa.binary(), pa.large_binary(), pa.binary_view()) or bool(pa.types.is_fixed_size_binary(kind))


def _parts(kind: pa.DataType) -> Iterator[pa.DataType]:
    """The type without extensions, dictionaries and run-ends, and all types inside it."""
    if isinstance(kind, pa.BaseExtensionType):
        yield from _parts(kind.storage_type)
    elif pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        yield from _parts(kind.value_type)
    else:
        yield kind
        for inner in _inner(kind):
            yield from _parts(inner)


def _inner(kind: pa.DataType) -> list[pa.DataType]:
    """The types directly inside a nested type."""
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
