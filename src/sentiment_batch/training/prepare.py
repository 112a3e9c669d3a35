"""Makes labelled reviews ready to train on: labels mapped, rows checked, counted and divided; no torch, no files."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.errors import InputError, listed
from sentiment_batch.inputs import Labelled, fingerprint
from sentiment_batch.label_inference import for_file, infer
from sentiment_batch.training.split import assign

if TYPE_CHECKING:
    from sentiment_batch.labels import Encoded, LabelMapping
    from sentiment_batch.settings import TrainSettings

logger = logging.getLogger("sentiment_batch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Labelled texts whose classes are known."""

    texts: list[str]
    codes: npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """The data of a run after all checks."""

    mapping: LabelMapping
    training: Rows
    validation: Rows
    test: Rows | None
    summary: dict[str, Any]
    """Counts for sentiment_batch.json."""


def prepare(
    reviews: Sequence[Labelled],
    settings: TrainSettings,
    *,
    val: Labelled | None = None,
    test: Labelled | None = None,
    stars: str | None = None,
) -> Prepared:
    """Map labels, count what is odd, and divide the rows; says what it found.

    Raises:
        InputError: there is nothing to learn from.
    """
    pooled = [(text, label) for one in reviews for text, label in zip(one.texts, one.labels, strict=True)]
    groups = _groups(reviews)
    if not pooled:
        raise InputError(f"{listed(one.name for one in reviews)}: no row holds a text. Check --text-column.")
    mapping = infer([label for _, label in pooled], reviews[0].label_column, stars)
    encoded = mapping.encode(label for _, label in pooled)
    # Sorted, so that no later step can depend on the order of the input's rows.
    usable = sorted(
        np.flatnonzero(encoded.codes >= 0).tolist(),
        key=lambda row: (pooled[row][0], encoded.codes[row], str(groups[row]) if groups else ""),
    )
    usable = _sample(usable, [text for text, _ in pooled], settings)
    texts, codes = [pooled[row][0] for row in usable], encoded.codes[usable]
    _check_classes(codes, mapping, encoded, sampled=len(usable) < int((encoded.codes >= 0).sum()))
    keys = [fingerprint(text, settings.seed) for text in texts]
    split = assign(keys, codes, [groups[row] for row in usable] if groups else None, 0.0 if val else settings.val_size)
    training = Rows(texts=[texts[row] for row in split.training], codes=codes[split.training])
    validation = (
        _rows_of(val, mapping, stars)
        if val
        else Rows(texts=[texts[row] for row in split.validation], codes=codes[split.validation])
    )
    tested = _rows_of(test, mapping, stars) if test else None
    mapping, training, validation, tested = _without_empty_classes(mapping, training, validation, tested)
    if len(mapping.labels) < 2 or not len(validation.codes):
        raise _too_few("texts or groups" if groups else "texts", len(split.conflicting))
    summary = {
        "sources": [one.name for one in reviews],
        "training_rows": len(training.codes),
        "validation_rows": len(validation.codes),
        "classes": {label: int((training.codes == k).sum()) for k, label in enumerate(mapping.labels)},
        "mapping": str(mapping),
        "blank": sum(one.num_blank for one in reviews),
        "label_missing": encoded.num_missing,
        "label_unknown": encoded.unknown,
        "repeated": len(keys) - len(set(keys)),
        "conflicting": len(split.conflicting),
        "overlap_with_validation": _overlap(training, validation) if val else 0,
        "overlap_with_test": _overlap(training, tested) if tested else 0,
        "fingerprint": _data_fingerprint(training),
    }
    _tell_data(summary)
    _tell_conflicts([texts[row] for row in split.conflicting])
    return Prepared(mapping=mapping, training=training, validation=validation, test=tested, summary=summary)


def _too_few(what: str, conflicting: int) -> InputError:
    odd = f" ({conflicting:,} rows have a text with several labels)" if conflicting else ""
    return InputError(
        f"too few different {what} to hold some back for validation{odd}. Give more rows, or a --val-file."
    )


def _groups(reviews: Sequence[Labelled]) -> list[object] | None:
    if all(one.groups is None for one in reviews):
        return None
    return [group for one in reviews for group in (one.groups or [None] * len(one.texts))]


def _sample(usable: list[int], texts: list[str], settings: TrainSettings) -> list[int]:
    """The rows of `--limit`: those of the lowest seeded hash, so that an ordered file gives a mixed sample."""
    if settings.limit is None or settings.limit >= len(usable):
        return usable
    return sorted(usable, key=lambda row: fingerprint(texts[row], settings.seed + 1))[: settings.limit]


def _check_classes(codes: npt.NDArray[np.int64], mapping: LabelMapping, encoded: Encoded, *, sampled: bool) -> None:
    if all(re.fullmatch(r"LABEL_\d+", label) for label in mapping.labels):  # no model is loaded that calls them so
        raise InputError(
            f"the labels {listed(mapping.labels)} say nothing. Give them names in the table, and train then."
        )
    present = [mapping.labels[code] for code in np.unique(codes)]
    if len(present) < 2:
        what = f"only {present[0]!r}" if present else "no label that is known"
        rare = f", beside {listed(encoded.unknown, 5)}, which is unknown or too rare" if encoded.unknown else ""
        cure = "Raise --limit." if sampled else "Check --label-column and --stars, or give more rows."
        raise InputError(f"the labels hold {what} (read as {mapping}){rare}; a classifier needs two. {cure}")


def _rows_of(file: Labelled, mapping: LabelMapping, stars: str | None) -> Rows:
    """The rows of a validation or test file, under the mapping of the training file."""
    try:
        own = for_file(mapping, mapping.labels, file.labels, file.label_column, stars)
    except InputError as error:
        raise InputError(f"{file.name}: {error}") from error
    encoded = own.encode(file.labels)
    left_out = int((encoded.codes < 0).sum())
    if left_out:
        unknown = f"; unknown: {listed(encoded.unknown, 5)}" if encoded.unknown else ""
        logger.info("%s: %s rows without a known label are left out%s", file.name, f"{left_out:,}", unknown)
    rows = np.flatnonzero(encoded.codes >= 0)
    if not len(rows):
        raise InputError(f"{file.name} holds no row with a text and a known label. Check its --label-column.")
    return Rows(texts=[file.texts[row] for row in rows], codes=encoded.codes[rows])


def _without_empty_classes(
    mapping: LabelMapping, training: Rows, validation: Rows, test: Rows | None
) -> tuple[LabelMapping, Rows, Rows, Rows | None]:
    """Drop classes that no training row has, such as the neutral of a scale that nobody used."""
    present = np.unique(training.codes)
    if len(present) == len(mapping.labels):
        return mapping, training, validation, test
    names = [mapping.labels[code] for code in present]
    logger.info("no training row is %s, so the model will not know it", listed(set(mapping.labels) - set(names)))
    new_codes = np.full(len(mapping.labels), -1, dtype=np.int64)
    new_codes[present] = np.arange(len(present))

    def renumbered(rows: Rows) -> Rows:
        codes = new_codes[rows.codes]
        return Rows(
            texts=[text for text, code in zip(rows.texts, codes, strict=True) if code >= 0], codes=codes[codes >= 0]
        )

    kept = dataclasses.replace(
        mapping,
        labels=tuple(names),
        values={value: label for value, label in mapping.values.items() if label in names},
        stars=tuple(span for span in mapping.stars if span.label in names),
    )
    return kept, renumbered(training), renumbered(validation), renumbered(test) if test else None


def _overlap(training: Rows, other: Rows) -> int:
    """Rows of `other` whose text is also trained on."""
    known = {fingerprint(text) for text in training.texts}
    return sum(fingerprint(text) in known for text in other.texts)


def _data_fingerprint(rows: Rows) -> str:
    """A digest of the training rows that does not depend on their order."""
    parts = sorted(fingerprint(text) + bytes([code % 256]) for text, code in zip(rows.texts, rows.codes, strict=True))
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _tell_data(summary: dict[str, Any]) -> None:
    logger.info("labels: %s", summary["mapping"])
    shares = ", ".join(f"{count:,} {label}" for label, count in summary["classes"].items())
    logger.info(
        "rows: %s to train on (%s), %s to validate",
        f"{summary['training_rows']:,}",
        shares,
        f"{summary['validation_rows']:,}",
    )
    if summary["label_unknown"]:
        named = ", ".join(f"{value!r} ({count:,})" for value, count in list(summary["label_unknown"].items())[:5])
        logger.info(
            "left out: %s rows whose label is unknown: %s", f"{sum(summary['label_unknown'].values()):,}", named
        )
    for key, what in (
        ("label_missing", "left out: {:,} rows without a label"),
        ("blank", "left out: {:,} rows without a text"),
        ("repeated", "{:,} rows repeat another's text; they stay on its side of the split"),
        ("conflicting", "{:,} rows hold a text that also stands there with another label; they do not validate"),
    ):
        if summary[key]:
            logger.info("%s", what.format(summary[key]))
    for what in ("validation", "test"):
        if overlap := summary[f"overlap_with_{what}"]:
            logger.warning("%s %s rows hold a text that is also trained on", f"{overlap:,}", what)


def _tell_conflicts(texts: list[str]) -> None:
    """Say some of the texts with several labels; they are not stored, for a model folder may be published."""
    if texts:
        examples = list(dict.fromkeys(_shortened(text) for text in texts))[:3]
        logger.info("texts with several labels, such as %s", ", ".join(repr(text) for text in examples))


def _shortened(text: str, most: int = 60) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= most else plain[: most - 3] + "..."
