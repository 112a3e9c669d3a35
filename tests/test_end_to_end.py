"""Training and scoring with the offline encoder on the sample data, as `make demo` goes it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

SAMPLES = Path(__file__).parents[1] / "sample_data"


@pytest.mark.slow
def test_the_sample_data_train_a_model_that_is_right_and_scores(cli, tmp_path, offline_base):
    model = tmp_path / "sentiment-model"
    quick = "--folds 0 --epochs 2 --max-length 64 --learning-rate 2e-4 --limit 500 --batch-size 16 --weight-average 0"
    files = (SAMPLES / "reviews.csv", "--base", offline_base, "-o", model)
    trained = cli("train", *files, *quick.split(), "--no-report", "--quiet", "--json")
    assert trained.exit_code == 0, trained.output
    measured = cli("evaluate", SAMPLES / "holdout.csv", "-m", model, "--json", "--quiet")
    assert measured.exit_code == 0, measured.output
    assert json.loads(measured.stdout)["accuracy"] >= 0.82

    scored = cli("score", SAMPLES / "unlabelled.parquet", tmp_path / "scored.parquet", "-m", model, "--json", "--quiet")
    assert scored.exit_code == 0, scored.output
    summary = json.loads(scored.stdout)
    assert (summary["rows"], summary["null"]) == (200, 2)
    assert summary["cut"] > 0
    before, after = pq.read_table(SAMPLES / "unlabelled.parquet"), pq.read_table(tmp_path / "scored.parquet")
    assert after.select(before.schema.names).equals(before, check_metadata=False)
    assert after.schema.metadata == before.schema.metadata
    assert after["sentiment"].null_count == 2
