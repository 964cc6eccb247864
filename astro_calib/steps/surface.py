r"""
A smooth surface that is fitted to a frame between its stars, with the covariance of its numbers.

The frame is averaged in blocks, from which stars and outliers are left out, and the means are fitted by a polynomial
of a low degree, :math:`\beta = M b` with the means b. Its numbers have the covariance :math:`M \Sigma M^T`; with the
eigenvectors of that as sources of noise, each common to the frame, the error of the surface at all pixels is known from
a few numbers.

A noise that is common to the frame has acted on the fit as well: its coefficient c becomes c less the surface that is
fitted to c. So the error of an overscan level is gone after a sky was subtracted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.arguments import check_count
from astro_calib.dtypes import floating
from astro_calib.errors import FrameError
from astro_calib.frame.rebuild import measured
from astro_calib.noise.arrays import SELF_DATA
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.propagation import of_first
from astro_calib.noise.source import NoiseSource
from astro_calib.noise.surface import SurfaceArray, matrix_of
from astro_calib.steps.blocks import Blocks
from astro_calib.steps.empty_sky import excess_of_clipping, without_outliers

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

    Term: TypeAlias = tuple[NoiseSource, Coefficient]

__all__ = ["FittedSurface", "check_block", "check_degree", "fit_surface"]

#: Polynomials of a higher degree follow stars.
HIGHEST = 8
#: The smallest block, pixels on a side.
SMALLEST = 4

#: Blocks further than this from the surface are left out, in robust sigmas.
OUTLYING = 4.0
#: Less than this part of a block says nothing.
LEAST = 0.2
#: How often pixels and blocks are left out anew.
PASSES, ROUNDS = 2, 5
#: Scatter of blocks beyond what chance makes of the noise in so many sigmas is no chance.
CHANCE = 4.0
MAD = 1.4826


@dataclass(frozen=True)
class FittedSurface:
    """
    A surface that was fitted to a frame.

    Attributes
    ----------
    degree : int
        Highest degree of its polynomials.
    numbers : ndarray, shape (p,)
        What the polynomials are multiplied by, in the order of `astro_calib.noise.surface.powers_of`.
    covariance : ndarray, shape (p, p)
        Of the numbers, from the noise of pixels, rows and columns.
    blocks : Blocks
        What was averaged.
    used : ndarray of bool, shape (ny, nx)
        The pixels that went into it.
    operator : ndarray, shape (p, number of blocks)
        The numbers are this times the means of the blocks.
    excess : float
        What the covariance is multiplied by where the blocks scatter more about the surface than by their noise.
    """

    degree: int
    numbers: NDArray[np.float64]
    covariance: NDArray[np.float64]
    blocks: Blocks
    used: NDArray[np.bool_]
    operator: NDArray[np.float64]
    excess: float

    def array(self, dtype: Any = np.float64) -> SurfaceArray:
        """The surface."""
        return SurfaceArray(matrix_of(self.numbers, self.degree), self.blocks.shape, dtype=dtype)

    def terms(self, name: str, dtype: Any) -> list[Term]:
        """The sources of its error, each common to the frame."""
        sizes, modes = np.linalg.eigh(self.excess * self.covariance)
        what = repr((self.blocks.shape, self.numbers.tolist(), self.covariance.tolist()))
        identity = f"{name}:{hashlib.blake2b(what.encode(), digest_size=12).hexdigest()}"
        result = []
        for number, (size, mode) in enumerate(zip(sizes[::-1], modes.T[::-1], strict=True)):
            surface = SurfaceArray(matrix_of(mode, self.degree), self.blocks.shape, dtype=dtype)
            source = NoiseSource(name, float(max(size, 0.0)), axes=(), identity=f"{identity}:{number}")
            result.append((source, Coefficient(1.0).times(surface)))
        return result

    def of_map(self, values: Any, dtype: Any = np.float64) -> SurfaceArray:
        """The surface that the same fit makes of other values, a number or an array that broadcasts to the frame."""
        return SurfaceArray(matrix_of(self.numbers_of(values), self.degree), self.blocks.shape, dtype=dtype)

    def numbers_of(self, values: Any) -> NDArray[np.float64]:
        """The numbers of that surface."""
        return np.asarray(self.operator @ _sampled_means(self.blocks, values, self.used).ravel())

    def after_subtraction(self, term: Term, data: NDArray[Any], dtype: Any) -> Term | None:
        """A term of the frame once the surface is subtracted, from the values before; None if nothing is left of it."""
        source, coefficient = term
        if source.axes:
            return source, of_first(np.add, coefficient, lambda: self.array(dtype), -1.0)
        if coefficient.number is not None or _is_within(coefficient, self.degree):
            return None
        number = coefficient.ratio_to(Coefficient(1.0).times(SELF_DATA))
        if number is not None:
            # The gain multiplies the sky as it does the stars.
            return term
        fitted = self.of_map(coefficient.evaluate(data), dtype)
        moved = of_first(np.add, coefficient, lambda: self.array(dtype), -1.0)
        return source, moved + Coefficient(-1.0).times(fitted)


def check_degree(degree: int, lowest: int = 0) -> int:
    """The degree of a surface, from ``lowest`` to 8."""
    degree = check_count("degree", degree)
    if not lowest <= degree <= HIGHEST:
        msg = f"degree is {degree}; expected {lowest} to {HIGHEST}: a surface of a higher degree follows the stars."
        raise ValueError(msg)
    return degree


def check_block(block: int | None) -> int | None:
    """How many pixels a block has on a side, at least 4; None for what the frame's size says."""
    if block is not None and check_count("block", block) < SMALLEST:
        msg = f"block is {block}; expected at least {SMALLEST} pixels on a side, more than a star has."
        raise ValueError(msg)
    return block


def fit_surface(
    frame: CCDFrame,
    degree: int = 2,
    block: int | None = None,
    objects: NDArray[np.bool_] | None = None,
    without: tuple[str, ...] = (),
) -> FittedSurface:
    """
    Fit a surface to a frame.

    Parameters
    ----------
    frame : CCDFrame, shape (ny, nx)
        With noise.
    degree : int
        The degrees along rows and columns add up to this at most.
    block : int, optional
        Pixels of a block on a side: more than the stars have, and fewer than what the surface is to follow.
    objects : ndarray of bool, shape (ny, nx), optional
        Pixels that are left out besides those that are masked, and those that are found to be off.
    without : tuple of str
        Names of noise that is not in the covariance.

    Returns
    -------
    FittedSurface
        With its covariance.

    Raises
    ------
    FrameError
        If the frame has no noise, or too few good pixels.
    """
    budget = frame.known_budget
    if budget is None:
        msg = f"{frame.name} has no noise yet, so that a fit to it has no error. Apply create_deviation, or calibrate."
        raise FrameError(msg)
    blocks = Blocks(frame.shape, block)
    good = measured(frame)
    if objects is not None:
        good &= ~objects
    data = floating(frame.pixels)
    if without:
        kept = [term for term in budget.terms if term[0].name not in without]
        budget = UncertaintyBudget(budget.shape, kept, budget.dtype, budget.data)
    variances = _sampled_means(blocks, _pixel_variance(budget, blocks.step), good, sampled=True)
    numbers: NDArray[np.float64] = _first_guess(frame, blocks, data, good, degree)
    used = good
    for _ in range(PASSES):
        surface = SurfaceArray(matrix_of(numbers, degree), frame.shape, dtype=data.dtype).array
        residual = data - surface
        used = without_outliers(blocks, residual, good, variances)
        means, counts = blocks.means(residual, used).ravel(), blocks.counts(used).ravel()
        design = blocks.design(used, degree).reshape(means.size, -1)
        of_means = excess_of_clipping() * variances.ravel() / np.maximum(counts, 1)
        enough = (counts > LEAST * blocks.side**2) & np.isfinite(of_means)
        _check_number(frame, int(enough.sum()), design.shape[1])
        change, operator, chi2 = _fitted(frame, means, design, of_means, np.where(enough, counts, 0))
        numbers = np.asarray(numbers + change)
    covariance: NDArray[np.float64] = (operator * np.where(np.isfinite(of_means), of_means, 0)) @ operator.T
    covariance += _of_lines(budget, blocks, used, operator)
    freedom = max(int(np.any(operator != 0, axis=0).sum()) - numbers.size, 1)
    excess = chi2 if chi2 > 1 + CHANCE * np.sqrt(2 / freedom) else 1.0
    return FittedSurface(degree, numbers, covariance, blocks, used, operator, excess)


def _is_within(coefficient: Coefficient, degree: int) -> bool:
    """Whether a coefficient is a surface of no higher degree, to which the fit is exact."""
    products = [factors for _, factors in coefficient.monomials]
    if any(len(factors) != 1 or factors[0][1] != 1 for factors in products):
        return False
    surfaces = [factors[0][0] for factors in products]
    return all(isinstance(surface, SurfaceArray) and surface.degree <= degree for surface in surfaces)


def _check_number(frame: CCDFrame, number: int, needed: int) -> None:
    if number < 2 * needed:
        msg = (
            f"{frame.name} has {number} blocks with enough good pixels; a surface of {needed} numbers takes at least "
            f"{2 * needed}. Give a smaller block= or a lower degree=."
        )
        raise FrameError(msg)


def _first_guess(
    frame: CCDFrame, blocks: Blocks, data: NDArray[Any], good: NDArray[np.bool_], degree: int
) -> NDArray[np.float64]:
    """From the medians of the blocks, of which those that are far off are left out."""
    medians = blocks.medians(data, good).ravel()
    design = blocks.design(np.ones(frame.shape, dtype=bool), degree).reshape(medians.size, -1)
    kept = np.isfinite(medians)
    numbers: NDArray[Any] = np.zeros(design.shape[1])
    for _ in range(ROUNDS):
        _check_number(frame, int(kept.sum()), numbers.size)
        numbers = np.linalg.lstsq(design[kept], medians[kept], rcond=None)[0]
        residual = medians - design @ numbers
        scatter = MAD * float(np.median(np.abs(residual[kept])))
        with np.errstate(invalid="ignore"):
            now = np.isfinite(medians) & (np.abs(residual) <= OUTLYING * scatter + 1e-12)
        if scatter == 0 or np.array_equal(now, kept):
            break
        kept = now
    return numbers


def _fitted(
    frame: CCDFrame,
    means: NDArray[np.float64],
    design: NDArray[np.float64],
    variances: NDArray[np.float64],
    weights: NDArray[Any],
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """The numbers, what the means are multiplied by to give them, and chi2 for each degree of freedom."""
    kept = weights > 0
    operator = np.zeros((design.shape[1], means.size))
    numbers = np.zeros(design.shape[1])
    chi2 = 1.0
    for _ in range(ROUNDS):
        weighted = design[kept] * weights[kept, np.newaxis]
        operator[:] = 0
        try:
            operator[:, kept] = np.linalg.solve(weighted.T @ design[kept], weighted.T)
        except np.linalg.LinAlgError as error:
            msg = (
                f"{frame.name} of shape {frame.shape} has too few blocks along an axis for a surface of "
                f"{numbers.size} numbers. Give a smaller block= or a lower degree=."
            )
            raise FrameError(msg) from error
        numbers = operator[:, kept] @ means[kept]
        with np.errstate(invalid="ignore", divide="ignore"):
            pulls = (means - design @ numbers) / np.sqrt(variances)
        chi2 = float(np.sum(np.square(pulls[kept]))) / max(int(kept.sum()) - numbers.size, 1)
        scatter = max(1.0, MAD * float(np.median(np.abs(pulls[kept]))))
        with np.errstate(invalid="ignore"):
            now = (weights > 0) & (np.abs(pulls) <= OUTLYING * scatter)
        if np.array_equal(now, kept) or now.sum() < 2 * numbers.size:
            break
        kept = now
    return numbers, operator, chi2


def _pixel_variance(budget: UncertaintyBudget, step: int) -> NDArray[Any]:
    """The variance of every n-th pixel from noise that is another one in each."""
    part = budget[(slice(None, None, step),) * 2]
    terms = [term for term in part.terms if len(term[0].axes) == len(budget.shape)]
    return UncertaintyBudget(part.shape, terms, part.dtype, part.data).variance()


def _sampled_means(
    blocks: Blocks, values: Any, used: NDArray[np.bool_], *, sampled: bool = False
) -> NDArray[np.float64]:
    """The means over some used pixels of each block; of a block without any, those over all blocks."""
    step = blocks.step
    item = (slice(None, None, step),) * 2
    chosen = values if sampled else np.broadcast_to(np.asarray(values), blocks.shape)[item]
    coarse = Blocks(used[item].shape, blocks.side // step)
    with np.errstate(invalid="ignore"):
        means = coarse.means(np.where(used[item], chosen, 0), used[item])
    return np.where(np.isfinite(means), means, np.nanmean(means) if np.isfinite(means).any() else np.nan)


def _of_lines(
    budget: UncertaintyBudget, blocks: Blocks, used: NDArray[np.bool_], operator: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What the noise of rows and of columns adds to the covariance of the numbers."""
    total = np.zeros((operator.shape[0],) * 2)
    by_block = operator.reshape(-1, *blocks.number)
    for source, coefficient in budget.terms:
        if len(source.axes) == 1:
            axis, variance, part = source.axes[0], source.variance, 1.0
        elif source.correlation is not None and source.correlation.waves[0, 0] > 0:
            axis, variance, part = 0, source.variance, float(source.correlation.waves[0, 0])
        else:
            continue
        sigmas = np.sqrt(np.maximum(variance.evaluate(), 0)) * coefficient.evaluate(budget.data)
        means = _sampled_means(blocks, sigmas, used)
        sums = (by_block * means).sum(axis=2 - axis)
        total += part / blocks.side * sums @ sums.T
    return total
