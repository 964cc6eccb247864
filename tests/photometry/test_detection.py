"""Stars found, their width, and what must not be taken for a star, in simulated frames of known content."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table
from scipy.ndimage import center_of_mass, gaussian_filter, label

from astro_calib import simulate
from astro_calib.kernels.survey import searchable
from astro_calib.photometry.detection import _centers, find_stars, measure_shape, survey

SHAPE = (300, 320)
SKY, READ_NOISE = 200.0, 8.0


def prepared(rng, stars=None, fwhm=3.0, *, missing=None, saturated=None, extra=0.0):
    """A scene of sky, stars (fluxes in electrons) and something else, with Gaussian and Poisson noise."""
    light = SKY + extra + (0 if stars is None else simulate.stars(SHAPE, stars, fwhm))
    data = rng.poisson(np.broadcast_to(light, SHAPE)) + rng.normal(0, READ_NOISE, SHAPE)
    nothing = np.zeros(SHAPE, dtype=bool)
    missing = nothing if missing is None else missing
    saturated = nothing if saturated is None else saturated
    return survey(data, np.maximum(data, 0) + READ_NOISE**2, missing | saturated, saturated)


def grid_of_stars(rng, flux, step=40):
    y, x = np.mgrid[step // 2 : SHAPE[0] : step, step // 2 : SHAPE[1] : step]
    x, y = (values.ravel() + rng.uniform(-0.5, 0.5, values.size) for values in (x, y))
    return Table({"x": x, "y": y, "flux": np.broadcast_to(flux, x.shape)})


def distances(found, stars):
    """From each star to the nearest one found."""
    truth = np.stack([stars["x"], stars["y"]], axis=1)
    return np.hypot(*(truth[:, np.newaxis] - found[np.newaxis]).transpose(2, 0, 1)).min(axis=1)


@pytest.mark.parametrize("fwhm", [2.0, 3.5, 7.0, 11.0])
def test_width_is_measured(fwhm):
    rng = np.random.default_rng(1)
    scene = prepared(rng, grid_of_stars(rng, rng.uniform(2e4, 2e5, 56)), fwhm)
    assert measure_shape(scene).along == pytest.approx(fwhm, rel=0.03)


def test_width_is_that_of_the_stars_though_there_are_as_many_cosmic_rays_and_galaxies():
    rng = np.random.default_rng(2)
    stars = grid_of_stars(rng, 5e4, step=80)
    galaxies = Table({"x": [100.0, 220.0, 60.0], "y": [80.0, 220.0, 200.0], "flux": [4e5] * 3})
    extra = simulate.make_cosmic_rays(SHAPE, 40, rng) + simulate.stars(SHAPE, galaxies, fwhm=12.0)
    assert measure_shape(prepared(rng, stars, 4.0, extra=extra)).along == pytest.approx(4.0, rel=0.05)


def test_width_needs_three_bright_stars():
    rng = np.random.default_rng(3)
    two = Table({"x": [100.0, 200.0], "y": [100.0, 200.0], "flux": [1e5, 1e5]})
    assert measure_shape(prepared(rng, two)) is None
    assert measure_shape(prepared(rng)) is None
    assert measure_shape(prepared(rng, grid_of_stars(rng, 500.0))) is None


def test_what_is_far_wider_than_the_box_of_the_fit_does_not_count_as_a_width():
    rng = np.random.default_rng(16)
    clouds = Table({"x": [60.0, 160.0, 260.0, 110.0], "y": [60.0, 150.0, 240.0, 230.0], "flux": [4e6] * 4})
    assert measure_shape(prepared(rng, clouds, fwhm=45.0)) is None


@pytest.mark.parametrize("fwhm", [2.0, 3.0, 6.0])
def test_stars_of_snr_15_are_found_where_they_are(fwhm):
    rng = np.random.default_rng(4)
    noise = np.sqrt(np.pi * fwhm**2 * (SKY + READ_NOISE**2))
    stars = grid_of_stars(rng, 15 * noise / 0.94)
    found = find_stars(prepared(rng, stars, fwhm), fwhm, 5.0, 2 * fwhm)
    away = distances(found, stars)
    assert np.mean(away < fwhm / 2) > 0.95
    # The variance of a centroid is that of the width over the square of the SNR, or more.
    assert np.median(away[away < fwhm / 2]) < 3 * fwhm / 2.355 / 15
    assert len(found) <= len(stars) + 2


def test_brightest_comes_first():
    rng = np.random.default_rng(5)
    stars = Table({"x": [50.0, 150.0, 250.0], "y": [60.0, 160.0, 260.0], "flux": [1e4, 1e5, 3e4]})
    found = find_stars(prepared(rng, stars), 3.0, 5.0, 6.0)
    np.testing.assert_allclose(found, [[150, 160], [250, 260], [50, 60]], atol=0.1)


@pytest.mark.parametrize("threshold", [4.0, 8.0])
def test_of_noise_alone_nothing_is_found(threshold):
    assert len(find_stars(prepared(np.random.default_rng(6)), 3.0, threshold, 6.0)) == 0


def test_of_two_stars_closer_than_their_apertures_the_brighter_is_kept():
    rng = np.random.default_rng(7)
    stars = Table({"x": [100.0, 105.0, 200.0, 209.0], "y": [100.0, 100.0, 200.0, 200.0], "flux": [3e4, 6e4, 3e4, 6e4]})
    found = find_stars(prepared(rng, stars), 3.0, 5.0, 6.0)
    assert len(found) == 3
    np.testing.assert_allclose(found[np.argmin(found[:, 0])], [105, 100], atol=0.3)


def test_cosmic_rays_are_no_stars_and_do_not_hide_them():
    rng = np.random.default_rng(8)
    stars = grid_of_stars(rng, 2e4)
    extra = np.zeros(SHAPE)
    rows, columns = np.rint([stars["y"], stars["x"]]).astype(int)
    extra[rows, columns + 9] = 8000.0
    extra[rows[::2] + 12, columns[::2]] = 5000.0
    found = find_stars(prepared(rng, stars, 4.0, extra=extra), 4.0, 5.0, 8.0)
    assert np.all(distances(found, stars) < 1)
    assert len(found) <= len(stars) + 1


def test_nothing_is_found_beside_a_dark_column_or_in_a_masked_one():
    rng = np.random.default_rng(9)
    extra, missing = np.zeros(SHAPE), np.zeros(SHAPE, dtype=bool)
    extra[:, 100] = -180.0
    extra[:, 200] = 40000.0
    missing[:, 200] = True
    assert len(find_stars(prepared(rng, extra=extra, missing=missing), 4.0, 5.0, 8.0)) == 0


@pytest.mark.parametrize("flux", [4e5, 4e6, 4e7])
def test_a_saturated_star_is_found_once(flux):
    rng = np.random.default_rng(10)
    full_well = 3e4
    stars = Table({"x": [120.3, 240.0], "y": [150.7, 80.0], "flux": [flux, 2e4]})
    light = simulate.stars(SHAPE, stars, 3.0)
    saturated = light > full_well
    assert saturated.sum() > 1
    scene = prepared(rng, extra=np.minimum(light, full_well), saturated=saturated)
    found = find_stars(scene, 3.0, 5.0, 6.0)
    assert len(found) == 2
    np.testing.assert_allclose(found[0], [120.3, 150.7], atol=0.7)


def test_what_was_saturated_in_the_flat_alone_is_no_star():
    saturated = np.zeros(SHAPE, dtype=bool)
    saturated[100:110, 100:110] = True
    scene = prepared(np.random.default_rng(11), saturated=saturated)
    assert len(find_stars(scene, 3.0, 5.0, 6.0)) == 0
    assert not scene.objects[100:110, 100:110].any()


def test_a_gradient_and_a_pedestal_change_nothing():
    rng = np.random.default_rng(12)
    stars = grid_of_stars(rng, 5e4)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    found = find_stars(prepared(rng, stars, extra=500 + 0.5 * x + 0.3 * y), 3.0, 5.0, 6.0)
    assert len(found) == len(stars)
    assert np.all(distances(found, stars) < 0.5)


def test_objects_cover_the_stars_and_little_else():
    rng = np.random.default_rng(13)
    stars = grid_of_stars(rng, 2e4)
    objects = prepared(rng, stars).objects
    rows, columns = np.rint([stars["y"], stars["x"]]).astype(int)
    assert objects[rows, columns].all()
    assert objects.mean() < 2 * len(stars) * np.pi * 6**2 / objects.size
    # Five connected pixels of smoothed noise above 3 sigma are rare.
    assert prepared(rng).objects.mean() < 2e-3


def test_a_frame_smaller_than_a_box_of_the_background_can_be_searched():
    rng = np.random.default_rng(14)
    light = 100 + simulate.stars((30, 25), Table({"x": [12.0], "y": [15.0], "flux": [1e4]}), 3.0)
    data = rng.poisson(light).astype(float)
    nothing = np.zeros(data.shape, dtype=bool)
    found = find_stars(survey(data, data, nothing, nothing), 3.0, 5.0, 6.0)
    np.testing.assert_allclose(found, [[12, 15]], atol=0.2)


def test_pixels_that_are_not_numbers_are_not_searched():
    rng = np.random.default_rng(15)
    stars = grid_of_stars(rng, 2e4)
    light = SKY + simulate.stars(SHAPE, stars, 3.0)
    data = rng.poisson(light).astype(np.float32)
    variance = data.copy()
    data[100:200, 100:200] = np.nan
    variance[:20] = np.nan
    missing = np.isnan(data)
    scene = survey(data, variance, missing, np.zeros(SHAPE, dtype=bool))
    found = find_stars(scene, 3.0, 5.0, 6.0)
    assert np.isfinite(found).all()
    columns, rows = np.rint(found).astype(int).T
    assert not missing[rows, columns].any()
    assert measure_shape(scene).along == pytest.approx(3.0, rel=0.03)


@pytest.mark.parametrize(("dtype", "rounding"), [(np.float32, 2e-6), (np.float64, 1e-12)])
def test_significance_is_that_of_a_gaussian_filter(dtype, rounding):
    rng = np.random.default_rng(17)
    data = rng.normal(SKY, 9.0, SHAPE).astype(dtype)
    variance = rng.uniform(60.0, 100.0, SHAPE).astype(dtype)
    # Without noise any difference is significant; an infinite one would be so in all of its neighbours.
    variance[200, 100] = 0.0
    missing = rng.random(SHAPE) < 0.01
    scene = survey(data, variance, missing, np.zeros(SHAPE, dtype=bool))
    seen = ~missing
    assert scene.significance.dtype == dtype
    np.testing.assert_array_equal(scene.blind, missing)
    assert (scene.residual[missing] == 0).all()
    np.testing.assert_allclose(scene.sigma[seen], np.sqrt(variance[seen]), rtol=1e-6)
    assert np.ptp((data - scene.residual)[seen]) < 10.0
    away = np.ones(SHAPE, dtype=bool)
    away[190:211, 90:111] = False
    relative = np.divide(scene.residual, scene.sigma, where=scene.sigma > 0, out=np.zeros(SHAPE))
    expected = gaussian_filter(relative, 1.5, mode="constant") * 2 * np.sqrt(np.pi) * 1.5
    np.testing.assert_allclose(scene.significance[away], expected[away], atol=rounding)
    assert np.std(scene.significance[away]) == pytest.approx(1, rel=0.05)
    assert abs(scene.significance[200, 100]) > 1e28


def test_pixels_are_searched_where_value_and_variance_say_something():
    # Columns: data, variance, missing, saturated, and expected: value, blind, unfit for the background.
    cases = [
        (7.0, 1.0, False, False, 7.0, False, False),
        (7.0, 0.0, False, False, 7.0, False, False),
        (-7.0, 1.0, False, False, -7.0, False, False),
        (np.nan, 1.0, False, False, 0.0, True, True),
        (np.inf, 1.0, False, False, 0.0, True, True),
        (7.0, -1.0, False, False, 0.0, True, True),
        (7.0, np.nan, False, False, 0.0, True, True),
        (7.0, np.inf, False, False, 0.0, True, True),
        (7.0, 1.0, True, False, 0.0, True, True),
        (7.0, 1.0, True, True, 7.0, False, True),
        (np.nan, 1.0, True, True, 0.0, True, True),
    ]
    data, variance, missing, saturated, value, blind, unfit = (
        np.array([column]) for column in zip(*cases, strict=True)
    )
    found = searchable(data, variance, missing, saturated)
    for one, expected in zip(found, (value, blind, unfit), strict=True):
        np.testing.assert_array_equal(one, expected)


def test_what_is_missing_says_nothing_of_the_background():
    rng = np.random.default_rng(18)
    data = rng.normal(SKY, 5.0, SHAPE)
    missing = rng.random(SHAPE) < 0.4
    data[missing] = 1e5
    scene = survey(data, np.full(SHAPE, 25.0), missing, np.zeros(SHAPE, dtype=bool))
    assert abs(np.median((data - scene.residual)[~missing]) - SKY) < 1.0


def test_one_pixel_is_the_background_where_no_other_is_left():
    data, missing = np.full((20, 20), SKY), np.ones((20, 20), dtype=bool)
    missing[5, 6] = False
    scene = survey(data, data, missing, np.zeros((20, 20), dtype=bool))
    assert scene.residual[5, 6] == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pixels_without_noise_are_far_from_the_background_but_not_infinitely(dtype):
    data = np.full((64, 64), SKY, dtype=dtype)
    data[20:30, 20:25], data[20:30, 35:40] = SKY + 50, SKY - 50
    variance = np.full((64, 64), 25.0, dtype=dtype)
    variance[15:35, 15:45] = 0
    scene = survey(data, variance, np.zeros((64, 64), dtype=bool), np.zeros((64, 64), dtype=bool))
    assert np.isfinite(scene.significance).all()
    assert scene.significance[25, 22] > 1e28
    assert scene.significance[25, 37] < -1e28
    assert scene.significance[50, 50] == 0


def test_the_hole_in_a_star_is_no_star():
    rng = np.random.default_rng(1)
    stars = Table({"x": [100.0, 200.0], "y": [100.0, 200.0], "flux": [1e5, 2e4]})
    missing = np.zeros(SHAPE, dtype=bool)
    missing[99:102, 99:102] = True
    found = find_stars(prepared(rng, stars, 5.0, missing=missing), 5.0, 5.0, 10.0)
    np.testing.assert_allclose(found, [[200, 200]], atol=0.2)


def test_overexposed_pixels_that_touch_are_one_star_largest_first():
    where = np.zeros((20, 20), dtype=bool)
    where[2, 3] = where[3, 4] = where[3, 6] = True
    where[10:14, 10:14] = True
    np.testing.assert_allclose(_centers(where), [[11.5, 11.5], [3.5, 2.5], [6, 3]])


@pytest.mark.parametrize("part", [0.002, 0.02, 0.2])
def test_centres_of_overexposed_stars_are_those_of_a_search_of_the_whole_frame(part):
    where = np.random.default_rng(20).random((60, 90)) < part
    groups, number = label(where, structure=np.ones((3, 3)))
    expected = [(x, y) for y, x in center_of_mass(where, groups, range(1, number + 1))]
    found = _centers(where)
    np.testing.assert_allclose(sorted(map(tuple, found.round(9))), sorted(np.round(expected, 9).tolist()))


@pytest.mark.parametrize("unknown", [np.nan, np.inf, 0.0, -1.0])
def test_width_is_measured_beside_pixels_whose_noise_is_not_known(unknown):
    rng = np.random.default_rng(19)
    stars = grid_of_stars(rng, 1e5)
    data = rng.poisson(SKY + simulate.stars(SHAPE, stars, 3.0)).astype(float)
    variance = np.maximum(data, 1)
    rows, columns = np.rint([stars["y"], stars["x"]]).astype(int)
    variance[rows[:20] + 1, columns[:20] + 1] = unknown
    nothing = np.zeros(SHAPE, dtype=bool)
    assert measure_shape(survey(data, variance, nothing, nothing)).along == pytest.approx(3.0, rel=0.03)
    assert measure_shape(survey(data, np.full(SHAPE, unknown), nothing, nothing)) is None
