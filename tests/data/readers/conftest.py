import io
import uuid

import fsspec
import pytest


@pytest.fixture
def stdin(monkeypatch):
    """Puts bytes on standard input and returns the stream, so that tests can check whether it is still open."""

    def put(data: bytes):
        stream = io.BytesIO(data)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stream))
        return stream

    return put


@pytest.fixture
def memory():
    """A folder in fsspec's memory file system; `memory.put(name, data)` writes a file and returns its URL."""
    folder = Memory(f"memory://{uuid.uuid4().hex}")
    yield folder
    fsspec.filesystem("memory").store.clear()


class Memory:
    def __init__(self, url: str) -> None:
        self.url = url

    def put(self, name: str, data: bytes) -> str:
        with fsspec.open(f"{self.url}/{name}", "wb") as file:
            file.write(data)
        return f"{self.url}/{name}"
