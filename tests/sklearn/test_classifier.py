"""The estimator of scikit-learn: its methods, its checks that make sense for texts, and the tools that take it."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibrationDisplay
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

from sentiment_batch import InputError, ModelError, Scorer, UsageError
from sentiment_batch.sklearn import SentimentClassifier
from tests.conftest import BAD, GOOD, WORDS

TEXTS = [f"the {WORDS[n % 40]} film {n} was {(GOOD if n % 2 else BAD)[n % 8]}" for n in range(120)]
LABELS = ["pos" if n % 2 else "neg" for n in range(120)]


@pytest.fixture(scope="module")
def make(tiny_base):
    """Makes an estimator that learns quickly."""

    def make(**chosen):
        quick = {"epochs": 6, "batch_size": 16, "learning_rate": 5e-3, "max_length": 16, "patience": None}
        return SentimentClassifier(base=str(tiny_base), device="cpu", dtype="float32", **quick | chosen)

    return make


@pytest.fixture(scope="module")
def fitted(make):
    return make().fit(TEXTS, LABELS)


def test_it_learns_the_classes_and_predicts_them(fitted):
    assert fitted.classes_.tolist() == ["neg", "pos"]
    probabilities_NK = fitted.predict_proba(TEXTS)
    assert probabilities_NK.shape == (120, 2)
    assert probabilities_NK.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert fitted.predict(TEXTS).tolist() == fitted.classes_[probabilities_NK.argmax(axis=1)].tolist()
    assert fitted.score(TEXTS, LABELS) > 0.9
    assert fitted.predict_proba([]).shape == (0, 2)


def test_its_model_is_one_of_ours(fitted):
    with Scorer.load(fitted.folder_, device="cpu") as scorer:
        assert scorer.labels == ("neg", "pos")


@pytest.mark.parametrize(
    "labels",
    [[5 if n % 2 else 1 for n in range(120)], [bool(n % 2) for n in range(120)], np.array(LABELS, dtype=object)],
    ids=["numbers", "truth values", "objects"],
)
def test_labels_keep_their_values_and_types(make, labels):
    found = make(epochs=4).fit(pd.Series(TEXTS), labels)
    assert found.classes_.tolist() == sorted(set(np.asarray(labels).tolist()))
    assert found.classes_.dtype == np.asarray(labels).dtype
    assert found.score(pd.DataFrame({"text": TEXTS}), labels) > 0.8


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("kind", [list, iter, pd.Series, pd.DataFrame])
def test_a_missing_label_is_refused_before_training(make, missing, kind):
    with pytest.raises(ValueError, match="row 2 of y has no label"):
        make().fit(TEXTS, kind([*LABELS[:2], missing, *LABELS[3:]]))


@pytest.mark.parametrize("other", ["rare", "NEG.", "negative"])
def test_a_label_that_is_no_class_is_refused_before_training(make, other):
    with pytest.raises(ValueError, match=r"too few rows have a text and the label 'rare'|spellings of one word"):
        make().fit(TEXTS, [other, *LABELS[1:]])


@pytest.mark.parametrize("texts", [[None, pd.NA], ["N/A", "null"], ["\u200b", " "], ["", "a fine film"]])
def test_a_class_of_too_few_texts_is_refused_before_training(make, tmp_path, texts):
    folder = tmp_path / "model"
    with pytest.raises(ValueError, match="too few rows have a text and the label 'other'; a label needs 2"):
        make(folder=folder).fit([*TEXTS, *texts], [*LABELS, "other", "other"])
    with pytest.raises(ValueError, match="no row of X has a text"):
        make(folder=folder).fit(["", None, "N/A", " "], ["pos", "neg", "pos", "neg"])
    assert not folder.exists()


def test_a_class_whose_rows_all_validate_is_none(make):
    texts = [*TEXTS[:40], "same one here", "same one here", "same one here", "same one, here!", "same one, here!"]
    found = make(epochs=1, val_size=0.5, seed=0).fit(texts, [*LABELS[:40], "pos", "pos", "pos", "other", "other"])
    with Scorer.load(found.folder_, device="cpu") as scorer:
        assert scorer.labels == ("neg", "pos")
    assert found.classes_.tolist() == ["neg", "pos"]
    assert found.predict_proba(texts).shape == (45, 2)


def test_blanks_around_a_label_are_no_part_of_its_word(make):
    labels = ["positive " if n % 2 else "\tnegative" for n in range(120)]
    found = make().fit(TEXTS, labels)
    assert found.classes_.tolist() == ["\tnegative", "positive "]
    assert found.score(TEXTS, labels) > 0.9
    with Scorer.load(found.folder_, device="cpu") as scorer:
        assert scorer.labels == ("negative", "positive")


@pytest.mark.parametrize(
    "pair", [("01", "1"), ("good", "good "), ("1.0", "1"), ("5 stars", "5/5"), ("__label__a", "a")]
)
def test_labels_that_are_read_as_one_are_named(make, pair):
    with pytest.raises(ValueError, match="clearly different ways") as caught:
        make().fit(TEXTS, [pair[n % 2] for n in range(120)])
    assert all(repr(label) in str(caught.value) for label in pair)


@pytest.mark.parametrize("label", ["", " ", "\u200b"])
def test_a_blank_label_is_refused(make, label):
    with pytest.raises(ValueError, match="which is no word"):
        make().fit(TEXTS, [label, label, *LABELS[2:]])


def test_a_copy_has_its_settings_and_no_model(fitted):
    other = clone(fitted)
    assert other.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        other.predict(TEXTS)


def test_a_pickle_holds_the_folder_of_the_model(make, fitted, tmp_path):
    lasting = make(folder=tmp_path / "model").fit(TEXTS, LABELS)
    again = pickle.loads(pickle.dumps(lasting))
    assert (again.predict_proba(TEXTS) == lasting.predict_proba(TEXTS)).all()
    assert lasting.fit(TEXTS[:100], LABELS[:100]).folder_ == str(tmp_path / "model"), "an older model is replaced"
    with pytest.raises(TypeError, match="Set `folder` before `fit`"):
        pickle.dumps(fitted)


def test_the_folder_of_a_model_is_an_absolute_path(make, tmp_path, monkeypatch):
    for place, seed in (("here", 1), ("there", 2)):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        found = make(folder="model", epochs=1, seed=seed).fit(TEXTS, LABELS)
        assert found.folder_ == str(tmp_path / place / "model")
    monkeypatch.chdir(tmp_path / "here")
    with Scorer.load(found.folder_, device="cpu") as scorer:
        assert scorer.description.digest == found._digest
    assert pickle.loads(pickle.dumps(found)).predict_proba(TEXTS).tolist() == found.predict_proba(TEXTS).tolist()


def test_a_folder_with_another_model_since_is_refused(make, tmp_path):
    one, other = (make(folder=tmp_path / "model", epochs=1, seed=seed).fit(TEXTS, LABELS) for seed in (1, 2))
    for late in (one, pickle.loads(pickle.dumps(one))):
        with pytest.raises(ModelError, match="holds another model than the one that this estimator was fitted to"):
            late.predict(TEXTS)
    assert other.predict(TEXTS).shape == (120,)
    del one._digest  # as in a pickle of an older version
    assert one.predict(TEXTS).tolist() == other.predict(TEXTS).tolist()
    again = make(folder=tmp_path / "model", epochs=1, seed=1).fit(TEXTS, LABELS)
    assert again.fit(TEXTS, LABELS).predict(TEXTS).shape == (120,)


def test_a_temporary_model_is_deleted_with_its_estimator(make):
    found = make(epochs=1).fit(TEXTS, LABELS)
    folder = Path(found.folder_)
    assert folder.is_dir()
    del found
    assert not folder.exists()


def test_the_tools_of_scikit_learn_take_it(make):
    assert cross_val_score(make(), TEXTS, LABELS, cv=2).mean() > 0.7
    search = GridSearchCV(make(), {"learning_rate": [1e-6, 5e-3]}, cv=2).fit(TEXTS, LABELS)
    assert search.best_params_ == {"learning_rate": 5e-3}
    upper = FunctionTransformer(lambda texts: [text.upper() for text in texts])
    assert make_pipeline(upper, make()).fit(TEXTS, LABELS).score(TEXTS, LABELS) > 0.8


def test_its_calibration_can_be_drawn(fitted):
    pytest.importorskip("matplotlib")
    display = CalibrationDisplay.from_estimator(fitted, TEXTS, LABELS, pos_label="pos")
    assert len(display.prob_pred)


@pytest.mark.parametrize(
    "check",
    [
        "check_estimator_cloneable",
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
        "check_estimator_repr",
        "check_estimator_tags_renamed",
        "check_valid_tag_types",
        "check_mixin_order",
    ],
)
def test_checks_of_scikit_learn_that_need_no_numbers(check):
    getattr(estimator_checks, check)("SentimentClassifier", SentimentClassifier())


@pytest.mark.parametrize(
    ("texts", "labels", "part"),
    [
        ("one text", ["pos"], "Write \\[text\\]"),
        ([1, 2], ["pos", "neg"], "1, which is no text"),
        (pd.DataFrame({"a": ["x", "y"], "b": ["x", "y"]}), ["pos", "neg"], "shape"),
        (TEXTS, LABELS[:-1], "120 texts and y 119 labels"),
        (TEXTS, ["Pos" if n % 3 else "pos" for n in range(120)], "spellings of one word"),
        (TEXTS, np.linspace(0, 1, 120), "continuous"),
    ],
)
def test_what_cannot_be_learned_is_refused(make, texts, labels, part):
    with pytest.raises(ValueError, match=part):
        make().fit(texts, labels)


@pytest.mark.parametrize(
    "text", ["", "  ", None, float("nan"), np.float32("nan"), pd.NA, "N/A", "None", "NA", "null", "\u200b"]
)
def test_a_row_without_a_text_has_no_class(fitted, text):
    texts = ["a fine film", text, "a dull one", text]
    for ask in (fitted.predict, fitted.predict_proba, lambda texts: fitted.score(texts, LABELS[:4])):
        with pytest.raises(ValueError, match=r"row 1 of X has no text, so it has no class\. Leave it out\."):
            ask(texts)


@pytest.mark.parametrize("missing", [None, pd.NA, "", "N/A"])
def test_rows_without_a_text_are_left_out_of_training(make, fitted, missing):
    texts = pd.Series([*TEXTS, missing], dtype="string")
    found = make().fit(texts, [*LABELS, "pos"])
    assert found.predict_proba(texts[:-1]).tolist() == fitted.predict_proba(TEXTS).tolist()


def test_half_a_surrogate_pair_becomes_the_replacement_sign(make, fitted):
    given, repaired = ["a fine \ud800 film", "\ude00"], ["a fine \ufffd film", "\ufffd"]
    assert fitted.predict_proba(given).tolist() == fitted.predict_proba(repaired).tolist()
    assert make(epochs=1).fit([*TEXTS, *given], [*LABELS, "pos", "neg"]).predict(given).shape == (2,)


def test_it_learns_from_unlabelled_texts_of_a_list(make):
    texts = [f"{text} indeed" for text in TEXTS[:60]]
    found = make(epochs=2, unlabelled=texts, unlabelled_confidence=0.0).fit(TEXTS, LABELS)
    assert found.predict(TEXTS[:3]).shape == (3,)
    with pytest.raises(InputError, match="item 1 of the list is no text"):
        make(unlabelled=["fine", 7]).fit(TEXTS, LABELS)
    with pytest.raises(UsageError, match="`unlabelled_weight` is about unlabelled texts"):
        make(unlabelled_weight=1.0).fit(TEXTS, LABELS)


def test_every_setting_of_training_can_be_chosen():
    from sentiment_batch.settings import TrainSettings

    left_out = {"warmup", "limit", "learning_curve"}  # scikit-learn has a learning_curve of its own
    assert set(TrainSettings.__dataclass_fields__) - left_out <= set(SentimentClassifier().get_params())


@pytest.mark.parametrize("kind", [set, frozenset, dict.fromkeys])
def test_what_has_no_order_is_refused(make, fitted, kind):
    with pytest.raises(ValueError, match=r"X is a \w+, which has no rows. Give a list"):
        make().fit(kind(TEXTS), LABELS)
    with pytest.raises(ValueError, match=r"y is a \w+, which has no rows"):
        make().fit(TEXTS[:2], kind(LABELS))
    with pytest.raises(ValueError, match=r"X is a \w+, which has no rows"):
        fitted.predict(kind(TEXTS))


@pytest.mark.parametrize("labels", [[1, "a"], [True, 2], ["a", True]], ids=str)
@pytest.mark.parametrize("kind", [list, pd.Series])
def test_labels_of_several_kinds_are_refused(make, labels, kind):
    with pytest.raises(ValueError, match=r"y mixes (\w| )+ and (\w| )+\. Write all labels in one way"):
        make().fit(TEXTS, kind(labels * 60))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_of_a_fitted_estimator_shares_its_model(make, copied):
    found = make(epochs=1).fit(TEXTS, LABELS)
    expected, folder = found.predict_proba(TEXTS), Path(found.folder_)
    other = copied(found)
    assert other.get_params() == found.get_params()
    del found
    other._scorer = None  # so that it loads the model again
    assert (other.predict_proba(TEXTS) == expected).all()
    again = copied(other).fit(TEXTS, LABELS[::-1])
    assert again.folder_ != other.folder_
    assert folder.exists()
    del other
    assert not folder.exists()
