"""Several processes share the blocks of one stream; scores, order and errors are those of a single process."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch import Scorer
from sentiment_batch.errors import DeviceError, ModelError, SentimentBatchError, UsageError
from sentiment_batch.scoring.backends import multi_device, row_blocks
from tests.conftest import WORDS

pytestmark = pytest.mark.usefixtures("warm_processes")


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(row_blocks, "MAX_ROWS_PER_BLOCK", 7)


@pytest.fixture(scope="module")
def pair(tiny_model):
    """A scorer with two processes, which are no forks: a fixture of the module comes before those of a test."""
    with Scorer.load(tiny_model, device="cpu,cpu", dtype="float32") as scorer:
        yield scorer


def batch(rows):
    generator = np.random.default_rng(rows)
    texts = [" ".join(generator.choice(WORDS, size=generator.integers(1, 40))) for _ in range(rows)]
    texts[::5] = [None] * len(texts[::5])
    return pa.record_batch({"text": pa.array(texts, pa.large_string())})


def scores(scorer, *batches):
    return np.concatenate([found for _, found in scorer.probabilities(batches, ["text"])])


@pytest.mark.parametrize("rows", [1, 6, 7, 8, 21, 100])
@pytest.mark.usefixtures("small_blocks")
def test_every_row_gets_the_score_that_one_process_gives_it(pair, scorer, rows):
    expected = scores(scorer, batch(rows))
    assert np.array_equal(scores(pair, batch(rows)), expected, equal_nan=True)


@pytest.mark.usefixtures("small_blocks")
def test_what_is_counted_is_what_all_processes_did(pair, scorer):
    before = pair.counts.rows, pair.counts.tokens, pair.counts.null
    one = scorer.counts.rows, scorer.counts.tokens, scorer.counts.null
    scores(pair, batch(50))
    scores(scorer, batch(50))
    in_both = [now - then for now, then in zip((pair.counts.rows, pair.counts.tokens, pair.counts.null), before)]  # noqa: B905
    alone = [now - then for now, then in zip((scorer.counts.rows, scorer.counts.tokens, scorer.counts.null), one)]  # noqa: B905
    assert in_both == alone == [50, in_both[1], 10]


def test_no_rows_are_no_blocks(pair):
    assert list(pair.probabilities([], ["text"])) == []


def test_the_devices_are_named_with_their_reason(pair):
    assert pair.device.value == "cpu,cpu"
    assert pair.device.reason.startswith("a process each")
    assert pair.labels == ("negative", "positive")


@pytest.mark.usefixtures("small_blocks")
def test_a_stream_that_is_left_early_does_not_disturb_the_next(pair, scorer):
    stream = pair.probabilities([batch(60)], ["text"])
    next(stream)
    stream.close()
    assert np.array_equal(scores(pair, batch(30)), scores(scorer, batch(30)), equal_nan=True)


@pytest.mark.usefixtures("small_blocks")
def test_after_a_fault_of_the_reader_the_next_stream_works(pair, scorer):
    def rows():
        yield batch(30)
        raise ZeroDivisionError("the reader")

    with pytest.raises(ZeroDivisionError, match="the reader"):
        list(pair.probabilities(rows(), ["text"]))
    assert np.array_equal(scores(pair, batch(9)), scores(scorer, batch(9)), equal_nan=True)


@pytest.mark.usefixtures("small_blocks")
def test_a_process_that_is_killed_is_an_error_and_not_a_wait(tiny_model):
    with Scorer.load(tiny_model, device="cpu,cpu", dtype="float32") as scorer:
        stream = scorer.probabilities((batch(7) for _ in range(10**6)), ["text"])
        next(stream)
        os.kill(scorer.backend._processes[1]._process.pid, signal.SIGKILL)
        with pytest.raises(DeviceError, match=r"the process for cpu died \(exit code -9\).*name fewer devices"):
            for _ in stream:
                pass
        assert scorer.backend._processes == []


def test_errors_of_a_process_are_raised_here(tiny_model, tmp_path):
    with pytest.raises(DeviceError, match=r"cuda:7"):
        Scorer.load(tiny_model, device="cpu,cuda:7")
    with pytest.raises(UsageError, match="Name devices as in"):
        Scorer.load(tiny_model, device="cpu,")
    with pytest.raises(SentimentBatchError):
        Scorer.load(tmp_path, device="cpu,cpu")
    with pytest.raises(UsageError, match="`max_length` is 65"):
        Scorer.load(tiny_model, device="cpu,cpu", max_length=65)


def test_scores_that_are_no_numbers_are_an_error_here(tiny_model, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    folder = tmp_path / "damaged"
    shutil.copytree(tiny_model, folder)
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"][:] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with (
        Scorer.load(folder, device="cpu,cpu", dtype="float32") as scorer,
        pytest.raises(ModelError, match="scores that are no numbers"),
    ):
        scores(scorer, batch(20))


def test_processes_end_with_their_scorer(tiny_model):
    scorer = Scorer.load(tiny_model, device="cpu,cpu", dtype="float32")
    processes = [member._process for member in scorer.backend._processes]
    scorer.close()
    assert all(process.poll() is not None for process in processes)


def test_a_table_is_scored_alike_by_one_process_and_by_two(cli, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(row_blocks, "MAX_ROWS_PER_BLOCK", 11)
    pq.write_table(pa.Table.from_batches([batch(200)]), tmp_path / "in.parquet", row_group_size=30)
    for name, device in (("one", "cpu"), ("two", "cpu,cpu")):
        result = cli(
            *("score", tmp_path / "in.parquet", tmp_path / f"{name}.parquet", "-m", tiny_model, "--dtype", "float32"),
            *("--device", device, "--quiet"),
        )
        assert result.exit_code == 0, result.output
    assert pq.read_table(tmp_path / "one.parquet").equals(pq.read_table(tmp_path / "two.parquet"))


def test_items_are_dealt_in_turn_whoever_asks_first():
    hands = multi_device._deal(iter(range(10)), 3)
    assert list(hands[2]) == [2, 5, 8]
    assert list(hands[0]) == [0, 3, 6, 9]
    assert list(hands[1]) == [1, 4, 7]


def test_items_are_dealt_to_threads_without_a_loss():
    hands = multi_device._deal(iter(range(10_000)), 4)
    got = [[] for _ in hands]
    threads = [threading.Thread(target=lambda n=n: got[n].extend(hands[n])) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert got == [list(range(n, 10_000, 4)) for n in range(4)]


def test_the_deterministic_bits_are_those_of_one_process(tiny_model, small_blocks):
    with (
        Scorer.load(tiny_model, device="cpu,cpu", deterministic=True) as two,
        Scorer.load(tiny_model, device="cpu", deterministic=True) as one,
    ):
        assert np.array_equal(scores(two, batch(40)), scores(one, batch(40)), equal_nan=True)
