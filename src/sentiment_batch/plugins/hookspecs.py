"""The hooks that a plugin may implement. A plugin is a module or object named by an entry point of the group
`sentiment_batch`; it marks its functions with `sentiment_batch.hookimpl`.

No hook adds commands: `--help` would have to import every plugin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from sentiment_batch.plugins.registry import Registry

GROUP = "sentiment_batch"
"""The entry-point group, and pluggy's project name."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def register_readers(registry: Registry) -> None:
    """Add readers of tables with `registry.add(...)`.

    Runs once per process, the first time that no built-in format claims an input. Import what is heavy inside the
    function that you register, not here. You may add several formats; you must not read anything yet.

    Args:
        registry: takes `add(name, open, suffixes=..., schemes=..., description=...)`, where
            `open(location: str, options: ReadOptions) -> Reader`.
    """


@hookspec
def register_writers(registry: Registry) -> None:
    """Add writers of tables with `registry.add(...)`.

    Runs once per process, the first time that no built-in format claims a destination. The same rules hold as for
    `register_readers`.

    Args:
        registry: takes `add(name, open, suffixes=..., schemes=..., description=...)`, where
            `open(location: str, schema: pyarrow.Schema, options: WriteOptions) -> Writer`.
    """


@hookspec
def register_engines(registry: Registry) -> None:
    """Add engines, which score in other processes or on other machines, with `registry.add(...)`.

    Runs once per process, the first time that `--engine` names another one than `local`. Import what is heavy inside
    the function that you register.

    Args:
        registry: takes `add(name, open, description=...)`, where
            `open(model: str, settings: ScoreSettings, options: dict[str, str]) -> Engine`.
    """
