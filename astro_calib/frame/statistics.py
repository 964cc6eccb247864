"""Pixels as NumPy's functions see them, so that what is masked does not count in a median or a percentile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.dtypes import floating

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["STATISTICS", "GoodPixels", "good_pixels"]

#: Functions that count masked pixels, and the functions to call instead.
_OF_MASKED: dict[Any, Callable[..., Any]] = {
    np.median: np.ma.median,
    np.average: np.ma.average,
    np.ptp: lambda values, *args, **kwargs: values.ptp(*args, **kwargs),
    np.cumsum: lambda values, *args, **kwargs: values.cumsum(*args, **kwargs),
    np.cumprod: lambda values, *args, **kwargs: values.cumprod(*args, **kwargs),
    np.count_nonzero: lambda values, *args, **kwargs: np.count_nonzero(values.filled(0), *args, **kwargs),
    np.histogram: lambda values, *args, **kwargs: np.histogram(values.compressed(), *args, **kwargs),
}
#: Functions that count NaN, which masked pixels hold here, and the functions to call instead.
_OF_NUMBERS: dict[Any, Callable[..., Any]] = {
    np.percentile: np.nanpercentile,
    np.quantile: np.nanquantile,
    **{function: function for function in (np.nanmean, np.nanmedian, np.nanstd, np.nanvar, np.nansum)},
    **{function: function for function in (np.nanmin, np.nanmax, np.nanpercentile, np.nanquantile)},
}
#: What NumPy computes of a frame without its masked pixels; `numpy.mean` and `numpy.sum` call the frame's methods.
STATISTICS = frozenset({*_OF_MASKED, *_OF_NUMBERS, np.std, np.var, np.prod, np.argmin, np.argmax})


class GoodPixels(np.ma.MaskedArray):
    """
    Pixels of which some are masked, as a masked array that `numpy.median` and its like treat as one, too.

    Masked pixels hold NaN: a function that knows nothing of masks gives NaN, and not a wrong number.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.frame.statistics import good_pixels
    >>> pixels = good_pixels(
    ...     np.array([1.0, 2.0, 3.0, 1e7]), np.array([True, True, True, False])
    ... )
    >>> (
    ...     float(np.median(pixels)),
    ...     float(np.ma.median(pixels)),
    ...     float(np.percentile(pixels[1:], 50)),
    ... )
    (2.0, 2.0, 2.5)
    """

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Call the function that leaves out masked pixels of the first argument."""
        if not args and "a" in kwargs:
            args, kwargs = (kwargs["a"],), {name: value for name, value in kwargs.items() if name != "a"}
        if func in _OF_MASKED:
            return _OF_MASKED[func](*args, **kwargs)
        if func in _OF_NUMBERS and args:
            first = args[0]
            plain = first.filled(np.nan) if isinstance(first, np.ma.MaskedArray) else first
            return _OF_NUMBERS[func](plain, *args[1:], **kwargs)
        return super().__array_function__(func, types, args, kwargs)


def good_pixels(values: NDArray[Any], good: NDArray[np.bool_]) -> NDArray[Any]:
    """What a function may look at: a masked copy, or if all pixels are good a view that cannot be written into."""
    if good.all():
        view = values.view()
        view.flags.writeable = False
        return view
    numbers = floating(values)
    return GoodPixels(np.where(good, numbers, numbers.dtype.type(np.nan)), mask=~good)
