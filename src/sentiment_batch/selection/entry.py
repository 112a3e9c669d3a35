"""The function `sentiment_batch.select`, on frames and on paths."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

from sentiment_batch.data.columns import to_column_names
from sentiment_batch.model.openmp import wait_passively
from sentiment_batch.records import WriteOptions
from sentiment_batch.selection.job import DEFAULT_LABEL_COLUMN, DEFAULT_ROWS, SelectJob
from sentiment_batch.settings import ScoreSettings, make_settings, to_model_name

if TYPE_CHECKING:
    from sentiment_batch.keywords import ScoreKeywords


def select(
    scored: Any,
    rows: int = DEFAULT_ROWS,
    model: str | os.PathLike[str] | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    labelled: Any = (),
    text_column: str | Sequence[str] | None = None,
    label_column: str = DEFAULT_LABEL_COLUMN,
    candidates: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    quiet: bool = False,
    **settings: Unpack[ScoreKeywords],
) -> Any:
    """Select the rows of a scored table to label next: uncertain ones that differ from each other.

    Args:
        scored: a path, or a frame in memory, with the columns that `score` added.
        rows: how many rows to select.
        model: a folder or Hub id, or what `train` returned; None takes the model that scored the table, if its manifest
            names one, else looks where the command line looks.
        output: a path or URL to write the selected rows to.
        labelled: a frame or path, or a list of them, with texts to leave out, such as those of the training.
        text_column: the column or columns of the text; None takes those that were scored.
        label_column: the name of the empty column that is added.
        candidates: how many of the most uncertain rows to choose from; None takes 20 for each row to select.
        seed: the seed of the random choices.
        overwrite: replace a file at `output`.
        quiet: show no progress bar.
        settings: the fields of `ScoreSettings`, such as `device="cpu"`. `prefix` names the column of the labels.

    Returns:
        The selected rows without the columns of the scoring, and with an empty column for the label. A frame gives a
        frame of its kind, a path gives a table of pyarrow. Each text occurs once. The rows are in the order in which
        they were chosen, so the first ones are a good selection by themselves.

    Raises:
        InputError: the table cannot be read, was not scored, or has no row to select.
        UsageError: the table has a column `label_column` already, or a setting is out of range.
        OutputError: the output exists or cannot be written.
        ModelError: the model cannot be used.
        DeviceError: the device does not exist, or its memory is too small.
    """
    # One frame or path may be given without a list
    given = labelled if isinstance(labelled, list | tuple) else [labelled]
    job = SelectJob(
        source=_plain_path(scored),
        destination=_plain_path(output),
        rows=rows,
        model=None if model is None else to_model_name(model),
        settings=make_settings(ScoreSettings, settings, "scoring"),
        text_columns=to_column_names(text_column),
        label_column=label_column,
        prefix=settings.get("prefix"),
        labelled=[_plain_path(one) for one in given],
        candidates=candidates,
        seed=seed,
        write=WriteOptions(overwrite=overwrite),
        quiet=quiet,
    )
    # The imports below load torch, which reads how its threads shall wait only when it is loaded
    with wait_passively():
        from sentiment_batch.scoring.scorer_cache import get_cached_scorer
        from sentiment_batch.selection.run import select_rows

    return select_rows(job, lambda name: get_cached_scorer(name, job.settings)).frame


def _plain_path(given: Any) -> Any:
    """The path as a string; a frame is returned as it is."""
    return os.fspath(given) if isinstance(given, os.PathLike) else given
