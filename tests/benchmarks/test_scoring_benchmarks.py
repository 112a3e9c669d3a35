"""The benchmarks run with a tiny model; how fast anything is, no test says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import (
    ablation,
    common,
    gpu,
    memory,
    models,
    peers,
    python_calls,
    score,
    techniques,
    tokenizing,
    variants,
)
from sentiment_batch.tokenization import odd_texts


@pytest.fixture
def figures(tmp_path, tiny_model, reviews_csv, capsys):
    """Runs one benchmark with the tiny model on 30 reviews; gives its JSON and what it printed."""

    def run(benchmark, *arguments):
        path = tmp_path / "figures.json"
        given = ["--model", tiny_model, "--table", reviews_csv, "--device", "cpu", "--json", path, *arguments]
        benchmark.main([str(argument) for argument in given])
        return json.loads(path.read_text(encoding="utf-8")), capsys.readouterr().out

    return run


def test_peers_are_compared_on_the_same_rows_and_labels(figures):
    found, printed = figures(score, "--quick", "--rows", "30", "--peers", "pipeline,loop", "--batch-sizes", "2", "8")
    results = found["results"]
    ours = [name for name in results if name.startswith("sentiment-batch, ")]
    assert list(results)[: len(ours)] == ours  # the ratio is to the first
    assert results[ours[0]]["ratio"] == {"median": 1.0, "least": 1.0, "greatest": 1.0}
    for name in ("pipeline as people call it, float32", "padded loop, float32"):
        assert results[name]["ratio"]["median"] > 0
        assert results[name]["setting"].endswith(("batches of 2", "batches of 8"))
        assert results[name]["largest_difference"] < 1e-5
    assert {one["rows"] for one in results.values()} == {30}
    assert {one["labels_outside_tolerance"] for one in results.values()} == {0}
    assert all(name in printed for name in results)


def test_the_record_says_where_and_with_what(figures):
    found, _ = figures(score, "--quick", "--rows", "30", "--peers", "loop")
    assert found["data"]["rows"] == 30
    assert found["data"]["tokens"] == found["data"]["tokens_of_peers"] > 30
    assert {"torch", "transformers", "tokenizers", "sentiment-batch"} <= found["versions"].keys()
    assert found["machine"]["processor"]
    assert found["machine"]["cores"] >= 1
    assert found["settings"]["runs"] == 1
    assert found["search"]["padded loop, float32"]


def test_a_peer_not_installed_is_left_out_with_the_reason(figures, monkeypatch):
    absent = peers.Kind(name="absent", load=peers.padded_loop, dtypes=("float32",), needs=("no_such_package",))
    monkeypatch.setitem(peers.PEERS, "loop", (absent,))
    found, printed = figures(score, "--quick", "--rows", "8", "--peers", "loop")
    assert found["left_out"] == {"absent, float32": "not installed: no_such_package"}
    assert "left out: absent, float32 (not installed: no_such_package)" in printed


def test_a_peer_that_fails_is_left_out_with_the_reason(figures, monkeypatch):
    def fails(place, dtype):
        raise RuntimeError("no kernel\nfor this")

    monkeypatch.setitem(peers.PEERS, "loop", (peers.Kind(name="broken", load=fails, dtypes=("float32",)),))
    found, _ = figures(score, "--quick", "--rows", "8", "--peers", "loop")
    assert found["left_out"] == {"broken, float32": "RuntimeError: no kernel"}


def test_an_unknown_peer_is_named(capsys):
    with pytest.raises(SystemExit):
        score.main(["--peers", "loop,nobody"])
    assert "no nobody; there are pipeline, crossencoder" in capsys.readouterr().err


def test_memory_is_measured_in_a_process_for_each_size(figures):
    found, printed = figures(memory, "--sizes", "20", "70", "--row-group", "16", "--max-length", "16")
    first, second = found["results"]
    assert (first["rows"], second["rows"]) == (20, 70)
    assert first["repeated"] == second["repeated"] == 0  # 30 texts, again and again, each time another
    assert first["ratio"] is None
    assert second["ratio"] == second["peak_bytes"] / first["peak_bytes"]
    assert first["peak_bytes"] > 50 * memory.MIB  # torch is loaded
    assert "peak MiB" in printed


def test_texts_are_different_ones_in_the_same_order_each_time(reviews_csv):
    texts = common.choose_texts(str(reviews_csv), None, 30)
    assert texts.column == "review"
    assert len(set(texts.texts)) == 30
    assert common.choose_texts(str(reviews_csv), "review", 10).texts == texts.texts[:10]
    assert common.choose_texts(str(reviews_csv), None, None).texts[:30] == texts.texts


def test_all_take_turns():
    seen = []
    seconds = common.in_turn({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, 3)
    assert "".join(seen) == "ababab"
    assert [len(one) for one in seconds.values()] == [3, 3]


def test_a_head_is_fitted_to_a_random_encoder(tmp_path, monkeypatch, reviews_csv, tiny_base):
    monkeypatch.setattr("sentiment_batch.model.hub.find_minilm", lambda: tiny_base)
    monkeypatch.setattr(models, "FOLDER", tmp_path)
    folder = models._fitted(48, str(reviews_csv), 5.0, "cpu")
    assert json.loads((tmp_path / "benchmark-48-reviews" / "config.json").read_text())["dim"] == 48

    from sentiment_batch import Scorer

    texts = common.choose_texts(str(reviews_csv), None, None).texts
    good = [any(word in text for word in ("loved", "great", "wonderful", "superb", "best", "fine")) for text in texts]
    with Scorer.load(folder, device="cpu", dtype="float32") as scorer:
        found = scorer(__import__("pandas").DataFrame({"text": texts}))["sentiment"] == "positive"
    assert (found == good).mean() > 0.6


def test_each_technique_has_a_prediction_gain_and_same_scores(figures):
    found, printed = figures(ablation, "--quick", "--dtype", "float32")
    names = [one["technique"] for one in found["results"]]
    assert len(names) >= 13
    assert {"batches by length", "short last layer", "one core for each batch", "different texts once"} <= set(names)
    for one in found["results"]:
        assert one["predicted"] > 0
        assert one["gain"]["least"] > 0
        assert one["largest_difference"] < 1e-5, one
        assert one["technique"] in printed
    assert found["numbers"]["layers"] == 2
    assert found["data"]["rows"] == 24


def test_a_technique_that_changes_scores_is_named_at_the_end(figures, monkeypatch, tmp_path):
    def jumbled(self, query, key, value, length, mixed):
        mixed.fill_(1.0)

    monkeypatch.setattr(variants.Softmax, "_mix", jumbled)
    monkeypatch.setattr(variants.Fused, "_mix", lambda *given: 1 / 0)
    with pytest.raises(SystemExit, match=r"another by .*division by zero"):
        figures(ablation, "--quick", "--dtype", "float32")
    assert len(json.loads((tmp_path / "figures.json").read_text())["results"]) >= 13


def test_what_a_variant_swaps_is_as_before_when_it_fails():
    before = techniques.attention_module.MAX_CACHED_SCORES
    seen = []

    def fail():
        with variants.swapped((techniques.attention_module, "MAX_CACHED_SCORES", 1)):
            seen.append(techniques.attention_module.MAX_CACHED_SCORES)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen == [1]
    assert before == techniques.attention_module.MAX_CACHED_SCORES


@pytest.mark.parametrize(
    ("work", "status"),
    [("pass", 0), ("sys.exit(3)", 3), ("sys.exit('no')", 1), ("1 / 0", 1), ("os.abort()", -6), ("time.sleep(9)", 124)],
)
def test_a_step_ends_with_its_exit_code_whatever_it_does(tmp_path, work, status):
    # In a process of its own: to fork the one that runs the tests would copy its threads' locks.
    program = (
        "import os, sys, time; from pathlib import Path; from benchmarks import forked\n"
        f"def work():\n    {work}\n"
        "step = forked.Step(name='one', limit=0.5, run=work)\n"
        "print(*(status for _, status, _ in forked.outcomes([step], Path(sys.argv[1]), time.monotonic() + 9)))"
    )
    run = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    assert int(run.stdout) == status
    assert ("ZeroDivisionError" in (tmp_path / "one.log").read_text()) == ("/" in work)


def test_steps_that_measure_no_seconds_run_side_by_side(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from benchmarks import forked\n"
        "def work(name, seconds):\n"
        "    begun = time.monotonic(); time.sleep(seconds); print(begun, time.monotonic())\n"
        "def step(name, seconds, alone, limit=9):\n"
        "    return forked.Step(name=name, limit=limit, run=lambda: work(name, seconds), alone=alone)\n"
        "steps = [step('a', 0.2, True), step('b', 1.0, False), step('c', 0.5, False), step('d', 9, False, 0.3)]\n"
        "for name, status, _ in forked.outcomes(steps, Path(sys.argv[1]), time.monotonic() + 30): print(name, status)"
    )
    run = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["a", "0", "d", "124", "c", "0", "b", "0"]
    a, b, c = ([float(one) for one in (tmp_path / f"{name}.log").read_text().split()] for name in "abc")
    assert a[1] <= min(b[0], c[0])
    assert max(b[0], c[0]) < min(b[1], c[1])


@pytest.fixture
def gpu_steps(tmp_path, tiny_base, reviews_csv):
    """Runs steps of gpu.sh on the CPU with the tiny model; gives the folder of their results."""

    def run(*only):
        environment = os.environ | {
            "PYTHON": sys.executable,
            "SENTIMENT_BATCH_BASE": str(tiny_base),
            "SENTIMENT_BATCH_IMDB": str(reviews_csv),
        }
        folder = tmp_path / "results"
        chosen = [word for name in only for word in ("--only", name)]
        command = ["bash", Path(gpu.__file__).with_suffix(".sh"), folder, "--smoke", *chosen]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        logs = (path.read_text()[-2_000:] for path in folder.glob("*.log"))
        assert done.returncode == 0, "\n".join([done.stdout, done.stderr, *logs])
        return folder

    return run


def test_single_steps_of_the_gpu_script_can_be_chosen(gpu_steps):
    chosen = ["machine", "models", "score-short-distilbert", "data", "train-speed"]
    folder = gpu_steps(*chosen)
    steps, table = (folder / "summary.txt").read_text().split("\n\n")
    assert [line.split()[0] for line in steps.splitlines()] == ["step", *chosen, "all"]
    assert [line.split()[0] for line in table.splitlines()[1:]] == ["score-short-distilbert", "train-speed,"]
    assert all(json.loads((folder / f"{name}.json").read_text()) for name in chosen)
    (run,) = json.loads((folder / "score-short-distilbert.json").read_text())["runs"]
    assert list(run["stages"]) == ["read", "tokenize", "launch", "wait for the device", "write"]
    assert 0 < sum(run["stages"].values()) <= 3 * run["seconds"]


def test_a_step_that_does_not_exist_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu.signal, "signal", lambda *given: None)
    monkeypatch.setattr(models, "FOLDER", tmp_path)
    with pytest.raises(SystemExit, match="2"):
        gpu.main([str(tmp_path), "--smoke", "--only", "machine", "--only", "train-all"])
    assert "no such step: train-all" in capsys.readouterr().err
    assert not (tmp_path / "machine.json").exists()


@pytest.mark.stress
@pytest.mark.slow
def test_one_command_runs_everything_that_wants_a_gpu(gpu_steps, tmp_path):
    folder = gpu_steps()
    summary = (folder / "summary.txt").read_text().split("\n\n")[0].splitlines()
    assert summary[-1] == "all passed"
    names = [line.split()[0] for line in summary[1:-1]]
    parts = ["tests", "scoring", "training"]
    assert sorted(names) == sorted(step.name for step in gpu.list_steps(folder, tmp_path, parts, smoke=True))
    for name in names:
        assert (folder / f"{name}.log").exists()
        assert (
            (folder / f"{name}.xml").exists() if "tests" in name else json.loads((folder / f"{name}.json").read_text())
        )


def test_the_script_says_how_to_call_it():
    script = Path(gpu.__file__).with_suffix(".sh")
    for wrong in ([], ["--smoke"], ["a", "b"], ["a", "--part"], ["a", "--part", "all"], ["a", "--smoke", "b"]):
        run = subprocess.run(["bash", script, *wrong], capture_output=True, text=True)
        assert run.returncode == 2
        assert "usage: bash benchmarks/gpu.sh FOLDER" in run.stderr


def test_each_part_of_the_steps_can_be_run_by_itself(tmp_path):
    by_part = {
        part: [step.name for step in gpu.list_steps(tmp_path, tmp_path, [part], smoke=False)]
        for part in gpu.PART_SECONDS
    }
    assert by_part["tests"] == ["machine", "tests-first", "tests-rest"]
    assert by_part["scoring"][:4] == ["machine", "models", "score-imdb-distilbert", "score-short-distilbert"]
    assert by_part["training"] == ["machine", "train-epoch", "train-speed", "train-imdb"]  # of the real data
    together = [step.name for step in gpu.list_steps(tmp_path, tmp_path, ["tests", "scoring"], smoke=False)]
    assert together == [*by_part["tests"], *by_part["scoring"][1:]]


def test_the_parts_of_the_gpu_script_fit_a_quarter_of_an_hour():
    script = Path(gpu.__file__).with_suffix(".sh").read_text()
    for part, seconds in gpu.PART_SECONDS.items():
        assert f'"--part {part}") seconds={seconds} ' in script
    three = sum(gpu.PART_SECONDS[part] for part in ("tests", "scoring", "training"))
    assert f"\nseconds={three} " in script
    assert three <= 15 * 60


def test_an_engine_is_compared_with_this_machine(tmp_path, tiny_model, reviews_csv, capsys, monkeypatch):
    from benchmarks import engines
    from sentiment_batch.data import formats, readers, writers
    from sentiment_batch.plugins.manager import Plugins
    from tests.thread_engine import Plugin

    both = Plugins((readers, writers, Plugin()), entry_points=lambda: [])
    monkeypatch.setattr(formats, "get_plugins", lambda: both)
    path = tmp_path / "figures.json"
    options = ["--engine", "threads", "--engine-option", "workers=2", "--runs", "2", "--part-rows", "10"]
    engines.main(["--model", str(tiny_model), "--table", str(reviews_csv), "--json", str(path), *options])
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["same_bytes"] is True
    assert found["data"]["rows"] == 60
    assert found["ratio"]["least"] > 0
    assert "the outputs are the same bytes" in capsys.readouterr().out


def test_tokens_of_both_libraries_are_compared(tmp_path, tiny_model, reviews_csv, capsys, monkeypatch):
    pytest.importorskip("nanotoken")
    monkeypatch.setattr(odd_texts, "NUM_CODE_POINTS", 0x400)
    for variable in ("TOKENIZERS_PARALLELISM", "SENTIMENT_BATCH_TOKENIZER"):  # the benchmark sets them
        monkeypatch.setenv(variable, "")
    path = tmp_path / "figures.json"
    given = ["--model", tiny_model, "--table", reviews_csv, "--rows", "30", "--odd", "20", "--step", "500"]
    tokenizing.main([str(argument) for argument in (*given, "--runs", "1", "--json", path)])
    found = json.loads(path.read_text(encoding="utf-8"))
    [table] = found["tables"].values()
    assert table["data"]["rows"] == table["compared"]["texts"] == 30
    assert {one["differing"] for one in (table["compared"], *found["made"].values())} == {0}
    assert "0 of 30 texts differ" in capsys.readouterr().out


def test_calls_from_python_are_compared_with_the_commands(tmp_path, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(python_calls, "_run", lambda given, folder: ran.append(given))
    path = tmp_path / "figures.json"
    python_calls.main(["--model", "my-model", "--runs", "2", "--busy", "0", "--json", str(path)])
    jobs = json.loads(path.read_text(encoding="utf-8"))["jobs"]
    names = ["command", "Python, package first", "Python, torch first"]
    assert {job: list(rows) for job, rows in jobs.items()} == {"train": names, "score": names}
    assert jobs["train"]["command"]["ratio"] == {"median": 1.0, "least": 1.0, "greatest": 1.0}
    assert capsys.readouterr().out.count(" s (") == 6
    assert [given[0] for given in ran] == ["-m", "-c", "-c"] * 4
    for given in ran:
        assert given[0] == "-m" or compile(given[1], "call", "exec")
