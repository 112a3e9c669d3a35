"""The registry of formats or engines, to which the hooks of plugins add theirs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sentiment_batch.errors import PluginError, listed
from sentiment_batch.locations import scheme_of, suffix_of
from sentiment_batch.settings import LOCAL

BUILT_IN = "sentiment-batch"
"""The owner of the formats in this package."""
RARE_OPTIONS = {
    "query": "databases",
    "key": "databases",
    "header": "CSV files and workbooks",
    "skip_rows": "CSV files and workbooks",
    "comment": "CSV files and workbooks",
    "escape": "CSV files",
    "sheet": "workbooks",
}
"""Fields of `ReadOptions` that a format supports only if it registers them, and the inputs that they are for."""
_SCHEME = re.compile(r"[\w+.-]{2,30}", re.ASCII)
"""A URL scheme. One letter is the drive of a Windows path."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """A registered format of a reader or a writer; or an engine, which has no suffixes and no schemes."""

    name: str
    """Its name in the settings `input_format`, `output_format` and `engine`."""
    open: Callable[..., Any]
    """`open(location, options)` returns a Reader, `open(location, schema, options)` a Writer, and `open(model,
    settings, options)` an Engine."""
    suffixes: tuple[str, ...]
    """File suffixes that it claims, with the dot, in lower case."""
    schemes: tuple[str, ...]
    """URL schemes that it claims, such as `postgresql`, unless a built-in format claims the suffix."""
    description: str
    """A description in one line, for `sentiment-batch formats`."""
    options: tuple[str, ...]
    """The fields of `ReadOptions` among `RARE_OPTIONS` that it supports."""
    owner: str
    """The name of the plugin that registered it."""
    compressed: bool = False
    """True if a plugin's reader reads compressed files by itself, such as `reviews.txt.gz`."""
    find_run_id: Callable[[str], str | None] | None = None
    """Of a writer: `find_run_id(location)` returns the `WriteOptions.run_id` that is stored with the output."""
    has_run_id: Callable[[str, str], bool] | None = None
    """Of a writer of outputs to which several runs may add rows: `has_run_id(location, run_id)` returns whether the
    output holds those of a run."""

    @property
    def stores_run_id(self) -> bool:
        """True if a later run can find out which run has written an output."""
        return self.find_run_id is not None or self.has_run_id is not None


class Registry:
    """All formats of readers, all formats of writers, or all engines. The `register_*` hooks get it."""

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
        compressed: bool = False,
        find_run_id: Callable[[str], str | None] | None = None,
        has_run_id: Callable[[str, str], bool] | None = None,
    ) -> None:
        """Add a format or an engine.

        Args:
            name: a short name, unique among all plugins, for `input_format`, `output_format` or `engine`.
            open: for a reader `open(location, options)`, for a writer `open(location, schema, options)`, for an engine
                `open(model, settings, options)`.
            suffixes: file suffixes that it claims, with the dot. Only the last one of a name counts, without that of a
                compression: `.txt` also claims `reviews.txt.gz`.
            schemes: URL schemes that it claims, without `://`. The suffix of a built-in format has priority.
            description: a description in one line.
            options: which of the `RARE_OPTIONS` a reader supports.
            compressed: True if a reader uncompresses compressed files by itself. Otherwise such files are refused.
            find_run_id: for a writer of `schemes` that stores `WriteOptions.run_id` with the output, in the same
                transaction: `find_run_id(location)` returns it, or None if there is none. A run that was killed just
                after `commit` is then recognized.
            has_run_id: in place of `find_run_id` for outputs to which several runs may add rows:
                `has_run_id(location, run_id)` returns whether the output holds the rows of that run.

        Raises:
            PluginError: an argument is invalid; or another plugin has the name, a suffix or a scheme.
        """
        self._check_name(name)
        self._check_calls(name, open=open, find_run_id=find_run_id, has_run_id=has_run_id)
        self._check_claims(name, suffixes, schemes)
        self._check_texts(name, description, options)
        self._merge(
            Format(
                name=name,
                open=open,
                suffixes=tuple(suffix.lower() for suffix in suffixes),
                schemes=tuple(scheme.lower() for scheme in schemes),
                description=" ".join(description.split()),
                options=tuple(options),
                owner=self._owner,
                compressed=bool(compressed),
                find_run_id=find_run_id,
                has_run_id=has_run_id,
            )
        )

    # The types of a plugin are checked here, because its author may not have run a type checker.
    def _check_name(self, name: object) -> None:
        if not isinstance(name, str) or not name:
            raise PluginError(
                f"plugin {self._owner!r} registers a {self._kind} named {name!r}; a name must be a short text."
            )
        if self._kind == "engine" and name == LOCAL:
            raise PluginError(
                f"plugin {self._owner!r} registers an engine named {name!r}, which is the name of the engine of this "
                "process; choose another name."
            )

    def _check_calls(self, name: str, **calls: object) -> None:
        for argument, value in calls.items():
            if not callable(value) and (argument == "open" or value is not None):
                raise PluginError(f"{self._begin_error(name)} {argument}={value!r}; it must be a function.")

    def _check_claims(self, name: str, suffixes: Any, schemes: Any) -> None:
        """Refuse suffixes and schemes that no location can have."""
        given = f"{self._begin_error(name)} suffixes={suffixes!r} and schemes={schemes!r}"
        for values in (suffixes, schemes):
            if not isinstance(values, tuple | list) or not all(isinstance(value, str) for value in values):
                raise PluginError(f"{given}; both must be tuples of texts.")
        for suffix in suffixes:
            # `suffix_of` reads the suffix of every location. What it does not give back, no location can have.
            if len(suffix) < 2 or suffix_of(f"file{suffix}") != suffix.lower():
                raise PluginError(
                    f"{given}; a suffix must begin with a dot, hold no other dot, and not be that of a compression."
                )
        for scheme in schemes:
            if not _SCHEME.fullmatch(scheme):
                raise PluginError(f"{given}; a scheme must be two or more letters, digits, + - . or _, without ://.")

    def _check_texts(self, name: str, description: Any, options: Any) -> None:
        if not isinstance(description, str):
            raise PluginError(f"{self._begin_error(name)} description={description!r}; it must be a text.")
        if not isinstance(options, tuple) or not set(options) <= set(RARE_OPTIONS):
            known = listed(RARE_OPTIONS)
            raise PluginError(
                f"{self._begin_error(name)} options={options!r}; it must be a tuple with some of {known}."
            )

    def _begin_error(self, name: str) -> str:
        return f"plugin {self._owner!r} registers the {self._kind} {name!r} with"

    def _merge(self, new: Format) -> None:
        """Add a format.

        Raises:
            PluginError: another one has its name, a suffix or a scheme.
        """
        for old in self._formats.values():
            taken = [("name", new.name)] if new.name == old.name else []
            taken += [("suffix", suffix) for suffix in new.suffixes if suffix in old.suffixes]
            taken += [("scheme", scheme) for scheme in new.schemes if scheme in old.schemes]
            if taken:
                what, value = taken[0]
                raise PluginError(
                    f"the {self._kind} {what} {value!r} of plugin {new.owner!r} is taken by {old.owner!r}; "
                    f"{_name_cure(new, old)}."
                )
        self._formats[new.name] = new

    def with_all(self, other: Registry) -> Registry:
        """A registry with the entries of this one and of `other`.

        Raises:
            PluginError: an entry of `other` has a name, suffix or scheme that is taken.
        """
        # This registry stays as it is if an entry is refused.
        merged = Registry(self._owner, self._kind)
        merged._formats = dict(self._formats)
        for new in other:
            merged._merge(new)
        return merged

    def __iter__(self) -> Iterator[Format]:
        return iter(self._formats.values())

    def named(self, name: str) -> Format | None:
        """The format with this name, or None."""
        return self._formats.get(name)

    def claiming(self, location: str) -> Format | None:
        """The format that claims `location` by its scheme, or else by its suffix. That of a compression is ignored.

        Built-in formats come first, so that the answer is the same before and after third-party plugins are loaded.
        """
        # `s3://bucket/reviews.csv` belongs to the CSV reader, whatever plugin claims `s3`. Among plugins, a scheme has
        # priority over a suffix.
        scheme, suffix = scheme_of(location), suffix_of(location)
        claims = [one for one in self if (scheme and scheme in one.schemes) or suffix in one.suffixes]
        return min(claims, key=lambda one: (one.owner != BUILT_IN, scheme not in one.schemes), default=None)


def _name_cure(new: Format, old: Format) -> str:
    """What to do if two formats or engines claim the same."""
    if old.owner == new.owner:
        return "report it to the plugin's author"
    if old.owner == BUILT_IN:  # which cannot be uninstalled
        return f"uninstall the plugin {new.owner!r}"
    return "uninstall one of them"
