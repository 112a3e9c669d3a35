"""On a CUDA device a run that was cut off ends with the bits of one that was not."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from sentiment_batch import Scorer
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.pipeline import score_table
from tests.scoring.cut_off import cut_off_after

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


@pytest.mark.parametrize("settings", [{}, {"dtype": "float32"}, {"deterministic": True}, {"compile": True}])
def test_scoring_goes_on_to_the_same_bytes(tiny_model, tmp_path, settings):
    texts = [f"the film {n} was {'great ' * (n % 40)}" for n in range(20_000)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "in.parquet")

    def run(name):
        job = ScoreJob(
            source=str(tmp_path / "in.parquet"), destination=str(tmp_path / name), quiet=True, part_rows=3_000
        )
        with Scorer.load(tiny_model, device="cuda", probabilities=True, decimals=7, **settings) as scorer:
            return score_table(job, lambda: scorer)

    run("whole.parquet")
    for parts in (1, 4):
        with cut_off_after(parts):
            run(f"out-{parts}.parquet")
        assert run(f"out-{parts}.parquet").rows_resumed == 3_000 * parts
        assert (tmp_path / f"out-{parts}.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_a_compiled_run_is_gone_on_with_compiled(tiny_model, tmp_path, monkeypatch):
    """The choice to compile goes by the length of the job; what is left of it must not choose otherwise."""
    from sentiment_batch.scoring.backends import local

    monkeypatch.setattr(local, "MIN_OPERATIONS_TO_COMPILE", 1.0)
    pq.write_table(pa.table({"text": [f"film {n} was great" for n in range(9_000)]}), tmp_path / "in.parquet")
    job = ScoreJob(
        source=str(tmp_path / "in.parquet"), destination=str(tmp_path / "out.csv"), quiet=True, part_rows=3_000
    )
    with Scorer.load(tiny_model, device="cuda") as scorer, cut_off_after(1):
        score_table(job, lambda: scorer)
    monkeypatch.setattr(local, "MIN_OPERATIONS_TO_COMPILE", 1e9)
    with Scorer.load(tiny_model, device="cuda") as scorer:
        score_table(job, lambda: scorer)
        assert scorer.counts.compiled == 6_000


def test_a_text_that_does_not_fit_into_memory_is_marked(tiny_model, tmp_path, monkeypatch):
    pq.write_table(pa.table({"text": ["good", "the slow film", "dull"]}), tmp_path / "in.parquet")
    destination = str(tmp_path / "out.parquet")
    job = ScoreJob(source=str(tmp_path / "in.parquet"), destination=destination, quiet=True, on_bad_row="mark")
    with Scorer.load(tiny_model, device="cuda") as scorer:
        strategy = scorer.backend.strategy

        class Full:
            def __getattr__(self, name):
                return getattr(strategy, name)

            def logits(self, tokens, rows):
                if (tokens.lengths[rows] == 5).any():
                    raise torch.OutOfMemoryError("too much")
                return strategy.logits(tokens, rows)

        scorer.backend.strategy = Full()
        assert score_table(job, lambda: scorer).bad_rows == 1
    labels = pq.read_table(destination)["sentiment"].to_pylist()
    assert [label is None for label in labels] == [False, True, False]


def test_training_goes_on_to_the_same_weights(cli, tmp_path, tiny_base, reviews_csv, monkeypatch):
    from sentiment_batch.training import loop
    from sentiment_batch.training.checkpoint import state

    def command(name, *more):
        options = [
            "--base",
            tiny_base,
            "-o",
            tmp_path / name,
            "--device",
            "cuda",
            "--epochs",
            2,
            "--folds",
            0,
            "--batch-size",
            4,
            "--quiet",
        ]
        return cli("train", reviews_csv, *options, *more)

    assert command("whole").exit_code == 0
    monkeypatch.setattr(state, "MIN_SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(state, "MAX_SAVING_SHARE", 1e9)
    real, calls = loop.take_step, []

    def move(*arguments):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "take_step", move)
        assert command("out").exit_code == 130
    assert command("out", "--resume").exit_code == 0
    digests = [hashlib.sha256((tmp_path / name / "model.safetensors").read_bytes()) for name in ("whole", "out")]
    assert digests[0].digest() == digests[1].digest()
