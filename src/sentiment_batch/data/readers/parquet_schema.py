"""Unifies the schemas of several files, and adapts batches to the unified schema."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from sentiment_batch.data.class_names import unify_class_names
from sentiment_batch.data.columns import decode_dictionary, holds_json
from sentiment_batch.data.readers.shared_types import can_be_json, encode_as_json, unify_types
from sentiment_batch.errors import InputError, listed, reason
from sentiment_batch.records import JSON_MARK

logger = logging.getLogger("sentiment_batch")

Partitions = dict[str, str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class PartitionColumns:
    """The columns that the names of the folders give."""

    fields: Sequence[pa.Field]
    """Their names and types."""
    values: Sequence[Partitions]
    """The values of each file, by name."""


def infer_partition_fields(partitions: Sequence[Partitions]) -> PartitionColumns:
    """The columns of the partitions: integers if every value is one in its usual spelling, else text."""
    names = dict.fromkeys(name for values in partitions for name in values)
    fields = [
        pa.field(name, pa.int64() if all(_is_integer(values.get(name)) for values in partitions) else pa.string())
        for name in names
    ]
    return PartitionColumns(fields=fields, values=partitions)


def _is_integer(value: str | None) -> bool:
    """True if the value can be stored as an int64 without loss; `007` cannot."""
    if value is None:
        return True
    digits = value.removeprefix("-")
    return digits.isascii() and digits.isdecimal() and len(digits) < 19 and str(int(value)) == value


def unify_schemas(schemas: Sequence[pa.Schema], names: Sequence[str], partitions: PartitionColumns) -> pa.Schema:
    """The schema that can hold the rows of all files.

    A file that lacks a column has the value from the name of its folder, else nulls, and a warning names the column. If
    types differ, the wider type is taken. If a column is JSON text in some files, it is JSON text in all of them.
    Other marks of a column stay if all files have them. The metadata of the table is that of the first file.

    Args:
        schemas: the schema of each file.
        names: what messages call the files.
        partitions: the columns from the names of the folders.

    Raises:
        InputError: two files have incompatible types, or other class names, for a column; or the name of a folder does
            not fit the type of a column of other files.
    """
    # A single file keeps its schema, and may have several columns of one name
    if len(schemas) == 1 and not partitions.fields:
        return schemas[0]
    for schema, name in zip(schemas, names, strict=True):
        _refuse_repeated(schema, name)
    # Thousands of files mostly have the same columns. Only those that differ are merged.
    fields = _merge_fields(list(_drop_equal(schemas, names)))
    lacking = _find_lacking(fields, schemas)
    for name in lacking:
        fields[name] = fields[name].with_nullable(True)
    all_fields = {field.name: field for field in partitions.fields} | fields
    # A value from the name of a folder is converted now, so that a wrong one stops the run at its start
    for schema, values, name in zip(schemas, partitions.values, names, strict=True):
        for column in values.keys() - set(schema.names):
            _repeat_value(values[column], all_fields[column], 0, name)
    null = [name for name in lacking if any(name not in partitions.values[index] for index in lacking[name])]
    if null:
        logger.warning(
            "only some of the %d files hold %s; the rows of the others are null there", len(names), listed(null, 5)
        )
    ordered = fields | all_fields  # the columns of the files first
    return pa.schema(ordered.values(), metadata=unify_class_names(schemas, names))


def _refuse_repeated(schema: pa.Schema, name: str) -> None:
    repeated = [column for column, count in Counter(schema.names).items() if count > 1]
    if repeated:
        raise InputError(f"{name} has several columns {repeated[0]!r}. Read it alone, or rename them.")


def _drop_equal(schemas: Sequence[pa.Schema], names: Sequence[str]) -> Iterator[tuple[pa.Schema, str]]:
    """The schemas and names of those files whose fields differ from those of the file before."""
    before: pa.Schema | None = None
    for schema, name in zip(schemas, names, strict=True):
        bare = schema.remove_metadata()
        if before is None or not bare.equals(before, check_metadata=True):
            yield bare, name
        before = bare


def _merge_fields(files: Sequence[tuple[pa.Schema, str]]) -> dict[str, pa.Field]:
    """The columns of all files by name, in the order of their first appearance."""
    # A column must not be JSON text in one file and plain in another. So it becomes JSON text in all of them.
    json_columns = {field.name for schema, _ in files for field in schema if holds_json(field)}
    found: dict[str, pa.Field] = {}
    for schema, name in files:
        for field in schema:
            is_json = field.name in json_columns
            wanted = _mark_as_json(field) if is_json else field
            merged = None if wanted is None else _merge(found.get(field.name, wanted), wanted)
            if merged is None:
                shown = "JSON text" if is_json else found[field.name].type
                raise InputError(
                    f"{name} does not match the other files: column {field.name!r} is {field.type} where they have "
                    f"{shown}. Give all the same types, or read it alone."
                )
            found[field.name] = merged
    return found


def _mark_as_json(field: pa.Field) -> pa.Field | None:
    """The field of JSON text that holds the values of a column, or None if JSON cannot hold them."""
    if pa.types.is_null(field.type) or holds_json(field):
        return field
    marks = {**(field.metadata or {}), JSON_MARK: b"1"}
    return field.with_type(pa.string()).with_metadata(marks) if can_be_json(field.type) else None


def _merge(known: pa.Field, field: pa.Field) -> pa.Field | None:
    """The field that holds the values of both, with the marks that both have; None if their types do not allow it."""
    if known.equals(field, check_metadata=True):
        return known
    is_nullable = known.nullable or field.nullable
    for one, other in ((known, field), (field, known)):
        if pa.types.is_null(other.type):  # it has no values to which a mark could apply
            return one.with_nullable(is_nullable)
    kind = unify_types(known.type, field.type)
    if kind is None:
        return None
    own, marks = field.metadata or {}, known.metadata or {}
    # A mark that only one file has need not be true of the others
    common = {key: value for key, value in marks.items() if own.get(key) == value}
    return pa.field(known.name, kind, is_nullable, common or None)


def _find_lacking(names: Mapping[str, pa.Field], schemas: Sequence[pa.Schema]) -> dict[str, list[int]]:
    """The columns that some files lack, with the numbers of these files."""
    held = [set(schema.names) for schema in schemas]
    everywhere = set[str].intersection(*held)
    return {
        name: [index for index, own in enumerate(held) if name not in own] for name in names if name not in everywhere
    }


def adapt_batch(
    batch: pa.RecordBatch, schema: pa.Schema, partitions: Mapping[str, str | None], where: str
) -> pa.RecordBatch:
    """`batch` with exactly the unified schema.

    Args:
        batch: rows of one file, with the marks of its columns.
        schema: the unified schema.
        partitions: the values from the names of the file's folders.
        where: what messages call the file and the place in it.

    Raises:
        InputError: a value does not fit the type that all files share.
    """
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    # If only the metadata differ, the columns are used as they are
    columns = batch.columns
    if not batch.schema.equals(schema) or any(map(_becomes_json, batch.schema, schema)):
        columns = [_adapt_column(batch, field, partitions, where) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _becomes_json(own: pa.Field, field: pa.Field) -> bool:
    """True if the values of a column of one file are not JSON text yet, and the unified schema needs it."""
    return holds_json(field) and not holds_json(own)


def _adapt_column(batch: pa.RecordBatch, field: pa.Field, partitions: Mapping[str, str | None], where: str) -> pa.Array:
    index = batch.schema.get_field_index(field.name)
    if index < 0:
        return _repeat_value(partitions.get(field.name), field, batch.num_rows, where)
    column = batch.column(index)
    try:
        if _becomes_json(batch.schema.field(index), field):
            column = encode_as_json(column)
        if column.type == field.type:
            return column
        if not pa.types.is_dictionary(field.type):
            column = decode_dictionary(column)
        return column.cast(field.type)
    except (pa.ArrowException, ValueError) as error:
        raise InputError(
            f"{where}, column {field.name!r}: {reason(error)}. Write all files with {field.type} there."
        ) from error


def _repeat_value(value: str | None, field: pa.Field, num_rows: int, where: str) -> pa.Array:
    """(num_rows,) the value that the name of a folder gives a file without this column; null if there is none."""
    if value is None:
        return pa.nulls(num_rows, field.type)
    text = json.dumps(value, ensure_ascii=False) if holds_json(field) else value
    try:
        return pa.repeat(pa.scalar(text).cast(field.type), num_rows)
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}, column {field.name!r}: the name of its folder, {value!r}, is not UTF-8. Rename the folder."
        ) from error
    except (pa.ArrowException, ValueError) as error:
        raise InputError(
            f"{where}, column {field.name!r}: the name of its folder gives {value!r}, but other files hold "
            f"{field.type} there. Rename the folder, or the column in the other files."
        ) from error
