"""Divides labelled texts into training and validation so that nothing leaks; texts in, row numbers out."""

from __future__ import annotations

import collections
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

WELDED = 0.8
"""The share of the rows from which on texts that join their groups leave too little to choose from."""

Rows = npt.NDArray[np.int64]
Groups = list[str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """Which rows go where, each in an order that does not depend on the order of the input."""

    training: Rows
    validation: Rows
    conflicting: Rows
    """Rows whose text also stands there with another label; they are in no validation set."""
    between: Rows
    """Rows whose text stands in several groups that it does not join; likewise."""


def written(groups: Sequence[object]) -> Groups:
    """Group names (n,) as texts, None for a row without: in a CSV an empty cell, in other tables null or NaN."""
    names = (None if group is None or group != group else _name(group).strip() for group in groups)
    return [name or None for name in names]


def _name(group: object) -> str:
    """One name for a number of any type: whole numbers beside a null become floats in many tables."""
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

    Equal and nearly equal texts, and rows of one group, go to one side whole; a text that stands in two groups joins
    them. Where that would join most rows, for everybody writes "Great!", groups stay apart, and such texts validate
    nothing.

    Args:
        keys: (n,) a seeded fingerprint of each row's text.
        codes: (n,) class numbers.
        groups: (n,) what stays together, or None.
        val_size: the share of each class's rows to hold back; 0 holds back none.
        near: (n,) the same for texts that nearly equal one another, and so for equal ones; None takes `keys`.
    """
    conflicting = _conflicting(keys, codes)
    units, between = _units(keys if near is None else near, groups)
    left_out = conflicting | between
    strata: dict[int, list[list[int]]] = collections.defaultdict(list)
    for unit in units:
        usable = [row for row in unit if not left_out[row]]
        if usable:
            votes = collections.Counter(int(codes[row]) for row in usable)
            majority = min(votes, key=lambda code: (-votes[code], code))
            strata[majority].append(unit)
    validation: set[int] = set()
    for members in strata.values():
        validation.update(_held_back(members, keys, codes, val_size))
    if val_size:
        _complete(validation, units, keys, np.where(left_out, -1, codes))
    order = _order(keys, codes)
    held = np.array([row in validation for row in order], dtype=np.bool_)
    return Assignment(
        training=order[~held],
        validation=order[held & ~left_out[order]],
        conflicting=order[conflicting[order]],
        between=order[between[order]],
    )


def _conflicting(keys: Sequence[bytes], codes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(n,) whether the row's text has more than one label."""
    labels: dict[bytes, set[int]] = collections.defaultdict(set)
    for key, code in zip(keys, codes.tolist(), strict=True):
        labels[key].add(code)
    return np.array([len(labels[key]) > 1 for key in keys], dtype=np.bool_)


def _units(keys: Sequence[Hashable], groups: Sequence[object] | None) -> tuple[list[list[int]], npt.NDArray[np.bool_]]:
    """Rows that must stay together: equal keys and, where groups are named, whatever groups and keys connect.

    And (n,) whether a row's key stands in several groups that it does not connect.
    """
    component = texts = _numbered(keys)
    between = np.zeros(len(texts), dtype=np.bool_)
    if groups is not None and len(texts):
        # A row without a group is a group of its own.
        places = _numbered([("group", group) if group else ("row", row) for row, group in enumerate(written(groups))])
        component = _connected(texts, places)
        if _largest(component) > WELDED * len(texts) >= _largest(places):
            pairs = np.unique(np.stack([texts, places]), axis=1)
            between = (np.bincount(pairs[0]) > 1)[texts]
            apart = texts.max() + 1 + np.arange(len(texts))
            component = _connected(np.where(between, apart, texts), places)
    members: dict[int, list[int]] = collections.defaultdict(list)
    for row, unit in enumerate(component.tolist()):
        members[unit].append(row)
    return list(members.values()), between


def _numbered(names: Sequence[Hashable]) -> Rows:
    """(n,) a number for each name, from 0."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def _connected(texts: Rows, places: Rows) -> Rows:
    """(n,) the number of what each row's text and place are connected with by all rows."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first = int(texts.max()) + 1
    size = first + int(places.max()) + 1
    graph = coo_array((np.ones(len(texts)), (texts, first + places)), shape=(size, size))
    component: Rows = connected_components(graph, directed=False)[1][texts].astype(np.int64)
    return component


def _largest(numbers: Rows) -> int:
    return int(np.bincount(numbers).max())


def _complete(validation: set[int], units: list[list[int]], keys: Sequence[bytes], codes: Rows) -> None:
    """Hold back the smallest unit of each class that nothing is held back of, if all of its classes still train.

    Args:
        validation: the rows that validate; more come in.
        units: rows that stay together.
        keys: (n,) a fingerprint of each row.
        codes: (n,) classes, negative for rows that validate nothing.
    """
    unit_of = np.empty(len(codes), dtype=np.int64)
    for number, unit in enumerate(units):
        unit_of[unit] = number
    held = np.isin(np.arange(len(codes)), list(validation))
    classes = int(codes.max(initial=-1)) + 1
    for code in range(classes):
        if (codes[held] == code).any():
            continue
        training = np.bincount(codes[~held & (codes >= 0)], minlength=classes)
        spare = []
        for number in np.unique(unit_of[codes == code]).tolist():
            unit = units[number]
            of_unit = np.bincount(codes[unit][codes[unit] >= 0], minlength=classes)
            if ((of_unit < training) | (of_unit == 0)).all():
                spare.append((len(unit), _hashes(unit, keys, codes), unit))
        if spare:
            smallest = min(spare)[2]
            validation.update(smallest)
            held[smallest] = True


def _held_back(members: list[list[int]], keys: Sequence[bytes], codes: Rows, val_size: float) -> list[int]:
    """The rows of one stratum that validate: units in the order of their hashes, as long as they fit."""
    ordered = sorted(members, key=lambda unit: _hashes(unit, keys, codes))
    wanted = val_size * sum(map(len, ordered))
    may = ordered[:-1] if wanted else []  # the last one always trains, or a class might have no training row
    rows: list[int] = []
    for unit in may:
        if len(rows) + len(unit) / 2 <= wanted:  # a large group that would be too much is passed over
            rows += unit
    return rows


def _hashes(unit: list[int], keys: Sequence[bytes], codes: Rows) -> list[tuple[bytes, int]]:
    """What orders units whatever the order of the rows: two units may have a text in common that does not join them."""
    return sorted((keys[row], int(codes[row])) for row in unit)


def _order(keys: Sequence[bytes], codes: npt.NDArray[np.int64]) -> Rows:
    """All rows by the hash of their text, then by label."""
    return np.array(sorted(range(len(keys)), key=lambda row: (keys[row], int(codes[row]))), dtype=np.int64)
