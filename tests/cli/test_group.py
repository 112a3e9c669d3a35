"""The command line as a whole: exit codes, signals, and nothing half-written left behind."""

from __future__ import annotations

import signal
import sys
import time

import pytest

from sentiment_batch.scoring.output.part_files import SCRATCH
from tests.cli.helpers import CPU, command


def test_a_wrong_command_is_wrong_usage(cli):
    result = cli("scroe")
    assert result.exit_code == 2
    assert "No such command 'scroe'" in result.stderr


def test_help_lists_the_commands_in_the_order_of_use(cli):
    text = cli("--help").stdout
    places = [
        text.index(f"\n  {name} ") for name in ("train", "score", "predict", "evaluate", "formats", "plugins", "doctor")
    ]
    assert places == sorted(places)


def test_an_interrupt_within_a_command_has_its_exit_code(cli, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("sentiment_batch.data.formats.list_formats", interrupted)
    result = cli("formats")
    assert result.exit_code == 130
    assert result.stderr.startswith("Interrupted")
    assert result.stderr.count("\n") == 1


def endless(tmp_path, tiny_model):
    """A score in the middle of its work: it has read and scored rows and waits for more on standard input."""
    run = command("score", "-", tmp_path / "out.csv", "--input-format", "csv", "-m", tiny_model, *CPU, "--quiet")
    rows = b"".join(b"%d,film number %d was great\n" % (n, n % 100) for n in range(60_000))
    run.stdin.write(b"id,text\n" + rows)
    run.stdin.flush()
    for _ in range(1_200):
        if any(path.stat().st_size > 0 for path in tmp_path.iterdir()):  # the hidden file grows
            return run
        time.sleep(0.05)
    run.kill()
    raise AssertionError(f"nothing was written: {run.communicate()}")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_of_scoring_leaves_nothing(tmp_path, tiny_model, number, code):
    run = endless(tmp_path, tiny_model)
    run.send_signal(number)
    out, err = run.communicate(timeout=30)
    assert (run.returncode, out) == (code, b"")
    assert b"Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_an_interrupt_of_the_model_ends_soon_and_leaves_nothing(tmp_path, tiny_model):
    source, out = tmp_path / "in.csv", tmp_path / "out"
    out.mkdir()
    rows = (f"{n},film {n} was {'great or not ' * 16}" for n in range(200_000))  # minutes of work
    source.write_text("id,text\n" + "\n".join(rows) + "\n")
    whole = ("--part-rows", 200_000)  # no part is finished, however late the signal comes
    run = command("score", source, out / "scored.csv", "-m", tiny_model, *CPU, *whole, "--quiet")
    try:
        for _ in range(1_200):
            if any(path.is_file() and path.stat().st_size for path in out.glob(f"*/{SCRATCH}/*")):  # a block is done
                break
            time.sleep(0.05)
        assert run.poll() is None
        run.send_signal(signal.SIGINT)
        shown, err = run.communicate(timeout=10)  # two seconds, where a machine is not slow
    finally:
        run.kill()
    assert (run.returncode, shown) == (130, b"")
    assert b"Traceback" not in err
    assert list(out.iterdir()) == []
