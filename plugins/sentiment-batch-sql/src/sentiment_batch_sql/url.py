"""Parses the URL of a database: the database, the table or query, the key, and the secrets in it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from sentiment_batch import UsageError, hide_secrets, split_url, without_password

if TYPE_CHECKING:
    from sentiment_batch import SplitUrl

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))")
_NAME = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')
_KINDS = {"postgresql": "postgresql", "postgres": "postgresql", "sqlite": "sqlite", "duckdb": "duckdb"}
_NOT_IN_URLS = re.compile(r"[\s#]")
_AMBIGUOUS_URL = (
    "the URL of the database has a / ? # or a blank before its last @, a # or a blank in a parameter, or a parameter "
    "whose name has a %. It is not shown, because it may be secret. Write %2F, %3F, %23 or %20, and %40 for an @ that "
    "does not follow the password; or set PGPASSWORD."
)
_OWN = ("table", "query", "key")
"""Parameters of this plugin. Their values are SQL, in which `$` names no environment variable."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseUrl:
    """A table in a database, or the rows of a query."""

    kind: str
    """`postgresql`, `sqlite` or `duckdb`."""
    address: str = field(repr=False)
    """The URI for libpq with all secrets, or the path of a file."""
    database: str
    """The database without the user, such as `db.example.com/shop`, or the absolute path of a file."""
    table: tuple[str, ...]
    """The name of the table, after that of its schema if one is given; empty for a query."""
    query: str | None
    """The SQL query; None for a table."""
    key: str | None
    """The name of the key column, or None."""
    shown: str
    """The location without secrets, for messages."""
    secrets: tuple[str, ...] = field(repr=False)
    """Texts that must not appear in any message, not even in one of the server."""

    def without_secrets(self, text: str) -> str:
        """`text` with `***` in place of each secret."""
        return hide_secrets(text, self.secrets)

    @property
    def source(self) -> str:
        """The source in SQL, such as `"public"."reviews"`."""
        return f"(\n{self.query}\n)" if self.query else quote_name(*self.table)


def parse_url(location: str, query: str | None = None, key: str | None = None) -> DatabaseUrl:
    """Parse the URL of a database.

    Args:
        location: such as `postgresql://user@host/database?table=reviews` or `sqlite:///file.db?table=reviews`. `$NAME`
            and `${NAME}` outside of table, query and key stand for environment variables.
        query: the setting `query`.
        key: the setting `key`.

    Raises:
        UsageError: the URL is ambiguous, contradicts the settings, or names a missing environment variable.
    """
    try:
        url = split_url(location)
    except ValueError:
        raise UsageError(_AMBIGUOUS_URL) from None
    if re.search(r"[\s#/?]", f"{url.user}{url.password}"):
        raise UsageError(_AMBIGUOUS_URL)
    parts = _Parts(shown=without_password(location))
    own, others = parts.parameters(url)
    for name, given in (("query", query), ("key", key)):
        if given is not None and own.setdefault(name, given) != given:
            raise UsageError(f"{parts.shown} names another {name} than the setting `{name}`. Leave one of them out.")
    if own.get("table") and own.get("query"):
        raise UsageError(f"{parts.shown} names a table, but there is also a query. Leave one of them out.")
    if url.scheme not in _KINDS:
        raise UsageError(f"{parts.shown} is no database. Write a URL that begins with postgresql, sqlite or duckdb.")
    kind = _KINDS[url.scheme]
    if kind == "postgresql":
        address, database = parts.server(url, others)
    else:
        address = parts.path(url, others)
        database = os.path.abspath(address)
    return DatabaseUrl(
        kind=kind,
        address=address,
        database=database,
        table=_names(own.get("table", ""), parts.shown),
        query=(own.get("query") or "").strip().rstrip(";") or None,
        key=own.get("key"),
        shown=parts.shown,
        secrets=tuple(parts.secrets),
    )


def quote_name(*names: str) -> str:
    """A name in SQL, after the names that qualify it.

    >>> print(quote_name("Shop", 'the "best"'))
    "Shop"."the ""best""\"
    """
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def quote_text(text: str) -> str:
    """A text literal in SQL."""
    return "'" + text.replace("'", "''") + "'"


class _Parts:
    """Parses the parts of a URL, and collects its secrets."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.secrets: set[str] = set()

    def parameters(self, url: SplitUrl) -> tuple[dict[str, str], dict[str, str]]:
        """The parameters of this plugin, and those of the database."""
        own, others = {}, {}
        for name, value in url.parameters:
            if name in _OWN:
                own[name] = unquote(value)
            elif "%" in name or _NOT_IN_URLS.search(value):
                raise UsageError(_AMBIGUOUS_URL)
            else:
                others[name] = self._plain(value, secret=url.hides(name))
        return own, others

    def server(self, url: SplitUrl, parameters: dict[str, str]) -> tuple[str, str]:
        """An unambiguous URI for libpq, and the server with its database."""
        hosts, _, path = url.place.partition("/")
        if _NOT_IN_URLS.search(hosts):
            raise UsageError(_AMBIGUOUS_URL)
        userinfo = "" if url.user is None else quote(self._plain(url.user), safe="") + "@"
        if url.password is not None:
            userinfo = f"{userinfo[:-1]}:{quote(self._plain(url.password, secret=True), safe='')}@"
        where = f"{quote(self._plain(hosts), safe=':,[]')}/{quote(self._plain(path), safe='')}"
        tail = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
        return f"postgresql://{userinfo}{where}?{tail}", unquote(where)

    def path(self, url: SplitUrl, parameters: dict[str, str]) -> str:
        """The path of a database file."""
        if parameters:
            raise UsageError(
                f"{self.shown} has the parameter {next(iter(parameters))!r}. The parameters are table, query and key."
            )
        if url.user is not None or not url.place.startswith("/") or len(url.place) == 1:
            raise UsageError(
                f"{self.shown} names no file. Write {url.scheme}:///file for a file in this folder, and "
                f"{url.scheme}:////folder/file for a path from the root."
            )
        return os.path.expanduser(self._plain(url.place[1:]))

    def _plain(self, text: str, *, secret: bool = False) -> str:
        """A part of the URL with environment variables and percent codes replaced; `%24` is a dollar sign."""
        pieces, end = [], 0
        for found in _VARIABLE.finditer(text):
            name = found[1] or found[2]
            if name not in os.environ:
                raise UsageError(
                    f"{self.shown} names ${name}, but there is no such environment variable. Set it, or write %24 for "
                    "a dollar sign."
                )
            self.secrets |= {os.environ[name], quote(os.environ[name], safe="")}
            pieces += [unquote(text[end : found.start()]), os.environ[name]]
            end = found.end()
        plain = "".join([*pieces, unquote(text[end:])])
        if secret:
            self.secrets |= {text, plain, quote(plain, safe="")}
        return plain


def _names(text: str, shown: str) -> tuple[str, ...]:
    """The names in `schema.table`. A name with a dot must stand in double quotes."""
    names: list[str] = []
    place = -1 if text else 0
    while place < len(text):
        found = _NAME.match(text, place + 1)
        if found is None or len(names) == 2 or text[found.end() : found.end() + 1] not in ("", "."):
            raise UsageError(
                f"{shown}: {text!r} is not a table's name. Write table or schema.table, and a name with dots or quotes "
                'as SQL does, such as "my.table".'
            )
        names.append(found[2] if found[1] is None else found[1].replace('""', '"'))
        place = found.end()
    return tuple(names)
