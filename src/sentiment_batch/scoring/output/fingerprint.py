"""What decides the bytes of an output, in plain values. A run resumes only an earlier run with the same values."""

from __future__ import annotations

import importlib.metadata
import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch

from sentiment_batch.data import formats
from sentiment_batch.data.file_states import identify_files
from sentiment_batch.data.readers.input_state import drop_machine_bound
from sentiment_batch.errors import listed
from sentiment_batch.locations import make_absolute, without_password
from sentiment_batch.report.formatting import format_quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.scoring.annotate import TableAnnotator
    from sentiment_batch.scoring.job import ScoreJob
    from sentiment_batch.scoring.scorer import Scorer

MAX_VALUE_LENGTH = 100
"""Characters of a value in a message."""
READ_SETTINGS = ("encoding", "delimiter", "quotes", "header", "comment", "escape", "sheet", "query", "key")
"""The fields of `ReadOptions` that decide the rows of an input, besides `skip_rows`."""
EQUAL_LENGTH = 30
"""Characters before the difference of two long values, so that the message shows which column differs."""


def read_input_state(reader: Reader, source: str, input_format: str | None) -> Any:
    """The present state of the input. If it is equal to an earlier state, the rows are the same.

    Args:
        reader: the open input.
        source: its path or URL.
        input_format: the name of its format, None if the source shows it.

    Returns:
        Plain values for JSON in one of three forms: what the reader of a plugin reports with `identity()`; what
        `identify_files` gives; or None for an input that has no state, such as a pipe.

    Raises:
        InputError: the input is gone.
    """
    reported = read_reported_state(reader)
    if reported is not None:
        return reported
    return identify_files(reader, source, input_format)


def read_reported_state(reader: Reader) -> Any:
    """The state that a plugin's reader reports of its input; None if it reports none."""
    identity = getattr(reader, "identity", None)
    return None if identity is None else identity()


def describe_job(
    annotator: TableAnnotator, *, identity: Any, output_format: str, is_folder: bool, previous: str | None = None
) -> dict[str, Any]:
    """Everything that decides the output.

    Args:
        annotator: the input and the model.
        identity: the state of the input, see `read_input_state`.
        output_format: the name of the format of the output.
        is_folder: True if the output is a folder with a file for each part.
        previous: the SHA-256 of the manifest of the earlier output whose scores are reused, if there is one.
    """
    settings = _describe_settings(annotator.job, annotator.text_columns, output_format, annotator.part_rows)
    scoring = describe_scoring(annotator.scorer, annotator.schema)
    own = {"input": identity, "output_is_folder": is_folder, "reused_manifest": previous}
    libraries = _describe_libraries(annotator.job, output_format)
    return own | libraries | scoring | {"settings": settings | scoring["settings"]}


def list_command_changes(
    manifest: dict[str, Any], job: ScoreJob, scorer: Scorer, *, output_format: str, is_folder: bool
) -> list[str]:
    """The differences between a run that has replaced its input and a job, as far as they show without that input.

    Args:
        manifest: the manifest of the run.
        job: the job that names the same input and output.
        scorer: the model of the job.
        output_format: the name of the format of the output.
        is_folder: True if the output is a folder with a file for each part.
    """
    # The input does not exist any more, so its columns and its state are taken from the manifest
    old, part_rows = manifest["settings"], job.choose_part_rows(scorer.device.value)
    scoring = describe_scoring(scorer, scorer.added.fields())
    settings = _describe_settings(job, job.text_columns or old.get("text_column") or [], output_format, part_rows)
    added = scoring["output_columns"]
    new = scoring | {
        **_describe_libraries(job, output_format),
        "output_is_folder": is_folder,
        "output_columns": (manifest.get("output_columns") or [])[: -len(added)] + added,
        "settings": settings | scoring["settings"],
    }
    return list_changes({name: manifest.get(name) for name in new}, new)


def _describe_libraries(job: ScoreJob, output_format: str) -> dict[str, Any]:
    """The versions of what reads the input and writes the output; those of the plugins are None if there is none."""
    reader = formats.find_reader_format(job.source, job.input_format)
    writer = formats.find_writer_format(job.destination, output_format)
    owners = {reader.owner, writer.owner}
    plugins = [one.distribution for one in formats.get_plugins().third_parties or () if one.name in owners]
    return {"pyarrow": pa.__version__, "plugins": plugins or None}


def _describe_settings(
    job: ScoreJob, text_columns: Sequence[str], output_format: str, part_rows: int
) -> dict[str, Any]:
    """The settings of a job that decide the output, besides those of the scores."""
    return {
        "input_format": formats.find_reader_format(job.source, job.input_format).name,
        "text_column": list(text_columns),
        "columns": list(job.keep),
        **{name: getattr(job.read, name) for name in READ_SETTINGS},
        # Runs of version 0.2 stored no number of rows to skip, and can be resumed if there are none.
        "skip_rows": job.read.skip_rows or None,
        "on_bad_row": job.on_bad_row,
        "limit": job.limit,
        "output_format": output_format,
        "part_rows": part_rows,
        "escape_formulas": job.write.escape_formulas,
        "reuse": None if job.reuse is None else without_password(make_absolute(job.reuse)),
    }


def describe_scoring(scorer: Scorer, fields: Iterable[pa.Field]) -> dict[str, Any]:
    """What decides the scores and the columns, besides the input; `fields` are the columns of the output."""
    description, settings = scorer.description, scorer.settings
    return {
        # Each of these may change the last bits of a score, and a resumed run promises equal bytes
        "sentiment-batch": importlib.metadata.version("sentiment-batch"),
        "torch": torch.__version__,
        "tokenizers": importlib.metadata.version("tokenizers"),
        **({"transformers": description.transformers} if description.transformers else {}),
        "model": description.digest,
        "labels": list(description.labels),
        "device": description.hardware,
        "dtype": description.dtype.value,
        "int8_calibration": description.int8,
        "output_columns": [f"{field.name}: {field.type}" for field in fields],
        "settings": {
            "batch_tokens": description.batch_tokens,
            "max_length": description.policy.max_length,
            "long_text": description.policy.long_text,
            "deterministic": settings.deterministic,
            "compile": settings.compile,
            "decimals": settings.decimals,
            "neutral_band": settings.neutral_band,
        },
    }


def list_changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The differences between two descriptions, each in a few words.

    >>> list_changes({"dtype": "float32", "settings": {"limit": None}}, {"dtype": "bfloat16", "settings": {"limit": 9}})
    ['`limit` was not given and is 9', 'dtype was float32 and is bfloat16']
    """
    # Settings first, because they can be changed back, and then what the machine and the files have changed.
    # Another program may have written anything. Then each current setting is a difference.
    found = (one.get("settings") for one in (old, new))
    old_settings, new_settings = (one if isinstance(one, dict) else {} for one in found)
    changes = [
        _describe_setting_change(name, old_settings.get(name), new_settings.get(name))
        for name in dict.fromkeys([*old_settings, *new_settings])
        if old_settings.get(name) != new_settings.get(name)
    ]
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        if before == after or name == "settings" or (name == "device" and _is_any_cpu(before, after)):
            continue
        if name == "transformers" and before is None:
            continue  # packed runs store none, and neither did version 0.2
        if name == "input":
            changes.append(_describe_input_change(before, after))
        elif name == "output_is_folder":
            words = ("one file", "a folder")
            changes.append(f"the output was {words[bool(before)]} and is {words[bool(after)]}")
        else:
            was, now = ("were", "are") if name in {"labels", "output_columns", "plugins"} else ("was", "is")
            before, after = _to_words(before, after)
            changes.append(f"{name.replace('_', ' ')} {was} {before} and {now} {after}")
    return changes


def _is_any_cpu(before: Any, after: Any) -> bool:
    """True if a kind of CPU is compared with the `cpu` of version 0.2 or earlier, which stored no kind of CPU."""
    return before == "cpu" and " CPU, " in str(after)


def _describe_setting_change(name: str, old: Any, new: Any) -> str:
    """How a setting has changed; a switch by whether it is given, because --no-quotes turns `quotes` off.

    >>> _describe_setting_change("quotes", True, False)
    '`quotes=False` was not given and is given'
    """
    if not isinstance(old, bool) or not isinstance(new, bool):
        before, after = _to_words(old, new)
        return f"`{name}` was {before} and is {after}"
    switch = name != "quotes"
    words = ("given and is not given", "not given and is given")
    return f"`{name}={switch}` was {words[new is switch]}"


def _describe_input_change(old: Any, new: Any) -> str:
    """Which file of the input has changed, and how."""
    if _lists_files(old) and _lists_files(new) and len(old) != len(new):
        return _describe_other_files([one["path"] for one in old], [one["path"] for one in new])
    if not isinstance(old, list) or not isinstance(new, list) or len(old) != len(new):
        was, now = _to_words(old, new)
        return f"the input was {was} and is {now}"
    # The same number of files: describe the first one that differs
    for before, after in zip(old, new, strict=True):
        if before != after and isinstance(before, dict) and isinstance(after, dict):
            return _describe_file_change(before, after)
    return f"the input {new[0].get('path') if isinstance(new[0], dict) else ''} has been changed since"


def _describe_other_files(before: list[str], after: list[str]) -> str:
    """Which files have gone from the input, and which have been added; the paths without their common folder."""
    beginning = os.path.commonpath([*before, *after]) + os.sep
    gone = [path.removeprefix(beginning) for path in sorted({*before} - {*after})]
    come = [path.removeprefix(beginning) for path in sorted({*after} - {*before})]
    parts = [f"without {listed(gone, 3)}"] * bool(gone) + [f"with {listed(come, 3)}"] * bool(come)
    return f"the input was {format_quantity(len(before), 'file')} and is {len(after):,}, {' and '.join(parts)}"


def _describe_file_change(before: dict[str, Any], after: dict[str, Any]) -> str:
    """How one file of the input differs from its stored state, by the first difference of path, size and content."""
    path = after.get("path")
    if before.get("path") != path:
        return f"the input was {before.get('path')} and is {path}"
    if before.get("bytes") != after.get("bytes"):
        found = [one.get("bytes") for one in (before, after)]
        sizes = [f"{size:,}" if isinstance(size, int) else _to_text(size) for size in found]
        return f"the input {path} had {sizes[0]} bytes and has {sizes[1]}"
    # Without the inode and the like, which change when a file is copied, both states are equal
    if drop_machine_bound([before]) == drop_machine_bound([after]):
        return (
            f"the input {path} has its size and modification time of before, but was replaced, copied or changed since"
        )
    return f"the input {path} has been changed since"


def _lists_files(state: Any) -> bool:
    """True if the state of an input is a list of states of files, at least one."""
    return isinstance(state, list) and bool(state) and all(isinstance(one, dict) and "path" in one for one in state)


def _to_words(old: Any, new: Any) -> tuple[str, str]:
    """Two different values for a message, each in at most a line. A late difference is shown without the beginning."""
    texts = [_to_text(value) for value in (old, new)]
    pairs = enumerate(zip(*texts, strict=False))
    # Long lists of columns often differ only near their end, which a message cut at its beginning would not show
    same = next((place for place, (one, other) in pairs if one != other), min(map(len, texts)))
    start = same - EQUAL_LENGTH if same > MAX_VALUE_LENGTH // 2 else 0
    before, after = (f"...{text[start:]}" if start else text for text in texts)
    return _shorten(before), _shorten(after)


def _to_text(value: Any) -> str:
    if value is None or value == []:
        return "not given"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 3]}..."
