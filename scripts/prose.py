"""Measures the sentences of the README and of the pages: how long they are, and which are too long.

python -m scripts.prose                     the long sentences of all pages, and the share of them
python -m scripts.prose README.md docs      of these files and folders
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAX_WORDS = 30
"""A sentence with more words is long."""
MIN_WORDS = 5
"""Shorter texts, such as names in tables, are no sentences and count for nothing."""
MAX_LONG_SHARE = 0.05
"""The share of long sentences that the pages may have."""
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs", "plugins", "sample_data", "tests/README.md")
"""What is measured by default: files, and folders with all their Markdown files."""

_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_CODE = re.compile(r"`[^`\n]*`")
_SENTENCE_END = re.compile(r"(?<=[.!?:])[\"')*]*\s+(?=[A-Z\"'(*`\[0-9])")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+\.|#+)\s+")


def files_of(places: Iterable[str]) -> list[Path]:
    """The Markdown files at `places`, which count from the root of the repository."""
    found: list[Path] = []
    for place in map(ROOT.joinpath, places):
        found += [place] if place.is_file() else sorted(place.rglob("*.md"))
    return [path for path in found if not {"node_modules", "build", ".venv"} & set(path.parts)]


def sentences(markdown: str) -> list[str]:
    """The sentences of a page; code blocks are left out, an inline code counts as one word.

    Each cell of a table and each item of a list is text of its own. A colon ends a sentence where a capital follows.

    >>> sentences("The command always prints `a b c`. It reads the table again. Yes.")
    ['The command always prints code.', 'It reads the table again.']
    """
    text = _COMMENT.sub("", _FENCE.sub("\n", markdown))
    text = _CODE.sub("code", _LINK.sub(r"\1", text))
    found = []
    for block in _blocks(text):
        found += [sentence.strip() for sentence in _SENTENCE_END.split(block) if words_of(sentence) >= MIN_WORDS]
    return found


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs, headings, items of lists and cells of tables, each in one line."""
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        begins = _ITEM.match(line)
        if lines and (begins or not line.strip() or line.startswith("|")):
            yield " ".join(lines)
            lines = []
        if line.startswith("|"):
            yield from (cell.strip() for cell in re.split(r"(?<!\\)\|", line))
        elif line.strip():
            lines.append(_ITEM.sub("", line).strip())
            if line.startswith("#"):
                yield " ".join(lines)
                lines = []


def words_of(sentence: str) -> int:
    """The number of words of a sentence."""
    return len([word for word in sentence.split() if re.search(r"\w", word)])


def long_share(paths: Iterable[Path]) -> tuple[float, list[tuple[Path, str]]]:
    """The share of long sentences in some files, and these sentences with their files."""
    total, found = 0, []
    for path in paths:
        for sentence in sentences(path.read_text(encoding="utf-8")):
            total += 1
            if words_of(sentence) > MAX_WORDS:
                found.append((path, sentence))
    return len(found) / max(total, 1), found


def main(arguments: list[str]) -> int:
    """Print the long sentences and their share; 1 if there are too many."""
    paths = files_of(arguments or PAGES)
    share, found = long_share(paths)
    for path, sentence in found:
        print(f"{path}: {words_of(sentence)} words: {sentence}")
    print(f"{share:.1%} of the sentences of {len(paths)} files have more than {MAX_WORDS} words.")
    return int(share >= MAX_LONG_SHARE)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
