"""`sentiment-batch plugins`: what is installed, what it adds, and why one failed."""

from __future__ import annotations

import click


@click.command(short_help="List the installed plugins, and why one failed.")
def plugins() -> None:
    """List the installed plugins with their hooks, and why one failed to load."""
    from sentiment_batch.data.formats import plugins as installed

    found = installed().load_third_parties()
    if not found:
        click.echo("no plugins are installed, or $SENTIMENT_BATCH_LOAD_PLUGINS names none of them")
    for plugin in found:
        state = f"FAILED: {plugin.error}" if plugin.error else ", ".join(plugin.hooks)
        click.echo(f"{plugin.name:12} {plugin.distribution:34} {state}")
    for engine in installed().engines:
        click.echo(f"\n--engine {engine.name}: {engine.description or 'by ' + engine.owner}")
