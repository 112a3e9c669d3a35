"""The suite for engines: whichever worker does what, and when, the output is that of one machine, byte for byte."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sentiment_batch.testing.checks import Broken, check, in_time, refused
from sentiment_batch.testing.suite import install

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.scoring.backends.distributed import Engine
    from sentiment_batch.scoring.scorer import Scorer

ROWS, GROUP_ROWS, PART_ROWS = 250, 60, 40
CSV, FOLDER, PARQUET = "out.csv", "out/", "out.parquet"


class EngineSuite:
    """Every check of the protocol of an engine.

        class TestThreads(EngineSuite):
            engine = "threads"
            options = {"workers": "3"}

    A tiny model is made for it. The engine is started once for the whole class, with at least two workers.
    """

    engine: str
    """Its name, as `--engine` takes it."""
    options: Mapping[str, str] = {}
    """What `--engine-option` would say."""
    plugin: Any = None
    """The module or object with the hooks; None takes those that are installed."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine_folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
        """A folder with a tiny model and a table; the program has a cache of its own, and this plugin."""
        from sentiment_batch.testing.tiny import write_tiny_model

        folder = tmp_path_factory.mktemp("engine")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SENTIMENT_BATCH_CACHE", str(folder / "cache"))
            if cls.plugin is not None:
                install(cls.plugin, patch)
            write_tiny_model(folder / "model")
            _write(_table(), folder)
            yield folder

    @pytest.fixture(scope="class")
    @classmethod
    def started(cls, engine_folder: Path) -> Iterator[tuple[Path, Scorer]]:
        """The folder, and a scorer on the engine."""
        with _scorer(engine_folder, engine=cls.engine, engine_options=dict(cls.options)) as scorer:
            yield engine_folder, scorer

    @check
    def test_workers_say_what_this_machine_says_of_the_model(self, started: tuple[Path, Scorer]) -> None:
        """`description` is that of a worker: the labels, the digest, the dtype and the settings decide the scores, and
        are kept with what is done. `workers` is how many tasks are done at a time."""
        folder, scorer = started
        with _scorer(folder) as here:
            for name in ("labels", "digest", "dtype", "policy", "batch_tokens"):
                ours, theirs = getattr(here.about, name), getattr(scorer.about, name)
                if ours != theirs:
                    raise Broken(f"Its description has the {name} {theirs}, and this machine {ours}.")

    @check
    @pytest.mark.parametrize("out", [PARQUET, CSV, FOLDER])
    def test_a_run_writes_what_this_machine_writes(self, started: tuple[Path, Scorer], out: str) -> None:
        """Tasks may be done in any order and by any worker; each future has what `worker(task)` gave for its own."""
        _check_same(*started, "in.parquet", out)

    @check
    def test_an_input_that_is_read_here(self, started: tuple[Path, Scorer]) -> None:
        """Where the input can only be read from its start, the tasks are windows of texts, and as good as parts."""
        _check_same(*started, "in.csv", CSV)

    @check
    def test_a_frame(self, started: tuple[Path, Scorer]) -> None:
        """A frame is scored by the workers, too, with all its rows in their order."""
        from sentiment_batch.scoring.backends import row_blocks

        folder, scorer = started
        with _scorer(folder) as here, pytest.MonkeyPatch.context() as patch:
            patch.setattr(row_blocks, "WINDOW_ROWS", PART_ROWS)
            if not scorer(_table()).equals(here(_table())):
                raise Broken("The frame that came back is another one than this machine gives.")

    @check
    @pytest.mark.parametrize("out", [CSV, FOLDER])
    def test_a_run_that_was_cut_off_goes_on(self, started: tuple[Path, Scorer], out: str) -> None:
        """After a run that failed the engine still does tasks: those of the run before are over or given up, and do not
        come back as the results of new ones."""
        folder, scorer = started
        with _work_folder(folder) as place:
            with pytest.MonkeyPatch.context() as patch:
                _cut_off_after(3, patch)
                with contextlib.suppress(_CutOffError):
                    _run(scorer, folder / "in.parquet", place, out)
            if not _run(scorer, folder / "in.parquet", place, out).rows_resumed:
                raise Broken("What was done before the run was cut off was not kept.")
            _check_equal(_content(place, out), _expected(folder, "in.parquet", out))

    @check
    def test_what_a_worker_raises_is_raised_as_it_is(self, started: tuple[Path, Scorer]) -> None:
        """An error of the user's, such as an input that is not the same any more, comes out of the future as the
        `SentimentBatchError` that the worker raised, not as the engine's own."""
        from sentiment_batch.errors import InputError

        folder, scorer = started
        with _work_folder(folder) as place, pytest.MonkeyPatch.context() as patch:
            _claim_another_identity(patch)
            refused(InputError, lambda: _run(scorer, folder / "in.parquet", place, CSV), "in.parquet")

    @check
    def test_a_model_that_is_not_there(self, engine_folder: Path) -> None:
        """What keeps a worker from loading the model is raised when the engine is made, as the worker raises it."""
        from sentiment_batch.errors import ModelError
        from sentiment_batch.scoring.scorer import Scorer

        (engine_folder / "empty").mkdir(exist_ok=True)
        options = {"engine": self.engine, "engine_options": dict(self.options)}
        refused(ModelError, lambda: Scorer.load(str(engine_folder / "empty"), **options), "empty")

    @check
    def test_an_option_that_it_does_not_know(self, engine_folder: Path) -> None:
        """An option that the engine does not know is refused, and named."""
        from sentiment_batch.errors import UsageError

        options = dict(self.options) | {"no_such_option": "1"}
        refused(
            UsageError, lambda: _scorer(engine_folder, engine=self.engine, engine_options=options), "no_such_option"
        )

    @check
    def test_it_may_be_closed_twice_and_with_work_to_do(self, engine_folder: Path) -> None:
        """`close` ends the workers, whatever they are at; calling it again does nothing."""
        from sentiment_batch.scoring.backends.row_blocks import Window
        from sentiment_batch.scoring.backends.tasks import WindowTask

        scorer = _scorer(engine_folder, engine=self.engine, engine_options=dict(self.options))
        engine: Engine = scorer.engine.engine  # type: ignore[attr-defined]
        window = Window()
        window.add(_table().to_batches()[0], _table()["text"].chunk(0), 0)
        for _ in range(3 * engine.workers):
            engine.submit(WindowTask(texts=window.pack_texts(), expected_rows=None))
        in_time(engine.close, "closing it")
        in_time(scorer.close, "closing it again")


class _CutOffError(Exception):
    """What ends a run in the middle."""


def _scorer(folder: Path, **settings: Any) -> Scorer:
    from sentiment_batch.scoring.scorer import Scorer

    return Scorer.load(str(folder / "model"), dtype="float32", device="cpu", deterministic=True, **settings)


def _table() -> pa.Table:
    import pyarrow as pa

    texts = [None if row % 11 == 3 else f"the film {row * row} was {('good', 'bad')[row % 2]}" for row in range(ROWS)]
    return pa.table({"id": pa.array(range(ROWS), pa.int64()), "text": pa.array(texts, pa.large_string())})


def _write(table: pa.Table, folder: Path) -> None:
    import pyarrow.csv
    import pyarrow.parquet

    pyarrow.parquet.write_table(table, folder / "in.parquet", row_group_size=GROUP_ROWS)
    pyarrow.csv.write_csv(table, folder / "in.csv")


def _run(scorer: Scorer, source: Path, place: Path, out: str) -> Any:
    from sentiment_batch.scoring.job import Job
    from sentiment_batch.scoring.pipeline import score_table

    job = Job(source=str(source), destination=f"{place}/{out}", part_rows=PART_ROWS, quiet=True)
    return in_time(lambda: score_table(job, lambda: scorer), "a run")


def _content(place: Path, out: str) -> dict[str, bytes]:
    """The bytes of a file, or of all files of a folder."""
    path = place / out.rstrip("/")
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return {file.name: file.read_bytes() for file in files}


def _expected(folder: Path, source: str, out: str) -> dict[str, bytes]:
    """What this machine writes."""
    with _work_folder(folder) as place, _scorer(folder) as here:
        _run(here, folder / source, place, out)
        return _content(place, out)


def _check_same(folder: Path, scorer: Scorer, source: str, out: str) -> None:
    with _work_folder(folder) as place:
        _run(scorer, folder / source, place, out)
        _check_equal(_content(place, out), _expected(folder, source, out))
        left = [path.name for path in place.iterdir() if path.name.startswith(".")]
        if left:
            raise Broken(f"The run left {left[0]} behind.")


def _check_equal(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    if found.keys() != expected.keys():
        raise Broken(f"The run wrote the files {sorted(found)}, and this machine {sorted(expected)}.")
    for name in found:
        if found[name] != expected[name]:
            raise Broken(f"{name} is not what this machine writes: a row has the score of another, or another score.")


@contextlib.contextmanager
def _work_folder(folder: Path) -> Iterator[Path]:
    """A new folder for outputs, below one that all workers on this machine see."""
    import tempfile

    with tempfile.TemporaryDirectory(dir=folder) as place:
        yield Path(place)


def _cut_off_after(parts: int, patch: pytest.MonkeyPatch) -> None:
    """End the run when so many parts are kept."""
    from sentiment_batch.scoring.output.journal import Journal

    real = Journal.add
    kept = 0

    def add(self: Journal, part: Any, problems: bytes = b"") -> None:
        nonlocal kept
        real(self, part, problems)
        kept += 1
        if kept == parts:
            raise _CutOffError

    patch.setattr(Journal, "add", add)


def _claim_another_identity(patch: pytest.MonkeyPatch) -> None:
    """Let the run say of its input what no worker finds."""
    import dataclasses

    from sentiment_batch.scoring.backends import distributed

    real = distributed.Distributed.do_parts

    def do_parts(self: Any, plan: Any, *given: Any) -> None:
        real(self, dataclasses.replace(plan, identity="another"), *given)

    patch.setattr(distributed.Distributed, "do_parts", do_parts)
