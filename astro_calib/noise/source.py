"""One source of noise, as far as a frame sees it, and what two sources have in common."""

from __future__ import annotations

from functools import cached_property
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.arguments import described, is_sequence_of
from astro_calib.detector.correlation import Correlation
from astro_calib.noise.arrays import finite_mean
from astro_calib.noise.bins import bins_of
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.identity import drawn_identity
from astro_calib.noise.window import Key, Window, compose_windows, window_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from astro_calib.noise.place import Master

__all__ = ["Constituent", "NoiseSource"]


class Constituent(NamedTuple):
    """
    What a merged source remembers of one of the sources that went into it.

    Attributes
    ----------
    weight : Coefficient
        Coefficient of the constituent in the merged source; an array where it is not the same for all pixels.
    variance : float
        Of the constituent, averaged over the frame; without what its own constituents, which are listed too, bring.
    correlation : Correlation or None
        How its noise in neighbouring pixels goes together.
    """

    weight: Coefficient
    variance: float
    correlation: Correlation | None = None


class NoiseSource:
    """
    One independent source of noise, as far as a frame sees it; immutable.

    Parameters
    ----------
    name : str
        What a table of the budget calls it, such as ``"read noise"``. Several sources may have one name.
    variance : float, ndarray or Coefficient
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
    linear : float
        For a merged source: the part of its variance that is that of the weighted sum of its constituents. The rest
        is the excess scatter of a median, for example.
    home : Master, optional
        The master in whose file it can be found.
    lent : bool
        Whether a frame has it from that master, so that the frame's file refers to the master's.
    correlation : Correlation, optional
        For axes ``(0, 1)``: how the noise of neighbours goes together. The draws are then no more independent from
        pixel to pixel; the variance stays that of a pixel. Without it the noise is white.

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
        variance: float | NDArray[Any] | Coefficient,
        axes: tuple[int, ...] = (0, 1),
        *,
        identity: str | None = None,
        window: Window | None = None,
        slope: float = 0.0,
        constituents: Mapping[tuple[str, Window], Constituent] | None = None,
        linear: float = 1.0,
        home: Master | None = None,
        lent: bool = False,
        correlation: Correlation | None = None,
    ) -> None:
        if not is_sequence_of(Integral, axes) or any(axis < 0 for axis in axes):
            msg = f"the axes of source {name!r} are {described(axes)}; expected numbers of axes, such as (0, 1), or ()."
            raise TypeError(msg)
        if not isinstance(variance, Coefficient):
            variance = _real(f"the variance of source {name!r}", variance)
        self.name = name
        self.variance = variance if isinstance(variance, Coefficient) else Coefficient(variance)
        self.axes = tuple(axes)
        self.identity = drawn_identity() if identity is None else identity
        self.window: Window = ((0, 1),) * len(self.axes) if window is None else window
        self.slope = slope
        self.constituents: Mapping[tuple[str, Window], Constituent] = constituents or {}
        self.linear = linear
        self.home = home
        self.lent = lent
        self.correlation = _correlation(name, tuple(axes), correlation)

    def __repr__(self) -> str:
        return f"<NoiseSource {self.name!r}, axes {self.axes}, {self.identity}>"

    def replace(self, **changes: Any) -> NoiseSource:
        """
        The same source with other attributes.

        Parameters
        ----------
        **changes
            Arguments of `NoiseSource`.

        Returns
        -------
        NoiseSource
            Of the same identity, unless that is changed.
        """
        return NoiseSource(**(self.__getstate__() | changes))

    def __getstate__(self) -> dict[str, Any]:
        found = ("family", "amplitudes", "effective_number")
        return {name: value for name, value in self.__dict__.items() if name not in found}

    @property
    def key(self) -> Key:
        """Sources with equal keys put the same draw under the same pixel."""
        return self.identity, self.axes, self.window

    @cached_property
    def family(self) -> frozenset[str]:
        """Identities of this source, of that whose cells it adds up, and of all that went into it."""
        bins = bins_of(self.identity)
        own = (self.identity,) if bins is None else (self.identity, bins.base)
        return frozenset((*own, *(identity for identity, _ in self.constituents)))

    @cached_property
    def amplitudes(self) -> Mapping[tuple[str, Window], Coefficient]:
        r"""
        Correlation of each constituent's part with the weighted sum of all, :math:`a_i`.

        With the constituents' variances up to one factor that is common to them at each pixel, :math:`a_i = w_i
        \sqrt{v_i} / \sqrt{\sum_j w_j^2 v_j}`, so that the squares add up to one.
        """
        total: Any = 0.0
        for one in self.constituents.values():
            total = total + np.square(one.weight.evaluate()) * one.variance
        if not np.any(total > 0):
            return dict.fromkeys(self.constituents, Coefficient(0.0))
        with np.errstate(divide="ignore"):
            inverse = np.where(total > 0, 1 / np.sqrt(total), 0)
        norm = Coefficient(float(inverse) if inverse.ndim == 0 else inverse)
        return {
            key: one.weight.product(norm) * float(np.sqrt(max(one.variance, 0.0)))
            for key, one in self.constituents.items()
        }

    @cached_property
    def effective_number(self) -> float:
        """How many constituents of like share would make the same sum."""
        fourth = sum(finite_mean(np.square(one.evaluate())) ** 2 for one in self.amplitudes.values())
        return 1 / fourth if fourth > 0 else 0.0

    def cut(self, item: tuple[slice, ...], shape: tuple[int, ...]) -> NoiseSource:
        """
        The source as ``frame[item]`` sees it: the window moves, the identity stays.

        Parameters
        ----------
        item : tuple of slice
            One slice for each axis of the frame.
        shape : tuple of int
            The frame's shape before the cut.

        Returns
        -------
        NoiseSource
            Of the same identity.
        """
        moves = [window_of(part, length) for part, length in zip(item, shape, strict=True)]
        window = compose_windows(self.window, tuple(moves[axis] for axis in self.axes))
        constituents = {key: one._replace(weight=one.weight.cut(item, shape)) for key, one in self.constituents.items()}
        return self.replace(window=window, variance=self.variance.cut(item, shape), constituents=constituents)

    @property
    def address(self) -> list[Any]:
        """Identity, axes and window, in the words that files write."""
        return [self.identity, list(self.axes), [list(part) for part in self.window]]

    def lent_by(self, master: Master) -> NoiseSource:
        """
        This source as frames have it that a master is applied to.

        Parameters
        ----------
        master : Master
            In whose file it is, unless it is in another master's.

        Returns
        -------
        NoiseSource
            Of the same identity.
        """
        home = master if self.home is None or self.home.is_lost else self.home
        return self.replace(home=home, lent=True)

    def __copy__(self) -> NoiseSource:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> NoiseSource:
        return self


def _real(what: str, value: Any) -> Any:
    """A number or an array of them, which carries no unit."""
    array = isinstance(value, np.ndarray) and value.dtype.kind in "iuf" and not isinstance(value, u.Quantity)
    if not array and (isinstance(value, (bool, np.bool_)) or not isinstance(value, Real)):
        msg = f"{what} is {described(value)}; expected a number or an array, in the square of the frame's unit."
        raise TypeError(msg)
    return value


def _correlation(name: str, axes: tuple[int, ...], value: Any) -> Correlation | None:
    """A correlation of noise that varies from pixel to pixel, or None."""
    if value is not None and not (isinstance(value, Correlation) and axes == (0, 1)):
        msg = (
            f"the correlation of source {name!r} is {described(value)}, for axes {axes}; expected a Correlation, for "
            "axes (0, 1)."
        )
        raise TypeError(msg)
    return value
