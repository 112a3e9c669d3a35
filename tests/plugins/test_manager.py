"""One broken plugin never stops the others, and every error names its plugin."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from sentiment_batch.errors import PluginError
from sentiment_batch.locations import compression_of, scheme_of, suffix_of
from sentiment_batch.plugins.hookspecs import hookimpl
from sentiment_batch.plugins.manager import LOAD_PLUGINS, Plugins
from sentiment_batch.plugins.registry import Registry


class Entry:
    """Stands for an installed entry point."""

    def __init__(self, name, plugin, distribution="some-plugin"):
        self.name = name
        self.plugin = plugin
        self.dist = SimpleNamespace(name=distribution, version="1.0") if distribution else None

    def load(self):
        return self.plugin() if callable(self.plugin) else self.plugin


def plugin(name="excel", kind="readers", **claims):
    """A plugin that registers one format."""

    @hookimpl
    def register(registry):
        registry.add(name, **{"open": lambda *arguments: arguments} | claims)

    return SimpleNamespace(**{f"register_{kind}": register})


GOOD = Entry("good", plugin("good", suffixes=(".good",)))


def load(*entries, built_ins=()):
    plugins = Plugins(built_ins, lambda: list(entries))
    return plugins, {loaded.name: loaded for loaded in plugins.load_third_parties()}


@pytest.fixture(autouse=True)
def _no_choice(monkeypatch):
    monkeypatch.delenv(LOAD_PLUGINS, raising=False)


def fails_at_import():
    raise ImportError("No module named 'heavy'\n(install it)")


def exits_at_import():
    sys.exit(3)


@hookimpl
def fails_in_the_hook(registry):
    registry.add("half", print, suffixes=(".half",))
    raise ZeroDivisionError("oops")


@hookimpl
def misspelt(registry):
    raise AssertionError("never called")


@hookimpl
def wrong_arguments(registry, surprise):
    raise AssertionError("never called")


NO_SUFFIXES = (".", "", ".tar.x", ".csv.gz", ".GZ", ".a/b")
BAD = [
    (fails_at_import, "ImportError: No module named 'heavy' (install it)"),
    (exits_at_import, "SystemExit: 3"),
    (SimpleNamespace(register_readers=fails_in_the_hook), "ZeroDivisionError: oops"),
    (SimpleNamespace(register_raeders=misspelt), "register_raeders"),
    (SimpleNamespace(register_readers=wrong_arguments), "surprise"),
    (plugin("good"), "the format name 'good' of plugin 'bad' is taken by 'aaa'; uninstall one of them."),
    (
        plugin("csv2", suffixes=(".CSV",)),
        "the format suffix '.csv' of plugin 'bad' is taken by 'sentiment-batch'; uninstall the plugin 'bad'.",
    ),
    (plugin("csv"), "the format name 'csv' of plugin 'bad' is taken by 'sentiment-batch'; uninstall the plugin 'bad'."),
    (SimpleNamespace(), "it has no hooks. Mark its functions, such as register_readers, with @hookimpl"),
    (SimpleNamespace(register_readers=print), "it has no hooks"),
    (plugin("local", kind="engines"), "which is the name of the engine of this process; choose another name."),
    (plugin("pg", schemes=("Good",)), "the format scheme 'good' of plugin 'bad' is taken by 'aaa'"),
    (plugin("x", suffixes=".xlsx"), "plugin 'bad' registers the format 'x' with suffixes='.xlsx'"),
    (plugin("x", suffixes=("xlsx",)), "a suffix must begin with a dot"),
    *((plugin("x", suffixes=(suffix,)), "a suffix must begin with a dot, hold no other dot") for suffix in NO_SUFFIXES),
    *((plugin("x", schemes=(scheme,)), "without ://") for scheme in ("HTTPX://", "s", "", "a b", "ä/b", "a::b")),
    (plugin("x", suffixes=(1,)), "with suffixes=(1,) and schemes=(); both must be tuples of texts."),
    (plugin("x", schemes=None), "both must be tuples of texts."),
    (plugin("x", description=None), "registers the format 'x' with description=None; it must be a text."),
    (plugin("x", options=("sheets",)), "registers the format 'x' with options=('sheets',)"),
    (plugin("x", find_run_id=7), "registers the format 'x' with find_run_id=7; it must be a function."),
    (plugin("x", open=None), "registers the format 'x' with open=None; it must be a function."),
]


@pytest.mark.parametrize(("bad", "message"), BAD)
def test_a_bad_plugin_is_named_and_its_good_neighbours_are_used(bad, message):
    first = Entry("aaa", plugin("good", suffixes=(".first",), schemes=("good",)))
    last = Entry("zzz", plugin("last", suffixes=(".last",)))
    plugins, loaded = load(last, Entry("bad", bad), first, built_ins=(plugin("csv", suffixes=(".csv",)),))
    assert message in loaded["bad"].error
    assert "\n" not in loaded["bad"].error
    assert loaded["bad"].distribution == "some-plugin 1.0"
    assert (loaded["aaa"].error, loaded["zzz"].error) == (None, None)
    assert [format.name for format in plugins.readers] == ["csv", "good", "last"]


def test_a_plugin_that_fails_halfway_leaves_none_of_its_formats():
    both = SimpleNamespace(**vars(plugin("fine", kind="writers")), register_readers=fails_in_the_hook)
    plugins, loaded = load(Entry("bad", both))
    assert loaded["bad"].error
    assert list(plugins.readers) == list(plugins.writers) == []


def test_an_interrupt_while_a_plugin_loads_passes():
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(Entry("slow", interrupt))


def test_the_hooks_of_a_good_plugin_are_listed():
    _, loaded = load(GOOD)
    assert loaded["good"].hooks == ["register_readers"]


def test_a_distribution_with_broken_metadata_is_one_bad_plugin():
    class Broken:
        @property
        def name(self):
            raise KeyError("Name")

    entry = Entry("bad", plugin("bad"))
    entry.dist = Broken()
    _, loaded = load(entry, GOOD)
    assert (loaded["bad"].distribution, loaded["bad"].error) == ("unknown", "KeyError: 'Name'")
    assert loaded["good"].error is None


def test_a_plugin_without_a_distribution_loads():
    _, loaded = load(Entry("mine", plugin("mine"), distribution=None))
    assert (loaded["mine"].distribution, loaded["mine"].error) == ("unknown", None)


def test_what_a_plugin_prints_goes_to_standard_error(capsys):
    @hookimpl
    def register_readers(registry):
        print("hello from the hook")

    load(Entry("loud", lambda: print("hello from import") or SimpleNamespace(register_readers=register_readers)))
    assert capsys.readouterr() == ("", "hello from import\nhello from the hook\n")


def test_a_description_becomes_one_line():
    registry = Registry("p")
    registry.add("excel", print, description="sheets\n of paper")
    assert registry.named("excel").description == "sheets of paper"


def test_plugins_are_loaded_once_and_only_when_asked_for():
    loads = []
    entry = Entry("once", lambda: loads.append(1) or plugin("once"))
    plugins = Plugins((), lambda: [entry])
    assert (plugins.third_parties, loads) == (None, [])
    assert plugins.load_third_parties() is plugins.load_third_parties()
    assert loads == [1]


@pytest.mark.parametrize(
    ("chosen", "names"), [("", []), (" , ", []), ("good", ["good"]), ("other, good", ["good", "other"])]
)
def test_the_environment_chooses_plugins(monkeypatch, chosen, names):
    monkeypatch.setenv(LOAD_PLUGINS, chosen)
    _, loaded = load(GOOD, Entry("other", plugin("other")), Entry("unwanted", fails_at_import))
    assert sorted(loaded) == names
    assert not any(one.error for one in loaded.values())


def test_a_plugin_that_is_named_but_not_installed_is_reported(monkeypatch):
    monkeypatch.setenv(LOAD_PLUGINS, "good,god")
    _, loaded = load(GOOD)
    assert loaded["god"].distribution == "not installed"
    assert loaded["god"].error == "SENTIMENT_BATCH_LOAD_PLUGINS names it; install it, or correct the name"


def test_a_failing_built_in_is_a_bug_and_raises():
    with pytest.raises(ZeroDivisionError):
        Plugins((SimpleNamespace(register_readers=fails_in_the_hook),), list)


def test_a_scheme_comes_before_a_suffix():
    registry = Registry("p")
    registry.add("excel", print, suffixes=(".XLSX",))
    registry.add("postgres", print, schemes=("PostgreSQL",))
    assert registry.claiming("postgresql://host/table.xlsx").name == "postgres"
    assert registry.claiming("s3://bucket/a.XLSX?v=1").name == "excel"
    assert registry.claiming("a.xlsx.gz").name == "excel"
    assert registry.claiming("a") is registry.claiming("a.doc") is registry.claiming("-") is None
    assert registry.named("excel").suffixes == (".xlsx",)
    assert registry.named("word") is None


def test_built_in_suffixes_come_before_those_of_plugins():
    table = Entry("pg", plugin("postgres", schemes=("postgresql",)))
    plugins = Plugins((plugin("csv", suffixes=(".csv",)),), lambda: [table])
    before = plugins.readers.claiming("postgresql://host/table.csv")
    plugins.load_third_parties()
    assert plugins.readers.claiming("postgresql://host/table.csv") is before
    assert plugins.readers.claiming("postgresql://host/table").name == "postgres"


def test_two_formats_of_one_plugin_may_not_share_a_name_either():
    registry = Registry("p")
    registry.add("excel", print)
    with pytest.raises(PluginError, match="'excel' of plugin 'p' is taken by 'p'"):
        registry.add("excel", print)


@pytest.mark.parametrize(
    ("location", "scheme", "suffix", "compression"),
    [
        ("reviews.CSV", "", ".csv", None),
        ("a.b/reviews", "", "", None),
        ("reviews.csv.GZ", "", ".csv", "gzip"),
        ("reviews.gz", "", "", "gzip"),
        ("x.jsonl.zst", "", ".jsonl", "zstd"),
        ("S3://bucket/x.csv.bz2?versionId=1.x", "s3", ".csv", "bz2"),
        ("what?.csv", "", ".csv", None),
        ("C:\\data\\x.parquet", "", ".parquet", None),
        ("folder.parquet/", "", ".parquet", None),
        ("-", "", "", None),
        ("x.tsv.xz", "", ".tsv", "xz"),
    ],
)
def test_a_location_has_a_scheme_a_suffix_and_a_compression(location, scheme, suffix, compression):
    assert (scheme_of(location), suffix_of(location), compression_of(location)) == (scheme, suffix, compression)


@pytest.mark.parametrize("name", [None, "", 7])
def test_a_format_without_a_name_is_refused(name):
    with pytest.raises(PluginError, match="a name must be a short text"):
        Registry("odd").add(name, print)
