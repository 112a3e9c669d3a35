"""The style sheet of the pages, and the colours that it names, as a browser reads them."""

from __future__ import annotations

import re
from importlib.resources import files

STYLE = re.sub(
    r"/\*.*?\*/", "", files("sentiment_batch.report").joinpath("style.css").read_text(encoding="utf-8"), flags=re.S
)
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", rules)) for rules in re.findall(r":root \{(.*?)\}", STYLE, re.S)
)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)
