import pytest

from sentiment_batch.data.usual_names import (
    LABEL_NAMES,
    LONG_TEXT_NAMES,
    TEXT_NAMES,
    find_usual_name,
    list_label_names,
    simplify_name,
)


def test_no_name_stands_twice_in_a_list_or_in_another_form():
    for names in (TEXT_NAMES, LONG_TEXT_NAMES, LABEL_NAMES):
        assert len(set(names)) == len(names)
        assert [name for name in names if simplify_name(name) != name] == []


@pytest.mark.parametrize(
    "name",
    [
        *("review_body", "reviewText", "review_text", "tweet", "Message", "feedback", "Rezension", "Kommentar", "Avis"),
        *("reseña", "Comentario", "recensione", "comentário", "recensie", "komentarz", "отзыв", "yorum", "ulasan"),
        *("评论", "内容", "レビュー", "리뷰", "نص"),
    ],
)
def test_usual_names_of_texts_are_known(name):
    assert find_usual_name(["id", name, "date"], TEXT_NAMES) == name


@pytest.mark.parametrize(
    "name",
    [
        *("labels", "polarity", "airline_sentiment", "rate", "ratings", "star_rating", "overall", "sentiment_label"),
        *("Bewertung", "note", "puntuación", "voto", "nota", "beoordeling", "ocena", "оценка", "puan", "sentimen"),
        *("标签", "情感", "评分", "評価", "평점", "تقييم", "Human Label", "sentence sentiment", "userRating"),
        *("gold_label", "Ground Truth", "NPS", "nps_score"),
    ],
)
def test_usual_names_of_labels_are_known(name):
    assert list_label_names(["id", name, "date"]) == [name]


def test_names_of_decomposed_letters_are_known():
    assert find_usual_name(["resen\u0303a"], TEXT_NAMES) == "resen\u0303a"


def test_plain_names_come_before_others():
    names = ["human_label", "rating", "label", "sentiment_confidence"]
    assert list_label_names(names) == ["label", "rating", "human_label", "sentiment_confidence"]
    assert list_label_names(["generated", "labelled_by", "starship"]) == []
