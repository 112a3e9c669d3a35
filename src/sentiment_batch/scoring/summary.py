"""What a scoring run did, counted part by part, and its words for people."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sentiment_batch.locations import without_password

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.scoring.backends.results import Counts
    from sentiment_batch.scoring.job import Job
    from sentiment_batch.scoring.scorer import Scorer

COUNTED = ("tokens", "null", "repeated", "cut", "compiled")
"""The fields of `Counts` that are kept with a part."""


@dataclass(kw_only=True, slots=True)
class Tally:
    """What was seen in some rows."""

    tokens: int = 0
    null: int = 0
    repeated: int = 0
    cut: int = 0
    compiled: int = 0
    bad: int = 0
    """Rows that are marked as bad."""
    labels: dict[str, int] = field(default_factory=collections.Counter)
    """Rows of each label."""

    def add_counts(self, counts: Counts) -> None:
        """Count what an engine counted."""
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(counts, name))

    def add_labels(self, labels: pa.DictionaryArray) -> None:
        """Count the labels of some rows."""
        for entry in labels.value_counts():
            if entry["values"].is_valid:
                label = entry["values"].as_py()
                self.labels[label] = self.labels.get(label, 0) + entry["counts"].as_py()

    def to_json(self) -> dict[str, Any]:
        """Plain values, to be kept."""
        return dataclasses.asdict(self) | {"labels": dict(self.labels)}

    @classmethod
    def total(cls, kept: Iterable[dict[str, Any]]) -> Tally:
        """The sum of what `to_json` gave."""
        total = cls()
        for one in kept:
            for name in (*COUNTED, "bad"):
                setattr(total, name, getattr(total, name) + one[name])
            for label, count in one["labels"].items():
                total.labels[label] = total.labels.get(label, 0) + count
        return total


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What a scoring run did."""

    output: str
    rows: int
    """Of the output, those of earlier runs among them."""
    rows_resumed: int
    """Rows whose scores an earlier run left."""
    tokens: int
    null: int
    repeated: int
    cut: int
    bad_rows: int
    """Rows that are marked as bad, in `problems`."""
    problems: str | None
    """Where the bad rows are listed; None where there are none."""
    labels: dict[str, int]
    """Rows of each label."""
    seconds: float
    """In all, from the first look at the input; loading the model is part of it."""
    rows_per_second: float
    """Of the rows that this run scored, from when the model was loaded, the writing included."""
    tokens_per_second: float
    """Likewise."""
    model: str
    device: str
    device_reason: str
    dtype: str
    dtype_reason: str
    road: str
    """How batches were laid out."""
    batch_tokens: int
    model_busy: float
    """The share of the time since the model was loaded in which it was at work; of several devices, their mean."""
    max_length: int
    long_text: str
    text_columns: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {label}" for label, count in self.labels.items())
        resumed = f"; {self.rows_resumed:,} of them were done by an earlier run" if self.rows_resumed else ""
        bad = f"{self.bad_rows:,} bad rows are marked and listed in {self.problems}\n" if self.bad_rows else ""
        return (
            f"{self.output}: {self.rows:,} rows ({counts}; {self.null:,} without a text) in {self.seconds:.1f} s"
            f"{resumed}\n{bad}"
            f"{self.rows_per_second:,.0f} rows/s, {self.tokens_per_second:,.0f} tokens/s; {self.repeated:,} repeated "
            f"texts scored once; {self.cut:,} texts longer than {self.max_length} tokens ({self.long_text})\n"
            f"device {self.device} ({self.device_reason}), at work {self.model_busy:.0%} of the time; "
            f"dtype {self.dtype} ({self.dtype_reason}); {self.road}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """When a run began, when its model was loaded, and when it ended, in seconds of one clock."""

    started: float
    loaded: float
    ended: float


def summary_of(
    job: Job,
    scorer: Scorer,
    *,
    rows: int,
    resumed: int,
    total: Tally,
    worked: Counts,
    problems: str | None,
    texts: tuple[str, ...],
    times: Times,
) -> Summary:
    """What happened.

    Args:
        job: what was asked for.
        scorer: the model.
        rows: of the output.
        resumed: rows of earlier runs among them.
        total: what was seen in all rows.
        worked: what this run alone did.
        problems: where bad rows are listed.
        texts: the columns of the text.
        times: the run's.
    """
    about, spent = scorer.about, times.ended - times.loaded
    return Summary(
        output=without_password(job.destination),
        rows=rows,
        rows_resumed=resumed,
        tokens=total.tokens,
        null=total.null,
        repeated=total.repeated,
        cut=total.cut,
        bad_rows=total.bad,
        problems=without_password(problems) if problems and total.bad else None,
        labels={label: total.labels.get(label, 0) for label in scorer.added.sentiments},
        seconds=round(times.ended - times.started, 3),
        rows_per_second=round(worked.rows / spent, 1),
        tokens_per_second=round(worked.tokens / spent, 1),
        model=scorer.model,
        device=about.device.value,
        device_reason=about.device.reason,
        dtype=about.dtype.value,
        dtype_reason=about.dtype.reason,
        road=about.road,
        batch_tokens=about.batch_tokens,
        model_busy=round(worked.model_seconds / spent / about.devices, 3),
        max_length=about.policy.max_length,
        long_text=about.policy.long_text,
        text_columns=texts,
    )
