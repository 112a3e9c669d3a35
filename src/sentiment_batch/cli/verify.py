"""`sentiment-batch verify`: an output of `score` in, whether it is whole and unchanged out."""

from __future__ import annotations

import json

import click

from sentiment_batch.cli import options
from sentiment_batch.cli.messages import configure_logging


@click.command(short_help="Check that an output of `score` is whole and unchanged.")
@click.argument("output", metavar="OUT")
@options.messages
def verify(output: str, quiet: bool, verbose: bool, as_json: bool) -> None:
    """Re-read OUT, which `score` wrote, and check it against OUT.manifest.json.

    Checked are the SHA-256 of every file, that its rows can be read and are as many as were written, the list of bad
    rows, and the number of rows of the input if that is still there. The exit code is 0 if all is well, else 1.
    """
    configure_logging(quiet, verbose)
    from sentiment_batch.scoring.output.verify import verify_output

    verified = verify_output(output)
    if as_json:
        click.echo(json.dumps(verified.to_json(), ensure_ascii=False))
    elif not quiet:
        click.echo(str(verified))
