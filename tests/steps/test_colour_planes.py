"""Frames of a colour sensor: flats with a level for each colour, and planes, against Monte Carlo."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from astropy.wcs import WCS

from astro_calib import CCDFrame, DataQuality, Detector, calibrate, colour_planes, combine, flat_correct
from astro_calib.characterize import photon_transfer
from astro_calib.errors import FrameError
from tests.noise_checks import assert_scatters_as_predicted

SHAPE = (40, 60)
CAMERA = Detector(gain=1.5 * u.electron / u.adu, read_noise=4 * u.electron)
BIAS = 300.0
#: Where each colour is in "GBRG".
ITEMS = {"R": np.s_[1::2, ::2], "G1": np.s_[1::2, 1::2], "G2": np.s_[::2, ::2], "B": np.s_[::2, 1::2]}
#: Electrons of a red lamp, and of a sky.
LAMP = {"R": 9000.0, "G1": 2600.0, "G2": 2500.0, "B": 500.0}
SKY = {"R": 200.0, "G1": 420.0, "G2": 410.0, "B": 310.0}


def mosaic(levels):
    """An image with one level for each colour."""
    image = np.empty(SHAPE)
    for colour, item in ITEMS.items():
        image[item] = levels[colour]
    return image


def raw(rng, electrons, name=None):
    adu = (rng.poisson(electrons) + rng.normal(0, 4, SHAPE)) / 1.5 + BIAS
    header = fits.Header({"BAYERPAT": "GBRG", "XBAYROFF": 0, "YBAYROFF": 0, "EXPTIME": 10.0})
    return CCDFrame(adu, unit="adu", meta=header, name=name)


@pytest.fixture(scope="module")
def sensitivity():
    rng = np.random.default_rng(5)
    pixels = rng.normal(1, 0.03, SHAPE)
    for item in ITEMS.values():
        pixels[item] /= pixels[item].mean()
    return pixels


@pytest.fixture(scope="module")
def nights(sensitivity):
    """Science frames, two a night, each night with a flat of its own."""
    rng = np.random.default_rng(19)
    found = []
    for _ in range(60):
        flats = [raw(rng, mosaic(LAMP) * sensitivity) for _ in range(3)]
        flat = combine([calibrate(one, CAMERA, pedestal=BIAS) for one in flats])
        science = [raw(rng, mosaic(SKY) * sensitivity) for _ in range(2)]
        found.append([calibrate(one, CAMERA, pedestal=BIAS, flat=flat) for one in science])
    return found


@pytest.mark.long
@pytest.mark.parametrize("colour", ITEMS)
def test_the_noise_of_each_plane_is_right(nights, colour):
    planes = [colour_planes(frame)[colour] for night in nights for frame in night]
    errors = np.stack([plane.pixels for plane in planes]) - SKY[colour]
    assert_scatters_as_predicted(errors, np.stack([plane.variance for plane in planes]))


@pytest.mark.long
@pytest.mark.parametrize("colour", ITEMS)
def test_a_stack_of_planes_that_share_a_flat_has_the_right_noise(nights, colour):
    stacks = [combine([colour_planes(frame)[colour] for frame in night]) for night in nights]
    errors = np.stack([stack.pixels for stack in stacks]) - SKY[colour]
    assert_scatters_as_predicted(errors, np.stack([stack.variance for stack in stacks]), tolerance=0.015)


@pytest.mark.long
def test_the_colour_of_the_lamp_leaves_no_checkerboard(nights):
    # How many standard errors the mean of a plane is from the sky that was put in.
    pulls = []
    for frame in (frame for night in nights for frame in night):
        for colour, plane in colour_planes(frame).items():
            weights = np.full(plane.shape, 1 / plane.size)
            sigma = np.sqrt(plane.budget.variance_of_sum(weights))
            pulls.append((plane.pixels.mean() - SKY[colour]) / sigma)
    pulls = np.array(pulls)
    assert np.abs(pulls.mean()) < 3 / np.sqrt(len(pulls))
    # The mean of the flat's plane is one whatever its noise, which counts as that of single pixels and of the level.
    assert 0.85 < np.std(pulls) < 1 + 3 / np.sqrt(2 * len(pulls))
    assert np.abs(pulls).max() < 4


def test_with_one_level_the_lamp_leaves_its_colour(sensitivity):
    flat = CCDFrame(mosaic(LAMP) * sensitivity, unit="electron")
    frame = CCDFrame(mosaic(LAMP) * sensitivity, unit="electron")
    for options in ({}, {"bayer": "none"}, {"bayer": "RGGB", "norm_value": mosaic(LAMP).mean()}):
        np.testing.assert_allclose(flat_correct(frame, flat, **options).pixels, mosaic(LAMP).mean(), rtol=1e-3)
    np.testing.assert_allclose(flat_correct(frame, flat, bayer="GBRG").pixels, mosaic(LAMP))


def test_the_error_of_a_level_is_common_to_its_colour():
    # An exact frame under a flat of one pixel a colour: f is one, and has no error at all.
    flat = CCDFrame(
        np.array([[4.0, 8.0], [2.0, 16.0]]), unit="adu", uncertainty=StdDevUncertainty(np.full((2, 2), 0.1))
    )
    whole = CCDFrame(np.tile(flat.pixels, (10, 10)), unit="adu", uncertainty=StdDevUncertainty(np.full((20, 20), 0.1)))
    frame = CCDFrame(np.full((20, 20), 100.0), unit="electron")
    result = flat_correct(frame, whole, bayer="RGGB")
    levels = {"R": 4.0, "G1": 8.0, "G2": 2.0, "B": 16.0}
    for colour, plane in colour_planes(result, "RGGB").items():
        relative = 0.1 / levels[colour]
        # Own error of a pixel's sensitivity, and that of the mean of a hundred.
        np.testing.assert_allclose(plane.variance, (100 * relative) ** 2 * (1 + 1 / 100))
        common = [source for source, _ in plane.budget.terms if not source.axes]
        assert sorted(source.variance.number for source in common)
        of_mean = plane.budget.variance_of_sum(np.full((10, 10), 0.01))
        np.testing.assert_allclose(of_mean, (100 * relative) ** 2 * 2 / 100)
    # Of two colours the levels' errors are independent of each other.
    weights = np.zeros((20, 20))
    weights[::2, ::2], weights[::2, 1::2] = 0.01, -0.01
    expected = 2 / 100 * 100**2 * ((0.1 / 4) ** 2 + (0.1 / 8) ** 2)
    np.testing.assert_allclose(result.budget.variance_of_sum(weights), expected)


def test_an_uncertain_gain_drops_out_of_each_colour(rng, sensitivity):
    camera = Detector(
        gain=1.5 * u.electron / u.adu, read_noise=4 * u.electron, gain_uncertainty=0.1 * u.electron / u.adu
    )
    flat = calibrate(raw(rng, mosaic(LAMP) * sensitivity), camera, pedestal=BIAS)
    assert "gain" in flat.budget.names
    frame = flat_correct(CCDFrame(mosaic(SKY), unit="electron"), flat)
    assert "gain" not in frame.budget.names


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
def test_frames_of_a_mosaic_go_through_files(nights, tmp_path, suffix):
    frame = nights[0][0]
    frame.write(tmp_path / f"frame.{suffix}")
    again = CCDFrame.read(tmp_path / f"frame.{suffix}")
    np.testing.assert_allclose(again.variance, frame.variance, rtol=1e-6)
    for colour, plane in colour_planes(again).items():
        other = colour_planes(frame)[colour]
        weights = np.ones(plane.shape)
        assert plane.budget.variance_of_sum(weights) == pytest.approx(other.budget.variance_of_sum(weights), rel=1e-5)
        plane.write(tmp_path / f"{colour}.{suffix}")
        plane_again = CCDFrame.read(tmp_path / f"{colour}.{suffix}")
        np.testing.assert_allclose(plane_again.variance, other.variance, rtol=1e-6)
        assert plane_again.meta["CFAPLANE"] == colour
        assert np.max((plane_again - other).variance) < 1e-3 * np.min(other.variance)


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
def test_a_frame_finds_the_levels_of_a_flat_that_is_in_a_file(rng, sensitivity, tmp_path, suffix):
    flats = [calibrate(raw(rng, mosaic(LAMP) * sensitivity), CAMERA, pedestal=BIAS) for _ in range(2)]
    combine(flats).write(tmp_path / f"flat.{suffix}")
    flat = CCDFrame.read(tmp_path / f"flat.{suffix}")
    frame = calibrate(raw(rng, mosaic(SKY) * sensitivity), CAMERA, pedestal=BIAS, flat=flat)
    frame.write(tmp_path / f"frame.{suffix}")
    expected = frame.budget.variances()
    size = (tmp_path / f"frame.{suffix}").stat().st_size
    del flat, flats
    again = CCDFrame.read(tmp_path / f"frame.{suffix}")
    for name, variance in again.budget.variances().items():
        np.testing.assert_allclose(variance, expected[name], rtol=1e-4)
    # Pixels and variance, and nothing of the flat's size besides.
    assert size < 3 * frame.pixels.nbytes + 60_000


def test_flags_and_masks_go_with_their_pixels():
    pixels = np.zeros((6, 8))
    flags = np.zeros((6, 8), dtype=np.uint16)
    flags[2, 3] = DataQuality.SATURATED
    frame = CCDFrame(pixels, unit="adu", flags=flags, mask=flags > 0)
    planes = colour_planes(frame, "RGGB")
    assert planes["G1"].mask[1, 1]
    assert planes["G1"].flags[1, 1] == DataQuality.SATURATED
    assert not any(planes[colour].mask.any() for colour in ("R", "G2", "B"))


def test_each_plane_is_where_its_pixels_are_on_the_sky():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = (120.0, 30.0), (31.0, 17.0), (-5e-4, 5e-4)
    frame = CCDFrame(np.zeros(SHAPE), unit="adu", wcs=wcs, meta=fits.Header({"XPIXSZ": 3.76, "YPIXSZ": 3.76}))
    for colour, plane in colour_planes(frame, "GBRG").items():
        rows, columns = ITEMS[colour]
        x, y = (columns.start or 0) + 2 * 7, (rows.start or 0) + 2 * 4
        expected = wcs.pixel_to_world(x, y)
        assert plane.wcs.pixel_to_world(7, 4).separation(expected).arcsec < 1e-6
        assert plane.meta["XPIXSZ"] == plane.meta["YPIXSZ"] == 7.52
    assert frame.meta["XPIXSZ"] == 3.76


def test_gain_and_read_noise_are_measured_on_each_plane():
    rng = np.random.default_rng(8)
    shape = (400, 400)
    lamp = np.tile(mosaic({**LAMP, "R": 20000.0, "G1": 15000.0, "G2": 15000.0, "B": 9000.0})[:2, :2], (200, 200))

    def digitised(electrons):
        adu = (rng.poisson(electrons) + rng.normal(0, 4, shape)) / 1.5 + BIAS
        return CCDFrame(np.round(adu).astype(np.uint16), unit="adu", meta=fits.Header({"BAYERPAT": "GBRG"}))

    biases = [colour_planes(digitised(np.zeros(shape))) for _ in range(4)]
    flats = [colour_planes(digitised(lamp)) for _ in range(4)]
    for colour in ITEMS:
        found = photon_transfer([one[colour] for one in flats], [one[colour] for one in biases])
        (amplifier,) = found.amplifiers
        for measured, truth in ((amplifier.gain, 1.5), (amplifier.read_noise, 4.0)):
            assert measured.value.value == pytest.approx(truth, rel=0.03)
            assert abs(measured.value.value - truth) < 4 * measured.uncertainty.value


def test_what_is_wrong_is_said():
    frame = CCDFrame(np.ones(SHAPE), unit="adu", name="m31.fits")
    with pytest.raises(FrameError, match=r"m31.fits: its header does not say which pixels.*bayer='RGGB'"):
        colour_planes(frame)
    with pytest.raises(ValueError, match=r"bayer is 'RGBG'; expected one of RGGB, BGGR, GRBG, GBRG"):
        colour_planes(frame, "RGBG")
    with pytest.raises(ValueError, match=r"bayer is 5; expected one of"):
        flat_correct(frame, frame, bayer=5)
    dark = mosaic({**LAMP, "B": 0.0})
    with pytest.raises(FrameError, match=r"red.fits, every second pixel from row 0 and column 1 on\) has a mean of 0"):
        flat_correct(frame, CCDFrame(dark, unit="adu", name="red.fits"), bayer="GBRG")


@pytest.mark.parametrize(
    ("keyword", "value"), [("XBINNING", 2), ("CCDYBIN", "2"), ("CCDBIN1", 2), ("CCDSUM", "2 2"), ("BINNING", "2x2")]
)
def test_pixels_that_were_read_out_together_may_have_lost_their_colours(keyword, value):
    binned = CCDFrame(np.ones(SHAPE), unit="adu", name="b.fits", meta={"BAYERPAT": "RGGB", keyword: value})
    with pytest.warns(UserWarning, match=rf"b.fits: its pixels were read out together \({keyword} = {value}\)"):
        colour_planes(binned)


@pytest.mark.parametrize(
    ("keyword", "value"), [("XBINNING", 1.0), ("CCDSUM", "1 1"), ("BINNING", "1x1"), ("CCDBIN2", 1), ("BINNING", "")]
)
def test_pixels_that_were_read_out_one_by_one_are_worth_no_remark(keyword, value):
    frame = CCDFrame(np.ones(SHAPE), unit="adu", meta={"BAYERPAT": "RGGB", keyword: value})
    assert list(colour_planes(frame)) == ["R", "G1", "G2", "B"]


def test_a_flat_that_begins_with_another_colour_is_worth_a_remark():
    frame = CCDFrame(np.ones((8, 8)), unit="adu", name="m31.fits", meta={"BAYERPAT": "RGGB"})
    flat = CCDFrame(np.ones((8, 9)), unit="adu", name="flat.fits", meta={"BAYERPAT": "RGGB"})
    with pytest.warns(UserWarning, match=r"m31.fits begins with the pattern of colours RGGB, the flat .* with GRBG"):
        flat_correct(frame, flat[:, 1:])
