"""Scores inputs that are large or strange, and logs time and memory; both must stay within generous bounds.

    python -m tests.stress.monsters --log FILE [--only PART ...]

The exit status is 1 where one does not end as documented, takes over 300 seconds, or over 4 GB.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from tests.stress.command import GB, Outcome, apart, command, left_behind
from tests.stress.corpora import load_everything
from tests.stress.models import tiny_model
from tests.stress.monster_files import MB, Monster, monsters

SECONDS = 300
MEMORY = 4 * GB


def faced(monster: Monster, model: Path, work: Path) -> tuple[Outcome, str, str]:
    """Make a monster and score it.

    Returns:
        how the command ended; what came of it; what is wrong with that, empty where nothing is.
    """
    source, folder = work / f"monster{Path(monster.name).suffix}", work / "out"
    folder.mkdir()
    made = apart(lambda: monster.make(source), memory=16 * GB, seconds=600)
    assert made.code == 0, made.printed
    out = folder / "out.parquet"
    cpu = ("--device", "cpu", "--dtype", "float32", "--quiet")
    outcome = command(
        "score", source, out, "--model", model, *cpu, *monster.options, seconds=SECONDS, memory=2 * MEMORY
    )
    found, wrong = _judged(monster, outcome, out)
    if outcome.peak > MEMORY:
        wrong = wrong or f"over {MEMORY / GB:.0f} GB"
    source.unlink()
    shutil.rmtree(folder)
    return outcome, found, wrong


def _judged(monster: Monster, outcome: Outcome, out: Path) -> tuple[str, str]:
    if outcome.late:
        return "killed", f"over {SECONDS} s"
    if outcome.code:
        expected = monster.refusal and monster.refusal in outcome.error and outcome.clear()
        left = left_behind(out.parent)
        wrong = "" if expected else f"exit code {outcome.code}: {outcome.printed[-600:]!r}"
        return f"refused: {outcome.error}", f"left behind: {', '.join(left)}" if left and not wrong else wrong
    table = pq.read_table(out, columns=[name for name in pq.read_schema(out).names if name.endswith("sentiment")])
    found = (table.num_rows, table.columns[-1].null_count)
    wrong = "" if found == (monster.rows, monster.nulls) else f"{monster.rows:,} and {monster.nulls:,} were expected"
    return f"scored {found[0]:,} rows, {found[1]:,} of them without a text", wrong


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, required=True, help="what became of each, its time and memory")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the names of the monsters to try")
    arguments = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    load_everything()
    lines, failed = [f"{'seconds':>8} {'peak MB':>8}  input: what became of it"], 0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        os.environ["SENTIMENT_BATCH_CACHE"] = str(work / "cache")
        model = tiny_model(work)
        for monster in monsters():
            if not any(part in monster.name for part in arguments.only):
                continue
            outcome, found, wrong = faced(monster, model, work)
            failed += bool(wrong)
            line = f"{outcome.seconds:8.1f} {outcome.peak / MB:8.0f}  {monster.name}: {found}"
            lines.append((line + f"; WRONG: {wrong}" * bool(wrong)).replace(f"{work}/", ""))
            print(lines[-1], file=sys.stderr, flush=True)
    lines += ["", f"{len(lines) - 1} inputs, {failed} wrong. Peaks hold the libraries, some 300 MB."]
    arguments.log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
