"""Reports as `render_report_page` takes them, out of predictions that are drawn at random but measured truly."""

from __future__ import annotations

from typing import Any

import numpy as np

LONG = (
    "I wanted to love this film and for an hour I did; the harbour at dawn, the brother who says nothing, a score that "
    "knows when to stop. Then the second half arrives and explains everything twice.<br /><br />By the end I was not "
    "angry, just tired & a little sad about what it could have been. "
)
LENGTHS = ["1-32 tokens", "33-64 tokens", "65-128 tokens", "129-256 tokens", "257-512 tokens"]
PRODUCT_LINES = ["toys", "books", "films", "garden"]


def predictions(rows: int, labels: int, seed: int = 0, skill: float = 2.2) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (rows, labels) and true classes (rows,)."""
    draw = np.random.default_rng(seed)
    codes = draw.choice(labels, rows, p=np.arange(labels, 0, -1) / (labels * (labels + 1) / 2))
    logits = draw.normal(size=(rows, labels))
    logits[np.arange(rows), codes] += skill * draw.gamma(2.0, 0.8, rows)
    logits *= 1.5
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True), codes


def evaluation(
    labels: list[str], rows: int = 2_000, seed: int = 0, errors: int = 12, by: bool = False
) -> dict[str, Any]:
    """What an evaluation of such predictions holds."""
    probabilities, codes = predictions(rows, len(labels), seed)
    predicted, top = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right = predicted == codes
    confusion = np.zeros((len(labels), len(labels)), int)
    np.add.at(confusion, (codes, predicted), 1)
    classes = class_figures(labels, confusion)
    bins = reliability(top, right)
    drawn = range(len(labels)) if len(labels) > 2 else [1]
    curves = [curve(labels[k], probabilities[:, k], codes == k) for k in drawn]
    figures = {
        "accuracy": float(right.mean()),
        "macro_f1": float(np.mean([one["f1"] for one in classes])),
        "loss": float(-np.log(probabilities[np.arange(rows), codes]).mean()),
        "roc_auc": float(np.mean([one["area"] for one, _ in curves])),
        "calibration_error": error_of(bins),
    }
    wrong = [
        (row, labels[codes[row]], labels[predicted[row]], float(top[row]))
        for row in np.argsort(-top).tolist()
        if not right[row]
    ]
    return {
        "rows": rows,
        **figures,
        "intervals": {name: [value - 0.012, value + 0.011] for name, value in figures.items()},
        "labels": labels,
        "classes": classes,
        "confusion": confusion.tolist(),
        "reliability": bins,
        "roc": [one for one, _ in curves],
        "precision_recall": [one for _, one in curves],
        "histogram": histogram(top, right),
        "by_length": groups(right, top, LENGTHS, 3),
        "by": {"column": "product_line", "groups": groups(right, top, PRODUCT_LINES, 0)} if by else None,
        "errors": [error(*case, length=case[0] % 7 + 1) for case in wrong[:errors]],
        "likely_wrong_labels": [likely_wrong(*case) for case in wrong[:8]],
    }


def class_figures(labels: list[str], confusion: np.ndarray) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each class, from the rows by true (down) and predicted class (across)."""
    true, taken, held = confusion.sum(axis=1), confusion.sum(axis=0), confusion.diagonal()
    recall, precision = held / np.maximum(true, 1), held / np.maximum(taken, 1)
    f1 = 2 * held / np.maximum(true + taken, 1)
    return [
        {
            "label": label,
            "precision": float(precision[k]),
            "recall": float(recall[k]),
            "f1": float(f1[k]),
            "rows": int(true[k]),
        }
        for k, label in enumerate(labels)
    ]


def histogram(top: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Right and wrong rows by their top probability."""
    edges = np.linspace(0, 1, 21)
    correct, wrong = (np.histogram(top[which], edges)[0].tolist() for which in (right, ~right))
    return {"edges": edges.tolist(), "correct": correct, "wrong": wrong}


def likely_wrong(row: int, label: str, suggested: str, score: float) -> dict[str, Any]:
    """One label that is likely wrong."""
    return {"row": row, "text": LONG, "label": label, "suggested": suggested, "score": score}


def error(row: int, label: str, predicted: str, score: float, length: int) -> dict[str, Any]:
    """One error whose words have weights."""
    words = [word for _ in range(length) for word in LONG.split(" ")]
    weights = np.random.default_rng(row).normal(scale=0.25, size=len(words)).clip(-1, 1)
    pieces = [[word + " ", round(float(weight), 4)] for word, weight in zip(words, weights, strict=True)]
    pieces[-20:] = [["".join(word for word, _ in pieces[-20:]), None]]
    return {
        "row": row,
        "text": "".join(word for word, _ in pieces),
        "label": label,
        "predicted": predicted,
        "score": score,
        "words": pieces,
    }


def reliability(top: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """Bins with rows, of 15."""
    place = np.minimum((top * 15).astype(int), 14)
    return [
        {
            "low": k / 15,
            "high": (k + 1) / 15,
            "rows": int((place == k).sum()),
            "confidence": float(top[place == k].mean()),
            "accuracy": float(right[place == k].mean()),
        }
        for k in np.unique(place).tolist()
    ]


def error_of(bins: list[dict[str, Any]]) -> float:
    """The expected calibration error of the bins."""
    return sum(abs(one["confidence"] - one["accuracy"]) * one["rows"] for one in bins) / sum(
        one["rows"] for one in bins
    )


def curve(label: str, scores: np.ndarray, true: np.ndarray) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ROC and the precision-recall curve of a label, 200 points each."""
    ordered = true[np.argsort(-scores)]
    hits, misses = np.cumsum(ordered), np.cumsum(~ordered)
    found, false = hits / max(1, hits[-1]), misses / max(1, misses[-1])
    precision = hits / (hits + misses)
    some = np.unique(np.linspace(0, len(true) - 1, 199).astype(int))
    roc = {"x": [0.0, *false[some].tolist()], "y": [0.0, *found[some].tolist()], "area": float(found[~ordered].mean())}
    area = float(precision[ordered].mean()) if ordered.any() else 0.0
    recall = {"x": found[some].tolist(), "y": precision[some].tolist(), "area": area}
    return {"label": label, **roc}, {"label": label, **recall}


def groups(right: np.ndarray, top: np.ndarray, names: list[str], cut: int) -> list[dict[str, Any]]:
    """The rows in as many parts as there are names; the last part is worse than the others."""
    parts = np.array_split(np.argsort(np.random.default_rng(1).normal(size=len(right)) - right * 0.1), len(names))
    found = []
    for place, (name, part) in enumerate(zip(names, parts, strict=True)):
        value = float(right[part].mean()) - 0.08 * (place == len(names) - 1)
        wide = 1.96 * (value * (1 - value) / len(part)) ** 0.5
        found.append(
            {
                "group": name,
                "rows": len(part),
                "accuracy": value,
                "interval": [value - wide, min(1.0, value + wide)],
                "macro_f1": value - 0.01,
                "calibration_error": 0.02,
                **({"cut": cut * place} if cut else {}),
            }
        )
    return found


def history(validations: int = 12, steps: int = 60) -> list[dict[str, Any]]:
    """The validations of a run that fits its training rows too well in the end."""
    entries: list[dict[str, Any]] = []
    for place in range(1, validations + 1):
        done = place / validations
        loss = 0.62 - 0.75 * done + 0.55 * done**2 + 0.004 * (place % 3)
        entries.append(
            {
                "epoch": round(3 * done, 4),
                "step": place * steps,
                "training_loss": 0.66 - 0.5 * done,
                "validation_loss": loss,
                "accuracy": 0.7 + 0.25 * done - 0.07 * done**2,
                "macro_f1": 0.66 + 0.28 * done - 0.07 * done**2,
                "learning_rate": 1e-4 * (1 - done),
                "seconds": 31.5 * place,
                "best": all(loss < before["validation_loss"] for before in entries),
            }
        )
    return entries


def data(labels: list[str]) -> dict[str, Any]:
    """A data check with something to say."""
    edges = list(range(0, 1_025, 64))
    held = [410, 1_220, 1_890, 1_640, 1_130, 760, 520, 350, 240, 160, 110, 75, 50, 35, 20, 12]
    return {
        "sources": ["reviews.parquet"],
        "training_rows": 8_100,
        "validation_rows": 900,
        "classes": {label: 8_100 // len(labels) - 4 * place for place, label in enumerate(labels)},
        "mapping": "0 -> negative, 1 -> positive",
        "blank": 3,
        "label_missing": 12,
        "label_unknown": {"meh": 4},
        "repeated": 31,
        "conflicting": 2,
        "overlap_with_validation": 0,
        "overlap_with_test": 17,
        "fingerprint": "9f2c41d0a77b",
        "lengths": {
            "mean": 236.4,
            "median": 181.0,
            "p95": 611.0,
            "longest": 2_310,
            "max_length": 512,
            "cut": 702,
            "cut_share": 0.0814,
            "tokens_lost_share": 0.061,
            "histogram": {"edges": edges, "rows": held},
        },
        "groups": {"column": "film", "groups": 212, "rows_without": None, "shared": {"test": 17}},
        "overlaps": [{"of": "test.parquet", "with": "the training rows", "rows": 17, "other_label": 2, "nearly": 5}],
        "findings": [
            {
                "level": "note",
                "text": "31 texts stand in the table more than once; each is on one side of the split only.",
            },
            {
                "level": "warning",
                "text": "17 test rows have a text that is trained on: the test figures flatter the model.",
            },
        ],
    }


def report(labels: list[str] | None = None, **changes: Any) -> dict[str, Any]:
    """A whole report as training gives it."""
    labels = labels or ["negative", "positive"]
    now, test = evaluation(labels, 900, seed=1, errors=8), evaluation(labels, 2_400, seed=2, errors=20, by=True)
    probabilities, codes = predictions(2_400, len(labels), seed=2)
    sharp = probabilities**1.8 / (probabilities**1.8).sum(axis=1, keepdims=True)
    top, right = sharp.max(axis=1), sharp.argmax(axis=1) == codes
    bins = reliability(top, right)
    return {
        "title": "Reviews of films: how good is the model?",
        "model": "models/films",
        "version": "0.1.0",
        "labels": labels,
        "evaluations": [
            {"name": "validation", "evaluation": now, "before_calibration": None},
            {
                "name": "test",
                "evaluation": test,
                "before_calibration": {"calibration_error": error_of(bins), "reliability": bins},
            },
        ],
        "history": history(),
        "data": data(labels),
        "settings": {
            "seed": 7,
            "batch_size": 16,
            "learning_rate": 1e-4,
            "class_weights": None,
            "epochs": 3.0,
            "long_text": "head-tail",
        },
        "temperature": 1.3127,
        "base": "distilbert/distilbert-base-uncased",
        "device": "cpu",
        "dtype": "bfloat16",
        **changes,
    }
