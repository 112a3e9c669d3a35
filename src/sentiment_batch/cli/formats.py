"""`sentiment-batch formats`: lists the formats that can be read and written here."""

from __future__ import annotations

import sys

import click

from sentiment_batch.cli.help import command
from sentiment_batch.cli.messages import configure_logging, fit_lines
from sentiment_batch.cli.tables import print_table


@command(
    short_help="List the formats that can be read and written here.",
    examples=(("List all formats:", "sentiment-batch formats"),),
)
def formats() -> None:
    """List the formats that can be read and written here, with those of plugins."""
    configure_logging(quiet=False, verbose=False)
    from sentiment_batch.data.formats import list_formats

    readers, writers = list_formats()
    rows = [("format", "reads", "writes", "plugin", "endings and schemes", "description")]
    for name in dict.fromkeys([*readers, *writers]):
        one = readers.get(name) or writers[name]
        endings = " ".join([*one.suffixes, *(f"{scheme}://" for scheme in one.schemes)])
        reads, writes = ("yes" if name in registry else "no" for registry in (readers, writers))
        rows.append((name, reads, writes, one.owner, endings, one.description))
    print_table(rows)
    click.echo(
        "\n"
        + fit_lines(
            "CSV and JSON lines may be compressed: .gz, .bz2, .xz or .zst follows the ending. "
            "- stands for standard input or output.",
            sys.stdout,
        )
    )
