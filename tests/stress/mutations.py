"""Ways in which a file can be damaged, each chosen by a seeded generator."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

MUTATIONS = ("bit", "byte", "cut", "swapped", "stale", "foreign", "empty", "folder")
"""A bit flipped, a byte changed, the end cut off, the content of another file of the same kind, the content that the
same file had in an earlier run, a file of another program, no content, and a folder in the place of the file."""
_FOREIGN = (
    b"PK\x03\x04 no zip",
    b"{}",
    b"[1, 2]",
    b"null",
    b'{"content": {}, "sha256": ""}',
    b"id,text\n1,a\n",
    b"\xff" * 64,
)


def mutate(path: Path, mutation: str, chance: random.Random, *, others: list[bytes], stale: bytes | None) -> bool:
    """Damage a file; False if this mutation would leave it as it is.

    Args:
        path: the file.
        mutation: one of `MUTATIONS`.
        chance: chooses the place of the damage.
        others: the contents of the other files of its kind.
        stale: the content that the file had in an earlier run; None if it was not there.
    """
    data = path.read_bytes()
    if mutation == "folder":
        path.unlink()
        path.mkdir()
        return True
    changed = _change(data, mutation, chance, [one for one in others if one != data], stale)
    if changed is None or changed == data:
        return False
    path.write_bytes(changed)
    return True


def _change(
    data: bytes, mutation: str, chance: random.Random, others: list[bytes], stale: bytes | None
) -> bytes | None:
    if mutation == "swapped":
        return chance.choice(others) if others else None
    if mutation == "stale":
        return stale
    if mutation == "foreign":
        return chance.choice(_FOREIGN)
    if not data:
        return None
    if mutation == "empty":
        return b""
    if mutation == "cut":
        return data[: chance.randrange(len(data))]
    changed, place = bytearray(data), chance.randrange(len(data))
    changed[place] = chance.randrange(256) if mutation == "byte" else changed[place] ^ 1 << chance.randrange(8)
    return bytes(changed)


def copy_folder(source: Path, target: Path) -> None:
    """Make `target` a copy of `source`, whatever is there."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)
