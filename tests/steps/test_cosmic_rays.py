from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import CCDFrame, DataQuality, Detector, calibrate, combine, cosmicray_lacosmic
from tests.noise_checks import make_frame

SKY, SIGMA = 200.0, 15.0
HITS = (np.repeat(np.arange(15, 90, 15), 5), np.tile(np.arange(15, 90, 15), 5))


def sky_frame(rng, *, shape=(100, 100), hits=HITS, **kwargs):
    frame = make_frame(rng, SKY, SIGMA, shape, dtype=np.float32, **kwargs)
    frame.data[hits] += 4000.0
    return CCDFrame(frame.data, unit="electron", uncertainty=np.full(shape, SIGMA), **kwargs)


def test_hits_are_found_replaced_flagged_and_masked(rng):
    frame = sky_frame(rng, meta={"EXPTIME": 60.0})
    before = frame.data.copy()
    result = cosmicray_lacosmic(frame)
    hit = (result.flags & DataQuality.COSMIC_RAY) != 0
    assert hit[HITS].all()
    np.testing.assert_array_equal(result.mask, hit)
    assert np.abs(result.data[HITS] - SKY).max() < 5 * SIGMA
    np.testing.assert_array_equal(result.data[~hit], before[~hit])
    np.testing.assert_array_equal(frame.data, before)
    assert frame.flags is None
    assert result.data.dtype == result.variance.dtype == np.float32
    assert result.meta["EXPTIME"] == 60.0
    assert result.unit == u.electron


def test_a_sky_without_hits_is_left_alone(rng):
    frame = sky_frame(rng, hits=(np.array([], dtype=int),) * 2)
    result = cosmicray_lacosmic(frame)
    assert result.mask is None or result.mask.sum() <= 1  # 10000 pixels, 4.5 sigma
    assert np.isfinite(result.variance).all()


def test_a_replacement_has_the_error_of_a_median_plus_the_local_scatter(rng):
    # The median of n = 24 neighbours, Var = pi / 2 s^2 / n, and the truth anywhere in their range, s^2.
    result = cosmicray_lacosmic(sky_frame(rng))
    assert np.isfinite(result.variance).all()
    expected = SIGMA**2 * (1 + np.pi / 2 / 24)
    assert result.variance[HITS].mean() == pytest.approx(expected, rel=0.15)
    others = ~result.mask
    np.testing.assert_allclose(result.variance[others], SIGMA**2)


def test_a_replacement_has_nothing_of_the_noise_of_the_pixel_that_was_hit(rng):
    master = make_frame(rng, 0.0, 5.0, (100, 100), dtype=np.float32)
    frame = sky_frame(rng) - master
    result = cosmicray_lacosmic(frame)
    parts = result.budget.variances()
    np.testing.assert_allclose(sum(parts.values()), result.variance, rtol=1e-5)
    for name, part in parts.items():
        if name == "cosmic ray repair":
            assert np.all(part[HITS] > 0)
            assert not part[~result.mask].any()
        else:
            assert not part[HITS].any()


def test_repaired_pixels_are_left_out_of_a_stack(rng):
    frames = [sky_frame(rng, hits=(np.array([20 + i]), np.array([30]))) for i in range(3)]
    stack = combine([cosmicray_lacosmic(frame) for frame in frames])
    np.testing.assert_array_equal(stack.n_used[20:23, 30], 2)
    np.testing.assert_allclose(stack.data[20, 30], (frames[1].data[20, 30] + frames[2].data[20, 30]) / 2)
    np.testing.assert_allclose(stack.variance[20:23, 30], SIGMA**2 / 2)


@pytest.mark.parametrize("value", [0.0, 60000.0])
@pytest.mark.parametrize("sky", [200.0, 2000.0])
def test_a_masked_column_makes_no_cosmic_rays_of_its_neighbours(rng, value, sky):
    sigma = np.sqrt(sky)
    data = rng.normal(sky, sigma, (80, 80)).astype(np.float32)
    data[:, 40] = value
    data[30, 41] += 5000.0
    mask = np.zeros(data.shape, dtype=bool)
    mask[:, 40] = True
    frame = CCDFrame(data, unit="electron", uncertainty=np.full(data.shape, sigma), mask=mask)
    result = cosmicray_lacosmic(frame)
    found = (result.flags & DataQuality.COSMIC_RAY) != 0
    assert found.sum() <= 6
    assert not found[:, 40].any()
    # What cannot be measured does not serve to repair its neighbour either.
    if found[30, 41]:
        assert abs(result.data[30, 41] - sky) < 3 * sigma


def test_what_is_masked_already_keeps_its_flag_and_value(rng):
    frame = sky_frame(rng)
    mask = np.zeros(frame.shape, dtype=bool)
    mask[HITS] = True
    flagged = CCDFrame(frame, mask=mask, flags=np.where(mask, DataQuality.SATURATED, 0).astype(np.uint16))
    result = cosmicray_lacosmic(flagged)
    assert np.all(result.flags[HITS] == DataQuality.SATURATED)
    np.testing.assert_array_equal(result.data[HITS], frame.data[HITS])
    np.testing.assert_allclose(result.variance[HITS], SIGMA**2)


def test_a_frame_with_pixels_that_are_not_numbers(rng):
    frame = sky_frame(rng)
    data = frame.data.copy()
    data[50, 50:52] = np.nan
    mask = np.isnan(data)
    result = cosmicray_lacosmic(CCDFrame(data, unit="electron", uncertainty=np.where(mask, np.nan, SIGMA), mask=mask))
    assert (result.flags[HITS] == DataQuality.COSMIC_RAY).all()
    assert np.isfinite(result.variance[~mask]).all()
    assert np.isfinite(result.data[~mask]).all()


def test_a_frame_without_variance_is_repaired_too(rng):
    frame = CCDFrame(sky_frame(rng).data, unit="electron")
    result = cosmicray_lacosmic(frame, readnoise=5.0)
    assert (result.flags[HITS] & DataQuality.COSMIC_RAY).all()
    assert result.variance is None


def test_a_higher_threshold_finds_less(rng):
    result = cosmicray_lacosmic(sky_frame(rng), sigclip=1000.0)
    assert result.mask is None or not result.mask.any()


def test_cosmic_rays_are_looked_for_in_electrons():
    with pytest.raises(u.UnitConversionError, match=r"d1048\.fits.*adu.*gain_correct"):
        cosmicray_lacosmic(CCDFrame(np.ones((10, 10)), unit="adu", name="d1048.fits"))


def test_hits_may_be_masked_only(rng):
    frame = sky_frame(rng)
    repaired, masked = cosmicray_lacosmic(frame), cosmicray_lacosmic(frame, repair=False)
    np.testing.assert_array_equal(masked.mask, repaired.mask)
    np.testing.assert_array_equal(masked.flags, repaired.flags)
    assert masked.mask[HITS].all()
    np.testing.assert_array_equal(masked.data, frame.data)
    np.testing.assert_array_equal(masked.variance, frame.variance)
    assert "cosmic ray repair" not in masked.budget.names
    with pytest.raises(TypeError, match="repair"):
        cosmicray_lacosmic(frame, repair="no")


def test_a_calibration_masks_them_only(rng):
    camera = Detector(gain=1 * u.electron / u.adu, read_noise=5 * u.electron)
    pixels = np.rint(rng.normal(1200, 15, (64, 64)))
    pixels[30, 40] = 9000
    raw = CCDFrame(pixels.astype(np.uint16), unit="adu")
    plain, masked = (calibrate(raw, camera, pedestal=1000, cosmic_rays=how) for how in (False, "mask"))
    assert masked.flags[30, 40] & DataQuality.COSMIC_RAY
    assert masked.mask[30, 40]
    np.testing.assert_array_equal(masked.data, plain.data)
    with pytest.raises(TypeError, match="cosmic_rays is 'Mask'; expected True or False, or 'mask'"):
        calibrate(raw, camera, pedestal=1000, cosmic_rays="Mask")
