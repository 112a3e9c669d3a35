"""How the pages look: two palettes, light and dark, and the style sheet that names their colours."""

from __future__ import annotations

from collections.abc import Mapping

LIGHT = {
    "paper": "#f6f6f3",  # the page
    "panel": "#ffffff",  # cards, figures and tables
    "ink": "#1b1f24",  # text
    "soft": "#57606a",  # text of less weight
    "rule": "#d9dbd6",  # lines between things
    "grid": "#e8e9e5",  # lines in charts
    "link": "#0b57a4",
    "first": "#1f63ad",  # series of charts, and what is right
    "second": "#b0500a",  # and what is wrong
    "third": "#2b7a55",
    "fourth": "#7b48a6",
    "fifth": "#8a5a00",
    "other": "#868d95",  # curves that are not named
    "warn": "#fdf1dc",  # behind a warning
    "right-1": "#eaf2fb",  # behind counts of what is right, the more the stronger
    "right-2": "#cfe2f5",
    "right-3": "#abcdec",
    "right-4": "#84b4e0",
    "wrong-1": "#fdf0e6",  # behind counts of what is wrong
    "wrong-2": "#fbdcc3",
    "wrong-3": "#f5c096",
    "wrong-4": "#eda268",
}
"""Colours by their names on a light screen and on paper."""

DARK = {
    "paper": "#121417",
    "panel": "#1a1d21",
    "ink": "#e6e8ea",
    "soft": "#a2abb5",
    "rule": "#363c43",
    "grid": "#2b3036",
    "link": "#7cb7f2",
    "first": "#69aef3",
    "second": "#f0a05a",
    "third": "#6cc79b",
    "fourth": "#c39be8",
    "fifth": "#d9b44a",
    "other": "#79828c",
    "warn": "#33270f",
    "right-1": "#18293b",
    "right-2": "#1c3a59",
    "right-3": "#214c77",
    "right-4": "#275f95",
    "wrong-1": "#33231a",
    "wrong-2": "#4b2f1c",
    "wrong-3": "#663c1d",
    "wrong-4": "#804a1f",
}
"""The same names on a dark screen."""

PAGE = """
*, *::before, *::after { box-sizing: border-box }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100% }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem clamp(1rem, 4vw, 2.5rem) 4rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  overflow-wrap: anywhere }
h1, h2, h3, h4 { line-height: 1.25; text-wrap: balance }
h1 { font-size: clamp(1.5rem, 4vw, 2.1rem); margin: 0 0 .5rem; letter-spacing: -.015em }
h2 { font-size: 1.4rem; margin: 3rem 0 .75rem; padding-top: .9rem; border-top: 2px solid var(--ink) }
h3 { font-size: 1.1rem; margin: 2rem 0 .6rem }
h4 { font-size: 1rem; margin: 0 }
p { margin: .5rem 0; max-width: 46rem }
a { color: var(--link) }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
"""

PRINT = """
@media print {
  body { max-width: none; padding: 0; font-size: 10pt }
  nav { display: none }
  h2, h3, h4, figcaption { break-after: avoid }
  figure, article, tr, svg { break-inside: avoid }
  .scroll { overflow: visible; max-height: none }
  .large svg { max-width: 100% }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact }
}
"""


def sheet(*parts: str) -> str:
    """The style sheet of a page: the palettes, what all pages share, and its own parts; on paper it is light."""
    dark = f"@media screen and (prefers-color-scheme: dark) {{ {_palette(DARK)} }}"
    return "\n".join(["", _palette(LIGHT), dark, *(part.strip() for part in (PAGE, *parts, PRINT)), ""])


def _palette(colours: Mapping[str, str]) -> str:
    return ":root { " + "; ".join(f"--{name}: {colour}" for name, colour in colours.items()) + " }"
