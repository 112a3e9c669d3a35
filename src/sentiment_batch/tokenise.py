"""Turns texts into ragged token ids: flat arrays with offsets, cut to what the model takes; no model, no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from sentiment_batch.settings import LongText

Ids = npt.NDArray[np.int32]

HEAD_SHARE = 0.25
"""Of the tokens that are kept of a long text, the share from its head; the rest is its tail. Sun et al. 2019, "How to
Fine-Tune BERT for Text Classification?", section 5.3.1, keep 128 of 510 from the head."""
PIECE_CHARACTERS = 16_384
"""A text longer than this is tokenised piece by piece where that gives the same tokens."""
TEXTS_AT_ONCE = 4_096
"""Tokenised together: enough for every core; the tokeniser holds some 75 bytes for each token of a block (measured)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextPolicy:
    """How many tokens of a text the model sees, and which."""

    max_length: int
    """Tokens, special ones included."""
    long_text: LongText
    """What happens to a longer text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """The token ids of N texts in S segments (S = N unless long texts are scored in windows)."""

    ids: Ids
    """All ids (sum of lengths,), the special ones included."""
    offsets: npt.NDArray[np.int64]
    """(S + 1,): segment s is `ids[offsets[s] : offsets[s + 1]]`."""
    owners: npt.NDArray[np.int64]
    """(S,): the text that each segment belongs to, in rising order."""
    cut: npt.NDArray[np.bool_]
    """(N,): whether the text was longer than what fits."""

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(S,): tokens per segment."""
        return np.diff(self.offsets)


class Tokeniser:
    """Tokenises batches of texts under one policy, off the interpreter lock.

    Args:
        backend: the tokeniser of a model folder; its own truncation and padding are switched off on a copy.
        policy: how much of a text is kept.
        special_as_text: read a literal "[SEP]" in a review as text, as our own models do; stock models keep their way.
    """

    def __init__(self, backend: Tokenizer, policy: TextPolicy, *, special_as_text: bool) -> None:
        from tokenizers import Tokenizer

        self.policy = policy
        self._backend: Tokenizer = Tokenizer.from_str(backend.to_str())
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = special_as_text
        self._prefix, self._suffix = _special_ids(self._backend)
        self._splits_at_blanks = _splits_at_blanks(self._backend)
        self.room = policy.max_length - len(self._prefix) - len(self._suffix)
        """Tokens of the text itself that fit."""

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """The tokens of `texts` (N,), cut by the policy, with the special tokens around each segment."""
        segments: list[Ids] = []
        owners: list[int] = []
        cut: list[bool] = []
        for text, content in enumerate(self._contents(texts)):
            cut.append(len(content) > self.room)
            for part in self._fit(content):
                segments += (self._prefix, part, self._suffix)
                owners.append(text)
        lengths = np.array([len(part) for part in segments], dtype=np.int64).reshape(-1, 3).sum(axis=1)
        return Tokens(
            ids=np.concatenate(segments) if segments else np.empty(0, dtype=np.int32),
            offsets=np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)]),
            owners=np.array(owners, dtype=np.int64),
            cut=np.array(cut, dtype=np.bool_),
        )

    def _contents(self, texts: Sequence[str]) -> Iterator[Ids]:
        """The ids of each text without special tokens: all of them, or both ends of a text that will be cut anyway."""
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            block = texts[start : start + TEXTS_AT_ONCE]
            monsters = {n for n, text in enumerate(block) if len(text) > PIECE_CHARACTERS and self._splits_at_blanks}
            short = [text for n, text in enumerate(block) if n not in monsters]
            encoded = iter(self._backend.encode_batch_fast(short, add_special_tokens=False))
            for n, text in enumerate(block):
                yield self._monster(text) if n in monsters else np.array(next(encoded).ids, dtype=np.int32)

    def _fit(self, content: Ids) -> list[Ids]:
        """The segments that the policy makes of one text."""
        room = self.room
        if len(content) <= room:
            return [content]
        if self.policy.long_text == "head":
            return [content[:room]]
        if self.policy.long_text == "tail":
            return [content[len(content) - room :]]
        if self.policy.long_text == "head-tail":
            head = round(room * HEAD_SHARE)
            return [np.concatenate([content[:head], content[len(content) - (room - head) :]])]
        # Windows of nearly equal length: a short last one would be scored without its context.
        return np.array_split(content, -(-len(content) // room))

    def _monster(self, text: str) -> Ids:
        """The tokens of a very long text that matter, piece by piece: a whole one would cost gigabytes.

        Exact, because this tokeniser never looks across a blank: the pieces begin at blanks. Of a text that is
        longer than the model takes, only the ends come back, still longer than what fits, so that it counts as cut.
        """
        if self.policy.long_text == "windows":
            return self._until(text, _pieces(text), None)
        head = self._until(text, _pieces(text), self.room + 1)
        if self.policy.long_text == "head" or len(head) <= self.room:
            return head
        tail: list[Ids] = []
        for start, stop in _pieces_from_the_end(text):
            tail.insert(0, self._encode(text[start:stop]))
            if sum(map(len, tail)) >= self.room:
                break
        return np.concatenate([head, *tail])

    def _until(self, text: str, pieces: Iterator[tuple[int, int]], enough: int | None) -> Ids:
        parts: list[Ids] = [np.empty(0, dtype=np.int32)]
        count = 0
        for start, stop in pieces:
            parts.append(self._encode(text[start:stop]))
            count += len(parts[-1])
            if enough is not None and count >= enough:
                break
        return np.concatenate(parts)

    def _encode(self, text: str) -> Ids:
        # encode_batch_fast, not encode: it keeps no offsets, which weigh more than the text
        return np.array(self._backend.encode_batch_fast([text], add_special_tokens=False)[0].ids, dtype=np.int32)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Spans of about `PIECE_CHARACTERS` from the front, each but the first beginning at a blank."""
    start = 0
    while start < len(text):
        blank = text.find(" ", start + PIECE_CHARACTERS)
        stop = len(text) if blank < 0 else blank
        yield start, stop
        start = stop


def _pieces_from_the_end(text: str) -> Iterator[tuple[int, int]]:
    """The like from the back, last span first."""
    stop = len(text)
    while stop > 0:
        blank = text.rfind(" ", 0, max(stop - PIECE_CHARACTERS, 0))
        start = max(blank, 0)
        yield start, stop
        stop = start


def _special_ids(backend: Tokenizer) -> tuple[Ids, Ids]:
    """The special tokens that stand before and after a single text."""
    encoding = backend.encode("a", add_special_tokens=True)
    content = [place for place, special in enumerate(encoding.special_tokens_mask) if not special]
    first, last = (content[0], content[-1] + 1) if content else (len(encoding.ids), len(encoding.ids))
    ids = np.array(encoding.ids, dtype=np.int32)
    return ids[:first], ids[last:]


def _splits_at_blanks(backend: Tokenizer) -> bool:
    """Whether the tokens of a text are those of its parts, cut at any blank: true of BERT's word pieces."""
    parts: dict[str, Any] = json.loads(backend.to_str())
    if any(" " in added["content"] for added in parts.get("added_tokens", [])):
        return False
    kinds = {part: (parts.get(part) or {}).get("type") for part in ("normalizer", "pre_tokenizer", "model")}
    return kinds == {"normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer", "model": "WordPiece"}
