"""The command line: one file per command. Errors of this project become one line and an exit code.

Nothing heavy is imported at the top of these files, so that help and errors of usage appear at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import click

from sentiment_batch.cli.bench import bench
from sentiment_batch.cli.compare import compare
from sentiment_batch.cli.defaults import PREFIX, format_defaults_notice, list_commands, use_defaults
from sentiment_batch.cli.doctor import doctor
from sentiment_batch.cli.evaluate import evaluate
from sentiment_batch.cli.explain import explain
from sentiment_batch.cli.formats import formats
from sentiment_batch.cli.help import CONTEXT_SETTINGS, HelpContext, write_examples
from sentiment_batch.cli.inspect import inspect
from sentiment_batch.cli.messages import ARGUMENTS, fit_lines, guard_terminal, terminal_text
from sentiment_batch.cli.option_words import find_long_flag
from sentiment_batch.cli.plugins import plugins
from sentiment_batch.cli.predict import predict
from sentiment_batch.cli.score import score
from sentiment_batch.cli.select import select
from sentiment_batch.cli.signals import SignalExit, handle_signals
from sentiment_batch.cli.streams import end_output, guard_streams
from sentiment_batch.cli.summary import summary
from sentiment_batch.cli.train import train
from sentiment_batch.cli.verify import verify
from sentiment_batch.errors import DeviceError, InputError, OutputError, SentimentBatchError
from sentiment_batch.memory import OUT_OF_MEMORY, lacks_memory
from sentiment_batch.model.openmp import wait_passively

EXAMPLES = (
    ("Train a model on your own reviews, and annotate a table with it:", "sentiment-batch train reviews.csv"),
    ("", "sentiment-batch score new.csv scored.parquet"),
    ("Show all options of a command:", "sentiment-batch score --help"),
)


class CommandGroup(click.Group):
    """The group of commands, in the order in which people need them, and the one place that prints errors."""

    context_class = HelpContext

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in the order of their definition."""
        return list(self.commands)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        write_examples(EXAMPLES, formatter)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the arguments, because pages show the command line."""
        ctx.meta[ARGUMENTS] = tuple(args)
        # Help is shown even if the file with the defaults is wrong
        if not {"--help", "-h"} & set(args):
            try:
                use_defaults(ctx, self.commands, next((one for one in args if not one.startswith("-")), None))
            except SentimentBatchError as error:
                _fail(error)
        with _shown_safely():
            return super().parse_args(ctx, args)

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run a command line. Help that standard output cannot take ends it with one line."""
        try:
            return super().main(*arguments, **options)
        except OutputError as error:  # `invoke` is not reached, because Click prints help while it parses
            _fail(error)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Errors of this project and interrupts become one line and an exit code.

        Other exceptions are bugs and keep their traceback.
        """
        try:
            _check_current_folder()
            with _shown_safely():
                return super().invoke(ctx)
        except SentimentBatchError as error:
            _fail(error, ctx)
        except (KeyboardInterrupt, SignalExit) as end:
            click.echo("Interrupted. No half-written output was left behind.", err=True)
            ctx.exit(end.code if isinstance(end, SignalExit) else 130)
        except BrokenPipeError:
            # The reader of our output left, as `head` does. That is no error.
            ctx.exit(141)
        except Exception as error:
            found = _make_environment_error(error)
            if found is None:
                raise
            _fail(found, ctx)


@contextlib.contextmanager
def _shown_safely() -> Iterator[None]:
    """Show errors of usage as we show our messages, because Click quotes what the user typed."""
    try:
        yield
    except click.UsageError as error:
        raise click.UsageError(terminal_text(error.format_message(), None), error.ctx) from error


def _make_environment_error(error: Exception) -> SentimentBatchError | None:
    """The error to print if the machine, not a bug, caused `error`; else None."""
    if lacks_memory(error):
        return DeviceError(OUT_OF_MEMORY)
    if isinstance(error, FileNotFoundError) and error.filename is None and "temporary directory" in str(error):
        return InputError("there is no folder for temporary files. Set TMPDIR to one that you can write.")
    return None


def _fail(error: SentimentBatchError, context: click.Context | None = None) -> NoReturn:
    """Print the error in one line and exit, with the settings worded as options of the command that a group runs."""
    command = None if context is None else list_commands(context).get(context.invoked_subcommand or "")
    shown = terminal_text(str(error), command)
    if context is not None and command is not None:
        shown += format_defaults_notice(context, command, shown, context.meta.get(ARGUMENTS, ()))
    click.echo(fit_lines(f"Error: {shown}", sys.stderr), err=True)
    sys.exit(error.exit_code)


def _check_current_folder() -> None:
    """Raise InputError if the current folder was removed. The libraries of torch would end the process on import."""
    try:
        os.getcwd()
    except FileNotFoundError:
        cure = "Change to another one, and run again."
        raise InputError(f"the current folder does not exist any more. {cure}") from None


@click.group(cls=CommandGroup, context_settings=CONTEXT_SETTINGS)
@click.version_option(package_name="sentiment-batch", prog_name="sentiment-batch")
def group() -> None:
    """Train a sentiment classifier on your own reviews and annotate tables of any size with it.

    Every option can also be set in the environment, as SENTIMENT_BATCH_<COMMAND>_<OPTION>, and in a file
    sentiment-batch.toml in the current folder, as option = value below [command].
    """


def _add(command: click.Command) -> None:
    """Add a command whose options can stand in the environment, each under its own name (--json: ..._SCORE_JSON)."""
    for option in command.params:
        if isinstance(option, click.Option):  # Click's automatic names are those of the function's arguments: AS_JSON
            name = find_long_flag(option.opts).lstrip("-")
            option.envvar = f"{PREFIX}{command.name}_{name}".replace("-", "_").upper()
    group.add_command(command)


for command in (
    inspect,
    train,
    score,
    verify,
    summary,
    select,
    predict,
    explain,
    evaluate,
    compare,
    bench,
    formats,
    plugins,
    doctor,
):
    _add(command)


def main() -> None:
    """Run the command line."""
    guard_streams()
    guard_terminal()
    handle_signals()  # for callers that do not come from `__main__`
    try:
        with wait_passively():
            group(prog_name="sentiment-batch")
    finally:
        end_output()
