"""`sentiment-batch plugins`: lists the installed plugins with their hooks, and why a plugin failed."""

from __future__ import annotations

import click

from sentiment_batch.cli.help import command
from sentiment_batch.cli.tables import print_table


@command(
    short_help="List the installed plugins, and why one failed.",
    examples=(("List all plugins:", "sentiment-batch plugins"),),
)
def plugins() -> None:
    """List the installed plugins with their hooks, and why one failed to load."""
    from sentiment_batch.data.formats import get_plugins

    registry = get_plugins()
    found = registry.load_third_parties()
    if not found:
        click.echo("No plugins are installed, or $SENTIMENT_BATCH_LOAD_PLUGINS names none of them.")
    else:
        states = [f"FAILED: {plugin.error}" if plugin.error else ", ".join(plugin.hooks) for plugin in found]
        print_table([(one.name, one.distribution, state) for one, state in zip(found, states, strict=True)])
    engines = [(f"--engine {one.name}", one.description or f"by {one.owner}") for one in registry.engines]
    if engines:  # the registry itself is true even if it is empty
        click.echo()
        print_table(engines)
