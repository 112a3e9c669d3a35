"""Outputs appear completely or not at all. Every error is one line with advice."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import stat
import subprocess
import sys
import threading

import fsspec
import pyarrow as pa
import pytest

from sentiment_batch.data.writers.csv import CsvEncoder
from sentiment_batch.data.writers.jsonl import JsonLinesEncoder
from sentiment_batch.data.writers.parquet import ParquetEncoder
from sentiment_batch.data.writers.publish import FileWriter, Publication
from sentiment_batch.errors import OutputError
from sentiment_batch.files import atomic
from sentiment_batch.records import WriteOptions


def publish(location, data=b"rows", **options):
    publication = Publication(str(location), **options)
    publication.stream.write(data)
    publication.commit()


def test_a_file_appears_only_at_commit_and_nothing_else_stays(tmp_path):
    publication = Publication(str(tmp_path / "out.csv"))
    publication.stream.write(b"rows")
    (hidden,) = os.listdir(tmp_path)
    assert hidden.startswith(".out.csv.")
    assert hidden.endswith(".part")
    publication.commit()
    assert os.listdir(tmp_path) == ["out.csv"]
    assert (tmp_path / "out.csv").read_bytes() == b"rows"


def test_abort_leaves_nothing_and_may_be_called_twice(tmp_path):
    publication = Publication(str(tmp_path / "out.csv.gz"))
    publication.stream.write(b"rows" * 1000)
    publication.abort()
    publication.abort()
    assert os.listdir(tmp_path) == []


def test_abort_after_commit_leaves_the_file(tmp_path):
    publication = Publication(str(tmp_path / "out.csv"))
    publication.commit()
    publication.abort()
    assert os.listdir(tmp_path) == ["out.csv"]


def test_writes_after_abort_go_nowhere(tmp_path):
    publication = Publication(str(tmp_path / "out.csv"))
    publication.abort()
    assert publication.stream.write(b"late") == 4


def test_an_existing_file_stays_unless_overwrite_is_set(tmp_path):
    path = tmp_path / "out.csv"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match=r"exists already\. Replace it with `overwrite=True`"):
        Publication(str(path))
    assert path.read_bytes() == b"old"
    publish(path, overwrite=True)
    assert path.read_bytes() == b"rows"
    assert os.listdir(tmp_path) == ["out.csv"]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "out.csv"
    path.write_bytes(b"old")
    publication = Publication(str(path), overwrite=True)
    publication.stream.write(b"new")
    assert path.read_bytes() == b"old"
    publication.abort()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.csv"]


@pytest.mark.parametrize("hard_links", [True, False])
def test_a_file_that_appeared_meanwhile_is_not_replaced(tmp_path, monkeypatch, hard_links):
    path = tmp_path / "out.csv"
    publication = Publication(str(path))
    publication.stream.write(b"ours")
    path.write_bytes(b"theirs")
    if not hard_links:
        monkeypatch.setattr(os, "link", failing(errno.EPERM))
    with pytest.raises(OutputError, match="exists already"):
        publication.commit()
    assert path.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_file_system_without_hard_links_serves(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", failing(errno.EOPNOTSUPP))
    publish(tmp_path / "out.csv")
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_missing_folder_is_named_and_not_created(tmp_path):
    with pytest.raises(OutputError, match=r"there is no folder .*deep.* Create it"):
        Publication(str(tmp_path / "deep" / "out.csv"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_folder_is_refused_even_with_overwrite(tmp_path, ending):
    with pytest.raises(OutputError, match=r"is a folder\. Name a file in it"):
        Publication(str(tmp_path) + ending, overwrite=True)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="there is no folder"):
        Publication(str(tmp_path / "file" / "out.csv"))


def test_the_umask_gives_the_mode(tmp_path):
    old = os.umask(0o027)
    try:
        publish(tmp_path / "out.csv")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o640


def test_a_replaced_file_keeps_its_mode(tmp_path):
    path = tmp_path / "out.csv"
    path.write_bytes(b"private")
    path.chmod(0o600)
    publish(path, overwrite=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "data").mkdir()
    target = tmp_path / "data" / "real.csv"
    target.write_bytes(b"old")
    link = tmp_path / "out.csv"
    link.symlink_to(target)
    publish(link, overwrite=True)
    assert link.is_symlink()
    assert target.read_bytes() == b"rows"
    assert os.listdir(tmp_path / "data") == ["real.csv"]


def test_a_link_to_nothing_gets_its_target(tmp_path):
    (tmp_path / "out.csv").symlink_to("real.csv")
    publish(tmp_path / "out.csv")
    assert (tmp_path / "real.csv").read_bytes() == b"rows"
    assert (tmp_path / "out.csv").is_symlink()


def test_the_longest_name_that_the_file_system_takes_works(tmp_path):
    name = "é" * 125 + ".csv"
    publish(tmp_path / name)
    assert os.listdir(tmp_path) == [name]


def test_a_name_that_is_too_long_is_reported(tmp_path):
    with pytest.raises(OutputError, match="the name is too long"):
        publish(tmp_path / ("n" * 300 + ".csv"))
    assert os.listdir(tmp_path) == []


# --- failures of the disk


def failing(number, after=0, real=None):
    """A function that fails from its `after`-th call on with the error `number`."""
    calls = iter(range(1_000_000))

    def call(*arguments, **keywords):
        if next(calls) >= after:
            raise OSError(number, os.strerror(number))
        return real(*arguments, **keywords)

    return call


BATCH = pa.record_batch({"text": ["good", "bad"] * 500, "n": pa.array(range(1000))})


def write_table(location, encoder, batches=3):
    writer = FileWriter(str(location), BATCH.schema, WriteOptions(), encoder)
    try:
        for _ in range(batches):
            writer.write(BATCH)
        writer.commit()
    except BaseException:
        writer.abort()
        raise


def outcome(location, encoder):
    try:
        write_table(location, encoder)
    except OutputError as error:
        return error


class FailsAt(io.BytesIO):
    """A file whose n-th write fails."""

    def __init__(self, file, writes):
        super().__init__()
        self.file, self.left = file, writes

    def write(self, data):
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(data)

    def fileno(self):
        return self.file.fileno()

    def flush(self):
        self.file.flush()

    def close(self):
        self.file.close()


@pytest.mark.parametrize(
    ("name", "encoder"),
    [
        ("out.csv", CsvEncoder),
        ("out.csv.gz", CsvEncoder),
        ("out.csv.bz2", CsvEncoder),
        ("out.csv.xz", CsvEncoder),
        ("out.csv.zst", CsvEncoder),
        ("out.jsonl", JsonLinesEncoder),
        ("out.parquet", ParquetEncoder),
    ],
)
def test_an_error_at_the_nth_write_leaves_nothing(tmp_path, monkeypatch, name, encoder, capfd):
    create = atomic.HiddenFile._create
    message = f"{tmp_path / name} cannot be written: the disk is full. "
    message += "Free some space there, or name another destination."
    n = 0
    while True:
        monkeypatch.setattr(atomic.HiddenFile, "_create", lambda self, n=n: FailsAt(create(self), n))
        error = outcome(tmp_path / name, encoder)
        if error is None:
            break
        assert (str(error), os.listdir(tmp_path)) == (message, [])
        n += 1
    assert n >= 1
    assert os.listdir(tmp_path) == [name]
    assert capfd.readouterr() == ("", "")  # pyarrow complains there of streams that fail when collected


@pytest.mark.parametrize("call", ["fsync", "link", "replace"])
def test_an_error_when_publishing_leaves_nothing(tmp_path, monkeypatch, call):
    if call == "replace":
        monkeypatch.setattr(os, "link", failing(errno.EPERM))
    monkeypatch.setattr(os, call, failing(errno.EIO))
    monkeypatch.setattr(os, "replace", failing(errno.EIO))
    with pytest.raises(OutputError, match="input/output error"):
        write_table(tmp_path / "out.csv", CsvEncoder)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_synced_is_a_warning(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(os, "fsync", failing(errno.EIO, after=1, real=os.fsync))
    publish(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == b"rows"
    assert "its folder could not be synced" in caplog.text


def test_a_file_system_that_cannot_sync_serves(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    publish(tmp_path / "out.csv")
    assert os.listdir(tmp_path) == ["out.csv"]


def test_file_and_folder_are_synced_before_and_after_the_rename(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: steps.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
    )
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: (steps.append("rename"), replace(*paths)))
    publish(tmp_path / "out.csv", overwrite=True)
    assert steps == ["file", "rename", "folder"]


def test_an_interrupt_passes_and_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path / "out.csv")
    assert os.listdir(tmp_path) == []


def test_a_bug_passes_as_it_is(tmp_path):
    publication = Publication(str(tmp_path / "out.csv"))
    with pytest.raises(ZeroDivisionError), publication.translate_errors():
        _ = 1 / 0
    publication.abort()


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
@pytest.mark.parametrize("encoder", [CsvEncoder, JsonLinesEncoder, ParquetEncoder])
def test_dev_full_is_a_full_disk(encoder):
    with pytest.raises(OutputError, match=r"^/dev/full cannot be written: the disk is full"):
        write_table("/dev/full", encoder)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.skipif(os.name == "nt", reason="no /dev/null")
def test_dev_null_is_written_to_and_not_renamed_over():
    publish("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.skipif(os.name == "nt", reason="no named pipes")
def test_a_named_pipe_is_written_to(tmp_path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    publish(pipe)
    reader.join()
    assert read == [b"rows"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(os.name == "nt", reason="no resource limits")
def test_a_limit_on_the_file_size_is_one_line_and_leaves_nothing(tmp_path):
    code = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
from sentiment_batch.errors import OutputError
from sentiment_batch.files import atomic
from sentiment_batch.data.writers.publish import Publication
publication = Publication({str(tmp_path / "out.csv")!r})
try:
    with publication.translate_errors():
        publication.stream.write(b"x" * (4 << 20))
    publication.commit()
except OutputError as error:
    publication.abort()
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "larger than the limit. Raise the limit (ulimit -f)" in done.stdout
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permission denied"):
        publish(tmp_path / "out.csv")
    tmp_path.chmod(0o700)


def test_permission_denied_is_reported_with_advice(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "open", failing(errno.EACCES))
    with pytest.raises(OutputError, match=r"out\.csv cannot be written: permission denied\. Change the permissions"):
        publish(tmp_path / "out.csv")


def test_an_error_of_pyarrow_without_a_number_is_named_too(tmp_path):
    publication = Publication(str(tmp_path / "out.csv"))
    with pytest.raises(OutputError, match=r"out\.csv cannot be written: lost the \S+ in space\. Check"):  # noqa: SIM117
        with publication.translate_errors():
            raise pa.ArrowIOError("lost the\ndisk in space")
    publication.abort()


# --- compression


@pytest.mark.parametrize(
    ("ending", "unpack"),
    [
        (".gz", gzip.decompress),
        (".bz2", bz2.decompress),
        (".XZ", lzma.decompress),
        (".zst", lambda data: pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()),
    ],
)
def test_the_suffix_compresses(tmp_path, ending, unpack):
    data = b"rows and rows\n" * 10_000
    publish(tmp_path / f"out.csv{ending}", data)
    packed = (tmp_path / f"out.csv{ending}").read_bytes()
    assert unpack(packed) == data
    assert len(packed) < len(data) // 10


def test_gzip_repeats_its_bytes_at_another_time(tmp_path, monkeypatch):
    publish(tmp_path / "a.csv.gz")
    monkeypatch.setattr("time.time", lambda: 2_000_000_000)
    publish(tmp_path / "b.csv.gz")
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


# --- standard output


def test_standard_output_is_flushed_and_stays_open(capfdbinary):
    print("before")
    publication = Publication("-")
    publication.stream.write(b"rows\n")
    publication.commit()
    print("after", flush=True)
    assert capfdbinary.readouterr().out == b"before\nrows\nafter\n"


def test_an_unbuffered_standard_output_gets_every_byte():
    code = """
from sentiment_batch.data.writers.publish import Publication
publication = Publication("-")
publication.stream.write(b"x" * 3_000_000)
publication.commit()
print("after")
"""
    done = subprocess.run([sys.executable, "-u", "-c", code], capture_output=True, check=True)
    assert (done.stdout.count(b"x"), done.stdout[-6:], done.stderr) == (3_000_000, b"after\n", b"")


def test_a_broken_pipe_of_unbuffered_output_stays_one():
    code = """
import sys
from sentiment_batch.data.writers.publish import Publication
publication = Publication("-")
try:
    with publication.translate_errors():
        publication.stream.write(b"x" * 3_000_000)
    publication.commit()
except BrokenPipeError:
    publication.abort()
    sys.exit(7)
"""
    with subprocess.Popen([sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        run.stdout.read(10)
        run.stdout.close()
        assert (run.stderr.read(), run.wait()) == (b"", 7)


def test_a_reader_leaving_standard_output_stays_a_broken_pipe(monkeypatch):
    class Pipe:
        def write(self, data):
            raise BrokenPipeError(errno.EPIPE, "gone")

        def flush(self):
            pass

    monkeypatch.setattr(sys, "stdout", type("Out", (), {"buffer": Pipe(), "flush": lambda self: None})())
    publication = Publication("-")
    with pytest.raises(BrokenPipeError), publication.translate_errors():
        publication.stream.write(b"rows")
    publication.abort()


def test_standard_output_without_bytes_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(OutputError, match="Name a file"):
        Publication("-")


# --- file systems of fsspec


@pytest.fixture
def memory():
    file_system = fsspec.filesystem("memory")
    yield file_system
    file_system.store.clear()
    file_system.pseudo_dirs[:] = [""]


@pytest.fixture
def spool(tmp_path, monkeypatch):
    """The temporary folder, which every publication must leave empty."""
    folder = tmp_path / "spool"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert os.listdir(folder) == []


def test_a_url_is_uploaded_once_at_commit(memory, spool):
    publication = Publication("memory://bucket/out.csv.gz")
    publication.stream.write(b"rows")
    assert not memory.exists("/bucket/out.csv.gz")
    publication.commit()
    assert gzip.decompress(memory.cat("/bucket/out.csv.gz")) == b"rows"


def test_an_aborted_upload_leaves_nothing(memory, spool):
    publication = Publication("memory://bucket/out.csv")
    publication.stream.write(b"rows")
    publication.abort()
    publication.abort()
    assert memory.find("/") == []


def test_an_existing_object_stays_unless_overwrite_is_set(memory, spool):
    memory.pipe("/bucket/out.csv", b"old")
    with pytest.raises(OutputError, match=r"memory://bucket/out\.csv exists already"):
        Publication("memory://bucket/out.csv")
    publish("memory://bucket/out.csv", overwrite=True)
    assert memory.cat("/bucket/out.csv") == b"rows"


def test_an_object_that_appeared_meanwhile_stays(memory, spool):
    publication = Publication("memory://bucket/out.csv")
    memory.pipe("/bucket/out.csv", b"theirs")
    with pytest.raises(OutputError, match="exists already"):
        publication.commit()
    assert memory.cat("/bucket/out.csv") == b"theirs"


def test_a_folder_of_objects_is_refused(memory, spool):
    memory.pipe("/bucket/out.csv/part", b"old")
    with pytest.raises(OutputError, match="is a folder"):
        Publication("memory://bucket/out.csv", overwrite=True)


def test_a_storage_that_fails_is_named(memory, spool, monkeypatch):
    def refuse(*arguments, **keywords):
        raise RuntimeError("403:\n  forbidden")

    monkeypatch.setattr(type(memory), "put_file", refuse)
    with pytest.raises(
        OutputError, match=r"^memory://bucket/out\.csv cannot be written: RuntimeError: 403: forbidden\."
    ):
        publish("memory://bucket/out.csv")
    assert memory.find("/") == []


def test_a_full_temporary_folder_is_named_beside_the_url(memory, spool, monkeypatch):
    monkeypatch.setattr("sentiment_batch.data.writers.remote.open", lambda fd, *_, **__: FullFile(fd), raising=False)
    publication = Publication("memory://bucket/out.csv")
    with pytest.raises(OutputError, match=r"spool.*memory://bucket/out\.csv.*TMPDIR.*the disk is full"):  # noqa: SIM117
        with publication.translate_errors():
            publication.stream.write(b"rows")
    publication.abort()


class FullFile(io.BytesIO):
    """A file on a full disk."""

    def __init__(self, descriptor):
        super().__init__()
        os.close(descriptor)

    def write(self, data):
        raise OSError(errno.ENOSPC, "full")


def test_an_unknown_scheme_is_reported_with_advice():
    with pytest.raises(
        OutputError,
        match=r"^nosuch://bucket/out\.csv cannot be written: no file system serves nosuch://",
    ):
        Publication("nosuch://bucket/out.csv")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "paramiko", None)
    monkeypatch.delitem(sys.modules, "fsspec.implementations.sftp", raising=False)
    with pytest.raises(
        OutputError, match=r"sftp://host/out\.csv cannot be written, because .*: pip install paramiko\.$"
    ):
        Publication("sftp://host/out.csv")


def test_a_file_url_is_a_local_file(tmp_path):
    publish(f"file://{tmp_path}/out.csv")
    assert os.listdir(tmp_path) == ["out.csv"]
    with pytest.raises(OutputError, match="exists already"):
        publish(f"file://{tmp_path}/out.csv")
