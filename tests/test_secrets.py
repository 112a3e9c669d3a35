"""No password of any URL is in any message, exception, log, manifest, report, JSON or list of bad rows.

The URLs have every scheme that is read or written, and odd characters in each of their parts.
"""

from __future__ import annotations

import io
import logging
import shlex
import shutil
import sys
import traceback
from pathlib import Path
from typing import ClassVar

import fsspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentiment_batch.cli.messages import terminal_text
from sentiment_batch.data.formats import find_reader_format, find_writer_format, open_reader, open_writer
from sentiment_batch.data.input_description import format_description
from sentiment_batch.errors import SentimentBatchError, UsageError, first_line, listed, refuse_ambiguous_url
from sentiment_batch.files.filesystems import make_unreachable_error, open_filesystem
from sentiment_batch.locations import scheme_of, split_url, without_password
from sentiment_batch.records import ReadOptions
from tests.secret_urls import DATABASES, SCHEMES, secret_urls

MANY = settings(max_examples=10 * settings.default.max_examples)
SOME = settings(max_examples=4 * settings.default.max_examples)
FEW = settings(
    max_examples=settings.default.max_examples // 5, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MESSAGES = ("{}", "{} is not there. Ask ann@example.org: it is s3://bucket/a.csv.", "no {!r}, and {}", "a\n{}\nb")
ODD_CSV = b"id,review,label,id\n" + b"1,a good film,positive,1\n2,a bad film,negative,2\n" * 6 + b"3,\xff,positive,3\n"
"""A table with two columns of the same name, and a row that is not UTF-8."""
NO_FILES = tuple(scheme for scheme in SCHEMES if scheme not in ("file", "local"))
"""Schemes without those of local files, whose messages name a path instead of a URL."""
REMOTE = tuple(scheme for scheme in SCHEMES if scheme not in (*DATABASES, "file", "local", "memory", "mysql"))


class Quoting(fsspec.AbstractFileSystem):
    """A file system that serves one table, or fails with errors that quote the URL as libraries do."""

    protocol = tuple({scheme.rpartition("::")[2] for scheme in SCHEMES} - {"file", "local", "memory"})
    cachable = False

    def _open(self, path, mode="rb", **options):
        host, _, port = path.partition("@")[0].partition("/")[0].partition(":")
        for number, kind in enumerate([ValueError, KeyError, OSError, RuntimeError]):
            if len(path) % 4 == number:
                raise kind(f"port {port!r} of {host} in {path!r} is none")
        raise FileNotFoundError(2, "No such file", path)

    def exists(self, path, **options):
        return False

    def isdir(self, path):
        return False

    isfile = isdir

    def ls(self, path, detail=True, **options):
        raise FileNotFoundError(path)


@pytest.fixture(autouse=True, scope="module")
def quoting_file_systems():
    """Every scheme is served by `Quoting`, so that no test needs a network."""
    with pytest.MonkeyPatch.context() as patch:
        for scheme in Quoting.protocol:
            patch.setitem(sys.modules["fsspec.registry"]._registry, scheme, Quoting)
        yield


def is_refused(one):
    """True if no URL of the kind is read or written; the refusal is one line without a secret."""
    if scheme_of(one.url) and not isinstance(error := refusal(one.url), UsageError):
        return False
    for find in (find_reader_format, find_writer_format, open_filesystem):
        with pytest.raises(UsageError) as refused:
            find(one.url)
        assert str(refused.value) == str(error)
    assert "\n" not in str(error)
    assert not one.is_shown(str(error))
    return True


def refusal(url):
    try:
        refuse_ambiguous_url(url)
    except UsageError as error:
        return error
    return None


@MANY
@given(secret_urls(), st.sampled_from(MESSAGES))
def test_no_text_shows_a_secret(one, message):
    if is_refused(one):
        names_file = scheme_of(one.url) in ("file", "local") and "@" in one.url
        assert names_file or any(character.isspace() for character in one.url)
        return
    text = message.format(one.url, one.url)
    shown = [
        without_password(text),
        terminal_text(text, None),
        first_line(ValueError(text)),
        listed([text, one.url]),
        format_description([one.url, "a.csv"], {"text_columns": ["review"]}),
        without_password(shlex.join(["sentiment-batch", "score", one.url, "out.csv"])),
        repr(split_url(one.url)),
        str(SentimentBatchError(text)),
        repr(UsageError(text)),
    ]
    assert not [line for line in shown if one.is_shown(line)]


def fail(kind, *arguments):
    raise kind(*arguments)


@SOME
@given(secret_urls(NO_FILES), st.integers(0, 7))
def test_no_error_and_no_traceback_shows_a_secret(one, number):
    if is_refused(one):
        return
    schema = pa.schema([("review", pa.string())])
    rest = one.url.partition("://")[2]
    calls = (
        lambda: fail(FileNotFoundError, one.url),
        lambda: fail(FileNotFoundError, 2, "No such file", one.url),
        lambda: fail(RuntimeError, f"bad host in {one.url!r}", one.url),
        lambda: fail(KeyError, rest),
        lambda: open_reader(one.url).close(),
        lambda: open_reader(one.url, format="csv").close(),
        lambda: open_writer(one.url, schema, format="jsonl").abort(),
        lambda: open_filesystem(one.url)[0].open(rest),
    )
    error = error_of(one.url, calls[number])
    if error is not None:
        trace = "".join(traceback.format_exception(error))
        lines = [line for line in trace.splitlines() if not line.startswith("    ")]  # without lines of code
        assert not one.is_shown("\n".join([*lines, str(error), repr(error), repr(error.__cause__)]))


def error_of(url, call):
    """Our error for whatever the call raises; None if it raises nothing."""
    try:
        try:
            call()
        except SentimentBatchError:
            raise
        except Exception as error:
            raise make_unreachable_error(url, error) from error
    except SentimentBatchError as error:
        return error
    return None


class Serving(Quoting):
    """A file system that serves the same table under every path, and keeps what is sent to it."""

    sent: ClassVar[dict[str, bytes]] = {}

    def _open(self, path, mode="rb", **options):
        if ".json" in path and path not in self.sent:
            raise FileNotFoundError(2, "No such file", path)
        return io.BytesIO(self.sent.get(path, ODD_CSV))

    def info(self, path, **options):
        return {"name": path, "size": len(ODD_CSV), "type": "file"}

    def exists(self, path, **options):
        return path in self.sent

    def isfile(self, path):
        return True

    def glob(self, path, **options):
        return [path]

    def put_file(self, lpath, rpath, **options):
        self.sent[rpath] = Path(lpath).read_bytes()


@pytest.fixture
def serving_file_systems():
    Serving.sent.clear()
    with pytest.MonkeyPatch.context() as patch:
        for scheme in Quoting.protocol:
            patch.setitem(sys.modules["fsspec.registry"]._registry, scheme, Serving)
        yield


def run_all(cli, url, model, folder):
    """What each command prints about the URL, and all that it writes; odd rows are marked."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    Serving.sent.clear()
    reading = ("--input-format", "csv", "--on-bad-row", "mark")
    runs = [
        cli("score", url, folder / "out.csv", "--model", model, *reading, "--json"),
        cli("score", url, folder / "out.csv", "--model", model, *reading),
        cli("evaluate", url, "--model", model, *reading, "--json", "--report", folder / "report.html"),
        cli("inspect", url, *reading),
        cli("score", folder / "out.csv", url, "--model", model, "--output-format", "jsonl", "--columns", "review"),
        cli("verify", url),
    ]
    written = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    stored = [content.decode(errors="replace") for content in (*written, *Serving.sent.values())]
    return runs, [*(run.output + run.stderr for run in runs), *stored]


def names_served_table(url):
    """True but for archives, caches, in which `Serving` finds nothing, and URLs without a place."""
    return bool(split_url(url).place.strip("/")) and not url.startswith(("zip::", "filecache::"))


@FEW
@given(one=secret_urls(REMOTE))
def test_no_run_shows_or_stores_a_secret(one, cli, tiny_model, tmp_path_factory, serving_file_systems):
    runs, texts = run_all(cli, one.url, tiny_model, tmp_path_factory.getbasetemp() / "secret")
    for run in runs:
        assert run.exception is None or isinstance(run.exception, SystemExit), run.exception
    assert not [text for text in texts if one.is_shown(text)]
    if not is_refused(one) and names_served_table(one.url):
        assert runs[0].exit_code == 0, runs[0].stderr
        assert "***" in runs[0].stderr


def test_the_runs_of_the_property_succeed(cli, tiny_model, tmp_path, serving_file_systems):
    runs, texts = run_all(cli, "s3://ann:Qz7k@b/a.csv?token=Xw9vJ", tiny_model, tmp_path / "out")
    assert [run.exit_code for run in runs[:5]] == [0, 1, 0, 0, 0], "\n".join(run.stderr[-300:] for run in runs)
    assert "s3://ann:***@b/a.csv?token=***" in "".join(texts)
    assert "Qz7k" not in "".join(texts)


def test_a_password_is_not_taken_for_the_name_of_a_file(cli, tiny_model, tmp_path, serving_file_systems):
    _, texts = run_all(cli, "s3://:Qz7kXw9vJ?@/?pass=Qz7kXw9vJ@", tiny_model, tmp_path / "out")
    assert any('"name": ":***"' in text for text in texts)
    assert "Qz7kXw9vJ" not in "".join(texts)


def test_records_of_the_log_hide_secrets_without_a_terminal(serving_file_systems, caplog):
    with caplog.at_level(logging.DEBUG, "sentiment_batch"):
        logging.getLogger("sentiment_batch").propagate = True
        options = ReadOptions(on_bad_row=lambda problem: None)
        open_reader("s3://ann:Qz7k@b/a.csv?token=Xw9vJ", format="csv", options=options).close()
    assert "s3://ann:***@b/a.csv?token=***: repeated or missing names of columns are changed" in caplog.text
    assert "Qz7k" not in caplog.text
