"""What a frame gives to other packages, and what it says of what they leave behind."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from astropy.nddata import (
    CCDData,
    Cutout2D,
    InverseVariance,
    StdDevUncertainty,
    UnknownUncertainty,
    VarianceUncertainty,
)
from astropy.wcs import WCS

from astro_calib import (
    CCDFrame,
    Correlation,
    Detector,
    NoiseSource,
    UncertaintyBudget,
    block_sum,
    calibrate,
    combine,
    simulate,
)
from astro_calib.errors import FrameError, NoiseWarning

SHAPE = (20, 24)


def wcs_of_frame():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt = (
        ["RA---TAN", "DEC--TAN"],
        [10, 8],
        [10, 20],
        [-1e-4, 1e-4],
    )
    return wcs


def whole_frame(**changes):
    """A frame with all that a frame can have; its noise is partly shared."""
    rng = np.random.default_rng(1)
    mask, flags = np.zeros(SHAPE, dtype=bool), np.zeros(SHAPE, dtype=np.uint16)
    mask[3, 4], flags[3, 4] = True, 1
    tone = Correlation(row=0.1, tones=[(0.2, 2.1, 0.4)])
    sources = [
        (NoiseSource("read noise", rng.uniform(20, 30, SHAPE), correlation=tone), 1.0),
        (NoiseSource("rows", 3.0, axes=(0,)), rng.uniform(0.5, 2, SHAPE)),
        (NoiseSource("overscan", 0.04, axes=()), 1.0),
    ]
    given = {
        "unit": "electron",
        "budget": UncertaintyBudget(SHAPE, sources),
        "mask": mask,
        "flags": flags,
        "wcs": wcs_of_frame(),
        "meta": {"OBJECT": "M67"},
        "name": "s1.fits",
    }
    return CCDFrame(rng.normal(200, 5, SHAPE), **given | changes)


def test_sigma_is_the_root_of_the_variance_and_found_once():
    frame = whole_frame()
    np.testing.assert_allclose(frame.sigma**2, frame.variance)
    assert frame.sigma is frame.sigma
    assert not frame.sigma.flags.writeable
    assert CCDFrame(np.zeros(SHAPE), unit="adu").sigma is None


def test_sigma_follows_a_new_uncertainty():
    frame = whole_frame()
    assert frame.sigma[0, 0] > 1
    frame.uncertainty = StdDevUncertainty(np.full(SHAPE, 0.5))
    np.testing.assert_array_equal(frame.sigma, np.full(SHAPE, 0.5))


def test_sigma_of_single_precision_stays_so():
    frame = CCDFrame(np.ones(SHAPE, np.float32), unit="adu", uncertainty=np.ones(SHAPE, np.float32))
    assert frame.sigma.dtype == np.float32


@pytest.mark.parametrize(
    ("kind", "value"), [(StdDevUncertainty, 5.0), (VarianceUncertainty, 25.0), (InverseVariance, 0.04)]
)
def test_a_plain_ccddata_has_all_but_the_sources(kind, value):
    frame = whole_frame(budget=UncertaintyBudget(SHAPE, [(NoiseSource("read noise", 25.0), 1.0)]))
    plain = frame.to_ccddata(kind)
    assert type(plain) is CCDData
    assert type(plain.uncertainty) is kind
    np.testing.assert_allclose(plain.uncertainty.array, np.full(SHAPE, value))
    np.testing.assert_array_equal(plain.data, frame.data)
    np.testing.assert_array_equal(plain.mask, frame.mask)
    np.testing.assert_array_equal(plain.flags, frame.flags)
    assert plain.unit == frame.unit
    assert plain.wcs.to_header() == frame.wcs.to_header()
    assert dict(plain.meta) == dict(frame.meta)


def test_a_plain_ccddata_shares_nothing_with_the_frame():
    frame = whole_frame()
    before = frame.budget
    plain = frame.to_ccddata()
    plain.data[:], plain.mask[:], plain.flags[:], plain.uncertainty.array[:] = 0, True, 1, 0
    plain.meta["OBJECT"] = "another"
    assert frame.budget is before
    assert frame.data.min() > 100
    assert frame.mask.sum() == frame.flags.sum() == 1
    assert frame.sigma.min() > 1
    assert frame.meta["OBJECT"] == "M67"


def test_a_frame_without_noise_becomes_a_ccddata_without():
    assert CCDFrame(np.zeros(SHAPE), unit="adu").to_ccddata().uncertainty is None


def test_a_kind_of_uncertainty_that_says_nothing_is_refused():
    with pytest.raises(TypeError, match=r"s1\.fits: the uncertainty is to be the class UnknownUncertainty itself"):
        whole_frame().to_ccddata(UnknownUncertainty)


# -- covariances ------------------------------------------------------------------------------------------------------

CUT = (slice(2, 9), slice(5, 11))
#: Frames whose pixels share noise in every way that there is.
SHARED = {
    "as it is": lambda frame: frame,
    "upside down": lambda frame: frame[::-1],
    "every other column, mirrored": lambda frame: frame[:, ::-2],
    "its own neighbours subtracted": lambda frame: frame[1:] - 0.5 * frame[:-1],
    "binned": lambda frame: block_sum(frame, 2),
    "less a part that was binned otherwise": lambda frame: block_sum(frame[1:-1], 2) - block_sum(frame[:-2], 2),
    "squared": lambda frame: frame * frame,
}


@pytest.mark.parametrize("name", SHARED)
def test_the_covariances_give_the_variance_of_any_sum(name):
    frame = SHARED[name](whole_frame(mask=None, flags=None))
    cut = tuple(slice(1, 6) for _ in range(2))
    found = frame.covariance_of(cut)
    matrix = found.to_dense()
    assert found.data_shape == (5, 5)
    # The variance of a single pixel is that on average over places, where a level was subtracted; none was here.
    np.testing.assert_allclose(np.diag(matrix).reshape(5, 5), frame[cut].variance, rtol=1e-6)
    rng = np.random.default_rng(3)
    for _ in range(3):
        weights = rng.normal(size=(5, 5))
        expected = frame[cut].budget.variance_of_sum(weights)
        assert weights.ravel() @ matrix @ weights.ravel() == pytest.approx(expected, rel=1e-9)


def calibrated(number):
    """A frame whose noise has tones, after its overscan level and a bias that is a median were subtracted."""
    camera = simulate.camera((24, 20), seed=3, filters=["V"])
    tones = Correlation(row=0.1, tones=[(0.3, 2.1, 0.4), (0.1, 1.1, None)])
    detector = Detector(gain=camera.detector.gain, read_noise=camera.detector.read_noise, correlation=tones)
    raws = [camera.expose("bias", 0, rng=one)[0] for one in range(number + 5)]
    sections = {"overscan": raws[0].meta["BIASSEC"], "trim": raws[0].meta["TRIMSEC"]}
    biases = [calibrate(raw, detector, **sections, shot_noise=0) for raw in raws[number:]]
    bias = combine(biases, method="median")
    return calibrate(raws[0], detector, **sections, bias=bias, shot_noise=0) - 0.5 * combine(biases[:3])


@pytest.mark.parametrize("change", [lambda frame: frame, lambda frame: block_sum(frame, 2)], ids=["as it is", "binned"])
def test_the_covariances_of_a_calibrated_frame_give_the_variance_of_any_sum(change):
    frame = change(calibrated(1))
    found = frame.covariance_of((slice(2, 8), slice(1, 8))).to_dense()
    rng = np.random.default_rng(5)
    for weights in (np.ones((6, 7)), *rng.normal(size=(3, 6, 7))):
        expected = frame[2:8, 1:8].budget.variance_of_sum(weights)
        assert weights.ravel() @ found @ weights.ravel() == pytest.approx(expected, rel=1e-9)


def test_covariances_written_out_by_hand():
    tone = Correlation(tones=[(0.25, 1.3, 0.4)])
    sources = [NoiseSource("read noise", 4.0, correlation=tone), NoiseSource("rows", 0.5, axes=(0,))]
    flat = np.arange(1.0, 7.0).reshape(2, 3)
    budget = UncertaintyBudget((2, 3), [(sources[0], 1.0), (sources[1], flat)])
    found = CCDFrame(np.ones((2, 3)), unit="adu", budget=budget).covariance_of((slice(0, 2), slice(0, 3)))
    expected = np.empty((6, 6))
    for a in range(6):
        for b in range(6):
            (ya, xa), (yb, xb) = divmod(a, 3), divmod(b, 3)
            expected[a, b] = 4 * 0.75 * (a == b) + 4 * 0.25 * np.cos(1.3 * (xa - xb) + 0.4 * (ya - yb))
            expected[a, b] += 0.5 * flat[ya, xa] * flat[yb, xb] * (ya == yb)
    np.testing.assert_allclose(found.to_dense(), expected)
    assert found.unit == "adu2"


def test_a_cutout_is_where_it_says_also_at_the_edge_of_the_frame():
    frame = whole_frame()
    with pytest.warns(NoiseWarning, match="Cutout2D"):
        cutout = Cutout2D(frame, (1, 18), (6, 8), mode="partial", fill_value=np.nan)
    np.testing.assert_array_equal(
        frame.covariance_of(cutout).to_dense(), frame.covariance_of((slice(15, 20), slice(0, 5))).to_dense()
    )


def test_independent_noise_of_any_number_of_pixels_takes_no_room():
    shape = (400, 500)
    frame = CCDFrame(np.zeros(shape), unit="adu", uncertainty=np.full(shape, 3.0))
    found = frame.covariance_of((slice(None), slice(None)))
    assert found.stored_nnz == 400 * 500
    np.testing.assert_array_equal(found.variance, np.full(400 * 500, 9.0))


def test_too_many_pixels_that_share_noise_are_refused():
    budget = UncertaintyBudget((60, 60), [(NoiseSource("overscan", 4.0, axes=()), 1.0)])
    frame = CCDFrame(np.zeros((60, 60)), unit="adu", budget=budget, name="s1.fits")
    with pytest.raises(FrameError, match=r"s1\.fits: the cutout has 3600 pixels.*variance_of_sum"):
        frame.covariance_of((slice(None), slice(None)))


def test_what_is_no_cutout_is_refused():
    for wrong in (3, slice(0, 3), (slice(0, 3), 2), (slice(0, 3),)):
        with pytest.raises(TypeError, match=r"s1\.fits: the cutout is .*; expected a Cutout2D or 2 slices"):
            whole_frame().covariance_of(wrong)
    with pytest.raises(FrameError, match=r"d1\.fits has no noise yet"):
        CCDFrame(np.zeros(SHAPE), unit="adu", name="d1.fits").covariance_of(CUT)


# -- what is left behind ----------------------------------------------------------------------------------------------


def test_a_frame_upside_down_keeps_everything():
    frame = whole_frame()
    flipped = frame[::-1]
    np.testing.assert_array_equal(flipped.variance, frame.variance[::-1])
    np.testing.assert_array_equal(flipped.mask, frame.mask[::-1])
    np.testing.assert_array_equal(flipped.flags, frame.flags[::-1])
    assert flipped.budget.names == frame.budget.names
    assert flipped.meta["OBJECT"] == "M67"
    there, here = flipped.wcs.pixel_to_world(4, 16), frame.wcs.pixel_to_world(4, 3)
    assert there.separation(here).arcsec < 1e-6
    # All noise cancels.
    np.testing.assert_allclose((flipped[::-1] - frame).variance, 0, atol=1e-12)


def test_numpy_says_that_its_functions_leave_the_noise_behind():
    frame = whole_frame()
    for function in (np.sqrt, np.log10, np.abs):
        with pytest.warns(
            NoiseWarning, match=rf"s1\.fits: numpy\.{function.__name__} returns an array without"
        ) as caught:
            function(frame)
        assert caught[0].filename == __file__
    # These say nothing of the noise, and these have none.
    np.isfinite(frame), np.sqrt(frame.pixels), np.sqrt(CCDFrame(np.ones(SHAPE), unit="adu"))


def test_a_cutout_says_what_it_leaves_behind_and_what_keeps_it():
    frame = whole_frame()
    with pytest.warns(NoiseWarning, match=r"s1\.fits: Cutout2D takes the pixels alone") as caught:
        cutout = Cutout2D(frame, (10, 10), (5, 7), wcs=frame.wcs)
    assert caught[0].filename == __file__
    kept = frame[cutout.slices_original]
    np.testing.assert_array_equal(kept.data, cutout.data)
    np.testing.assert_array_equal(kept.variance, frame.variance[cutout.slices_original])
    Cutout2D(CCDFrame(np.ones(SHAPE), unit="adu"), (10, 10), (5, 7))


def test_hdus_say_what_they_leave_behind():
    frame = whole_frame()
    with pytest.warns(NoiseWarning, match=r"s1\.fits: to_hdu leaves out its flags and what its noise is made of"):
        hdus = frame.to_hdu()
    np.testing.assert_array_equal(hdus["UNCERT"].data, frame.variance)
    assert hdus["UNCERT"].header["UTYPE"] == "VarianceUncertainty"
    with pytest.warns(NoiseWarning, match=r"leaves out what its noise is made of"):
        hdus = frame.to_hdu(hdu_flags="FLAGS")
    np.testing.assert_array_equal(hdus["FLAGS"].data, frame.flags)


def test_hdus_of_a_frame_that_they_hold_say_nothing():
    frame = whole_frame(budget=None, flags=None, uncertainty=StdDevUncertainty(np.full(SHAPE, 3.0)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame.to_hdu()
        CCDFrame(np.zeros(SHAPE), unit="adu").to_hdu()
