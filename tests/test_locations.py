"""What a location's text tells, and what must not be told."""

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
