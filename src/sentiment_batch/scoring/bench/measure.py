"""Measures how fast a model scores on this machine: each stage alone and all together, in each dtype that works."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentiment_batch.data import formats
from sentiment_batch.data.input_description import describe_reading, log_description
from sentiment_batch.data.text_columns import choose_text_columns
from sentiment_batch.errors import DeviceError, ModelError, UsageError
from sentiment_batch.locations import without_password
from sentiment_batch.model.device import choose_device, has_bfloat16
from sentiment_batch.model.torch_operators import has_fast_int8
from sentiment_batch.records import ReadOptions
from sentiment_batch.scoring.backends.row_blocks import MAX_ROWS_PER_BLOCK
from sentiment_batch.scoring.bench.result import MIN_FIRM_SECONDS, Measurement, Speed, choose_advice
from sentiment_batch.scoring.bench.sample import MAX_GENERATED_TOKENS, Sample, generate_sample, take_sample
from sentiment_batch.scoring.bench.timing import (
    count_fitting_rows,
    list_texts,
    time_action,
    time_end_to_end,
    time_forward,
)
from sentiment_batch.scoring.scorer import Scorer
from sentiment_batch.scoring.trained_columns import read_trained_columns
from sentiment_batch.settings import check_at_least

if TYPE_CHECKING:
    from sentiment_batch.tokenization.packing import Tokens
    from sentiment_batch.tokenization.tokenizer import TextTokenizer

logger = logging.getLogger("sentiment_batch")

MAX_SAMPLE_ROWS = {"cpu": MAX_ROWS_PER_BLOCK, "cuda": 8 * MAX_ROWS_PER_BLOCK}
"""Different rows that are measured unless the user says how many."""
MEASURED_ROUNDS = 2
"""The model alone and the whole are measured in turn. The faster round counts, because the first one still warms up."""
DEFAULT_FOR_ROWS = 1_000_000
"""Rows of the job to estimate if neither the user nor the table says how many."""
BENCH_PREFIX = "sentiment_batch_bench"
"""Prefix of the added columns. No table has it, so a table that was scored before can be measured, too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchPlan:
    """What to measure.

    Raises:
        UsageError: a value is out of range, or there is not exactly one of `source` and `tokens`.
    """

    source: str | None = None
    """The path or URL of a table; None measures on generated texts."""
    tokens: int | None = None
    """Mean tokens of the generated texts."""
    text_columns: tuple[str, ...] = ()
    """The columns of the text; if empty, those of the training, else they are found by their names."""
    rows: int | None = None
    """Measure on exactly this many rows, once; None takes as many as fit `seconds`."""
    seconds: float = 5.0
    """About how long each measurement takes, all rounds together."""
    for_rows: int | None = None
    """Rows of the job to estimate; None takes those of the table."""
    input_format: str | None = None
    """The name of the input's format, None if the source shows it."""
    read: ReadOptions = dataclasses.field(default_factory=ReadOptions)

    def __post_init__(self) -> None:
        if (self.source is None) == (self.tokens is None):
            what = "nothing to measure on" if self.source is None else "both a TABLE and `tokens`"
            raise UsageError(f"there is {what}. Name a TABLE of yours, or `tokens=256` for generated texts.")
        check_at_least(self, tokens=4, rows=1, for_rows=1)
        if not 0.0 < self.seconds <= 3_600.0:
            raise UsageError(f"`seconds` is {self.seconds:g}; it must lie above 0 and be at most 3600.")


def measure_speed(plan: BenchPlan, model: str, settings: dict[str, Any]) -> Measurement:
    """Measure a model on this machine. The table is only read, and nothing is left behind.

    The dtype that scoring would use is measured first, then the others that work on the device. If `settings` name a
    dtype, it is the only one.

    Args:
        plan: what to measure.
        model: a folder or Hub id.
        settings: fields of `ScoreSettings`.

    Raises:
        UsageError: several devices, or a setting out of range.
        InputError: the table cannot be read, or holds no text.
        ModelError, DeviceError: as `Scorer.load` raises them.
    """
    if "," in settings["device"]:
        raise UsageError(
            f"`device` is {settings['device']!r}, but bench measures one device at a time. Name one of them. With "
            "several equal devices, multiply its rows/s by their number, as long as the cores can tokenize for all."
        )
    device = choose_device(settings["device"]).value
    # The table is read before the model is loaded, so that a mistake in its name shows at once
    max_rows = plan.rows or MAX_SAMPLE_ROWS[device.partition(":")[0]]
    sample = _read_sample(plan, model, max_rows) if plan.source is not None else None
    with _load_scorer(model, settings) as (scorer, loading_seconds):
        # Generated texts need the tokenizer of the model, which counts their tokens
        if sample is None:
            sample = _generate_sample(plan, scorer.tokenizer, max_rows)
        measurement = _measure_chosen(plan, scorer, sample, loading_seconds)
    # The first model is freed by now, so the device never holds two models at a time
    speeds = [measurement.chosen, *_measure_other_dtypes(plan, model, settings, sample, measurement.chosen)]
    # The advice compares the dtypes, so all of them come first
    measurement = dataclasses.replace(measurement, dtypes=tuple(speeds))
    return dataclasses.replace(measurement, advice=choose_advice(measurement))


@contextlib.contextmanager
def _load_scorer(model: str, settings: dict[str, Any]) -> Iterator[tuple[Scorer, float]]:
    """A loaded scorer, and the seconds that loading took."""
    started = time.perf_counter()
    with Scorer.load(model, **settings | {"prefix": BENCH_PREFIX}) as scorer:
        yield scorer, time.perf_counter() - started


def _read_sample(plan: BenchPlan, model: str, rows: int) -> Sample:
    """Rows of the table, with the text columns that `score` would read."""
    assert plan.source is not None
    with closing(formats.open_reader(plan.source, format=plan.input_format, options=plan.read)) as reader:
        text = choose_text_columns(reader, plan.text_columns, lambda: read_trained_columns(model))
        log_description(plan.source, describe_reading(reader, text=text))
        return take_sample(reader, without_password(plan.source), text.names, rows)


def _generate_sample(plan: BenchPlan, tokenizer: TextTokenizer, max_rows: int) -> Sample:
    assert plan.tokens is not None
    # Fewer rows if they are long, because the work of making and scoring them grows with their tokens
    rows = plan.rows or max(1, min(max_rows, MAX_GENERATED_TOKENS // plan.tokens))
    return generate_sample(tokenizer, plan.tokens, rows)


def _measure_chosen(plan: BenchPlan, scorer: Scorer, sample: Sample, loading_seconds: float) -> Measurement:
    """The speed in the dtype that scoring would use, and what does not depend on the dtype."""
    run = _measure_dtype(plan, scorer, sample, loading_seconds)
    description = scorer.description
    texts = sum(map(len, run.texts))
    logger.info("measuring the tokenizer on %s texts", f"{texts:,}")
    # The tokenizer works on the CPU and knows no dtype, so it is measured once
    seconds = time_action(lambda: [scorer.tokenizer(some) for some in run.texts], "cpu", _min_seconds(plan))
    tokens = sum(len(some.ids) for some in run.tokenized)
    return Measurement(
        source=sample.name,
        model=scorer.model,
        tokens_per_row=run.speed.tokens / run.speed.rows,
        cut_share=sum(int(some.cut.sum()) for some in run.tokenized) / texts,
        tokenising_tokens_per_second=tokens / seconds,
        tokenizer=str(scorer.tokenizer.library),
        for_rows=run.for_rows,
        device=description.device.value,
        device_reason=description.device.reason,
        max_length=description.policy.max_length,
        long_text=description.policy.long_text,
        dtypes=(run.speed,),
        advice=None,
    )


def _measure_other_dtypes(
    plan: BenchPlan, model: str, settings: dict[str, Any], sample: Sample, chosen: Speed
) -> Iterator[Speed]:
    """The speeds in the other dtypes that work on the device; none if the user named a dtype."""
    device = choose_device(settings["device"]).value
    # A user who names a dtype wants to know that one only
    if settings["dtype"] != "auto":
        return
    for dtype in list_dtypes(device):
        if dtype == chosen.dtype:
            continue
        try:
            with _load_scorer(model, settings | {"dtype": dtype}) as (scorer, loading_seconds):
                yield _measure_dtype(plan, scorer, sample, loading_seconds).speed
        # A dtype may not suit this model, or not fit into the memory. The others are measured all the same.
        except (UsageError, ModelError, DeviceError) as error:
            logger.info("%s is not measured: %s", dtype, error)


def list_dtypes(device: str) -> tuple[str, ...]:
    """The dtypes that a device computes in by hardware."""
    dtypes = ["float32"]
    if has_bfloat16(device):
        dtypes.append("bfloat16")
    if device != "cpu":
        dtypes.append("float16")
    elif has_fast_int8():
        dtypes.append("int8")
    return tuple(dtypes)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """One dtype, measured."""

    speed: Speed
    for_rows: int
    texts: list[list[str]]
    """The texts that were measured on, block by block."""
    tokenized: list[Tokens]
    """Their tokens, block by block."""


def _measure_dtype(plan: BenchPlan, scorer: Scorer, sample: Sample, loading_seconds: float) -> _Run:
    """Measure the model alone and the whole, in the dtype of `scorer`."""
    description, for_rows = scorer.description, plan.for_rows or sample.total or DEFAULT_FOR_ROWS
    dtype = description.dtype
    logger.info("warming up in %s", dtype.value)
    # Find out how many rows fit the time of a round, and take as many from all over the sample
    fitting = count_fitting_rows(scorer, sample, plan.seconds / MEASURED_ROUNDS, for_rows)
    table = sample.spread(plan.rows or fitting)
    # A block scores equal texts once, so only a sample that fills whole blocks can be scored again in full.
    repeatable = plan.rows is None and table.num_rows >= MAX_ROWS_PER_BLOCK
    times = max(1, fitting // table.num_rows) if repeatable else 1
    # Tokenize before the clock starts, because the model alone is measured without the tokenizer
    texts = list_texts(table, sample.text_columns)
    tokenized = [scorer.tokenizer(some) for some in texts]
    alone, together = [], []
    for _ in range(MEASURED_ROUNDS):
        logger.info("measuring the model in %s on %s rows", dtype.value, f"{table.num_rows:,}")
        alone.append(time_forward(scorer.local(), tokenized, _min_seconds(plan)))
        logger.info("measuring end to end in %s on %s rows", dtype.value, f"{times * table.num_rows:,}")
        together.append(time_end_to_end(scorer, table, times, sample.text_columns))
    # Warming up and other programs only slow a round down, so the faster round counts
    summary, seconds = min(together, key=lambda one: one[1])
    rows_per_second = summary.rows / seconds
    speed = Speed(
        dtype=dtype.value,
        dtype_reason=dtype.reason,
        rows=summary.rows,
        tokens=summary.tokens,
        seconds=seconds,
        model_tokens_per_second=sum(len(some.ids) for some in tokenized) / min(alone),
        tokens_per_second=summary.tokens / seconds,
        rows_per_second=rows_per_second,
        model_busy=summary.model_busy,
        hours=for_rows / rows_per_second / 3_600,
        loading_seconds=loading_seconds,
        batching=description.batching,
        batch_tokens=description.batch_tokens,
    )
    return _Run(speed=speed, for_rows=for_rows, texts=texts, tokenized=tokenized)


def _min_seconds(plan: BenchPlan) -> float:
    """The least time of a measurement; a shorter one is repeated."""
    return min(plan.seconds / MEASURED_ROUNDS, MIN_FIRM_SECONDS)
