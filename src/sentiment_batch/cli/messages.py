"""What the command line writes to the terminal: log records, errors and warnings about bad rows."""

from __future__ import annotations

import json
import logging
import re
import shlex
import shutil
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, Any, TextIO

import click

from sentiment_batch.cli.defaults import list_notices
from sentiment_batch.cli.option_words import format_as_options
from sentiment_batch.display import BLOCK, escape_controls, escape_line
from sentiment_batch.locations import without_password

if TYPE_CHECKING:
    from types import TracebackType

    from sentiment_batch.records import Problem

logger = logging.getLogger("sentiment_batch")

MAX_BAD_ROW_WARNINGS = 5
"""Number of bad rows that are shown one by one."""
ARGUMENTS = "sentiment_batch.arguments"
"""The key of the arguments of the command line in `meta` of Click's context."""
_COLOUR = re.compile("\x1b\\[[0-9;]*m")
"""A code that changes the colour on a terminal."""


def terminal_text(message: str, command: click.Command | None, *, is_block: bool = False) -> str:
    """`message` as the terminal shows it: no password, settings as options of `command`, control characters as escapes.

    Args:
        message: a line; or a block of lines, whose parts were made one line each before they were joined.
        command: the command whose options are meant, if there is one.
        is_block: keep line feeds and tabs. In a line they come from data, which must not forge another line.
    """
    # Secrets first: an escape within a URL would hide from the search where its password ends
    shown = without_password(message)
    shown = shown if command is None else format_as_options(shown, command)
    return escape_controls(shown) if is_block else escape_line(shown)


def print_block(text: str, *, to_stderr: bool = False) -> None:
    """Print lines that hold data, such as tables: control characters as escapes, and nothing else changed."""
    click.echo(escape_controls(text), err=to_stderr)


def print_json(values: object) -> None:
    """Print a result on standard output, as one line of JSON. A byte of a file name that is no UTF-8 is an escape."""
    click.echo(json.dumps(values, ensure_ascii=False).encode("utf-8", "backslashreplace").decode())


def guard_terminal() -> None:
    """Show what Python and libraries print, such as warnings and the traceback of a bug, as we show our messages."""
    original = warnings.formatwarning

    def format_warning(*arguments: Any, **named: Any) -> str:
        return terminal_text(original(*arguments, **named), None, is_block=True)

    def print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        lines = traceback.format_exception(kind, error, trace)
        click.echo(terminal_text("".join(lines), None, is_block=True), err=True, nl=False)

    warnings.formatwarning = format_warning
    sys.excepthook = print_traceback
    logging.lastResort = _StandardErrorHandler(None, logging.WARNING)


def fit_lines(text: str, stream: TextIO, indent: str = "  ") -> str:
    """`text` with its long lines wrapped between words, if `stream` is a terminal; elsewhere `text` as it is.

    Long words, such as paths, are not broken, so that they can be copied. Colours take no room.

    Args:
        text: lines of plain text, or of text with colours.
        stream: where `text` will be written.
        indent: what a wrapped line begins with.
    """
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(_wrap_line(line, width, indent) for line in text.split("\n"))


def _wrap_line(line: str, width: int, indent: str) -> str:
    first, *words = re.split(" (?!%)", line)  # 12 % stays together
    lines = [first]
    for word in words:
        longer = f"{lines[-1]} {word}"
        if len(_COLOUR.sub("", longer)) <= width or not lines[-1].strip():
            lines[-1] = longer
        else:
            lines.append(indent + word)
    return "\n".join(lines)


def running_command() -> click.Command | None:
    """The command that is running in this thread, or None outside the command line."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.command


def command_line() -> str:
    """The running command with its arguments, as one would type it."""
    arguments = click.get_current_context().meta.get(ARGUMENTS, ())
    return shlex.join(["sentiment-batch", *map(without_password, arguments)])


def configure_logging(quiet: bool, verbose: bool) -> None:
    """Send the log records of the library to standard error, without time and level; begin with the defaults in use."""
    # The handler of an earlier call in this process is replaced, because two handlers would print each message twice
    logger.handlers = [_StandardErrorHandler(running_command())]
    logger.propagate = False
    logger.setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)
    for is_warning, notice in list_notices():
        logger.log(logging.WARNING if is_warning else logging.INFO, "%s", notice)


class BadRowWarnings:
    """Logs bad rows as warnings: the first few one by one, because a table may hold millions of them."""

    def __init__(self) -> None:
        self._places: set[str] = set()

    def __call__(self, problem: Problem) -> None:
        """Log a bad row, unless its place was logged before or enough warnings were."""
        if problem.where in self._places or len(self._places) > MAX_BAD_ROW_WARNINGS:
            return
        self._places.add(problem.where)
        if len(self._places) > MAX_BAD_ROW_WARNINGS:
            logger.warning("further bad rows are not shown")
        else:
            logger.warning("%s: %s", problem.where, problem.reason)


class _StandardErrorHandler(logging.Handler):
    """Prints log records. It holds the command because other threads, which log too, have no Click context."""

    def __init__(self, command: click.Command | None, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._command = command

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        text = prefix + terminal_text(record.getMessage(), self._command, is_block=hasattr(record, *BLOCK))
        click.echo(fit_lines(text, sys.stderr), err=True)
