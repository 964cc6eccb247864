r"""
The uncertainty budget: where the error of a frame came from.

To first order the error of a frame is a sum over independent sources of noise,

.. math:: dz(x) = \sum_k c_k(x)\, e_k(x), \qquad \mathrm{Var}\,e_k = v_k,

with sensitivity coefficients :math:`c_k = \partial z / \partial e_k` (JCGM 100:2008, section 5). Two frames that hold
the same source share its noise, which then cancels in their difference and does not average down in their mean.
Plain arrays live here; units belong to `CCDFrame`.
"""

from __future__ import annotations

import hashlib
import warnings
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from astro_calib.errors import NoiseWarning, ShapeMismatchError
from astro_calib.factored import Factored
from astro_calib.identity import drawn_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    "MAX_SOURCES",
    "Constituent",
    "NoiseSource",
    "UncertaintyBudget",
    "Window",
    "compose_windows",
    "finite_mean",
    "merge_sources",
    "window_of",
]

#: For each axis along which a source varies, the cell that the first pixel holds, and the step from pixel to pixel.
Window: TypeAlias = tuple[tuple[int, int], ...]
Key: TypeAlias = tuple[str, tuple[int, ...], Window]

#: A budget keeps this many sources apart; beyond, the oldest that vary from pixel to pixel are merged into one.
MAX_SOURCES = 64
#: A merged source remembers this many constituents.
MAX_CONSTITUENTS = 1000


class Constituent(NamedTuple):
    """
    What a merged source remembers of one of the sources that went into it.

    Attributes
    ----------
    weight : float
        Coefficient of the constituent in the merged source; the mean over pixels where it is not the same for all.
    share : float
        Its part of the merged source's variance, averaged over the frame; 0 to 1.
    """

    weight: float
    share: float


class NoiseSource:
    """
    One independent source of noise, as far as a frame sees it; immutable.

    Parameters
    ----------
    name : str
        What a table of the budget calls it, such as ``"read noise"``. Several sources may have one name.
    variance : float, ndarray or Factored
        Variance of a draw; broadcasts to the frame, in the square of the source's own unit.
    axes : tuple of int
        Axes of the frame along which the draws are independent: ``(0, 1)`` from pixel to pixel, ``(0,)`` one draw a
        row, ``(1,)`` one a column, ``()`` one for the frame. The variance is constant along the others.
    identity : str, optional
        Two sources of one identity are the same noise. Without it, this noise is like no other.
    window : tuple of (int, int), optional
        For each axis in ``axes``: which cell of the source the frame's first pixel holds, and the step between pixels.
    slope : float
        For shot noise estimated from a frame's own pixels: increase of the variance for a unit of signal.
    constituents : mapping, optional
        For a merged source: ``{(identity, window): Constituent}``.

    Examples
    --------
    >>> from astro_calib import NoiseSource
    >>> level = NoiseSource("overscan", 0.04, axes=())
    >>> level.name, level.axes
    ('overscan', ())
    """

    def __init__(
        self,
        name: str,
        variance: float | NDArray[Any] | Factored,
        axes: tuple[int, ...] = (0, 1),
        *,
        identity: str | None = None,
        window: Window | None = None,
        slope: float = 0.0,
        constituents: Mapping[tuple[str, Window], Constituent] | None = None,
    ) -> None:
        self.name = name
        self.variance = variance if isinstance(variance, Factored) else Factored(variance)
        self.axes = tuple(axes)
        self.identity = drawn_identity() if identity is None else identity
        self.window: Window = ((0, 1),) * len(self.axes) if window is None else window
        self.slope = slope
        self.constituents: Mapping[tuple[str, Window], Constituent] = constituents or {}

    def __repr__(self) -> str:
        return f"<NoiseSource {self.name!r}, axes {self.axes}, {self.identity}>"

    def _replaced(self, **changes: Any) -> NoiseSource:
        """The same source with other attributes."""
        attributes = {name: value for name, value in self.__dict__.items() if name != "family"}
        return NoiseSource(**(attributes | changes))

    @property
    def key(self) -> Key:
        """Sources with equal keys put the same draw under the same pixel."""
        return self.identity, self.axes, self.window

    @cached_property
    def family(self) -> frozenset[str]:
        """Identities of this source and of all that went into it."""
        return frozenset((self.identity, *(identity for identity, _ in self.constituents)))

    def cut(self, item: tuple[slice, ...], shape: tuple[int, ...]) -> NoiseSource:
        """The source as ``frame[item]`` sees it, the frame having ``shape``: the window moves, the identity stays."""
        moves = [window_of(part, length) for part, length in zip(item, shape, strict=True)]
        window = compose_windows(self.window, tuple(moves[axis] for axis in self.axes))
        return self._replaced(window=window, variance=self.variance.cut(item, shape))

    def __copy__(self) -> NoiseSource:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> NoiseSource:
        return self


def window_of(part: slice, length: int) -> tuple[int, int]:
    """First pixel and step of a slice of an axis."""
    start, _, step = part.indices(length)
    return start, step


def compose_windows(outer: Window, inner: Window) -> Window:
    """The window of a window: cell = o + s (o' + s' pixel)."""
    return tuple(
        (origin + step * start, step * stride) for (origin, step), (start, stride) in zip(outer, inner, strict=True)
    )


class _Link(NamedTuple):
    """Two sources whose draws covary where their windows meet: by factor v_a^power_a v_b^power_b."""

    window_a: Window
    window_b: Window
    factor: float
    power_a: float
    power_b: float


def _links(a: NoiseSource, b: NoiseSource) -> Iterator[_Link]:
    """
    All ways in which two sources have noise in common.

    A merged source is S = sum w_i e_i + r, so that Cov(S, e_i) = w_i v_i. Of two merged sources only the shares of
    the total are remembered: the correlation over a common constituent is the root of the product of its shares.
    """
    if a.axes != b.axes or a.family.isdisjoint(b.family):
        return
    if a.identity == b.identity:
        yield _Link(a.window, b.window, 1.0, 1, 0)
        return
    direct = False
    for (identity, window), constituent in a.constituents.items():
        if identity == b.identity:
            direct = True
            yield _Link(compose_windows(window, a.window), b.window, constituent.weight, 0, 1)
    for (identity, window), constituent in b.constituents.items():
        if identity == a.identity:
            direct = True
            yield _Link(a.window, compose_windows(window, b.window), constituent.weight, 1, 0)
    if direct:
        return
    for (identity, window_a), one in a.constituents.items():
        for (other, window_b), two in b.constituents.items():
            if identity == other and one.share > 0 and two.share > 0:
                factor = np.sign(one.weight * two.weight) * np.sqrt(one.share * two.share)
                yield _Link(compose_windows(window_a, a.window), compose_windows(window_b, b.window), factor, 0.5, 0.5)


def _meeting_cells(link: _Link, lengths: Sequence[int]) -> tuple[list[NDArray[np.intp]], list[NDArray[np.intp]]]:
    """For each axis of a link's sources, the pixels of a and of b that hold the same cells."""
    pixels_a, pixels_b = [], []
    for (origin_a, step_a), (origin_b, step_b), length in zip(link.window_a, link.window_b, lengths, strict=True):
        cells_a = origin_a + step_a * np.arange(length)
        cells_b = origin_b + step_b * np.arange(length)
        _, in_a, in_b = np.intersect1d(cells_a, cells_b, assume_unique=True, return_indices=True)
        pixels_a.append(in_a)
        pixels_b.append(in_b)
    return pixels_a, pixels_b


def _pixel_overlap(link: _Link, axes: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.bool_] | bool:
    """Where the same pixel of both frames holds the same cell: everywhere, nowhere, or a mask."""
    if link.window_a == link.window_b:
        return True
    overlap = np.ones((1,) * len(shape), dtype=bool)
    for axis, (origin_a, step_a), (origin_b, step_b) in zip(axes, link.window_a, link.window_b, strict=True):
        pixels = np.arange(shape[axis])
        same = origin_a + step_a * pixels == origin_b + step_b * pixels
        if not same.any():
            return False
        overlap = overlap & same.reshape([-1 if other == axis else 1 for other in range(len(shape))])
    return overlap


def _power(variance: Factored, power: float) -> float | NDArray[Any]:
    value = variance.evaluate()
    if power == 1:
        return value
    return 1.0 if power == 0 else np.sqrt(value)


class UncertaintyBudget:
    """
    The sources of noise of a frame, each with its sensitivity coefficient; immutable.

    Parameters
    ----------
    shape : tuple of int
        Shape of the frame.
    terms : iterable of (NoiseSource, coefficient)
        The coefficient is a number, an array that broadcasts to the frame, or a `~astro_calib.factored.Factored` one. Terms of one source
        are added up.
    dtype : dtype, optional
        Floating type of the variances that are computed; float64 by default.
    data : ndarray, optional
        The frame's data, where a coefficient depends on them (that of a flat does).

    Raises
    ------
    ShapeMismatchError
        If a variance or a coefficient does not broadcast to the frame.

    Examples
    --------
    Subtracting a bias of sigma 3 from a frame of sigma 5, and adding it again:

    >>> from astro_calib import NoiseSource, UncertaintyBudget
    >>> frame = UncertaintyBudget((2, 2), [(NoiseSource("read noise", 25.0), 1.0)])
    >>> bias = UncertaintyBudget((2, 2), [(NoiseSource("bias", 9.0), 1.0)])
    >>> difference = UncertaintyBudget.linear([(frame, 1.0), (bias, -1.0)])
    >>> difference.variance()
    array([[34., 34.],
           [34., 34.]])
    >>> UncertaintyBudget.linear([(difference, 1.0), (bias, 1.0)]).variance()
    array([[25., 25.],
           [25., 25.]])
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        terms: Iterable[tuple[NoiseSource, Factored | float | NDArray[Any]]] = (),
        dtype: Any = np.float64,
        data: NDArray[Any] | None = None,
    ) -> None:
        self.data = data
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self._terms: dict[Key, tuple[NoiseSource, Factored]] = {}
        self._total: NDArray[Any] | None = None
        for source, coefficient in terms:
            factored = coefficient if isinstance(coefficient, Factored) else Factored(coefficient)
            for what, value in (("variance", source.variance), ("coefficient", factored)):
                self._check(source, what, value)
            self._add(source, factored)
        self._bound()

    def _check(self, source: NoiseSource, what: str, value: Factored) -> None:
        for _, factors in value._terms.values():
            for field, _ in factors:
                try:
                    fits = np.broadcast_shapes(field.array.shape, self.shape) == self.shape
                except ValueError:
                    fits = False
                if not fits:
                    msg = (
                        f"the {what} of source {source.name!r} has shape {field.array.shape}, which does not "
                        f"broadcast to a frame of shape {self.shape}."
                    )
                    raise ShapeMismatchError(msg)

    def _add(self, source: NoiseSource, coefficient: Factored) -> None:
        key = source.key
        if key in self._terms:
            known, present = self._terms[key]
            coefficient = present + coefficient
            source = known
        if coefficient.is_zero:
            self._terms.pop(key, None)
        else:
            self._terms[key] = (source, coefficient)

    def _bound(self) -> None:
        """Merge the oldest sources of a kind when there are more than can be kept apart."""
        number = len(self._terms)
        while len(self._terms) > MAX_SOURCES:
            kinds: dict[tuple[int, ...], list[tuple[NoiseSource, Factored]]] = {}
            for source, coefficient in self._terms.values():
                kinds.setdefault(source.axes, []).append((source, coefficient))
            largest = max(kinds.values(), key=len)
            oldest = largest[: max(2, len(largest) // 2)]
            for source, _ in oldest:
                del self._terms[source.key]
            bound = [(s, c if self.data is None else c.bound_to(self.data)) for s, c in oldest]
            merged, coefficient = merge_sources(bound, self.shape, "merged", self.dtype)
            self._terms = {merged.key: (merged, coefficient), **self._terms}
        if len(self._terms) < number:
            msg = (
                f"a frame has more than {MAX_SOURCES} sources of noise; the oldest {number - len(self._terms) + 1} are "
                "merged. The variance of pixels stays exact; covariances with them, and sums over pixels that hold "
                "different "
                "parts of one of them, are now computed from mean shares. Use astro_calib.combine to average many "
                "frames."
            )
            warnings.warn(msg, NoiseWarning, stacklevel=4)

    # -- looking -------------------------------------------------------------------------------------------------

    @property
    def terms(self) -> tuple[tuple[NoiseSource, Factored], ...]:
        """Each source with its sensitivity coefficient."""
        return tuple(self._terms.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sources, each once, in the order in which they came in."""
        return tuple(dict.fromkeys(source.name for source, _ in self._terms.values()))

    def __repr__(self) -> str:
        return f"<UncertaintyBudget {self.shape}: {', '.join(self.names) or 'exact'}>"

    def __copy__(self) -> UncertaintyBudget:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> UncertaintyBudget:
        return self

    # -- variances -----------------------------------------------------------------------------------------------

    def _related(self) -> Iterator[tuple[NoiseSource, Factored, NoiseSource, Factored, _Link]]:
        """Each pair of different terms that have noise in common."""
        terms = self.terms
        for index, (a, coefficient_a) in enumerate(terms):
            for b, coefficient_b in terms[index + 1 :]:
                for link in _links(a, b):
                    yield a, coefficient_a, b, coefficient_b, link

    def variances(self) -> dict[str, NDArray[Any]]:
        """
        The variance by source, added up over sources of one name.

        Returns
        -------
        dict of str to ndarray
            Arrays of the frame's shape, in the square of its unit, that add up to `variance`. What two related
            sources have in common is shared out between them, half each, so that one part may be negative; shot
            noise from a pixel's own count is, where the count is.
        """
        total: dict[str, NDArray[Any]] = {}

        def add(name: str, value: Any) -> None:
            if name in total:
                total[name] += value
            else:
                total[name] = np.array(np.broadcast_to(value, self.shape), dtype=np.float64)

        for source, coefficient in self.terms:
            c = coefficient.evaluate(self.data)
            add(source.name, c * c * np.asarray(source.variance.evaluate()))
        for a, coefficient_a, b, coefficient_b, link in self._related():
            overlap = _pixel_overlap(link, a.axes, self.shape)
            if overlap is False:
                continue
            covariance = link.factor * _power(a.variance, link.power_a) * _power(b.variance, link.power_b) * overlap
            for name in (a.name, b.name):
                add(name, coefficient_a.evaluate(self.data) * coefficient_b.evaluate(self.data) * covariance)
        return {name: value.astype(self.dtype, copy=False) for name, value in total.items()}

    def variance(self) -> NDArray[Any]:
        """
        The variance of each pixel.

        Returns
        -------
        ndarray
            Read-only, of the frame's shape and ``dtype``, in the square of the frame's unit.
        """
        if self._total is None:
            total = np.zeros(self.shape, dtype=self.dtype)
            for source, coefficient in self.terms:
                c, v = coefficient.evaluate(self.data), source.variance.evaluate()
                total += c * c * v if np.ndim(c) == 0 else np.square(c) * v
            for a, coefficient_a, b, coefficient_b, link in self._related():
                overlap = _pixel_overlap(link, a.axes, self.shape)
                if overlap is False:
                    continue
                covariance = _power(a.variance, link.power_a) * _power(b.variance, link.power_b) * overlap
                c_a, c_b = coefficient_a.evaluate(self.data), coefficient_b.evaluate(self.data)
                total += 2 * link.factor * covariance * c_a * c_b
                # Rounding: what cancels to the last digit must not come out below zero.
                np.maximum(total, 0, out=total)
            total.flags.writeable = False
            self._total = total
        return self._total

    def covariance(self, other: UncertaintyBudget) -> NDArray[Any]:
        """
        The covariance of each pixel with the same pixel of another frame, from the sources that both hold.

        Parameters
        ----------
        other : UncertaintyBudget
            Of a frame of the same shape.

        Returns
        -------
        ndarray
            Of the frame's shape, in the product of the two units.

        Raises
        ------
        ShapeMismatchError
            If the shapes differ.
        """
        if self.shape != other.shape:
            msg = f"frames of shapes {self.shape} and {other.shape} have no covariance pixel by pixel."
            raise ShapeMismatchError(msg)
        total = np.zeros(self.shape, dtype=np.result_type(self.dtype, other.dtype))
        for a, coefficient_a in self.terms:
            for b, coefficient_b in other.terms:
                for link in _links(a, b):
                    overlap = _pixel_overlap(link, a.axes, self.shape)
                    if overlap is False:
                        continue
                    common = _power(a.variance, link.power_a) * _power(b.variance, link.power_b) * overlap
                    c_a, c_b = coefficient_a.evaluate(self.data), coefficient_b.evaluate(other.data)
                    total += link.factor * common * c_a * c_b
        return total

    # -- sums ----------------------------------------------------------------------------------------------------

    def variances_of_sum(self, weights: NDArray[Any]) -> dict[str, float]:
        r"""
        The variance of a weighted sum over pixels, by source.

        .. math::

            \mathrm{Var} \sum_x w z = \sum_k \sum_\mathrm{cells} v_k \Big( \sum_{x \in \mathrm{cell}} w c_k \Big)^2

        The noise of pixels adds in quadrature, that of a row coherently along the row, that of the frame coherently
        over all; a cell of a master that several pixels hold counts coherently too.

        Parameters
        ----------
        weights : ndarray
            Of the frame's shape. An aperture less its annulus is one such map, so that what they have in common
            cancels.

        Returns
        -------
        dict of str to float
            In the square of the frame's unit times that of the weights; the parts add up to the variance.
        """
        if np.shape(weights) != self.shape:
            msg = f"weights of shape {np.shape(weights)} for a frame of shape {self.shape}."
            raise ShapeMismatchError(msg)
        sums = {source.key: self._cell_sums(weights, source, c) for source, c in self.terms}
        total = dict.fromkeys(self.names, 0.0)
        for source, _ in self.terms:
            squares = np.square(sums[source.key])
            # A cell without weight does not count, whatever its variance is.
            total[source.name] += float(np.sum(np.where(squares == 0, 0, squares * self._cell_variance(source, 1))))
        for a, _, b, _, link in self._related():
            in_a, in_b = _meeting_cells(link, [self.shape[axis] for axis in a.axes])
            cells_a = (sums[a.key] * self._cell_variance(a, link.power_a))[np.ix_(*in_a)]
            cells_b = (sums[b.key] * self._cell_variance(b, link.power_b))[np.ix_(*in_b)]
            common = link.factor * float(np.sum(cells_a * cells_b))
            total[a.name] += common
            total[b.name] += common
        return total

    def variance_of_sum(self, weights: NDArray[Any]) -> float:
        """The variance of a weighted sum over pixels: the sum of `variances_of_sum`, not below zero."""
        total = sum(self.variances_of_sum(weights).values())
        return 0.0 if total < 0 else float(total)

    def _cell_sums(self, weights: NDArray[Any], source: NoiseSource, coefficient: Factored) -> NDArray[Any]:
        """Sum of weight times coefficient over the pixels of each cell."""
        across = tuple(axis for axis in range(len(self.shape)) if axis not in source.axes)
        values = np.asarray(coefficient.evaluate(self.data), dtype=np.float64)
        # Pixels without weight do not count, whatever is in them.
        weighted = np.multiply(weights, values, where=weights != 0, out=np.zeros(self.shape))
        return np.asarray(weighted.sum(axis=across))

    def _cell_variance(self, source: NoiseSource, power: float) -> NDArray[Any]:
        """Variance of each cell, to a power, with the shape of ``_cell_sums``."""
        value = np.broadcast_to(np.asarray(_power(source.variance, power), dtype=np.float64), self.shape)
        first = tuple(slice(None) if axis in source.axes else 0 for axis in range(len(self.shape)))
        return np.asarray(value[first])

    # -- making others -------------------------------------------------------------------------------------------

    @classmethod
    def linear(
        cls, parts: Sequence[tuple[UncertaintyBudget, Factored | float]], dtype: Any = None
    ) -> UncertaintyBudget:
        """
        The budget of a sum of frames, source by source.

        Parameters
        ----------
        parts : sequence of (UncertaintyBudget, coefficient)
            The coefficient is the derivative of the result with respect to the frame.
        dtype : dtype, optional
            Of the result; the widest among the parts by default.

        Raises
        ------
        ShapeMismatchError
            If the frames differ in shape.
        """
        first = parts[0][0]
        result = cls(first.shape, dtype=dtype or np.result_type(*(budget.dtype for budget, _ in parts)))
        for budget, multiplier in parts:
            if budget.shape != first.shape:
                msg = f"frames of shapes {first.shape} and {budget.shape} cannot be added."
                raise ShapeMismatchError(msg)
            for source, coefficient in budget.bound().terms:
                scaled = (
                    coefficient.product(multiplier) if isinstance(multiplier, Factored) else coefficient * multiplier
                )
                result._add(source, scaled)
        result._bound()
        return result

    def bound(self) -> UncertaintyBudget:
        """This budget with coefficients that depend on the frame's data written out as arrays."""
        if not any(coefficient.depends_on_own for _, coefficient in self.terms):
            return self
        assert self.data is not None
        data = self.data
        return self._mapped(lambda source, c: (source, c.bound_to(data)))

    def scaled(self, value: float | NDArray[Any], power: int, data: NDArray[Any]) -> UncertaintyBudget:
        """The budget of the frame times ``value**power``, an exact number or array; ``data`` are the new data."""
        result = self._mapped(lambda source, c: (source, c.frame_scaled(value, power)), data)
        result._total = None
        return result

    def shifted(self, offset: float, data: NDArray[Any]) -> UncertaintyBudget:
        """The budget of the frame plus an exact number; ``data`` are the new data."""
        return self._mapped(lambda source, c: (source, c.frame_shifted(offset)), data)

    def with_terms(self, terms: Iterable[tuple[NoiseSource, Factored | float | NDArray[Any]]]) -> UncertaintyBudget:
        """This budget and more terms."""
        return UncertaintyBudget(self.shape, [*self.terms, *terms], self.dtype, self.data)

    def named(self, name: str, instead_of: Iterable[str]) -> UncertaintyBudget:
        """
        This budget, some of its sources under another name.

        What is read noise in a bias is "bias" in the frame from which the bias was subtracted.
        """
        chosen = frozenset(instead_of)
        return self._mapped(lambda source, c: (source._replaced(name=name) if source.name in chosen else source, c))

    def of_data(self, data: NDArray[Any]) -> UncertaintyBudget:
        """This budget for the same values in another array."""
        return self if data is self.data else self._mapped(lambda source, c: (source, c), data)

    def _mapped(
        self,
        function: Callable[[NoiseSource, Factored], tuple[NoiseSource, Factored]],
        data: NDArray[Any] | None = None,
    ) -> UncertaintyBudget:
        result = UncertaintyBudget(self.shape, dtype=self.dtype, data=self.data if data is None else data)
        for source, coefficient in self.terms:
            result._add(*function(source, coefficient))
        result._total = self._total
        return result

    def astype(self, dtype: Any) -> UncertaintyBudget:
        """This budget with variances of another floating type."""
        if np.dtype(dtype) == self.dtype:
            return self
        result = UncertaintyBudget(self.shape, dtype=dtype, data=self.data)
        result._terms = self._terms
        return result

    def __getitem__(self, item: tuple[slice, ...]) -> UncertaintyBudget:
        """The budget of ``frame[item]``, for a tuple with one slice for each axis."""
        shape = tuple(len(range(*part.indices(n))) for part, n in zip(item, self.shape, strict=True))
        result = UncertaintyBudget(shape, dtype=self.dtype, data=None if self.data is None else self.data[item])
        for source, coefficient in self.terms:
            cut = source.cut(item, self.shape)
            result._terms[cut.key] = (cut, coefficient.cut(item, self.shape))
        if self._total is not None:
            result._total = self._total[item]
        return result


def merge_sources(
    terms: Sequence[tuple[NoiseSource, Factored]],
    shape: tuple[int, ...],
    name: str,
    dtype: Any = np.float64,
    inflation: float | NDArray[Any] = 1.0,
) -> tuple[NoiseSource, Factored]:
    r"""
    Make one source of several that vary along the same axes, remembering what went into it.

    Parameters
    ----------
    terms : sequence of (NoiseSource, Factored)
        The sources and their coefficients in the sum.
    shape : tuple of int
        Shape of the frame.
    name : str
        Name of the result.
    dtype : dtype
        Floating type of a variance array.
    inflation : float or ndarray
        Factor by which the variance exceeds that of the linear sum; that of a median, for example.

    Returns
    -------
    source : NoiseSource
        With variance :math:`\sum_k c_k^2 v_k` times ``inflation``.
    coefficient : Factored
        What all coefficients have in common, so that the variance often stays a number.
    """
    axes = terms[0][0].axes
    common = terms[0][1]
    ratios = [coefficient.ratio_to(common) for _, coefficient in terms]
    whole = len(axes) == len(shape)
    plain = not np.ndim(inflation) or whole
    if plain and all(ratio is not None for ratio in ratios):
        weights = [Factored(float(ratio or 0.0)) for ratio in ratios]
    elif whole:
        weights, common = [coefficient for _, coefficient in terms], Factored(1.0)
    else:
        # The coefficients vary within a cell, each in its own way: the cells get mean weights, and a common
        # coefficient that keeps the variance of each pixel what it is.
        weights = [Factored(_mean(coefficient)) for _, coefficient in terms]
        exact = sum(_squared(coefficient, source) for source, coefficient in terms)
        inner = sum(_squared(weight, source) for weight, (source, _) in zip(weights, terms, strict=True))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.sqrt(np.asarray(exact * inflation / inner))
        common = Factored(np.array(np.broadcast_to(np.where(np.isfinite(ratio), ratio, 0), shape), dtype=dtype))
        inflation = 1.0
    parts = [_squared(weight, source) for weight, (source, _) in zip(weights, terms, strict=True)]
    total = sum(parts[1:], parts[0])
    # What of the sum goes with each source: its own weight, and those of its relatives as far as they go with it.
    regression = [_mean(weight) for weight in weights]
    for index, (a, _) in enumerate(terms):
        for other, (b, _) in enumerate(terms[index + 1 :], start=index + 1):
            for link in _links(a, b):
                overlap = _pixel_overlap(link, axes, shape)
                if overlap is not False:
                    product = weights[index].evaluate() * weights[other].evaluate() * overlap
                    common_part = _power(a.variance, link.power_a) * _power(b.variance, link.power_b)
                    total = total + 2 * link.factor * product * common_part
                    covariance = link.factor * finite_mean(common_part * overlap)
                    regression[index] += _mean(weights[other]) * covariance / finite_mean(a.variance.evaluate())
                    regression[other] += _mean(weights[index]) * covariance / finite_mean(b.variance.evaluate())
    total = total * inflation
    variance = Factored(float(total)) if np.ndim(total) == 0 else Factored(np.asarray(total, dtype=dtype))
    constituents = _constituents(terms, weights, parts, finite_mean(total))
    for (member, _), weight in zip(terms, regression, strict=True):
        entry = constituents.get((member.identity, member.window))
        if entry is not None:
            constituents[member.identity, member.window] = Constituent(weight, entry.share)
    text = repr(sorted((identity, window, *numbers) for (identity, window), numbers in constituents.items()))
    identity = "stack:" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    source = NoiseSource(name, variance, axes, identity=identity, constituents=constituents)
    return source, common


def _squared(coefficient: Factored, source: NoiseSource) -> Any:
    """Part of a variance; 0 where the coefficient is 0, whatever the source's variance is there."""
    c, v = coefficient.evaluate(), source.variance.evaluate()
    with np.errstate(invalid="ignore"):
        return np.square(c) * v if np.ndim(c) == 0 else np.where(c != 0, np.square(c) * v, 0)


def _constituents(
    terms: Sequence[tuple[NoiseSource, Factored]],
    weights: Sequence[Factored],
    parts: Sequence[float | NDArray[Any]],
    total: float,
) -> dict[tuple[str, Window], Constituent]:
    """The sources that went in, and those that had gone into them, with weights and shares."""
    result: dict[tuple[str, Window], Constituent] = {}
    for (source, _), weight, part in zip(terms, weights, parts, strict=True):
        mean_weight = _mean(weight)
        share = finite_mean(part) / total if total > 0 else 0.0
        inner = sum(constituent.share for constituent in source.constituents.values())
        entries = {(source.identity, source.window): Constituent(mean_weight, share * max(0.0, 1.0 - inner))}
        for (identity, window), constituent in source.constituents.items():
            entries[identity, compose_windows(window, source.window)] = Constituent(
                mean_weight * constituent.weight, share * constituent.share
            )
        for key, entry in entries.items():
            result[key] = _joined(result[key], entry) if key in result else entry
    if len(result) > MAX_CONSTITUENTS:
        msg = (
            f"a stack remembers {MAX_CONSTITUENTS} of its {len(result)} constituents, those with the largest part "
            "of its "
            "variance; noise that it shares with frames that hold one of the others counts as independent."
        )
        warnings.warn(msg, NoiseWarning, stacklevel=5)
        largest = sorted(result, key=lambda key: result[key].share, reverse=True)[:MAX_CONSTITUENTS]
        result = {key: result[key] for key in largest}
    return result


def _joined(a: Constituent, b: Constituent) -> Constituent:
    """One constituent on two paths: its amplitudes add."""
    amplitude = np.sqrt(a.share) * np.sign(a.weight) + np.sqrt(b.share) * np.sign(b.weight)
    return Constituent(a.weight + b.weight, float(amplitude**2))


def _mean(coefficient: Factored) -> float:
    return finite_mean(coefficient.evaluate())


def finite_mean(value: float | NDArray[Any]) -> float:
    """The mean over finite values; 0 if there are none."""
    if np.ndim(value) == 0:
        return float(value)
    finite = np.isfinite(value)
    return float(np.mean(value, where=finite, dtype=np.float64)) if np.any(finite) else 0.0
