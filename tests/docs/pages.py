"""What the tests of the pages share: where the pages are, their fenced blocks, sections and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted(DOCS.rglob("*.md"))
PLUGIN_PAGE = DOCS / "how-to" / "write-a-plugin.md"
SCHEDULE_PAGE = DOCS / "how-to" / "schedule.md"
DEFAULTS_PAGE = DOCS / "reference" / "environment.md"

_BLOCK = re.compile(
    r"^(?:`(?P<file>[\w./]+)` (?:[^\n]+\n)+\n)?```(?P<language>\w*)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL
)
"""A fenced block; the paragraph before a block that is a file begins with the name of the file."""


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    body: str
    file: str | None
    """The file that holds the block; None for commands and examples."""


def name_of(page: Path) -> str:
    """The page's path in the repository, with slashes."""
    return page.relative_to(ROOT).as_posix()


def text_of(page: Path) -> str:
    """The Markdown of a page."""
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(found["language"], found["body"], found["file"]) for found in _BLOCK.finditer(text_of(page))]


def commands(body: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block with the output that the block shows; empty if it shows none."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def matches(shown: str, output: str) -> bool:
    """True if the output is what is shown, in which `...` stands for anything; blank lines at the end do not count."""
    pattern = re.escape(shown.rstrip()).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, output.rstrip(), re.DOTALL) is not None


def section(page: Path, heading: str) -> str:
    """The text below a heading, up to the next heading of the same or a higher level."""
    level, _ = heading.split(" ", 1)
    found = re.search(
        rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", text_of(page), re.MULTILINE | re.DOTALL
    )
    assert found, f"{name_of(page)} has no heading {heading!r}"
    return found[1]


def first_cells(text: str) -> set[str]:
    """The names in backticks in the first column of all tables of a text."""
    cells = re.findall(r"^\| ([^|\n]*?) \|", text, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def anchors(page: Path) -> set[str]:
    """The anchors that the headings of a page make."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL), re.M)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower())).strip("-") for heading in headings}


def links(page: Path) -> list[str]:
    """The targets of the links and pictures of a page, but for those to other hosts."""
    text = re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return [target for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]
