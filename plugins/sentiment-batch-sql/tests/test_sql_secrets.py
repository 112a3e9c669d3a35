"""No part of any secret of a database's URL is shown, whatever characters it holds and whatever the driver quotes."""

from __future__ import annotations

import os
from urllib.parse import quote, unquote

import adbc_driver_manager
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentiment_batch_sql.reader import SqlReader
from sentiment_batch_sql.url import parse_url
from sentiment_batch_sql.writer import SqlWriter

from sentiment_batch import ReadOptions, UsageError, WriteOptions
from sentiment_batch.errors import SentimentBatchError

SCHEMES = ("postgresql", "postgres", "sqlite", "duckdb")
ODD = st.text(st.sampled_from("aZ:/?#@[]!&'+,;=%-._~\\\"<>|`{} \t\u00a0é电\u202e\x1b"), max_size=6)
SECRET = st.builds("{}Qz7k{}Xw9vJ{}".format, ODD, ODD, ODD)
NAMES = ("password", "sslpassword", "passfile", "options", "service", "token", "never-heard-of", "p%61ss")


@st.composite
def urls(draw):
    """A URL, its secrets as they are written and as they are meant, and the value of a variable named in it."""
    secret, in_environment = draw(SECRET), draw(SECRET)
    user = draw(st.one_of(ODD.map(lambda text: text.replace("/", "")), st.just("ann@shop")))
    written = draw(st.sampled_from([secret, quote(secret, safe=""), "$QZ_SECRET"]))
    userinfo = draw(st.sampled_from([f"{user}:{written}@", f"{user}@", ""]))
    place = draw(st.sampled_from(["db/shop", "db:5432/shop", "[::1]/shop", "/file.db", "//folder/file.db", "x"]))
    named = draw(st.sampled_from(["", f"&{draw(st.sampled_from(NAMES))}={written}"]))
    url = f"{draw(st.sampled_from(SCHEMES))}://{userinfo}{place}?table=t{named}"
    return url, {secret, unquote(secret), quote(secret, safe="")}, in_environment


def is_shown(text, secrets):
    """True if four characters in a row of a secret are in the text; those of odd signs alone may be anywhere."""
    pieces = {one[start : start + 4] for one in secrets for start in range(len(one) - 3)}
    return any(piece in text for piece in pieces if set(piece) & set("QzkXwvJ"))


class QuotingDriver:
    """A driver that cannot connect, and says so with the URL, its parts, and what it decoded, as libpq does."""

    def __init__(self, driver, **options):
        address = options.get("uri") or next(iter(options.values()), "")
        host = address.partition("://")[2]
        port = host.partition(":")[2]
        shown = f'invalid port number: "{port}" in "{address}", "{unquote(address)}" and {unquote(port)!r}'
        raise adbc_driver_manager.OperationalError(shown, status_code=adbc_driver_manager.AdbcStatusCode.IO)


@settings(deadline=None, max_examples=200)
@given(urls())
def test_no_message_shows_a_secret(case):
    url, secrets, in_environment = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "QZ_SECRET", in_environment)
        patch.setattr(adbc_driver_manager, "AdbcDatabase", QuotingDriver)
        secrets |= {in_environment, quote(in_environment, safe="")} if "$QZ_SECRET" in url else set()
        texts = []
        try:
            place = parse_url(url)
            texts += [repr(place), place.shown, place.without_secrets(f"{place.address} {unquote(place.address)}")]
        except UsageError as error:
            texts += [str(error), repr(error)]
        for open_table in (
            lambda: SqlReader(url, ReadOptions()),
            lambda: SqlWriter(url, pa.schema([("a", pa.string())]), WriteOptions()),
        ):
            try:
                open_table()
            except SentimentBatchError as error:
                texts += [str(error), repr(error), repr(error.__cause__)]
    assert not [text for text in texts if "\n" in text or is_shown(text, secrets)]
