"""Each row gets the score of its own text, whatever it is scored with; scorers count, close, and travel in pickles."""

from __future__ import annotations

import pickle
import shutil
import threading

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment_batch.errors import DeviceError, ModelError, UsageError
from sentiment_batch.scoring.backends import row_blocks
from sentiment_batch.scoring.scorer import Scorer
from sentiment_batch.settings import ScoreSettings
from tests.conftest import WORDS

TEXTS = st.none() | st.sampled_from(["", " ", "\t\n\u2003", "the film was great", "[SEP]", "é" * 200])
TEXTS |= st.lists(st.sampled_from(WORDS), min_size=1, max_size=100).map(" ".join) | st.text(max_size=40)


@pytest.fixture(scope="module")
def load(make_model):
    """Gives a scorer on the CPU in float32 of a three-label model; each set of settings is loaded once."""
    folder = str(make_model("bad", "so so", "good"))
    loaded: dict[str, Scorer] = {}

    def load(**options):
        options = {"device": "cpu", "dtype": "float32"} | options
        if repr(options) not in loaded:
            loaded[repr(options)] = Scorer.load(folder, **options)
        return loaded[repr(options)]

    yield load
    for scorer in loaded.values():
        scorer.close()


@pytest.fixture(scope="module")
def alone(load):
    """The probabilities of one text in a batch of one, by the model itself; NaN for no text."""
    scorer = load()
    known = {}

    def alone(text):
        if text not in known:
            if text is None or not text.strip():
                return np.full(3, np.nan)
            known[text] = probabilities(scorer, [text])[0]
        return known[text]

    return alone


def probabilities(scorer, texts, cut=None):
    column = pa.array(texts, pa.large_string())
    batch = pa.record_batch({"text": column})
    parts = [batch] if cut is None else [batch.slice(0, cut), batch.slice(cut)]
    found = [part for _, part in scorer.probabilities(parts, ["text"])]
    return np.concatenate(found) if found else np.empty((0, 3), np.float32)


@settings(max_examples=60)
@given(
    texts=st.lists(TEXTS, max_size=20),
    budget=st.sampled_from([1, 64, 100, 200, 4096]),
    block_rows=st.sampled_from([1, 3, 8192]),
    cut=st.integers(0, 20),
)
def test_each_row_gets_the_score_of_its_own_text_alone(load, alone, texts, budget, block_rows, cut):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_blocks, "MAX_ROWS_PER_BLOCK", block_rows)
        found = probabilities(load(batch_tokens=budget), texts, cut)
    expected = np.array([alone(text) for text in texts]).reshape(-1, 3)
    np.testing.assert_allclose(found, expected, atol=5e-6)


def test_one_text_alone_scores_as_the_network_says(load):
    import torch

    scorer = load()
    text = "the film was great but too slow"
    ids = torch.tensor([scorer.backend.loaded.backend.encode(text).ids])
    with torch.inference_mode():
        expected = scorer.backend.loaded.network(input_ids=ids).logits.softmax(-1)
    np.testing.assert_allclose(probabilities(scorer, [text]), expected, atol=1e-6)


def test_the_scores_of_a_call_repeat_to_the_last_bit(load):
    generator = np.random.default_rng(4)
    texts = [" ".join(generator.choice(WORDS, size=generator.integers(1, 80))) for _ in range(300)]
    scorer = load(batch_tokens=512)
    assert np.array_equal(probabilities(scorer, texts), probabilities(scorer, texts))
    fresh = Scorer.load(scorer.model, device="cpu", dtype="float32", batch_tokens=512)
    assert np.array_equal(probabilities(fresh, texts), probabilities(scorer, texts))


def test_bfloat16_stays_near_float32_and_flips_no_clear_label(load):
    generator = np.random.default_rng(5)
    texts = [" ".join(generator.choice(WORDS, size=generator.integers(1, 80))) for _ in range(200)]
    exact, half = probabilities(load(), texts), probabilities(load(dtype="bfloat16"), texts)
    assert not np.array_equal(exact, half)
    np.testing.assert_allclose(half, exact, atol=0.03)
    first, second = np.sort(exact, axis=1)[:, ::-1][:, :2].T
    clear = first - second > 0.03
    assert clear.sum() > 100
    assert np.array_equal(half.argmax(1)[clear], exact.argmax(1)[clear])


def test_what_is_counted(load):
    scorer = load(max_length=10)
    before = (scorer.counts.rows, scorer.counts.tokens)
    long = "great " * 30
    probabilities(scorer, ["a", None, "", " \n", "a", "b", long, long, "a"])
    counts = scorer.counts
    assert counts.rows - before[0] == 9
    assert (counts.null, counts.repeated, counts.cut) == (3, 3, 1)
    assert counts.tokens - before[1] == 3 + 3 + 10
    assert counts.model_seconds > 0


def test_no_rows_no_probabilities(load):
    assert probabilities(load(), []).shape == (0, 3)
    assert np.isnan(probabilities(load(), [None, ""])).all()


def test_long_texts_are_scored_by_the_policy(load):
    start, middle, end = ("great " * 14, "awful " * 60, "boring " * 16)
    texts = [start + middle + end, start + "superb " * 60 + end, start + middle + "warm " * 16]
    head = probabilities(load(max_length=16), texts)
    assert np.array_equal(head, np.repeat(head[:1], 3, axis=0))
    ends = probabilities(load(max_length=16, long_text="head-tail"), texts)
    assert np.array_equal(ends[0], ends[1])
    assert not np.allclose(ends[0], ends[2], atol=1e-4)
    whole = probabilities(load(max_length=16, long_text="windows"), texts)
    assert len({tuple(row) for row in whole.tolist()}) == 3


def test_windows_average_the_logits_by_their_tokens(load):
    import torch

    scorer = load(max_length=12, long_text="windows")
    words = WORDS[:21]
    found = probabilities(scorer, [" ".join(words)])[0]
    parts = [words[:7], words[7:14], words[14:]]  # 21 words in windows of at most 10
    logits, lengths = [], []
    for part in parts:
        ids = torch.tensor([scorer.backend.loaded.backend.encode(" ".join(part)).ids])
        with torch.inference_mode():
            logits.append(scorer.backend.loaded.network(input_ids=ids).logits[0].double().numpy())
        lengths.append(ids.shape[1])
    mean = np.average(logits, axis=0, weights=lengths)
    np.testing.assert_allclose(found, np.exp(mean) / np.exp(mean).sum(), atol=5e-6)


def test_windows_of_unequal_length_weigh_by_their_tokens():
    from sentiment_batch.model.probabilities import average_segments

    logits = np.array([[1, 0], [4, 0], [2, 7]], dtype=np.float32)
    combined = average_segments(logits, np.array([0, 0, 1]), np.array([10, 5, 3]))
    np.testing.assert_allclose(combined, [[2, 0], [2, 7]])


def test_a_scorer_travels_in_a_pickle_and_loads_itself_again(load):
    scorer = load(batch_tokens=128)
    travelled = pickle.loads(pickle.dumps(scorer))
    assert len(pickle.dumps(scorer)) < 2_000  # the name of the model, not its weights
    assert travelled.counts.rows == 0
    texts = ["the film was great", None, "awful"]
    assert np.array_equal(probabilities(travelled, texts), probabilities(scorer, texts), equal_nan=True)


def test_a_link_to_nothing_in_a_model_folder_is_no_error(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / ".#README.md").symlink_to("somebody@elsewhere.1")  # how Emacs locks a file
    assert Scorer.cached(str(folder), ScoreSettings(device="cpu")).labels


def test_a_closed_scorer_loads_itself_again(load):
    with Scorer.load(load().model, device="cpu", dtype="float32") as scorer:
        first = probabilities(scorer, ["great"])
    assert scorer._backend is None
    assert np.array_equal(probabilities(scorer, ["great"]), first)


def test_a_scorer_closed_between_two_blocks_loads_again(load, monkeypatch):
    monkeypatch.setattr(row_blocks, "MAX_ROWS_PER_BLOCK", 2)
    texts = ["great", "boring", "the film", "a", "it was slow", "best"]
    expected = probabilities(load(), texts)
    scorer = Scorer.load(load().model, device="cpu", dtype="float32")
    parts = []
    for _, part in scorer.probabilities([pa.record_batch({"text": texts})], ["text"]):
        parts.append(part)
        scorer.close()
    np.testing.assert_allclose(np.concatenate(parts), expected, atol=5e-6)


def test_a_reader_that_fails_fails_the_call_and_leaves_no_thread(load):
    def rows():
        yield pa.record_batch({"text": ["a"] * 9_000})
        raise OSError("the cable was pulled")

    with pytest.raises(OSError, match="the cable was pulled"):
        list(load().probabilities(rows(), ["text"]))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("read", "tokenize", "model"))]


def test_a_consumer_may_stop_early(load):
    batches = (pa.record_batch({"text": [f"film {n}"] * 9_000}) for n in range(50))
    stream = load().probabilities(batches, ["text"])
    next(stream)
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("read", "tokenize", "model"))]
    assert next(batches) is not None  # not all of the input was read


def test_the_budget_is_the_setting_or_fits_the_device(load):
    assert load(batch_tokens=77).description.batch_tokens == 77
    assert load().description.batch_tokens == 2_048


def test_the_text_policy_is_the_users_trainings_or_models(load, make_model):
    assert (load().policy.max_length, load().policy.long_text) == (64, "head")
    assert (load(max_length=20, long_text="windows").policy.max_length, load(max_length=20).policy.long_text) == (
        20,
        "head",
    )
    folder = make_model("a", "b", max_length=40)
    assert Scorer.load(str(folder), dtype="float32").policy.max_length == 40
    (folder / "sentiment_batch.json").write_text(
        '{"labels": {}, "text": {"max_length": 24, "long_text": "head-tail", "special_tokens_as_text": true}}'
    )
    policy = Scorer.load(str(folder), dtype="float32").policy
    assert (policy.max_length, policy.long_text) == (24, "head-tail")


def test_more_tokens_than_positions_are_refused(load):
    with pytest.raises(UsageError, match=r"`max_length` is 65, but the model takes 64 tokens\. Take fewer"):
        Scorer.load(load().model, max_length=65)


def test_an_unknown_setting_lists_those_there_are(load):
    with pytest.raises(UsageError, match=r"colour.*The settings of scoring are device, dtype, batch_tokens"):
        Scorer.load(load().model, colour="red")


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_tokens": 0},
        {"max_length": 3},
        {"long_text": "middle"},
        {"dtype": "int4"},
        {"decimals": 9},
        {"prefix": ""},
        {"device": "gpu"},
        {"dtype": "float16"},
    ],
)
def test_a_setting_out_of_range_is_named(load, wrong):
    (name,) = wrong
    with pytest.raises(UsageError, match=f"`{name}"):
        Scorer.load(load().model, **{"device": "cpu"} | wrong)


def test_a_missing_model_is_an_error():
    with pytest.raises(ModelError, match="no model folder is at"):
        Scorer.load("./nowhere")


def test_a_scorer_closed_in_a_stream_continues_and_stays_closed(load, monkeypatch):
    monkeypatch.setattr(row_blocks, "MAX_ROWS_PER_BLOCK", 2)
    texts = ["the film was great", "so bad", "dull", "fine", "warm"]
    with Scorer.load(load().model, device="cpu", dtype="float32") as scorer:
        stream = scorer.probabilities([pa.record_batch({"text": texts})], ["text"])
        found = [next(stream)[1]]
        scorer.close()
        found += [part for _, part in stream]
        assert scorer._backend is None
    assert np.array_equal(np.concatenate(found), probabilities(load(), texts))


def test_a_scorer_can_be_shown_and_hashed(load):
    with Scorer.load(load().model, device="cpu", dtype="float32") as scorer:
        assert len(repr(scorer)) < 1_000
        assert {scorer: 1}[scorer] == 1
        assert scorer != load()


def test_a_model_too_large_for_the_device_is_an_error(load, monkeypatch):
    def full(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("sentiment_batch.scoring.backends.model_start.load_fast", lambda *arguments: None)
    monkeypatch.setattr("sentiment_batch.scoring.backends.model_start.prepare_model", full)
    with pytest.raises(DeviceError, match=r"memory of cpu does not hold .*Use a smaller model, or give this process"):
        Scorer.load(load().model, device="cpu")


def test_the_repr_names_the_model_and_what_was_set():
    scorer = Scorer(model="my-model", settings=ScoreSettings(device="cpu", prefix="mood"))
    assert repr(scorer) == "Scorer(model='my-model', device='cpu', prefix='mood')"
    assert repr(Scorer(model="my-model", settings=ScoreSettings())) == "Scorer(model='my-model')"
