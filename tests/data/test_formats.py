"""A location or a name finds its format: built-ins first, plugins only when none of them fits."""

from __future__ import annotations

import re
import zipfile
from types import SimpleNamespace

import pyarrow as pa
import pytest

from sentiment_batch.data import formats, readers, writers
from sentiment_batch.errors import InputError, OutputError, PluginError, UsageError
from sentiment_batch.plugins.hookspecs import hookimpl
from sentiment_batch.plugins.manager import Plugins
from sentiment_batch.records import ReadOptions, WriteOptions

SCHEMA = pa.schema([("n", pa.int64())])
METHODS = ("splits", "batches", "close", "write", "commit", "abort")
SHEET = SimpleNamespace(schema=SCHEMA, **dict.fromkeys(METHODS, lambda *arguments: None))


@pytest.fixture
def install(monkeypatch):
    """Install entry points into a process of their own: `install(name=plugin, ...)`; counts their loading."""

    def install(**entries):
        loads = []

        def entry(name, plugin):
            def load():
                loads.append(name)
                if isinstance(plugin, Exception):
                    raise plugin
                return plugin

            return SimpleNamespace(name=name, dist=None, load=load)

        points = [entry(name, plugin) for name, plugin in entries.items()]
        plugins = Plugins((readers, writers), lambda: points)
        monkeypatch.setattr(formats, "get_plugins", lambda: plugins)
        return loads

    return install


def plugin(open, name="excel", suffix=".xlsx", **more):
    @hookimpl
    def register(registry):
        registry.add(name, open, suffixes=(suffix,), **more)

    return SimpleNamespace(register_readers=register, register_writers=register)


def crash(*arguments):
    raise ZeroDivisionError("division\nby zero")


def refuse(*arguments):
    raise InputError("the sheet is empty. Fill it.")


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("a.csv", "csv"),
        ("a.TSV", "csv"),
        ("a.tab.gz", "csv"),
        ("a.jsonl", "jsonl"),
        ("a.ndjson.zst", "jsonl"),
        ("s3://b/a.parquet?x=1", "parquet"),
        ("a.pq", "parquet"),
        ("a.feather", "arrow"),
        ("a.arrows", "arrow"),
    ],
)
def test_the_ending_finds_the_format_and_no_plugin_is_loaded(install, location, name):
    loads = install(broken=ImportError("no"))
    assert formats.find_reader_format(location).name == name
    assert formats.find_writer_format(location).name == name
    assert loads == []


def test_the_name_goes_before_the_ending(install):
    install()
    assert formats.find_writer_format("-", "csv").name == "csv"
    assert formats.find_reader_format("a.csv", "jsonl").name == "jsonl"


def test_a_folder_without_an_ending_is_a_data_set(install, tmp_path):
    install()
    assert formats.find_reader_format(str(tmp_path / "")).name == "parquet"
    assert formats.find_reader_format("s3://bucket/folder/").name == "parquet"
    assert formats.find_reader_format(str(tmp_path / "year=*")).name == "parquet"


def test_the_files_of_a_local_folder_show_its_format(install, tmp_path):
    install()
    for name in ("year=2024/a.csv.gz", "b.csv", "README", "_SUCCESS", ".old/c.jsonl", "_delta_log/0.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert formats.find_reader_format(str(tmp_path)).name == "csv"
    (tmp_path / "d.jsonl").touch()
    assert formats.find_reader_format(str(tmp_path)).name == "parquet"
    assert formats.find_reader_format(str(tmp_path), "jsonl").name == "jsonl"


def test_a_plugin_is_loaded_when_no_built_in_claims_the_ending(install):
    calls = []
    loads = install(excel=plugin(lambda *arguments: calls.append(arguments) or SHEET), other=plugin(crash, "o", ".o"))
    options = ReadOptions(encoding="utf-8")
    assert formats.open_reader("a.xlsx", options=options).schema is SCHEMA
    formats.open_writer("a.xlsx", SCHEMA).commit()
    assert calls == [("a.xlsx", options), ("a.xlsx", SCHEMA, WriteOptions())]
    assert loads == ["excel", "other"]


@pytest.mark.parametrize("location", ["a.xlsx.gz", "a.XLSX.ZST", "https://host/a.xlsx.xz?raw=1", "-.gz"])
def test_a_plugin_gets_no_compressed_file_unasked(install, location):
    calls = []
    install(excel=plugin(lambda *arguments: calls.append(arguments) or SHEET))
    with pytest.raises(InputError, match=r"is compressed, and the reader of the plugin 'excel' reads plain files only"):
        formats.open_reader(location, format="excel")
    assert calls == []


def test_a_plugin_that_asks_for_them_gets_compressed_files(install):
    install(excel=plugin(lambda *arguments: SHEET, compressed=True))
    assert formats.open_reader("a.xlsx.gz").schema is SCHEMA
    install(tables=plugin(lambda *arguments: SHEET, suffix=".x", schemes=("tables",)))
    assert formats.open_reader("tables://shop/a.gz").schema is SCHEMA


def test_a_file_in_an_archive_is_compressed_for_a_plugin(install, tmp_path):
    install(excel=plugin(lambda *arguments: SHEET))
    with zipfile.ZipFile(tmp_path / "rows.zip", "w") as archive:
        archive.writestr("rows.xlsx", "")
    with pytest.raises(InputError, match="Uncompress the file"):
        formats.open_reader(str(tmp_path / "rows.zip"))


@pytest.mark.parametrize("location", ["tables://shop/", "tables://shop/*", "TABLES://"])
def test_the_scheme_of_a_plugin_may_end_as_a_folder(install, location):
    install(tables=plugin(lambda *arguments: SHEET, name="tables", schemes=("tables",)))
    assert formats.find_reader_format(location).name == "tables"
    assert formats.find_writer_format(location).name == "tables"
    assert formats.find_writer_format("memory://shop/").name == "parquet"


@pytest.mark.parametrize("location", ["a.xlsx", "a.csv", "a.parquet"])
@pytest.mark.parametrize("encoding", ["nope", "base64", "utf-7", "a\0b"])
def test_an_encoding_that_is_none_is_refused_for_any_format(install, location, encoding):
    install(excel=plugin(crash))
    with pytest.raises(UsageError, match=r"^`encoding`: .*give one such as utf-8"):
        formats.open_reader(location, options=ReadOptions(encoding=encoding))


def test_a_broken_plugin_is_logged_once_when_it_is_needed(install, caplog):
    install(broken=ImportError("no heavy"), excel=plugin(lambda *arguments: SHEET))
    formats.find_reader_format("a.csv")
    assert caplog.text == ""
    formats.open_reader("a.xlsx")
    formats.open_reader("b.xlsx")
    assert caplog.text.count("plugin broken (unknown) is not used: ImportError: no heavy") == 1


def test_an_unknown_name_lists_those_there_are(install):
    install(excel=plugin(crash))
    with pytest.raises(UsageError, match=r"no format is called 'exel'; `output_format` takes one of 'csv'.*'excel'"):
        formats.find_writer_format("a.csv", "exel")
    with pytest.raises(UsageError, match="`input_format` takes one of"):
        formats.find_reader_format("a.csv", "exel")


def test_a_name_without_an_ending_needs_the_format(install, tmp_path):
    install()
    (tmp_path / "reviews").write_text("x")
    for location in ("-", str(tmp_path / "reviews"), "s3://bucket/reviews"):
        with pytest.raises(UsageError, match="does not show the format; give `input_format`"):
            formats.find_reader_format(location)
    with pytest.raises(UsageError, match="give `output_format`"):
        formats.find_writer_format("reviews")


def test_a_missing_input_without_an_ending_is_reported(install):
    install()
    with pytest.raises(InputError, match=r"nowhere is not there\. Check the path"):
        formats.find_reader_format("nowhere")


@pytest.mark.parametrize("open", [formats.open_reader, lambda location: formats.open_writer(location, SCHEMA)])
def test_a_crash_in_a_plugin_names_it(install, open):
    install(excel=plugin(crash))
    with pytest.raises(PluginError, match=r"plugin 'excel' failed on a\.xlsx: ZeroDivisionError: division by zero\."):
        open("a.xlsx")


def test_a_plugins_own_error_for_its_user_passes(install):
    install(excel=plugin(refuse))
    with pytest.raises(InputError, match=r"^the sheet is empty\. Fill it\.$"):
        formats.open_reader("a.xlsx")


def test_a_crash_in_a_built_in_is_a_bug_and_keeps_its_kind(install, monkeypatch):
    install()
    monkeypatch.setattr("sentiment_batch.data.writers.publish.FileWriter.__init__", crash)
    with pytest.raises(ZeroDivisionError):
        formats.open_writer("a.csv", SCHEMA)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz", "a.jsonl", "a.parquet", "a.arrow", "a.arrows.zst"])
def test_every_built_in_writer_opens_and_publishes(install, tmp_path, name):
    install()
    writer = formats.open_writer(str(tmp_path / name), SCHEMA)
    writer.write(pa.record_batch({"n": [1, 2]}))
    assert not (tmp_path / name).exists()
    writer.commit()
    assert (tmp_path / name).stat().st_size > 0


def test_what_exists_is_kept_unless_the_options_say_overwrite(install, tmp_path):
    install()
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(OutputError, match="exists already"):
        formats.open_writer(str(path), SCHEMA)
    formats.open_writer(str(path), SCHEMA, options=WriteOptions(overwrite=True)).commit()
    assert path.read_text() == "n\n"


def test_a_writer_that_is_aborted_leaves_nothing(install, tmp_path):
    install()
    writer = formats.open_writer(str(tmp_path / "a.parquet"), SCHEMA)
    writer.write(pa.record_batch({"n": [1]}))
    writer.abort()
    writer.abort()
    del writer
    assert list(tmp_path.iterdir()) == []


def test_a_column_that_the_format_cannot_hold_leaves_nothing(install, tmp_path):
    install()
    with pytest.raises(OutputError, match="CSV cannot hold the column 'raw'"):
        formats.open_writer(str(tmp_path / "a.csv"), pa.schema([("raw", pa.binary())]))
    assert list(tmp_path.iterdir()) == []


def test_the_plugins_of_the_process_are_made_once():
    assert formats.get_plugins() is formats.get_plugins()
    assert {format.name for format in formats.get_plugins().writers} >= {"csv", "jsonl", "parquet", "arrow"}


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("reviews.xlsx", "Install it with pip install sentiment-batch-excel"),
        ("reviews.xls", "Save it as .xlsx or as CSV"),
        (
            "shop.db",
            "a URL such as sqlite:///shop.db?table=reviews. It needs the plugin for databases. Install it with pip",
        ),
        ("shop.SQLITE", "Install it with pip install sentiment-batch-sql"),
        ("shop.duckdb", "a URL such as duckdb:///shop.duckdb?table=reviews"),
        ("postgresql://ann@host/shop?table=reviews", "Install it with pip install sentiment-batch-sql"),
        ("postgresql+psycopg2://ann@host/shop", "Install it with pip install sentiment-batch-sql"),
        ("delta:///data/reviews/", "Install it with pip install sentiment-batch-delta"),
        ("delta://reviews.parquet", "Install it with pip install sentiment-batch-delta"),
        ("sqlite:///shop.csv", "Install it with pip install sentiment-batch-sql"),
        ("mysql://ann:secret@host/shop.json", "no plugin reads. Export the rows"),
        ("mysql://ann:secret@host/shop", "no plugin reads. Export the rows of a query to Parquet or CSV"),
        ("snowflake://account/shop", "no plugin reads. Export the rows of a query to Parquet or CSV"),
    ],
)
def test_what_needs_a_plugin_names_its_package(install, tmp_path, monkeypatch, location, said):
    install()
    monkeypatch.chdir(tmp_path)
    if "://" not in location:
        with pytest.raises(InputError, match="is not there"):
            formats.find_reader_format(location)
        (tmp_path / location).touch()
    for find in (formats.find_reader_format, formats.find_writer_format):
        with pytest.raises(UsageError) as caught:
            find(location)
        assert said in str(caught.value)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["delta", "excel", "sql"])
def test_a_format_of_a_missing_plugin_names_its_package(install, name):
    install()
    with pytest.raises(UsageError, match=f"pip install sentiment-batch-{name}"):
        formats.find_reader_format("reviews.bin", name)


def test_a_table_whose_name_ends_like_a_file_is_a_table(install):
    loads = install(delta=plugin(crash, name="delta", suffix=".none", schemes=("delta",)))
    assert formats.find_reader_format("s3://bucket/reviews.parquet").name == "parquet"
    assert loads == []
    assert formats.find_reader_format("delta://reviews.parquet").name == "delta"
    assert formats.find_writer_format("delta:///data/reviews.csv").name == "delta"


def test_with_its_plugin_a_database_file_only_needs_a_url(install):
    install(sql=plugin(crash, name="sql", suffix=".none"))
    with pytest.raises(UsageError) as caught:
        formats.find_writer_format("shop.db")
    assert str(caught.value).endswith("sqlite:///shop.db?table=reviews.")


@pytest.mark.parametrize(("member", "expected"), [("folder/rows.csv", "csv"), ("rows.jsonl", "jsonl")])
def test_the_file_in_an_archive_shows_the_format(tmp_path, member, expected):
    with zipfile.ZipFile(tmp_path / "rows.zip", "w") as archive:
        archive.writestr(member, "")
    assert formats.find_reader_format(str(tmp_path / "rows.zip")).name == expected
    assert formats.find_reader_format(str(tmp_path / "rows.parquet.zip")).name == "parquet"


def test_an_archive_whose_file_shows_no_format_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "rows.zip", "w") as archive:
        archive.writestr("rows", "text\n")
    with pytest.raises(UsageError, match=r"the name '.*rows\.zip' does not show the format; give `input_format`"):
        formats.find_reader_format(str(tmp_path / "rows.zip"))
    assert formats.find_reader_format(str(tmp_path / "rows.zip"), "csv").name == "csv"


def test_archives_are_never_written():
    with pytest.raises(UsageError, match=r"ZIP archives are only read"):
        formats.find_writer_format("out.csv.zip")


def test_workbooks_with_macros_are_never_written(install, tmp_path):
    install()
    (tmp_path / "in.xlsm").touch()
    with pytest.raises(UsageError, match="Install it with pip install sentiment-batch-excel"):
        formats.find_reader_format(str(tmp_path / "in.xlsm"))
    with pytest.raises(UsageError, match=r"workbooks with macros are only read\. Name it \.xlsx"):
        formats.find_writer_format("out.xlsm")


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"review;stars\nGood;5\n", InputError, 'a.xls is text, such as CSV; give `input_format="csv"`'),
        (b"<html><body><table><tr><td>Good</td></tr></table>", InputError, "a.xls is a web page. If Excel shows"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), UsageError, "a.xls is a workbook of an old Excel"),
        (b"", UsageError, "a.xls is a workbook of an old Excel"),
    ],
    ids=["text", "page", "workbook", "empty"],
)
def test_a_file_called_xls_is_named_for_what_it_is(tmp_path, content, error, words):
    (tmp_path / "a.xls").write_bytes(content)
    with pytest.raises(error, match=re.escape(words)):
        formats.open_reader(str(tmp_path / "a.xls"))
