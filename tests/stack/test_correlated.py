"""Stacks of frames whose read-out noise is correlated, against the whole matrix of covariances and Monte Carlo."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import CCDFrame, Correlation, NoiseSource, UncertaintyBudget, combine
from astro_calib.estimators import median_variance_factor
from astro_calib.estimators.correlated import nonlinear_correlation
from tests.correlated_fields import (
    CASES,
    aperture_less_annulus,
    autocovariance,
    covariance_matrix,
    draw,
    level_of,
    places,
)

SHAPE = (60, 62)
CENTER = (29.7, 30.2)
RADII = (2, 5, 8)


def frame_of(correlation, sigma=5.0, data=None, shape=SHAPE, coefficient=1.0, more=()):
    values = np.full(shape, 100.0) if data is None else data
    source = NoiseSource("read noise", sigma**2, correlation=correlation)
    budget = UncertaintyBudget(shape, [(source, coefficient), *more], values.dtype, values)
    return CCDFrame(values, unit=u.electron, budget=budget)


def form(covariance, weights):
    """The variance of a sum over the pixels that have a weight; the covariance is asked for by rows and columns."""
    rows, columns = places(weights.shape)
    some = np.flatnonzero(weights)
    values = weights.ravel()[some]
    return values @ covariance(rows[some], columns[some], some) @ values


def assert_sums_are(stack, covariance, tolerance, radii=RADII):
    for radius in radii:
        weights = aperture_less_annulus(stack.shape, radius, CENTER)
        ratio = np.sqrt(stack.budget.variance_of_sum(weights) / form(covariance, weights))
        assert ratio == pytest.approx(1, abs=tolerance), f"radius {radius}"


def test_a_mean_of_unlike_frames_is_exact():
    weights, sigmas, kinds = [0.5, 0.3, 0.2], [3.0, 5.0, 8.0], ["coherent tone", "tone of each row", "all"]
    frames = [frame_of(Correlation(*CASES[kind]), sigma) for kind, sigma in zip(kinds, sigmas, strict=True)]

    def covariance(rows, columns, _):
        return sum(
            (w * sigma) ** 2 * covariance_matrix(*CASES[kind], rows, columns)
            for w, sigma, kind in zip(weights, sigmas, kinds, strict=True)
        )

    assert_sums_are(combine(frames, weights=weights), covariance, 1e-9)


def test_white_frames_dilute_what_neighbours_have_in_common():
    correlation = Correlation(*CASES["all"])
    stack = combine([frame_of(correlation), frame_of(None), frame_of(correlation)])

    def covariance(rows, columns, _):
        return 25 / 9 * (2 * covariance_matrix(*CASES["all"], rows, columns) + np.eye(len(rows)))

    assert_sums_are(stack, covariance, 1e-9)


def test_the_mean_of_shifted_frames_with_a_common_master():
    correlation = Correlation(*CASES["all"])
    master = frame_of(correlation, 4.0, shape=(70, 70))
    cuts = [(0, 0), (3, 5), (7, 2)]
    parts = [(frame_of(correlation, shape=(70, 70)) - master)[y : y + SHAPE[0], x : x + SHAPE[1]] for y, x in cuts]
    stack = combine(parts)

    def covariance(rows, columns, _):
        own = 25 / 3 * covariance_matrix(*CASES["all"], rows, columns)
        dy, dx = np.subtract.outer(rows, rows), np.subtract.outer(columns, columns)
        shared = sum(autocovariance(*CASES["all"], dy + y1 - y2, dx + x1 - x2) for y1, x1 in cuts for y2, x2 in cuts)
        return own + 16 / 9 * shared

    np.testing.assert_allclose(stack.variance[0, 0], covariance(*np.zeros((2, 1), dtype=int), None)[0, 0], rtol=1e-9)
    assert_sums_are(stack, covariance, 1e-9)


@pytest.mark.parametrize("axes", [(), (0,), (1,)], ids=["frame", "row", "column"])
def test_the_mean_of_shifted_frames_with_levels_of_their_own(axes):
    # Each with another overscan, and other parts of the detector: frames are independent, so that variances add up.
    frames = []
    for overscan, (y, x) in ((3, (0, 0)), (4, (5, 2)), (7, (1, 6))):
        level = level_of("all", axes, (70, 70), overscan)
        correlation, factor = Correlation(*CASES["all"]).less_level(level)
        frames.append(frame_of(correlation, 5 * np.sqrt(factor), shape=(70, 70))[y : y + SHAPE[0], x : x + SHAPE[1]])
    stack = combine(frames)
    for radius in RADII:
        weights = aperture_less_annulus(SHAPE, radius, CENTER)
        single = [frame.budget.variance_of_sum(weights) for frame in frames]
        assert stack.budget.variance_of_sum(weights) == pytest.approx(sum(single) / 9, rel=1e-9)


@pytest.mark.parametrize(("left_out", "scatter", "mean"), [(0.02, 0.03, 0.01), (0.15, 0.1, 0.02)])
def test_values_left_out_here_and_there(left_out, scatter, mean):
    rng = np.random.default_rng(1)
    frames = [frame_of(Correlation(*CASES["all"])) for _ in range(6)]
    kept = rng.random((6, *SHAPE)) > left_out
    for frame, good in zip(frames, kept, strict=True):
        frame.mask = ~good
    shares = (kept / np.maximum(kept.sum(axis=0), 1)).reshape(6, -1)

    def covariance(rows, columns, some):
        return 25 * (shares[:, some].T @ shares[:, some]) * covariance_matrix(*CASES["all"], rows, columns)

    budget = combine(frames).budget
    ratios = []
    for y, x in np.ndindex(4, 4):
        weights = aperture_less_annulus(SHAPE, 3, (14 + 10 * y, 15 + 10 * x))
        ratios.append(np.sqrt(budget.variance_of_sum(weights) / form(covariance, weights)))
    np.testing.assert_allclose(ratios, 1, atol=scatter)
    assert np.mean(ratios) == pytest.approx(1, abs=mean)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["halves", "mosaic", "margins", "margins of many"])
def test_values_left_out_in_regions(case, kind, tmp_path):
    number = {"mosaic": 2, "margins of many": 8}.get(kind, 4)
    frames = [frame_of(Correlation(*CASES[case])) for _ in range(number)]
    kept = np.ones((number, *SHAPE), dtype=bool)
    # Inside regions, and across their edges.
    centers = [(14.7, 14.2), (45.1, 46.2), (14.6, 31.2), (30.2, 31.1), (31.0, 26.7)]
    if kind == "halves":
        kept[0, :, 31:], kept[1, 30:, :] = False, False
    elif kind == "mosaic":
        kept[0, :, 31:], kept[1, :, :31] = False, False
    else:
        # Dithers in a larger array: in the middle there are all of them.
        for good, y, x in zip(kept, [0, 12, 3, 9, 5, 11, 1, 7], [0, 5, 14, 10, 12, 2, 7, 3], strict=False):
            good[:] = False
            good[y : y + 48, x : x + 48] = True
        centers = [(30.2, 31.1)]
    for frame, good in zip(frames, kept, strict=True):
        frame.mask = ~good
    shares = (kept / np.maximum(kept.sum(axis=0), 1)).reshape(number, -1)

    def covariance(rows, columns, some):
        return 25 * (shares[:, some].T @ shares[:, some]) * covariance_matrix(*CASES[case], rows, columns)

    stack = combine(frames)
    stack.write(tmp_path / "stack.fits")
    again = CCDFrame.read(tmp_path / "stack.fits")
    covered = kept.any(axis=0)
    np.testing.assert_allclose(stack.variance[covered], 25 * np.sum(shares**2, axis=0).reshape(SHAPE)[covered])
    for center in centers:
        for radius in (2, 5):
            weights = aperture_less_annulus(SHAPE, radius, center)
            found = stack.budget.variance_of_sum(weights)
            # Many frames are merged, as if all pixels had the same of each.
            tolerance = 0.015 if kind == "margins of many" else 1e-6
            assert np.sqrt(found / form(covariance, weights)) == pytest.approx(1, abs=tolerance), center
            assert again.budget.variance_of_sum(weights) == pytest.approx(found, rel=1e-6)


def test_frames_divided_by_different_flats():
    rng = np.random.default_rng(2)
    y, x = np.indices(SHAPE)
    flats = [1 - 0.3 * np.hypot(y - 30 + 8 * n, x - 30) / 60 + rng.normal(0, 0.1, SHAPE) for n in range(4)]
    frames = [frame_of(Correlation(*CASES["all"]), coefficient=1 / flat) for flat in flats]
    inverse = np.array([1 / flat.ravel() for flat in flats]) / 4

    def covariance(rows, columns, some):
        return 25 * (inverse[:, some].T @ inverse[:, some]) * covariance_matrix(*CASES["all"], rows, columns)

    assert_sums_are(combine(frames), covariance, 0.02)


@pytest.mark.parametrize("number", [3, 4, 10, 25])
def test_the_covariance_of_two_medians(number):
    rng = np.random.default_rng(number)
    rho, pairs = 0.66, 100_000
    one = rng.standard_normal((number, pairs))
    other = rho * one + np.sqrt(1 - rho**2) * rng.standard_normal((number, pairs))
    # Less the means, whose covariance is known, so that what is not linear stands out.
    left = np.mean((np.median(one, axis=0) - one.mean(axis=0)) * (np.median(other, axis=0) - other.mean(axis=0)))
    covariance = rho + number * left
    predicted = rho + (median_variance_factor(number) - 1) * float(nonlinear_correlation(rho, number))
    assert predicted == pytest.approx(covariance, rel=0.01)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("more", [0.0, 5.0], ids=["alone", "with shot noise"])
def test_a_median_of_many_goes_by_the_arcsine_law(case, more):
    number = 25
    shot = [[(NoiseSource("shot noise", more**2), 1.0)] if more else [] for _ in range(number)]
    frames = [frame_of(Correlation(*CASES[case]), more=terms) for terms in shot]
    total = 25 + more**2
    factor = median_variance_factor(number)

    def covariance(rows, columns, _):
        rho = 25 / total * covariance_matrix(*CASES[case], rows, columns) + more**2 / total * np.eye(len(rows))
        excess = (np.arcsin(np.clip(rho, -1, 1)) - rho) / (np.pi / 2 - 1)
        return total / number * (rho + (factor - 1) * excess)

    stack = combine(frames, method="median")
    np.testing.assert_allclose(stack.variance, np.full(SHAPE, total / number * factor), rtol=1e-6)
    assert_sums_are(stack, covariance, 0.025)


def test_a_frame_less_the_mean_that_contains_it():
    correlation = Correlation(*CASES["all"])
    frames = [frame_of(correlation) for _ in range(4)]
    stack = combine(frames)
    weights = aperture_less_annulus(SHAPE, 5, CENTER)
    mean = frames[0].add(frames[1]).add(frames[2]).add(frames[3]).divide(4.0)
    assert stack.subtract(mean).budget.variance_of_sum(weights) == pytest.approx(0, abs=1e-9)
    single = frames[0].budget.variance_of_sum(weights)
    left = frames[0].subtract(stack)
    assert left.budget.variance_of_sum(weights) == pytest.approx(0.75 * single, rel=1e-9)
    part = combine(frames[:2])
    assert part.subtract(stack).budget.variance_of_sum(weights) == pytest.approx(0.25 * single, rel=1e-9)


def test_a_frame_less_the_shifted_mean_that_contains_it():
    kind = "all"
    frames = [frame_of(Correlation(*CASES[kind])) for _ in range(4)]
    difference = frames[0][2:, 1:].subtract(combine(frames)[:-2, :-1])
    expected = 25 + 25 / 4 - 2 * 25 / 4 * autocovariance(*CASES[kind], 2, 1)
    np.testing.assert_allclose(difference.variance, np.full((58, 61), expected), rtol=1e-9)
    weights = aperture_less_annulus(difference.shape, 5, CENTER)

    def covariance(rows, columns, _):
        dy, dx = np.subtract.outer(rows, rows), np.subtract.outer(columns, columns)
        mixed = autocovariance(*CASES[kind], dy + 2, dx + 1) + autocovariance(*CASES[kind], dy - 2, dx - 1)
        return 25 * 1.25 * autocovariance(*CASES[kind], dy, dx) - 25 / 4 * mixed

    assert difference.budget.variance_of_sum(weights) == pytest.approx(form(covariance, weights), rel=1e-9)


def test_the_mean_of_differences_of_neighbours():
    correlation = Correlation(*CASES["all"])
    frames = [frame_of(correlation) for _ in range(3)]
    stack = combine([frame[1:, 2:].subtract(frame[:-1, :-2]) for frame in frames])

    def covariance(rows, columns, _):
        dy, dx = np.subtract.outer(rows, rows), np.subtract.outer(columns, columns)
        return (
            25
            / 3
            * sum(
                sign * autocovariance(*CASES["all"], dy + y, dx + x)
                for sign, y, x in ((2, 0, 0), (-1, 1, 2), (-1, -1, -2))
            )
        )

    expected = 50 / 3 * (1 - autocovariance(*CASES["all"], 1, 2))
    np.testing.assert_allclose(stack.variance, np.full((59, 60), expected), rtol=1e-6)
    assert_sums_are(stack, covariance, 1e-6)


def test_amplifiers_stay_apart():
    # Two halves with tones of their own: nothing that crosses the border is in phase.
    x = np.indices(SHAPE)[1]
    halves = [(x < 31).astype(float), (x >= 31).astype(float)]
    kinds = ["coherent tone", "tone of each row"]

    def frame():
        terms = [
            (NoiseSource("read noise", 25 * half, correlation=Correlation(*CASES[kind])), 1.0)
            for half, kind in zip(halves, kinds, strict=True)
        ]
        return CCDFrame(np.full(SHAPE, 100.0), unit=u.electron, budget=UncertaintyBudget(SHAPE, terms))

    def covariance(rows, columns, some):
        flat = [half.ravel()[some] for half in halves]
        return sum(
            25 / 3 * np.outer(half, half) * covariance_matrix(*CASES[kind], rows, columns)
            for half, kind in zip(flat, kinds, strict=True)
        )

    assert_sums_are(combine([frame() for _ in range(3)]), covariance, 1e-9)


@pytest.mark.long
@pytest.mark.parametrize("case", ["coherent tone", "tone of each row", "all"])
@pytest.mark.parametrize("number", [3, 4, 10])
def test_medians_scatter_as_predicted(case, number):
    rng = np.random.default_rng(20)
    weights = np.array([aperture_less_annulus(SHAPE, radius, CENTER) for radius in RADII])
    sums, squares = [], []
    for _ in range(2000):
        fields = draw(rng, number, SHAPE, *CASES[case], 5.0)
        # The scatter of the mean is known, and what a median differs from it by is not correlated with it.
        apart = np.median(fields, axis=0) - fields.mean(axis=0)
        sums.append(np.tensordot(weights, apart))
        squares.append(np.mean(np.square(apart)))
    stack = combine([frame_of(Correlation(*CASES[case])) for _ in range(number)], method="median")
    assert np.sqrt(stack.variance.mean() / (25 / number + np.mean(squares))) == pytest.approx(1, abs=0.005)

    def covariance(rows, columns, _):
        return 25 / number * covariance_matrix(*CASES[case], rows, columns)

    for one, radius, of_difference in zip(weights, RADII, np.var(sums, axis=0), strict=True):
        observed = form(covariance, one) + of_difference
        assert np.sqrt(stack.budget.variance_of_sum(one) / observed) == pytest.approx(1, abs=0.02), f"radius {radius}"


@pytest.mark.long
@pytest.mark.parametrize("case", ["coherent tone", "tone of each row", "all"])
def test_means_scatter_as_predicted(case):
    rng = np.random.default_rng(22)
    weights = np.array([aperture_less_annulus(SHAPE, radius, CENTER) for radius in RADII])
    made = [draw(rng, 10, SHAPE, *CASES[case], 5.0).mean(axis=0) for _ in range(2500)]
    stack = combine([frame_of(Correlation(*CASES[case])) for _ in range(10)])
    assert np.sqrt(stack.variance.mean() / np.mean(np.square(made))) == pytest.approx(1, abs=0.02)
    predicted = [stack.budget.variance_of_sum(one) for one in weights]
    scatter = np.var(np.tensordot(made, weights, axes=((1, 2), (1, 2))), axis=0)
    np.testing.assert_allclose(np.sqrt(predicted / scatter), 1, atol=0.04)


@pytest.mark.long
@pytest.mark.parametrize("case", ["coherent tone", "all"])
@pytest.mark.parametrize(
    "options",
    [
        {"clip": "sigma", "sigma": 2.0},
        {"clip": "sigma", "sigma": 3.0},
        {"clip": "minmax"},
        {"clip": "sigma", "sigma": 2.5, "method": "median"},
    ],
    ids=["2 sigma", "3 sigma", "extremes", "median"],
)
def test_stacks_with_a_rejection_scatter_as_predicted(case, options):
    rng = np.random.default_rng(21)
    weights = np.array([aperture_less_annulus(SHAPE, radius, CENTER) for radius in RADII])
    sums, squares, predicted, variances = [], [], [], []
    correlation = Correlation(*CASES[case])
    for _ in range(300):
        fields = draw(rng, 10, SHAPE, *CASES[case], 5.0)
        stack = combine([frame_of(correlation, data=field) for field in fields], **options)
        # As with medians: what is not the mean of all is not correlated with it.
        apart = stack.data - fields.mean(axis=0)
        sums.append(np.tensordot(weights, apart))
        squares.append(np.mean(np.square(apart)))
        if len(predicted) < 6:
            predicted.append([stack.budget.variance_of_sum(one) for one in weights])
            variances.append(stack.variance.mean())

    def covariance(rows, columns, _):
        return 2.5 * covariance_matrix(*CASES[case], rows, columns)

    assert np.sqrt(np.mean(variances) / (2.5 + np.mean(squares))) == pytest.approx(1, abs=0.015)
    observed = [form(covariance, one) for one in weights] + np.var(sums, axis=0)
    np.testing.assert_allclose(np.sqrt(np.mean(predicted, axis=0) / observed), 1, atol=0.03)
