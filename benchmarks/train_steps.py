"""The speed of training alone: each contestant takes the same number of optimizer steps in turn, round by round."""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import flops
from benchmarks.common import report_progress, spread
from benchmarks.contestants import OURS, REFERENCE, Data, Plan, Steps, our_steps

if TYPE_CHECKING:
    import numpy as np

EPOCH = 25_000
"""Texts of the epoch whose seconds are reported."""


def measure_steps(
    names: list[str], plan: Plan, data: Data, lengths: np.ndarray, scratch: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    """The speed of each contestant in each round. Prints a table of the medians."""
    warm_up = arguments.warm_up or arguments.steps
    blocks: dict[str, Steps] = {}
    if OURS in names:
        blocks[OURS] = our_steps(plan, data.training, data.validation, warm_up + arguments.rounds * arguments.steps)
    if REFERENCE in names:
        from benchmarks import reference

        blocks[REFERENCE] = reference.Steps(plan, data.training, scratch / "reference")
    rounds: dict[str, list[tuple[float, int, float]]] = {name: [] for name in names}
    for number in range(arguments.rounds + 1):
        for name in names:
            report_progress(f"round {number} of {arguments.rounds}: {name}" if number else f"warming up {name}")
            before = time.process_time()
            found = blocks[name](arguments.steps if number else warm_up)
            if number:
                rounds[name].append((*found, time.process_time() - before))
    peak = flops.measure_peak(plan.device, plan.dtype)
    per_token = 3 * flops.count_operations(plan.base, lengths) / lengths.sum()  # forward, and twice as many backward
    results = {name: _paces(found, lengths, float(per_token / peak)) for name, found in rounds.items()}
    add_ratios(results, names)
    print(f"{arguments.steps} optimizer steps of each in turn, {arguments.rounds} rounds; median (least - greatest)")
    print(f"{'':22} tokens/s                        seconds for {EPOCH:,} such texts   of the peak   ratio")
    for name, one in results.items():
        shares = f"{one['epoch_seconds']:29,.1f}   {one['share_of_peak']['median']:11.1%}   {format_ratio(one)}"
        print(f"{name:22} {format_spread(one['tokens_per_second']):30}  {shares}")
    if "processor_ratio" in results[names[-1]]:
        print(f"ratio of the time that the cores were used: {format_spread(results[names[-1]]['processor_ratio'], 2)}")
    print(f"peak: {peak / 1e12:,.1f} TFLOP/s, measured by one large product in {plan.dtype}")
    return results


def _paces(found: list[tuple[float, int, float]], lengths: np.ndarray, share_per_rate: float) -> dict[str, Any]:
    """Figures of a contestant; `found` has the seconds, tokens and processor seconds of each round."""
    rates = [tokens / seconds for seconds, tokens, _ in found]
    return {
        "rounds": [
            {"seconds": seconds, "tokens": tokens, "processor_seconds": used} for seconds, tokens, used in found
        ],
        "tokens_per_processor_second": [tokens / used for _, tokens, used in found],
        "tokens_per_second": spread(rates),
        "share_of_peak": spread([rate * share_per_rate for rate in rates]),
        "rates": rates,
        "epoch_seconds": EPOCH * float(lengths.mean()) / statistics.median(rates),
    }


def add_ratios(results: dict[str, Any], names: list[str]) -> None:
    """Our figure divided by theirs, round by round, because a slow moment of the machine then slows both."""
    ours, *others = (results[name]["rates"] for name in names)
    for theirs in others if ours else []:
        results[names[1]]["ratio"] = spread([mine / other for mine, other in zip(ours, theirs, strict=True)])
    used = [one["tokens_per_processor_second"] for one in results.values() if "tokens_per_processor_second" in one]
    if len(used) > 1:  # of steps alone; other programs on the same cores do not count
        results[names[1]]["processor_ratio"] = spread([mine / other for mine, other in zip(*used, strict=True)])


def format_spread(one: dict[str, float], digits: int = 0) -> str:
    """The median of rounds or seeds, with the least and the greatest in brackets."""
    return f"{one['median']:,.{digits}f} ({one['least']:,.{digits}f} - {one['greatest']:,.{digits}f})"


def format_ratio(one: dict[str, Any]) -> str:
    """The ratio of a contestant; empty for the first one, which all others are divided by."""
    return format_spread(one["ratio"], 2) if "ratio" in one else ""
