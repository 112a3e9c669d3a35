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
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import common, models, rows
from benchmarks.contestants import OURS, REFERENCE, Data, Plan
from benchmarks.train_runs import measure_runs
from benchmarks.train_steps import measure_steps

if TYPE_CHECKING:
    from benchmarks.rows import Rows

HOLDOUT = "sample_data/holdout.csv"


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
        measured = measure_steps if arguments.steps else measure_runs
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
    parser.add_argument(
        "--learning-rate", type=float, help="peak; default: that of `train` for the width of the encoder"
    )
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
    from sentiment_batch.training.components import RATE_TIMES_WIDTH

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


if __name__ == "__main__":
    main()
