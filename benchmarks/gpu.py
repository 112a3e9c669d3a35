"""The steps of gpu.sh, each with a time limit, in processes forked from one that has imported what they need.

So the imports happen once, not ten times. Steps that measure speed run alone. Tests and steps that measure accuracy run
side by side. Each step writes NAME.log and, except for the tests, NAME.json.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import accuracy, common, forked, memory, models, rows, stages, train
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
PART_SECONDS = {"tests": 180, "scoring": 300, "training": 240, "more": 560}
"""The parts and their time. The first three are run by default, and `more` only if it is named."""
SHORT_CHARACTERS = 130
"""Characters of a short text, which has about 30 tokens."""
FIRST_TESTS = ("test_resume.py", "test_scoring.py")
"""Of the folder tests/gpu: results that must not change when memory runs out, on resume, and beside other texts."""
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
    parser.add_argument("--part", choices=PART_SECONDS, help="default: all but `more`")
    parser.add_argument("--only", action="append", metavar="STEP", help="of the steps; may be given more than once")
    parser.add_argument("--seconds", type=float, help="for everything; default: what the parts have")
    arguments = parser.parse_args(argv)
    parts = [arguments.part] if arguments.part else [*PART_SECONDS][:-1]
    until = time.monotonic() + (arguments.seconds or sum(PART_SECONDS[part] for part in parts))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        if os.environ.get("SENTIMENT_BATCH_BASE"):
            _take_base(Path(os.environ["SENTIMENT_BATCH_BASE"]))
        if arguments.smoke:
            models.FOLDER = Path(scratch) / "models"
        _import()
        chosen = list_steps(arguments.folder, Path(scratch), parts, smoke=arguments.smoke)
        if unknown := set(arguments.only or ()) - {step.name for step in chosen}:
            parser.error(f"no such step: {', '.join(sorted(unknown))}")
        chosen = [step for step in chosen if not arguments.only or step.name in arguments.only]
        failed = 0
        for name, status, seconds in forked.outcomes(chosen, arguments.folder, until):
            failed += status != 0
            lines.append(f"{name:27} {status:4} {seconds:8.1f}{forked.remark(status)}")
            print(lines[-1], flush=True)
            outcome = f"{failed} of {len(lines)} failed" if failed else "all passed so far"
            _summarise(arguments.folder, lines, outcome)  # each time, so that an interruption loses no figures
    outcome = f"{failed} of {len(lines)} steps failed" if failed else "all passed"
    _summarise(arguments.folder, lines, outcome)
    print(outcome)
    sys.exit(1 if failed else 0)


def list_steps(folder: Path, scratch: Path, parts: Sequence[str], *, smoke: bool) -> list[forked.Step]:
    """The steps of some parts in their order. The most important come first, because the time may run out."""
    size = SMOKE if smoke else FULL
    machine = forked.Step(name="machine", limit=30, run=functools.partial(_machine, folder / "machine.json"))
    by_part = {
        "tests": lambda: _test_steps(folder, smoke=smoke),
        "scoring": lambda: _scoring_steps(size, folder),
        "training": lambda: _training_steps(size, folder, scratch, smoke=smoke),
        "more": lambda: _further_steps(size, folder, scratch, smoke=smoke),
    }
    return [machine, *(step for part in parts for step in by_part[part]())]


def _benchmark(
    size: Sizes, folder: Path, name: str, limit: float, module: Any, *given: object, alone: bool = True
) -> forked.Step:
    argv = [*map(str, given), "--device", size.device, "--json", str(folder / f"{name}.json")]
    return forked.Step(name=name, limit=limit, run=functools.partial(module.main, argv), alone=alone)


def _table() -> str:
    return os.environ.get("SENTIMENT_BATCH_IMDB") or models.SAMPLE


def _test_steps(folder: Path, *, smoke: bool) -> list[forked.Step]:
    """The tests that need a CUDA device, in two processes side by side; without a device they are skipped."""
    gpu = [str(path) for path in sorted(Path("tests").rglob("test_*.py")) if "mark.gpu" in path.read_text("utf-8")]
    first = [path for path in gpu if Path(path).name in FIRST_TESTS and Path(path).parent.name == "gpu"]
    groups = {"tests-first": first, "tests-rest": [path for path in gpu if path not in first]}
    return [
        forked.Step(
            name=name,
            limit=165,
            run=functools.partial(_run_tests, files[:1] if smoke else files, folder / f"{name}.xml"),
            alone=False,
        )
        for name, files in groups.items()
    ]


def _model_folder(width: int | None) -> str:
    return str(models.FOLDER / f"benchmark-{width or 'offline'}-{Path(_table()).stem}")


def _scoring_steps(size: Sizes, folder: Path) -> list[forked.Step]:
    """The first step makes the models. Then each scores long and short texts, beside peers; then compiled."""
    given = ["--table", _table(), "--runs", size.runs, "--search-rows", size.search_rows]
    given += ["--peer-rows", size.peer_rows, "--batch-sizes", *size.batch_sizes]
    texts = {"imdb": ["--rows", size.long_rows]}
    texts["short"] = ["--rows", size.short_rows, "--characters", SHORT_CHARACTERS]
    encoders = {"distilbert": size.width, "offline": None}
    limits = {
        ("imdb", "distilbert"): 80,
        ("short", "distilbert"): 60,
        ("imdb", "offline"): 60,
        ("short", "offline"): 50,
    }
    makes = functools.partial(_make_models, size, [*encoders.values()], _table(), folder / "models.json")
    found = [forked.Step(name="models", limit=60, run=makes)]
    for (text, encoder), limit in limits.items():
        options = [*given, *texts[text], "--model", _model_folder(encoders[encoder])]
        found.append(_benchmark(size, folder, f"score-{text}-{encoder}", limit, stages, *options))
    if size.device == "cpu":  # where nothing is compiled
        return found
    for text, encoder in limits:
        options = [*given, *texts[text], "--model", _model_folder(encoders[encoder]), "--peers", "none", "--compile"]
        found.append(_benchmark(size, folder, f"score-{text}-{encoder}-compiled", 75, stages, *options))
    return found


def _data_folder(scratch: Path, *, smoke: bool) -> Path:
    return scratch / "data" if smoke else Path(os.environ.get("SENTIMENT_BATCH_DATA") or "shared/data")


def _imdb_tables(scratch: Path, *, smoke: bool) -> list[Any]:
    data = _data_folder(scratch, smoke=smoke) / "imdb"
    found = ["--table", data / "train.parquet", "--test", data / "test.parquet"]
    return [*found, "--text-column", "text", "--label-column", "label"]


def _training_steps(size: Sizes, folder: Path, scratch: Path, *, smoke: bool) -> list[forked.Step]:
    """Speed beside the reference, an epoch of 25,000 reviews, and all of IMDb by the public function.

    In a smoke run, the first step makes small tables under the names of the data.
    """
    speed = [*_imdb_tables(scratch, smoke=smoke), "--geometry", size.width, "--test-rows", 10]
    epoch = ["--rounds", 1, "--warm-up", 50, "--only", "ours"]
    benchmark = functools.partial(_benchmark, size, folder)
    return [
        *_small_data_step(folder, scratch, smoke=smoke),
        benchmark("train-epoch", 70, train, *speed, "--steps", size.epoch_steps, *epoch),
        benchmark("train-speed", 80, train, *speed, "--steps", size.speed_steps, "--rounds", size.runs),
        benchmark("train-imdb", 120, accuracy, "imdb", *_accuracy_options(size, scratch, smoke=smoke), "--seeds", 1),
    ]


def _accuracy_options(size: Sizes, scratch: Path, *, smoke: bool) -> list[Any]:
    drawn = [*(["--rows", size.train_rows] if size.train_rows else [])]
    drawn += [*(["--test-rows", size.test_rows] if size.test_rows else [])]
    drawn += ["--set", f"max_length={size.max_length}"] if size.max_length else []
    # The few rows of a smoke run would be trained on in five folds, which takes six times as long
    drawn += ["--set", "folds=0"] if smoke else []
    return ["--data", _data_folder(scratch, smoke=smoke), *drawn, "--folder", scratch / "trained"]


def _further_steps(size: Sizes, folder: Path, scratch: Path, *, smoke: bool) -> list[forked.Step]:
    """What is of interest beside the three parts: single techniques, memory, and accuracy by several seeds."""
    benchmark = functools.partial(_benchmark, size, folder)
    model = ["--table", _table(), "--model", _model_folder(size.width)]
    ablation = functools.partial(importlib.import_module, "benchmarks.ablation")
    makes = functools.partial(_make_models, size, [size.width], _table(), folder / "models.json")
    bench = ["bench", _table(), "--seconds", size.bench_seconds, *model[2:], "--device", size.device, "--json"]
    compare = [*_imdb_tables(scratch, smoke=smoke), "--rows", size.compare_rows, "--test-rows", size.compare_test_rows]
    compare += ["--seeds", *size.seeds, "--at-once", len(size.seeds)]
    compare += ["--max-length", size.max_length] if size.max_length else []
    sst2 = ["sst2", *_accuracy_options(size, scratch, smoke=smoke), "--seeds", *size.seeds]
    return [
        forked.Step(name="models", limit=60, run=makes),
        *_small_data_step(folder, scratch, smoke=smoke),
        forked.Step(name="bench", limit=50, run=functools.partial(_command, [*map(str, bench)]), prints_json=True),
        benchmark("ablation", 130, ablation(), "--rows", size.ablation_rows, "--runs", size.runs, *model),
        benchmark("memory", 90, memory, "--table", _table(), "--sizes", *size.memory_rows),
        benchmark("train-sst2", 240, accuracy, *sst2, alone=False),
        benchmark("train-compare", 300, train, *compare, "--folder", scratch, alone=False),
    ]


def _small_data_step(folder: Path, scratch: Path, *, smoke: bool) -> list[forked.Step]:
    if not smoke:
        return []
    small = functools.partial(_small_data, _data_folder(scratch, smoke=smoke), _table(), folder / "data.json")
    return [forked.Step(name="data", limit=30, run=small)]


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


def _run_tests(files: list[str], report: Path) -> None:
    import pytest
    import torch

    torch.set_num_threads(1)  # as the tests ask for before torch is loaded
    given = [*files, "-m", "gpu", "-p", "no:cacheprovider", f"--junitxml={report}", "-q", "--durations=10"]
    given += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # some are imported already
    sys.exit(pytest.main(given))


def _make_models(size: Sizes, widths: list[int | None], table: str, path: Path) -> None:
    from sentiment_batch.model.device import choose_device

    device = choose_device(size.device).value
    seconds = {}
    for width in widths:
        started = time.perf_counter()
        folder = models._fitted(width, table, size.fit_seconds, size.device)
        seconds[Path(folder).name] = time.perf_counter() - started
    common.save(str(path), device, argparse.Namespace(table=table, fit_seconds=size.fit_seconds), {"seconds": seconds})


def _command(argv: list[str]) -> None:
    from sentiment_batch.cli import group

    group.main(argv, prog_name="sentiment-batch")


def _take_base(folder: Path) -> None:
    """Use another encoder instead of the one that comes in a package."""
    from sentiment_batch.model import hub

    hub.find_minilm = lambda: folder


def _import() -> None:
    for name in NEEDED:
        with contextlib.suppress(ImportError):  # the step that needs it will report it
            importlib.import_module(name)


def _summarise(folder: Path, lines: list[str], outcome: str) -> None:
    text = "\n".join([f"{'step':27} exit  seconds", *lines, outcome, "", *_tabulate(folder)])
    (folder / "summary.txt").write_text(text + "\n", encoding="utf-8")


def _tabulate(folder: Path) -> list[str]:
    """One line for each step that measured how fast texts are scored or trained on."""
    lines = [f"{'':27}       rows/s     tokens/s  of the peak  ratios to the others"]
    for path in sorted(folder.glob("*.json")):
        figures = json.loads(path.read_text(encoding="utf-8") or "{}")
        if "stages" in str(figures.get("runs", "")):
            peers = [f"{one['ratio']['median']:.1f} ({name})" for name, one in figures["peers"].items()]
            lines.append(_describe_speed(path.stem, figures["rows_per_second"]["median"], figures, peers))
        for name, one in figures.get("results", {}).items() if path.stem in ("train-speed", "train-epoch") else ():
            ratio = [f"{one['ratio']['median']:.1f}"] if "ratio" in one else []
            rate = one["tokens_per_second"]["median"] / figures["tokens"]["mean"]
            lines.append(_describe_speed(f"{path.stem}, {name.split()[0]}", rate, one, ratio))
    return lines if len(lines) > 1 else []


def _describe_speed(name: str, rate: float, figures: dict[str, Any], ratios: list[str]) -> str:
    speed = f"{rate:12,.0f} {figures['tokens_per_second']['median']:12,.0f}"
    return f"{name:27} {speed} {figures['share_of_peak']['median']:12.1%}  {', '.join(ratios)}"


if __name__ == "__main__":
    main()
