"""The settings of training that a benchmark compares, from options such as NAME=VALUE and NAME=A,B."""

from __future__ import annotations

import ast
import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any


def read_grid(fixed: Sequence[str], varied: Sequence[str]) -> list[dict[str, Any]]:
    """All settings to run, each checked now. The last one that varies changes fastest.

    Args:
        fixed: a setting of all runs each, as NAME=VALUE.
        varied: a setting to try values of each, as NAME=A,B.

    Raises:
        ValueError: one of them has another form, or training does not accept it.
    """
    from sentiment_batch.errors import UsageError
    from sentiment_batch.settings import TrainSettings

    common = {name: _value(text) for name, text in map(_halves, fixed)}
    tried = {name: [_value(one) for one in text.split(",")] for name, text in map(_halves, varied)}
    grid = [common | dict(zip(tried, values, strict=True)) for values in itertools.product(*tried.values())]
    for setting in grid:
        try:
            TrainSettings(**setting)
        except (UsageError, TypeError) as error:
            raise ValueError(f"{name_setting(setting)}: {error}") from error
    return grid


def name_setting(setting: dict[str, Any] | str) -> str:
    """The settings of a run in words; a run that is no training has a name instead, which stays."""
    if isinstance(setting, str):
        return setting
    return " ".join(f"{name}={value}" for name, value in setting.items()) or "defaults"


def _halves(text: str) -> tuple[str, str]:
    """The name and the text of NAME=VALUE.

    Raises:
        ValueError: it has another form, or names no setting of training that may be chosen here.
    """
    from sentiment_batch.settings import TrainSettings

    own = {"base", "epochs", "device", "seed", "limit"}
    known = [field.name for field in dataclasses.fields(TrainSettings) if field.name not in own]
    name, equals, value = text.partition("=")
    if not equals or name not in known:
        raise ValueError(f"{text!r} sets nothing; it must be NAME=VALUE, with a name of {', '.join(known)}")
    return name, value


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):  # a word, such as head-tail
        return text
