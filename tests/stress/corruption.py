"""Damages every file that is written and read again, one at a time, and appends what comes of it to a log.

    python -m tests.stress.corruption --mutations 5000 --log tests/stress/corruption.log

A line of the log is a file of each kind in one scene, damaged in each way. Damage must be refused in one clear line,
repaired by work that is done again, or harmless: the same bytes come out. The exit status is 1 if damage changed an
output in silence, or ended in a traceback. A run that hangs prints all stacks, and ends.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.stress.models import tiny_model
from tests.stress.mutations import MUTATIONS, mutate
from tests.stress.seed_log import SeedLog

MAX_SECONDS = 120
"""Of one attempt."""
WRONG = "WRONG"


def make_scenes(folder: Path, model: Path, scorer) -> list[Callable[[], object]]:
    """Functions that make the scenes, each in a folder of its own."""
    from tests.stress.corrupted_models import CacheScene, ModelScene, TrainingScene, list_cache_kinds
    from tests.stress.corrupted_outputs import ScoringScene

    base = model.parent / "base"

    def new() -> Path:
        return Path(tempfile.mkdtemp(dir=folder))

    scoring = [
        lambda out=out, stage=stage: ScoringScene(new(), out, scorer, stage)
        for out in ("out.csv", "out/")
        for stage in ("parts", "publishing", "published")
    ]
    caches = [lambda kind=kind: CacheScene(new(), model, kind) for kind in list_cache_kinds()]
    return [*scoring, lambda: ModelScene(new(), base), lambda: TrainingScene(new(), base), *caches]


def damage_all(scene, seed: int, say: Callable[[str], None], most: int | None = None) -> Counter[str]:
    """Damage one file of each kind in each way; how often each kind was refused, redone, harmless or wrong.

    Args:
        scene: the files, and the run that reads them.
        seed: decides the files and the places of the damage.
        say: takes the details of what is wrong.
        most: damage at most so many times; None for no limit.
    """
    chance, found = random.Random(seed), Counter()
    tries = [(kind, names, mutation) for kind, names in scene.files().items() for mutation in MUTATIONS]
    for kind, names, mutation in chance.sample(tries, len(tries))[:most]:
        name = chance.choice(names)
        others = scene.others(kind, name)
        scene.restore()
        if not mutate(scene.place / name, mutation, chance, others=others, stale=scene.stale_content(name)):
            continue
        faulthandler.dump_traceback_later(MAX_SECONDS, exit=True, file=sys.__stderr__)
        try:
            outcome = scene.attempt()
        except Exception as error:
            outcome, reason = WRONG, " ".join(str(error).split())[:500]
            say(f"{WRONG} {scene.name}, {name}, {mutation}: {type(error).__name__}: {reason}")
        finally:
            faulthandler.cancel_dump_traceback_later()
        found[f"{kind}, {outcome}"] += 1
    return found


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=5_000, help="in all; default: 5,000")
    parser.add_argument("--log", type=Path, required=True, help="what is appended to")
    parser.add_argument("--scenes", type=int, nargs="*", help="the numbers of the scenes to damage; default: all")
    given = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    log = SeedLog(given.log)
    with tempfile.TemporaryDirectory(prefix="corruption-") as temporary:
        folder = Path(temporary)
        os.environ["SENTIMENT_BATCH_CACHE"] = cache = str(folder / "cache")
        model = tiny_model(folder / "tiny")
        import torch

        from sentiment_batch import Scorer

        torch.set_num_threads(1)
        with Scorer.load(str(model), device="cpu", dtype="float32") as scorer:
            makers = make_scenes(folder, model, scorer)
            makers = [makers[number] for number in given.scenes] if given.scenes else makers
            scenes: dict[int, object] = {}

            def run_line(seed: int) -> Counter[str]:
                os.environ["SENTIMENT_BATCH_CACHE"] = cache
                number = seed % len(makers)
                if number not in scenes:
                    scenes[number] = makers[number]()
                return damage_all(scenes[number], seed, lambda line: log.say(line.replace(temporary, "FOLDER")))

            seed = 0
            while sum(log.sum_up().values()) < given.mutations:
                if not log.run([seed], run_line, folder):
                    return 1
                seed += 1
    total = log.sum_up()
    wrong = sum(count for name, count in total.items() if name.endswith(WRONG))
    kinds = sorted({name.rpartition(", ")[0] for name in total})
    for kind in kinds:
        each = {name.rpartition(", ")[2]: count for name, count in total.items() if name.rpartition(", ")[0] == kind}
        log.say(f"{kind}: {sum(each.values())} ({', '.join(f'{each[one]} {one}' for one in sorted(each))})")
    log.say(f"{sum(total.values())} mutations of {len(kinds)} kinds of files, {wrong} wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
