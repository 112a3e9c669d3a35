"""Annotates data sets of the Hugging Face library `datasets`: stored ones, streams, and dictionaries of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.data.class_names import name_classes
from sentiment_batch.data.column_paths import find_root
from sentiment_batch.data.columns import to_single_array
from sentiment_batch.data.readers.json_types import replace_surrogates
from sentiment_batch.errors import InputError
from sentiment_batch.frames.base import find_texts

if TYPE_CHECKING:
    from sentiment_batch.frames.base import Added
    from sentiment_batch.scoring.scorer import Scorer


class HuggingFaceDataset:
    """A `datasets.Dataset`. Its class labels are read as their names, and a class of -1 as no label."""

    def __init__(self, frame: Any) -> None:
        if frame.format["type"] == "custom":  # of with_transform
            raise InputError(
                "a function transforms the rows of this Dataset when they are read, so its columns are not those that "
                "you see. Drop the function with .with_format(None), or apply it with .map() first."
            )
        self._frame = frame
        self.names: list[str] = list(frame.column_names)

    def table(self, columns: Sequence[str] | None = None, rows: int | None = None) -> pa.Table:
        """The first rows as Arrow, in the order of the data set, which may be shuffled."""
        chosen = self._frame if columns is None else self._frame.select_columns(list(columns))
        table = chosen.with_format("arrow")[: len(chosen) if rows is None else rows]
        for place, name in enumerate(table.column_names):
            names = getattr(self._frame.features[name], "names", None)
            if names and pa.types.is_integer(table.schema.field(place).type):
                table = table.set_column(
                    place, name, pa.array(name_classes(table.column(place).to_pylist(), names), pa.string())
                )
        return table.replace_schema_metadata()  # they describe the types of the old columns

    def with_columns(self, added: Added) -> Any:
        """A new data set; labels become strings, because a class label shows as a number."""
        dataset = self._frame
        for name, column in added.items():
            dataset = dataset.add_column(name, _decode(to_single_array(column)))
        return dataset

    def take_rows(self, rows: Sequence[int], *, without: Collection[str]) -> HuggingFaceDataset:
        """Take rows, see `Frame.take_rows`."""
        kept = [name for name in self.names if name not in without]
        return HuggingFaceDataset(self._frame.select_columns(kept).select(list(rows)))


def annotate_streamed(frame: Any, scorer: Scorer, chosen: Sequence[str]) -> Any:
    """An `IterableDataset` with its scores. They are computed while it is read.

    Raises:
        InputError: its columns are not known before it is read, and no text column is named.
    """
    if frame.features is None:
        if not chosen:
            raise InputError("the columns of this IterableDataset are not known. Name the column with `text_column`.")
        return _map_rows(frame, partial(_add_scores, scorer, chosen, None))
    schema = frame.features.arrow_schema
    scorer.added.check_names(schema.names)
    texts = find_texts(scorer, schema, chosen, frame)
    roots = [(name, schema.field(name).type) for name in dict.fromkeys(find_root(schema, name) for name in texts)]
    added = scorer.added.append_to_schema(pa.schema([]))
    # A column without rows shows the type that `_decode` gives: plain strings in place of a dictionary
    strings = pa.schema([pa.field(one.name, _decode(pa.nulls(0, one.type)).type) for one in added])
    kind = type(frame.features)
    features = kind({**frame.features, **kind.from_arrow_schema(strings)})
    return _map_rows(frame, partial(_add_scores, scorer, texts, roots), features=features)


def annotate_splits(frame: Any, scorer: Scorer, chosen: Sequence[str]) -> Any:
    """A dictionary of data sets, such as `train` and `test`, each with its scores."""
    return type(frame)({name: scorer(one, text_column=chosen or None) for name, one in frame.items()})


def _map_rows(frame: Any, add: Callable[[dict[str, list[Any]]], dict[str, list[Any]]], **options: Any) -> Any:
    """A streamed data set with the columns that a function adds to plain rows. It keeps its format, such as pandas."""
    # `datasets` has no public name for the format of a stream.
    kind = getattr(getattr(frame, "_formatting", None), "format_type", None)
    # `add` takes lists. With another format, it would get arrays or frames of that library.
    return frame.with_format(None).map(add, batched=True, **options).with_format(kind)


def _add_scores(
    scorer: Scorer,
    texts: Sequence[str],
    roots: Sequence[tuple[str, pa.DataType]] | None,
    rows: dict[str, list[Any]],
) -> dict[str, list[Any]]:
    """The added columns of a batch of rows, which are lists by the names of their columns.

    Args:
        scorer: the model.
        texts: the text columns.
        roots: the names and types of the columns that hold them; None if the rows alone show them.
        rows: the batch.

    Raises:
        InputError: there is no such column, or it holds no text.
        UsageError: a column has the name of an added one.
    """
    if roots is None:
        scorer.added.check_names(list(rows))
        table = pa.table(dict(_infer_column(name, rows) for name in texts))
    else:
        table = pa.table({name: pa.array(replace_surrogates(rows[name]), kind) for name, kind in roots})
    scored = scorer(table, text_column=texts)
    return {name: scored[name].to_pylist() for name in scorer.added.names}


def _infer_column(text: str, rows: dict[str, list[Any]]) -> tuple[str, pa.Array]:
    """The name of the column that holds a text, and its values with a type that they have.

    Raises:
        InputError: there is no such column, or its values share no type.
    """
    root = text if text in rows else next((name for name in rows if text.startswith(f"{name}.")), None)
    if root is None:
        raise InputError.no_column(text, rows, "text_column")
    try:
        values = pa.array(replace_surrogates(rows[root]))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(f"column {root!r} holds values of several types, not text: {error}") from error
    if values.null_count < len(values):
        return root, values
    kind = pa.string()  # a batch without a text does not show the type
    # Build the type of a nested text, such as review.body, from the inside out
    for part in reversed(text.removeprefix(root).split(".")[1:]):
        kind = pa.struct([(part, kind)])
    return root, pa.array(rows[root], kind)


def _decode(array: pa.Array) -> pa.Array:
    """The array without a dictionary, because `datasets` has no type for dictionaries."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
