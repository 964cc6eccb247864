"""One pixel of which nothing is known stays one pixel: levels and their errors are found from the others."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import InverseVariance, VarianceUncertainty

from astro_calib import CCDFrame, Detector, calibrate, combine, flat_correct, measure_snr, subtract_overscan

SHAPE = (50, 50)
AT = (3, 4)
OTHERS = np.ones(SHAPE, dtype=bool)
OTHERS[AT] = False


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def frame(rng, level, *, unknown=None, value=None, mask=None):
    data = rng.normal(level, np.sqrt(level), SHAPE)
    if value is not None:
        data[AT] = value
    if unknown == "no weight":
        weights = np.full(SHAPE, 1 / level)
        weights[AT] = 0
        uncertainty = InverseVariance(weights)
    else:
        variance = np.full(SHAPE, float(level))
        if unknown is not None:
            variance[AT] = unknown
        uncertainty = VarianceUncertainty(variance)
    return CCDFrame(data, unit="electron", uncertainty=uncertainty, mask=mask)


UNKNOWN = pytest.mark.parametrize("unknown", [np.nan, np.inf, "no weight"], ids=str)


@UNKNOWN
@pytest.mark.parametrize("value", [None, 1e7], ids=["like the others", "huge"])
@pytest.mark.parametrize("masked", [False, True])
def test_in_a_flat(rng, unknown, value, masked):
    flat = frame(rng, 10000, unknown=unknown, value=value, mask=~OTHERS if masked else None)
    result = flat_correct(frame(rng, 100), flat)
    assert np.count_nonzero(np.isfinite(result.variance)) >= SHAPE[0] * SHAPE[1] - 1
    # (sigma / f)^2 of the frame, (z / F)^2 of the flat, and the normalisation's share of 2499 pixels.
    norm = np.mean(flat.data[OTHERS])
    f, z, of_flat = flat.data / norm, result.data, 10000 / norm**2
    expected = 100 / f**2 + (z / f) ** 2 * of_flat + z**2 * of_flat / 2499
    np.testing.assert_allclose(result.variance[OTHERS], expected[OTHERS], rtol=1e-6)
    assert masked or not np.isfinite(result.variance[AT])


@UNKNOWN
@pytest.mark.parametrize("scale", ["median", "mean"])
@pytest.mark.parametrize("options", [{}, {"method": "median"}, {"clip": "sigma"}, {"weights": [1, 2, 3]}], ids=str)
@pytest.mark.parametrize("value", [None, 1e7], ids=["like the others", "huge"])
def test_in_a_scaled_stack(unknown, scale, options, value):
    def frames(seed, bad):
        draws = np.random.default_rng(seed)
        levels = (1000, 2000, 3000)
        given = [{} if level != 2000 or not bad else {"unknown": unknown, "value": value} for level in levels]
        return [frame(draws, level, **one) for level, one in zip(levels, given, strict=True)]

    stack, without = (combine(frames(4, bad), scale=scale, **options) for bad in (True, False))
    np.testing.assert_allclose(stack.data[OTHERS], without.data[OTHERS], rtol=1e-4)
    np.testing.assert_allclose(stack.variance[OTHERS], without.variance[OTHERS], rtol=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("scale", ["median", "mean"])
@pytest.mark.parametrize("shared", [False, True])
def test_a_value_that_is_no_number_in_a_scaled_stack(rng, value, scale, shared):
    frames = [frame(rng, level, value=value if level == 2000 else None) for level in (1000, 2000, 3000)]
    if shared:
        # Their flat has noise whose coefficient goes with the frame's own values.
        flat = frame(rng, 40000)
        frames = [flat_correct(one, flat) for one in frames]
    stack = combine(frames, scale=scale)
    assert np.isfinite(stack.data).all()
    assert np.isfinite(stack.variance).all()
    np.testing.assert_array_equal(stack.n_used, np.where(OTHERS, 3, 2))


@pytest.mark.parametrize("spoil", ["value", "variance"])
def test_in_the_overscan(rng, spoil):
    data = rng.normal(1000, 5, (40, 60))
    exact = CCDFrame(data.copy(), unit="adu")
    section = "[51:60, 1:40]"
    good = subtract_overscan(exact, fits_section=section, overscan_axis=(0, 1), clip=None)
    if spoil == "value":
        data[5, 55] = np.nan
        raw = CCDFrame(data, unit="adu")
    else:
        data[5, 55] = 1e7
        variance = np.full(data.shape, 1e-12)
        variance[5, 55] = np.inf
        raw = CCDFrame(data, unit="adu", uncertainty=VarianceUncertainty(variance))
    result = subtract_overscan(raw, fits_section=section, overscan_axis=(0, 1), clip=None)
    # The level of 399 pixels.
    np.testing.assert_allclose(result.data[:, :50], good.data[:, :50], atol=0.1)
    np.testing.assert_allclose(result.variance[:, :50], 25 / 399, rtol=0.15)


@pytest.mark.parametrize("where", ["bias", "dark", "flat"])
@pytest.mark.parametrize("unknown", [np.nan, np.inf])
def test_in_a_master_of_a_calibration(rng, where, unknown):
    camera = Detector(gain=1 * u.electron / u.adu, read_noise=5 * u.electron)

    def raw(level):
        return CCDFrame(rng.normal(level, 5, SHAPE).astype(np.float32), unit="adu", meta={"EXPTIME": 60.0})

    masters = {"bias": frame(rng, 100), "dark": frame(rng, 10), "flat": frame(rng, 10000)}
    for master in masters.values():
        master.meta["EXPTIME"] = 60.0
    spoilt = masters[where].variance.copy()
    spoilt[AT] = unknown
    masters[where].uncertainty = VarianceUncertainty(spoilt)
    images = [calibrate(raw(1000), camera, **masters) for _ in range(3)]
    for result in (images[0], combine(images), combine(images, scale="median"), combine(images, method="median")):
        np.testing.assert_array_equal(np.isfinite(result.variance), OTHERS)
    weights = OTHERS.astype(float)
    assert np.isfinite(combine(images).budget.variance_of_sum(weights))


@pytest.mark.parametrize("at", [(50, 62), (100, 20)], ids=["annulus", "elsewhere"])
@pytest.mark.parametrize("spoil", [np.nan, np.inf])
def test_stars_beside_it_are_measured(at, spoil):
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:120, :120]
    scene = np.full(x.shape, 100.0)
    for column, row in ((50, 50), (80, 90), (90, 30)):
        scene += 3000 * np.exp(-((x - column) ** 2 + (y - row) ** 2) / 8)
    data, variance = rng.normal(scene, np.sqrt(scene)), scene.copy()

    def measured():
        image = CCDFrame(data, unit="electron", uncertainty=VarianceUncertainty(variance.copy()))
        return measure_snr(image, positions=[(50, 50), (80, 90), (90, 30)], fwhm=4.7)

    good = measured()
    variance[at] = spoil
    stars = measured()
    np.testing.assert_allclose(stars["snr"], good["snr"], rtol=1e-2)
    assert np.isfinite(stars["snr_empirical"]).all()
    assert np.isfinite(stars.meta["empty_predicted"])
