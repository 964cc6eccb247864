"""The map of a shutter that flats of two exposures tell, and what a lamp that drifts does to it."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import StdDevUncertainty
from astropy.time import Time

from astro_calib import CCDFrame, covariance, shutter_correct
from astro_calib.characterize import shutter_map
from astro_calib.errors import FrameError, NoiseWarning
from astro_calib.flags import DataQuality
from tests.noise_checks import assert_scatters_as_predicted

SHAPE = (32, 40)
ROWS, COLUMNS = np.meshgrid(np.linspace(-1, 1, SHAPE[0]), np.linspace(-1, 1, SHAPE[1]), indexing="ij")
#: An iris: the middle is open for longer than the corners, which the rest of the lamp's light does not show.
DELAY = 0.03 - 0.04 * (ROWS**2 + COLUMNS**2)
SENSITIVITY = 1 + 0.1 * np.sin(9 * ROWS) * np.cos(7 * COLUMNS)


def flat(rng, seconds, *, light=1.0, rate=20000.0, delay=DELAY, minute=None, sensitivity=SENSITIVITY, dtype=float):
    """A flat in electrons, net of bias and dark."""
    expected = light * rate * np.broadcast_to(sensitivity, np.shape(delay)) * (seconds + delay)
    meta = {"EXPTIME": seconds}
    if minute is not None:
        meta["DATE-OBS"] = Time(60000 + minute / 1440, format="mjd").isot
    data = rng.normal(expected, np.sqrt(expected)).astype(dtype)
    return CCDFrame(data, unit="electron", uncertainty=StdDevUncertainty(np.sqrt(expected).astype(dtype)), meta=meta)


def flats(rng, seconds, number, **options):
    return [flat(rng, seconds, **options) for _ in range(number)]


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_map_is_right_to_its_own_noise(rng, dtype):
    errors, predicted = [], []
    for _ in range(40):
        shutter = shutter_map(flats(rng, 1.0, 3, dtype=dtype), flats(rng, 10.0, 2, dtype=dtype), lamp=0)
        errors.append(shutter.data - DELAY)
        predicted.append(shutter.variance)
    assert shutter.unit == u.s
    assert shutter.dtype == dtype
    assert_scatters_as_predicted(np.array(errors), np.array(predicted))
    # What plain NumPy makes of the last flats' noise: the long ones count little.
    signal = 20000 * SENSITIVITY
    variance = ((10 + DELAY) ** 2 * (1 + DELAY) / 3 + (1 + DELAY) ** 2 * (10 + DELAY) / 2) / (81 * signal)
    np.testing.assert_allclose(shutter.variance, variance, rtol=0.1)
    assert np.mean(shutter.variance) == pytest.approx(np.mean(variance), rel=0.005)


def test_a_lamp_that_is_known_to_be_uncertain_is_an_error_that_all_pixels_share(rng):
    lamp, delay = 0.005, np.full((8, 8), 0.02)
    light = 1 + lamp * rng.standard_normal(40000)
    # As the lamp draws, so does the map that counts it as steady.
    ratio = light * 0.52 / 5.02
    made = 4.5 / (1 - ratio) - 5.0 - 0.02
    short, long = (flat(rng, seconds, rate=4e6, delay=delay, sensitivity=1.0) for seconds in (0.5, 5.0))
    shutter = shutter_map([short], [long], lamp=lamp)
    exact = shutter_map([short], [long], lamp=0)
    weights = np.full((8, 8), 1 / 64)
    of_lamp = shutter.budget.variance_of_sum(weights) - exact.budget.variance_of_sum(weights)
    np.testing.assert_allclose(shutter.variance - exact.variance, of_lamp, rtol=1e-2)
    assert np.sqrt(of_lamp) == pytest.approx(made.std(), rel=0.01)
    assert shutter.meta["LAMPERR"] == pytest.approx(lamp)


@pytest.mark.long
def test_short_exposures_share_what_the_long_flats_are_off(rng):
    """Each exposure has its own light; pytest makes an error of a warning that they contradict each other."""
    lamp, delay = 0.01, np.full((8, 8), 0.05)
    made, predicted = [], []
    weights = np.full((8, 8), 1 / 64)
    for _ in range(150):
        light = 1 + lamp / np.sqrt(2) * rng.standard_normal(3)
        short, other, long = (
            flats(rng, seconds, 2, light=factor, rate=4e6, delay=delay, sensitivity=1.0)
            for seconds, factor in zip((1.0, 1.2, 10.0), light, strict=True)
        )
        shutter = shutter_map([*short, *other], long, lamp=lamp)
        made.append(shutter.data.mean())
        predicted.append(shutter.budget.variance_of_sum(weights))
    assert np.std(made) / np.sqrt(np.mean(predicted)) == pytest.approx(1, abs=0.2)


@pytest.mark.long
def test_a_lamp_that_drifts_is_followed_where_the_headers_tell_the_time(rng):
    made, predicted = [], []

    def light(minute):
        return (1 - 0.002 * minute) * (1 + 0.001 * rng.standard_normal())

    for _ in range(300):
        order = [(minute, 1.0 if minute % 2 else 10.0) for minute in range(10)]
        # All short ones first, then all long ones, with other gaps, is the hard case.
        if len(made) % 2:
            order = [(minute, 1.0 if minute < 5 else 10.0) for minute in range(10)]
        series = [
            flat(rng, seconds, light=light(minute), rate=4e5, minute=minute, delay=DELAY[:8, :8], sensitivity=1.0)
            for minute, seconds in order
        ]
        shorts = [one for one in series if one.meta["EXPTIME"] == 1.0]
        longs = [one for one in series if one.meta["EXPTIME"] == 10.0]
        shutter = shutter_map(shorts, longs)
        made.append(float(np.mean(shutter.data - DELAY[:8, :8])))
        predicted.append(shutter.budget.variance_of_sum(np.full((8, 8), 1 / 64)))
    made, predicted = np.array(made), np.array(predicted)
    for case in (made[::2], made[1::2]):
        assert abs(case.mean()) < 3.5 * case.std() / np.sqrt(len(case))
    for case in (slice(0, None, 2), slice(1, None, 2)):
        ratio = np.sqrt(np.mean(made[case] ** 2) / predicted[case].mean())
        # Of 150 draws the scatter is known to 6%.
        assert ratio == pytest.approx(1, abs=0.18)
    assert predicted[1::2].mean() > 4 * predicted[::2].mean()


def test_nothing_tells_how_steady_the_lamp_was(rng):
    short, long = flats(rng, 1.0, 1), flats(rng, 10.0, 1)
    with pytest.warns(NoiseWarning, match="how steady the lamp was"):
        shutter_map(short, long)
    shutter = shutter_map([flat(rng, 1.0, light=1.05)], long, level=0 * u.s)
    assert np.median(shutter.data) == pytest.approx(0, abs=1e-9)
    assert shutter.meta["LAMP"] == pytest.approx((1 + np.median(DELAY)) / 1.05 / (1 + np.median(DELAY) / 10), rel=0.01)
    # What differs between pixels is right to the second order.
    shape = DELAY - np.median(DELAY)
    slope = np.polyfit(shape.ravel(), shutter.data.ravel(), 1)[0]
    assert slope == pytest.approx(1, abs=0.03)


def test_several_short_exposures_are_averaged_and_compared(rng):
    shorts = [*flats(rng, 1.0, 2), *flats(rng, 2.0, 2)]
    long = flats(rng, 20.0, 2)
    together = shutter_map(shorts, long, lamp=0)
    alone = shutter_map(shorts[:2], long, lamp=0)
    assert np.mean(together.variance) < 0.8 * np.mean(alone.variance)
    assert np.std(together.data - DELAY) == pytest.approx(np.sqrt(np.mean(together.variance)), rel=0.08)
    dimmed = flats(rng, 2.0, 2, light=0.97)
    with pytest.warns(NoiseWarning, match=r"flats of 1 s show .* flats of 2 s"):
        shutter_map([*shorts[:2], *dimmed], long, lamp=0)


def test_pixels_that_tell_nothing_are_masked(rng):
    short, long = flat(rng, 1.0), flat(rng, 10.0)
    short.mask = np.zeros(SHAPE, bool)
    short.mask[3, 4] = True
    data = long.data
    data[7, 8] = 0.0
    shutter = shutter_map(
        [short],
        [CCDFrame(data, unit="electron", uncertainty=np.sqrt(np.abs(data)) + 1, meta={"EXPTIME": 10.0})],
        lamp=0,
    )
    assert shutter.mask[3, 4]
    assert shutter.mask[7, 8]
    assert shutter.flags[7, 8] & DataQuality.NO_DATA
    assert np.count_nonzero(shutter.mask) == 2


@pytest.mark.parametrize(
    ("short", "long", "says"),
    [
        (1.0, 1.2, r"up to 1 s and long ones of 1\.2 s do not show the shutter"),
        (0.0, 5.0, "up to 0 s"),
        (5.0, 1.0, "up to 5 s"),
    ],
)
def test_exposures_that_do_not_tell_are_refused(rng, short, long, says):
    with pytest.raises(FrameError, match=says):
        shutter_map([flat(rng, short, delay=np.full(SHAPE, 0.1))], [flat(rng, long)], lamp=0)


def test_flats_without_light_and_long_ones_of_several_exposures_are_refused(rng):
    dark = CCDFrame(
        rng.normal(0, 5, SHAPE) - 3,
        unit="electron",
        uncertainty=np.full(SHAPE, 5.0),
        name="dark.fits",
        meta={"EXPTIME": 1.0},
    )
    with pytest.raises(FrameError, match=r"dark\.fits has no light"):
        shutter_map([dark], flats(rng, 10.0, 1), lamp=0)
    whole = CCDFrame(np.full(SHAPE, 1000, np.uint16), unit="adu", name="raw.fits", meta={"EXPTIME": 1.0})
    long = CCDFrame(np.full(SHAPE, 9000, np.uint16), unit="adu", name="long.fits", meta={"EXPTIME": 10.0})
    with pytest.raises(FrameError, match=r"raw\.fits is a raw frame"):
        shutter_map([whole], [long], lamp=0)
    once = shutter_map(flats(rng, 1.0, 1), flats(rng, 10.0, 1), lamp=0)
    with pytest.raises(FrameError, match="for the shutter already"):
        shutter_map([shutter_correct(flat(rng, 1.0), once)], flats(rng, 10.0, 1), lamp=0)
    with pytest.raises(FrameError, match="exposures of 10 to 20 s"):
        shutter_map(flats(rng, 1.0, 1), [flat(rng, 10.0), flat(rng, 20.0)], lamp=0)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"lamp": 0.01, "level": 0 * u.s}, ValueError, "Give one"),
        ({"level": 0 * u.m}, u.UnitConversionError, "level is in m"),
        ({"lamp": 0, "degree": 9}, ValueError, "expected 0 to 8"),
    ],
    ids=["both", "unit", "degree"],
)
def test_what_the_flats_cannot_be_asked_is_refused(rng, options, error, says):
    with pytest.raises(error, match=says):
        shutter_map(flats(rng, 1.0, 1), flats(rng, 10.0, 1), **options)


def smooth_maps(rng, number, side=64):
    """Maps that are fitted by a parabola, with the true one."""
    across = np.linspace(-1, 1, side)
    delay = 0.03 - 0.02 * (across**2 + across[:, np.newaxis] ** 2)
    options = {"rate": 2000.0, "delay": delay, "sensitivity": 1.0}
    for _ in range(number):
        yield shutter_map(flats(rng, 1.0, 1, **options), flats(rng, 10.0, 1, **options), lamp=0, degree=2), delay


def test_a_smooth_map_has_little_noise_which_its_pixels_share(rng):
    weights = np.full((64, 64), 1 / 64**2)
    made, predicted, means, of_means = [], [], [], []
    for shutter, delay in smooth_maps(rng, 150):
        made.append(shutter.data - delay)
        predicted.append(shutter.variance)
        means.append(np.mean(shutter.data - delay))
        of_means.append(shutter.budget.variance_of_sum(weights))
    pixel = 0.0223 * np.sqrt(1.03)
    assert np.sqrt(np.mean(predicted)) < pixel / 15
    # Six numbers in each map, and one mean, of 150 maps.
    assert np.sqrt(np.mean(np.square(made)) / np.mean(predicted)) == pytest.approx(1, abs=0.08)
    assert np.sqrt(np.mean(np.square(means)) / np.mean(of_means)) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
def test_a_smooth_map_is_applied_and_kept_in_files(rng, tmp_path, suffix):
    shutter, delay = next(smooth_maps(rng, 1))
    shutter.write(tmp_path / f"shutter.{suffix}")
    frames = [flat(rng, 0.5, delay=delay, sensitivity=1.0) for _ in range(2)]
    images = [shutter_correct(frame, shutter) for frame in frames]
    for number, image in enumerate(images):
        image.write(tmp_path / f"{number}.{suffix}")
    read = [CCDFrame.read(tmp_path / f"{number}.{suffix}") for number in range(2)]
    for one, image in zip(read, images, strict=True):
        np.testing.assert_allclose(one.variance, image.variance, rtol=1e-5)
    shared = images[0].data * images[1].data * shutter.variance / (0.5 + shutter.data) ** 2
    np.testing.assert_allclose(covariance(*read), shared, rtol=1e-5)
    again = CCDFrame.read(tmp_path / f"shutter.{suffix}")
    np.testing.assert_allclose(again.variance, shutter.variance, rtol=1e-6)
    assert (tmp_path / f"shutter.{suffix}").stat().st_size < 2.2 * shutter.pixels.nbytes + 60000


def test_a_shading_that_is_no_polynomial_is_said(rng):
    across = np.abs(np.linspace(-1, 1, 64))
    blades = -0.05 * np.maximum(across, across[:, np.newaxis])
    options = {"rate": 40000.0, "delay": blades, "sensitivity": 1.0}
    with pytest.warns(NoiseWarning, match="no polynomial of degree 2"):
        shutter_map(flats(rng, 1.0, 4, **options), flats(rng, 10.0, 4, **options), lamp=0, degree=2)
