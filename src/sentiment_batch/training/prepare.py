"""Makes labelled reviews ready to train on: maps their labels, checks and counts them, and splits them."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sentiment_batch.data.labelled_rows import check_any_text
from sentiment_batch.data.texts import hash_text
from sentiment_batch.errors import InputError, UsageError, listed
from sentiment_batch.labels.inference import infer_shared_mapping
from sentiment_batch.labels.matching import match_mapping
from sentiment_batch.labels.settings import LabelSettings
from sentiment_batch.labels.stars import format_setting, number_labels
from sentiment_batch.labels.word_classes import MIN_ROWS_PER_WORD
from sentiment_batch.report.formatting import format_quantity
from sentiment_batch.settings import DEFAULT_VAL_SIZE
from sentiment_batch.training.data_check.check import check_data, count_rows
from sentiment_batch.training.dataset import ReviewSet, ReviewSplits, TextIndex, join_groups
from sentiment_batch.training.refusals import refuse_equal_texts, refuse_single_class, refuse_small_split
from sentiment_batch.training.split import Assignment, assign, assign_folds

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment_batch.data.input_description import InputDescription
    from sentiment_batch.data.labelled_rows import LabelledRows
    from sentiment_batch.labels.mapping import EncodedLabels, LabelMapping
    from sentiment_batch.settings import TrainSettings
    from sentiment_batch.training.split import Folds

FOLDS_BY_ROWS = ((500, 5), (1_000, 3))
"""Pairs (limit, folds). The first pair whose limit is above the number of rows gives the number of folds.

With at least 1,000 rows there are no folds: a tenth validates, which suffices to calibrate, and to know an accuracy of
90 % to within six points. With fewer rows, all validate. Each fold costs a training, so larger tables have fewer."""
MAX_CONFLICT_EXAMPLES = 3
MAX_EXAMPLE_LENGTH = 60
"""Characters of an example."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedData:
    """The data of a run after all checks."""

    mapping: LabelMapping
    """How labels become classes. It has no class without a training row."""
    training: ReviewSet
    """The rows to learn from."""
    validation: ReviewSet
    """The validation rows. With folds, each of them is among the training rows, too."""
    folds: Folds | None
    """The folds; None if no validation row is trained on."""
    validation_file: str | None
    """Name of the validation file; None if there is none."""
    test: ReviewSet | None
    """The rows of a test file; None if there is none."""
    summary: dict[str, Any]
    """The data check as plain values, for sentiment_batch.json. It holds no text of the data."""
    notes: tuple[str, ...]
    """Sentences about labels and rows that were read in an unexpected way, to be reported."""
    inputs: tuple[tuple[str, InputDescription], ...]
    """The name of each table that was read, and how; first those to train on."""
    conflicts: tuple[str, ...]
    """Some texts with several labels, shortened and with their labels, to be reported and not stored."""

    def list_training_rows(self) -> list[npt.NDArray[np.int64]]:
        """The places of the training rows of each fold; without folds, those of all rows as the only part."""
        if self.folds is None:
            return [np.arange(len(self.training))]
        return [self.folds.find_training_rows(fold) for fold in range(self.folds.number)]


def prepare(
    reviews: Sequence[LabelledRows],
    settings: TrainSettings,
    *,
    val: LabelledRows | None = None,
    test: LabelledRows | None = None,
    label_settings: LabelSettings | None = None,
) -> PreparedData:
    """Map labels, split the rows, and check them.

    Args:
        reviews: the tables to train on.
        settings: the settings of the run.
        val: the rows of a validation file, instead of rows that are held back.
        test: the rows of a test file.
        label_settings: what the user says about the labels; None says nothing.

    Raises:
        InputError: a classifier cannot learn from these rows.
    """
    # Read the labels of all tables in one way
    label_settings = label_settings or LabelSettings()
    mapping, encoded = _map_labels(reviews, label_settings)
    index, notes = TextIndex(settings.seed), _describe_assumed_order(mapping)
    notes += _describe_single_rows(mapping, encoded)
    notes += label_settings.describe_unused(label for one in reviews for label in one.labels)
    # Choose and split the rows with a class. All files share the index, which finds texts that they have in common.
    all_rows = _select_rows(reviews, mapping, encoded, settings, index)
    assignment = _assign_rows(all_rows, index, settings, has_val=val is not None)
    # The validation file and the test file, with the classes of the training rows
    other_files = [
        _read_other_file(file, reviews, mapping, label_settings, index) if file else None for file in (val, test)
    ]
    notes += [note for one in other_files if one for note in one.notes]
    val_rows, test_rows = (one.rows if one else None for one in other_files)
    splits = ReviewSplits(
        labels=mapping.labels,
        tables=[one.name for one in reviews],
        all_rows=all_rows,
        training=all_rows.take(assignment.training),
        validation=all_rows.take(assignment.validation) if val_rows is None else val_rows,
        folds=assignment.folds,
        test=test_rows,
        validation_file=val.name if val else None,
        test_file=test.name if test else None,
        group_column=next((one.group_column or "group" for one in reviews if one.groups is not None), None),
    )
    # Before classes are dropped, because `assignment` numbers the rows of all classes
    conflicting = all_rows.take(assignment.conflicting)
    notes += _describe_shared_texts(assignment, splits)
    conflicts = _show_conflicts(conflicting, mapping.labels)
    mapping, splits, dropped_notes = _drop_empty_classes(mapping, splits)
    notes += dropped_notes
    refuse_small_split(splits, len(conflicting))
    counts = count_rows(reviews, mapping, encoded, splits, index) | {"conflicting": len(conflicting)}
    return PreparedData(
        mapping=mapping,
        training=splits.training,
        validation=splits.validation,
        folds=splits.folds,
        validation_file=splits.validation_file,
        test=splits.test,
        summary=check_data(splits, counts, mapping, weighted=settings.class_weights != "none"),
        notes=tuple(notes),
        inputs=(
            *_describe_inputs(reviews, mapping, label_settings),
            *(one_input for one in other_files if one for one_input in one.inputs),
        ),
        conflicts=tuple(conflicts),
    )


def _map_labels(reviews: Sequence[LabelledRows], settings: LabelSettings) -> tuple[LabelMapping, EncodedLabels]:
    """How the labels are read, and the class numbers of all rows."""
    labels = [label for one in reviews for label in one.labels]
    check_any_text((one.name for one in reviews), len(labels), len(labels) + sum(one.num_blank for one in reviews))
    mapping = infer_shared_mapping([(one.name, one.labels, one.label_column) for one in reviews], settings)
    return mapping, mapping.encode(labels)


def _describe_assumed_order(mapping: LabelMapping) -> list[str]:
    """A note about numbers that other people write in another order, if the labels are such numbers."""
    if not mapping.assumed:
        return []
    example = format_setting(number_labels([*mapping.values.values()], [*mapping.values][::-1]))
    return [f"the order of the labels is assumed ({mapping}). If it is another, name it, as in {example}"]


def _describe_single_rows(mapping: LabelMapping, encoded: EncodedLabels) -> list[str]:
    """A note about words that are no classes because each has one row."""
    single = [value for value, rows in encoded.named_unknown.items() if rows < MIN_ROWS_PER_WORD]
    if mapping.kind != "words" or not single:
        return []
    return [
        "labels that occur in one row only are left out, because training and validation both need a row of each "
        f"class: {listed(single, 5)}. With more rows they become classes"
    ]


def _select_rows(
    reviews: Sequence[LabelledRows],
    mapping: LabelMapping,
    encoded: EncodedLabels,
    settings: TrainSettings,
    index: TextIndex,
) -> ReviewSet:
    """The rows with a class, or the sample of `limit`. They are sorted, so no later step depends on their order."""
    texts = [text for one in reviews for text in one.texts]
    groups = join_groups(reviews)
    # By text first, because the order of the rows of a file must not change the model
    labelled = sorted(
        np.flatnonzero(encoded.codes >= 0).tolist(),
        key=lambda row: (texts[row], encoded.codes[row], str(groups[row]) if groups else ""),
    )
    rows = _sample_rows(labelled, texts, settings)
    refuse_single_class(encoded.codes[rows], mapping, encoded, sampled=len(rows) < len(labelled))
    all_rows = index.add_rows(reviews, encoded.codes, rows)
    refuse_equal_texts(all_rows)
    return all_rows


def _assign_rows(all_rows: ReviewSet, index: TextIndex, settings: TrainSettings, *, has_val: bool) -> Assignment:
    """Hold rows back for validation, or divide few rows into folds."""
    fingerprints, near = index.seeded_fingerprints(all_rows), all_rows.near.tolist()
    # Folds are chosen for few rows, unless the user has said which rows validate, or how many
    folds = settings.folds or 0
    if settings.folds is None and not has_val and settings.val_size is None:
        folds = next((number for limit, number in FOLDS_BY_ROWS if len(all_rows) < limit), 0)
    if folds:
        return assign_folds(fingerprints, all_rows.codes, all_rows.groups, folds, near)
    val_size = 0.0 if has_val else settings.val_size or DEFAULT_VAL_SIZE
    return assign(fingerprints, all_rows.codes, all_rows.groups, val_size, near)


def _sample_rows(rows: list[int], texts: list[str], settings: TrainSettings) -> list[int]:
    """The `limit` rows with the lowest seeded hash, so that an ordered file gives a mixed sample.

    Each row of a repeated text has a hash of its own.
    """
    if settings.limit is None or settings.limit >= len(rows):
        return rows
    repeats: collections.Counter[str] = collections.Counter()
    hashes: dict[int, bytes] = {}
    for row in rows:
        # Without its number, either all rows of a repeated text would be in the sample, or none of them
        repeat = repeats[texts[row]]
        hashes[row] = hash_text(f"{texts[row]}\0{repeat}" if repeat else texts[row], settings.seed + 1)
        repeats[texts[row]] += 1
    return sorted(rows, key=hashes.__getitem__)[: settings.limit]


class _OtherFile(NamedTuple):
    """A validation or test file."""

    rows: ReviewSet
    """Its rows, with the classes of the training rows."""
    notes: list[str]
    """Sentences about rows that were left out."""
    inputs: list[tuple[str, InputDescription]]
    """Its name, and how it was read."""


def _read_other_file(
    file: LabelledRows,
    reviews: Sequence[LabelledRows],
    mapping: LabelMapping,
    settings: LabelSettings,
    index: TextIndex,
) -> _OtherFile:
    """Read the labels of a validation or test file as classes of the training rows, and select the rows that have one.

    Raises:
        InputError, UsageError: its labels have no counterpart, or no row has a text and a known label.
    """
    same_column = file.label_column in {one.label_column for one in reviews}
    try:
        own = match_mapping(mapping, mapping.labels, file.labels, file.label_column, settings, same_column=same_column)
    except (InputError, UsageError) as error:
        # The message is about a column. It also needs the name of the file, because several were read.
        raise type(error)(f"{file.name}: {error}") from error
    encoded, notes = own.encode(file.labels), []
    num_left_out = int((encoded.codes < 0).sum())
    if num_left_out:
        unknown = f"; unknown: {listed(encoded.unknown, 5)}" if encoded.unknown else ""
        notes.append(f"{file.name}: left out {format_quantity(num_left_out, 'row')} without a known label{unknown}")
    rows = np.flatnonzero(encoded.codes >= 0)
    if not len(rows):
        raise InputError(f"{file.name} holds no row with a text and a known label. Check its `label_column`.")
    return _OtherFile(
        rows=index.add_rows([file], encoded.codes, rows.tolist()),
        notes=notes,
        inputs=_describe_inputs([file], own, settings),
    )


def _describe_inputs(
    tables: Sequence[LabelledRows], mapping: LabelMapping, settings: LabelSettings
) -> list[tuple[str, InputDescription]]:
    """The name of each table that was read, and how; rows that were read elsewhere have no description."""
    assumed = not settings.names_meaning
    return [(one.name, one.input.with_mapping(mapping.meanings, assumed=assumed)) for one in tables if one.input]


def _describe_shared_texts(assignment: Assignment, splits: ReviewSplits) -> list[str]:
    """A note about texts that occur in several groups, if there are any."""
    if not len(assignment.between):
        return []
    rows = format_quantity(len(assignment.between), "row")
    return [f"{rows} with a text that occurs in several groups of {splits.group_column!r} are not used for validation"]


def _drop_empty_classes(mapping: LabelMapping, splits: ReviewSplits) -> tuple[LabelMapping, ReviewSplits, list[str]]:
    """Drop classes without a training row, such as the neutral one of a scale without neutral rows.

    Returns:
        The mapping and the rows without these classes, and sentences about them.

    Raises:
        InputError: a file has rows of these classes only.
    """
    present = np.unique(splits.training.codes)
    if len(present) == len(mapping.labels):
        return mapping, splits, []
    names = [mapping.labels[code] for code in present]
    dropped = listed(label for label in mapping.labels if label not in names)
    # By the old number of a class, its new one; -1 for a class that is dropped
    new_codes = np.full(len(mapping.labels), -1, dtype=np.int64)
    new_codes[present] = np.arange(len(present))

    def renumber(rows: ReviewSet) -> ReviewSet:
        # Rows of a dropped class can still be in a validation or test file
        remaining = rows.take(np.flatnonzero(new_codes[rows.codes] >= 0))
        return dataclasses.replace(remaining, codes=new_codes[remaining.codes])

    fewer = dataclasses.replace(
        mapping,
        labels=tuple(names),
        values={value: label for value, label in mapping.values.items() if label in names},
        stars=tuple(span for span in mapping.stars if span.label in names),
    )
    renumbered = dataclasses.replace(
        splits,
        labels=fewer.labels,
        all_rows=renumber(splits.all_rows),
        training=renumber(splits.training),
        validation=renumber(splits.validation),
        test=None if splits.test is None else renumber(splits.test),
    )
    for name, rows in renumbered.files():
        if not len(rows):
            raise InputError(f"{name} holds no row of a class to train on: {listed(names)}. Check its `label_column`.")
    return fewer, renumbered, [f"no training row has the label {dropped}, so the model will not predict it"]


def _show_conflicts(conflicting: ReviewSet, labels: Sequence[str]) -> list[str]:
    """Some texts with several labels, shortened and with their labels."""
    found: dict[int, tuple[str, set[int]]] = {}
    numbers = conflicting.equal.tolist()
    for text, code, number in zip(conflicting.texts, conflicting.codes.tolist(), numbers, strict=True):
        found.setdefault(number, (text, set()))[1].add(code)
    return [
        f"{_shorten(text)!r} ({', '.join(labels[code] for code in sorted(codes))})"
        for text, codes in list(found.values())[:MAX_CONFLICT_EXAMPLES]
    ]


def _shorten(text: str) -> str:
    """A text in one line of at most `MAX_EXAMPLE_LENGTH` characters."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_EXAMPLE_LENGTH else f"{line[: MAX_EXAMPLE_LENGTH - 3]}..."
