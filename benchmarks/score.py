"""Scores the same rows with sentiment-batch and with a stock transformers pipeline, in turn, and compares them.

Both run in this process on the same model and rows, A B A B; the ratio is the result, for the absolute figures hold
only for the machine. The pipeline runs in float32, its default here, with each of the batch sizes named.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa


def main() -> None:
    """Run the comparison and print one table; write one JSON where asked."""
    arguments = _arguments()
    from sentiment_batch import formats, inputs
    from sentiment_batch.scoring.scorer import Scorer

    model = arguments.model or _train_one()
    reader = formats.open_reader(arguments.table)
    columns = inputs.text_columns_of(reader)
    batches = [batch for split in reader.splits() for batch in reader.batches(split)]
    texts = [text for text in pa.Table.from_batches(batches)[columns[0]].to_pylist() if text and not text.isspace()]
    texts = texts[: arguments.rows]
    table = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    scorers = {dtype: Scorer.load(model, device=arguments.device, dtype=dtype) for dtype in ("auto", "float32")}
    contestants: dict[str, Callable[[], np.ndarray]] = {
        f"sentiment-batch, {scorer.dtype.value}": (lambda scorer=scorer: _ours(scorer, table))
        for scorer in scorers.values()
    }
    length = scorers["auto"].policy.max_length
    for size in arguments.batch_sizes:
        contestants[f"pipeline, batch size {size}"] = _pipeline(model, texts, size, length, arguments.device)
    results = _in_turn(contestants, arguments.runs)
    tokens = scorers["float32"].counts.tokens // (arguments.runs + 1)
    _print(results, len(texts), tokens)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(_record(results, arguments, len(texts), tokens), indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.score", description=__doc__)
    parser.add_argument("--model", help="folder; default: one is trained on the sample reviews, with --base minilm")
    parser.add_argument("--table", default="sample_data/reviews.csv", help="the texts (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=600, help="how many of them (default: %(default)s)")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 32], help="of the pipeline")
    parser.add_argument("--runs", type=int, default=3, help="counted runs of each, after one warm-up")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", help="write the figures here")
    return parser.parse_args()


def _train_one() -> str:
    folder = Path(".demo/benchmark-model")
    if not folder.exists():
        command = [sys.executable, "-m", "sentiment_batch", "train", "sample_data/reviews.csv", "--base", "minilm"]
        subprocess.run([*command, "--epochs", "1", "--output", str(folder)], check=True)
    return str(folder)


def _ours(scorer: Any, table: pa.RecordBatch) -> np.ndarray:
    return np.concatenate([scores for _, scores in scorer.probabilities([table], ["text"])])


def _pipeline(model: str, texts: list[str], size: int, length: int, device: str) -> Callable[[], np.ndarray]:
    import torch
    from transformers import AutoTokenizer, pipeline

    tokenizer = AutoTokenizer.from_pretrained(model, model_max_length=length)
    where = device if device != "auto" else "cuda:0" if torch.cuda.is_available() else "cpu"
    stock = pipeline("text-classification", model=model, tokenizer=tokenizer, device=where, top_k=None)
    names = [stock.model.config.id2label[number] for number in range(stock.model.config.num_labels)]

    def run() -> np.ndarray:
        rows = stock(texts, batch_size=size, truncation=True)
        return np.array([[{one["label"]: one["score"] for one in row}[name] for name in names] for row in rows])

    return run


def _in_turn(contestants: dict[str, Callable[[], np.ndarray]], runs: int) -> dict[str, dict[str, Any]]:
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    scores = {name: run() for name, run in contestants.items()}  # the warm-up
    for _ in range(runs):
        for name, run in contestants.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    reference = scores[next(name for name in scores if name.endswith("float32"))]
    return {
        name: {
            "seconds": statistics.median(seconds[name]),
            "fastest": min(seconds[name]),
            "slowest": max(seconds[name]),
            "largest_difference": float(np.abs(scores[name] - reference).max()),
            "labels_that_differ": int((scores[name].argmax(1) != reference.argmax(1)).sum()),
        }
        for name in contestants
    }


def _print(results: dict[str, dict[str, Any]], rows: int, tokens: int) -> None:
    best = min(one["seconds"] for name, one in results.items() if name.startswith("pipeline"))
    print(f"{rows:,} texts, {tokens:,} tokens; median, fastest and slowest run; against the best pipeline")
    print(f"{'':28} seconds   (from - to)     rows/s  tokens/s   ratio  largest difference  labels that differ")
    for name, one in results.items():
        speed = f"{rows / one['seconds']:8.1f} {tokens / one['seconds']:9,.0f} {best / one['seconds']:7.2f}"
        times = f"{one['seconds']:7.2f} ({one['fastest']:6.2f} -{one['slowest']:6.2f})"
        print(f"{name:28} {times} {speed} {one['largest_difference']:19.1e} {one['labels_that_differ']:19}")


def _record(results: dict[str, Any], arguments: argparse.Namespace, rows: int, tokens: int) -> dict[str, Any]:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    packages = ("sentiment-batch", "torch", "transformers", "tokenizers", "pyarrow")
    return {
        "commit": commit,
        "machine": {"processor": platform.processor() or platform.machine(), "python": platform.python_version()},
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "settings": vars(arguments),
        "rows": rows,
        "tokens": tokens,
        "results": results,
    }


if __name__ == "__main__":
    main()
