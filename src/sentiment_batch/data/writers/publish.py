"""Makes an output appear whole or not at all: bytes in, a destination out; it knows nothing of tables."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, BinaryIO, cast

from sentiment_batch.data.writers.local import Destination, on_this_machine
from sentiment_batch.data.writers.streams import CountingStream, HashingStream, compressor
from sentiment_batch.data.writers.write_errors import failures_named
from sentiment_batch.locations import compression_of, scheme_of
from sentiment_batch.records import Sealed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


class Publication:
    """One output under way: write to `stream`, then `commit` or `abort`; `seal` before it tells what will be there.

    A local file is written under a hidden name beside its destination, synced and renamed. A URL is gathered in a local
    file and uploaded once. Standard output, devices and pipes are written as the bytes come.

    Args:
        location: a path, an fsspec URL, or `-` for standard output; `.gz`, `.bz2`, `.xz` and `.zst` compress.
        overwrite: replace what is there.
        scratch: a folder for the hidden file; it must be on the file system of a local destination.

    Raises:
        OutputError: the destination exists and `overwrite` is not set, its folder is missing, or it cannot be written.
    """

    def __init__(self, location: str, *, overwrite: bool = False, scratch: str | None = None) -> None:
        self._location = location
        self._done = False
        self._sealed: Sealed | None = None
        with failures_named(location):
            self._destination = _destination(location, overwrite, scratch)
        self._bottom = HashingStream(self._destination.file)
        self._compressor: BinaryIO | None = None
        below = cast(BinaryIO, self._bottom)
        try:
            with self.failures_named():
                self._compressor = compressor(below, compression_of(location))  # gzip writes its header at once
        except BaseException:
            self.abort()
            raise
        self.stream = cast(BinaryIO, CountingStream(self._compressor or below))
        """Takes the bytes; it cannot seek, but tells its position."""

    def failures_named(self) -> AbstractContextManager[None]:
        """Turns failures to write into `OutputError`; a reader that leaves standard output stays `BrokenPipeError`."""
        return failures_named(self._destination.place, keep_broken_pipe=self._location == "-")

    def seal(self) -> Sealed:
        """Make the bytes safe on disk, not yet visible; a failure leaves no trace. The second time it only tells.

        Raises:
            OutputError: the bytes could not be made safe.
        """
        if self._sealed is None:
            with self._traceless():
                if self._compressor is not None:
                    self._compressor.close()
                self._bottom.flush()
                self._destination.seal()
            self._sealed = Sealed(bytes=self._bottom.tell(), sha256=self._bottom.sha256())
        return self._sealed

    def commit(self) -> None:
        """Publish the bytes; a failure leaves no trace.

        Raises:
            OutputError: the bytes could not be made safe, or something appeared at the destination meanwhile.
        """
        self.seal()
        with self._traceless():
            self._destination.publish()
        self._done = True

    def abort(self) -> None:
        """Leave no trace; does nothing after `commit`, or the second time."""
        if self._done:
            return
        self._done = True
        self._bottom.cut()
        if self._compressor is not None:
            self._compressor.close()  # into nothing: an open one would write to the closed file when it is collected
        self._destination.discard()

    @contextlib.contextmanager
    def _traceless(self) -> Iterator[None]:
        try:
            with self.failures_named():
                yield
        except BaseException:
            self.abort()
            raise


def _destination(location: str, overwrite: bool, scratch: str | None) -> Destination:
    if scheme_of(location):
        from sentiment_batch.data.writers.remote import at_url  # fsspec only where a URL asks for it

        return at_url(location, overwrite, scratch)
    return on_this_machine(location, overwrite, scratch)
