"""URLs with secrets for property tests, and the test whether a text shows a part of one."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

from hypothesis import strategies as st

from sentiment_batch.files.filesystems import PACKAGES_OF_SCHEMES

DATABASES = ("postgresql", "postgres", "sqlite", "duckdb")
PATHS = ("file", "local", "sqlite", "duckdb")
SCHEMES = (
    *PACKAGES_OF_SCHEMES,
    *DATABASES,
    "mysql",
    "memory",
    "hf",
    "ftp",
    "file",
    "local",
    "zip::s3",
    "filecache::gs",
)
ODD = st.text(st.sampled_from("aZ09:/?#@[]!$&'()*+,;=%-._~\\\"<>|^`{} \t\u00a0é电\u202e\x1b"), max_size=6)
"""What a part of a URL may hold, whether it must or not."""
PLAIN = st.text(st.sampled_from("ab1-._"), max_size=6)
SECRET = st.builds("{}Qz7k{}Xw9vJ{}".format, ODD, ODD, ODD)
HOST = st.one_of(PLAIN, st.sampled_from(["db:5432", "[::1]:80", "a.example.org"]))
SECRET_NAMES = (
    *("pass", "password", "sslpassword", "auth", "key", "access_key", "api_key", "token", "code", "sig", "signature"),
    *("options", "X-Amz-Signature", "X-Amz-Security-Token", "Password", "p%61ss", "never-heard-of", "a/b", ""),
)
"""Names of parameters whose values may be secret."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretUrl:
    """A URL, its secrets, and its text without them."""

    url: str
    secrets: tuple[str, ...]
    innocent: str

    def is_shown(self, text: str) -> bool:
        """True if four characters in a row of a secret, which the rest of the URL lacks, are in the text."""
        forms = {form for secret in self.secrets for form in (secret, unquote(secret), quote(secret, safe=""))}
        pieces = {form[start : start + 4] for form in forms for start in range(len(form) - 3)}
        # Pieces of odd signs alone may stand in any text.
        return any(piece in text and piece not in self.innocent for piece in pieces if set(piece) & set("QzkXwvJ"))


@st.composite
def secret_urls(draw: st.DrawFn, schemes: tuple[str, ...] = SCHEMES) -> SecretUrl:
    """URLs with a password, with secret parameters, or with both."""
    scheme = draw(st.sampled_from(schemes))
    user, place, secrets, words = "", f"{draw(HOST)}/{draw(PLAIN)}", [], ""
    if with_password := draw(st.booleans()):
        secrets.append(draw(SECRET))
        user = draw(ODD)
        if scheme in PATHS:
            user = user.lstrip("/")  # else it is a path
        words = f"{user}:@"
    named = [name for name in SECRET_NAMES if name != "key" or scheme not in DATABASES]
    names = draw(st.lists(st.sampled_from(named), min_size=not with_password, max_size=2))
    pairs = ["table=own.t", "format=csv"][: draw(st.integers(0, 2))]
    for name in names:
        secrets.append(draw(SECRET).replace("&", ""))
        pairs.append(f"{name}={secrets[-1]}")
    tail = "&".join(draw(st.permutations(pairs)))
    userinfo = f"{user}:{secrets[0]}@" if with_password else ""
    url = f"{scheme}://{userinfo}{place}{'?' if tail else ''}{tail}"
    return SecretUrl(url=url, secrets=tuple(secrets), innocent=f"{scheme}://{words}{place}?{'&'.join(named)}")
