"""The command line: one file per command. Errors of this project become one line and an exit code.

Nothing heavy is imported at the top of these files, so that help and errors of usage appear at once.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

import click

from sentiment_batch.cli.bench import bench
from sentiment_batch.cli.doctor import doctor
from sentiment_batch.cli.evaluate import evaluate
from sentiment_batch.cli.explain import explain
from sentiment_batch.cli.formats import formats
from sentiment_batch.cli.help import CONTEXT_SETTINGS, HelpContext, write_examples
from sentiment_batch.cli.inspect import inspect
from sentiment_batch.cli.messages import ARGUMENTS, fit_lines, terminal_text
from sentiment_batch.cli.plugins import plugins
from sentiment_batch.cli.predict import predict
from sentiment_batch.cli.score import score
from sentiment_batch.cli.signals import SignalExit, handle_signals
from sentiment_batch.cli.train import train
from sentiment_batch.cli.verify import verify
from sentiment_batch.display import visible
from sentiment_batch.errors import SentimentBatchError

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
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Errors of this project and interrupts become one line and an exit code.

        Other exceptions are bugs and keep their traceback.
        """
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            # Click quotes what the user typed, which may hold control characters.
            raise click.UsageError(visible(error.format_message()), error.ctx) from error
        except SentimentBatchError as error:
            command = self.commands.get(ctx.invoked_subcommand or "")
            click.echo(fit_lines(f"Error: {terminal_text(str(error), command)}", sys.stderr), err=True)
            ctx.exit(error.exit_code)
        except (KeyboardInterrupt, SignalExit) as end:
            click.echo("Interrupted. No half-written output was left behind.", err=True)
            ctx.exit(end.code if isinstance(end, SignalExit) else 130)
        except BrokenPipeError:
            # The reader of our output left, as `head` does. That is no error.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(141)
        except OSError as error:
            if error.errno != errno.ENOSPC or error.filename is not None:
                raise
            click.echo("Error: standard output is full. Free some space, or send it elsewhere.", err=True)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(1)


@click.group(cls=CommandGroup, context_settings=CONTEXT_SETTINGS)
@click.version_option(package_name="sentiment-batch", prog_name="sentiment-batch")
def group() -> None:
    """Train a sentiment classifier on your own reviews and annotate tables of any size with it.

    Every option can also be set in the environment, as SENTIMENT_BATCH_<COMMAND>_<OPTION>.
    """


def _add(command: click.Command) -> None:
    """Add a command whose options can stand in the environment, each under its own name (--json: ..._SCORE_JSON)."""
    for option in command.params:
        if isinstance(option, click.Option):  # Click's automatic names are those of the function's arguments: AS_JSON
            name = max(option.opts, key=len).lstrip("-")
            option.envvar = f"SENTIMENT_BATCH_{command.name}_{name}".replace("-", "_").upper()
    group.add_command(command)


for command in (inspect, train, score, verify, predict, explain, evaluate, bench, formats, plugins, doctor):
    _add(command)


def main() -> None:
    """Run the command line."""
    # Waiting threads give their core away. On a busy machine, spinning threads made training four to seven times
    # slower; on an idle one, they gain 5 %. OpenMP reads this when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a code page may lack characters of a review
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")
    handle_signals()
    group(prog_name="sentiment-batch")
