"""DuckDB: relations in, relations of the same connection out, and the scorer as a function in SQL."""

from __future__ import annotations

import pyarrow as pa
import pytest

from sentiment_batch.errors import InputError, UsageError

duckdb = pytest.importorskip("duckdb")

TEXTS = ["the film was great", None, "boring and dull", " ", "the film was great"]
STRUCT = "STRUCT(sentiment VARCHAR, sentiment_score FLOAT)"


@pytest.fixture
def connection():
    """A database in memory with a table of reviews and one of films."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE reviews (id INTEGER, film INTEGER, text VARCHAR)")
        connection.executemany("INSERT INTO reviews VALUES (?, ?, ?)", [(n, n % 2, t) for n, t in enumerate(TEXTS)])
        connection.execute("CREATE TEMP TABLE films AS SELECT * FROM (VALUES (0, 'A'), (1, 'B')) AS films(film, title)")
        yield connection


@pytest.fixture(scope="module")
def expected(scorer):
    """Labels and scores of `TEXTS`."""
    out = scorer(pa.table({"text": TEXTS}))
    return list(zip(out["sentiment"].to_pylist(), out["sentiment_score"].to_pylist(), strict=True))


def test_a_relation_comes_back_as_one_of_its_connection(scorer, connection, expected):
    out = scorer(connection.sql("FROM reviews ORDER BY id"))
    assert type(out) is duckdb.DuckDBPyRelation
    assert out.columns == ["id", "film", "text", "sentiment", "sentiment_score"]
    assert [str(kind) for kind in out.types] == ["INTEGER", "INTEGER", "VARCHAR", "VARCHAR", "FLOAT"]
    assert [row[3:] for row in out.fetchall()] == expected
    assert [row[0] for row in out.fetchall()] == [0, 1, 2, 3, 4]  # it can be read twice
    joined = connection.sql("SELECT id, title, sentiment FROM out JOIN films USING (film) ORDER BY id")
    assert joined.fetchall() == [(n, "AB"[n % 2], expected[n][0]) for n in range(5)]
    assert out.filter("sentiment IS NULL").aggregate("count(*)").fetchall() == [(2,)]


def test_a_query_with_a_join_can_be_scored(scorer, connection, expected):
    joined = connection.sql("SELECT id, title, text FROM reviews JOIN films USING (film) ORDER BY id")
    assert [row[3:] for row in scorer(joined).fetchall()] == expected


@pytest.mark.parametrize("kind", ["INTEGER", "HUGEINT"])
def test_repeated_names_are_numbered_as_duckdb_does(scorer, connection, expected, kind):
    joined = connection.sql(f"SELECT id::{kind} AS id, -id::{kind} AS id, text FROM reviews ORDER BY reviews.id")
    out = scorer(joined)
    assert out.columns[:3] == ["id", "id_1", "text"]
    assert out.types[:3] == joined.types
    assert [row[:2] for row in out.fetchall()] == [(n, -n) for n in range(5)]
    assert [row[3:] for row in out.fetchall()] == expected


KINDS = {
    "UUID": "'6139af8a-c803-443f-bee9-212415eb2577'",
    "HUGEINT": "170141183460469231731687303715884105727",
    "UHUGEINT": "340282366920938463463374607431768211455",
    "BIT": "'0101'",
    "TIME WITH TIME ZONE": "'10:00:00+02'",
    "ENUM('sad', 'it''s ok')": "'it''s ok'",
    "JSON": """'{"a": 1}'""",
    "DECIMAL(18,3)": "1234.567",
    "TIMESTAMP WITH TIME ZONE": "'2024-01-01 10:00:00+02'",
    "TIMESTAMP_NS": "'2024-01-01 10:00:00.123456789'",
    "INTERVAL": "INTERVAL '3 days 2 hours'",
    "BLOB": "'\\xFF'::BLOB",
    "INTEGER[2]": "[1, 2]",
    "STRUCT(a INTEGER, b STRUCT(c VARCHAR)[])": """{'a': 1, 'b': [{'c': 'it''s "{odd}", [it] is'}]}""",
    "STRUCT(id UUID, remark VARCHAR)": """{'id': uuid(), 'remark': 'it''s "{odd}", [it] is'}""",
    "UUID[]": "[uuid(), NULL]",
    "MAP(VARCHAR, BIGINT)": "MAP {'k': 1}",
    "UNION(num INTEGER, word VARCHAR)": "union_value(num := 1)",
}


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_every_type_keep_type_and_values(scorer, connection, kind):
    connection.execute(f'CREATE TABLE t (text VARCHAR, "an ""odd"" name" {kind})')
    connection.execute(f"INSERT INTO t VALUES ('great', {KINDS[kind]}), ('awful', NULL)")
    relation = connection.sql("FROM t")
    out = scorer(relation)
    assert out.types[:2] == relation.types
    as_text = "text, COLUMNS('odd')::VARCHAR"
    assert out.project(as_text).fetchall() == relation.project(as_text).fetchall()


def test_a_relation_without_rows_gets_the_columns(scorer, connection):
    out = scorer(connection.sql("FROM reviews WHERE false"))
    assert out.columns[3:] == ["sentiment", "sentiment_score"]
    assert out.fetchall() == []


def test_text_may_be_an_enum_found_by_its_values(scorer, connection, expected):
    connection.execute("CREATE TYPE said AS ENUM ('the film was great', 'boring and dull', ' ')")
    out = scorer(connection.sql("SELECT text::said AS text FROM reviews ORDER BY id"))
    assert [row[1:] for row in out.fetchall()] == expected
    out = scorer(connection.sql("SELECT 'x' AS code, 'the film was great, all of it' AS said"))
    assert out.fetchall()[0][2] in {"negative", "positive"}


def test_a_clash_of_names_is_refused_before_any_row_is_scored(scorer, connection):
    before = scorer.counts.rows
    with pytest.raises(UsageError, match=r"already has the columns 'sentiment'.*`prefix="):
        scorer(connection.sql("SELECT text, 1 AS sentiment FROM reviews"))
    with pytest.raises(InputError, match="no column 'words'"):
        scorer(connection.sql("FROM reviews"), text_column="words")
    assert scorer.counts.rows == before


def test_tables_and_views_of_the_connection_stay_what_they_are(scorer, connection, expected):
    for name in ("rows", "table", "source", "batches"):
        connection.execute(f'CREATE TABLE "{name}" AS SELECT 1 AS text')
    before = connection.sql("SHOW TABLES").fetchall()
    assert [row[1:] for row in scorer(connection.sql("SELECT text FROM reviews ORDER BY id")).fetchall()] == expected
    assert connection.sql("SHOW TABLES").fetchall() == before


def test_a_connection_without_python_variables_is_refused(scorer, connection):
    connection.execute("SET python_enable_replacements = false")
    with pytest.raises(InputError, match="Allow this with SET python_enable_replacements = true"):
        scorer(connection.sql("FROM reviews"))


def test_a_stream_of_one_cursor_goes_into_a_file_of_the_other(scorer, connection, expected, tmp_path):
    cursor = connection.cursor()
    annotated = scorer(pa.RecordBatchReader.from_stream(cursor.sql("FROM reviews ORDER BY id")))
    assert type(annotated) is pa.RecordBatchReader
    connection.execute(f"COPY (FROM annotated) TO '{tmp_path / 'out.parquet'}'")
    found = connection.sql(f"SELECT sentiment, sentiment_score FROM '{tmp_path / 'out.parquet'}'").fetchall()
    assert found == expected


def test_labels_and_scores_are_functions_in_sql(scorer, connection, expected):
    options = {"type": "arrow", "null_handling": "special"}
    connection.create_function("label", scorer.labels_of, ["VARCHAR"], "VARCHAR", **options)
    connection.create_function("annotate", scorer.annotations_of, ["VARCHAR"], STRUCT, **options)
    found = connection.sql("SELECT label(text), annotate(text).sentiment_score FROM reviews ORDER BY id").fetchall()
    assert found == expected
    found = connection.sql("SELECT unnest(annotate(text)) FROM reviews ORDER BY id")
    assert found.columns == ["sentiment", "sentiment_score"]
    assert found.fetchall() == expected
    assert connection.sql("SELECT label(NULL), label(text) FROM reviews WHERE false").fetchall() == []
    assert connection.sql("SELECT label(NULL)").fetchall() == [(None,)]


def test_a_function_in_sql_is_right_on_several_threads(scorer, connection):
    connection.execute("SET threads = 4")
    connection.execute("CREATE TABLE many AS SELECT n, 'film ' || n % 37 AS text FROM range(300_000) AS r(n)")
    options = {"type": "arrow", "null_handling": "special"}
    connection.create_function("annotate", scorer.annotations_of, ["VARCHAR"], STRUCT, **options)
    connection.execute("CREATE TABLE scored AS SELECT *, unnest(annotate(text)) FROM many")
    expected = scorer(pa.table({"text": [f"film {n}" for n in range(37)]}))
    counts = connection.sql(
        "SELECT text, sentiment, round(sentiment_score, 3), count(*) FROM scored GROUP BY ALL ORDER BY text"
    ).fetchall()
    rows = zip(
        expected["text"].to_pylist(),
        expected["sentiment"].to_pylist(),
        [round(score, 3) for score in expected["sentiment_score"].to_pylist()],
        strict=True,
    )
    assert [row[:2] for row in counts] == sorted((text, label) for text, label, _ in rows)
    assert sum(row[3] for row in counts) == 300_000
