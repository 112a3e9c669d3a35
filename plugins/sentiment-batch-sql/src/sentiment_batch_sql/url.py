"""What a database's URL says: which database, which table or query, which key; and what of it nobody may see."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from sentiment_batch import UsageError, without_password

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))")
_NAME = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')
_KINDS = {"postgresql": "postgresql", "postgres": "postgresql", "sqlite": "sqlite", "duckdb": "duckdb"}
_NOT_IN_URLS = re.compile(r"[\s#]")
_NOT_SHOWN = (
    "the URL of the database has a / ? # or a blank in its user or password, or in a parameter, or a parameter whose "
    "name has a %. It is not shown, for it may be secret. Write %2F, %3F, %23 or %20, or set PGPASSWORD."
)
_OWN = ("table", "query", "key")
"""Parameters that are ours and not the database's; their values are SQL, where a dollar sign is one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A table, or the rows of a query, in a database."""

    kind: str
    """`postgresql`, `sqlite` or `duckdb`."""
    address: str = field(repr=False)
    """A URI of libpq with all that is secret, or the path of a file."""
    database: str
    """Where it is, without a user: `db.example.com/shop`, or the absolute path of a file."""
    table: tuple[str, ...]
    """Its name, behind that of its schema if one is given; empty for a query."""
    query: str | None
    key: str | None
    shown: str
    """The location as it may be shown to anybody."""
    secrets: tuple[str, ...] = field(repr=False)
    """What must not appear in any message, whoever writes it."""

    def without_secrets(self, text: str) -> str:
        """`text` with `***` for each secret."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text

    @property
    def source(self) -> str:
        """What SQL reads from, such as `"public"."reviews"`."""
        return f"(\n{self.query}\n)" if self.query else named(*self.table)


def place_of(location: str, query: str | None = None, key: str | None = None) -> Place:
    """Take a URL apart.

    Args:
        location: `postgresql://user@host/database?table=reviews`, `sqlite:///file.db?table=reviews` or alike; `$NAME`
            and `${NAME}` outside of table, query and key stand for what the environment holds.
        query: what `--query` says.
        key: what `--key` says.

    Raises:
        UsageError: it says no table and no query, or too much, or names a variable that is not there.
    """
    scheme, _, rest = location.partition("://")
    body, _, tail = rest.partition("?")
    parts = _Parts(shown=without_password(location))
    own, others = parts.parameters(tail)
    for name, given in (("query", query), ("key", key)):
        if given is not None and own.setdefault(name, given) != given:
            raise UsageError(f"{parts.shown} names one {name}, and --{name} another. Leave one of them out.")
    if own.get("table") and own.get("query"):
        raise UsageError(f"{parts.shown} names a table, and there is a query, too. Leave one of them out.")
    if scheme.lower() not in _KINDS:
        raise UsageError(f"{parts.shown} is no database. Write a URL that begins with postgresql, sqlite or duckdb.")
    kind = _KINDS[scheme.lower()]
    if kind == "postgresql":
        address, database = parts.server(body, others)
    else:
        address = parts.path(scheme, body, others)
        database = os.path.abspath(address)
    return Place(
        kind=kind,
        address=address,
        database=database,
        table=_names(own.get("table", ""), parts.shown),
        query=(own.get("query") or "").strip().rstrip(";") or None,
        key=own.get("key"),
        shown=parts.shown,
        secrets=tuple(sorted(parts.secrets - {""}, key=len, reverse=True)),
    )


def named(*names: str) -> str:
    """A name as SQL has it, behind those that it belongs to.

    >>> print(named("Shop", 'the "best"'))
    "Shop"."the ""best""\"
    """
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


class _Parts:
    """Takes a URL to pieces, and keeps what is secret."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.secrets: set[str] = set()

    def parameters(self, tail: str) -> tuple[dict[str, str], dict[str, str]]:
        """Our own parameters, and those of the database."""
        own, others = {}, {}
        for pair in filter(None, tail.split("&")):
            name, _, value = pair.partition("=")
            if name in _OWN:
                own[name] = unquote(value)
            elif "%" in name or _NOT_IN_URLS.search(value):
                raise UsageError(_NOT_SHOWN)
            else:
                others[name] = self._plain(value, secret="pass" in name)
        return own, others

    def server(self, body: str, parameters: dict[str, str]) -> tuple[str, str]:
        """A URI of libpq in which nothing can be misread, and the server and its database."""
        authority, _, path = body.partition("/")
        if "@" in path or _NOT_IN_URLS.search(authority):
            raise UsageError(_NOT_SHOWN)
        who, at, hosts = authority.rpartition("@")
        user, colon, password = who.partition(":")
        userinfo = quote(self._plain(user), safe="") + colon + quote(self._plain(password, secret=True), safe="") + at
        where = f"{quote(self._plain(hosts), safe=':,[]')}/{quote(self._plain(path), safe='')}"
        tail = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
        return f"postgresql://{userinfo}{where}?{tail}", unquote(where)

    def path(self, scheme: str, body: str, parameters: dict[str, str]) -> str:
        """The path of a database that is a file."""
        if parameters:
            raise UsageError(
                f"{self.shown} has the parameter {next(iter(parameters))!r}; there are table, query and key."
            )
        if not body.startswith("/") or len(body) == 1:
            raise UsageError(
                f"{self.shown} names no file. Write {scheme}:///file for one in this folder, and "
                f"{scheme}:////folder/file for a path from the root."
            )
        return os.path.expanduser(self._plain(body[1:]))

    def _plain(self, text: str, *, secret: bool = False) -> str:
        """A piece as it is meant: variables are what they hold, and `%24` is a dollar sign."""
        pieces, end = [], 0
        for found in _VARIABLE.finditer(text):
            name = found[1] or found[2]
            if name not in os.environ:
                raise UsageError(
                    f"{self.shown} names ${name}, which the environment does not hold. Set it, or write %24 for a "
                    "dollar sign."
                )
            self.secrets |= {os.environ[name], quote(os.environ[name], safe="")}
            pieces += [unquote(text[end : found.start()]), os.environ[name]]
            end = found.end()
        plain = "".join([*pieces, unquote(text[end:])])
        if secret:
            self.secrets |= {text, plain, quote(plain, safe="")}
        return plain


def _names(text: str, shown: str) -> tuple[str, ...]:
    """The names in `schema.table`; one with a dot in it stands in double quotes."""
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
