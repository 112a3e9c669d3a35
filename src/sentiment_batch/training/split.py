"""Divides labelled texts into training and validation so that nothing leaks; texts in, row numbers out."""

from __future__ import annotations

import collections
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Groups = list[str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """Which rows go where, each in an order that does not depend on the order of the input."""

    training: Rows
    validation: Rows
    conflicting: Rows
    """Rows whose text also stands there with another label; they are in no validation set."""


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

    Equal and nearly equal texts, and rows of one group, go to one side whole; texts that join two groups join the
    groups.

    Args:
        keys: (n,) a seeded fingerprint of each row's text.
        codes: (n,) class numbers.
        groups: (n,) what stays together, or None.
        val_size: the share of each class's rows to hold back; 0 holds back none.
        near: (n,) the same for texts that nearly equal one another, and so for equal ones; None takes `keys`.
    """
    conflicting = _conflicting(keys, codes)
    units = _units(keys if near is None else near, groups)
    strata: dict[int, list[list[int]]] = collections.defaultdict(list)
    for unit in units:
        usable = [row for row in unit if not conflicting[row]]
        if usable:
            votes = collections.Counter(int(codes[row]) for row in usable)
            majority = min(votes, key=lambda code: (-votes[code], code))
            strata[majority].append(unit)
    validation: set[int] = set()
    for members in strata.values():
        validation.update(_held_back(members, keys, val_size))
    order = _order(keys, codes)
    held = np.array([row in validation for row in order], dtype=np.bool_)
    return Assignment(
        training=order[~held], validation=order[held & ~conflicting[order]], conflicting=order[conflicting[order]]
    )


def _conflicting(keys: Sequence[bytes], codes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(n,) whether the row's text has more than one label."""
    labels: dict[bytes, set[int]] = collections.defaultdict(set)
    for key, code in zip(keys, codes.tolist(), strict=True):
        labels[key].add(code)
    return np.array([len(labels[key]) > 1 for key in keys], dtype=np.bool_)


def _units(keys: Sequence[Hashable], groups: Sequence[object] | None) -> list[list[int]]:
    """Rows that must stay together: equal keys and, where groups are named, whatever groups and keys connect."""
    numbers: dict[Hashable, int] = {}
    texts = np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)
    component = texts
    if groups is not None:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        # A row without a group is a group of its own.
        names = [("group", group) if group else ("row", row) for row, group in enumerate(written(groups))]
        nodes: dict[tuple[str, object], int] = {}
        places = np.array([len(numbers) + nodes.setdefault(name, len(nodes)) for name in names], dtype=np.int64)
        size = len(numbers) + len(nodes)
        graph = coo_array((np.ones(len(texts)), (texts, places)), shape=(size, size))
        component = connected_components(graph, directed=False)[1][texts]
    members: dict[int, list[int]] = collections.defaultdict(list)
    for row, unit in enumerate(component.tolist()):
        members[unit].append(row)
    return list(members.values())


def _held_back(members: list[list[int]], keys: Sequence[bytes], val_size: float) -> list[int]:
    """The rows of one stratum that validate: units in the order of their hash, as long as they fit; one at least."""
    ordered = sorted(members, key=lambda unit: min(keys[row] for row in unit))
    wanted = val_size * sum(map(len, ordered))
    may = ordered[:-1] if wanted else []  # the last one always trains, or a class might have no training row
    rows: list[int] = []
    for unit in may:
        if len(rows) + len(unit) / 2 <= wanted:  # a large group that would be too much is passed over
            rows += unit
    return rows or min(may, key=len, default=[])


def _order(keys: Sequence[bytes], codes: npt.NDArray[np.int64]) -> Rows:
    """All rows by the hash of their text, then by label."""
    return np.array(sorted(range(len(keys)), key=lambda row: (keys[row], int(codes[row]))), dtype=np.int64)
