"""Rows of an image shared out among threads: the compiled loops let go of the interpreter's lock."""

from __future__ import annotations

import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["let_go", "let_go_between_blocks", "limit_threads", "number_of_threads", "over_rows"]

#: Smaller work than this many values is not worth a second thread.
SMALLEST = 1 << 18


#: How the names of the threads begin.
NAME = "astro-calib rows"


class HoldsMemory(Protocol):
    """Something that keeps memory which it can do without."""

    def let_go(self) -> None:
        """Give memory back, if it is much; called by any thread, and often."""


#: What is asked to give memory back after each block of rows, for as long as somebody holds it.
_holders: tuple[weakref.ref[HoldsMemory], ...] = ()


def let_go_between_blocks(holder: HoldsMemory) -> None:
    """Ask something to give memory back after each block of rows, for as long as somebody holds it."""
    global _holders  # noqa: PLW0603  a new tuple, since other threads may go through the old one
    _holders = (*(one for one in _holders if one() is not None), weakref.ref(holder))


def let_go() -> None:
    """Ask everything that wants to be asked to give memory back, between two large arrays."""
    for reference in _holders:
        holder = reference()
        if holder is not None:
            holder.let_go()


class _Limit:
    """What `limit_threads` has said last."""

    number: int | None = None


def limit_threads(number: int | None) -> None:
    """Let this process use at most so many threads, as other processes use the other processors; None for any."""
    _Limit.number = number


def number_of_threads() -> int:
    """As many as there are processors for this process, or as it may use."""
    return _allowed(_processors())


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _allowed(number: int) -> int:
    return number if _Limit.number is None else min(number, _Limit.number)


@cache
def _threads(process: int) -> tuple[ThreadPoolExecutor, int]:
    """The pool of this process: one that was made before a fork has no threads after it."""
    del process
    # A limit may change.
    number = _processors()
    # The thread that calls is one of them.
    return ThreadPoolExecutor(max(number - 1, 1), thread_name_prefix=NAME), number


def over_rows(
    work: Callable[[slice], None], rows: int, values: int, block: int | None = None, multiple: int = 1
) -> None:
    """
    Call ``work`` for slices of the rows that together are all of them.

    Parameters
    ----------
    work : callable
        Takes a slice of rows; writes its result where no other slice's goes.
    rows : int
        How many there are.
    values : int
        How many values are worked on in all; for few, the calling thread does it by itself.
    block : int, optional
        Largest number of rows in a slice; an equal share for each thread by default.
    multiple : int
        All slices but the last have a multiple of this many rows.
    """
    pool, number = _threads(os.getpid())
    number = _allowed(number)
    if values < SMALLEST or threading.current_thread().name.startswith(NAME):
        # A thread that waited for another of the pool could wait for ever.
        number = 1
    step = max(1, -(-rows // number))
    if block is not None:
        step = max(1, min(step, block))
    step = -(-step // multiple) * multiple
    parts = [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
    if number == 1 or len(parts) == 1:
        for part in parts:
            work(part)
            let_go()
        return
    left = iter(parts)

    def take() -> None:
        try:
            for part in left:
                work(part)
                let_go()
        finally:
            # After an error, what has not begun is not worth it any more.
            for _ in left:
                pass

    # The calling thread works, too, and waits for nothing that has not begun: those of the pool may be waiting for a
    # lock that it holds.
    others = [pool.submit(take) for _ in range(min(number, len(parts)) - 1)]
    try:
        take()
    finally:
        begun = [other for other in others if not other.cancel()]
    for other in begun:
        other.result()
