import copy
import itertools
import json
import math
import re

import pytest

from sentiment_batch.data.input_description import list_items
from sentiment_batch.display import escape_controls
from sentiment_batch.evaluation.intervals import share_interval
from sentiment_batch.report.page import render_report_page
from sentiment_batch.report.training import build_training_figures
from tests.report import random_reports
from tests.report.page_parser import Page, sound

EMOTIONS = [f"emotion {number}" for number in range(28)]
HOSTILE = {
    "markup": "</title></style><script>alert(1)</script><img src=https://example.com/x onerror=alert(1)>",
    "bold": "<b>bold</b></b>",
    "quotes": '"\' onmouseover="alert(1)" x=\'',
    "right to left": "\u202eevil\u2066 שלום مرحبا",
    "control": "a\x00b\x1b[31mc\x7f\x85d\r\ne\u2028f",
    "surrogate": "half \ud83d of a pair \udc00",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈" * 20,
    "entity": "&lt;b&gt; &amp; &#0; &",
    "long": "x" * 200,
    "combining": "e" + "\u0301" * 300,
    "braces": "{title} {0} %s %(x)s {",
    "blank": "",
}


def every_case() -> dict:
    """Reports of many kinds by what is odd about them."""
    only = random_reports.evaluation(["negative", "positive"], 400, errors=3)
    bare = {"evaluations": [{"name": "reviews.csv", "evaluation": only, "before_calibration": None}]}
    found = {
        "whole": random_reports.report(),
        "five labels": random_reports.report(["awful", "poor", "middling", "good", "superb"]),
        "28 labels": random_reports.report(EMOTIONS),
        "evaluate": {**dict.fromkeys(random_reports.report()), "title": "x", "model": "m", "version": "1", **bare},
        "nothing": {},
        "no evaluation": random_reports.report(evaluations=[]),
        "all null": dict.fromkeys(random_reports.report()),
        "one validation": random_reports.report(history=random_reports.history(1)),
        "1,000 validations": random_reports.report(history=random_reports.history(1_000)),
        "nothing found": random_reports.report(
            evaluations=[{"name": "test", "evaluation": {}, "before_calibration": {}}]
        ),
    }
    found |= {
        what: random_reports.report([text, f"{text} too"], title=text, model=text) for what, text in HOSTILE.items()
    }
    return found


CASES = every_case()


@pytest.mark.parametrize("what", CASES)
def test_every_report_is_a_sound_page(what):
    sound(render_report_page(CASES[what]))


@pytest.mark.parametrize("what", ["whole", "28 labels", "markup"])
def test_the_same_report_gives_the_same_bytes(what):
    first = render_report_page(CASES[what])
    assert render_report_page(copy.deepcopy(CASES[what])) == first
    assert render_report_page(json.loads(json.dumps(CASES[what]))) == first


def test_the_page_says_what_unlabelled_texts_gained():
    found = {
        "verdict": "unlabelled texts: gained 0.012 accuracy, kept",
        "sure": {"negative": 1_900, "positive": 2_012},
        "unlabelled": {"texts": 5_000},
    }
    page = render_report_page(random_reports.report() | {"self_training": found})
    assert "Unlabelled texts: gained 0.012 accuracy, kept. The teachers were sure of 3,912 of 5,000 texts." in page
    assert "teachers" not in render_report_page(
        random_reports.report() | {"self_training": found | {"unlabelled": None}}
    )


def test_the_page_shows_the_learning_curve():
    report = random_reports.report()
    points = [
        {
            "rows": rows,
            "accuracy": accuracy,
            "accuracy_interval": [accuracy - 0.05, accuracy + 0.04],
            "macro_f1": accuracy - 0.01,
            "baseline_accuracy": floor,
        }
        for rows, accuracy, floor in ((60, 0.7, 0.0), (120, 0.75, 0.61), (240, 0.81, 0.66))
    ]
    found = {"points": points, "validation_rows": 300, "verdict": "from 120 to 240 labelled rows, more"}
    page = render_report_page(report | {"learning_curve": found})
    sound(page)
    assert "From 120 to 240 labelled rows, more." in page
    assert "All points are measured on the same 300 rows." in page
    figure = page.partition('<figure id="learning-curve">')[2].partition("</figure>")[0]
    assert figure.count("<circle") == 6, "a bag of words that gets nothing right has its dots, too"
    assert [cells for cells in ("60", "120", "240") if f">{cells}<" in figure] == ["60", "120", "240"]
    assert "a bag of words" in figure
    alone = [one | {"baseline_accuracy": None} for one in points]
    assert (
        "a bag of words"
        not in render_report_page(report | {"learning_curve": found | {"points": alone}})
        .partition('<figure id="learning-curve">')[2]
        .partition("</figure>")[0]
    )
    broken = [{"rows": None}, {"rows": 5, "accuracy": float("nan"), "accuracy_interval": None}]
    sound(render_report_page(report | {"learning_curve": {"points": broken}}))


def test_the_report_is_left_as_it_was():
    given = random_reports.report()
    kept = copy.deepcopy(given)
    render_report_page(given)
    assert given == kept


def test_the_page_loads_and_runs_nothing():
    policy = next(one["content"] for one in Page(render_report_page(CASES["whole"])).of("meta") if "http-equiv" in one)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


@pytest.mark.parametrize("what", HOSTILE)
def test_texts_of_any_content_are_shown_as_text(what):
    given = HOSTILE[what]
    case = {
        "file": given,
        "row": 5,
        "id_column": given,
        "id": given,
        "text": given,
        "label": given,
        "predicted": given,
        "score": 0.9,
        "words": [[given, 0.7], [given, None]],
    }
    evaluation = random_reports.evaluation([given, "other"], 300) | {
        "errors": [case, {**case, "words": None}],
        "likely_wrong_labels": [{"row": 1, "text": given, "label": given, "suggested": given, "score": 0.99}],
        "by": {"column": given, "groups": [{"group": given, "rows": 3, "accuracy": 0.5, "interval": [0.1, 0.9]}]},
    }
    changes = {
        "settings": {given: given, "list": [given], "nested": {given: {given: given}}},
        "data": random_reports.data([given])
        | {
            "sources": [given],
            "mapping": given,
            "label_unknown": {given: 3},
            "findings": [{"level": "warning", "text": given}],
            "groups": {given: given},
            "overlaps": [{"of": given, "with": given, "rows": 1, "other_label": None, "nearly": 0}],
        },
    }
    changes |= {
        "command": given,
        "reading": list_items({"text_columns": [given], "delimiter": given, "label_column": given}),
    }
    named = [{"name": given, "evaluation": evaluation, "before_calibration": None}]
    page = sound(
        render_report_page(random_reports.report(evaluations=named, title=given, base=given, device=given, **changes))
    )
    assert re.sub(r"\s", "", escape_controls(given))[:20] in re.sub(r"\s", "", page.text())


@pytest.mark.parametrize("odd", [None, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("labels", [2, 28])
def test_numbers_that_are_none_are_dashes_or_left_out(odd, labels):
    def spoiled(value):
        if isinstance(value, dict):
            return {name: spoiled(held) for name, held in value.items()}
        if isinstance(value, list):
            return [spoiled(held) for held in value]
        return odd if isinstance(value, float) else value

    sound(render_report_page(spoiled(random_reports.report(EMOTIONS[:labels]))))


def paths(value, path=()):
    """The places of everything in a report, a few of each list."""
    if isinstance(value, dict):
        for name, held in value.items():
            yield (*path, name)
            yield from paths(held, (*path, name))
    elif isinstance(value, list):
        for place in range(min(len(value), 2)):
            yield from paths(value[place], (*path, place))


FEW = random_reports.evaluation(["negative", "positive"], 60, errors=1, by=True)
SMALL = random_reports.report(
    evaluations=[
        {"name": "test", "evaluation": FEW, "before_calibration": {"calibration_error": 0.1, "reliability": []}}
    ],
    history=random_reports.history(2),
)


@pytest.mark.parametrize("value", [None, []])
def test_whatever_is_missing_is_left_out_with_grace(value):
    for path in paths(SMALL):
        holder = SMALL
        for step in path[:-1]:
            holder = holder[step]
        if value == [] and not isinstance(holder[path[-1]], list):
            continue
        kept, holder[path[-1]] = holder[path[-1]], value
        try:
            page = render_report_page(SMALL)
            assert Page(page).faults == [], path
            assert "nan" not in page.split("</style>")[1].replace("dominant", ""), path
        finally:
            holder[path[-1]] = kept


def test_every_chart_has_a_finding_in_words_and_its_numbers():
    page = render_report_page(CASES["whole"])
    read = Page(page)
    charts = [one for one in read.of("svg") if "aria-hidden" not in one]
    assert len(charts) == 6 + 7 + 2 + 2  # without a column for the validation rows; the matrix is a table
    figures = re.findall(r'<figure id="[^"]+">.*?</figure>', page, re.S)
    for figure in figures:
        inside = Page(figure)
        said = inside.text("figcaption")
        assert re.search(r"\d", said) or 'id="data-sources"' in figure
        if 'role="img"' in figure:
            assert "<summary>The numbers</summary>" in figure
            assert inside.text("desc")
            assert inside.text("desc") in said
            assert inside.of("td")
    for chart in charts:
        assert chart["role"] == "img"
        assert len(chart["aria-labelledby"].split()) == 2


def test_the_headings_are_in_order():
    levels = [int(tag[1]) for tag, _ in Page(render_report_page(CASES["whole"])).elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_the_document_has_a_language_and_fits_a_phone():
    read = Page(render_report_page(CASES["whole"]))
    assert read.of("html") == [{"lang": "en"}]
    metas = {one.get("name"): one["content"] for one in read.of("meta") if "content" in one}
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    assert metas["color-scheme"] == "light dark"
    assert read.text("title").startswith(CASES["whole"]["title"])


def test_every_figure_of_the_report_is_on_the_page():
    report = CASES["whole"]
    text = re.sub("[\u2068\u2069]", "", Page(render_report_page(report)).text())
    for one in report["evaluations"]:
        found = one["evaluation"]
        low, high = found["intervals"]["accuracy"]
        assert f"{found['accuracy'] * 100:.1f} %{low * 100:.1f} to {high * 100:.1f} %" in text
        for what in ("macro_f1", "roc_auc", "loss", "calibration_error"):
            low, high = found["intervals"][what]
            assert f"{found[what]:.3f}{low:.3f} to {high:.3f}" in text
        for row in found["confusion"]:
            for cell in row:
                assert f"{cell:,}" in text
        for group in found["by_length"]:
            assert group["group"] in text
        for case in found["errors"]:
            assert f"row {case['row']:,}" in text
    for finding in report["data"]["findings"]:
        assert finding["text"] in text
    for name, value in report["settings"].items():
        assert value is None or name.replace("_", " ") in text
    for said in (
        "temperature 1.3127",
        "1 warning of",
        "published: step 540",
        "before calibration",
        "cut at 512",
        "2,310",
    ):
        assert said in text


def test_no_step_of_the_folds_is_said_to_be_published():
    figures = {"training_loss": 0.5, "validation_loss": 0.4, "accuracy": 0.8, "macro_f1": 0.8, "learning_rate": 1e-5}
    history = [figures | {"step": step, "epoch": step / 10, "best": step == 20} for step in (10, 20)]
    for folds in (False, True):
        loss, accuracy = build_training_figures(history, folds=folds)
        for figure in (loss, accuracy):
            assert any("published: step 20" in entry.text for entry in figure.legend) is not folds
        assert ("each of which was trained for 20 steps" in loss.finding) is folds
        assert ("at the end" in accuracy.finding) is folds


def test_a_setting_in_a_finding_is_code_and_no_markup():
    finding = {"level": "note", "text": 'Try `class_weights="auto"`, or `a<b`. A ` alone stays.'}
    page = sound(
        render_report_page(random_reports.report(data=random_reports.data(["a", "b"]) | {"findings": [finding]}))
    )
    assert [text for path, text in page.texts if path[-1:] == ("code",)] == ['class_weights="auto"', "a<b"]
    assert 'Try class_weights="auto", or a<b. A ` alone stays.' in page.text()


def test_the_head_shows_left_out_rows_and_how_labels_were_read():
    lost = {"blank": 1, "label_missing": 0, "label_unknown_rows": 1_200, "label_unknown": {"<meh>": 40}}
    evaluation = random_reports.evaluation(["a", "b"], 800) | {"left_out": lost, "mapping": "0 -> a, 1 -> b"}
    page = render_report_page({"evaluations": [{"name": "x.csv", "evaluation": evaluation}]})
    text = re.sub("[\u2068\u2069]", "", sound(page).text("header"))
    said = "1,201 of 2,001 rows are left out of every figure: 1 without a text, 1,200 with a label of no class (“<meh>”"
    assert said in text
    assert "labels read as 0 -> a, 1 -> b" in text
    assert "left out of every" not in Page(render_report_page(CASES["evaluate"])).text()


def test_a_figure_without_an_interval_has_a_dash_and_a_reason():
    evaluation = random_reports.evaluation(["a", "b"], 100)
    evaluation["intervals"] = dict.fromkeys(evaluation["intervals"]) | {"accuracy": [0.7, 0.9]}
    evaluation["classes"][1] |= {"rows": 0, "precision": None, "recall": None, "f1": None}
    text = sound(render_report_page({"evaluations": [{"name": "x.csv", "evaluation": evaluation}]})).text()
    assert f"Macro F1{evaluation['macro_f1']:.3f}–" in text
    assert "A dash means that there are too few rows" in text
    assert "0–––" in text


def test_what_is_right_and_wrong_is_in_the_bars_of_the_scores():
    evaluation = random_reports.evaluation(["a", "b"], 500)
    found = evaluation["histogram"]
    page = render_report_page({"evaluations": [{"name": "x.csv", "evaluation": evaluation}]})
    drawing = re.search(r'<figure id="rows-1-scores">.*?</figure>', page, re.S)[0].split('role="img"')[1]
    bars = [
        (kind, float(height)) for kind, height in re.findall(r'<rect class="(f\d)" [^>]*height="([\d.]+)"', drawing)
    ]
    counts = [("f2", count) for count in found["wrong"] if count] + [
        ("f1", count) for count in found["correct"] if count
    ]
    assert [kind for kind, _ in bars] == [kind for kind, _ in counts]
    unit = max(height for _, height in bars) / max(count for _, count in counts)
    assert [height for _, height in bars] == pytest.approx([count * unit for _, count in counts], abs=0.6)


def test_the_test_rows_come_first_and_lead():
    report = random_reports.report()
    text = Page(render_report_page(report)).text()
    assert text.index("Test rows") < text.index("Validation rows")
    accuracy = report["evaluations"][1]["evaluation"]["accuracy"]
    low, high = report["evaluations"][1]["evaluation"]["intervals"]["accuracy"]
    reach = f"(95 % interval {low * 100:.1f} to {high * 100:.1f} %)"
    assert f"The model gets {accuracy * 100:.1f} % of the 2,400 test rows right {reach}." in text
    assert "Always answering" in text


def test_what_a_page_of_evaluate_lacks_is_not_named():
    read = Page(render_report_page(CASES["evaluate"]))
    headings = read.text("h2")
    assert headings == "At a glanceRows of \u2068reviews.csv\u2069"
    assert "calibrat" not in read.text("h3")
    assert "before calibration" not in read.text()


def test_a_perfect_model_has_no_weak_slice_and_no_error():
    perfect = random_reports.evaluation(["a", "b"], 100) | {
        "accuracy": 1.0,
        "confusion": [[60, 0], [0, 40]],
        "errors": [],
        "likely_wrong_labels": [],
        "by_length": [{"group": "1-32 tokens", "rows": 100, "accuracy": 1.0, "interval": [1.0, 1.0]}],
        "reliability": [{"low": 14 / 15, "high": 1.0, "rows": 100, "confidence": 1.0, "accuracy": 1.0}],
    }
    text = sound(render_report_page({"evaluations": [{"name": "x.csv", "evaluation": perfect}]})).text()
    assert "There is no error." in text
    assert "No slice is clearly below the whole" in text
    assert "Most confident errors" not in text


@pytest.mark.parametrize(("hits", "named"), [([82, 90, 91], False), ([70, 90, 91], True)])
def test_a_slice_is_weak_only_beyond_the_chance_of_many(hits, named):
    """82 of 100 are fewer than 90 by 2.7 deviations, which one of 80 slices is by chance more often than not."""
    slices = [
        {"group": f"g{number}", "rows": 100, "accuracy": one / 100, "interval": share_interval(one, 100)}
        for number, one in enumerate([*hits, *[90] * 77])
    ]
    evaluation = random_reports.evaluation(["a", "b"], 300) | {"accuracy": 0.9, "by_length": slices}
    text = sound(render_report_page({"evaluations": [{"name": "x.csv", "evaluation": evaluation}]})).text()
    assert ("No slice is clearly below the whole" in text) == (not named)
    assert ("do clearly worse than all: 70.0 % of 100 rows are right" in text) == named


def test_the_page_says_where_rows_stand_and_what_was_read():
    case = {"file": "reviews.csv", "row": 1_234, "id_column": "review_id", "id": "a7", "text": "x", "label": "a"}
    evaluation = random_reports.evaluation(["a", "b"], 300) | {
        "errors": [case | {"predicted": "b", "score": 0.9, "words": None}],
        "likely_wrong_labels": [{"row": None, "text": "y", "label": "a", "suggested": "b", "score": 0.99}],
    }
    named = [{"name": "reviews.csv", "evaluation": evaluation, "before_calibration": None}]
    reading = [("delimiter", "; (assumed)")]
    report = random_reports.report(evaluations=named, reading=reading, date="2026-11-28", command="sentiment-batch x")
    text = sound(render_report_page(report)).text()
    for part in ("row 1,234 of reviews.csv (review_id a7)", "; (assumed)", "2026-11-28", "sentiment-batch x"):
        assert part in text
    assert "Rows count from 0, without the header." in text
    assert "row –" not in text
    assert "What was read" not in sound(render_report_page(random_reports.report())).text()
