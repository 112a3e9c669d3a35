"""A small stand-in for the Hugging Face Hub on this machine: one repository, and the requests that a download makes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Where the server listens, and what was asked of it."""

    url: str
    requests: list[str] = field(default_factory=list)


@contextlib.contextmanager
def serve_hub(repository: str, folder: Path) -> Iterator[Hub]:
    """Serve the files of `folder` as the repository `repository`; every other one is not there."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.requests.append(f"{self.command} {self.path}")
            path = self.path.partition("?")[0]
            files = {file.name: file for file in folder.iterdir()}
            if path in (f"/api/models/{repository}", f"/api/models/{repository}/revision/main"):
                self.answer(json.dumps(_info(repository, files)).encode())
            elif path == f"/api/models/{repository}/tree/{COMMIT}":
                self.answer(json.dumps([_entry(name, file) for name, file in files.items()]).encode())
            elif path.startswith(f"/{repository}/resolve/") and path.rpartition("/")[2] in files:
                content = files[path.rpartition("/")[2]].read_bytes()
                self.answer(content, {"ETag": f'"{_blob(content)}"', "X-Repo-Commit": COMMIT})
            else:
                self.answer(b"{}", {"X-Error-Code": "RepoNotFound"}, status=404)

        do_HEAD = do_GET

        def answer(self, body: bytes, headers: dict[str, str] | None = None, status: int = 200) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with _serving(Handler) as url:
        served = Hub(url)
        yield served


@contextlib.contextmanager
def serve_failing_hub(status: int) -> Iterator[Hub]:
    """Answer everything with `status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.requests.append(f"{self.command} {self.path}")
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    with _serving(Handler) as url:
        served = Hub(url)
        yield served


@contextlib.contextmanager
def serve_silent_hub() -> Iterator[Hub]:
    """Accept connections and never answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield Hub(f"http://127.0.0.1:{server.getsockname()[1]}")


@contextlib.contextmanager
def serve_closed_hub() -> Iterator[Hub]:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield Hub(f"http://127.0.0.1:{port}")


@contextlib.contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _info(repository: str, files: dict[str, Path]) -> dict[str, object]:
    siblings = [{"rfilename": name} for name in files]
    return {"id": repository, "modelId": repository, "sha": COMMIT, "private": False, "siblings": siblings, "tags": []}


def _entry(name: str, file: Path) -> dict[str, object]:
    content = file.read_bytes()
    return {"type": "file", "path": name, "size": len(content), "oid": _blob(content)}


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
