import json
import logging
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.data.labelled_rows import LabelledRows
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.settings import TrainSettings
from sentiment_batch.tokenization.packing import Tokens
from sentiment_batch.tokenization.tokenizer import TextPolicy
from sentiment_batch.training import prepare as preparation
from sentiment_batch.training.data_check.findings import format_share
from sentiment_batch.training.data_check.lengths import add_lengths
from sentiment_batch.training.data_check.wording import format_finding, format_lengths
from sentiment_batch.training.messages import log_data_check

WORDS = ["good", "bad", "fine", "dull", "warm", "cold", "long", "short", "dear", "odd", "calm", "loud"]


def texts(count, start=0) -> list[str]:
    return [f"{WORDS[n % 12]} film {n} seen" for n in range(start, start + count)]


def table(rows, labels, *, name="reviews.csv", groups=None, blank=0, **others) -> LabelledRows:
    return LabelledRows(
        name=name,
        texts=list(rows),
        labels=list(labels),
        groups=groups,
        text_columns=("text",),
        label_column="label",
        num_blank=blank,
        group_column="film" if groups else None,
        others={what: pa.array(values, pa.large_string()).dictionary_encode() for what, values in others.items()},
    )


def mixed(count, start=0, share=0.5, **options) -> LabelledRows:
    """Reviews of which so large a share, spread evenly, is positive."""
    labels = ["pos" if int((n + 1) * share) > int(n * share) else "neg" for n in range(count)]
    return table(texts(count, start), labels, **options)


def findings(*tables, **options) -> list[tuple[str, str]]:
    chosen = TrainSettings(**{"folds": 0} | options.pop("settings", {}))
    return [(one["level"], one["text"]) for one in prepare(tables, chosen, **options).summary["findings"]]


def prepare(*tables, **options):
    """Prepares data and logs the data check, as a run does."""
    data = preparation.prepare(*tables, **options)
    log_data_check(data)
    return data


def only(found, words) -> tuple[str, str]:
    matching = [one for one in found if words in one[1]]
    assert len(matching) == 1, found
    return matching[0]


@pytest.fixture(autouse=True)
def _listening(caplog):
    caplog.set_level(logging.INFO, "sentiment_batch")


def test_good_data_has_no_findings_and_a_summary_of_plain_values(caplog):
    summary = prepare([mixed(4_000)], TrainSettings(folds=0)).summary
    assert summary["findings"] == []
    assert (summary["overlaps"], summary["groups"], summary["lengths"], summary["test_rows"]) == ([], None, None, 0)
    assert json.loads(json.dumps(summary)) == summary
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_the_log_fits_80_columns_and_ends_with_findings(caplog):
    rows = mixed(300, share=0.1, name="a/rather/long/path/to/the/reviews.parquet", blank=30)
    prepare([rows], TrainSettings(folds=0), test=mixed(100, start=150, share=0.9, name="test.csv"))
    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("data check\n  rows      270 to train on, 30 to validate, 100 to test\n")
    assert "\n  classes   243 neg (90 %), 27 pos (10 %)" in said[0]
    levels = [record.levelname for record in caplog.records[1:]]
    assert levels == sorted(levels, key=["WARNING", "INFO"].index)
    assert levels.count("WARNING") == 2
    lines = "\n".join(("warning: " if r.levelno > logging.INFO else "") + r.getMessage() for r in caplog.records)
    assert max(map(len, lines.splitlines())) <= 80
    assert all(line.startswith(("  ", "note: ", "warning: ", "data check")) for line in lines.splitlines())


def test_imbalance_names_class_weights_unless_they_are_on():
    rows = mixed(4_000, share=0.1)
    level, said = only(findings(rows), '`class_weights="auto"`')
    assert level == "note"
    assert "90 % of the rows are 'neg' and 10 % 'pos'" in said
    assert findings(rows, settings={"class_weights": "auto"}) == []
    assert findings(mixed(4_000, share=0.3)) == []


def test_rare_and_unvalidated_classes_are_warnings():
    rows = mixed(4_000)
    rows.labels[:6] = ["odd"] * 4 + ["rare"] * 2
    found = findings(rows, settings={"class_weights": "auto"})
    assert only(
        found, "Too few rows to learn from: 'odd' (3), 'rare' (1). Give more rows of each such class, or leave it out."
    )
    val = mixed(500, start=9_000, share=0.0)
    assert only(findings(mixed(2_000), val=val), "No validation row has the label 'pos'")[0] == "warning"


@pytest.mark.parametrize(
    ("count", "level", "points"), [(40, "warning", 9), (60, "note", 8), (390, "note", 3), (400, None, None)]
)
def test_few_validation_rows_are_reported_with_their_precision(count, level, points):
    found = findings(mixed(2_000), val=mixed(count, start=9_000))
    if level is None:
        assert found == []
        return
    said = only(
        found, f"Only {count} rows validate, so an accuracy of 90 % is known only to within {points} percentage points"
    )
    assert said[0] == level
    assert said[1].endswith("Give a larger `val_file`.")
    said = only(findings(mixed(1_000)), "Only 100 rows validate")
    assert said[1].endswith("Hold back more with `val_size`, or set `folds=5`.")


def test_texts_with_several_labels_are_shown_but_not_stored(caplog):
    rows = mixed(4_000)
    rows.texts.extend(["Secret review!", "secret  REVIEW!"] * 2)
    rows.labels.extend(["pos", "neg"] * 2)
    summary = prepare([rows], TrainSettings(folds=0)).summary
    assert "such as   'SECRET review!'".casefold() in caplog.text.casefold()
    assert "(neg, pos)" in caplog.text
    assert "secret" not in json.dumps(summary).casefold()
    assert summary["conflicting"] == 4
    assert summary["findings"] == []
    rows.texts.extend(rows.texts[:300])
    rows.labels.extend(["pos" if label == "neg" else "neg" for label in rows.labels[:300]])
    assert only(findings(rows), "also occurs with another label")[0] == "warning"


def test_repeated_and_nearly_repeated_texts_count_separately():
    rows = mixed(400)
    again, nearly = [f"  {text.upper()}" for text in rows.texts[:30]], [f"<p>{text}!</p>" for text in rows.texts[:50]]
    rows.texts.extend(again + nearly)
    rows.labels.extend(rows.labels[:30] + rows.labels[:50])
    prepared = prepare([rows], TrainSettings(folds=0))
    assert (prepared.summary["repeated"], prepared.summary["nearly_repeated"]) == (30, 50)
    sides = [
        {" ".join(text.casefold().replace("<p>", "").replace("!</p>", "").split()) for text in side.texts}
        for side in (prepared.training, prepared.validation)
    ]
    assert not sides[0] & sides[1]
    assert only(findings(rows), "6.2 % of the rows repeat the text of another row.")


def test_rows_left_out_are_a_finding_where_they_are_many():
    rows = mixed(3_600, blank=400)
    rows.labels[:300] = [None] * 300
    found = findings(rows)
    assert only(found, "10 % of the rows hold no text and are left out.")
    assert only(found, "7.5 % of the rows have no label and are left out.")
    assert only(findings(rows, settings={"limit": 500}), "10 % of the rows hold no text"), "of all rows, not the sample"


def test_overlaps_are_listed_with_other_labels_and_near_texts():
    rows = mixed(2_000)
    val = mixed(500, start=9_000, name="val.csv")
    val.texts[:20] = [text.upper() for text in rows.texts[:20]]
    val.labels[:20] = rows.labels[:15] + ["neg" if label == "pos" else "pos" for label in rows.labels[15:20]]
    val.texts[20:23] = [f"{text}..." for text in rows.texts[100:103]]
    test = mixed(600, start=9_400, name="test.csv")
    summary = prepare([rows], TrainSettings(folds=0), val=val, test=test).summary
    shared = {"other_label": 0, "nearly": 0}
    assert summary["overlaps"] == [
        {"of": "val.csv", "with": "the training rows", "rows": 20, "share": 0.04, "other_label": 5, "nearly": 3}
        | {"kind": "validation"},
        {"of": "test.csv", "with": "val.csv", "rows": 100, "share": 0.1667, "kind": "validation and test"} | shared,
    ]
    assert (summary["overlap_with_validation"], summary["overlap_with_test"]) == (20, 0)
    found = [(one["level"], one["text"]) for one in summary["findings"]]
    assert only(found, "20 validation rows hold a text that is also trained on (4.0 %; 5 with another label; 3 more")
    assert found[0][0] == "warning"
    assert only(found, "100 test rows hold a text that is also validated on (17 %)")[0] == "note"


def test_a_tiny_overlap_and_one_of_near_texts_are_notes():
    rows = mixed(2_000)
    test = mixed(1_000, start=9_000, name="test.csv")
    test.texts[0] = rows.texts[0]
    assert only(findings(rows, test=test), "1 test row holds a text that is ")[0] == "note"
    test.texts[:2] = [f"{rows.texts[0]}!", f"{rows.texts[1]}?"]
    found = prepare([rows], TrainSettings(folds=0), test=test).summary
    said = {one["text"] for one in found["findings"]}
    assert any("nearly a text that is also" in text for text in said)
    assert found["overlap_with_test"] == 0


def test_a_table_given_twice_is_a_finding_a_small_overlap_not():
    first, again, other = mixed(1_000), mixed(1_000, name="again.csv"), mixed(1_000, start=950, name="other.csv")
    found = prepare([first, again, other], TrainSettings(folds=0)).summary
    assert [(one["of"], one["with"], one["rows"]) for one in found["overlaps"]] == [
        ("again.csv", "reviews.csv", 1_000),
        ("other.csv", "reviews.csv", 50),
    ]
    said = [(one["level"], one["text"]) for one in found["findings"]]
    assert only(
        said, "1,000 rows of again.csv hold a text that is in reviews.csv, too (100 %). Check whether the same rows"
    )
    assert not [one for one in said if "other.csv" in one[1]]


def grouped(count=1_200, seed=0) -> tuple[list[str], list[str]]:
    """The films of some rows in random order, and labels that go with the film."""
    draw = random.Random(seed)
    films = [f"f{n % (count // 6)}" for n in range(count)]
    draw.shuffle(films)
    return films, [("neg", "pos")[(int(film[1:]) + (draw.random() < 0.1)) % 2] for film in films]


def test_a_column_that_looks_like_groups_is_a_note_that_names_it():
    films, labels = grouped()
    summary = prepare([table(texts(1_200), labels, film=films)], TrainSettings(folds=0)).summary
    said = only([(one["level"], one["text"]) for one in summary["findings"]], "`group_column='film'`")
    assert said[0] == "note"
    (likely,) = summary["groups"]["likely"]["held back"]
    assert (likely["column"], likely["values"]) == ("film", 200)
    assert f"Rows of one 'film' have the same label in {format_share(likely['agreement'])} of cases" in said[1]
    assert findings(table(texts(1_200), labels, groups=films))[0][1].startswith("Only 120 rows validate")


def test_a_group_in_another_file_is_a_warning_with_counts():
    films, labels = grouped()
    rows = table(texts(1_200), labels, groups=films)
    test = table(texts(500, 9_000), labels[:500], groups=["f1"] * 100 + ["new"] * 400, name="test.csv")
    prepared = prepare([rows], TrainSettings(folds=0), test=test)
    summary, trained = prepared.summary, set(prepared.training.texts)
    assert any(text in trained for text, film in zip(rows.texts, films, strict=True) if film == "f1"), "by the seed"
    expected = {"column": "film", "groups": 200, "rows_without": 0, "shared": {"test.csv": 100}}
    assert summary["groups"] == expected
    said = [(one["level"], one["text"]) for one in summary["findings"]]
    assert only(said, "100 rows of test.csv (20 %) have a 'film' that is also trained on")[0] == "warning"


def test_groups_of_one_row_or_few_to_validate_are_findings():
    ids = [f"id{n}" for n in range(1_000)]
    assert only(findings(mixed(1_000, groups=ids)), "No two rows have the same 'film', so `group_column` changes")
    few = findings(mixed(1_000, groups=[f"f{n // 60}" for n in range(1_000)]))
    assert only(few, "of 'film' alone")[0] == "note"


def test_texts_that_look_wrong_are_said():
    numbers = table([str(n) for n in range(4_000)], ["pos", "neg"] * 2_000)
    assert only(findings(numbers), "100 % of the texts hold no letter")[0] == "warning"
    misread = mixed(4_000)
    misread.texts[:200] = [f"{text} cafÃ©" for text in misread.texts[:200]]
    assert "`encoding`" in only(findings(misread), "a wrong encoding")[1]
    told = mixed(4_000)
    told.texts[:] = [f"{label}: {text}" for text, label in zip(told.texts, told.labels, strict=True)]
    assert only(findings(told), "begin in the same way")[0] == "warning"
    same = mixed(4_000)
    same.texts[:] = [f"Customer review: {text}" for text in same.texts]
    assert only(findings(same), "All texts begin with the same 17 characters")[0] == "note"


def test_files_that_differ_in_html_or_classes_are_findings():
    test = mixed(1_000, start=9_000, share=0.2, name="test.csv")
    test.texts[:] = [f"{text}<br />" for text in test.texts]
    found = findings(mixed(4_000), test=test)
    assert only(found, "100 % of the texts of test.csv hold HTML tags, but 0 % of the training texts")
    assert only(found, "of the rows of test.csv are 'neg', but 50 % of the training rows")


def test_findings_hold_no_text_of_the_data():
    rows = mixed(200, share=0.1)
    rows.texts[:] = [f"confidential {text} <b>cafÃ©</b>" for text in rows.texts]
    test = mixed(60, share=0.9, name="test.csv")
    test.texts[:] = rows.texts[:60]
    assert "confidential" not in json.dumps(prepare([rows, rows], TrainSettings(folds=0), test=test).summary)


ODD = st.lists(
    st.tuples(
        st.one_of(st.text(max_size=6), st.sampled_from(["good", "Good!", "<b>", "\ud800", "&amp;", "\u200b", "a"])),
        st.sampled_from(["pos", "neg", "odd", None, "", " pos", 1]),
        st.sampled_from(["x", "y", None, ""]),
    ),
    max_size=25,
)


@given(ODD, ODD, ODD, st.booleans())
def test_any_rows_are_refused_in_one_line_or_give_plain_values(first, second, test, grouped):
    def made(rows, name):
        texts, labels, films = zip(*rows, strict=True) if rows else ((), (), ())
        return table(texts, labels, name=name, **{"groups" if grouped else "film": list(films)})

    try:
        prepared = prepare(
            [made(first, "a"), made(second, "b")], TrainSettings(val_size=0.3), test=made(test, "c") if test else None
        )
    except (InputError, UsageError) as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said
    if said:
        assert said.endswith(".")
        return
    summary = json.loads(json.dumps(prepared.summary, allow_nan=False))
    assert summary == prepared.summary
    assert summary["training_rows"] + summary["validation_rows"] <= summary["rows"] == len(first) + len(second)


def test_lengths_are_added_and_worded():
    summary = prepare([mixed(4_000)], TrainSettings(folds=0)).summary
    whole = np.array([10, 30, 100, 200])
    kept = np.minimum(whole, 64)
    tokens = Tokens(
        ids=np.zeros(kept.sum(), dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum(kept)]),
        owners=np.arange(4),
        cut=whole > 64,
        uncut_lengths=whole,
    )
    added = add_lengths(summary, tokens, TextPolicy(max_length=64, long_text="head-tail"), 512)
    assert summary["lengths"] is None
    assert added["lengths"]["tokens_lost_share"] == pytest.approx(172 / 340)
    assert [one["level"] for one in added["findings"]] == ["note"]
    assert "\n".join(format_lengths(added["lengths"], "head-tail", 80)) == (
        "  lengths   tokens per text: mean 85, median 30, 95 % up to 200, longest 200; 2\n"
        "            (50 %) are longer than 64 and keep their head and tail, so 51 % of\n"
        "            all tokens are lost"
    )
    assert "Raise `max_length`, up to 512." in format_finding(added["findings"][0], 80)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0, "0 %"),
        (0.00034, "0.03 %"),
        (0.0099, "0.99 %"),
        (0.00996, "1.0 %"),
        (0.0994, "9.9 %"),
        (0.0996, "10 %"),
        (1, "100 %"),
    ],
)
def test_shares_are_written_with_two_digits(share, said):
    assert format_share(share) == said
