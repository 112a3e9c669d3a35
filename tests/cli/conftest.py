"""A trained tiny model and a table that it scored, for the tests of several commands."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.csv
import pytest

from tests.conftest import BAD, GOOD, WORDS


def reviews(count):
    """Labelled reviews, each with a product and a date."""
    rows = [(n, *((GOOD, "positive") if n % 2 else (BAD, "negative"))) for n in range(count)]
    return pa.table(
        {
            "review": [f"the {WORDS[n % 40]} film was {words[n % 8]} and {words[n * 3 % 7]}" for n, words, _ in rows],
            "label": [label for _, _, label in rows],
            "product": [f"product {n % 3}" for n, _, _ in rows],
            "date": [f"2026-0{n % 4 + 1}-15" for n, _, _ in rows],
        }
    )


@pytest.fixture(scope="session")
def scored(tmp_path_factory, tiny_base):
    """A folder with a trained model, and a table that it scored, with its manifest."""
    from sentiment_batch.scoring.pipeline import ScoreJob, score_table
    from sentiment_batch.settings import ScoreSettings, TrainSettings
    from sentiment_batch.training.job import TrainJob
    from sentiment_batch.training.run import run_training

    folder = tmp_path_factory.mktemp("summary")
    settings = TrainSettings(
        base=str(tiny_base), epochs=1, folds=0, val_size=0.3, max_length=32, device="cpu", batch_size=16
    )
    run_training(TrainJob(reviews=[reviews(200)], output=folder / "model", settings=settings, quiet=True, report=False))
    pyarrow.csv.write_csv(reviews(120), folder / "in.csv")
    job = ScoreJob(
        source=str(folder / "in.csv"),
        destination=str(folder / "out.csv"),
        model=str(folder / "model"),
        settings=ScoreSettings(device="cpu", dtype="float32"),
        quiet=True,
    )
    score_table(job)
    return folder
