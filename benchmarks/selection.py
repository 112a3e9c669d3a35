"""Compares `select` with a random choice of rows to label: accuracy by number of labels.

Each seed draws the first rows to label. Then, round by round, a classifier learns from the labelled rows and scores the
others, and more rows are labelled: at random, the most uncertain ones, or those that `select` takes. All ways begin
with the same rows, and the labels are those of the table.

So that this is cheap, the classifier is a logistic regression on vectors of the base, which stay as they are. They are
the vectors by which `select` tells texts apart. They are computed once, and kept in --folder.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import common, intervals, rows
from benchmarks.common import report_progress

if TYPE_CHECKING:
    import numpy.typing as npt

    from benchmarks.rows import Rows

    Floats = npt.NDArray[np.float32]
    Places = npt.NDArray[np.int64]

TASKS = ("imdb", "airline")
FOLDER = Path(".demo") / "selection"
PENALTY = 0.02
"""The inverse strength of the logistic regression's penalty, on vectors that are scaled to unit variance."""
RANDOM, UNCERTAIN, SELECT = "random", "the most uncertain", "select"


def main(argv: list[str] | None = None) -> None:
    """Run all seeds, print one table, write one JSON if asked."""
    arguments = _arguments(argv)
    with common.quietly():
        pool, test = _data(arguments)
        known, unknown = ((_vectors(one, arguments), np.array(one.labels)) for one in (pool, test))
        curves = {way: [_learn(way, known, unknown, seed, arguments) for seed in arguments.seeds] for way in WAYS}
    results = {way: _summarize(curves[way], curves[RANDOM]) for way in WAYS}
    _print(results, arguments)
    about = {"task": arguments.task, "pool": pool.record(), "test": test.record(), "results": results}
    common.save(arguments.json, "cpu", arguments, about)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.selection", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--data", help="folder; default: the variable SENTIMENT_BATCH_DATA")
    parser.add_argument("--pool", type=int, default=10_000, help="rows to choose from (default: %(default)s)")
    parser.add_argument("--test-rows", type=int, default=4_000, help="(default: %(default)s)")
    parser.add_argument("--rows", type=int, default=100, help="to label in each round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=4, help="after the first rows (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(1, 11)))
    parser.add_argument("--base", default="minilm")
    parser.add_argument("--max-length", type=int, default=128, help="tokens of a text (default: %(default)s)")
    parser.add_argument("--folder", default=str(FOLDER), help="for the vectors (default: %(default)s)")
    parser.add_argument("--json", help="write the figures here")
    arguments = parser.parse_args(argv)
    arguments.data = arguments.data or os.environ.get("SENTIMENT_BATCH_DATA")
    if not arguments.data:
        parser.error("name the folder of the data with --data, or in SENTIMENT_BATCH_DATA")
    return arguments


def _data(arguments: argparse.Namespace) -> tuple[Rows, Rows]:
    """The rows to choose from and the rows to test on, which share no text."""
    folder = Path(arguments.data)

    def read(name: str) -> Rows:
        return rows.read(str(folder / name), text_column="text", label_column="label")

    if arguments.task == "airline":
        training, test = rows.split_by_text(read("airline_tweets/all.parquet"), 0.3, 0)
    else:
        training, test = read("imdb/train.parquet"), read("imdb/test.parquet")
    pool = rows.different(training.without(test))
    return pool.drawn(arguments.pool), test.drawn(arguments.test_rows)


def _vectors(table: Rows, arguments: argparse.Namespace) -> Floats:
    """(N, D) the vectors of the rows, from the folder if they are there."""
    name = f"{arguments.base}-{arguments.max_length}-{table.record()['sha256'][:16]}.npy".replace("/", "-")
    path = Path(arguments.folder) / name
    if not path.exists():
        report_progress(f"vectors of {len(table):,} texts")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, _compute_vectors(table.texts, arguments))
    found: Floats = np.load(path)
    return found


def _compute_vectors(texts: Sequence[str], arguments: argparse.Namespace) -> Floats:
    """(N, D) the vectors of a classifier that has not been trained: those of the base."""
    from sentiment_batch import Scorer
    from sentiment_batch.model import hub
    from sentiment_batch.model.classifier import EncoderClassifier, load_base, save_classifier
    from sentiment_batch.selection.vectors import compute_vectors

    encoder, tokenizer = load_base(hub.resolve_model(arguments.base, setting="base"))
    classifier = EncoderClassifier(encoder, 2, dropout=0.0)
    with tempfile.TemporaryDirectory() as folder:
        save_classifier(Path(folder), classifier, tokenizer, ["negative", "positive"], arguments.max_length)
        with Scorer.load(folder, dtype="float32") as scorer:
            return compute_vectors(scorer, texts)


def _learn(
    way: str, pool: tuple[Floats, Any], test: tuple[Floats, Any], seed: int, arguments: argparse.Namespace
) -> list[dict[str, float]]:
    """The figures on the test rows after each round."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    vectors, labels = pool
    chosen = np.random.default_rng(seed).permutation(len(labels))[: arguments.rows]
    curve: list[dict[str, float]] = []
    for number in range(arguments.rounds + 1):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=1_000))
        model.fit(vectors[chosen], labels[chosen])
        found = model.predict(test[0])
        f1 = float(f1_score(test[1], found, average="macro"))
        curve.append({"labels": len(chosen), "accuracy": float((found == test[1]).mean()), "macro_f1": f1})
        rest = np.setdiff1d(np.arange(len(labels)), chosen)
        scores = model.predict_proba(vectors[rest]).max(axis=1)
        more = WAYS[way](vectors[rest], scores, arguments.rows, 1_000 * seed + number)
        chosen = np.concatenate([chosen, rest[more]])
    return curve


def _choose_random(vectors: Floats, scores: Floats, count: int, seed: int) -> Places:
    return np.random.default_rng(seed).permutation(len(scores))[:count]


def _choose_uncertain(vectors: Floats, scores: Floats, count: int, seed: int) -> Places:
    return np.argsort(scores, kind="stable")[:count]


def _choose_as_select(vectors: Floats, scores: Floats, count: int, seed: int) -> Places:
    from sentiment_batch.selection.diversity import choose_diverse
    from sentiment_batch.selection.job import CANDIDATES_PER_ROW

    candidates = _choose_uncertain(vectors, scores, CANDIDATES_PER_ROW * count, seed)
    return candidates[choose_diverse(vectors[candidates], 1 - scores[candidates], count, seed)]


WAYS: dict[str, Callable[[Floats, Floats, int, int], Places]] = {
    RANDOM: _choose_random,
    UNCERTAIN: _choose_uncertain,
    SELECT: _choose_as_select,
}


def _summarize(curves: list[list[dict[str, float]]], random: list[list[dict[str, float]]]) -> list[dict[str, Any]]:
    """After each round: the means over the seeds, and the paired differences to the random choice."""
    found = []
    for of_round, others in zip(zip(*curves, strict=True), zip(*random, strict=True), strict=True):
        entry: dict[str, Any] = {"labels": of_round[0]["labels"]}
        for measure in ("accuracy", "macro_f1"):
            gaps = [one[measure] - other[measure] for one, other in zip(of_round, others, strict=True)]
            entry[measure] = float(np.mean([one[measure] for one in of_round]))
            entry[f"{measure}_gain"] = intervals.over_seeds(gaps)
        found.append(entry)
    return found


def _print(results: dict[str, list[dict[str, Any]]], arguments: argparse.Namespace) -> None:
    print(f"{arguments.task}: means of {len(arguments.seeds)} seeds, and the gain over the random choice (95 %)")
    for measure in ("accuracy", "macro_f1"):
        for way, entries in results.items():
            for entry in entries:
                gain = entry[f"{measure}_gain"]
                ends = "" if gain["interval"] is None else " ({:+.4f} to {:+.4f})".format(*gain["interval"])
                shown = f"{entry[measure]:.4f}  {gain['mean']:+.4f}{ends}"
                print(f"{measure:9} {way:18} {entry['labels']:6,} labels  {shown}")


if __name__ == "__main__":
    main()
