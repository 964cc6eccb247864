"""Stars that are not round: trailed, out of focus, doubled; they are found, in apertures that hold their light."""

from __future__ import annotations

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.utils.exceptions import AstropyUserWarning
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

from astro_calib import CCDFrame, Detector, create_deviation, measure_snr

CAMERA = Detector(gain=1 * u.electron / u.adu, read_noise=5 * u.electron)
SKY = 100.0


def observed(light, *, sky=SKY, seed=2):
    rng = np.random.default_rng(seed)
    data = rng.poisson(light + sky) + rng.normal(0, 5, light.shape)
    return create_deviation(CCDFrame(data.astype(np.float32), unit="electron", name="field.fits"), CAMERA)


def grid(number=10, step=40, seed=1):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[step / 2 : number * step : step, step / 2 : number * step : step]
    return np.stack([values.ravel() + rng.uniform(-2, 2, number**2) for values in (x, y)], axis=1)


def trails(shape, places, flux, fwhm, length, degrees):
    """Light of stars that moved evenly while they were exposed: many faint ones along each trail."""
    number = 1 + int(np.ceil(4 * length / fwhm))
    steps = ((np.arange(number) + 0.5) / number - 0.5) * length
    sigma, reach = fwhm / 2.3548, int(length / 2 + 2 * fwhm + 3)
    light = np.zeros(np.add(shape, 2 * reach))
    for (x, y), each in zip(places, np.broadcast_to(flux, len(places)), strict=True):
        parts = []
        for center, way in ((y, np.sin(np.radians(degrees))), (x, np.cos(np.radians(degrees)))):
            edges = np.rint(center) + np.arange(-reach, reach + 2) - 0.5 - center - (steps * way)[:, np.newaxis]
            parts.append(np.diff(ndtr(edges / sigma), axis=1))
        row, column = int(np.rint(y)), int(np.rint(x))
        light[row : row + 2 * reach + 1, column : column + 2 * reach + 1] += each / number * parts[0].T @ parts[1]
    return light[reach:-reach, reach:-reach]


def found_and_false(table, places, tolerance):
    found = np.stack([table["x"].value, table["y"].value], axis=1)
    away = np.hypot(*(places[:, np.newaxis] - found).transpose(2, 0, 1))
    return np.count_nonzero(away.min(axis=1) < tolerance), np.count_nonzero(away.min(axis=0) >= tolerance)


@pytest.mark.parametrize("degrees", [0, 20, *(pytest.param(angle, marks=pytest.mark.long) for angle in (45, 90, 160))])
@pytest.mark.parametrize(("fwhm", "length"), [(2, 0), (2, 4), (2, 5), (2, 6), (1.5, 4.5), (3, 9), (4, 8), (6, 18)])
def test_of_100_trailed_stars_95_are_found_with_their_light(fwhm, length, degrees):
    step = int(max(30, 2.5 * length + 8))
    places = grid(step=step)
    flux = 6000.0 * max(1, fwhm / 2) ** 2
    light = trails((10 * step, 10 * step), places, flux, fwhm, length, degrees)
    table = measure_snr(observed(light), n_empty=0)
    found, false = found_and_false(table, places, max(2, fwhm))
    assert found >= 95
    assert false <= 1
    assert table.meta["fwhm_across"] == pytest.approx(fwhm, rel=0.05)
    # A Gaussian has 94% within its width, less the widening by pixels; a trail that ends has more.
    held = np.median(table["flux"].value) / flux
    assert (0.96 if length else 0.85) < held < 1.02
    if length:
        apart = (table.meta["angle"] - degrees + 90) % 180 - 90
        assert abs(apart) < 4


@pytest.mark.parametrize("length", [0, 4, 6])
@pytest.mark.parametrize("sky", [100.0, 4000.0])
def test_stars_of_a_peak_of_6000_are_found(length, sky):
    places = grid()
    light = trails((400, 400), places, 1.0, 2.0, length, 30)
    frame = observed(6000 * light / light.max(), sky=sky)
    assert found_and_false(measure_snr(frame, n_empty=0), places, 2) == (100, 0)


@pytest.mark.parametrize("length", [0, 4, 6])
def test_a_width_that_is_given_does_not_lose_trailed_stars_but_says_that_the_aperture_does(length):
    places = grid()
    frame = observed(trails((400, 400), places, 6000.0, 2.0, length, 70))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = measure_snr(frame, fwhm=2.0, n_empty=0)
    assert found_and_false(table, places, 2) == (100, 0)
    assert table.meta["radius"] == 2.0
    assert [str(warning.message).startswith("field.fits: stars are") for warning in caught] == [True] * (length > 0)


@pytest.mark.parametrize(("outer", "inner"), [(4, 2), (6, 3), (9, 4)])
def test_stars_out_of_focus_are_found_though_they_have_holes(outer, inner):
    places = np.rint(grid(8, 60))
    y, x = np.mgrid[-30:31, -30:31]
    ring = gaussian_filter(((np.hypot(x, y) < outer) & (np.hypot(x, y) >= inner)).astype(float), 0.8)
    light = np.zeros((480, 480))
    for column, row in places.astype(int):
        rows, columns = slice(max(row - 25, 0), row + 26), slice(max(column - 25, 0), column + 26)
        light[rows, columns] += (
            20000
            / ring.sum()
            * ring[rows.start - row + 30 : rows.stop - row + 30, columns.start - column + 30 :][
                : light[rows, columns].shape[0], : light[rows, columns].shape[1]
            ]
        )
    table = measure_snr(observed(light), n_empty=0)
    assert found_and_false(table, places, 2) == (64, 0)
    assert np.median(table["flux"].value) == pytest.approx(20000, rel=0.03)


@pytest.mark.parametrize("apart", [1.0, 2.0])
def test_stars_that_a_jump_of_the_telescope_doubled_are_one_each(apart):
    places = grid(8, 50)
    half = np.array([apart * 3.0 / 2, 0])
    both = np.concatenate([places - half, places + half])
    light = trails((400, 400), both, 3000.0, 3.0, 0, 0)
    table = measure_snr(observed(light), n_empty=0)
    assert found_and_false(table, places, 2) == (64, 0)
    assert np.median(table["flux"].value) == pytest.approx(6000, rel=0.06)


@pytest.mark.parametrize("length", [0, 3, 6])
def test_hot_pixels_and_a_bad_column_are_no_trailed_stars(length):
    places = grid()
    light = trails((400, 400), places, 6000.0, 2.0, length, 70)
    rng = np.random.default_rng(3)
    light[rng.integers(0, 400, 60), rng.integers(0, 400, 60)] += 3000.0
    light[:, 199] += 500.0
    with warnings.catch_warnings():
        # Of a bad column are so many peaks that they are told.
        warnings.filterwarnings("ignore", ".* peaks left out", AstropyUserWarning)
        table = measure_snr(observed(light), n_empty=0)
    found, false = found_and_false(table, places, 2)
    assert found >= 95
    assert false <= 1
    assert table.meta["n_too_sharp"] > 30


def test_round_objects_among_trailed_stars_are_found():
    places = grid(6, 50)
    light = trails((300, 300), places[:-1], 6000.0, 2.0, 5, 40) + trails((300, 300), places[-1:], 6000.0, 2.0, 0, 0)
    assert found_and_false(measure_snr(observed(light), n_empty=0), places, 2) == (36, 0)


def test_what_is_left_out_is_counted_by_reason():
    places = np.array([[60.0, 60], [160, 60], [260, 60], [60, 160], [160, 160], [260, 160]])
    beside = np.array([[65.0, 60.0], [2.0, 280.0], [297.0, 200.0]])
    light = trails((300, 300), np.concatenate([places, beside]), [*[20000.0] * 6, 8000, 8000, 8000], 3.0, 0, 0)
    light += trails((300, 300), np.array([[60.0, 240], [160, 240]]), 20000.0, 2.5, 9, 60)
    light[[100, 110, 120], [210, 220, 230]] += 4000.0
    table = measure_snr(observed(light), n_empty=0)
    assert len(table) == table.meta["n_found"] == 6
    counted = {name: table.meta[f"n_{name}"] for name in ("too_sharp", "too_elongated", "blended", "edge", "masked")}
    # A trail may have several peaks.
    assert counted.pop("too_elongated") >= 2
    assert counted == {"too_sharp": 3, "blended": 1, "edge": 2, "masked": 0}


def test_stars_too_sharp_to_be_told_from_cosmic_rays_do_not_vanish_without_a_word():
    light = trails((400, 400), grid(), 6000.0, 0.8, 0, 0)
    with pytest.warns(AstropyUserWarning, match=r"no star found above 5 sigma; left out: 100 too sharp"):
        table = measure_snr(observed(light), n_empty=0)
    assert table.meta["n_too_sharp"] == 100


def test_many_objects_of_another_shape_are_said():
    places = grid(6, 50)
    light = trails((300, 300), places[:18], 40000.0, 2.5, 0, 0) + trails((300, 300), places[18:], 6000.0, 1.5, 14, 60)
    with pytest.warns(AstropyUserWarning, match=r"field.fits: 18 stars found, but \d+ peaks left out .*too elongated"):
        table = measure_snr(observed(light), n_empty=0)
    assert found_and_false(table, places[:18], 1) == (18, 0)
