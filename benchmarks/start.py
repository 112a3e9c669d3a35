"""Times how long a whole process takes to score a few texts: `predict`, `score` of a small table, and `df.pipe(score)`.

Each is a process of its own, in turn (A B A B), beside one that only imports torch. The first round is not counted. It
loads the model through Transformers and writes the record by which later starts need no Transformers. With `--before`
an earlier version of the package runs beside this one. The ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks import common

TORCH = "import torch"
PIPE = (
    "import sys, pandas, sentiment_batch;"
    "pandas.read_csv(sys.argv[1]).pipe(sentiment_batch.score, model=sys.argv[2]).to_csv(sys.argv[3])"
)


def main(argv: list[str] | None = None) -> None:
    """Measure and print one table; write one JSON if asked."""
    arguments = _arguments(argv)
    texts = common.choose_texts(arguments.table, arguments.text_column, arguments.rows)
    with tempfile.TemporaryDirectory() as name:
        runs = _list_runs(arguments, Path(name), texts.texts)
        processes = {label: partial(_run, command, source, Path(name)) for label, (command, source) in runs.items()}
        common.in_turn(processes, 1)
        seconds = common.in_turn(processes, arguments.runs)
    figures = {label: common.spread(times) for label, times in seconds.items()}
    for label, row in figures.items():
        times = row["median"] / figures[TORCH]["median"]
        print(f"{label:30} {row['median']:6.2f} s ({row['least']:.2f} - {row['greatest']:.2f}) {times:6.2f}")
    common.save(arguments.json, "cpu", arguments, {"texts": texts.record(), "seconds": figures})


def _list_runs(arguments: argparse.Namespace, folder: Path, texts: list[str]) -> dict[str, tuple[list[str], str]]:
    """The arguments of Python for each process, and the folder of the package's source that it imports."""
    import pyarrow as pa
    from pyarrow import csv

    table, scored = str(folder / "texts.csv"), str(folder / "scored.csv")
    csv.write_csv(pa.table({"text": texts}), table)
    module, model = ["-m", "sentiment_batch"], ["--model", arguments.model, "--device", "cpu", "--quiet"]
    jobs = {
        "predict": [*module, "predict", texts[0], *model],
        f"score of {len(texts)} rows": [*module, "score", table, scored, *model, "--overwrite"],
        "df.pipe(score)": ["-c", PIPE, table, arguments.model, scored],
    }
    here = str(Path(__file__).parents[1] / "src")
    sources = {"": here} | ({" before": arguments.before} if arguments.before else {})
    runs = {f"{job}{when}": (command, source) for job, command in jobs.items() for when, source in sources.items()}
    return {TORCH: (["-c", TORCH], here)} | runs


def _run(command: list[str], source: str, folder: Path) -> None:
    environment = os.environ | {"PYTHONPATH": source, "SENTIMENT_BATCH_CACHE": str(folder / "cache")}
    subprocess.run([sys.executable, *command], check=True, env=environment, stdout=subprocess.DEVNULL)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.start", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="a trained model")
    parser.add_argument("--table", default="sample_data/unlabelled.parquet", help="texts (default: %(default)s)")
    parser.add_argument("--text-column", help="(default: found by its name)")
    parser.add_argument("--rows", type=int, default=200, help="of the table (default: %(default)s)")
    parser.add_argument("--before", metavar="FOLDER", help="the src folder of an earlier version, to compare with")
    parser.add_argument("--runs", type=int, default=5, help="of each, in turn (default: %(default)s)")
    parser.add_argument("--json", help="write the figures here")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
