"""The parts of a location: the folder, the version and the mode."""

from __future__ import annotations

import os

import pytest
from sentiment_batch_delta.url import parse_url

from sentiment_batch import UsageError


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("delta://tables/reviews", "tables/reviews"),
        ("delta://tables/reviews/", "tables/reviews"),
        ("delta:///data/reviews?version=3", "/data/reviews"),
        ("delta:///data/100%25/a%3Fb", "/data/100%/a?b"),
        ("delta:///data/100%/a", "/data/100%/a"),
        ("delta:///data/10:00/ann@home", "/data/10:00/ann@home"),
        ("delta://~/reviews", "~/reviews"),
    ],
)
def test_the_path_follows_the_scheme(location, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_url(location).path == os.path.realpath(os.path.expanduser(path))


def test_the_version_and_the_mode_are_parameters():
    found = [parse_url(f"delta:///t{rest}") for rest in ("", "?version=0", "?mode=append")]
    assert [(place.version, place.appends) for place in found] == [(None, False), (0, False), (None, True)]
    assert parse_url("delta:///t?version=12").shown == "delta:///t?version=12"


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("delta://", "names no folder"),
        ("delta:///", "names no folder"),
        ("delta://ann@host/t", "names no folder"),
        ("delta://s3://bucket/t", "is not on this machine"),
        ("delta:///t?version=-1", "has the version '-1'"),
        ("delta:///t?version=", "has the version ''"),
        ("delta:///t?version=9999999999999999999999", "has the version"),
        ("delta:///t?mode=overwrite", "The only mode is ?mode=append"),
        ("delta:///t?table=x", "The parameters are version and mode"),
        ("delta://ann:tea4two@host/t", "a URL of a file holds a password"),
    ],
)
def test_a_url_that_cannot_be_read_is_one_line(location, message):
    with pytest.raises(UsageError) as caught:
        parse_url(location)
    assert message in str(caught.value)
    assert "tea4two" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
