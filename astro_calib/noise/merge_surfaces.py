"""
Make few sources of noise of many that are common to a frame and smooth over it, remembering what went into them.

The error of a sky that was fitted to a frame is a sum of polynomials, and so is the error of the mean of many: as many
sources as there are polynomials have the same covariance at all pairs of pixels.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from astro_calib.noise.arrays import finite_mean
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.merge import constituents_of, squared
from astro_calib.noise.source import NoiseSource
from astro_calib.noise.surface import SurfaceArray, sum_of_squares

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    from numpy.typing import NDArray

    from astro_calib.noise.coefficient import Factors

    Term: TypeAlias = tuple[NoiseSource, Coefficient]

__all__ = ["are_surfaces", "merge_surfaces", "with_squares_together"]

#: A part of the variance that is rounding.
ROUNDING = 1e-13


class _Split(NamedTuple):
    """A coefficient as a sum of surfaces, each with a number, times other factors that all have."""

    surfaces: list[tuple[float, SurfaceArray | None]]
    rest: Factors


def are_surfaces(terms: Sequence[Term]) -> bool:
    """Whether the sources are common to a frame, and the errors that they make surfaces times factors of all."""
    splits = [_split(coefficient) for _, coefficient in terms]
    known = [split for split in splits if split is not None]
    smooth = any(surface is not None for split in known for _, surface in split.surfaces)
    alike = len({frozenset(split.rest) for split in known}) == 1
    return smooth and alike and len(known) == len(terms) and not any(source.axes for source, _ in terms)


def merge_surfaces(
    terms: Sequence[Term], exact: Sequence[Term], shape: tuple[int, ...], name: str, dtype: Any
) -> list[Term]:
    """
    Merge sources whose errors are surfaces.

    Parameters
    ----------
    terms : sequence of (NoiseSource, Coefficient)
        Terms that `are_surfaces`.
    exact : sequence of (NoiseSource, Coefficient)
        The same with weights that may differ from pixel to pixel, which the variance of each pixel follows.
    shape : tuple of int
        Of the frame.
    name : str
        Of the merged sources.
    dtype : dtype
        Floating type of the coefficients.

    Returns
    -------
    list of (NoiseSource, Coefficient)
        As many as the surfaces have numbers, or fewer.
    """
    splits = [split for _, coefficient in terms if (split := _split(coefficient)) is not None]
    matrices = [surface.matrix for split in splits for _, surface in split.surfaces if surface is not None]
    degree = max(max(matrix.shape) for matrix in matrices) - 1
    variances = np.array([float(source.variance.number or 0.0) for source, _ in terms])
    numbers = np.array([_numbers(split, degree) for split in splits])
    sizes, modes = np.linalg.eigh(numbers.T @ (variances[:, np.newaxis] * numbers))
    common = Coefficient.of_monomials([(1.0, splits[0].rest)])
    ratio = _ratio(exact, terms)
    if ratio is not None:
        common = common.times(ratio.astype(dtype))
    members = [source for source, _ in terms]
    means = {source.variance: finite_mean(source.variance.evaluate()) for source in members}
    result = []
    for size, mode in zip(sizes[::-1], modes.T[::-1], strict=True):
        if size <= ROUNDING * sizes[-1]:
            break
        weights = [Coefficient(float(weight)) for weight in numbers @ mode / np.sqrt(size)]
        constituents = constituents_of(members, weights, means)
        text = repr((sorted((*key, one.weight.digest({})) for key, one in constituents.items()), mode.tolist()))
        identity = "stack:" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        source = NoiseSource(name, 1.0, (), identity=identity, constituents=constituents)
        matrix = np.sqrt(size) * mode.reshape(degree + 1, degree + 1)
        result.append((source, common.times(SurfaceArray(matrix, shape, dtype=dtype))))
    return result


def with_squares_together(terms: Sequence[Term]) -> list[Term]:
    """
    Other terms that add as much to the variance of each pixel, if there is no covariance: fewer, of surfaces.

    Parameters
    ----------
    terms : sequence of (NoiseSource, Coefficient)
        Those whose errors are surfaces times the same factors become one.
    """
    result: list[Term] = []
    groups: dict[Any, list[tuple[float, SurfaceArray, Factors]]] = {}
    for source, coefficient in terms:
        split = None if source.axes or source.slope or source.variance.number is None else _split(coefficient)
        surface = None if split is None else _one_surface(split)
        if split is None or surface is None:
            result.append((source, coefficient))
            continue
        key = frozenset(split.rest), surface.addable
        groups.setdefault(key, []).append((float(source.variance.number or 0.0), surface, split.rest))
    for group in groups.values():
        variances, surfaces, rests = zip(*group, strict=True)
        variance = Coefficient(1.0).times(sum_of_squares(surfaces, variances))
        source = NoiseSource("surfaces", variance, axes=(), identity="surfaces")
        result.append((source, Coefficient.of_monomials([(1.0, rests[0])])))
    return result


def _one_surface(split: _Split) -> SurfaceArray | None:
    """The sum of the surfaces; None if one of them is a number, or of another frame."""
    surfaces = [(number, one) for number, one in split.surfaces if one is not None]
    alike = len({one.addable for _, one in surfaces}) == 1
    return SurfaceArray.sum_of(surfaces) if alike and len(surfaces) == len(split.surfaces) else None


def _split(coefficient: Coefficient) -> _Split | None:
    """A coefficient as surfaces times factors; None if it is something else."""
    surfaces, rests = [], []
    for number, factors in coefficient.monomials:
        smooth = [(field, power) for field, power in factors if isinstance(field, SurfaceArray)]
        if len(smooth) > 1 or any(power != 1 for _, power in smooth):
            return None
        surface = smooth[0][0] if smooth else None
        surfaces.append((number, surface if isinstance(surface, SurfaceArray) else None))
        rests.append(tuple(factor for factor in factors if not isinstance(factor[0], SurfaceArray)))
    if not rests or any(frozenset(rest) != frozenset(rests[0]) for rest in rests):
        return None
    return _Split(surfaces, rests[0])


def _numbers(split: _Split, degree: int) -> NDArray[np.float64]:
    """The sum of surfaces in terms of the polynomials of the frame."""
    total = np.zeros((degree + 1) ** 2)
    for number, surface in split.surfaces:
        if surface is None:
            total[0] += number
        else:
            total += number * surface.numbers(degree)
    return total


def _ratio(exact: Sequence[Term], terms: Sequence[Term]) -> NDArray[Any] | None:
    """What the sigma of each pixel is multiplied by to be exact; None if it is."""
    if list(exact) == list(terms):
        return None
    right, found = (
        sum(squared(coefficient, source) for source, coefficient in with_squares_together(some))
        for some in (exact, terms)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(np.asarray(right / found))
    return np.where(np.isfinite(ratio), ratio, 0)
