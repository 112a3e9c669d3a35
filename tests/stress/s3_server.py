"""A small S3 server on this machine, for tests: it keeps objects in memory, and can lose answers, refuse and be slow.

It knows what s3fs asks for: objects, their ranges and lists, uploads in several parts, and conditional requests
(`If-None-Match: *`). Signatures are not checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

SECRET = "the-secret-key-of-the-tests"
SLOW_SECONDS = 1.5


@dataclass(slots=True)
class Fault:
    """What happens to some requests."""

    kind: str
    """lost: done, but the connection is closed without an answer. closed: the same, but nothing is done. 500, 503, 403:
    refused with this status. slow: answered late. cut: the answer ends in its middle."""
    methods: tuple[str, ...]
    """The requests that are counted: PUT, POST, DELETE, GET, HEAD."""
    first: int
    """The number, from 1, of the first of them that it happens to."""
    times: int = 1
    """How many of them it happens to."""
    key: str = ""
    """Only requests for keys that contain this are counted."""
    seen: int = 0


@dataclass(slots=True)
class Storage:
    """The objects of the server, and what it was asked."""

    objects: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    """Content and time by bucket/key."""
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    """The parts of unfinished uploads by their number."""
    versions: dict[str, list[str]] = field(default_factory=dict)
    """The SHA-256 of each content that a key has had."""
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def put(self, name: str, data: bytes) -> None:
        """Store an object."""
        self.objects[name] = (data, time.time())
        self.versions.setdefault(name, []).append(hashlib.sha256(data).hexdigest())

    def choose_fault(self, method: str, name: str) -> str:
        """What is to happen to a request; empty if nothing."""
        with self.lock:
            self.counts[method] += 1
            for fault in self.faults:
                if method in fault.methods and fault.key in name:
                    fault.seen += 1
                    if fault.first <= fault.seen < fault.first + fault.times:
                        self.counts[f"fault {fault.kind}"] += 1
                        return fault.kind
        return ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    storage: Storage

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        self._name = unquote(parts.path).lstrip("/")
        self._query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self._body = self._read_body()
        fault = self.storage.choose_fault(self.command, self._name + ("?list" if "list-type" in self._query else ""))
        self._cut = fault == "cut"
        if fault == "closed":
            self.close_connection = True
            return
        if fault.isdigit():
            code = {"500": "InternalError", "503": "SlowDown", "403": "AccessDenied"}[fault]
            self._fail(int(fault), code)
            return
        if fault == "slow":
            time.sleep(SLOW_SECONDS)
        self._lost = fault == "lost"
        with self.storage.lock:
            answer = getattr(self, f"_do_{self.command.lower()}")
            status, headers, body = answer()
        self._reply(status, headers, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle

    def _read_body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "aws-chunked" not in (self.headers.get("Content-Encoding") or ""):
            return body
        plain = b""
        while (end := body.find(b"\r\n")) > 0 and (size := int(body[:end].partition(b";")[0], 16)):
            plain += body[end + 2 : end + 2 + size]
            body = body[end + 4 + size :]
        return plain

    def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        if self._lost:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if self._cut else body)
        self.close_connection = self.close_connection or self._cut

    def _fail(self, status: int, code: str, more: str = "") -> None:
        self._lost = self._cut = False
        self._reply(*self._error(status, code, more))

    def _error(self, status: int, code: str, more: str = "") -> tuple[int, dict[str, str], bytes]:
        text = f"<Error><Code>{code}</Code><Message>{code} of the test server</Message>{more}</Error>"
        return status, {"Content-Type": "application/xml"}, text.encode()

    def _xml(self, text: str) -> tuple[int, dict[str, str], bytes]:
        return 200, {"Content-Type": "application/xml"}, f'<?xml version="1.0"?>{text}'.encode()

    def _do_put(self) -> tuple[int, dict[str, str], bytes]:
        if "/" not in self._name.rstrip("/"):
            return 200, {}, b""  # a bucket
        tag = {"ETag": f'"{hashlib.md5(self._body).hexdigest()}"'}
        if "partNumber" in self._query:
            upload = self.storage.uploads.get(self._query["uploadId"])
            if upload is None:
                return self._error(404, "NoSuchUpload")
            upload[int(self._query["partNumber"])] = self._body
            return 200, tag, b""
        return self._store(self._body) or (200, tag, b"")

    def _store(self, data: bytes) -> tuple[int, dict[str, str], bytes] | None:
        """Store an object; the answer if the request's condition forbids it."""
        if self.headers.get("If-None-Match") == "*" and self._name in self.storage.objects:
            return self._error(412, "PreconditionFailed", "<Condition>If-None-Match</Condition>")
        self.storage.put(self._name, data)
        return None

    def _do_post(self) -> tuple[int, dict[str, str], bytes]:
        if "uploads" in self._query:
            upload = f"upload-{len(self.storage.versions)}-{self.storage.counts['POST']}"
            self.storage.uploads[upload] = {}
            bucket, _, key = self._name.partition("/")
            return self._xml(
                f"<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>"
                f"<UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            )
        if "uploadId" in self._query:
            parts = self.storage.uploads.get(self._query["uploadId"])
            if parts is None:
                return self._error(404, "NoSuchUpload")
            refused = self._store(b"".join(parts[number] for number in sorted(parts)))
            if refused is None:
                del self.storage.uploads[self._query["uploadId"]]
            return refused or self._xml("<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")
        for key in re.findall(r"<Key>(.*?)</Key>", self._body.decode()):
            self.storage.objects.pop(f"{self._name.rstrip('/')}/{key}", None)
        return self._xml("<DeleteResult></DeleteResult>")

    def _do_delete(self) -> tuple[int, dict[str, str], bytes]:
        if "uploadId" in self._query:
            found = self.storage.uploads.pop(self._query["uploadId"], None)
            return self._error(404, "NoSuchUpload") if found is None else (204, {}, b"")
        self.storage.objects.pop(self._name, None)
        return 204, {}, b""

    def _do_get(self) -> tuple[int, dict[str, str], bytes]:
        if "/" not in self._name.rstrip("/"):
            return self._list()
        if self._name not in self.storage.objects:
            return self._error(404, "NoSuchKey")
        data, changed = self.storage.objects[self._name]
        headers = {
            "ETag": f'"{hashlib.md5(data).hexdigest()}"',
            "Last-Modified": formatdate(changed, usegmt=True),
            "Accept-Ranges": "bytes",
        }
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if wanted is None or self.command == "HEAD":
            return 200, headers | {"Content-Length": str(len(data))}, data
        first, last = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
        if first >= len(data):
            return self._error(416, "InvalidRange")
        return 206, headers | {"Content-Range": f"bytes {first}-{last}/{len(data)}"}, data[first : last + 1]

    def _do_head(self) -> tuple[int, dict[str, str], bytes]:
        if "/" not in self._name.rstrip("/"):
            return 200, {}, b""
        status, headers, body = self._do_get()
        return status, headers, body if status == 200 else b""

    def _list(self) -> tuple[int, dict[str, str], bytes]:
        bucket, prefix = self._name.rstrip("/"), self._query.get("prefix", "")
        delimiter, rows, folders = self._query.get("delimiter", ""), [], set()
        for name, (data, changed) in sorted(self.storage.objects.items()):
            key = name.removeprefix(f"{bucket}/")
            if key == name or not key.startswith(prefix):
                continue
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
                continue
            when = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(changed))
            rows.append(
                f"<Contents><Key>{escape(key)}</Key><LastModified>{when}</LastModified><ETag>x</ETag>"
                f"<Size>{len(data)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            )
        found = [f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in sorted(folders)]
        return self._xml(
            f"<ListBucketResult><Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><IsTruncated>false</IsTruncated>"
            f"<KeyCount>{len(rows) + len(found)}</KeyCount>{''.join(rows + found)}</ListBucketResult>"
        )


@contextlib.contextmanager
def serve_objects() -> Iterator[tuple[str, Storage]]:
    """A server for the length of the block: its address, and its storage."""
    storage = Storage()
    handler = type("Handler", (_Handler,), {"storage": storage})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", storage
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def client_environment(address: str) -> dict[str, str]:
    """The variables with which s3fs finds the server."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "key-of-the-tests",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "2",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
