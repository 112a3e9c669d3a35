"""Turns texts into token ids in flat arrays with offsets, cut to what the model takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sentiment_batch.tokenization.long_texts import TextPieces
from sentiment_batch.tokenization.packing import Ids, Integers, Tokens, gather_runs, to_offsets
from sentiment_batch.tokenization.text_encoder import TextEncoder

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from sentiment_batch.records import Choice
    from sentiment_batch.settings import LongText

Check = Callable[[], object]
"""Called now and then; it may raise an error to stop the work."""

HEAD_SHARE = 0.25
"""The share of a long text's tokens that come from its head; the others come from its tail. Sun et al. 2019, "How to
Fine-Tune BERT for Text Classification?", section 5.3.1, keep 128 of 510 tokens from the head."""
PIECE_CHARACTERS = 16_384
"""A text longer than this is tokenized piece by piece, if that gives the same tokens."""
TEXTS_AT_ONCE = 4_096
"""Texts tokenized together, enough for every core. The tokenizer holds some 75 bytes for each token (measured)."""
CHARACTERS_AT_ONCE = 2_000_000
"""Most characters tokenized together, except for one text that is longer. They take half a second on one core, after
which the work can be stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextPolicy:
    """How many tokens of a text the model sees, and which."""

    max_length: int
    """Most tokens of a text, special ones included."""
    long_text: LongText
    """What happens to a longer text."""


class TextTokenizer:
    """Tokenizes batches of texts under one policy, without holding the interpreter lock.

    Args:
        backend: the tokenizer of a model folder. A copy is used, with its own truncation and padding switched off.
        policy: how much of a text is kept.
        special_as_text: read a literal "[SEP]" in a review as text. Our own models do; stock models keep their way.
    """

    def __init__(self, backend: Tokenizer, policy: TextPolicy, *, special_as_text: bool) -> None:
        from tokenizers import Tokenizer

        self.policy = policy
        self._backend: Tokenizer = Tokenizer.from_str(backend.to_str())
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = special_as_text
        self._prefix, self._suffix = _special_ids(self._backend)
        self._pieces = TextPieces(self._backend, special_as_text=special_as_text)
        self._encode = TextEncoder(self._backend, special_as_text=special_as_text, word_pieces=self._pieces.can_cut)
        self.room = policy.max_length - len(self._prefix) - len(self._suffix)
        """Tokens of the text itself that fit."""

    def __call__(self, texts: Sequence[str], check: Check | None = None) -> Tokens:
        """The tokens of `texts` (N,), cut by the policy, with the special tokens around each segment.

        Args:
            texts: what to tokenize.
            check: called before each block of texts and before each piece of a very long one, about once a second or
                more often. If it raises an error, the work stops and this call raises it.
        """
        check = check or (lambda: None)
        blocks: list[Tokens] = []
        for start, stop in _blocks(texts):
            check()
            blocks.append(self._cut(*self._encode_block(texts[start:stop], check)))
        return _join_blocks(blocks)

    def encode_with_spans(self, text: str) -> tuple[Ids, Integers]:
        """The tokens (T,) of a whole text, without special ones, and the characters of each (T, 2).

        A span is from the first character to the one after the last. The whole text is tokenized in memory at once.
        """
        encoding = self._backend.encode_batch([text], add_special_tokens=False)[0]
        return np.array(encoding.ids, dtype=np.int32), np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)

    @property
    def library(self) -> Choice:
        """The library that encodes the next texts, and why. The tokens are the same with each."""
        return self._encode.library

    @property
    def special_counts(self) -> tuple[int, int]:
        """The numbers of special tokens before and after each segment."""
        return len(self._prefix), len(self._suffix)

    def list_pieces(self) -> list[str]:
        """All tokens by id as the vocabulary writes them, such as `##ly`; an empty text where an id has none."""
        pieces = self._backend.get_vocab()
        by_id = dict(zip(pieces.values(), pieces, strict=True))
        return [by_id.get(number, "") for number in range(max(by_id, default=-1) + 1)]

    def _encode_block(self, block: Sequence[str], check: Check) -> tuple[Ids, Integers, Integers, Integers]:
        """The tokens of each text: all of them, or only both ends of a very long text that will be cut anyway.

        Returns:
            ids: begin with the special tokens before and after a segment, then the texts follow.
            starts: (N,) where each text begins in `ids`.
            lengths: (N,) tokens of each text in `ids`.
            uncut_lengths: (N,) tokens of each text, more than in `ids` if only its ends are there.
        """
        # Very long texts are encoded one by one, and stand after the others in `ids`. `order` puts them back.
        very_long = [n for n, text in enumerate(block) if self._pieces.can_cut and len(text) > PIECE_CHARACTERS]
        apart = set(very_long)
        whole = [n for n in range(len(block)) if n not in apart]
        flat, lengths = self._encode([block[n] for n in whole])
        ends = [self._encode_very_long(block[n], check) for n in very_long]
        long = [ids for ids, _ in ends]
        sizes = np.concatenate([lengths, np.array([size for _, size in ends], dtype=np.int64)])
        lengths = np.concatenate([lengths, np.array([len(ids) for ids in long], dtype=np.int64)])
        starts = np.cumsum(lengths) - lengths + len(self._prefix) + len(self._suffix)
        order = np.argsort(np.array(whole + very_long, dtype=np.int64))
        # The special tokens are in the same array as the texts. So `_cut` gathers them like runs of a text.
        ids = np.concatenate([self._prefix, self._suffix, flat, *long])
        return ids, starts[order], lengths[order], sizes[order]

    def _cut(self, ids: Ids, starts: Integers, lengths: Integers, uncut_lengths: Integers) -> Tokens:
        """The tokens that the policy keeps of each text, with the special tokens around each segment."""
        cut = lengths > self.room
        if self.policy.long_text == "windows":
            owners, runs, sizes = _cut_windows(starts, lengths, self.room)
        else:
            owners = np.arange(len(lengths))
            runs, sizes = _cut_ends(starts, lengths, self.room, self.head)
        # Each segment gets a run before it, from place 0 on, and one after it, from place `before` on.
        before, after = len(self._prefix), len(self._suffix)
        runs = np.pad(runs, ((0, 0), (1, 1)), constant_values=((0, 0), (0, before)))
        sizes = np.pad(sizes, ((0, 0), (1, 1)), constant_values=((0, 0), (before, after)))
        # In slices, because the places of the ids take six times the memory of the ids.
        slices = [slice(start, start + TEXTS_AT_ONCE) for start in range(0, len(runs), TEXTS_AT_ONCE)]
        kept = [gather_runs(ids, runs[rows].ravel(), sizes[rows].ravel()) for rows in slices]
        offsets = to_offsets(sizes.sum(axis=1))
        return Tokens(
            ids=_concatenate(kept),
            offsets=offsets,
            owners=owners,
            cut=cut,
            uncut_lengths=uncut_lengths + before + after,
        )

    @property
    def head(self) -> int:
        """How many of the tokens that are kept of a long text are from its head."""
        shares = {"head": 1.0, "tail": 0.0, "head-tail": HEAD_SHARE}
        return round(self.room * shares[self.policy.long_text])

    def _encode_very_long(self, text: str, check: Check) -> tuple[Ids, int]:
        """The tokens of a very long text that matter, piece by piece, because the whole text would cost gigabytes.

        They are exact, because the pieces are cut where this tokenizer does not look across. If the text is longer
        than the model takes, only its ends are returned. They are still longer than what fits, so it counts as cut.

        Returns:
            The ids, and the number of tokens of the whole text, estimated from the pieces that were tokenized.
        """
        # One token more than fits shows that the text must be cut.
        enough = math.inf if self.policy.long_text == "windows" else self.room + 1
        head, read = self._encode_pieces(enough, self._pieces.cut_forwards(text, PIECE_CHARACTERS), check)
        ids = _concatenate(head)
        if self.policy.long_text == "windows" or len(ids) <= self.room:
            return ids, len(ids)
        if self.policy.long_text != "head":
            tail, more = self._encode_pieces(self.room, self._pieces.cut_backwards(text, PIECE_CHARACTERS), check)
            ids, read = _concatenate([*head, *reversed(tail)]), read + more
        return ids, max(self.room + 1, round(len(ids) * len(text) / read))

    def _encode_pieces(self, enough: float, pieces: Iterable[str], check: Check) -> tuple[list[Ids], int]:
        """The ids of each piece, until there are `enough` ids; and the number of characters of those pieces."""
        parts: list[Ids] = []
        count = read = 0
        for piece in pieces:
            check()
            parts.append(self._encode([piece])[0])
            count += len(parts[-1])
            read += len(piece)
            if count >= enough:
                break
        return parts, read


def _blocks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Spans of texts to tokenize together; for no texts, one empty span."""
    # A block ends before the text with which it would have too many characters, but has at least one text.
    ends = np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))
    start = 0
    while True:
        fitting = int(np.searchsorted(ends, CHARACTERS_AT_ONCE + (ends[start - 1] if start else 0), side="right"))
        stop = min(max(fitting, start + 1), start + TEXTS_AT_ONCE, len(texts))
        yield start, stop
        if stop == len(texts):
            return
        start = stop


def _cut_ends(starts: Integers, lengths: Integers, room: int, head: int) -> tuple[Integers, Integers]:
    """The two runs that are kept of each text, as starts (N, 2) and lengths (N, 2); a short text has an empty second.

    Args:
        starts: (N,) where each text begins.
        lengths: (N,) its tokens.
        room: tokens that fit.
        head: how many of them are from the head of a longer text; the others are from its tail.
    """
    sizes = np.where((lengths > room)[:, None], [head, room - head], np.stack([lengths, 0 * lengths], axis=1))
    return np.stack([starts, starts + lengths - sizes[:, 1]], axis=1), sizes


def _cut_windows(starts: Integers, lengths: Integers, room: int) -> tuple[Integers, Integers, Integers]:
    """As few windows as hold all tokens, of nearly equal length, because a short last window would lack its context.

    Returns:
        owners: (S,) the text of each window.
        starts: (S, 1).
        lengths: (S, 1), the longer ones first in each text.
    """
    # The fewest windows that hold a text: its length divided by `room`, rounded up.
    counts = np.maximum(1, -(-lengths // room))
    owners = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    # Of the windows of a text, the first `length % count` hold one token more.
    size, longer = lengths[owners] // counts[owners], (lengths % counts)[owners]
    first = starts[owners] + number * size + np.minimum(number, longer)
    return owners, first[:, None], (size + (number < longer))[:, None]


def _join_blocks(blocks: list[Tokens]) -> Tokens:
    """The segments of all blocks, of which there is at least one. Texts are numbered on from block to block."""
    texts = to_offsets([len(block.cut) for block in blocks])
    return Tokens(
        ids=np.concatenate([block.ids for block in blocks]),
        offsets=to_offsets(np.concatenate([block.lengths for block in blocks])),
        owners=np.concatenate([block.owners + first for block, first in zip(blocks, texts[:-1], strict=True)]),
        cut=np.concatenate([block.cut for block in blocks]),
        uncut_lengths=np.concatenate([block.uncut_lengths for block in blocks]),
    )


def _concatenate(parts: list[Ids]) -> Ids:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)


def _special_ids(backend: Tokenizer) -> tuple[Ids, Ids]:
    """The special tokens before and after a single text."""
    encoding = backend.encode("a", add_special_tokens=True)
    # If "a" gives no token of its own, all special tokens count as standing before the text.
    content = [place for place, special in enumerate(encoding.special_tokens_mask) if not special]
    first, last = (content[0], content[-1] + 1) if content else (len(encoding.ids), len(encoding.ids))
    ids = np.array(encoding.ids, dtype=np.int32)
    return ids[:first], ids[last:]
