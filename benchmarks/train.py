"""Trains on the same rows with sentiment-batch and with the `Trainer` of Transformers, in turn, and compares the two.

These are equal: the encoder's weights; the rows to train, validate and test on; epochs; texts per step; the peak
learning rate with the same warm-up and linear fall; weight decay of matrices only; fused AdamW; the gradient's norm cut
to 1; tokens per text; batches of texts of similar length; bfloat16 by autocast if the device has it; validation after
the same steps; the choice of the weights with the lowest validation loss; seeds.

These differ, because each is used as it comes. The reference is DistilBertForSequenceClassification with its own head
(a layer and ReLU before the classes, dropout 0.2) and dropout inside attention. It pads its batches. sentiment-batch
has one linear layer and no dropout inside attention. It packs without padding, and calibrates. It keeps the head and
the tail of long texts. The reference keeps their head, unless --reference-long-text sets another end.

By default both train in full, for each seed in a new process: ours, reference, ours, reference. The accuracy is that of
the saved models on the test rows, scored by the same code. Tokens per second count no padding and training only: the
time from the end of one step to the end of another, without the steps right after a validation. With --steps nothing is
validated or saved. Each takes that many steps in turn, for machines on which full runs take too long.

The reference needs the package accelerate, which sentiment-batch does not: pip install accelerate.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import multiprocessing
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import common, flops, intervals, models, rows
from benchmarks.common import report_progress, spread
from benchmarks.contestants import OURS, REFERENCE, Data, Outcome, Plan, Steps, our_steps, run

if TYPE_CHECKING:
    from benchmarks.rows import Rows

HOLDOUT = "sample_data/holdout.csv"
RATE_TIMES_WIDTH = 0.0384
"""The default learning rate is this over the encoder's width, for both."""
EPOCH = 25_000
"""Texts of the epoch whose seconds are reported."""
MIB = 2**20


def main(argv: list[str] | None = None) -> None:
    """Run the comparison and print one table; write one JSON if asked."""
    arguments = _arguments(argv)
    with common.quietly(), tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        base = _base(arguments, Path(scratch) / "base")
        data = _data(arguments)
        plan = _plan(arguments, base, data)
        lengths = _lengths(plan, data.training)
        names, left_out = _contestants(arguments)
        _tell_plan(plan, data, lengths, arguments)
        measured = _steps if arguments.steps else _full
        results = measured(names, plan, data, lengths, Path(scratch), arguments)
    for name, why in left_out.items():
        print(f"left out: {name} ({why})")
    figures = {
        "data": {one: getattr(data, one).record() for one in ("training", "validation", "test")},
        "plan": dataclasses.asdict(plan),
        "tokens": {"mean": float(lengths.mean()), "all": int(lengths.sum())},
        "results": results,
        "left_out": left_out,
    }
    common.save(arguments.json, plan.device, arguments, figures)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", default="minilm", help="Hub id or folder of a DistilBERT (default: %(default)s)")
    parser.add_argument("--geometry", type=int, help="a random DistilBERT so wide instead, 6 layers: for speed alone")
    parser.add_argument("--table", default=models.SAMPLE, help="to train and validate on (default: %(default)s)")
    parser.add_argument("--test", default=HOLDOUT, help="to test on (default: %(default)s)")
    parser.add_argument("--text-column", help="of both; default: found by name")
    parser.add_argument("--label-column", help="of both; default: found by name")
    parser.add_argument("--rows", type=int, help="to train on, drawn; default: all, with --steps what the steps need")
    parser.add_argument("--val-rows", type=int, help="to validate on, drawn beside them; default: a tenth")
    parser.add_argument("--test-rows", type=int, help="of the test file, drawn; default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--at-once", type=int, default=1, help="seeds that run side by side, for accuracy alone")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16, help="texts per step (default: %(default)s)")
    parser.add_argument("--learning-rate", type=float, help=f"peak; default: {RATE_TIMES_WIDTH} / encoder width")
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--warmup", type=float, default=0.1, help="share of the steps (default: %(default)s)")
    parser.add_argument("--max-length", type=int, default=512, help="tokens per text, the base's positions at most")
    parser.add_argument("--long-text", choices=["head", "tail", "head-tail"], default="head-tail", help="ours")
    parser.add_argument("--reference-long-text", choices=["head", "head-tail"], default="head")
    parser.add_argument("--dtype", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", choices=["ours", "reference"], help="leave the other out")
    parser.add_argument("--steps", type=int, help="measure speed alone, over so many optimizer steps of each in turn")
    parser.add_argument("--rounds", type=int, default=3, help="of --steps, after a warm-up (default: %(default)s)")
    parser.add_argument("--warm-up", type=int, help="steps of each before --steps; default: as many as of a round")
    parser.add_argument("--folder", help="for the models, which are deleted again; default: the system's")
    parser.add_argument("--json", help="write the figures here")
    arguments = parser.parse_args(argv)
    for name in ("rows", "val_rows", "test_rows", "epochs", "batch_size", "steps", "rounds", "warm_up", "at_once"):
        if getattr(arguments, name) is not None and getattr(arguments, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return arguments


def _base(arguments: argparse.Namespace, folder: Path) -> Path:
    """The encoder of all contestants. It is stored in `folder` as a DistilBERT, which the reference can load, too."""
    if arguments.geometry:
        return models.random_base(arguments.geometry)
    from sentiment_batch.model import hub
    from sentiment_batch.model.classifier import load_base

    encoder, tokenizer = load_base(hub.resolve_model(arguments.base))
    encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _data(arguments: argparse.Namespace) -> Data:
    """Rows of different texts, none of them among the test rows; the same in each run."""
    columns = {"text_column": arguments.text_column, "label_column": arguments.label_column}
    test = rows.read(arguments.test, **columns).drawn(arguments.test_rows)
    drawn = rows.different(rows.read(arguments.table, **columns)).without(test).drawn(None)
    wanted = arguments.rows or (arguments.steps * arguments.batch_size if arguments.steps else None)
    share = round((wanted or len(drawn)) / 10)
    held = min(arguments.val_rows or max(1, share), len(drawn) // 2)
    training = drawn.take(range(held, len(drawn) if wanted is None else min(len(drawn), held + wanted)))
    validation = drawn.take(range(held))
    if training.names != sorted(set(test.labels) | set(training.labels)) or len(training.names) < 2:
        raise SystemExit(f"the {len(training):,} rows to train on have the labels {training.names} only. Take more.")
    known = [place for place, label in enumerate(validation.labels) if label in training.names]
    return Data(training=training, validation=validation.take(known), test=test)


def _plan(arguments: argparse.Namespace, base: Path, data: Data) -> Plan:
    from sentiment_batch.model.device import choose_device, choose_training_dtype

    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    device = choose_device(arguments.device).value
    return Plan(
        base=str(base),
        names=tuple(data.training.names),
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate or float(f"{RATE_TIMES_WIDTH / config['dim']:.6g}"),
        weight_decay=arguments.weight_decay,
        warmup=arguments.warmup,
        max_length=min(arguments.max_length, config["max_position_embeddings"]),
        seed=arguments.seeds[0],
        device=device,
        dtype=choose_training_dtype(arguments.dtype, device).value,
        long_text=arguments.long_text,
        reference_long_text=arguments.reference_long_text,
    )


def _lengths(plan: Plan, training: Rows) -> np.ndarray:
    """(n,) tokens of each text after cutting, which do not depend on the end that is kept."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(plan.base, model_max_length=plan.max_length)
    return np.array([len(ids) for ids in tokenizer(training.texts, truncation=True)["input_ids"]])


def _contestants(arguments: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """The contestants, and those that cannot take part with the reason."""
    if arguments.only == "ours":
        return [OURS], {}
    from benchmarks.reference import why_not

    why = why_not()
    names = [REFERENCE] if arguments.only else [OURS, REFERENCE]
    if why and arguments.only:
        raise SystemExit(f"{REFERENCE}: {why}")
    return ([OURS], {REFERENCE: why}) if why else (names, {})


def _tell_plan(plan: Plan, data: Data, lengths: np.ndarray, arguments: argparse.Namespace) -> None:
    kept = {"head": "head", "tail": "tail", "head-tail": "head and tail"}
    cut = f"kept of long texts: ours {kept[plan.long_text]}, reference {kept[plan.reference_long_text]}"
    print(
        f"{len(data.training):,} texts of {lengths.mean():,.0f} tokens, {plan.batch_size} per step, {plan.dtype} on "
        f"{plan.device}; {cut}"
    )
    if not arguments.steps:
        print(
            f"{plan.epochs} epochs, learning rate {plan.learning_rate:.3g}; {len(data.validation):,} rows to validate, "
            f"{len(data.test):,} to test"
        )


def _steps(
    names: list[str], plan: Plan, data: Data, lengths: np.ndarray, scratch: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    """The tokens per second of each in each round."""
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
    _add_ratios(results, names)
    print(f"{arguments.steps} optimizer steps of each in turn, {arguments.rounds} rounds; median (least - greatest)")
    print(f"{'':22} tokens/s                        seconds for {EPOCH:,} such texts   of the peak   ratio")
    for name, one in results.items():
        shares = f"{one['epoch_seconds']:29,.1f}   {one['share_of_peak']['median']:11.1%}   {_ratio_told(one)}"
        print(f"{name:22} {_told(one['tokens_per_second']):30}  {shares}")
    if "processor_ratio" in results[names[-1]]:
        print(f"ratio of the time that the cores were used: {_told(results[names[-1]]['processor_ratio'], 2)}")
    print(f"peak: {peak / 1e12:,.1f} TFLOP/s, measured by one large product in {plan.dtype}")
    return results


def _paces(found: list[tuple[float, int, float]], lengths: np.ndarray, share_per_rate: float) -> dict[str, Any]:
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


def _add_ratios(results: dict[str, Any], names: list[str]) -> None:
    """Our figure divided by theirs, round by round, because a slow moment of the machine then slows both."""
    ours, *others = (results[name]["rates"] for name in names)
    for theirs in others if ours else []:
        results[names[1]]["ratio"] = spread([mine / other for mine, other in zip(ours, theirs, strict=True)])
    used = [one["tokens_per_processor_second"] for one in results.values() if "tokens_per_processor_second" in one]
    if len(used) > 1:  # of steps alone; other programs on the same cores do not count
        results[names[1]]["processor_ratio"] = spread([mine / other for mine, other in zip(*used, strict=True)])


def _full(
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
    _add_ratios(results, names)
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
        rate = _told(one["tokens_per_second"]) if one["tokens_per_second"] else "too few steps"
        by_seed = " ".join(f"{seed['accuracy']:.4f}" for seed in one["seeds"])
        print(
            f"{name:22} {one['accuracy']:8.4f}  {rate:30}  {_ratio_told(one):20}  {one['seconds']['median']:14,.1f}  "
            f"{one['peak_bytes'] / MIB:8,.0f}  {by_seed}"
        )
    if "difference" in results:
        one = results["difference"]
        seeds = "none of one seed" if one["interval"] is None else _between(one["interval"])
        print(
            f"accuracy, ours less theirs: {one['mean']:+.4f}; 95 % over seeds: {seeds}; over test rows: "
            f"{_between(one['interval_over_rows'])}"
        )


def _told(one: dict[str, float], digits: int = 0) -> str:
    return f"{one['median']:,.{digits}f} ({one['least']:,.{digits}f} - {one['greatest']:,.{digits}f})"


def _ratio_told(one: dict[str, Any]) -> str:
    return _told(one["ratio"], 2) if "ratio" in one else ""


def _between(interval: list[float]) -> str:
    return f"{interval[0]:+.4f} to {interval[1]:+.4f}"


if __name__ == "__main__":
    main()
