"""Scores every file of the foreign corpora through the command line, and logs what became of each.

    python -m tests.stress.corpora --data DIR --log FILE

DIR has the folders suites/parquet-testing, suites/csv-spectrum and suites/blns; the default is $SENTIMENT_BATCH_DATA. A
file that pyarrow can read must be scored whole, or be refused for a reason that is listed here; one that it cannot read
must be refused in one clear line. The exit status is 1 where anything else happened.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import re
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.stress.models import tiny_model
from tests.stress.parquet_files import Verdict, judged
from tests.stress.text_files import csv_spectrum_is_exact, naughty_strings_survive

OURS = {
    "CRC checksum verification failed": "the page's checksum says that it is damaged; pyarrow does not look at it",
}
"""Why we may refuse what pyarrow reads: a part of our message, and the reason."""
THEIRS = {
    "magic bytes": "no Parquet file",
    "encrypted metadata": "encrypted, and there is no key",
    "Cannot decrypt": "encrypted, and there is no key",
    "Parquet file size": "no Parquet file",
}
"""What pyarrow says of files that are not meant to be read, and the reason."""


def load_everything() -> None:
    """Import all that the command line imports on its way, so that the forked processes need not."""
    for name in ("pyarrow.parquet", "pyarrow.dataset", "transformers", "sentiment_batch"):
        module = importlib.import_module(name)
        if name == "sentiment_batch":
            for found in pkgutil.walk_packages(module.__path__, "sentiment_batch."):
                if not found.name.endswith("__main__"):
                    importlib.import_module(found.name)
    from transformers import DistilBertModel, PreTrainedTokenizerFast  # noqa: F401 - loaded lazily otherwise


def parquet_testing(root: Path, model: Path, work: Path, every: int) -> Iterator[tuple[str, Verdict]]:
    """Each file below `root`, or some of them, with its verdict."""
    for path in sorted(path for path in root.rglob("*") if path.is_file())[::every]:
        fresh = work / "one"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        yield path.relative_to(root).as_posix(), judged(path, model, fresh)


def text_corpora(suites: Path, model: Path, work: Path) -> Iterator[tuple[str, Verdict]]:
    """Each CSV of csv-spectrum, and the naughty strings in three forms, with their verdicts."""
    strings = json.loads((suites / "blns" / "blns.json").read_text(encoding="utf-8"))
    paths = sorted((suites / "csv-spectrum" / "csvs").glob("*.csv"))
    tries = [(f"csv-spectrum/{path.name}", csv_spectrum_is_exact, path) for path in paths]
    for name, judge, path in tries:
        fresh = Path(tempfile.mkdtemp(dir=work))
        yield name, _verdict(lambda judge=judge, path=path, fresh=fresh: judge(path, model, fresh))
    for form in ("csv", "jsonl", "parquet"):
        fresh = Path(tempfile.mkdtemp(dir=work))
        yield (
            f"blns as {form}",
            _verdict(lambda form=form, fresh=fresh: naughty_strings_survive(strings, form, model, fresh)),
        )


def _verdict(judge) -> Verdict:
    try:
        return Verdict(rows=judge())
    except AssertionError as error:
        return Verdict(wrong=" ".join(str(error).split()))


def why(verdict: Verdict) -> str:
    """The reason why a refusal is right; empty where none is known."""
    if verdict.theirs:
        known = next((reason for part, reason in THEIRS.items() if part in verdict.theirs), None)
        return known or "pyarrow cannot read it either: " + _message(verdict.theirs)
    return next((reason for part, reason in OURS.items() if part in verdict.refusal), "")


def _message(text: str) -> str:
    return re.sub(r"^[\w.]+(Error|Invalid|NotImplemented\w*|Exception): ", "", text)[:160].rstrip(" .")


def report(verdicts: dict[str, Verdict], places: dict[str, str]) -> list[str]:
    """The lines of the log.

    Args:
        verdicts: by name of the file.
        places: paths of this machine, and what to write instead.
    """
    lines, reasons = [], defaultdict(list)
    for name, verdict in verdicts.items():
        if verdict.wrong:
            lines.append(f"{name}: WRONG: {verdict.wrong}")
        elif verdict.rows is not None:
            lines.append(f"{name}: scored {verdict.rows:,} rows")
        else:
            lines.append(f"{name}: refused: {verdict.refusal[:200]}")
            reasons[why(verdict) or "NO REASON KNOWN"].append(name)
    wrong = sum(bool(verdict.wrong) for verdict in verdicts.values())
    scored = sum(verdict.rows is not None and not verdict.wrong for verdict in verdicts.values())
    lines += ["", f"{len(verdicts)} files: {scored} scored, {sum(map(len, reasons.values()))} refused, {wrong} wrong"]
    lines += ["", "Why the refusals are right:"]
    for reason, names in sorted(reasons.items(), key=lambda pair: -len(pair[1])):
        lines.append(f"{len(names):4} {reason} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})")
    for place, instead in places.items():
        lines = [line.replace(place, instead) for line in lines]
    return lines


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SENTIMENT_BATCH_DATA"), help="folder with suites/")
    parser.add_argument("--log", type=Path, required=True, help="what became of each file")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="try only each N-th file of parquet-testing")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("name the folder of the corpora with --data")
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    load_everything()
    suites = arguments.data.resolve() / "suites"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        os.environ["SENTIMENT_BATCH_CACHE"] = str(work / "cache")
        model = tiny_model(work)
        verdicts: dict[str, Verdict] = {}
        root = suites / "parquet-testing"
        for found in (parquet_testing(root, model, work, arguments.every), text_corpora(suites, model, work)):
            for name, verdict in found:
                verdicts[name] = verdict
                print(f"\r{len(verdicts):4} files", end="", file=sys.stderr, flush=True)
        places = {f"{root}/": "", f"{suites}/": "", f"{work / 'one'}/": "", f"{work}/": ""}
        lines = report(verdicts, places)
    arguments.log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"\n{next(line for line in lines if line.startswith(f'{len(verdicts)} files'))}", file=sys.stderr)
    unexplained = [name for name, verdict in verdicts.items() if verdict.rows is None and not why(verdict)]
    return int(any(verdict.wrong for verdict in verdicts.values()) or bool(unexplained))


if __name__ == "__main__":
    sys.exit(main())
