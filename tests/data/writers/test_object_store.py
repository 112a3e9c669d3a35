"""Objects are created only where none is, lost answers do no harm, and one run at a time sends to a folder."""

from __future__ import annotations

import json
import os
import threading

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sentiment_batch.data.writers.object_store import SENDING, FolderClaim, create_object, replace_object
from sentiment_batch.errors import OutputError


class Store(MemoryFileSystem):
    """A storage in memory with conditional requests, whose next answers can be lost or be errors."""

    store: dict = {}  # noqa: RUF012 - fsspec's own form
    pseudo_dirs = [""]  # noqa: RUF012 - the same
    lock = threading.Lock()

    def __init__(self, **options):
        super().__init__(**options)
        self.faults, self.rival = [], None

    def put_file(self, lpath, rpath, mode="overwrite", **options):
        if self.rival is not None:
            rival, self.rival = self.rival, None
            rival()
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "refused":
            raise PermissionError("403 forbidden")
        with self.lock:
            if mode == "create" and self.exists(rpath):
                raise OSError(22, "at least one of the pre-conditions you specified did not hold")
            with open(lpath, "rb") as file:
                self.pipe_file(rpath, file.read())
        if fault == "lost":
            raise ConnectionError("the connection was closed")


class PlainStore(Store):
    """A storage without conditional requests, which ignores what it does not know, as that of SFTP does."""

    def put_file(self, lpath, rpath, **options):
        super().put_file(lpath, rpath)


class RefusingStore(PlainStore):
    """A storage without conditional requests, which says so, as that of HTTP does."""

    def put_file(self, lpath, rpath, mode="overwrite", **options):
        if mode != "overwrite":
            raise NotImplementedError("Exclusive write")
        super().put_file(lpath, rpath)


@pytest.fixture(params=[Store, PlainStore, RefusingStore])
def store(request):
    found = request.param(skip_instance_cache=True)
    yield found
    found.store.clear()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"ours")
    return str(path)


def test_an_object_is_created_only_where_none_is(store, file):
    create_object(store, file, "/b/out")
    assert store.cat("/b/out") == b"ours"
    store.pipe("/b/out", b"them")
    with pytest.raises(FileExistsError):
        create_object(store, file, "/b/out")
    assert store.cat("/b/out") == b"them"


def test_of_two_that_create_an_object_at_once_one_wins(file):
    store = Store(skip_instance_cache=True)
    store.rival = lambda: store.pipe("/b/out", b"them")
    with pytest.raises(FileExistsError):
        create_object(store, file, "/b/out")
    assert store.cat("/b/out") == b"them"
    store.store.clear()


@pytest.mark.parametrize("put", [create_object, replace_object])
def test_a_lost_answer_is_no_failure(store, file, put):
    store.faults = ["lost"]
    put(store, file, "/b/out")
    assert store.cat("/b/out") == b"ours"


def test_an_object_that_was_asked_for_twice_is_ours(store, file):
    store.pipe("/b/out", b"ours")  # as the client's second request finds it after a lost answer
    create_object(store, file, "/b/out")


@pytest.mark.parametrize("put", [create_object, replace_object])
def test_an_error_of_the_storage_stays_what_it_is(store, file, put):
    store.faults = ["refused"]
    with pytest.raises(PermissionError, match="403 forbidden"):
        put(store, file, "/b/out")
    assert not store.exists("/b/out")


def test_a_failed_replacement_beside_an_old_object_is_one(store, file):
    store.pipe("/b/out", b"old!")
    store.faults = ["refused"]
    with pytest.raises(PermissionError):
        replace_object(store, file, "/b/out")
    assert store.cat("/b/out") == b"old!"


@pytest.fixture
def claim(store, monkeypatch):
    monkeypatch.setattr(
        "sentiment_batch.data.writers.object_store.open_filesystem", lambda location, kind: (store, "/b/out/")
    )
    return lambda place="here": FolderClaim("store://b/out/", place)


def test_a_claim_keeps_others_away_until_it_is_released(store, claim):
    assert claim().take() is False
    assert claim().is_held()
    for refused in (claim("there").take, claim("there").is_held, claim("there").release):
        with pytest.raises(OutputError, match=rf"^store://b/out/ is being sent by another run on .* remove {SENDING}"):
            refused()
    claim().release()
    assert store.find("/b") == []
    assert claim("there").take() is False


def test_a_later_run_of_the_same_place_takes_over(claim):
    claim().take()
    assert claim().take() is True


def test_of_two_claims_at_once_one_wins(claim, store):
    if isinstance(store, PlainStore):
        pytest.skip("a storage without conditional requests cannot know")
    store.rival = claim("there").take
    with pytest.raises(OutputError, match="is being sent by another run"):
        claim().take()
    assert claim("there").is_held()


@pytest.mark.parametrize("content", [b"", b"null", b"[1]", b"\xff", b'{"place": 1}', b"[" * 5000])
def test_a_foreign_claim_is_refused_whatever_it_holds(store, claim, content):
    store.pipe(f"/b/out/{SENDING}", content)
    with pytest.raises(OutputError, match="is being sent by another run"):
        claim().take()
    assert store.cat(f"/b/out/{SENDING}") == content


def test_a_claim_names_the_machine_and_the_time(store, claim, monkeypatch):
    monkeypatch.setattr("platform.node", lambda: "worker-7")
    claim().take()
    monkeypatch.setattr("platform.node", lambda: "worker-8")
    with pytest.raises(OutputError, match=r"on worker-7 since \d{4}-"):
        claim().take()
    assert set(json.loads(store.cat(f"/b/out/{SENDING}"))) == {"machine", "place", "since"}


def test_releasing_a_claim_that_is_gone_does_nothing(claim):
    claim().release()


def test_a_storage_that_refuses_a_claim_is_one_line(store, claim):
    store.faults = ["refused"]
    with pytest.raises(OutputError, match=r"^store://b/out/ cannot be written: PermissionError: 403 forbidden\."):
        claim().take()


def test_nothing_of_a_claim_stays_on_this_machine(claim, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    claim().take()
    assert os.listdir(tmp_path) == []
