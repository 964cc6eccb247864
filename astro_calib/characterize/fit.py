"""
The fit of a photon transfer: variances and covariances of all differences of flats at once.

With the level l of each flat and its weight w in a difference, the covariance at the lag h is the sum over the flats of
w^2 [l / g at h = 0, + a_h l^2 + R(h)], and higher orders of a. The read-out noise R comes from biases, the a_h have a
prior, and what they cannot tell apart is in the covariance of the parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from astro_calib.characterize.brighter_fatter import HIGHER, PRIOR, classes, orders, template, with_corrections
from astro_calib.characterize.faint_light import MOST, shapes
from astro_calib.characterize.lags import INNER, REACH, covariance_of_lags, folded, inner_lags, less_ring
from astro_calib.characterize.result import Doubt, NotRaw, Point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.characterize.flats import Contrast, Part
    from astro_calib.characterize.read_noise import Biases
    from astro_calib.characterize.spectrum import Spectrum

__all__ = ["DIFFERENT", "Fit", "FitResult", "both_signs", "remarks_on_fit"]

#: So many levels, over such a factor, tell how the response departs from a straight line.
LEVELS, SPAN = 4, 3.0
#: Levels that differ by this factor can contradict each other.
DIFFERENT = 1.25
#: A departure from a straight line that is so many errors large is one.
BENT = 4.0
#: Covariances of so many errors, and of so much of what faint light may be, are those of faint light.
ONE_SEES, SOME = 6.0, 0.3
#: What is so many times more than faint light may be is something else.
TOO_MUCH = 5.0
#: A chance that is smaller than this is worth a remark.
UNLIKELY = 1e-4
#: Lags larger than this part of the variance are no charge that repels charge.
CORRELATED = 0.05
#: How many independent lags the ring has.
IN_RING = ((2 * REACH + 1) ** 2 - (2 * INNER + 1) ** 2) // 2
#: A ring larger than this part of the variance, and than this many errors, is light that changed.
RING, RING_ERRORS = 0.01, 8
#: More than this part of the pixels left out is worth a remark.
MUCH = 0.5


def both_signs(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A function of the lag, the mean of both signs of dx: from what `Spectrum` holds to a square from 0 on."""
    middle = values.shape[1] // 2
    return (values[:, middle:] + values[:, middle::-1]) / 2


class FitResult(NamedTuple):
    """
    The parameters with their errors, and what is left of each difference.

    Attributes
    ----------
    inverse_gain, inverse_gain_error : float
        adu / electron.
    by_level : list of ndarray, shape (n,)
        The change of the inverse gain with the level of each flat of each part, 1 / electron.
    a_00, a_00_error : float
        1 / electron.
    curvature : (float, float) or None
        Relative loss of signal for each adu, and its error; None where there are too few levels.
    measured, residuals : list of ndarray
        The inner lags of each part without faint light, and what is left of them, adu^2.
    covariances : list of ndarray
        Of their errors, adu^4.
    chance : float
        How often chance alone makes variances scatter so much about the fit.
    bent : bool
        Whether the levels show a response that is not straight, of which there are too few to measure it.
    """

    inverse_gain: float
    inverse_gain_error: float
    by_level: list[NDArray[np.float64]]
    a_00: float
    a_00_error: float
    curvature: tuple[float, float] | None
    measured: list[NDArray[np.float64]]
    residuals: list[NDArray[np.float64]]
    covariances: list[NDArray[np.float64]]
    chance: float
    bent: bool

    @property
    def consistent(self) -> bool:
        """Whether all levels agree."""
        return self.chance > UNLIKELY and not self.bent

    def points(self, parts: list[tuple[Contrast, Part]]) -> list[Point]:
        """The photon transfer curve: a point for each part of each difference."""
        found = []
        for (contrast, part), residual, covariance in zip(parts, self.residuals, self.covariances, strict=True):
            squares = np.square(part.weights)
            norm = float(squares.sum())
            level = float(squares @ part.levels) / norm
            variance = float(part.lags[0, 0]) / norm
            error = float(np.sqrt(covariance[0, 0])) / norm
            found.append(Point(level, variance, error, variance - float(residual[0]) / norm, contrast.flats))
        return found


class _Model(NamedTuple):
    """
    What the parameters say of a difference.

    Attributes
    ----------
    lags, covariance : ndarray
        The inner lags, adu^2, and the covariance of their errors, adu^4.
    matrix : ndarray
        Derivatives of the lags by the parameters.
    faint : ndarray, shape (lags, 2)
        What light that was not found may add to the lags, one standard deviation of each kind.
    """

    lags: NDArray[np.float64]
    matrix: NDArray[np.float64]
    covariance: NDArray[np.float64]
    faint: NDArray[np.float64]


class Fit:
    """The linear least squares of all lags, repeated for what is not linear."""

    def __init__(self, spectrum: Spectrum, biases: Biases, noise: float, small: bool) -> None:
        self.ring = less_ring()
        white = np.zeros((2 * REACH + 1,) * 2)
        white[0, 0] = 1
        self.moments = [
            self.ring @ covariance_of_lags(power) @ self.ring.T
            for power in (white, both_signs(spectrum.lags), both_signs(spectrum.power))
        ]
        self.read = self.ring @ folded(biases.lags).ravel()
        self.read_covariance = self.moments[2] / (biases.pixels * biases.differences)
        self.read_ring = _ring(folded(biases.lags))
        self.number = len(biases.levels)
        if small:
            # Rounding hides the rest.
            self.read = np.zeros_like(self.read)
            self.read[0] = noise
            self.read_covariance = np.diag(np.full(self.read.shape, (noise / 4) ** 2))
            self.moments[1:] = [power * self.moments[0] for power in (noise, noise**2)]
        self.maps = [template(), *(one for one, _ in classes())]
        self.columns = [self.ring @ one[REACH:, REACH:].ravel() for one in self.maps]
        # The sizes of the maps, and how much there is of the higher orders.
        self.prior_mean = np.array([PRIOR[0], *[0.0] * (len(self.maps) - 1), HIGHER[0]])
        self.prior_width = np.array([PRIOR[1], *(width for _, width in classes()), HIGHER[1]])
        self.faint = np.stack([MOST * self.ring @ one.ravel() for one in shapes()], axis=1)

    def solve(self, parts: Sequence[Part]) -> FitResult:
        """Fit; nonlinearity is measured where there are levels enough, else looked for where there are two."""
        starry = any(part.starry for part in parts)
        result = self._solve_as([part._replace(starry=starry) for part in parts])
        if not starry and self._has_faint_light(result):
            # All stars may be too faint to be found.
            result = self._solve_as([part._replace(starry=True) for part in parts])
        return result

    def _has_faint_light(self, result: FitResult) -> bool:
        """Whether the covariances have more of what stars leave in them than chance and a small misfit make."""
        for shape in self.faint.T:
            amount, information = 0.0, 0.0
            for measured, residual, covariance in zip(
                result.measured, result.residuals, result.covariances, strict=True
            ):
                weighted = measured[0] * np.linalg.solve(covariance, shape)
                amount += float(weighted @ residual)
                information += float(weighted @ shape) * measured[0]
            if amount > max(ONE_SEES * np.sqrt(information), SOME * information):
                return True
        return False

    def _solve_as(self, parts: Sequence[Part]) -> FitResult:
        """Fit, with stars where the parts say so."""
        levels = np.array([float(np.square(one.weights) @ one.levels / np.sum(one.weights**2)) for one in parts])
        if _number_of_levels(levels) >= LEVELS and levels.max() > SPAN * levels.min():
            return self._solve(parts, levels, curved=True)
        straight = self._solve(parts, levels, curved=False)
        if levels.max() < DIFFERENT * levels.min():
            return straight
        bent = self._solve(parts, levels, curved=True).curvature
        return straight._replace(bent=bent is not None and abs(bent[0]) > BENT * bent[1])

    def _solve(self, parts: Sequence[Part], levels: NDArray[np.float64], *, curved: bool) -> FitResult:
        charge = len(self.prior_mean)
        lags = len(self.read)
        size = 1 + charge + curved + lags
        values = np.zeros(size)
        first = parts[int(np.argmax(levels))]
        shot = first.lags[0, 0] - self.read_weight(first) * self.read[0]
        values[0] = max(shot, 1e-6 * first.lags[0, 0]) / float(np.square(first.weights) @ first.levels)
        values[1 : 1 + charge] = self.prior_mean
        values[-lags:] = self.read
        known = np.linalg.pinv(self.read_covariance, hermitian=True)
        for _ in range(4):
            normal = np.zeros((size, size))
            right = np.zeros(size)
            # Priors of the charge's covariances, and the biases.
            place = np.arange(1, 1 + charge)
            normal[place, place] += 1 / self.prior_width**2
            right[place] += self.prior_mean / self.prior_width**2
            normal[-lags:, -lags:] += known
            right[-lags:] += known @ self.read
            by_lag = []
            for part, model in zip(parts, self._models(parts, values, curved), strict=True):
                weight = np.linalg.inv(model.covariance + model.faint @ model.faint.T)
                off = self.ring @ part.lags.ravel() - model.lags
                normal += model.matrix.T @ weight @ model.matrix
                right += model.matrix.T @ weight @ (off + model.matrix @ values)
                by_lag.append(model.matrix.T @ weight[:, 0])
            scale = 1 / np.sqrt(np.diag(normal))
            inverse = np.linalg.inv(normal * np.outer(scale, scale)) * np.outer(scale, scale)
            values = inverse @ right
        # A level that is too high makes the variance that is expected too large.
        by_level = [
            -values[0] * np.square(part.weights) * (inverse[0] @ one) for part, one in zip(parts, by_lag, strict=True)
        ]
        models = self._models(parts, values, curved)
        measured = [self._without_faint(part, model) for part, model in zip(parts, models, strict=True)]
        residuals = [lags - model.lags for lags, model in zip(measured, models, strict=True)]
        covariances = [model.covariance for model in models]
        a_00 = np.zeros(size)
        a_00[1 : 1 + len(self.maps)] = [one[REACH, REACH] for one in self.maps]
        return FitResult(
            float(values[0]),
            float(np.sqrt(inverse[0, 0])),
            by_level,
            float(a_00 @ values),
            float(np.sqrt(a_00 @ inverse @ a_00)),
            (float(values[1 + charge]), float(np.sqrt(inverse[1 + charge, 1 + charge]))) if curved else None,
            measured,
            residuals,
            covariances,
            _chance(residuals, covariances, 1 + curved),
            False,
        )

    def has_structures(self, part: Part) -> bool:
        """Whether a difference is correlated over distances that are larger than those of charge and read-out noise."""
        variance = float(part.lags[0, 0])
        # Tones of low frequencies differ from frame to frame by as much as they are.
        read = self.read_weight(part) * abs(self.read_ring)
        chance = RING_ERRORS * variance * np.sqrt(1 / part.pixels / IN_RING)
        return abs(_ring(part.lags)) > max(RING * variance, chance) + 2 * read

    def read_weight(self, part: Part) -> float:
        """How often a difference holds the noise of a bias."""
        return float(np.sum(part.weights**2) + part.bias / self.number)

    def _models(self, parts: Sequence[Part], values: NDArray[np.float64], curved: bool) -> list[_Model]:
        """What the parameters say of each difference."""
        charge = len(self.prior_mean)
        by_order = orders(with_corrections(values[1 : 1 + len(self.maps)]))
        return [self._model(part, values, by_order, values[1 + charge] if curved else None) for part in parts]

    def _model(
        self, part: Part, values: NDArray[np.float64], by_order: NDArray[np.float64], curvature: float | None
    ) -> _Model:
        inverse_gain, higher = values[0], values[len(self.maps) + 1]
        squares = np.square(part.weights)
        # Sums over the flats, of what each order of the covariances is multiplied by.
        light = float(squares @ part.levels)
        second = float(squares @ part.squares)
        third, fourth = (float(squares @ (part.squares * part.levels**n)) / inverse_gain**n for n in (1, 2))
        more = third * by_order[1] + fourth * by_order[2]
        lags = second * by_order[0] + higher * more
        lags[0, 0] += inverse_gain * light
        read = self.read_weight(part)
        first = np.zeros(len(self.read))
        first[0] = light
        columns = [first, *(second * column for column in self.columns), self.ring @ more.ravel()]
        if curvature is not None:
            loss = np.zeros(len(self.read))
            loss[0] = -3 * inverse_gain * second
            columns.append(loss)
            lags[0, 0] += curvature * loss[0]
        shot = max(float(lags[0, 0]), 1e-12)
        moments = self.moments
        covariance = shot**2 * moments[0] + 2 * shot * read * moments[1] + read**2 * moments[2]
        return _Model(
            self.ring @ lags.ravel() + read * values[-len(self.read) :],
            np.column_stack([*columns, read * np.eye(len(self.read))]),
            covariance / part.pixels,
            shot * self.faint * part.starry,
        )

    def _without_faint(self, part: Part, model: _Model) -> NDArray[np.float64]:
        """The measured inner lags, without the light that is most likely in them."""
        measured = np.asarray(self.ring @ part.lags.ravel())
        both = model.covariance + model.faint @ model.faint.T
        sizes = model.faint.T @ np.linalg.solve(both, measured - model.lags)
        # So much would not be faint.
        return measured - model.faint @ sizes if np.abs(sizes).max() < TOO_MUCH else measured


def _number_of_levels(levels: NDArray[np.float64]) -> int:
    """How many levels there are that differ by a tenth or more."""
    number, last = 0, 0.0
    for level in np.sort(levels):
        if level > 1.1 * last:
            number, last = number + 1, float(level)
    return number


def _chance(residuals: list[NDArray[np.float64]], covariances: list[NDArray[np.float64]], parameters: int) -> float:
    """How often chance alone makes variances scatter so much about the fit."""
    from scipy.special import chdtrc

    off = sum(residual[0] ** 2 / covariance[0, 0] for residual, covariance in zip(residuals, covariances, strict=True))
    free = len(residuals) - parameters
    return float(chdtrc(free, off)) if free > 0 else 1.0


def remarks_on_fit(result: FitResult, parts: list[tuple[Contrast, Part]], fit: Fit, found: list[Contrast]) -> list[str]:
    """What the flats themselves say against the result."""
    remarks: list[str] = []
    if not result.consistent:
        remarks.append(
            Doubt(
                "differences of flats, or parts of them, at other levels contradict each other beyond their errors: "
                "nonlinearity, another filter, or stray light"
            )
        )
    worst, (dx, dy) = _correlation(result, parts, fit)
    if worst > CORRELATED:
        remarks.append(
            NotRaw(
                f"the noise of the flats is correlated by {100 * worst:.0f}% at the distance {(dx, dy)}: they were "
                "smoothed, resampled or filtered, and the gain is wrong"
            )
        )
    if any(fit.has_structures(part) for _, part in parts):
        remarks.append(Doubt("light that changed between the flats has left large structures in their differences"))
    lost = float(np.mean([contrast.excluded for contrast in found]))
    if lost > MUCH:
        remarks.append(f"{100 * lost:.0f}% of the pixels were left out: unlit, saturated, hit, or with objects")
    return remarks


def _correlation(result: FitResult, parts: list[tuple[Contrast, Part]], fit: Fit) -> tuple[float, tuple[int, int]]:
    """The largest part of the variance that neighbours certainly share, and their distance (dx, dy)."""
    worst, at = 0.0, (0, 0)
    dy, dx = inner_lags()
    for (_, part), measured, covariance in zip(parts, result.measured, result.covariances, strict=True):
        inner = measured - fit.read_weight(part) * fit.read
        size = np.abs(inner[1:]) / max(inner[0], 1e-12)
        certain = np.abs(inner[1:]) > 5 * np.sqrt(np.diag(covariance)[1:])
        size = np.where(certain, size, 0)
        if size.max() > worst:
            place = int(np.argmax(size)) + 1
            worst, at = float(size.max()), (int(dx[place]), int(dy[place]))
    return worst, at


def _ring(lags: NDArray[np.float64]) -> float:
    """The mean of the ring of lags."""
    ring = lags.copy()
    ring[: INNER + 1, : INNER + 1] = np.nan
    return float(np.nanmean(ring))
