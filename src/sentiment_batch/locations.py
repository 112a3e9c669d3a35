"""The parts of a location: scheme, file suffix, compression and password. Nothing is opened."""

from __future__ import annotations

import os
import re

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz", ".zip": "zip"}
"""Suffixes that follow the suffix of a format, and the names of their compressions. ZIP is only read."""
# A password may hold characters that it must not. A port before a path is no password.
_USER = re.compile(r"(?<=://)([^\s/?#:@]*):(?!\d+/)(?:[^/?]*@|[^\s?#]*@)")
_SECRET = "password|passwd|pwd|secret|token|credential|signature|api_?key"
_PARAMETER = re.compile(rf"(?i)(?<=[?&])([^\s?&=]*(?:{_SECRET})[^\s?&=]*|sig)=[^\s&]+")


def without_password(text: str) -> str:
    """`text` with `***` in place of the secrets in its URLs.

    >>> without_password("postgresql://ann:tea4two@db/shop?table=reviews&sslpassword=x")
    'postgresql://ann:***@db/shop?table=reviews&sslpassword=***'
    """
    if "://" not in text:
        return text
    return _PARAMETER.sub(r"\1=***", _USER.sub(r"\1:***@", text))


def scheme_of(location: str) -> str:
    """The URL scheme of `location` in lower case, or the empty string. A Windows drive letter is no scheme."""
    head, separator, _ = location.partition("://")
    return head.lower() if separator and len(head) > 1 else ""


def suffix_of(location: str) -> str:
    """The file suffix of `location` in lower case, without that of a compression and without the query of a URL.

    >>> suffix_of("s3://bucket/reviews.CSV.gz?versionId=3")
    '.csv'
    """
    path = location.partition("?")[0] if scheme_of(location) else location
    root, ending = os.path.splitext(path.rstrip("/"))
    if ending.lower() in COMPRESSIONS:
        ending = os.path.splitext(root)[1]
    return ending.lower()


def compression_of(location: str) -> str | None:
    """The compression that the suffix of `location` names, or None."""
    path = location.partition("?")[0] if scheme_of(location) else location
    return COMPRESSIONS.get(os.path.splitext(path)[1].lower())
