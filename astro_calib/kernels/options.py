"""How loops are compiled: all in one way, and kept on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba

from astro_calib.kernels.cache import LoopCache

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["compiled", "inner"]


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
