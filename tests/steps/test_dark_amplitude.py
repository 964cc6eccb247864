"""The amplitude of a dark, fitted to hot pixels of a frame whose temperature is another."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import CCDFrame, Detector, calibrate, combine, create_deviation, subtract_dark
from astro_calib.errors import FrameError
from astro_calib.steps import apply_steps, calibration_steps, dark_amplitude
from tests.noise_checks import assert_scatters_as_predicted

CAMERA = Detector(gain=1 * u.electron / u.adu, read_noise=5 * u.electron, saturation=60000 * u.adu)
SHAPE, LEVEL, SKY = (64, 64), 40.0, 100.0


def dark_rate(rng, number, shape=SHAPE, level=LEVEL):
    """Electrons in the dark, of ordinary and of hot pixels, and which are hot."""
    expected = np.full(shape, level)
    hot = np.zeros(shape, bool)
    hot.flat[rng.choice(expected.size, number, replace=False)] = True
    expected[hot] += 400 * np.minimum(rng.pareto(1.2, number) + 1, 40)
    return expected, hot


def exposed(rng, expected, seconds, name=None):
    pixels = rng.poisson(expected) + rng.normal(0, 5, expected.shape)
    return create_deviation(CCDFrame(pixels, unit="electron", meta={"EXPTIME": seconds}, name=name), CAMERA)


def fitted(frame, dark):
    return subtract_dark(frame, dark, exposure_time="EXPTIME", scale=True, amplitude="fit")


@pytest.fixture
def rng():
    return np.random.default_rng(8)


@pytest.mark.long
def test_pixels_sums_and_stacks_scatter_as_predicted():
    rng = np.random.default_rng(3)
    errors = {key: ([], []) for key in ("pixel", "stack", "sum", "sum of a stack", "amplitude")}
    for _ in range(40):
        expected, hot = dark_rate(rng, 80)
        dark = combine([exposed(rng, expected, 60.0) for _ in range(4)])
        frames = [fitted(exposed(rng, SKY + 0.65 * expected, 30.0), dark) for _ in range(10)]
        weights = np.where(hot, 0.0, 1.0)
        for key, image in (("pixel", frames[0]), ("stack", combine(frames))):
            errors[key][0].append((image.data - SKY)[~hot])
            errors[key][1].append(image.variance[~hot].mean())
            of_sum = "sum" if key == "pixel" else "sum of a stack"
            errors[of_sum][0].append(np.sum((image.data - SKY) * weights))
            errors[of_sum][1].append(image.budget.variance_of_sum(weights))
        errors["amplitude"][0].extend(frame.meta["DARKAMP"] - 1.3 for frame in frames)
        errors["amplitude"][1].extend(frame.meta["DARKAERR"] ** 2 for frame in frames)
    for key in ("pixel", "stack"):
        assert_scatters_as_predicted(np.concatenate(errors[key][0]), errors[key][1])
    # 400 amplitudes of 40 darks, and 40 sums; `validate` has more.
    for key, tolerance in (("amplitude", 0.12), ("sum", 0.3), ("sum of a stack", 0.3)):
        made, predicted = (np.array(part) for part in errors[key])
        assert np.sqrt(np.mean(made**2) / predicted.mean()) == pytest.approx(1, abs=tolerance)
    # The frames' own parts average down, that of the dark's noise does not.
    one, stack = (np.mean(errors[key][1]) for key in ("sum", "sum of a stack"))
    assert 0.1 < stack / one < 0.5


@pytest.mark.parametrize("number", [60, 400])
def test_the_amplitude_of_many_draws_is_as_uncertain_as_it_says(number):
    # By the formula for points with errors in both coordinates, on numbers that no frame was made for.
    rng = np.random.default_rng(4)
    pulls = []
    for _ in range(1500):
        there = 150 * np.minimum(rng.pareto(1.2, number) + 1, 40)
        of_x, of_y = (there + 25) / 10, 160 + 1.3 * there
        x, y = rng.normal(there, np.sqrt(of_x)), rng.normal(1.3 * there, np.sqrt(of_y))
        pixels = dark_amplitude._Pixels(x, y, of_x, of_y)
        value, spread = dark_amplitude._solved(pixels)
        pulls.append((value - 1.3) / np.sqrt(sum(dark_amplitude._variances(pixels, value, spread))))
    assert np.std(pulls) == pytest.approx(1, abs=0.06)
    assert abs(np.mean(pulls)) < 0.12


def test_stars_on_hot_pixels_do_not_matter(rng):
    expected, _ = dark_rate(rng, 150, (128, 128))
    dark = combine([exposed(rng, expected, 60.0) for _ in range(4)])
    rows, columns = np.mgrid[:128, :128]
    stars = sum(
        rng.exponential(3000) * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 8)
        for y, x in rng.uniform(0, 128, (60, 2))
    )
    frames = [fitted(exposed(rng, SKY + stars + 1.3 * expected, 60.0), dark) for _ in range(8)]
    pulls = [(frame.meta["DARKAMP"] - 1.3) / frame.meta["DARKAERR"] for frame in frames]
    assert np.abs(pulls).max() < 4
    assert abs(np.mean(pulls)) < 1.5
    assert np.std([frame.meta["DARKAMP"] for frame in frames]) < 0.01


def test_hot_pixels_that_grow_differently_have_an_error_for_that(rng):
    expected, hot = dark_rate(rng, 300, (128, 128))
    growth = 1 + 0.08 * rng.standard_normal(expected.shape)
    dark = combine([exposed(rng, expected, 60.0) for _ in range(10)])
    frames = [fitted(exposed(rng, SKY + 1.3 * growth * expected, 60.0), dark) for _ in range(2)]
    pulls = (frames[0].data - SKY)[hot] / np.sqrt(frames[0].variance[hot])
    assert np.std(pulls) == pytest.approx(1, abs=0.12)
    # They do so in all frames of that temperature: little of it is left in their difference.
    difference = frames[0] - frames[1]
    assert difference.variance[hot].mean() < 0.1 * (frames[0].variance + frames[1].variance)[hot].mean()
    # How wide they spread is found from each frame, and the difference of that counts as noise.
    ratio = np.sqrt(np.mean(difference.data[hot] ** 2) / difference.variance[hot].mean())
    assert 0.6 < ratio < 1.1


def test_few_hot_pixels_and_those_that_do_not_grow_in_proportion_are_refused(rng):
    expected, _ = dark_rate(rng, 10)
    dark = combine([exposed(rng, expected, 60.0) for _ in range(4)])
    frame = exposed(rng, SKY + expected, 60.0, name="m31.fits")
    with pytest.raises(FrameError, match=r"m31\.fits: the master dark .* has [0-9]+ hot pixels .* 50 or more"):
        fitted(frame, dark)
    expected, _ = dark_rate(rng, 200)
    dark = combine([exposed(rng, expected, 60.0) for _ in range(4)])
    curved = exposed(rng, SKY + expected / (1 + expected / 20000), 60.0, name="curved.fits")
    with pytest.raises(FrameError, match=r"curved\.fits: hot pixels do not grow in proportion"):
        fitted(curved, dark)
    other = exposed(rng, SKY + rng.permuted(expected), 60.0, name="other.fits")
    with pytest.raises(FrameError, match=r"other\.fits: .* no amplitude in common"):
        fitted(other, dark)
    with pytest.raises(FrameError, match="has no noise yet"):
        fitted(CCDFrame(frame.data, unit="electron", meta={"EXPTIME": 60.0}), dark)
    with pytest.raises(ValueError, match="'scale'; expected 'fit'"):
        subtract_dark(frame, dark, amplitude="scale")


@pytest.fixture
def night(rng):
    def raw(electrons, seconds):
        pixels = np.rint(500 + rng.poisson(electrons) + rng.normal(0, 5, SHAPE))
        return CCDFrame(pixels.astype(np.uint16), unit="adu", meta={"EXPTIME": seconds})

    expected, _ = dark_rate(rng, 100)
    zero = np.zeros(SHAPE)
    bias = combine([calibrate(raw(zero, 0.0), CAMERA, shot_noise=0, pedestal=0) for _ in range(4)])
    dark = combine([calibrate(raw(expected, 60.0), CAMERA, bias=bias) for _ in range(4)])
    flat = combine([calibrate(raw(zero + 20000, 2.0), CAMERA, bias=bias) for _ in range(4)])
    masters = {"bias": bias, "dark": dark, "flat": flat}
    return masters, [raw(SKY + 0.65 * expected, 30.0) for _ in range(2)]


def test_one_pass_gives_what_one_pass_a_step_gives(night):
    masters, raws = night
    steps = calibration_steps(CAMERA, **masters, dark_amplitude="fit")
    together, apart = (apply_steps(raws[0], steps, fused=fused) for fused in (True, False))
    np.testing.assert_allclose(together.data, apart.data, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(together.variance, apart.variance, rtol=1e-5)
    assert "dark amplitude" in together.budget.names
    assert together.meta["DARKAMP"] == pytest.approx(1.3, abs=5 * together.meta["DARKAERR"])
    np.testing.assert_allclose(sum(together.budget.variances().values()), together.variance, rtol=1e-4)


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
def test_files_hold_its_error(night, tmp_path, suffix):
    masters, raws = night
    for kind, master in masters.items():
        master.write(tmp_path / f"{kind}.{suffix}")
    images = [calibrate(raw, CAMERA, **masters, dark_amplitude="fit") for raw in raws]
    stack = combine(images)
    weights = np.ones(SHAPE)
    for number, image in enumerate([*images, stack]):
        image.write(tmp_path / f"{number}.{suffix}")
    read = [CCDFrame.read(tmp_path / f"{number}.{suffix}") for number in range(3)]
    for one, image in zip(read, [*images, stack], strict=True):
        np.testing.assert_allclose(one.variance, image.variance, rtol=1e-5)
        assert one.budget.variance_of_sum(weights) == pytest.approx(image.budget.variance_of_sum(weights), rel=1e-4)
    shared = (images[0] - images[1]).budget.variance_of_sum(weights)
    assert (read[0] - read[1]).budget.variance_of_sum(weights) == pytest.approx(shared, rel=1e-4)
    plain = calibrate(raws[0], CAMERA, **masters)
    plain.write(tmp_path / f"plain.{suffix}")
    sizes = [(tmp_path / f"{name}.{suffix}").stat().st_size for name in ("0", "plain")]
    assert sizes[0] - sizes[1] < 0.5 * images[0].pixels.nbytes


def test_the_fit_does_not_touch_what_it_is_given(night):
    masters, raws = night
    before = raws[0].pixels.copy(), masters["dark"].pixels.copy()
    calibrate(raws[0], CAMERA, **masters, dark_amplitude="fit")
    np.testing.assert_array_equal(raws[0].pixels, before[0])
    np.testing.assert_array_equal(masters["dark"].pixels, before[1])
    assert "DARKAMP" not in raws[0].meta


def test_one_frame_that_is_calibrated_twice_has_the_same_error_twice(night):
    masters, raws = night
    first, second = (calibrate(raws[0], CAMERA, **masters, dark_amplitude="fit") for _ in range(2))
    weights = np.ones(first.shape)
    assert np.all(first.data == second.data)
    assert (first - second).budget.variance_of_sum(weights) < 1e-6 * first.budget.variance_of_sum(weights)


def test_masked_pixels_have_no_say_whether_the_variance_was_asked_for_or_not(rng):
    expected, hot = dark_rate(rng, 300)
    dark = combine([exposed(rng, expected, 100.0) for _ in range(9)])
    pixels = rng.poisson(SKY + 0.5 * expected) + rng.normal(0, 5, SHAPE)
    mask = np.zeros(SHAPE, dtype=bool)
    mask.flat[rng.choice(np.flatnonzero(hot), 100, replace=False)] = True
    pixels[mask] *= 1.5
    raw = CCDFrame(pixels, unit="electron", mask=mask, meta={"EXPTIME": 100.0})
    frames = [create_deviation(raw, CAMERA) for _ in range(2)]
    assert frames[1].variance is not None
    unasked, asked = (fitted(frame, dark) for frame in frames)
    assert unasked.meta["DARKAMP"] == pytest.approx(asked.meta["DARKAMP"], rel=1e-6)
    assert abs(unasked.meta["DARKAMP"] - 0.5) < 4 * unasked.meta["DARKAERR"]
