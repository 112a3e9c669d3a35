"""The report in a real browser: it draws, the console is clean, nothing is wider than a phone, light and dark."""

import collections
import re
import struct
import zlib

import pytest

from sentiment_batch.html.page import report_page
from sentiment_batch.html.style import DARK, LIGHT
from tests.html import browser, reports
from tests.html.test_page import HOSTILE

EMOTIONS = [f"an emotion of the number {number}" for number in range(28)]
REPORTS = {
    "two labels": reports.report(),
    "28 labels": reports.report(EMOTIONS, history=reports.history(1_000)),
    "long labels": reports.report(
        ["w" * 200, "a label of many words " * 9, "ש" * 200], title="t" * 180, model="m" * 200
    ),
    "markup": reports.report(
        [HOSTILE["markup"], HOSTILE["right to left"]], title=HOSTILE["markup"], history=reports.history(1)
    ),
    "evaluate": {"title": "x", "evaluations": [{"name": "x.csv", "evaluation": reports.evaluation(["a", "b"], 100)}]},
}
PAGES = {what: report_page(report) for what, report in REPORTS.items()}

pytestmark = pytest.mark.skipif(
    browser.CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"
)


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1_200, 390])
def test_the_page_is_drawn_and_the_console_is_clean(tmp_path, width, dark):
    picture, console = browser.screenshot(PAGES["two labels"], tmp_path, width, 1_400, dark=dark)
    assert console == []
    across, down, pixels = browser.pixels(picture)
    assert (across, down) == (max(width, 500), 1_400)
    counts = collections.Counter(zip(pixels[::3], pixels[1::3], pixels[2::3], strict=True))
    colours, others = (DARK, LIGHT) if dark else (LIGHT, DARK)
    assert len(counts) > 200
    for name, least in (("paper", 50_000), ("panel", 50_000), ("ink", 500)):
        assert counts[rgb(colours[name])] > least
    assert counts[rgb(others["panel"])] < 5_000
    if width > 1_000:  # the charts begin within that height
        for name in ("first", "right-4", "wrong-2"):
            assert counts[rgb(colours[name])] > 200


@pytest.mark.parametrize("unfolded", [False, True])
@pytest.mark.parametrize("width", [1_200, 390, 360])
@pytest.mark.parametrize("what", PAGES)
def test_nothing_is_wider_than_the_page_and_every_chart_can_be_read(tmp_path, what, width, unfolded):
    seen = browser.look(PAGES[what], tmp_path, width, dark=unfolded, unfolded=unfolded)
    assert seen.console == []
    facts = seen.facts
    assert facts["width"] == width
    assert facts["dark"] is unfolded
    assert facts["content"] <= facts["client"]
    assert facts["wide"] == []
    assert facts["letters"] >= 9
    assert facts["spilt"] == []
    assert facts["charts"] == len(re.findall(r'role="img"', PAGES[what]))


def test_the_page_itself_runs_no_script_even_if_there_were_one(tmp_path):
    page = PAGES["two labels"].replace("</body>", "<script>document.title = 'changed'</script></body>")
    _, console = browser.screenshot(page, tmp_path, 500, 600)
    assert len(console) == 1
    assert "Content Security Policy" in console[0]


def test_a_page_that_is_too_wide_is_seen_to_be(tmp_path):
    page = PAGES["evaluate"].replace("<main>", '<main><p style="width: 500px">wide</p>')
    facts = browser.look(page, tmp_path, 390).facts
    assert facts["content"] > facts["client"]
    assert facts["wide"]


def test_the_decoder_of_pictures_undoes_every_filter(tmp_path):
    rows = [bytes([kind]) + bytes(range(kind, kind + 12)) for kind in range(5)]
    header = struct.pack(">IIBBBBB", 4, 5, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")]
    packed = [struct.pack(">I", len(data)) + kind + data + bytes(4) for kind, data in chunks]
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    width, height, pixels = browser.pixels(tmp_path / "x.png")
    assert (width, height, len(pixels)) == (4, 5, 60)
    assert list(pixels[:12]) == list(range(12))
    assert list(pixels[12:24]) == [1, 2, 3, 5, 7, 9, 12, 15, 18, 22, 26, 30]
    assert list(pixels[24:36]) == [value + above for value, above in zip(range(2, 14), pixels[12:24], strict=True)]
    assert pixels[36] == 3 + pixels[24] // 2
    assert pixels[48] == 4 + pixels[36]
