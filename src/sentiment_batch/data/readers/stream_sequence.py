"""Decompresses files of bzip2 or xz, which may hold several streams one after the other.

The file objects of Python ignore what they cannot decode after the first stream, so rows would be lost silently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import bz2
    import io
    import lzma
    from collections.abc import Callable

_READ_BYTES = 1 << 20


class StreamSequence:
    """The decompressed bytes of all streams of a file.

    Args:
        file: the compressed bytes from the first one. The caller closes it.
        make_decoder: makes the decoder of one stream.
        padding: the byte that may follow a stream, in multiples of four, as xz allows it; empty if there is none.
    """

    def __init__(
        self,
        file: io.BufferedReader,
        make_decoder: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor],
        *,
        padding: bytes = b"",
    ) -> None:
        self._file = file
        self._make_decoder = make_decoder
        self._padding = padding
        self._decoder = make_decoder()
        self._pending = b""  # compressed bytes that are read, and not decoded yet

    def seekable(self) -> bool:
        """False: the bytes come in their order."""
        return False

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; none at the end.

        Raises:
            EOFError, OSError, ValueError, lzma.LZMAError: the file ends too early, or is damaged.
        """
        # A decoder may take bytes and give none yet, so the loop goes on until there are some.
        while not self._decoder.eof or self._begin_next():
            packed = b""
            if self._decoder.needs_input:
                packed, self._pending = self._pending or self._file.read1(_READ_BYTES), b""
                if not packed:
                    raise EOFError("it ends within a compressed stream")
            if data := self._decoder.decompress(packed, size):
                return data
        return b""

    def close(self) -> None:
        """Close nothing, because the file belongs to the caller."""

    def _begin_next(self) -> bool:
        """Begin the next stream, after the padding of the last one; False if there is none."""
        # A decoder stops at the end of its stream. The bytes behind it belong to the next one.
        packed, padded = self._decoder.unused_data or self._file.read1(_READ_BYTES), 0
        while packed:
            self._pending = packed.lstrip(self._padding)
            padded += len(packed) - len(self._pending)
            if self._pending:
                self._decoder = self._make_decoder()
                break
            packed = self._file.read1(_READ_BYTES)
        # The specification of xz, section 2.2, pads streams with zeros to multiples of four bytes
        if padded % 4:
            raise ValueError("the padding after a compressed stream has a wrong length")
        return bool(packed)
