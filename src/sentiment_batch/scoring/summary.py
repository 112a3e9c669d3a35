"""Summarizes a scoring run, as JSON and as text."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentiment_batch.display import escape_line
from sentiment_batch.locations import without_password
from sentiment_batch.report.formatting import format_percent, format_quantity

if TYPE_CHECKING:
    from sentiment_batch.data.input_description import InputDescription
    from sentiment_batch.scoring.annotate import Tally
    from sentiment_batch.scoring.backends.row_blocks import Counts
    from sentiment_batch.scoring.job import ScoreJob
    from sentiment_batch.scoring.likeness import TextCheck
    from sentiment_batch.scoring.scorer import Scorer


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The figures of a scoring run. `str` gives them as text."""

    output: str
    """The output, without a password."""
    rows: int
    """Rows of the output, including those of earlier runs."""
    rows_resumed: int
    """Rows that an earlier, interrupted run had scored."""
    rows_reused: int
    """Rows that took over the scores of an equal text in an earlier output."""
    tokens: int
    """Tokens that the model computed for these rows, without padding."""
    null: int
    """Rows without a text."""
    repeated: int
    """Rows that took the score of an equal text."""
    cut: int
    """Different texts with more tokens than `max_length`."""
    scored_twice: int
    """Different texts near the border between two labels, or audited, that int8 scored again in float32."""
    bad_rows: int
    """Rows that are marked as bad, and listed in `problems`."""
    problems: str | None
    """The file that lists the bad rows; None if there are none."""
    labels: dict[str, int]
    """Rows of each label."""
    seconds: float
    """Seconds in all, from the first look at the input; loading the model is part of it."""
    rows_per_second: float
    """Rows that this run scored, per second since the model was loaded; writing is part of it."""
    tokens_per_second: float
    """Tokens of those rows per second."""
    model: str
    """The folder or Hub id of the model."""
    device: str
    """The device that scored, such as `cuda`."""
    device_reason: str
    """Why this device was used."""
    dtype: str
    """The dtype of the computation."""
    dtype_reason: str
    """Why this dtype was used."""
    batching: str
    """How texts were put into batches, in words."""
    batch_tokens: int
    """Tokens per batch, padding included."""
    model_busy: float
    """The share of the time since the model was loaded in which it computed; the mean of several devices."""
    max_length: int
    """Tokens per text."""
    long_text: str
    """What was read of a text of more tokens, one of `LONG_TEXT`."""
    text_columns: tuple[str, ...]
    """The columns of the text."""
    input: InputDescription
    """How the input was read."""
    unlike: float | None
    """The share of texts that look unlike those of the training; None if the model has no fingerprint of them."""
    unlike_reasons: tuple[str, ...]
    """How the texts differ, in words; empty if there is nothing to warn of."""
    expected_accuracy: float | None
    """The accuracy by the calibrated probabilities, see `TextCheck`."""

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return add_old_key(dataclasses.asdict(self)) | {"input": self.input.to_json()}

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {escape_line(label)}" for label, count in self.labels.items())
        resumed = f"; {self.rows_resumed:,} of them were done by an earlier run" if self.rows_resumed else ""
        resumed += f"; {self.rows_reused:,} took over the scores of an earlier output" if self.rows_reused else ""
        expected = ""
        if self.expected_accuracy is not None:
            accuracy = format_percent(self.expected_accuracy, 0)
            expected = f"expected accuracy about {accuracy} (an estimate from calibrated probabilities)\n"
        twice = f"; {format_quantity(self.scored_twice, 'text')} scored again in float32" if self.scored_twice else ""
        output, problems = escape_line(self.output), escape_line(str(self.problems))
        # Paths and labels come from the user, so line breaks and control characters in them are escaped
        bad = f"marked and listed in {problems}: {format_quantity(self.bad_rows, 'bad row')}\n" if self.bad_rows else ""
        return (
            f"{output}: {format_quantity(self.rows, 'row')} ({counts}; {self.null:,} without a text) in "
            f"{self.seconds:.1f} s{resumed}\n{bad}{expected}"
            f"{self.rows_per_second:,.0f} rows/s, {self.tokens_per_second:,.0f} tokens/s; "
            f"{format_quantity(self.repeated, 'repeated text')} scored once; {format_quantity(self.cut, 'text')} "
            f"longer than {self.max_length} tokens ({self.long_text}){twice}\n"
            f"device {self.device} ({self.device_reason}), at work {format_percent(self.model_busy, 0)} of the time; "
            f"dtype {self.dtype} ({self.dtype_reason}); {self.batching}"
        )


def add_old_key(values: dict[str, Any]) -> dict[str, Any]:
    """The JSON values of a run, with the key that version 0.1 used for `batching`; version 0.3.0 drops it."""
    return values | {"road": values["batching"]}


def summarize_run(
    job: ScoreJob,
    scorer: Scorer,
    description: InputDescription,
    texts: TextCheck,
    *,
    rows: int,
    rows_resumed: int,
    tally: Tally,
    counts: Counts,
    problems: str | None,
    seconds: float,
    seconds_loaded: float,
) -> Summary:
    """Summarize a finished run.

    Args:
        job: the job.
        scorer: the model.
        description: how the input was read.
        texts: what is known of the texts.
        rows: rows of the output.
        rows_resumed: rows of earlier runs among them.
        tally: what was counted in all rows.
        counts: what this run alone did.
        problems: where bad rows are listed.
        seconds: seconds of the run.
        seconds_loaded: seconds since the model was loaded.
    """
    backend = scorer.description
    return Summary(
        output=without_password(job.destination),
        rows=rows,
        rows_resumed=rows_resumed,
        rows_reused=tally.counts.reused,
        tokens=tally.counts.tokens,
        null=tally.counts.null,
        repeated=tally.counts.repeated,
        cut=tally.counts.cut,
        scored_twice=tally.counts.scored_twice,
        bad_rows=tally.bad,
        problems=without_password(problems) if problems and tally.bad else None,
        # A label that no row got is listed with 0, so that each summary of a model has the same keys
        labels={label: tally.labels.get(label, 0) for label in scorer.added.sentiments},
        seconds=round(seconds, 3),
        # Speeds count only the rows of this run and the time since the model was loaded. The tally has all rows.
        rows_per_second=round(counts.rows / seconds_loaded, 1),
        tokens_per_second=round(counts.tokens / seconds_loaded, 1),
        model=scorer.model,
        device=backend.device.value,
        device_reason=backend.device.reason,
        dtype=backend.dtype.value,
        dtype_reason=backend.dtype.reason,
        batching=backend.batching,
        batch_tokens=backend.batch_tokens,
        # The seconds of several devices were added, so dividing by the number of devices gives the mean
        model_busy=round(counts.model_seconds / seconds_loaded / backend.devices, 3),
        max_length=backend.policy.max_length,
        long_text=backend.policy.long_text,
        text_columns=description.text_columns or (),
        input=description,
        **texts.to_json(),
    )
