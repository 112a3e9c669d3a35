"""The record of a run whose output has no place for a manifest beside it, such as a table of a database.

The writer stores the ID of the run with the output, in one transaction. The record holds the same ID and the manifest.
It lies beside the work folder, appears before the output and is removed last. So a later run can see that an
interrupted run had published its output.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sentiment_batch.data.writers.write_errors import translate_write_errors
from sentiment_batch.files import atomic
from sentiment_batch.files.checksums import checked_json, read_checked_json
from sentiment_batch.scoring.output.manifest_values import has_source


def write_run_record(work_folder: Path, run_id: str, manifest: dict[str, Any]) -> None:
    """Write the record of the run that is about to publish its output.

    Raises:
        OutputError: it cannot be written.
    """
    record = checked_json(manifest | {"run_id": run_id})
    with (
        translate_write_errors(str(work_folder)),
        atomic.replace_file(_name_record(work_folder), scratch=work_folder) as file,
    ):
        file.write(record)


def read_run_record(work_folder: Path) -> dict[str, Any] | None:
    """The manifest of an interrupted run, with its `run_id`; None if there is no record, or it is damaged."""
    found = read_checked_json(_name_record(work_folder))
    return found if found is not None and type(found.get("run_id")) is str and has_source(found) else None


def remove_run_record(work_folder: Path) -> None:
    """Remove the record, if there is one."""
    if (record := _name_record(work_folder)).exists():
        atomic.remove(record)


def _name_record(work_folder: Path) -> Path:
    return work_folder.with_name(f"{work_folder.name}.run.json")
