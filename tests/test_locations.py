"""The parts of a location, and the secrets that nothing may show."""

import pytest

from sentiment_batch.errors import InputError, UsageError, first_line, hide_passwords, listed, refuse_ambiguous_url
from sentiment_batch.locations import (
    compression_of,
    hide_secrets,
    path_of,
    split_url,
    suffix_of,
    without_password,
    without_query,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ann:tea4two@db:5432/shop?table=reviews", "postgresql://ann:***@db:5432/shop?table=reviews"),
        ("postgresql://ann:t:e%2Fa@db/shop", "postgresql://ann:***@db/shop"),
        ("postgresql://:tea@db/shop", "postgresql://:***@db/shop"),
        ("postgresql://ann:t@ea@db/shop", "postgresql://ann:***@db/shop"),
        ("postgresql://ann:te/a@db/shop", "postgresql://ann:***@db/shop"),
        ("postgresql://ann:te#a@db/shop", "postgresql://ann:***@db/shop"),
        ("postgresql://db/shop?password=te#a&port=1", "postgresql://db/shop?password=***&port=1"),
        ("https://a/b?sv=2&sig=tea&design=blue", "https://a/b?sv=***&sig=***&design=***"),
        ("http://host:8080/reviews@main/a.csv", "http://host:***@main/a.csv"),
        ("http://host:8080/a.csv, row 3: ann@x.org", "http://host:8080/a.csv, row 3: ann@x.org"),
        ("https://token@host/a.csv and https://host/@a", "https://***@host/a.csv and https://host/@a"),
        ("https://host/a.csv?0af3&format=csv", "https://host/a.csv?***&format=csv"),
        ("https://host/a.csv;id=0af3#t=1", "https://host/a.csv;id=***"),
        ("postgresql://a@b:tea@db/shop", "postgresql://a@b:***@db/shop"),
        ("postgresql://ann:te?a@db/shop?table=t", "postgresql://ann:***@***"),
        ("postgresql://ann:1/2?a@db/shop?table=t&key=id", "postgresql://ann:***@***&key=id"),
        ("postgresql://ann:a?user=b@db/shop?table=t", "postgresql://ann:***@***"),
        ("s3://db:80/a.csv?pass=t@ea&raw=1", "s3://db:***@***&raw=1"),
        ("postgresql://ann:a://b@db/shop", "postgresql://ann:***@db/shop"),
        ("postgresql:/ann:tea@db/shop", "postgresql:/ann:***@db/shop"),
        ("postgresql:///ann:tea@db/shop", "postgresql:///ann:***@db/shop"),
        ("https://a/b?key=tea&raw=1", "https://a/b?key=***&raw=1"),
        ("postgresql://db/shop?options=-cpass=tea", "postgresql://db/shop?options=***"),
        ("zip://a.csv::s3://ann:tea@bucket/a.zip", "zip://a.csv::s3://ann:***@bucket/a.zip"),
        ("filecache::s3://ann:tea@bucket/a.zip", "filecache::s3://ann:***@bucket/a.zip"),
        ("zip://a:b.csv::s3://ann:tea@bucket/a.zip", "zip://a:***@bucket/a.zip"),
        ("s3://bucket/part-?.csv", "s3://bucket/part-?.csv"),
        ("sqlite:////data/10:00/a@b.db?table=t&key=id", "sqlite:////data/10:00/a@b.db?table=t&key=id"),
        ("http://a:tea%2F4two@b/c: port 'tea/4two', 4two", "http://a:***@b/c: port '***', ***"),
        ("postgres://ann:postgres@b/c of postgresql", "postgres://ann:***@b/c of postgresql"),
        ("no postgresql://a:b@c/d, and s3://e:f@g/h.", "no postgresql://a:***@c/d, and s3://e:***@g/h."),
        ("postgresql://db/shop?user=ann&password=tea", "postgresql://db/shop?user=ann&password=***"),
        ("https://a/b.csv?X-Amz-Signature=0af3&versionId=1#p", "https://a/b.csv?X-Amz-Signature=***&versionId=1#p"),
        ("postgresql://ann@db/shop?table=a", "postgresql://ann@db/shop?table=a"),
        ("hf://datasets/ann/reviews@main/a.parquet", "hf://datasets/ann/reviews@main/a.parquet"),
        ("mail ann:tea@example.org", "mail ann:tea@example.org"),
        ("C:\\reviews.csv?password=no url", "C:\\reviews.csv?password=no url"),
        ("s3://&:tea4two@/?pass=tea4three", "s3://&:***@/?pass=***"),
        ("s3://a&b:tea4two@host/key#token=tea4three", "s3://a&b:***@host/key#token=***"),
    ],
)
def test_secrets_of_urls_are_hidden(text, shown):
    assert without_password(text) == shown
    assert without_password(shown) == shown


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("postgresql://ann:te a@db/shop", "blank or a line end before its last @"),
        ("postgresql://an n:tea@db/shop", "blank or a line end before its last @"),
        ("s3://ann:te\na@db/shop", "Write %20 for a blank"),
        ("https://host/a.csv?token=te a", "blank or a line end .* or in a parameter"),
        ("https://host/a b.csv?tea", "blank or a line end .* or in a parameter"),
        ("ann:tea@s3://bucket/a.csv", ":// after something that is no scheme"),
        ("file://ann:tea@host/a.csv", "Write file:///folder/reviews.csv"),
        ("local://ann:te/a@host/a.csv", "Write local:///folder/reviews.csv"),
    ],
)
def test_a_url_whose_secrets_have_no_clear_end_is_refused(location, message):
    with pytest.raises(UsageError, match=message) as error:
        refuse_ambiguous_url(location)
    assert "te" + "a" not in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_the_parts_of_a_url():
    url = split_url("S3://ann:te@a@bucket/a.csv?versionId=1&token=tea&x")
    assert (url.scheme, url.user, url.password, url.place) == ("s3", "ann", "te@a", "bucket/a.csv")
    assert url.parameters == (("versionId", "1"), ("token", "tea"), ("x", ""))
    assert [url.hides(name) for name, _ in url.parameters] == [False, True, True]
    assert "te" not in repr(url)
    assert split_url("zip://a.csv::s3://ann:tea@bucket/a.zip").place == "bucket/a.zip"
    assert split_url("a@b:c?d.csv").place == "a@b:c?d.csv"


def test_an_ampersand_in_a_database_password_is_a_part_of_it():
    url = split_url("postgresql://db/shop?table=t&password=tea&Biscuits=two&&x&sslmode=require&unknown=1")
    expected = (("table", "t"), ("password", "tea&Biscuits=two&&x"), ("sslmode", "require"), ("unknown", "1"))
    assert url.parameters == expected
    shown = without_password("postgresql://db/shop?password=&Biscuits=two&sslmode=require: no parameter Biscuits")
    assert shown == "postgresql://db/shop?password=&***&sslmode=require: no parameter ***"


def test_a_password_is_no_part_of_a_suffix():
    assert suffix_of("s3://ann:a.b?c.zip@bucket/a.csv.gz?versionId=1") == ".csv"
    assert compression_of("s3://ann:a.b?c.zip@bucket/a.csv.gz?versionId=1") == "gzip"


@pytest.mark.parametrize(
    "url", ["s3://db:5432/?pass=Qz7k@Xw9vJ", "s3://db:5432?pass=Qz7k@Xw9vJ", "s3://db/?p=a:b@Xw9vJ"]
)
def test_what_may_be_a_secret_is_in_no_path(url):
    assert "Xw9vJ" not in path_of(url) + without_query(url)


def test_a_short_secret_is_left_in_other_words():
    assert hide_secrets("no port 12 in tea4two", ["tea4two", "po", "12"]) == "no port 12 in ***"


def test_no_error_shows_a_password():
    error = InputError("postgresql://ann:tea4two@db/shop is not there. Check the address.")
    assert str(error) == "postgresql://ann:***@db/shop is not there. Check the address."


def test_a_cut_text_shows_no_part_of_a_password():
    url = f"s3://ann:{'tea4two' * 99}@bucket/a.csv"
    assert "tea" not in first_line(ValueError(url)) + listed([url])


def test_an_error_of_a_library_loses_its_secrets():
    class Request:
        def __str__(self):
            return "https://host/a.csv?sig=tea4two"

    error = OSError(2, "none at tea4two", "s3://ann:tea4two@bucket/a.csv")
    error.request, error.retries = Request(), [1, 2]
    error.add_note("asked for https://host/a.csv?sig=tea4two")
    error.__cause__ = KeyError("tea4two")
    hide_passwords(error, "s3://ann:tea4two@bucket/a.csv is not there")
    assert "tea" not in f"{error} {error!r} {vars(error)} {error.__cause__!r}"
    assert (error.errno, error.filename, error.retries) == (2, "s3://ann:***@bucket/a.csv", [1, 2])


def test_no_password_is_stored_or_shown_with_an_output(cli, tiny_model, tmp_path):
    import fsspec

    files, url = fsspec.filesystem("memory"), "memory://ann:tea4two@host"
    files.store.clear()
    with fsspec.open(f"{url}/in.csv", "wb") as file:
        file.write(b"id,review\n1,good\n2,\xff\n")
    options = ("--model", tiny_model, "--on-bad-row", "mark", "--json")
    done = cli("score", f"{url}/in.csv", f"{url}/out.csv", *options)
    assert done.exit_code == 0, done.stderr
    verified = cli("verify", f"{url}/out.csv")
    assert verified.exit_code == 0, verified.stderr
    stored = [files.cat(name) for name in files.find("/") if not name.endswith("in.csv")]
    assert len(stored) == 3
    printed = done.stdout + done.stderr + verified.stdout + verified.stderr
    assert "tea4two" not in printed + b"".join(stored).decode(errors="replace")
    assert "***" in printed


def test_no_password_is_stored_with_a_model(tmp_path, tiny_base, reviews_csv):
    import fsspec

    from sentiment_batch import train

    url = "memory://ann:tea4two@models/reviews.csv"
    with fsspec.open(url, "wb") as file:
        file.write(reviews_csv.read_bytes())
    train(url, tmp_path / "model", base=str(tiny_base), epochs=1, folds=0, quiet=True)
    for path in (tmp_path / "model").iterdir():
        assert b"tea4two" not in path.read_bytes(), path.name
