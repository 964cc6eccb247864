"""How a detector's response departs from a straight line, and how well that is known."""

from __future__ import annotations

import hashlib
from abc import ABCMeta, abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_quantity, described, quantity_values, with_sections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Linearity", "LinearityPolynomial", "LinearityTable"]

#: The uncertain values of a table are this many sources of noise at most; beyond, neighbours have one in common.
MAX_TABLE_SOURCES = 16
#: The inverse of a polynomial is interpolated between this many values; its error is 1e-9 of the range.
INVERSE_NODES = 10001


#: The sections that the docstrings of the methods share.
MEASURED = """
    Parameters
    ----------
    measured : ndarray of float, any shape
        Signal net of pedestal, adu.

    Returns
    -------
"""
CORRECTED = f"""{MEASURED}\
    ndarray
        Corrected signal, adu; shape and type of ``measured``.
    """
SLOPE = f"""{MEASURED}\
    ndarray
        Without unit; shape and type of ``measured``.
    """
ERRORS = f"""{MEASURED}\
    list of ndarray
        In adu, each of the shape of ``measured``; the sum of their squares is the variance of the correction.
    """


class Linearity(metaclass=ABCMeta):
    """
    The correction of a detector's response: what would have been measured if the response were linear.

    Its methods take plain arrays in adu, net of pedestal, and keep their type. Below 0 and above ``limit`` the
    correction is continued as a straight line.

    Examples
    --------
    The two kinds of it are `LinearityPolynomial` and `LinearityTable`:

    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astro_calib import Linearity, LinearityTable
    >>> table = LinearityTable(
    ...     measured=[0, 10000] * u.adu, corrected=[0, 11000] * u.adu
    ... )
    >>> isinstance(table, Linearity)
    True
    >>> table.correct(np.array([5000.0])), table.response(np.array([5500.0]))
    (array([5500.]), array([5000.]))
    """

    limit: u.Quantity

    @abstractmethod
    @with_sections(CORRECTED)
    def correct(self, measured: NDArray[Any]) -> NDArray[Any]:
        """The corrected signal, f(x)."""

    @abstractmethod
    @with_sections(SLOPE)
    def slope(self, measured: NDArray[Any]) -> NDArray[Any]:
        """The derivative of the corrected signal with respect to the measured one."""

    @abstractmethod
    @with_sections(ERRORS)
    def error_components(self, measured: NDArray[Any]) -> list[NDArray[Any]]:
        """The standard deviations of the correction from each of its independent causes; empty if it is exact."""

    @abstractmethod
    def _nodes(self) -> NDArray[np.float64]:
        """Measured signals from 0 to the limit, between which the correction is straight or nearly so."""

    @abstractmethod
    def _parameters(self) -> tuple[Any, ...]:
        """All that makes this what it is, as plain numbers."""

    def response(self, true: NDArray[Any]) -> NDArray[Any]:
        """
        What the detector makes of a signal: the inverse of `correct`.

        Parameters
        ----------
        true : ndarray of float, any shape
            Signal that a linear detector would give, net of pedestal, adu.

        Returns
        -------
        ndarray
            Signal measured, adu; shape and type of ``true``.
        """
        nodes = self._nodes()
        values = self.correct(nodes)
        inside = np.clip(true, 0, float(values[-1]))
        found = np.interp(inside, values, nodes).astype(inside.dtype)
        return np.asarray(found + (true - inside) / self.slope(found))

    def identity(self) -> str:
        """
        A text that is the same for equal corrections and different for others.

        Returns
        -------
        str
            A checksum of the parameters.
        """
        text = f"{type(self).__name__}|{self._parameters()}"
        return "linearity:" + hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Linearity) and self.identity() == other.identity()

    def __hash__(self) -> int:
        return hash(self.identity())


@dataclass(frozen=True, eq=False)
class LinearityPolynomial(Linearity):
    r"""
    A correction of a detector's response by a polynomial.

    Parameters
    ----------
    coefficients : sequence of float
        :math:`a_1, a_2, \dots` of the formula below; :math:`a_k` is in :math:`\mathrm{adu}^{-k}`.
    limit : Quantity, adu
        Measured signal, net of pedestal, up to which the polynomial holds. Above, the correction is continued as a
        straight line, and `correct_linearity` flags the pixel.
    uncertainties : sequence of float, optional
        Standard uncertainties of the coefficients, if these are independent of each other.
    covariance : array_like, shape (n, n), optional
        Instead, the covariance matrix of the coefficients, as a fit gives it. With neither they count as exact.

    Raises
    ------
    astropy.units.UnitConversionError
        If the limit has the wrong unit.
    ValueError
        If the corrected signal does not rise all the way from 0 to the limit, a number is not finite, or the covariance
        is none.

    Notes
    -----
    With the measured signal x, net of pedestal, the corrected one is

    .. math:: f(x) = x\,(1 + a_1 x + a_2 x^2 + \dots).

    Camera documents have it in other forms, too. :math:`\sum_k c_k x^k`, as for JWST and Roman, has :math:`a_k =
    c_{k+1}/c_1`; the factor :math:`c_1` belongs to the gain, and :math:`c_0` to the pedestal. The form of IRAF's
    ``irlincor``, :math:`x\,(c_1 + c_2 x/32767 + c_3 (x/32767)^2)`, has :math:`a_k = c_{k+1}/(c_1\, 32767^k)`.

    Examples
    --------
    A correction of 3% at 50000 adu, known to a tenth of itself:

    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astro_calib import LinearityPolynomial
    >>> linearity = LinearityPolynomial(
    ...     [6e-7], limit=60000 * u.adu, uncertainties=[6e-8]
    ... )
    >>> linearity.correct(np.array([1000.0, 50000.0]))
    array([ 1000.6, 51500. ])
    >>> linearity.error_components(np.array([1000.0, 50000.0]))
    [array([6.0e-02, 1.5e+02])]
    """

    coefficients: Sequence[float]
    _: KW_ONLY
    limit: u.Quantity
    uncertainties: Sequence[float] | None = None
    covariance: ArrayLike | None = None

    def __post_init__(self) -> None:
        try:
            coefficients = quantity_values("coefficients", self.coefficients, u.dimensionless_unscaled)
        except TypeError:
            coefficients = np.empty(0)  # which are refused with the others
        if coefficients.ndim != 1 or not coefficients.size or not np.isfinite(coefficients).all():
            msg = (
                f"coefficients are {described(self.coefficients)}; expected finite numbers [a1, a2, ...] in powers of "
                "1/adu."
            )
            raise ValueError(msg)
        limit = in_adu("limit", self.limit)
        if not limit.isscalar or not limit.value > 0:
            msg = f"limit is {self.limit}; expected one positive signal in adu."
            raise ValueError(msg)
        object.__setattr__(self, "coefficients", tuple(coefficients.tolist()))
        object.__setattr__(self, "limit", limit)
        self._check_rising()
        if self.uncertainties is not None and self.covariance is not None:
            msg = "give either the uncertainties of the coefficients or their covariance, not both."
            raise ValueError(msg)
        if self.uncertainties is not None:
            self._check_uncertainties(np.asarray(self.uncertainties, dtype=float))
        if self.covariance is not None:
            self._check_covariance(np.asarray(self.covariance, dtype=float))

    def _check_rising(self) -> None:
        slope = np.polynomial.Polynomial(_of_slope(self._scaled()))
        turns = slope.deriv().roots()
        places = np.append(turns.real[(np.abs(turns.imag) < 1e-9) & (turns.real > 0) & (turns.real < 1)], 1.0)
        lowest = np.argmin(slope(places))
        if slope(places[lowest]) <= 0:
            limit = float(self.limit.value)
            msg = (
                f"the corrected signal does not rise with the measured one at {places[lowest] * limit:.6g} adu (slope "
                f"{slope(places[lowest]):.3g}), within the limit of {limit:.6g} adu. Give a lower limit, or check the "
                "coefficients, which are in powers of 1/adu."
            )
            raise ValueError(msg)

    def _check_uncertainties(self, uncertainties: NDArray[np.float64]) -> None:
        number = len(self.coefficients)
        if uncertainties.shape != (number,) or not np.all(np.isfinite(uncertainties) & (uncertainties >= 0)):
            msg = f"uncertainties are {self.uncertainties!r}; expected {number} finite numbers, zero or positive."
            raise ValueError(msg)
        object.__setattr__(self, "uncertainties", tuple(uncertainties.tolist()))

    def _check_covariance(self, covariance: NDArray[np.float64]) -> None:
        number = len(self.coefficients)
        if covariance.shape != (number, number) or not np.isfinite(covariance).all():
            msg = f"covariance is {self.covariance!r}; expected a matrix of {number} x {number} finite numbers."
            raise ValueError(msg)
        scaled = self._scaled_covariance(covariance)
        rounding = 1e-9 * np.abs(scaled).max()
        if np.abs(scaled - scaled.T).max() > rounding or np.linalg.eigvalsh(scaled)[0] < -rounding:
            msg = "covariance is not that of any numbers: it must be symmetric, without negative eigenvalues."
            raise ValueError(msg)
        object.__setattr__(self, "covariance", tuple(map(tuple, covariance.tolist())))

    def _parameters(self) -> tuple[Any, ...]:
        return self.coefficients, float(self.limit.value), self.uncertainties, self.covariance

    def _scaled(self) -> list[float]:
        """The coefficients 1, a1, a2, ... for powers of x / limit."""
        limit = float(self.limit.value)
        return [number * limit**k for k, number in enumerate((1.0, *self.coefficients))]

    def _scaled_covariance(self, covariance: NDArray[np.float64]) -> NDArray[np.float64]:
        """The covariance of a1, a2, ... for powers of x / limit, which are all of like size."""
        scale = float(self.limit.value) ** np.arange(1, len(covariance) + 1)
        return np.asarray(covariance * np.outer(scale, scale))

    def _continued(self, measured: NDArray[Any], scaled: Sequence[float]) -> NDArray[Any]:
        """The signal x times a polynomial in x / limit; outside of the range the tangent of that."""
        limit = float(self.limit.value)
        inside = np.clip(measured, 0, limit)
        part = inside / limit
        return np.asarray(
            inside * _polynomial(scaled, part) + (measured - inside) * _polynomial(_of_slope(scaled), part)
        )

    @with_sections(CORRECTED)
    def correct(self, measured: NDArray[Any]) -> NDArray[Any]:
        """The corrected signal, f(x)."""
        return self._continued(measured, self._scaled())

    @with_sections(SLOPE)
    def slope(self, measured: NDArray[Any]) -> NDArray[Any]:
        """The derivative of the corrected signal with respect to the measured one."""
        limit = float(self.limit.value)
        return _polynomial(_of_slope(self._scaled()), np.clip(measured, 0, limit) / limit)

    @with_sections(ERRORS)
    def error_components(self, measured: NDArray[Any]) -> list[NDArray[Any]]:
        """The standard deviations of the correction along each eigenvector of the coefficients' covariance."""
        if self.covariance is not None:
            covariance = np.asarray(self.covariance, dtype=float)
        elif self.uncertainties is not None:
            covariance = np.diag(np.square(self.uncertainties))
        else:
            return []
        values, vectors = np.linalg.eigh(self._scaled_covariance(covariance))
        return [
            self._continued(measured, [0.0, *(np.sqrt(value) * vector).tolist()])
            for value, vector in zip(values, vectors.T, strict=True)
            if value > 1e-12 * values[-1]
        ]

    def _nodes(self) -> NDArray[np.float64]:
        return np.linspace(0, float(self.limit.value), INVERSE_NODES)


@dataclass(frozen=True, eq=False)
class LinearityTable(Linearity):
    r"""
    A correction of a detector's response by a look-up table, interpolated linearly.

    Parameters
    ----------
    measured : Quantity, adu, shape (n,)
        Measured signals, net of pedestal, in increasing order. No signal is measured as no signal: the table begins at
        0, whether this is given or not.
    corrected : Quantity, adu, shape (n,)
        What the signal would be if the response were linear; increasing.
    uncertainties : Quantity, adu, shape (n,), optional
        Standard uncertainties of ``corrected``, which count as independent of each other. Without them it counts
        as exact.

    Raises
    ------
    astropy.units.UnitConversionError
        If a quantity has the wrong unit.
    ValueError
        If the lengths differ, a number is not finite, or the signals do not increase.

    Notes
    -----
    Between the nodes :math:`x_i` and :math:`x_{i+1}` with the values :math:`y_i` and :math:`y_{i+1}`,

    .. math:: f(x) = (1 - t)\,y_i + t\,y_{i+1}, \qquad t = \frac{x - x_i}{x_{i+1} - x_i}.

    Above the last node, the ``limit``, the last segment is continued, and `correct_linearity` flags the pixel.

    Each uncertain value is a cause of error of its own. Of more than 16 values, neighbours count as one, which leaves
    the variance of each pixel as it is.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astro_calib import LinearityTable
    >>> linearity = LinearityTable(
    ...     [10000, 60000] * u.adu, [10000, 62000] * u.adu
    ... )
    >>> linearity.correct(np.array([5000.0, 10000.0, 35000.0]))
    array([ 5000., 10000., 36000.])
    """

    measured: u.Quantity
    corrected: u.Quantity
    uncertainties: u.Quantity | None = None

    def __post_init__(self) -> None:
        columns = {"measured": self.measured, "corrected": self.corrected}
        if self.uncertainties is not None:
            columns["uncertainties"] = self.uncertainties
        checked = {what: in_adu(what, column) for what, column in columns.items()}
        shapes = {column.shape for column in checked.values()}
        if len(shapes) != 1 or any(len(shape) != 1 or shape == (0,) for shape in shapes):
            found = ", ".join(f"{what} {column.shape}" for what, column in checked.items())
            msg = f"the columns of the table have the shapes {found}; expected one length for all."
            raise ValueError(msg)
        if np.any(checked.get("uncertainties", 0 * u.adu) < 0 * u.adu):
            msg = f"uncertainties are {self.uncertainties}; they must be zero or positive."
            raise ValueError(msg)
        if checked["measured"][0] != 0:
            checked = {what: np.concatenate([[0] * u.adu, column]) for what, column in checked.items()}
        if checked["corrected"][0] != 0 or checked.get("uncertainties", [0 * u.adu])[0] != 0:
            msg = (
                f"a measured signal of 0 is corrected to {checked['corrected'][0]}, or has an uncertainty; "
                "signals are net of pedestal, so that 0 must stay 0."
            )
            raise ValueError(msg)
        for what in ("measured", "corrected"):
            falling = np.flatnonzero(np.diff(checked[what].value) <= 0)
            if falling.size:
                before, after = checked[what][falling[0] : falling[0] + 2]
                msg = f"{what} must increase; after {before} comes {after}."
                raise ValueError(msg)
        for what, column in checked.items():
            column.flags.writeable = False
            object.__setattr__(self, what, column)

        object.__setattr__(self, "limit", self.measured[-1])

    def _parameters(self) -> tuple[Any, ...]:
        columns = (self.measured, self.corrected, self.uncertainties)
        return tuple(None if column is None else tuple(column.value.tolist()) for column in columns)

    def _segment(self, measured: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[Any]]:
        """The node below each signal, and what part of the way to the next one it is; not 0 to 1 outside the table."""
        nodes = self._nodes()
        below = np.clip(np.searchsorted(nodes, measured, side="right") - 1, 0, len(nodes) - 2)
        nodes = nodes.astype(measured.dtype)
        return below, (measured - nodes[below]) / np.diff(nodes)[below]

    @with_sections(CORRECTED)
    def correct(self, measured: NDArray[Any]) -> NDArray[Any]:
        """The corrected signal, f(x)."""
        below, part = self._segment(measured)
        values = self.corrected.value.astype(measured.dtype)
        return np.asarray(values[below] + part * np.diff(values)[below])

    @with_sections(SLOPE)
    def slope(self, measured: NDArray[Any]) -> NDArray[Any]:
        """The derivative of the corrected signal with respect to the measured one."""
        below, part = self._segment(measured)
        slopes = np.diff(self.corrected.value) / np.diff(self.measured.value)
        return np.asarray(slopes.astype(part.dtype)[below])

    @with_sections(ERRORS)
    def error_components(self, measured: NDArray[Any]) -> list[NDArray[Any]]:
        """The standard deviations of the correction from each node, or from each group of neighbouring nodes."""
        if self.uncertainties is None:
            return []
        below, part = self._segment(measured)
        sigmas = self.uncertainties.value.astype(measured.dtype)
        lower, upper = (1 - part) * sigmas[below], part * sigmas[below + 1]
        number = min(len(sigmas) - 1, MAX_TABLE_SOURCES)
        # The first node, at 0, is exact, and belongs to no group.
        group = np.append(-1, np.arange(len(sigmas) - 1) * number // (len(sigmas) - 1))
        components = []
        for index in range(number):
            from_lower = np.where(group[below] == index, lower, 0)
            from_upper = np.where(group[below + 1] == index, upper, 0)
            both = group[below] == group[below + 1]
            components.append(np.where(both, np.hypot(from_lower, from_upper), from_lower + from_upper))
        return components

    def _nodes(self) -> NDArray[np.float64]:
        return np.asarray(self.measured.value)


def in_adu(what: str, value: Any) -> u.Quantity:
    """``value`` as finite numbers in adu, in an array of its own."""
    quantity = check_quantity(what, value, u.adu, example=60000)
    if not np.isfinite(quantity.value).all():
        msg = f"{what} is {value}; expected finite numbers."
        raise ValueError(msg)
    return quantity


def _polynomial(coefficients: Sequence[float], x: NDArray[Any]) -> NDArray[Any]:
    """The sum of ``coefficients[k] * x**k``, in the type of x."""
    result = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = result * x + coefficient
    return result


def _of_slope(coefficients: Sequence[float]) -> list[float]:
    """What makes the derivative of ``x * sum(c[k] * (x / limit)**k)`` a polynomial of the same kind."""
    return [(k + 1) * coefficient for k, coefficient in enumerate(coefficients)]
