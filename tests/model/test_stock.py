"""Stock models of every family score as `pipeline` does, ours are stock models, and hostile folders are refused."""

from __future__ import annotations

import json
import shutil
import warnings

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file

from sentiment_batch.errors import ModelError, UsageError
from sentiment_batch.model.folder import read_meta
from sentiment_batch.model.stock import load_classifier
from sentiment_batch.scoring.scorer import Scorer
from tests.rare_models import write_rare_model
from tests.stock_models import FAMILIES, LIMIT, edit_json, write_stock_model

TEXTS = [
    "the film was great",
    "a",
    "Great film, loved it! " * 30,
    "boring " * (LIMIT - 2),
    "boring " * (LIMIT - 1),
    "  two  blanks\tand\ttabs \n and lines ",
    "Où est le café? NAÏVE, naïve",
    "日本語の映画は面白い 😀👍🏽",
    "e\u0301 \u200b\u00a0\u2028 \x00 \x85",
    "the [SEP] film [MASK] was </s> good <mask> [CLS] <s><pad>[PAD]",
    "</s>",
    "!?!?!?",
    "x" * 300,
]


def scores(folder, texts=TEXTS, **settings):
    """The probabilities (n, K) of the texts, unrounded, in float32 on the CPU."""
    settings = {"device": "cpu", "dtype": "float32"} | settings
    with Scorer.load(str(folder), **settings) as scorer:
        batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
        return np.concatenate([part for _, part in scorer.probabilities([batch], ["text"])])


def piped(folder, labels, texts=TEXTS):
    """What transformers' own pipeline says of each text alone."""
    from transformers import pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    classify = pipeline(
        "text-classification", model=str(folder), truncation=True, top_k=None, device="cpu", dtype=torch.float32
    )
    by_label = [{one["label"]: one["score"] for one in classify([text])[0]} for text in texts]
    return np.array([[row[label] for label in labels] for row in by_label])


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    return write_stock_model(request.param, tmp_path_factory.mktemp("stock") / request.param)


@pytest.fixture
def folder(tmp_path, tiny_model):
    """A copy of a good model, to be damaged."""
    return shutil.copytree(tiny_model, tmp_path / "model")


def refused(folder, pattern, labels=None):
    """Loading fails in one line that names the folder or the option."""
    with pytest.raises(ModelError, match=pattern) as caught:
        Scorer.load(str(folder), labels=labels, device="cpu", dtype="float32")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_stock_models_score_as_the_pipeline_does(family):
    ours, theirs = scores(family), piped(family, ("negative", "neutral", "positive"))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert np.ptp(theirs, axis=0).max() > 0.02  # a model that says the same of every text would prove nothing


def test_a_stock_model_scores_a_long_text_by_its_head(family):
    shared = "the film was great " * LIMIT
    one, other, short = scores(family, [shared + "boring", shared + "superb", "the film was great"])
    np.testing.assert_allclose(one, other, atol=1e-6)  # the same tokens at two places of a batch
    assert not np.allclose(one, short, atol=1e-4)


def test_a_tokenizer_that_keeps_the_end_is_followed(family):
    edit_json(family, "tokenizer_config.json", truncation_side="left")
    texts = ["the film was great " * LIMIT + "but boring", "the film was great"]
    try:
        np.testing.assert_allclose(
            scores(family, texts), piped(family, ("negative", "neutral", "positive"), texts), atol=1e-5
        )
        assert not np.allclose(*scores(family, texts), atol=1e-4)
    finally:
        edit_json(family, "tokenizer_config.json", truncation_side="right")


def test_the_limit_of_a_family_is_its_positions(family):
    assert load_classifier(family).positions == LIMIT
    edit_json(family, "tokenizer_config.json", model_max_length=None)
    assert load_classifier(family).positions == LIMIT
    edit_json(family, "tokenizer_config.json", model_max_length=LIMIT)


BEHIND_PADDING = ("data2vec", "esm", "ibert", "luke", "mpnet", "prelayernorm")
FROM_0 = ("fnet", "openai-gpt", "opt")
ENDLESS = ("bloom", "funnel", "t5", "xlnet")


@pytest.mark.parametrize("family", [*BEHIND_PADDING, *FROM_0, *ENDLESS])
def test_no_text_gets_more_tokens_than_there_are_positions(family, tmp_path):
    folder = write_rare_model(family, tmp_path / family)
    assert load_classifier(folder).positions == (512 if family in ENDLESS else LIMIT)
    short, *long = scores(folder, ["great film", "boring " * 600, "boring " * 700])
    assert np.isfinite(short).all()
    np.testing.assert_allclose(*long, atol=1e-5)


def test_a_family_without_positions_has_its_tokenizer_s_limit(tmp_path):
    assert load_classifier(write_rare_model("t5", tmp_path / "t5", limit=20)).positions == 20


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize(
    "family", ["bigbird", "bloom", "convbert", "fnet", "gpt2", "ibert", "mobilebert", "openai-gpt", "t5", "xlnet"]
)
def test_rarer_families_score_as_the_pipeline_does(family, deterministic, tmp_path):
    folder = write_rare_model(family, tmp_path / family, limit=LIMIT)
    ours = scores(folder, deterministic=deterministic)
    np.testing.assert_allclose(ours, piped(folder, ("negative", "neutral", "positive")), atol=1e-5)


def test_block_sparse_attention_does_not_feel_the_texts_before(tmp_path):
    folder = write_rare_model("bigbird", tmp_path / "bigbird")
    text = "the film was great " * 12
    np.testing.assert_allclose(scores(folder, [text])[0], scores(folder, ["a", text])[1], atol=1e-6)


@pytest.mark.parametrize(
    ("family", "dtype", "said"),
    [
        ("nystromformer", "float32", r"model fails in float32 \(RuntimeError: .*\)\. Name another model\."),
        (
            "fnet",
            "bfloat16",
            r"model fails in bfloat16 \(\w+Error: .*\)\. Try `dtype=\"float32\"`, or another model\.",
        ),
    ],
)
def test_stock_code_that_fails_is_named_with_its_folder(family, dtype, said, tmp_path):
    folder = write_rare_model(family, tmp_path / "model")
    with pytest.raises(ModelError, match=said) as caught:
        Scorer.load(str(folder), device="cpu", dtype=dtype)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_our_own_model_scores_as_the_pipeline_does(make_model):
    folder = make_model("bad", "so so", "good")
    texts = ["the film was great", "boring, terrible plot!", "é", "a " * 62]
    np.testing.assert_allclose(scores(folder, texts), piped(folder, ("bad", "so so", "good"), texts), atol=5e-6)


def test_a_literal_separator_is_a_token_to_stock_models_only(folder):
    (stock_way,) = scores(folder, ["the [SEP] film"])
    (folder / "sentiment_batch.json").write_text(
        json.dumps({"labels": {}, "text": {"max_length": 64, "long_text": "head", "special_tokens_as_text": True}})
    )
    (our_way,) = scores(folder, ["the [SEP] film"])
    assert not np.allclose(stock_way, our_way, atol=1e-6)
    np.testing.assert_allclose(stock_way, piped(folder, ("negative", "positive"), ["the [SEP] film"])[0], atol=1e-5)


def test_a_loaded_model_survives_an_overwritten_file(folder, make_model):
    loaded = load_classifier(folder)
    before = loaded.network.pre_classifier.weight.clone()
    shutil.copyfile(make_model("a", "b", seed=9) / "model.safetensors", folder / "model.safetensors")
    assert torch.equal(loaded.network.pre_classifier.weight, before)


def test_loading_warns_and_prints_nothing(family, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_classifier(family)
    assert capfd.readouterr() == ("", "")


def test_pickled_weights_are_never_loaded(folder):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    refused(folder, "holds no model.safetensors but pytorch_model.bin, and pickled weights are never loaded")


def test_a_pickle_beside_safe_weights_is_not_opened(folder):
    before = scores(folder)
    (folder / "pytorch_model.bin").write_bytes(b"not a pickle at all")
    assert np.array_equal(scores(folder), before)


def test_a_bare_encoder_is_refused_for_it_would_score_at_random(tiny_base):
    said = refused(tiny_base, "has no trained weights for 'classifier.bias'")
    assert "Train a classifier from it with sentiment-batch train." in said


@pytest.mark.parametrize("known", [True, False])
def test_code_in_a_model_folder_never_runs(folder, tmp_path, known):
    marker = tmp_path / "it-ran"
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Evil: pass\n")
    before = scores(folder)
    classes = ("AutoConfig", "AutoModel", "AutoModelForSequenceClassification")
    edit_json(folder, "config.json", auto_map={name: "evil.Evil" for name in classes})
    edit_json(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", "evil.Evil"]})
    if known:  # the library's own classes load it
        assert np.array_equal(scores(folder), before)
    else:
        edit_json(folder, "config.json", model_type="evil")
        refused(folder, "cannot be loaded")
    assert not marker.exists()


@pytest.mark.parametrize(
    "asked", ["flash_attention_2", "kernels-community/flash-attn", "flex_attention", "eager", "no"]
)
@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "_attn_implementation_internal"])
def test_an_attention_implementation_in_the_config_is_ignored(folder, asked, key):
    edit_json(folder, "config.json", **{key: asked})
    assert load_classifier(folder).network.config._attn_implementation == "sdpa"


def test_labels_outside_utf8_are_refused_until_they_are_named(folder):
    edit_json(folder, "config.json", id2label={"0": "bad \ud83d", "1": "good"})
    said = refused(folder, r"UTF-8 cannot hold the labels 'bad \\ud83d' of .* with `labels`")
    said.encode("utf-8")
    refused(folder, "cannot hold the labels 'worse", labels=("worse \udc80", "good"))
    with Scorer.load(str(folder), labels=["bad", "good"], device="cpu", dtype="float32") as scorer:
        assert scorer.labels == ("bad", "good")


def test_damaged_weights_are_named(folder):
    whole = (folder / "model.safetensors").read_bytes()
    for damaged in (whole[:1000], b"", b"\xff" * 100, whole[: len(whole) // 2]):
        (folder / "model.safetensors").write_bytes(damaged)
        assert str(folder) in refused(folder, "cannot be loaded")


def test_weights_of_layers_outside_the_config_are_refused(folder):
    depth = json.loads((folder / "config.json").read_text())["n_layers"]
    edit_json(folder, "config.json", n_layers=depth - 1)
    with pytest.raises(ModelError, match=rf"more layers than the {depth - 1} of its config\.json, such as .*layer\."):
        load_classifier(folder)


def test_weights_of_another_shape_are_named(folder):
    edit_json(folder, "config.json", dim=64)
    refused(folder, "cannot be loaded")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\x00\x01"])
def test_damaged_json_is_named(folder, name, content):
    (folder / name).write_text(content)
    assert str(folder) in refused(folder, "cannot be loaded")


def test_a_missing_tokenizer_is_named(folder):
    (folder / "tokenizer.json").unlink()
    refused(folder, "has no tokenizer.json")
    (folder / "tokenizer_config.json").unlink()
    refused(folder, r"has no tokenizer\.json")


def drop_word(folder, word):
    """Take a word out of the vocabulary in tokenizer.json."""
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    del content["model"]["vocab"][word]
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] != word]
    path.write_text(json.dumps(content))


def test_a_tokenizer_that_fails_at_unknown_words_is_named(folder):
    drop_word(folder, "[UNK]")
    refused(folder, r"has a tokenizer that fails at unknown words: .*\[UNK\].*Fetch the model again\.$")


@pytest.mark.parametrize("word", ["[CLS]", "[SEP]"])
def test_a_special_token_that_was_never_trained_is_a_warning(folder, word, caplog):
    load_classifier(folder)
    assert caplog.messages == []
    drop_word(folder, word)
    load_classifier(folder)
    assert f"has no {word} in its vocabulary, so its scores are probably wrong" in caplog.text


def test_a_vocabulary_without_tokenizer_json_is_enough(folder, vocabulary):
    before = scores(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    np.testing.assert_allclose(scores(folder), before, atol=1e-6)


@pytest.mark.parametrize("content", ["{", "[]", '{"labels": {}}', "\xff"])
def test_a_damaged_description_is_named(folder, content):
    (folder / "sentiment_batch.json").write_text(content, encoding="latin-1")
    refused(folder, r"sentiment_batch\.json is damaged.*Restore it, or train again")


def test_a_description_of_a_later_version_is_refused(folder):
    content = {"format": 2, "version": "9.0", "labels": {}, "text": {}}
    (folder / "sentiment_batch.json").write_text(json.dumps(content))
    refused(folder, r"has the format 2, which this version .* written by version '?9\.0'?\. Update sentiment-batch\.$")
    (folder / "sentiment_batch.json").write_text(json.dumps(content | {"format": "x"}))
    refused(folder, r"is damaged: its format is 'x'")


def test_a_folder_without_our_description_has_none(tiny_base):
    assert read_meta(tiny_base) is None


def test_labels_without_meaning_are_refused_until_they_are_named(folder):
    before = scores(folder)
    edit_json(folder, "config.json", id2label={"0": "LABEL_0", "1": "LABEL_1"}, label2id=None)
    refused(folder, r"calls its labels 'LABEL_0', 'LABEL_1'.*such as `labels=\[\"negative\", \"positive\"\]`\.")
    with Scorer.load(str(folder), labels=["bad", "good"], device="cpu", dtype="float32") as scorer:
        assert scorer.labels == ("bad", "good")
    assert np.array_equal(scores(folder, labels=("bad", "good")), before)


@pytest.mark.parametrize("names", [("", "good"), ("bad", " \t")])
def test_empty_labels_are_refused_until_they_are_named(folder, names):
    edit_json(folder, "config.json", id2label=dict(zip("01", names, strict=True)), label2id=None)
    refused(folder, "which mean nothing. Name them in this order")
    assert load_classifier(folder, ("bad", "good")).labels == ("bad", "good")


def test_a_label_that_is_null_is_refused(folder):
    edit_json(folder, "config.json", id2label={"0": "bad", "1": None}, label2id=None)
    # Transformers 5.17 does not load such a file, later versions do
    refused(
        folder, r"which mean nothing. Name them in this order|id2label in its config.json must be an object such as"
    )


def test_other_names_for_named_labels_are_logged(folder, caplog):
    assert load_classifier(folder, ("bad", "good")).labels == ("bad", "good")
    assert caplog.messages == ["the model calls its labels 'negative', 'positive'; they are renamed to 'bad', 'good'"]
    caplog.clear()
    assert load_classifier(folder, ("Negative", "Positive")).labels == ("Negative", "Positive")
    edit_json(folder, "config.json", id2label={"0": "LABEL_0", "1": "LABEL_1"}, label2id=None)
    load_classifier(folder, ("bad", "good"))
    assert caplog.messages == []


@pytest.mark.parametrize("labels", [("positive", "negative"), ("Positive", "NEGATIVE")])
def test_a_model_s_own_names_in_another_order_are_refused(folder, labels):
    with pytest.raises(UsageError, match=r"calls them 'negative', 'positive', in this order\. Leave `labels` out"):
        load_classifier(folder, labels)


@pytest.mark.parametrize("labels", [("good",), ("bad", "so", "good"), ("good", "good")])
def test_names_must_be_as_many_as_the_labels_and_different(folder, labels):
    with pytest.raises(UsageError, match="this model needs 2 different ones"):
        load_classifier(folder, labels)


def test_one_name_for_two_labels_is_refused_until_they_are_named(folder):
    edit_json(folder, "config.json", id2label={"0": "good", "1": "good"}, label2id=None)
    refused(folder, "one name to several labels: 'good', 'good'.*`labels`")
    assert load_classifier(folder, ("bad", "good")).labels == ("bad", "good")


def test_a_regression_head_is_refused(tmp_path):
    folder = write_stock_model("distilbert", tmp_path / "regression", labels=("stars",))
    refused(folder, "gives a single number, not one of several labels")
    edit_json(folder, "config.json", problem_type="regression")
    refused(folder, "gives regression, not one of several labels")


def test_a_multi_label_head_is_refused(folder):
    edit_json(folder, "config.json", problem_type="multi_label_classification")
    refused(folder, "gives multi_label_classification, not one of several labels")


def test_a_model_that_classifies_no_texts_is_refused(folder):
    edit_json(folder, "config.json", model_type="vit")
    refused(folder, "which has no sequence classifier|cannot be loaded")
