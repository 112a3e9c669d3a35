"""Explanations of predictions: labels are those of scoring, words are the text, and what decides weighs most."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment_batch import Scorer, clear_cache, explain, score, train
from sentiment_batch.data.readers.json_types import replace_surrogates
from sentiment_batch.errors import ModelError, UsageError
from sentiment_batch.explanation import attribution
from sentiment_batch.explanation.attribution import explain_texts, find_log_odds_directions
from sentiment_batch.settings import LONG_TEXT
from sentiment_batch.tokenization import offsets
from sentiment_batch.tokenization.tokenizer import TextTokenizer
from tests.conftest import BAD, GOOD, WORDS
from tests.stock_models import FAMILIES, write_stock_model

CPU = {"device": "cpu", "dtype": "float32"}
TEXTS = [
    "the film was great, don't you think?<br /><br />naïve café so-so 7.5!",
    "",
    " \t\n",
    "日本語の映画 😀👨\u200d👩\u200d👧 [SEP] </s> x\u0301y \x1b[31mred\x00 \u202e",
    "the great film was so fine " * 60,
    "x" * 300,
    "ดีมาก \ud800 \udcff",
    "\x00",
]


def reviews(rows, seed):
    """Reviews whose label rests on one word, and the word."""
    random = np.random.default_rng(seed)
    plain = [word for word in WORDS if word not in {*GOOD, *BAD}]
    found = []
    for row in range(rows):
        words, telling = list(random.choice(plain, 8)), str(random.choice(GOOD if row % 2 else BAD))
        words.insert(int(random.integers(9)), telling)
        found.append((" ".join(words), "positive" if row % 2 else "negative", telling))
    return found


@pytest.fixture(scope="module")
def trained(tiny_base, tmp_path_factory):
    """A model that learned to tell reviews by one word each."""
    rows = pd.DataFrame(reviews(600, 1), columns=["review", "label", "word"])[["review", "label"]]
    output = tmp_path_factory.mktemp("trained") / "model"
    settings = {"epochs": 6, "folds": 0, "batch_size": 16, "learning_rate": 2e-3, "patience": None, "max_length": 32}
    train(rows, output, base=str(tiny_base), quiet=True, **settings, **CPU)
    return str(output)


def test_the_words_that_a_decision_rests_on_weigh_most(trained):
    rows = reviews(60, 2)
    found = explain([text for text, _, _ in rows], trained, **CPU)
    right = [(one, word) for one, (_, label, word) in zip(found, rows, strict=True) if one.label == label]
    assert len(right) >= 55
    told = np.array([dict(one.words)[word] for one, word in right])
    others = [abs(weight) for one, word in right for text, weight in one.words if not text.isspace() and text != word]
    assert (told > 0).mean() > 0.95
    assert (told == 1).mean() > 0.6  # of nine words; by chance it would be a ninth
    assert told.mean() > 3 * np.mean(others)


def test_words_that_contradict_the_label_weigh_against_it(trained):
    good = [f"{first} and {second} and {third}" for first, second, third in itertools.combinations(GOOD, 3)]
    texts = [f"the film was {praise} but the plot was {bad}" for praise in good for bad in BAD]
    found = [one for one in explain(texts, trained, **CPU) if one.label == "positive"]
    assert len(found) > len(texts) / 2
    weights = [dict(one.words) for one in found]
    against = np.array([weight for words in weights for word, weight in words.items() if word in BAD])
    supporting = np.array([weight for words in weights for word, weight in words.items() if word in GOOD])
    others = np.array([weight for words in weights for word, weight in words.items() if word not in {*GOOD, *BAD}])
    assert (against < 0).mean() > 0.9
    assert (supporting > 0).mean() > 0.9
    assert against.mean() < others.mean() - 0.1
    assert others.mean() + 0.1 < supporting.mean()


@pytest.mark.parametrize("long_text", LONG_TEXT)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_explained_in_pieces_of_the_text(family, long_text, tmp_path):
    import pyarrow as pa

    with Scorer.load(str(write_stock_model(family, tmp_path / family)), long_text=long_text, **CPU) as scorer:
        found = explain_texts(scorer, TEXTS)
        clean = pa.record_batch({"text": pa.array(list(map(replace_surrogates, TEXTS)))})
        (probabilities,) = (part for _, part in scorer.probabilities([clean], ["text"]))
        for text, one, row in zip(TEXTS, found, probabilities, strict=True):
            assert (one.text, "".join(word.text for word in one.words)) == (text, text)
            weights = [word.weight for word in one.words if word.weight is not None]
            if np.isnan(row).any():
                assert (one.label, one.score, one.probabilities, weights) == (None, None, None, [])
                continue
            assert one.label == scorer.labels[row.argmax()]
            assert one.score == one.probabilities[one.label] == pytest.approx(row.max(), abs=5.1e-5)
            assert list(one.probabilities) == list(scorer.labels)
            assert max(map(abs, weights)) in {0.0, 1.0}
        unseen = [word for word in found[4].words if word.weight is None]
        assert len(unseen) == (long_text != "windows")
        assert sum(len(word.text) for word in unseen) < len(TEXTS[4]) - 40


def test_words_in_all_windows_have_weights_of_the_mean(tmp_path, monkeypatch):
    from sentiment_batch.explanation import integrated_gradients

    monkeypatch.setattr(integrated_gradients, "PATH_POINTS", 64)
    monkeypatch.setattr(attribution, "scale_weights", tuple)  # the weights as they are
    text = "the film was great and so fine " * 9
    with Scorer.load(
        str(write_stock_model("bert", tmp_path / "bert")), long_text="windows", max_length=16, **CPU
    ) as scorer:
        (one,) = explain_texts(scorer, [text])

        def log_odds(some):
            batch = pa.record_batch({"text": [some]})
            ((_, (row,)),) = scorer.probabilities([batch], ["text"])
            return np.log(row), int(row.argmax())

        logs, best = log_odds(text)
        masked, _ = log_odds(" ".join(["[MASK]"] * len(text.split())))  # special for a stock model
        directions = find_log_odds_directions(np.exp(logs)[None])[0]
        assert best == scorer.labels.index(one.label)
        assert sum(word.weight for word in one.words) == pytest.approx(float((logs - masked) @ directions), rel=0.03)


def test_directions_are_the_gradient_of_the_log_odds():
    import torch

    logits = torch.tensor(
        [[1.0, 2.0, -1.0], [60.0, -9.0, -10.0], [0.5, 0.1, 0.2]], dtype=torch.float64, requires_grad=True
    )
    best = logits.argmax(dim=1)
    others = logits.scatter(1, best[:, None], -torch.inf)
    (logits[range(3), best] - others.logsumexp(dim=1)).sum().backward()
    found = find_log_odds_directions(torch.softmax(logits, dim=1).float().detach().numpy())
    assert found == pytest.approx(logits.grad.numpy(), abs=1e-6)
    assert find_log_odds_directions(np.array([[0.0, 1.0, 0.0]], dtype=np.float32)).tolist() == [[-0.5, 1.0, -0.5]]
    assert find_log_odds_directions(np.array([[1.0, 0.0]], dtype=np.float32)).tolist() == [[1.0, -1.0]]


@settings(max_examples=40)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=[]) | st.sampled_from(" aé.好😀\u0301<"), max_size=40), max_size=5
    )
)
def test_any_texts_come_back_whole(scorer, texts):
    found = explain_texts(scorer, texts)
    assert [one.text for one in found] == texts
    assert ["".join(word.text for word in one.words) for one in found] == texts


def test_texts_come_out_in_order_and_each_as_if_alone(scorer, monkeypatch):
    texts = [f"the {WORDS[n % 40]} film was {WORDS[n % 7]} {WORDS[n % 11]} " * (1 + n % 4) for n in range(40)]
    alone = [explain_texts(scorer, [text])[0] for text in texts]
    monkeypatch.setattr(attribution, "TEXTS_AT_ONCE", 7)
    together = explain_texts(scorer, texts)
    for one, other in zip(alone, together, strict=True):
        assert (one.text, one.label, one.score) == (other.text, other.label, other.score)
        weights = [[word.weight or 0.0 for word in found.words] for found in (one, other)]
        assert weights[0] == pytest.approx(weights[1], abs=2e-3)


def test_only_the_seen_part_of_a_huge_text_is_tokenized(scorer, monkeypatch):
    sizes, real = [], TextTokenizer.encode_with_spans
    monkeypatch.setattr(
        TextTokenizer, "encode_with_spans", lambda self, text: sizes.append(len(text)) or real(self, text)
    )
    text = "the film was great " * 550_000
    with Scorer.load(scorer.model, long_text="head-tail", **CPU) as own:
        (one,) = explain_texts(own, [text])
    assert sum(sizes) <= 2 * offsets.PIECE_CHARACTERS
    assert "".join(word.text for word in one.words) == text
    assert len(one.words) < 200


@pytest.mark.usefixtures("warm_processes")
def test_a_neutral_band_and_several_devices_are_explained_too(scorer):
    text = "the film was great"
    (plain,) = explain_texts(scorer, [text])
    with Scorer.load(scorer.model, neutral_band=1.0, **CPU) as banded:
        assert explain_texts(banded, [text])[0] == plain
    with Scorer.load(scorer.model, device="cpu,cpu", dtype="float32") as pair:
        (one,) = explain_texts(pair, [text])
    assert (one.label, one.score) == (plain.label, plain.score)
    assert [word.weight for word in one.words] == pytest.approx([word.weight for word in plain.words], abs=1e-3)


def test_no_texts_have_no_explanations(scorer):
    assert explain_texts(scorer, []) == []


@pytest.mark.parametrize(
    "texts",
    [
        ["the film was great", None, "boring"],
        ("the film was great", float("nan"), "boring"),
        pd.Series(["the film was great", pd.NA, "boring"], dtype="string"),
        pl.Series(["the film was great", None, "boring"]),
        pa.array(["the film was great", None, "boring"]),
        iter(["the film was great", "", "boring"]),
    ],
)
def test_from_python_it_takes_whatever_gives_texts(trained, texts):
    found = explain(texts, trained, **CPU)
    assert [one.text for one in found] == ["the film was great", "", "boring"]
    labels = score(pd.DataFrame({"text": [one.text for one in found]}), trained, **CPU)["sentiment"].astype(object)
    assert [one.label for one in found] == [None if label != label else label for label in labels]


def test_one_text_is_one_explanation_and_the_model_is_kept(trained, monkeypatch):
    clear_cache()
    (one,) = explain("boring", trained, **CPU)
    assert one.text == "boring"
    from sentiment_batch.scoring import scorer_cache

    monkeypatch.setattr("sentiment_batch.scoring.scorer._load_backend", None)
    assert explain(["boring"], trained, **CPU) == [one]
    assert len(scorer_cache._cached) == 1
    clear_cache()


@pytest.mark.parametrize(
    ("texts", "settings", "part"),
    [
        (pd.DataFrame({"text": ["x"]}), {}, "explain takes texts, not a table"),
        (["x", 3], {}, r"text 1 \(counted from 0\) is of the type int"),
        (["x", b"y"], {}, r"of the type bytes. Give strings"),
        (["x"], {"neutral_band": 0.7}, "neutral_band` is for scoring"),
        (["x"], {"colour": 1}, "The settings of scoring are"),
        (7, {}, "explain takes one text or several, not a value of the type int"),
        (b"good", {}, "explain takes one text or several, not a value of the type bytes"),
        (np.array("good film"), {}, "explain takes one text or several, not a value of the type ndarray"),
    ],
)
def test_a_wrong_call_is_one_clear_line(trained, texts, settings, part):
    with pytest.raises(UsageError, match=part):
        explain(texts, trained, **CPU, **settings)


def test_a_model_that_gives_no_gradients_says_so(scorer, monkeypatch):
    from sentiment_batch.explanation import integrated_gradients

    monkeypatch.setattr(
        integrated_gradients._Path,
        "set",
        lambda self, *rest: (
            setattr(self, "calls", 7) or self.__dict__.update(_share=1.0, _baseline_D=rest[1], _own_BT=rest[2])
        ),
    )
    with pytest.raises(ModelError, match="does not allow to weigh words"):
        explain_texts(scorer, ["great"])
