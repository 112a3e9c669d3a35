"""How a table is read: its columns, what its labels mean, and its dialect, with what was assumed about them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentiment_batch.display import BLOCK, collapse_line, escape_line, shortened
from sentiment_batch.labels.values import fold_word
from sentiment_batch.locations import without_password
from sentiment_batch.records import Dialect

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.data.text_columns import TextColumns

logger = logging.getLogger("sentiment_batch")

_DELIMITERS = {"\t": "tab", " ": "blank"}
"""Words for the delimiters that a terminal does not show."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InputDescription:
    """How a table is read. None stands for what the table does not have, or what was not needed."""

    text_columns: tuple[str, ...] | None
    """The columns of the text; none if they were not found."""
    label_column: str | None = None
    """The column of the labels."""
    label_mapping: Mapping[str, str] | None = None
    """The class of each value or range of stars, such as `{"1-2": "negative"}`."""
    group_column: str | None = None
    """The column whose equal values stay on one side of the train/validation split."""
    format: str | None = None
    """The format of the files of a folder, if nothing but their endings shows it."""
    delimiter: str | None = None
    """The character between the fields of a CSV."""
    encoding: str | None = None
    """The encoding of a text file, as Python names it."""
    header: bool | None = None
    """True if a row names the columns."""
    skip_rows: int | None = None
    """Lines of a text file, or rows of a sheet, that are skipped before the header."""
    sheet: str | None = None
    """The name of the sheet of a workbook."""
    assumed: tuple[str, ...] = ()
    """The names of the fields above that the user did not name."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they are stored under the key `input`."""
        mapping = None if self.label_mapping is None else dict(self.label_mapping)
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return values | {
            "text_columns": None if self.text_columns is None else list(self.text_columns),
            "label_mapping": mapping,
            "assumed": list(self.assumed),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> InputDescription:
        """The description with these plain values."""
        names = ("text_columns", "assumed")
        return cls(**{**values, **{name: tuple(values[name]) for name in names if values[name] is not None}})

    def with_mapping(self, mapping: Mapping[str, str], *, assumed: bool) -> InputDescription:
        """The description with the meaning of the labels; `assumed` is True if the user did not give it.

        Words that are the names of their classes need no name.
        """
        is_given = not assumed or all(_is_name(value, label) for value, label in mapping.items())
        names = self.assumed if is_given else (*self.assumed, "label_mapping")
        return dataclasses.replace(self, label_mapping=mapping, assumed=names)


def describe_reading(
    reader: Reader,
    *,
    text: TextColumns | None,
    label_column: str | None = None,
    label_assumed: bool = False,
    group_column: str | None = None,
) -> InputDescription:
    """How the table of an open reader is read.

    Args:
        reader: the table; its `dialect` is part of the description if it has one.
        text: the columns of the text; None if the text is not needed.
        label_column: the column of the labels.
        label_assumed: True if neither the user nor a model named that column.
        group_column: the column of the groups.
    """
    dialect = dataclasses.asdict(getattr(reader, "dialect", None) or Dialect())
    names = None if text is None else text.names
    columns = {"text_columns": names, "label_column": label_column, "group_column": group_column}
    assumed = ["text_columns"] * (text is not None and text.assumed) + ["label_column"] * label_assumed
    return InputDescription(**dialect | columns | {"assumed": (*assumed, *dialect["assumed"])})


def format_description(names: Sequence[str], description: Mapping[str, Any]) -> str:
    """A block of lines for people: the names of one or more tables, and how they are read.

    Args:
        names: the locations of the tables.
        description: what `InputDescription.to_json` gave.
    """
    named = ", ".join("standard input" if name == "-" else without_password(name) for name in names)
    head = f"{shortened(escape_line(named))} {'is' if len(names) == 1 else 'are'} read as"
    return "\n".join([head, *(f"  {item:9}  {text}" for item, text in list_items(description))])


def log_description(name: str, description: InputDescription) -> None:
    """Log how a table is read, in the lines of `format_description`."""
    logger.info("%s", format_description([name], description.to_json()), extra=BLOCK)


def list_items(description: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The names of what is known of a table, such as `delimiter`, and each in words; arguments as above."""

    get = description.get

    def mark(field: str) -> str:
        return " (assumed)" if field in (get("assumed") or ()) else ""

    text, label, delimiter = description["text_columns"], get("label_column"), get("delimiter")
    # The label is shown with what its values mean, such as `stars: 1-2 -> negative`
    if label is not None and (meaning := _format_mapping(get("label_mapping") or {})):
        label = f"{label}{mark('label_column')}: {meaning}"
    items = (
        ("text", None if text is None else " and ".join(one or "''" for one in text) or "not found", "text_columns"),
        ("label", label, "label_mapping" if get("label_mapping") else "label_column"),
        ("group", get("group_column"), "group_column"),
        ("format", get("format"), "format"),
        ("delimiter", _DELIMITERS.get(str(delimiter), delimiter), "delimiter"),
        ("encoding", get("encoding"), "encoding"),
        ("header", _format_header(description), "header"),
        ("sheet", get("sheet"), "sheet"),
    )
    return [(item, shortened(collapse_line(text + mark(field)))) for item, text, field in items if text is not None]


def _is_name(value: str, label: str) -> bool:
    """True if a value of the label column is the name of its class, in another spelling perhaps."""
    return fold_word(value) == fold_word(label)


def _format_mapping(mapping: Mapping[str, str]) -> str:
    """The class of each value; the class alone if the value is its name."""
    words = (label if _is_name(value, label) else f"{value} -> {label}" for value, label in mapping.items())
    return ", ".join(dict.fromkeys(words))


def _format_header(description: Mapping[str, Any]) -> str | None:
    """Where the names of the columns come from; None if the format has no header."""
    header, skipped = description.get("header"), description.get("skip_rows") or 0
    if header is None and not skipped:
        return None
    unit = "line" if description.get("sheet") is None else "row"
    after = f", after {skipped:,} skipped {unit}{'s' * (skipped > 1)}" if skipped else ""
    return ("none, so the columns are column_1, column_2 and so on" if header is False else "the first row") + after
