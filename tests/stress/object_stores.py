"""Scores into an S3 server on this machine that loses answers, refuses and is slow, and with two hosts at once.

    python -m tests.stress.object_stores --log tests/stress/object_stores.log

It needs s3fs. Each request of a run to write a file and a folder fails once in each way; each is the first of an outage
that lasts until the run has given up; and each answer to a reading request fails. The run must end with success or with
one line of error, the same command must then complete it, and the objects must be those of an unbroken run. Then two
hosts write to one place at once: one of them wins, and nothing is replaced without --overwrite. Large objects are sent
in several parts. No message may hold the secret key. Cases that the log has are not run again.

`--moto` runs the unbroken cases, and those with two hosts, on moto's server instead.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import itertools
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.crashes import Runner
from tests.stress.models import tiny_model
from tests.stress.s3_server import SECRET, Fault, Storage, client_environment, serve_objects

ROWS = 60
OUTPUTS = ("out.csv", "out/")
WRITES = ("PUT", "POST", "DELETE")
READS = ("GET", "HEAD")
EVER = 10_000
"""Times of a fault that lasts until the run has ended."""
MULTIPART_BYTES = 110 << 20
"""An object of two parts of 50 MB and the rest."""


class Wrong(Exception):
    """What must hold does not."""


def demand(holds: object, what: str) -> None:
    """Raise `Wrong` if something does not hold."""
    if not holds:
        raise Wrong(what)


class Host:
    """A machine with a cache of its own, from which commands are run."""

    def __init__(self, folder: Path, address: str) -> None:
        folder.mkdir()
        self.printed = ""
        environment = client_environment(address) | {"SENTIMENT_BATCH_CACHE": str(folder / "cache")}
        self._runner = Runner(CRASHES_IMPORT="s3fs aiobotocore.session aiobotocore.client", **environment)

    def run(self, *arguments: object) -> dict:
        """Run a command, and check that it has printed no secret and no traceback."""
        reply = self._runner.run(*arguments)
        text = reply["out"] + reply["err"]
        demand(SECRET not in text, f"the secret key is in {text!r}")
        demand("Traceback" not in text, text)
        errors = [line for line in reply["err"].splitlines() if line.startswith("Error: ")]
        demand(reply["status"] == 0 or (reply["status"] == 1 and len(errors) == 1), f"{reply['status']}: {text}")
        return reply | {"error": errors[0] if errors else ""}

    def close(self) -> None:
        """End its server of forked processes."""
        self._runner.close()


class Stores:
    """The models, the table, two hosts, and the objects of unbroken runs."""

    def __init__(self, folder: Path, address: str, storage: Storage | None) -> None:
        self.folder, self.address, self.storage = folder, address, storage
        for name in ("a", "b"):
            (folder / name).mkdir()
        self.models = {"a": tiny_model(folder / "a"), "b": folder / "b" / "model"}
        _make_other_model(self.models["a"], self.models["b"])
        texts = [None if n % 11 == 5 else f"the film {n % 97} was great and {n}" for n in range(ROWS)]
        pq.write_table(pa.table({"id": range(ROWS), "text": texts}), folder / "in.parquet", row_group_size=25)
        self.hosts = {name: Host(folder / f"host-{name}", address) for name in ("a", "b")}
        os.environ.update(client_environment(address))

    def score(self, host: str, out: str, *options: str, source: str = "") -> dict:
        """Score the table on a host, with the model of the host's name."""
        source = source or str(self.folder / "in.parquet")
        cpu = ("--device", "cpu", "--dtype", "float32", "--part-rows", "20", "--quiet")
        return self.hosts[host].run("score", source, f"s3://bucket/{out}", "--model", self.models[host], *cpu, *options)

    def content(self, out: str) -> dict[str, str]:
        """The digests of the objects of an output, by their names; without the manifest, which holds the time."""
        found = self.read_objects()
        name = f"bucket/{out}".rstrip("/")
        return {
            key.removeprefix(name): hashlib.sha256(data).hexdigest()
            for key, data in found.items()
            if key in (name, f"{name}.problems.jsonl") or key.startswith(f"{name}/")
        }

    def read_objects(self) -> dict[str, bytes]:
        """All objects by bucket/key."""
        if self.storage is not None:
            return {name: data for name, (data, _) in self.storage.objects.items()}
        import s3fs

        client = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
        return {path: client.cat_file(path) for path in client.find("bucket")}

    def whole(self, host: str, out: str) -> dict[str, str]:
        """The objects of an unbroken run on a host."""
        place = f"whole-{host}/{out}"
        demand(self.score(host, place)["status"] == 0, "the unbroken run failed")
        return self.content(place)

    def check(self, out: str, whole: dict[str, str]) -> None:
        """Check that an output is that of an unbroken run."""
        found = self.content(out)
        demand(found == whole, f"the objects are {sorted(found)}, and their content differs from an unbroken run")
        reply = self.hosts["a"].run("verify", f"s3://bucket/{out}")
        demand(reply["status"] == 0, f"verify: {reply['error']}")
        if self.storage is not None:
            demand(not self.storage.uploads, "an upload in several parts is left")


def _make_other_model(model: Path, other: Path) -> None:
    """A copy of a model with other weights."""
    import shutil

    from safetensors.numpy import load_file, save_file

    shutil.copytree(model, other)
    weights = load_file(other / "model.safetensors")
    save_file(
        {name: -array if name.startswith("classifier.") else array for name, array in weights.items()},
        other / "model.safetensors",
        metadata={"format": "pt"},
    )


def fault_cases(stores: Stores, wholes: dict) -> Iterator[tuple[str, Callable[[str], str]]]:
    """One fault at each request that writes, in each way; then at each that reads."""
    storage = stores.storage
    for out in OUTPUTS:
        for methods, kinds in ((WRITES, ("lost", "closed", "500", "503", "slow")), (READS, ("500", "closed", "cut"))):
            number = _count_requests(stores, out, methods)
            for kind in kinds:
                for first in range(1, number + 1):
                    yield (
                        f"{out}: {kind} at request {first} of {number} to {'write' if methods is WRITES else 'read'}",
                        lambda place, out=out, fault=(kind, methods, first, 1): _try_fault(
                            stores, place + out, fault, wholes[out]
                        ),
                    )
            if methods is WRITES:
                for kind in ("closed", "403", "lost"):
                    for first in range(1, number + 1):
                        yield (
                            f"{out}: {kind} from request {first} of {number} to write until the run ends",
                            lambda place, out=out, fault=(kind, methods, first, EVER): _try_fault(
                                stores, place + out, fault, wholes[out]
                            ),
                        )
    source = "s3://bucket/in.parquet"
    storage.put("bucket/in.parquet", (stores.folder / "in.parquet").read_bytes())
    for kind in ("500", "closed", "cut", "slow"):
        for first in range(1, 6):
            yield (
                f"in.parquet: {kind} at request {first} to read it",
                lambda place, kind=kind, first=first: _try_fault(
                    stores,
                    place + "out.csv",
                    (kind, READS, first, 1),
                    wholes["out.csv"],
                    source=source,
                    key="in.parquet",
                ),
            )


def _count_requests(stores: Stores, out: str, methods: tuple[str, ...]) -> int:
    counter = Fault("", methods, EVER, key="counted")
    stores.storage.faults = [counter]
    stores.score("a", f"counted/{methods[0]}/{out}")
    stores.storage.faults = []
    return counter.seen


def _try_fault(stores: Stores, out: str, fault: tuple, whole: dict, *, source: str = "", key: str = "") -> str:
    """Run with a fault, then again without one."""
    stores.storage.faults = [Fault(*fault, key=key or out.rpartition("/")[0].partition("/")[0])]
    first = stores.score("a", out, source=source)
    stores.storage.faults = []
    found = stores.content(out)
    if "/_SUCCESS" in found or not out.endswith("/"):
        without_claim = {name: digest for name, digest in found.items() if name != "/_SENDING"}
        demand(without_claim in ({}, whole), "a half output is published")
    if first["status"] == 0:
        stores.check(out, whole)
        return "success at once"
    demand(stores.score("a", out, source=source)["status"] == 0, "the second run failed")
    stores.check(out, whole)
    return f"refused ({_shorten(first['error'])}), completed by the same command"


def _shorten(error: str) -> str:
    return re.sub(r"^Error: \S+ cannot be \w+: ", "", error)[:90].rstrip(". ")


def rival_cases(stores: Stores, wholes: dict, rounds: int) -> Iterator[tuple[str, Callable[[str], str]]]:
    """Two hosts with different models write to one place at once."""
    for number in range(rounds):
        for out in OUTPUTS:
            for overwrite in (False, True):
                yield (
                    f"{out}: two hosts at once{', with --overwrite' * overwrite}, round {number + 1}",
                    lambda place, out=out, overwrite=overwrite, number=number: _try_rivals(
                        stores, place + out, wholes, out, overwrite, number
                    ),
                )


def _try_rivals(stores: Stores, out: str, wholes: dict, form: str, overwrite: bool, number: int) -> str:
    chance = random.Random(f"{out} {overwrite} {number}")
    if stores.storage is not None:
        slow = [
            Fault("slow", WRITES, chance.randint(1, 8), chance.randint(1, 3), key=out.partition("/")[0])
            for _ in range(3)
        ]
        stores.storage.faults = slow
    options = ("--overwrite",) if overwrite else ()
    if overwrite:
        demand(stores.score("a", out)["status"] == 0, "the output to be replaced could not be written")
    replies: dict[str, dict | Exception] = {}

    def run(host: str) -> None:
        time.sleep(chance.uniform(0, 0.3))
        try:
            replies[host] = stores.score(host, out, *options)
        except Exception as error:
            replies[host] = error

    threads = [threading.Thread(target=run, args=(host,)) for host in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if stores.storage is not None:
        stores.storage.faults = []
    for reply in replies.values():
        if isinstance(reply, Exception):
            raise reply
    won = [host for host in ("a", "b") if replies[host]["status"] == 0]
    demand(won, f"nobody won: {[reply['error'] for reply in replies.values()]}")
    found = stores.content(out)
    winners = [host for host in ("a", "b") if found == wholes[host][form]]
    demand(wholes["a"][form] != wholes["b"][form], "both models give the same scores")
    demand(len(winners) == 1 and winners[0] in won, f"the objects are {sorted(found)}, a mixture")
    if not overwrite:
        demand(len(won) == 1, "both won")
        _demand_one_version(stores, out)
    verified = stores.hosts["a"].run("verify", f"s3://bucket/{out}")
    if verified["status"] != 0:
        demand(overwrite and not out.endswith("/") and len(won) == 2, f"verify: {verified['error']}")
        return "the last won; its manifest is the other's, which verify reports"
    lost = [_shorten(reply["error"].removeprefix("Error: ")) for reply in replies.values() if reply["status"]]
    return f"{len(won)} succeeded, the objects are {winners[0]}'s" + "".join(f"; {one}" for one in lost).replace(
        f"s3://bucket/{out}", "OUT"
    )


def _demand_one_version(stores: Stores, out: str) -> None:
    """Check that no object of an output has had two contents; the claim is one of the server's own objects."""
    if stores.storage is None:
        return
    for name, versions in stores.storage.versions.items():
        if name.startswith(f"bucket/{out}".rstrip("/")) and not name.endswith("/_SENDING"):
            demand(len(set(versions)) == 1, f"{name} was replaced")


def multipart_cases(stores: Stores) -> Iterator[tuple[str, Callable[[str], str]]]:
    """A large object is sent in several parts, and one request fails."""
    file = stores.folder / "large"
    for kind in ("lost", "closed", "500", "403"):
        for first in range(1, 6):
            yield (
                f"an object in 3 parts: {kind} at request {first} of 5",
                lambda place, kind=kind, first=first: _try_multipart(
                    stores, file, place, Fault(kind, ("PUT", "POST"), first)
                ),
            )
    yield (
        "an object in 3 parts: another appears while it is sent",
        lambda place: _try_multipart(stores, file, place, None),
    )


def _try_multipart(stores: Stores, file: Path, place: str, fault: Fault | None) -> str:
    import s3fs

    from sentiment_batch.data.writers.object_store import create_object

    if not file.exists():
        file.write_bytes(random.Random(1).randbytes(MULTIPART_BYTES))
    client = s3fs.S3FileSystem(skip_instance_cache=True)
    name = f"bucket/{place}large"
    if fault is None:
        stores.storage.put(name, b"theirs")
    stores.storage.faults = [fault] if fault else []
    try:
        create_object(client, str(file), name)
        outcome = "success at once"
    except FileExistsError:
        demand(fault is None, "an object that is not there is in the way")
        outcome = "refused, because an object is there"
    except Exception as error:
        demand(fault is not None, repr(error))
        outcome = f"refused ({type(error).__name__}: {error})"[:120]
    stores.storage.faults = []
    left = len(stores.storage.uploads)
    stores.storage.uploads.clear()
    unnamed = fault is not None and fault.kind == "lost" and fault.first == 1  # nobody has got its ID
    demand(left == unnamed, f"{left} uploads in several parts are left")
    outcome += "; an upload is left whose ID was lost" * unnamed
    found = stores.storage.objects.pop(name, (None, 0))[0]
    wanted = file.read_bytes() if outcome.startswith("success") else None if fault else b"theirs"
    demand(found == wanted, "the object is not what it must be")
    return outcome


@contextlib.contextmanager
def serve_moto() -> Iterator[tuple[str, None]]:
    """moto's server for the length of the block."""
    address = "http://127.0.0.1:5791"
    with subprocess.Popen([sys.executable, "-m", "moto.server", "-p", "5791"], stderr=subprocess.DEVNULL) as process:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=1):
                break
            time.sleep(0.2)
        urllib.request.urlopen(urllib.request.Request(f"{address}/bucket", method="PUT"))
        try:
            yield address, None
        finally:
            process.terminate()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, required=True, help="a line for each case is appended")
    parser.add_argument("--rounds", type=int, default=15, help="with two hosts at once; default: 15")
    parser.add_argument("--moto", action="store_true", help="use moto's server")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th case")
    parser.add_argument("--only", default="", help="a part of the names of the cases to run")
    given = parser.parse_args()
    if importlib.util.find_spec("s3fs") is None or (given.moto and importlib.util.find_spec("moto") is None):
        print("skipped: s3fs is not installed" + " or moto is not" * given.moto, file=sys.stderr)
        return 0
    lines = given.log.read_text().splitlines() if given.log.exists() else []
    prefix = "moto: " if given.moto else ""
    done = {line.rpartition(" -> ")[0] for line in lines if " -> " in line and "WRONG" not in line}
    counts: Counter[str] = Counter(
        line.rpartition(" -> ")[2].split(" ")[0].rstrip(";") for line in lines if " -> " in line
    )
    wrong = 0
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(given.log.open("a"))

        def say(line: str) -> None:
            for stream in (sys.stdout, log):
                print(line, file=stream, flush=True)

        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="object-stores-")))
        address, storage = stack.enter_context(serve_moto() if given.moto else serve_objects())
        stores = Stores(folder, address, storage)
        for host in stores.hosts.values():
            stack.callback(host.close)
        wholes = {host: {out: stores.whole(host, out) for out in OUTPUTS} for host in ("a", "b")}
        cases = rival_cases(stores, wholes, given.rounds)
        if not given.moto:
            cases = itertools.chain(cases, multipart_cases(stores), fault_cases(stores, wholes["a"]))
        for place, (name, work) in enumerate(cases):
            if prefix + name in done or given.only not in name or place % given.every:
                continue
            try:
                outcome = work(f"case-{place}/")
            except Wrong as error:
                wrong += 1
                outcome = f"WRONG: {' '.join(str(error).split())}"[:1500].replace(str(folder), "FOLDER")
                if storage is not None:
                    storage.faults = []
                    storage.uploads.clear()
            counts[outcome.split(" ")[0].rstrip(":;")] += 1
            say(f"{prefix}{name} -> {outcome}".replace(f"case-{place}/", ""))
        outcomes = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        say(f"{prefix}{sum(counts.values())} cases so far: {outcomes}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
