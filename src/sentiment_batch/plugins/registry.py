"""What plugins bring, by name, ending and scheme: the registry that their hooks are handed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sentiment_batch.errors import PluginError, listed
from sentiment_batch.locations import scheme_of, suffix_of

BUILT_IN = "sentiment-batch"
"""The owner of the formats that come with this package."""
SPECIAL = ("query", "key")
"""Fields of `ReadOptions` that are refused for a format which does not say that it takes them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One registered format of a reader or a writer, or an engine, which claims neither endings nor schemes."""

    name: str
    """What `--input-format`, `--output-format` and `--engine` call it."""
    open: Callable[..., Any]
    """`open(location, options)` gives a Reader; `open(location, schema, options)` gives a Writer; `open(model,
    settings, options)` gives an Engine."""
    suffixes: tuple[str, ...]
    """File endings that it claims, with the dot, in lower case."""
    schemes: tuple[str, ...]
    """URL schemes that it claims, such as `postgresql`, unless a built-in format claims the ending."""
    description: str
    """One line for `sentiment-batch formats`."""
    options: tuple[str, ...]
    """Fields of `ReadOptions` that it takes, of those that few formats know: see `SPECIAL`."""
    owner: str
    """The plugin that brought it."""


class Registry:
    """What there is of one kind (readers, writers or engines) by name; handed to the `register_*` hooks."""

    def __init__(self, owner: str = BUILT_IN, kind: str = "format") -> None:
        self._owner = owner
        self._kind = kind
        self._formats: dict[str, Format] = {}

    def add(
        self,
        name: str,
        open: Callable[..., Any],
        *,
        suffixes: tuple[str, ...] = (),
        schemes: tuple[str, ...] = (),
        description: str = "",
        options: tuple[str, ...] = (),
    ) -> None:
        """Add one format or engine.

        Args:
            name: a short name, unique among all plugins; what `--input-format`, `--output-format` or `--engine` takes.
            open: for a reader `open(location, options)`, for a writer `open(location, schema, options)`, for an engine
                `open(model, settings, options)`.
            suffixes: file endings that it claims, with the dot.
            schemes: URL schemes that it claims, without `://`; a built-in format's ending goes first.
            description: one line for people.
            options: which of `query` and `key` a reader takes.

        Raises:
            PluginError: the name is no text; it, a suffix or a scheme is taken, which names both owners; or a
                suffix or an option is not one.
        """
        given: object = name  # a plugin may not have been type-checked
        if not isinstance(given, str) or not given:
            raise PluginError(
                f"plugin {self._owner!r} registers a {self._kind} named {given!r}; a name is a short text."
            )
        claims: tuple[object, ...] = (suffixes, schemes)
        if any(isinstance(claim, str) for claim in claims) or not all(end.startswith(".") for end in suffixes):
            raise PluginError(
                f"plugin {self._owner!r} registers the format {name!r} with suffixes={suffixes!r} and "
                f"schemes={schemes!r}; both are tuples, and a suffix begins with a dot."
            )
        taken: object = options
        if not isinstance(taken, tuple) or not set(taken) <= set(SPECIAL):
            raise PluginError(
                f"plugin {self._owner!r} registers the format {name!r} with options={options!r}; it is a tuple with "
                f"some of {listed(SPECIAL)}."
            )
        self._merge(
            Format(
                name=name,
                open=open,
                suffixes=tuple(suffix.lower() for suffix in suffixes),
                schemes=tuple(scheme.lower() for scheme in schemes),
                description=description,
                options=tuple(options),
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
                    f"the {self._kind} {what} {value!r} of plugin {new.owner!r} is taken by {old.owner!r}; uninstall "
                    "one of them."
                )
        self._formats[new.name] = new

    def with_all(self, other: Registry) -> Registry:
        """A registry with what this one and `other` have.

        Raises:
            PluginError: something in `other` has a name, ending or scheme that is taken.
        """
        merged = Registry(self._owner, self._kind)
        merged._formats = dict(self._formats)
        for new in other:
            merged._merge(new)
        return merged

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
