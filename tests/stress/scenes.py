"""What the scenes of damaged files have in common: sound files, those of an earlier run, and a run that reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sentiment_batch.errors import SentimentBatchError
from tests.stress.mutations import copy_folder


class Scene:
    """Files that runs have written, and a run that reads them again.

    Args:
        folder: an empty folder to work in.
        name: names the scene in the log.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.place = name, folder / "place"
        self._sound, self._stale = folder / "sound", folder / "stale"

    def keep(self, *, stale: bool = False) -> None:
        """Remember the files as they are, as the sound ones or as those of an earlier run."""
        copy_folder(self.place, self._stale if stale else self._sound)

    def restore(self) -> None:
        """Make all files sound."""
        copy_folder(self._sound, self.place)

    def files(self) -> dict[str, list[str]]:
        """The paths of all files below the place, by their kind."""
        found: dict[str, list[str]] = {}
        for path in sorted(self._sound.rglob("*")):
            kind = self.kind_of(path) if path.is_file() else None
            if kind:
                found.setdefault(kind, []).append(str(path.relative_to(self._sound)))
        return found

    def kind_of(self, path: Path) -> str | None:
        """The kind of a file, for the summary; None if it is not to be damaged."""
        raise NotImplementedError

    def sound_content(self, name: str) -> bytes:
        """What a file holds when it is sound."""
        return (self._sound / name).read_bytes()

    def others(self, kind: str, name: str) -> list[bytes]:
        """What the other files of a kind hold when they are sound."""
        return [self.sound_content(other) for other in self.files()[kind] if other != name]

    def stale_content(self, name: str) -> bytes | None:
        """What the file held in an earlier run."""
        path = self._stale / name
        return path.read_bytes() if path.is_file() else None

    def attempt(self) -> str:
        """Read the damaged files: refused, redone or harmless.

        Raises:
            AssertionError: something else came out, or the refusal is no clear line.
        """
        raise NotImplementedError


def refusal_of(work: Callable[[], object]) -> str | None:
    """The message with which something is refused, None if it is done; any other error passes.

    Raises:
        AssertionError: the message is empty, or has several lines.
    """
    try:
        work()
    except SentimentBatchError as error:
        message = str(error)
    else:
        return None
    assert message, "an empty message"
    assert "\n" not in message, f"a message of several lines: {message}"
    return message
