"""Options of a calibration that say something of another option, and do nothing without it."""

from __future__ import annotations

from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["with_companions"]

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
                shown = f"{name}={_shown(options[name])}"
                msg = f"{shown} does nothing without {companion}=: give {companion}=, too, or leave {name} out."
                raise ValueError(msg)
        return function(detector, *args, **options)

    return cast("Callable[Concatenate[D, P], R]", call)


def _is(value: Any, default: Any) -> bool:
    """Whether an option is what it would be anyway."""
    return value is default or (isinstance(value, type(default)) and bool(value == default))


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, (str, int, float, tuple)) else "..."
