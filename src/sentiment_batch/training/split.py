"""The train/validation split: holds rows back so that no text and no group is on both sides.

Where rows are few, they are divided into folds instead, which validate in turn.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

MAX_JOINED_SHARE = 0.8
"""If texts in several groups would join more than this share of the rows into one unit, groups stay apart instead."""

IntArray = npt.NDArray[np.int64]
Groups = list[str | None]
"""(N,) the name of the group of each row, None for a row without one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Folds:
    """Which rows the training of each fold leaves out, and which validate it."""

    number: int
    """Number of folds."""
    training_N: IntArray
    """(N,) the fold whose training leaves the row out; -1 if it is in every training."""
    validation_M: IntArray
    """(M,) the fold in which each row that validates does so."""

    def find_training_rows(self, fold: int) -> IntArray:
        """The places of the rows that the training of a fold takes, in their order."""
        return np.flatnonzero(self.training_N != fold)


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """Row numbers by side, each in an order that does not depend on the order of the input."""

    training: IntArray
    """Rows to learn from."""
    validation: IntArray
    """Rows that validate."""
    conflicting: IntArray
    """Rows whose text also occurs with another label. They never validate."""
    between: IntArray
    """Rows whose text occurs in several groups, although the text does not merge these groups. They never validate."""
    folds: Folds | None = None
    """The folds; None if a share of the rows is held back instead."""


def name_groups(groups: Sequence[object]) -> Groups:
    """(N,) the name of each group; None for an empty cell of a CSV, a null or a NaN."""
    names = (None if group is None or group != group else _group_name(group).strip() for group in groups)
    return [name or None for name in names]


def _group_name(group: object) -> str:
    """One name for a number of any type, because whole numbers beside a null become floats in many tables."""
    if isinstance(group, (float, Decimal)) and math.isfinite(group) and group == int(group):
        return str(int(group))
    return str(group)


def assign(
    keys: Sequence[bytes],
    codes: npt.NDArray[np.int64],
    groups: Sequence[object] | None,
    val_size: float,
    near: Sequence[Hashable] | None = None,
) -> Assignment:
    """Split rows by the hash of their text, stratified by label.

    The hash depends on the text and the seed alone, so the order of the rows does not matter.

    Equal and nearly equal texts, and rows of one group, stay on one side. A text that occurs in two groups joins them.
    Texts such as "Great!" may occur in most groups. If they would join most rows, the groups stay apart, and the rows
    of such texts never validate.

    Args:
        keys: (N,) a seeded fingerprint of each row's text.
        codes: (N,) class numbers.
        groups: (N,) the group of each row, or None.
        val_size: the share of each class's rows to hold back; 0 holds back none.
        near: (N,) the same value for texts that nearly equal one another, and so for equal ones; None takes `keys`.
    """
    # Hold back a share of each class, by units of rows that stay together
    units = _Units(keys, codes, groups, near)
    validation: set[int] = set()
    for members in units.strata.values():
        validation.update(_hold_back(members, keys, codes, val_size))
    # Small classes may have got none
    if val_size:
        _hold_back_missing_classes(validation, units, keys, np.where(units.left_out, -1, codes))
    # Rows of a held-back unit that must not validate are on neither side. They may not train, because their text or
    # their group is held back.
    order = _sort_rows(keys, codes)
    held = np.array([row in validation for row in order], dtype=np.bool_)
    return Assignment(
        training=order[~held],
        validation=order[held & ~units.left_out[order]],
        conflicting=order[units.conflicting[order]],
        between=order[units.between[order]],
    )


def assign_folds(
    keys: Sequence[bytes],
    codes: npt.NDArray[np.int64],
    groups: Sequence[object] | None,
    folds: int,
    near: Sequence[Hashable] | None = None,
) -> Assignment:
    """Divide rows into folds that validate in turn, stratified by label. All rows train.

    What stays on one side of the split stays in one fold. Each class is in the training rows of every fold: one that
    would be in a single fold never validates.

    Args:
        keys: as for `assign`.
        codes: as for `assign`.
        groups: as for `assign`.
        folds: the number of folds; fewer are made if there are not as many texts or groups.
        near: as for `assign`.
    """
    units = _Units(keys, codes, groups, near)
    # Within a class the largest units come first, because small ones can fill what is uneven. Each goes to the fold
    # with the fewest rows of the class, and among equal ones to that with the fewest rows in all.
    fold_N = np.full(len(codes), -1, dtype=np.int64)
    sizes = np.zeros(folds, dtype=np.int64)
    for _, members in sorted(units.strata.items()):
        own_sizes = np.zeros(folds, dtype=np.int64)
        for unit in sorted(members, key=lambda unit: (-len(unit), _unit_key(unit, keys, codes))):
            fold = min(range(folds), key=lambda one: (own_sizes[one], sizes[one], one))
            own_sizes[fold] += len(unit)
            sizes[fold] += len(unit)
            fold_N[unit] = fold
    # A class whose rows are all in one fold would be unknown to the model of that fold
    for code in np.unique(codes):
        found = np.unique(fold_N[codes == code])
        if len(found) == 1:
            fold_N[np.isin(units.number_N, units.number_N[codes == code])] = -1
    # Number the folds that have a row to validate from 0, without gaps
    validates_N = (fold_N >= 0) & ~units.left_out
    used = np.unique(fold_N[validates_N])
    fold_N = np.where(np.isin(fold_N, used), np.searchsorted(used, fold_N), -1)
    order = _sort_rows(keys, codes)
    validation = order[validates_N[order]]
    return Assignment(
        training=order,
        validation=validation,
        conflicting=order[units.conflicting[order]],
        between=order[units.between[order]],
        folds=Folds(number=len(used), training_N=fold_N[order], validation_M=fold_N[validation]),
    )


class _Units:
    """The units of rows that stay together, by class; arguments as for `assign`."""

    def __init__(
        self,
        keys: Sequence[bytes],
        codes: npt.NDArray[np.int64],
        groups: Sequence[object] | None,
        near: Sequence[Hashable] | None,
    ) -> None:
        self.conflicting = _find_conflicting(keys, codes)
        """(N,) true if the row's text has more than one label."""
        self.all, self.between = _find_units(keys if near is None else near, groups)
        """The row numbers of each unit; and (N,) true if a row's text is in several groups that it does not join."""
        self.left_out = self.conflicting | self.between
        """(N,) true if the row never validates."""
        self.strata: dict[int, list[list[int]]] = collections.defaultdict(list)
        """The units with a row that may validate, by the class of most of these rows."""
        self.number_N = np.empty(len(codes), dtype=np.int64)
        """(N,) the number of each row's unit."""
        for number, unit in enumerate(self.all):
            self.number_N[unit] = number
            usable = [row for row in unit if not self.left_out[row]]
            if usable:
                votes = collections.Counter(int(codes[row]) for row in usable)
                majority = min(votes, key=lambda code: (-votes[code], code))
                self.strata[majority].append(unit)


def _find_conflicting(keys: Sequence[bytes], codes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(N,) true if the row's text has more than one label."""
    labels: dict[bytes, set[int]] = collections.defaultdict(set)
    for key, code in zip(keys, codes.tolist(), strict=True):
        labels[key].add(code)
    return np.array([len(labels[key]) > 1 for key in keys], dtype=np.bool_)


def _find_units(
    keys: Sequence[Hashable], groups: Sequence[object] | None
) -> tuple[list[list[int]], npt.NDArray[np.bool_]]:
    """The units of rows that must stay together.

    Args:
        keys: (N,) the same value for texts that stay together.
        groups: (N,) the group of each row, or None.

    Returns:
        The row numbers of each unit; and (N,) true if the text of a row occurs in several groups without merging
        them.
    """
    # Without groups, equal texts are a unit. With groups, units are the connected components of a graph: its nodes are
    # texts and groups, and each row is an edge between its text and its group.
    component = texts = _to_numbers(keys)
    between = np.zeros(len(texts), dtype=np.bool_)
    if groups is not None and len(texts):
        # A row without a group is a group of its own
        places = _to_numbers(
            [("group", group) if group else ("row", row) for row, group in enumerate(name_groups(groups))]
        )
        component = _connect(texts, places)
        # Unless one group alone is that large: then it is not texts that join most rows
        if _largest_count(component) > MAX_JOINED_SHARE * len(texts) >= _largest_count(places):
            pairs = np.unique(np.stack([texts, places]), axis=1)
            between = (np.bincount(pairs[0]) > 1)[texts]
            # Each row of such a text gets a text number of its own, which connects nothing
            apart = texts.max() + 1 + np.arange(len(texts))
            component = _connect(np.where(between, apart, texts), places)
    members: dict[int, list[int]] = collections.defaultdict(list)
    for row, unit in enumerate(component.tolist()):
        members[unit].append(row)
    return list(members.values()), between


def _to_numbers(names: Sequence[Hashable]) -> IntArray:
    """(N,) a number for each name, from 0."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def _connect(texts: IntArray, places: IntArray) -> IntArray:
    """(N,) the number of the connected component of each row, where rows connect texts and places.

    Args:
        texts: (N,) text numbers.
        places: (N,) group numbers.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # SciPy numbers the nodes of a graph through, so the groups come after the texts
    first = int(texts.max()) + 1
    size = first + int(places.max()) + 1
    graph = coo_array((np.ones(len(texts)), (texts, first + places)), shape=(size, size))
    component: IntArray = connected_components(graph, directed=False)[1][texts].astype(np.int64)
    return component


def _largest_count(numbers: IntArray) -> int:
    return int(np.bincount(numbers).max())


def _hold_back_missing_classes(validation: set[int], units: _Units, keys: Sequence[bytes], codes: IntArray) -> None:
    """Hold back the smallest unit of each class that is missing so far, if all of the unit's classes still train.

    Args:
        validation: the rows that validate; rows are added.
        units: the units of the rows.
        keys: (N,) a fingerprint of each row.
        codes: (N,) classes, negative for rows that never validate.
    """
    held = np.isin(np.arange(len(codes)), list(validation))
    classes = int(codes.max(initial=-1)) + 1
    for code in range(classes):
        if (codes[held] == code).any():
            continue
        training = np.bincount(codes[~held & (codes >= 0)], minlength=classes)
        # A unit may hold rows of several classes, and none of them may lose its last training row
        spare = []
        for number in np.unique(units.number_N[codes == code]).tolist():
            unit = units.all[number]
            of_unit = np.bincount(codes[unit][codes[unit] >= 0], minlength=classes)
            if ((of_unit < training) | (of_unit == 0)).all():
                spare.append((len(unit), _unit_key(unit, keys, codes), unit))
        if spare:
            smallest = min(spare)[2]
            validation.update(smallest)
            held[smallest] = True


def _hold_back(members: list[list[int]], keys: Sequence[bytes], codes: IntArray, val_size: float) -> list[int]:
    """The rows of one stratum that validate: its units in the order of their keys, as long as they fit."""
    ordered = sorted(members, key=lambda unit: _unit_key(unit, keys, codes))
    wanted = val_size * sum(map(len, ordered))
    if not wanted:
        return []
    rows: list[int] = []
    # The last unit always trains, or a class might have no training row
    for unit in ordered[:-1]:
        # A unit is taken if that brings the count nearer to `wanted`. A group that is too large is skipped.
        if len(rows) + len(unit) / 2 <= wanted:
            rows += unit
    return rows


def _unit_key(unit: list[int], keys: Sequence[bytes], codes: IntArray) -> list[tuple[bytes, int]]:
    """The sort key of a unit. It does not depend on the order of the rows.

    It holds all rows, because two units may share a text that does not join them.
    """
    return sorted((keys[row], int(codes[row])) for row in unit)


def _sort_rows(keys: Sequence[bytes], codes: npt.NDArray[np.int64]) -> IntArray:
    """All rows by the hash of their text, then by label."""
    return np.array(sorted(range(len(keys)), key=lambda row: (keys[row], int(codes[row]))), dtype=np.int64)
