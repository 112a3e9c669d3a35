"""The help of a command: its options under headings, and examples at the end."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import click

MODEL = "Model"
COLUMNS = "Columns and labels"
READING = "Input"
OUTPUT = "Output"
TRAINING = "Training"
TEXTS = "Long texts"
SPEED = "Device and speed"
MESSAGES = "Messages and help"
_HEADINGS = (MODEL, COLUMNS, READING, OUTPUT, TRAINING, TEXTS, SPEED, MESSAGES)
"""In the order of the help."""

MAX_HELP_WIDTH = 100
CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": MAX_HELP_WIDTH}


class OptionWithHeading(click.Option):
    """An option that stands under a heading of the help."""

    def __init__(self, *arguments: Any, heading: str = MESSAGES, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.heading = heading


class CommandWithExamples(click.Command):
    """A command whose help has headings and ends with examples, each a description and the command itself."""

    def __init__(self, *arguments: Any, examples: Sequence[tuple[str, str]] = (), **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, heading by heading."""
        for heading in _HEADINGS:
            options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
            options = [one for one in options if getattr(one, "heading", MESSAGES) == heading]
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
option = functools.partial(click.option, cls=OptionWithHeading)
"""`click.option` with a `heading`."""
