"""A real browser for the tests: Chromium without a window, which draws a page at any width and says what it saw."""

from __future__ import annotations

import html
import json
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

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
const number = Number(location.hash.slice(1)), root = document.documentElement, wide = [];
for (const unfolded of document.querySelectorAll("details")) unfolded.open = number % 2;
for (const one of document.querySelectorAll("body *")) {
  const hidden = one.closest(".scroll") || one.tagName === "CAPTION";
  if (one.getBoundingClientRect().right > root.clientWidth + 1 && !hidden) wide.push(one.outerHTML.slice(0, 80));
}
const hidden = [...document.querySelectorAll(".scroll")].filter((one) => one.querySelector(":scope > svg, .matrix")
  && one.scrollHeight > one.clientHeight + 1).map((one) => one.ariaLabel);
const charts = [...document.querySelectorAll("svg[role=img]")], spilt = [], crossed = [], letters = [];
for (const chart of charts) {
  const outer = chart.getBoundingClientRect(), boxes = [];
  for (const text of chart.querySelectorAll("text")) {
    const box = text.getBoundingClientRect();
    letters.push(parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a);
    if (box.left < outer.left - 2 || box.right > outer.right + 2) spilt.push(text.textContent);
    const over = boxes.find((other) => box.left < other.right && other.left < box.right
      && Math.abs(box.bottom - other.bottom) < box.height / 2);
    if (over && box.width) crossed.push(text.textContent);
    boxes.push(box);
  }
}
parent.postMessage([number, {width: innerWidth, content: root.scrollWidth, client: root.clientWidth, wide, spilt,
  crossed, dark: matchMedia("(prefers-color-scheme: dark)").matches, charts: charts.length,
  letters: Math.min(99, ...letters), largest: Math.max(0, ...letters), hidden}], "*");
</script>"""
_HEAD = """<!DOCTYPE html><html><head><meta name="color-scheme" content="light dark"><style>body { margin: 0 }
iframe { border: 0; display: block }</style><script>const seen = {}; addEventListener("message", (said) => {
seen[said.data[0]] = said.data[1]; document.documentElement.dataset.seen = JSON.stringify(seen); });</script></head>"""


def look(page: str, folder: Path, widths: Sequence[int], *, dark: bool) -> tuple[list[dict[str, Any]], list[str]]:
    """Opens a page in frames of these widths, in each once as it is and once with everything unfolded.

    A probe is put into a copy of it.

    Returns:
        What the page measured of itself in every frame, and the lines of the console.
    """
    rule = "default-src 'none'; script-src 'unsafe-inline';"
    assert page.count("default-src 'none';") == 1
    probed = page.replace("default-src 'none';", rule).replace("</body>", _PROBE + "</body>")
    (folder / "probed.html").write_text(probed, encoding="utf-8")
    frames = [_frame(f"probed.html#{place}", widths[place // 2], 900) for place in range(2 * len(widths))]
    (folder / "frame.html").write_text(_HEAD + "".join(frames), encoding="utf-8")
    done = _run(folder, dark, "--window-size=1300,900", "--dump-dom")
    seen = re.search(r'data-seen="([^"]*)"', done.stdout)
    assert seen, done.stderr
    facts = json.loads(html.unescape(seen[1]))
    return [facts[str(place)] for place in range(len(frames))], _console(done.stderr)


def screenshot(page: str, folder: Path, width: int, height: int, *, dark: bool = False) -> tuple[Path, list[str]]:
    """A picture of the page as it is, in a frame of that width; the file, and the lines of the console."""
    (folder / "page.html").write_text(page, encoding="utf-8")
    (folder / "frame.html").write_text(_HEAD + _frame("page.html", width, height), encoding="utf-8")
    picture = folder / f"{width}{'-dark' if dark else ''}.png"
    done = _run(folder, dark, f"--window-size={max(width, 500)},{height}", f"--screenshot={picture}")
    return picture, _console(done.stderr)


def _frame(name: str, width: int, height: int) -> str:
    return f'<iframe src="{name}" width="{width}" height="{height}"></iframe>'


def _run(folder: Path, dark: bool, *arguments: str) -> subprocess.CompletedProcess[str]:
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    command = [str(CHROMIUM), *_FLAGS, f"--user-data-dir={folder / 'profile'}", scheme, *arguments]
    whole = [*command, (folder / "frame.html").as_uri()]
    return subprocess.run(whole, capture_output=True, encoding="utf-8", errors="replace", timeout=120, check=True)


def _console(log: str) -> list[str]:
    return [line for line in log.splitlines() if ":CONSOLE" in line]


def pixels(picture: Path) -> np.ndarray:
    """The red, green and blue of every pixel of a PNG of 8 bits: height by width by 3."""
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
    raw = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * channels)
    before, rows = np.zeros((width, channels), np.int64), []
    for filtered in raw:
        before = _unfiltered(int(filtered[0]), filtered[1:].reshape(width, channels).astype(np.int64), before)
        rows.append(before)
    return np.stack(rows)[:, :, :3].astype(np.uint8)


def _unfiltered(kind: int, line: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Undoes the filter of a row of a PNG, by the row before (section 9 of the PNG specification)."""
    if kind == 0:
        return line
    if kind == 1:
        return line.cumsum(axis=0) & 255
    if kind == 2:
        return (line + before) & 255
    guess = _average if kind == 3 else _paeth
    out, left, corner = line.tolist(), [0] * line.shape[1], [0] * line.shape[1]
    for pixel, up in zip(out, before.tolist(), strict=True):
        for channel, value in enumerate(pixel):
            pixel[channel] = (value + guess(left[channel], up[channel], corner[channel])) & 255
        left, corner = pixel, up
    return np.array(out)


def _average(left: int, up: int, corner: int) -> int:
    return (left + up) // 2


def _paeth(left: int, up: int, corner: int) -> int:
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner
