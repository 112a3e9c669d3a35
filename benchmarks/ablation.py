"""Switches off one technique of the scoring engine at a time and compares the gain with what was predicted.

All variants score the same tokenized rows, with the same weights in the dtype that scoring takes. They run in turn
(A B A B): the engine as it is, then with one technique switched off. The gain is the second time divided by the first,
round by round. The prediction beside it is computed from the model's sizes and the rows' lengths before anything is
timed. Every variant must give the same probabilities.

The command line sets OMP_WAIT_POLICY=PASSIVE, which must be in the environment before torch is loaded. Set it here too,
to measure what the command line runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import common, models
from benchmarks.ablation_bench import AblationBench
from benchmarks.common import report_progress
from benchmarks.techniques import Technique, techniques
from sentiment_batch.model.forward.batches import open_thread_pool

if TYPE_CHECKING:
    from benchmarks.predictions import Numbers

TOLERANCE = {"float32": 1e-4, "bfloat16": 0.05, "float16": 0.02}
"""What probabilities may differ by: of sums in another order, in this dtype."""


def main(argv: list[str] | None = None) -> None:
    """Measure each technique and print one table; write one JSON if asked.

    Raises:
        SystemExit: a variant fails, or gives other probabilities.
    """
    arguments = _arguments(argv)
    with common.quietly():
        model = models.chosen(arguments)
        chosen = common.choose_texts(arguments.table, arguments.text_column, arguments.rows)
        from sentiment_batch.model.device import choose_device

        device = choose_device(arguments.device).value
        with open_thread_pool(device, single=False) as pool:
            bench = AblationBench(model, chosen.texts, arguments, pool)
            tolerance = arguments.tolerance or TOLERANCE[bench.dtype]
            _print_head(bench, arguments.runs)
            results = []
            for technique in techniques(bench):
                results.append(_measured(technique, arguments.runs))
                _print(results[-1], tolerance)
                del technique
                gc.collect()  # its weights
    common.save(
        arguments.json,
        device,
        arguments,
        {
            "data": chosen.record() | {"tokens": int(bench.numbers.lengths.sum())},
            "model": {"folder": Path(model).name, "dtype": bench.dtype, "batch_tokens": bench.budget},
            "numbers": _plain(bench.numbers),
            "tolerance": tolerance,
            "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
            "results": results,
        },
    )
    wrong = [one for one in results if "failed" in one or not one["largest_difference"] <= tolerance]
    if wrong:
        said = (one.get("failed", f"another by {one.get('largest_difference', 0):.1e}") for one in wrong)
        named = (f"{one['technique']} ({why})" for one, why in zip(wrong, said, strict=True))
        sys.exit(f"not the same probabilities within {tolerance:g}: {'; '.join(named)}")


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    models.add_options(parser)
    parser.add_argument("--table", default=models.SAMPLE, help="the texts (default: %(default)s)")
    parser.add_argument("--text-column", help="default: found by name")
    parser.add_argument("--rows", type=int, default=256, help="how many of them, shuffled (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="counted rounds of each, after a warm-up")
    parser.add_argument("--repeats", type=float, default=0.2, help="share of rows, for that technique alone")
    parser.add_argument("--tolerance", type=float, help="of a probability; default: 1e-4, 0.05 in bfloat16")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto", help="default: what scoring would take")
    parser.add_argument("--max-length", type=int, help="tokens per text; default: the model's")
    parser.add_argument("--batch-tokens", type=int, help="default: what scoring would take")
    parser.add_argument("--quick", action="store_true", help="24 rows, one round: only to see that it works")
    parser.add_argument("--json", help="write the figures here")
    arguments = parser.parse_args(argv)
    if not 0 <= arguments.repeats < 1:
        parser.error("--repeats must be at least 0 and less than 1")
    if arguments.quick:
        arguments.rows, arguments.runs = min(arguments.rows, 24), 1
    return arguments


def _measured(technique: Technique, runs: int) -> dict[str, Any]:
    """Run both ways once to warm up and to compare their results, then in turn. If one fails, return the reason."""
    report_progress(f"{technique.name}: predicted {technique.predicted:.2f}")
    found: dict[str, Any] = {
        "technique": technique.name,
        "instead_of": technique.instead,
        "predicted": technique.predicted,
        "because": technique.why,
    }
    try:
        difference = float(np.abs(technique.with_it() - technique.without()).max())
        seconds = common.in_turn({"with": technique.with_it, "without": technique.without}, runs)
    except Exception as error:  # a kernel that is not there, or too little memory, costs the others nothing
        return found | {"failed": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"}
    gains = [off / on for on, off in zip(seconds["with"], seconds["without"], strict=True)]
    return found | {
        "gain": common.spread(gains),
        "seconds": {name: common.spread(values) for name, values in seconds.items()},
        "largest_difference": difference,
    }


def _plain(numbers: Numbers) -> dict[str, Any]:
    """The numbers of the predictions for JSON, with a summary of the lengths."""
    kept = dataclasses.asdict(numbers) | {"lengths": common.spread(numbers.lengths.tolist())}
    return kept | {"packs": len(numbers.packs), "runs": numbers.runs, "attention_share": numbers.attention_share}


WIDTHS = (41, 42, 9)


def _print_head(bench: AblationBench, runs: int) -> None:
    numbers = bench.numbers
    print(
        f"{len(numbers.lengths):,} texts of {numbers.lengths.mean():,.0f} tokens, {bench.dtype} on "
        f"{bench.strategy.device}; {numbers.layers} layers, {numbers.width} wide; attention is "
        f"{numbers.attention_share:.0%} of the operations"
    )
    print(f"gain: time without by time with it, median (least - greatest) of {runs} rounds")
    first, second, third = WIDTHS
    print(
        f"{'technique':{first}} {'instead of':{second}} {'predicted':>{third}}  measured              difference  why"
    )


def _print(one: dict[str, Any], tolerance: float) -> None:
    first, second, third = WIDTHS
    start = f"{one['technique']:{first}} {one['instead_of']:{second}} {one['predicted']:{third}.2f}"
    if "failed" in one:
        print(f"{start}  failed: {one['failed']}", flush=True)
        return
    gain = one["gain"]
    measured = f"{gain['median']:5.2f} ({gain['least']:5.2f} - {gain['greatest']:5.2f})"
    mark = " " if one["largest_difference"] <= tolerance else "!"
    print(f"{start}  {measured} {one['largest_difference']:10.1e}{mark}  {one['because']}", flush=True)


if __name__ == "__main__":
    main()
