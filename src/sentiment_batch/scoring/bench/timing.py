"""Times the stages of scoring on a sample of rows: the forward pass alone, and everything end to end."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch

from sentiment_batch.data import formats
from sentiment_batch.data.columns import is_blank
from sentiment_batch.errors import InputError
from sentiment_batch.model.forward.batches import Budget, open_thread_pool
from sentiment_batch.model.forward.int8_labels import launch_with_exact_labels
from sentiment_batch.scoring.backends.row_blocks import split_into_row_blocks
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.pipeline import score_table

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.scoring.backends.local import LocalBackend
    from sentiment_batch.scoring.bench.sample import Sample
    from sentiment_batch.scoring.scorer import Scorer
    from sentiment_batch.scoring.summary import Summary
    from sentiment_batch.tokenization.packing import Tokens

FIRST_WARM_UP_ROWS = 32
"""The number is doubled until the time can be measured."""


def count_fitting_rows(scorer: Scorer, sample: Sample, seconds: float, for_rows: int) -> int:
    """How many rows are scored in `seconds`, by warm-ups of rising size; the first warm-up does not count.

    The length of the job is announced, so that a model which that job would compile is compiled here too.
    """
    rows, rate = FIRST_WARM_UP_ROWS, 0.0
    for attempt in range(32):
        table = sample.spread(rows)
        started = time.perf_counter()
        for _ in scorer.probabilities(table.to_batches(), sample.text_columns, expected_rows=for_rows):
            pass
        spent = time.perf_counter() - started
        rate = table.num_rows / spent
        # The first attempt also compiles kernels and fills caches, so its time says nothing
        if attempt > 0:
            # A tenth of the time is long enough for an estimate. A sample that is used up allows no larger warm-up.
            if spent >= seconds / 10 or table.num_rows < rows:
                break
            # Doubling finds the size in a few steps, on a GPU as well as on a slow CPU
            rows *= 2
    return max(1, int(rate * seconds))


def list_texts(table: pa.Table, text_columns: tuple[str, ...]) -> list[list[str]]:
    """The texts that are scored, block by block: none blank, each once.

    Raises:
        InputError: no row holds a text.
    """
    blocks = []
    for block in split_into_row_blocks(table.to_batches(), text_columns):
        # Scoring computes equal texts of a block once, so here they count once, too
        distinct = dict.fromkeys(text for texts in block.texts for text in texts.to_pylist())
        blocks.append([text for text in distinct if text is not None and not is_blank(text)])
    if not any(blocks):
        raise InputError("the measured rows hold no text. Name another column with `text_column`, or more `rows`.")
    return blocks


def time_forward(backend: LocalBackend, tokenized: list[Tokens], min_seconds: float) -> float:
    """Seconds of one pass of all blocks through the model, as scoring does it."""
    strategy, budget = backend.strategy, Budget(backend.description.batch_tokens)
    with open_thread_pool(strategy.device, single=strategy.shape is not None) as pool:

        def forward() -> None:
            # Launch all blocks before the first result is awaited, as the stages of scoring do
            for one in [launch_with_exact_labels(strategy, tokens, budget, pool) for tokens in tokenized]:
                one.logits()

        return time_action(forward, strategy.device, min_seconds)


def time_action(action: Callable[[], object], device: str, min_seconds: float) -> float:
    """The mean duration of an action in seconds. The action is repeated until `min_seconds` are over."""
    runs = 0
    _wait_for(device)
    started = time.perf_counter()
    while True:
        action()
        _wait_for(device)
        runs += 1
        spent = time.perf_counter() - started
        if spent >= min_seconds:
            return spent / runs


def _wait_for(device: str) -> None:
    """Wait until the device has done all its work, so that the clock can be read."""
    if device != "cpu":
        # CUDA returns from a call before the GPU has done the work
        torch.cuda.synchronize(device)


def time_end_to_end(
    scorer: Scorer, table: pa.Table, times: int, text_columns: tuple[str, ...]
) -> tuple[Summary, float]:
    """Score the rows `times` times over, from one Parquet file to another.

    Returns:
        The summary, and the seconds of scoring; loading the model is not part of them.
    """
    with TemporaryDirectory(prefix="sentiment-batch-") as folder:
        # The rows are written as Parquet before the clock starts, so the format of the table does not count
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
        with _warnings_alone():
            started = time.perf_counter()
            summary = score_table(job, lambda: scorer)
            return summary, time.perf_counter() - started


@contextlib.contextmanager
def _warnings_alone() -> Iterator[None]:
    """Log no other messages in the block, because those of scoring would name a temporary file."""
    logger = logging.getLogger("sentiment_batch")
    # All modules of the package share this logger, so its level also holds for those that score
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)
