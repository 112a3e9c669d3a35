"""Parses conditions such as `share(negative) > 0.3`, checks them before the work, and applies them after it."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sentiment_batch.errors import GateError, UsageError, find_closest, listed

_CONDITION = re.compile(r"\s*(\w+)\s*(?:\((.*)\))?\s*(<=|>=|<|>)\s*([-+.\deE]+)\s*(%?)\s*", re.DOTALL)
"""A figure, an optional label in brackets, a sign, a number, and an optional percent sign. The label may itself hold
brackets, because the last bracket before the sign ends it."""
OF_A_LABEL = ("share", "corrected")
"""The figures that need a label in brackets."""
_RANGES = {"rows": (0, math.inf), "loss": (0, math.inf)}
"""The values that these figures can have. A condition with a limit outside of them would never hold, or always."""
_DIFFERENCES = ("difference", "difference_low", "difference_high")
"""The figures from -1 to 1. All others lie between 0 and 1."""

Figures = Mapping[str, float | Mapping[str, float | None] | None]
"""The value of each figure, or its values by label. A value is None if the figure does not exist in this run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """A condition that fails a run."""

    condition: str
    """The condition as the user wrote it."""
    figure: str
    """The name of the figure, such as `share`."""
    label: str | None
    """The label in brackets; None if there is none."""
    sign: str
    """One of `<`, `<=`, `>` and `>=`."""
    limit: float
    """The number after the sign. 30% is 0.3."""

    def holds(self, value: float) -> bool:
        """True if the condition holds for a value. The run then fails."""
        is_equal = value == self.limit
        is_beyond = value < self.limit if self.sign[0] == "<" else value > self.limit
        return is_beyond or (is_equal and self.sign.endswith("="))


@dataclass(frozen=True, kw_only=True, slots=True)
class GateResult:
    """The result of a gate after a run."""

    condition: str
    value: float | None
    """The value of the figure; None if there is none, such as a share of no rows."""
    failed: bool
    """True if the condition holds, or if the figure does not exist."""

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return asdict(self)


def parse_gates(conditions: Sequence[str], figures: Collection[str]) -> tuple[Gate, ...]:
    """Parse conditions.

    Args:
        conditions: as the user wrote them.
        figures: the figures that the command has.

    Raises:
        UsageError: a condition cannot be parsed, or names a figure that the command does not have.
    """
    return tuple(_parse(condition, figures) for condition in conditions)


def refuse_unknown(gates: Sequence[Gate], *, labels: Collection[str] | None, missing: Mapping[str, str]) -> None:
    """Refuse gates whose figures will not exist, before any work is done.

    Args:
        gates: the gates.
        labels: all labels that rows can have; None if they are not known yet.
        missing: why a figure will not exist, by its name.

    Raises:
        UsageError: a figure will not exist, or there is no such label.
    """
    for gate in gates:
        if gate.figure in missing:
            raise UsageError(f"`fail_if` is {gate.condition!r}, which cannot be computed: {missing[gate.figure]}.")
        if labels is not None and gate.label is not None and gate.label not in labels:
            raise UsageError(
                f"`fail_if` is {gate.condition!r}, but no label is called {gate.label!r}; the labels are "
                f"{listed(labels)}."
            )


def apply_gates(gates: Sequence[Gate], figures: Figures) -> list[GateResult]:
    """Apply gates to the figures of a run. A figure that does not exist fails its gate."""
    results = []
    for gate in gates:
        found = figures[gate.figure]
        value = found.get(gate.label or "") if isinstance(found, Mapping) else found
        # A gate that cannot be checked fails, so that a missing figure never passes unnoticed.
        results.append(GateResult(condition=gate.condition, value=value, failed=value is None or gate.holds(value)))
    return results


def raise_failed(results: Sequence[GateResult]) -> None:
    """Raise a GateError if a gate has failed.

    Raises:
        GateError: the message names each gate that failed, with its value.
    """
    failed = [one for one in results if one.failed]
    if failed:
        named = "; ".join(f"{one.condition!r} holds: {_format_value(one.value)}" for one in failed)
        raise GateError(f"{named}. All results were written.")


def _format_value(value: float | None) -> str:
    return "there is no such figure in this run" if value is None else f"it is {value:.6g}"


def _parse(condition: str, figures: Collection[str]) -> Gate:
    """The gate of one condition. The checks go from the form of the condition to what its figure can be.

    Raises:
        UsageError: the condition has another form, or can never be decided.
    """
    # The pattern also lets through numbers such as 1e or 1-2, which `float` refuses.
    match = _CONDITION.fullmatch(condition)
    try:
        limit = float(match[4]) / (100 if match[5] else 1) if match else None
    except ValueError:
        limit = None
    if match is None or limit is None:
        raise UsageError(
            f"`fail_if` is {condition!r}; it takes a figure, <, <=, > or >=, and a number, such as "
            f"'{_example(figures)}'."
        )
    figure, label = match[1], match[2]
    # A common mistake is to write a label in place of a figure.
    if figure not in figures:
        close = find_closest(figure, list(figures))
        hint = f"Did you mean {close!r}? " if close else ""
        first = next((one for one in OF_A_LABEL if one in figures), None)
        of_label = f" If {figure!r} is a label, write {first}({figure})." if first else ""
        raise UsageError(f"`fail_if` names {figure!r}. {hint}The figures are {', '.join(figures)}.{of_label}")
    if (figure in OF_A_LABEL) != bool(label and label.strip()):
        cure = f"needs a label, such as {figure}(negative)" if figure in OF_A_LABEL else "takes no label in brackets"
        raise UsageError(f"`fail_if` is {condition!r}, but {figure!r} {cure}.")
    _check_limit(condition, figure, limit, is_percent=bool(match[5]))
    name = None if label is None else label.strip()
    return Gate(condition=condition.strip(), figure=figure, label=name, sign=match[3], limit=limit)


def _check_limit(condition: str, figure: str, limit: float, *, is_percent: bool) -> None:
    """Raise UsageError for a limit that the figure can never reach, such as `share(negative) > 30`."""
    low, high = _RANGES.get(figure, (-1 if figure in _DIFFERENCES else 0, 1))
    if is_percent and high == math.inf:
        raise UsageError(f"`fail_if` is {condition!r}, but {figure!r} is no share. Give a number without %.")
    if not low <= limit <= high:
        ends = f"is at least {low}" if high == math.inf else f"lies between {low} and {high}"
        # 30 for a share most likely means 30 percent.
        hint = f", or {limit:g}% if you mean percent" if 1 < limit <= 100 and not is_percent else ""
        raise UsageError(f"`fail_if` is {condition!r}, but {figure!r} {ends}. Give such a number{hint}.")


def _example(figures: Collection[str]) -> str:
    return "share(negative) > 0.3" if "share" in figures else f"{next(iter(figures))} < 0.9"
