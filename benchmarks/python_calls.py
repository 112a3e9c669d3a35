"""Times `train` and `score` called from Python beside the commands, while busy loops hold every core.

Each contestant is a process of its own, timed from its start to its end, in turn (A B A B). In Python either this
package is the first to import torch, or the program has imported torch before. The ratio is the time of Python divided
by that of the command in the same round.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import common

COMMAND = "command"
TRAIN = "import sys, sentiment_batch; sentiment_batch.train(*sys.argv[1:3], {settings}, report=False, quiet=True)"
SCORE = (
    "import sys, pandas, sentiment_batch; source, target, model = sys.argv[1:];"
    "pandas.read_parquet(source).pipe(sentiment_batch.score, model=model).to_parquet(target)"
)


def main(argv: list[str] | None = None) -> None:
    """Measure and print one table; write one JSON if asked."""
    arguments = _arguments(argv)
    with tempfile.TemporaryDirectory() as name, _load(arguments.busy):
        folder = Path(name)
        jobs = {"train": _list_training(arguments, folder), "score": _list_scoring(arguments, folder)}
        seconds = {
            job: common.in_turn({name: partial(_run, run, folder) for name, run in runs.items()}, arguments.runs)
            for job, runs in jobs.items()
        }
    figures = {job: _compare(times) for job, times in seconds.items()}
    print(f"{arguments.busy} busy loops beside each; {arguments.runs} runs of each in turn")
    for job, rows in figures.items():
        for name, row in rows.items():
            took, ratio = row["seconds"], row["ratio"]
            print(f"{job:6} {name:22} {took['median']:7.1f} s ({took['least']:.1f} - {took['greatest']:.1f})", end="")
            print(f" {ratio['median']:7.2f} ({ratio['least']:.2f} - {ratio['greatest']:.2f})")
    common.save(arguments.json, "cpu", arguments, {"jobs": figures})


def _list_training(arguments: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    """The command line of each contestant that trains."""
    settings = {"base": arguments.base, "epochs": arguments.epochs, "max_length": arguments.max_length}
    options = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = ["-m", "sentiment_batch", "train", arguments.reviews, "--output", str(folder / "model")]
    code = TRAIN.format(settings=", ".join(f"{name}={value!r}" for name, value in settings.items()))
    calls = _list_calls(code, [arguments.reviews, str(folder / "model")])
    return {COMMAND: [*command, *options, "--no-report", "--quiet"]} | calls


def _list_scoring(arguments: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    """The command line of each contestant that scores."""
    given = [arguments.table, str(folder / "scored.parquet")]
    command = ["-m", "sentiment_batch", "score", *given, "--model", arguments.model, "--quiet"]
    return {COMMAND: command} | _list_calls(SCORE, [*given, arguments.model])


def _list_calls(code: str, values: list[str]) -> dict[str, list[str]]:
    return {
        "Python, package first": ["-c", code, *values],
        "Python, torch first": ["-c", f"import torch; {code}", *values],
    }


def _run(arguments: list[str], folder: Path) -> None:
    """Run one contestant in a fresh process, without the outputs of the one before."""
    shutil.rmtree(folder / "model", ignore_errors=True)
    (folder / "scored.parquet").unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    subprocess.run([sys.executable, *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)


def _compare(seconds: dict[str, list[float]]) -> dict[str, dict[str, dict[str, float]]]:
    """The seconds of each contestant, and their ratio to those of the command, round by round."""
    return {
        name: {
            "seconds": common.spread(times),
            "ratio": common.spread([own / base for own, base in zip(times, seconds[COMMAND], strict=True)]),
        }
        for name, times in seconds.items()
    }


@contextlib.contextmanager
def _load(number: int) -> Iterator[None]:
    """Keep `number` cores busy."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.python_calls",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--reviews", default="sample_data/reviews.csv", help="to train on (default: %(default)s)")
    parser.add_argument("--base", default="minilm", help="(default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--max-length", type=int, default=64, help="tokens of a text (default: %(default)s)")
    parser.add_argument("--table", default="sample_data/unlabelled.parquet", help="to score (default: %(default)s)")
    parser.add_argument("--model", required=True, help="a trained model")
    parser.add_argument("--busy", type=int, default=os.cpu_count(), help="loops beside it (default: one for each core)")
    parser.add_argument("--runs", type=int, default=3, help="of each, in turn (default: %(default)s)")
    parser.add_argument("--json", help="write the figures here")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
