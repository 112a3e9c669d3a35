"""Two rows that could be the header: titles as wide as the table, and the second headers of surveys."""

from __future__ import annotations

import pytest

from sentiment_batch.data.readers.csv import CsvReader
from sentiment_batch.data.readers.header import check_header, find_header_row
from sentiment_batch.errors import InputError
from tests.data.readers.helpers import read

FILMS = ["The film was wonderful, and the plot was best.", "Hated it.", "The scene was loved, really.", "Awful, sadly."]


def split(text: str) -> list[list[str]]:
    return [line.split("|") for line in text.splitlines()]


def add_rows(head: str, row: str) -> list[list[str]]:
    """The rows of `head` above some rows of data; `row` names the places of a number, a date and a text."""
    data = [row.format(n=4 + at % 2, date=f"2024-05-0{at + 1}", text=text) for at, text in enumerate(FILMS * 2)]
    return split("\n".join([head, *data]))


def ask(rows: list[list[str]]) -> str:
    """What `check_header` says about some rows; an empty text if it says nothing."""
    try:
        check_header("a.csv", rows, range(1, len(rows) + 1))
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("# Export from ReviewTool| v2\nreview|stars", 2),
        ("Customer reviews| spring campaign\nreview|stars", 2),
        ("Filiale|Berlin\nKommentar|Sterne", 2),
        ("Source|Amazon\nreview|stars", 2),
        ("# export| v2\n# 2024\nreview|stars", 3),
        ("# export| v2\n# rows|120\nreview|stars", 3),
        ("Shop|Berlin\nYear|2024\nMonth|May\nreview|stars", 4),
    ],
)
def test_a_title_as_wide_as_the_table_is_found(head, line):
    message = ask(add_rows(head, "{text}|{n}"))
    assert f"line {line} looks like the header" in message
    assert f"`skip_rows={line - 1}`" in message
    assert ('`comment="#"`' in message) == head.startswith("#")


def test_a_title_above_usual_names_is_no_second_header():
    assert "line 2 looks like the header" in ask(add_rows("Report|Reviews|Final\nid|review|stars", "{n}|{text}|{n}"))
    assert "line 3 looks like the header" in ask(
        add_rows("Report|Reviews|\nPeriod|2024-05|\nid|review|stars", "{n}|{text}|{n}")
    )


@pytest.mark.parametrize(
    "table",
    [
        "term|synonym\nbook|volume\nreview|rating\ntitle|name\nnote|label",
        "Reviews of|November\ntext|label\ngood|pos\nbad|neg",
        "item|word\n" + "lamp|5\n" * 3 + "review|stars\n" + "lamp|5\n" * 3,
        "product|opinion\nlamp|It was fine.\nreview|text\nchair|It broke.\nsofa|So soft, so warm!",
    ],
)
def test_a_row_of_two_usual_names_may_be_data(table):
    assert find_header_row(split(table)) == 0


def test_comments_with_a_comma_are_a_question_in_a_file(tmp_path):
    (tmp_path / "a.csv").write_text("# export, v2\n# 2024\nreview,stars\n" + "Great,5\nBad,1\n" * 3, encoding="utf-8")
    with pytest.raises(InputError, match=r'line 3 looks .*`skip_rows=2` or with `comment="#"`'):
        read(CsvReader, tmp_path / "a.csv")
    assert read(CsvReader, tmp_path / "a.csv", comment="#").column_names == ["review", "stars"]


IDENTIFIERS = '{"ImportId": "a"}|{"ImportId": "b"}|{"ImportId": "c"}'


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("Start|Q1|Q2\nStart Date|How likely are you to recommend us to a friend?|Why?", "{date}|{n}|{text}"),
        (
            f"Start|Q1|Q2\nStart Date|How likely are you to recommend us to a friend?|Why?\n{IDENTIFIERS}",
            "{date}|{n}|{text}",
        ),
        ("Q1|Q2|Q3\nHow likely are you to come back to us?|How was it with us, all in all?|Why?", "{n}|{n}|{text}"),
        (f"Q1|Q2|Q3\nHow was it?|Where was it?|Why?\n{IDENTIFIERS}", "good|here|{text}"),
        ("Respondent ID|How was it?|Why?\n|Response|Open-Ended Response", "{n}|good|{text}"),
        ("Respondent ID|Start Date|How was it?||Why?\n|||Other (please specify)|Open-Ended Response", "1|{date}|a||b"),
        ("ID|Start Date|Please tell us in a few words why it was so.\n||Open-Ended Response", "{n}|{date}|{text}"),
        ("Start Date|How was it?|||||\n|Shop|Site|Food|Staff|Price|Open-Ended Response", "{date}|a|b|c|d|e|{text}"),
    ],
)
def test_the_second_header_of_a_survey_is_found(head, row):
    message = ask(add_rows(head, row))
    assert "line 2 looks like a second header (" in message
    assert message.endswith("Delete it, or say that it is data with `header=True`.")


@pytest.mark.parametrize("second", ["Start Date|How was it?|Why?", IDENTIFIERS])
def test_a_survey_of_one_answer_has_a_second_header(second):
    rows = split(f"Start|Q1|Q2\n{second}\n{IDENTIFIERS}\n2024-05-01|good|Fine.")
    assert "line 2 looks like a second header (" in ask(rows)


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("topic|answer|why\nfood|good|The food was fine, I think.", "staff|good|{text}"),
        ("id|date|why\nNA|n/a|It was fine.", "{n}|{date}|{text}"),
        ("id|why\n|Other (please specify)", "{n}|{text}"),
        ("id|date|why\n1|2024-05-01|Open-Ended Response", "{n}|{date}|{text}"),
        ("product|reason\nlamp|It broke on the second day, sadly.", "lamp|{n}"),
    ],
)
def test_a_first_row_of_words_or_sentences_may_be_data(head, row):
    assert ask(add_rows(head, row)) == ""


def test_a_title_with_gaps_is_no_survey():
    rows = add_rows("Report||\nPeriod||\nNumber|Verbatim|CSAT", "{n}|{text}|{n}")
    assert "line 3 looks like the header" in ask(rows)
