"""What a user may set for training and scoring: frozen, checked at once, in plain values that can be stored as JSON."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, Literal, TypeVar, get_args

from sentiment_batch.errors import UsageError, listed

LongText = Literal["head", "tail", "head-tail", "windows"]
LONG_TEXT: tuple[str, ...] = get_args(LongText)
"""What happens to a text of more tokens than fit: keep its head, its tail, both, or score it in windows."""
DTYPES = ("auto", "float32", "bfloat16", "float16", "int8")
TRAIN_DTYPES = ("auto", "float32", "bfloat16")
"""Training in float16 would need loss scaling, and int8 is for scoring on a CPU."""
CLASS_WEIGHTS = ("none", "auto")
ON_BAD_ROW = ("fail", "mark")
"""What happens to a bad row, which cannot be read or scored as it stands.

`fail` ends the run. `mark` leaves the row in its place and lists it beside the output.
"""

DEFAULT_BASE = "distilbert/distilbert-base-uncased"
DEFAULT_HUB_MODEL = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"
DEFAULT_MODEL_FOLDER = "sentiment-model"
DEFAULT_VAL_SIZE = 0.1
"""Share of the texts held back for validation, where rows are plenty."""
MAX_ERRORS = 20
"""Default number of errors, and of labels that are likely wrong, in an evaluation."""
LOCAL = "local"
"""The engine that scores on this machine."""
WORK_FOLDER_ENDING = ".training"
"""The end of the name of the folder, beside a model folder, in which a training keeps its unfinished work."""
META_FILE = "sentiment_batch.json"
"""The file that makes a stock model folder one of ours: label mapping, text policy, seeds, metrics."""
META_FORMAT = 1
"""The format of that file. A later version that changes the meaning of a key raises it."""
MAX_WHOLE_NUMBER = 2**63 - 1
"""The largest number that 64 bits hold."""
DETERMINISTIC_BATCH = {"tokens": 8_192, "texts": 256}
"""The one shape of all batches of a deterministic run. Each trained model stores it, so that later versions keep it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainSettings:
    """The settings of one training run; the defaults are those of `sentiment-batch train`."""

    base: str = DEFAULT_BASE
    """The encoder to start from: a Hub id, a folder, or `minilm`."""
    epochs: int | None = None
    """How often training goes through the rows; None takes the number that fits their number."""
    batch_size: int | None = None
    """Texts per optimizer step; None takes the one that fits the lengths of the texts."""
    learning_rate: float | None = None
    """Peak of the schedule; None takes the one that fits the encoder's width."""
    weight_decay: float = 0.01
    """Weight decay of AdamW, on weight matrices only."""
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises from 0."""
    layer_decay: float = 1.0
    """Factor between the learning rates of a layer and the layer above it."""
    label_smoothing: float = 0.0
    """Share of each label that is spread over all classes."""
    random_crops: float | None = None
    """Probability with which a long training text is cut to a random part each time that it is drawn; None takes the
    one that fits the number of rows, and the student if there are unlabelled texts."""
    weight_average: float | None = None
    """Decay of the moving average of the weights that is validated and saved; 0 keeps no average, None takes the decay
    that fits the lengths of the texts."""
    dropout: float = 0.1
    """Share of the values that dropout clears before the last linear layer."""
    max_length: int | None = None
    """Tokens per text, special ones included; None takes what the encoder has positions for."""
    long_text: LongText = "head-tail"
    """What to read of a text of more tokens than `max_length`: its `head`, its `tail`, or both (`head-tail`)."""
    patience: int | None = 2
    """Validations in a row without a better loss before training stops; None never stops early."""
    class_weights: str = "none"
    """`auto` weighs each class by the inverse of its frequency, in the training loss alone: the validation loss, which
    decides what state is kept, and the calibration count each row the same."""
    calibrate: bool = True
    """True divides the logits by a temperature that is fitted on the validation rows, so that a score is the
    probability that the label is right."""
    val_size: float | None = None
    """Share of the texts held back for validation; None takes `DEFAULT_VAL_SIZE`, or folds if the rows are few."""
    folds: int | None = None
    """The number of folds. Each fold validates a model that is trained on the other folds. The published model is
    trained on all rows. 0 holds back a share instead, None takes what fits the number of rows."""
    seed: int = 42
    """The number that decides all that is random: the split, the order of the rows, dropout and crops."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    dtype: str = "auto"
    """The dtype of the computation: `float32` or `bfloat16`; `auto` takes what suits the device."""
    limit: int | None = None
    """Rows of the random sample to train on, drawn with the seed; None takes all rows."""
    learning_curve: bool = False
    """True also trains on a quarter and on half of the training rows, to see what more rows bring."""
    ensemble: int | None = None
    """Models with different seeds that teach the published one; None trains no ensemble."""
    unlabelled_limit: int | None = None
    """Unlabelled texts to keep in memory; None takes a number that fits that of the labelled rows."""
    unlabelled_confidence: float | None = None
    """Lowest calibrated probability of the likeliest label from which an unlabelled text is learned from; None takes
    the usual one."""
    unlabelled_weight: float | None = None
    """Weight of an unlabelled text in the training loss, where a labelled row has 1; None takes the usual one."""

    def __post_init__(self) -> None:
        check_types(self)
        check_at_least(self, epochs=1, batch_size=1, max_length=8, patience=1, limit=2, ensemble=2, unlabelled_limit=1)
        _between(self, weight_decay=(0, 1), warmup=(0, 1), dropout=(0, 0.95), layer_decay=(0.1, 1))
        _between(self, label_smoothing=(0, 0.5), random_crops=(0, 1), weight_average=(0, 0.9999))
        _between(self, unlabelled_confidence=(0, 1), unlabelled_weight=(0.001, 10))
        _one_of(self, long_text=LONG_TEXT, class_weights=CLASS_WEIGHTS, dtype=TRAIN_DTYPES)
        if self.learning_rate is not None and not 0.0 < self.learning_rate < 1.0:
            raise UsageError(f"`learning_rate` is {self.learning_rate}; it must lie between 0 and 1, such as 5e-5.")
        if self.long_text == "windows":
            raise UsageError('`long_text="windows"` is for scoring. Train with head, tail or head-tail.')
        if self.folds is not None and (self.folds == 1 or self.folds < 0):
            raise UsageError(f"`folds` is {self.folds}; it must be 0 for none, or at least 2.")
        if self.folds and self.val_size is not None:
            raise UsageError("`folds` and `val_size` exclude each other. Leave one of them out.")
        if self.val_size is not None and not 0.0 < self.val_size < 1.0:
            raise UsageError(f"`val_size` is {self.val_size}; it must lie between 0 and 1, such as 0.1.")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"`seed` is {self.seed}; it must lie between 0 and {2**32 - 1}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreSettings:
    """How a model is loaded, and which columns it adds; the defaults are those of `sentiment-batch score`."""

    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`; several devices are divided by commas, as in `cuda:0,cuda:1`."""
    dtype: str = "auto"
    """The dtype of the computation; `auto` takes what suits the device and the model."""
    batch_tokens: int | None = None
    """Tokens per batch, padding included; None takes what suits the device."""
    deterministic: bool = False
    """Give the same bits on one machine, whatever `batch_tokens`, the number of threads, or the other rows."""
    compile: bool | None = None
    """Compile the model first, on CUDA only; None compiles it for jobs that are long enough to gain time by it."""
    max_length: int | None = None
    """Tokens per text, special tokens included; None takes the length of the training, else the model's positions."""
    long_text: LongText | None = None
    """What to read of a text of more tokens; None takes the choice of the training, else `head`."""
    labels: tuple[str, ...] | None = None
    """Names for the labels of a model that only knows LABEL_0, LABEL_1, in the model's order."""
    probabilities: bool = False
    """Add a column with the probability of each label."""
    prefix: str = "sentiment"
    """The first part of the name of every added column."""
    decimals: int = 4
    """Decimals of the written probabilities, 0 to 7: float32 has no more."""
    neutral_band: float | None = None
    """Call a row neutral if both labels of a model of two have a lower probability; None calls no row neutral."""
    engine: str = LOCAL
    """The name of the engine that scores: `local`, or one that a plugin brings."""
    engine_options: tuple[tuple[str, str], ...] = ()
    """Names and values for the engine of a plugin; a mapping is accepted, too."""

    def __post_init__(self) -> None:
        # Lists and mappings become tuples, because a record is frozen and is compared with those of other calls
        given: Any = self.engine_options
        pairs = given.items() if isinstance(given, Mapping) else given
        if isinstance(pairs, str):
            raise UsageError(f'`engine_options` is {pairs!r}; it must be a dictionary, such as {{"actors": "2"}}.')
        object.__setattr__(self, "engine_options", tuple((name, value) for name, value in pairs))
        named: Any = self.labels
        if named is not None and not (isinstance(named, list | tuple) and all(isinstance(one, str) for one in named)):
            # The characters of a text would become the labels, and a set has no order.
            raise UsageError(f"`labels` is {named!r}; it must be a list of names, such as ['negative', 'positive'].")
        if named is not None and not all(one.strip() for one in named):
            raise UsageError(f"`labels` is {listed(named)}, of which one is empty. Name every label.")
        object.__setattr__(self, "labels", named if named is None else tuple(named))
        check_types(self)
        if self.engine == LOCAL and self.engine_options:
            raise UsageError(
                f"`engine_options` is for engines of plugins, and the engine {LOCAL!r} takes none. Name another engine "
                "with `engine`, or leave the options out."
            )
        check_at_least(self, batch_tokens=1, max_length=8)
        _one_of(self, dtype=DTYPES, long_text=LONG_TEXT)
        if self.deterministic and self.compile:
            raise UsageError(
                "`deterministic=True` and `compile=True` exclude each other, because a compiled model gives other "
                "bits. Leave one of them out."
            )
        if not 0 <= self.decimals <= 7:
            raise UsageError(f"`decimals` is {self.decimals}; it must lie between 0 and 7.")
        if self.neutral_band is not None and not 0.5 < self.neutral_band <= 1.0:
            raise UsageError(
                f"`neutral_band` is {self.neutral_band:g}; it is the least probability of a label that is not neutral, "
                "above 0.5 and at most 1, such as 0.65."
            )
        if not self.prefix:
            raise UsageError('`prefix` is empty. Name the added columns, as in `prefix="sentiment"`.')


Settings = TypeVar("Settings", TrainSettings, ScoreSettings)


def to_model_name(model: object, setting: str = "model") -> str:
    """The folder or Hub id that a caller from Python gives as a text, a path, or what `train` returned.

    Args:
        model: what the caller gave.
        setting: the name of the setting, for the message.

    Raises:
        UsageError: it is something else, such as a frame.
    """
    if isinstance(model, str | os.PathLike) and isinstance(name := os.fspath(model), str):
        return name
    raise UsageError(
        f"`{setting}` is an object of the type {type(model).__name__}; it must be the folder of a model or its Hub id."
    )


def make_settings(record: type[Settings], given: Mapping[str, Any], purpose: str) -> Settings:
    """The record with these settings.

    Args:
        record: the class of the record.
        given: the settings by name.
        purpose: what they are for, such as `scoring`.

    Raises:
        UsageError: there is no such setting, or one is out of range.
    """
    known = record.__dataclass_fields__
    if unknown := [name for name in given if name not in known]:
        raise UsageError(f"there is no setting `{unknown[0]}`. The settings of {purpose} are {', '.join(known)}.")
    return record(**given)


def check_types(record: Any) -> None:
    """Replace each number, string and boolean in a record by a plain Python value, such as a numpy integer by an int.

    Raises:
        UsageError: one is of another type.
    """
    for field in fields(record):
        value, kind = getattr(record, field.name), str(field.type)
        if value is None and "None" in kind:
            continue
        wanted, plain = next((entry for name, entry in _KINDS.items() if kind.startswith(name)), (None, None))
        if plain is None:
            continue
        try:
            object.__setattr__(record, field.name, plain(value))
        except (TypeError, OverflowError):
            raise UsageError(f"`{field.name}` is {value!r}; it must be {wanted}.") from None


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    return operator.index(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError
    return float(value)


def is_truth(value: object) -> bool:
    """True if `value` is True or False, of Python or of numpy. The text "false" would count as true."""
    return type(value).__name__ in {"bool", "bool_"}


def _truth(value: Any) -> bool:
    if not is_truth(value):
        raise TypeError
    return bool(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


_KINDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "int": ("a whole number", _whole),
    "float": ("a number", _number),
    "bool": ("true or false", _truth),
    "str": ("text", _text),
    "LongText": ("text", _text),
}


def check_at_least(record: Any, **limits: int) -> None:
    """Check that each named whole number is at least its limit, and fits in 64 bits; None stands for no choice.

    Raises:
        UsageError: one is too small or too large.
    """
    for name, least in limits.items():
        value = getattr(record, name)
        if value is not None and not least <= value <= MAX_WHOLE_NUMBER:
            most = f"at most {MAX_WHOLE_NUMBER}" if value > least else f"at least {least}"
            raise UsageError(f"`{name}` is {value}; it must be {most}.")


def _between(record: Any, **ranges: tuple[float, float]) -> None:
    """Check that each named setting lies in its range, ends included; None stands for no choice."""
    for name, (least, most) in ranges.items():
        value = getattr(record, name)
        if value is not None and not least <= value <= most:
            raise UsageError(f"`{name}` is {value}; it must lie between {least:g} and {most:g}.")


def _one_of(record: Any, **known: tuple[str, ...]) -> None:
    """Check that each named setting is one of its values; None stands for no choice."""
    for name, values in known.items():
        value = getattr(record, name)
        if value is not None and value not in values:
            raise UsageError(f"`{name}` is {value!r}; it must be one of {', '.join(values)}.")
