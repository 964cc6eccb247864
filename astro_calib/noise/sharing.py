"""What two sources of noise have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.detector.correlation import averaged
from astro_calib.noise.arrays import finite_mean
from astro_calib.noise.bins import bins_of, overlaps
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.window import Window, compose_windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.correlation import Correlation
    from astro_calib.noise.source import NoiseSource

__all__ = ["Link", "draw_covariances", "links", "meeting_cells", "pixel_overlap", "variance_power"]


class Link(NamedTuple):
    """
    Two sources whose draws covary where their windows meet: by a v_a^power_a b v_b^power_b.

    With a correlation they do between neighbouring cells as well.
    """

    window_a: Window
    window_b: Window
    a: Coefficient
    b: Coefficient
    power_a: float
    power_b: float
    correlation: Correlation | None = None


ONE = Coefficient(1.0)
#: What is left of shares of common constituents that cancel.
ROUNDING = 1e-12
#: The window of a frame that holds a source's first cell first.
AS_IT_IS: Window = ((0, 1), (0, 1))


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
        powers = (1, 0) if a.window == b.window or a.correlation is None else (0.5, 0.5)
        yield Link(a.window, b.window, ONE, ONE, powers[0], powers[1], a.correlation)
        return
    bins_a, bins_b = bins_of(a.identity), bins_of(b.identity)
    if bins_a is not None and bins_b is not None and bins_a.base == bins_b.base:
        for part, shift in overlaps(bins_a, bins_b):
            # Bin n of the one lies over bin n + shift of the other.
            window = tuple((first - moved, step) for (first, step), moved in zip(b.window, shift, strict=True))
            yield Link(a.window, window, Coefficient(part), ONE, 0.5, 0.5)
        return
    direct = False
    for (identity, window), constituent in a.constituents.items():
        if identity == b.identity:
            direct = True
            yield Link(compose_windows(window, a.window), b.window, constituent.weight, ONE, 0, 1, b.correlation)
    for (identity, window), constituent in b.constituents.items():
        if identity == a.identity:
            direct = True
            inner = compose_windows(window, b.window)
            yield Link(a.window, inner, ONE, constituent.weight, 1, 0, a.correlation)
    if direct:
        return
    common: dict[tuple[Window, Window], float] = {}
    numbers: dict[tuple[Window, Window], float] = {}
    of_b: dict[str, list[tuple[Window, Coefficient]]] = {}
    for (identity, window_b), two in b.amplitudes.items():
        of_b.setdefault(identity, []).append((window_b, two))
    correlations: dict[tuple[Window, Window], list[tuple[float, Correlation | None, Window]]] = {}
    scale_a, scale_b = float(np.sqrt(a.linear)), float(np.sqrt(b.linear))
    for (identity, window_a), one in a.amplitudes.items():
        for window_b, two in of_b.get(identity, ()):
            windows = compose_windows(window_a, a.window), compose_windows(window_b, b.window)
            product = finite_mean(one.evaluate()) * finite_mean(two.evaluate())
            common[windows] = common.get(windows, 0.0) + product
            together = a.constituents[identity, window_a].correlation
            if one.number is None or two.number is None:
                yield Link(*windows, one * scale_a, two * scale_b, 0.5, 0.5, together)
            else:
                numbers[windows] = numbers.get(windows, 0.0) + scale_a * scale_b * product
                correlations.setdefault(windows, []).append((abs(scale_a * scale_b * product), together, AS_IT_IS))
    excess = float(np.sqrt((1 - a.linear) * (1 - b.linear)))
    n, m = a.effective_number, b.effective_number
    if excess > 0 and min(n, m) > 1:
        for windows, correlation in common.items():
            k = abs(correlation) * np.sqrt(n * m)
            share = float(np.sign(correlation) * max(k - 1, 0.0) ** 2 / ((n - 1) * (m - 1)))
            numbers[windows] = numbers.get(windows, 0.0) + excess * share
            correlations.setdefault(windows, []).append((excess * abs(share), None, AS_IT_IS))
    for windows, correlation in numbers.items():
        if abs(correlation) < ROUNDING:
            continue
        together = averaged(correlations.get(windows, ()))
        yield Link(*windows, Coefficient(correlation), ONE, 0.5, 0.5, together)


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


def _pixel_correlation(link: Link, axes: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[Any] | bool:
    """How what the two put under the same pixel goes together: in full, not at all, or an array."""
    if link.correlation is None or link.window_a == link.window_b:
        return pixel_overlap(link, axes, shape)
    dy, dx = (
        origin_b - origin_a + (step_b - step_a) * (np.arange(length) if step_a != step_b else np.zeros(1))
        for (origin_a, step_a), (origin_b, step_b), length in zip(link.window_a, link.window_b, shape, strict=True)
    )
    return link.correlation.rho(dx, dy[:, np.newaxis])


def variance_power(variance: float | NDArray[Any], power: float) -> float | NDArray[Any]:
    """A variance to the power of 0, 1/2 or 1."""
    if power == 1:
        return variance
    # A part of a sum, such as the error of levels, may have a negative variance.
    return 1.0 if power == 0 else np.sqrt(np.maximum(variance, 0))


def draw_covariances(
    a: NoiseSource, b: NoiseSource, shape: tuple[int, ...]
) -> Iterator[Callable[[tuple[slice, ...]], Any]]:
    """
    The covariance of two sources' draws at each pixel, for each link between them.

    What is given back takes the index of a part of the frame, one slice for each axis, and finds the covariance there.
    """
    for link in links(a, b):
        overlap = _pixel_correlation(link, a.axes, shape)
        if overlap is False:
            continue

        def of_part(item: tuple[slice, ...], link: Link = link, overlap: Any = overlap) -> Any:
            result: Any = link.a.part(item, shape) * link.b.part(item, shape)
            for source, power in ((a, link.power_a), (b, link.power_b)):
                if power:
                    result = result * variance_power(source.variance.part(item, shape), power)
            if overlap is True:
                return result
            # The overlap has a length of one along an axis on which it is the same everywhere.
            return result * np.broadcast_to(overlap, shape)[item]

        yield of_part
