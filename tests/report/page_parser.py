"""Reads a page as a browser would: its elements, their ids and texts, and whether every tag is closed."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """What a page holds.

    Attributes:
        elements: the names of all elements, with their attributes, in their order.
        texts: pairs of the path of elements and the text in the last of them.
        faults: tags that do not match.
    """

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.faults: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self._open]

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"<{tag}> has an attribute twice: {names}")
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing at line {self.getpos()[0]}")

    def handle_data(self, data):
        self.texts.append((tuple(self._open), data))

    def handle_comment(self, data):
        self.faults.append(f"a comment: {data}")

    def of(self, *tags: str) -> list[dict[str, str]]:
        """The attributes of all elements of these names."""
        return [attributes for tag, attributes in self.elements if tag in tags]

    def text(self, tag: str | None = None) -> str:
        """All text, or that in elements of one name, joined; every blank is a plain one."""
        texts = [text for path, text in self.texts if "style" not in path and (tag is None or tag in path)]
        return "".join(texts).replace("\N{NO-BREAK SPACE}", " ")

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


def sound(page: str) -> Page:
    """The page, after everything is asserted that must be true of any."""
    read = Page(page)
    assert read.faults == []
    assert len(read.ids) == len(set(read.ids))
    assert all(name.isascii() and " " not in name for name in read.ids)
    data = page.encode("utf-8")
    assert len(data) < 1_000_000
    assert not {"script", "link", "iframe", "object", "embed", "img", "form", "base", "foreignobject"} & {
        tag for tag, _ in read.elements
    }
    targets = {"", *read.ids}
    for _, attributes in read.elements:
        assert not {"src", "xlink:href", "style", "action", "data", "srcset"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("href", "#").startswith("#")
        assert attributes.get("href", "#")[1:] in targets
        for reference in attributes.get("aria-labelledby", "").split():
            assert reference in targets
    css = re.search(r"<style>(.*?)</style>", page, re.S)[1]
    assert not re.search(r"url\(|@import|@font-face|expression", css)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", page)
    assert not re.search(r"\b(nan|inf|None|NaN|Infinity)\b", re.sub(r"<[^>]*>", " ", page.split("</style>")[1]))
    for attribute in re.findall(r'\b(?:x|y|d|cx|cy|r|width|height|points|viewBox)="([^"]*)"', page):
        assert not re.search(r"nan|inf|e[+-]\d", attribute)
    assert not re.search(r'\b(?:width|height|r)="-', page)
    return read
