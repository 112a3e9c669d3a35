"""From counts to the result of a summary: sums of cells, shares, their intervals and corrections, and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.evaluation.intervals import share_interval
from sentiment_batch.evaluation.marking_words import MarkingWord, WordComparer
from sentiment_batch.shares.correction import ASSUMPTION, ShareCorrector, explain_no_correction
from sentiment_batch.shares.result import LabelShare, ShareGroup, ShareSummary
from sentiment_batch.shares.tally import LabelCounts

if TYPE_CHECKING:
    from sentiment_batch.shares.known_model import KnownModel
    from sentiment_batch.shares.run import Counted

Key = tuple[int, ...]
"""The numbers of the values of columns."""
Words = Mapping[str, Sequence[MarkingWord]]


def build_summary(counted: Counted, name: str, known: KnownModel | None) -> ShareSummary:
    """Compute the shares of what was counted.

    Args:
        counted: the counts.
        name: the name of the table.
        known: what is known of the model; None if nothing is.
    """
    found = [str(label) for label in counted.values[0].names[1:]]
    labels = _order_labels(found, known)
    why = explain_no_correction(known, found)
    builder = _Builder(
        counted=counted,
        labels=labels,
        corrector=ShareCorrector(known.confusion) if why is None and known and known.confusion else None,
    )
    total, groups = builder.build()
    # The manifest's figures about the texts hold only for the rows that it describes.
    is_same = known is not None and known.rows == counted.rows and not known.was_edited
    return ShareSummary(
        table=name,
        labels=labels,
        input=counted.input,
        unsure_below=counted.request.unsure_below,
        total=total,
        columns=counted.request.by,
        periods=None if counted.period is None else str(counted.period),
        groups=groups,
        no_correction=why,
        assumption=ASSUMPTION if why is None else None,
        model=known.source if known else None,
        unlike=known.unlike if known and is_same else None,
        expected_accuracy=known.expected_accuracy if known and is_same else None,
        words_from=len(set(counted.sample.texts)),
        manifest_rows=known.rows if known else None,
        was_edited=known is not None and known.was_edited,
    )


def _order_labels(found: Sequence[str], known: KnownModel | None) -> tuple[str, ...]:
    """The labels in the order of the model, then others in alphabetical order."""
    first = known.labels if known is not None else ()
    return (*first, *sorted(set(found) - set(first)))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Builder:
    counted: Counted
    labels: tuple[str, ...]
    corrector: ShareCorrector | None

    def build(self) -> tuple[ShareGroup, tuple[ShareGroup, ...]]:
        """All rows, and the groups."""
        sums, words = self._sum_cells(), self._find_words()
        total = self._make_group((), sums.pop((), {None: LabelCounts.empty(len(self.labels))}), words)
        ordered = sorted(sums, key=lambda key: (-_count_rows(sums[key][None]), self._name_values(key)))
        return total, tuple(self._make_group(key, sums[key], words) for key in ordered)

    def _sum_cells(self) -> dict[Key, dict[int | None, LabelCounts]]:
        """The counts of all rows, whose key is (), and of each group: in all, under None, and by period."""
        places = self._place_labels()
        columns = len(self.counted.request.by)
        sums: dict[Key, dict[int | None, LabelCounts]] = {}
        for (label, *rest), values in self.counted.cells.items(len(self.counted.values) - 1):
            # A cell counts for all rows and for its group, and in each of these in all and for its period. Without
            # columns the group is all rows, and the set holds one key.
            for key in {(), tuple(rest[:columns])}:
                for period in (None, *rest[columns:]):
                    counts = sums.setdefault(key, {}).setdefault(period, LabelCounts.empty(len(self.labels)))
                    counts.add(places[label], values)
        return sums

    def _place_labels(self) -> list[int | None]:
        """The place in `labels` of each number of a label."""
        places = {label: place for place, label in enumerate(self.labels)}
        return [None if name is None else places[name] for name in self.counted.values[0].names]

    def _name_values(self, key: Key) -> tuple[str, ...]:
        return tuple(str(numbers.names[one]) for numbers, one in zip(self.counted.values[1:], key, strict=False))

    def _make_group(self, key: Key, sums: Mapping[int | None, LabelCounts], words: Mapping[Key, Words]) -> ShareGroup:
        """A group with its periods."""
        names = self.counted.values[-1].names
        periods = [period for period in sums if period is not None]
        # The number 0 stands for rows without a date, which come last. Other names sort in time.
        periods.sort(key=lambda period: (not period, str(names[period])))
        over = [self._describe(key, period, sums[period]) for period in periods]
        return self._describe(key, None, sums[None], words.get(key, {}), over)

    def _describe(
        self,
        key: Key,
        period: int | None,
        counts: LabelCounts,
        words: Words | None = None,
        over: Sequence[ShareGroup] = (),
    ) -> ShareGroup:
        """The counts of some rows as a record: of all periods of a group, or of one period."""
        rows, scored = counts.rows.sum(), counts.scored.sum()
        has_scores = self.counted.columns.score is not None
        values = zip(self.counted.request.by, self.counted.values[1:], key, strict=False)
        return ShareGroup(
            group={column: numbers.names[number] for column, numbers, number in values},
            period=None if period is None else self.counted.values[-1].names[period],
            rows=int(rows) + counts.no_text,
            no_text=counts.no_text,
            unsure=int(counts.unsure.sum()) if has_scores else None,
            mean_score=_divide(counts.scores.sum(), scored),
            shares=self._compute_shares(counts),
            words=words or {},
            over=over,
        )

    def _compute_shares(self, counts: LabelCounts) -> dict[str, LabelShare]:
        """The share of each label."""
        rows = counts.rows.sum()
        corrected, ends = self.corrector.correct(counts.rows) if self.corrector and rows else (None, None)
        shares = {}
        for place, label in enumerate(self.labels):
            low, high = share_interval(int(counts.rows[place]), int(rows)) if rows else (None, None)
            shares[label] = LabelShare(
                rows=int(counts.rows[place]),
                share=_divide(counts.rows[place], rows),
                low=low,
                high=high,
                corrected=None if corrected is None else float(corrected[place]),
                corrected_low=None if ends is None else float(ends[place, 0]),
                corrected_high=None if ends is None else float(ends[place, 1]),
                mean_score=_divide(counts.scores[place], counts.scored[place]),
            )
        return shares

    def _find_words(self) -> dict[Key, Words]:
        """The words of all rows and of each group, as far as there are enough texts.

        On each side of a comparison, a text that repeats counts once: a template is no independent text.
        """
        sample, columns = self.counted.sample, len(self.counted.request.by)
        if not sample.texts:
            return {}
        comparer, codes = WordComparer(sample.texts, self.counted.request.words), sample.codes()
        names = [str(name) for name in self.counted.values[0].names]
        words: dict[Key, Words] = {(): {}}
        # Column 0 of the codes is the label, the next ones are the values that make groups.
        keys, groups = np.unique(codes[:, 1 : 1 + columns], axis=0, return_inverse=True)
        numbers: dict[tuple[str, int], int] = {}
        labelled = zip(sample.texts, codes[:, 0].tolist(), strict=True)
        texts = np.array([numbers.setdefault(one, len(numbers)) for one in labelled])  # by text and label
        is_new, is_new_in_group = _mark_first(texts), _mark_first(texts, groups)
        is_in_several_groups = np.bincount(texts, is_new_in_group)[texts] > 1
        for label in range(1, len(names)):
            # In all rows a label is compared with the other labels, in a group with the same label in other groups.
            has_label = codes[:, 0] == label
            words[()] = {**words[()], names[label]: comparer.compare(has_label & is_new, ~has_label & is_new)}
            for group, key in enumerate(keys.tolist() if columns else []):
                is_inside = groups == group
                # `is_new` marks one row of each text, in any group. It stands for the other groups, unless the text is
                # in this group alone.
                outside = is_new & (is_in_several_groups | ~is_inside)
                found = comparer.compare(has_label & is_new_in_group & is_inside, has_label & outside)
                words[tuple(key)] = {**words.get(tuple(key), {}), names[label]: found}
        return {key: {label: one for label, one in found.items() if one} for key, found in words.items()}


def _mark_first(*columns: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(N,) true where the values of the columns, each (N,), occur together for the first time."""
    is_first = np.zeros(len(columns[0]), dtype=np.bool_)
    is_first[np.unique(np.stack(columns, axis=1), axis=0, return_index=True)[1]] = True
    return is_first


def _count_rows(counts: LabelCounts) -> int:
    return int(counts.rows.sum()) + counts.no_text


def _divide(part: Any, whole: Any) -> float | None:
    return float(part / whole) if whole else None
