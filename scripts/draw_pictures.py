"""Draws the pictures of the README and of the pages, from a real training on the sample data.

    python -m scripts.draw_pictures     (or: make pictures)

Writes docs/pictures/report.png, the top of a model's report.html as Chromium shows it, and docs/pictures/terminal.svg,
what three commands print on a terminal. It needs Chromium, the extra `offline` and about two minutes.
"""

from __future__ import annotations

import html
import os
import re
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
MAX_BYTES = 250_000
"""The size that a picture may have."""
TRAINING = "train sample_data/reviews.csv --base minilm --test-file sample_data/holdout.csv --output my-model"
SHOWN = (
    "score sample_data/unlabelled.parquet scored.parquet --model my-model",
    "verify scored.parquet",
    'explain "The plot is dull, but the music is wonderful." --model my-model',
)
"""The commands of the picture of the terminal."""
TITLE = "A terminal with three commands of sentiment-batch and what they print"
COLUMNS = 100
"""Characters of a line of the terminal."""
WIDTH, HEIGHT = 1100, 1250
"""Pixels of the picture of the report."""

_CHARACTER, _LINE, _MARGIN = 8.43, 20, 18
"""Pixels of a character, of a line and of the margin, at a font size of 14 pixels."""
_COLORS = {30: "#1e2430", 31: "#f28b82", 32: "#8fd19e", 33: "#f0c674", 34: "#8ab4f8", 35: "#dd95da", 36: "#6fd3e0"}
_FOREGROUND, _BACKGROUND, _PROMPT = "#e3e6ec", "#1e2430", "#8fd19e"
_STYLE = re.compile(r"\x1b\[([\d;]*)m")
_OTHER_CODE = re.compile(r"\x1b\[[\d;?]*[A-Za-ln-z]")


class Run(NamedTuple):
    """Characters of one style."""

    text: str
    color: str = _FOREGROUND
    bold: bool = False
    underlined: bool = False
    background: str | None = None


def main() -> int:
    """Train, draw both pictures, and check their sizes."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        print("Chromium is not installed. Install it, such as with: apt-get install chromium", file=sys.stderr)
        return 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "sample_data", folder / "sample_data")
        print(f"$ sentiment-batch {TRAINING}")
        output_of(TRAINING, folder)
        photograph(browser, folder / "my-model" / "report.html", PICTURES / "report.png")
        lines: list[list[Run]] = []
        for command in SHOWN:
            print(f"$ sentiment-batch {command}")
            lines += [[], [Run("$ ", _PROMPT, bold=True), Run(f"sentiment-batch {command}", bold=True)]]
            lines += [line for line in runs_of(output_of(command, folder))]
        (PICTURES / "terminal.svg").write_text(svg(lines[1:]), encoding="utf-8")
    for path in sorted(PICTURES.iterdir()):
        size = path.stat().st_size
        print(f"{path.relative_to(ROOT)}: {size:,} bytes")
        if size > MAX_BYTES:
            print(f"{path.name} is larger than {MAX_BYTES:,} bytes.", file=sys.stderr)
            return 1
    return 0


def photograph(browser: str, page: Path, picture: Path) -> None:
    """Draw the top of a page as Chromium shows it without a window."""
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb")
    size = f"--window-size={WIDTH},{HEIGHT}"
    command = [browser, *flags, size, f"--screenshot={picture}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def output_of(command: str, folder: Path) -> str:
    """What a command prints on a terminal, with the codes of its colours.

    Raises:
        RuntimeError: the command failed.
    """
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SENTIMENT_BATCH_")}
    settings = kept | {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "HF_HUB_OFFLINE": "1"}
    settings.pop("NO_COLOR", None)
    words = [sys.executable, "-m", "sentiment_batch", *shlex.split(command)]
    process = subprocess.Popen(words, cwd=folder, env=settings, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    printed = b"".join(_read(ours)).replace(f"{folder.resolve()}/".encode(), b"")  # nobody else has this folder
    os.close(ours)
    if process.wait():
        raise RuntimeError(f"{command} failed:\n{printed.decode('utf-8', 'replace')}")
    return printed.decode("utf-8")


def _read(terminal: int) -> Iterator[bytes]:
    """What arrives at a terminal until its other end is closed."""
    while True:
        select.select([terminal], [], [])
        try:
            piece = os.read(terminal, 65_536)
        except OSError:  # Linux says so when the other end is closed
            return
        if not piece:
            return
        yield piece


def runs_of(printed: str) -> Iterator[list[Run]]:
    """The lines of a terminal in runs of one style; progress bars, which were painted over, are left out."""
    for line in printed.replace("\r\n", "\n").rstrip("\n").split("\n"):
        shown = _OTHER_CODE.sub("", line.rpartition("\r")[2])
        if "\r" in line and "%|" in shown:
            continue
        runs = list(_runs(shown))
        yield from _folded(runs)


def _runs(line: str) -> Iterator[Run]:
    style = Run("")
    for place, piece in enumerate(_STYLE.split(line)):
        if place % 2 == 0:
            if piece:
                yield style._replace(text=piece)
            continue
        for code in map(int, filter(None, piece.split(";"))) if piece else (0,):
            style = _styled(style, code)


def _styled(style: Run, code: int) -> Run:
    if code == 0:
        return Run("")
    changes: dict[int, dict[str, Any]] = {
        1: {"bold": True},
        22: {"bold": False},
        4: {"underlined": True},
        24: {"underlined": False},
    }
    if code in changes:
        return style._replace(**changes[code])
    if code == 39:
        return style._replace(color=_FOREGROUND)
    if 40 <= code <= 47:
        return style._replace(background=_COLORS.get(code - 10))
    base = code - 60 if 90 <= code <= 97 else code
    return style._replace(color=_COLORS.get(base, style.color))


def _folded(runs: list[Run]) -> Iterator[list[Run]]:
    """A line as a terminal folds it at its right edge."""
    line: list[Run] = []
    free = COLUMNS
    for run in runs:
        text = run.text
        while len(text) > free:
            yield [*line, run._replace(text=text[:free])]
            line, text, free = [], text[free:], COLUMNS
        line.append(run._replace(text=text))
        free -= len(text)
    yield line


def svg(lines: list[list[Run]]) -> str:
    """The lines of a terminal as a picture."""
    width, height = round(COLUMNS * _CHARACTER + 2 * _MARGIN), len(lines) * _LINE + 2 * _MARGIN
    texts = []
    for number, line in enumerate(lines):
        spans, column = [], 0
        y = _MARGIN + number * _LINE + 14
        for run in line:
            weight = ' font-weight="bold"' if run.bold else ""
            decoration = ' text-decoration="underline"' if run.underlined else ""
            x = _MARGIN + column * _CHARACTER
            if run.background:
                box = f'x="{x - 1:.1f}" y="{y - 14}" width="{len(run.text) * _CHARACTER + 2:.1f}" height="{_LINE - 2}"'
                texts.append(f'<rect {box} rx="2" fill="{run.background}"/>')
            spans.append(f'<tspan x="{x:.1f}" fill="{run.color}"{weight}{decoration}>{html.escape(run.text)}</tspan>')
            column += len(run.text)
        if spans:
            texts.append(f'<text y="{y}" xml:space="preserve">{"".join(spans)}</text>')
    font = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{TITLE}" font-family="{font}" font-size="14">\n'
        f"<title>{TITLE}</title>\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="{_BACKGROUND}"/>\n' + "\n".join(texts) + "\n</svg>\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
