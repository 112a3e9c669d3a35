"""The figures of a measurement, what they mean, and their words for people; it measures nothing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from sentiment_batch.model.device import check_bfloat16

FIRM_SECONDS = 1.0
"""A measurement that lasts less is called short."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What a machine does with a model. Tokens are those that the model computes: cut, special ones included."""

    source: str
    """What was measured on."""
    model: str
    rows: int
    """That were scored end to end; a sample that is large enough may be scored several times over."""
    tokens: int
    """Of these rows; a repeated text counts once."""
    seconds: float
    """From the first look at the rows to the published output, the model being loaded; the faster of two rounds."""
    tokens_per_row: float
    cut_share: float
    """The share of the texts that are longer than the model takes, 0 to 1."""
    tokenising_tokens_per_second: float
    """Of the tokeniser alone, on all cores."""
    model_tokens_per_second: float
    """Of the forward pass alone, over tokens that are there, as scoring runs it."""
    tokens_per_second: float
    """End to end: from a Parquet file to another."""
    rows_per_second: float
    """End to end."""
    model_busy: float
    """The share of the time end to end in which the model is at work, 0 to 1."""
    limit_tflops: float
    """10^12 floating-point operations a second of the device's fastest large matrix product in this dtype."""
    model_tflops: float
    """Of the forward pass alone."""
    limit_share: float
    """`model_tflops / limit_tflops`; counted as `limit.Operations` says."""
    mflop_per_token: float
    """Mean over these lengths, 10^6 operations."""
    for_rows: int
    hours: float
    """Estimate for `for_rows` rows: `for_rows / rows_per_second / 3600`."""
    estimate: str
    """What it rests on."""
    loading_seconds: float
    """In which the model was loaded; no part of the estimate."""
    device: str
    device_reason: str
    dtype: str
    dtype_reason: str
    batching: str
    """How batches are laid out."""
    batch_tokens: int
    max_length: int
    long_text: str
    advice: str | None
    """What would make it faster or firmer, where the figures say so."""

    def to_json(self) -> dict[str, Any]:
        """Plain values. The key `road` repeats `batching` until version 0.3.0."""
        return dataclasses.asdict(self) | {"road": self.batching}

    def __str__(self) -> str:
        speeds = [
            ("tokenising alone", self.tokenising_tokens_per_second, ""),
            ("model alone", self.model_tokens_per_second, ""),
            ("end to end", self.tokens_per_second, f"   model at work {self.model_busy:.0%} of the time"),
        ]
        lines = [
            f"rows     {self.rows:,} of {self.source}, {self.tokens_per_row:,.0f} tokens each; {self.cut_share:.1%} of "
            f"the texts are longer than {self.max_length} ({self.long_text})",
            f"device   {self.device} ({self.device_reason})",
            f"dtype    {self.dtype} ({self.dtype_reason})",
            f"batches  {self.batching}, {self.batch_tokens:,} tokens each",
            "",
            f"{'':20}{'tokens/s':>12}{'rows/s':>12}",
            *(f"{what:20}{speed:12,.0f}{_rows(speed / self.tokens_per_row):>12}{rest}" for what, speed, rest in speeds),
            "",
            f"{'device at best':20}{self.limit_tflops:12,.2f} TFLOP/s in a large {self.dtype} matrix product",
            f"{'model':20}{self.model_tflops:12,.2f} TFLOP/s, {self.limit_share:.0%} of that "
            f"({self.mflop_per_token:,.1f} MFLOP a token)",
            "",
            f"{self.for_rows:,} rows would take {_duration(self.hours)} at {_rows(self.rows_per_second)} rows/s "
            f"{self.estimate} ({self.loading_seconds:.1f} s)",
        ]
        return "\n".join([*lines, f"advice: {self.advice}"] if self.advice else lines)


def advice_on(found: Measured, *, asked_for: str) -> str | None:
    """The one thing most worth knowing, None where the figures name nothing.

    Args:
        found: the figures.
        asked_for: the dtype that the user named, or `auto`.
    """
    if found.seconds < FIRM_SECONDS:
        return f"{found.seconds:.2f} s end to end give no firm figures. Take a larger table, more --rows or --seconds."
    if found.tokenising_tokens_per_second < found.model_tokens_per_second:
        return "tokenising is slower than the model: more CPU cores would make it faster, another GPU would not."
    if asked_for == "auto" and found.dtype == "float32" and check_bfloat16(found.device)[0]:
        return (
            "the device has bfloat16, but the probe texts' labels flip in it. --dtype bfloat16 is faster; "
            "compare both with `evaluate` on your own labels."
        )
    return None


def _rows(speed: float) -> str:
    return f"{speed:,.0f}" if speed >= 100 else f"{speed:,.1f}"


def _duration(hours: float) -> str:
    """In the unit that people would take."""
    for unit, size in (("days", 24.0), ("hours", 1.0), ("minutes", 1 / 60)):
        if hours >= 2 * size:
            return f"{hours / size:,.1f} {unit}"
    return f"{hours * 3_600:,.1f} seconds"
