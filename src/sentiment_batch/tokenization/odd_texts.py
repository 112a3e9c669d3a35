"""Makes texts in which two tokenizers are most likely to differ, from a seed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NUM_CODE_POINTS = 0x20000
"""Each character below this code point is in the texts at least once. All alphabets, signs and emoji are there."""
JOINTS = ("", "", " ", " ", "  ", "\t", "\n", "\r\n", "\v", "\u00a0", "\u200b", "\u0301", "-", ".")
WORDS = (
    *("ﬁ", "İstanbul", "ΟΔΟΣ", "ß", "ẞ", "ǅ", "naïve", "e\u0301", "ﷺ", "½", "①", "Ⅷ", "ａｂ", "\u212a", "한국어"),
    *("\u1112\u1161", "電影很好看", "カﾞ", "สวัสดี", "हिन्दी", "العربية", "שָׁלוֹם", "👩\u200d👩\u200d👧", "👍🏽", "🇫🇷", "❤️"),
    *("1️⃣", "a\u200db", "\ufeff", "\ufffd", "\x00", "\x7f", "\u0085", "\u2028", "\u3000", "\u00ad", "\U000e0061"),
    *("\U0010ffff", "don't", "U.S.A.", "<br />"),
)
"""Alphabets, signs and blanks that tokenizers treat differently."""


def make_odd_texts(backend: Tokenizer, number: int, seed: int) -> list[str]:
    """Texts (number,) of about 300 characters; the same for the same tokenizer and seed.

    Args:
        backend: gives the pieces of words and the special tokens that the texts hold.
        number: how many texts to make.
        seed: of the random numbers.
    """
    random = Random(seed)
    # Surrogates stand for no characters. No text in UTF-8 has them, and `nanotoken` refuses them.
    points = [chr(point) for point in range(NUM_CODE_POINTS) if not 0xD800 <= point < 0xE000]
    random.shuffle(points)
    part = _make_parts(backend, random)
    texts = []
    for own in (points[place::number] for place in range(number)):
        # Between letters it shows whether a character is dropped, is a blank, is a word of its own or is part of one.
        parts = [*(f"a{point}b" for point in own), *(part() for _ in range(random.randrange(1, 10)))]
        random.shuffle(parts)
        texts.append("".join(text + random.choice(JOINTS) for text in parts))
    return texts


def _make_parts(backend: Tokenizer, random: Random) -> Callable[[], str]:
    """A function that makes a word, a piece of a word, a special token or something similar."""
    pieces = [piece.removeprefix("##") for piece in sorted(backend.get_vocab())]
    special = sorted({token.content for token in backend.get_added_tokens_decoder().values()}) or pieces[:1]
    piece, token, word = (partial(random.choice, some) for some in (pieces, special, WORDS))
    kinds: tuple[Callable[[], str], ...] = (
        word,
        lambda: piece().title(),
        lambda: "".join(random.choices(pieces, k=random.randrange(1, 6))),
        lambda: piece() + "".join(map(chr, random.choices(range(0x300, 0x370), k=3))),
        lambda: (random.choice([piece(), word()]) * 110)[: random.randrange(95, 106)],  # some are too long for a word
        lambda: random.choice([token(), token() * 2, token().lower(), token()[:-1], token()[1:], "[S" + token()]),
        lambda: chr(random.randrange(0x10000, 0x110000)),
    )
    return lambda: random.choice(kinds)()
