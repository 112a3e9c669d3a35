"""Makes labelled reviews ready to train on: labels mapped, rows checked, counted and divided; no torch, no files."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.data.labelled_rows import Labelled, fingerprint
from sentiment_batch.errors import InputError, listed
from sentiment_batch.labels.inference import cuts_of, infer_together, numbers_in
from sentiment_batch.labels.matching import for_file
from sentiment_batch.training.data_check import check
from sentiment_batch.training.data_check.findings import are
from sentiment_batch.training.dataset import Coded, Divided, Numbering, groups_of
from sentiment_batch.training.split import assign

if TYPE_CHECKING:
    from sentiment_batch.labels.mapping import Encoded, LabelMapping
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
    """The data check, for sentiment_batch.json."""


def prepare(
    reviews: Sequence[Labelled],
    settings: TrainSettings,
    *,
    val: Labelled | None = None,
    test: Labelled | None = None,
    stars: str | None = None,
) -> Prepared:
    """Map labels, divide the rows, and check them; says what it found.

    Raises:
        InputError: there is nothing to learn from.
    """
    labels = [label for one in reviews for label in one.labels]
    if not labels:
        raise InputError(f"{listed(one.name for one in reviews)}: no row holds a text. Check --text-column.")
    mapping = infer_together([(one.name, one.labels, one.label_column) for one in reviews], stars)
    encoded = mapping.encode(labels)
    numbering = Numbering(settings.seed)
    pool = _pool(reviews, mapping, encoded, settings, numbering)
    share = 0.0 if val else settings.val_size
    split = assign(numbering.seeded(pool), pool.codes, pool.groups, share, pool.near.tolist())

    def held(file: Labelled) -> Coded:
        same = file.label_column in {one.label_column for one in reviews}
        return _rows_of(file, mapping, stars, numbering, same_column=same)

    found = Divided(
        labels=mapping.labels,
        tables=[one.name for one in reviews],
        pool=pool,
        training=pool.take(split.training),
        validation=held(val) if val else pool.take(split.validation),
        test=held(test) if test else None,
        validation_file=val.name if val else None,
        test_file=test.name if test else None,
        group_column=next((one.group_column or "group" for one in reviews if one.groups is not None), None),
    )
    if len(split.between):
        logger.info(
            "%s rows hold a text that stands in several groups of %r; where it is held back it does not validate",
            f"{len(split.between):,}",
            found.group_column,
        )
    conflicting = pool.take(split.conflicting)
    examples = _examples(conflicting, mapping.labels)
    mapping, found = _without_empty_classes(mapping, found)
    if len(mapping.labels) < 2 or not len(found.validation):
        raise _too_few(found, len(conflicting))
    counts = _counts(reviews, mapping, encoded) | _sizes(found, numbering) | {"conflicting": len(conflicting)}
    summary = check.check(found, counts, weighted=settings.class_weights != "none")
    check.tell(summary, examples)
    return Prepared(
        mapping=mapping,
        training=_plain(found.training),
        validation=_plain(found.validation),
        test=None if found.test is None else _plain(found.test),
        summary=summary,
    )


def _counts(reviews: Sequence[Labelled], mapping: LabelMapping, encoded: Encoded) -> dict[str, Any]:
    return {
        "sources": [one.name for one in reviews],
        "rows": sum(len(one.texts) + one.num_blank for one in reviews),
        "mapping": str(mapping),
        "blank": sum(one.num_blank for one in reviews),
        "label_missing": encoded.num_missing,
        "label_missing_written": encoded.named_missing,
        "label_unknown": encoded.named_unknown,
        "label_unknown_rows": encoded.num_unknown,
    }


def _sizes(found: Divided, numbering: Numbering) -> dict[str, Any]:
    training = found.training
    return {
        "training_rows": len(training),
        "validation_rows": len(found.validation),
        "classes": {label: int((training.codes == code).sum()) for code, label in enumerate(found.labels)},
        "fingerprint": _data_fingerprint(numbering.fingerprints(training), training.codes),
    }


def _plain(rows: Coded) -> Rows:
    return Rows(texts=rows.texts, codes=rows.codes)


def _too_few(found: Divided, conflicting: int) -> InputError:
    odd = f" ({conflicting:,} rows have a text with several labels)" if conflicting else ""
    what, cure = "texts", "Give more rows"
    if found.group_column and found.pool.groups:
        groups = len({group for group in found.pool.groups if group is not None})
        odd = f": {found.group_column!r} makes {groups:,} {are(groups, 'group', 'groups')} of {len(found.pool):,} rows"
        what, cure = "groups", "Leave --group-column out, name another"
    return InputError(f"too few different {what} to hold some back for validation{odd}. {cure}, or give a --val-file.")


def _pool(
    reviews: Sequence[Labelled], mapping: LabelMapping, encoded: Encoded, settings: TrainSettings, numbering: Numbering
) -> Coded:
    """The rows with a class, or the sample of `--limit`; sorted, so that no later step depends on their order."""
    texts = [text for one in reviews for text in one.texts]
    groups = groups_of(reviews)
    labelled = sorted(
        np.flatnonzero(encoded.codes >= 0).tolist(),
        key=lambda row: (texts[row], encoded.codes[row], str(groups[row]) if groups else ""),
    )
    usable = _sample(labelled, texts, settings)
    _check_classes(encoded.codes[usable], mapping, encoded, sampled=len(usable) < len(labelled))
    pool = numbering.coded(reviews, encoded.codes, usable)
    _check_texts(pool)
    return pool


def _sample(usable: list[int], texts: list[str], settings: TrainSettings) -> list[int]:
    """The rows of `--limit`: those of the lowest seeded hash, so that an ordered file gives a mixed sample.

    Each row of a text that repeats has a hash of its own.
    """
    if settings.limit is None or settings.limit >= len(usable):
        return usable
    before: collections.Counter[str] = collections.Counter()
    drawn: dict[int, bytes] = {}
    for row in usable:
        place = before[texts[row]]
        drawn[row] = fingerprint(f"{texts[row]}\0{place}" if place else texts[row], settings.seed + 1)
        before[texts[row]] += 1
    return sorted(usable, key=drawn.__getitem__)[: settings.limit]


def _check_texts(pool: Coded) -> None:
    """Refuse rows whose texts cannot tell one class from another."""
    if len(np.unique(pool.equal)) == 1:
        raise InputError(f"all {len(pool):,} rows hold the same text. Name the column of the reviews: --text-column.")
    classes = int(pool.codes.max()) + 1
    texts, counts = np.unique(np.unique(pool.equal * classes + pool.codes) // classes, return_counts=True)
    if len(np.unique(pool.codes)) > 1 and (counts > 1).all():
        raise InputError(
            f"each of the {len(texts):,} different texts stands there with several labels, and none says which is "
            "right. Check --text-column and --label-column, or mend the labels."
        )


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
        if mapping.kind == "stars" and not sampled and (numbers := numbers_in(encoded.unknown)):
            cuts = cuts_of(numbers | {1.0})
            cure = f"Check --label-column, or say what the numbers mean with --stars, such as --stars {cuts}."
        raise InputError(f"the labels hold {what} (read as {mapping}){rare}; a classifier needs two. {cure}")


def _rows_of(
    file: Labelled, mapping: LabelMapping, stars: str | None, numbering: Numbering, *, same_column: bool
) -> Coded:
    """The rows of a validation or test file, under the mapping of the training file."""
    try:
        own = for_file(mapping, mapping.labels, file.labels, file.label_column, stars, same_column=same_column)
    except InputError as error:
        raise InputError(f"{file.name}: {error}") from error
    if str(own) != str(mapping):
        logger.info("%s: labels: %s", file.name, own)
    encoded = own.encode(file.labels)
    left_out = int((encoded.codes < 0).sum())
    if left_out:
        unknown = f"; unknown: {listed(encoded.unknown, 5)}" if encoded.unknown else ""
        logger.info("%s: %s rows without a known label are left out%s", file.name, f"{left_out:,}", unknown)
    rows = np.flatnonzero(encoded.codes >= 0)
    if not len(rows):
        raise InputError(f"{file.name} holds no row with a text and a known label. Check its --label-column.")
    return numbering.coded([file], encoded.codes, rows.tolist())


def _without_empty_classes(mapping: LabelMapping, found: Divided) -> tuple[LabelMapping, Divided]:
    """Drop classes that no training row has, such as the neutral of a scale that nobody used."""
    present = np.unique(found.training.codes)
    if len(present) == len(mapping.labels):
        return mapping, found
    names = [mapping.labels[code] for code in present]
    logger.info("no training row is %s, so the model will not know it", listed(set(mapping.labels) - set(names)))
    new_codes = np.full(len(mapping.labels), -1, dtype=np.int64)
    new_codes[present] = np.arange(len(present))

    def renumbered(rows: Coded) -> Coded:
        kept = rows.take(np.flatnonzero(new_codes[rows.codes] >= 0))
        return dataclasses.replace(kept, codes=new_codes[kept.codes])

    fewer = dataclasses.replace(
        mapping,
        labels=tuple(names),
        values={value: label for value, label in mapping.values.items() if label in names},
        stars=tuple(span for span in mapping.stars if span.label in names),
    )
    divided = dataclasses.replace(
        found,
        labels=fewer.labels,
        pool=renumbered(found.pool),
        training=renumbered(found.training),
        validation=renumbered(found.validation),
        test=None if found.test is None else renumbered(found.test),
    )
    for name, rows in divided.files():
        if not len(rows):
            raise InputError(f"{name} holds no row of a class to train on: {listed(names)}. Check its --label-column.")
    return fewer, divided


def _data_fingerprint(texts: Sequence[bytes], codes: npt.NDArray[np.int64]) -> str:
    """A digest of the training rows that does not depend on their order.

    Args:
        texts: (n,) their fingerprints.
        codes: (n,) class numbers.
    """
    parts = sorted(text + bytes([code % 256]) for text, code in zip(texts, codes.tolist(), strict=True))
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _examples(conflicting: Coded, labels: Sequence[str], most: int = 3) -> list[str]:
    """Some texts with several labels, shortened, with these."""
    found: dict[int, tuple[str, set[int]]] = {}
    for text, code, number in zip(
        conflicting.texts, conflicting.codes.tolist(), conflicting.equal.tolist(), strict=True
    ):
        found.setdefault(number, (text, set()))[1].add(code)
    return [
        f"{_shortened(text)!r} ({', '.join(labels[code] for code in sorted(codes))})"
        for text, codes in list(found.values())[:most]
    ]


def _shortened(text: str, most: int = 60) -> str:
    """A text in one line of at most so many characters."""
    plain = " ".join(text.split())
    return plain if len(plain) <= most else plain[: most - 3] + "..."
