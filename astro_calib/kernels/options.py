"""How loops are compiled: all in one way, and kept on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
from numba.core import event

from astro_calib.kernels.cache import LoopCache, folder, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from numba.core.event import Event

__all__ = ["compiled", "inner"]


class _Notice(event.Listener):
    """Says, once, what takes some seconds; what was compiled before, and is read from disk, does not come here."""

    said = False

    def on_start(self, event: Event) -> None:
        """Called by numba when it begins to compile any function, of another package, too."""
        if not self.said and event.data["dispatcher"].py_func.__module__.startswith(f"{__package__}."):
            self.said = True
            kept = "a few seconds" if folder() is None else "a few seconds, cached on disk"
            say("info", f"Compiling for this data type ({kept}).")

    def on_end(self, event: Event) -> None:
        """Nothing to say."""


_register: Any = event.register
_register("numba:compile", _Notice())


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """
    Compile a loop when it is first called, for each type of arguments, and keep it on disk.

    The interpreter's lock is let go.

    Parameters
    ----------
    **options
        Options of `numba.njit`; not ``cache``, which would write beside the source.

    Returns
    -------
    callable
        A decorator.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(nogil=True, **options)(function)
        # With NUMBA_DISABLE_JIT it is the function itself.
        if dispatcher is not function:
            # numba has no public way to bring a cache along.
            vars(dispatcher)["_cache"] = LoopCache(function)
        return dispatcher

    return decorate


def inner(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """
    Compile a loop that only other loops call.

    It lacks what Python would need to call it, which takes a quarter of the time to compile a loop.

    Parameters
    ----------
    **options
        As for `compiled`.

    Returns
    -------
    callable
        A decorator.
    """
    return compiled(no_cpython_wrapper=True, no_cfunc_wrapper=True, **options)
