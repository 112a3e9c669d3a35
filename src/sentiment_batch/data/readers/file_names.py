"""What the names of files show: hidden ones, patterns, and the files that scoring writes beside its outputs."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence

from sentiment_batch.data.scored_names import MANIFEST_ENDING, PROBLEMS_ENDING, WORK_ENDING, shorten_name

GLOB_CHARACTERS = re.compile(r"[*?\[]")
ANY_FOLDERS = "**"
"""The part of a pattern that stands for any number of folders."""
OWN_ENDINGS = (MANIFEST_ENDING, PROBLEMS_ENDING)
_WORK_FOLDER = re.compile(rf"\..+{re.escape(WORK_ENDING)}(\.done)?")


def is_hidden(path: str) -> bool:
    """True if a part of the path begins with a dot or an underscore, as markers such as _SUCCESS do.

    As in Spark, `_year=2024` is not hidden, because it is a partition of the column `_year`.
    """
    return any(name.startswith(".") or (name.startswith("_") and "=" not in name) for name in path.split("/"))


def is_work_folder(name: str) -> bool:
    """True if scoring gives this name to its folders for unfinished work."""
    return _WORK_FOLDER.fullmatch(name) is not None


def find_own_files(names: Iterable[str], neighbours: Iterable[str]) -> set[str]:
    """Those of the `names` that scoring gives to the files beside its outputs, if their output is there.

    Args:
        names: names of files of one folder.
        neighbours: the names of all that this folder holds.
    """
    candidates = {name: ending for name in names for ending in OWN_ENDINGS if name.endswith(ending)}
    if not candidates:
        return set()
    outputs = set(map(shorten_name, neighbours))
    return {name for name, ending in candidates.items() if name.removesuffix(ending) in outputs}


def matches_pattern(names: Sequence[str], pattern: Sequence[str], *, hidden: bool) -> bool:
    """True if the parts of a path match the parts of a pattern.

    Args:
        names: the parts of the path.
        pattern: the parts of the pattern.
        hidden: True if wildcards also match hidden names. A hidden name that the pattern spells out always matches.
    """
    if not pattern:
        return not names
    first, rest = pattern[0], pattern[1:]
    # Two stars stand for no folder, or for one and then again for any number
    if first == ANY_FOLDERS and matches_pattern(names, rest, hidden=hidden):
        return True
    if not names:
        return False
    # A pattern such as `_old/*` asks for a hidden folder by its name
    is_spelt_out = is_hidden(first) or not GLOB_CHARACTERS.search(first)
    if not hidden and is_hidden(names[0]) and not is_spelt_out:
        return False
    if first == ANY_FOLDERS:
        return matches_pattern(names[1:], pattern, hidden=hidden)
    return fnmatch.fnmatch(names[0], first) and matches_pattern(names[1:], rest, hidden=hidden)
