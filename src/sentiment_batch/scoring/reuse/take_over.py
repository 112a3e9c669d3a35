"""Scores a table with the scores of an earlier output or frame: makes an index, uses it, and removes it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch import frames
from sentiment_batch.data.column_paths import find_root
from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.scoring.reuse.index import ScoredTextIndex
from sentiment_batch.scoring.reuse.previous import PreviousOutput, add_rows, find_previous
from sentiment_batch.scoring.reuse.reusing_scorer import ReusingScorer

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.scoring.annotate import TableAnnotator
    from sentiment_batch.scoring.scorer import Scorer

logger = logging.getLogger("sentiment_batch")

FOLDER = "reuse"
"""The folder of the index in the folder for files that are being written."""
SAMPLE_ROWS = 32
"""Rows of an earlier frame that are scored again, because nothing else shows which model scored the frame."""
MAX_DIFFERENCE = 0.02
"""Largest allowed difference between both scores of such a row. Two dtypes differ by less, two models by more."""


@contextlib.contextmanager
def take_over(
    previous: PreviousOutput | None, annotator: TableAnnotator, scratch: str | None
) -> Iterator[TableAnnotator]:
    """An annotator whose scorer reuses an earlier output; the same annotator if there is none.

    Args:
        previous: the earlier output.
        annotator: the input and the model.
        scratch: the folder for files that are being written; None takes a temporary folder.

    Raises:
        SentimentBatchError: as for `PreviousOutput.fill`.
    """
    if previous is None:
        yield annotator
        return
    with _open_index(annotator.scorer, scratch) as index:
        _fill(index, previous, annotator.scorer, quiet=annotator.job.quiet)
        # The run only sees another scorer, so parts, bad rows and resuming work as always
        yield dataclasses.replace(annotator, scorer=ReusingScorer.share(annotator.scorer, index))


def score_with_previous(frame: Any, scorer: Scorer, text_column: str | Sequence[str] | None, previous: Any) -> Any:
    """A frame with its scores, as `Scorer` gives it, with the help of an earlier output or frame.

    Args:
        frame: a frame in memory.
        scorer: the model.
        text_column: the column or columns of the text in the frame, and in an earlier frame.
        previous: the path of an earlier output, or a frame that was scored before.

    Raises:
        UsageError: the frame holds no rows yet, or the earlier scores are those of another model or other settings.
        InputError: the earlier output is not whole, or the earlier frame lacks a column.
    """
    if frames.is_deferred(frame):
        raise UsageError(
            f"`reuse` is for frames in memory, and this {type(frame).__name__} has no rows yet. Collect it."
        )
    with _open_index(scorer, None) as index:
        if isinstance(previous, str | os.PathLike):
            _fill(index, find_previous(os.fspath(previous), scorer), scorer, quiet=True)
        else:
            _fill_from_frame(index, previous, scorer, text_column)
        before = dataclasses.replace(scorer.counts)
        scored = ReusingScorer.share(scorer, index)(frame, text_column=text_column)
    counts = scorer.counts.subtract(before)
    logger.info("%s of %s rows took over earlier scores", f"{counts.reused:,}", f"{counts.rows:,}")
    return scored


@contextlib.contextmanager
def _open_index(scorer: Scorer, scratch: str | None) -> Iterator[ScoredTextIndex]:
    """An empty index; its files are removed in the end."""
    with contextlib.ExitStack() as stack:
        place = scratch or stack.enter_context(tempfile.TemporaryDirectory(prefix="sentiment-batch-"))
        index = ScoredTextIndex(Path(place) / FOLDER, len(scorer.labels))
        # Called in reverse order: Windows removes no file that is open
        stack.callback(shutil.rmtree, index.folder, ignore_errors=True)
        stack.callback(index.close)
        yield index


def _fill(index: ScoredTextIndex, previous: PreviousOutput, scorer: Scorer, *, quiet: bool) -> None:
    """Add the texts of an earlier output to an index, and log what is known of it."""
    if previous.differences:
        logger.warning(
            "%s was scored in a slightly different way: %s. Probabilities that are taken over may differ by up to "
            "%g from new ones. A deterministic run refuses this",
            previous.name,
            "; ".join(previous.differences),
            previous.tolerance,
        )
    previous.fill(index, scorer.added, quiet=quiet)
    _log_size(previous.name, previous.manifest["rows"], index.finish())


def _fill_from_frame(
    index: ScoredTextIndex, previous: Any, scorer: Scorer, text_column: str | Sequence[str] | None
) -> None:
    """Add the texts of an earlier frame to an index.

    Raises:
        UsageError: the scores are not those of this model and these settings.
        InputError: it is no frame, or lacks a column.
    """
    if scorer.settings.deterministic:
        raise UsageError(
            "`reuse` is a frame, which does not show which model scored it. A deterministic run reuses only files with "
            "a manifest. Name the path of one."
        )
    wrapped, added = frames.wrap_frame(previous), scorer.added
    for name in added.names:
        if name not in wrapped.names:
            raise InputError.no_column(name, wrapped.names, "reuse")
        if wrapped.names.count(name) > 1:
            raise InputError(f"`reuse` is a frame with several columns {name!r}. Give one with each column once.")
    # Some rows are enough to find the columns of the text. The added columns may hold text, too, and are left out.
    rest = TableReader(wrapped.table(rows=SAMPLE_ROWS).drop_columns(added.names))
    texts = list(scorer.choose_text_columns(rest, text_column).names)
    # Only these columns are converted. Each column once, although two texts may lie in one nested column.
    names = [*dict.fromkeys(find_root(rest.schema, name) for name in texts), *added.names]
    table = wrapped.table(names).select(names)
    try:
        known = [add_rows(index, added, batch, texts) for batch in table.to_batches()]
    except InputError as error:
        raise InputError(f"`reuse` is a frame whose {error}. Leave it out, or give another frame.") from error
    if known:
        _check_sample(scorer, table, np.concatenate(known), texts)
    _log_size(f"the {type(previous).__name__}", table.num_rows, index.finish())


def _check_sample(scorer: Scorer, table: pa.Table, known: Floats, texts: list[str]) -> None:
    """Score some rows of an earlier frame again, and compare.

    Raises:
        UsageError: the scores differ by more than rounding.
    """
    # Rows with a score, at even distances over the whole frame
    scored = np.flatnonzero(~np.isnan(known[:, 0]))
    places = np.unique(scored[np.linspace(0, len(scored) - 1, SAMPLE_ROWS).astype(np.int64)]) if len(scored) else scored
    batches = [batch for place in places for batch in table.slice(int(place), 1).to_batches()]
    again = [new for _, new in scorer.probabilities(batches, texts)]
    if not again:
        return
    old, new = known[places], np.concatenate(again)
    best = old.argmax(axis=1)
    # The label of a neutral row does not say which probability is the score, so the likelier one is compared
    is_neutral = np.asarray(scorer.added.arrays(old)[0].indices) == 1 if scorer.added.neutral_band else best < 0
    rows = np.arange(len(places))
    found = np.where(is_neutral, new.max(axis=1), new[rows, best])
    differences = np.abs(found - old[rows, best])
    worst = int(differences.argmax())
    if differences[worst] > MAX_DIFFERENCE:
        raise UsageError(
            f"`reuse` is a frame with the score {old[rows, best][worst]:.4f} in row {places[worst]:,} (rows counted "
            f"from 0), but the model gives {found[worst]:.4f} there: another model or other settings scored it. Leave "
            "it out."
        )


def _log_size(name: str, rows: int, texts: int) -> None:
    if rows and not texts:
        logger.warning(
            "%s: none of %s rows can be reused, because none has a text, a label, and scores that the model can give",
            name,
            f"{rows:,}",
        )
        return
    logger.info("%s: %s rows with %s different texts can be reused", name, f"{rows:,}", f"{texts:,}")
