"""The hooks that a plugin may implement.

A plugin is a module or an object that an entry point of the group `sentiment_batch` names. It marks its functions with
`sentiment_batch.hookimpl`. No hook adds commands, because `--help` would have to import every plugin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from sentiment_batch.plugins.registry import Registry

GROUP = "sentiment_batch"
"""The entry-point group, which is also the project name for pluggy."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def register_readers(registry: Registry) -> None:
    """Add readers of tables with `registry.add(...)`.

    Runs once per process, when no built-in format claims an input for the first time. It may add several formats. It
    must not read anything. Import large packages inside the function that you register, not here.

    Args:
        registry: takes `add(name, open, suffixes=..., schemes=..., description=...)`, where
            `open(location: str, options: ReadOptions) -> Reader`.
    """


@hookspec
def register_writers(registry: Registry) -> None:
    """Add writers of tables with `registry.add(...)`.

    Runs once per process, when no built-in format claims a destination for the first time. The rules of
    `register_readers` apply.

    Args:
        registry: takes `add(name, open, suffixes=..., schemes=..., description=...)`, where
            `open(location: str, schema: pyarrow.Schema, options: WriteOptions) -> Writer`.
    """


@hookspec
def register_engines(registry: Registry) -> None:
    """Add engines with `registry.add(...)`. Engines score in other processes or on other machines.

    Runs once per process, when the setting `engine` names another engine than `local` for the first time. The rules of
    `register_readers` apply.

    Args:
        registry: takes `add(name, open, description=...)`, where
            `open(model: str, settings: ScoreSettings, options: dict[str, str]) -> Engine`.
    """
