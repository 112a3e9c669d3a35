import json
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.data.column_paths import describe_type, find_field, find_root, list_paths
from sentiment_batch.data.columns import extract_texts, extract_values, find_path, read_column
from sentiment_batch.data.formats import open_reader
from sentiment_batch.data.labelled_rows import read_labelled_rows
from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.data.text_columns import check_column, detect_text_columns
from sentiment_batch.errors import InputError
from sentiment_batch.records import JSON_MARK

ROWS = [
    {"id": 1, "a.b": "own", "a": {"b": "inner", "c.d": "dotted", "n": {"text": "deep", "x": 5}}},
    {"id": 2, "a.b": None, "a": None},
    {"id": 3, "a.b": "x", "a": {"b": None, "c.d": "y", "n": None}},
]
BATCH = pa.RecordBatch.from_pylist(ROWS)
COMMENTS = [
    {"id": number, "review": {"text": f"A text that is long enough {number}", "stars": number}} for number in range(3)
]


@pytest.mark.parametrize(
    ("path", "root", "values"),
    [
        ("id", "id", [1, 2, 3]),
        ("a.b", "a.b", ["own", None, "x"]),
        ("a.c.d", "a", ["dotted", None, "y"]),
        ("a.n.text", "a", ["deep", None, None]),
        ("a.n.x", "a", [5, None, None]),
    ],
)
def test_a_path_leads_to_the_values_inside_a_column(path, root, values):
    field = find_field(BATCH.schema, path)
    assert field is not None
    assert (field.name, find_root(BATCH.schema, path)) == (path, root)
    assert read_column(BATCH, path)[0].to_pylist() == values
    assert read_column(BATCH.slice(1), path)[0].to_pylist() == values[1:]
    assert extract_values(BATCH, path) == values


@pytest.mark.parametrize("path", ["", "b", "a.", ".a", "a.x", "a.n.text.more", "id.x", "a..b"])
def test_a_path_that_leads_nowhere_is_no_column(path):
    assert find_field(BATCH.schema, path) is None
    assert find_root(BATCH.schema, path) == path
    with pytest.raises(InputError, match="no column"):
        check_column(BATCH.schema, path, "text_column")


def test_the_error_for_a_wrong_path_names_the_likely_one():
    with pytest.raises(InputError, match=r"no column 'a\.n\.txt'; did you mean 'a\.n\.text'\?"):
        check_column(BATCH.schema, "a.n.txt", "text_column")
    with pytest.raises(InputError, match=r"`columns` takes whole columns, and 'a\.n\.text' .*column 'a'\. Name 'a'"):
        check_column(BATCH.schema, "a.n.text", "columns", whole=True)
    with pytest.raises(InputError, match=r"no column 'a\.n\.txt'\. The columns are 'id', 'a\.b', 'a'\. Name"):
        check_column(BATCH.schema, "a.n.txt", "columns", whole=True)
    assert [path for path, _ in list_paths(BATCH.schema)] == [
        "id",
        "a.b",
        "a",
        "a.b",
        "a.c.d",
        "a.n",
        "a.n.text",
        "a.n.x",
    ]


@pytest.fixture
def reader(tmp_path):
    """Opens rows that are written to a file with the given ending."""

    def reader(rows: list, ending: str):
        path = tmp_path / f"rows{ending}"
        if ending == ".parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        elif ending == ".arrow":
            with pa.ipc.new_file(path, pa.Table.from_pylist(rows).schema) as writer:
                writer.write_table(pa.Table.from_pylist(rows))
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return open_reader(str(path))

    return reader


@pytest.mark.parametrize("ending", [".parquet", ".arrow", ".jsonl"])
def test_the_message_suggests_the_path_and_the_path_is_read(reader, ending):
    table = reader(COMMENTS, ending)
    with pytest.raises(InputError, match=r'Name it with `text_column="review\.text"`; the columns are'):
        detect_text_columns(table)
    assert detect_text_columns(table, ["review.text"]) == ["review.text"]
    [batch] = table.batches(table.splits()[0])
    assert extract_texts(batch, ["review.text"]).to_pylist() == [row["review"]["text"] for row in COMMENTS]


def test_objects_with_different_keys_are_read_by_a_path(reader):
    rows = [
        *COMMENTS,
        {"id": 4, "review": {"text": 'line\nü "quoted" \ud800', "more": {"x": 1}}},
        {"review": {}},
        {"id": 6},
    ]
    table = reader(rows, ".jsonl")
    with pytest.raises(InputError, match=r'`text_column="review\.text"`'):
        detect_text_columns(table)
    assert detect_text_columns(table, ["review.text"]) == ["review.text"]
    [batch] = table.batches(table.splits()[0])
    texts = extract_texts(batch, ["review.text"]).to_pylist()
    assert texts[3:] == ['line\nü "quoted" \ufffd', None, None]
    assert extract_values(batch, "review.stars") == ["0", "1", "2", None, None, None]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"n": 1, "results": [{"text": "good"}, {"text": "bad"}]}, "'results' holds a list of objects in each row"),
        ({"n": 1, "results": [{"text": "good"}, {"body": "bad"}]}, "'results' holds a list of objects in each row"),
        ({"page": {"results": [{"text": "good"}]}}, "'page.results' holds a list of objects in each row"),
        ({"reviews": {str(n): {"text": "good"} for n in range(2000)}}, "holds an object under each of 2,000 keys"),
    ],
)
def test_several_rows_inside_a_column_are_refused(reader, row, expected):
    path = "results.text" if "results" in row else "page.results.text"
    for rows in ([row], [row, row, {"n": 2}]):
        table = reader(rows, ".jsonl")
        with pytest.raises(InputError, match=expected) as caught:
            detect_text_columns(table)
        assert len(str(caught.value)) < 400
    if "n" in row and "body" not in str(row):
        with pytest.raises(InputError, match=f"`text_column` cannot be '{path}': {expected}"):
            detect_text_columns(table, [path])


def test_json_text_of_objects_is_never_scored(reader):
    table = reader([{"text": {"body": "good"}}, {"text": {"title": "bad"}}], ".jsonl")
    with pytest.raises(InputError, match=r'`text_column="text\.body"`'):
        detect_text_columns(table)
    assert detect_text_columns(reader([{"text": "good"}, {"text": 5}], ".jsonl")) == ["text"]


def test_messages_cut_the_name_of_a_long_type(reader):
    kind = pa.struct([(f"key{number}", pa.int64()) for number in range(2000)])
    assert len(describe_type(kind)) == 81
    with pytest.raises(InputError, match=r"holds struct<key0: int64, .*…, not text") as caught:
        detect_text_columns(reader([{"text": dict.fromkeys(kind.names, 1)}], ".jsonl"), ["text"])
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("further", [[], [{"review": {"text": "Other keys"}}]])
def test_labels_and_groups_inside_of_objects_are_named_by_a_path(reader, further):
    rows = read_labelled_rows(
        reader([*COMMENTS, *further], ".jsonl"),
        "rows.jsonl",
        text_columns=["review.text"],
        label_column="review.stars",
        group_column="id",
        by_column="review.stars",
    )
    assert [None if label is None else int(label) for label in rows.labels] == [0, 1, 2, *(None for _ in further)]
    assert (rows.text_columns, rows.groups[:3]) == (("review.text",), [0, 1, 2])
    assert rows.by.to_pylist()[:3] == ["0", "1", "2"]


TEXT = pa.struct([("text", pa.string())])
TWO_COLUMNS = pa.schema([("id", pa.int64()), ("reviews", TEXT), ("reviews", TEXT)])
TWO_FIELDS = pa.schema([("r", pa.struct([("text", pa.string()), ("text", pa.string())]))])
TWO_BETWEEN = pa.schema([("a", pa.struct([("b", TEXT), ("b", pa.struct([("n", pa.int64())]))]))])
TWO_OF_JSON = pa.schema([pa.field("reviews", pa.string(), metadata={b"sentiment_batch.json": b"1"})] * 2)


@pytest.mark.parametrize("setting", ["text_column", "label_column", "group_column", "by", "over"])
@pytest.mark.parametrize(
    ("schema", "path", "repeated"),
    [
        (TWO_COLUMNS, "reviews.text", "reviews"),
        (TWO_COLUMNS, "reviews", "reviews"),
        (TWO_FIELDS, "r.text", "r.text"),
        (TWO_BETWEEN, "a.b.text", "a.b"),
        (TWO_BETWEEN, "a.b.n", "a.b"),
        (TWO_OF_JSON, "reviews.text", "reviews"),
    ],
)
def test_a_path_into_what_repeats_is_refused(schema, path, repeated, setting):
    words = rf"^2 columns are called '{repeated}'\. Rename them so that `{setting}` can name one\.$"
    with pytest.raises(InputError, match=words):
        check_column(schema, path, setting)


def test_the_settings_of_labelled_rows_refuse_what_repeats():
    row = pa.array([{"text": "A good film that I liked.", "label": "pos"}])
    table = pa.table([row, row, pa.array(["A good film."]), pa.array(["pos"])], names=["r", "r", "text", "label"])
    settings = {
        "text_columns": ["r.text"],
        "label_column": "r.label",
        "group_column": "r.label",
        "by_column": "r.label",
    }
    for setting, value in settings.items():
        with pytest.raises(InputError, match="2 columns are called 'r'"):
            read_labelled_rows(TableReader(table), "table", **{setting: value})


def test_repeated_names_beside_a_path_do_no_harm():
    schema = pa.schema(
        [("x", pa.int64()), ("x", pa.int64()), ("r", pa.struct([("n", TEXT), ("y", TEXT), ("y", TEXT)]))]
    )
    assert check_column(schema, "r.n.text", "text_column") == "r.n.text"


def test_paths_are_found_in_the_order_of_the_columns():
    inner, dotted = pa.struct([("b.c", pa.int8())]), pa.struct([("c", pa.int16())])
    for names, kind in ((["a", "a.b"], pa.int8()), (["a.b", "a"], pa.int16())):
        schema = pa.schema([(name, {"a": inner, "a.b": dotted}[name]) for name in names])
        assert find_field(schema, "a.b.c").type == kind
        assert find_path(schema, "a.b.c") == find_path(pa.struct(schema), "a.b.c")
    assert find_field(schema, "a.b.c\udcff") is None


def test_finding_each_column_of_a_wide_table_is_quick():
    schema = pa.schema([(f"c.{n}", pa.string()) for n in range(5_000)])
    started = time.process_time()
    assert all(find_field(schema, name) is not None for name in schema.names)
    assert find_field(schema, "c.x") is None
    assert time.process_time() - started < 2


@pytest.mark.parametrize("deep", ["[" * 600 + "1" + "]" * 600, '{"a": ' * 600 + "1" + "}" * 600])
def test_values_that_are_nested_deeply_are_no_texts(tmp_path, deep):
    path = tmp_path / "table.jsonl"
    path.write_text(f'{{"review": "good film", "x": {deep}}}\n{{"review": "bad", "x": 1}}\n')
    assert detect_text_columns(open_reader(str(path))) == ["review"]


@pytest.mark.parametrize("broken", ["no JSON", "{", "[" * 100_000])
def test_broken_json_text_has_no_value_inside(broken):
    field = pa.field("x", pa.string(), metadata={JSON_MARK: b"1"})
    batch = pa.RecordBatch.from_arrays([pa.array([broken, '{"a": "fine"}'])], schema=pa.schema([field]))
    assert extract_values(batch, "x.a") == [None, "fine"]
    assert extract_texts(batch, ["x.a"]).to_pylist() == [None, "fine"]
