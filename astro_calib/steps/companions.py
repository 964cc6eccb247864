"""Options of a calibration that say something of another option, and do nothing without it."""

from __future__ import annotations

from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["does_nothing", "with_companions"]

D = TypeVar("D")
P = ParamSpec("P")
R = TypeVar("R")

#: An option, and the one without which it does nothing. The keyword and the unit of the exposure time are not here:
#: they say how headers are read, and may be given for frames that need no exposure time.
COMPANIONS = {
    "overscan_axis": "overscan",
    "overscan_median": "overscan",
    "overscan_model": "overscan",
    "dark_amplitude": "dark",
    "min_value": "flat",
    "norm_value": "flat",
    "bayer": "flat",
    "fringe_amplitude": "fringe",
}


def with_companions(function: Callable[Concatenate[D, P], R]) -> Callable[Concatenate[D, P], R]:
    """Refuse an option of ``(detector, *, ...)`` that would do nothing, because another one is not given."""
    defaults = {name: one.default for name, one in signature(function).parameters.items()}

    @wraps(function)
    def call(detector: D, /, *args: P.args, **options: P.kwargs) -> R:
        for name, companion in COMPANIONS.items():
            if options.get(companion) is None and name in options and not _is(options[name], defaults[name]):
                raise ValueError(does_nothing(name, options[name], companion))
        return function(detector, *args, **options)

    return cast("Callable[Concatenate[D, P], R]", call)


def does_nothing(name: str, value: Any, companion: str) -> str:
    """Return what is said of an option that would do nothing without another one."""
    return f"{name}={_shown(value)} does nothing without {companion}=: give {companion}=, too, or leave {name} out."


def _is(value: Any, default: Any) -> bool:
    """Whether an option is what it would be anyway; numbers may be NumPy's, and a tuple a list."""
    if value is default:
        return True
    if isinstance(value, list):
        value = tuple(value)
    plain = isinstance(value, (str, bool, int, float, tuple, np.bool_, np.number))
    return plain and default is not None and bool(value == default)


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, (str, int, float, tuple, list)) or value is None else "..."
