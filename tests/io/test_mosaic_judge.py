"""The judge of multi-extension files agrees with itself: what was built is what the keywords say."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from .mosaic_judge import FILES, UNREAD, assembled


@pytest.mark.parametrize("name", FILES)
def test_keywords_put_every_pixel_where_it_was_taken_from(name):
    mosaic = FILES[name]()
    chips, strips = assembled(mosaic.hdus)
    assert chips.keys() == mosaic.chips.keys()
    for chip, image in mosaic.chips.items():
        np.testing.assert_array_equal(chips[chip], image)
    assert len(strips) == len(mosaic.amplifiers)
    for (index, letter, strip), amplifier in zip(strips, mosaic.amplifiers, strict=True):
        assert (index, letter) == (amplifier.hdu, amplifier.letter)
        np.testing.assert_array_equal(strip, amplifier.overscan)
    read = np.concatenate([image[image != UNREAD] for image in mosaic.chips.values()])
    assert read.max() <= 65535
    assert read.min() > 1000


@pytest.mark.parametrize("name", FILES)
def test_sky_of_a_raw_pixel_is_the_sky_of_its_place_on_the_chip(name):
    mosaic = FILES[name]()
    for amplifier in mosaic.amplifiers:
        hdu = mosaic.hdus[amplifier.hdu]
        image = mosaic.chips[amplifier.chip][amplifier.y, amplifier.x]
        for row, column in ((0, 0), (0, -1), (-1, -1), (3, 7)):
            raws = np.argwhere(hdu.data == image[row, column])
            x = amplifier.x.start + column % image.shape[1]
            y = amplifier.y.start + row % image.shape[0]
            sky = mosaic.sky(amplifier.chip, x, y)
            distances = [np.abs(np.subtract(WCS(hdu.header).all_pix2world(*raw[::-1], 0), sky)).max() for raw in raws]
            assert min(distances) < 1e-9


@pytest.mark.parametrize("name", ["Sinistro", "DECam", "GMOS Hamamatsu"])
@pytest.mark.parametrize("compressed", [False, True])
def test_files_hold_the_same_pixels_and_cards(name, compressed, tmp_path):
    mosaic = FILES[name]()
    path = mosaic.write(tmp_path / ("raw.fits.fz" if compressed else "raw.fits"), compressed=compressed)
    with fits.open(path) as hdus:
        assert hdus[1].data.dtype == np.uint16
        chips, _ = assembled(hdus)
        assert all(hdu._has_data for hdu in hdus[1:])
    for chip, image in mosaic.chips.items():
        np.testing.assert_array_equal(chips[chip], image)
