import json
import re

import pyarrow as pa
import pytest

from sentiment_batch.data.label_columns import LabelColumns, find_label_column
from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.files.checksums import checked_json
from sentiment_batch.labels.settings import UNSAID, LabelSettings


def find(chosen=None, texts=("text",), settings=UNSAID, **columns) -> str:
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
        manifest["output_columns"][2:4] = [f"{name}: string", f"{name}_score: float"]
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


@pytest.mark.parametrize("column", [[["good"], ["bad"]] * 5, ["['good']", "['bad']"] * 5, ["[0]", "[1]"] * 5])
def test_lists_are_no_labels(column):
    with pytest.raises(UsageError, match=r"'label' holds lists, which are no labels\. Write one label in each row"):
        find(text=TEXTS, label=column)


def test_words_in_brackets_are_labels():
    assert find(text=TEXTS, label=["[POS]", "{neg}"] * 5) == "label"
