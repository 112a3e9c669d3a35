"""Measures this machine with one model on a sample of rows: each stage alone, all together, and the device's limit."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch.data import formats
from sentiment_batch.data.texts import is_blank
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.model.device import choose_device
from sentiment_batch.model.forward.batches import Budget, launch_batches
from sentiment_batch.model.forward.thread_pool import open_thread_pool
from sentiment_batch.records import ReadOptions
from sentiment_batch.scoring.backends.local import LocalBackend
from sentiment_batch.scoring.backends.row_blocks import MAX_ROWS_PER_BLOCK, split_into_row_blocks
from sentiment_batch.scoring.bench.result import FIRM_SECONDS, Measured, advice_on
from sentiment_batch.scoring.bench.roofline import device_limit, operations_of_engine, settle
from sentiment_batch.scoring.bench.sample import GENERATED_TOKENS, Sample, generated, sample_of
from sentiment_batch.scoring.pipeline import ScoreJob, Summary, score_table
from sentiment_batch.scoring.scorer import Scorer

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.tokenization.ragged import Tokens

logger = logging.getLogger("sentiment_batch")

ROWS = {"cpu": MAX_ROWS_PER_BLOCK, "cuda": 8 * MAX_ROWS_PER_BLOCK}
"""Most different rows that are measured unless the user says how many."""
ROUNDS = 2
"""In which the model alone and the whole are measured in turn; the faster counts, the first being still a warm-up."""
FEW_ROWS = 32
"""Of the first warm-up, which is doubled until its time can be measured."""
FOR_ROWS = 1_000_000
"""The job to estimate where nobody knows better."""
ESTIMATE = "from one Parquet file to another, all rows being like these, after the model is loaded"
PREFIX = "sentiment_batch_bench"
"""Of the added columns; no table has such ones, so that one that was scored before can be measured too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to measure."""

    source: str | None = None
    """A table; or else `tokens`."""
    tokens: int | None = None
    """Mean tokens of generated texts."""
    text_columns: tuple[str, ...] = ()
    """What the user named; found by name if empty."""
    rows: int | None = None
    """Exactly so many, once; None takes what fits `seconds`."""
    seconds: float = 5.0
    """Of each measurement, all rounds together, about."""
    for_rows: int | None = None
    """The job to estimate; None takes the table's rows."""
    input_format: str | None = None
    read: ReadOptions = dataclasses.field(default_factory=ReadOptions)

    def __post_init__(self) -> None:
        if (self.source is None) == (self.tokens is None):
            what = "nothing to measure on" if self.source is None else "both a TABLE and --tokens"
            raise UsageError(f"there is {what}. Name a TABLE of yours, or --tokens 256 for generated texts.")
        for option, value, least in (
            ("--tokens", self.tokens, 4),
            ("--rows", self.rows, 1),
            ("--for-rows", self.for_rows, 1),
        ):
            if value is not None and value < least:
                raise UsageError(f"{option} is {value}; it must be at least {least}.")
        if not 0.0 < self.seconds <= 3_600.0:
            raise UsageError(f"--seconds is {self.seconds:g}; it must lie above 0 and be at most 3600.")


def measure(plan: Plan, model: str, settings: dict[str, Any]) -> Measured:
    """Measure a model on this machine; the table is only read, and nothing is left behind.

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
            f"--device is {settings['device']!r}, but bench measures one device at a time. Name one of them; several "
            "alike share the rows, so that each adds its rows/s as long as the cores can tokenise for all."
        )
    kind = choose_device(settings["device"]).value.partition(":")[0]
    most = plan.rows or ROWS[kind]
    sample = _read(plan, most) if plan.source is not None else None
    started = time.perf_counter()
    with Scorer.load(model, **settings | {"prefix": PREFIX}) as scorer:
        loading = time.perf_counter() - started
        engine = scorer.backend
        assert isinstance(engine, LocalBackend)
        if sample is None:
            assert plan.tokens is not None
            rows = plan.rows or max(1, min(most, GENERATED_TOKENS // plan.tokens))
            sample = generated(engine.tokeniser, plan.tokens, rows)
        return _measured(plan, scorer, engine, sample, loading)


def _read(plan: Plan, rows: int) -> Sample:
    assert plan.source is not None
    with closing(formats.open_reader(plan.source, format=plan.input_format, options=plan.read)) as reader:
        return sample_of(reader, plan.source, plan.text_columns, rows)


def _measured(plan: Plan, scorer: Scorer, engine: LocalBackend, sample: Sample, loading: float) -> Measured:
    for_rows = plan.for_rows or sample.total or FOR_ROWS
    logger.info("warming up")
    fitting = _fitting(scorer, sample, plan.seconds / ROUNDS, for_rows)  # also warms up
    table = sample.spread(plan.rows or fitting)
    # Texts are scored once per window: only a sample that fills windows can be scored again without being recognised.
    again = plan.rows is None and table.num_rows >= MAX_ROWS_PER_BLOCK
    times = max(1, fitting // table.num_rows) if again else 1
    about, device = scorer.description, scorer.device.value
    at_least = min(plan.seconds / ROUNDS, FIRM_SECONDS)
    logger.info("measuring the tokeniser on %s rows", f"{table.num_rows:,}")
    texts = _texts(table, sample.text_columns)
    tokenised = [engine.tokeniser(some) for some in texts]
    count = sum(len(tokens.ids) for tokens in tokenised)
    tokenising = _seconds(lambda: [engine.tokeniser(some) for some in texts], "cpu", at_least)
    alone, together = [], []
    for _ in range(ROUNDS):
        logger.info("measuring the model on %s rows", f"{table.num_rows:,}")
        alone.append(_forward_seconds(engine, tokenised, at_least))
        logger.info("measuring end to end on %s rows", f"{times * table.num_rows:,}")
        together.append(_end_to_end(scorer, table, times, sample.text_columns))
    forward = min(alone)
    summary, seconds = min(together, key=lambda one: one[1])
    limit = device_limit(device, scorer.dtype.value)
    asked = operations_of_engine(engine).of(np.concatenate([tokens.lengths for tokens in tokenised]))
    rows_per_second = summary.rows / seconds
    figures = Measured(
        source=sample.name,
        model=scorer.model,
        rows=summary.rows,
        tokens=summary.tokens,
        seconds=seconds,
        tokens_per_row=summary.tokens / summary.rows,
        cut_share=sum(int(tokens.cut.sum()) for tokens in tokenised) / sum(map(len, texts)),
        tokenising_tokens_per_second=count / tokenising,
        model_tokens_per_second=count / forward,
        tokens_per_second=summary.tokens / seconds,
        rows_per_second=rows_per_second,
        model_busy=summary.model_busy,
        limit_tflops=limit,
        model_tflops=asked / forward / 1e12,
        limit_share=asked / forward / 1e12 / limit,
        mflop_per_token=asked / count / 1e6,
        for_rows=for_rows,
        hours=for_rows / rows_per_second / 3_600,
        estimate=ESTIMATE,
        loading_seconds=loading,
        device=device,
        device_reason=about.device.reason,
        dtype=about.dtype.value,
        dtype_reason=about.dtype.reason,
        batching=about.batching,
        batch_tokens=about.batch_tokens,
        max_length=about.policy.max_length,
        long_text=about.policy.long_text,
        advice=None,
    )
    return dataclasses.replace(figures, advice=advice_on(figures, asked_for=scorer.settings.dtype))


def _fitting(scorer: Scorer, sample: Sample, seconds: float, for_rows: int) -> int:
    """Rows that are scored in `seconds`, by warm-ups of rising size; the first is not counted.

    The job's own length is announced, so that a model which that job would compile is compiled here too.
    """
    rows, rate = FEW_ROWS, 0.0
    for attempt in range(32):
        table = sample.spread(rows)
        started = time.perf_counter()
        for _ in scorer.probabilities(table.to_batches(), sample.text_columns, expected_rows=for_rows):
            pass
        spent = time.perf_counter() - started
        rate = table.num_rows / spent
        if attempt > 0:
            if spent >= seconds / 10 or table.num_rows < rows:
                break
            rows *= 2
    return max(1, int(rate * seconds))


def _texts(table: pa.Table, text_columns: tuple[str, ...]) -> list[list[str]]:
    """The texts that are scored, window by window: none blank, each once."""
    found = []
    for window in split_into_row_blocks(table.to_batches(), text_columns):
        once = dict.fromkeys(text for texts in window.texts for text in texts.to_pylist())
        found.append([text for text in once if text is not None and not is_blank(text)])
    if not any(found):
        raise InputError("the rows that would be measured hold no text. Name another --text-column, or more --rows.")
    return found


def _forward_seconds(engine: LocalBackend, tokenised: list[Tokens], at_least: float) -> float:
    """Of one pass of all windows through the model, by the strategy, the budget and the workers of scoring."""
    strategy, budget = engine.strategy, Budget(engine.description.batch_tokens)
    with open_thread_pool(strategy.device, single=strategy.shape is not None) as pool:

        def forward() -> None:
            for one in [launch_batches(strategy, tokens, budget, pool) for tokens in tokenised]:
                one.logits()

        return _seconds(forward, strategy.device, at_least)


def _seconds(action: Callable[[], object], device: str, at_least: float) -> float:
    """The mean duration of an action, which is repeated until `at_least` seconds are over."""
    runs = 0
    settle(device)
    started = time.perf_counter()
    while True:
        action()
        settle(device)
        runs += 1
        spent = time.perf_counter() - started
        if spent >= at_least:
            return spent / runs


def _end_to_end(scorer: Scorer, table: pa.Table, times: int, text_columns: tuple[str, ...]) -> tuple[Summary, float]:
    """Score the rows so many times over, from one Parquet file to another; the seconds do not hold the loading."""
    with TemporaryDirectory(prefix="sentiment-batch-") as folder:
        source, destination = str(Path(folder) / "in.parquet"), str(Path(folder) / "out.parquet")
        writer = formats.open_writer(source, table.schema)
        try:
            for _ in range(times):
                for batch in table.to_batches():
                    writer.write(batch)
            writer.commit()
        except BaseException:
            writer.abort()
            raise
        job = ScoreJob(source=source, destination=destination, text_columns=text_columns, quiet=True)
        started = time.perf_counter()
        summary = score_table(job, lambda: scorer)
        return summary, time.perf_counter() - started
