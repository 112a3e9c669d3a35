"""Checks the texts and labels that the estimator gets, and gives the labels names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sentiment_batch.data.columns import is_scored
from sentiment_batch.data.readers.json_types import replace_surrogates
from sentiment_batch.errors import listed
from sentiment_batch.frames.values import is_missing
from sentiment_batch.labels.values import normalize_word, to_canonical
from sentiment_batch.labels.word_classes import MIN_ROWS_PER_WORD


def refuse_missing(y: Any) -> None:
    """Raise ValueError for a label that is missing. NumPy would make the word nan of one beside words.

    `y` may also be a column, such as a frame with the labels alone.
    """
    for row, label in enumerate(np.asarray(y, dtype=object).ravel()):
        if is_missing(label):
            raise ValueError(f"row {row} of y has no label, but {label}. Leave such rows out of X and y.")


def refuse_mixed(y: Any) -> None:
    """Raise ValueError for labels of several kinds, as scikit-learn does. NumPy would make one kind of them."""
    kinds = {_name_kind(label) for label in np.asarray(y, dtype=object).ravel()}
    if len(kinds) > 1:
        raise ValueError(f"y mixes {' and '.join(sorted(kinds))}. Write all labels in one way.")


def _name_kind(label: object) -> str:
    """The kind of a label in words. A truth value is no number here, although it is one in Python."""
    if isinstance(label, (bool, np.bool_)):
        return "truth values"
    return "text" if isinstance(label, str) else "numbers"


def refuse_unordered(values: object, name: str) -> None:
    """Raise ValueError for a set or a dictionary, because the places of its items mean nothing."""
    if isinstance(values, set | frozenset | Mapping):
        raise ValueError(f"{name} is a {type(values).__name__}, which has no rows. Give a list.")


def name_label_classes(labels: Sequence[Any]) -> list[str]:
    """(K,) the word of each label, without blanks around it.

    Raises:
        ValueError: a label has no word, or two are read as one, such as `01` and `1`.
    """
    names = [replace_surrogates(str(label)).strip() for label in labels]
    first: dict[str, Any] = {}
    for label, name in zip(labels, names, strict=True):
        if not normalize_word(name):
            raise ValueError(f"y holds the label {label!r}, which is no word. Leave such rows out of X and y.")
        # In both forms in which the labels of a table are compared
        words = {normalize_word(name), normalize_word(to_canonical(name) or name)}
        for other in (first[word] for word in words if word in first):
            raise ValueError(
                f"the labels {other!r} and {label!r} are spellings of one word. Write them in clearly different ways, "
                "or in one way if they mean the same."
            )
        first |= dict.fromkeys(words, label)
    return names


def refuse_lost(names: Sequence[str], texts: Sequence[str | None], labels: Sequence[str]) -> None:
    """Raise ValueError for names of classes that training would leave out, because too few rows have a text.

    Args:
        names: (K,) the names.
        texts: (N,) the text of each row.
        labels: (N,) one of the names for each row.
    """
    rows = Counter(label for text, label in zip(texts, labels, strict=True) if _has_text(text))
    if not rows:
        raise ValueError("no row of X has a text to learn from.")
    lost = [name for name in names if rows[name] < MIN_ROWS_PER_WORD]
    if lost:
        raise ValueError(
            f"too few rows have a text and the label {listed(lost)}; a label needs {MIN_ROWS_PER_WORD}. Give more such "
            "rows, or leave them out of X and y."
        )


def _has_text(text: str | None) -> bool:
    """True if training would read a text, and not leave its row out."""
    return text is not None and is_scored(text)


def to_texts(X: Iterable[str]) -> Sequence[str | None]:
    """The texts of X, with None for missing ones, and U+FFFD for halves of surrogate pairs, which UTF-8 lacks.

    Raises:
        ValueError: X is one text, has no order or several columns, or holds something else.
    """
    refuse_unordered(X, "X")
    if isinstance(X, str):
        raise ValueError("X is one text; it must be a sequence of texts. Write [text].")
    # Frames and arrays as they are, all else as a list, such as the values of a generator. A frame of one column is a
    # column of texts.
    values = np.asarray(X if hasattr(X, "__array__") or isinstance(X, list | tuple) else list(X), dtype=object)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"X has the shape {values.shape}; it must be a sequence of texts.")
    texts = [None if is_missing(value) else value for value in values.tolist()]
    odd = next((value for value in texts if value is not None and not isinstance(value, str)), None)
    if odd is not None:
        raise ValueError(f"X holds {odd!r}, which is no text. Give the column of the texts.")
    return [None if text is None else replace_surrogates(text) for text in texts]
