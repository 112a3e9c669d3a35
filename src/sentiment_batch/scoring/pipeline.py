"""Annotates a table from end to end: a location in, a location out, and a summary of what happened."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from tqdm import tqdm

from sentiment_batch import columns, formats
from sentiment_batch.errors import OutputError, PluginError
from sentiment_batch.inputs import text_columns_of
from sentiment_batch.locations import scheme_of
from sentiment_batch.records import ReadOptions, WriteOptions

if TYPE_CHECKING:
    from sentiment_batch.readers.base import Reader
    from sentiment_batch.scoring.scorer import Scorer

logger = logging.getLogger("sentiment_batch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What to annotate, and where to."""

    source: str
    destination: str
    text_columns: tuple[str, ...] = ()
    """What the user named; found by name if empty."""
    keep: tuple[str, ...] = ()
    """The input columns that come out; all if empty."""
    limit: int | None = None
    """Score only the first so many rows."""
    input_format: str | None = None
    output_format: str | None = None
    read: ReadOptions = dataclasses.field(default_factory=ReadOptions)
    write: WriteOptions = dataclasses.field(default_factory=WriteOptions)
    quiet: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What a scoring run did."""

    output: str
    rows: int
    tokens: int
    null: int
    repeated: int
    cut: int
    labels: dict[str, int]
    """Rows of each label."""
    seconds: float
    """In all, from the first look at the input; loading the model is part of it."""
    rows_per_second: float
    """From when the model is loaded, the writing included."""
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
        return (
            f"{self.output}: {self.rows:,} rows ({counts}; {self.null:,} without a text) in {self.seconds:.1f} s\n"
            f"{self.rows_per_second:,.0f} rows/s, {self.tokens_per_second:,.0f} tokens/s; {self.repeated:,} repeated "
            f"texts scored once; {self.cut:,} texts longer than {self.max_length} tokens ({self.long_text})\n"
            f"device {self.device} ({self.device_reason}), at work {self.model_busy:.0%} of the time; "
            f"dtype {self.dtype} ({self.dtype_reason}); {self.road}"
        )


def score_table(job: Job, load: Callable[[], Scorer]) -> Summary:
    """Annotate `job.source` and publish the result at `job.destination`, whole or not at all.

    Args:
        job: what to annotate, and where to.
        load: gives the model; called only when the input and the destination look right, for it takes seconds.

    Raises:
        InputError: the input is missing, damaged, or holds no text column.
        UsageError: an added column has the name of one of the input's, or a format is unknown.
        OutputError: the destination exists or cannot be written.
        PluginError: a plugin broke its promise.
    """
    started = time.perf_counter()
    output_format = _output_format(job)
    with closing(formats.open_reader(job.source, format=job.input_format, options=job.read)) as reader:
        texts = text_columns_of(reader, job.text_columns)
        kept = _kept(reader.schema, job.keep)
        scorer = load()
        loaded = time.perf_counter()
        scorer.added.check(kept)
        places = _places(reader.schema, job.keep)
        inputs = [reader.schema.field(place) for place in places]
        schema = pa.schema([*inputs, *scorer.added.fields()], metadata=reader.schema.metadata)
        writer = formats.open_writer(job.destination, schema, format=output_format, options=job.write)
        tally = dict.fromkeys(scorer.labels, 0)
        before = dataclasses.replace(scorer.counts)
        try:
            with _progress(reader, job) as bar:
                rows = _limited(_rows(reader), job.limit)
                for batch, probabilities in scorer.probabilities(rows, texts, bar.update, _expected(reader, job)):
                    added = scorer.added.arrays(probabilities)
                    arrays = [batch.column(place) for place in places]
                    writer.write(pa.RecordBatch.from_arrays([*arrays, *added], schema=schema))
                    _tally(tally, added[0])
            done = scorer.counts.rows - before.rows
            _check_count(reader, job, done)
            writer.commit()
        except BaseException:
            writer.abort()
            raise
    return _summary(job, scorer, before, tally, tuple(texts), (started, loaded, time.perf_counter()))


def _output_format(job: Job) -> str:
    """The format to write; standard output takes the input's. What is wrong with the destination shows at once.

    The writer checks it again; but that is made when the model is loaded, and the user should not wait for it.
    """
    if not job.write.overwrite and os.path.isfile(job.destination):
        raise OutputError.exists(job.destination)
    folder = os.path.dirname(job.destination)
    if folder and not scheme_of(job.destination) and not os.path.isdir(folder):
        raise OutputError(
            f"there is no folder {folder} to write {job.destination} into. Create it, or name another OUT."
        )
    if job.destination == "-" and job.output_format is None:
        return formats.writing_format("-", formats.reading_format(job.source, job.input_format).name).name
    return formats.writing_format(job.destination, job.output_format).name


def _kept(schema: pa.Schema, keep: Sequence[str]) -> list[str]:
    for name in keep:
        columns.check_column(schema, name, "--columns")
    return list(keep) or list(schema.names)


def _places(schema: pa.Schema, keep: Sequence[str]) -> list[int]:
    """The kept columns by place, so that repeated names of an input stay apart."""
    return [schema.get_field_index(name) for name in keep] or list(range(len(schema)))


def _rows(reader: Reader) -> Iterator[pa.RecordBatch]:
    for split in reader.splits():
        yield from reader.batches(split)


def _limited(batches: Iterator[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    left = limit
    for batch in batches:
        yield batch if left is None else batch.slice(0, left)
        if left is not None:
            left -= min(left, batch.num_rows)
            if left == 0:
                return


def _tally(tally: dict[str, int], labels: pa.DictionaryArray) -> None:
    for entry in labels.value_counts():
        if entry["values"].is_valid:
            tally[entry["values"].as_py()] += entry["counts"].as_py()


def _check_count(reader: Reader, job: Job, done: int) -> None:
    """One row out for each row in, or nothing is published."""
    expected = _expected(reader, job)
    if expected is not None and done != expected:
        raise PluginError(
            f"{job.source} gave {done:,} rows but promised {expected:,}; nothing was published. Try again."
        )


def _expected(reader: Reader, job: Job) -> int | None:
    """The rows that are to come, None if the reader cannot know."""
    if reader.num_rows is None or job.limit is None:
        return reader.num_rows
    return min(reader.num_rows, job.limit)


def _progress(reader: Reader, job: Job) -> Any:
    expected = _expected(reader, job)
    total = job.limit if expected is None else expected
    interval = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm(total=total, desc="scoring", unit="row", unit_scale=True, disable=job.quiet, mininterval=interval)


def _summary(
    job: Job,
    scorer: Scorer,
    before: Any,
    tally: dict[str, int],
    texts: tuple[str, ...],
    times: tuple[float, float, float],
) -> Summary:
    """What happened, by the scorer's counts `before` and now; `times` are those of the start, the model and the end."""
    started, loaded, ended = times
    counts = scorer.counts
    devices = scorer.device.value.count(",") + 1
    rows, tokens = counts.rows - before.rows, counts.tokens - before.tokens
    return Summary(
        output=job.destination,
        rows=rows,
        tokens=tokens,
        null=counts.null - before.null,
        repeated=counts.repeated - before.repeated,
        cut=counts.cut - before.cut,
        labels=tally,
        seconds=round(ended - started, 3),
        rows_per_second=round(rows / (ended - loaded), 1),
        tokens_per_second=round(tokens / (ended - loaded), 1),
        model=scorer.model,
        device=scorer.device.value,
        device_reason=scorer.device.reason,
        dtype=scorer.dtype.value,
        dtype_reason=scorer.dtype.reason,
        road=scorer.about.road,
        batch_tokens=scorer.about.batch_tokens,
        model_busy=round((counts.model_seconds - before.model_seconds) / (ended - loaded) / devices, 3),
        max_length=scorer.policy.max_length,
        long_text=scorer.policy.long_text,
        text_columns=texts,
    )
