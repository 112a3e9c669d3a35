"""Records what the program computes, so that a change of the code can be shown to change no result.

    python -m benchmarks.golden before.json
    python -m benchmarks.golden after.json --against before.json

The script uses only the command line and the public functions, with the offline encoder and the sample reviews. It
trains, kills and resumes a training, scores into every built-in format, kills and resumes three of these jobs, and
predicts, evaluates and explains. It records the SHA-256 of all weights and outputs, and each value of the JSON
documents under its own name. A renamed key therefore shows as one missing entry and one new entry.

Values that differ between two runs of the same code, such as seconds, are recorded as `(varies)`. The other values are
equal in each run on one machine. Another processor, or another version of torch, may give other bits.

Each command runs in a process that is forked from this one after the libraries are imported. This saves seconds for
each command, and needs a system that has `fork`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

from benchmarks.golden_record import compare

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # sums depend on the number of threads in their last bits
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "SENTIMENT_BATCH_CACHE": "cache",
}


def main(argv: list[str] | None = None) -> int:
    """Run every command and write the record; compare it with an earlier one where asked.

    Returns:
        1 if a result differs from the earlier record or is missing, else 0.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.golden", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", metavar="OUT.json", help="where the record is written")
    parser.add_argument("--against", metavar="EARLIER.json", help="print each difference from this earlier record")
    arguments = parser.parse_args(argv)
    os.environ.update(ENVIRONMENT)

    from benchmarks import common
    from benchmarks.golden_processes import import_libraries
    from benchmarks.golden_runs import Golden

    import_libraries()
    with tempfile.TemporaryDirectory() as scratch:
        results = Golden(Path(scratch), common.report_progress).run()
    common.save(arguments.out, "cpu", arguments, {"results": results})
    print(f"{len(results):,} results in {arguments.out}")
    if arguments.against is None:
        return 0
    now, earlier = (json.loads(Path(path).read_text(encoding="utf-8")) for path in (arguments.out, arguments.against))
    for name in ("processor", "cores"):
        if now["machine"][name] != earlier["machine"][name]:
            print(f"another machine: {name} was {earlier['machine'][name]} and is {now['machine'][name]}")
    return compare(earlier["results"], now["results"])


if __name__ == "__main__":
    raise SystemExit(main())
