"""The steps of gpu.sh: each in a process of its own, forked from one that has imported what they need, with a limit.

So a step that crashes, hangs or breaks the device's context harms no other, and nobody waits for the same imports ten
times. What measures speed has the machine for itself; tests and accuracies, whose steps follow each other, run side by
side. Each leaves NAME.log and, but for the tests, NAME.json.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import accuracy, common, memory, models, rows, score, train

TIMED_OUT = 124
"""The exit code of `timeout`."""
NOT_STARTED = 125
GRACE = 5.0
"""Seconds to end after being told to."""
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
    "sentiment_batch.scoring.bench",
    "sentiment_batch.scoring.pipeline",
    "sentiment_batch.training.run",
    "benchmarks.ablation",
    "benchmarks.stopwatch",
)
"""Imported before the steps are forked; none of it may touch the device, which a forked process could not use then.
Trainer is none of it: what it brings asks for devices."""
PARTS = ("scoring", "training")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One test run or benchmark."""

    name: str
    limit: float
    """Seconds."""
    run: Callable[[], object]
    prints_json: bool = False
    """Its standard output is its JSON."""
    alone: bool = True
    """Whether nothing may run beside it, for it measures seconds."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much each step does: enough for seconds of each contestant."""

    device: str
    width: int
    fit_seconds: float
    long_rows: int
    """Scored by the stock pipeline as well, which takes a thousand a second."""
    short_rows: int
    search_rows: int
    batch_sizes: tuple[int, ...]
    ablation_rows: int
    memory_rows: tuple[int, ...]
    bench_seconds: float
    runs: int
    speed_steps: int
    """Optimiser steps of each trainer in a round."""
    epoch_steps: int
    """Those of an epoch."""
    train_rows: int | None
    """Of IMDb and of SST-2; None takes all."""
    test_rows: int | None
    compare_rows: int
    """Trained on by both trainers, for each seed, in processes of their own."""
    compare_test_rows: int
    seeds: tuple[int, ...]
    """Of what is compared, and of SST-2."""
    max_length: int | None
    """Tokens of a text that is trained on; None takes what fits."""


FULL = Sizes(
    device="cuda",
    width=768,
    fit_seconds=30.0,
    long_rows=4_000,
    short_rows=4_000,
    search_rows=256,
    batch_sizes=(16, 64, 256),
    ablation_rows=8_192,
    memory_rows=(10_000, 100_000),
    bench_seconds=2.0,
    runs=3,
    speed_steps=60,
    epoch_steps=1_563,
    train_rows=None,
    test_rows=None,
    compare_rows=4_000,
    compare_test_rows=10_000,
    seeds=(1, 2, 3),
    max_length=None,
)
SMOKE = Sizes(
    device="cpu",
    width=24,
    fit_seconds=0.1,
    long_rows=16,
    short_rows=16,
    search_rows=4,
    batch_sizes=(8,),
    ablation_rows=16,
    memory_rows=(40,),
    bench_seconds=0.1,
    runs=1,
    speed_steps=2,
    epoch_steps=3,
    train_rows=40,
    test_rows=20,
    compare_rows=40,
    compare_test_rows=40,
    seeds=(1,),
    max_length=32,
)
SHORT = 30
"""Tokens of a short text."""
DATA = {"imdb": ("train", "test"), "sst2_glue": ("train", "dev")}
"""Folders and tables that are trained and measured on."""


def main(argv: list[str] | None = None) -> None:
    """Run all steps and say how each ended.

    Raises:
        SystemExit: with 1, not all passed.
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
        for name, status, seconds in _outcomes(chosen, arguments.folder, until):
            failed += status != 0
            lines.append(f"{name:20} {status:4} {seconds:8.1f}{_remark(status)}")
            print(lines[-1], flush=True)
            outcome = f"{failed} of {len(lines)} failed" if failed else "all passed so far"
            _summarise(arguments.folder, lines, outcome)  # each time: whatever ends this, what was seen is kept
    outcome = f"{failed} of {len(lines)} steps failed" if failed else "all passed"
    _summarise(arguments.folder, lines, outcome)
    print(outcome)
    sys.exit(1 if failed else 0)


def steps(folder: Path, scratch: Path, *, smoke: bool, part: str | None = None) -> list[Step]:
    """What is run, in this order; where time may run out, what matters most comes first."""
    size = SMOKE if smoke else FULL
    machine = Step(name="machine", limit=30, run=functools.partial(_machine, folder / "machine.json"))
    run_tests = functools.partial(_tests, folder / "tests.xml", smoke=smoke)
    tests = Step(name="tests", limit=200, run=run_tests, alone=False)
    scoring = _scoring_steps(size, folder, scratch, smoke=smoke) if part != "training" else []
    training = _training_steps(size, folder, scratch, smoke=smoke) if part != "scoring" else []
    return [machine, *scoring, *training, tests]


def _benchmark(
    size: Sizes, folder: Path, name: str, limit: float, module: Any, *given: object, alone: bool = True
) -> Step:
    argv = [*map(str, given), "--device", size.device, "--json", str(folder / f"{name}.json")]
    return Step(name=name, limit=limit, run=functools.partial(module.main, argv), alone=alone)


def _table() -> str:
    return os.environ.get("SENTIMENT_BATCH_IMDB") or models.SAMPLE


def _scoring_steps(size: Sizes, folder: Path, scratch: Path, *, smoke: bool) -> list[Step]:
    """The model is made by the first and taken from its folder by the others."""
    table = _table()
    model = str(models.FOLDER / f"benchmark-{size.width}-{Path(table).stem}")
    with_model = ["--model", model, "--device", size.device]

    def benchmark(name: str, limit: float, module: Any, *given: object) -> Step:
        return _benchmark(size, folder, name, limit, module, "--table", table, *given)

    def command(name: str, limit: float, *given: object) -> Step:
        argv = [*map(str, given), *with_model, "--json"]
        return Step(name=name, limit=limit, run=functools.partial(_command, argv), prints_json=True)

    peers = ["--peers", "pipeline", "--runs", size.runs, "--search-rows", size.search_rows]
    peers += ["--batch-sizes", *size.batch_sizes, "--model", model]
    bench = ["--seconds", size.bench_seconds]
    compiled = [] if smoke else ["--compile"]  # there is none on a CPU
    uncompiled = ["--no-compile"]
    ablation = functools.partial(importlib.import_module, "benchmarks.ablation")
    return [
        Step(name="model", limit=100, run=functools.partial(_model, size, table, folder / "model.json")),
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


def _training_steps(size: Sizes, folder: Path, scratch: Path, *, smoke: bool) -> list[Step]:
    """Speed beside the reference, an epoch of 25,000 reviews, IMDb and SST-2 in full, accuracy beside the reference.

    Where all is small, the first step makes tables of the data's names.
    """
    data = scratch / "data" if smoke else Path(os.environ.get("SENTIMENT_BATCH_DATA") or "shared/data")
    benchmark = functools.partial(_benchmark, size, folder)
    imdb = ["--table", data / "imdb" / "train.parquet", "--test", data / "imdb" / "test.parquet"]
    imdb += ["--text-column", "text", "--label-column", "label"]
    speed = [*imdb, "--geometry", size.width, "--test-rows", 10]
    drawn = [*(["--rows", size.train_rows] if size.train_rows else [])]
    drawn += [*(["--test-rows", size.test_rows] if size.test_rows else [])]
    whole = ["--data", data, *drawn, "--folder", scratch / "trained"]
    whole += ["--set", f"max_length={size.max_length}"] if size.max_length else []
    compare = [*imdb, "--rows", size.compare_rows, "--test-rows", size.compare_test_rows]
    compare += [
        "--seeds",
        *size.seeds,
        "--at-once",
        len(size.seeds),
        *(["--max-length", size.max_length] if size.max_length else []),
    ]
    small = functools.partial(_small_data, data, _table(), folder / "data.json")
    return [
        *([Step(name="data", limit=30, run=small)] if smoke else []),
        benchmark("train-speed", 100, train, *speed, "--steps", size.speed_steps, "--rounds", size.runs),
        benchmark(
            "train-epoch",
            80,
            train,
            *speed,
            "--steps",
            size.epoch_steps,
            "--rounds",
            1,
            "--warm-up",
            50,
            "--only",
            "ours",
        ),
        benchmark("train-imdb", 240, accuracy, "imdb", *whole, "--seeds", 1, alone=False),
        benchmark("train-sst2", 240, accuracy, "sst2", *whole, "--seeds", *size.seeds, alone=False),
        benchmark("train-compare", 300, train, *compare, "--folder", scratch, alone=False),
    ]


def _small_data(folder: Path, table: str, path: Path) -> None:
    """Tables as the steps want them, of the rows of any labelled one."""
    found = rows.different(rows.read(table)).drawn(None)
    for name, (training, test) in DATA.items():
        (folder / name).mkdir(parents=True)
        for part, taken in ((training, range(0, len(found), 2)), (test, range(1, len(found), 2))):
            frame = found.take(taken).frame()
            frame.assign(title_id=range(len(frame))).to_parquet(folder / name / f"{part}.parquet")
    common.save(str(path), "cpu", argparse.Namespace(table=table), {"data": found.record()})


def _machine(path: Path) -> None:
    """What the machine says of itself, and the versions."""
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
    from sentiment_batch.device import choose_device

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
    """Another encoder in the place of the one that a package brings."""
    from sentiment_batch import bases

    bases.minilm = lambda: folder


def _import() -> None:
    for name in NEEDED:
        with contextlib.suppress(ImportError):  # the step that needs it will say so
            importlib.import_module(name)


def _outcomes(chosen: list[Step], folder: Path, until: float) -> Iterator[tuple[str, int, float]]:
    """Name, exit code and seconds of each step, as they end; neighbours that may run side by side do."""
    for alone, group in itertools.groupby(chosen, lambda step: step.alone):
        some = list(group)
        for together in [[one] for one in some] if alone else [some]:
            yield from _run(together, folder, until)


def _run(together: list[Step], folder: Path, until: float) -> Iterator[tuple[str, int, float]]:
    """The same of steps that run side by side, until `until` at the latest.

    Each, and all that it started, is ended when its own time is over.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    started = time.monotonic()
    if until - started <= 1:
        yield from ((step.name, NOT_STARTED, 0.0) for step in together)
        return
    running = {_fork(step, folder): step for step in together}
    try:
        while running:
            time.sleep(0.05)
            seconds = time.monotonic() - started
            for pid, step in list(running.items()):
                status = _status(pid)
                if status is None and seconds > min(step.limit, until - started):
                    status = TIMED_OUT
                if status is not None:
                    del running[pid]
                    _end(pid)
                    yield step.name, status, seconds
    finally:
        for pid in running:
            _end(pid)


def _fork(step: Step, folder: Path) -> int:
    pid = os.fork()
    if pid == 0:
        _child(step, folder)
    return pid


def _status(pid: int) -> int | None:
    """The exit code of a process, None while it runs."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _child(step: Step, folder: Path) -> NoReturn:
    status = 1
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        log = os.open(folder / f"{step.name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 2)
        os.dup2(log, 1)
        if step.prints_json:
            path = folder / f"{step.name}.json"
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 1)
        step.run()
        status = 0
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        status = int(error.code) if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _end(pid: int) -> None:
    """End what is left of a step's processes."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
        until = time.monotonic() + GRACE
        while time.monotonic() < until:
            try:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    break
            except ChildProcessError:  # it was waited for
                break
            time.sleep(0.05)


def _remark(status: int) -> str:
    return {TIMED_OUT: "  took too long", NOT_STARTED: "  not started: no time was left"}.get(status, "")


def _summarise(folder: Path, lines: list[str], outcome: str) -> None:
    text = "\n".join([f"{'step':20} exit  seconds", *lines, outcome])
    (folder / "summary.txt").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
