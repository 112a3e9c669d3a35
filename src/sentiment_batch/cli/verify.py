"""`sentiment-batch verify`: checks that an output of `score` is complete and unchanged."""

from __future__ import annotations

import sys

import click

from sentiment_batch.cli import options
from sentiment_batch.cli.help import command
from sentiment_batch.cli.messages import fit_lines, print_block, print_json
from sentiment_batch.display import escape_line


@command(
    short_help="Check that an output of `score` is complete and unchanged.",
    examples=(
        ("Check an output:", "sentiment-batch verify scored.parquet"),
        ("Check it in a script, by the exit code:", "sentiment-batch verify scored.parquet --quiet && echo unchanged"),
    ),
)
@click.argument("output", metavar="OUT")
@options.messages
def verify(output: str, quiet: bool, as_json: bool) -> None:
    """Read OUT again, which `score` wrote, and compare it with OUT.manifest.json.

    The command checks the SHA-256 of every file, the number of rows, the list of bad rows, and the number of rows of
    the input if that is still there unchanged. The exit code is 0 if everything agrees, else 1.
    """
    from sentiment_batch.scoring.output.verify import verify_output

    verified = verify_output(output)
    if as_json:
        print_json(verified.to_json())
    elif not quiet:
        print_block(fit_lines(escape_line(str(verified)), sys.stdout))
