"""Sums and means of blocks of pixels, and the noise of frames that were binned."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import block_reduce
from astropy.wcs import WCS

from astro_calib import (
    CCDFrame,
    Correlation,
    DataQuality,
    Detector,
    block_mean,
    block_sum,
    calibrate,
    colour_planes,
    combine,
    covariance,
    create_deviation,
    flat_correct,
)
from astro_calib.errors import FrameError
from astro_calib.noise.budget import UncertaintyBudget
from tests.noise_checks import assert_scatters_as_predicted, make_frame

SHAPE = (96, 120)
GAIN, READ, PEDESTAL, OVERSCAN = 1.5, 5.0, 300.0, 8
SENSITIVITY = np.random.default_rng(3).normal(1, 0.05, SHAPE)
ROWS, COLUMNS = np.indices(SHAPE)
STARS = sum(3000 * np.exp(-((ROWS - y) ** 2 + (COLUMNS - x) ** 2) / 6) for y, x in ((7, 9), (15, 26), (60, 70)))
CAMERA = Detector(
    gain=GAIN * u.electron / u.adu, read_noise=READ * u.electron, gain_uncertainty=0.01 * u.electron / u.adu
)
PICKUP = Correlation(row=0.2, tones=[(0.3, 0.7, 0.4), (0.1, 2.1, None)])
WITH_PICKUP = Detector(gain=GAIN * u.electron / u.adu, read_noise=READ * u.electron, correlation=PICKUP)


def read_out(rng, correlation, shape):
    """Read-out noise with rows and tones, drawn from their definition."""
    if correlation is None:
        return rng.normal(0, READ, shape)
    rows, columns = np.indices(shape)
    noise = rng.normal(0, np.sqrt(correlation.white), shape) + rng.normal(0, np.sqrt(correlation.row), (shape[0], 1))
    for part, wx, wy in correlation.tones:
        phases = rng.uniform(0, 2 * np.pi, (shape[0], 1) if np.isnan(wy) else ())
        noise += np.sqrt(2 * part) * np.cos(wx * columns + np.nan_to_num(wy) * rows + phases)
    return READ * noise


def raw(rng, electrons, exposure, correlation=None):
    shape = (SHAPE[0], SHAPE[1] + OVERSCAN)
    adu = read_out(rng, correlation, shape) / GAIN + PEDESTAL
    adu[:, : SHAPE[1]] += rng.poisson(electrons) / GAIN
    return CCDFrame(adu, unit="adu", meta=fits.Header({"EXPTIME": exposure}))


def night(rng, camera, skies, axis=(0, 1), n=3):
    """Frames that share a bias, a dark and a flat."""
    correlation = camera.amplifiers[0].correlation
    where = {"overscan": f"[{SHAPE[1] + 1}:{SHAPE[1] + OVERSCAN}, 1:{SHAPE[0]}]", "overscan_axis": axis}
    where["trim"] = f"[1:{SHAPE[1]}, 1:{SHAPE[0]}]"

    def one(electrons, exposure, **masters):
        return calibrate(raw(rng, electrons, exposure, correlation), camera, **where, **masters)

    bias = combine([one(np.zeros(SHAPE), 0.0, shot_noise=0.0) for _ in range(n)])
    dark = combine([one(np.full(SHAPE, 60.0), 60.0, bias=bias) for _ in range(n)])
    flat = combine([one(4000 * SENSITIVITY, 1.0, bias=bias, dark=dark) for _ in range(n)])
    return [one(sky * SENSITIVITY + 30.0, 30.0, bias=bias, dark=dark, flat=flat) for sky in skies]


def added_up(budget, size):
    """The budget of a sum over blocks, as that of a sum over strided cuts: the algebra of frames has nothing to add."""
    rows, columns = size
    written = budget.materialized()
    cuts = [written[row::rows, column::columns] for row in range(rows) for column in range(columns)]
    return UncertaintyBudget(cuts[0].shape, [term for cut in cuts for term in cut.terms], cuts[0].dtype)


def blocks(image, size):
    return block_reduce(image, size)


@pytest.fixture(scope="module")
def stars():
    return {camera: night(np.random.default_rng(4), camera, [100 + STARS] * 3) for camera in (CAMERA, WITH_PICKUP)}


@pytest.mark.parametrize("size", [2, (3, 2), (1, 4), (6, 1)], ids=str)
@pytest.mark.parametrize("camera", [CAMERA, WITH_PICKUP], ids=["white", "pick-up"])
def test_a_binned_frame_is_the_sum_of_its_cuts(stars, camera, size):
    frames = stars[camera]
    rows_columns = (size, size) if isinstance(size, int) else size
    # With waves, neighbours within a block count as of like noise.
    exact = camera is CAMERA
    rtol, rtol_of_sums = (1e-6, 1e-6) if exact else (0.01, 0.003)
    binned = [block_sum(frame, size) for frame in frames]
    expected = [added_up(frame.budget, rows_columns) for frame in frames]
    np.testing.assert_allclose(binned[0].pixels, blocks(frames[0].pixels, rows_columns), rtol=1e-12)
    np.testing.assert_allclose(binned[0].variance, expected[0].variance(), rtol=rtol)
    weights = np.zeros(binned[0].shape)
    weights[1:7, 1:8] = 1
    for one in (weights, weights - weights.mean()):
        for name, part in expected[0].variances_of_sum(one).items():
            assert binned[0].budget.variances_of_sum(one)[name] == pytest.approx(part, rel=0.01 if exact else 0.1)
        assert binned[0].budget.variance_of_sum(one) == pytest.approx(
            expected[0].variance_of_sum(one), rel=rtol_of_sums
        )
    # What frames share, they go on sharing: the stars are at the same place.
    size_of = np.sqrt(expected[0].variance() * expected[1].variance())
    assert np.max(np.abs(covariance(*binned[:2]) - expected[0].covariance(expected[1])) / size_of) < 0.005
    mean = (binned[0] + binned[1] + binned[2]) / 3
    exact_mean = UncertaintyBudget.linear([(one, 1 / 3) for one in expected])
    np.testing.assert_allclose(mean.variance, exact_mean.variance(), rtol=0.005 if exact else 0.01)
    assert mean.budget.variance_of_sum(weights) == pytest.approx(exact_mean.variance_of_sum(weights), rel=0.003)


def test_stars_at_other_places_share_the_flat_to_a_good_half_percent(rng):
    skies = [100 + np.roll(STARS, 3 * shift, axis=1) for shift in range(3)]
    frames = night(rng, CAMERA, skies)
    mean = UncertaintyBudget.linear([(block_sum(frame, 2).budget, 1 / 3) for frame in frames])
    expected = UncertaintyBudget.linear([(added_up(frame.budget, (2, 2)), 1 / 3) for frame in frames])
    ratio = mean.variance() / expected.variance()
    assert 0.999 < ratio.min() <= ratio.max() < 1.01


#: Rows and tones with another phase in each row, of which a frame has as many draws as rows.
IN_ROWS = Detector(
    gain=GAIN * u.electron / u.adu,
    read_noise=READ * u.electron,
    correlation=Correlation(row=0.15, tones=[(0.4, 0.9, None), (0.2, 2.4, None)]),
)


@pytest.fixture(scope="module", params=[CAMERA, IN_ROWS], ids=["white", "pick-up"])
def realisations(request):
    """For each of many nights: ten binned frames that share masters, and their stack."""
    rng = np.random.default_rng(11)
    camera = request.param
    sky = 100 + STARS
    found = []
    for _ in range(40):
        frames = [block_sum(frame, 2) for frame in night(rng, camera, [sky] * 10, n=2)]
        found.append((frames[0], combine(frames)))
    # The gain's error is the camera's, and no night draws it again.
    truth = blocks(sky, 2)
    without = [name for name in found[0][0].budget.names if name != "gain"]
    return found, truth, without


def predicted(frame, without):
    return sum(frame.budget.variances()[name] for name in without)


@pytest.mark.long
@pytest.mark.parametrize("which", [0, 1], ids=["frame", "stack"])
def test_pixels_scatter_as_predicted(realisations, which):
    nights, truth, without = realisations
    frames = [one[which] for one in nights]
    # In units of the noise of each pixel, so that those of stars do not count for more than the others.
    sigma = np.sqrt(np.mean([predicted(frame, without) for frame in frames], axis=0))
    errors = (np.stack([frame.pixels for frame in frames]) - truth) / sigma
    assert_scatters_as_predicted(errors, np.ones_like(errors))


@pytest.mark.long
@pytest.mark.parametrize("which", [0, 1], ids=["frame", "stack"])
def test_sums_over_apertures_scatter_as_predicted(realisations, which):
    nights, truth, without = realisations
    frames = [one[which] for one in nights]
    corners = [(row, column) for row in range(0, truth.shape[0] - 2, 3) for column in range(0, truth.shape[1] - 2, 3)]
    apertures = [(slice(row, row + 3), slice(column, column + 3)) for row, column in corners]
    # All frames have the same noise; what one of them predicts holds for all.
    variances = []
    for here in apertures:
        weights = np.zeros(truth.shape)
        weights[here] = 1
        parts = frames[0].budget.variances_of_sum(weights)
        variances.append(sum(parts[name] for name in without))
    errors = np.array([[np.sum((frame.pixels - truth)[here]) for here in apertures] for frame in frames])
    errors /= np.sqrt(variances)
    assert_scatters_as_predicted(errors, np.ones_like(errors), tolerance=0.02)


def test_levels_of_columns_and_of_the_frame(rng):
    """Noise of one draw a column, a row, or for the frame adds up in full along it."""
    from astro_calib import NoiseSource

    coefficient = rng.uniform(0.5, 2.0, (6, 8))
    for axes, shape in (((0,), (6, 1)), ((1,), (1, 8)), ((), ())):
        variance = rng.uniform(1.0, 3.0, shape) if axes else 2.0
        budget = UncertaintyBudget((6, 8), [(NoiseSource("level", variance, axes), coefficient)])
        frame = CCDFrame(rng.normal(size=(6, 8)), unit="adu", budget=budget)
        expected = added_up(budget, (3, 2))
        for binned, factor in ((block_sum(frame, (3, 2)), 1), (block_mean(frame, (3, 2)), 1 / 6)):
            np.testing.assert_allclose(binned.variance, expected.variance() * factor**2)
        weights = rng.normal(size=(2, 4))
        summed = block_sum(frame, (3, 2)).budget.variance_of_sum(weights)
        assert summed == pytest.approx(expected.variance_of_sum(weights), rel=0.1)


def test_frames_that_were_binned_from_other_pixels_on_share_what_their_blocks_share(rng):
    bias = make_frame(rng, 0.0, 3.0, (20, 20))
    whole = make_frame(rng, 100.0, 1.0, (20, 20)) - bias
    other = make_frame(rng, 100.0, 1.0, (20, 20)) - bias
    one, shifted = block_sum(whole[:18, :18], 2), block_sum(other[1:19, 1:19], 2)
    # Two blocks of four pixels have one in common with each of four neighbours.
    np.testing.assert_allclose(covariance(one, shifted), 9.0)
    weights = np.ones((9, 9))
    difference = (one - shifted).budget
    # The bias cancels in the 17 x 17 pixels that both hold.
    assert difference.variance_of_sum(weights) == pytest.approx(2 * 324 + 9.0 * (2 * 324 - 2 * 17**2))
    np.testing.assert_allclose(covariance(one, block_sum(other[2:20, 2:20], 2)), 0.0)
    aligned = (one[1:, 1:] - block_sum(other[2:18, 2:18], 2)).budget
    assert aligned.variance_of_sum(np.ones((8, 8))) == pytest.approx(2 * 256)


@pytest.mark.parametrize("flip", [np.s_[::-1, :], np.s_[:, ::-1], np.s_[::-1, ::-1]], ids=["rows", "columns", "both"])
def test_a_frame_may_be_turned_before_or_after(stars, flip):
    for frames in stars.values():
        before, after = block_sum(frames[0][flip], 2), block_sum(frames[1], 2)[flip]
        plain = block_sum(frames[0], 2)[flip]
        np.testing.assert_allclose(before.variance, plain.variance, rtol=1e-6)
        assert np.max((before - plain).variance / plain.variance) < 1e-6
        expected = covariance(plain, after)
        np.testing.assert_allclose(covariance(before, after), expected, rtol=1e-6, atol=1e-6 * np.max(expected))
        weights = np.zeros(plain.shape)
        weights[2:8, 3:7] = 1
        assert before.budget.variance_of_sum(weights) == pytest.approx(plain.budget.variance_of_sum(weights), rel=1e-6)


def test_bins_of_bins_are_larger_bins(stars):
    for camera, frames in stars.items():
        twice, once = block_sum(block_sum(frames[0], 2), (3, 2)), block_sum(frames[0], (6, 4))
        np.testing.assert_allclose(twice.variance, once.variance, rtol=1e-6 if camera is CAMERA else 0.01)
        assert np.max((twice - once).variance / once.variance) < 1e-3


def test_a_stack_of_binned_frames_is_the_binned_stack(rng):
    frames = [make_frame(rng, 100.0, 4.0, (12, 12)) for _ in range(4)]
    binned = combine([block_sum(frame, 2) for frame in frames])
    stack = block_sum(combine(frames), 2)
    np.testing.assert_allclose(binned.variance, stack.variance)
    np.testing.assert_allclose((binned - stack).variance, 0.0, atol=1e-9)
    # A frame less the stack that it is in: 3/4 of its variance is left.
    np.testing.assert_allclose((block_sum(frames[0], 2) - stack).variance, 0.75 * 64.0)
    np.testing.assert_allclose((block_sum(frames[0], 2) - binned).variance, 0.75 * 64.0)


def test_a_mean_is_that_of_good_pixels_and_a_sum_is_of_all(rng):
    mask = np.zeros((8, 8), dtype=bool)
    mask[0, 0] = mask[2:4, 2:4] = True
    values = rng.normal(100.0, 3.0, (8, 8))
    values[0, 0] = np.nan
    frame = CCDFrame(values, unit="electron", mask=mask, uncertainty=np.full((8, 8), 3.0))
    mean, total = block_mean(frame, 2), block_sum(frame, 2)
    assert mean.pixels[0, 0] == pytest.approx(np.nanmean(frame.pixels[:2, :2]))
    assert mean.variance[0, 0] == pytest.approx(9 / 3)
    assert mean.variance[0, 1] == pytest.approx(9 / 4)
    assert mean.mask.tolist() == [[row == column == 1 for column in range(4)] for row in range(4)]
    assert mean.pixels[1, 1] == pytest.approx(frame.pixels[2:4, 2:4].mean())
    assert total.mask.tolist() == [[(row, column) in ((0, 0), (1, 1)) for column in range(4)] for row in range(4)]
    np.testing.assert_allclose(total.variance, 36.0)


@pytest.mark.long
def test_means_with_pixels_left_out_scatter_as_predicted():
    rng = np.random.default_rng(21)
    mask = rng.random(SHAPE) < 0.2
    errors, variances = [], []
    for _ in range(45):
        (frame,) = night(rng, CAMERA, [np.full(SHAPE, 80.0)], n=2)
        frame.mask = mask
        mean = block_mean(frame, 3)
        good = ~mean.mask
        errors.append((mean.pixels - 80.0)[good])
        variances.append(mean.variance[good] - mean.budget.variances()["gain"][good])
    assert_scatters_as_predicted(np.concatenate(errors), np.concatenate(variances))


def test_flags_are_those_of_pixels_that_count():
    flags = np.zeros((4, 4), dtype=np.uint16)
    flags[0, 0], flags[0, 1], flags[2, 2] = DataQuality.SATURATED, DataQuality.NONLINEAR, DataQuality.REJECTED
    frame = CCDFrame(np.ones((4, 4)), unit="adu", uncertainty=np.ones((4, 4)), flags=flags)
    both = DataQuality.SATURATED | DataQuality.NONLINEAR
    np.testing.assert_array_equal(block_sum(frame, 2).flags, [[both, 0], [0, DataQuality.REJECTED]])
    np.testing.assert_array_equal(block_sum(frame, 2).mask, [[True, False], [False, False]])
    np.testing.assert_array_equal(block_mean(frame, 2).flags, [[DataQuality.NONLINEAR, 0], [0, DataQuality.REJECTED]])
    assert block_mean(frame, 2).mask is None


def test_a_pixel_without_a_known_variance_spoils_its_block_only():
    sigmas = np.ones((4, 4))
    sigmas[0, 0] = np.nan
    frame = CCDFrame(np.ones((4, 4)), unit="adu", uncertainty=sigmas)
    assert np.isnan(block_sum(frame, 2).variance).tolist() == [[True, False], [False, False]]
    frame.mask = ~np.isfinite(sigmas)
    np.testing.assert_allclose(block_mean(frame, 2).variance, [[1 / 3, 1 / 4], [1 / 4, 1 / 4]])


def test_counts_below_zero_keep_their_variance(rng):
    signal = rng.normal(0, 5, (40, 40))
    frame = create_deviation(
        CCDFrame(signal, unit="electron"), Detector(gain=1 * u.electron / u.adu, read_noise=5 * u.electron)
    )
    np.testing.assert_allclose(block_sum(frame, 2).variance, blocks(frame.variance, 2))
    frame = frame / np.linspace(0.9, 1.1, 1600).reshape(40, 40)
    np.testing.assert_allclose(block_sum(frame, 2).variance, blocks(frame.variance, 2))


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
def test_binned_frames_go_through_files(stars, tmp_path, suffix):
    for frames in stars.values():
        binned = [block_sum(frame, 2) for frame in frames[:2]]
        read = []
        for number, frame in enumerate(binned):
            frame.write(tmp_path / f"{number}.{suffix}", overwrite=True)
            read.append(CCDFrame.read(tmp_path / f"{number}.{suffix}"))
        weights = np.zeros(binned[0].shape)
        weights[2:8, 3:7] = 1
        np.testing.assert_allclose(read[0].variance, binned[0].variance, rtol=1e-5)
        for name, part in binned[0].budget.variances_of_sum(weights).items():
            assert read[0].budget.variances_of_sum(weights)[name] == pytest.approx(part, rel=1e-4)
        mean, of_read = combine(binned), combine(read)
        np.testing.assert_allclose(of_read.variance, mean.variance, rtol=1e-4)
        # One from a file, and one that is here.
        assert np.max((read[0] - binned[0]).variance / binned[0].variance) < 1e-4
        np.testing.assert_allclose((read[0] - binned[1]).variance, (binned[0] - binned[1]).variance, rtol=1e-4)


def test_the_type_of_the_pixels_stays(rng):
    for dtype in (np.float32, np.float64):
        frame = make_frame(rng, 100.0, 4.0, (12, 12), dtype=dtype)
        for binned in (block_sum(frame, 2), block_mean(frame, (2, 3))):
            assert binned.dtype == binned.variance.dtype == dtype
            assert binned.unit == frame.unit


def test_blocks_are_where_their_pixels_are_on_the_sky(rng):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = (120.0, 30.0), (11.0, 7.0), (-5e-4, 5e-4)
    frame = make_frame(rng, 1.0, 1.0, (12, 18), wcs=wcs)
    binned = block_sum(frame, (2, 3))
    # The middle of columns 6 to 8 and rows 4 and 5.
    expected = wcs.pixel_to_world(7.0, 4.5)
    assert binned.wcs.pixel_to_world(2, 2).separation(expected).arcsec < 1e-6
    assert binned.wcs.pixel_shape in (None, (6, 6))


def test_the_header_is_that_of_blocks(rng):
    cards = {
        "XBINNING": 1, "YBINNING": 2, "CCDSUM": "1 2", "XPIXSZ": 9.0, "YPIXSZ": 18.0, "PIXSCALE": 0.4,
        "DATASEC": "[1:12,1:12]", "SATURATE": 60000, "EGAIN": 1.0, "OBJECT": "M 31",
    }  # fmt: skip
    frame = make_frame(rng, 1.0, 1.0, (12, 12), meta=fits.Header(cards))
    header = block_sum(frame, (2, 3)).meta
    expected = {
        "XBINNING": 3,
        "YBINNING": 4,
        "CCDSUM": "3 4",
        "XPIXSZ": 27.0,
        "YPIXSZ": 36.0,
        "EGAIN": 1.0,
        "OBJECT": "M 31",
    }
    assert dict(header) == expected
    assert dict(frame.meta) == cards
    assert block_sum(frame, 2).meta["PIXSCALE"] == 0.8
    plain = block_sum(make_frame(rng, 1.0, 1.0, (12, 12)), (1, 2)).meta
    assert (plain["XBINNING"], plain["YBINNING"]) == (2, 1)


def test_a_detector_says_the_noise_of_pixels_as_they_are_read_out():
    # Four pixels read out as one have the read noise of one read-out.
    frame = CCDFrame(np.full((4, 4), 200.0), unit="adu", meta=fits.Header({"XBINNING": 2, "YBINNING": 2}))
    result = calibrate(frame, Detector(gain=2 * u.electron / u.adu, read_noise=8 * u.electron), pedestal=100)
    np.testing.assert_allclose(result.variance, 8.0**2 + 200.0)


def test_a_mosaic_is_no_mosaic_any_more(rng):
    frame = make_frame(rng, 1.0, 1.0, (12, 12), meta=fits.Header({"BAYERPAT": "RGGB"}), name="m31.fits")
    assert "BAYERPAT" not in block_sum(frame, 2).meta
    with pytest.warns(UserWarning, match=r"m31.fits is the mosaic of a colour sensor: blocks of \(3, 3\) do not"):
        block_sum(frame, 3)
    plane = block_sum(colour_planes(frame)["G1"], 3)
    assert plane.meta["CFAPLANE"] == "G1"


def test_what_fills_no_block_is_left_out_with_a_remark(rng):
    frame = make_frame(rng, 1.0, 1.0, (13, 14), name="m31.fits")
    with pytest.warns(UserWarning, match=r"m31.fits has shape \(13, 14\): the last 1 rows and 2 columns fill no block"):
        assert block_sum(frame, (2, 3)).shape == (6, 4)


@pytest.mark.parametrize("size", [0, -2, 2.0, True, "2", (2, 2, 2), (2, 0), None])
def test_a_block_size_that_is_none_is_refused(rng, size):
    with pytest.raises(ValueError, match=r"block_size is .*; expected a whole number above 0"):
        block_sum(make_frame(rng, 1.0, 1.0, (4, 4)), size)


def test_a_frame_without_noise_is_refused(rng):
    raw_frame = CCDFrame(rng.integers(0, 9, (4, 4), dtype=np.uint16), unit="adu", name="raw.fits")
    with pytest.raises(FrameError, match=r"raw.fits has no noise of its own yet.*bin what they return"):
        block_sum(raw_frame, 2)
    exact_flat = flat_correct(raw_frame, make_frame(rng, 100.0, 1.0, (4, 4)))
    with pytest.raises(FrameError, match="less than a block"):
        block_mean(exact_flat, 5)


def test_inputs_are_not_changed(stars):
    frame = stars[CAMERA][0]
    pixels, variance, header = frame.pixels.copy(), frame.variance.copy(), frame.meta.tostring()
    binned = block_sum(frame, 2)
    binned.data[...] = 0
    np.testing.assert_array_equal(frame.pixels, pixels)
    np.testing.assert_array_equal(frame.variance, variance)
    assert frame.meta.tostring() == header
