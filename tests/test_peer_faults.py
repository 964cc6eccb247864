"""
What ccdproc and astropy are known to get wrong about errors, stated for this package.

Stated elsewhere, and not again here:

- deviation: negative pixels, digitisation, an uncertain gain, the pedestal: steps/test_deviation.py, steps/test_gain.py
- overscan: its error, its mask, hits in it: steps/test_overscan.py
- flat: masked pixels in the normalisation, pixels without light: steps/test_flat.py
- combine: errors from those of the frames, one frame, weights, median factors, rejection, masks, flags, NCOMBINE,
  noise that frames share: stack/test_combination.py; ``ccdproc.combine`` is refused: frame/test_frame.py
- cosmic rays: the error of replaced pixels: steps/test_cosmic_rays.py
- arithmetic: uncertainties of two classes, exact operands, float32, whole numbers: test_arithmetic.py; header, mask and
  flags, the unit after a failure: test_frame.py
- FITS: flags, dimensionless data: io/test_fits.py
"""

from __future__ import annotations

import warnings

import astropy.units as u
import ccdproc
import numpy as np
import pytest
from astropy.modeling.polynomial import Polynomial1D
from astropy.nddata import CCDData, StdDevUncertainty, VarianceUncertainty
from astropy.utils.exceptions import AstropyDeprecationWarning, AstropyUserWarning
from astropy.wcs import WCS
from scipy.ndimage import shift

from astro_calib import (
    CCDFrame,
    ccd_process,
    combine,
    cosmicray_lacosmic,
    covariance,
    subtract_overscan,
)
from astro_calib.errors import FrameError, NoiseWarning, ShapeMismatchError
from tests.noise_checks import assert_scatters_as_predicted, make_frame

SHAPE = (40, 50)
SIGMA = 5.0


@pytest.fixture
def rng():
    return np.random.default_rng(562)


def tangent_plane():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = 250.42, 36.46
    wcs.wcs.crpix = 25, 20
    wcs.wcs.cdelt = -1e-4, 1e-4
    return wcs


# -- steps --------------------------------------------------------------------------------------------------------


def test_ccd_process_does_not_count_the_pedestal_as_signal(rng):
    # 100 electrons on a pedestal of 1000, read noise 5: sqrt(100 + 25) = 11.2, not sqrt(1100 + 25) = 33.5.
    pixels = rng.normal(1000, 5, (300, 340))
    pixels[:, :300] += rng.poisson(100, (300, 300))
    image = ccd_process(
        CCDFrame(pixels, unit="adu"),
        oscan="[301:340, 1:300]",
        trim="[1:300, 1:300]",
        error=True,
        gain=1 * u.electron / u.adu,
        readnoise=5 * u.electron,
    )
    assert np.sqrt(image.variance.mean()) == pytest.approx(11.2, rel=0.01)
    assert_scatters_as_predicted(image.data - 100, image.variance)


def test_a_hit_in_the_overscan_does_not_bend_a_fit(rng):
    # In the level of its row it counts 20000 / 8, in a straight line through 200 rows up to 4 / 200 of that: 50 adu.
    pixels = rng.normal(1000, SIGMA, (200, 20)) + 0.1 * np.arange(200)[:, np.newaxis]
    hit = pixels.copy()
    hit[199, 15] += 20000
    clean, bent = (
        subtract_overscan(CCDFrame(values, unit="adu"), fits_section="[13:20, 1:200]", model=Polynomial1D(1))
        for values in (pixels, hit)
    )
    assert np.abs(clean.data - bent.data)[:, :12].max() < 0.1
    np.testing.assert_allclose(bent.variance, clean.variance, rtol=0.05)


def test_repaired_cosmic_rays_leave_data_and_error_in_one_unit(rng):
    frame = make_frame(rng, 100.0, SIGMA, SHAPE)
    frame.data[20, 25] = 5000
    repaired = cosmicray_lacosmic(CCDFrame(frame.data, unit="electron", uncertainty=np.full(SHAPE, SIGMA)))
    assert repaired.unit == u.electron
    assert repaired.uncertainty.unit == u.electron**2
    others = ~repaired.mask
    np.testing.assert_array_equal(repaired.data[others], frame.data[others])
    np.testing.assert_allclose(repaired.variance[others], SIGMA**2)


# -- combine ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"method": "median"}, {"clip": "sigma", "sigma": 2}])
def test_the_error_of_a_robust_stack_of_twenty_is_true(rng, options):
    # Scatter over sqrt(N), without the factor of the estimator, is 0.77 of the truth for a median.
    stack = combine([make_frame(rng, 100.0, SIGMA) for _ in range(20)], **options)
    assert_scatters_as_predicted(stack.data - 100, stack.variance)


@pytest.mark.parametrize("first", [StdDevUncertainty, VarianceUncertainty])
def test_the_uncertainty_of_a_stack_is_of_the_class_that_it_says(rng, first):
    frames = [
        CCDData(rng.normal(100, 5, SHAPE), unit="adu", uncertainty=StdDevUncertainty(np.full(SHAPE, SIGMA)))
        for _ in range(4)
    ]
    frames[0].uncertainty = frames[0].uncertainty.represent_as(first)
    stack = combine(frames)
    np.testing.assert_allclose(stack.uncertainty.represent_as(StdDevUncertainty).array, SIGMA / 2)
    assert type(stack.uncertainty) is VarianceUncertainty
    assert stack.uncertainty.unit == u.adu**2


def test_weights_of_masked_pixels_do_not_count(rng):
    frames = [make_frame(rng, 100.0, sigma, (1, 2)) for sigma in (1.0, 2.0, 3.0)]
    frames[1].mask = np.array([[True, False]])
    stack = combine(frames, weights=[1, 2, 3])
    values = np.stack([frame.data[0] for frame in frames])
    np.testing.assert_allclose(stack.data[0, 0], (values[0, 0] + 3 * values[2, 0]) / 4)
    np.testing.assert_allclose(stack.variance[0, 0], (1 * 1 + 9 * 9) / 16)
    np.testing.assert_allclose(stack.data[0, 1], (values[:, 1] * [1, 2, 3]).sum() / 6)
    np.testing.assert_allclose(stack.variance[0, 1], (1 * 1 + 4 * 4 + 9 * 9) / 36)


# -- functions of ccdproc that lose the error ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        lambda frame: ccdproc.wcs_project(frame, tangent_plane()),
        lambda frame: ccdproc.block_reduce(frame, 2),
        lambda frame: ccdproc.block_average(frame, 2),
        lambda frame: ccdproc.block_replicate(frame, 2),
        lambda frame: ccdproc.median_filter(frame, 3),
    ],
    ids=["wcs_project", "block_reduce", "block_average", "block_replicate", "median_filter"],
)
def test_what_has_lost_its_error_is_no_frame_and_makes_no_master(rng, function):
    frame = make_frame(rng, 100.0, SIGMA, SHAPE, wcs=tangent_plane())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # some of them say what they ignore
        result = function(frame)
    assert not isinstance(result, CCDFrame)
    assert result.uncertainty is None
    with pytest.raises(FrameError, match="noise"):
        combine([result])


def test_a_frame_says_when_its_variance_was_interpolated(rng):
    # Half a pixel along both axes averages four pixels: sigma 2.5 and not 5, and no longer independent.
    frame = make_frame(rng, 100.0, SIGMA, SHAPE)
    shifted = ccdproc.transform_image(frame, shift, shift=0.5, order=1, mode="nearest")
    with pytest.warns(NoiseWarning, match=r"uncertainty was given another array.*treated as its own"):
        np.testing.assert_array_equal(covariance(shifted, frame), 0)


def test_a_variance_is_not_dropped_because_the_data_have_another_shape(rng):
    frame = make_frame(rng, 100.0, SIGMA, SHAPE, name="d1048.fits")
    with pytest.raises(ShapeMismatchError, match=r"d1048\.fits has a variance of shape \(40, 50\).*\(20, 25\)"):
        frame.data = frame.data[::2, ::2]
    with (
        pytest.warns(AstropyDeprecationWarning, match="rebin"),
        pytest.raises(ShapeMismatchError, match=r"d1048\.fits"),
    ):
        ccdproc.rebin(frame, (20, 25))
    assert frame.shape == SHAPE
    np.testing.assert_array_equal(frame.variance, SIGMA**2)


def test_pixels_that_ccdproc_has_replaced_share_no_noise_with_what_was_there(rng):
    frame = make_frame(rng, 100.0, SIGMA, SHAPE)
    frame.data[10:35:5, 25] += 1000
    frame = CCDFrame(frame.data, unit="electron", uncertainty=np.full(SHAPE, SIGMA))
    by_median = ccdproc.cosmicray_median(frame, error_image=np.sqrt(frame.variance), thresh=6, mbox=5, rbox=5)
    for repaired in (by_median, ccdproc.cosmicray_lacosmic(frame)):
        assert repaired.mask[10:35:5, 25].all()
        assert repaired.data.max() < 200
        np.testing.assert_array_equal(covariance(repaired, frame), 0)


# -- sums ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["", "electron"])
def test_sum_and_mean_of_a_variance(unit):
    # Two pixels of variance 4: 4 + 4 and (4 + 4) / 2^2.
    pair = CCDFrame([1.0, 2.0], unit=unit, uncertainty=VarianceUncertainty([4.0, 4.0]))
    assert (float(pair.sum().data), float(pair.sum().variance)) == (3, 8)
    assert (float(pair.mean().data), float(pair.mean().variance)) == (1.5, 2)
    assert pair.sum().uncertainty.unit == u.Unit(unit) ** 2


# -- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [{"name": "Lick"}, "two\nlines", np.nan])
def test_what_a_header_cannot_hold_is_named(tmp_path, value):
    frame = CCDFrame(np.ones((2, 2)), unit="adu", meta={"OBJECT": "M13", "SITE": value}, name="d1048.fits")
    with pytest.raises(FrameError, match=r"d1048\.fits cannot be written to .*new\.fits because of SITE = "):
        frame.write(tmp_path / "new.fits")
    assert list(tmp_path.iterdir()) == []
