"""Sky and stars, against the analytic Gaussian and its integral over pixels."""

from __future__ import annotations

from math import erf, log, sqrt

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table

from astro_calib import simulate

SHAPE = (60, 90)
FWHM_OF_SIGMA = 2 * sqrt(2 * log(2))


def one_star(x: float, y: float, flux: float = 1000.0) -> Table:
    return Table({"x": [x], "y": [y], "flux": [flux]})


@pytest.mark.parametrize("fwhm", [2.5, 3.5, 5.0])
@pytest.mark.parametrize(("x", "y"), [(50.0, 30.0), (50.5, 29.5), (61.27, 24.81)])
def test_moments_of_a_star(x: float, y: float, fwhm: float) -> None:
    image = simulate.stars(SHAPE, one_star(x, y), fwhm=fwhm)
    rows, columns = np.indices(SHAPE)
    total = image.sum()
    assert total == pytest.approx(1000, rel=1e-9)
    assert (columns * image).sum() / total == pytest.approx(x)
    assert (rows * image).sum() / total == pytest.approx(y)
    # A pixel is a box of variance 1/12, which adds to the Gaussian's.
    for variance in (((columns - x) ** 2 * image).sum() / total, ((rows - y) ** 2 * image).sum() / total):
        assert FWHM_OF_SIGMA * sqrt(variance - 1 / 12) == pytest.approx(fwhm, rel=1e-6)


def test_half_of_the_maximum_at_half_of_the_width() -> None:
    # A wide star, so that a pixel is nearly a point; 10 pixels from the centre it has half of the peak.
    image = simulate.stars((201, 201), one_star(100, 100), fwhm=20)
    assert image[100, 110] / image[100, 100] == pytest.approx(0.5, rel=0.002)
    assert image[90, 100] / image[100, 100] == pytest.approx(0.5, rel=0.002)


def test_peak_of_a_centred_star_is_the_integral_over_its_pixel() -> None:
    image = simulate.stars(SHAPE, one_star(70, 20), fwhm=3.0)
    assert np.unravel_index(image.argmax(), SHAPE) == (20, 70)
    assert image.max() == pytest.approx(1000 * erf(0.5 / (3.0 / FWHM_OF_SIGMA) / sqrt(2)) ** 2)


def test_a_star_on_the_edge_keeps_half_of_its_light() -> None:
    assert simulate.stars(SHAPE, one_star(-0.5, 30)).sum() == pytest.approx(500)
    assert simulate.stars(SHAPE, one_star(SHAPE[1] - 0.5, SHAPE[0] - 0.5)).sum() == pytest.approx(250)


@pytest.mark.parametrize("offset", [-14.49, -14.5, -15.1, -15.5, -200.0, 59 + 14.6, 59 + 15.4, 400.0])
def test_stars_far_outside_are_left_out(offset: float) -> None:
    assert simulate.stars(SHAPE, one_star(45, offset), fwhm=3.5).sum() < 1e-9


def test_no_stars() -> None:
    assert not simulate.stars(SHAPE, one_star(1, 1)[:0]).any()


def test_flux_with_a_unit() -> None:
    table = QTable({"x": [40.0], "y": [30.0] * u.pixel, "flux": [600.0] * u.electron / u.min})
    assert simulate.stars(SHAPE, table).sum() == pytest.approx(10)
    table["flux"] = [600.0] * u.adu
    with pytest.raises(u.UnitConversionError, match="column flux of the stars is in adu"):
        simulate.stars(SHAPE, table)


def test_bad_tables_of_stars() -> None:
    with pytest.raises(KeyError, match="no column flux; it has x, y, counts"):
        simulate.stars(SHAPE, Table({"x": [1.0], "y": [1.0], "counts": [1.0]}))
    with pytest.raises(ValueError, match="row 1 of the stars has x_0 = nan"):
        simulate.stars(SHAPE, Table({"x": [1.0, np.nan], "y": [1.0, 2.0], "flux": [1.0, 2.0]}))
    with pytest.raises(ValueError, match="row 0 of the stars has flux = -5"):
        simulate.stars(SHAPE, one_star(1, 1, flux=-5))
    with pytest.raises(ValueError, match=r"fwhm is 0; it must be finite and at least 0\.5"):
        simulate.stars(SHAPE, one_star(1, 1), fwhm=0)


def test_random_stars_follow_their_distribution() -> None:
    table = simulate.random_stars((100, 300), 4000, 3, flux_range=(10.0, 1000.0), margin=20)
    assert len(table) == 4000
    flux = table["flux"].value
    assert flux.min() >= 10 * (1 - 1e-12)
    assert flux.max() <= 1000 * (1 + 1e-12)
    # Number brighter than f as f to the -0.3, between the limits.
    expected = (100**-0.3 - 1000**-0.3) / (10**-0.3 - 1000**-0.3)
    assert np.mean(flux > 100) == pytest.approx(expected, abs=4 * sqrt(expected * (1 - expected) / 4000))
    for axis, length in (("x", 300), ("y", 100)):
        assert -20.5 <= table[axis].min() < -15
        assert length + 15 < table[axis].max() <= length + 19.5


def test_random_stars_check_their_range() -> None:
    with pytest.raises(ValueError, match="a positive least and a greatest flux"):
        simulate.random_stars(SHAPE, 5, 1, flux_range=(0, 10))


def test_sky_goes_up_by_its_gradient() -> None:
    sky = simulate.sky_background((50, 80), 20.0, gradient=(0.1, -0.2))
    assert sky.shape == (50, 80)
    assert sky.mean() == pytest.approx(20)
    np.testing.assert_allclose(sky[-1] - sky[0], 2.0)
    np.testing.assert_allclose(sky[:, -1] - sky[:, 0], -4.0)
    assert simulate.sky_background((1, 1), 3.0) == pytest.approx(3.0)
    with pytest.raises(ValueError, match="the sky of a corner would be negative"):
        simulate.sky_background((50, 80), 20.0, gradient=(1.5, 1.5))
