"""Finds the characters of each token that a model sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sentiment_batch.tokenization.tokenizer import PIECE_CHARACTERS

if TYPE_CHECKING:
    from sentiment_batch.tokenization.packing import Ids, Integers, Tokens
    from sentiment_batch.tokenization.tokenizer import TextTokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class LocatedTokens:
    """The tokens of N texts, exactly those that scoring uses, and their characters."""

    tokens: Tokens
    spans: Integers
    """(sum of lengths, 2): the characters of each token in its text, from the first to the one after the last; -1 for a
    special token, which has none."""
    unseen: list[tuple[int, int]]
    """For each text the span of characters that the model does not see; an empty span at its end if there are none."""

    def slice_of(self, text: int) -> slice:
        """Where the tokens of a text are in `tokens.ids` and `spans`."""
        first, last = np.searchsorted(self.tokens.owners, [text, text + 1])
        return slice(int(self.tokens.offsets[first]), int(self.tokens.offsets[last]))


def locate_tokens(tokenizer: TextTokenizer, texts: Sequence[str]) -> LocatedTokens:
    """The tokens of `texts` (N,) under the tokenizer's policy, and the characters of each."""
    tokens = tokenizer(texts)
    located = LocatedTokens(tokens=tokens, spans=np.full((len(tokens.ids), 2), -1, dtype=np.int64), unseen=[])
    own = _is_text_token(tokens, *tokenizer.special_counts)
    for number, text in enumerate(texts):
        some = located.slice_of(number)
        places = some.start + np.flatnonzero(own[some])
        # Windows hold every token of a text. All other policies drop what lies between the head and the tail.
        clipped = bool(tokens.cut[number]) and tokenizer.policy.long_text != "windows"
        head = min(tokenizer.head, len(places)) if clipped else len(places)
        size = PIECE_CHARACTERS if clipped else len(text)
        # The pieces are encoded again, because the library that encodes for scoring may give no spans.
        front = _spans_at_end(tokenizer.encode_with_spans, text, tokens.ids[places[:head]], size, back=False)
        back = _spans_at_end(tokenizer.encode_with_spans, text, tokens.ids[places[head:]], size, back=True)
        located.spans[places] = np.concatenate([front, back])
        start = int(front[:, 1].max(initial=0)) if clipped else len(text)
        located.unseen.append((start, max(start, int(back[:, 0].min(initial=len(text))))))
    return located


def _is_text_token(tokens: Tokens, before: int, after: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(sum of lengths,): True for tokens of the text itself, False for special ones around each segment."""
    place = np.arange(len(tokens.ids)) - np.repeat(tokens.offsets[:-1], tokens.lengths)
    return (place >= before) & (place < np.repeat(tokens.lengths, tokens.lengths) - after)


def _spans_at_end(
    encode: Callable[[str], tuple[Ids, Integers]], text: str, ids: Ids, size: int, *, back: bool
) -> Integers:
    """The spans (T, 2) of the first tokens `ids` (T,) of a text, or of its last if `back`.

    Only a part of a very long text is tokenized. No number of characters is known to suffice. So `size` characters are
    tokenized, then four times as many, until the wanted tokens and one more are found.
    """
    if not len(ids):
        return np.empty((0, 2), dtype=np.int64)
    while True:
        whole = size >= len(text)
        start = max(0, len(text) - size) if back else 0
        found, spans = encode(text[start:] if back else text[:size])
        # The cut may go through a token. One token more than wanted shows that all wanted ones are whole.
        kept = slice(len(found) - len(ids), None) if back else slice(0, len(ids))
        if (whole or len(found) > len(ids)) and np.array_equal(found[kept], ids):
            return spans[kept] + start
        assert not whole, "the tokens of a text are not those of its pieces"
        size *= 4
