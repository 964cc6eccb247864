"""Who does the tasks of a night: workers that are started for it, those of a cluster, or this process."""

from __future__ import annotations

import logging
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import resource_tracker
from numbers import Integral
from typing import TYPE_CHECKING, Any

from astro_calib.arguments import described
from astro_calib.io.memory import available_memory, memory_taken
from astro_calib.stack.overflow import OF_FREE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

    from astro_calib.stack.request import MemoryLimit

__all__ = ["check_crew", "check_installed", "connected", "crew", "memory_for_each"]

#: What keeps the libraries of a worker to one thread.
SINGLE = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
#: How long a scheduler may take to answer, in seconds.
ANSWER = 10


def check_crew(workers: int | None, client: Any = None) -> None:
    """
    Find out whether a night can be given to so many workers, or to a client's, before anything is begun.

    An ImportError says that dask.distributed is missing, a ValueError that the number is none, or both are given.
    """
    if workers is None and client is None:
        return
    if workers is not None and client is not None:
        msg = "workers and client contradict each other: the workers of a client are as many as its cluster has."
        raise ValueError(msg)
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, Integral) or workers < 1):
        msg = f"workers is {described(workers)}; it must be a positive whole number."
        raise ValueError(msg)
    check_installed()
    if client is not None and (not hasattr(client, "submit") or client.asynchronous):
        msg = f"client is {described(client)}; it must be a dask.distributed.Client that is not asynchronous."
        raise ValueError(msg)


def check_installed() -> None:
    """Find out whether dask.distributed is there; an ImportError says how to install it."""
    if find_spec("distributed") is None:
        msg = 'to share a night out among processes, dask.distributed is needed: pip install "astro-calib[distributed]"'
        raise ImportError(msg, name="distributed")


def memory_for_each(limit: MemoryLimit, workers: int | None) -> MemoryLimit:
    """Return the memory limit of each process: where nobody says one, workers on this computer share what is free."""
    if limit != "auto" or workers is None:
        return limit
    return memory_taken() + OF_FREE * available_memory() / workers


@contextmanager
def crew(workers: int | None, client: Client | None) -> Iterator[Client | None]:
    """Give the client of the cluster that does the tasks; None if this process does them."""
    if workers is None:
        yield client
    else:
        with _started(workers) as own:
            yield own


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """Connect to the scheduler of a cluster; an OSError says that none answers."""
    from distributed import Client

    try:
        client = Client(address, timeout=ANSWER, set_as_default=False, name="astro-calib")
    except (OSError, ValueError) as error:
        msg = f"no scheduler of dask.distributed answers at {address}: {error}"
        raise OSError(msg) from error
    with client:
        yield client


@contextmanager
def _started(workers: int) -> Iterator[Client]:
    """Start so many processes on this computer; they end with this one, in whatever way that ends."""
    import dask
    from distributed import Client, LocalCluster

    settings = {
        # What a worker holds are masters, which cannot be put aside: it would wait for ever.
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": 0.95,
        # Without what dask adds: giving memory back at once doubles the time of our loops.
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(SINGLE, "1"),
        # Each task that has cost workers is tried again by itself.
        "distributed.scheduler.allowed-failures": 1,
    }
    with dask.config.set(settings), _deaf() as elsewhere:
        begun = elsewhere.submit(
            LocalCluster,
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
        try:
            cluster = begun.result()
        except KeyboardInterrupt:
            begun.result().close()
            raise
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client


def _deaf() -> ThreadPoolExecutor:
    """A thread that does not hear Ctrl-C, nor do the processes that it starts: who hears it ends them."""
    # It would be listened to again where this is started for the first process.
    resource_tracker.ensure_running()
    return ThreadPoolExecutor(1, initializer=signal.pthread_sigmask, initargs=(signal.SIG_BLOCK, {signal.SIGINT}))
