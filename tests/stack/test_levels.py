"""Frames that are brought to a common level: the error of the level."""

import numpy as np
import pytest

from astro_calib import CCDFrame, Correlation, NoiseSource, UncertaintyBudget, combine
from astro_calib.stack.levels import median_of_pixels
from tests.correlated_fields import CASES
from tests.noise_checks import ratio_of_scatter

LEVELS = (1000.0, 3000.0, 9000.0)
SHAPE = (24, 24)


def frame_of(data, terms):
    return CCDFrame(data, unit="electron", budget=UncertaintyBudget(data.shape, terms))


def without_structure(rng, offset_variance=400.0, pixel_variance=1e-6):
    """Frames of one value each, with an error that is common to the frame."""
    return [
        frame_of(
            rng.normal(level, np.sqrt(pixel_variance), SHAPE),
            [
                (NoiseSource("read noise", pixel_variance), 1.0),
                (NoiseSource("overscan", offset_variance, axes=()), 1.0),
            ],
        )
        for level in LEVELS
    ]


@pytest.mark.parametrize("scale", ["mean", "median"])
@pytest.mark.parametrize("options", [{}, {"weights": [1, 2, 3]}, {"method": "median"}])
def test_an_error_common_to_the_frame_moves_the_average_level_alone(scale, options):
    # Without structure the stack is the average level, whatever the weights are: its error is that of the average.
    stack = combine(without_structure(np.random.default_rng(5)), scale=scale, **options)
    np.testing.assert_allclose(stack.data, np.mean(LEVELS), rtol=1e-5)
    np.testing.assert_allclose(stack.budget.variances()["overscan"], 400 / 3, rtol=1e-3)


def test_an_uncertain_gain_stays_proportional_to_the_stack():
    # All levels and the stack go with the gain: 2 % of the stack.
    gain = NoiseSource("gain", 0.02**2, axes=(), identity="gain:of this camera")
    rng = np.random.default_rng(6)
    frames = []
    for level in LEVELS:
        data = rng.normal(level, 1, SHAPE)
        frames.append(frame_of(data, [(NoiseSource("read noise", 1.0), 1.0), (gain, data)]))
    stack = combine(frames, scale="mean")
    np.testing.assert_allclose(np.sqrt(stack.budget.variances()["gain"]), 0.02 * stack.data, rtol=1e-3)


def test_frames_of_one_level_have_no_error_of_the_level():
    rng = np.random.default_rng(7)
    frames = [frame_of(rng.normal(1000, 1e-3, SHAPE), [(NoiseSource("read noise", 25.0), 1.0)]) for _ in range(4)]
    stack = combine(frames, scale="mean")
    assert stack.budget.variances().get("scale", np.zeros(1)).max() < 1e-9
    np.testing.assert_allclose(stack.variance, 25 / 4, rtol=1e-6)


@pytest.mark.long
@pytest.mark.parametrize(("scale", "method"), [("mean", "median"), ("median", "mean")])
def test_sums_over_stars_of_scaled_frames_scatter_as_predicted(scale, method):
    # A scene with vignetting; the judged aperture is small compared with the frame.
    rng = np.random.default_rng(8)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]] - SHAPE[0] / 2
    scene = 1 - 0.2 * (rows**2 + columns**2) / (2 * (SHAPE[0] / 2) ** 2)
    scene /= np.mean(scene) if scale == "mean" else np.median(scene)
    aperture = np.zeros(SHAPE)
    aperture[5:8, 5:8] = 1
    errors, variances = [], []
    for _ in range(800):
        frames = []
        for level in LEVELS:
            sigma = np.sqrt(level * scene)
            data = rng.normal(level * scene, sigma) + rng.normal(0, 20)
            terms = [(NoiseSource("shot noise", sigma**2), 1.0), (NoiseSource("overscan", 400.0, axes=()), 1.0)]
            frames.append(frame_of(data, terms))
        stack = combine(frames, scale=scale, method=method)
        errors.append(np.sum(aperture * (stack.data - np.mean(LEVELS) * scene)))
        variances.append(stack.budget.variance_of_sum(aperture))
    ratio, standard_error = ratio_of_scatter(errors, variances)
    assert standard_error < 0.027
    assert abs(ratio - 1) < 3 * standard_error


def values_of_a_flat(rng):
    return rng.normal(20000, 150, 1_500_001).astype(np.float32)


@pytest.mark.parametrize(
    "values_of",
    [
        values_of_a_flat,
        lambda rng: values_of_a_flat(rng)[1:].reshape(1500, 1000),
        lambda rng: rng.poisson(20000, (1000, 1000)).astype(np.uint16),
        lambda rng: np.where(rng.random(1_000_000) < 0.5, 1.0, 1000.0),  # nothing is near the median
        lambda rng: np.arange(1_000_000.0)[::-1],
        # A sample that takes every so manieth value sees the first half of them alone.
        lambda rng: np.where(np.arange(1_000_000) % 30, rng.normal(5, 1, 1_000_000), rng.normal(1, 1, 1_000_000)),
    ],
)
def test_the_level_is_the_median_to_the_last_digit(values_of):
    values = values_of(np.random.default_rng(3))
    assert median_of_pixels(values) == np.median(values)


SPOILT = {"masked": {"mask": True}, "flagged": {"flags": True}, "not finite": {}}
FUNCTIONS = {
    "np.median": lambda pixels: 1 / np.median(pixels),
    "np.ma.median": lambda pixels: 1 / np.ma.median(pixels),
    "np.mean": lambda pixels: 1 / np.mean(pixels),
    "np.ma.average": lambda pixels: 1 / np.ma.average(pixels),
    "method": lambda pixels: 1 / pixels.mean(),
    "np.nanmedian": lambda pixels: 1 / np.nanmedian(pixels),
    "np.percentile": lambda pixels: 1 / np.percentile(pixels, 50),
    "section": lambda pixels: 1 / np.ma.median(pixels[0:12, 0:12]),
    "section, np.median": lambda pixels: 1 / np.median(pixels[0:12, 0:12]),
    "flattened": lambda pixels: 1 / np.median(pixels.ravel()),
    "plain array": lambda pixels: 1 / np.nanmedian(np.asarray(pixels)),
    "one value": lambda pixels: 1 / np.max(pixels),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("spoilt", SPOILT)
@pytest.mark.parametrize("value", [1e7, np.nan, -np.inf], ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_function_is_shown_good_pixels(function, spoilt, value, dtype):
    if spoilt == "not finite" and value == 1e7:
        value = np.inf
    frames = []
    for level in (1000.0, 3000.0):
        data = np.full(SHAPE, level, dtype=dtype)
        bad = np.zeros(SHAPE, dtype=bool)
        bad[3, 4] = True
        data[bad] = value
        one = CCDFrame(data, unit="adu", uncertainty=np.full(SHAPE, 5.0))
        if spoilt == "masked":
            one.mask = bad
        elif spoilt == "flagged":
            one.flags = np.where(bad, 1, 0)
        frames.append(one)
    stack = combine(frames, scale=FUNCTIONS[function])
    np.testing.assert_allclose(stack.data[~bad], 1.0, rtol=1e-6)
    assert frames[0].data[3, 4] == value or np.isnan(value)


def test_a_function_is_shown_no_pixel_of_unknown_variance():
    variance = np.full(SHAPE, 25.0)
    variance[3, 4] = np.inf
    data = np.full(SHAPE, 1000.0)
    data[3, 4] = 1e9
    frames = [frame_of(factor * data, [(NoiseSource("read noise", variance), 1.0)]) for factor in (1, 2)]
    stack = combine(frames, scale=lambda pixels: 1 / np.mean(pixels))
    assert stack.data[0, 0] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "scale",
    [lambda pixels: 0.0, lambda pixels: -1.0, lambda pixels: np.nan, lambda pixels: np.ma.masked, [1, 0], [1, 1e300]],
    ids=["zero", "negative", "nan", "masked", "list with zero", "more than float32 holds"],
)
def test_factors_that_would_spoil_a_frame_are_refused(scale):
    frames = [CCDFrame(np.full(SHAPE, 10.0, np.float32), unit="adu", uncertainty=np.ones(SHAPE)) for _ in range(2)]
    with pytest.raises(ValueError, match=r"scale factor is .*; expected a finite, positive number"):
        combine(frames, scale=scale)


def test_a_function_must_give_one_number():
    frames = [CCDFrame(np.full(SHAPE, 10.0), unit="adu", uncertainty=np.ones(SHAPE)) for _ in range(2)]
    with pytest.raises(ValueError, match="the scale function gave"):
        combine(frames, scale=lambda pixels: pixels)
    with pytest.raises(ValueError, match="read-only"):
        combine(frames, scale=lambda pixels: pixels.sort())


@pytest.mark.parametrize("case", ["white", "rows", "all"])
def test_levels_of_frames_whose_rows_have_noise_in_common(case):
    # Frames that are brought to the mean of their means have that mean, whatever the weights.
    correlation = None if case == "white" else Correlation(*CASES[case])
    rng = np.random.default_rng(1)
    frames = []
    for _ in range(2):
        data = rng.normal(1000, 50, (30, 30))
        source = NoiseSource("read noise", 2500.0, correlation=correlation)
        frames.append(CCDFrame(data, unit="electron", budget=UncertaintyBudget(data.shape, [(source, 1.0)], data=data)))
    everywhere = np.ones((30, 30))
    single = frames[0].budget.variance_of_sum(everywhere)
    stack = combine(frames, scale="mean", weights=[0.8, 0.2])
    assert stack.budget.variance_of_sum(everywhere) == pytest.approx(single / 2, rel=0.02)
