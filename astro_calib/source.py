"""One source of noise, as far as a frame sees it, and what two sources have in common."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from astro_calib.factored import Factored
from astro_calib.identity import drawn_identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    "Constituent",
    "Key",
    "Link",
    "NoiseSource",
    "Window",
    "compose_windows",
    "draw_covariances",
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


class Link(NamedTuple):
    """Two sources whose draws covary where their windows meet: by factor v_a^power_a v_b^power_b."""

    window_a: Window
    window_b: Window
    factor: float
    power_a: float
    power_b: float


def links(a: NoiseSource, b: NoiseSource) -> Iterator[Link]:
    """
    All ways in which two sources have noise in common.

    A merged source is S = sum w_i e_i + r, so that Cov(S, e_i) = w_i v_i. Of two merged sources only the shares of
    the total are remembered: the correlation over a common constituent is the root of the product of its shares.
    """
    if a.axes != b.axes or a.family.isdisjoint(b.family):
        return
    if a.identity == b.identity:
        yield Link(a.window, b.window, 1.0, 1, 0)
        return
    direct = False
    for (identity, window), constituent in a.constituents.items():
        if identity == b.identity:
            direct = True
            yield Link(compose_windows(window, a.window), b.window, constituent.weight, 0, 1)
    for (identity, window), constituent in b.constituents.items():
        if identity == a.identity:
            direct = True
            yield Link(a.window, compose_windows(window, b.window), constituent.weight, 1, 0)
    if direct:
        return
    for (identity, window_a), one in a.constituents.items():
        for (other, window_b), two in b.constituents.items():
            if identity == other and one.share > 0 and two.share > 0:
                factor = np.sign(one.weight * two.weight) * np.sqrt(one.share * two.share)
                yield Link(compose_windows(window_a, a.window), compose_windows(window_b, b.window), factor, 0.5, 0.5)


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


def variance_power(variance: Factored, power: float) -> float | NDArray[Any]:
    """A variance to the power of 0, 1/2 or 1."""
    value = variance.evaluate()
    if power == 1:
        return value
    return 1.0 if power == 0 else np.sqrt(value)


def draw_covariances(a: NoiseSource, b: NoiseSource, shape: tuple[int, ...]) -> Iterator[Any]:
    """The covariance of two sources' draws at each pixel, one number or array for each link between them."""
    for link in links(a, b):
        overlap = pixel_overlap(link, a.axes, shape)
        if overlap is not False:
            common = variance_power(a.variance, link.power_a) * variance_power(b.variance, link.power_b)
            yield link.factor * common * overlap
