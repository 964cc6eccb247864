r"""
The uncertainty budget: where the error of a frame came from.

To first order the error of a frame is a sum over independent sources of noise,

.. math:: dz(x) = \sum_k c_k(x)\, e_k(x), \qquad \mathrm{Var}\,e_k = v_k,

with sensitivity coefficients :math:`c_k = \partial z / \partial e_k` (JCGM 100:2008, section 5). Two frames that hold
the same source share its noise, which then cancels in their difference and does not average down in their mean.
Plain arrays live here; units belong to `CCDFrame`.
"""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.arguments import described, is_sequence_of
from astro_calib.errors import FrameError, NoiseWarning, ShapeMismatchError, warn
from astro_calib.noise.arrays import ArrayRef
from astro_calib.noise.blocks import NO_NUMBER, in_blocks
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.lending import lent_terms
from astro_calib.noise.merge import merge_sources, without_arrays
from astro_calib.noise.mosaic import extent_of
from astro_calib.noise.patterns import find_tables, term_arrays
from astro_calib.noise.propagation import RULES, Power, of_first
from astro_calib.noise.shares import typical_parts
from astro_calib.noise.sharing import draw_covariances
from astro_calib.noise.shown import draw_shares, share_table, share_table_html
from astro_calib.noise.sums import MapSum, by_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from astro_calib.noise.place import Master
    from astro_calib.noise.propagation import Values
    from astro_calib.noise.protocol import Budget
    from astro_calib.noise.source import NoiseSource
    from astro_calib.noise.window import Key

__all__ = ["MAX_SOURCES", "UncertaintyBudget"]

#: A budget keeps this many sources apart; beyond, the oldest that vary from pixel to pixel are merged into one.
MAX_SOURCES = 64


class UncertaintyBudget:
    """
    The sources of noise of a frame, each with its sensitivity coefficient; immutable.

    Parameters
    ----------
    shape : tuple of int
        Shape of the frame.
    terms : iterable of (NoiseSource, coefficient)
        The coefficient is a number, an array that broadcasts to the frame, or a
        `~astro_calib.noise.coefficient.Coefficient`. Terms of one source are added up.
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
    >>> frame = UncertaintyBudget(
    ...     (2, 2), [(NoiseSource("read noise", 25.0), 1.0)]
    ... )
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
        terms: Iterable[tuple[NoiseSource, Coefficient | float | NDArray[Any]]] = (),
        dtype: Any = np.float64,
        data: NDArray[Any] | None = None,
    ) -> None:
        self.data = None if data is None else _read_only(data)
        if not is_sequence_of(Integral, shape):
            msg = f"the shape of a budget is {described(shape)}; expected that of a frame, such as (1024, 1024)."
            raise TypeError(msg)
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self._terms: dict[Key, tuple[NoiseSource, Coefficient]] = {}
        self._total: NDArray[Any] | None = None
        for source, coefficient in terms:
            factored = coefficient if isinstance(coefficient, Coefficient) else Coefficient(coefficient)
            for what, value in (("variance", source.variance), ("coefficient", factored)):
                self._check(source, what, value)
            self._add(source, factored)
        self._bound()

    def _check(self, source: NoiseSource, what: str, value: Coefficient) -> None:
        for field in value.arrays:
            try:
                fits = np.broadcast_shapes(field.shape, self.shape) == self.shape
            except ValueError:
                fits = False
            if not fits:
                msg = (
                    f"the {what} of source {source.name!r} has shape {field.shape}, which does not "
                    f"broadcast to a frame of shape {self.shape}."
                )
                raise ShapeMismatchError(msg)

    def _add(self, source: NoiseSource, coefficient: Coefficient) -> None:
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
        if len(self._terms) <= MAX_SOURCES:
            return
        merged = 0
        while len(groups := by_identity(self.terms)) > MAX_SOURCES:
            kinds: dict[tuple[int, ...], list[list[tuple[NoiseSource, Coefficient]]]] = {}
            for group in groups:
                kinds.setdefault(group[0][0].axes, []).append(group)
            largest = max(kinds.values(), key=len)
            oldest = [term for group in largest[: max(2, len(largest) // 2)] for term in group]
            for source, _ in oldest:
                del self._terms[source.key]
            bound = [(s, c if self.data is None else c.with_data(self.data)) for s, c in oldest]
            one, coefficient = merge_sources(bound, self.shape, "merged", self.dtype)
            one = without_arrays(one)
            self._terms = {one.key: (one, coefficient), **self._terms}
            merged += len(oldest)
        if merged:
            msg = (
                f"a frame has more than {MAX_SOURCES} sources of noise; the oldest {merged} are merged. The variance "
                "of pixels stays exact; covariances with them, and sums over pixels that hold different parts of one "
                "of them, are now computed from mean shares. Use astro_calib.combine to average many frames."
            )
            warn(msg, NoiseWarning)

    # -- looking -------------------------------------------------------------------------------------------------

    @property
    def terms(self) -> tuple[tuple[NoiseSource, Coefficient], ...]:
        """Each source with its sensitivity coefficient."""
        return tuple(self._terms.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sources, each once, in the order in which they came in."""
        return tuple(dict.fromkeys(source.name for source, _ in self._terms.values()))

    @property
    def identities(self) -> frozenset[str]:
        """
        The identities of the sources, of those that went into them, and of those whose cells they add up.

        Two budgets that have none in common are independent.
        """
        return frozenset().union(*(source.family for source, _ in self._terms.values()))

    def __contains__(self, term: tuple[NoiseSource, Coefficient]) -> bool:
        """Whether a source is in the budget with just this coefficient."""
        known = self._terms.get(term[0].key)
        return known is not None and known[1] == term[1]

    def __repr__(self) -> str:
        return f"<UncertaintyBudget {self.shape}: {', '.join(self.names) or 'exact'}>"

    def __str__(self) -> str:
        return share_table(typical_parts(self))

    def _repr_html_(self) -> str:
        return share_table_html(typical_parts(self))

    def plot(self, axes: Axes | None = None) -> Axes:
        """
        Draw the share that each source has in the variance of a typical pixel.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, optional
            Draw here; by default in a new figure of pyplot, which ``plt.show()`` shows.

        Returns
        -------
        matplotlib.axes.Axes
            With a bar for each source, the largest at the top, and its standard deviation in the unit of the frame.

        Examples
        --------
        >>> from matplotlib.figure import Figure
        >>> from astro_calib import NoiseSource, UncertaintyBudget
        >>> sources = [
        ...     NoiseSource("shot noise", 16.0),
        ...     NoiseSource("read noise", 9.0),
        ... ]
        >>> budget = UncertaintyBudget(
        ...     (2, 2), [(source, 1.0) for source in sources]
        ... )
        >>> axes = budget.plot(Figure().subplots())
        >>> [float(bar.get_width()) for bar in axes.patches]
        [64.0, 36.0]

        The numbers that it shows are also what ``print(budget)`` prints:

        >>> print(budget)
        source      sigma  share
        shot noise      4    64%
        read noise      3    36%
        together        5   100%
        """
        return draw_shares(typical_parts(self), axes)

    def __copy__(self) -> UncertaintyBudget:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> UncertaintyBudget:
        return self

    def with_values(self, data: NDArray[Any] | None) -> UncertaintyBudget:
        """
        The same budget with its data in another array of the same values.

        Parameters
        ----------
        data : ndarray or None
            The data.

        Returns
        -------
        UncertaintyBudget
            With the same terms and the same variance.
        """
        result = UncertaintyBudget(self.shape, dtype=self.dtype)
        result._terms, result._total, result.data = self._terms, self._total, data
        return result

    def __getstate__(self) -> dict[str, Any]:
        find_tables([term_arrays(*term) for term in self.terms])
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.data = None if self.data is None else _read_only(self.data)
        if self._total is not None:
            self._total.flags.writeable = False

    # -- variances -----------------------------------------------------------------------------------------------

    def pairs(self) -> Iterator[tuple[NoiseSource, Coefficient, NoiseSource, Coefficient]]:
        """
        Each pair of different terms that have noise in common.

        Yields
        ------
        source, coefficient, source, coefficient
            Two terms.
        """
        terms = self.terms
        for index, (a, coefficient_a) in enumerate(terms):
            for b, coefficient_b in terms[index + 1 :]:
                if not a.family.isdisjoint(b.family):
                    yield a, coefficient_a, b, coefficient_b

    @NO_NUMBER
    def variances(self) -> dict[str, NDArray[Any]]:
        """
        The variance by source, added up over sources of one name.

        Returns
        -------
        dict of str to ndarray
            Arrays of the frame's shape, in the square of its unit, that add up to `variance`. What two related
            sources have in common is shared out between them, half each, so that one part may be negative; shot
            noise from a pixel's own count is, where the count is.

        Examples
        --------
        >>> from astro_calib import NoiseSource, UncertaintyBudget
        >>> sources = [
        ...     NoiseSource("read noise", 25.0),
        ...     NoiseSource("overscan", 0.04, axes=()),
        ... ]
        >>> UncertaintyBudget(
        ...     (1, 2), [(source, 1.0) for source in sources]
        ... ).variances()
        {'read noise': array([[25., 25.]]), 'overscan': array([[0.04, 0.04]])}
        """
        total: dict[str, NDArray[Any]] = {}

        def add(name: str, value: Any) -> None:
            if name in total:
                total[name] += value
            else:
                total[name] = np.array(np.broadcast_to(value, self.shape), dtype=np.float64)

        everywhere = (slice(None),) * len(self.shape)
        for source, coefficient in self.terms:
            c = coefficient.evaluate(self.data)
            add(source.name, c * c * np.asarray(source.variance.evaluate()))
        for a, c_a, b, c_b in self.pairs():
            for covariance in draw_covariances(a, b, self.shape):
                part = c_a.evaluate(self.data) * c_b.evaluate(self.data) * covariance(everywhere)
                for name in (a.name, b.name):
                    add(name, part)
        return {name: value.astype(self.dtype, copy=False) for name, value in total.items()}

    @NO_NUMBER
    def variance(self) -> NDArray[Any]:
        """
        The variance of each pixel.

        Returns
        -------
        ndarray
            Read-only, of the frame's shape and ``dtype``, in the square of the frame's unit.

        Examples
        --------
        >>> from astro_calib import NoiseSource, UncertaintyBudget
        >>> UncertaintyBudget(
        ...     (1, 2), [(NoiseSource("read noise", 25.0), 2.0)]
        ... ).variance()
        array([[100., 100.]])
        """
        if self._total is None:
            total = np.zeros(self.shape, dtype=self.dtype)

            def add(item: tuple[slice, ...]) -> None:
                for where, part in self._own_variances(item):
                    total[where] += part

            in_blocks(self.shape, add)
            pairs = [
                (draws, c_a * 2, c_b) for a, c_a, b, c_b in self.pairs() for draws in draw_covariances(a, b, self.shape)
            ]
            self._add_covariances(total, pairs, self)
            # Rounding: what cancels to the last digit must not come out below zero.
            np.maximum(total, 0, out=total)
            total.flags.writeable = False
            self._total = total
        return self._total

    @property
    def known_variance(self) -> NDArray[Any] | None:
        """What `variance` returns, if it was asked for before or came with the budget; else None."""
        return self._total

    @NO_NUMBER
    def is_known(self) -> NDArray[np.bool_]:
        """
        Where the variance is a finite number.

        Returns
        -------
        ndarray of bool
            Of the frame's shape. The variance is not kept for this, if it was not asked for before.

        Examples
        --------
        >>> import numpy as np
        >>> from astro_calib import NoiseSource, UncertaintyBudget
        >>> UncertaintyBudget(
        ...     (1, 2),
        ...     [(NoiseSource("read noise", np.array([[25.0, np.inf]])), 1.0)],
        ... ).is_known()
        array([[ True, False]])
        """
        if self._total is not None:
            return np.isfinite(self._total)
        known = np.ones(self.shape, dtype=np.bool_)

        def look(item: tuple[slice, ...]) -> None:
            for where, part in self._own_variances(item):
                if np.ndim(part) or not np.isfinite(part):
                    known[where] &= np.isfinite(part)

        in_blocks(self.shape, look)
        return known

    def _own_variances(self, item: tuple[slice, ...]) -> Iterator[tuple[tuple[slice, ...], Any]]:
        """What each term by itself adds to the variance of a part of the frame, and where that is not zero."""
        for source, coefficient in self.terms:
            where = extent_of(coefficient, extent_of(source.variance, item))
            if where is None:
                continue
            own = None if self.data is None else self.data[where]
            yield where, np.square(coefficient.part(where, self.shape, own)) * source.variance.part(where, self.shape)

    def _add_covariances(
        self, total: NDArray[Any], pairs: Sequence[tuple[Any, Coefficient, Coefficient]], other: UncertaintyBudget
    ) -> None:
        """Add what pairs of terms have in common: the covariance of the draws, and the two coefficients."""

        def add_part(item: tuple[slice, ...]) -> None:
            own, others = (None if budget.data is None else budget.data[item] for budget in (self, other))
            for draws, c_a, c_b in pairs:
                total[item] += draws(item) * c_a.part(item, self.shape, own) * c_b.part(item, self.shape, others)

        if pairs:
            in_blocks(self.shape, add_part)

    @NO_NUMBER
    def covariance(self, other: UncertaintyBudget | Budget) -> NDArray[Any]:
        """
        The covariance of each pixel with the same pixel of another frame, from the sources that both hold.

        Parameters
        ----------
        other : UncertaintyBudget or Budget
            Of a frame of the same shape. That of another package has no identity in common with this one.

        Returns
        -------
        ndarray
            Of the frame's shape, in the product of the two units.

        Raises
        ------
        ShapeMismatchError
            If the shapes differ.
        FrameError
            If it is another package's, and has noise in common with this one.

        Examples
        --------
        Two frames with one bias of sigma 3 subtracted from both:

        >>> from astro_calib import NoiseSource, UncertaintyBudget
        >>> bias = NoiseSource("bias", 9.0)
        >>> a, b = (
        ...     UncertaintyBudget(
        ...         (1, 2), [(NoiseSource("read noise", 25.0), 1.0), (bias, -1.0)]
        ...     )
        ...     for _ in range(2)
        ... )
        >>> a.covariance(b)
        array([[9., 9.]])
        """
        if self.shape != other.shape:
            msg = f"frames of shapes {self.shape} and {other.shape} have no covariance pixel by pixel."
            raise ShapeMismatchError(msg)
        if not isinstance(other, UncertaintyBudget):
            if common := self.identities & other.identities:
                msg = (
                    f"a budget of {type(other).__name__} shares {min(common)!r} with this one, and does not say "
                    "how: ask it for the covariance, as in other.covariance(budget)."
                )
                raise FrameError(msg)
            return np.zeros(self.shape, dtype=self.dtype)
        total = np.zeros(self.shape, dtype=np.result_type(self.dtype, other.dtype))
        pairs = [
            (draws, c_a, c_b)
            for a, c_a in self.terms
            for b, c_b in other.terms
            for draws in draw_covariances(a, b, self.shape)
        ]
        self._add_covariances(total, pairs, other)
        return total

    # -- sums ----------------------------------------------------------------------------------------------------

    def variances_of_sum(self, weights: NDArray[Any]) -> dict[str, float]:
        r"""
        The variance of a weighted sum over pixels, by source.

        .. math::

            \mathrm{Var} \sum_x w z = \sum_k \sum_\mathrm{cells} v_k \Big( \sum_{x \in \mathrm{cell}} w c_k \Big)^2

        The noise of pixels adds in quadrature, that of a row coherently along the row, that of the frame coherently
        over all; a cell of a master that several pixels hold counts coherently too. Where the noise of neighbouring
        pixels goes together (`~astro_calib.Correlation`), its rows and tones add the squares of what the weights have
        of them, with :math:`a = w \, c \sqrt v`,

        .. math::

            p_\mathrm{white} \sum_x a^2 + r \sum_\mathrm{rows} \Big( \sum_{x \in \mathrm{row}} a \Big)^2
            + \sum_j p_j \Big| \sum_x a \, e^{i \omega_j x} \Big|^2

        with the parts of the variance that are white, that rows share, and that tones have.

        Parameters
        ----------
        weights : ndarray
            Of the frame's shape. An aperture less its annulus is one such map, so that what they have in common
            cancels.

        Returns
        -------
        dict of str to float
            In the square of the frame's unit times that of the weights; the parts add up to the variance.

        Raises
        ------
        ShapeMismatchError
            If the weights have another shape.

        Examples
        --------
        >>> import numpy as np
        >>> from astro_calib import NoiseSource, UncertaintyBudget
        >>> sources = [
        ...     NoiseSource("read noise", 25.0),
        ...     NoiseSource("overscan", 0.04, axes=()),
        ... ]
        >>> budget = UncertaintyBudget(
        ...     (3, 3), [(source, 1.0) for source in sources]
        ... )
        >>> {
        ...     name: round(part, 2)
        ...     for name, part in budget.variances_of_sum(np.ones((3, 3))).items()
        ... }
        {'read noise': 225.0, 'overscan': 3.24}
        """
        if np.shape(weights) != self.shape:
            msg = f"weights of shape {np.shape(weights)} for a frame of shape {self.shape}."
            raise ShapeMismatchError(msg)
        return MapSum(np.asarray(weights), self.data).variances(self.terms, list(self.pairs()))

    def variance_of_sum(self, weights: NDArray[Any]) -> float:
        """
        The variance of a weighted sum over pixels: the sum of `variances_of_sum`, not below zero.

        Parameters
        ----------
        weights : ndarray
            Of the frame's shape.

        Returns
        -------
        float
            In the square of the frame's unit times that of the weights.

        Raises
        ------
        ShapeMismatchError
            If the weights have another shape.

        Examples
        --------
        The read noise of nine pixels adds in quadrature, the error of one overscan level adds in full:

        >>> import numpy as np
        >>> from astro_calib import NoiseSource, UncertaintyBudget
        >>> sources = [
        ...     NoiseSource("read noise", 25.0),
        ...     NoiseSource("overscan", 0.04, axes=()),
        ... ]
        >>> budget = UncertaintyBudget(
        ...     (3, 3), [(source, 1.0) for source in sources]
        ... )
        >>> round(budget.variance_of_sum(np.ones((3, 3))), 2)  # 9 x 25 + 81 x 0.04
        228.24
        """
        total = sum(self.variances_of_sum(weights).values())
        return 0.0 if total < 0 else float(total)

    # -- making others -------------------------------------------------------------------------------------------

    @classmethod
    def linear(
        cls, parts: Sequence[tuple[UncertaintyBudget, Coefficient | float]], dtype: Any = None
    ) -> UncertaintyBudget:
        """
        The budget of a sum of frames, source by source.

        Parameters
        ----------
        parts : sequence of (UncertaintyBudget, coefficient)
            The coefficient is the derivative of the result with respect to the frame.
        dtype : dtype, optional
            Of the result; the widest among the parts by default.

        Returns
        -------
        UncertaintyBudget
            Coefficients of sources that the parts share are added up, with their signs.

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
            for source, coefficient in budget.materialized().terms:
                scaled = (
                    coefficient.product(multiplier) if isinstance(multiplier, Coefficient) else coefficient * multiplier
                )
                result._add(source, scaled)
        result._bound()
        return result

    def lent_by(self, master: Master) -> UncertaintyBudget:
        """
        This budget as frames have it that a master is applied to, whose budget it is.

        Parameters
        ----------
        master : Master
            Whose file the frames' files refer to.

        Returns
        -------
        UncertaintyBudget
            With the same sources, and arrays that are filed under the master.
        """
        lent = iter(lent_terms(self.terms, master))
        return self._mapped(lambda _source, _c: next(lent))

    def materialized(self) -> UncertaintyBudget:
        """
        This budget with coefficients that depend on the frame's data written out as arrays.

        Returns
        -------
        UncertaintyBudget
            Itself, if no coefficient depends on the data.
        """
        if not any(coefficient.depends_on_own for _, coefficient in self.terms):
            return self
        assert self.data is not None
        data = self.data
        return self._mapped(lambda source, c: (source, c.with_data(data)))

    def scaled(self, value: float | NDArray[Any] | ArrayRef, power: int, data: NDArray[Any]) -> UncertaintyBudget:
        """
        The budget of the frame times ``value**power``, an exact number or array; ``data`` are the new data.

        Parameters
        ----------
        value : float, ndarray or ArrayRef
            An exact factor; an array broadcasts to the frame.
        power : int
            1 to multiply, -1 to divide.
        data : ndarray
            The new frame's data, of the frame's shape.

        Returns
        -------
        UncertaintyBudget
            Every coefficient multiplied by the factor.
        """
        return self.combined(np.multiply if power == 1 else np.true_divide, lambda: value, 1.0, data)

    def shifted(self, offset: float, data: NDArray[Any]) -> UncertaintyBudget:
        """
        The budget of the frame plus an exact number; ``data`` are the new data.

        Parameters
        ----------
        offset : float
            An exact number, in the unit of the frame.
        data : ndarray
            The new frame's data, of the frame's shape.

        Returns
        -------
        UncertaintyBudget
            Of the same variance.
        """
        return self.combined(np.add, lambda: offset, 1.0, data)

    def combined(self, operation: Any, y: Values, factor: float, data: NDArray[Any]) -> UncertaintyBudget:
        """
        The budget of the frame after an operation with ``factor * y``, which is exact; ``data`` are the new data.

        Parameters
        ----------
        operation : callable
            ``numpy.add``, ``numpy.multiply`` or ``numpy.true_divide``.
        y : callable
            Gives a number, or an array that broadcasts to the frame.
        factor : float
            What y is multiplied by.
        data : ndarray
            The new frame's data, of the frame's shape.

        Returns
        -------
        UncertaintyBudget
            Of the same sources.
        """

        def after(source: NoiseSource, coefficient: Coefficient) -> tuple[NoiseSource, Coefficient]:
            return source, of_first(operation, coefficient, y, factor)

        return self._mapped(after, data, same_variance=RULES[operation].of_x == Power())

    def with_terms(self, terms: Iterable[tuple[NoiseSource, Coefficient | float | NDArray[Any]]]) -> UncertaintyBudget:
        """
        This budget and more terms.

        Parameters
        ----------
        terms : iterable of (NoiseSource, coefficient)
            As for `UncertaintyBudget`.

        Returns
        -------
        UncertaintyBudget
            Terms of one source are added up.
        """
        return UncertaintyBudget(self.shape, [*self.terms, *terms], self.dtype, self.data)

    def named(self, name: str, instead_of: Iterable[str]) -> UncertaintyBudget:
        """
        This budget, some of its sources under another name.

        What is read noise in a bias is "bias" in the frame from which the bias was subtracted.

        Parameters
        ----------
        name : str
            The new name.
        instead_of : iterable of str
            The names that it takes the place of.

        Returns
        -------
        UncertaintyBudget
            With sources of the same identities.
        """
        chosen = frozenset(instead_of)
        return self._mapped(lambda source, c: (source.replace(name=name) if source.name in chosen else source, c))

    def with_variance(self, variance: NDArray[Any]) -> UncertaintyBudget:
        """
        This budget, of which the variance has been computed already.

        Parameters
        ----------
        variance : ndarray
            What `variance` returns from now on, of the frame's shape.

        Returns
        -------
        UncertaintyBudget
            With the same terms.
        """
        result = UncertaintyBudget(self.shape, dtype=self.dtype, data=self.data)
        result._terms, result._total = self._terms, _read_only(variance)
        return result

    def of_data(self, data: NDArray[Any]) -> UncertaintyBudget:
        """
        This budget for the same values in another array.

        Parameters
        ----------
        data : ndarray
            The same values in another place.

        Returns
        -------
        UncertaintyBudget
            With the same terms.
        """
        same = self.data is not None and ArrayRef(np.asarray(data)) == ArrayRef(self.data)
        return self if same else self._mapped(lambda source, c: (source, c), data)

    def astype(self, dtype: Any) -> UncertaintyBudget:
        """
        This budget with variances of another floating type.

        Parameters
        ----------
        dtype : dtype
            Floating type, such as float32.

        Returns
        -------
        UncertaintyBudget
            With the same terms.
        """
        dtype = np.dtype(dtype)
        return self if dtype == self.dtype else self._mapped(lambda source, c: (source, c), dtype=dtype)

    def _mapped(
        self,
        function: Callable[[NoiseSource, Coefficient], tuple[NoiseSource, Coefficient]],
        data: NDArray[Any] | None = None,
        dtype: Any = None,
        *,
        same_variance: bool = True,
    ) -> UncertaintyBudget:
        result = UncertaintyBudget(self.shape, dtype=dtype or self.dtype, data=self.data if data is None else data)
        for source, coefficient in self.terms:
            result._add(*function(source, coefficient))
        result._total = self._total if same_variance and result.dtype == self.dtype else None
        return result

    def __getitem__(self, item: tuple[slice, ...]) -> UncertaintyBudget:
        """The budget of ``frame[item]``, for a tuple with one slice for each axis."""
        if isinstance(item, str):
            msg = f"a budget is cut by slices; the variance of a source is budget.variances()[{item!r}]."
            raise TypeError(msg)
        if not is_sequence_of(slice, item):
            msg = f"a budget is cut by one slice for each axis, as in budget[0:10, 0:20], not by {described(item)}."
            raise TypeError(msg)
        shape = tuple(len(range(*part.indices(n))) for part, n in zip(item, self.shape, strict=True))
        result = UncertaintyBudget(shape, dtype=self.dtype, data=None if self.data is None else self.data[item])
        for source, coefficient in self.terms:
            cut = source.cut(item, self.shape)
            result._terms[cut.key] = (cut, coefficient.cut(item, self.shape))
        if self._total is not None:
            result._total = self._total[item]
        return result


def _read_only(data: NDArray[Any]) -> NDArray[Any]:
    view = np.asarray(data).view()
    view.flags.writeable = False
    return view
