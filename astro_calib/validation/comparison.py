"""Compare the noise that was predicted with the errors that were made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from astropy.table import Table
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Comparison", "compare_noise"]

#: How often chance may make a trial of a quick run fail where the error bar is right.
CHANCE = 1e-4


@dataclass(frozen=True)
class Comparison:
    """
    Predicted and observed errors, their ratio, observed over predicted, and its standard error.

    Predicted is the root of the mean variance, observed that of the mean squared error, over so many realisations.
    """

    predicted: float
    observed: float
    ratio: float
    ratio_error: float
    realisations: int

    @classmethod
    def of(cls, squares: ArrayLike, variances: ArrayLike, numbers: ArrayLike = 1) -> Comparison:
        r"""
        Compare the sums over independent realisations.

        With the sums S of the squared errors and P of the variances of n realisations,
        :math:`r^2 = \sum S / \sum P`, and the standard error of r is taken from the scatter of :math:`S - r^2 P`. So it
        is right however the errors of one realisation are correlated: noise that is common to a frame counts once a
        frame.

        The sums go over so many errors in each realisation. It is a ValueError if there are fewer than two, or no error
        is predicted.
        """
        s, p = np.asarray(squares), np.asarray(variances)
        if len(s) < 2:
            msg = f"{len(s)} realisations; at least two are needed to tell how they scatter."
            raise ValueError(msg)
        if not p.sum() > 0:
            msg = "no error is predicted: the variances add up to zero."
            raise ValueError(msg)
        squared, number = s.sum() / p.sum(), np.broadcast_to(numbers, s.shape).sum()
        spread = np.std(s - squared * p, ddof=1) * np.sqrt(len(s)) / p.sum()
        ratio = np.sqrt(squared)
        return cls(
            predicted=float(np.sqrt(p.sum() / number)),
            observed=float(np.sqrt(s.sum() / number)),
            ratio=float(ratio),
            ratio_error=float(spread / (2 * ratio)) if ratio > 0 else 0.0,
            realisations=len(s),
        )

    def agrees(self, tolerance: float) -> bool:
        """Whether the ratio is 1 within the tolerance, or within what chance may do, after Student."""
        from scipy.special import stdtrit

        chance = stdtrit(self.realisations - 1, 1 - CHANCE / 2) * self.ratio_error
        return bool(abs(self.ratio - 1) <= max(tolerance, chance))


def compare_noise(cases: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Table:
    r"""
    Compare the noise that is predicted with the errors that were made.

    Parameters
    ----------
    cases : mapping
        From a text that says what the noise is of, with its unit, to two arrays of numbers: the errors made, and the
        variances predicted for them. An error is a result less the truth, or the difference of two results that should
        be equal; the unit of a variance is that of the errors, squared. Variances may be of any shape that broadcasts
        to that of the errors, such as a single number. Values that are NaN or masked in either are left out.

    Returns
    -------
    Table
        A row for each case, in their order, with the columns

        - ``quantity``: the text;
        - ``predicted``: root of the mean variance; ``observed``: root mean square of the errors;
        - ``ratio``: observed over predicted; ``standard error``: that of the ratio.

        The columns are 64-bit numbers, printed with so many digits that the smallest standard error has two.

    Raises
    ------
    TypeError
        If errors or variances are a frame or a Quantity: every row may have a unit of its own, which a column has not.
    ValueError
        If there are no cases; or if in one of them the variances do not broadcast to the errors, fewer than two values
        are left, one of them is infinite, a variance is negative, or all are zero.

    Notes
    -----
    Of n errors e with the predicted variances V the ratio and its standard error are

    .. math:: r^2 = \frac{\overline{e^2}}{\overline{V}}, \qquad
        s_r = \frac{1}{2 r}\,\frac{s(e^2 - r^2 V)}{\sqrt{n}\,\overline{V}},

    where s is the sample standard deviation. It is the standard error of a ratio of two means to first order (Cochran,
    *Sampling Techniques*, 3rd ed., section 2.11), and half the relative error of a square is that of its root. How the
    variances differ among the values does not add to it. For Gaussian errors of one variance it is :math:`r/\sqrt{2n}`.

    The ratio is right whether the errors are independent or not; its standard error holds for independent ones. The
    pixels of a frame are independent but for what masters and overscan have in common. Of errors that are correlated
    within a frame give one value for each frame, the root of the mean of their squares.

    Examples
    --------
    Two biases, whose difference has twice the variance of one:

    >>> import astropy.units as u
    >>> import numpy as np
    >>> import astro_calib as ac
    >>> from astro_calib.validation import compare_noise
    >>> detector = ac.Detector(
    ...     gain=2 * u.electron / u.adu, read_noise=10 * u.electron
    ... )
    >>> camera = ac.simulate.Camera(
    ...     shape=(200, 200), detector=detector, bias_level=1000
    ... )
    >>> rng = np.random.default_rng(1)
    >>> raw = [camera.expose("bias", 0, rng=rng)[0] for _ in range(2)]
    >>> first, second = (
    ...     ac.calibrate(one, detector, pedestal=1000, shot_noise=0)
    ...     for one in raw
    ... )
    >>> difference = first - second
    >>> table = compare_noise(
    ...     {
    ...         "one bias (e)": (first.data, first.variance),
    ...         "difference of two (e)": (difference.data, difference.variance),
    ...     }
    ... )
    >>> table.colnames
    ['quantity', 'predicted', 'observed', 'ratio', 'standard error']
    >>> bool(np.all(abs(table["ratio"] - 1) < 3 * table["standard error"]))
    True
    """
    from astropy.table import Table

    if not cases:
        msg = "there are no cases; at least one quantity with its errors and variances is needed."
        raise ValueError(msg)
    found = [_compared(quantity, errors, variances) for quantity, (errors, variances) in cases.items()]
    table = Table({"quantity": list(cases)})
    for name in ("predicted", "observed", "ratio"):
        table[name] = [getattr(one, name) for one in found]
    table["standard error"] = [one.ratio_error for one in found]
    _set_formats(table)
    return table


def _compared(quantity: str, errors: ArrayLike, variances: ArrayLike) -> Comparison:
    """The comparison of one case, each value of which is a realisation, if it is known."""
    made, expected = _numbers(quantity, "errors", errors), _numbers(quantity, "variances", variances)
    try:
        expected = np.broadcast_to(expected, made.shape)
    except ValueError:
        msg = f"{quantity}: variances of shape {expected.shape} do not fit errors of shape {made.shape}."
        raise ValueError(msg) from None
    known = ~(np.isnan(made) | np.isnan(expected))
    made, expected = made[known], expected[known]
    if made.size < 2:
        msg = (
            f"{quantity}: {made.size} of {known.size} values are left; two or more are needed to see how they scatter."
        )
        raise ValueError(msg)
    if not (np.isfinite(made).all() and np.isfinite(expected).all()):
        msg = f"{quantity}: an error or a variance is infinite; leave such values out, or set them to NaN."
        raise ValueError(msg)
    if np.any(expected < 0) or not np.any(expected):
        what = f"a variance is negative ({expected.min():g})" if np.any(expected < 0) else "all variances are zero"
        msg = f"{quantity}: {what}, so that no noise is predicted to compare the errors with."
        raise ValueError(msg)
    return Comparison.of(np.square(made), expected)


def _numbers(quantity: str, name: str, values: ArrayLike) -> NDArray[np.float64]:
    """The values as 64-bit numbers, NaN where they are masked."""
    from astropy.nddata import NDData
    from astropy.units import Quantity

    if isinstance(values, (Quantity, NDData)):
        msg = (
            f"{quantity}: the {name} are a {type(values).__name__}; give an array of plain numbers, such as its "
            f"{'value' if isinstance(values, Quantity) else 'data or variance'}, and say the unit in the text."
        )
        raise TypeError(msg)
    return np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)


def _set_formats(table: Table) -> None:
    """Two digits for the smallest standard error, and the other columns to match."""
    known = table["standard error"][table["standard error"] > 0]
    decimals = max(0, 1 - int(np.floor(np.log10(known.min())))) if len(known) else 2
    table["ratio"].format = table["standard error"].format = f".{decimals}f"
    # The same relative precision, and no exponent for large numbers.
    largest = max(table["predicted"].max(), table["observed"].max(), 1)
    digits = max(decimals, int(np.floor(np.log10(largest))) + 1) + 1
    table["predicted"].format = table["observed"].format = f"#.{digits}g"
