"""`reuse` scores only the texts that an earlier output lacks, and writes what a full run writes."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from sentiment_batch.data import formats, readers, writers
from sentiment_batch.errors import InputError, OutputError, UsageError
from sentiment_batch.plugins.manager import Plugins
from sentiment_batch.records import WriteOptions
from sentiment_batch.scoring.backends.row_blocks import RowBlock
from sentiment_batch.scoring.output import manifest
from sentiment_batch.scoring.output.verify import verify_output
from tests.scoring.cut_off import CutOffError, cut_off_after
from tests.scoring.reuse.conftest import NEW, ROWS, read_bytes, write_table
from tests.scoring.simulated_kills import SimulatedKill, killed_at
from tests.thread_engine import Plugin, made

OUTPUTS = ("x.parquet", "x.csv", "x.tsv.gz", "x.jsonl", "x.arrow", "x/", "x.csv/")


def stored(tmp_path, out):
    """The content of the manifest of an output."""
    return json.loads((tmp_path / f"{out.rstrip('/')}.manifest.json").read_text())["content"]


@pytest.mark.parametrize("out", OUTPUTS)
def test_the_output_is_that_of_a_full_run_for_each_format(score, tmp_path, out):
    whole = score("new.parquet", f"whole-{out}")
    old = score("old.parquet", f"old-{out}")
    summary = score("new.parquet", f"new-{out}", reuse=f"old-{out}")
    assert read_bytes(tmp_path / f"new-{out}") == read_bytes(tmp_path / f"whole-{out}")
    assert (summary.rows, summary.null, summary.labels) == (whole.rows, whole.null, whole.labels)
    assert summary.rows_reused == ROWS - old.null
    assert 0 < summary.tokens < whole.tokens / 3
    assert verify_output(f"{tmp_path}/new-{out}").rows == ROWS + NEW
    assert stored(tmp_path, f"new-{out}")["counts"]["reused"] == summary.rows_reused


@pytest.mark.parametrize(
    "settings",
    [{"probabilities": True}, {"neutral_band": 0.7}, {"decimals": 2, "prefix": "mood"}, {"decimals": 0}],
    ids=str,
)
def test_other_added_columns_are_taken_over_alike(score, other_settings, tmp_path, settings):
    scorer = other_settings(**settings)
    score("new.parquet", "whole.csv", by=scorer)
    score("old.parquet", "old.csv", by=scorer)
    assert score("new.parquet", "new.csv", by=scorer, reuse="old.csv").rows_reused > ROWS / 2
    assert read_bytes(tmp_path / "new.csv") == read_bytes(tmp_path / "whole.csv")


def test_the_earlier_output_may_have_other_columns_and_a_format(score, tmp_path):
    score("new.parquet", "whole.csv")
    table = pq.read_table(tmp_path / "old.parquet").rename_columns(["number", "my words", "kind"])
    pq.write_table(table, tmp_path / "other.parquet")
    score("other.parquet", "old.jsonl.gz", text_columns=("my words",), keep=("my words",))
    assert score("new.parquet", "new.csv", reuse="old.jsonl.gz").rows_reused > ROWS / 2
    assert read_bytes(tmp_path / "new.csv") == read_bytes(tmp_path / "whole.csv")


def test_several_text_columns_count_as_the_model_reads_them(score, tmp_path):
    both = ("kind", "text")
    score("new.parquet", "whole.csv", text_columns=both)
    score("old.parquet", "old.csv", text_columns=both)
    score("old.parquet", "alone.csv")
    assert score("new.parquet", "new.csv", text_columns=both, reuse="old.csv").rows_reused == ROWS
    assert read_bytes(tmp_path / "new.csv") == read_bytes(tmp_path / "whole.csv")
    assert score("new.parquet", "newer.csv", text_columns=both, reuse="alone.csv").rows_reused == 0


def test_an_output_without_any_new_text_needs_no_tokens(score, tmp_path):
    score("old.parquet", "old.csv")
    again = score("old.parquet", "again.csv", reuse="old.csv")
    assert (again.tokens, again.rows_reused, again.repeated) == (0, ROWS - again.null, 0)
    assert read_bytes(tmp_path / "again.csv") == read_bytes(tmp_path / "old.csv")


def test_an_output_without_rows_can_be_reused(score, tmp_path):
    write_table(tmp_path / "none.parquet", 0)
    for out in ("old.jsonl", "old.csv", "old/"):
        score("none.parquet", out)
        assert score("old.parquet", f"new-{out}", reuse=out).rows_reused == 0


@pytest.mark.parametrize("out", ["same.parquet", "same.csv", "same/"])
def test_an_output_can_be_replaced_by_its_successor(score, tmp_path, out):
    score("new.parquet", f"whole-{out}")
    score("old.parquet", out)
    assert score("new.parquet", out, reuse=out, overwrite=True).rows_reused > ROWS / 2
    assert read_bytes(tmp_path / out) == read_bytes(tmp_path / f"whole-{out}")
    assert verify_output(f"{tmp_path}/{out}").rows == ROWS + NEW
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("out", ["same.csv", "same/"])
def test_a_run_in_place_killed_anywhere_loses_nothing(score, tmp_path, out, end_points):
    score("new.parquet", f"whole-{out}")
    score("old.parquet", out)
    start = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    old, new = read_bytes(tmp_path / out), read_bytes(tmp_path / f"whole-{out}")
    with killed_at(None) as counter:
        score("new.parquet", out, reuse=out, overwrite=True)
    for kill_at in end_points(counter.count, every=14):
        for path, data in start.items():
            path.write_bytes(data)
        for path in (tmp_path / out).iterdir() if out.endswith("/") else ():
            if path not in start:
                path.unlink()
        with pytest.raises(SimulatedKill), killed_at(kill_at):
            score("new.parquet", out, reuse=out, overwrite=True)
        found = read_bytes(tmp_path / out) if (tmp_path / out).exists() else None
        assert found in (old, new, None if out.endswith("/") else old)
        score("new.parquet", out, reuse=out, overwrite=True)
        assert read_bytes(tmp_path / out) == new
        assert verify_output(f"{tmp_path}/{out}").rows == ROWS + NEW


def test_a_finished_run_in_place_is_not_scored_again(score, tmp_path, monkeypatch):
    score("old.parquet", "same.csv")
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "_copy_beside_output", _die)
        with pytest.raises(CutOffError):
            score("new.parquet", "same.csv", reuse="same.csv", overwrite=True)
    again = score("new.parquet", "same.csv", reuse="same.csv", overwrite=True)
    assert again.rows_resumed == again.rows == ROWS + NEW
    assert again.rows_reused > ROWS / 2


def _die(*arguments, **options):
    raise CutOffError


@pytest.mark.parametrize("out", ["new.csv", "new/"])
def test_an_interrupted_run_is_resumed_with_its_earlier_output(score, tmp_path, out):
    whole = score("new.parquet", f"whole-{out}")
    score("old.parquet", "old.csv")
    with cut_off_after(2):
        score("new.parquet", out, reuse="old.csv")
    resumed = score("new.parquet", out, reuse="old.csv")
    assert resumed.rows_resumed == 40
    assert (resumed.rows, resumed.labels) == (whole.rows, whole.labels)
    assert read_bytes(tmp_path / out) == read_bytes(tmp_path / f"whole-{out}")


def test_an_interrupted_run_takes_no_other_earlier_output(score, tmp_path):
    score("old.parquet", "old.csv")
    with cut_off_after(2):
        score("new.parquet", "new.csv", reuse="old.csv")
    with pytest.raises(OutputError, match=r"`reuse` was .*old\.csv and is not given"):
        score("new.parquet", "new.csv")
    score("new.parquet", "old.csv", overwrite=True)
    with pytest.raises(OutputError, match=r"reused manifest was [0-9a-f]{64} and is [0-9a-f]{64}"):
        score("new.parquet", "new.csv", reuse="old.csv")
    assert score("new.parquet", "new.csv", reuse="old.csv", restart=True).rows == ROWS + NEW


def test_a_damaged_earlier_output_is_refused_and_nothing_is_left(score, tmp_path):
    score("old.parquet", "old.csv")
    data = bytearray(read_bytes(tmp_path / "old.csv"))
    data[-3] ^= 1
    (tmp_path / "old.csv").write_bytes(data)
    with pytest.raises(OutputError, match=r"old\.csv was changed: its SHA-256 is not the one of the manifest"):
        score("new.parquet", "new.csv", reuse="old.csv")
    (tmp_path / "old.csv.manifest.json").unlink()
    with pytest.raises(InputError, match=r"old\.csv\.manifest\.json .*Without a manifest nothing can be checked"):
        score("new.parquet", "new.csv", reuse="old.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.parquet", "old.csv", "old.parquet"]


def test_standard_output_takes_over_scores_too(score, tmp_path, capfdbinary):
    score("new.parquet", "whole.csv")
    score("old.parquet", "old.csv")
    assert score("new.parquet", "x", reuse="old.csv", destination="-", output_format="csv").rows_reused > ROWS / 2
    assert capfdbinary.readouterr().out == read_bytes(tmp_path / "whole.csv")


@pytest.mark.parametrize("out", ["new.csv", "new/"])
def test_workers_of_an_engine_get_new_texts_only(score, other_settings, tmp_path, monkeypatch, out):
    score("new.parquet", f"whole-{out}")
    score("old.parquet", "old.csv")
    both = Plugins((readers, writers, Plugin()), entry_points=lambda: [])
    monkeypatch.setattr(formats, "get_plugins", lambda: both)
    engine = other_settings(engine="threads")
    assert score("new.parquet", out, by=engine, reuse="old.csv").rows_reused > ROWS / 2
    assert read_bytes(tmp_path / out) == read_bytes(tmp_path / f"whole-{out}")
    assert 0 < sum(RowBlock.unpack_texts(task.texts).rows for task in made[-1].tasks) < ROWS / 3


def test_bad_rows_of_both_runs_are_listed(score, tmp_path):
    (tmp_path / "in.csv").write_bytes(b"id,text\n1,a film\n2,a bad\xff film\n3,another,7\n")
    old = score("in.csv", "old.csv", on_bad_row="mark")
    new = score("in.csv", "new.csv", on_bad_row="mark", reuse="old.csv")
    assert (new.bad_rows, new.labels, new.tokens) == (old.bad_rows, old.labels, 0)
    assert new.bad_rows == 2
    for ending in ("", ".problems.jsonl"):
        assert read_bytes(tmp_path / f"new.csv{ending}") == read_bytes(tmp_path / f"old.csv{ending}")


def test_texts_with_escaped_formulas_are_not_those_scored(score):
    score("old.parquet", "old.csv", write=WriteOptions(escape_formulas=True))
    with pytest.raises(UsageError, match=r"its texts were changed by `escape_formulas=True`"):
        score("new.parquet", "new.csv", reuse="old.csv")
