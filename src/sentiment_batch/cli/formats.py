"""`sentiment-batch formats`: what can be read and written here."""

from __future__ import annotations

import click

from sentiment_batch.cli.messages import configure_logging


@click.command(short_help="List the formats that can be read and written here.")
def formats() -> None:
    """List the formats that can be read and written here, those of plugins included."""
    configure_logging(quiet=False, verbose=False)
    from sentiment_batch.data.formats import list_formats

    readers, writers = list_formats()
    names = list(dict.fromkeys([*readers, *writers]))
    click.echo(f"{'format':10} {'reads':6} {'writes':6} {'plugin':16} {'endings and schemes':32} description")
    for name in names:
        one = readers.get(name) or writers[name]
        endings = " ".join([*one.suffixes, *(f"{scheme}://" for scheme in one.schemes)])
        reads, writes = ("yes" if name in registry else "no" for registry in (readers, writers))
        click.echo(f"{name:10} {reads:6} {writes:6} {one.owner:16} {endings:32} {one.description}")
    click.echo(
        "\n.gz, .bz2, .xz and .zst after an ending of CSV and JSON lines compress. - is standard input or output."
    )
