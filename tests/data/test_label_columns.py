import json
import re

import pyarrow as pa
import pytest

from sentiment_batch.data.label_columns import LabelColumns, extract_any_values, find_label_column
from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.files.checksums import checked_json
from sentiment_batch.labels.settings import NO_LABEL_SETTINGS, LabelSettings


def find(chosen=None, texts=("text",), settings=NO_LABEL_SETTINGS, **columns) -> str:
    return find_label_column(TableReader(pa.table(columns)), chosen, texts, settings)


WORDS = ["negative", "positive"] * 5
TEXTS = [f"a text of row {n}" for n in range(10)]


@pytest.mark.parametrize("name", ["label", "Sentiment", "TARGET", "class", "stars", "rating", "score", "Labels"])
def test_a_column_of_labels_is_found_by_its_name(name):
    assert find(text=TEXTS, **{name: WORDS}) == name


def test_a_label_column_comes_before_one_of_stars():
    assert find(stars=[1, 5] * 5, label=WORDS) == "label"
    assert find(stars=[1, 5] * 5, my_label=WORDS) == "stars"


def test_the_user_must_name_a_label_column_of_unknown_name():
    with pytest.raises(InputError, match=r"`label_column`; the columns are 'id', 'mood'"):
        LabelColumns(pa.schema([("id", pa.string()), ("mood", pa.string())]))
    assert find("mood", id=TEXTS, mood=WORDS) == "mood"


def test_labels_of_one_name_are_told_apart_by_the_user():
    schema = pa.schema([("text", pa.string()), ("label", pa.string()), ("label", pa.int64())])
    with pytest.raises(InputError, match=r"holds the labels: 'label' occurs 2 times, so rename all but one\. Name it"):
        LabelColumns(schema)


def test_likely_columns_are_named_first():
    others = {f"q{n}": ["x"] * 10 for n in range(15)}
    with pytest.raises(InputError, match=r'`label_column="liked"`; the columns are \'liked\', \'q0\''):
        find(texts=(), **others, content=TEXTS, liked=["yes", "no"] * 5)


def test_columns_with_words_of_both_sides_are_named_first():
    words = ["Positive", "Negative", "Irrelevant"] * 4
    with pytest.raises(InputError, match=r'`label_column="column_3"`; the columns are \'column_3\', \'column_1\''):
        find(texts=(), column_1=[1, 2] * 6, column_2=["A", "B"] * 6, column_3=words, column_4=[*TEXTS, "a", "b"])


def test_columns_by_which_rows_differ_are_a_question():
    stars = [1, 5] * 4 + [1, 1]
    question = r"'label' and 'rating' could both hold the labels, and they differ in 1 of 10 rows, such as positive "
    question += r'beside 1\. Name the right one: `label_column="label"` or `label_column="rating"`\.'
    with pytest.raises(UsageError, match=question):
        find(label=WORDS, rating=stars)
    assert find("rating", label=WORDS, rating=stars) == "rating"


def test_a_middle_that_one_column_lacks_is_no_difference():
    assert find(label=["negative", "neutral", "positive"] * 2, stars=[2, 3, 5] * 2) == "label"
    assert find(label=["negative", "neutral", "positive"] * 2, stars=[2, 4, 5] * 2) == "label"
    with pytest.raises(UsageError, match="differ"):
        find(label=["negative", "neutral", "positive"] * 2, sentiment=[-1, 0, 0, -1, 0, 1])


def test_a_column_that_holds_no_labels_is_no_rival():
    assert find(label=WORDS, score=[3, 17, 200, 1, 0, 5, 7, 8, 9, 11]) == "label"
    assert find(target=WORDS, label_source=["person", "program"] * 5) == "target"
    assert find(score=[3, 17, 200, 1, 0, 5, 7, 8, 9, 11], overall=[1, 5] * 5) == "overall"


def test_topics_are_no_rival_of_a_plainer_name():
    assert find(sentiment=WORDS, target=["screen", "price"] * 5, label_source=["person", "program"] * 5) == "sentiment"


def test_topics_beside_sentiments_are_a_question():
    with pytest.raises(UsageError, match="'target' and 'opinion' could both"):
        find(target=["screen", "price", "screen", "price", "price"] * 2, opinion=WORDS)


def test_words_decide_what_codes_beside_them_mean():
    codes, words = [2, 0, 1] * 3, ["Negativo", "Neutro", "Positivo"] * 3
    assert find(sentiment=codes, sentiment_label=words) == "sentiment_label"
    with pytest.raises(UsageError, match=re.escape('`stars="negative=2,neutral=0,positive=1"`')):
        find("sentiment", sentiment=codes, sentiment_label=words)
    answer = LabelSettings(stars="negative=2,neutral=0,positive=1")
    assert find("sentiment", sentiment=codes, sentiment_label=words, settings=answer) == "sentiment"
    assert find("sentiment", sentiment=[0, 1, 2] * 3, sentiment_label=words) == "sentiment"


def test_the_label_column_of_the_training_comes_first():
    columns = {"label": WORDS, "my stars": [1, 5, 5, 5, 1] * 2, "rating": [1, 2, 5, 4, 4] * 2}
    for trained, found in (("rating", "rating"), ("my stars", "my stars"), ("absent", None)):
        batch = pa.record_batch(columns)
        candidates = LabelColumns(batch.schema, trained=trained)
        candidates.add(batch)
        if found is None:
            with pytest.raises(UsageError, match="could both hold the labels"):
                candidates.choose()
        else:
            assert candidates.choose()[0].column == found


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *(("Content Rating", ["Everyone", "Teen"]), ("mpaa_rating", ["R", "PG-13"]), ("opinion_id", [0, 1])),
        *(("Rating date", ["2024-05-01", "2024-05-02"]), ("label_by", ["ann", "bob"]), ("rating_id", [1, 5])),
        *(("rating_source", ["app", "web"]), ("ratingHelpful", [True, False]), ("sentiment_model", ["good", "bad"])),
        *(("Rating date (UTC)", [1, 2]), ("date of rating", [1, 2]), ("has_label", [True, False])),
    ],
)
def test_a_column_about_a_label_is_none(name, values):
    with pytest.raises(InputError, match=r'cannot tell which column holds the labels.*`label_column="csat"`'):
        find(text=TEXTS, **{name: values * 5}, csat=[1, 5] * 5)
    assert find(name, text=TEXTS, **{name: values * 5}) == name


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *(("stars_given_by_user", [1, 5]), ("human_label", ["positive"]), ("app rating", [1, 7])),
        *(("Conversation rating", ["😃 Amazing", "😠 Terrible"]), ("my_sentiment", [True, False])),
    ],
)
def test_a_column_of_sentiments_is_found_by_a_word_of_its_name(name, values):
    assert find(text=TEXTS, **{name: (values * 10)[:10]}) == name


def test_a_text_column_is_never_proposed_for_the_labels():
    texts = ("Please explain your rating",)
    with pytest.raises(InputError, match=r'`label_column="How satisfied are you\?"`'):
        find(texts=texts, **{texts[0]: ["good", "bad"] * 5, "How satisfied are you?": [5, 1] * 5})


def test_a_positive_column_is_proposed_before_a_negative_one():
    ones = [0, 1] * 5
    with pytest.raises(InputError, match=r'such as with `label_column="is_positive"`'):
        find(text=TEXTS, is_negative=ones, is_positive=ones[::-1])
    with pytest.raises(UsageError, match=r'`label_column="label_positive"` or `label_column="label_negative"`'):
        find(text=TEXTS, label_negative=ones, label_positive=ones[::-1])


def test_columns_that_share_no_row_are_a_question():
    half, nothing = ["negative", "positive", None, None] * 3, [None, None, 1, 5] * 3
    with pytest.raises(UsageError, match="'label' and 'rating' could both hold the labels, and no row has a label in"):
        find(label=half, rating=nothing)
    assert find("label", label=half, rating=nothing) == "label"


# Predictions


@pytest.mark.parametrize("prefix", ["sentiment", "label"])
@pytest.mark.parametrize("score", [0.98, "0.9812", 1.0])
def test_predictions_of_a_scoring_are_no_labels(prefix, score):
    predicted = {prefix: WORDS, f"{prefix}_score": [score] * 10}
    with pytest.raises(InputError, match=rf'predictions of an earlier scoring.*`label_column="{prefix}"`\.$'):
        find(text=TEXTS, **predicted)
    assert find(prefix, text=TEXTS, **predicted) == prefix
    assert find(text=TEXTS, **predicted, rating=[1, 1, 5, 5, 1] * 2) == "rating"


def test_predictions_of_rows_without_texts_are_no_labels():
    nothing = [None] * 10
    with pytest.raises(InputError, match="predictions of an earlier scoring"):
        find(text=nothing, sentiment=nothing, sentiment_score=nothing)
    assert find(text=TEXTS, label=WORDS, label_score=nothing) == "label"


def test_the_manifest_of_a_scoring_names_predictions(tmp_path):
    manifest = {
        "output_columns": ["label: string", "label_score: int8", "mood: string", "mood_score: float", "x: int8"]
    }
    columns = pa.record_batch({"label": WORDS, "rating": [1, 5] * 5})
    for name, found in (("mood", "label"), ("label", "rating")):
        manifest["output_columns"][2:4] = [f"{name}: dictionary<values=string, indices=int8>", f"{name}_score: float"]
        (tmp_path / "out.csv.manifest.json").write_bytes(checked_json(manifest))
        candidates = LabelColumns(columns.schema, location=str(tmp_path / "out.csv"))
        candidates.add(columns)
        assert candidates.choose()[0].column == found


@pytest.mark.parametrize("scores", [[-0.9, 0.9] * 5, [1, 5] * 5, ["low", "high"] * 5, [None] * 10])
def test_other_columns_called_score_make_no_predictions(scores):
    assert find("label", label=WORDS, label_score=scores) == "label"
    assert find(text=TEXTS, sentiment=WORDS, sentiment_score=scores) == "sentiment"


# Objects and lists


@pytest.mark.parametrize("as_text", [False, True, "json"])
def test_objects_are_no_labels(as_text):
    objects = [{"a": n % 2, "sure": True} for n in range(10)]
    column = [json.dumps(one) if as_text == "json" else str(one) for one in objects] if as_text else objects
    with pytest.raises(
        UsageError, match=r"'label' holds objects with the keys 'a', 'sure'.*`label_column=\"label\.a\"`"
    ):
        find(text=TEXTS, label=column)
    assert find(text=TEXTS, label=column, sentiment=WORDS) == "sentiment"
    with pytest.raises(UsageError, match="'label' holds objects"):
        find("label", text=TEXTS, label=column, sentiment=WORDS)
    if not as_text:
        assert find("label.a", text=TEXTS, label=column) == "label.a"


@pytest.mark.parametrize("column", [[["good"], ["bad", "late"]] * 5, ["['good']", "['bad']"] * 5, ["[0]", "[1]"] * 5])
def test_lists_are_no_labels(column):
    with pytest.raises(UsageError, match=r"'label' holds lists such as \[.*, which are no labels\. Write one label in"):
        find(text=TEXTS, label=column)


def test_lists_of_one_label_are_labels():
    column = [["good"], ["bad"], None, []]
    assert find(text=[*TEXTS, "a", "b"], label=column * 3) == "label"
    assert extract_any_values(pa.RecordBatch.from_pydict({"label": column}), "label") == ["good", "bad", None, None]


def test_words_in_brackets_are_labels():
    assert find(text=TEXTS, label=["[POS]", "{neg}"] * 5) == "label"
