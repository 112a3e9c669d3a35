import os
import sys
import tempfile
from pathlib import Path

import pytest

from sentiment_batch.files.cache import cache_folder, write_text


def test_the_environment_chooses_the_folder_of_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", "~/elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", "xdg/sentiment-batch"),
        ("darwin", "Library/Caches/sentiment-batch"),
        ("win32", "local/sentiment-batch"),
    ],
)
def test_the_default_is_the_folder_of_the_platform(monkeypatch, tmp_path, platform, expected):
    monkeypatch.delenv("SENTIMENT_BATCH_CACHE")
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / expected


def test_an_empty_xdg_variable_counts_as_none(monkeypatch, tmp_path):
    monkeypatch.delenv("SENTIMENT_BATCH_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == tmp_path / ".cache/sentiment-batch"


def test_a_small_file_is_replaced_whole(tmp_path):
    path = tmp_path / "deep" / "choice.json"
    write_text(path, "one")
    write_text(path, "zwölf")
    assert path.read_text(encoding="utf-8") == "zwölf"
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "choice.json"
    write_text(path, "one")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32" or os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME", "SENTIMENT_BATCH_CACHE"])
def test_a_folder_that_a_user_may_not_enter_is_no_cache(monkeypatch, tmp_path, variable):
    closed = tmp_path / "closed"
    (closed / ".cache" / "sentiment-batch").mkdir(parents=True)
    closed.chmod(0o700)
    for name in ("XDG_CACHE_HOME", "SENTIMENT_BATCH_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(closed))
    place = cache_folder()
    with tempfile.TemporaryDirectory() as temporary, monkeypatch.context() as patch:
        os.chmod(temporary, 0o777)
        patch.setattr(tempfile, "tempdir", temporary)
        patch.setattr(os, "getuid", lambda: 65534)
        os.seteuid(65534)
        try:
            found = cache_folder()
        finally:
            os.seteuid(0)
        assert (place.is_relative_to(closed), found.parent) == (True, Path(temporary))
