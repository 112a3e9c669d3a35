"""Reads the tables of unlabelled texts: streams their rows, and keeps a sample without the labelled texts."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch import frames
from sentiment_batch.data.column_paths import find_field, select_columns
from sentiment_batch.data.columns import describe_null_words, extract_texts
from sentiment_batch.data.input_description import describe_reading, log_description
from sentiment_batch.data.readers.base import stream_batches
from sentiment_batch.data.text_columns import choose_text_columns
from sentiment_batch.errors import InputError, UsageError, listed
from sentiment_batch.files.checksums import hash_json
from sentiment_batch.frames.open_table import OpenTable, open_table
from sentiment_batch.progress import show_progress
from sentiment_batch.report.formatting import format_quantity
from sentiment_batch.scoring.output.fingerprint import read_input_state
from sentiment_batch.training.self_training.text_pool import TextPool, hash_words
from sentiment_batch.training.self_training.unlabelled_file import UnlabelledTexts, restore_unlabelled

if TYPE_CHECKING:
    from sentiment_batch.data.labelled_rows import LabelledRows
    from sentiment_batch.data.text_columns import TextColumns
    from sentiment_batch.training.job import TrainJob
    from sentiment_batch.training.prepare import PreparedData

logger = logging.getLogger("sentiment_batch")

TEXTS_PER_LABELLED_ROW = 20
"""Default number of unlabelled texts to keep for each labelled row. More would hide what the labelled rows teach."""
MAX_TEXTS = 100_000
"""Default limit of unlabelled texts to keep, because the student goes through all of them several times."""


def read_unlabelled(
    job: TrainJob, data: PreparedData, trained: LabelledRows, stored: Path | None
) -> UnlabelledTexts | None:
    """The unlabelled texts of a job; None if it has none.

    Args:
        job: the training job.
        data: its labelled rows. Texts that equal one of them are dropped.
        trained: the first labelled table, whose text columns are looked for first.
        stored: where the run to resume may have stored the texts. They are taken from there if the tables are the same
            files in the same state; None reads the tables.

    Raises:
        InputError: a table cannot be read, or none holds a text that is not labelled.
        UsageError: an item of a list of texts is the name of a file.
    """
    if not job.unlabelled:
        return None
    # What decides the sample: the labelled texts, which are left out, the seed and the limit
    seed = job.settings.seed
    left_out = {hash_words(text, seed) for text in _list_labelled(data)}
    limit = job.settings.unlabelled_limit or min(TEXTS_PER_LABELLED_ROW * len(data.training), MAX_TEXTS)
    with contextlib.ExitStack() as stack:
        # All tables are opened before one is read, so that a wrong name shows at once
        tables = [stack.enter_context(_open_table(one, job)) for one in job.unlabelled]
        columns = [_find_texts(job, table, trained) for table in tables]
        source = _describe_source(job, tables, columns, left_out, limit)
        found = None if stored is None or source is None else restore_unlabelled(stored, source)
        if found is None:
            pool = TextPool(limit, left_out, seed)
            for table, names in zip(tables, columns, strict=True):
                _fill(pool, table, names, quiet=job.quiet)
            found = UnlabelledTexts(
                name=", ".join(table.name for table in tables),
                texts=pool.finish(),
                rows=pool.rows,
                blank=pool.blank,
                labelled=pool.labelled,
                limit=limit,
                source=source,
            )
    logger.info("unlabelled texts: %s", _format_counts(found))
    if not found.texts:
        verb = "holds" if len(tables) == 1 else "hold"
        raise InputError(
            f"{found.name} {verb} no text that is not labelled: {_format_counts(found)}. Name another table with "
            "`unlabelled`, or leave it out."
        )
    return found


@contextlib.contextmanager
def _open_table(given: Any, job: TrainJob) -> Iterator[OpenTable]:
    kind = type(given).__name__
    if isinstance(given, list | tuple):
        _refuse_file_names(given)
        given = frames.frame_texts(given)
    with open_table(given, input_format=job.choose_format(given), read_options=job.read_options) as table:
        yield table if table.location else dataclasses.replace(table, name=f"the {kind} of unlabelled texts")


def _refuse_file_names(texts: Sequence[Any]) -> None:
    """Refuse a list of texts in which one is the name of a file, which is hardly meant as a text to learn from."""
    for text in texts:
        if isinstance(text, str) and os.path.isfile(text):
            raise UsageError(
                f"the list of `unlabelled` texts holds the name of a file, {text}. Name files as paths, such as "
                f"`unlabelled=[Path({text!r})]`."
            )


def _find_texts(job: TrainJob, table: OpenTable, trained: LabelledRows) -> TextColumns:
    """Choose the text columns: the named ones if the table has them, else those of the labelled rows, else by name.

    Logs how the table is read.
    """
    # Columns that the user named are those of the labelled tables. This table may lack them, and is no error then.
    schema = table.reader.schema
    has_all = all(find_field(schema, name) is not None for name in job.text_columns)
    try:
        named = job.text_columns if has_all else ()
        found = choose_text_columns(table.reader, named, lambda: trained.text_columns)
    except InputError as error:
        if named or any(find_field(schema, name) is not None for name in trained.text_columns):
            raise InputError(f"{table.name}: {error}") from error
        # The settings that name columns are about the labelled rows, too, so they are no cure here.
        raise InputError(
            f"{table.name} has no column {listed(trained.text_columns)} as the labelled rows have, and does not show "
            f"which of its columns holds the text: {listed(schema.names)}. Give that column the same name here."
        ) from error
    description = describe_reading(table.reader, text=found)
    log_description(table.name, description)
    return found


def _fill(pool: TextPool, table: OpenTable, columns: TextColumns, *, quiet: bool) -> None:
    """Stream all rows of the table into the pool."""
    reader, rows_before = table.reader, pool.rows
    select_columns(reader, columns.names)
    null_words: Counter[str] = Counter()
    with show_progress(reader.num_rows, quiet=quiet, task="reading unlabelled texts") as bar:
        for batch in stream_batches(reader):
            texts = extract_texts(batch, columns.names, start=pool.rows - rows_before, null_words=null_words)
            pool.add(texts.to_pylist())
            bar.update(batch.num_rows)
    if null_words:
        logger.warning("%s: %s", table.name, describe_null_words(null_words))


def _list_labelled(data: PreparedData) -> Iterator[str]:
    """The texts of all rows that train, validate or test."""
    for rows in (data.training, data.validation, data.test):
        if rows is not None:
            yield from rows.texts


def _describe_source(
    job: TrainJob, tables: Sequence[OpenTable], columns: Sequence[TextColumns], left_out: Iterable[bytes], limit: int
) -> str | None:
    """The SHA-256 of everything that decides which texts are kept; None for a frame, whose state is unknown."""
    # All that decides which texts are kept: the files, how they are read, the labelled texts, the limit and the seed
    states = [
        one.location and read_input_state(one.reader, one.location, job.choose_format(given))
        for given, one in zip(job.unlabelled, tables, strict=True)
    ]
    if None in states:
        return None
    labelled = hashlib.sha256(b"".join(sorted(left_out))).hexdigest()  # sorted, because a set has no order
    decides = {"states": states, "columns": [list(one.names) for one in columns], "labelled": labelled, "limit": limit}
    return hash_json(decides | {"seed": job.settings.seed, "read": repr(job.read_options)})


def _format_counts(found: UnlabelledTexts) -> str:
    """A sentence that says how many rows were read, and how many of them are used."""
    parts = [f"{format_quantity(found.rows, 'row')} of {found.name}"]
    if found.blank:
        parts.append(f"{found.blank:,} without a text")
    if found.labelled:
        parts.append(f"{found.labelled:,} with a labelled text, which are dropped")
    return f"{', '.join(parts)}; {format_quantity(len(found.texts), 'different text')} kept, of at most {found.limit:,}"
