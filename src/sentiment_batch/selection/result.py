"""The result of a selection: the selected rows, and how they were found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from sentiment_batch.display import escape_line
from sentiment_batch.report.formatting import format_quantity

if TYPE_CHECKING:
    from sentiment_batch.data.input_description import InputDescription


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The selected rows, in the order in which they were chosen, and how they were found."""

    frame: Any = field(repr=False)
    """The selected rows without the columns of the scoring, and with an empty column for the label."""
    output: str | None
    """The path or URL that the rows were written to; None if they were not written."""
    rows: int
    """Number of rows of the table."""
    without_score: int
    """Number of rows of the table without a score, because they have no text."""
    labelled_texts: int
    """Number of different texts in the labelled tables. Rows with these texts are not selected."""
    candidates: int
    """Number of the most uncertain rows with different texts that the selected rows were chosen from."""
    selected: int
    """Number of selected rows. It is smaller than requested if the table has fewer candidates."""
    label_column: str
    """The name of the empty column for the labels."""
    labels: tuple[str, ...]
    """The labels of the model."""
    label_values: Mapping[str, str]
    """What to write for each label, as in the training, such as `{"0": "negative"}`; the labels if this is unknown."""
    left_out: tuple[str, ...]
    """Columns that the scoring added, which the selected rows lack."""
    prefix: str
    """The column of the labels among them."""
    model: str
    """The model whose vectors tell texts apart."""
    seed: int
    """Seed of the random choices."""
    seconds: float
    """Duration of the selection in seconds."""
    input: InputDescription
    """How the table was read."""

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values for JSON, without the rows."""
        # `dataclasses.asdict` would copy the frame, too, and the rows are no part of the JSON
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "frame"}
        return values | {
            "labels": list(self.labels),
            "label_values": dict(self.label_values),
            "left_out": list(self.left_out),
            "input": self.input.to_json(),
        }

    def __str__(self) -> str:
        place = "" if self.output is None else f"{escape_line(self.output)}: "
        without = f" ({self.without_score:,} without a score)" if self.without_score else ""
        meanings = (value if value == label else f"{value} ({label})" for value, label in self.label_values.items())
        return (
            f"{place}{format_quantity(self.selected, 'row')} of {self.rows:,}{without}, chosen among the "
            f"{self.candidates:,} most uncertain ones\n"
            f"Fill in its column {escape_line(self.label_column)}, such as with {escape_line(', '.join(meanings))}. "
            "Training leaves out rows without a label"
        )
