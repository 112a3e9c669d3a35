"""Trains on well-known corpora by the public API, as a user would, and measures the models on the official test rows.

- imdb: its 25,000 train and 25,000 test reviews. All reviews of one film are on one side of the validation split.
- sst2: the phrases of GLUE, measured on its dev sentences.
- airline: tweets in three classes. A seeded hash of the text holds back a fifth for the test.

Train and test share no text. The folder of the data has imdb/, sst2_glue/ and airline_tweets/.

--rows draws that many training rows anew for each seed. --vary compares settings on the same rows and seeds, in turn;
the differences are to the first setting. --floor adds a logistic regression on the TF-IDF of words and pairs of words,
on the same rows. --unlabelled draws further rows, whose labels are not used.

Runs are long, so the figures are written after each. A run whose figures are in the --json file is not run again. An
interrupted run is resumed.

The columns: the calibration error is that of the top probability, in 15 bins, on test, also with the temperature undone
("before"). Minutes are those of the whole call of train(), for an interrupted run those of its loop alone. Tokens per
second are the tokens of all epochs divided by the seconds of the loop, validation included.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import common, intervals, rows
from benchmarks.common import report_progress
from benchmarks.settings_grid import name_setting, read_grid

if TYPE_CHECKING:
    import numpy.typing as npt

    from benchmarks.rows import Rows
    from sentiment_batch.training.result import Trained

TASKS = ("imdb", "sst2", "airline")
FOLDER = Path(".demo") / "accuracy"
FLOOR = "TF-IDF and logistic regression"
ROUNDED = 0.1
"""What the seconds of a history are rounded to."""
MEASURES = ("accuracy", "macro_f1", "calibration_error", "calibration_error_before", "minutes", "tokens_per_second")


def main(argv: list[str] | None = None) -> None:
    """Run what is missing and print one table; write one JSON if asked."""
    arguments = _arguments(argv)
    with common.quietly():
        training, test = _data(arguments)
        identity = _identity(arguments, training, test)
        results = _kept(arguments.json, identity)
        device = _device(arguments)

        def keep(found: dict[str, Any]) -> None:
            results.append(found)
            common.save(arguments.json, device, arguments, identity | {"results": results})

        for seed, setting in itertools.product(arguments.seeds, arguments.grid):
            if _found(results, setting, seed) is None:
                report_progress(f"seed {seed}: {name_setting(setting)}")
                keep(_run(training, test, setting, seed, arguments))
        for seed in arguments.seeds if arguments.floor else []:
            if _found(results, FLOOR, seed) is None:
                keep(_floor(training.drawn(arguments.rows, seed), test, seed))
    _print(results, training, test, arguments)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--data", help="folder; default: the variable SENTIMENT_BATCH_DATA")
    parser.add_argument("--rows", type=int, help="to train and validate on, drawn with the seed; default: all")
    parser.add_argument("--unlabelled", type=int, metavar="N", help="further rows of which only the texts are given")
    parser.add_argument("--test-rows", type=int, help="drawn; default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--base", default="minilm")
    parser.add_argument("--epochs", type=int, help="default: what train() chooses")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of all runs")
    parser.add_argument("--vary", action="append", default=[], metavar="NAME=A,B", help="a setting to try values of")
    parser.add_argument("--floor", action="store_true", help=f"add {FLOOR}")
    parser.add_argument("--split-seed", type=int, default=0, help="of the airline tweets' fifth (default: 0)")
    parser.add_argument("--folder", default=str(FOLDER), help="for the models (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the models there; else they are deleted")
    parser.add_argument("--json", help="write the figures here; runs whose figures it has already are skipped")
    arguments = parser.parse_args(argv)
    arguments.data = arguments.data or os.environ.get("SENTIMENT_BATCH_DATA")
    if not arguments.data:
        parser.error("name the folder of the data with --data, or in SENTIMENT_BATCH_DATA")
    if arguments.unlabelled and not arguments.rows:
        parser.error("--unlabelled needs --rows, the number of labelled rows")
    try:
        arguments.grid = read_grid(arguments.set, arguments.vary)
    except ValueError as error:
        parser.error(str(error))
    return arguments


def _data(arguments: argparse.Namespace) -> tuple[Rows, Rows]:
    """The rows to train on and the rows to test on, which share no text."""
    folder = Path(arguments.data)
    columns = {"text_column": "text", "label_column": "label"}

    def read(name: str, **further: str) -> Rows:
        path = folder / name
        if not path.exists():
            raise SystemExit(f"{path} is not there. Name the folder that has {name} with --data.")
        return rows.read(str(path), **columns, **further)

    if arguments.task == "airline":
        training, test = rows.split_by_text(read("airline_tweets/all.parquet"), 0.2, arguments.split_seed)
    elif arguments.task == "sst2":
        training, test = read("sst2_glue/train.parquet"), read("sst2_glue/dev.parquet")
    else:
        training, test = read("imdb/train.parquet", group_column="title_id"), read("imdb/test.parquet")
    return training.without(test), test.drawn(arguments.test_rows)


def _identity(arguments: argparse.Namespace, training: Rows, test: Rows) -> dict[str, Any]:
    """What all figures of one file have in common. Files without unlabelled rows do not name them."""
    unlabelled = {"unlabelled": arguments.unlabelled} if arguments.unlabelled else {}
    return unlabelled | {
        "task": arguments.task,
        "rows": arguments.rows,
        "base": common.without_folders(arguments.base),
        "epochs": arguments.epochs,
        "training": common.without_folders(training.record()),
        "test": common.without_folders(test.record()),
    }


def _kept(path: str | None, identity: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs whose figures are in the file already."""
    if path is None or not Path(path).exists():
        return []
    figures = json.loads(Path(path).read_text(encoding="utf-8"))
    others = [name for name, value in identity.items() if figures.get(name) != value]
    if others:
        raise SystemExit(f"{path} holds figures of another {' and '.join(others)}. Name another file with --json.")
    found: list[dict[str, Any]] = figures["results"]
    return found


def _found(results: list[dict[str, Any]], setting: Any, seed: int) -> dict[str, Any] | None:
    return next((one for one in results if one["setting"] == setting and one["seed"] == seed), None)


def _device(arguments: argparse.Namespace) -> str:
    from sentiment_batch.model.device import choose_device

    return choose_device(arguments.device).value


def _run(
    training: Rows, test: Rows, setting: dict[str, Any], seed: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Train one model on rows drawn with the seed, measure it, and delete it unless the user wants to keep it."""
    from sentiment_batch.evaluation.metrics import calibration_error

    training, unlabelled = _draw(training, seed, arguments)
    name = f"{arguments.task}-{arguments.rows or 'all'}-{name_setting(setting).replace(' ', '-')}-{seed}"
    folder = Path(arguments.folder) / name
    trained, seconds = _trained(training, unlabelled, folder, setting, seed, arguments)
    scores = rows.predicted(str(folder), test, trained.labels, device=arguments.device)
    truth = test.codes(trained.labels)
    temperature = trained.calibration.temperature if trained.calibration else 1.0
    meta = json.loads((folder / "sentiment_batch.json").read_text(encoding="utf-8"))
    tokens = _tokens(folder, training) / len(training) * meta["data"]["training_rows"] * trained.history[-1].epoch
    if not arguments.keep:
        shutil.rmtree(folder)
    return {
        "setting": setting,
        "seed": seed,
        **_measured(scores, truth),
        "calibration_error_before": calibration_error(_heated(scores, temperature), truth),
        "temperature": temperature,
        "minutes": seconds / 60,
        "tokens_per_second": tokens / max(ROUNDED / 2, trained.history[-1].seconds),
        "history": [dataclasses.asdict(one) for one in trained.history],
        "settings": meta["settings"],
        "data": meta["data"],
    } | ({"self_training": meta["self_training"]} if meta.get("self_training") else {})


def _draw(training: Rows, seed: int, arguments: argparse.Namespace) -> tuple[Rows, list[str] | None]:
    """The labelled rows of a seed, and the texts of the unlabelled ones; these are None if there are none."""
    if not arguments.unlabelled:
        return training.drawn(arguments.rows, seed), None
    drawn = training.drawn(arguments.rows + arguments.unlabelled, seed)
    return drawn.take(range(arguments.rows)), drawn.texts[arguments.rows :]


def _trained(
    training: Rows,
    unlabelled: list[str] | None,
    folder: Path,
    setting: dict[str, Any],
    seed: int,
    arguments: argparse.Namespace,
) -> tuple[Trained, float]:
    """The result of training, and its seconds; an interrupted run is resumed."""
    from sentiment_batch import train

    begun = folder.exists() or folder.with_name(folder.name + ".training").exists()
    started = time.perf_counter()
    trained = train(
        training.frame(),
        folder,
        text_column="text",
        label_column="label",
        group_column=None if training.groups is None else "group",
        base=arguments.base,
        epochs=arguments.epochs,
        device=arguments.device,
        seed=seed,
        unlabelled=unlabelled,
        resume=True,
        quiet=True,
        **setting,
    )
    return trained, trained.history[-1].seconds if begun else time.perf_counter() - started


def _tokens(folder: Path, training: Rows) -> int:
    """The tokens of all rows, cut as the model cuts them."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    return sum(map(len, tokenizer(training.texts, truncation=True)["input_ids"]))


def _heated(scores: npt.NDArray[np.float32], temperature: float) -> npt.NDArray[np.float64]:
    """The probabilities (n, K) before their logits were divided by the temperature."""
    logits = np.log(np.maximum(scores, np.finfo(np.float32).tiny).astype(np.float64)) * temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return found


def _measured(scores: npt.NDArray[np.floating[Any]], truth: npt.NDArray[np.int64]) -> dict[str, float]:
    from sklearn.metrics import f1_score

    from sentiment_batch.evaluation.metrics import calibration_error

    best = scores.argmax(axis=1)
    return {
        "accuracy": float((best == truth).mean()),
        "macro_f1": float(f1_score(truth, best, average="macro")),
        "calibration_error": calibration_error(scores, truth),
    }


def _floor(training: Rows, test: Rows, seed: int) -> dict[str, Any]:
    """The figures of a bag of words on the same rows."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    report_progress(f"seed {seed}: {FLOOR}")
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    bag = make_pipeline(words, LogisticRegression(C=10.0, max_iter=1_000))
    started = time.perf_counter()
    bag.fit(training.texts, training.labels)
    minutes = (time.perf_counter() - started) / 60
    measured = _measured(bag.predict_proba(test.texts), test.codes(list(bag.classes_)))
    return {"setting": FLOOR, "seed": seed, **measured, "minutes": minutes}


def _print(results: list[dict[str, Any]], training: Rows, test: Rows, arguments: argparse.Namespace) -> None:
    """Print a line for each setting: means over its seeds, the accuracies, and the paired difference to the first."""
    drawn = len(training) if arguments.rows is None else min(arguments.rows, len(training))
    epochs = "epochs as chosen by default" if arguments.epochs is None else f"{arguments.epochs} epochs"
    print(f"{arguments.task}: {drawn:,} rows to train and validate on, {len(test):,} to test; {epochs}")
    settings = [*arguments.grid, *([FLOOR] if arguments.floor else [])]
    width = max(len(name_setting(one)) for one in settings)
    heads = ("accuracy", "macro F1", "cal. error", "before", "minutes", "tokens/s")
    print(f"{'':{width}}  {'  '.join(f'{head:>10}' for head in heads)}  accuracy by seed; difference to the first")
    for setting in settings:
        found = [one for seed in arguments.seeds if (one := _found(results, setting, seed))]
        cells = [_cell(name, [one[name] for one in found if name in one]) for name in MEASURES]
        by_seed = " ".join(f"{one['accuracy']:.4f}" for one in found)
        compared = "" if setting is settings[0] else f"; {_difference(results, settings[0], setting, arguments.seeds)}"
        print(f"{name_setting(setting):{width}}  {'  '.join(cells)}  {by_seed}{compared}")


def _cell(name: str, values: list[float]) -> str:
    if not values:
        return f"{'-':>10}"
    mean = statistics.mean(values)
    return f"{mean:10,.1f}" if name == "minutes" else f"{mean:10,.0f}" if name.startswith("tokens") else f"{mean:10.4f}"


def _difference(results: list[dict[str, Any]], first: Any, second: Any, seeds: Sequence[int]) -> str:
    pairs = [(_found(results, first, seed), _found(results, second, seed)) for seed in seeds]
    gaps = [other["accuracy"] - one["accuracy"] for one, other in pairs if one and other]
    found = intervals.over_seeds(gaps)
    low_high = "" if found["interval"] is None else " ({:+.4f} to {:+.4f})".format(*found["interval"])
    return f"{found['mean']:+.4f}{low_high}"


if __name__ == "__main__":
    main()
