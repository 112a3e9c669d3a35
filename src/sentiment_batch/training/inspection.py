"""Looks at a table without training: how it is read, its first rows, and what the data check finds. It loads no torch.

The table is read once, as a stream. Memory is bounded by `MAX_TEXTS` and `MAX_LABELS`.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from sentiment_batch.data.columns import extract_texts, is_blank
from sentiment_batch.data.input_description import InputDescription, describe_reading
from sentiment_batch.data.label_columns import extract_any_values, find_label_column, name_labels
from sentiment_batch.data.labelled_rows import check_any_text, check_two_columns
from sentiment_batch.data.readers.base import stream_batches
from sentiment_batch.data.text_columns import TextColumns, choose_text_columns
from sentiment_batch.data.texts import hash_text
from sentiment_batch.data.value_names import CONVERSION_ERRORS
from sentiment_batch.errors import SentimentBatchError, UsageError
from sentiment_batch.labels.inference import infer_mapping
from sentiment_batch.labels.mapping import MISSING_CLASS, UNKNOWN_CLASS, LabelMapping, list_named_unknown
from sentiment_batch.labels.settings import NO_LABEL_SETTINGS, LabelSettings
from sentiment_batch.training.data_check.findings import Finding, sort_findings
from sentiment_batch.training.data_check.row_counts import check_class_sizes, check_repeats
from sentiment_batch.training.data_check.text_quality import TextQuality, describe_text_quality, measure_text_quality
from sentiment_batch.training.refusals import explain_placeholders

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.data.readers.base import Reader

Found = TypeVar("Found")
MAX_TEXTS = 1_000_000
"""Different texts that are remembered, to count those that repeat."""
MAX_LABELS = 10_000
"""Different labels that are counted."""
MAX_FIRST_ROWS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What a table holds."""

    input: InputDescription
    """How it is read."""
    columns: tuple[tuple[str, str], ...]
    """The name and the type of each column."""
    first_rows: tuple[tuple[str | None, ...], ...]
    """The values of the first rows as text, in the order of the columns."""
    counts: dict[str, Any]
    """`rows`, `blank`, `mean_characters`, `longest_characters`, `repeated`, `conflicting`, `label_missing`,
    `label_unknown_rows`, `labels` (rows by value) and `classes` (rows by class)."""
    all_compared: bool
    """False if there were more different texts than `MAX_TEXTS`. Then at least `repeated` texts repeat."""
    findings: tuple[Finding, ...]
    """What the data check finds."""
    question: SentimentBatchError | None
    """What must be answered before the table can be trained on; None if nothing must be."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "input": self.input.to_json(),
            "columns": [{"name": name, "type": kind} for name, kind in self.columns],
            "first_rows": [list(row) for row in self.first_rows],
            **self.counts,
            "all_compared": self.all_compared,
            "findings": [one.to_json() for one in self.findings],
            "question": None if self.question is None else str(self.question),
        }


@dataclass(kw_only=True, slots=True)
class _Counter:
    """Counts the rows of a stream."""

    totals: dict[str, float] = field(default_factory=lambda: collections.defaultdict(float))
    """`rows`, `full` (those with a text), `characters`, `repeated` and the fields of `TextQuality`."""
    longest: int = 0
    labels: collections.Counter[str] = field(default_factory=collections.Counter)
    """Rows with a text by label, as it is written; "" if there is none."""
    _seen: dict[bytes, str] = field(default_factory=dict)
    """The first label of each text, by the text's fingerprint; "" if no row of it has one yet."""
    _differing: collections.Counter[tuple[str, str]] = field(default_factory=collections.Counter)
    """Rows that repeat a text with another label, as it is written: by the label of the first row and their own."""

    def add(self, texts: Sequence[str | None], labels: Sequence[str]) -> None:
        """Count rows; a table without labels has "" for each."""
        full = [(text, label) for text, label in zip(texts, labels, strict=True) if text and not is_blank(text)]
        # Sums over the stream. A share of a batch counts by the number of its rows.
        lengths = [len(text) for text, _ in full]
        counts = {"rows": len(texts), "full": len(full), "characters": sum(lengths)}
        if full:
            quality = asdict(measure_text_quality([text for text, _ in full]))
            counts |= {name: share * len(full) for name, share in quality.items()}
        for name, count in counts.items():
            self.totals[name] += count
        self.longest = max(self.longest, *lengths, 0)
        for text, label in full:
            # A column that is no label may have another value in each row, so the number of values is limited
            if label in self.labels or len(self.labels) < MAX_LABELS:
                self.labels[label] += 1
            # 8 bytes of a hash suffice: among a million texts, two share them with a probability of 3e-8
            self._compare(hash_text(text)[:8], label)

    def _compare(self, key: bytes, label: str) -> None:
        """Count a row whose text was seen before, and its label if that is another one."""
        if key in self._seen:
            self.totals["repeated"] += 1
            labels = self._seen[key], label
            if label != labels[0] and (labels in self._differing or len(self._differing) < MAX_LABELS):
                self._differing[labels] += 1
        if not self._seen.get(key) and (key in self._seen or not self.is_full):
            self._seen[key] = label  # the first label of a text that has one

    @property
    def is_full(self) -> bool:
        """True if no further text is remembered."""
        return len(self._seen) >= MAX_TEXTS

    def sum_up(self, mapping: LabelMapping | None) -> dict[str, Any]:
        """The counts as plain values, as the data check of a training names them."""
        rows, full, repeated = (int(self.totals[name]) for name in ("rows", "full", "repeated"))
        by_code: collections.Counter[int] = collections.Counter()
        unknown: collections.Counter[str] = collections.Counter()
        codes: dict[str, int] = {}
        if mapping is not None:
            codes = dict(zip(self.labels, mapping.encode(self.labels).codes.tolist(), strict=True))
            for value, code in codes.items():
                by_code[code] += self.labels[value]
                if code == UNKNOWN_CLASS:
                    unknown[value] += self.labels[value]
        return {
            "rows": rows,
            "blank": rows - full,
            "mean_characters": round(self.totals["characters"] / full, 1) if full else None,
            "longest_characters": self.longest,
            "repeated": repeated,
            "conflicting": self._count_conflicting(codes),
            "label_missing": by_code[MISSING_CLASS],
            "label_unknown": list_named_unknown(unknown),
            "label_unknown_rows": by_code[UNKNOWN_CLASS],
            "labels": {value: count for value, count in self.labels.most_common() if value},
            "classes": mapping and {label: by_code[code] for code, label in enumerate(mapping.labels)},
        }

    def _count_conflicting(self, codes: Mapping[str, int]) -> int:
        """The rows that repeat a text with another class. Labels that no mapping makes classes count as written."""
        classes: dict[str, int | str | None] = {value: value or None for value in self.labels}
        classes |= {value: code if code >= 0 else None for value, code in codes.items()}
        pairs = ((classes.get(first), classes.get(other), rows) for (first, other), rows in self._differing.items())
        return sum(rows for first, other, rows in pairs if None not in (first, other) and first != other)

    def find(self, counts: Mapping[str, Any], mapping: LabelMapping | None) -> Iterator[Finding]:
        """What the data check finds in the rows with a text."""
        if full := int(self.totals["full"]):
            yield from describe_text_quality(
                TextQuality(**{one.name: self.totals[one.name] / full for one in fields(TextQuality)})
            )
            yield from check_repeats(full, counts, mapping)
        present = [label for label, rows in (counts["classes"] or {}).items() if rows]
        if len(present) == 1:
            text = f"All labels are {present[0]!r}, and a classifier needs two classes. Check `label_column`."
            yield Finding(text=text, weight=1.0, level="warning")
        elif present:
            yield from check_class_sizes(list(counts["classes"]), np.array(list(counts["classes"].values())))


def inspect_table(
    reader: Reader,
    *,
    name: str = "the table",
    text_columns: Sequence[str] = (),
    label_column: str | None = None,
    label_settings: LabelSettings = NO_LABEL_SETTINGS,
) -> Inspection:
    """Read a whole table, and tell what it holds.

    Args:
        reader: an open table.
        name: the table's location, for messages.
        text_columns: the columns that the user named; found by names and values if there are none.
        label_column: the column that the user named; found by its name if None. A table may have no labels.
        label_settings: what the user says about the values of the label column.

    Raises:
        InputError: a column that the user named is missing, or the rows cannot be read.
    """
    # Which columns hold texts and labels. If that is unclear, the table is still shown, with the question.
    found, question = _try(lambda: choose_text_columns(reader, text_columns), named=bool(text_columns))
    text = found or TextColumns(names=(), assumed=False)
    label, error = _try(
        lambda: find_label_column(reader, label_column, text.names, label_settings), named=label_column is not None
    )
    notes: list[Finding] = []
    if isinstance(error, UsageError):  # several columns fit
        question = question or error
    elif error is not None and found is not None:  # there is none, which a table to score does not need
        notes.append(Finding(text=f"`train` would need labels, but {error}", weight=1.0))
    counter, first = _read_rows(reader, text.names, label, label_settings)
    # Say how the table was read, and what its labels mean
    is_found = label is not None and label_column is None
    description = describe_reading(reader, text=text, label_column=label, label_assumed=is_found)
    mapping = None
    if label is not None:
        try:
            check_two_columns(text.names, label)
            if found is not None:
                check_any_text([name], int(counter.totals["full"]), int(counter.totals["rows"]))
            mapping = infer_mapping(counter.labels.elements(), label, label_settings)
            if placeholders := explain_placeholders(mapping):
                notes.append(Finding(text=f"`train` would stop, because {placeholders}", weight=1.0, level="warning"))
            description = description.with_mapping(mapping.meanings, assumed=not label_settings.names_meaning)
        except SentimentBatchError as error:
            question = question or error
    counts = counter.sum_up(mapping)
    if not text.names:  # nothing is known of the texts, so no row counts as one without a text
        counts["blank"] = 0
    return Inspection(
        input=description,
        columns=tuple((one.name, str(one.type)) for one in reader.schema),
        first_rows=tuple(first),
        counts=counts,
        all_compared=not counter.is_full,
        findings=tuple(sort_findings([*counter.find(counts, mapping), *notes])),
        question=question,
    )


def _read_rows(
    reader: Reader, text_columns: Sequence[str], label_column: str | None, label_settings: LabelSettings
) -> tuple[_Counter, list[tuple[str | None, ...]]]:
    """Read all rows once, and count them. A table without texts or labels has none in any row.

    Returns:
        The counts, and the first rows as text.
    """
    counter, first = _Counter(), list[tuple[str | None, ...]]()
    for batch in stream_batches(reader):
        first += _show_rows(batch.slice(0, MAX_FIRST_ROWS - len(first)))
        nothing: list[Any] = [None] * batch.num_rows
        texts = extract_texts(batch, text_columns).to_pylist() if text_columns else nothing
        labels: Sequence[object] = nothing
        if label_column is not None:
            values = extract_any_values(batch, label_column)
            labels = name_labels(values, batch.schema, label_column, label_settings)
        counter.add(texts, ["" if value is None else _to_text(value) for value in labels])
    return counter, first


def _try(find: Callable[[], Found], *, named: bool) -> tuple[Found | None, SentimentBatchError | None]:
    """What `find` gives, or its error. The error is raised if the user named the column."""
    try:
        return find(), None
    except SentimentBatchError as error:
        if named:
            raise
        return None, error


def _to_text(value: object) -> str:
    """A value as text; bytes are decoded, as the label of a training is."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _show_rows(batch: pa.RecordBatch) -> list[tuple[str | None, ...]]:
    """The rows as text."""
    columns = []
    for column in batch.columns:
        try:
            columns.append([None if value is None else _to_text(value) for value in column.to_pylist()])
        except CONVERSION_ERRORS:
            # Arrow holds values that Python has none for, such as a date after the year 9999
            columns.append([f"a value of {column.type}"] * batch.num_rows)
    return list(zip(*columns, strict=True))
