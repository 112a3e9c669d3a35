"""URLs of databases are parsed, and their secrets are never shown."""

from __future__ import annotations

import os
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentiment_batch_sql.url import parse_url, quote_name

from sentiment_batch import UsageError

URL = "postgresql://ann:$SHOP_PASSWORD@db/shop?table=t"


def test_the_parts_of_a_url():
    place = parse_url("postgres://ann:tea%2F@db:5433/shop?sslmode=require&table=own.t&key=id")
    assert (place.kind, place.table, place.key, place.query) == ("postgresql", ("own", "t"), "id", None)
    assert place.address == "postgresql://ann:tea%2F@db:5433/shop?sslmode=require"
    assert place.database == "db:5433/shop"
    assert place.source == '"own"."t"'
    assert place.shown == "postgres://ann:***@db:5433/shop?sslmode=require&table=own.t&key=id"
    assert "tea" not in repr(place)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///a.db?table=t", os.path.abspath("a.db")),
        ("duckdb:////tmp/a%20b.db?table=t", "/tmp/a b.db"),
        ("sqlite:///~/a.db?table=t", os.path.expanduser("~/a.db")),
        ("sqlite:////tmp/100%2524.db?table=t", "/tmp/100%24.db"),
    ],
    ids=["relative", "blank", "home", "percent"],
)
def test_the_path_of_a_file(url, path):
    assert parse_url(url).database == path


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Reviews", ("Reviews",)),
        ("my own.t", ("my own", "t")),
        ('"a.b"."c""d"', ("a.b", 'c"d')),
        ("%22a.b%22", ("a.b",)),
        ("a%2Bb+c", ("a+b+c",)),
        ("$1", ("$1",)),
    ],
)
def test_the_names_of_a_table(text, names):
    assert parse_url(f"sqlite:///a.db?table={text}").table == names


@pytest.mark.parametrize("text", ["a.b.c", ".a", "a.", '"a', 'a"b', '"a"b', "."])
def test_an_invalid_name_of_a_table_is_refused(text):
    with pytest.raises(UsageError, match=r"is not a table's name\. Write table or schema\.table"):
        parse_url(f"sqlite:///a.db?table={text}")


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_name_can_be_written(schema, table):
    assert parse_url(f"sqlite:///a.db?table={quote(quote_name(schema, table))}").table == (schema, table)


def test_the_environment_stands_in_for_parts_and_stays_secret(monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "a/b@c$d%41")
    monkeypatch.setenv("HOST", "db.example.com")
    place = parse_url("postgresql://ann:${SHOP_PASSWORD}@$HOST/shop%24x?table=$1")
    assert place.address == "postgresql://ann:a%2Fb%40c%24d%2541@db.example.com/shop%24x?"
    assert place.shown == "postgresql://ann:***@$HOST/shop%24x?table=$1"
    assert place.without_secrets("no a/b@c$d%41 nor a%2Fb%40c%24d%2541") == "no *** nor ***"


def test_a_variable_that_is_not_there_is_named(monkeypatch):
    monkeypatch.delenv("SHOP_PASSWORD", raising=False)
    with pytest.raises(
        UsageError, match=r"\$SHOP_PASSWORD, but there is no such environment variable\. Set it, or write %24"
    ):
        parse_url(URL)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://ann:tea/4two@db/shop?table=t", "has a / . # or a blank before its last @.* Write %2F"),
        ("postgresql://ann:tea#4two@db/shop?table=t", "has a / . # or a blank"),
        ("postgresql://ann:tea 4two@db/shop?table=t", "has a / . # or a blank"),
        ("postgresql://db/shop?table=t&sslpassword=tea 4two", "has a / . # or a blank"),
        ("postgresql://ann:tea?4two@db/shop?table=t", "has a / . # or a blank"),
        ("postgresql://db:1/shop?query=SELECT 'a@b'", "%40 for an @ that does not follow the password"),
        ("postgresql://db/shop?table=t&%70assword=4two", "a parameter whose name has a %"),
        ("sqlite://a.db?table=t", "names no file. Write sqlite:///file"),
        ("sqlite:///?table=t", "names no file"),
        ("sqlite:///a.db?tabel=t", "has the parameter 'tabel'. The parameters are table, query and key"),
        ("mysql://db/shop?table=t", "is no database. Write a URL that begins with postgresql, sqlite or duckdb"),
        ("reviews.csv", "is no database"),
        ("sqlite:///a.db?table=t&query=SELECT 1", "names a table, but there is also a query"),
    ],
)
def test_an_error_in_a_url_is_reported_with_advice(url, message):
    with pytest.raises(UsageError, match=message) as error:
        parse_url(url)
    assert "tea" not in str(error.value)
