"""Commands without a home, memory, room, a folder or a standard stream: one line of error, or normal work.

Each case runs in a process of its own, because a closed descriptor or a limit cannot be taken back. It is forked from a
server that has imported what takes long, and that has no threads, unlike this process.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback

import cloudpickle
import pytest

from sentiment_batch.memory import MIN_ADDRESS_SPACE
from tests.cli.helpers import CPU

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
BUSY = ("score", "{tmp}/in.csv", "{tmp}/out.csv", "--quiet")
STREAM = ("score", "-", "-", "--input-format", "csv", "--output-format", "csv")
MAX_SECONDS = 120
PRELOADED = ["sentiment_batch.__main__", "sentiment_batch.cli", "sentiment_batch.scoring.pipeline", __name__]
LIGHT = (("--help",), ("--version",), ("formats",), ("plugins",), ("score", "--help"), ("score",))
"""Commands that load no model."""


class Ended:
    """How a command ended."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def check_line(self, *parts, status=1):
        """It ended with `status` and one line of error that holds `parts`."""
        assert "Traceback" not in self.err
        *_, last = self.err.strip().splitlines()
        assert (self.status, last[:6]) == (status, "Error:"), self.err
        for part in parts:
            assert part in last


@pytest.fixture
def run(tmp_path, tiny_model):
    """`run(prepare, *arguments)` runs a command in a process of its own, after `prepare()`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    (tmp_path / "in.csv").write_text("id,review\n1,a great film\n2,a boring film\n")

    def run(prepare, *arguments):
        filled = [argument.format(tmp=tmp_path) for argument in arguments]
        if arguments[0] in ("score", "predict") and len(arguments) > 1 and arguments[1] != "--help":
            filled += ["-m", str(tiny_model), *CPU]
        out, err = (tmp_path / name for name in ("printed", "logged"))
        streams = (tmp_path / "in.csv", out, err)
        child = context.Process(target=_become, args=(cloudpickle.dumps(prepare), filled, streams, dict(os.environ)))
        child.start()
        child.join(MAX_SECONDS)
        if child.exitcode is None:
            child.kill()
            pytest.fail(f"{arguments} takes more than {MAX_SECONDS} seconds")
        return Ended(child.exitcode, out.read_text(), err.read_text())

    return run


def _become(prepare, arguments, streams, environment):
    """Be the command, as Python starts it: with a stream for each descriptor that is open."""
    status = 1
    try:
        os.environ.clear()
        os.environ.update(environment)
        for number, path in enumerate(streams):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
            descriptor = os.open(path, flags, 0o666)
            os.dup2(descriptor, number)
            os.close(descriptor)
        cloudpickle.loads(prepare)()
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            setattr(sys, name, _stream(number))
        sys.argv = ["sentiment-batch", *arguments]
        from sentiment_batch.__main__ import main

        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        try:
            sys.stdout.flush()
        except BaseException:
            status = 120  # as the end of Python reports it
        os._exit(status)


def _stream(number):
    try:
        os.fstat(number)
    except OSError:
        return None
    mode = "w" if number else "r"
    raw = io.FileIO(number, mode, closefd=False)
    raw.seekable = lambda: False
    return io.TextIOWrapper(io.BufferedWriter(raw) if number else io.BufferedReader(raw), line_buffering=number == 2)


def close(*numbers):
    def prepare():
        for number in numbers:
            os.close(number)

    return prepare


def connect(number, path, flags):
    return lambda: os.dup2(os.open(path, flags), number)


def end_reader(*numbers):
    """Make these descriptors a pipe whose reader has ended."""

    def prepare():
        incoming, outgoing = os.pipe()
        os.close(incoming)
        for number in numbers:
            os.dup2(outgoing, number)
        os.close(outgoing)

    return prepare


STREAMS = {
    "closed": (close(1), "it is closed, or open for reading only"),
    "read-only": (connect(1, os.devnull, os.O_RDONLY), "it is closed, or open for reading only"),
    "full": (connect(1, "/dev/full", os.O_WRONLY), "the disk is full"),
}


@pytest.mark.parametrize("case", STREAMS)
def test_standard_output_that_takes_nothing_is_one_line(run, case):
    prepare, why = STREAMS[case]
    if case == "full" and not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    for arguments in (*LIGHT[:-1], ("predict", "a great film"), ("score", "{tmp}/in.csv", "-", *STREAM[5:])):
        run(prepare, *arguments).check_line("standard output cannot be written", why)
    assert run(prepare, *BUSY).status == 0  # it prints nothing there


def test_a_closed_standard_error_only_loses_messages(run, tmp_path):
    expected = run(lambda: None, *BUSY[:-1])
    assert expected.status == 0
    wanted = (tmp_path / "out.csv").read_bytes()
    for prepare in (close(2), end_reader(2), connect(2, os.devnull, os.O_RDONLY), close(0, 1, 2)):
        ended = run(prepare, *BUSY[:-1], "--overwrite")
        assert (ended.status, (tmp_path / "out.csv").read_bytes()) == (0, wanted)


def test_a_closed_standard_input_is_one_line(run):
    run(close(0), *STREAM).check_line("there is no standard input to read")
    for arguments in (("predict",), ("predict", "-"), ("explain", "-")):
        run(close(0), *arguments).check_line("standard input is closed")
    assert run(close(0), *BUSY).status == 0


def test_a_standard_input_that_cannot_be_read_is_one_line(run, tmp_path):
    prepare = connect(0, tmp_path / "in.csv", os.O_WRONLY)
    run(prepare, "predict", "-").check_line("standard input cannot be read")
    run(prepare, *STREAM).check_line("standard input cannot be read")


def test_a_reader_that_has_ended_ends_a_command_silently(run):
    for prepare in (end_reader(1), end_reader(1, 2)):
        for arguments in (("formats",), ("score", "--help"), ("predict", "a great film"), STREAM):
            ended = run(prepare, *arguments)
            assert (ended.status, "Error" in ended.err, "Traceback" in ended.err) == (141, False, False)


def without_home():
    import pwd

    def fail(*arguments):
        raise KeyError("no such user")

    pwd.getpwuid = pwd.getpwnam = fail
    for name in ("HOME", "XDG_CACHE_HOME", "SENTIMENT_BATCH_CACHE"):
        os.environ.pop(name, None)


def test_a_user_without_name_and_home_can_score(run, tmp_path):
    def prepare():
        without_home()
        tempfile.tempdir = str(tmp_path)

    ended = run(prepare, *BUSY[:-1])
    assert (ended.status, ended.err.count("this user has no home folder, so the cache is ")) == (0, 1), ended.err
    folder = tmp_path / f"sentiment-batch-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_home_of_an_unknown_user_is_one_line(run):
    def prepare():
        os.environ["SENTIMENT_BATCH_CACHE"] = "~nobody-of-that-name/cache"

    run(prepare, *BUSY).check_line("SENTIMENT_BATCH_CACHE is '~nobody-of-that-name/cache'", status=2)


def without_temporary_folder():
    tempfile.tempdir = None
    tempfile._candidate_tempdir_list = lambda: ["/no-such-folder"]


def test_no_folder_for_temporary_files_is_one_line(run):
    run(without_temporary_folder, *STREAM).check_line("cannot be copied to a temporary file", "Set TMPDIR")
    assert run(without_temporary_folder, *BUSY).status == 0


def test_without_any_place_for_a_cache_scoring_works(run):
    def prepare():
        without_home()
        without_temporary_folder()

    ended = run(prepare, *BUSY[:-1])
    assert (ended.status, "nothing is cached" in ended.err) == (0, True), ended.err


def test_a_current_folder_that_is_gone_is_one_line(run, tmp_path):
    def prepare():
        (tmp_path / "gone").mkdir(exist_ok=True)
        os.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()

    for arguments in (("score", "{tmp}/in.csv", "out.csv"), BUSY, ("formats",)):
        run(prepare, *arguments).check_line("the current folder does not exist any more")


def limit(kind, size):
    return lambda: resource.setrlimit(kind, (size, size))


def test_a_limit_of_no_bytes_for_files_blames_no_model(run, tmp_path):
    pipe = tmp_path / "messages"  # the files of this test are limited, too
    os.mkfifo(pipe)
    incoming = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    def prepare():
        os.dup2(os.open(pipe, os.O_WRONLY), 2)
        limit(resource.RLIMIT_FSIZE, 0)()

    status = run(prepare, *BUSY).status
    with os.fdopen(incoming) as messages:
        Ended(status, "", messages.read()).check_line("out.csv", "the file would be larger than the limit")


def test_a_limit_of_memory_is_one_line_with_its_cure(run):
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("this system has no /proc")

    def prepare():
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        limit(resource.RLIMIT_AS, used + 2 * 2**20)()

    ended = run(prepare, *BUSY)
    ended.check_line("memory", "ulimit -v")


@pytest.mark.parametrize("arguments", [BUSY, ("train", "{tmp}/in.csv", "-o", "{tmp}/model")], ids=["score", "train"])
def test_too_few_addresses_for_torch_are_one_line(run, arguments):
    """Under such a limit the libraries of torch end the process by SIGABRT while it is imported."""
    ended = run(limit(resource.RLIMIT_AS, MIN_ADDRESS_SPACE - 1), *arguments)
    ended.check_line("1,024 MiB of addresses (ulimit -v)", "Give this process more memory")


def plain_environment():
    for name in [name for name in os.environ if name.startswith("LC_") or name in ("LANG", "TERM")]:
        del os.environ[name]
    os.environ.update(LC_ALL="C", COLUMNS="0", LINES="x", TZ="No/Such:zone!")
    time.tzset()


def test_no_language_terminal_or_time_zone_is_no_matter(run):
    for arguments in (*LIGHT[:-1], ("predict", "a gréat film"), BUSY):
        ended = run(plain_environment, *arguments)
        assert (ended.status, "Traceback" in ended.err) == (0, False), ended.err
