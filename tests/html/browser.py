"""A real browser for the tests: Chromium without a window, which draws a page in a frame of any width and says what it saw."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--virtual-time-budget=3000",
    "--enable-logging=stderr",
)
_PROBE = """<script>
for (const unfolded of document.querySelectorAll("details")) unfolded.open = OPEN;
const root = document.documentElement, wide = [];
for (const one of document.querySelectorAll("body *")) {
  const box = one.getBoundingClientRect();
  if (box.right > root.clientWidth + 1 && !one.closest(".scroll") && one.tagName !== "CAPTION") wide.push(one.outerHTML.slice(0, 80));
}
const small = [...document.querySelectorAll("svg[role=img] text")].map(
  (one) => parseFloat(getComputedStyle(one).fontSize) * one.getScreenCTM().a);
const svgs = [...document.querySelectorAll("svg[role=img]")].filter((one) => one.getBoundingClientRect().width);
const spilt = svgs.flatMap((one) => [...one.querySelectorAll("text")].filter((text) => {
  const inner = text.getBoundingClientRect(), outer = one.getBoundingClientRect();
  return inner.left < outer.left - 2 || inner.right > outer.right + 2;
}).map((text) => text.textContent));
parent.postMessage(JSON.stringify({width: innerWidth, content: root.scrollWidth, client: root.clientWidth,
  height: root.scrollHeight, dark: matchMedia("(prefers-color-scheme: dark)").matches, wide: wide.slice(0, 5),
  letters: small.length ? Math.min(...small) : 99, spilt, charts: svgs.length,
  paper: getComputedStyle(document.body).backgroundColor}), "*");
</script>"""
_FRAME = """<!DOCTYPE html><html><head><meta name="color-scheme" content="light dark"><style>body {{ margin: 0 }}
iframe {{ border: 0; display: block }}</style></head><body><iframe src="{name}" width="{width}" height="{height}"></iframe>
<script>addEventListener("message", (said) => document.documentElement.dataset.seen = said.data)</script></body></html>"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What a browser made of a page."""

    console: list[str]
    """The lines of its console."""
    facts: dict
    """What the page measured of itself."""


def look(page: str, folder: Path, width: int, *, dark: bool = False, unfolded: bool = False) -> Seen:
    """Opens a page in a frame of that width, with everything unfolded or not; a probe is put into a copy of it."""
    rule = "default-src 'none'; script-src 'unsafe-inline';"
    assert page.count("default-src 'none';") == 1
    probed = page.replace("default-src 'none';", rule).replace(
        "</body>", _PROBE.replace("OPEN", str(unfolded).lower()) + "</body>"
    )
    (folder / "probed.html").write_text(probed, encoding="utf-8")
    frame = _FRAME.format(name="probed.html", width=width, height=900)
    (folder / "frame.html").write_text(frame, encoding="utf-8")
    done = _run(folder, "frame.html", dark, "--window-size=1300,900", "--dump-dom")
    seen = re.search(r'data-seen="([^"]*)"', done.stdout)
    assert seen, done.stderr
    return Seen(console=_console(done.stderr), facts=json.loads(seen[1].replace("&quot;", '"').replace("&amp;", "&")))


def screenshot(page: str, folder: Path, width: int, height: int, *, dark: bool = False) -> tuple[Path, list[str]]:
    """A picture of the page as it is, in a frame of that width; the file, and the lines of the console."""
    (folder / "page.html").write_text(page, encoding="utf-8")
    (folder / "frame.html").write_text(_FRAME.format(name="page.html", width=width, height=height), encoding="utf-8")
    picture = folder / f"{width}{'-dark' if dark else ''}.png"
    done = _run(folder, "frame.html", dark, f"--window-size={max(width, 500)},{height}", f"--screenshot={picture}")
    return picture, _console(done.stderr)


def _run(folder: Path, name: str, dark: bool, *arguments: str) -> subprocess.CompletedProcess[str]:
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    command = [str(CHROMIUM), *_FLAGS, f"--user-data-dir={folder / 'profile'}", scheme, *arguments]
    return subprocess.run(
        [*command, (folder / name).as_uri()],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=120,
        check=True,
    )


def _console(log: str) -> list[str]:
    return [line for line in log.splitlines() if ":CONSOLE" in line]


def pixels(picture: Path) -> tuple[int, int, bytes]:
    """Width, height and the red, green and blue of every pixel of a PNG of 8 bits, row by row."""
    data, place, packed = picture.read_bytes(), 8, b""
    width = height = channels = 0
    while place < len(data):
        (length,), kind = struct.unpack(">I", data[place : place + 4]), data[place + 4 : place + 8]
        chunk = data[place + 8 : place + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colours = struct.unpack(">IIBB", chunk[:10])
            assert depth == 8
            channels = {2: 3, 6: 4}[colours]
        elif kind == b"IDAT":
            packed += chunk
        place += 12 + length
    return width, height, _unfiltered(zlib.decompress(packed), width, height, channels)


def _unfiltered(raw: bytes, width: int, height: int, channels: int) -> bytes:
    """Undoes the filters of a PNG's rows; the alpha channel is left out."""
    size, out = width * channels, bytearray()
    before = bytearray(size)
    for row in range(height):
        start = row * (size + 1)
        kind, line = raw[start], bytearray(raw[start + 1 : start + 1 + size])
        for place in range(size):
            left = line[place - channels] if place >= channels else 0
            corner = before[place - channels] if place >= channels else 0
            line[place] = (line[place] + _predicted(kind, left, before[place], corner)) & 255
        out += line if channels == 3 else bytes(value for place, value in enumerate(line) if place % 4 != 3)
        before = line
    return bytes(out)


def _predicted(kind: int, left: int, up: int, corner: int) -> int:
    """What the filter of a row takes a byte for, by its neighbours (section 9 of the PNG specification)."""
    if kind < 4:
        return (0, left, up, (left + up) // 2)[kind]
    guess = left + up - corner
    return min((left, up, corner), key=lambda one: abs(guess - one))
