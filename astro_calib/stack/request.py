"""What is asked of a combination: the estimator and the rejection behind the names that users give."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import astropy.units as u
import numpy as np

from astro_calib.arguments import described, is_sequence_of, quantity_values
from astro_calib.estimators.estimator import Estimator
from astro_calib.estimators.methods import Mean, Median, Method, Sum
from astro_calib.estimators.rejection import MinMax, Rejection, ScatterClip, SigmaClip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["MemoryLimit", "check_memory_limit", "check_weights", "method_of", "rejection_of", "shares"]

#: A number of bytes, or what fits the machine.
MemoryLimit: TypeAlias = float | Literal["auto"]

METHODS: dict[str, Method] = {"mean": Mean(), "median": Median(), "sum": Sum()}
#: An estimator that is not known is tried on so many values, at so many pixels.
TRIED = (5, 8)


def method_of(method: Any) -> Method:
    """The method of a name, or that with an estimator that a user gives, which is tried on some numbers."""
    if isinstance(method, Estimator):
        _try(method)
        return Method(method)
    if not isinstance(method, str) or method not in METHODS:
        msg = f"method is {described(method)}; expected one of {', '.join(METHODS)}, or an Estimator."
        if isinstance(method, str) and method == "average":
            msg += " ccdproc's 'average' is 'mean'."
        elif isinstance(method, type) and issubclass(method, Estimator):
            msg += f" Write {method.__name__}()."
        raise ValueError(msg)
    return METHODS[method]


def check_memory_limit(limit: Any) -> None:
    """Raise a ValueError if this is no number of bytes."""
    if isinstance(limit, str) and limit == "auto":
        return
    if isinstance(limit, (bool, np.bool_)) or not (isinstance(limit, Real) and float(limit) > 0):
        msg = f"memory_limit is {limit!r}; expected a positive number of bytes, such as 4e9, or numpy.inf for no limit."
        raise ValueError(msg)


def _try(estimator: Estimator) -> None:
    """Raise a ValueError if an estimator is none: its error bars would be wrong."""
    name = type(estimator).__name__
    if type(estimator).__hash__ is None:
        msg = f"{name} has no hash, under which what is simulated is kept: write @dataclass(frozen=True)."
        raise ValueError(msg)
    values = np.random.default_rng(0).normal(10, 1, TRIED)
    values[0, 0] = values[1:, 1] = np.nan
    found, moved = (np.asarray(estimator.value(tried)) for tried in (values, 3 * values + 100))
    if found.shape != TRIED[1:]:
        msg = f"{name}.value gave the shape {found.shape} for values of shape {TRIED}; expected {TRIED[1:]}."
        raise ValueError(msg)
    if not (np.isfinite(found[0]) and np.isclose(found[1], values[0, 1])):
        msg = (
            f"{name}.value gave {found[0]:g} where one value is NaN, and {found[1]:g} where all but "
            f"{values[0, 1]:g} are; expected that they are left out: see numpy.nanmedian."
        )
        raise ValueError(msg)
    if not np.allclose(moved, 3 * found + 100, rtol=1e-6):
        msg = (
            f"{name}.value gave {moved[-1]:.6g} where it gave {found[-1]:.6g} before all values were multiplied by 3 "
            f"and raised by 100; expected {3 * found[-1] + 100:.6g}. The error bars are those of estimators that move "
            "with the values."
        )
        raise ValueError(msg)


def rejection_of(clip: Any, sigma: float | tuple[float, float], extremes: tuple[int, int]) -> Rejection:
    """The rejection of a name, with its thresholds."""
    numbers = quantity_values("sigma", sigma, u.dimensionless_unscaled)
    if numbers.shape not in ((), (1,), (2,)):
        msg = f"sigma is {described(sigma)}; expected one number, or two: below and above the median."
        raise ValueError(msg)
    lower, upper = (float(value) for value in np.broadcast_to(numbers, 2))
    if not (lower > 0 and upper > 0):
        msg = f"sigma is ({lower}, {upper}); both thresholds must be positive."
        raise ValueError(msg)
    if not is_sequence_of(Integral, extremes) or len(extremes) != 2:
        msg = f"extremes is {described(extremes)}; expected two whole numbers: how many of the lowest and highest."
        raise ValueError(msg)
    if min(extremes) < 0:
        msg = f"extremes is {extremes}; the numbers of values to leave out cannot be negative."
        raise ValueError(msg)
    lowest, highest = (int(number) for number in extremes)
    known: dict[str | None, Rejection] = {
        None: Rejection(),
        "sigma": SigmaClip(lower, upper),
        "scatter": ScatterClip(lower, upper),
        "minmax": MinMax(extremes=(lowest, highest)),
    }
    if not (clip is None or isinstance(clip, str)) or clip not in known:
        msg = f"clip is {described(clip)}; expected None, 'sigma', 'scatter' or 'minmax'."
        raise ValueError(msg)
    return known[clip]


def check_weights(weights: Sequence[float], method: Method) -> None:
    """Raise a ValueError if these are no weights."""
    if not method.linear:
        msg = f"a {method.name} takes no weights; use method='mean'."
        raise ValueError(msg)
    given = quantity_values("weights", weights, u.dimensionless_unscaled)
    if given.ndim != 1 or not np.isfinite(given).all() or (given < 0).any() or not (given > 0).any():
        msg = "weights must be one finite number a frame, none negative and not all zero."
        raise ValueError(msg)


def shares(weights: Sequence[float] | NDArray[np.float64]) -> list[float]:
    """The weights over their sum; divided by the largest first, so that the sum is neither infinite nor zero."""
    given = np.asarray(weights, dtype=float)
    given = given / given.max()
    return [float(weight) for weight in given / given.sum()]
