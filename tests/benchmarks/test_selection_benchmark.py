"""The benchmark of `select` runs with a tiny base; how much is gained, no test says."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from benchmarks import selection
from tests.conftest import BAD, GOOD, WORDS


def test_all_ways_begin_alike_and_add_the_same_number_of_labels(tmp_path, tiny_base, capsys):
    chance = np.random.default_rng(0)
    texts = [f"{n} {' '.join(chance.choice(WORDS, 4))} {(GOOD if n % 2 else BAD)[n % 8]}" for n in range(200)]
    (tmp_path / "airline_tweets").mkdir()
    labels = ["positive" if n % 2 else "negative" for n in range(200)]
    pd.DataFrame({"text": texts, "label": labels}).to_parquet(tmp_path / "airline_tweets" / "all.parquet")
    given = ["airline", "--data", tmp_path, "--base", tiny_base, "--folder", tmp_path / "vectors", "--seeds", 1, 2]
    given += ["--pool", 100, "--rows", 10, "--rounds", 2, "--max-length", 16, "--json", tmp_path / "found.json"]
    selection.main([str(one) for one in given])
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["results"]
    assert set(found) == {"random", "the most uncertain", "select"}
    for entries in found.values():
        assert [entry["labels"] for entry in entries] == [10, 20, 30]
        assert entries[0]["accuracy_gain"]["mean"] == 0
        assert all(0 <= entry["accuracy"] <= 1 for entry in entries)
    assert len(list((tmp_path / "vectors").iterdir())) == 2
    assert "means of 2 seeds" in capsys.readouterr().out
