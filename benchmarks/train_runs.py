"""Full trainings of each contestant, for each seed in a new process: accuracy, speed, memory, and their differences."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import multiprocessing
import shutil
import statistics
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import intervals
from benchmarks.common import report_progress, spread
from benchmarks.contestants import Data, Outcome, Plan, run
from benchmarks.train_steps import add_ratios, format_ratio, format_spread

MIB = 2**20


def measure_runs(
    names: list[str], plan: Plan, data: Data, lengths: np.ndarray, scratch: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Accuracy, speed and memory of each contestant, and how the two differ."""

    def of_seed(seed: int) -> list[Outcome]:
        found = []
        for name in names:
            report_progress(f"seed {seed}: {name}")
            found.append(_apart(name, dataclasses.replace(plan, seed=seed), data, scratch))
        return found

    with ThreadPoolExecutor(arguments.at_once) as threads:
        by_seed = list(threads.map(of_seed, arguments.seeds))
    outcomes = {name: [found[place] for found in by_seed] for place, name in enumerate(names)}
    truth = data.test.codes(plan.names)
    right = {name: np.array([one.predicted == truth for one in found]) for name, found in outcomes.items()}
    results = {name: _summary(found, right[name], lengths, plan) for name, found in outcomes.items()}
    add_ratios(results, names)
    if len(names) > 1:
        results["difference"] = _difference(*(right[name] for name in names))
    _print(results, names)
    return results


def _apart(name: str, plan: Plan, data: Data, scratch: Path) -> Outcome:
    """One run in a fresh process; its models are deleted."""
    folder = scratch / f"models-{plan.seed}"
    folder.mkdir()
    try:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            return pool.submit(functools.partial(run, name, plan, data, folder / "model")).result()
    finally:
        shutil.rmtree(folder)


def _summary(found: list[Outcome], right: np.ndarray, lengths: np.ndarray, plan: Plan) -> dict[str, Any]:
    """Figures of a contestant over its seeds; `right` (S, n) holds for each seed which test rows were right."""
    tokens_per_step = lengths.sum() * plan.epochs / found[0].steps
    rates = [tokens_per_step * one.counted_steps / one.training_seconds for one in found if one.counted_steps]
    accuracies = [float(row.mean()) for row in right]
    per_seed = [dataclasses.asdict(one) | {"accuracy": accuracies[place]} for place, one in enumerate(found)]
    for one in per_seed:
        one["predicted"] = "".join(map(str, one["predicted"]))  # a digit for each test row
    return {
        "seeds": per_seed,
        "accuracy": statistics.mean(accuracies),
        "rates": rates,
        "tokens_per_second": spread(rates) if rates else None,
        "seconds": spread([one.seconds for one in found]),
        "peak_bytes": max(one.peak_bytes for one in found),
    }


def _difference(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """Our accuracy less theirs; both are (S, n) of the same seeds and rows."""
    each = ours.astype(np.float64) - theirs
    return intervals.over_seeds(each.mean(axis=1)) | {"interval_over_rows": intervals.over_rows(each.mean(axis=0))}


def _print(results: dict[str, Any], names: list[str]) -> None:
    print(f"{'':22} accuracy  tokens/s in training            ratio                 seconds in all  peak MiB  by seed")
    for name in names:
        one = results[name]
        rate = format_spread(one["tokens_per_second"]) if one["tokens_per_second"] else "too few steps"
        by_seed = " ".join(f"{seed['accuracy']:.4f}" for seed in one["seeds"])
        print(
            f"{name:22} {one['accuracy']:8.4f}  {rate:30}  {format_ratio(one):20}  {one['seconds']['median']:14,.1f}  "
            f"{one['peak_bytes'] / MIB:8,.0f}  {by_seed}"
        )
    if "difference" in results:
        one = results["difference"]
        seeds = "none of one seed" if one["interval"] is None else _format_interval(one["interval"])
        print(
            f"accuracy, ours less theirs: {one['mean']:+.4f}; 95 % over seeds: {seeds}; over test rows: "
            f"{_format_interval(one['interval_over_rows'])}"
        )


def _format_interval(interval: list[float]) -> str:
    return f"{interval[0]:+.4f} to {interval[1]:+.4f}"
