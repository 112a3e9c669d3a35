"""Finds the formats that plugins bring: entry points in, a registry of formats out. It knows nothing about tables.

Built-in formats register through the same hooks as anybody's plugin. Third parties are loaded only when no built-in
claims a location, each under guard: one that fails is recorded by name and never stops the others.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pluggy

from sentiment_batch import hookspecs
from sentiment_batch.errors import PluginError, first_line

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}
"""Suffixes that wrap another format's, and the name of their compression."""
BUILT_IN = "sentiment-batch"
LOAD_PLUGINS = "SENTIMENT_BATCH_LOAD_PLUGINS"
"""Environment variable: a comma-separated list of the entry points to load; empty loads none, unset loads all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One registered format of a reader or a writer."""

    name: str
    """What `--input-format` and `--output-format` call it."""
    open: Callable[..., Any]
    """`open(location, options)` gives a Reader; `open(location, schema, options)` gives a Writer."""
    suffixes: tuple[str, ...]
    """File endings that it claims, with the dot, in lower case."""
    schemes: tuple[str, ...]
    """URL schemes that it claims, such as `postgresql`, unless a built-in format claims the ending."""
    description: str
    """One line for `sentiment-batch formats`."""
    owner: str
    """The plugin that brought it."""


class Registry:
    """The formats of one kind (readers or writers) by name; handed to the `register_*` hooks."""

    def __init__(self, owner: str = BUILT_IN) -> None:
        self._owner = owner
        self._formats: dict[str, Format] = {}

    def add(
        self,
        name: str,
        open: Callable[..., Any],
        *,
        suffixes: tuple[str, ...] = (),
        schemes: tuple[str, ...] = (),
        description: str = "",
    ) -> None:
        """Add one format.

        Args:
            name: a short name, unique among all plugins; what `--input-format` and `--output-format` take.
            open: for a reader `open(location, options)`, for a writer `open(location, schema, options)`.
            suffixes: file endings that it claims, with the dot.
            schemes: URL schemes that it claims, without `://`; a built-in format's ending goes first.
            description: one line for people.

        Raises:
            PluginError: the name, a suffix or a scheme is taken, and the message names both owners; or a suffix is
                not one.
        """
        claims: tuple[object, ...] = (suffixes, schemes)  # a plugin may not have been type-checked
        if any(isinstance(claim, str) for claim in claims) or not all(end.startswith(".") for end in suffixes):
            raise PluginError(
                f"plugin {self._owner!r} registers the format {name!r} with suffixes={suffixes!r} and "
                f"schemes={schemes!r}; both are tuples, and a suffix begins with a dot."
            )
        self._merge(
            Format(
                name=name,
                open=open,
                suffixes=tuple(suffix.lower() for suffix in suffixes),
                schemes=tuple(scheme.lower() for scheme in schemes),
                description=description,
                owner=self._owner,
            )
        )

    def _merge(self, new: Format) -> None:
        for old in self._formats.values():
            taken = [("name", new.name)] if new.name == old.name else []
            taken += [("ending", suffix) for suffix in new.suffixes if suffix in old.suffixes]
            taken += [("scheme", scheme) for scheme in new.schemes if scheme in old.schemes]
            for what, value in taken:
                raise PluginError(
                    f"the format {what} {value!r} of plugin {new.owner!r} is taken by {old.owner!r}; uninstall one of "
                    "them."
                )
        self._formats[new.name] = new

    def update(self, other: Registry) -> None:
        """Take over all formats of `other`, or none of them if one clashes."""
        merged = Registry()
        merged._formats = dict(self._formats)
        for new in other:
            merged._merge(new)
        self._formats = merged._formats

    def __iter__(self) -> Iterator[Format]:
        return iter(self._formats.values())

    def named(self, name: str) -> Format | None:
        """The format called `name`, or None."""
        return self._formats.get(name)

    def claiming(self, location: str) -> Format | None:
        """The format that claims `location` by its scheme or, below a compression's suffix, by its ending."""
        scheme = scheme_of(location)
        ending = suffix_of(location)
        # Built-ins come first, so that the answer is the same before and after third parties are loaded.
        for ours in (True, False):
            candidates = [candidate for candidate in self if (candidate.owner == BUILT_IN) == ours]
            by_scheme = (candidate for candidate in candidates if scheme and scheme in candidate.schemes)
            by_ending = (candidate for candidate in candidates if ending in candidate.suffixes)
            found = next(by_scheme, None) or next(by_ending, None)
            if found:
                return found
        return None


@dataclass(kw_only=True, slots=True)
class Loaded:
    """One third-party plugin: what it is, what it implements, or why it failed."""

    name: str
    """The entry point's name."""
    distribution: str
    """The package that brings it, with its version."""
    hooks: list[str] = field(default_factory=list)
    """The hooks that it implements."""
    error: str | None = None
    """Why it is not used, in one line."""


class Plugins:
    """All plugins of one process: the built-ins at once, third parties when they are first needed."""

    def __init__(self, built_ins: tuple[object, ...], entry_points: Callable[[], Any] | None = None) -> None:
        """Register `built_ins`; `entry_points` stands in for the installed ones in tests."""
        self.readers = Registry()
        self.writers = Registry()
        self.third_parties: list[Loaded] | None = None
        """None until they are loaded."""
        self._entry_points = entry_points or (lambda: importlib.metadata.entry_points(group=hookspecs.GROUP))
        for plugin in built_ins:
            self._register(plugin, BUILT_IN)

    def load_third_parties(self) -> list[Loaded]:
        """Load every installed plugin once, each under guard; the second call gives the first one's list."""
        if self.third_parties is None:
            found = sorted(self._entry_points(), key=lambda entry_point: str(entry_point.name))
            chosen = _chosen()
            wanted = [entry_point for entry_point in found if chosen is None or entry_point.name in chosen]
            self.third_parties = [self._load(entry_point) for entry_point in wanted]
            missing = sorted((chosen or set()) - {entry_point.name for entry_point in found})
            cure = f"{LOAD_PLUGINS} names it; install it, or mend the name"
            self.third_parties += [Loaded(name=name, distribution="not installed", error=cure) for name in missing]
        return self.third_parties

    def _load(self, entry_point: Any) -> Loaded:
        loaded = Loaded(name=entry_point.name, distribution="unknown")
        try:
            if entry_point.dist:
                loaded.distribution = f"{entry_point.dist.name} {entry_point.dist.version}"
            loaded.hooks = self._register(entry_point.load(), loaded.name)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # a plugin may even call sys.exit() at import
            loaded.error = f"{type(error).__name__}: {first_line(error)}"
        return loaded

    def _register(self, plugin: object, name: str) -> list[str]:
        """Call the hooks of one plugin; its formats are taken over only when all went well."""
        manager = pluggy.PluginManager(hookspecs.GROUP)
        manager.add_hookspecs(hookspecs)
        manager.register(plugin, name)
        manager.check_pending()  # a misspelt hook would be ignored in silence
        hooks = [caller.name for caller in manager.get_hookcallers(plugin) or []]
        readers, writers = Registry(name), Registry(name)
        manager.hook.register_readers(registry=readers)
        manager.hook.register_writers(registry=writers)
        both = Registry(), Registry()
        for merged, known, new in zip(both, (self.readers, self.writers), (readers, writers), strict=True):
            merged.update(known)
            merged.update(new)
        self.readers, self.writers = both
        return hooks


def _chosen() -> set[str] | None:
    """The entry points that the environment names; None for all."""
    value = os.environ.get(LOAD_PLUGINS)
    return None if value is None else {name.strip() for name in value.split(",") if name.strip()}


def scheme_of(location: str) -> str:
    """The URL scheme of `location` in lower case, or the empty string; a Windows drive letter is none."""
    head, separator, _ = location.partition("://")
    return head.lower() if separator and len(head) > 1 else ""


def suffix_of(location: str) -> str:
    """The ending of `location` in lower case, below that of a compression and before a URL's query.

    >>> suffix_of("s3://bucket/reviews.CSV.gz?versionId=3")
    '.csv'
    """
    path = location.partition("?")[0] if scheme_of(location) else location
    root, ending = os.path.splitext(path.rstrip("/"))
    if ending.lower() in COMPRESSIONS:
        ending = os.path.splitext(root)[1]
    return ending.lower()


def compression_of(location: str) -> str | None:
    """The compression that the ending of `location` names, or None."""
    path = location.partition("?")[0] if scheme_of(location) else location
    return COMPRESSIONS.get(os.path.splitext(path)[1].lower())
