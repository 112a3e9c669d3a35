"""An earlier output of another model or of other settings is refused, and the message names what differs."""

from __future__ import annotations

import json
import logging
from importlib.metadata import version

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.errors import InputError, OutputError, UsageError
from sentiment_batch.files.checksums import checked_json
from sentiment_batch.scoring.output import manifest
from sentiment_batch.scoring.reuse.previous import FLOAT32_TOLERANCE, REDUCED_TOLERANCE, find_previous
from tests.rare_models import write_rare_model
from tests.scoring.reuse.conftest import ROWS, read_bytes


def change_manifest(path, **changes):
    """Write a manifest with other values, as a run of another machine or version would."""
    content = json.loads(path.read_text())["content"]
    settings = content["settings"] | changes.pop("settings", {})
    path.write_bytes(checked_json(content | changes | {"settings": settings}))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_length": 16}, "`max_length` was 64 and is 16"),
        ({"long_text": "tail"}, "`long_text` was head and is tail"),
        ({"decimals": 3}, "`decimals` was 4 and is 3"),
        ({"neutral_band": 0.8}, "`neutral_band` was not given and is 0.8"),
        ({"prefix": "mood"}, "output columns were sentiment: .* and are mood: "),
        ({"probabilities": True}, "output columns were "),
        ({"deterministic": True, "labels": None}, None),
    ],
    ids=str,
)
def test_other_settings_are_refused_by_their_names(score, other_settings, tmp_path, settings, words):
    score("old.parquet", "old.csv")
    scorer = other_settings(**settings)
    if words is None:
        assert find_previous(f"{tmp_path}/old.csv", scorer).differences == ()
        return
    with pytest.raises(UsageError, match=f"`reuse` names .*old.csv, which was scored in another way: .*{words}"):
        score("new.parquet", "new.csv", by=scorer, reuse="old.csv")
    assert not (tmp_path / "new.csv").exists()


def test_another_model_or_other_labels_are_refused(score, other_settings, make_model):
    score("old.parquet", "old.csv")
    with pytest.raises(UsageError, match=r"model was [0-9a-f]{64} and is [0-9a-f]{64}"):
        score("new.parquet", "a.csv", by=other_settings(make_model("negative", "positive", seed=8)), reuse="old.csv")
    with pytest.raises(UsageError, match="labels were negative, positive and are bad, good"):
        score("new.parquet", "b.csv", by=other_settings(make_model("bad", "good")), reuse="old.csv")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dtype": "bfloat16"}, "dtype was bfloat16 and is float32"),
        ({"device": "Acorn CPU, NEON"}, "device was Acorn CPU, NEON and is "),
        ({"torch": "1.0"}, "torch was 1.0 and is "),
        ({"settings": {"deterministic": False}}, "`deterministic=True` was not given and is given"),
    ],
    ids=str,
)
def test_a_deterministic_run_refuses_what_changes_last_digits(score, scorer, tmp_path, caplog, change, words):
    score("old.parquet", "old.csv")
    change_manifest(tmp_path / "old.csv.manifest.json", **change)
    with pytest.raises(UsageError, match=words):
        score("new.parquet", "new.csv", reuse="old.csv")
    with caplog.at_level(logging.WARNING):
        assert score("new.parquet", "new.csv", by=scorer, reuse="old.csv").rows_reused > ROWS / 2
    said = next(line for line in caplog.messages if "slightly different way" in line)
    kept = json.loads((tmp_path / "new.csv.manifest.json").read_text())["content"]
    assert kept["reuse_differences"]
    assert all(one in said for one in kept["reuse_differences"])
    assert f"up to {kept['reuse_tolerance']:g} from new ones" in said
    assert (kept["reuse_tolerance"] == FLOAT32_TOLERANCE) == ("dtype" not in change)


def test_another_transformers_counts_for_padded_batches(score, other_settings, tmp_path):
    scorer = other_settings(write_rare_model("mpnet", tmp_path / "model", limit=64), deterministic=False)
    score("old.parquet", "old.csv", by=scorer)
    manifest_path = tmp_path / "old.csv.manifest.json"
    for stored, expected in (("1.0", [f"transformers was 1.0 and is {version('transformers')}"]), (None, [])):
        change_manifest(manifest_path, transformers=stored)
        assert list(find_previous(f"{tmp_path}/old.csv", scorer).differences) == expected


def test_equal_runs_have_no_differences(score, scorer, tmp_path):
    score("old.parquet", "old.csv", by=scorer)
    score("new.parquet", "new.csv", by=scorer, reuse="old.csv")
    kept = json.loads((tmp_path / "new.csv.manifest.json").read_text())["content"]
    assert (kept["reuse_differences"], kept["reuse_tolerance"]) == ([], None)
    assert kept["settings"]["reuse"] == f"{tmp_path}/old.csv"
    assert kept["reused_manifest"] == manifest.read_size_and_sha256(f"{tmp_path}/old.csv.manifest.json")[1]


def test_differences_of_earlier_runs_are_handed_on(score, scorer, tmp_path):
    score("old.parquet", "old.csv")
    change_manifest(tmp_path / "old.csv.manifest.json", dtype="bfloat16")
    score("new.parquet", "new.csv", by=scorer, reuse="old.csv")
    score("new.parquet", "newest.csv", by=scorer, reuse="new.csv")
    first, second = (json.loads((tmp_path / f"{name}.csv.manifest.json").read_text()) for name in ("new", "newest"))
    for key in ("reuse_differences", "reuse_tolerance"):
        assert first["content"][key] == second["content"][key]
    assert "dtype was bfloat16 and is float32" in second["content"]["reuse_differences"]


@pytest.mark.parametrize("dtype", [[], {}, None, ["float32"]])
def test_a_dtype_that_no_run_stores_is_a_difference(score, scorer, tmp_path, dtype):
    score("old.parquet", "old.csv", by=scorer)
    change_manifest(tmp_path / "old.csv.manifest.json", dtype=dtype)
    found = find_previous(f"{tmp_path}/old.csv", scorer)
    assert found.tolerance == REDUCED_TOLERANCE
    assert any(one.startswith("dtype was ") for one in found.differences)


def test_a_manifest_that_names_no_columns_is_refused(score, tmp_path):
    score("old.parquet", "old.csv")
    change_manifest(tmp_path / "old.csv.manifest.json", output_columns=None)
    with pytest.raises(UsageError, match="output columns were not given and are sentiment"):
        score("new.parquet", "new.csv", reuse="old.csv")


def test_a_name_that_no_file_can_have_is_no_bug(exact):
    with pytest.raises(OutputError, match="because it holds a NUL"):
        find_previous("old\0.csv", exact)


def test_a_manifest_without_a_text_column_is_refused(score, tmp_path):
    score("old.parquet", "old.csv")
    change_manifest(tmp_path / "old.csv.manifest.json", settings={"text_column": []})
    with pytest.raises(UsageError, match="its manifest names no column of the text"):
        score("new.parquet", "new.csv", reuse="old.csv")


def test_an_output_without_its_text_cannot_be_reused(score):
    score("old.parquet", "old.csv", keep=("id",))
    with pytest.raises(UsageError, match="does not hold its column of the text 'text'"):
        score("new.parquet", "new.csv", reuse="old.csv")


def test_a_place_without_a_manifest_is_refused_by_its_name(score, exact):
    with pytest.raises(InputError, match=r"new\.parquet\.manifest\.json"):
        score("new.parquet", "new.csv", reuse="new.parquet")
    with pytest.raises(InputError, match=r"missing\.csv\.manifest\.json"):
        score("new.parquet", "new.csv", reuse="missing.csv")
    with pytest.raises(InputError, match="has no manifest, because only files and folders have one"):
        find_previous("sqlite:///shop.db?table=scored", exact)


def forge(folder, table):
    """Put another table in the place of an output, with a manifest that fits it."""
    pq.write_table(table, folder / "scored.parquet")
    size, digest = manifest.read_size_and_sha256(f"{folder}/scored.parquet")
    files = [{"name": "scored.parquet", "rows": ROWS, "bytes": size, "sha256": digest}]
    change_manifest(folder / "scored.parquet.manifest.json", files=files)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.set_column(1, "text", pa.array([["a"]] * ROWS)),
        lambda table: table.set_column(1, "text", pa.array([{"a": "b"}] * ROWS)),
        lambda table: table.set_column(0, "text", pa.array(["a"] * ROWS)),
    ],
    ids=["lists", "objects", "twice"],
)
def test_an_output_with_no_single_text_is_refused(score, tmp_path, change):
    score("old.parquet", "scored.parquet")
    forge(tmp_path, change(pq.read_table(tmp_path / "scored.parquet")))
    with pytest.raises(InputError, match=r"scored\.parquet holds no text, or several columns, under the name 'text'"):
        score("new.parquet", "new.csv", reuse="scored.parquet")


def test_values_that_no_run_writes_are_scored_anew(score, tmp_path):
    score("new.parquet", "whole.csv")
    score("old.parquet", "scored.parquet")
    table = pq.read_table(tmp_path / "scored.parquet")
    scores = pa.array([float("nan"), 7.0, *table["sentiment_score"].to_pylist()[2:]], pa.float32())
    forge(tmp_path, table.set_column(4, "sentiment_score", scores))
    score("new.parquet", "new.csv", reuse="scored.parquet")
    assert read_bytes(tmp_path / "new.csv") == read_bytes(tmp_path / "whole.csv")
