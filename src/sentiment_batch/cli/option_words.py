"""Rewrites settings in messages: the library writes them in Python, the command line shows them as options."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import click

_BACKQUOTED = re.compile(r"`([^\W\d]\w*(?:\s*=[^`\n]+)?)`")
"""A name in backquotes, alone or with a value."""
_NO_VALUE = object()
"""Stands for the value of a setting that a message only names."""


def format_as_options(message: str, command: click.Command) -> str:
    """`message` with each backquoted Python setting as an option of `command`.

    `overwrite=True` becomes --overwrite, `calibrate=False` becomes --no-calibrate, `text_column="my review"` becomes
    --text-column 'my review', and the name of a positional argument becomes the word that the help shows, such as IN.
    Whatever does not translate stays as it is, with its backquotes: a name that is no option of the command, a value
    that no option can express, and text that is no Python setting.
    """
    if "`" not in message:
        return message
    parameters = _parameters_by_name(command)

    def replace(match: re.Match[str]) -> str:
        setting = _parse_setting(match[1])
        worded = None if setting is None else _format_setting(*setting, parameters)
        return match[0] if worded is None else worded

    return _BACKQUOTED.sub(replace, message)


def _parameters_by_name(command: click.Command) -> dict[str, click.Parameter]:
    """The parameters of `command` by the names that messages use; the name of an option counts before its variable."""
    by_variable = {parameter.name: parameter for parameter in command.params if parameter.name}
    by_option = {find_long_flag(one.opts).lstrip("-").replace("-", "_"): one for one in command.params if one.opts}
    return by_variable | by_option


def find_long_flag(flags: Sequence[str]) -> str:
    """The longest way to write an option, such as `--model` of `-m` and `--model`."""
    return max(flags, key=len)


def _parse_setting(text: str) -> tuple[str, Any] | None:
    """The name and the value in `name=value`, or a name alone; None if `text` is no setting with a plain value."""
    if text.isidentifier():
        return text, _NO_VALUE
    # `name=value` is the argument of a call in Python, so Python's own parser splits it
    try:
        call = ast.parse(f"_({text})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or len(call.keywords) != 1:
            return None
        keyword = call.keywords[0]
        return None if keyword.arg is None else (keyword.arg, ast.literal_eval(keyword.value))
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return None


def _format_setting(name: str, value: Any, parameters: Mapping[str, click.Parameter]) -> str | None:
    """The setting as a user of the command line would type it; None if the command has no such option or value."""
    parameter = parameters.get(name)
    if parameter is None:
        # A switch that only turns something off, such as --no-quotes for `quotes=False`.
        switch = parameters.get(f"no_{name}")
        is_off = isinstance(switch, click.Option) and switch.is_flag and (value is False or value is _NO_VALUE)
        return find_long_flag(switch.opts) if switch is not None and is_off else None
    if not isinstance(parameter, click.Option):
        return _argument_word(parameter) if value is _NO_VALUE else _quote(value)
    flag = find_long_flag(parameter.opts)
    if value is _NO_VALUE:
        return flag
    if parameter.is_flag:
        return _format_switch(parameter, value)
    values = _option_values(value) if parameter.multiple else [value]
    quoted = [_quote(one) for one in values]
    if not quoted or None in quoted:
        return None
    return " ".join(f"{flag} {one}" for one in quoted)


def _argument_word(argument: click.Parameter) -> str:
    """The word for a positional argument in the help, without the signs for "optional" and "several"."""
    return (argument.metavar or argument.name or "").strip("[].")


def _format_switch(option: click.Option, value: Any) -> str | None:
    if not isinstance(value, bool):
        return None
    flags = option.opts if value else option.secondary_opts
    return find_long_flag(flags) if flags else None


def _option_values(value: Any) -> list[Any]:
    """The values of an option that may be given several times: items of a sequence, or NAME=VALUE of a mapping."""
    if isinstance(value, dict):
        return [f"{key}={item}" for key, item in value.items()]
    return list(value) if isinstance(value, list | tuple) else [value]


def _quote(value: Any) -> str | None:
    """One value, quoted for a shell; None if a shell cannot show it in one line."""
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    if value is None or isinstance(value, bool | dict | set | bytes) or not str(value).isprintable():
        return None
    return shlex.quote(str(value))
