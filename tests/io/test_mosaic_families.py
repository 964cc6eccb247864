"""What the reader makes of raw files of four families is what somebody else has put together from their keywords."""

import astropy.units as u
import numpy as np
import pytest

from astro_calib import DataQuality, calibrate, read_mosaic

from .mosaic_judge import FILES, UNREAD


def read(name, tmp_path, *, compressed=False, **options):
    judged = FILES[name]()
    path = judged.write(tmp_path / ("raw.fits.fz" if compressed else "raw.fits"), compressed=compressed)
    return judged, read_mosaic(path, unit="adu", **options)


def is_read(frame, image):
    """Whether a frame has the pixels of the image, and masks those that nobody has read."""
    unread = image == UNREAD
    np.testing.assert_array_equal(np.where(unread, 0, image), np.where(unread, 0, frame.pixels))
    np.testing.assert_array_equal(unread, np.zeros_like(unread) if frame.mask is None else frame.mask)
    np.testing.assert_array_equal(unread * DataQuality.NO_DATA, 0 * unread if frame.flags is None else frame.flags)


@pytest.mark.parametrize("compressed", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", FILES)
def test_pixels_of_chips_and_overscans(name, compressed, tmp_path):
    judged, mosaic = read(name, tmp_path, compressed=compressed)
    assert [chip.name for chip in mosaic.chips] == list(judged.chips)
    for chip in mosaic.chips:
        is_read(chip.frame, judged.chips[chip.name])
        amplifiers = sorted(
            (one for one in judged.amplifiers if one.chip == chip.name), key=lambda one: (one.hdu, one.letter)
        )
        for amplifier, mine, overscan in zip(amplifiers, chip.amplifiers, chip.overscans, strict=True):
            good = overscan.pixels if overscan.mask is None else overscan.pixels[~overscan.mask.all(axis=1)]
            np.testing.assert_array_equal(good, amplifier.overscan)
            for key in ("gain", "read_noise", "saturation"):
                found = getattr(mine, key)
                assert (None if found is None else found.value) == getattr(amplifier, key)
            if amplifier.corner is not None:
                assert mine.corner == amplifier.corner
            rows, columns = (judged_part.indices(10**6) for judged_part in (amplifier.y, amplifier.x))
            if not np.any(judged.chips[chip.name] == UNREAD):
                assert mine.data_section == f"[{columns[0] + 1}:{columns[1]},{rows[0] + 1}:{rows[1]}]"


@pytest.mark.parametrize("name", FILES)
def test_the_sky_of_every_chip(name, tmp_path):
    judged, mosaic = read(name, tmp_path)
    for chip in mosaic.chips:
        ny, nx = chip.shape
        for x, y in ((0, 0), (nx - 1, 0), (nx - 1, ny - 1), (7, 3)):
            there = chip.frame.wcs.all_pix2world(x, y, 0)
            assert np.abs(np.subtract(there, judged.sky(chip.name, x, y))).max() < 1e-9


@pytest.mark.parametrize("name", FILES)
def test_all_chips_in_one_frame(name, tmp_path):
    judged, mosaic = read(name, tmp_path, one_frame=True)
    (whole,) = mosaic.chips
    is_read(whole.frame, judged.frame())


@pytest.mark.parametrize("axis", [1, (0, 1)])
@pytest.mark.parametrize("name", ["DECam", "Sinistro, middle row not read", "Mosaic, upside down by DTM"])
def test_one_frame_is_calibrated_as_its_chips_are(name, axis, tmp_path):
    judged, mosaic = read(name, tmp_path)
    (whole,) = read_mosaic(tmp_path / "raw.fits", unit="adu", one_frame=True).chips

    def calibrated(chip):
        camera = chip.detector(gain_uncertainty=0.01 * u.electron / u.adu)
        sections = {"overscan": camera.overscan_sections(), "trim": chip.trim}
        return calibrate(chip.raw, camera, **sections, overscan_axis=axis)

    together = calibrated(whole)
    left, low = (min(origin[k] for origin in judged.origins.values()) for k in (0, 1))
    for chip in mosaic.chips:
        alone, (x, y) = calibrated(chip), judged.origins[chip.name]
        part = together[y - low : y - low + chip.shape[0], x - left : x - left + chip.shape[1]]
        good = judged.chips[chip.name] != UNREAD
        np.testing.assert_allclose(part.pixels[good], alone.pixels[good], rtol=1e-6)
        np.testing.assert_allclose(part.variance[good], alone.variance[good], rtol=1e-4)
