"""Opens any location for reading or writing: finds its format by name, file ending or URL scheme."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import os
from typing import TYPE_CHECKING

from sentiment_batch.data import readers, writers
from sentiment_batch.data.plugin_guards import GuardedReader, GuardedWriter, PluginGuard
from sentiment_batch.data.readers.dataset import DatasetReader, names_several_files
from sentiment_batch.data.readers.dataset_files import list_endings
from sentiment_batch.data.readers.encodings import look_up_encoding
from sentiment_batch.data.unknown_formats import NEEDED, Kind, explain_unknown
from sentiment_batch.errors import InputError, UsageError, listed, refuse_ambiguous_url
from sentiment_batch.files.filesystems import local_path
from sentiment_batch.locations import compression_of, scheme_of, suffix_of
from sentiment_batch.plugins.bad_row_guard import BadRowGuard
from sentiment_batch.plugins.manager import Plugins
from sentiment_batch.plugins.registry import BUILT_IN, RARE_OPTIONS, Format, Registry
from sentiment_batch.records import ReadOptions, WriteOptions
from sentiment_batch.settings import LOCAL

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.data.writers.base import Writer

logger = logging.getLogger("sentiment_batch")
_DEFAULTS = ReadOptions()


@functools.cache
def get_plugins() -> Plugins:
    """The plugins of this process: the built-in formats, and those of other packages once they are loaded."""
    return Plugins((readers, writers))


def open_reader(location: str, *, format: str | None = None, options: ReadOptions | None = None) -> Reader:
    """Open `location` for reading.

    Args:
        location: a path, a folder or glob of files of one format, a URL, or `-` for standard input.
        format: the format's name; None finds it by the location.
        options: encoding, delimiter and so on.

    Raises:
        UsageError: the format is unknown, or does not take an option.
        InputError: the input is missing or damaged.
        PluginError: the plugin that claims the location failed.
    """
    chosen, options = find_reader_format(location, format), options or ReadOptions()
    # An option that the format ignores would be a silent mistake, such as `sheet` for a CSV
    for name, inputs in RARE_OPTIONS.items():
        if getattr(options, name) != getattr(_DEFAULTS, name) and name not in chosen.options:
            raise UsageError(f"`{name}` is for {inputs}, and {location} is read as {chosen.name}. Leave it out.")
    if options.encoding is not None:
        look_up_encoding(options.encoding)  # a plugin would fail with a LookupError
    # The Parquet reader takes folders and patterns itself, and a plugin's URL may end in a slash.
    if chosen.name == "parquet" or scheme_of(location) in chosen.schemes or not names_several_files(location):
        return _open_one(location, chosen, options)
    return DatasetReader(
        location,
        chosen.suffixes,
        lambda file: _open_one(file, chosen, options),
        optional_columns=chosen.name == "jsonl",  # a key without a value is often left out
        format_by_endings=chosen.name if format is None and suffix_of(location) == "" else None,
    )


def _open_one(location: str, chosen: Format, options: ReadOptions) -> Reader:
    """Open one file, database or stream; the reader of a plugin is checked while it reads."""
    # Only the objects of plugins are guarded. Errors of the built-in formats keep their kind, so that a bug stays one.
    if chosen.owner == BUILT_IN:
        built_in: Reader = chosen.open(location, options)
        return built_in
    _refuse_compressed(location, chosen)
    plugin = PluginGuard(name=chosen.owner, location=location)
    # The bad rows of a plugin are checked before they reach the caller
    bad_rows = None if options.on_bad_row is None else BadRowGuard(plugin.make_error, options.on_bad_row)
    guarded = options if bad_rows is None else dataclasses.replace(options, on_bad_row=bad_rows.report)
    with plugin.translate_errors():
        return GuardedReader(chosen.open(location, guarded), plugin, bad_rows)


def _refuse_compressed(location: str, chosen: Format) -> None:
    """Refuse a compressed file for a plugin's reader that would take its bytes for rows.

    Raises:
        InputError: the ending of the file is that of a compression, and the reader has not registered that it reads it.
    """
    if compression_of(location) is None or chosen.compressed or scheme_of(location) in chosen.schemes:
        return
    raise InputError(
        f"{location} is compressed, and the reader of the plugin {chosen.owner!r} reads plain files only. Uncompress "
        "the file, and name the uncompressed one."
    )


def open_writer(
    location: str, schema: pa.Schema, *, format: str | None = None, options: WriteOptions | None = None
) -> Writer:
    """Open `location` for writing. Nothing appears there before the writer's `commit`.

    Args:
        location: a path, a URL, or `-` for standard output.
        schema: the columns of every batch that will be written.
        format: the format's name; None finds it by the location.
        options: whether to overwrite, the delimiter and so on.

    Raises:
        UsageError: the format is unknown.
        OutputError: the destination exists, or cannot be written.
        PluginError: the plugin that claims the location failed.
    """
    chosen, options = find_writer_format(location, format), options or WriteOptions()
    if chosen.owner == BUILT_IN:
        built_in: Writer = chosen.open(location, schema, options)
        return built_in
    plugin = PluginGuard(name=chosen.owner, location=location)
    with plugin.translate_errors():
        return GuardedWriter(chosen.open(location, schema, options), plugin)


def find_run_id(location: str, format: Format) -> str | None:
    """The ID of the run that has written the output at a location.

    Args:
        location: the output.
        format: the format that writes it.

    Returns:
        The ID; None if there is no output or no ID with it, or the format registers no `find_run_id`.

    Raises:
        OutputError: the output cannot be looked at.
        PluginError: the plugin of the format failed.
    """
    if format.find_run_id is None:
        return None
    plugin = PluginGuard(name=format.owner, location=location)
    with plugin.translate_errors():
        found: object = format.find_run_id(location)
        if found is None or isinstance(found, str):
            return found
        raise plugin.make_error(f"its find_run_id() returned an object of the type {type(found).__name__}")


def has_run_id(location: str, format: Format, run_id: str) -> bool:
    """True if the output at a location holds the rows of a run; for the arguments and errors see `find_run_id`."""
    if format.has_run_id is None:
        return find_run_id(location, format) == run_id
    plugin = PluginGuard(name=format.owner, location=location)
    with plugin.translate_errors():
        answer: object = format.has_run_id(location, run_id)
        if isinstance(answer, bool):
            return answer
        raise plugin.make_error(f"its has_run_id() returned an object of the type {type(answer).__name__}")


def find_reader_format(location: str, name: str | None = None) -> Format:
    """The format that reads `location`, or the format called `name`.

    A local folder has the format that the endings of its files show. If they show several, and for other folders and
    globs without a file ending, it is Parquet.

    Raises:
        UsageError: no format has that name, none claims the location, or the URL is ambiguous.
        InputError: none claims the location, and nothing is there.
    """
    refuse_ambiguous_url(location)
    # An archive such as reviews.zip has the format that the name of its only file shows
    if name is None and suffix_of(location) == "" and compression_of(location) == "zip":
        from sentiment_batch.data.readers.source import Source

        with contextlib.closing(Source(location)) as source:
            member = source.member_name()
        return _find_format("readers", member if suffix_of(member) else location, None)
    is_unclear = name is None and suffix_of(location) == ""
    if is_unclear and (os.path.isdir(local_path(location) or "") or _names_folder("readers", location, "*")):
        name = _name_format_inside(location)
    return _find_format("readers", location, name)


def shows_format(location: str) -> bool:
    """True if an installed format claims the location by its ending or its scheme."""
    return _look_up("readers", location, None) is not None


def _name_format_inside(folder: str) -> str:
    """The only format that the endings of the files in a local folder show, else `parquet`."""
    endings: set[str] = set()
    for found_endings in list_endings(folder):
        endings |= found_endings
        if ".parquet" in endings:  # whatever else is there, so a large folder is not walked to its end
            break
    # Plugins are loaded only if no built-in format claims an ending, because importing them takes time
    for third_parties in (False, True):
        if third_parties and endings:
            _load_third_parties()
        found = {one.name for ending in endings if ending and (one := get_plugins().readers.claiming(f"file{ending}"))}
        if found:
            return found.pop() if len(found) == 1 else "parquet"
    return "parquet"


def find_writer_format(location: str, name: str | None = None) -> Format:
    """The format that writes `location`, or the format called `name`.

    A folder (a location that ends in `/`) without a file ending is written as Parquet.

    Raises:
        UsageError: no format has that name, none claims the location, or the URL is ambiguous.
    """
    refuse_ambiguous_url(location)
    if compression_of(location.rstrip("/")) == "zip":
        raise UsageError(f"{location} cannot be written, because ZIP archives are only read. Use .gz in place of .zip.")
    if name is None and suffix_of(location) == ".xlsm":
        raise UsageError(f"{location} cannot be written, because workbooks with macros are only read. Name it .xlsx.")
    if name is None and suffix_of(location) == "" and _names_folder("writers", location):
        name = "parquet"
    return _find_format("writers", location, name)


def _names_folder(kind: Kind, location: str, *endings: str) -> bool:
    """True if the end of a location shows that it is a folder of files, and no plugin claims its scheme."""
    scheme = scheme_of(location)
    if not location.endswith(("/", *endings)) or scheme in NEEDED:
        return False
    return not scheme or _look_up(kind, location, None) is None


def find_engine(name: str) -> Format:
    """The engine called `name`, which a plugin provides.

    Raises:
        UsageError: there is none.
    """
    _load_third_parties()
    found = get_plugins().engines.named(name)
    if found is None:
        known = listed([LOCAL, *(engine.name for engine in get_plugins().engines)])
        raise UsageError(
            f"no engine is called {name!r}; `engine` takes one of {known}. Others come with plugins, as ray does with "
            "sentiment-batch-ray."
        )
    return found


def list_formats() -> tuple[dict[str, Format], dict[str, Format]]:
    """All formats that can be read, and all that can be written, by name. Loads the plugins of other packages."""
    _load_third_parties()
    plugins = get_plugins()
    readable, writable = ({one.name: one for one in registry} for registry in (plugins.readers, plugins.writers))
    return readable, writable


def _get_registry(kind: Kind) -> Registry:
    """The formats of this kind. Loading the plugins of other packages makes a new registry."""
    plugins = get_plugins()
    return plugins.readers if kind == "readers" else plugins.writers


def _find_format(kind: Kind, location: str, name: str | None) -> Format:
    """The format that `_look_up` finds, or the error that says what to do."""
    if found := _look_up(kind, location, name):
        return found
    raise explain_unknown(kind, location, name, _get_registry(kind))


def _look_up(kind: Kind, location: str, name: str | None) -> Format | None:
    """The format called `name`, or the one that claims `location`; None if there is none.

    The built-in formats come first, because loading the other packages takes time. But they read no URL of a database.
    """
    scheme = scheme_of(location)
    for third_parties in (False, True):
        if third_parties:
            _load_third_parties()
        registry = _get_registry(kind)
        if name is not None:
            found = registry.named(name)
        # A table of a database may be called reviews.csv, so the ending does not count there
        elif scheme in NEEDED:
            found = next((one for one in registry if scheme in one.schemes), None)
        else:
            found = registry.claiming(location)
        if found:
            return found
    return None


def _load_third_parties() -> None:
    """Load the plugins of other packages. The first call logs those that cannot be loaded."""
    is_first = get_plugins().third_parties is None
    for plugin in get_plugins().load_third_parties():
        if plugin.error and is_first:
            logger.warning("plugin %s (%s) is not used: %s", plugin.name, plugin.distribution, plugin.error)
