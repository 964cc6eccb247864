from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import CCDFrame, DataQuality, Detector, calibrate, combine, simulate
from astro_calib.characterize import bad_pixel_mask, dark_current
from astro_calib.errors import FrameError, ShapeMismatchError

CAMERA = Detector(gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron)
SHAPE = (120, 130)


@pytest.fixture(scope="module")
def sensitivity():
    """A vignetted flat of pixels that differ by 1%, with a dust grain that takes a tenth."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    rng = np.random.default_rng(1)
    image = 1 - 0.2 * np.hypot(y / SHAPE[0] - 0.5, x / SHAPE[1] - 0.5) + rng.normal(0, 0.01, SHAPE)
    image[np.hypot(y - 60, x - 90) < 6] *= 0.9
    return image / image.mean()


def flats_of(sensitivity, levels, seed=2, odd=(), dim=()):
    """Flats in electrons; the odd pixels lose a part of their light that grows with it, the dim ones most of it."""
    rng = np.random.default_rng(seed)
    frames = []
    for number, level in enumerate(levels):
        image = level * sensitivity
        for place in odd:
            image[place] *= 1 - image[place] / 100000
        for place in dim:
            image[place] *= 0.2
        data = rng.poisson(image) + rng.normal(0, 8, SHAPE)
        frames.append(CCDFrame(data.astype(np.float32), unit="electron", name=f"flat{number}.fits"))
    return frames


@pytest.mark.long
def test_pixels_that_do_not_respond_in_proportion_are_found_and_no_others(sensitivity):
    odd, dim = [(10, 20), (77, 101)], [(30, 40)]
    mask = bad_pixel_mask(flats=flats_of(sensitivity, [4000] * 3 + [40000] * 3, odd=odd, dim=dim))
    assert sorted(map(tuple, np.argwhere(mask.data).tolist())) == sorted(odd + dim)
    assert mask.meta["NRATIO"] == 2
    assert mask.meta["NLIGHT"] == 1
    np.testing.assert_array_equal(mask.flags, np.where(mask.data, np.uint16(DataQuality.BAD), 0))


def test_good_flats_have_no_bad_pixels_whatever_their_dust(sensitivity):
    assert not bad_pixel_mask(flats=flats_of(sensitivity, [4000] * 5 + [40000] * 5)).data.any()


def test_flats_of_one_level_show_light_only(sensitivity):
    mask = bad_pixel_mask(flats=flats_of(sensitivity, [20000, 21000], odd=[(5, 5)], dim=[(30, 40)]))
    assert np.argwhere(mask.data).tolist() == [[30, 40]]
    assert "NRATIO" not in mask.meta


def test_hot_pixels_of_darks_and_bad_ones_of_flats_are_one_mask_that_calibrate_takes(sensitivity, tmp_path):
    rates = np.full(SHAPE, 0.3)
    rates[50, 60] = 30.0
    camera = simulate.Camera(shape=SHAPE, detector=CAMERA, dark_rate=rates)
    rng = np.random.default_rng(3)
    darks = [camera.expose("dark", time, rng=rng)[0] for time in [60, 60, 600, 600]]
    measured = dark_current(darks, detector=CAMERA)
    flats = flats_of(sensitivity, [4000, 4000, 40000, 40000], dim=[(30, 40)])
    mask = bad_pixel_mask(measured, flats)
    np.testing.assert_array_equal(bad_pixel_mask(darks, flats, detector=CAMERA).data, mask.data)
    assert np.argwhere(mask.data).tolist() == [[30, 40], [50, 60]]
    assert mask.meta["NHOT"] == 1
    step = mask.provenance[-1]
    assert step["step"] == "bad_pixel_mask"
    assert step["parameters"]["flats"] == [f"flat{number}.fits" for number in range(4)]
    assert len(step["parameters"]["darks"]) == 4
    path = tmp_path / "bad.fits"
    mask.write(path)
    again = CCDFrame.read(path)
    raw = CCDFrame(np.full(SHAPE, 1100, np.uint16), unit="adu")
    for given in (mask, again):
        calibrated = calibrate(raw, CAMERA, pedestal=1000, bad_pixels=given)
        assert np.argwhere(calibrated.mask).tolist() == [[30, 40], [50, 60]]


def test_bias_is_subtracted_from_raw_flats_and_asked_for(sensitivity):
    camera = simulate.Camera(shape=SHAPE, detector=CAMERA, sensitivity={"V": sensitivity})
    rng = np.random.default_rng(5)
    raw = [camera.expose("flat", 1, rng=rng, filter="V", sky=level)[0] for level in [4000, 4000, 40000, 40000]]
    with pytest.raises(FrameError, match="its pedestal would count as light"):
        bad_pixel_mask(flats=raw)
    bias = CCDFrame(np.full(SHAPE, 1000.0), unit="adu")
    mask = bad_pixel_mask(flats=raw, bias=bias)
    assert not mask.data.any()
    assert mask.provenance[-1]["masters"][0]["kind"] == "bias"


def test_pixels_that_no_flat_has_are_bad(sensitivity):
    flats = flats_of(sensitivity, [4000, 4000, 40000, 40000])
    for flat in flats:
        data = flat.data.copy()
        data[3, 4] = np.nan
        flat.data = data
    mask = bad_pixel_mask(flats=flats)
    assert np.argwhere(mask.data).tolist() == [[3, 4]]
    assert mask.meta["NUNFIT"] == 1


@pytest.mark.long
def test_bad_column_of_a_real_camera_is_found(nickel):
    # The one that the observers know, counted from 0, and the last, which misbehaves.
    camera = Detector(gain=1.8 * u.electron / u.adu, read_noise=9.4 * u.electron, saturation=65000 * u.adu)

    def read(numbers, **masters):
        frames = [CCDFrame.read(nickel / f"d{number}.fits.gz", unit="adu") for number in numbers]
        return [
            calibrate(frame, camera, overscan="[1030:1056,1:1024]", trim="[1:1024,1:1024]", **masters)
            for frame in frames
        ]

    bias = combine(read([1001, 1002, 1003], shot_noise=0))
    columns = bad_pixel_mask(flats=read([1035, 1036, 1037], bias=bias)).data.mean(axis=0)
    assert columns[256] > 0.9
    assert columns[1023] > 0.9
    assert np.sum(columns) < 5


def test_mistakes_are_told(sensitivity):
    with pytest.raises(FrameError, match="needs darks of two exposures, or flats of two levels"):
        bad_pixel_mask()
    with pytest.raises(FrameError, match=r"flat0\.fits has hardly any light"):
        bad_pixel_mask(flats=flats_of(sensitivity * 0 - 0.0, [0, 0]))
    with pytest.raises(TypeError, match="takes a list of flats"):
        bad_pixel_mask(flats=np.ones(SHAPE))
    with pytest.raises(ValueError, match="sigma is -1"):
        bad_pixel_mask(flats=flats_of(sensitivity, [4000]), sigma=-1)
    camera = simulate.Camera(shape=(40, 40), detector=CAMERA)
    darks = [camera.expose("dark", time, rng=time)[0] for time in [60, 600]]
    with pytest.raises(ShapeMismatchError, match=r"\(40, 40\) and \(120, 130\)"):
        bad_pixel_mask(darks, flats_of(sensitivity, [4000, 40000]), detector=CAMERA)
