"""The cluster: which one, how it is joined and left, and how many actors of what size it has room for."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import ray

from sentiment_batch import DeviceError, UsageError

if TYPE_CHECKING:
    from sentiment_batch import ScoreSettings

KNOWN = ("address", "actors", "cpus", "gpus")
CONNECT_SECONDS = 10.0
"""In which a cluster must answer."""
OBJECT_STORE = 512 * 2**20
"""Bytes of shared memory of a cluster that is started here: texts and scores pass through it, and few at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What `--engine-option` says."""

    address: str | None = None
    """Of a cluster that runs; None takes the one of RAY_ADDRESS, else starts one on this machine."""
    actors: int | None = None
    """None: as many as there is room for."""
    cpus: int | None = None
    """Cores of an actor; its model uses so many threads."""
    gpus: float | None = None
    """GPUs of an actor; a part of one lets several share it."""

    @classmethod
    def read(cls, given: dict[str, str]) -> Options:
        """The options by their names.

        Raises:
            UsageError: one is not known, or not of its kind.
        """
        unknown = sorted(set(given) - set(KNOWN))
        if unknown:
            raise UsageError(f"--engine ray has no option {unknown[0]!r}; its options are {', '.join(KNOWN)}.")
        return cls(
            address=given.get("address"),
            actors=_number(given, "actors", int),
            cpus=_number(given, "cpus", int),
            gpus=_number(given, "gpus", float),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Crew:
    """The actors to start."""

    actors: int
    cpus: int
    gpus: float
    settings: ScoreSettings
    """With the device of each."""


def join(options: Options) -> bool:
    """Connect this process to the cluster; whether it was not connected before, and is to be disconnected.

    Raises:
        DeviceError: there is no cluster at the address.
    """
    if ray.is_initialized():
        return False
    address = options.address or os.environ.get("RAY_ADDRESS")
    own: dict[str, Any] = {} if address else {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
    if not address:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody agreed to send any
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # an actor's device is in its settings
    try:
        if address:
            _knock(address)
        with _signals_kept():
            # What actors print is not for our standard output, on which a table may go.
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = f"no Ray cluster at {address}" if address else "Ray could not start on this machine"
        why = " ".join(str(error).split())
        raise DeviceError(f"{where}: {why[:300]}. Check the address and `ray status`, or give none.") from error
    return True


def crew(options: Options, settings: ScoreSettings) -> Crew:
    """As many actors as were asked for, or as the cluster has room for.

    Raises:
        UsageError: the device is one of this machine's.
        DeviceError: the cluster has no GPU, or no room for one actor.
    """
    if settings.device not in ("auto", "cpu", "cuda"):
        raise UsageError(
            f"--device is {settings.device!r}; Ray chooses the devices. Give auto, cpu or cuda with --engine ray."
        )
    have = ray.cluster_resources()
    cores, cards = int(have.get("CPU", 0)), float(have.get("GPU", 0))
    on_cards = settings.device == "cuda" or (settings.device == "auto" and cards > 0 and options.gpus != 0)
    if on_cards and not cards:
        raise DeviceError("--device is cuda, but the Ray cluster has no GPU. Give --device cpu.")
    gpus = (options.gpus or 1.0) if on_cards else 0.0
    cpus = options.cpus or 1
    room = min(int(cards / gpus) if on_cards else cores, cores // cpus)
    if not room:
        raise DeviceError(
            f"the Ray cluster has {cores} cores and {cards:g} GPUs, too few for one actor with {cpus} and {gpus:g}. "
            "Ask for fewer with --engine-option cpus=...,gpus=..., or add machines."
        )
    if options.actors and options.actors > room:
        raise DeviceError(
            f"--engine-option actors is {options.actors}, but the Ray cluster has room for {room} ({cpus} cores and "
            f"{gpus:g} GPUs each). Ask for fewer, or add machines."
        )
    device = "cuda" if on_cards else "cpu"
    free = ray.available_resources()
    now = min(int(free.get("GPU", 0) / gpus) if on_cards else room, int(free.get("CPU", 0)) // cpus)
    return Crew(actors=options.actors or max(1, now), cpus=cpus, gpus=gpus, settings=replace(settings, device=device))


def _knock(address: str) -> None:
    """See whether anybody listens there: Ray itself would try for minutes.

    Raises:
        OSError: nobody does.
    """
    host, colon, port = address.rpartition("://")[2].partition("/")[0].rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself; what this program does with it must stay: it keeps the work done so far."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _number(given: dict[str, str], name: str, kind: type[int] | type[float]) -> Any:
    if name not in given:
        return None
    try:
        value = kind(given[name])
        if not (value > 0 or (kind is float and value == 0)):
            raise ValueError
    except ValueError:
        raise UsageError(f"--engine-option {name} is {given[name]!r}; it must be a number above 0.") from None
    return value
