"""Reports a run as done whose output an earlier run of the same command had published before it was ended.

The manifest of the output shows that both are the same, and holds what the summary needs.
"""

from __future__ import annotations

import logging
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch.data import formats
from sentiment_batch.data.input_description import InputDescription
from sentiment_batch.errors import InputError, OutputError, UsageError
from sentiment_batch.files.filesystems import is_read_once
from sentiment_batch.locations import make_absolute, split_url, without_password
from sentiment_batch.scoring.annotate import Tally
from sentiment_batch.scoring.backends.row_blocks import Counts
from sentiment_batch.scoring.likeness import TextCheck
from sentiment_batch.scoring.output import fingerprint
from sentiment_batch.scoring.output.journal import refuse_changes
from sentiment_batch.scoring.output.manifest import complete_publication
from sentiment_batch.scoring.summary import Summary, summarize_run

if TYPE_CHECKING:
    from sentiment_batch.plugins.registry import Format
    from sentiment_batch.scoring.job import ScoreJob
    from sentiment_batch.scoring.output.journal import Journal, MemoryJournal
    from sentiment_batch.scoring.output.paths import OutputPaths
    from sentiment_batch.scoring.scorer import Scorer

logger = logging.getLogger("sentiment_batch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """An output that an earlier run had published."""

    paths: OutputPaths
    manifest: dict[str, Any]
    description: InputDescription
    """How its input was read."""
    texts: TextCheck
    tally: Tally

    def replaces_input(self, job: ScoreJob) -> bool:
        """True if it has replaced a part of the input of a job, or is read with it, so that the input has changed."""
        if self.manifest["source"] != without_password(make_absolute(job.source)):
            return False
        if self.paths.path is None:
            return self.paths.beside is None and _may_change_input(job)
        # Either it is one of the files that were read, or a pattern or folder of the input has come to include it
        state = self.manifest["input_state"]
        return any(map(self._holds, _list_files(state))) or self._joined_input(job, state)

    def _joined_input(self, job: ScoreJob, state: object) -> bool:
        """True if the files that a job would read now are those of the run, in `state`, and the output."""
        if not _list_files(state) or is_read_once(job.source):
            return False
        try:
            with closing(formats.open_reader(job.source, format=job.input_format, options=job.read)) as reader:
                now = _list_files(fingerprint.read_input_state(reader, job.source, job.input_format))
        except (InputError, UsageError):
            return False
        # Besides the output, there must be exactly the files of the run, in the state that they had
        others = [file for file in now if not self._holds(file)]
        return len(others) < len(now) and others == state

    def _holds(self, file: dict[str, Any]) -> bool:
        """True if a file of an input is the output or lies in it."""
        path = Path(str(file.get("path")))
        return self.paths.path in (path, *path.parents)

    def check_same_command(self, job: ScoreJob, output_format: Format, scorer: Scorer) -> None:
        """Make sure that a job is that of the run, as far as this shows without the input that it has replaced.

        Raises:
            OutputError: it is another one.
        """
        changes = fingerprint.list_command_changes(
            self.manifest, job, scorer, output_format=output_format.name, is_folder=self.paths.is_folder
        )
        refuse_changes(job.destination, changes)

    def refuse_another_command(self, job: ScoreJob, output_format: Format) -> None:
        """Refuse to replace the output of another command while its run can still be resumed.

        Raises:
            OutputError: the output exists. If several runs may add rows to it, the user must confirm with
                `restart=True`, because the other command would add its rows again.
        """
        if output_format.has_run_id is None:
            raise OutputError.exists(job.destination)
        if not job.restart:
            raise OutputError(
                f"{job.destination} holds the rows of a run of another command, which was ended before it could report "
                "this. Run that command again first, or forget it with `restart=True`."
            )

    def is_made_by(self, description: dict[str, Any]) -> bool:
        """True if a run with this description, which `fingerprint.describe_job` gives, has made the output."""
        if description["input"] is None:  # nothing shows whether the input is the same, as for standard input
            return False
        # A description names the state of the input `input`, as the format 2 of manifests did
        stored = self.manifest | {"input": self.manifest["input_state"]}
        if description["settings"]["reuse"] == without_password(make_absolute(self.paths.destination)):
            # The output has replaced the one that it was made from, so the manifest of that is gone.
            stored["reused_manifest"] = description["reused_manifest"]
        return not fingerprint.list_changes({name: stored.get(name) for name in description}, description)

    def summarize(self, job: ScoreJob, scorer: Scorer, started: float) -> Summary:
        """Summarize the output.

        Args:
            job: the job.
            scorer: the model.
            started: the time when this run began, in seconds of `time.perf_counter`.
        """
        logger.info("%s was complete already; an earlier run ended just after it", without_password(job.destination))
        seconds = time.perf_counter() - started
        return summarize_run(
            job,
            scorer,
            self.description,
            self.texts,
            rows=self.manifest["rows"],
            rows_resumed=self.manifest["rows"],
            tally=self.tally,
            counts=Counts(),
            problems=self.paths.problems,
            seconds=seconds,
            seconds_loaded=seconds,
        )


def find_published(paths: OutputPaths, journal: Journal | MemoryJournal, format: Format) -> Published | None:
    """Complete the work of an earlier run that ended after it had published its output; None if there was none.

    Raises:
        OutputError, PluginError: as for `complete_publication`.
    """
    manifest = complete_publication(paths, journal, format)
    if manifest is None:
        return None
    try:
        return Published(
            paths=paths,
            manifest=manifest,
            description=InputDescription.from_json(manifest["input"]),
            texts=TextCheck.from_json(manifest),
            tally=Tally.sum_up([manifest["counts"]]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):  # an older version stored less
        return None


def _list_files(state: object) -> list[dict[str, Any]]:
    """The states of the files of an input; none if it is no list of files."""
    return [file for file in state if isinstance(file, dict)] if isinstance(state, list) else []


def _may_change_input(job: ScoreJob) -> bool:
    """True if a table that a job writes replaces its input, or what shows whether its input has changed.

    A table changes the state of the whole database file that holds it. If the job replaces another table of the same
    database, it scores its input again, which may have new rows.
    """
    source, destination = _split_table(job.source), _split_table(job.destination)
    if source["database"] != destination["database"]:
        return False
    return not job.write.overwrite or source["table"] == destination["table"]


def _split_table(location: str) -> dict[str, Any]:
    """The database and the table that a location names; the table is None for a query or a Delta Lake table."""
    url = split_url(location)
    parameters = dict(url.parameters)
    table = parameters.pop("table", None)
    others = {name: value for name, value in parameters.items() if name not in ("query", "key", "mode")}
    return {"database": (url.scheme, url.user, url.password, url.place, others), "table": table}
