"""A page stays small, however much there is to show."""

import re
import tracemalloc

import pytest

from sentiment_batch.report.page import MAX_PAGE_BYTES, render_report_page
from tests.report import random_reports
from tests.report.page_parser import sound
from tests.report.test_page import EMOTIONS


def test_texts_of_ten_million_characters_are_shortened():
    huge = "word " * 2_000_000
    case = {"row": 0, "text": huge, "label": "a", "predicted": "b", "score": 0.9, "words": None}
    split = [[word + " ", 0.001] for word in huge[:50_000].split()] + [[huge, None]]
    evaluation = random_reports.evaluation(["a", "b"], 300) | {"errors": [case, {**case, "words": split}]}
    report = random_reports.report(evaluations=[{"name": huge, "evaluation": evaluation}], title=huge)
    tracemalloc.start()
    page = render_report_page(report)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    sound(page)
    assert len(page) < 120_000
    assert peak < 100_000_000


def test_fifty_long_errors_stay_under_a_megabyte():
    evaluation = random_reports.evaluation(["negative", "positive"], 3_000, errors=0)
    words = [["<&\"'>" * 3 + " ", (-1) ** place * (place % 97) / 97] for place in range(2_000)]
    long = [random_reports.error(row, "negative", "positive", 0.99, 1) | {"words": words} for row in range(50)]
    evaluation["errors"] = long
    two = [{"name": name, "evaluation": evaluation, "before_calibration": None} for name in ("validation", "test")]
    page = render_report_page(random_reports.report(evaluations=two, history=random_reports.history(1_000)))
    sound(page)
    assert len(page.encode()) < MAX_PAGE_BYTES
    assert page.count('<p class="facts">') == 100 + 2 * 8


def test_many_labels_are_listed_and_drawn_where_they_can_be_seen():
    many = [f"label {number}" for number in range(150)]
    page = render_report_page(random_reports.report(many))
    sound(page)
    assert "Most frequent confusions" in page
    assert 'id="rows-1-labels"' not in page
    assert "label 149" in page


def test_more_errors_than_a_page_holds_are_shown_shorter():
    evaluation = random_reports.evaluation(["negative", "positive"], 300, errors=0)
    words = [["<&\"'>" * 3 + " ", (-1) ** place * (place % 97) / 97] for place in range(200)]
    evaluation["errors"] = [
        random_reports.error(row, "negative", "positive", 0.99, 1) | {"words": words} for row in range(400)
    ]
    page = render_report_page({"evaluations": [{"name": "test", "evaluation": evaluation}]})
    sound(page)
    assert len(page.encode()) < MAX_PAGE_BYTES
    assert page.count('<p class="facts">') == 400 + 8
    evaluation["errors"] = evaluation["errors"][:20]
    few = render_report_page({"evaluations": [{"name": "test", "evaluation": evaluation}]})
    gap = re.compile(r"\[… ([\d,]+) characters")
    assert gap.findall(page)[0] > gap.findall(few)[0]


@pytest.mark.parametrize("many", [2_000, 3_000])
def test_if_no_length_fits_the_surest_errors_are_shown(many):
    evaluation = random_reports.evaluation(["negative", "positive"], 300, errors=1)
    evaluation["errors"] = [evaluation["errors"][0] | {"row": row} for row in range(many)]
    page = render_report_page({"evaluations": [{"name": "x.csv", "evaluation": evaluation}]})
    text = sound(page).text()
    shown = page.count('<p class="facts">') - len(evaluation["likely_wrong_labels"])
    assert len(page.encode()) > 0.8 * MAX_PAGE_BYTES
    assert f"row {shown - 1:,}" in text
    assert f"{many - shown:,} more in the output of --json" in text
    assert text.count("output of --json") == 1


def test_curves_of_many_labels_have_fewer_points():
    evaluation = random_reports.evaluation(EMOTIONS, 2_000)
    page = render_report_page({"evaluations": [{"name": "test", "evaluation": evaluation}]})
    figure = re.search(r'<figure id="rows-1-roc">.*?</figure>', page, re.S)[0]
    curves = [points.split() for points in re.findall(r'<polyline class="s0" points="([^"]*)"', figure)]
    named = re.findall(r'<polyline class="s[1-5]" points="([^"]*)"', figure)
    assert (len(curves), len(named)) == (23, 5)
    (corner,) = {points.split()[-1] for points in named}
    assert all(points[-1] == corner and 10 < len(points) <= 52 for points in curves)


def test_a_long_history_is_thinned_but_keeps_its_best():
    history = random_reports.history(996)
    page = render_report_page({"history": history})
    table = re.search(r"<tbody>.*?</tbody>", page, re.S)[0]
    steps = {int(one.replace(",", "")) for one in re.findall(r'<th scope="row">([\d,]+)</th>', table)}
    kept = [entry["step"] for entry in history if entry["best"]][-1]
    assert (kept // 60 - 1) % 5  # it would not be among them by its place alone
    assert len(steps) <= 203
    assert {60, kept, 59_760} <= steps
    assert f"published: {kept:,}" in page
