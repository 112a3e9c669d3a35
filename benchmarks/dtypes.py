"""Compares the dtypes of scoring on a CPU, in turn, block by block: their speed, and their labels beside float32's.

Each block of rows is scored in each dtype before the next block begins. The ratio of the seconds is the result. For
int8 the table also shows the share of texts that were scored again in float32. A run that is stopped (Ctrl-C) ends with
the blocks that are done.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks import common, models
from sentiment_batch import Scorer
from sentiment_batch.scoring.bench.measure import list_dtypes

REFERENCE = "float32"


@dataclass(kw_only=True)
class Found:
    """What was found in one dtype."""

    seconds: list[float] = field(default_factory=list)
    """Of each block."""
    processor_seconds: list[float] = field(default_factory=list)
    """The same, as the threads of this process used the cores."""
    other_labels: int = 0
    """Rows with another label than in float32."""
    largest: float = 0.0
    """The largest difference of a probability from float32's."""
    reason: str = ""

    def ratio_to(self, reference: Found) -> dict[str, float]:
        """How many times as fast as `reference`, by the blocks."""
        pairs = zip(reference.seconds, self.seconds, strict=True)
        return common.spread([slow / fast for slow, fast in pairs])


def main(argv: list[str] | None = None) -> None:
    """Compare the dtypes on a table; print one line for each, write one JSON if asked."""
    arguments = _arguments(argv)
    data = common.choose_texts(arguments.table, arguments.text_column, arguments.rows)
    found = {dtype: Found() for dtype in list_dtypes("cpu") if dtype in (REFERENCE, *arguments.dtype)}
    with contextlib.ExitStack() as stack, common.quietly():
        model = arguments.model or models.small()
        options: dict[str, Any] = {"probabilities": True, "decimals": 7}
        if arguments.max_length:
            options["max_length"] = arguments.max_length
        scorers = {one: stack.enter_context(Scorer.load(model, device="cpu", dtype=one, **options)) for one in found}
        for one, scorer in scorers.items():
            scorer(pa.table({"text": data.texts[:64]}))  # warm up
            found[one].reason = scorer.dtype.reason
        before = scorers["int8"].counts.scored_twice if "int8" in scorers else 0
        rows = _compare_blocks(data.texts, scorers, found, arguments.block)
        twice = (scorers["int8"].counts.scored_twice - before) / rows if "int8" in scorers else 0.0
    results = {one: _summarize(each, found[REFERENCE], rows) for one, each in found.items()}
    print(f"{rows:,} rows of {data.table}; scored twice by int8: {twice:.2%}")
    for one, each in results.items():
        speed = f"{each['times_as_fast']['median']:5.2f} times as fast ({each['times_as_fast']['least']:.2f} - "
        print(
            f"{one:10}{speed}{each['times_as_fast']['greatest']:.2f}), {each['other_labels']} other labels, "
            f"probabilities within {each['largest']:.4f}"
        )
    figures = {"data": data.record(), "model": model, "compared_rows": rows, "scored_twice": twice, "results": results}
    common.save(arguments.json, "cpu", arguments, figures)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dtypes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="folder; default: a small random one under .demo/")
    parser.add_argument("--table", default=models.SAMPLE, help="what to score (default: %(default)s)")
    parser.add_argument("--text-column", help="default: found by name")
    parser.add_argument("--rows", type=int, help="of it; default: all different texts")
    parser.add_argument("--block", type=int, default=500, help="rows of a block (default: %(default)s)")
    parser.add_argument("--dtype", nargs="+", default=["bfloat16", "int8"], help="beside float32 (default: both)")
    parser.add_argument("--max-length", type=int, help="tokens of a text; default: as trained")
    parser.add_argument("--json", help="write the figures here")
    return parser.parse_args(argv)


def _compare_blocks(texts: list[str], scorers: dict[str, Scorer], found: dict[str, Found], size: int) -> int:
    """Score the blocks in each dtype, in turn; returns the rows that were compared."""
    rows = 0
    with contextlib.suppress(KeyboardInterrupt):
        for start in range(0, len(texts), size):
            common.report_progress(f"{start:,} of {len(texts):,} rows")
            block = pa.table({"text": texts[start : start + size]})
            scored = {one: _score(scorer, block) for one, scorer in scorers.items()}
            reference, right, *_ = scored[REFERENCE]
            for one, (probabilities, labels, seconds, processor_seconds) in scored.items():
                each = found[one]
                each.seconds.append(seconds)
                each.processor_seconds.append(processor_seconds)
                each.other_labels += sum(mine != theirs for mine, theirs in zip(labels, right, strict=True))
                each.largest = max(each.largest, float(np.abs(probabilities - reference).max()))
            rows += len(block)
    return rows


def _score(scorer: Scorer, block: pa.Table) -> tuple[Any, list[str], float, float]:
    """Probabilities (rows, K), labels (rows,), and the seconds by the clock and by the cores."""
    started, used = time.perf_counter(), time.process_time()
    table = scorer(block)
    seconds, processor_seconds = time.perf_counter() - started, time.process_time() - used
    names = [f"sentiment_{label}" for label in scorer.labels]
    return np.stack([table[name] for name in names]), table["sentiment"].to_pylist(), seconds, processor_seconds


def _summarize(found: Found, reference: Found, rows: int) -> dict[str, Any]:
    return {
        "rows_per_second": rows / sum(found.seconds),
        "times_as_fast": found.ratio_to(reference),
        "processor_seconds": sum(found.processor_seconds),
        "median_processor_seconds_per_block": statistics.median(found.processor_seconds),
        "other_labels": found.other_labels,
        "largest": found.largest,
        "reason": found.reason,
    }


if __name__ == "__main__":
    main()
