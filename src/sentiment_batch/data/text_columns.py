"""Chooses the text columns of a table: those that the user names, else those of the training, else by their names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from sentiment_batch.data.column_paths import find_field
from sentiment_batch.data.columns import detect_text_columns, find_text_columns
from sentiment_batch.errors import InputError

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader

logger = logging.getLogger("sentiment_batch")


@dataclass(frozen=True, kw_only=True, slots=True)
class TextColumns:
    """The columns that hold the text of a table."""

    names: tuple[str, ...]
    """Several columns are joined by a blank line."""
    assumed: bool
    """True if neither the user nor the model named them."""


def choose_text_columns(
    table: Reader | pa.Schema, chosen: Sequence[str] = (), trained: Callable[[], Sequence[str]] = tuple
) -> TextColumns:
    """The text columns of a table. Logs if they are not those that the model was trained with.

    Args:
        table: an open table, whose first rows are read if its names do not tell; or a schema.
        chosen: the columns that the user named.
        trained: gives the columns that the model was trained with, if any. It is called only if `chosen` is empty.

    Raises:
        InputError: a chosen column is missing or holds no text, or no text column was found.
    """

    def find(names: Sequence[str]) -> tuple[str, ...]:
        found = find_text_columns(table, names) if isinstance(table, pa.Schema) else detect_text_columns(table, names)
        return tuple(found)

    if chosen:
        return TextColumns(names=find(chosen), assumed=False)
    wanted = tuple(trained())
    schema = table if isinstance(table, pa.Schema) else table.schema
    missing = [name for name in wanted if find_field(schema, name) is None]
    if wanted and not missing:
        try:
            return TextColumns(names=find(wanted), assumed=False)
        except InputError as error:  # such a column holds numbers here, or there are two of one name
            logger.warning("the model was trained on %s, but %s", _join(wanted), error)
    found = TextColumns(names=find(()), assumed=True)
    if missing:
        # A part of what the model knows gives worse scores; another name for the same text does not.
        level = logging.WARNING if len(missing) < len(wanted) else logging.INFO
        message = "the model was trained on %s. This table has no %s, so its text is %s"
        logger.log(level, message, _join(wanted), _join(missing), _join(found.names))
    return found


def _join(names: Sequence[str]) -> str:
    return " and ".join(map(repr, names))
