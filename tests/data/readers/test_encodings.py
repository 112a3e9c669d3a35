import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.data.readers import byte_escapes
from sentiment_batch.data.readers.csv import CsvReader
from sentiment_batch.data.readers.encoding_candidates import rank_encodings
from sentiment_batch.data.readers.encodings import SAMPLE_BYTES
from sentiment_batch.data.readers.jsonl import JsonLinesReader
from sentiment_batch.errors import InputError, UsageError
from tests.data.readers.helpers import read

TEXTS = {
    "fr": "Le film était très bon, le café à côté est agréable\nUn garçon naïf et déçu\n",
    "word": "café\n",
    "de": "Schöne Bilder, aber größtenteils übertrieben und ärgerlich\n",
    "es": "La película está muy bien, ¿qué más quieres? El niño soñó\n",
    "pl": "Bardzo dobry film, świetna gra aktorów, żałuję że się skończył\nźle\n",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy\n",
    "ru": "Фильм очень понравился, актёры играют хорошо. Советую всем посмотреть\nПлохо\n",
    "el": "Η ταινία ήταν πολύ καλή και οι ηθοποιοί εξαιρετικοί\n",
    "tr": "Çok güzel bir film, şahane oyunculuk, ığdır İstanbul\n",
    "ja": "この映画はとても面白かったです。俳優もよかった、また見たい。\n",
    "zh": "这部电影非常好看，演员的表演很精彩。我很喜欢这个故事\n",
    "tw": "這部電影非常好看，演員的表演很精彩。我很喜歡這個故事\n",
    "ko": "이 영화는 정말 재미있었어요. 배우들의 연기가 좋았습니다.\n",
    "he": "הסרט היה מאוד טוב והשחקנים מצוינים\n",
    "ar": "كان الفيلم جيدا جدا والممثلون رائعون\n",
    "th": "หนังเรื่องนี้สนุกมาก นักแสดงเล่นดี\n",
    "marks": "It’s “great” – really…\n",
}
ENCODINGS = {
    "fr": ["cp1252", "mac-roman", "cp850"],
    "word": ["cp1252", "mac-roman", "cp850"],
    "de": ["cp1252", "cp437"],
    "es": ["cp1252", "mac-roman"],
    "pl": ["cp1250", "iso-8859-2", "cp852"],
    "cs": ["cp1250", "iso-8859-2"],
    "ru": ["cp1251", "koi8-r", "iso-8859-5", "cp866", "cp855"],
    "el": ["cp1253", "cp737", "cp869"],
    "tr": ["cp1254", "cp857", "mac-turkish"],
    "ja": ["shift_jis", "euc_jp"],
    "zh": ["gb18030"],
    "tw": ["big5"],
    "ko": ["euc_kr", "johab"],
    "he": ["cp1255", "cp862"],
    "ar": ["cp1256"],
    "th": ["cp874"],
    "marks": ["cp1252"],
}


@pytest.fixture
def refusal(tmp_path):
    """The error for bytes that are refused as a CSV file."""

    def refusal(data: bytes, name: str = "reviews.csv", **options) -> str:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError) as caught:
            read(CsvReader if name.endswith("csv") else JsonLinesReader, tmp_path / name, **options)
        message = str(caught.value)
        assert name in message
        assert "\n" not in message
        return message

    return refusal


# Candidates


@pytest.mark.parametrize(("key", "encoding"), [(key, one) for key, several in ENCODINGS.items() for one in several])
def test_the_first_candidate_gives_the_text_that_was_written(key, encoding):
    text = "id,text\n" + TEXTS[key].replace("’", "'" if key == "fr" else "’")
    data = text.encode(encoding)
    assert data.decode(rank_encodings(data)[0]) == text


def test_utf_16_without_a_mark_is_a_candidate_in_its_order():
    for encoding in ("utf-16-le", "utf-16-be"):
        for text in TEXTS.values():
            assert rank_encodings(text.encode(encoding)) == [encoding] or encoding == "utf-16-le"
        assert rank_encodings("text,n\ngood,1\n".encode(encoding)) == [encoding]


def test_noise_is_in_the_encoding_that_reads_anything():
    assert rank_encodings(bytes(range(1, 256)) * 3) == ["latin-1"]


@given(st.binary(max_size=200))
def test_some_candidate_decodes_any_bytes_or_nothing_is_claimed(data):
    found = rank_encodings(data)
    assert 1 <= len(found) <= 3
    if b"\0" not in data:
        for encoding in found:
            data.decode(encoding)


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.jsonl"])
def test_the_error_names_the_encodings_that_the_bytes_may_be_in(refusal, name):
    lines = TEXTS["ru"].splitlines()
    text = "text\n" + "\n".join(lines) if name.endswith("csv") else "".join(f'{{"a": "{line}"}}\n' for line in lines)
    message = refusal(text.encode("cp1251"), name)
    assert "byte 0xd4 at offset" in message
    assert "Name the file's encoding with `encoding`; going by the bytes it is cp1251" in message


def test_encodings_are_suggested_by_the_bytes_around_the_bad_one(refusal):
    before = b"text\n" + b"plain words\n" * 200_000
    for text, encoding in ((TEXTS["ja"], "euc_jp"), (TEXTS["pl"], "cp1250")):
        message = refusal(before + text.encode(encoding) + b"plain words\n" * 50_000)
        assert "line 200,002: " in message
        assert f"it is {encoding}" in message


def test_one_bad_byte_in_good_text_is_reported_as_damage(refusal):
    message = refusal("text\ncafé noir, thé, gâteau\n".encode() + b"caf\xe9\n")
    assert "The text around it is, so the line is damaged: repair it." in message
    assert "`encoding`" not in message


def test_errors_name_the_encoding_as_the_user_did(refusal):
    message = refusal("text\nПривет, это хорошо\n".encode("koi8-r"), encoding="shift-jis")
    assert "is not shift-jis" in message
    message = refusal("text\ncafé au lait à côté\n".encode(), encoding="ascii")
    assert "line 2: byte 0xc3 at offset 8 is not ascii. It is UTF-8: leave `encoding` out." in message


# Encodings that were named wrongly


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "koi8-r", "mac-roman", "cp437"])
def test_utf_8_under_another_name_is_an_error_and_no_mojibake(refusal, encoding):
    message = refusal("id,text\n1,naïve\n".encode(), encoding=encoding)
    assert f"is not {encoding}: it is valid UTF-8, whose first byte outside ASCII is at offset 12" in message
    assert message.endswith("Leave `encoding` out.")


def test_utf_8_of_some_length_is_no_chinese(refusal):
    assert "valid UTF-8" in refusal("text\nécole à côté\n".encode(), encoding="gb18030")


def test_two_characters_of_chinese_may_look_like_utf_8(tmp_path):
    data = "text\n陋隆\n".encode("gb18030")
    assert data.decode("utf-8")
    (tmp_path / "a.csv").write_bytes(data)
    assert read(CsvReader, tmp_path / "a.csv", encoding="gb18030").to_pydict() == {"text": ["陋隆"]}


def test_a_character_cut_by_the_end_of_the_sample_is_accepted(refusal):
    data = b"text\n" + b"x" * (SAMPLE_BYTES - 6) + "é\n".encode()
    assert data[SAMPLE_BYTES - 1 : SAMPLE_BYTES + 1] == "é".encode()
    assert f"whose first byte outside ASCII is at offset {SAMPLE_BYTES - 1:,}" in refusal(data, encoding="cp1252")


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.jsonl"])
def test_utf_8_that_begins_after_the_sample_is_found_at_the_end(refusal, name):
    csv = name.endswith("csv")
    row = b"plain\n" if csv else b'{"text": "plain"}\n'
    last = "café\n" if csv else '{"text": "café"}\n'
    data = (b"text\n" if csv else b"") + row * 60_000 + last.encode()
    assert f"at offset {len(data) - len(last.encode()) + last.index('é'):,}" in refusal(data, name, encoding="cp1252")


def test_bytes_that_are_no_utf_8_end_the_watch(tmp_path):
    data = b"text\n" + b"plain\n" * 60_000 + "Ã©\n".encode("cp1252") + b"caf\xe9\n"
    (tmp_path / "a.csv").write_bytes(data)
    assert read(CsvReader, tmp_path / "a.csv", encoding="cp1252")["text"].to_pylist()[-2:] == ["Ã©", "café"]


@pytest.mark.parametrize("named", ["utf-8", "cp1252", "ascii", "utf-16-be", "utf-32"])
def test_a_byte_order_mark_of_another_encoding_is_an_error(refusal, named):
    message = refusal("text\ncafé\n".encode("utf-16-le").join([b"\xff\xfe", b""]), encoding=named)
    assert (
        f"is not {named}: it begins, at offset 0, with the byte order mark of UTF-16. Leave `encoding` out." in message
    )
    if named != "utf-8":
        assert "mark of UTF-8" in refusal("text\nx\n".encode("utf-8-sig"), encoding=named)


def test_plain_text_is_no_utf_16(refusal):
    assert "it is plain ASCII, which is valid UTF-8" in refusal(b"text,n\nab,1\n\n", encoding="utf-16-le")
    assert "whose first byte outside ASCII is at offset 5" in refusal("text\né,1\n".encode(), encoding="utf-16-be")


def test_the_other_byte_order_is_named(refusal):
    data = "text,n\nПривет,1\n"
    assert 'Give `encoding="utf-16-be"`.' in refusal(data.encode("utf-16-be"), encoding="utf-16-le")
    assert 'Give `encoding="utf-16-le"`.' in refusal(data.encode("utf-16-le"), encoding="utf-16-be")


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("key", ["ru", "zh", "ja", "fr"])
def test_utf_16_without_a_mark_is_recognized_in_any_script(refusal, order, key):
    assert f'give `encoding="{order}"`' in refusal(f"id,текст\n1,{TEXTS[key]}".encode(order))


@pytest.mark.parametrize("data", [b"a,b\n1\0,2\n", b"a,b\n\0\0\0\0,1\n", b'a,b\n"x",\0\n'])
def test_text_with_some_zeros_is_not_taken_for_utf_16(tmp_path, data):
    (tmp_path / "a.csv").write_bytes(data)
    assert read(CsvReader, tmp_path / "a.csv").num_rows == 1


@pytest.mark.parametrize("encoding", ["utf-7", "unicode_escape", "raw_unicode_escape", "punycode", "idna"])
def test_encodings_of_no_file_are_wrong_usage(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes(b"a\n1\n")
    with pytest.raises(UsageError, match=f"`encoding`: {encoding} is not supported"):
        read(CsvReader, tmp_path / "a.csv", encoding=encoding)


# Escapes


RUNS = st.lists(st.tuples(st.binary(min_size=1, max_size=2), st.sampled_from([1, 1, 2, 70, 200])), max_size=8).map(
    lambda runs: b"".join(piece * times for piece, times in runs)
)


@given(
    RUNS,
    st.sampled_from(
        ["utf-8", "cp1252", "gb18030", "utf-16-le", "utf-32-be", "big5", "cp949", "shift_jis_2004", "euc_jp", "johab"]
    ),
)
def test_escapes_hold_the_bytes_and_give_what_replacing_gives(data, encoding):
    byte_escapes.register_handler()
    text = data.decode(encoding, byte_escapes.ESCAPE_HANDLER)
    assert byte_escapes.replace_escapes(text) == data.decode(encoding, "replace")
    # What a strict decoder cannot give, no file without bad bytes has.
    assert byte_escapes.has_escapes(text) == (text.encode("utf-8", "ignore").decode() != text)
    if encoding.startswith("utf") or encoding == "cp1252":  # others have two codes for some characters
        assert byte_escapes.restore_bytes(text, encoding) == data


@given(RUNS, st.integers(1, 80))
def test_escapes_do_not_depend_on_where_a_stream_is_cut(data, size):
    byte_escapes.register_handler()
    for encoding in ("utf-8", "gb18030", "utf-16-le", "euc_kr"):
        decoder = codecs.getincrementaldecoder(encoding)(byte_escapes.ESCAPE_HANDLER)
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        text = "".join(map(decoder.decode, pieces)) + decoder.decode(b"", final=True)
        assert text == data.decode(encoding, byte_escapes.ESCAPE_HANDLER)
