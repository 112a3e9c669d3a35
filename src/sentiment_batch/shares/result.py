"""The result of a summary: shares of labels with their intervals, of all rows, of groups and of periods."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sentiment_batch.display import terminal_width

if TYPE_CHECKING:
    from sentiment_batch.data.input_description import InputDescription
    from sentiment_batch.evaluation.marking_words import MarkingWord


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelShare:
    """The share of one label among the rows with a label. Shares are between 0 and 1, and None without such rows."""

    rows: int
    """Rows with this label."""
    share: float | None
    """Their share of the rows with a label."""
    low: float | None
    """The low end of the 95 % interval of the share, if the rows are a sample of more rows of their kind."""
    high: float | None
    """The high end of that interval."""
    corrected: float | None
    """The share corrected for the known errors of the model; None if they are not known."""
    corrected_low: float | None
    """The low end of the 95 % interval of the corrected share."""
    corrected_high: float | None
    """The high end of that interval."""
    mean_score: float | None
    """The mean score of the rows with this label; None if the table has no scores."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShareGroup:
    """What was counted in some rows."""

    group: Mapping[str, str | None]
    """The values that the rows have in common, by the names of the columns; empty for all rows."""
    period: str | None = None
    """The period of the rows, such as `2026-04`; None for rows without a date, or of all periods."""
    rows: int
    """All these rows, with and without a label."""
    no_text: int
    """Rows without a label, because they have no text or are marked as bad."""
    unsure: int | None
    """Rows whose score is below `unsure_below`; None if the table has no scores."""
    mean_score: float | None
    """The mean score; None if the table has no scores."""
    shares: Mapping[str, LabelShare]
    """The share of each label."""
    words: Mapping[str, Sequence[MarkingWord]] = field(default_factory=dict)
    """By each label, the words that mark its texts, see `ShareSummary`."""
    over: Sequence[ShareGroup] = ()
    """The same rows by period, in order; rows without a date come last."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class ShareSummary:
    """What a scored table says. `str` gives text for a terminal, `to_json` plain values.

    The words of all rows mark the texts of a label against those of the other labels. The words of a group mark its
    texts of a label against all other texts of this label.
    """

    table: str
    """The table, without a password."""
    labels: tuple[str, ...]
    """The labels in the order of the model, or in alphabetical order if that is unknown."""
    input: InputDescription
    """How the table was read."""
    unsure_below: float
    """The model is unsure of a row if its score is below this."""
    total: ShareGroup
    """All rows, and their periods in `over`."""
    columns: tuple[str, ...]
    """The columns that make groups."""
    periods: str | None
    """The column of the periods, how its dates are written, and their time zone, in words."""
    groups: tuple[ShareGroup, ...]
    """The groups, those with most rows first."""
    no_correction: str | None
    """Why there are no corrected shares; None if there are."""
    assumption: str | None
    """When the corrected shares are right; None if there are none."""
    model: str | None
    """Where the errors of the model are known from; None if nothing is known."""
    unlike: float | None
    """The share of texts unlike those of the training, as scoring has found it; None if that is unknown."""
    expected_accuracy: float | None
    """The accuracy by the calibrated probabilities, as scoring has found it; None if that is unknown."""
    words_from: int
    """The number of sampled texts whose words were compared."""
    manifest_rows: int | None = None
    """The rows that the manifest is about; None if there is none."""
    was_edited: bool = False
    """True if a file of the table has another size than the manifest says."""

    @property
    def label_column(self) -> str | None:
        """The column of the labels."""
        return self.input.label_column

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return self.total.rows

    @property
    def is_changed(self) -> bool:
        """True if the manifest is about another state of the table."""
        return self.was_edited or self.manifest_rows not in (None, self.rows)

    @property
    def shares(self) -> Mapping[str, LabelShare]:
        """The share of each label among all rows."""
        return self.total.shares

    def to_json(self) -> dict[str, Any]:
        """Plain values, all in one object."""
        total = self.total.to_json()
        rest = {
            "labels": list(self.labels),
            "label_column": self.label_column,
            "input": self.input.to_json(),
            "unsure_below": self.unsure_below,
            "columns": list(self.columns),
            "periods": self.periods,
            "no_correction": self.no_correction,
            "assumption": self.assumption,
            "model": self.model,
            "unlike": self.unlike,
            "expected_accuracy": self.expected_accuracy,
            "words_from": self.words_from,
        }
        counted = {name: total[name] for name in ("rows", "no_text", "unsure", "mean_score", "shares", "words", "over")}
        return {"table": self.table} | counted | {"by": [one.to_json() for one in self.groups]} | rest

    def list_parts(self) -> Iterator[tuple[ShareGroup, bool]]:
        """All rows, their periods, and each group with its periods; and whether it is a period."""
        for one in (self.total, *self.groups):
            yield one, False
            yield from ((period, True) for period in one.over)

    def __str__(self) -> str:
        from sentiment_batch.shares.terminal import format_shares

        return format_shares(self, terminal_width(sys.stdout))

    def __repr__(self) -> str:
        """The main figures in a line; the generated one would fill screens."""
        shares = ", ".join(f"{label}={one.share:.4f}" for label, one in self.shares.items() if one.share is not None)
        return f"ShareSummary(rows={self.rows}, {shares})"

    def _repr_html_(self) -> str:
        """The page of the summary, for notebooks."""
        from sentiment_batch.report.notebook import frame_page
        from sentiment_batch.report.shares import render_share_page

        return frame_page(render_share_page(self.to_json(), version=version("sentiment-batch")), "Summary")
