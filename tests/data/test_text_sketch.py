"""A sketch of the training texts shows how many of other texts are among them."""

import base64

import pytest

from sentiment_batch.data.text_sketch import SKETCH_SIZE, estimate_common_share, make_sketch

TEXTS = [f"The film number {number} was fine." for number in range(5_000)]
OTHERS = [f"A quite different review, the {number}th." for number in range(5_000)]


@pytest.fixture(scope="module")
def sketch():
    return make_sketch(TEXTS)


def test_a_sketch_is_small_and_has_one_size(sketch):
    assert len(base64.b64decode(sketch)) == 4 * SKETCH_SIZE
    assert sketch == make_sketch(reversed(TEXTS + TEXTS))
    assert len(sketch) < 6_000


@pytest.mark.parametrize(("known", "others", "share"), [(2_000, 0, 1.0), (1_000, 1_000, 0.5), (300, 2_700, 0.1)])
def test_the_share_of_common_texts_is_estimated(sketch, known, others, share):
    assert estimate_common_share(TEXTS[:known] + OTHERS[:others], sketch) == pytest.approx(share, abs=0.05)


def test_case_and_blanks_do_not_matter(sketch):
    assert estimate_common_share([f"  {text.upper()}\n" for text in TEXTS[:500]], sketch) == 1.0


def test_no_share_is_estimated_from_too_few_texts(sketch):
    assert estimate_common_share(OTHERS, sketch) is None
    assert estimate_common_share([], sketch) is None
    assert estimate_common_share(["one", "two"], make_sketch(["one", "two"])) is None


def test_all_texts_are_judged_by_a_sketch_that_is_not_full():
    small = make_sketch(TEXTS[:100])
    assert estimate_common_share(TEXTS[50:150], small) == 0.5


@pytest.mark.parametrize("damaged", ["%%%", "abc", 5])
def test_a_damaged_sketch_gives_no_share(damaged):
    assert estimate_common_share(TEXTS[:10], damaged) is None
