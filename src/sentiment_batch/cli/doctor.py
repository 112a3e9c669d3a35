"""`sentiment-batch doctor`: shows what this machine has, what would be chosen on it, and why."""

from __future__ import annotations

import platform
import sys
from typing import Any

import click

from sentiment_batch.cli import options
from sentiment_batch.cli.defaults import (
    DEFAULTS_FILE,
    find_defaults_file,
    find_lost_defaults,
    find_unknown_variables,
    list_commands,
)
from sentiment_batch.cli.help import command
from sentiment_batch.cli.messages import print_json
from sentiment_batch.cli.tables import print_table


@command(
    short_help="Show what this machine has and what would be chosen on it.",
    examples=(
        ("Check the machine before a long job:", "sentiment-batch doctor"),
        ("Get the same as JSON:", "sentiment-batch doctor --json"),
    ),
)
@options.as_json
def doctor(as_json: bool) -> None:
    """Show what this machine has, which device, dtype and model would be chosen on it, and why."""
    findings = _collect_findings()
    if as_json:
        print_json(findings)
        return
    rows = []
    for name, finding in findings.items():
        lines = finding if isinstance(finding, list) else [finding]
        rows += [(name if number == 0 else "", line) for number, line in enumerate(lines or ["none"])]
    print_table(rows)


def _collect_findings() -> dict[str, Any]:
    """What the command prints: each finding, or list of findings, by name."""
    from importlib.metadata import version

    from sentiment_batch.data.formats import get_plugins
    from sentiment_batch.files.cache import cache_folder
    from sentiment_batch.model.device import (
        choose_device,
        choose_training_dtype,
        describe_hardware,
        prefer_bfloat16,
        prefers_int8,
    )
    from sentiment_batch.model.hub import find_hub_problem
    from sentiment_batch.model.offline_base import MINILM, find_minilm_problem
    from sentiment_batch.model.torch_operators import has_fast_int8
    from sentiment_batch.scoring.default_model import choose_model
    from sentiment_batch.tokenization.fast_library import choose_library

    device = choose_device("auto")
    commands = list_commands(click.get_current_context())
    half, why = prefer_bfloat16(device.value)
    hub = find_hub_problem()
    failed = [f"{one.name}: {one.error}" for one in get_plugins().load_third_parties() if one.error]
    return {
        "sentiment-batch": version("sentiment-batch"),
        "python": f"{platform.python_version()} ({sys.executable})",
        "torch": version("torch"),
        "transformers": version("transformers"),
        "pyarrow": version("pyarrow"),
        "cpu": describe_hardware("cpu"),
        "device": str(device),
        "training dtype": str(choose_training_dtype("auto", device.value)),
        "scoring dtype": f"{_describe_scoring_dtype(half, int8=prefers_int8(device.value))} ({why})",
        "int8": "fast products (VNNI)" if has_fast_int8() else "no fast products (VNNI)",
        "tokenizer": str(choose_library()),
        "hub": "reachable" if hub is None else f"not reachable ({hub})",
        "model": str(choose_model(None)),
        "offline base": find_minilm_problem() or f"{MINILM} is there",
        "cache": str(cache_folder()),
        "defaults": _describe_defaults(),
        "variables without effect": [f"{name}.{close}" for name, close in find_unknown_variables(commands)],
        "failed plugins": failed,
    }


def _describe_scoring_dtype(half: bool, *, int8: bool) -> str:
    if half:
        return "bfloat16 where no check text changes its label"
    return "int8 where it gains time and keeps float32's labels, else float32" if int8 else "float32"


def _describe_defaults() -> str:
    """The name of the file with defaults of options, and the commands that it has a table for."""
    found = find_defaults_file()
    if found is None:
        return f"none ({find_lost_defaults() or f'there is no {DEFAULTS_FILE} in this folder'})"
    name, tables = found
    return f"{name} ({', '.join(tables) or 'empty'})"
