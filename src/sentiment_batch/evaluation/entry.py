"""The function `sentiment_batch.compare`, and a check of settings that it shares with `evaluate`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from sentiment_batch.errors import UsageError
from sentiment_batch.labels.settings import LabelSettings
from sentiment_batch.model.openmp import wait_passively
from sentiment_batch.settings import to_model_name

if TYPE_CHECKING:
    from sentiment_batch.evaluation.compare_models import ModelComparison
    from sentiment_batch.keywords import ScoreKeywords


def compare(
    rows: Any,
    model_a: str | os.PathLike[str],
    model_b: str | os.PathLike[str],
    *,
    text_column: str | Sequence[str] | None = None,
    label_column: str | None = None,
    stars: str | None = None,
    labels_map: Mapping[str, str] | str | None = None,
    no_answer: Sequence[object] | str | None = None,
    **settings: Unpack[ScoreKeywords],
) -> ModelComparison:
    """Measure two models on the same labelled reviews, which neither should have been trained on.

    Args:
        rows: a frame or a path.
        model_a: a folder or Hub id, or what `train` returned.
        model_b: the same for the other model. The difference is its accuracy minus that of the first.
        text_column: the column or columns of the text; None takes those of `model_a`, else finds them by name.
        label_column: the column of the label; found by name if None.
        stars: as for `evaluate`.
        labels_map: as for `evaluate`.
        no_answer: as for `evaluate`.
        settings: the fields of `ScoreSettings`, for both models.

    Returns:
        The accuracy of both, the difference with its 95 % interval, and the rows whose label changes. Use `print`, or
        its method `to_json()`.

    Raises:
        InputError: the rows cannot be read, or no row has a label that both models have.
        ModelError: a model cannot be used.
        DeviceError: the device does not exist, or its memory is too small.
        UsageError: a setting is out of range, or `neutral_band` is set.
    """
    from sentiment_batch.data.columns import to_column_name, to_column_names
    from sentiment_batch.evaluation.reviews import read_measured_rows

    label_settings = LabelSettings.parse(stars=stars, labels_map=labels_map, no_answer=no_answer)
    refuse_neutral_band(settings)
    models = to_model_name(model_a, "model_a"), to_model_name(model_b, "model_b")
    reviews = read_measured_rows(
        rows,
        lambda: models[0],
        text_columns=to_column_names(text_column),
        label_column=to_column_name(label_column, "label_column"),
        label_settings=label_settings,
    )
    with wait_passively():
        from sentiment_batch.evaluation.compare_models import compare_models
        from sentiment_batch.scoring.scorer import Scorer

        loads = [partial(Scorer.load, model, **settings) for model in models]
        return compare_models(loads, reviews, label_settings)


def refuse_neutral_band(settings: ScoreKeywords) -> None:
    """Refuse a neutral band, which is no label of a model.

    Raises:
        UsageError: `neutral_band` is set.
    """
    if settings.get("neutral_band") is not None:
        raise UsageError("`neutral_band` is for scoring; a model is measured on its own labels. Leave it out.")
