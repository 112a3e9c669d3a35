"""The steps of gpu.sh, each with a time limit, in processes forked from one that has imported what they need.

So the imports happen once, not ten times. Steps that measure speed run alone. Tests and steps that measure accuracy run
side by side. Each step writes NAME.log and, except for the tests, NAME.json.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import accuracy, common, forked, memory, models, rows, score, train
from benchmarks.sizes import FULL, SMOKE, Sizes

NEEDED = (
    "pytest",
    "click",
    "pyarrow.parquet",
    "torch",
    "sklearn.linear_model",
    "transformers",
    "transformers.pipelines",
    "transformers.models.auto.modeling_auto",
    "transformers.models.distilbert.modeling_distilbert",
    "sentiment_batch.cli",
    "sentiment_batch.scoring.bench.measure",
    "sentiment_batch.scoring.pipeline",
    "sentiment_batch.training.run",
    "benchmarks.ablation",
    "benchmarks.stopwatch",
)
"""Imported before the steps are forked; none of it may touch the device, which a forked process could not use then.
Trainer is none of it: what it brings asks for devices."""
PARTS = ("scoring", "training")
SHORT = 30
"""Tokens of a short text."""
DATA = {"imdb": ("train", "test"), "sst2_glue": ("train", "dev")}
"""Folders and tables that are trained and measured on."""


def main(argv: list[str] | None = None) -> None:
    """Run all steps and report how each ended.

    Raises:
        SystemExit: with 1, if a step failed.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="See benchmarks/gpu.sh.")
    parser.add_argument("folder", type=Path, help="for logs and figures")
    parser.add_argument("--smoke", action="store_true", help="a tiny model and few rows on the CPU")
    parser.add_argument("--part", choices=PARTS, help="default: both")
    parser.add_argument("--only", action="append", metavar="STEP", help="of the steps; may be given more than once")
    parser.add_argument("--seconds", type=float, default=520.0, help="for everything (default: %(default)s)")
    arguments = parser.parse_args(argv)
    until = time.monotonic() + arguments.seconds
    arguments.folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        if os.environ.get("SENTIMENT_BATCH_BASE"):
            _take_base(Path(os.environ["SENTIMENT_BATCH_BASE"]))
        if arguments.smoke:
            models.FOLDER = Path(scratch) / "models"
        _import()
        chosen = steps(arguments.folder, Path(scratch), smoke=arguments.smoke, part=arguments.part)
        if unknown := set(arguments.only or ()) - {step.name for step in chosen}:
            parser.error(f"no such step: {', '.join(sorted(unknown))}")
        chosen = [step for step in chosen if not arguments.only or step.name in arguments.only]
        failed = 0
        for name, status, seconds in forked.outcomes(chosen, arguments.folder, until):
            failed += status != 0
            lines.append(f"{name:20} {status:4} {seconds:8.1f}{forked.remark(status)}")
            print(lines[-1], flush=True)
            outcome = f"{failed} of {len(lines)} failed" if failed else "all passed so far"
            _summarise(arguments.folder, lines, outcome)  # each time, so that an interruption loses no figures
    outcome = f"{failed} of {len(lines)} steps failed" if failed else "all passed"
    _summarise(arguments.folder, lines, outcome)
    print(outcome)
    sys.exit(1 if failed else 0)


def steps(folder: Path, scratch: Path, *, smoke: bool, part: str | None = None) -> list[forked.Step]:
    """The steps in their order. The most important come first, because the time may run out."""
    size = SMOKE if smoke else FULL
    machine = forked.Step(name="machine", limit=30, run=functools.partial(_machine, folder / "machine.json"))
    run_tests = functools.partial(_tests, folder / "tests.xml", smoke=smoke)
    tests = forked.Step(name="tests", limit=200, run=run_tests, alone=False)
    scoring = _scoring_steps(size, folder, scratch, smoke=smoke) if part != "training" else []
    training = _training_steps(size, folder, scratch, smoke=smoke) if part != "scoring" else []
    return [machine, *scoring, *training, tests]


def _benchmark(
    size: Sizes, folder: Path, name: str, limit: float, module: Any, *given: object, alone: bool = True
) -> forked.Step:
    argv = [*map(str, given), "--device", size.device, "--json", str(folder / f"{name}.json")]
    return forked.Step(name=name, limit=limit, run=functools.partial(module.main, argv), alone=alone)


def _table() -> str:
    return os.environ.get("SENTIMENT_BATCH_IMDB") or models.SAMPLE


def _scoring_steps(size: Sizes, folder: Path, scratch: Path, *, smoke: bool) -> list[forked.Step]:
    """The first step makes the model, and the others take it from its folder."""
    table = _table()
    model = str(models.FOLDER / f"benchmark-{size.width}-{Path(table).stem}")
    with_model = ["--model", model, "--device", size.device]

    def benchmark(name: str, limit: float, module: Any, *given: object) -> forked.Step:
        return _benchmark(size, folder, name, limit, module, "--table", table, *given)

    def command(name: str, limit: float, *given: object) -> forked.Step:
        argv = [*map(str, given), *with_model, "--json"]
        return forked.Step(name=name, limit=limit, run=functools.partial(_command, argv), prints_json=True)

    peers = ["--peers", "pipeline", "--runs", size.runs, "--search-rows", size.search_rows]
    peers += ["--batch-sizes", *size.batch_sizes, "--model", model]
    bench = ["--seconds", size.bench_seconds]
    compiled = [] if smoke else ["--compile"]  # there is none on a CPU
    uncompiled = ["--no-compile"]
    ablation = functools.partial(importlib.import_module, "benchmarks.ablation")
    return [
        forked.Step(name="model", limit=100, run=functools.partial(_model, size, table, folder / "model.json")),
        benchmark("score-long", 110, score, "--rows", size.long_rows, *peers),
        benchmark("score-short", 80, score, "--rows", size.short_rows, "--max-length", SHORT, *peers),
        command("bench-long", 50, "bench", table, *bench, *uncompiled),
        command("bench-long-compiled", 70, "bench", table, *bench, *compiled),
        command("bench-short", 50, "bench", "--tokens", SHORT, *bench, *uncompiled),
        command("bench-short-compiled", 70, "bench", "--tokens", SHORT, *bench, *compiled),
        command("score-file", 60, "score", table, scratch / "scored.parquet", *(["--limit", 50] if smoke else [])),
        benchmark("ablation", 130, ablation(), "--rows", size.ablation_rows, "--runs", size.runs, "--model", model),
        benchmark("memory", 90, memory, "--sizes", *size.memory_rows),
    ]


def _training_steps(size: Sizes, folder: Path, scratch: Path, *, smoke: bool) -> list[forked.Step]:
    """Speed beside the reference, an epoch of 25,000 reviews, IMDb and SST-2 in full, accuracy beside the reference.

    In a smoke run, the first step makes small tables under the names of the data.
    """
    data = scratch / "data" if smoke else Path(os.environ.get("SENTIMENT_BATCH_DATA") or "shared/data")
    benchmark = functools.partial(_benchmark, size, folder)
    imdb = ["--table", data / "imdb" / "train.parquet", "--test", data / "imdb" / "test.parquet"]
    imdb += ["--text-column", "text", "--label-column", "label"]
    speed = [*imdb, "--geometry", size.width, "--test-rows", 10]
    epoch = ["--rounds", 1, "--warm-up", 50, "--only", "ours"]
    drawn = [*(["--rows", size.train_rows] if size.train_rows else [])]
    drawn += [*(["--test-rows", size.test_rows] if size.test_rows else [])]
    whole = ["--data", data, *drawn, "--folder", scratch / "trained"]
    whole += ["--set", f"max_length={size.max_length}"] if size.max_length else []
    compare = [*imdb, "--rows", size.compare_rows, "--test-rows", size.compare_test_rows]
    compare += ["--seeds", *size.seeds, "--at-once", len(size.seeds)]
    compare += ["--max-length", size.max_length] if size.max_length else []
    small = functools.partial(_small_data, data, _table(), folder / "data.json")
    return [
        *([forked.Step(name="data", limit=30, run=small)] if smoke else []),
        benchmark("train-speed", 100, train, *speed, "--steps", size.speed_steps, "--rounds", size.runs),
        benchmark("train-epoch", 80, train, *speed, "--steps", size.epoch_steps, *epoch),
        benchmark("train-imdb", 240, accuracy, "imdb", *whole, "--seeds", 1, alone=False),
        benchmark("train-sst2", 240, accuracy, "sst2", *whole, "--seeds", *size.seeds, alone=False),
        benchmark("train-compare", 300, train, *compare, "--folder", scratch, alone=False),
    ]


def _small_data(folder: Path, table: str, path: Path) -> None:
    """Make the tables that the steps need from the rows of any labelled table."""
    found = rows.different(rows.read(table)).drawn(None)
    for name, (training, test) in DATA.items():
        (folder / name).mkdir(parents=True)
        for part, taken in ((training, range(0, len(found), 2)), (test, range(1, len(found), 2))):
            frame = found.take(taken).frame()
            frame.assign(title_id=range(len(frame))).to_parquet(folder / name / f"{part}.parquet")
    common.save(str(path), "cpu", argparse.Namespace(table=table), {"data": found.record()})


def _machine(path: Path) -> None:
    """A description of the machine, and the versions."""
    import torch

    if shutil.which("nvidia-smi"):
        subprocess.run(["nvidia-smi"], check=False)
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    print(common.machine(device), torch.__version__, flush=True)
    common.save(str(path), device, argparse.Namespace(), {"cuda": torch.version.cuda})


def _tests(report: Path, *, smoke: bool) -> None:
    """The tests that need a CUDA device; without one they are skipped."""
    import pytest
    import torch

    torch.set_num_threads(1)  # as the tests ask for before torch is loaded
    files = sorted(str(path) for path in Path("tests").rglob("test_*.py") if "mark.gpu" in path.read_text("utf-8"))
    if smoke:
        files = files[:1]
    given = [*files, "-m", "gpu", "-p", "no:cacheprovider", f"--junitxml={report}", "-q", "--durations=10"]
    given += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # some are imported already
    sys.exit(pytest.main(given))


def _model(size: Sizes, table: str, path: Path) -> None:
    from sentiment_batch.model.device import choose_device

    device = choose_device(size.device).value
    started = time.perf_counter()
    folder = models._fitted(size.width, table, size.fit_seconds, size.device)
    seconds = time.perf_counter() - started
    settings = argparse.Namespace(table=table, width=size.width, fit_seconds=size.fit_seconds)
    common.save(str(path), device, settings, {"model": Path(folder).name, "seconds": seconds})


def _command(argv: list[str]) -> None:
    from sentiment_batch.cli import group

    group.main(argv, prog_name="sentiment-batch")


def _take_base(folder: Path) -> None:
    """Use another encoder instead of the one that comes in a package."""
    from sentiment_batch.model import hub

    hub.prepare_minilm = lambda: folder


def _import() -> None:
    for name in NEEDED:
        with contextlib.suppress(ImportError):  # the step that needs it will report it
            importlib.import_module(name)


def _summarise(folder: Path, lines: list[str], outcome: str) -> None:
    text = "\n".join([f"{'step':20} exit  seconds", *lines, outcome])
    (folder / "summary.txt").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
