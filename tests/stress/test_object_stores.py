"""The client s3fs against the small server: conditional requests, lost answers and uploads in parts. Needs s3fs."""

from __future__ import annotations

import pytest

from sentiment_batch.data.writers.object_store import create_object, replace_object
from tests.stress.s3_server import Fault, client_environment, serve_objects

s3fs = pytest.importorskip("s3fs")


@pytest.fixture
def storage(monkeypatch):
    with serve_objects() as (address, storage):
        for name, value in client_environment(address).items():
            monkeypatch.setenv(name, value)
        yield storage


@pytest.fixture
def client(storage):
    return s3fs.S3FileSystem(skip_instance_cache=True)


@pytest.mark.parametrize("put", [create_object, replace_object])
@pytest.mark.parametrize("kind", ["", "lost", "closed", "500", "503"])
def test_an_object_is_there_after_one_fault(storage, client, tmp_path, put, kind):
    (tmp_path / "file").write_bytes(b"ours")
    storage.faults = [Fault(kind, ("PUT",), 1)] if kind else []
    put(client, str(tmp_path / "file"), "bucket/out")
    assert storage.objects["bucket/out"][0] == b"ours"


def test_an_object_of_another_stays(storage, client, tmp_path):
    (tmp_path / "file").write_bytes(b"ours")
    storage.put("bucket/out", b"them")
    with pytest.raises(FileExistsError):
        create_object(client, str(tmp_path / "file"), "bucket/out")
    assert storage.objects["bucket/out"][0] == b"them"
