"""Reads defaults of options from a file, and finds variables of the environment that have no effect.

`sentiment-batch.toml` has a table for each command. Without this file the tables may stand in `pyproject.toml`, under
`[tool.sentiment-batch]`. An option on the command line wins, and so does a variable of the environment.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from sentiment_batch.cli.option_words import find_long_flag
from sentiment_batch.errors import UsageError, reason

DEFAULTS_FILE = "sentiment-batch.toml"
MISSPELT_FILE = "sentiment_batch.toml"
PROJECT_FILE = "pyproject.toml"
PROJECT_TABLE = "sentiment-batch"
"""The table below `[tool]` in `pyproject.toml`."""
_MENTION = re.compile(rb"""tool\s*\.\s*["']?sentiment[-_]batch""")
"""What a project file holds that has defaults for us, even if it cannot be parsed."""
MAX_BYTES = 1_000_000
"""Bytes of a file with defaults. A longer file is something else, and might fill the memory."""
PREFIX = "SENTIMENT_BATCH_"
OTHER_VARIABLES = ("MODEL", "CACHE", "LOAD_PLUGINS", "TOKENIZER")
"""Names of variables after the prefix that belong to no option."""
MIN_SIMILARITY = 0.75
"""Similarity from which on a name may be a misspelling of another, from 0 to 1 as `difflib` measures it."""
_USED_FILE = "sentiment_batch.defaults"
"""The key of the name of the file in `meta` of Click's context."""


def find_defaults_file() -> tuple[str, Mapping[str, Any]] | None:
    """The name of the file with defaults in the current folder, and its tables; None if there is none.

    Raises:
        UsageError: the file cannot be read, or the name of the file or of the table in the project file is misspelt.
    """
    if os.path.lexists(MISSPELT_FILE) and not os.path.lexists(DEFAULTS_FILE):
        raise UsageError(f"{MISSPELT_FILE} is not read. Rename it to {DEFAULTS_FILE}, or move it away.")
    for name in (DEFAULTS_FILE, PROJECT_FILE):
        if not os.path.lexists(name):
            continue
        try:
            tables: Any = _read_tables(name)
        except (OSError, ValueError, RecursionError) as error:  # tables in thousands of tables
            if name == PROJECT_FILE:  # it belongs to other tools, too, and may have no table of ours
                continue
            raise UsageError(f"{name} cannot be read: {error}. Correct it, or move it away.") from error
        if name == PROJECT_FILE:
            tables = _find_own_table(tables.get("tool"))
        if isinstance(tables, dict):
            return name, tables
    return None


def _find_own_table(tool: Any) -> Any:
    """The table of this program in the tables of all tools; None if there is none.

    Raises:
        UsageError: its name is misspelt.
    """
    for name in tool if isinstance(tool, dict) else ():
        if name != PROJECT_TABLE and name.replace("_", "-").casefold() == PROJECT_TABLE:
            raise UsageError(
                f"{PROJECT_FILE} has a table [tool.{name}], which no tool reads. Do you mean [tool.{PROJECT_TABLE}]?"
            )
    return tool.get(PROJECT_TABLE) if isinstance(tool, dict) else None


def find_lost_defaults() -> str | None:
    """Why the defaults in the project file are not used, if it cannot be parsed and mentions them; else None."""
    if os.path.lexists(DEFAULTS_FILE) or not os.path.isfile(PROJECT_FILE):
        return None
    try:
        _read_tables(PROJECT_FILE)
    except (OSError, ValueError, RecursionError) as error:
        with contextlib.suppress(OSError), open(PROJECT_FILE, "rb") as file:
            if _MENTION.search(file.read(MAX_BYTES)):
                return f"{PROJECT_FILE} cannot be read, so its defaults are not used: {reason(error)}"
    return None


def _read_tables(name: str) -> dict[str, Any]:
    """The tables of a file, which may begin with a byte order mark, as editors on Windows write it.

    Raises:
        OSError, ValueError, RecursionError: it is no file of tables.
    """
    if not os.path.isfile(name):
        raise ValueError("it is no file, or a link that leads nowhere")
    if Path(name).stat().st_size > MAX_BYTES:
        raise ValueError(f"it is longer than {MAX_BYTES:,} bytes")
    return tomllib.loads(Path(name).read_text(encoding="utf-8-sig"))


def use_defaults(context: click.Context, commands: Mapping[str, click.Command], name: str | None) -> None:
    """Make the values of the file the defaults of the command that is called.

    Args:
        context: the context of the group.
        commands: all commands by name.
        name: the command that is called; None if the arguments name none.

    Raises:
        UsageError: the file cannot be read, names no command or option, or a value does not fit its option.
    """
    found = find_defaults_file()
    if found is None or name is None or name not in commands:
        return
    file, tables = found
    # The tables of other commands are checked, too: a misspelt [scroe] would have no effect, and nobody would notice
    header = f"[{name}]" if file == DEFAULTS_FILE else f"[tool.{PROJECT_TABLE}.{name}]"
    for table, content in tables.items():
        if table not in commands and not isinstance(content, dict):
            raise UsageError(f"{file}: {table} stands in no table. Write it below that of a command, such as {header}.")
        if table not in commands:
            raise UsageError(f"{file} has a table {_quote(table)}, which is no command.{_suggest(table, commands)}")
    values = tables.get(name, {})
    if not isinstance(values, dict):
        raise UsageError(f"{file}: {_quote(name)} must be a table, such as {header}.")
    context.default_map = {name: dict(_convert_all(f"{file}, {header}", values, commands[name], context))}
    context.meta[_USED_FILE] = file


def _convert_all(
    place: str, values: Mapping[str, Any], command: click.Command, context: click.Context
) -> Iterator[tuple[str, Any]]:
    """The name that Click gives to each option, and its value."""
    options = {_long_name(one): one for one in command.params if isinstance(one, click.Option) and not one.is_eager}
    for name, value in values.items():
        option = options.get(name)
        if option is None or option.name is None:
            raise UsageError(f"{place}: there is no option --{name}.{_suggest(name, options)}")
        try:
            # Converted here, because an error of Click's would not name the file
            yield option.name, option.type_cast_value(context, _as_typed(value, option))
        except click.BadParameter as error:
            raise UsageError(f"{place}: {name} is {_format_value(value)}. {error.message}") from error


def _as_typed(value: Any, option: click.Option) -> Any:
    """A value as the command line would give it: text, or a list of texts for an option that may be repeated."""
    if option.is_flag:
        if isinstance(value, bool):
            return value
        raise click.BadParameter("It must be true or false.")
    if option.multiple:
        return [_as_text(one) for one in (value if isinstance(value, list) else [value])]
    return _as_text(value)


def _as_text(value: Any) -> str:
    if isinstance(value, bool | list | dict):
        raise click.BadParameter("It must be a text or a number.")
    return str(value)


def _format_value(value: Any) -> str:
    """A value for a message, in the words of the file."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str | list | dict) else str(value)


def _long_name(option: click.Option) -> str:
    """The name of an option as the file has it: the longest, without its dashes."""
    return find_long_flag(option.opts).lstrip("-")


def list_notices() -> Iterator[tuple[bool, str]]:
    """What the user should know about the defaults of the running command, and whether it is a warning."""
    context = click.get_current_context(silent=True)
    if context is None:
        return
    used = [
        one
        for one in context.command.params
        if one.name and context.get_parameter_source(one.name) is ParameterSource.DEFAULT_MAP
    ]
    if used:
        words = " ".join(_format_option(one, context.params.get(one.name or "")) for one in used)
        yield False, f"defaults from {context.meta.get(_USED_FILE, DEFAULTS_FILE)}: {words}"
    if lost := find_lost_defaults():
        yield True, f"{lost}. Correct it."
    for variable, close in find_unknown_variables(list_commands(context)):
        yield True, f"the environment variable {variable} has no effect.{close}"


def format_defaults_notice(context: click.Context, command: click.Command, message: str, typed: Sequence[str]) -> str:
    """A sentence that names the options in a message whose values come from the file; empty if there are none.

    Args:
        context: the context of the group.
        command: the command that failed.
        message: what is printed, with the options as one would type them.
        typed: the arguments of the command line.
    """
    # Somebody who reads about an option that he did not type cannot know where its value comes from
    given = (context.default_map or {}).get(command.name or "", {})
    words = set(re.findall(r"--[\w-]*\w", message)) - {one.partition("=")[0] for one in typed}
    named = [
        find_long_flag(one.opts)
        for one in command.params
        if given.get(one.name) not in (None, False) and words & set(one.opts) and not set(typed) & set(one.opts)
    ]
    return f" {context.meta[_USED_FILE]} gives {', '.join(named)}." if named else ""


def list_commands(context: click.Context) -> Mapping[str, click.Command]:
    """All commands by name."""
    group = context.find_root().command
    return group.commands if isinstance(group, click.Group) else {}


def find_unknown_variables(commands: Mapping[str, click.Command]) -> Iterator[tuple[str, str]]:
    """Variables of the environment that look like ours and have no effect, and what may be meant.

    A variable looks like ours if it names a command, or nearly one that has an effect.
    """
    # Programs of others may share our prefix, so not every unknown variable is worth a warning
    known = [*OTHER_VARIABLES]
    for command in commands.values():
        options = (one for one in command.params if isinstance(one, click.Option))
        known += [one.envvar.removeprefix(PREFIX) for one in options if isinstance(one.envvar, str)]
    beginnings = tuple(f"{name.upper()}_" for name in commands)
    for variable in sorted(os.environ):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1, cutoff=MIN_SIMILARITY)
        if close or name.startswith(beginnings):
            yield variable, f" Do you mean {PREFIX}{close[0]}?" if close else ""


def _format_option(option: click.Parameter, value: Any) -> str:
    """An option with its value as one would type it; a list of values is joined by blanks."""
    name = find_long_flag(option.opts)
    if isinstance(value, bool):
        return name if value else next(iter(option.secondary_opts), f"{name}=false")
    return f"{name} {shlex.join(map(str, value if isinstance(value, tuple | list) else [value]))}"


def _suggest(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Do you mean {close[0]}?" if close else ""


def _quote(name: str) -> str:
    return f"[{name}]"
