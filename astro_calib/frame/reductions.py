"""Sums, means and extremes over the pixels of a frame that are not masked, and NumPy's statistics of them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Self

import numpy as np
from astropy.nddata import VarianceUncertainty

from astro_calib.arguments import with_sections
from astro_calib.frame.arithmetic import budget_over_axes
from astro_calib.frame.base import BaseFrame
from astro_calib.frame.checks import refuse_correlation
from astro_calib.frame.history import History
from astro_calib.frame.statistics import STATISTICS, good_pixels
from astro_calib.frame.write_guard import WriteGuard

__all__ = ["Reductions"]

#: The sections that the docstrings of the four statistics share.
PARAMETERS = """
    Parameters
    ----------
    axis : int or tuple of int, optional
        The axes to go over; all by default.
    keepdims : bool
        Whether these stay, with length 1.
    **kwargs
        As for the collapse operations of `astropy.nddata.NDArithmeticMixin`. With ``operation_ignores_mask=False``
        masked pixels are counted in value and error, and the result is masked then.

    Returns
    -------
    CCDFrame
"""
WITH_ERROR = f"""{PARAMETERS}\
        Masked where no pixel is left, with NaN as its variance. The sources of noise are followed from pixel to
        pixel; the result's noise is its own.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import CCDFrame
    >>> mask = np.arange(12).reshape(3, 4) > 9
    >>> sigma = np.full((3, 4), 2.0)
    >>> frame = CCDFrame(
    ...     np.ones((3, 4)), unit="electron", uncertainty=sigma, mask=mask
    ... )
    >>> total = frame.sum()
    >>> float(total.data), float(total.variance)  # 10 pixels of variance 4
    (10.0, 40.0)
    >>> mean = frame.mean()
    >>> float(mean.data), round(float(mean.variance), 6)  # 4 / 10
    (1.0, 0.4)
    """
WITHOUT_ERROR = f"""{PARAMETERS}\
        Without an uncertainty: that of an extreme is no matter of first order.

    Examples
    --------
    >>> from astro_calib import CCDFrame
    >>> mask = [[True, False, False, True]]
    >>> frame = CCDFrame([[1.0, 2.0, 3.0, 4.0]], unit="adu", mask=mask)
    >>> float(frame.min().data), float(frame.max().data)
    (2.0, 3.0)
    """


class Reductions(BaseFrame):
    """Statistics over all axes or some."""

    @with_sections(WITH_ERROR)
    def sum(self, axis: Any = None, *, keepdims: bool = False, **kwargs: Any) -> Self:
        """The sum over pixels that are not masked, with its error."""
        return self._collapsed(np.sum, axis, keepdims, kwargs)

    @with_sections(WITH_ERROR)
    def mean(self, axis: Any = None, *, keepdims: bool = False, **kwargs: Any) -> Self:
        """The mean of the pixels that are not masked, with its error."""
        return self._collapsed(np.mean, axis, keepdims, kwargs)

    @with_sections(WITHOUT_ERROR)
    def min(self, axis: Any = None, *, keepdims: bool = False, **kwargs: Any) -> Self:
        """The lowest of the pixels that are not masked."""
        return self._collapsed(np.min, axis, keepdims, kwargs)

    @with_sections(WITHOUT_ERROR)
    def max(self, axis: Any = None, *, keepdims: bool = False, **kwargs: Any) -> Self:
        """The highest of the pixels that are not masked."""
        return self._collapsed(np.max, axis, keepdims, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Statistics leave out masked pixels; any other function does what it does with a CCDData."""
        if not args and "a" in kwargs:
            args, kwargs = (kwargs["a"],), {name: value for name, value in kwargs.items() if name != "a"}
        if func in STATISTICS and args and isinstance(args[0], BaseFrame):
            first = args[0]
            good = np.ones(first.shape, dtype=bool) if first.mask is None else ~first.mask
            return func(good_pixels(first.pixels, good), *args[1:], **kwargs)
        plain: Any = np.empty(0)
        return plain.__array_function__(func, (), args, kwargs)

    def _collapsed(self, operation: Any, axis: Any, keepdims: bool, kwargs: dict[str, Any]) -> Self:
        """The value of a statistic from astropy, with its variance from the budget."""
        options = {"operation_ignores_mask": True, "handle_meta": None, **kwargs}
        propagated = options.pop("propagate_uncertainties", True)
        refuse_correlation(options.pop("uncertainty_correlation", 0))
        # astropy's method: that of `Operators` is for two frames.
        values, attributes = super()._arithmetic(operation, None, propagate_uncertainties=None, axis=axis, **options)
        if self.dtype.kind == "f" and values.dtype != self.dtype:
            values = values.astype(self.dtype)  # a masked mean is divided in double precision
        attributes |= {
            "meta": deepcopy(self.meta),
            "name": self._name,
            "guard": WriteGuard(),
            "history": History(applied=self.history.applied),
        }
        if propagated:
            attributes["uncertainty"] = self._variance_of(operation, axis, options["operation_ignores_mask"])
        result = type(self)(values, **attributes)
        if not keepdims:
            return result
        shape = np.sum(np.empty(self.shape, dtype=bool), axis=axis, keepdims=True).shape
        variance = result.variance
        return type(self)(
            result.pixels.reshape(shape),
            unit=result.unit,
            mask=None if result.mask is None else result.mask.reshape(shape),
            uncertainty=None if variance is None else VarianceUncertainty(variance.reshape(shape)),
            meta=result.meta,
            name=self._name,
        )

    def _variance_of(self, operation: Any, axis: Any, without_masked: bool) -> VarianceUncertainty | None:
        """Variance of a sum or a mean; None for other functions, and for exact frames."""
        budget = self.known_budget
        if budget is None or operation not in (np.sum, np.mean):
            return None
        axes = tuple(range(self.ndim)) if axis is None else tuple(np.atleast_1d(axis) % self.ndim)
        weights = np.ones(self.shape)
        if self.mask is not None and (without_masked or operation is np.mean):
            # A mean always leaves out masked pixels.
            weights[self.mask] = 0
        number = weights.sum(axis=axes, keepdims=True)
        if operation is np.mean:
            weights /= np.maximum(number, 1)
        variance = np.asarray(budget_over_axes(budget, weights, axes))
        # Where no pixel is left, no variance is known.
        return VarianceUncertainty(np.where(number.reshape(variance.shape) > 0, variance, np.nan), unit=self.unit**2)
