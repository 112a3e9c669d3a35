"""The parts of a location: scheme, suffix, compression, and the secrets of a URL. Nothing is opened.

All that splits a URL to find its secrets is here, so that what is opened and what is shown never disagree.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz", ".zip": "zip"}
"""Suffixes that follow the suffix of a format, and the names of their compressions. ZIP is only read."""
HIDDEN = "***"
"""What stands in place of a secret."""
MIN_REPEATED_SECRET = 4
"""Characters of a secret that is hidden wherever a text repeats it. A shorter one is hidden in its URL only."""
_PATHS = ("file", "local", "sqlite", "duckdb", "delta")
"""Schemes whose URL holds a path, and no user, if it has a third slash."""
_FILES = ("file", "local", "delta")
"""Schemes whose URL names a path and nothing else. What stands before an `@` would be a part of the path."""
_DATABASES = ("postgresql", "postgres", "sqlite", "duckdb")
"""Schemes whose parameter `key` names a column. Elsewhere it may be a key to a service."""
_WEB = ("http", "https")
"""Schemes whose user may be a token, and whose query may be one."""
_HARMLESS = re.compile(
    "table|query|user|host|hostaddr|port|sslmode|connect_timeout|client_encoding|application_name|gssencmode|"
    "target_session_attrs|channel_binding|gssdelegation|keepalives(_idle|_interval|_count)?|load_balance_hosts|"
    "version|mode|versionid|raw|download|format|x-amz-(algorithm|date|expires|signedheaders)"
)
"""Parameters that hold no secret: those of databases, tables, object stores and web servers."""
_OF_DATABASES = re.compile(
    r"password|passfile|options|service(file)?|dbname|replication|require\w+|krbsrvname|gsslib|tcp_user_timeout|"
    r"fallback_application_name|(max|min)_protocol_version|(ssl|scram_|oauth_)\w*"
)
"""Other parameters of databases. After a parameter that is a secret, a name that is not in this list may be the rest of
the secret, if the secret contains an `&`."""
_SCHEME = r"[\w+.-]{1,30}"
_SCHEMES = re.compile(rf"(?:{_SCHEME}::)*{_SCHEME}")
_URL = re.compile(rf"({_SCHEME}):(//?)(\S*)")
"""A URL in a text. One slash counts, because somebody may have forgotten the other."""
_LINK = re.compile(rf"[^\s:@?]*::(?:{_SCHEME}::)*({_SCHEME})://")
"""The first part of a chain of fsspec, such as `a.csv::s3://`, if it holds no secret."""
# A mark such as a comma or quote at the end of the URL belongs to the sentence around it.
_PARAMETER = re.compile(r"(?<=[?&;#])([^\s?&;#=]*)=([^\s&]*?)(?=[,.:;'\")]?(?:&|$))|(?<=&)[^\s&]+")
_BARE_PARAMETER = re.compile(r"(?<=[?&])[^\s?&=]+(?=&|$)")


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitUrl:
    """The parts of a URL as they are written, with percent codes and names of environment variables."""

    scheme: str
    """The scheme in lower case."""
    user: str | None = field(repr=False)
    """The user; None if there is none."""
    password: str | None = field(repr=False)
    """What follows the first colon after the user; None if there is none."""
    place: str = field(repr=False)
    """What follows the user, up to the parameters: `db:5432/shop`, `bucket/reviews.csv` or `/file.db`."""
    parameters: tuple[tuple[str, str], ...] = field(repr=False)
    """The name and the value of each parameter.

    In a secret of a database, an `&` that no known name follows is a part of it.
    """

    def hides(self, name: str) -> bool:
        """True if the value of the parameter `name` may be a secret, which no message shows."""
        return _is_hidden(self.scheme, name)


def split_url(location: str) -> SplitUrl:
    """The parts of a URL.

    The user and the password end at the last `@`, because either may hold any other character.

    Args:
        location: a URL. Of a chain of fsspec the parts of the last URL are given, and a path is all place.

    Raises:
        ValueError: no scheme stands before ://, the URL of a file holds a password, or a secret part holds white space,
            so that no message could tell where it ends. The error does not show the location.
    """
    head, separator, rest = location.partition("://")
    if not separator:
        return SplitUrl(scheme="", user=None, password=None, place=location, parameters=())
    if not _SCHEMES.fullmatch(head):
        raise ValueError(
            "a location has :// after something that is no scheme. It is not shown, because it may be secret. Write a "
            "URL such as s3://bucket/reviews.csv."
        )
    _, scheme, rest = _skip_links(head, rest)
    user, password, rest = _split_user(scheme, rest)
    if password is not None and scheme in _FILES:
        raise ValueError(
            f"a URL of a file holds a password, or a : and an @. It is not shown, because it may be secret. Write "
            f"{scheme}:///folder/reviews.csv, or a path."
        )
    place, _, tail = rest.partition("?")
    parameters = tuple(_split_parameters(scheme, tail))
    # Messages are searched for URLs word by word. A secret with a blank would go on in the next word, and be shown.
    hidden = [value for name, value in parameters if _is_hidden(scheme, name)]
    if password is not None or scheme in _WEB:
        hidden += [user or "", password or "", rest if _may_hold_parameters(user, password) else ""]
    if scheme in _WEB and "" in dict(parameters).values():
        hidden.append(place)  # the whole query may be a secret, and after a blank it would be taken for another word
    if re.search(r"\s", "".join(hidden)):
        raise ValueError(
            "a URL has a blank or a line end before its last @, or in a parameter. It is not shown, because it may be "
            "secret. Write %20 for a blank, and %40 for an @ that does not follow the password."
        )
    return SplitUrl(scheme=scheme, user=user, password=password, place=place, parameters=parameters)


def without_password(text: str, *others: str) -> str:
    """`text` with `***` in place of the secrets in its URLs.

    A secret is the password, and the value of each parameter that is not known to be harmless. It is hidden wherever
    the text repeats it, because libraries quote parts of a URL.

    Args:
        text: a location, or a message that quotes some.
        others: further texts whose secrets are hidden in `text`, too.

    >>> without_password("postgresql://ann:tea4two@db/shop?table=reviews&sslpassword=x")
    'postgresql://ann:***@db/shop?table=reviews&sslpassword=***'
    """
    # First hide the secrets where they stand in URLs, then wherever else the text repeats them
    secrets: set[str] = set()
    for other in others:
        _hide_in_urls(other, secrets)
    shown = _hide_in_urls(text, secrets)
    return hide_secrets(shown, secrets) if secrets else shown


def hide_secrets(text: str, secrets: Iterable[str]) -> str:
    """`text` with `***` in place of each of the `secrets`, and of the parts that libraries quote of them.

    Secrets of fewer than `MIN_REPEATED_SECRET` characters are left, because they are parts of other words.
    """
    forms = {form for one in secrets for form in _forms_of(one) if len(form) >= MIN_REPEATED_SECRET}
    # A word may be a part of other words: the password postgres does not hide the scheme postgresql.
    patterns = [rf"\b{form}\b(?!://)" if form.isalpha() else re.escape(form) for form in forms]
    # All secrets are searched in the original text, because `***` in place of one could hide the beginning of another
    spans = sorted(match.span() for pattern in patterns for match in re.finditer(pattern, text))
    pieces: list[str] = []
    end = 0
    for start, stop in spans:  # the spans of two secrets may overlap
        if start > end or not pieces:
            pieces += [text[end:start], HIDDEN]
        end = max(end, stop)
    return "".join([*pieces, text[end:]])


def scheme_of(location: str) -> str:
    """The URL scheme of `location` in lower case, or the empty string. A Windows drive letter is no scheme."""
    head, separator, _ = location.partition("://")
    return head.lower() if separator and len(head) > 1 else ""


def path_of(location: str) -> str:
    """The location without the scheme, the user, the password and the query of a URL.

    >>> path_of("s3://ann:te?a@bucket/reviews.csv?versionId=3")
    'bucket/reviews.csv'
    """
    return _split_place(location)[1]


def make_absolute(location: str) -> str:
    """A location, named so that it is found from any folder; standard input and URLs stay as they are."""
    return location if location == "-" or scheme_of(location) else os.path.abspath(os.path.expanduser(location))


def without_query(location: str) -> str:
    """The location without the query of a URL.

    >>> without_query("s3://ann:te?a@bucket/reviews.csv?versionId=3")
    's3://ann:te?a@bucket/reviews.csv'
    """
    return "".join(_split_place(location))


def suffix_of(location: str) -> str:
    """The file suffix of `location` in lower case, without that of a compression and without the query of a URL.

    >>> suffix_of("s3://bucket/reviews.CSV.gz?versionId=3")
    '.csv'
    """
    root, ending = os.path.splitext(path_of(location).rstrip("/"))
    if ending.lower() in COMPRESSIONS:
        ending = os.path.splitext(root)[1]
    return ending.lower()


def compression_of(location: str) -> str | None:
    """The compression that the suffix of `location` names, or None."""
    return COMPRESSIONS.get(os.path.splitext(path_of(location))[1].lower())


def _forms_of(secret: str) -> Iterator[str]:
    """What a library may quote of a secret: as it is, decoded, as Python shows it, and the pieces between signs."""
    for plain in {secret, unquote(secret)}:
        yield plain
        yield (shown := repr(plain)[1:-1])
        yield repr(shown)[1:-1]  # `KeyError` shows a text as Python does, in which a text may be shown so already
        yield from re.split(r"\W+", plain)


def _skip_links(scheme: str, rest: str) -> tuple[str, str, str]:
    """The first URLs of a chain, and the scheme and the rest of its last URL, which may hold secrets."""
    # fsspec chains filesystems, as in zip://a.csv::s3://bucket/a.zip. Only the last URL names a server.
    links = ""
    while link := _LINK.match(rest):
        links, scheme, rest = links + link[0], link[1], rest[link.end() :]
    return links, scheme.rpartition("::")[2].lower(), rest


def _split_user(scheme: str, rest: str) -> tuple[str | None, str | None, str]:
    """The user and the password, each None if there is none, and what follows the `@`."""
    # A password may hold an @, a slash and a question mark, which users often do not encode. So the last @ counts.
    userinfo, at, place = rest.rpartition("@")
    user, colon, password = userinfo.partition(":")
    is_path = scheme in _PATHS and rest.startswith("/")
    if not at or is_path or (not colon and re.search("[/?#]", userinfo)):
        return None, None, rest
    return user, password if colon else None, place


def _split_place(location: str) -> tuple[str, str]:
    """What stands before the place of a URL, and the place without its query. A path is all place, also with a `?`.

    An `@` that follows something like `?name=` is taken for a part of the query, because what follows it may be secret.
    """
    if not (scheme := scheme_of(location)):
        return "", location
    head, separator, rest = location.partition("://")
    user, password, place = _split_user(scheme, rest)
    # The @ belongs to a parameter, such as ?user=ann@host, so there is no user before the place
    if "?" in (user or "") or re.search(r"/.*\?|\?.*=", password or ""):
        place = rest
    return f"{head}{separator}{rest.removesuffix(place)}", place.partition("?")[0]


def _split_parameters(scheme: str, tail: str) -> list[tuple[str, str]]:
    """The name and the value of each parameter."""
    pairs: list[tuple[str, str]] = []
    for pair in tail.split("&"):
        name, _, value = pair.partition("=")
        # A password may hold an & that is not encoded. Its rest must not be taken for a parameter, and be shown.
        if pairs and _continues(scheme, name, pairs[-1][0]):
            pairs[-1] = pairs[-1][0], f"{pairs[-1][1]}&{pair}"
        elif pair:
            pairs.append((name, value))
    return pairs


def _may_hold_parameters(user: str | None, password: str | None) -> bool:
    """True if the `@` may belong to a parameter, so that what follows it may be secret, too."""
    return re.search("[?]|/.*[;#]", f"{user}:{password}") is not None


def _hide_in_urls(text: str, secrets: set[str]) -> str:
    """`text` without the secrets of its URLs, which are added to `secrets`."""
    if ":/" not in text:  # most messages hold no URL, and this function sees all of them
        return text
    scheme = ""
    shown = []
    for word in re.split(r"(\s+)", text):
        url = _URL.search(word)
        if url is not None:
            links, scheme, rest = _skip_links(url[1], url[3])
            _hide_parameters(scheme, rest, secrets, is_url=True)  # the secrets if no @ ends a password
            word = f"{word[: url.start(3)]}{links}{_hide_user(scheme, rest, secrets)}"
        # The words after a URL may be the rest of its query, such as SQL.
        shown.append(_hide_parameters(scheme, word, secrets, is_url=url is not None) if scheme else word)
    return "".join(shown)


def _hide_user(scheme: str, rest: str, secrets: set[str]) -> str:
    user, password, place = _split_user(scheme, rest)
    if password:
        secrets.add(password)
        # Two readings are possible: a password with a ?, or a parameter with an @. Both values are hidden.
        if _may_hold_parameters(user, password):
            value, ampersand, others = place.partition("&")
            secrets.add(value)
            place = f"{HIDDEN}{ampersand}{others}"
        return f"{user}:{HIDDEN}@{place}"
    if user and scheme in _WEB:  # without a password it is a token
        secrets.add(user)
        return f"{HIDDEN}@{place}"
    return rest


def _hide_parameters(scheme: str, word: str, secrets: set[str], *, is_url: bool) -> str:
    # The parameter before, whose value may go on after an &
    last, secret = "", ""

    def hide(match: re.Match[str]) -> str:
        nonlocal last, secret
        name, value = match.groups()
        if last and _continues(scheme, name or "", last):
            secret += f"&{match[0]}"
            secrets.add(secret)
            return HIDDEN
        last, secret = name or "", value or ""
        if name is None and (start := re.search("[?;#]", match[0])):  # the & was in a user, and a query follows
            return match[0][: start.start()] + _PARAMETER.sub(hide, match[0][start.start() :])
        if not secret or not _is_hidden(scheme, last):
            return match[0]
        secrets.add(secret)
        return f"{name}={HIDDEN}"

    word = _PARAMETER.sub(hide, word)
    # A web server may take a parameter without a name, such as ?0a1b2c, as a token
    if is_url and scheme in _WEB:
        secrets.update(_BARE_PARAMETER.findall(word))
        word = _BARE_PARAMETER.sub(HIDDEN, word)
    return word


def _is_hidden(scheme: str, name: str) -> bool:
    """True if the value of the parameter `name` may be a secret."""
    return not _HARMLESS.fullmatch(name.lower()) and not (name == "key" and scheme in _DATABASES)


def _continues(scheme: str, name: str, last: str) -> bool:
    """True if what follows an `&` belongs to the secret before it, the parameter `last`."""
    known = _OF_DATABASES.fullmatch(name) or not _is_hidden(scheme, name)
    return scheme in _DATABASES and not known and _is_hidden(scheme, last)
