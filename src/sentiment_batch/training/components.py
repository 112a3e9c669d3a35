"""Everything a run needs before its first step: model, tokenized texts, batch size, class weights and learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sentiment_batch.data.text_sketch import make_sketch
from sentiment_batch.errors import UsageError
from sentiment_batch.model.classifier import EncoderClassifier, load_base, save_classifier
from sentiment_batch.model.device import seed_generators
from sentiment_batch.tokenization.text_fingerprint import make_fingerprint
from sentiment_batch.tokenization.tokenizer import TextPolicy, TextTokenizer
from sentiment_batch.training.batches import MIN_CROP_TOKENS, TokenizedTexts
from sentiment_batch.training.data_check.lengths import add_lengths
from sentiment_batch.training.data_check.vocabulary import add_vocabulary_fit
from sentiment_batch.training.optimizer import RunConfig
from sentiment_batch.training.schedule import USUAL_EPOCHS, Schedule, plan_schedule

if TYPE_CHECKING:
    from sentiment_batch.records import Choice
    from sentiment_batch.settings import TrainSettings
    from sentiment_batch.training.dataset import ReviewSet
    from sentiment_batch.training.prepare import PreparedData

MAX_SHORT_TOKENS = 64
"""Texts of at most this many tokens on average are short: a step of 16 is mostly the optimizer's own work."""
BATCH_SIZE = 16
"""Batch size for long texts, and for few short ones."""
BATCH_SIZE_SHORT = 32
"""Batch size for short texts, if `USUAL_EPOCHS` then have at least `MIN_STEPS_SHORT` steps."""
MIN_STEPS_SHORT = 200
WEIGHT_AVERAGE = 0.999
"""The decay for long texts: on IMDb reviews the average had a lower loss and a higher accuracy; see benchmarks/."""
RANDOM_CROPS = 0.7
"""How often a long text is cropped when it is drawn, if the rows are few; see benchmarks/."""
MIN_ROWS_WITHOUT_CROPS = 500
"""With fewer training rows, long texts are cropped by default. With 1,000, crops made models worse; see benchmarks/."""
RATE_TIMES_WIDTH = 0.0384
"""The default learning rate is this over the encoder's width: 1e-4 for 384, 5e-5 for 768, which both train well."""
USUAL_LAYERS = 6
"""Deeper encoders get a rate that is lower by the root of their depth over this: 3.5e-5 for 12 layers of width 768."""
MAX_DEFAULT_RATE = 1e-3


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """A run that is ready to begin."""

    data: PreparedData
    """The rows of the run, with the data check."""
    base: Path
    """The folder of the base."""
    config: RunConfig
    """The settings, with the values that depend on data and device."""
    schedule: Schedule
    """The steps of a training that validates."""
    classifier: EncoderClassifier
    """The classifier, on the device."""
    base_tokenizer: Any
    """The tokenizer of the base as a Transformers object, to be saved with the model."""
    tokenizer: TextTokenizer
    """Turns texts into tokens, cut as `policy` says."""
    policy: TextPolicy
    training: TokenizedTexts
    """The texts to learn from."""
    validation: TokenizedTexts
    """The texts that validate. With folds, each of them is among the training texts, too."""
    texts: dict[str, Any]
    """The fingerprint of the training texts, for sentiment_batch.json."""
    device: Choice
    """Where to train, and why."""
    dtype: Choice
    """The dtype of matrix products, and why."""
    notes: tuple[str, ...]
    """Sentences about what was chosen by default, to be reported."""

    def tokenize(self, rows: ReviewSet) -> TokenizedTexts:
        """The rows as the classifier takes them."""
        return _tokenize(rows, self.tokenizer, self.base_tokenizer)

    def reset(self) -> Setup:
        """The same run with the weights of the base. It seeds all random generators anew."""
        # Before the classifier is made, because its head begins with random weights
        seed_generators(self.config.settings.seed, self.config.device)
        classifier = EncoderClassifier(
            load_base(self.base)[0], len(self.config.labels), self.config.settings.dropout
        ).to(self.config.device)
        return replace(self, classifier=classifier)

    def with_fold(self, fold: int) -> Setup:
        """The same run, trained on the rows outside a fold and validated by those in it."""
        folds = self.data.folds
        assert folds is not None
        return replace(
            self,
            training=self.tokenize(self.data.training.take(folds.find_training_rows(fold))),
            validation=self.tokenize(self.data.validation.take(np.flatnonzero(folds.validation_M == fold))),
        )

    def with_texts(self, training: TokenizedTexts, schedule: Schedule, *, crops_of_many: float = 0.0) -> Setup:
        """The same run with other training texts. The share of random crops is chosen anew, because it depends on them.

        Args:
            training: the texts.
            schedule: the steps to train them in.
            crops_of_many: the share of random crops if the texts are many and the settings leave the share open.
        """
        crops = _choose_random_crops(self.config.settings, training, crops_of_many)
        config = replace(self.config, random_crops=crops)
        return replace(self, training=training, schedule=schedule, config=config)

    def save(self, folder: Path) -> None:
        """Write the classifier, as it is now, as a stock model."""
        save_classifier(folder, self.classifier, self.base_tokenizer, self.config.labels, self.policy.max_length)


def set_up(
    data: PreparedData, base: Path, settings: TrainSettings, device: Choice, dtype: Choice, *, quiet: bool
) -> Setup:
    """Load the base, tokenize the texts, and choose what the settings leave open.

    Args:
        data: the rows of the run.
        base: the folder of the base.
        settings: the settings of the run.
        device: where to train.
        dtype: the dtype of matrix products.
        quiet: show no progress bar.

    Raises:
        ModelError: the base cannot be used.
        UsageError: `max_length` is larger than the number of the encoder's positions.
    """
    # The classifier and its tokenizer
    encoder, base_tokenizer = load_base(base)
    positions, labels = encoder.config.max_position_embeddings, data.mapping.labels
    classifier = EncoderClassifier(encoder, len(labels), settings.dropout).to(device.value)
    policy = _choose_policy(settings, positions)
    tokenizer = TextTokenizer(base_tokenizer.backend_tokenizer, policy, special_as_text=True)
    # Tokenized once for all epochs. Batches are cut out of the tokens.
    training, validation = (_tokenize(rows, tokenizer, base_tokenizer) for rows in (data.training, data.validation))
    # What the settings leave open. Each choice may come with a note, because users should see what was chosen for them.
    learning_rate, rate_note = _choose_learning_rate(settings, encoder.config)
    batch_size, size_notes = _choose_batch_size(settings, training)
    schedule, schedule_notes = _plan(data, settings, batch_size)
    weight_average, average_notes = _choose_weight_average(settings, training)
    class_weights, weight_notes = _choose_class_weights(data, settings.class_weights, device.value)
    random_crops = _choose_random_crops(settings, training)
    crop_notes = _describe_random_crops(random_crops, settings, training)
    config = RunConfig(
        settings=settings,
        learning_rate=learning_rate,
        batch_size=batch_size,
        random_crops=random_crops,
        special_tokens=tokenizer.special_counts,  # crops keep these at the ends
        weight_average=weight_average,
        device=device.value,
        dtype=dtype.value,
        labels=labels,
        class_weights=class_weights,
        quiet=quiet,
    )
    summary = add_lengths(data.summary, training.tokens, policy, positions)
    return Setup(
        data=replace(data, summary=add_vocabulary_fit(summary, base_tokenizer, data.training.texts)),
        base=base,
        config=config,
        schedule=schedule,
        classifier=classifier,
        base_tokenizer=base_tokenizer,
        tokenizer=tokenizer,
        policy=policy,
        training=training,
        validation=validation,
        texts=_describe_texts(data, training, tokenizer),
        device=device,
        dtype=dtype,
        notes=(rate_note, *size_notes, *schedule_notes, *average_notes, *weight_notes, *crop_notes),
    )


def _describe_texts(data: PreparedData, training: TokenizedTexts, tokenizer: TextTokenizer) -> dict[str, Any]:
    """The fingerprint of the training texts, with the shares of the labels and a sketch of the texts."""
    texts, labels = data.training.texts, data.mapping.labels
    shares = np.bincount(data.training.codes, minlength=len(labels)) / len(texts)
    return make_fingerprint(texts, training.tokens, tokenizer) | {
        "labels": dict(zip(labels, shares.round(4).tolist(), strict=True)),
        "sketch": make_sketch(texts),
    }


def _choose_policy(settings: TrainSettings, positions: int) -> TextPolicy:
    """How long texts are cut. By default, all positions of the encoder are used.

    Raises:
        UsageError: `max_length` is larger than the number of positions.
    """
    if settings.max_length is not None and settings.max_length > positions:
        raise UsageError(
            f"`max_length` is {settings.max_length}, but the encoder has {positions} positions. Take fewer."
        )
    return TextPolicy(max_length=settings.max_length or positions, long_text=settings.long_text)


def _choose_learning_rate(settings: TrainSettings, encoder: Any) -> tuple[float, str]:
    """The learning rate, and a sentence about it."""
    width, layers = encoder.dim, encoder.n_layers
    if settings.learning_rate:
        rate, reason = settings.learning_rate, ""
    else:
        rate = min(MAX_DEFAULT_RATE, RATE_TIMES_WIDTH / width)
        reason = f", chosen by the width of the encoder ({width})"
        if layers > USUAL_LAYERS:
            rate *= math.sqrt(USUAL_LAYERS / layers)
            reason = f", chosen by the width and the depth of the encoder ({width}, {layers} layers)"
    # Rounded, so that users who set the printed rate get the same run
    rate = float(f"{rate:.3g}")
    return rate, f"learning rate {rate:g}{reason}"


def _choose_batch_size(settings: TrainSettings, training: TokenizedTexts) -> tuple[int, list[str]]:
    """The batch size, and sentences about the choice."""
    if settings.batch_size is not None:
        return settings.batch_size, []
    mean = training.tokens.lengths.mean()
    is_short = mean <= MAX_SHORT_TOKENS
    is_few = len(training) < BATCH_SIZE_SHORT * MIN_STEPS_SHORT / USUAL_EPOCHS
    size = BATCH_SIZE_SHORT if is_short and not is_few else BATCH_SIZE
    few = " and by the number of rows" if is_short and is_few else ""
    return size, [f"batch size {size}, chosen by the mean length of the texts ({mean:.0f} tokens){few}"]


def _plan(data: PreparedData, settings: TrainSettings, batch_size: int) -> tuple[Schedule, list[str]]:
    """The steps of a training that validates, and sentences about the choice."""
    notes = []
    rows = len(data.training)
    # One schedule serves all folds, so that their histories can be averaged step by step. It is that of the fold that
    # trains on the fewest rows.
    if data.folds:
        rows -= int(np.bincount(data.folds.validation_M).max())
    schedule = plan_schedule(math.ceil(rows / batch_size), settings.epochs, keeps_last=data.folds is not None)
    if settings.epochs is None:
        steps = f"{schedule.steps:,} steps of {batch_size} texts"
        notes.append(f"{schedule.epochs} epochs, chosen by the number of rows: {steps}")
    if data.folds:
        if settings.folds and data.folds.number < settings.folds:
            what = "different texts" if data.training.groups is None else "groups"
            notes.append(f"{data.folds.number} folds instead of {settings.folds}, because there are so few {what}")
        notes.append(
            f"each of {data.folds.number} folds validates a training on the others, and a last training takes all "
            f"rows: {data.folds.number + 1} trainings. `folds=0` holds back a share of the rows instead"
        )
    return schedule, notes


def _choose_weight_average(settings: TrainSettings, training: TokenizedTexts) -> tuple[float, list[str]]:
    """The decay of the average of the weights, and sentences about the choice."""
    if settings.weight_average is not None:
        return settings.weight_average, []
    if training.tokens.lengths.mean() <= MAX_SHORT_TOKENS:
        return 0.0, []
    return WEIGHT_AVERAGE, [f"the weights of the run's steps are averaged, with a decay of at most {WEIGHT_AVERAGE:g}"]


def _choose_random_crops(settings: TrainSettings, training: TokenizedTexts, of_many: float = 0.0) -> float:
    """The probability of a crop: that of the settings, else one by the number of texts; `of_many` for many texts."""
    if settings.random_crops is not None:
        return settings.random_crops
    if not _has_long(training):
        return 0.0
    return RANDOM_CROPS if len(training) < MIN_ROWS_WITHOUT_CROPS else of_many


def _describe_random_crops(share: float, settings: TrainSettings, training: TokenizedTexts) -> list[str]:
    """A note about crops that nobody asked for, or that change nothing."""
    if share and not _has_long(training):
        return [f"no text has more than {MIN_CROP_TOKENS} tokens, so `random_crops` changes nothing"]
    if not share or settings.random_crops is not None:
        return []
    return [
        f"{len(training):,} texts are few to learn from, so those of more than {MIN_CROP_TOKENS} tokens are cut to a "
        f"random part, each time anew, in {100 * share:.0f} % of the cases. `random_crops=0` keeps them whole"
    ]


def _has_long(training: TokenizedTexts) -> bool:
    """True if a text is long enough to be cropped."""
    return bool(training.tokens.lengths.max(initial=0) > MIN_CROP_TOKENS)


def _choose_class_weights(data: PreparedData, choice: str, device: str) -> tuple[torch.Tensor | None, list[str]]:
    """The weights (K,) of the classes, None if all count the same; and sentences about them."""
    if choice == "none":
        return None, []
    # N / (K n_k) for a class of n_k rows, as scikit-learn's `balanced`. No class is empty: `prepare` has dropped those.
    counts = np.bincount(data.training.codes, minlength=len(data.mapping.labels))
    weights = len(data.training.codes) / (len(counts) * counts)
    named = (f"{weight:.2f} {label}" for weight, label in zip(weights, data.mapping.labels, strict=True))
    return torch.tensor(weights, dtype=torch.float32, device=device), [f"class weights: {', '.join(named)}"]


def _tokenize(rows: ReviewSet, tokenizer: TextTokenizer, base_tokenizer: Any) -> TokenizedTexts:
    """The rows as the classifier takes them."""
    return TokenizedTexts(tokenizer(rows.texts), rows.codes, base_tokenizer.pad_token_id or 0)
