"""Plans self-training and distillation: how many teachers there are, what they label, and what all that costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sentiment_batch.progress import show_progress
from sentiment_batch.training.batches import MIN_CROP_TOKENS, TokenizedTexts
from sentiment_batch.training.loop import compute_logits
from sentiment_batch.training.self_training.soft_labels import DEFAULT_CONFIDENCE, DEFAULT_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.settings import TrainSettings
    from sentiment_batch.training.components import Setup
    from sentiment_batch.training.self_training.unlabelled_file import UnlabelledTexts

TEXTS_AT_ONCE = 1_024
"""Texts that are tokenized and labelled together. This limits the memory for tokens."""
STUDENT_CROPS = 0.5
"""How often a student crops a long text that it draws, if it has unlabelled texts. Its teachers saw the whole text, so
it learns that a part has the label of the whole; see benchmarks/."""
FORWARD_SHARE = 1 / 3
"""The work of labelling a text, as a share of the work of learning from it once: a forward pass without a backward."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DistillationPlan:
    """The number of teachers, and the texts that they label for the student."""

    unlabelled: UnlabelledTexts | None
    """The unlabelled texts; None if the teachers only label the rows to train on."""
    members: int
    """Number of teachers with different seeds. With folds, each fold has this number."""
    confidence: float
    """Lowest calibrated probability of the likeliest label of an unlabelled text to learn from."""
    weight: float
    """Weight of an unlabelled text, where a labelled row has 1."""

    @property
    def ensemble(self) -> int | None:
        """The number of teachers with different seeds; None if there is only one."""
        return self.members if self.members > 1 else None

    @property
    def num_texts(self) -> int:
        """The number of unlabelled texts."""
        return len(self.unlabelled.texts) if self.unlabelled else 0


def plan_distillation(settings: TrainSettings, unlabelled: UnlabelledTexts | None) -> DistillationPlan | None:
    """Plan the teachers of a run; None if the settings ask for none."""
    if unlabelled is None and settings.ensemble is None:
        return None
    confidence, weight = settings.unlabelled_confidence, settings.unlabelled_weight
    return DistillationPlan(
        unlabelled=unlabelled,
        members=settings.ensemble or 1,
        confidence=DEFAULT_CONFIDENCE if confidence is None else confidence,
        weight=DEFAULT_WEIGHT if weight is None else weight,
    )


def describe_cost(setup: Setup, plan: DistillationPlan) -> list[str]:
    """Sentences that say what will be done, how the gain is measured, and how long the training takes."""
    # With folds: the teachers of each fold, a student for each fold, and a last training on all rows
    folds = setup.data.folds.number if setup.data.folds else None
    teachers, students = plan.members * (folds or 1), (folds or 0) + 1
    trainings = teachers + students
    notes = []
    if plan.unlabelled:
        notes.append(
            "an unlabelled text is learned from if a calibrated model gives one label a probability of at least "
            f"{plan.confidence:g}. It weighs {plan.weight:g} of a labelled row. See `unlabelled_confidence` and "
            "`unlabelled_weight`"
        )
        if setup.config.settings.random_crops is None and setup.training.tokens.lengths.max() > MIN_CROP_TOKENS:
            notes.append(
                f"the student learns from a random part of a text of more than {MIN_CROP_TOKENS} tokens in "
                f"{100 * STUDENT_CROPS:.0f} % of the cases, or more if its texts are few. "
                "`random_crops=0` keeps all texts whole"
            )
    measured = "on the validation rows, by which its best state is chosen, too"
    if folds:
        measured = "on all rows that validate, each by a student whose teachers were not trained on it"
    notes.append(f"the student is published only if it is better than a model without it, measured {measured}")
    labelled = f", and {plan.num_texts:,} texts to label {_format_times(teachers)}" if plan.unlabelled else ""
    notes.append(
        f"{trainings} trainings{labelled}. This takes up to {_estimate_times(setup, plan):.1f} times as long as "
        "without, if all texts are sure and as long as the labelled ones"
    )
    return notes


def _format_times(times: int) -> str:
    return "once" if times == 1 else f"{times} times"


def _estimate_times(setup: Setup, plan: DistillationPlan) -> float:
    """The work of the run as a multiple of the work without teachers, counted in texts that the model computes."""
    folds = setup.data.folds.number if setup.data.folds else 0
    rows, epochs, texts = len(setup.training), setup.schedule.epochs, plan.num_texts
    parts = folds or 1
    last = 1 if folds else 0
    without = (parts + last) * rows * epochs
    teachers = parts * plan.members * (rows * epochs + texts * FORWARD_SHARE)
    students = (parts + last) * (rows + texts) * epochs
    return (teachers + students) / without


def with_seed(setup: Setup, member: int) -> Setup:
    """The run with the seed of a teacher: the first has that of the settings."""
    if member == 0:
        return setup
    settings = replace(setup.config.settings, seed=(setup.config.settings.seed + member) % 2**32)
    return replace(setup, config=replace(setup.config, settings=settings))


def label_texts(setup: Setup, texts: Sequence[str], task: str) -> Floats:
    """(M, K) the logits of the classifier for many texts, in bounded memory.

    Args:
        setup: the run with the classifier.
        texts: (M,) texts.
        task: the name of the progress bar.
    """
    parts = [np.empty((0, len(setup.config.labels)), dtype=np.float32)]  # so that no texts give (0, K), too
    with show_progress(len(texts), quiet=setup.config.quiet, task=task, unit="text") as bar:
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            tokens = setup.tokenizer(texts[start : start + TEXTS_AT_ONCE])
            codes = np.zeros(len(tokens.cut), dtype=np.int64)  # not read: only logits are computed
            chunk = TokenizedTexts(tokens, codes, setup.training.pad_id)
            parts.append(compute_logits(setup.classifier, chunk, setup.config))
            bar.update(len(codes))
    return np.concatenate(parts)
