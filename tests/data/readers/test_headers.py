"""Which first rows are headers, and what the reader of CSV makes of titles, comments and repeated headers."""

from __future__ import annotations

import pandas as pd
import pytest

from sentiment_batch.data.readers.csv import CsvReader
from sentiment_batch.data.readers.header import find_data_cell, find_header_row, find_kind
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.records import Dialect, ReadOptions
from tests.data.readers.helpers import read

REVIEWS = [
    "A sturdy chair, easy to build.",
    "The lamp broke on day two",
    "Fine",
    "I would buy this kettle again, truly!",
    "Not for me",
    "The manual is missing, and nobody answers.",
]
LABELS = ["pos", "neg", "neutral", "pos", "neg", "neg"]
FRAME = pd.DataFrame({"opinion": REVIEWS, "verdict": LABELS, "grade": [5, 1, 3, 5, 2, 1]})


def split(text: str) -> list[list[str]]:
    return [line.split("|") for line in text.splitlines()]


@pytest.fixture
def load(tmp_path):
    """Reads text as a CSV file; gives a dictionary of columns."""

    def load(data: str, name: str = "reviews.csv", **options):
        (tmp_path / name).write_text(data, encoding="utf-8", newline="")
        return read(CsvReader, tmp_path / name, **options).to_pydict()

    return load


def refused(load, data: str, name: str = "reviews.csv", **options) -> str:
    with pytest.raises(InputError) as caught:
        load(data, name, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value).rpartition(name)[2]


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        *[(cell, "") for cell in ("", " ", "NA", "n/a", "NULL", "\\N", "-", "?")],
        *[(cell, "number") for cell in ("4", "-1", "1,234.50", "1e5", "$ 9.99", "50 %", "1 234")],
        ("2019", "year"),
        *[
            (cell, "date")
            for cell in ("2024-05-01", "01.05.24", "Mon Apr 06 22:19:45 PDT 2009", "May 1, 2020", "10:11")
        ],
        *[(cell, "url") for cell in ("https://example.org/a", "www.example.org", "anna@example.org")],
        *[(cell, "prose") for cell in ("Great!", "It was fine.", "Sturdy chair, works well", "质量太差了，不推荐购买")],
        *[(cell, "word") for cell in ("text", "Customer feedback", "No.", "Score (1-5)", "评论内容", "отзыв")],
    ],
)
def test_values_have_a_kind(cell, kind):
    assert find_kind(cell) == kind


HEADERS = [
    "id|text|stars\n1|good|5\n2|bad|1",
    "opinion|verdict\nA sturdy chair, easy to build.|pos\nThe lamp broke, sadly.|neg",
    "frage|antwort\nja|nein\nnein|ja",
    "|opinion\n0|good\n1|bad",
    "0|1|2\ngood|pos|5\nbad|neg|1",
    "0|1\ngood|5\nbad|1",
    "item|2019|2020\nchair|10|20\nlamp|4|5",
    "item|1|2|3\nchair|10|20|1\nlamp|4|5|2",
    "item|50%|90%\nchair|1|2\nlamp|3|4",
    "item|2024-01-01\nchair|1\nlamp|3",
    "Timestamp|What did you like, in your own words?\n2024/01/02 10:11|The legs, mostly.\n2024/01/03 10:11|Not much.",
    "Name|Please tell us in your own words what you think\nanna|The staff was friendly.\nbert|It took three weeks.",
    "v1|v2|||\nham|See you at the station, then.|||\nspam|Win a prize now, today only!|||",
    "positive|negative|opinion\n1|0|good\n0|1|bad",
    "评论内容|标签\n物流很快，包装完好，非常满意。|1\n质量太差了，不推荐购买|0",
    "text",
    "review\nGood, cheap\nBad, dear",
    "Comments, if any\nGood\nBad, dear",
    "text|label\ntext|label\ngood|pos",
    "item|2019",
]
DATA = [
    ("0|1001|Mon Apr 06|user_a|The second season is a let-down.\n4|1002|Tue Apr 07|user_b|Finally it fits!", 4),
    ("the lamp was missing half of its parts |0\na chair of rare comfort|1\nno", 0),
    ("A sturdy chair|pos\nThe lamp broke|neg\nNice|pos", 1),
    ("A sturdy chair|1\nThe lamp broke|0", 1),
    ("http://example.org/1|Nice chair\nhttp://example.org/2|Bad lamp", 0),
    ("5|NA|A sturdy chair, really.\n4|x|It was fine.\n1|y|Bad lamp, bad shop.", 2),
    ("1|good|5\n2|bad|1\n3|odd|3", 0),
    ("1|物流很快，包装完好，非常满意。\n0|质量太差了，不推荐购买", 1),
    ("__label__2 Sturdy chair: my mother loves it.\n__label__1 The lamp broke within a week, sadly.", 0),
    ("A sturdy chair, works well\nFine lamp\nOdd kettle", 0),
    ("A sturdy chair, works well.", 0),
    ("A sturdy chair|1", 1),
]


@pytest.mark.parametrize("table", HEADERS)
def test_a_row_of_names_is_a_header(table):
    rows = split(table)
    assert (find_header_row(rows), find_data_cell(rows)) == (0, None)


@pytest.mark.parametrize(("table", "shown"), DATA)
def test_a_row_of_data_is_no_header(table, shown):
    rows = split(table)
    assert (find_header_row(rows), find_data_cell(rows)) == (0, rows[0][shown])


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ("Customer reviews\nid|text|stars\n1|good|5\n2|bad|1", 1),
        ("Customer reviews||\nid|text|stars\n1|good|5\n2|bad|1", 1),
        ("Reviews of|November\ntext|label\ngood|pos\nbad|neg", 0),
        ("Reviews| 2024\ntext|label\ngood|pos\nbad|neg", 1),
        ("Exported by|Anna||\nDate|2024-01-01||\nid|text|stars|language\n1|good|5|en\n2|bad|1|en", 2),
        ("# tool 1.2\n# rows: 2\ncol1|col2\n1|good\n2|bad", 2),
        ("a bad line\ncol1|col2\n1|good\n2|bad", 1),
        ("Export\nreview\nGood\nBad, dear", 1),
        ("Export\nGood\nBad, dear", 0),
        ("|text\nr1|good\nr2|bad", 0),
        ("|frage|\na|b|c\nd|e|f", 0),
        ("x", 0),
    ],
)
def test_a_header_below_a_title_is_found(table, found):
    assert find_header_row(split(table)) == found


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize(
    "frame", [FRAME, pd.DataFrame(FRAME.to_numpy()), FRAME[["opinion"]], FRAME.grade, FRAME.opinion]
)
def test_what_pandas_exports_is_read_unasked(load, frame, index):
    assert len(next(iter(load(frame.to_csv(index=index)).values()))) == len(FRAME)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("\n".join(REVIEWS), "reviews.csv"),
        ("\n".join(f'"{review}",{label}' for review, label in zip(REVIEWS, LABELS, strict=True)), "reviews.csv"),
        ("\n".join(f"{review};{label};" for review, label in zip(REVIEWS, LABELS, strict=True)), "reviews.csv"),
        ("\n".join(f"{review}\t{label}" for review, label in zip(REVIEWS, LABELS, strict=True)), "reviews.tsv"),
    ],
)
def test_a_missing_header_is_a_question_with_two_answers(load, data, name):
    message = refused(load, data, name)
    assert "the first row looks like data" in message
    assert "`header=False`, which calls the columns column_1" in message
    assert "names the columns with `header=True`" in message
    assert load(data, name, header=False)["column_1"] == REVIEWS
    assert list(load(data, name, header=True).values())[0] == REVIEWS[1:]  # noqa: RUF015 - clearer beside the other


def test_without_a_header_the_columns_are_numbered(load):
    data = "1,good,5\r\n2,bad,1\r\n"
    assert load(data, header=False) == {"column_1": ["1", "2"], "column_2": ["good", "bad"], "column_3": ["5", "1"]}
    assert "line 3: 2 fields where the first row has 3" in refused(load, data + "3,odd\r\n", header=False)
    assert "is empty" in refused(load, "", header=False)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("Customer reviews export\nid,text,stars\n1,good,5\n2,bad,1\n", 2),
        ("Customer reviews, export of November\nid,text,stars\n1,good,5\n2,bad,1\n", 2),
        ("Customer reviews\n\nid,text,stars\n1,good,5\n2,bad,1\n", 3),
        ("Report date: 2024-05-01\nid;name;text\n1;a;good\n2;b;bad, really\n", 2),
        ("Customer reviews,,\n,,\nid,text,stars\n1,good,5\n2,bad,1\n", 3),
        ("some line\nCOL1\ttext\n1.5\tgood\n2.5\tb\n", 2),
        ('"A title\nin two lines"\nid,text\n1,good\n2,bad\n', 3),
    ],
)
def test_a_title_is_a_question_with_two_answers(load, data, line):
    message = refused(load, data)
    assert f"line {line} looks like the header" in message
    assert f"`skip_rows={line - 1}`" in message
    assert "`header=True`" in message
    assert "good" in load(data, skip_rows=line - 1).get("text", ["good"])
    assert "looks like" not in str(load(data, header=True, on_bad_row=lambda problem: None))


def test_a_title_above_bare_rows_does_not_make_one_column(load):
    data = "Customer reviews export\n1,Great film,5\n2,Awful film,1\n3,Odd film,2\n"
    message = refused(load, data)
    assert "line 1 is one field, but most lines below have 3 fields separated by ','" in message
    assert "`skip_rows=1`" in message
    assert load(data, skip_rows=1, header=False)["column_3"] == ["5", "1", "2"]
    assert load(data, header=True)["Customer reviews export"][0] == "1,Great film,5"
    assert "line 2: 3 fields where the first row has 1" in refused(load, data, header=False)


def test_sentences_with_one_comma_each_are_one_column(load):
    reviews = ["Good, cheap", "Bad, dear", "Fine, ok", "No, never", "Yes, yes"]
    assert load("\n".join(["review", *reviews])) == {"review": reviews}


def test_comments_are_left_out_but_not_inside_a_cell(load):
    data = '# tool 1.2\n# "rows: 2\nid,text\n1,"good\n# fine"\n#2,lost\n3,#fail\n'
    assert load(data, comment="#") == {"id": ["1", "3"], "text": ["good\n# fine", "#fail"]}
    assert "`skip_rows=2`, or say" in refused(load, "# tool\n# rows\nid,text\n1,good\n#2,bad\n"), "no comments below"
    assert '`skip_rows=1` or with `comment="#"`' in refused(load, "# tool\nid,text\n1,good\n2,bad\n")


@pytest.mark.parametrize("comment", [None, "#"])
def test_places_count_skipped_lines_and_comments(load, comment):
    reported = []
    data = '"broken title\n#\nid,text\n1,good\n#\n2\n\n3,"a\nb",c\n'.replace("#", "#" if comment else "")
    load(data, skip_rows=2, comment=comment, on_bad_row=reported.append)
    assert [(problem.where.rpartition(" ")[2], problem.original) for problem in reported] == [
        ("6", b"2"),
        ("8", b'3,"a\nb",c'),
    ]
    assert "line 6: 1 field where the header has 2" in refused(load, data, skip_rows=2, comment=comment)


def test_blank_lines_of_one_column_are_rows_but_no_comments(load):
    assert load("#\ntext\n\n#\ngood\n", comment="#") == {"text": ["", "good"]}
    assert load("\ngood\n\n", header=False) == {"column_1": ["", "good", ""]}


def test_skipping_more_lines_than_there_are_is_named(load):
    assert "holds no row after the 9 lines that `skip_rows` skips" in refused(load, "id,text\n1,good\n", skip_rows=9)


@pytest.mark.parametrize("setting", ["comment", "escape"])
@pytest.mark.parametrize("value", ["", "##", '"', "\n"])
def test_a_comment_or_an_escape_is_one_character(load, setting, value):
    with pytest.raises(UsageError, match=f"`{setting}` takes one character"):
        load("id,text\n1,good\n", **{setting: value})


@pytest.mark.parametrize("repeat", ["id,text", "\ufeffid,text", '"id","text"', '\ufeff"id","text"'])
def test_a_header_that_repeats_is_never_a_row(load, repeat):
    data = f"id,text\n1,good\n{repeat}\n2,bad\n"
    assert "line 3: the row repeats the header" in refused(load, data)
    reported = []
    assert load(data, on_bad_row=reported.append) == {"id": ["1", "", "2"], "text": ["good", "", "bad"]}
    assert [(problem.row, problem.reason) for problem in reported] == [(1, "the row repeats the header")]
    assert reported[0].original == repeat.encode()
    assert load(data, header=False)["column_2"] == ["text", "good", "text", "bad"]


def test_one_value_that_equals_the_header_is_a_row(load, caplog):
    assert load("text\ngood\ntext\n") == {"text": ["good", "text"]}
    assert "line 3: the value equals the header, 'text'; it is read as a row" in caplog.text


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        (r'"He said \"wow\" to me"', 'He said "wow" to me'),
        (r'"over, \"wow\""', 'over, "wow"'),
        (r"Great\, really", "Great, really"),
        (r'"a ""b"" \"c\""', 'a "b" "c"'),
        (r"C:\new\\old", r"C:\new\old"),
        (r"\N", r"\N"),
        ("two\\\nlines", "two\nlines"),
    ],
)
def test_escapes_are_read_and_other_backslashes_stay(load, cells, text):
    assert load(f"id,text\n1,{cells}\n2,plain\n", escape="\\") == {"id": ["1", "2"], "text": [text, "plain"]}


@pytest.mark.parametrize("cells", [r'"He said \"wow\" to me"', r'"over, \"wow\""', r"Great\, really"])
@pytest.mark.parametrize("before", [0, 9_000])
@pytest.mark.parametrize("mark", [False, True])
def test_the_error_for_a_backslash_names_the_setting(load, cells, before, mark):
    data = "id,text\n" + "0,a row of quite some characters\n" * before + f"1,{cells}\n2,plain\n"
    if mark and before:
        return  # far below the sample it is a bad row like others
    message = refused(load, data, on_bad_row=(lambda problem: None) if mark else None)
    assert f"line {before + 2:,}: " in message
    assert '`escape="\\\\"`' in message


def test_blanks_between_delimiters_and_quotes_are_skipped(load, caplog):
    assert load('id, text, stars\n1, "Great, really", 5\n2, "Bad", 1\n') == {
        "id": ["1", "2"],
        "text": ["Great, really", "Bad"],
        "stars": ["5", "1"],
    }
    assert "the blanks after the delimiters are left out, because quotes follow them" in caplog.text


@pytest.mark.parametrize(
    ("data", "first"),
    [
        ("Sehr gut;0,5\nSchlecht;0,1\nNaja;0,3\n", ["Sehr gut", "Schlecht", "Naja"]),
        ('1, "Great, really", 5\n2, "Bad", 1\n', ["1", "2"]),
        ("Great, really\nBad\nWell, so, so\n", ["Great, really", "Bad", "Well, so, so"]),
        ("a\tb, c\nd\te\n", ["a", "d"]),
    ],
)
def test_the_delimiter_is_found_without_a_header(load, data, first):
    assert load(data, header=False)["column_1"] == first


@pytest.mark.parametrize("cell", ['" ""x"" y"', ' x "y"', ' "x" y'])
def test_other_blanks_stay(load, cell, caplog):
    assert load(f"id,text\n1,{cell}\n2, y\n")["text"][1] == " y"
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("lines", "cure"),
    [
        (["text:label", "Great:pos", "Bad:neg"], "Name the character between them with `delimiter=':'`"),
        (
            ['"label,""text"""', '"pos,""Great"""', '"neg,""Bad"""'],
            "Remove the quotes around each whole line, and halve those inside",
        ),
    ],
)
def test_several_names_in_one_field_ask(load, lines, cure):
    data = "\n".join(lines) + "\n"
    assert f"looks like the names of several columns. {cure}, or say that it" in refused(load, data)
    assert len(load(data, header=True)) == 1
    assert load("Review: title\nGreat\n") == {"Review: title": ["Great"]}


R_ROWS = [["text", "label"], ["1", "Great, really", "pos"], ["2", "Bad", "neg"], ["17", "Fine", "pos"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
def test_the_numbers_of_rows_need_no_name(load, caplog, delimiter):
    data = "".join(delimiter.join(f'"{cell}"' for cell in row) + "\n" for row in R_ROWS)
    with pytest.raises(InputError, match="3 fields where the header has 2"):
        load(data, header=True)
    assert load(data) == {
        "column_1": ["1", "2", "17"],
        "text": ["Great, really", "Bad", "Fine"],
        "label": ["pos", "neg", "pos"],
    }
    assert "'' to 'column_1'" in caplog.text


def test_rows_may_end_with_a_delimiter(load):
    assert load("text,label\nGreat,pos,\nBad,neg,\nFine,pos,\n") == {
        "text": ["Great", "Bad", "Fine"],
        "label": ["pos", "neg", "pos"],
        "column_3": ["", "", ""],
    }


@pytest.mark.parametrize(
    "data",
    [
        "text,label\nGreat, really,pos\nBad, sad,neg\nFine, so,pos\n",
        "id,text\n1,good,so\n2,bad,sad\n3,fine,too\n",
        "text,label\n1,good, so\n2,bad, sad\n3,fine, too\n",
    ],
)
def test_other_rows_of_one_more_field_are_refused(load, data):
    assert "3 fields where the header has 2" in refused(load, data)


SURVEY = "Respondent ID,Start Date,How was it?\n,,Open-Ended Response\n" + "".join(
    f"11{at},2024-05-0{at},{text}\n" for at, text in enumerate(("Great", "So so", "Bad service", "Fine"), 1)
)
EXPLAINED = SURVEY.replace(",,Open-Ended Response", 'ID,Start date,"How was it, in a word?"\n{id},{start},{Q1}')


@pytest.mark.parametrize("data", [SURVEY, EXPLAINED, EXPLAINED.replace('ID,Start date,"How was it, in a word?"\n', "")])
def test_a_second_header_asks(load, data):
    message = refused(load, data)
    assert "line 2 looks like a second header (" in message
    assert message.endswith("Delete it, or say that it is data with `header=True`.")
    assert len(load(data, header=True)["How was it?"]) == data.count("\n") - 1


@pytest.mark.parametrize("row", ["1,,Open-Ended Response", ",,It was fine.", "1,2024-05-09,Response", ",,"])
def test_a_first_row_with_gaps_is_no_second_header(load, row):
    assert load(SURVEY.replace(",,Open-Ended Response", row))["How was it?"]


def test_the_dialect_says_what_was_assumed(tmp_path):
    (tmp_path / "a.csv").write_text("Title\nid;text\n1;good\n", encoding="utf-8")
    for options, assumed in (
        ({"header": True}, ("encoding",)),
        ({"encoding": "utf-8"}, ("header",)),
        ({}, ("encoding", "header")),
    ):
        reader = CsvReader(str(tmp_path / "a.csv"), ReadOptions(skip_rows=1, delimiter=";", **options))
        assert reader.dialect == Dialect(delimiter=";", encoding="utf-8", header=True, skip_rows=1, assumed=assumed)
        reader.close()
    (tmp_path / "a.csv").write_text("sep=|\ntext\ngood\n", encoding="utf-8")
    reader = CsvReader(str(tmp_path / "a.csv"), ReadOptions())
    reader.close()
    assert reader.dialect == Dialect(
        encoding="utf-8", header=True, skip_rows=1, assumed=("delimiter", "encoding", "header", "skip_rows")
    )


PSQL = " review | stars \n--------+-------\n Fine   |     3\n(1 row)\n"
MYSQL = "+--------+-------+\n| review | stars |\n+--------+-------+\n| Fine   |     3 |\n+--------+-------+\n"
MARKDOWN = "| review | stars |\n|:-------|------:|\n| Fine   |     3 |\n"


@pytest.mark.parametrize(("data", "line"), [(PSQL, 2), (MYSQL, 1), (MARKDOWN, 2), ("a title\n" + PSQL, 3)])
def test_a_table_drawn_with_lines_is_refused(load, data, line):
    skip_rows = int(data.startswith("a title"))
    message = refused(load, data, skip_rows=skip_rows)
    assert message.startswith(f", line {line}: this is a table drawn with lines of dashes")


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ("review\nWas it good? --\n|\n", {}),
        ("review\n--\n-- | --\n", {}),
        ("review\n-- | --\n", {"header": True}),
        ("review\n-- + --\n", {"delimiter": ","}),
    ],
)
def test_dashes_inside_a_text_are_no_drawn_table(load, data, options):
    assert list(load(data, **options)) == ["review"]
