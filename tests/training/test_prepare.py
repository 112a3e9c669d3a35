import logging
import random
from dataclasses import replace

import numpy as np
import pytest

from sentiment_batch.data.input_description import InputDescription
from sentiment_batch.data.labelled_rows import LabelledRows
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.labels.settings import LabelSettings
from sentiment_batch.settings import TrainSettings
from sentiment_batch.training import prepare as preparation
from sentiment_batch.training.messages import log_data_check


def labelled(texts, labels, *, name="reviews.csv", groups=None, column="label", blank=0) -> LabelledRows:
    return LabelledRows(
        name=name,
        texts=list(texts),
        labels=list(labels),
        groups=groups,
        text_columns=("text",),
        label_column=column,
        num_blank=blank,
    )


def many(count=100, **options) -> LabelledRows:
    return labelled([f"text {n}" for n in range(count)], ["neg", "pos"] * (count // 2), **options)


def of(prepared) -> tuple[list, list]:
    return tuple(
        list(zip(rows.texts, rows.codes.tolist(), strict=True)) for rows in (prepared.training, prepared.validation)
    )


def prepare(*tables, **options):
    """Prepares data and logs the data check, as a run does."""
    data = preparation.prepare(*tables, **options)
    log_data_check(data)
    return data


def said(caplog) -> str:
    return "\n".join(record.getMessage() for record in caplog.records)


@pytest.fixture(autouse=True)
def _listening(caplog):
    caplog.set_level(logging.INFO, "sentiment_batch")


def test_a_tenth_of_each_class_is_held_back_and_said(caplog):
    prepared = prepare([many()], TrainSettings(folds=0))
    assert prepared.mapping.labels == ("neg", "pos")
    assert np.bincount(prepared.training.codes).tolist() == [45, 45]
    assert np.bincount(prepared.validation.codes).tolist() == [5, 5]
    assert "rows      90 to train on, 10 to validate\n" in said(caplog)
    assert "classes   45 neg (50 %), 45 pos (50 %)" in said(caplog)


def test_everything_odd_is_counted_and_said(caplog):
    rows = many(blank=3)
    rows.texts.extend(["Text 0", "odd", "odder", "nothing", "text  1"])
    rows.labels.extend(["neg", "!!!", "!!!", None, "neg"])
    summary = prepare([rows], TrainSettings(folds=0)).summary
    assert (summary["label_unknown"], summary["label_unknown_rows"]) == ({}, 0)  # two of a kind are a class
    rows.labels[-3] = "!"
    summary = prepare([rows], TrainSettings(folds=0)).summary
    assert {key: summary[key] for key in ("blank", "label_missing", "label_unknown", "repeated", "conflicting")} == {
        "blank": 3,
        "label_missing": 1,
        "label_unknown": {"!": 1, "!!!": 1},
        "repeated": 2,
        "conflicting": 2,
    }
    for words in (
        "left out  2 rows with a label of no class: '!' (1), '!!!' (1); 1 row without a label; 3 rows without a text",
        "2 rows repeat another's text",
        "2 rows hold a text that also occurs with another label",
    ):
        assert words in " ".join(said(caplog).split(" " * 12)).replace("\n", "")


@pytest.mark.parametrize(("labels", "noted"), [(["neg", "pos"], True), ([1, 5], False)])
def test_a_word_of_one_row_would_be_a_class_with_more(caplog, labels, noted):
    rows = labelled([f"text {n}" for n in range(41)], [*labels * 20, "mixed"])
    assert prepare([rows], TrainSettings(folds=0)).summary["label_unknown"] == {"mixed": 1}
    note = "because training and validation both need a row of each class: 'mixed'. With more rows they become classes"
    assert (note in said(caplog)) == noted


def test_rows_without_a_text_are_told_from_no_rows():
    with pytest.raises(InputError, match=r"^reviews\.csv: no row holds a text\. Check `text_column`"):
        prepare([labelled([], [], blank=3)], TrainSettings())


def test_the_order_of_rows_and_files_does_not_matter():
    rows = many(60)
    rows.texts.extend(["TEXT 0", "Text  0", "text 1", "ｔext 1"])
    rows.labels.extend(["neg", "neg", "neg", "pos"])
    groups = [str(n % 20) for n in range(64)]
    settings = TrainSettings(limit=50, folds=0)
    expected = None
    for attempt in range(6):
        order = list(range(64))
        random.Random(attempt).shuffle(order)
        parts = [order[: 10 * attempt], order[10 * attempt :]]
        files = [
            labelled([rows.texts[n] for n in part], [rows.labels[n] for n in part], groups=[groups[n] for n in part])
            for part in parts
        ]
        prepared = prepare(files, settings)
        found = of(prepared), prepared.summary["fingerprint"], prepared.summary["conflicting"]
        expected = expected or found
        assert found == expected


def test_another_seed_holds_back_other_rows():
    held = [of(prepare([many()], TrainSettings(seed=seed, folds=0)))[1] for seed in (1, 1, 2)]
    assert held[0] == held[1] != held[2]


def test_groups_stay_on_one_side():
    rows = many(groups=[n // 10 for n in range(100)])
    training, validation = of(prepare([rows], TrainSettings(folds=0)))
    assert 10 <= len(validation) <= 20
    films = [{int(text.split()[1]) // 10 for text, _ in side} for side in (training, validation)]
    assert not films[0] & films[1]


def test_a_limit_takes_a_mixed_sample_within_any_larger_one():
    ordered = labelled([f"text {n}" for n in range(200)], ["neg"] * 100 + ["pos"] * 100)
    small, large = (
        {row for side in of(prepare([ordered], TrainSettings(limit=limit, folds=0))) for row in side}
        for limit in (40, 80)
    )
    assert (len(small), len(large)) == (40, 80)
    assert small < large
    assert 10 < sum(code for _, code in small) < 30


def test_a_validation_file_replaces_the_held_back_share():
    val = labelled(["text 1", "TEXT 2 ", "new", "unlabelled"], [1, 0, 1, None], name="val.csv")
    prepared = prepare([many()], TrainSettings(folds=0), val=val)
    assert len(prepared.training.texts) == 100
    assert of(prepared)[1] == [("text 1", 1), ("TEXT 2 ", 0), ("new", 1)]
    assert prepared.summary["overlap_with_validation"] == 2


def test_overlap_with_other_files_is_logged_with_counts(caplog):
    val = labelled(["text 1", "new"], ["pos", "neg"])
    test = labelled(["text 1", "text 2", "Text 3", "new"], ["pos", "neg"] * 2, name="test.csv")
    summary = prepare([many()], TrainSettings(folds=0), val=val, test=test).summary
    assert summary["overlap_with_test"] == 3
    assert "1 validation row holds a text that is also trained on (50 %)" in said(caplog)
    assert "3 test rows hold a text that is also trained on (75 %)" in said(caplog)


def test_a_test_file_may_share_texts_with_the_held_back_rows():
    prepared = prepare([many()], TrainSettings(folds=0), test=many())
    assert prepared.summary["overlap_with_test"] == 90


def test_unknown_labels_of_another_file_are_named(caplog):
    val = labelled(["a", "b", "c"], ["pos", "mixed", "neg"], name="val.csv")
    assert len(prepare([many()], TrainSettings(folds=0), val=val).validation.texts) == 2
    assert "val.csv: left out 1 row without a known label; unknown: 'mixed'" in said(caplog)


def test_a_validation_file_without_a_known_label_is_refused():
    with pytest.raises(InputError, match=r"val\.csv holds no row"):
        prepare([many()], TrainSettings(folds=0), val=labelled(["a"], [None], name="val.csv"))


def test_a_class_that_no_row_has_is_not_learned(caplog):
    rows = labelled([f"text {n}" for n in range(60)], [0, 4, 3] * 20)
    prepared = prepare([rows], TrainSettings(folds=0), test=labelled(["a", "b", "c"], [4, 2, 0]))
    assert prepared.mapping.labels == ("very negative", "positive", "very positive")
    assert prepared.mapping.encode([0, 1, 3, 4]).codes.tolist() == [0, -2, 1, 2]
    assert set(prepared.training.codes.tolist()) == {0, 1, 2}
    assert list(zip(prepared.test.texts, prepared.test.codes.tolist(), strict=True)) == [("a", 2), ("c", 0)]
    assert "no training row has the label" in said(caplog)


@pytest.mark.parametrize("what", ["val", "test"])
def test_a_file_with_only_untrained_classes_is_refused(what):
    rows = labelled([f"text {n}" for n in range(60)], [0, 4, 3] * 20)
    other = labelled(["b", "c"], [2, 2], name="other.csv")
    with pytest.raises(InputError, match=r"^other\.csv holds no row of a class to train on: 'very negative'"):
        prepare([rows], TrainSettings(folds=0), **{what: other})


def test_stars_are_mapped_by_the_cut_points_given():
    rows = labelled([f"text {n}" for n in range(100)], [1, 2, 3, 4, 5] * 20, column="stars")
    default = prepare([rows], TrainSettings(folds=0))
    assert (default.mapping.labels, default.summary["label_unknown"]) == (("negative", "positive"), {"3": 20})
    three = prepare(
        [rows], TrainSettings(folds=0), label_settings=LabelSettings(stars="negative=1-2,neutral=3,positive=4-5")
    )
    assert np.bincount(three.training.codes).tolist() == [36, 18, 36]


@pytest.mark.parametrize(
    ("texts", "labels", "words"),
    [
        ([], [], r"^reviews\.csv: there are no rows to learn from"),
        (["a", "b"], [None, None], "no labels at all"),
        (["a", "b", "c"], ["pos"] * 3, "only 'pos'"),
        (["a", "b"], [5, 4], "only 'positive'"),
        (["a", "a", "a", "a"], ["pos", "neg"] * 2, r"^all 4 rows hold the same text.*`text_column`"),
        (["a", "A"] * 3 + ["b", "b "], ["pos", "neg"] * 4, r"^each of the 2 different texts .*several labels.*correct"),
        (
            ["a", "A"] * 3 + ["b"],
            ["pos", "neg"] * 3 + ["pos"],
            r"too few different texts.*6 rows have a text with several",
        ),
        (["a", "b", "c"], ["pos", "pos", "neg"], r"only 'pos'.*'neg' is unknown or too rare"),
        (["a", "b"], ["pos", "neg"], "2 different values in 2 rows.*give more rows"),
        (
            [f"text {n}" for n in range(40)],
            ["LABEL_0", "LABEL_1"] * 20,
            "'LABEL_0', 'LABEL_1' are placeholders.* as in .labels_map=.LABEL_0=negative,LABEL_1=positive",
        ),
    ],
)
def test_rows_that_teach_nothing_are_refused_in_words(texts, labels, words):
    with pytest.raises(InputError, match=words):
        prepare([labelled(texts, labels)], TrainSettings(folds=0))


def test_a_class_in_one_group_never_leaves_one_class_to_train():
    refused = 0
    for seed in range(20):
        rows = labelled(
            [f"text {n}" for n in range(11)],
            ["pos"] * 2 + ["neg"] * 9,
            groups=list("aaaaa") + list("bbb") + list("ccc"),
        )
        try:  # to refuse is right, too
            prepared = prepare([rows], TrainSettings(seed=seed, val_size=0.5))
        except InputError as error:
            refused += "too few different groups" in str(error)
            continue
        assert set(prepared.training.codes.tolist()) == {0, 1}
        assert len(prepared.validation.texts)
    assert 0 < refused < 20


def test_a_single_group_of_everything_is_refused_in_words():
    with pytest.raises(InputError, match=r"too few different groups.*`val_file`"):
        prepare([many(groups=["one"] * 100)], TrainSettings(folds=0))


def test_a_group_column_in_some_of_the_files_is_enough():
    files = [many(40, groups=["film"] * 40), labelled([f"more {n}" for n in range(40)], ["neg", "pos"] * 20)]
    training, validation = of(prepare(files, TrainSettings(folds=0)))
    assert {text.split()[0] for text, _ in validation} == {"more"}
    assert len(training) + len(validation) == 80


def test_words_that_say_that_there_is_no_label_are_named(caplog):
    texts = [f"text {n}" for n in range(90)]
    summary = prepare([labelled(texts, ["pos", "neg", "None"] * 30)], TrainSettings(folds=0)).summary
    assert (summary["label_missing"], summary["label_missing_written"]) == (30, {"None": 30})
    assert "30 rows without a label, 'None' (30) among them" in " ".join(said(caplog).split())


def test_a_limit_takes_its_share_of_a_text_that_repeats():
    texts = ["good"] * 300 + [f"text {n}" for n in range(700)]
    for seed in range(6):
        rows = labelled(texts, ["pos"] * 300 + ["neg", "pos"] * 350)
        summary = prepare([rows], TrainSettings(limit=100, seed=seed, folds=0)).summary
        assert 15 < summary["repeated"] + 1 < 45


def test_one_class_is_named_with_its_rows_and_a_cure():
    with pytest.raises(InputError, match=r"only 'pos' \(20 rows\).*another class.*`label_column`\.$"):
        prepare([labelled([f"text {n}" for n in range(20)], ["pos"] * 20)], TrainSettings(limit=50, folds=0))
    with pytest.raises(
        UsageError, match=r"holds '-' in 10 rows, which may be the negative label or stand for no label"
    ):
        prepare([labelled([f"text {n}" for n in range(20)], ["+", "-"] * 10)], TrainSettings(folds=0))


def test_an_assumed_order_is_noted_with_its_setting():
    rows = labelled([f"text {n}" for n in range(60)], [0, 1, 2] * 20)
    (note, *_) = prepare([rows], TrainSettings(folds=0)).notes
    assert note.startswith("the order of the labels is assumed (0 -> negative, 1 -> neutral, 2 -> positive)")
    assert note.endswith('If it is another, name it, as in `stars="negative=2,neutral=1,positive=0"`')
    assert not prepare([labelled([f"text {n}" for n in range(60)], [0, 1] * 30)], TrainSettings(folds=0)).notes


def test_a_value_of_no_answer_that_never_occurs_is_noted():
    rows = labelled([f"text {n}" for n in range(60)], [0, 1, 9] * 20)
    said = LabelSettings.parse(no_answer="9,99")
    notes = prepare([rows], TrainSettings(folds=0), label_settings=said).notes
    assert notes == ("`no_answer` names '99', but no label is '99'",)


def test_another_coding_in_a_validation_file_is_a_question():
    rows = labelled([f"text {n}" for n in range(60)], [0, 1, 2] * 20)
    other = labelled([f"other {n}" for n in range(20)], [0, 1] * 10, name="other.csv")
    for files in ({"val": other}, {"test": other}):
        with pytest.raises(UsageError, match=r"other\.csv: column 'label' holds '0', '1', which alone mean 0 -> neg"):
            prepare([rows], TrainSettings(folds=0), **files)
    with pytest.raises(UsageError, match=r"other\.csv has|other\.csv 0 -> negative"):
        prepare([rows, other], TrainSettings(folds=0))


def test_a_limit_that_leaves_one_class_names_itself_as_the_cure():
    rows = labelled([f"text {n}" for n in range(200)], ["pos"] * 198 + ["neg"] * 2)
    with pytest.raises(InputError, match=r"only rows of 'pos'.*Raise `limit`\.$"):
        prepare([rows], TrainSettings(limit=2))


def test_unknown_labels_of_another_file_name_the_file():
    foreign = labelled(["a", "b"], ["red", "blue"], name="held.csv")
    with pytest.raises(InputError, match=r"^held\.csv: .*`label_column`"):
        prepare([many()], TrainSettings(folds=0), val=foreign)


def test_conflicting_labels_are_named_after_a_class_is_dropped(caplog):
    """Nobody gave three stars, so `neutral` goes, and the classes after it have other numbers."""
    texts = [f"text {n}" for n in range(60)] + ["a text of both"] * 2
    rows = labelled(texts, [1, 5] * 31, column="stars")
    prepared = prepare(
        [rows], TrainSettings(folds=0), label_settings=LabelSettings(stars="negative=1-2,neutral=3,positive=4-5")
    )
    assert prepared.mapping.labels == ("negative", "positive")
    assert "'a text of both' (negative, positive)" in said(caplog)


def test_texts_in_the_label_column_are_counted_and_not_kept(caplog):
    rows = many()
    rows.texts.extend(f"more {n}" for n in range(60))
    rows.labels.extend(f"patient {n} said that the nurse was rude" for n in range(60))
    summary = prepare([rows], TrainSettings(folds=0)).summary
    assert (summary["label_unknown"], summary["label_unknown_rows"]) == ({}, 60)
    assert "60 rows with a label of no class\n" in said(caplog) + "\n"
    rows.labels[-60:] = [f"odd {n}" for n in range(60)]
    summary = prepare([rows], TrainSettings(folds=0)).summary
    assert (len(summary["label_unknown"]), summary["label_unknown_rows"]) == (20, 60)


def test_a_group_column_of_few_groups_is_named():
    with pytest.raises(InputError, match=r"the 100 rows form 1 group by 'group'\. Leave `group_column` out, name"):
        prepare([many(groups=["one"] * 100)], TrainSettings(folds=0))


def test_test_labels_that_are_read_in_another_way_are_reported():
    stars = labelled([f"text {n}" for n in range(100)], [1, 2, 3, 4, 5] * 20)
    low = labelled([f"low {n}" for n in range(10)], [1, 2] * 5, name="low.csv")
    assert prepare([stars], TrainSettings(folds=0), test=low).test.codes.tolist() == [0] * 10
    words = labelled([f"word {n}" for n in range(10)], ["pos", "neg"] * 5, name="words.csv", column="said")
    words = replace(words, input=InputDescription(text_columns=("text",), label_column="said"))
    stars = replace(stars, input=InputDescription(text_columns=("text",), label_column="stars"))
    found = prepare([stars], TrainSettings(folds=0), test=words)
    assert sorted(found.test.codes.tolist()) == [0] * 5 + [1] * 5
    (first, as_stars), (second, as_words) = found.inputs
    assert (first, second) == (stars.name, "words.csv")
    assert as_stars.label_mapping == {"1-2": "negative", "4-5": "positive"}
    assert (as_stars.assumed, as_words.label_column) == (("label_mapping",), "said")
