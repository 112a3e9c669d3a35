"""Measures a floor for the classifier: a bag of words, and always the same answer, on the same rows.

The bag of words is a logistic regression on the TF-IDF of words and pairs of words. It takes seconds and knows nothing
of language, so a model that is not better than it has not paid for its training.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch.evaluation.intervals import difference_interval

if TYPE_CHECKING:
    from sentiment_batch.evaluation.metrics import Codes
    from sentiment_batch.training.dataset import ReviewSet
    from sentiment_batch.training.report_data import MeasuredRows
    from sentiment_batch.training.split import Folds

MAX_CHARACTERS = 20_000_000
"""Characters to learn from, in all. More texts are sampled, so that the baseline stays a matter of seconds."""
MAX_TEXT_CHARACTERS = 20_000
"""Maximum number of characters of a text. The rest of a longer text is not read."""
MAX_UNDIVIDED_SHARE = 0.3
"""If more of the characters are of scripts without blanks between words, runs of characters count instead of words."""
MAX_FEATURES = 200_000
"""Words and pairs of words that count: those that occur most often."""
CURES = "More labelled rows, more epochs or another base may help."
_WORD = re.compile(r"\w+")
_UNDIVIDED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Letters of Thai, Lao, Burmese, Khmer, Japanese and Chinese."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The baseline and the model on the same N rows."""

    rows: int
    """The number of rows, N."""
    accuracy: float
    """Accuracy of the bag of words."""
    macro_f1: float
    """Macro F1 of the bag of words."""
    gain: float
    """Accuracy of the model minus that of the bag of words."""
    gain_interval: tuple[float, float]
    """The 95 % interval of `gain`."""
    most_frequent: str
    """The label that most training rows have."""
    most_frequent_accuracy: float
    """Share of the N rows with that label: the accuracy of always answering it."""
    most_frequent_gain_interval: tuple[float, float]
    """The 95 % interval of the model's accuracy minus `most_frequent_accuracy`."""
    only_answer: str | None
    """The label that the model gives to each of the N rows; None if it gives several."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """The results of a bag of words that was trained on the training rows."""

    training_rows: int
    """Number of rows that it learned from; fewer than the run had if their texts are long or many."""
    comparisons: Mapping[str, Comparison]
    """The comparisons by name of the rows: `validation`, and `test` if there is a test file."""

    @property
    def verdict(self) -> str | None:
        """Why the model may not be worth its cost, on the test rows if there are any; None if it is clearly better."""
        name = "test" if "test" in self.comparisons else "validation"
        return _judge(self.comparisons[name], name)

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        comparisons = {name: asdict(one) for name, one in self.comparisons.items()}
        return {"training_rows": self.training_rows, **comparisons, "verdict": self.verdict}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Baseline:
        """Restore the baseline from what `to_json` returned.

        Raises:
            KeyError, TypeError: the values are no baseline.
        """
        names = [name for name in values if name not in {"training_rows", "verdict"}]
        comparisons = {
            name: Comparison(
                **values[name] | {key: tuple(values[name][key]) for key in values[name] if key.endswith("_interval")}
            )
            for name in names
        }
        return cls(training_rows=values["training_rows"], comparisons=comparisons)


def format_floor(found: Comparison) -> str:
    """The accuracies of the bag of words and of the most frequent label, in one line."""
    return (
        f"a bag of words gets {found.accuracy:.4f} of the same rows right, always answering {found.most_frequent!r} "
        f"{found.most_frequent_accuracy:.4f}"
    )


def _judge(found: Comparison, name: str) -> str | None:
    """Why a model is not clearly better than its floor on the rows called `name`; None if it is."""
    rows = f"{found.rows:,} {name} {'row' if found.rows == 1 else 'rows'}"
    low, high = found.gain_interval
    # The clearest failure is named first
    if found.only_answer is not None and found.rows > 1:
        return f"the model calls all {rows} {found.only_answer!r}, so it has not learned to tell texts apart"
    if found.most_frequent_gain_interval[0] <= 0:
        return (
            f"the model is not clearly better than always answering {found.most_frequent!r}, which is right for "
            f"{found.most_frequent_accuracy:.4f} of the {rows}"
        )
    if high < 0:
        return f"the model is worse than a bag of words, whose accuracy is {found.accuracy:.4f} on the same {rows}"
    if low <= 0:
        return (
            f"the model is not clearly better than a bag of words on {rows}: the difference in "
            f"accuracy is {found.gain:+.4f} (95 % interval {low:+.4f} to {high:+.4f})"
        )
    return None


def measure_baseline(
    training: ReviewSet,
    measured: Mapping[str, MeasuredRows],
    labels: Sequence[str],
    *,
    balanced: bool,
    seed: int,
    folds: Folds | None = None,
) -> Baseline:
    """Train the bag of words, and compare the model with it.

    Args:
        training: the rows to learn from.
        measured: the rows to measure, with the predictions of the model.
        labels: the K labels.
        balanced: count each class the same, as the model does with class weights.
        seed: the seed of the sample, if there are too many texts.
        folds: the folds; the rows that validate in one are predicted by a bag of words that was not trained on them.
    """
    # The validation rows of folds are predicted by bags of words of the other folds, all other rows by one of all rows
    chosen = _sample(training, seed)
    predicted: dict[str, Codes] = {}
    if folds is not None:
        parts = [training.take(folds.find_training_rows(fold)) for fold in range(folds.number)]
        rows = measured["validation"].rows
        predicted["validation"] = predict_validation(parts, rows, folds, balanced=balanced, seed=seed)
    if others := measured.keys() - predicted.keys():
        classifier = _fit(chosen, balanced=balanced)
        predicted |= {name: classifier.predict(_cut(measured[name].rows.texts)) for name in others}
    most_frequent = int(np.bincount(training.codes).argmax())
    return Baseline(
        training_rows=len(chosen),
        comparisons={name: _compare(rows, predicted[name], labels, most_frequent) for name, rows in measured.items()},
    )


def predict_validation(
    parts: Sequence[ReviewSet], validation: ReviewSet, folds: Folds | None, *, balanced: bool, seed: int
) -> Codes:
    """(M,) the predictions for the validation rows, each by the bag of words of its fold.

    Args:
        parts: the rows to learn from in each fold; without folds, in one part.
        validation: the M rows to predict.
        folds: the folds; None if one bag of words predicts all rows.
        balanced: see `measure_baseline`.
        seed: see `measure_baseline`.
    """
    predicted_M = np.empty(len(validation), dtype=np.int64)
    for fold, training in enumerate(parts):
        places = np.arange(len(validation)) if folds is None else np.flatnonzero(folds.validation_M == fold)
        classifier = _fit(_sample(training, seed), balanced=balanced)
        predicted_M[places] = classifier.predict(_cut(validation.take(places).texts))
    return predicted_M


def _sample(training: ReviewSet, seed: int) -> ReviewSet:
    """A random sample of the rows with at most `MAX_CHARACTERS`, but of at least one row of each class."""
    # Rows are taken in a random order until the characters are used up, and the first row of each class in any case
    order = np.random.default_rng(seed).permutation(len(training))
    lengths = np.minimum([len(training.texts[row]) for row in order.tolist()], MAX_TEXT_CHARACTERS)
    first_of_class = np.unique(training.codes[order], return_index=True)[1]
    chosen = (np.cumsum(lengths) <= MAX_CHARACTERS) | np.isin(np.arange(len(order)), first_of_class)
    return training.take(np.sort(order[chosen]))


def _fit(training: ReviewSet, *, balanced: bool) -> Any:
    """Fit the bag of words; a pipeline of scikit-learn.

    Args:
        training: the rows to learn from.
        balanced: count each class the same.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # Scripts without blanks between words have runs of up to three characters instead of words and pairs of words
    texts = _cut(training.texts)
    analyzer, longest = ("word", 2) if _has_words(texts) else ("char", 3)
    vectorizer = TfidfVectorizer(
        analyzer=analyzer,
        token_pattern=_WORD.pattern,
        ngram_range=(1, longest),
        max_features=MAX_FEATURES,
        sublinear_tf=True,
        dtype=np.float32,
    )
    regression = LogisticRegression(C=10.0, max_iter=1_000, class_weight="balanced" if balanced else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a regression that stops early is a floor, too
        return make_pipeline(vectorizer, regression).fit(texts, training.codes)


def _has_words(texts: Sequence[str]) -> bool:
    """True if blanks or marks divide the texts into words."""
    undivided = sum(len(_UNDIVIDED.findall(text)) for text in texts)
    return undivided <= MAX_UNDIVIDED_SHARE * sum(map(len, texts)) and any(_WORD.search(text) for text in texts)


def _cut(texts: Sequence[str]) -> list[str]:
    """The beginnings of the texts, with at most `MAX_TEXT_CHARACTERS` each."""
    return [text[:MAX_TEXT_CHARACTERS] for text in texts]


def _compare(rows: MeasuredRows, baseline_N: Codes, labels: Sequence[str], most_frequent: int) -> Comparison:
    """Compare the model with its floor on N rows.

    Args:
        rows: the rows, with the predictions of the model.
        baseline_N: the predictions of the bag of words.
        labels: the K labels.
        most_frequent: the class that most training rows have.
    """
    from sklearn.metrics import f1_score

    codes_N, model_N = rows.rows.codes, rows.logits_NK.argmax(axis=1)
    right_N, baseline_right_N = np.equal(model_N, codes_N), np.equal(baseline_N, codes_N)
    frequent_N = np.equal(codes_N, most_frequent)
    answers = np.unique(model_N)
    present = np.unique(codes_N)
    return Comparison(
        rows=len(codes_N),
        accuracy=float(baseline_right_N.mean()),
        macro_f1=float(f1_score(codes_N, baseline_N, labels=present, average="macro", zero_division=0.0)),
        gain=float(right_N.mean() - baseline_right_N.mean()),
        gain_interval=difference_interval(right_N, baseline_right_N),
        most_frequent=labels[most_frequent],
        most_frequent_accuracy=float(frequent_N.mean()),
        most_frequent_gain_interval=difference_interval(right_N, frequent_N),
        only_answer=labels[int(answers[0])] if len(answers) == 1 else None,
    )
