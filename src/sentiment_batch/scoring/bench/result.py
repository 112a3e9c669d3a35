"""The figures of a measurement, as JSON and as text."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from sentiment_batch.display import escape_line
from sentiment_batch.report.formatting import format_percent
from sentiment_batch.scoring.summary import add_old_key

MIN_FIRM_SECONDS = 1.0
"""Seconds. A shorter measurement is called short."""
MIN_GAIN = 1.1
"""Another dtype is advised if it scores this many times as many rows per second. Less may be chance."""
BASIS = "from one Parquet file to another, if all rows are like these; loading the model is not part of it"
"""What the estimate rests on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """How fast a model is in one dtype. Tokens are those that the model computes, special ones included."""

    dtype: str
    """The dtype of the computation."""
    dtype_reason: str
    """Why this dtype is used."""
    rows: int
    """Rows that were scored end to end. A sample that is large enough may be scored several times over."""
    tokens: int
    """Tokens of these rows; a repeated text counts once."""
    seconds: float
    """Seconds from the first look at the rows to the published output, in the faster of two rounds."""
    model_tokens_per_second: float
    """Tokens per second of the forward pass alone, without padding, as scoring runs it."""
    tokens_per_second: float
    """Tokens per second end to end, from one Parquet file to another."""
    rows_per_second: float
    """Rows per second end to end."""
    model_busy: float
    """The share of the time end to end in which the model computes, 0 to 1."""
    hours: float
    """Estimate for the job in hours: `for_rows / rows_per_second / 3600`."""
    loading_seconds: float
    """Seconds in which the model was loaded. They are not part of the estimate."""
    batching: str
    """How batches are laid out."""
    batch_tokens: int
    """Tokens per batch, padding included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """How fast a machine scores with a model, in each dtype that works."""

    source: str
    """What was measured on."""
    model: str
    """The folder or Hub id of the model."""
    tokens_per_row: float
    """Mean number of tokens that are computed for a row, special ones included; a repeated text counts once."""
    cut_share: float
    """The share of the texts that are longer than the model reads, 0 to 1."""
    tokenising_tokens_per_second: float
    """Tokens per second of the tokenizer alone."""
    tokenizer: str
    """The library that tokenizes, with its version, and why."""
    for_rows: int
    """Rows of the job to estimate."""
    device: str
    """The device that was measured."""
    device_reason: str
    """Why this device is used."""
    max_length: int
    """Tokens per text."""
    long_text: str
    """What is read of a text of more tokens, one of `LONG_TEXT`."""
    dtypes: tuple[Speed, ...]
    """The speed in each dtype; the first is the one that scoring uses."""
    advice: str | None
    """What would make scoring faster or the figures firmer; None if there is nothing to advise."""

    @property
    def chosen(self) -> Speed:
        """The speed in the dtype that scoring uses."""
        return self.dtypes[0]

    def to_json(self) -> dict[str, Any]:
        """Plain values: the figures of the chosen dtype stand at the top, those of each dtype under `dtypes`."""
        return add_old_key(dataclasses.asdict(self) | dataclasses.asdict(self.chosen) | {"estimate": BASIS})

    def __str__(self) -> str:
        lines = [
            f"rows     {self.chosen.rows:,} of {escape_line(self.source)}, {self.tokens_per_row:,.0f} tokens to "
            f"compute for each; {format_percent(self.cut_share)} of the texts are longer than {self.max_length} "
            f"({self.long_text})",
            f"device   {self.device} ({self.device_reason})",
            f"tokens   {self.tokenizer}",
            f"batches  {self.chosen.batching}, {self.chosen.batch_tokens:,} tokens each",
            "",
            f"{'':22}{'tokens/s':>11}{'rows/s':>11}{'model at work':>15}",
            self._format_row("tokenizer alone", self.tokenising_tokens_per_second),
        ]
        for speed in self.dtypes:
            lines.append(self._format_row(f"{speed.dtype}, model alone", speed.model_tokens_per_second))
            row = self._format_row(f"{speed.dtype}, end to end", speed.tokens_per_second)
            lines.append(f"{row}{format_percent(speed.model_busy, 0):>15}")
        lines += ["", f"{self.for_rows:,} rows would take {self._list_estimates()}, {BASIS}."]
        lines.append(f"Scoring uses {self.chosen.dtype} ({self.chosen.dtype_reason}).")
        return "\n".join([*lines, f"advice: {self.advice}"] if self.advice else lines)

    def _format_row(self, name: str, tokens_per_second: float) -> str:
        rows_per_second = _format_rate(tokens_per_second / self.tokens_per_row)
        return f"{name:22}{tokens_per_second:11,.0f}{rows_per_second:>11}"

    def _list_estimates(self) -> str:
        """The time of the job in each dtype."""
        return " or ".join(f"{_format_duration(one.hours)} in {one.dtype}" for one in self.dtypes)


def choose_advice(found: Measurement) -> str | None:
    """The advice that is most worth knowing; None if the figures give no reason for any."""
    chosen = found.chosen
    # Figures of a short measurement are left to chance, so no other advice is derived from them
    if chosen.seconds < MIN_FIRM_SECONDS:
        return (
            f"{chosen.seconds:.2f} s end to end is too short to measure. Take a larger table, more `rows` or more "
            "`seconds`."
        )
    # A faster dtype would not help either if the model waits for the tokenizer, so this comes before the dtypes
    if found.tokenising_tokens_per_second < chosen.model_tokens_per_second:
        return "the tokenizer is slower than the model. More CPU cores would help, another GPU would not."
    faster = max(found.dtypes, key=lambda one: one.rows_per_second)
    if faster.rows_per_second > MIN_GAIN * chosen.rows_per_second:
        return (
            f'`dtype="{faster.dtype}"` is faster here than {chosen.dtype}, which scoring uses ({chosen.dtype_reason}). '
            "Compare both with `sentiment-batch evaluate` on your own labels."
        )
    return None


def _format_rate(rows_per_second: float) -> str:
    return f"{rows_per_second:,.0f}" if rows_per_second >= 100 else f"{rows_per_second:,.1f}"


def _format_duration(hours: float) -> str:
    """A duration in the unit that people would use."""
    for unit, size in (("days", 24.0), ("hours", 1.0), ("minutes", 1 / 60)):
        # From two units on, so that 1.5 hours are shown as 90.0 minutes
        if hours >= 2 * size:
            return f"{hours / size:,.1f} {unit}"
    return f"{hours * 3_600:,.1f} seconds"
