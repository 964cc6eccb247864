"""One source of noise, as far as a frame sees it, and what two sources have in common."""

from __future__ import annotations

from functools import cached_property
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import astropy.units as u
import numpy as np

from astro_calib.arguments import described, is_sequence_of
from astro_calib.factored import Factored
from astro_calib.identity import drawn_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    "Constituent",
    "Key",
    "Link",
    "NoiseSource",
    "Window",
    "compose_windows",
    "draw_covariances",
    "finite_mean",
    "links",
    "meeting_cells",
    "pixel_overlap",
    "variance_power",
    "window_of",
]

#: For each axis along which a source varies, the cell that the first pixel holds, and the step from pixel to pixel.
Window: TypeAlias = tuple[tuple[int, int], ...]
Key: TypeAlias = tuple[str, tuple[int, ...], Window]


class Constituent(NamedTuple):
    """
    What a merged source remembers of one of the sources that went into it.

    Attributes
    ----------
    weight : Factored
        Coefficient of the constituent in the merged source; an array where it is not the same for all pixels.
    variance : float
        Of the constituent, averaged over the frame; without what its own constituents, which are listed too, bring.
    """

    weight: Factored
    variance: float


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
    linear : float
        For a merged source: the part of its variance that is that of the weighted sum of its constituents. The rest
        is the excess scatter of a median, for example.

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
        linear: float = 1.0,
    ) -> None:
        if not is_sequence_of(Integral, axes) or any(axis < 0 for axis in axes):
            msg = f"the axes of source {name!r} are {described(axes)}; expected numbers of axes, such as (0, 1), or ()."
            raise TypeError(msg)
        if not isinstance(variance, Factored):
            variance = _real(f"the variance of source {name!r}", variance)
        self.name = name
        self.variance = variance if isinstance(variance, Factored) else Factored(variance)
        self.axes = tuple(axes)
        self.identity = drawn_identity() if identity is None else identity
        self.window: Window = ((0, 1),) * len(self.axes) if window is None else window
        self.slope = slope
        self.constituents: Mapping[tuple[str, Window], Constituent] = constituents or {}
        self.linear = linear

    def __repr__(self) -> str:
        return f"<NoiseSource {self.name!r}, axes {self.axes}, {self.identity}>"

    def _replaced(self, **changes: Any) -> NoiseSource:
        """The same source with other attributes."""
        cached = ("family", "amplitudes", "effective_number")
        attributes = {name: value for name, value in self.__dict__.items() if name not in cached}
        return NoiseSource(**(attributes | changes))

    @property
    def key(self) -> Key:
        """Sources with equal keys put the same draw under the same pixel."""
        return self.identity, self.axes, self.window

    @cached_property
    def family(self) -> frozenset[str]:
        """Identities of this source and of all that went into it."""
        return frozenset((self.identity, *(identity for identity, _ in self.constituents)))

    @cached_property
    def amplitudes(self) -> Mapping[tuple[str, Window], Factored]:
        r"""
        Correlation of each constituent's part with the weighted sum of all, :math:`a_i`.

        With the constituents' variances up to one factor that is common to them at each pixel, :math:`a_i = w_i
        \sqrt{v_i} / \sqrt{\sum_j w_j^2 v_j}`, so that the squares add up to one.
        """
        total: Any = 0.0
        for weight, variance in self.constituents.values():
            total = total + np.square(weight.evaluate()) * variance
        if not np.any(total > 0):
            return dict.fromkeys(self.constituents, Factored(0.0))
        with np.errstate(divide="ignore"):
            inverse = np.where(total > 0, 1 / np.sqrt(total), 0)
        norm = Factored(float(inverse) if inverse.ndim == 0 else inverse)
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
        The source as ``frame[item]`` sees it, the frame having ``shape``: the window moves, the identity stays.

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
        constituents = {
            key: Constituent(one.weight.cut(item, shape), one.variance) for key, one in self.constituents.items()
        }
        return self._replaced(window=window, variance=self.variance.cut(item, shape), constituents=constituents)

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


def window_of(part: slice, length: int) -> tuple[int, int]:
    """First pixel and step of a slice of an axis."""
    start, _, step = part.indices(length)
    return start, step


def compose_windows(outer: Window, inner: Window) -> Window:
    """The window of a window: cell = o + s (o' + s' pixel)."""
    return tuple(
        (origin + step * start, step * stride) for (origin, step), (start, stride) in zip(outer, inner, strict=True)
    )


class Link(NamedTuple):
    """Two sources whose draws covary where their windows meet: by a v_a^power_a b v_b^power_b."""

    window_a: Window
    window_b: Window
    a: Factored
    b: Factored
    power_a: float
    power_b: float


ONE = Factored(1.0)


def links(a: NoiseSource, b: NoiseSource) -> Iterator[Link]:
    """
    All ways in which two sources have noise in common.

    A merged source is S = sum w_i e_i + r, so that Cov(S, e_i) = w_i v_i. Two merged sources that hold the same
    constituents are correlated through each of them by the product of their amplitudes. What is not linear in them,
    r, goes along less: it depends on differences of values, of which there is one less than values. Of k constituents
    common to n and m its correlation is taken as (k - 1)^2 / [(n - 1) (m - 1)], from which that of nested medians
    differs by up to 0.06.
    """
    if a.axes != b.axes or a.family.isdisjoint(b.family):
        return
    if a.identity == b.identity:
        yield Link(a.window, b.window, ONE, ONE, 1, 0)
        return
    direct = False
    for (identity, window), constituent in a.constituents.items():
        if identity == b.identity:
            direct = True
            yield Link(compose_windows(window, a.window), b.window, constituent.weight, ONE, 0, 1)
    for (identity, window), constituent in b.constituents.items():
        if identity == a.identity:
            direct = True
            yield Link(a.window, compose_windows(window, b.window), ONE, constituent.weight, 1, 0)
    if direct:
        return
    common: dict[tuple[Window, Window], float] = {}
    numbers: dict[tuple[Window, Window], float] = {}
    of_b: dict[str, list[tuple[Window, Factored]]] = {}
    for (identity, window_b), two in b.amplitudes.items():
        of_b.setdefault(identity, []).append((window_b, two))
    scale_a, scale_b = float(np.sqrt(a.linear)), float(np.sqrt(b.linear))
    for (identity, window_a), one in a.amplitudes.items():
        for window_b, two in of_b.get(identity, ()):
            windows = compose_windows(window_a, a.window), compose_windows(window_b, b.window)
            product = finite_mean(one.evaluate()) * finite_mean(two.evaluate())
            common[windows] = common.get(windows, 0.0) + product
            if one.number is None or two.number is None:
                yield Link(*windows, one * scale_a, two * scale_b, 0.5, 0.5)
            else:
                numbers[windows] = numbers.get(windows, 0.0) + scale_a * scale_b * product
    excess = float(np.sqrt((1 - a.linear) * (1 - b.linear)))
    n, m = a.effective_number, b.effective_number
    if excess > 0 and min(n, m) > 1:
        for windows, correlation in common.items():
            k = abs(correlation) * np.sqrt(n * m)
            share = float(np.sign(correlation) * max(k - 1, 0.0) ** 2 / ((n - 1) * (m - 1)))
            numbers[windows] = numbers.get(windows, 0.0) + excess * share
    for windows, correlation in numbers.items():
        yield Link(*windows, Factored(correlation), ONE, 0.5, 0.5)


def meeting_cells(link: Link, lengths: Sequence[int]) -> tuple[list[NDArray[np.intp]], list[NDArray[np.intp]]]:
    """For each axis of a link's sources, the pixels of a and of b that hold the same cells."""
    pixels_a, pixels_b = [], []
    for (origin_a, step_a), (origin_b, step_b), length in zip(link.window_a, link.window_b, lengths, strict=True):
        cells_a = origin_a + step_a * np.arange(length)
        cells_b = origin_b + step_b * np.arange(length)
        _, in_a, in_b = np.intersect1d(cells_a, cells_b, assume_unique=True, return_indices=True)
        pixels_a.append(in_a)
        pixels_b.append(in_b)
    return pixels_a, pixels_b


def pixel_overlap(link: Link, axes: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.bool_] | bool:
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


def variance_power(variance: float | NDArray[Any], power: float) -> float | NDArray[Any]:
    """A variance to the power of 0, 1/2 or 1."""
    if power == 1:
        return variance
    # What is a part of a sum, such as the error of levels, may have a negative variance.
    return 1.0 if power == 0 else np.sqrt(np.maximum(variance, 0))


def draw_covariances(
    a: NoiseSource, b: NoiseSource, shape: tuple[int, ...]
) -> Iterator[Callable[[tuple[slice, ...]], Any]]:
    """
    The covariance of two sources' draws at each pixel, for each link between them.

    What is given back takes the index of a part of the frame, one slice for each axis, and finds the covariance there.
    """
    for link in links(a, b):
        overlap = pixel_overlap(link, a.axes, shape)
        if overlap is False:
            continue

        def of_part(item: tuple[slice, ...], link: Link = link, overlap: Any = overlap) -> Any:
            result: Any = link.a.part(item, shape) * link.b.part(item, shape)
            for source, power in ((a, link.power_a), (b, link.power_b)):
                if power:
                    result = result * variance_power(source.variance.part(item, shape), power)
            if overlap is True:
                return result
            # Where the overlap is the same along an axis it has a length of one there.
            return result * np.broadcast_to(overlap, shape)[item]

        yield of_part


def finite_mean(value: float | NDArray[Any]) -> float:
    """The mean over finite values; 0 if there are none."""
    if np.ndim(value) == 0:
        return float(value)
    from astro_calib.kernels.sums import mean_of_finite

    return mean_of_finite(np.asarray(value))
