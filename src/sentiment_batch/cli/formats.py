"""`sentiment-batch formats`: lists the formats that can be read and written here."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from sentiment_batch.cli.help import command
from sentiment_batch.cli.messages import configure_logging, fit_lines
from sentiment_batch.cli.tables import print_table

if TYPE_CHECKING:
    from sentiment_batch.plugins.registry import Format


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
        both = [registry[name] for registry in (readers, writers) if name in registry]
        reads, writes = ("yes" if name in registry else "no" for registry in (readers, writers))
        owners = _join((one.owner for one in both), ", ")
        descriptions = _join((one.description for one in both), "; as output: ")
        rows.append((name, reads, writes, owners, _list_endings(both), descriptions))
    print_table(rows)
    click.echo(
        "\n"
        + fit_lines(
            "CSV and JSON lines may be compressed: .gz, .bz2, .xz or .zst follows the ending. "
            "- stands for standard input or output.",
            sys.stdout,
        )
    )


def _list_endings(both: list[Format]) -> str:
    """The file endings and the URL schemes of a reader and a writer of one name, each once."""
    suffixes = (suffix for one in both for suffix in one.suffixes)
    schemes = (f"{scheme}://" for one in both for scheme in one.schemes)
    return _join((*suffixes, *schemes), " ")


def _join(texts: Iterable[str], separator: str) -> str:
    """The texts that are not empty, each once, joined."""
    return separator.join(dict.fromkeys(filter(None, texts)))
