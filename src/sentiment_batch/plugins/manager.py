"""Loads the plugins that entry points name, and collects their formats and engines in registries.

Built-in formats register through the same hooks as third-party plugins. Third-party plugins are loaded only if no
built-in format claims a location, or no built-in engine has the name. A plugin that fails is recorded by name and never
stops the others.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pluggy

from sentiment_batch.errors import PluginError, first_line
from sentiment_batch.plugins import hookspecs
from sentiment_batch.plugins.registry import BUILT_IN, Registry

LOAD_PLUGINS = "SENTIMENT_BATCH_LOAD_PLUGINS"
"""Environment variable with a comma-separated list of the entry points to load. Empty: none. Unset: all."""


@dataclass(kw_only=True, slots=True)
class Loaded:
    """A third-party plugin: its name, its hooks, or why it failed."""

    name: str
    """The name of the entry point."""
    distribution: str
    """The package that contains it, with its version."""
    hooks: list[str] = field(default_factory=list)
    """The names of the hooks that it implements."""
    error: str | None = None
    """Why it is not used, in one line; None if it is used."""


class Plugins:
    """All plugins of one process. Third-party plugins are loaded when they are first needed."""

    def __init__(self, built_ins: tuple[object, ...], entry_points: Callable[[], Any] | None = None) -> None:
        """Register `built_ins`. Tests pass `entry_points` in place of the installed ones."""
        self.readers = Registry()
        self.writers = Registry()
        self.engines = Registry(kind="engine")
        self.third_parties: list[Loaded] | None = None
        """The third-party plugins; None until they are loaded."""
        self._entry_points = entry_points or (lambda: importlib.metadata.entry_points(group=hookspecs.GROUP))
        for plugin in built_ins:
            self._register(plugin, BUILT_IN)

    def load_third_parties(self) -> list[Loaded]:
        """Load every installed plugin. A second call returns the same list."""
        if self.third_parties is None:
            # Sorted, so that the same plugin wins on every machine if two claim the same name.
            found = sorted(self._entry_points(), key=lambda entry_point: str(entry_point.name))
            chosen = _chosen()
            wanted = [entry_point for entry_point in found if chosen is None or entry_point.name in chosen]
            self.third_parties = [self._load(entry_point) for entry_point in wanted]
            missing = sorted((chosen or set()) - {entry_point.name for entry_point in found})
            cure = f"{LOAD_PLUGINS} names it; install it, or correct the name"
            self.third_parties += [Loaded(name=name, distribution="not installed", error=cure) for name in missing]
        return self.third_parties

    def _load(self, entry_point: Any) -> Loaded:
        """Import one plugin and register it. Its error becomes a part of the record, but an interrupt passes."""
        loaded = Loaded(name=entry_point.name, distribution="unknown")
        try:
            if entry_point.dist:
                loaded.distribution = f"{entry_point.dist.name} {entry_point.dist.version}"
            with contextlib.redirect_stdout(sys.stderr):  # our standard output may be a table or JSON
                loaded.hooks = self._register(entry_point.load(), loaded.name)
        except BaseException as error:  # a plugin may even call sys.exit() at import
            if is_interrupt(error):
                raise
            loaded.error = f"{type(error).__name__}: {first_line(error)}"
        return loaded

    def _register(self, plugin: object, name: str) -> list[str]:
        """Call the hooks of one plugin. Its formats and engines are added only if all hooks succeed."""
        manager = pluggy.PluginManager(hookspecs.GROUP)
        manager.add_hookspecs(hookspecs)
        manager.register(plugin, name)
        manager.check_pending()  # else a misspelt hook would be ignored
        hooks = [caller.name for caller in manager.get_hookcallers(plugin) or []]
        if not hooks:
            raise PluginError("it has no hooks. Mark its functions, such as register_readers, with @hookimpl")
        # New registries first, so that a hook that fails after another one leaves none of the plugin's formats behind.
        readers, writers, engines = Registry(name), Registry(name), Registry(name, "engine")
        manager.hook.register_readers(registry=readers)
        manager.hook.register_writers(registry=writers)
        manager.hook.register_engines(registry=engines)
        pairs = ((self.readers, readers), (self.writers, writers), (self.engines, engines))
        # All three are merged before one of them is assigned. So a name that is taken adds nothing either.
        self.readers, self.writers, self.engines = (known.with_all(new) for known, new in pairs)
        return hooks


def is_interrupt(error: BaseException) -> bool:
    """True if the user ended the program. All else that is raised in a plugin's code is the plugin's fault."""
    # `is_signal` marks the exceptions that this package's signal handlers raise.
    return type(error) is KeyboardInterrupt or getattr(error, "is_signal", False)


def _chosen() -> set[str] | None:
    """The names of the entry points in the environment variable; None: all."""
    value = os.environ.get(LOAD_PLUGINS)
    return None if value is None else {name.strip() for name in value.split(",") if name.strip()}
