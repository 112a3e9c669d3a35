"""The parts of a location, and the secrets that nothing may show."""

import pytest

from sentiment_batch.errors import InputError
from sentiment_batch.locations import without_password


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ann:tea4two@db:5432/shop?table=reviews", "postgresql://ann:***@db:5432/shop?table=reviews"),
        ("postgresql://ann:t:e%2Fa@db/shop", "postgresql://ann:***@db/shop"),
        ("postgresql://:tea@db/shop", "postgresql://:***@db/shop"),
        ("postgresql://ann:t@ea@db/shop", "postgresql://ann:***@db/shop"),
        ("postgresql://ann:te/a@db/shop", "postgresql://ann:***@db/shop"),
        ("postgresql://ann:te#a@db/shop", "postgresql://ann:***@db/shop"),
        ("postgresql://ann:te a@db/shop", "postgresql://ann:***@db/shop"),
        ("postgresql://db/shop?password=te#a&x=1", "postgresql://db/shop?password=***&x=1"),
        ("https://a/b?sv=2&sig=tea&design=blue", "https://a/b?sv=2&sig=***&design=blue"),
        ("http://host:8080/reviews@main/a.csv", "http://host:8080/reviews@main/a.csv"),
        ("no postgresql://a:b@c/d, and s3://e:f@g/h.", "no postgresql://a:***@c/d, and s3://e:***@g/h."),
        ("postgresql://db/shop?user=ann&password=tea", "postgresql://db/shop?user=ann&password=***"),
        ("https://a/b.csv?X-Amz-Signature=0af3&x=1#p", "https://a/b.csv?X-Amz-Signature=***&x=1#p"),
        ("postgresql://ann@db/shop?table=a", "postgresql://ann@db/shop?table=a"),
        ("hf://datasets/ann/reviews@main/a.parquet", "hf://datasets/ann/reviews@main/a.parquet"),
        ("mail ann:tea@example.org", "mail ann:tea@example.org"),
        ("C:\\reviews.csv?password=no url", "C:\\reviews.csv?password=no url"),
    ],
)
def test_secrets_of_urls_are_hidden(text, shown):
    assert without_password(text) == shown


def test_no_error_shows_a_password():
    error = InputError("postgresql://ann:tea4two@db/shop is not there. Check the address.")
    assert str(error) == "postgresql://ann:***@db/shop is not there. Check the address."


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
    train(url, tmp_path / "model", base=str(tiny_base), epochs=1, quiet=True)
    for path in (tmp_path / "model").iterdir():
        assert b"tea4two" not in path.read_bytes(), path.name
