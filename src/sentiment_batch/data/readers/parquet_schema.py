"""Unifies the schemas of several files, and adapts batches to the unified schema."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa

from sentiment_batch.errors import InputError, listed, reason

logger = logging.getLogger("sentiment_batch")

Partitions = dict[str, str | None]


def unify_schemas(schemas: Sequence[pa.Schema], names: Sequence[str], partitions: Sequence[pa.Field]) -> pa.Schema:
    """The schema that can hold the rows of all files.

    A column is null for files that lack it, and a warning names it. If types differ, the wider type is taken. The
    metadata is that of the first file. If the files hold a column with the name of a partition, the files' column is
    taken.

    Args:
        schemas: the schema of each file.
        names: what messages call the files.
        partitions: the columns from the names of the folders.

    Raises:
        InputError: two files have incompatible types for a column.
    """
    if len(schemas) > 1 or partitions:
        for schema, name in zip(schemas, names, strict=True):
            _refuse_repeated(schema, name)
    whole = schemas[0]
    for schema, name in zip(schemas[1:], names[1:], strict=True):
        if not schema.equals(whole):
            whole = _merge(whole, schema, name)
    everywhere = set[str].intersection(*(set(schema.names) for schema in schemas))
    missing = [field.name for field in whole if field.name not in everywhere]
    for name in missing:
        index = whole.get_field_index(name)
        whole = whole.set(index, whole.field(index).with_nullable(True))
    if missing:
        logger.warning(
            "only some of the %d files hold %s; the rows of the others are null there", len(names), listed(missing, 5)
        )
    for field in partitions:
        if field.name not in whole.names:
            whole = whole.append(field)
    return whole


def _refuse_repeated(schema: pa.Schema, name: str) -> None:
    repeated = [column for column, count in Counter(schema.names).items() if count > 1]
    if repeated:
        raise InputError(f"{name} has several columns {repeated[0]!r}. Read it alone, or rename them.")


def _merge(whole: pa.Schema, schema: pa.Schema, name: str) -> pa.Schema:
    try:
        return pa.unify_schemas([whole, schema], promote_options="permissive")
    except pa.ArrowException as error:
        difference = next(filter(None, (_describe_difference(whole, field) for field in schema)), reason(error))
        raise InputError(
            f"{name} does not match the files before it: {difference}. Give all the same types, or read it alone."
        ) from error


def _describe_difference(whole: pa.Schema, field: pa.Field) -> str | None:
    """How `field` differs from the column of the same name in `whole`, or None if they are compatible."""
    if field.name not in whole.names:
        return None
    known = whole.field(field.name)
    try:
        pa.unify_schemas([pa.schema([known]), pa.schema([field])], promote_options="permissive")
    except pa.ArrowException:
        return f"column {field.name!r} is {field.type} where they have {known.type}"
    return None


def infer_partition_fields(partitions: Sequence[Partitions]) -> list[pa.Field]:
    """The columns of the partitions: integers if every value is one in its usual spelling, else text."""
    names = dict.fromkeys(name for values in partitions for name in values)
    return [
        pa.field(name, pa.int64() if all(_is_integer(values.get(name)) for values in partitions) else pa.string())
        for name in names
    ]


def _is_integer(value: str | None) -> bool:
    """True if the value can be stored as an int64 without loss; `007` cannot."""
    if value is None:
        return True
    digits = value.removeprefix("-")
    return digits.isascii() and digits.isdecimal() and len(digits) < 19 and str(int(value)) == value


def adapt_batch(
    batch: pa.RecordBatch, schema: pa.Schema, partitions: Mapping[str, str | None], where: str
) -> pa.RecordBatch:
    """`batch` with exactly the unified schema.

    Args:
        batch: rows of one file.
        schema: the unified schema.
        partitions: the values from the names of the file's folders.
        where: what messages call the file and the place in it.

    Raises:
        InputError: a value does not fit the type that all files share.
    """
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    columns = batch.columns
    if not batch.schema.equals(schema):
        columns = [_adapt_column(batch, field, partitions, where) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _adapt_column(batch: pa.RecordBatch, field: pa.Field, partitions: Mapping[str, str | None], where: str) -> pa.Array:
    index = batch.schema.get_field_index(field.name)
    if index < 0:
        value = partitions.get(field.name)
        if value is None:
            return pa.nulls(batch.num_rows, field.type)
        return pa.repeat(pa.scalar(value).cast(field.type), batch.num_rows)
    try:
        column = batch.column(index)
        return column if column.type == field.type else column.cast(field.type)
    except pa.ArrowException as error:
        raise InputError(
            f"{where}, column {field.name!r}: {reason(error)}. Write all files with {field.type} there."
        ) from error
