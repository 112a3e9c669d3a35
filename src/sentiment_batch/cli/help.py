"""The help of a command: its options under headings, and examples at the end."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sentiment_batch.settings import ScoreSettings, TrainSettings

MODEL = "Model"
COLUMNS = "Columns and labels"
INPUT = "Input"
OUTPUT = "Output"
TRAINING = "Training"
TEXTS = "Long texts"
SPEED = "Device and speed"
MESSAGES = "Messages and help"
_HEADINGS = (MODEL, COLUMNS, INPUT, OUTPUT, TRAINING, TEXTS, SPEED, MESSAGES)
"""All headings, in the order of the help."""

AT_LEAST_ZERO = click.IntRange(min=0)
MAX_HELP_WIDTH = 100
_UNBROKEN_HYPHEN = "\u2011"
"""Stands for each hyphen while Click wraps lines, because Click breaks a line at a hyphen."""
CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": MAX_HELP_WIDTH}


class _HelpFormatter(click.HelpFormatter):
    """Wraps help texts, but breaks no word at a hyphen, so that `--neutral-band` can be found and copied."""

    def write_text(self, text: str) -> None:
        super().write_text(text.replace("-", _UNBROKEN_HYPHEN))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl([(name, text.replace("-", _UNBROKEN_HYPHEN)) for name, text in rows], col_max, col_spacing)

    def getvalue(self) -> str:
        return super().getvalue().replace(_UNBROKEN_HYPHEN, "-")


class HelpContext(click.Context):
    """The context of all commands."""

    formatter_class = _HelpFormatter


class OptionWithHeading(click.Option):
    """An option that stands under a heading of the help."""

    def __init__(self, *arguments: Any, heading: str = MESSAGES, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.heading = heading


class _TextLines(click.types.StringParamType):
    """Text, of an option that may be repeated. Click would split its variable of the environment at every blank."""

    def split_envvar_value(self, rv: str) -> list[str]:
        """The values of a variable, which has one on each line."""
        return [line for line in rv.split("\n") if line.strip()]


def heading_of(option: click.Option) -> str:
    """The heading of an option in the help. Click's own options, such as --help, stand under `MESSAGES`."""
    return option.heading if isinstance(option, OptionWithHeading) else MESSAGES


class CommandWithExamples(click.Command):
    """A command whose help has headings and ends with examples, each a description and the command itself."""

    context_class = HelpContext

    def __init__(self, *arguments: Any, examples: Sequence[tuple[str, str]] = (), **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, heading by heading."""
        for heading in _HEADINGS:
            options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
            options = [one for one in options if heading_of(one) == heading]
            records = [record for one in options if (record := one.get_help_record(ctx)) is not None]
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, each on a line of its own that can be copied."""
        write_examples(self.examples, formatter)


def write_examples(examples: Sequence[tuple[str, str]], formatter: click.HelpFormatter) -> None:
    """Write examples under their own heading; the commands are not wrapped, so that they can be copied."""
    if not examples:
        return
    with formatter.section("Examples"):
        for description, command in examples:
            if description:
                formatter.write_text(description)
            formatter.write(f"{'':{formatter.current_indent + 2}}{command}\n")


command = functools.partial(click.command, cls=CommandWithExamples, context_settings=CONTEXT_SETTINGS)
"""`click.command` with headings and `examples`."""


def option(
    heading: str,
    names: str,
    help_text: str,
    kind: Any = None,
    metavar: str | None = None,
    *,
    default: Any = None,
    several: bool = False,
) -> Callable[[Any], Any]:
    """An option of a command.

    Args:
        heading: where it stands in the help.
        names: the words of the option and the name of its argument, divided by spaces: `-m --model`, `--json as_json`.
        help_text: full sentences.
        kind: the type of the value, `bool` for a switch; None takes text.
        metavar: the word for the value in the help; None takes the name of the type.
        default: the value if the option is not given. The help shows it.
        several: the option may be given several times. Its values are text.
    """
    kind = _TextLines() if several else kind
    settings: dict[str, Any] = {"is_flag": True} if kind is bool and "/" not in names else {"type": kind}
    if default is not None:
        settings |= {"default": default, "show_default": True}
    if kind is bool and "/" in names:
        settings["default"] = default  # Click would take no default for False
    return click.option(
        *names.split(),
        cls=OptionWithHeading,
        heading=heading,
        help=help_text,
        metavar=metavar,
        multiple=several,
        **settings,
    )


def setting(
    settings: TrainSettings | ScoreSettings,
    heading: str,
    name: str,
    help_text: str,
    metavar: str | None = None,
    *,
    choices: Sequence[str] = (),
) -> Callable[[Any], Any]:
    """The option for a field of `settings`, which gives its type and its default.

    Args:
        settings: the default settings.
        heading: where it stands in the help.
        name: the name of the field.
        help_text: full sentences.
        metavar: the word for the value in the help; None takes the name of the type.
        choices: all values, if there are only a few.
    """
    # The type and the default come from the record, so that they are written down once
    default, flag = getattr(settings, name), "--" + name.replace("_", "-")
    annotation = next(str(field.type) for field in fields(settings) if field.name == name)
    kinds = {"int": int, "float": float, "bool": bool, "str": str}
    kind = click.Choice(choices) if choices else kinds[annotation.removesuffix(" | None")]
    if default is True:
        flag += f"/--no-{name.replace('_', '-')}"
    return option(heading, flag, help_text, kind, metavar, default=default or (default if kind is not bool else None))
