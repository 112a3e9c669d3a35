"""Connects to a Ray cluster, and decides how many actors of which size to start."""

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

OPTION_NAMES = ("address", "actors", "cpus", "gpus")
MAX_CONNECT_SECONDS = 10.0
"""Seconds in which a cluster must answer."""
OBJECT_STORE_BYTES = 512 * 2**20
"""Shared memory of a cluster that is started here. Only a few texts and scores are in it at the same time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The options of the engine (`engine_options`)."""

    address: str | None = None
    """The address of a running cluster. None: that of RAY_ADDRESS, or else a new cluster on this machine."""
    actors: int | None = None
    """Number of actors. None: as many as the cluster has room for."""
    cpus: int | None = None
    """Cores of each actor, which are also the threads of its model. None: one."""
    gpus: float | None = None
    """GPUs of each actor. With a fraction, several actors share a GPU."""

    @classmethod
    def read(cls, given: dict[str, str]) -> Options:
        """Parse the options.

        Raises:
            UsageError: an option is unknown, or no valid number.
        """
        unknown = sorted(set(given) - set(OPTION_NAMES))
        if unknown:
            raise UsageError(f'`engine="ray"` has no option {unknown[0]!r}; its options are {", ".join(OPTION_NAMES)}.')
        return cls(
            address=given.get("address"),
            actors=_number(given, "actors", int),
            cpus=_number(given, "cpus", int),
            gpus=_number(given, "gpus", float),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ActorPlan:
    """The actors to start."""

    actors: int
    """Number of actors."""
    cpus: int
    """Cores of each actor."""
    gpus: float
    """GPUs of each actor."""
    settings: ScoreSettings
    """The settings of each actor, with its device."""


def join(options: Options) -> bool:
    """Connect this process to the cluster.

    Returns:
        True if the process was not connected before, so that it must be disconnected at the end.

    Raises:
        DeviceError: there is no cluster at the address.
    """
    if ray.is_initialized():
        return False
    address = options.address or os.environ.get("RAY_ADDRESS")
    own: dict[str, Any] = {} if address else {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    if not address:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # the user has not agreed to send statistics
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the device of an actor is in its settings
    try:
        if address:
            _check_listening(address)
        with _keep_signal_handler():
            # The output of actors must not reach our standard output, to which a table may be written.
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = f"no Ray cluster at {address}" if address else "Ray could not start on this machine"
        why = " ".join(str(error).split())
        raise DeviceError(
            f"{where}: {why[:300]}. Check the address and the output of 'ray status', or leave the address out."
        ) from error
    return True


def plan_actors(options: Options, settings: ScoreSettings) -> ActorPlan:
    """The requested number of actors, or as many as the cluster has room for.

    Raises:
        UsageError: the setting `device` names a device of this machine.
        DeviceError: the cluster has no GPU, or no room for one actor.
    """
    if settings.device not in ("auto", "cpu", "cuda"):
        raise UsageError(
            f'`device` is {settings.device!r}, but Ray chooses the devices. Use auto, cpu or cuda with `engine="ray"`.'
        )
    have = ray.cluster_resources()
    cores, cards = int(have.get("CPU", 0)), float(have.get("GPU", 0))
    on_cards = settings.device == "cuda" or (settings.device == "auto" and cards > 0 and options.gpus != 0)
    if on_cards and not cards:
        raise DeviceError('`device` is cuda, but the Ray cluster has no GPU. Use `device="cpu"`.')
    gpus = (options.gpus or 1.0) if on_cards else 0.0
    cpus = options.cpus or 1
    room = min(int(cards / gpus) if on_cards else cores, cores // cpus)
    if not room:
        raise DeviceError(
            f"the Ray cluster has {cores} cores and {cards:g} GPUs, too few for one actor with {cpus} and {gpus:g}. "
            "Ask for fewer with the options cpus and gpus of `engine_options`, or add machines."
        )
    if options.actors and options.actors > room:
        raise DeviceError(
            f"the option actors of `engine_options` is {options.actors}, but the Ray cluster has room for {room} "
            f"({cpus} cores and {gpus:g} GPUs each). Ask for fewer, or add machines."
        )
    device = "cuda" if on_cards else "cpu"
    free = ray.available_resources()
    now = min(int(free.get("GPU", 0) / gpus) if on_cards else room, int(free.get("CPU", 0)) // cpus)
    return ActorPlan(
        actors=options.actors or max(1, now), cpus=cpus, gpus=gpus, settings=replace(settings, device=device)
    )


def _check_listening(address: str) -> None:
    """Check that a server listens at the address, because Ray would try for minutes.

    Raises:
        OSError: no server listens.
    """
    host, colon, port = address.rpartition("://")[2].partition("/")[0].rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), MAX_CONNECT_SECONDS).close()


@contextlib.contextmanager
def _keep_signal_handler() -> Iterator[None]:
    """Restore the handler of SIGTERM, which Ray replaces. Ours saves the finished work."""
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
        wanted = "a number, 0 or more" if kind is float else "a number above 0"
        raise UsageError(f"the option {name} of `engine_options` is {given[name]!r}; it must be {wanted}.") from None
    return value
