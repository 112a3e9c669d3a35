"""What the figures mean, as JSON and in words."""

from __future__ import annotations

import dataclasses
import json

import pytest

from sentiment_batch.scoring.bench import result
from sentiment_batch.scoring.bench.result import Measurement, Speed

SPEED = Speed(
    dtype="float32",
    dtype_reason="two probe texts change their labels in bfloat16",
    rows=600,
    tokens=60_000,
    seconds=48.6,
    model_tokens_per_second=2e3,
    tokens_per_second=1_234.0,
    rows_per_second=12.34,
    model_busy=0.62,
    hours=3.0,
    loading_seconds=0.5,
    batching="packed",
    batch_tokens=2_048,
)
MEASUREMENT = Measurement(
    source="reviews.csv",
    model="sentiment-model",
    tokens_per_row=100.0,
    cut_share=0.125,
    tokenising_tokens_per_second=1e6,
    tokenizer="tokenizers 0.23 (so)",
    for_rows=5_000_000,
    device="cpu",
    device_reason="as asked",
    max_length=512,
    long_text="head-tail",
    dtypes=(SPEED,),
    advice="do this",
)
HALF = dataclasses.replace(SPEED, dtype="bfloat16", dtype_reason="as asked", rows_per_second=24.0, hours=1.5)


@pytest.mark.parametrize(
    ("speed", "changes", "part"),
    [
        ({"seconds": 0.2}, {}, "0.20 s end to end is too short"),
        ({}, {"tokenising_tokens_per_second": 1e3}, "the tokenizer is slower than the model"),
        ({}, {"dtypes": (SPEED, HALF)}, '`dtype="bfloat16"` is faster here than float32, which scoring uses (two'),
        ({}, {}, None),
        ({}, {"dtypes": (HALF, SPEED)}, None),
        ({}, {"dtypes": (HALF, dataclasses.replace(SPEED, rows_per_second=48.0))}, '`dtype="float32"` is faster here'),
        ({}, {"dtypes": (SPEED, dataclasses.replace(HALF, rows_per_second=12.5))}, None),
    ],
)
def test_advice_follows_from_the_figures(speed, changes, part):
    found = dataclasses.replace(MEASUREMENT, dtypes=(dataclasses.replace(SPEED, **speed),))
    advice = result.choose_advice(dataclasses.replace(found, **changes))
    assert advice is None if part is None else part in advice


def test_the_table_shows_every_figure_with_its_unit():
    lines = str(dataclasses.replace(MEASUREMENT, dtypes=(SPEED, HALF))).splitlines()
    assert max(map(len, lines)) < 200
    text = " ".join(" ".join(lines).split())
    for part in (
        "600 of reviews.csv, 100 tokens to compute for each; 12.5 % of the texts are longer than 512 (head-tail)",
        "packed, 2,048 tokens each",
        "tokenizer alone 1,000,000 10,000",
        "float32, model alone 2,000 20.0",
        "float32, end to end 1,234 12.3 62 %",
        "5,000,000 rows would take 3.0 hours in float32 or 90.0 minutes in bfloat16, from one Parquet file",
        "Scoring uses float32 (two probe texts",
    ):
        assert part in text
    assert lines[-1] == "advice: do this"


def test_json_has_the_chosen_figures_and_those_of_each_dtype():
    found = json.loads(json.dumps(dataclasses.replace(MEASUREMENT, dtypes=(SPEED, HALF)).to_json()))
    assert (found["dtype"], found["rows_per_second"], found["road"]) == ("float32", 12.34, "packed")
    assert [one["dtype"] for one in found["dtypes"]] == ["float32", "bfloat16"]
    assert found["dtypes"][1] == dataclasses.asdict(HALF)


@pytest.mark.parametrize(
    ("hours", "words"), [(0.001, "3.6 seconds"), (0.1, "6.0 minutes"), (5.0, "5.0 hours"), (72.0, "3.0 days")]
)
def test_durations_are_in_the_unit_that_people_use(hours, words):
    assert result._format_duration(hours) == words
