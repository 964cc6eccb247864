"""The errors of sums by photutils and specreduce: theirs where noise is white, those of draws where it is not."""

from __future__ import annotations

from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, NDData, StdDevUncertainty
from astropy.table import QTable
from astropy.wcs import WCS
from photutils.aperture import (
    ApertureStats,
    CircularAnnulus,
    CircularAperture,
    SkyCircularAperture,
)
from photutils.aperture import (
    aperture_photometry as photutils_photometry,
)
from photutils.background import Background2D
from photutils.psf import CircularGaussianPRF, PSFPhotometry
from photutils.segmentation import SourceCatalog, detect_sources

from astro_calib import CCDFrame, Correlation, NoiseSource, UncertaintyBudget
from astro_calib.errors import FrameError, NoiseWarning, ShapeMismatchError
from astro_calib.noise.protocol import Budget
from astro_calib.photometry import aperture_photometry, as_photutils, boxcar_spectrum

SHAPE = (60, 64)
PLACES = [(30.2, 29.7), (31.0, 28.5)]


def white(mask=None, wcs=None):
    """A frame whose noise differs from pixel to pixel, and none of which is shared."""
    rng = np.random.default_rng(1)
    data, sigma = rng.normal(100, 3, SHAPE), rng.uniform(2, 9, SHAPE)
    return CCDFrame(data, unit="electron", uncertainty=StdDevUncertainty(sigma), mask=mask, wcs=wcs)


@pytest.fixture(scope="module")
def specreduce():
    """What is used of it; it takes a second to import."""
    from specreduce import extract, tracing

    return SimpleNamespace(
        BoxcarExtract=extract.BoxcarExtract,
        HorneExtract=extract.HorneExtract,
        ArrayTrace=tracing.ArrayTrace,
        FlatTrace=tracing.FlatTrace,
    )


# -- draws of noise that pixels share ---------------------------------------------------------------------------------

SMALL, DRAWS = (16, 12), 20_000
WHITE, ROW, COLUMN, LEVEL, TONE, PHASE = 4.0, 0.3, 0.5, 0.2, 3.0, (0.9, 0.4)


def drawn():
    """Draws of the noise below, by NumPy: shape (DRAWS, ny, nx)."""
    rng = np.random.default_rng(2)
    ny, nx = SMALL
    y, x = np.indices(SMALL)
    noise = rng.normal(0, np.sqrt(WHITE), (DRAWS, ny, nx))
    noise += rng.normal(0, np.sqrt(ROW), (DRAWS, ny, 1))
    noise += rng.normal(0, np.sqrt(COLUMN), (DRAWS, 1, nx))
    noise += rng.normal(0, np.sqrt(LEVEL), (DRAWS, 1, 1))
    wave = PHASE[0] * x + PHASE[1] * y
    for part in (np.cos(wave), np.sin(wave)):
        noise += rng.normal(0, np.sqrt(TONE), (DRAWS, 1, 1)) * part
    return noise


def shared_frame():
    """A frame with that noise: read noise with a tone, and levels of rows, columns and the frame."""
    tone = Correlation(tones=[(TONE / (WHITE + TONE), *PHASE)])
    sources = [
        NoiseSource("read noise", WHITE + TONE, correlation=tone),
        NoiseSource("rows", ROW, axes=(0,)),
        NoiseSource("columns", COLUMN, axes=(1,)),
        NoiseSource("overscan", LEVEL, axes=()),
    ]
    budget = UncertaintyBudget(SMALL, [(source, 1.0) for source in sources])
    return CCDFrame(np.full(SMALL, 50.0), unit="electron", budget=budget, name="s1.fits")


#: Three of the standard errors that so many draws give to a standard deviation.
WITHIN = 3 / np.sqrt(2 * DRAWS)


@pytest.fixture(scope="module")
def noise():
    return drawn()


@pytest.mark.parametrize("method", ["exact", "center"])
def test_the_errors_of_apertures_are_those_of_draws(noise, method):
    aperture = CircularAperture((5.3, 8.1), r=3.2)
    weights = aperture.to_mask(method=method).to_image(SMALL)
    found = aperture_photometry(shared_frame(), aperture, method=method)["aperture_sum_err"].value[0]
    truth = np.std(np.tensordot(noise, weights, 2))
    assert found == pytest.approx(truth, rel=WITHIN)
    own = photutils_photometry(np.zeros(SMALL), aperture, error=shared_frame().sigma, method=method)[
        "aperture_sum_err"
    ][0]
    assert own < 0.7 * truth


def test_the_errors_of_spectra_are_those_of_draws(specreduce, noise):
    frame = shared_frame()
    spectrum = boxcar_spectrum(frame, specreduce.BoxcarExtract(frame, specreduce.FlatTrace(frame, 7.2), width=4.6))
    # The box goes from 4.9 to 9.5: six tenths of row 5, which ends at 5.5, and all of rows 6 to 9.
    weights = np.zeros(SMALL[0])
    weights[5], weights[6:10] = 0.6, 1.0
    truth = np.std(np.einsum("nyx,y->nx", noise, weights), axis=0)
    np.testing.assert_allclose(spectrum.uncertainty.array, truth, rtol=WITHIN)
    with pytest.warns(NoiseWarning, match=r"s1\.fits: specreduce adds up the errors of pixels as if") as caught:
        own = specreduce.BoxcarExtract(frame, specreduce.FlatTrace(frame, 7.2), width=4.6)().uncertainty.array
    assert [one.filename for one in caught] == [__file__]
    assert np.all(np.sqrt(own) < 0.8 * truth)


def test_the_covariances_of_a_cutout_are_those_of_draws(noise):
    found = shared_frame().covariance_of((slice(3, 7), slice(2, 8)))
    truth = np.cov(noise[:, 3:7, 2:8].reshape(DRAWS, -1).T)
    # The standard error of a covariance of variances V is V / sqrt(n).
    np.testing.assert_allclose(found.to_dense(), truth, atol=5 * np.max(truth) / np.sqrt(DRAWS))


# -- noise that each pixel has for itself -----------------------------------------------------------------------------


def mask_of_some():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[28:31, 29] = True
    return mask


@pytest.mark.parametrize("mask", [None, mask_of_some()], ids=["no mask", "mask"])
@pytest.mark.parametrize(
    ("method", "radius", "within"), [("center", 3, 1e-12), ("center", 9.5, 1e-12), ("exact", 25, 0.01)]
)
def test_errors_of_white_noise_are_those_of_photutils(mask, method, radius, within):
    frame, aperture = white(mask), CircularAperture(PLACES, r=radius)
    theirs = photutils_photometry(frame.data, aperture, error=np.sqrt(frame.variance), mask=mask, method=method)
    ours = aperture_photometry(frame, aperture, method=method)
    np.testing.assert_allclose(ours["aperture_sum_err"].value, theirs["aperture_sum_err"], rtol=within)
    np.testing.assert_allclose(ours["aperture_sum"].value, theirs["aperture_sum"], rtol=1e-12)
    assert ours["aperture_sum_err"].unit == u.electron
    assert list(ours.columns) == list(theirs.columns)


def test_pixels_on_the_edge_count_with_the_squares_of_their_weights():
    # Var(sum w z) = sum w^2 sigma^2; photutils adds up w sigma^2.
    frame, aperture = (
        CCDFrame(np.zeros(SHAPE), unit="adu", uncertainty=np.full(SHAPE, 3.0)),
        CircularAperture(PLACES[0], r=5),
    )
    weights = aperture.to_mask().to_image(SHAPE)
    ours = aperture_photometry(frame, aperture)["aperture_sum_err"].value
    np.testing.assert_allclose(ours**2, [np.sum(weights**2 * frame.variance)])
    theirs = photutils_photometry(frame.data, aperture, error=frame.sigma)["aperture_sum_err"]
    np.testing.assert_allclose(theirs**2, [np.sum(weights * frame.variance)])
    assert 1.03 < theirs[0] / ours[0] < 1.05


def test_a_list_of_apertures_of_any_kind_and_places_off_the_frame():
    frame = white()
    places = [(1.0, 2.0), (500.0, 500.0)]
    apertures = [CircularAperture(places, r=3), CircularAnnulus(places, 4, 7)]
    table = aperture_photometry(frame, apertures, method="center")
    theirs = photutils_photometry(frame.data, apertures, error=frame.sigma, method="center")
    for name in ("aperture_sum_err_0", "aperture_sum_err_1"):
        np.testing.assert_allclose(table[name].value, theirs[name], rtol=1e-12)
        assert np.isnan(table[name][1])


def test_apertures_on_the_sky():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt = (
        ["RA---TAN", "DEC--TAN"],
        [30, 30],
        [10, 20],
        [-1e-4, 1e-4],
    )
    frame = white(wcs=wcs)
    there = SkyCircularAperture(wcs.pixel_to_world([30.2], [29.7]), r=5e-4 * u.deg)
    table = aperture_photometry(frame, there, method="center")
    here = aperture_photometry(frame, CircularAperture([(30.2, 29.7)], r=5), method="center")
    np.testing.assert_allclose(table["aperture_sum_err"].value, here["aperture_sum_err"].value, rtol=1e-12)


@pytest.mark.parametrize("treatment", ["apply", "ignore", "propagate", "apply_mask_only", "apply_nan_only"])
@pytest.mark.parametrize("mask", [None, mask_of_some()], ids=["no mask", "mask"])
def test_errors_of_white_noise_are_those_of_specreduce(specreduce, mask, treatment):
    frame = white(mask)
    trace = specreduce.ArrayTrace(frame, 29 + np.linspace(-3, 3, SHAPE[1]))
    extract = specreduce.BoxcarExtract(frame, trace, width=6.5, mask_treatment=treatment)
    theirs, ours = extract(), boxcar_spectrum(frame, extract)
    np.testing.assert_allclose(ours.uncertainty.array**2, theirs.uncertainty.array, rtol=1e-9)
    np.testing.assert_array_equal(ours.flux, theirs.flux)
    assert ours.uncertainty.unit == u.electron


def test_pixels_that_specreduce_fills_have_no_noise(specreduce):
    frame = white(mask_of_some())
    trace = specreduce.FlatTrace(frame, 29)
    zeros = boxcar_spectrum(
        frame, specreduce.BoxcarExtract(frame, trace, width=5, mask_treatment="zero_fill")
    ).uncertainty.array
    # Rows 27 to 31, of which the mask has 28 to 30.
    assert zeros[29] ** 2 == pytest.approx(frame.variance[27, 29] + frame.variance[31, 29])
    unknown = boxcar_spectrum(frame, specreduce.BoxcarExtract(frame, trace, width=5, mask_treatment="nan_fill"))
    np.testing.assert_array_equal(np.isnan(unknown.uncertainty.array), np.arange(SHAPE[1]) == 29)
    assert np.isfinite(frame.data).all()


def test_an_extraction_that_is_no_boxcar_is_refused(specreduce):
    frame = white()
    with pytest.raises(FrameError, match=r"the extraction is .*; expected a BoxcarExtract"):
        boxcar_spectrum(frame, specreduce.HorneExtract(frame, specreduce.FlatTrace(frame, 29)))

    class Doubled(specreduce.BoxcarExtract):
        def __call__(self):
            spectrum = super().__call__()
            return type(spectrum)(flux=2 * spectrum.flux, spectral_axis=spectrum.spectral_axis)

    with pytest.raises(FrameError, match=r"Doubled gives other fluxes than the sums over boxes of 5 pixels"):
        boxcar_spectrum(frame, Doubled(frame, specreduce.FlatTrace(frame, 29)))


# -- what photutils takes ---------------------------------------------------------------------------------------------


def test_functions_of_photutils_take_what_the_frame_hands_over():
    frame = white(mask_of_some())
    frame.data[40:44, 40:44] += 500
    given = as_photutils(frame)
    stars = ApertureStats(**given, aperture=CircularAperture(PLACES[0], r=4), sum_method="center")
    inside = CircularAperture(PLACES[0], r=4).to_mask(method="center").to_image(SHAPE) * ~frame.mask
    assert stars.sum_err.value == pytest.approx(np.sqrt(np.sum(inside * frame.variance)))
    found = detect_sources(given["data"], 200 * u.electron, 5, mask=given["mask"])
    catalog = SourceCatalog(given["data"], found, error=given["error"], mask=given["mask"])
    assert catalog.segment_flux_err[0].value == pytest.approx(np.sqrt(np.sum(frame.variance[40:44, 40:44])))
    assert Background2D(given["data"], 20, mask=given["mask"]).background.unit == u.electron


def test_a_frame_without_noise_is_refused_with_what_to_do():
    raw = CCDFrame(np.zeros(SHAPE), unit="adu", name="d1.fits")
    for function in (as_photutils, lambda frame: aperture_photometry(frame, CircularAperture(PLACES, r=3))):
        with pytest.raises(FrameError, match=r"d1\.fits has no noise yet.* Call create_deviation"):
            function(raw)


def test_a_plain_ccddata_is_taken():
    frame = white()
    plain = CCDData(frame.data, unit=frame.unit, uncertainty=StdDevUncertainty(frame.sigma))
    np.testing.assert_array_equal(as_photutils(plain)["error"], as_photutils(frame)["error"])


@pytest.mark.parametrize("method", ["center", "exact"])
def test_photutils_gets_the_errors_of_a_frame_by_itself(method):
    frame, aperture = white(mask_of_some()), CircularAperture(PLACES, r=4)
    sums = photutils_photometry(frame, aperture, method=method)
    expected = photutils_photometry(frame.data, aperture, error=np.sqrt(frame.variance), mask=frame.mask, method=method)
    np.testing.assert_allclose(sums["aperture_sum_err"].value, expected["aperture_sum_err"], rtol=1e-12)
    assert sums["aperture_sum_err"].unit == u.electron
    stats = ApertureStats(frame, aperture, sum_method=method)
    np.testing.assert_allclose(stats.sum_err.value, expected["aperture_sum_err"], rtol=1e-12)


def test_shared_noise_that_photutils_does_not_know_of_is_said():
    frame = shared_frame()
    with pytest.warns(NoiseWarning, match=r"s1\.fits: photutils adds up the errors of pixels as if") as caught:
        photutils_photometry(frame, CircularAperture((5, 8), r=3))
    assert [one.filename for one in caught] == [__file__]
    # Once: the errors are no better the second time, but the user knows.
    photutils_photometry(frame, CircularAperture((5, 8), r=3))
    part = frame.budget[3:13, 1:11]
    excess = np.sqrt(part.variance_of_sum(np.ones((10, 10))) / np.sum(part.variance()))
    assert f"is {excess:.2f} times what it says" in str(caught[0].message)


def test_a_fit_by_photutils_that_does_not_know_of_shared_noise_says_so():
    frame = shared_frame()
    fit = PSFPhotometry(CircularGaussianPRF(fwhm=3.0), (5, 5), aperture_radius=3)
    start = QTable({"x": [5.0], "y": [8.0], "flux": [10.0] * u.electron})
    with pytest.warns(NoiseWarning, match=r"s1\.fits: photutils adds up the errors of pixels as if"):
        found = fit(frame, init_params=start)
    np.testing.assert_allclose(found["flux_err"], fit(**as_photutils(frame), init_params=start)["flux_err"])


def test_a_little_shared_noise_is_not_worth_a_word():
    sources = [NoiseSource("read noise", 25.0), NoiseSource("overscan", 0.005, axes=())]
    budget = UncertaintyBudget(SMALL, [(source, 1.0) for source in sources])
    frame = CCDFrame(np.zeros(SMALL), unit="electron", budget=budget)
    # 100 pixels: 1 + 100 x 0.005 / 25 in the variance, 1% in the error.
    assert photutils_photometry(frame, CircularAperture((5, 8), r=3))["aperture_sum_err"][0] > 0 * u.electron


# -- the protocol -----------------------------------------------------------------------------------------------------


class Matrix:
    """A budget that is a matrix of covariances, of which this package knows nothing."""

    def __init__(self, matrix, shape, identities):
        self.matrix, self.shape, self.identities = matrix, shape, frozenset(identities)

    def variance(self):
        return np.diag(self.matrix).reshape(self.shape)

    def variance_of_sum(self, weights):
        return float(weights.ravel() @ self.matrix @ weights.ravel())

    def covariance(self, other):
        assert self.identities == other.identities
        return self.variance()

    def __getitem__(self, item):
        places = np.arange(self.matrix.shape[0]).reshape(self.shape)[item]
        return Matrix(self.matrix[np.ix_(places.ravel(), places.ravel())], places.shape, self.identities)


class Image(NDData):
    """An image of another package, with such a budget."""

    def __init__(self, data, budget):
        super().__init__(data, unit="electron")
        self.budget = budget


def other_image():
    rng = np.random.default_rng(4)
    root = rng.normal(size=(DRAWS // 100, np.prod(SMALL)))
    return Image(rng.normal(50, 2, SMALL), Matrix(root.T @ root, SMALL, ["theirs:1"]))


def test_images_of_another_package_are_measured_by_its_budget(specreduce):
    image = other_image()
    assert isinstance(image.budget, Budget)
    aperture = CircularAperture((5.3, 8.1), r=3.2)
    weights = aperture.to_mask().to_image(SMALL).ravel()
    found = aperture_photometry(image, aperture)["aperture_sum_err"].value[0]
    assert found == pytest.approx(np.sqrt(weights @ image.budget.matrix @ weights))
    trace = specreduce.FlatTrace(image.data, 7.0)
    spectrum = boxcar_spectrum(image, specreduce.BoxcarExtract(image.data, trace, width=3))
    column = np.zeros(SMALL)
    column[6:9, 4] = 1
    assert spectrum.uncertainty.array[4] ** 2 == pytest.approx(column.ravel() @ image.budget.matrix @ column.ravel())


def test_budgets_of_two_packages_are_independent_if_no_identity_is_in_both():
    frame, image = shared_frame(), other_image()
    assert isinstance(frame.budget, Budget)
    np.testing.assert_array_equal(frame.budget.covariance(image.budget), np.zeros(SMALL))
    theirs = Matrix(image.budget.matrix, SMALL, frame.budget.identities)
    with pytest.raises(FrameError, match=r"a budget of Matrix shares '.*' with this one, and does not say how"):
        frame.budget.covariance(theirs)


def test_a_frame_without_noise_offers_no_budget():
    assert not isinstance(CCDFrame(np.zeros(SMALL), unit="adu").budget, Budget)


def test_a_budget_of_another_shape_is_refused():
    image = other_image()
    image.budget = image.budget[0:4, 0:4]
    with pytest.raises(ShapeMismatchError, match=r"shape \(16, 12\) has a budget of shape \(4, 4\)"):
        as_photutils(image)


def test_identities_are_those_of_all_noise_that_is_shared():
    one, other = NoiseSource("bias", 4.0), NoiseSource("bias", 4.0)
    budgets = [UncertaintyBudget(SMALL, [(source, 1.0)]) for source in (one, other)]
    both = UncertaintyBudget.linear([(budgets[0], 0.5), (budgets[1], 0.5)])
    assert both.identities == {one.identity, other.identity}
    assert budgets[0].identities.isdisjoint(budgets[1].identities)
    assert UncertaintyBudget(SMALL).identities == frozenset()
