"""Scoring around damaged files: work folders of interrupted runs, and what lies beside a published output."""

from __future__ import annotations

import shutil
from pathlib import Path
from unittest import mock

import pytest

from sentiment_batch.records import ReadOptions, WriteOptions
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.output import manifest
from sentiment_batch.scoring.output.verify import verify_output
from sentiment_batch.scoring.pipeline import score_table
from tests.scoring.cut_off import CutOffError, cut_off_after
from tests.scoring.simulated_kills import killed_at
from tests.stress.scenes import Scene, refusal_of

ROWS, PART_ROWS, FINISHED_PARTS = 14, 4, 3


class ScoringScene(Scene):
    """An interrupted run into one file or a folder, with bad rows.

    Args:
        folder: an empty folder to work in.
        out: the name of the output.
        scorer: the model.
        stage: `parts` for a run that ended after some parts, `publishing` for one that ended between the publication
            and the manifest, `published` for one that came to its end.
    """

    def __init__(self, folder: Path, out: str, scorer, stage: str) -> None:
        super().__init__(folder, f"{out} {stage}")
        self._out, self._scorer, self._stage, self._source = out, scorer, stage, folder / "in.csv"
        self.place.mkdir()
        self._write_source("was great")
        self._leave()
        self.keep(stale=True)
        self._clear()
        self._write_source("is boring")
        self._run()
        self._whole = self._published()
        if stage != "published":
            self._clear()
            self._leave()
        self.keep()

    def kind_of(self, path: Path) -> str | None:
        name, parts = path.name, path.relative_to(self._sound).parts
        if name in {"lock", "lock.holder", "job.json", "_SUCCESS"}:
            return name
        if parts[0].startswith("."):
            where = "data of a part" if "data" in parts else None
            ending = {".json": "record of a part", ".scores": "scores of a part", ".jsonl": "bad rows of a part"}
            return where or (f"{name} before publication" if not name.startswith("part-") else ending[path.suffix])
        if name.endswith("manifest.json"):
            return "manifest"
        return "list of bad rows" if name.endswith("problems.jsonl") else "output"

    def attempt(self) -> str:
        if self._stage == "published":
            return self._verify()
        before = self._published()["output"]
        summary = None

        def run() -> None:
            nonlocal summary
            summary = self._run()

        message = refusal_of(run)
        now = self._published()
        if message:
            assert now["output"] == before, f"refused ({message}), but the output was changed"
            return "refused"
        assert now == self._whole, "another output was published"
        assert refusal_of(lambda: verify_output(self._destination)) is None
        return "harmless" if summary.rows_resumed >= FINISHED_PARTS * PART_ROWS else "redone"

    def _verify(self) -> str:
        """Whether `verify` finds the damage, and `score` with overwrite replaces what it may replace."""
        damaged = self._published()
        message = refusal_of(lambda: verify_output(self._destination))
        assert message or damaged == self._whole, "verify accepts a damaged output"
        again = refusal_of(lambda: self._run(overwrite=True))
        if again is None:
            assert self._published() == self._whole, "another output was published"
        return "refused" if message else "harmless"

    @property
    def _destination(self) -> str:
        return f"{self.place}/{self._out}"

    def _published(self) -> dict[str, object]:
        """The output and its list of bad rows."""
        path = Path(self._destination.rstrip("/"))
        listed = self.place / f"{path.name}.problems.jsonl"
        output = path.read_bytes() if path.is_file() else None
        if path.is_dir():
            names = (file for file in path.iterdir() if file.name != "_SUCCESS")
            output = {file.name: file.read_bytes() if file.is_file() else None for file in names}
        return {"output": output, "bad rows": listed.read_bytes() if listed.is_file() else None}

    def _clear(self) -> None:
        shutil.rmtree(self.place)
        self.place.mkdir()

    def _write_source(self, words: str) -> None:
        rows = [f"{n},the film {n} {words}".encode() for n in range(ROWS)]
        rows[1], rows[6] = b"1,bad \xff film", b"6,bad \xfe film"
        self._source.write_bytes(b"\n".join([b"id,text", *rows, b""]))

    def _run(self, *, overwrite: bool = False):
        job = ScoreJob(
            source=str(self._source),
            destination=self._destination,
            quiet=True,
            part_rows=PART_ROWS,
            on_bad_row="mark",
            read=ReadOptions(encoding="utf-8", delimiter=","),
            write=WriteOptions(overwrite=overwrite),
        )
        with killed_at(None):  # which waits for no disk
            return score_table(job, lambda: self._scorer)

    def _leave(self) -> None:
        """Run to the stage, and end there."""
        if self._stage == "published":
            self._run()
            return
        if self._stage == "parts":
            with cut_off_after(FINISHED_PARTS):
                self._run()
            return
        with mock.patch.object(manifest, "_copy_beside_output", side_effect=CutOffError), pytest.raises(CutOffError):
            self._run()
