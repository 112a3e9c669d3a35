"""`SentimentClassifier`: an estimator that trains and scores through the methods of scikit-learn."""

from __future__ import annotations

import copy
import shutil
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from sentiment_batch.errors import ModelError
from sentiment_batch.labels.settings import LabelSettings
from sentiment_batch.model import hub
from sentiment_batch.model.openmp import wait_passively
from sentiment_batch.settings import DEFAULT_BASE, TrainSettings
from sentiment_batch.sklearn.checks import (
    name_label_classes,
    refuse_lost,
    refuse_missing,
    refuse_mixed,
    refuse_unordered,
    to_texts,
)
from sentiment_batch.training.job import TrainJob, list_tables

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment_batch.scoring.scorer import Scorer
    from sentiment_batch.settings import LongText


class SentimentClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A text classifier for `cross_val_score`, `GridSearchCV`, pipelines and plots of scikit-learn.

    X is a sequence of N texts, such as a list, an array or a column of a frame; y holds a label for each, of text or of
    whole numbers.

    Args:
        folder: where `fit` writes the model, in place of an older one; each estimator needs one of its own. None keeps
            the model in a temporary folder, which is deleted with the estimator; such an estimator cannot be pickled
            after `fit`.
        base: as for `train`; so are the other settings but `folds`.
        epochs: see `base`.
        batch_size: see `base`.
        learning_rate: see `base`.
        weight_decay: see `base`.
        layer_decay: see `base`.
        label_smoothing: see `base`.
        random_crops: see `base`.
        weight_average: see `base`.
        dropout: see `base`.
        max_length: see `base`.
        long_text: see `base`.
        patience: see `base`.
        class_weights: see `base`.
        calibrate: see `base`.
        val_size: see `base`.
        folds: as for `train`, but 0 by default, because `cross_val_score` makes folds of its own.
        unlabelled: texts without labels to learn from, too, as for `train`. They should not hold texts of other folds.
        ensemble: see `base`.
        unlabelled_limit: see `base`.
        unlabelled_confidence: see `base`.
        unlabelled_weight: see `base`.
        seed: see `base`.
        device: see `base`; also where texts are scored.
        dtype: see `base`.
        quiet: show no progress bar.

    Attributes:
        classes_: (K,) the labels that the model knows, sorted.
        folder_: the absolute path of the model folder. `score`, `evaluate` and the command line take it, too.
    """

    def __init__(
        self,
        *,
        folder: str | Path | None = None,
        base: str = DEFAULT_BASE,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float = 0.01,
        layer_decay: float = 1.0,
        label_smoothing: float = 0.0,
        random_crops: float | None = None,
        weight_average: float | None = None,
        dropout: float = 0.1,
        max_length: int | None = None,
        long_text: LongText = "head-tail",
        patience: int | None = 2,
        class_weights: str = "none",
        calibrate: bool = True,
        val_size: float | None = None,
        folds: int | None = 0,
        unlabelled: Any = None,
        ensemble: int | None = None,
        unlabelled_limit: int | None = None,
        unlabelled_confidence: float | None = None,
        unlabelled_weight: float | None = None,
        seed: int = 42,
        device: str = "auto",
        dtype: str = "auto",
        quiet: bool = True,
    ) -> None:
        self.folder = folder
        self.base = base
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.layer_decay = layer_decay
        self.label_smoothing = label_smoothing
        self.random_crops = random_crops
        self.weight_average = weight_average
        self.dropout = dropout
        self.max_length = max_length
        self.long_text = long_text
        self.patience = patience
        self.class_weights = class_weights
        self.calibrate = calibrate
        self.val_size = val_size
        self.folds = folds
        self.unlabelled = unlabelled
        self.ensemble = ensemble
        self.unlabelled_limit = unlabelled_limit
        self.unlabelled_confidence = unlabelled_confidence
        self.unlabelled_weight = unlabelled_weight
        self.seed = seed
        self.device = device
        self.dtype = dtype
        self.quiet = quiet

    def fit(self, X: Iterable[str], y: Iterable[Any]) -> SentimentClassifier:
        """Train on N texts and their labels. Rows without a text are left out.

        Raises:
            ValueError: X holds something else than texts, y is not as long or lacks a label, or a label is no class of
                its own: fewer than two of its rows have a text, or it is a spelling of another one, such as `neg` and
                `NEGATIVE`.
            SentimentBatchError: see `sentiment_batch.train`.
        """
        import pyarrow as pa

        # Check X and y. Missing and mixed labels are found before NumPy makes one kind of value of them.
        refuse_unordered(y, "y")
        texts, y = to_texts(X), y if hasattr(y, "__array__") else list(y)
        refuse_missing(y)
        refuse_mixed(y)
        labels_N = column_or_1d(np.asarray(y), warn=True)
        check_classification_targets(labels_N)
        if len(texts) != len(labels_N):
            raise ValueError(f"X has {len(texts):,} texts and y {len(labels_N):,} labels; they must be as many.")
        # Train with words as labels. `labels_map` names each of them, so that none is read as a number or as a rating.
        classes_K, codes_N = np.unique(labels_N, return_inverse=True)
        names = name_label_classes(classes_K.tolist())
        labels = [names[code] for code in codes_N.tolist()]
        refuse_lost(names, texts, labels)
        temporary = _TemporaryFolder() if self.folder is None else None
        job = TrainJob(
            reviews=[pa.table({"text": pa.array(texts, pa.large_string()), "label": pa.array(labels)})],
            unlabelled=list_tables(self.unlabelled),
            output=str(self.folder) if temporary is None else temporary.model,
            settings=TrainSettings(**{name: value for name, value in vars(self).items() if name in _SETTINGS}),
            text_columns=("text",),
            label_column="label",
            label_settings=LabelSettings.parse(labels_map={name: name for name in names}),
            overwrite=True,
            restart=True,
            report=False,
            baseline=False,
            quiet=self.quiet,
        )
        with wait_passively():  # torch reads this setting when it is imported
            from sentiment_batch.training.run import run_training
        trained = run_training(job)
        # Set after the training, so that an estimator whose second `fit` fails keeps its first model
        self._temporary = temporary
        self.folder_ = str(Path(trained.path).absolute())
        self._digest = hub.hash_model_folder(Path(self.folder_))
        # If all rows of a class validate, the model does not know it
        known = [place for place, name in enumerate(names) if name in trained.labels]
        self.classes_ = classes_K[known]
        # By the place of a class in `classes_`, its class number in the model
        self._order = [trained.labels.index(names[place]) for place in known]
        self._scorer: Scorer | None = None
        return self

    def predict_proba(self, X: Iterable[str]) -> npt.NDArray[np.float32]:
        """(N, K) the probability of each class, in the order of `classes_`.

        Raises:
            ValueError: X holds something else than texts, or a row has no text, so that it has no class.
            ModelError: the folder holds another model than the one of `fit`, or none.
            NotFittedError: `fit` was not called.
        """
        check_is_fitted(self)
        texts = to_texts(X)
        if not texts:
            return np.empty((0, len(self.classes_)), dtype=np.float32)
        import pyarrow as pa

        batches = pa.table({"text": pa.array(texts, pa.large_string())}).to_batches()
        found_NK = np.concatenate([one for _, one in self._open_scorer().probabilities(batches, ["text"])])
        empty = np.flatnonzero(np.isnan(found_NK[:, 0]))
        if len(empty):
            raise ValueError(f"row {empty[0]} of X has no text, so it has no class. Leave it out.")
        return found_NK[:, self._order]

    def predict(self, X: Iterable[str]) -> npt.NDArray[Any]:
        """(N,) the likeliest class of each text; errors as for `predict_proba`."""
        best_N = self.predict_proba(X).argmax(axis=1)
        found: npt.NDArray[Any] = self.classes_[best_N]
        return found

    def __getstate__(self) -> dict[str, Any]:
        """The state to pickle. It holds the path of the model instead of the loaded model."""
        if getattr(self, "_temporary", None) is not None:
            raise TypeError("the model is in a temporary folder, which no pickle can hold. Set `folder` before `fit`.")
        state: dict[str, Any] = super().__getstate__()
        return state | {"_scorer": None} if "_scorer" in state else state

    def __copy__(self) -> SentimentClassifier:
        """A copy that shares the model. A `fit` of one of them leaves the model of the other."""
        other = type(self).__new__(type(self))
        other.__dict__.update(vars(self))
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> SentimentClassifier:
        """A copy that shares the model, but neither its settings nor its classes."""
        # The temporary folder is deleted with the last copy that holds it. The loaded model is large, so it is shared.
        other = copy.copy(self)
        own = {name: value for name, value in vars(self).items() if name not in ("_temporary", "_scorer")}
        other.__dict__.update(copy.deepcopy(own, memo))
        return other

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of an estimator: X holds texts, is no matrix, and is not checked by scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array, tags.no_validation = True, False, True
        return tags

    def _open_scorer(self) -> Scorer:
        """The scorer of the model, which stays loaded.

        Raises:
            ModelError: the folder holds another model than the one of `fit`, or none.
        """
        from sentiment_batch.scoring.scorer import Scorer

        if self._scorer is None:
            scorer = Scorer.load(self.folder_, device=self.device)
            digest = scorer.description.digest
            if getattr(self, "_digest", digest) != digest:  # pickles of older versions have none
                scorer.close()
                raise ModelError(
                    f"{self.folder_} holds another model than the one that this estimator was fitted to. Fit it again, "
                    "or give each estimator a `folder` of its own."
                )
            self._scorer = scorer
        return self._scorer


class _TemporaryFolder:
    """A folder for a model. It is deleted with the last estimator that holds it."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="sentiment-model-")
        self.model = str(Path(folder) / "model")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)


_SETTINGS = set(TrainSettings.__dataclass_fields__)
"""The names of the parameters that are settings of a training."""
