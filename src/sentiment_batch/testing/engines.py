"""The suite for engines: the output is byte for byte that of one machine, in whatever order workers finish tasks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from sentiment_batch.errors import InputError, ModelError, UsageError
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.testing.checks import Broken, InterruptedRun, check, check_no_warnings, check_refuses, run_in_time
from sentiment_batch.testing.suite import install_plugin

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.scoring.backends.distributed import Engine
    from sentiment_batch.scoring.scorer import Scorer
    from sentiment_batch.scoring.summary import Summary

NUM_ROWS, GROUP_ROWS, PART_ROWS = 250, 60, 40
"""The rows of the input, of a row group of Parquet, and of a part. Groups and parts end at different rows, and the last
one of each is short."""
CSV, FOLDER, PARQUET = "out.csv", "out/", "out.parquet"


class EngineSuite:
    """All checks of the protocol of an engine.

        class TestThreads(EngineSuite):
            engine = "threads"
            options = {"workers": "3"}

    The suite makes a tiny model. The engine is started once for the class, and must have at least two workers.
    """

    engine: str
    """The name of the engine, as in `score(..., engine="threads")`."""
    options: Mapping[str, str] = {}
    """The options of the engine (`engine_options`)."""
    plugin: Any = None
    """The module or object with the hooks. None: the installed plugins."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine_folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
        """A folder with a tiny model and a table. The program has its own cache, and this plugin."""
        from sentiment_batch.testing.tiny import write_tiny_model

        folder = tmp_path_factory.mktemp("engine")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SENTIMENT_BATCH_CACHE", str(folder / "cache"))
            if cls.plugin is not None:
                install_plugin(cls.plugin, patch)
            write_tiny_model(folder / "model")
            _write(_table(), folder)
            yield folder

    @pytest.fixture(scope="class")
    @classmethod
    def started(cls, engine_folder: Path) -> Iterator[tuple[Path, Scorer]]:
        """The folder, and a scorer with the engine."""
        with cls._load(engine_folder) as scorer:
            yield engine_folder, scorer

    @classmethod
    def _load(cls, folder: Path, model: str = "model", **options: str) -> Scorer:
        """A scorer with the engine, and with further options of the engine."""
        return _scorer(folder, model, engine=cls.engine, engine_options=dict(cls.options) | options)

    @check
    def test_workers_describe_the_model_as_this_machine_does(self, started: tuple[Path, Scorer]) -> None:
        """`description` is that of a worker. The labels, digest, dtype and settings in it decide the scores, and are
        stored with finished parts. `workers` is the number of tasks that run at the same time."""
        folder, scorer = started
        with _scorer(folder) as here:
            for name in ("labels", "digest", "dtype", "policy", "batch_tokens"):
                ours, theirs = getattr(here.description, name), getattr(scorer.description, name)
                if ours != theirs:
                    raise Broken(f"Its description has the {name} {theirs}, but this machine has {ours}.")

    @check
    @pytest.mark.parametrize("out", [PARQUET, CSV, FOLDER])
    def test_a_run_writes_what_this_machine_writes(self, started: tuple[Path, Scorer], out: str) -> None:
        """Any worker may run a task, and tasks may end in any order. Each future has the result of `worker(task)` for
        its own task."""
        _check_same(*started, "in.parquet", out)

    @check
    def test_an_input_that_only_this_machine_reads(self, started: tuple[Path, Scorer]) -> None:
        """If an input can only be read from its start, the tasks are blocks of rows, which give the same output."""
        _check_same(*started, "in.csv", CSV)

    @check
    def test_a_frame(self, started: tuple[Path, Scorer]) -> None:
        """The workers score a DataFrame, too, with all its rows in order."""
        from sentiment_batch.scoring.backends import row_blocks

        folder, scorer = started
        with _scorer(folder) as here, pytest.MonkeyPatch.context() as patch:
            patch.setattr(row_blocks, "MAX_ROWS_PER_BLOCK", PART_ROWS)  # so that the frame has several tasks
            if not scorer(_table()).equals(here(_table())):
                raise Broken("The table that was returned is not the one that this machine returns.")

    @check
    @pytest.mark.parametrize("out", [CSV, FOLDER])
    def test_an_interrupted_run_can_be_resumed(self, started: tuple[Path, Scorer], out: str) -> None:
        """After a failed run the engine still accepts tasks. The tasks of that run have ended or are dropped, and never
        return as results of new tasks."""
        folder, scorer = started
        with TemporaryDirectory(dir=folder) as place:
            with pytest.MonkeyPatch.context() as patch, contextlib.suppress(InterruptedRun):
                # After three of seven parts, other tasks are still with the workers.
                _interrupt_after(3, patch)
                _run(scorer, folder / "in.parquet", place, out)
            if not _run(scorer, folder / "in.parquet", place, out).rows_resumed:
                raise Broken("The resumed run started over: it used no part of the interrupted run.")
            _check_output(folder, "in.parquet", place, out)

    @check
    def test_an_error_of_a_worker_is_raised_unchanged(self, started: tuple[Path, Scorer]) -> None:
        """If a worker raises a `SentimentBatchError`, such as for an input that has changed, the future raises that
        error, not one of the engine."""
        folder, scorer = started
        with TemporaryDirectory(dir=folder) as place, pytest.MonkeyPatch.context() as patch:
            _claim_another_identity(patch)
            check_refuses(InputError, lambda: _run(scorer, folder / "in.parquet", place, CSV), "in.parquet")

    @check
    def test_a_missing_model_is_refused(self, engine_folder: Path) -> None:
        """If a worker cannot load the model, opening the engine raises the error of the worker."""
        (engine_folder / "empty").mkdir(exist_ok=True)
        check_refuses(ModelError, lambda: self._load(engine_folder, model="empty"), "empty")

    @check
    def test_an_unknown_option_is_refused(self, engine_folder: Path) -> None:
        """An unknown option raises a `UsageError` that names it."""
        check_refuses(UsageError, lambda: self._load(engine_folder, no_such_option="1"), "no_such_option")

    @check
    def test_it_may_be_closed_twice_and_with_open_tasks(self, engine_folder: Path) -> None:
        """`close` ends the workers, even if tasks are open. Calling it again does nothing."""
        from sentiment_batch.scoring.backends.row_blocks import RowBlock
        from sentiment_batch.scoring.backends.tasks import BlockTask

        scorer = self._load(engine_folder)
        engine: Engine = scorer.backend.engine  # type: ignore[attr-defined]
        block = RowBlock()
        block.add(_table().to_batches()[0], _table()["text"].chunk(0), 0)
        # More tasks than workers, so that some run and some wait.
        for _ in range(3 * engine.workers):
            engine.submit(BlockTask(texts=block.pack_texts(), expected_rows=None, hardware=engine.description.hardware))
        run_in_time(engine.close, "Closing the engine")
        with check_no_warnings():
            run_in_time(scorer.close, "Closing the scorer afterwards")


def _scorer(folder: Path, model: str = "model", **settings: Any) -> Scorer:
    from sentiment_batch.scoring.scorer import Scorer

    # Outputs are compared byte for byte. A text's bits must not depend on the task that it is in.
    return Scorer.load(str(folder / model), dtype="float32", device="cpu", deterministic=True, **settings)


def _table() -> pa.Table:
    import pyarrow as pa

    texts = [
        None if row % 11 == 3 else f"the film {row * row} was {('good', 'bad')[row % 2]}" for row in range(NUM_ROWS)
    ]
    return pa.table({"id": pa.array(range(NUM_ROWS), pa.int64()), "text": pa.array(texts, pa.large_string())})


def _write(table: pa.Table, folder: Path) -> None:
    import pyarrow.csv
    import pyarrow.parquet

    pyarrow.parquet.write_table(table, folder / "in.parquet", row_group_size=GROUP_ROWS)
    pyarrow.csv.write_csv(table, folder / "in.csv")


def _run(scorer: Scorer, source: Path, place: str, out: str) -> Summary:
    from sentiment_batch.scoring.pipeline import score_table

    job = ScoreJob(source=str(source), destination=f"{place}/{out}", part_rows=PART_ROWS, quiet=True)
    return run_in_time(lambda: score_table(job, lambda: scorer), "A run")


def _check_same(folder: Path, scorer: Scorer, source: str, out: str) -> None:
    with TemporaryDirectory(dir=folder) as place:
        _run(scorer, folder / source, place, out)
        _check_output(folder, source, place, out)


def _check_output(folder: Path, source: str, place: str, out: str) -> None:
    """Check that the output in `place` is what this machine writes for `source`, and that nothing else is there."""
    with TemporaryDirectory(dir=folder) as here, _scorer(folder) as scorer:
        _run(scorer, folder / source, here, out)
        found, expected = _content(Path(place, out)), _content(Path(here, out))
    if found.keys() != expected.keys():
        raise Broken(f"The run wrote the files {sorted(found)}, but this machine writes {sorted(expected)}.")
    for name in found:
        if found[name] != expected[name]:
            raise Broken(
                f"{name} is not what this machine writes: a row has a wrong score, or the score of another row."
            )
    left = [path.name for path in Path(place).iterdir() if path.name.startswith(".")]
    if left:
        raise Broken(f"The run left {left[0]} behind.")


def _content(path: Path) -> dict[str, bytes]:
    """The bytes of a file, or of all files in a folder, by name."""
    files = path.iterdir() if path.is_dir() else [path]
    return {file.name: file.read_bytes() for file in files}


def _interrupt_after(parts: int, patch: pytest.MonkeyPatch) -> None:
    """Interrupt the run after that number of finished parts."""
    from sentiment_batch.scoring.output.journal import Journal

    real = Journal.add
    finished = 0

    def add(self: Journal, part: Any, problems: bytes = b"") -> None:
        nonlocal finished
        real(self, part, problems)  # the part is stored before the run ends, so that it can be resumed
        finished += 1
        if finished == parts:
            raise InterruptedRun

    patch.setattr(Journal, "add", add)


def _claim_another_identity(patch: pytest.MonkeyPatch) -> None:
    """Let the run expect an input that no worker finds."""
    import dataclasses

    from sentiment_batch.scoring.backends import distributed

    real = distributed.DistributedBackend.do_parts

    def do_parts(self: Any, plan: Any, *given: Any) -> None:
        real(self, dataclasses.replace(plan, identity="another"), *given)

    patch.setattr(distributed.DistributedBackend, "do_parts", do_parts)
