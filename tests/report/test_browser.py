"""The report in a real browser: it draws, the console is clean, nothing is wider than a phone, light and dark."""

import collections
import functools
import re
import struct
import zlib

import pytest

from sentiment_batch.report.page import render_report_page
from tests.report import browser, random_reports
from tests.report.style_sheet import DARK, LIGHT
from tests.report.test_page import HOSTILE

EMOTIONS = [f"an emotion of the number {number}" for number in range(28)]
REPORTS = {
    "two labels": random_reports.report(),
    "9 labels": random_reports.report(EMOTIONS[:9]),
    "28 labels": random_reports.report(EMOTIONS, history=random_reports.history(1_000)),
    "40 labels": random_reports.report([f"an emotion of the number {number}" for number in range(40)]),
    "long labels": random_reports.report(
        ["w" * 200, "a label of many words " * 9, "ש" * 200, "很好的電影" * 30, "W" * 60],
        title="t" * 180,
        model="m" * 200,
    ),
    "markup": random_reports.report(
        [HOSTILE["markup"], HOSTILE["right to left"]], title=HOSTILE["markup"], history=random_reports.history(1)
    ),
    "evaluate": {
        "title": "x",
        "evaluations": [{"name": "x.csv", "evaluation": random_reports.evaluation(["a", "b"], 100)}],
    },
}


@functools.cache
def page_of(what: str) -> str:
    """The page of one of the reports; drawn when a test wants it, because each process collects this file."""
    return render_report_page(REPORTS[what])


pytestmark = pytest.mark.skipif(
    browser.CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"
)


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("width", "height"), [(1_200, 1_600), (390, 1_100)])
def test_the_page_is_drawn_and_the_console_is_clean(tmp_path, width, height, dark):
    picture, console = browser.screenshot(page_of("two labels"), tmp_path, width, height, dark=dark)
    assert console == []
    pixels = browser.pixels(picture)
    assert pixels.shape == (height, max(width, 500), 3)
    counts = collections.Counter(map(tuple, pixels.reshape(-1, 3).tolist()))
    colours, others = (DARK, LIGHT) if dark else (LIGHT, DARK)
    assert len(counts) > 200
    for name, least in (("paper", 50_000), ("panel", 50_000), ("ink", 500)):
        assert counts[rgb(colours[name])] > least
    assert counts[rgb(others["panel"])] < 5_000
    if width > 1_000:  # whole charts stand within that height
        for name in ("first", "right-4", "wrong-2"):
            assert counts[rgb(colours[name])] > 200


@pytest.mark.parametrize("what", REPORTS)
def test_nothing_is_wider_than_the_page_and_charts_are_legible(tmp_path, what):
    widths = [1_200, 390, 360]
    seen, console = browser.look(page_of(what), tmp_path, widths, dark=what == "markup")
    assert console == []
    for place, facts in enumerate(seen):
        assert facts["width"] == widths[place // 2]
        assert facts["dark"] is (what == "markup")
        assert facts["content"] <= facts["client"], facts["wide"]
        assert facts["wide"] == []
        assert facts["letters"] >= 9
        assert facts["largest"] <= 20
        assert facts["hidden"] == []
        assert facts["spilt"] == []
        assert facts["crossed"] == []
        assert facts["charts"] == page_of(what).count('role="img"')


def test_the_page_itself_runs_no_script_even_if_there_were_one(tmp_path):
    page = page_of("two labels").replace("</body>", "<script>document.title = 'changed'</script></body>")
    _, console = browser.screenshot(page, tmp_path, 500, 600)
    assert len(console) == 1
    assert "Content Security Policy" in console[0]


def test_a_page_that_is_too_wide_is_seen_to_be(tmp_path):
    page = page_of("evaluate").replace("<main>", '<main><p style="width: 500px">wide</p>')
    page = re.sub(r'<text class="end" x="[^"]*"', '<text class="end" x="0"', page, count=1)
    (seen, _), _ = browser.look(page, tmp_path, [390], dark=False)
    assert seen["content"] > seen["client"]
    assert "wide</p>" in seen["wide"][0]
    assert len(seen["spilt"]) == 1


def test_the_decoder_of_pictures_undoes_every_filter(tmp_path):
    rows = [bytes([kind]) + bytes(range(kind, kind + 12)) for kind in range(5)]
    header = struct.pack(">IIBBBBB", 4, 5, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")]
    packed = [struct.pack(">I", len(data)) + kind + data + bytes(4) for kind, data in chunks]
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    pixels = browser.pixels(tmp_path / "x.png").reshape(5, 12).astype(int)
    assert pixels[0].tolist() == list(range(12))
    assert pixels[1].tolist() == [1, 2, 3, 5, 7, 9, 12, 15, 18, 22, 26, 30]
    assert pixels[2].tolist() == [value + above for value, above in zip(range(2, 14), pixels[1], strict=True)]
    assert pixels[3][:3].tolist() == [3 + pixels[2][0] // 2, 4 + pixels[2][1] // 2, 5 + pixels[2][2] // 2]
    assert pixels[3][3] == 6 + (pixels[3][0] + pixels[2][3]) // 2
    assert pixels[4][0] == 4 + pixels[3][0]
    left, up, corner = pixels[4][0], pixels[3][3], pixels[3][0]
    assert pixels[4][3] == 7 + min((left, up, corner), key=lambda one: abs(left + up - corner - one))
