"""Fluxes and their errors, against photutils, the CCD equation, and sums worked out by hand."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table
from photutils.aperture import CircularAnnulus, CircularAperture

from astro_calib import CCDFrame, Detector, NoiseSource, UncertaintyBudget, combine, create_deviation, simulate
from astro_calib.photometry.apertures import Aperture, weigh
from astro_calib.photometry.fluxes import COMPONENTS, measure
from tests.noise_checks import assert_scatters_as_predicted

SHAPE = (121, 131)
CENTER = (64.3, 59.8)
APERTURE = Aperture(6.0, 15.0, 24.0)


def weights_of_photutils(aperture=APERTURE, center=CENTER):
    """Aperture minus annulus over the whole frame, made by photutils."""
    inside = CircularAperture(center, aperture.radius).to_mask(method="exact").to_image(SHAPE)
    around = CircularAnnulus(center, aperture.inner, aperture.outer).to_mask(method="center").to_image(SHAPE)
    return inside - inside.sum() / around.sum() * around


def weighed(frame, aperture=APERTURE, centers=(CENTER,), missing=None):
    missing = np.zeros(frame.shape, dtype=bool) if missing is None else missing
    return weigh(frame.data, missing, np.reshape(centers, (-1, 2)).astype(float), aperture)


def measured(frame, aperture=APERTURE, center=CENTER, missing=None):
    return measure(frame.data, frame.budget, weighed(frame, aperture, [center], missing))


def weights_of(listed, shape, index=0):
    """The weights of one place as an array of the frame's shape."""
    here = listed.place == index
    whole = np.zeros(shape)
    whole[listed.row[here], listed.column[here]] = listed.weight[here]
    return whole


def exact_frame(data, *sources):
    """A frame of which every value is the expected one, with sources of noise of coefficient 1."""
    return CCDFrame(data, unit="electron", budget=UncertaintyBudget(data.shape, [(source, 1.0) for source in sources]))


def star_on_sky(flux, sky, detector, center=CENTER, shape=SHAPE):
    """Expected electrons of a star, with the noise that they and the read-out have."""
    star = simulate.stars(shape, Table({"x": [center[0]], "y": [center[1]], "flux": [flux]}), fwhm=3.0)
    return create_deviation(CCDFrame(star + sky, unit="electron"), detector)


def test_the_flux_is_that_of_photutils():
    # Of a uniform distribution no value is rejected.
    frame = exact_frame(np.random.default_rng(2).uniform(0, 1, SHAPE), NoiseSource("read noise", 100.0))
    result = measured(frame)
    assert result.flux[0] == pytest.approx(np.sum(weights_of_photutils() * frame.data), rel=1e-10)
    assert result.error[0] == pytest.approx(np.sqrt(np.sum(weights_of_photutils() ** 2 * 100.0)), rel=1e-10)


@pytest.mark.parametrize(("flux", "sky", "read_noise"), [(1e5, 50.0, 5.0), (2000.0, 800.0, 5.0), (500.0, 4.0, 30.0)])
def test_the_error_is_that_of_the_ccd_equation(flux, sky, read_noise):
    # Merline & Howell 1995: an isolated star, limited by its own light, by the sky, by the read noise.
    detector = Detector(gain=1 * u.electron / u.adu, read_noise=read_noise * u.electron)
    wide = Aperture(20.0, 26.0, 50.0)
    result = measured(star_on_sky(flux, sky, detector), wide)
    n_aperture, n_annulus = np.pi * 20.0**2, np.pi * (50.0**2 - 26.0**2)
    n_effective = n_aperture * (1 + n_aperture / n_annulus)
    expected = np.sqrt(flux + n_effective * (sky + read_noise**2))
    assert result.flux[0] == pytest.approx(flux, rel=1e-6)
    assert result.error[0] == pytest.approx(expected, rel=0.01)
    variances = {name: float(value[0]) for name, value in result.variances.items()}
    assert variances["source"] == pytest.approx(flux, rel=0.01)
    assert variances["sky"] == pytest.approx(n_effective * sky, rel=0.02)
    assert variances["read_noise"] == pytest.approx(n_effective * read_noise**2, rel=0.02)
    assert sum(variances[name] for name in ("dark", "bias", "flat", "other")) == 0


def test_a_level_of_each_row_adds_up_along_the_row():
    variance = 0.04 * (1 + np.arange(SHAPE[0]) % 3)[:, np.newaxis]
    frame = exact_frame(np.zeros(SHAPE), NoiseSource("overscan", variance, axes=(0,)))
    expected = np.sum(variance[:, 0] * weights_of_photutils().sum(axis=1) ** 2)
    result = measured(frame)
    assert result.variances["other"][0] == pytest.approx(expected, rel=1e-9)
    # As pixels of their own they would count for less than half.
    assert np.sum(weights_of_photutils() ** 2 * variance) < expected / 2


def test_fluxes_scatter_by_the_noise_of_rows_and_pixels_as_predicted():
    rng = np.random.default_rng(1)
    frame = exact_frame(np.zeros(SHAPE), NoiseSource("overscan", 1.0, axes=(0,)), NoiseSource("read noise", 4.0))
    predicted = measured(frame).variances
    weights = weights_of(weighed(frame), SHAPE)
    weights = weights[np.ix_(*(np.flatnonzero(weights.any(axis=axis)) for axis in (1, 0)))]
    rows, pixels = rng.normal(0, 1.0, (4000, len(weights), 1)), rng.normal(0, 2.0, (4000, *weights.shape))
    for name, draws in (("other", rows), ("read_noise", pixels)):
        fluxes = np.sum(weights * draws, axis=(1, 2))
        assert_scatters_as_predicted(fluxes, predicted[name], 0.04)


def test_a_level_of_the_frame_cancels():
    noise = np.random.default_rng(3).normal(0, 10, SHAPE)
    level = NoiseSource("overscan", 1e4, axes=())
    with_level, without = exact_frame(noise + 500, level, NoiseSource("read noise", 9.0)), exact_frame(noise, level)
    assert measured(without).error[0] == pytest.approx(0, abs=1e-6)
    assert measured(with_level).flux[0] == pytest.approx(measured(without).flux[0], abs=1e-8)


def test_parts_add_up_for_every_star(patterned):
    budget = patterned.after.budget
    listed = weighed(patterned.after, Aperture(3.0, 7.5, 12.0), [(150.2, 150.0), (300.4, 90.1)])
    result = measure(patterned.after.data, budget, listed)
    assert set(result.variances) == set(COMPONENTS)
    for index in range(2):
        whole = weights_of(listed, patterned.after.shape, index)
        assert sum(result.variances[name][index] for name in COMPONENTS) == pytest.approx(
            budget.variance_of_sum(whole), rel=1e-6
        )
        assert all(result.variances[name][index] > 0 for name in COMPONENTS if name != "other")


def test_shot_noise_of_the_source_is_its_electrons_though_a_hot_pixel_is_near(detector):
    # 4000 electrons of dark current in a pixel of the aperture, taken off by an exact dark.
    dark = np.zeros(SHAPE)
    dark[58, 66] = 4000.0
    raw = star_on_sky(10000.0, 100.0, detector)
    with_dark = create_deviation(CCDFrame(raw.data + dark, unit="electron"), detector)
    plain, hot = measured(raw), measured(with_dark - CCDFrame(dark, unit="electron"))
    assert plain.variances["source"][0] == pytest.approx(10000.0, rel=0.01)
    assert hot.variances["source"][0] == pytest.approx(10000.0, rel=0.01)
    assert hot.variances["sky"][0] - plain.variances["sky"][0] == pytest.approx(4000.0, rel=0.01)


def test_the_mean_of_four_frames_has_a_quarter_of_the_sources_shot_noise(detector):
    rng = np.random.default_rng(5)
    expected = star_on_sky(40000.0, 100.0, detector).data
    frames = [create_deviation(CCDFrame(rng.poisson(expected) * 1.0, unit="electron"), detector) for _ in range(4)]
    single, mean = measured(frames[0]), measured(combine(frames))
    assert single.variances["source"][0] == pytest.approx(40000.0, rel=0.03)
    assert mean.variances["source"][0] == pytest.approx(10000.0, rel=0.03)
    assert measured((frames[0] + frames[1]) / 2).variances["source"][0] == pytest.approx(20000.0, rel=0.03)


def test_half_the_flux_unit_gives_half_the_error(detector):
    frame = star_on_sky(10000.0, 100.0, detector)
    full, half = measured(frame), measured(frame * 0.5)
    np.testing.assert_allclose(half.flux, full.flux / 2)
    for name in COMPONENTS:
        np.testing.assert_allclose(half.variances[name], full.variances[name] / 4, rtol=1e-9)


def test_a_neighbour_in_the_annulus_does_not_count(detector):
    rng = np.random.default_rng(6)
    alone = star_on_sky(5000.0, 100.0, detector).data
    neighbour = simulate.stars(SHAPE, Table({"x": [46.0], "y": [66.0], "flux": [3e4]}), fwhm=3.0)
    noise = rng.normal(0, 12, SHAPE)
    fluxes = [
        measured(create_deviation(CCDFrame(data + noise, unit="electron"), detector)).flux[0]
        for data in (alone, alone + neighbour)
    ]
    # 3e4 electrons over an annulus nine times as large as the aperture would take off 3300.
    assert fluxes[1] == pytest.approx(fluxes[0], abs=60)


def test_missing_pixels_do_not_count_whatever_is_in_them(detector):
    frame = star_on_sky(5000.0, 100.0, detector)
    missing = np.zeros(SHAPE, dtype=bool)
    missing[57:60, 64] = missing[40, 60] = True
    whole, holed = measured(frame), measured(frame, missing=missing)
    for value in (np.nan, 1e12, -np.inf):
        data = frame.data.copy()
        data[missing] = value
        other = CCDFrame(data, unit="electron", budget=frame.budget)
        np.testing.assert_array_equal(measured(other, missing=missing).flux, holed.flux)
        np.testing.assert_allclose(measured(other, missing=missing).error, holed.error)
    assert weighed(frame, missing=missing).n_missing[0] == 3
    lost = frame.data[57:60, 64].sum() - 3 * 100.0
    assert holed.flux[0] == pytest.approx(whole.flux[0] - lost, rel=1e-6)


@pytest.mark.parametrize("center", [(-300.0, 20.0), (5000.0, 5000.0), (60.0, -8.0), (-6.6, -6.6)])
def test_nothing_is_measured_outside_of_the_frame(detector, center):
    frame = star_on_sky(5000.0, 100.0, detector)
    result = measured(frame, center=center)
    assert np.isnan(result.flux[0])
    assert np.isnan(result.error[0])
    assert weighed(frame, centers=[center]).n_missing[0] == np.count_nonzero(
        CircularAperture(center, APERTURE.radius).to_mask(method="exact").data
    )


def test_half_an_aperture_on_the_frame_has_half_of_its_pixels(detector):
    frame = star_on_sky(5000.0, 100.0, detector, center=(-0.5, 60.0))
    result = measured(frame, center=(-0.5, 60.0))
    assert result.flux[0] == pytest.approx(2500.0, rel=0.01)


def test_nothing_is_measured_without_a_background(detector):
    frame = star_on_sky(5000.0, 100.0, detector)
    missing = np.ones(SHAPE, dtype=bool)
    missing[50:70, 54:75] = False
    assert np.isnan(measured(frame, missing=missing).flux[0])


def test_no_stars_give_empty_arrays(detector):
    frame = star_on_sky(5000.0, 100.0, detector)
    result = measure(frame.data, frame.budget, weighed(frame, centers=[]))
    assert result.flux.shape == result.error.shape == (0,)


def frame_with_noise_in_common(rng):
    """A frame times the gain plus half of itself moved by two rows and a column, so that pixels share noise."""
    sources = (
        NoiseSource("read noise", rng.uniform(5, 20, (SHAPE[0] + 2, SHAPE[1] + 1))),
        NoiseSource("overscan", rng.uniform(0.1, 0.5, (SHAPE[0] + 2, 1)), axes=(0,)),
        NoiseSource("flat", rng.uniform(0.1, 0.5, (1, SHAPE[1] + 1)), axes=(1,)),
    )
    data = rng.uniform(0, 1, (SHAPE[0] + 2, SHAPE[1] + 1))
    whole = exact_frame(data, *sources)
    return whole[2:, 1:] + whole[:-2, :-1] * 0.5


@pytest.mark.parametrize("kind", ["apart", "in common"])
def test_variances_of_all_places_are_those_of_the_weighted_sums_one_by_one(kind):
    rng = np.random.default_rng(8)
    frame = frame_with_noise_in_common(rng)
    if kind == "apart":
        sources = [
            NoiseSource("read noise", rng.uniform(5, 20, SHAPE)),
            NoiseSource("overscan", rng.uniform(0.1, 0.5, (SHAPE[0], 1)), axes=(0,)),
            NoiseSource("flat", rng.uniform(0.1, 0.5, (1, SHAPE[1])), axes=(1,)),
            NoiseSource("bias", 0.3, axes=()),
        ]
        terms = [(source, rng.uniform(0.5, 2.0, SHAPE)) for source in sources]
        frame = CCDFrame(frame.data, unit="electron", budget=UncertaintyBudget(SHAPE, terms))
    centers = [(64.3, 59.8), (200.0, 300.0), (30.0, 3.2), (66.1, 61.5)]
    listed = weighed(frame, centers=centers)
    result = measure(frame.data, frame.budget, listed)
    assert np.isnan(result.flux).tolist() == [False, True, False, False]
    for index in (0, 2, 3):
        parts = frame.budget.variances_of_sum(weights_of(listed, SHAPE, index))
        names = {"read noise": "read_noise", "overscan": "other", "flat": "flat", "bias": "bias"}
        for name, variance in parts.items():
            assert result.variances[names[name]][index] == pytest.approx(variance, rel=1e-9)


@pytest.mark.parametrize("dtype", ["f4", ">f4", "f8", "i4"])
def test_a_frame_may_be_of_any_type_and_any_layout(detector, dtype):
    frame = star_on_sky(5000.0, 100.0, detector)
    missing = np.zeros(SHAPE, dtype=bool)
    places = np.array([CENTER])
    expected = weigh(np.rint(frame.data), missing, places, APERTURE)
    wide = np.repeat(np.rint(frame.data).astype(dtype), 2, axis=1)[:, ::2]
    for name, values in weigh(wide, missing, places, APERTURE)._asdict().items():
        np.testing.assert_array_equal(values, getattr(expected, name))
