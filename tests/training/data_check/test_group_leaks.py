import random

import numpy as np
import pyarrow as pa
import pytest

from sentiment_batch.training.data_check.group_leaks import count_shared_groups, find_group_columns
from sentiment_batch.training.dataset import ReviewSet


def coded(codes, groups=None, near=None, **others) -> ReviewSet:
    count = len(codes)
    words = {name: pa.array([None if v is None else str(v) for v in values]) for name, values in others.items()}
    return ReviewSet(
        texts=[f"text {n}" for n in range(count)],
        codes=np.array(codes, dtype=np.int64),
        equal=np.arange(count),
        near=np.arange(count) if near is None else np.array(near),
        files=np.zeros(count, dtype=np.int64),
        numbers=np.arange(count),
        tables=[("reviews.csv", None)],
        ids=pa.nulls(count, pa.large_string()),
        groups=groups,
        others={name: values.cast(pa.large_string()).dictionary_encode() for name, values in words.items()},
    )


def films(count=300, per_film=6, agreement=0.9, seed=0):
    """The classes and films of some rows, in random order; `agreement` is how often a row has its film's class."""
    draw = random.Random(seed)
    rows = [
        (film % 2 if draw.random() < agreement else 1 - film % 2, film)
        for film in range(count)
        for _ in range(per_film)
    ]
    draw.shuffle(rows)
    return [code for code, _ in rows], [film for _, film in rows]


def sides(codes, held=0.1, **others):
    cut = int(len(codes) * (1 - held))
    return (
        coded(codes[:cut], **{name: values[:cut] for name, values in others.items()}),
        coded(codes[cut:], **{name: values[cut:] for name, values in others.items()}),
    )


def test_a_column_that_goes_with_labels_is_found_and_measured():
    codes, film = films()
    (found,) = find_group_columns(*sides(codes, film=film))
    assert (found.column, found.values) == ("film", 300)
    assert found.rows_per_value == pytest.approx(5.4, abs=0.1)
    assert found.agreement == pytest.approx(0.9**2 + 0.1**2, abs=0.03)
    assert found.chance == pytest.approx(0.5, abs=0.01)
    assert found.shared == 180
    assert found.shared_share == 1.0


def test_the_agreement_is_that_of_all_pairs_within_a_value():
    codes, film = films(60, 5, 0.95)
    (found,) = find_group_columns(*sides(codes, film=film))
    training = list(zip(codes, film, strict=True))[:270]
    by_row = []
    for row, (code, value) in enumerate(training):
        others = [c for n, (c, v) in enumerate(training) if v == value and n != row]
        by_row += [np.mean([c == code for c in others])] if others else []
    assert found.agreement == pytest.approx(np.mean(by_row), abs=1e-4)


@pytest.mark.parametrize(
    ("what", "values"),
    [
        ("chance", lambda codes, film, draw: draw.sample(film, len(film))),
        ("a category", lambda codes, film, draw: [code if draw.random() < 0.9 else 5 for code in codes]),
        ("an id", lambda codes, film, draw: list(range(len(codes)))),
        ("nearly always nothing", lambda codes, film, draw: [value if value < 30 else None for value in film]),
        ("empty", lambda codes, film, draw: ["  "] * len(codes)),
    ],
)
def test_columns_that_are_no_groups_are_not_taken_for_some(what, values):
    codes, film = films()
    other = values(codes, film, random.Random(1))
    assert [one.column for one in find_group_columns(*sides(codes, film=film, other=other))] == ["film"], what


def test_groups_that_are_all_on_one_side_are_not_mentioned():
    codes, film = films()
    order = sorted(range(len(codes)), key=lambda row: film[row])
    assert find_group_columns(*sides([codes[row] for row in order], film=[film[row] for row in order])) == []


def test_repeated_texts_are_no_proof_of_a_group():
    draw = random.Random(0)
    codes = [draw.randrange(2) for _ in range(100)] * 5
    film = [n % 100 for n in range(500)]
    training = coded(codes, film=film, near=film)
    held = coded(codes[:50], film=film[:50])
    assert find_group_columns(training, held) == []
    assert [one.column for one in find_group_columns(coded(codes, film=film), held)] == ["film"]


def test_the_clearest_column_comes_first_and_needs_both_sides():
    codes, film = films()
    noisy = [value if n % 4 else 1_000 + n % 25 for n, value in enumerate(film)]
    training, held = sides(codes, noisy=noisy, film=film)
    assert [one.column for one in find_group_columns(training, held)] == ["film", "noisy"]
    assert find_group_columns(training, coded([0, 1])) == []
    assert find_group_columns(coded([0] * 600, film=film[:600]), coded([0], film=[film[0]])) == [], "one class alone"


def test_rows_of_groups_on_both_sides_are_counted():
    training = coded([0, 1, 0], groups=["a", None, "b"])
    assert count_shared_groups(training, coded([0, 1, 1, 0], groups=["b", None, "c", "b"])) == 2
    assert count_shared_groups(training, coded([0])) is None
    assert count_shared_groups(coded([0]), training) is None


def test_a_column_of_many_rows_a_value_is_a_category():
    codes, film = films(25, 200)
    assert find_group_columns(*sides(codes, film=film)) == []
    assert [one.column for one in find_group_columns(*sides(codes[:2_000], film=film[:2_000]))] == ["film"]
