"""Gain and read-out noise are what the frames were made with, whatever the light did; wrong frames are named."""

from __future__ import annotations

import gzip
import importlib.util
import sys
from io import BytesIO
from itertools import combinations
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from matplotlib.figure import Figure
from scipy.ndimage import uniform_filter
from scipy.signal import fftconvolve

from astro_calib.characterize import photon_transfer, plot_ptc
from astro_calib.characterize.read_noise import bias_level, biases_of
from astro_calib.characterize.spectrum import spectrum_of
from astro_calib.errors import FrameError
from astro_calib.simulate.electronics import BrighterFatter

#: What measures whole cameras takes long.
pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
SHAPE = (200, 260)
GAIN, NOISE = 1.6, 7.0


def expose(electrons, rng, *, gain=GAIN, noise=NOISE, level=800.0, top=65535, step=1, shape=SHAPE):
    light = rng.poisson(np.broadcast_to(electrons, shape)) + noise * rng.standard_normal(shape)
    return np.clip(step * np.rint((level + light / gain) / step), 0, top).astype(np.uint16)


@pytest.fixture(scope="module")
def biases():
    rng = np.random.default_rng(1)
    return [expose(0.0, rng) for _ in range(4)]


@pytest.fixture(scope="module")
def flats():
    rng = np.random.default_rng(2)
    return [expose(20_000.0, rng) for _ in range(3)]


def agrees(measured, truth, errors=3.0):
    assert abs(measured.value.value - truth) < errors * measured.uncertainty.value


def light():
    """Vignetting, dust, sensitivity, of the same camera."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
    dust = 1 - 0.2 * ((np.hypot(y - 0.3, x + 0.2) < 0.15) & (np.hypot(y - 0.3, x + 0.2) > 0.05))
    return (1 - 0.3 * (x**2 + y**2)) * dust * (1 + 0.01 * rng.standard_normal(SHAPE)), x, y


def test_two_flats_and_two_biases(biases, flats):
    (one,) = photon_transfer(flats[:2], biases[:2]).amplifiers
    agrees(one.gain, GAIN)
    agrees(one.read_noise, NOISE)
    assert (one.flats, one.biases, one.remarks) == (2, 2, ())
    # One level only: nothing speaks for or against a straight response.
    assert one.consistent is None
    # Nothing is better than the variance of so many pixels.
    assert one.gain.uncertainty.value / GAIN > np.sqrt(2 / np.prod(SHAPE))
    assert one.level.value.value == pytest.approx(800, abs=0.1)
    assert one.digital_step == 1 * u.adu
    assert one.full_well is None


def test_a_lamp_that_fades_and_moves_dust_hits_stars_and_bad_pixels(biases):
    rng = np.random.default_rng(4)
    shape, x, y = light()
    flats = []
    for number in range(6):
        expected = 25_000 * 0.85**number * shape * (1 + 0.03 * rng.uniform(-1, 1) * x + 0.03 * rng.uniform(-1, 1) * y)
        for _ in range(4):
            place = rng.uniform(20, 180), rng.uniform(20, 240)
            yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
            expected += 2000 * np.exp(-((yy - place[0]) ** 2 + (xx - place[1]) ** 2) / 8)
        expected[rng.integers(0, 200, 30), rng.integers(0, 260, 30)] += rng.uniform(500, 20_000, 30)
        expected[:, 100] = 0
        flat = expose(expected, rng)
        flat[50, 60:64] = 65535
        flats.append(flat)
    (one,) = photon_transfer(flats, biases).amplifiers
    agrees(one.gain, GAIN)
    assert one.gain.uncertainty.value < 0.015 * GAIN
    assert one.gain.value.value == pytest.approx(GAIN, rel=0.01)


def test_twilight_flats_full_of_bright_stars_that_move(biases):
    rng = np.random.default_rng(14)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    flats = []
    for number in range(8):
        expected = np.full(SHAPE, 30_000 * 0.8**number)
        for a, b, peak in zip(
            rng.uniform(0, 200, 12), rng.uniform(0, 260, 12), 20_000 * rng.exponential(size=12), strict=True
        ):
            expected += peak * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 12)
        flats.append(expose(expected, rng))
    (one,) = photon_transfer(flats, biases).amplifiers
    agrees(one.gain, GAIN)
    assert one.gain.uncertainty.value < 0.015 * GAIN


@pytest.mark.parametrize("level", [3_000.0, 40_000.0])
def test_twilight_flats_with_many_stars_too_faint_to_be_found(biases, level):
    # Left alone they make the gain too small by some percent.
    rng = np.random.default_rng(21)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    flats = []
    for number in range(8):
        expected = np.full(SHAPE, level * 0.95**number)
        for a, b, peak in zip(rng.uniform(0, 200, 40), rng.uniform(0, 260, 40), rng.exponential(size=40), strict=True):
            expected += 1.5 * np.sqrt(level) * peak * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 6)
        flats.append(expose(expected, rng))
    (one,) = photon_transfer(flats, biases).amplifiers
    agrees(one.gain, GAIN)
    assert one.gain.value.value == pytest.approx(GAIN, rel=0.03)


@pytest.mark.parametrize("level", [20_000.0, 50_000.0])
def test_charge_that_moves_to_the_next_pixels_only(biases, level):
    # Another shape than the fit expects, and nothing beyond the first order: Gaussian noise of covariance a mu^2.
    rng = np.random.default_rng(22)
    wy, wx = 2 * np.pi * np.fft.fftfreq(SHAPE[0])[:, None], 2 * np.pi * np.fft.rfftfreq(SHAPE[1])[None]
    a_00 = -2e-6
    power = 1 + level * a_00 * (1 - 0.6 * np.cos(wy) - 0.4 * np.cos(wx))

    def frame():
        noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(SHAPE)) * np.sqrt(power), SHAPE) * np.sqrt(level)
        return np.rint(800 + (level + noise + NOISE * rng.standard_normal(SHAPE)) / GAIN).astype(np.uint16)

    (one,) = photon_transfer([frame() for _ in range(8)], biases).amplifiers
    agrees(one.gain, GAIN)
    agrees(one.a_00, a_00)


def test_a_response_that_is_bent_shows_from_two_levels(biases):
    rng = np.random.default_rng(23)

    def frame(level, loss):
        signal = rng.poisson(level, SHAPE) / GAIN
        signal = signal - loss * signal**2 + NOISE / GAIN * rng.standard_normal(SHAPE)
        return np.rint(800 + signal).astype(np.uint16)

    levels = [10_000.0, 10_000.0, 10_000.0, 50_000.0, 50_000.0, 50_000.0]
    assert photon_transfer([frame(level, 0.0) for level in levels], biases).amplifiers[0].consistent is True
    # A loss of 6% at the higher one.
    bent = photon_transfer([frame(level, 2e-6) for level in levels], biases).amplifiers[0]
    assert bent.consistent is False
    assert any("nonlinearity" in remark for remark in bent.remarks)


def test_a_block_in_the_middle_is_enough(biases, flats):
    (whole,) = photon_transfer(flats, biases).amplifiers
    (block,) = photon_transfer(flats, biases, pixels=20_000).amplifiers
    agrees(block.gain, GAIN)
    agrees(block.read_noise, NOISE)
    assert block.gain.uncertainty > whole.gain.uncertainty
    # More than there are: all.
    assert photon_transfer(flats, biases, pixels=10**7).amplifiers[0].gain == whole.gain
    middle = photon_transfer(flats, biases, pixels=20_000, sections="[1:130,1:200]").amplifiers[0]
    agrees(middle.gain, GAIN)


def test_a_detector_says_where_its_amplifiers_are(biases, flats):
    sections = ["[1:130,1:200]", "[131:260,1:200]"]
    named = photon_transfer(flats, biases, sections=sections)
    again = photon_transfer(flats, biases, sections=named.to_detector())
    assert [one.section for one in again.amplifiers] == sections
    assert [one.gain for one in again.amplifiers] == [one.gain for one in named.amplifiers]


def test_rows_and_tones_go_into_the_detector(flats):
    rng = np.random.default_rng(26)
    x = np.arange(SHAPE[1])

    def bias():
        tone = 5 * np.cos(0.9 * x + rng.uniform(0, 2 * np.pi, (SHAPE[0], 1)))
        rows = 2 * rng.standard_normal((SHAPE[0], 1))
        return np.rint(800 + tone + rows + 4 * rng.standard_normal(SHAPE)).astype(np.uint16)

    (amplifier,) = photon_transfer(flats, [bias() for _ in range(6)]).to_detector().amplifiers
    variance = 12.5 + 4 + 16
    assert amplifier.read_noise.value == pytest.approx(GAIN * np.sqrt(variance), rel=0.03)
    for distance in (1, 2, 7):
        truth = (4 + 12.5 * np.cos(0.9 * distance)) / variance
        assert amplifier.correlation.rho(distance, 0) == pytest.approx(truth, abs=0.04)


def test_frames_of_several_temperatures(biases, flats):
    def at(frames, temperature):
        return [CCDData(frame, unit="adu", meta={"CCD-TEMP": temperature}) for frame in frames]

    warm = photon_transfer(at(flats, -9.6), at(biases, 5.2))
    assert any("temperatures from -9.6 to 5.2 C" in remark for remark in warm.remarks)
    assert photon_transfer(at(flats, -9.6), at(biases, -10.2)).remarks == ()


def test_no_verdict_where_the_noise_is_not_that_of_raw_frames(biases, flats):
    smooth = [np.rint(uniform_filter(flat.astype(float), 2)).astype(np.uint16) for flat in flats]
    assert photon_transfer(smooth, biases).amplifiers[0].consistent is False
    floats = [flat * np.float32(1.0371) + np.random.default_rng(24).random(SHAPE) for flat in flats]
    assert photon_transfer(floats, biases).amplifiers[0].consistent is False
    # Means of forty flats, rounded: a gain that would let pixels hold a megaelectron.
    rng = np.random.default_rng(25)
    means = [expose(20_000.0, rng) for _ in range(3)]
    means = [np.rint(20_000 / GAIN + 800 + (flat - flat.mean()) / np.sqrt(40)).astype(np.uint16) for flat in means]
    (one,) = photon_transfer(means, biases).amplifiers
    assert one.consistent is False
    assert any("more electrons than CCDs do" in remark for remark in one.remarks)


def test_unlit_and_saturated_regions(biases):
    rng = np.random.default_rng(5)
    expected = np.full(SHAPE, 20_000.0)
    expected[:, :60] = 0
    expected[150:, :] = 300_000
    (one,) = photon_transfer([expose(expected, rng) for _ in range(3)], biases).amplifiers
    agrees(one.gain, GAIN)
    assert one.saturation == 65535 * u.adu
    assert one.full_well.value == pytest.approx(GAIN * (65535 - 800), rel=0.03)


def test_flats_of_very_different_levels(biases):
    rng = np.random.default_rng(6)
    (one,) = photon_transfer([expose(level, rng) for level in (4000.0, 30_000.0)], biases).amplifiers
    agrees(one.gain, GAIN)


def test_parts_of_the_image_at_other_levels_check_each_other(biases):
    # A response that loses 7% at the bright end contradicts itself.
    rng = np.random.default_rng(15)

    def frame(loss, low):
        signal = rng.poisson(np.linspace(low, 40_000, SHAPE[1]), SHAPE) / GAIN
        return np.rint(800 + signal - loss * signal**2 + NOISE / GAIN * rng.standard_normal(SHAPE)).astype(np.uint16)

    (straight,) = photon_transfer([frame(0, 16_000) for _ in range(6)], biases).amplifiers
    (curved,) = photon_transfer([frame(3e-6, 16_000) for _ in range(6)], biases).amplifiers
    assert straight.consistent is True
    assert curved.consistent is False
    # With a wider range of levels the loss is measured: here that at the middle, 25,000 electrons.
    (wide,) = photon_transfer([frame(1e-6, 10_000) for _ in range(6)], biases).amplifiers
    agrees(wide.gain, GAIN)
    agrees(wide.nonlinearity, 1e-6 * 25_000 / GAIN)


def test_charge_that_repels_charge_does_not_change_the_gain():
    # By variance alone the gain would be a tenth too large.
    effect = BrighterFatter(a_00=-2.5e-6)
    rng = np.random.default_rng(7)

    def frame(electrons):
        charge = effect.collect(np.full(SHAPE, electrons), rng) if electrons else 0.0
        return np.rint(500 + (charge + NOISE * rng.standard_normal(SHAPE)) / GAIN).astype(np.uint16)

    biases = [frame(0) for _ in range(3)]
    (one,) = photon_transfer([frame(40_000.0) for _ in range(6)], biases).amplifiers
    agrees(one.gain, GAIN)
    agrees(one.a_00, -2.5e-6)
    assert one.nonlinearity is None
    (one,) = photon_transfer(
        [frame(level) for level in (2e3, 6e3, 15e3, 25e3, 40e3) for _ in range(3)], biases
    ).amplifiers
    agrees(one.gain, GAIN)
    agrees(one.a_00, -2.5e-6)
    agrees(one.nonlinearity, 0)


def test_response_that_is_not_straight_shows_with_enough_levels(biases):
    # A loss of 3% at 30,000 adu moves the variance by 9%.
    rng = np.random.default_rng(8)
    flats = []
    for level in np.repeat([2000, 5000, 12_000, 20_000, 30_000], 4):
        signal = rng.poisson(level * GAIN, SHAPE) / GAIN
        signal = signal - 1e-6 * signal**2 + NOISE / GAIN * rng.standard_normal(SHAPE)
        flats.append(np.rint(800 + signal).astype(np.uint16))
    (one,) = photon_transfer(flats, biases).amplifiers
    agrees(one.gain, GAIN)
    assert one.nonlinearity.value.value == pytest.approx(0.029, abs=3 * one.nonlinearity.uncertainty.value)
    assert one.nonlinearity.uncertainty.value < 0.01


def test_twelve_bits_in_sixteen():
    rng = np.random.default_rng(9)
    gain = 0.1
    frames = [expose(e, rng, gain=gain, noise=4.0, step=16, level=1600, top=65520) for e in (0, 0, 0, 3000, 3000, 3000)]
    (one,) = photon_transfer(frames[3:], frames[:3]).amplifiers
    assert one.digital_step == 16 * u.adu
    agrees(one.gain, gain)
    agrees(one.read_noise, 4.0)


def test_levels_that_drift_are_in_the_uncertainty_of_the_gain():
    rng = np.random.default_rng(21)
    shape = (100, 120)
    pulls = []
    for _ in range(24):
        drifts = iter(15.0 * rng.standard_normal(20))
        few = [expose(0.0, rng, gain=0.3, noise=2, level=800 + next(drifts), shape=shape) for _ in range(8)]
        # Where the response is fitted, too, the faintest flats decide.
        faint = [
            expose(level, rng, gain=0.3, noise=2, level=800 + next(drifts), shape=shape)
            for level in (50, 50, 90, 90, 160, 160, 280, 280, 500, 500)
        ]
        gain = photon_transfer(faint, few).amplifiers[0].gain
        pulls.append((gain.value.value - 0.3) / gain.uncertainty.value)
    # 1.7 when all levels count alike.
    assert np.sqrt(np.mean(np.square(pulls))) < 1.4


def test_rows_below_the_step_are_in_the_uncertainty_of_the_read_noise():
    rng = np.random.default_rng(22)
    shape = (100, 120)

    def read(light):
        rows = 0.4 * rng.standard_normal((shape[0], 1))
        return np.rint(500.3 + rows + 0.4 * rng.standard_normal(shape) + light).astype(np.uint16)

    pulls = []
    for _ in range(8):
        bright = [read(rng.poisson(8000, shape) / 2) for _ in range(2)]
        read_noise = photon_transfer(bright, [read(0) for _ in range(4)]).amplifiers[0].read_noise_adu
        pulls.append((read_noise.value.value - 0.4 * np.sqrt(2)) / read_noise.uncertainty.value)
    # Around three when each pixel counts for itself.
    assert np.sqrt(np.mean(np.square(pulls))) < 1.5


def test_noise_below_the_step_has_an_upper_limit():
    rng = np.random.default_rng(10)
    frames = [expose(e, rng, gain=10.0, noise=1.5) for e in (0, 0, 60_000, 60_000)]
    (one,) = photon_transfer(frames[2:], frames[:2]).amplifiers
    agrees(one.gain, 10.0)
    assert any("digital step of 1 adu hides it" in remark for remark in one.remarks)
    assert one.read_noise.value.value < 3.5


def test_amplifiers_become_a_detector():
    rng = np.random.default_rng(11)
    left, right = "[1:130,1:200]", "[131:260,1:200]"
    both = []
    for electrons in (0, 0, 15_000, 15_000):
        half = (200, 130)
        parts = [expose(electrons, rng, gain=gain, noise=noise, shape=half) for gain, noise in ((1.2, 5), (2.0, 9))]
        both.append(np.hstack(parts))
    result = photon_transfer(both[2:], both[:2], sections=[left, right])
    for one, gain, noise in zip(result.amplifiers, (1.2, 2.0), (5, 9), strict=True):
        agrees(one.gain, gain)
        agrees(one.read_noise, noise)
    detector = result.to_detector("two halves")
    assert [one.data_section for one in detector.amplifiers] == [left, right]
    assert detector.amplifiers[1].gain_uncertainty == result.amplifiers[1].gain.uncertainty


def test_frames_with_units_and_masks(biases, flats):
    mask = np.zeros(SHAPE, bool)
    mask[:, 30:60] = True
    broken = [np.where(mask, number, flat).astype(float) for number, flat in enumerate(flats)]
    frames = [CCDData(frame, unit="adu", mask=mask) for frame in broken]
    (one,) = photon_transfer(frames, [CCDData(bias, unit="adu") for bias in biases]).amplifiers
    agrees(one.gain, GAIN)
    np.testing.assert_array_equal(broken[0][:, 30], 0)


def full_flat(number):
    full = np.full(SHAPE, 65535, np.uint16)
    full[number, :5] = 60_000
    return full


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("one flat", "two flats or more .* given: one"),
        ("no bias", "two biases or more .* given: none"),
        ("same flat", "given: 2 times the same flat"),
        ("darks", "2 of 2 without light"),
        ("saturated", "2 of 2 saturated at 65535 adu"),
        ("shapes", r"shape \(200, 259\), the first one \(200, 260\)"),
        ("electrons", "flat 1 is in electron"),
        ("faint", "the shot noise of the flats is lost in their other noise"),
        ("small", "smaller than 16 rows and columns"),
        ("biases of another shape", r"the flats have shape \(200, 260\), the biases \(200, 130\)"),
    ],
)
def test_frames_that_cannot_tell(biases, flats, case, words):
    rng = np.random.default_rng(12)
    noisy = [expose(0.0, rng, noise=45.0, shape=(40, 40)) for _ in range(2)]
    given = {
        "one flat": (flats[:1], biases),
        "no bias": (flats, []),
        "same flat": ([flats[0], flats[0].copy()], biases),
        "darks": ([expose(0, rng), expose(0, rng)], biases),
        "saturated": ([full_flat(0), full_flat(1)], biases),
        "shapes": ([flats[0], flats[1][:, 1:]], biases),
        "faint": ([expose(250.0, rng, noise=45.0, shape=(40, 40)) for _ in range(2)], noisy),
        "small": ([flat[:10] for flat in flats], [bias[:10] for bias in biases]),
        "biases of another shape": (flats, [bias[:, :130] for bias in biases]),
        "electrons": ([CCDData(flats[0], unit="electron"), flats[1]], biases),
    }[case]
    with pytest.raises(FrameError, match=words):
        photon_transfer(*given)


@pytest.mark.parametrize(
    ("section", "words"), [("[1:900,1:100]", "lies outside frames of 260 columns"), ("[a]", "FITS")]
)
def test_a_section_that_is_none(biases, flats, section, words):
    with pytest.raises(FrameError, match=words):
        photon_transfer(flats, biases, sections=section)


def test_biases_without_noise(flats):
    biases = [np.full(SHAPE, value, np.uint16) for value in (800, 801)]
    (one,) = photon_transfer(flats, biases).amplifiers
    agrees(one.gain, GAIN)
    assert "no noise at all: their level is clamped" in one.remarks[0]


def test_a_copy_among_others_is_left_out(biases, flats):
    (one,) = photon_transfer([*flats, flats[0]], biases).amplifiers
    assert one.flats == 3
    assert "1 of the flats is a copy of another, left out" in one.remarks


def test_guards(biases, flats):
    def remarks(flats, biases=biases):
        return " ".join(photon_transfer(flats, biases).remarks)

    rng = np.random.default_rng(13)
    assert remarks(flats) == ""
    smooth = [uniform_filter(flat.astype(float), 2) for flat in flats]
    assert "smoothed" in remarks(smooth)
    assert "come in no steps" in remarks([flat * np.float32(1.0371) + rng.random(SHAPE) for flat in flats])
    means = [np.mean([flats[k], flats[k - 1]], axis=0) for k in range(3)]
    assert "come in steps of 0.5 adu: they were averaged or scaled" in remarks(means)
    stacks = [CCDData(flat, unit="adu", meta={"NCOMBINE": 3}) for flat in flats]
    assert "is a stack (NCOMBINE = 3)" in remarks(stacks)
    darks = [CCDData(bias, unit="adu", meta={"EXPTIME": 60.0}) for bias in biases]
    assert "bias 1 was exposed for 60 s" in remarks(flats, darks)
    hot = np.where(rng.random(SHAPE) < 0.005, 20_000.0, 20.0)
    assert "hot pixels of darks" in remarks(flats, [expose(hot, rng) for _ in range(3)])
    assert "of the range" in remarks([expose(85_000.0, rng) for _ in range(2)])
    # Two filters: the pixels differ in sensitivity.
    other = 1 + 0.01 * rng.standard_normal(SHAPE)
    several = [expose(20_000.0 * (other if number > 2 else 1), rng) for number in range(6)]
    assert "contradict each other" in remarks(several)


def test_plot_shows_each_difference(biases, flats):
    result = photon_transfer(flats, biases)
    figure = result.plot()
    assert len(figure.axes) == 2
    assert len(result.amplifiers[0].points) == 2


def test_a_curve_is_drawn_on_given_axes(biases, flats):
    """The points are those of the flats: variance over level is 1 / gain, 0.5 here, beside the read noise."""
    result = photon_transfer(flats, biases)
    for transfer in (result, result.amplifiers[0]):
        axes = Figure().subplots()
        assert plot_ptc(transfer, axes) is axes
        points, line = axes.lines[0], axes.lines[-1]
        level, variance = points.get_data()
        assert len(level) == 2
        read_noise = result.amplifiers[0].read_noise_adu.value.value
        gain = result.amplifiers[0].gain.value.value
        np.testing.assert_allclose(variance - read_noise**2, level / gain, rtol=0.02)
        np.testing.assert_allclose(line.get_ydata() - read_noise**2, line.get_xdata() / gain, rtol=0.02)
    figure = result.plot()
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_data(), axes.lines[0].get_data())
    with pytest.raises(TypeError, match=r"photon_transfer\(flats, biases\) returned, not a list"):
        plot_ptc(flats)


def real(folder, name):
    path = SHARED / folder / f"{name}.fits.gz"
    return np.squeeze(fits.getdata(BytesIO(gzip.decompress(path.read_bytes()))))


needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="real frames are not part of the package")


@needs_data
def test_pairs_of_the_nickels_flats_agree():
    biases = [real("nickel", f"d10{number:02d}") for number in range(1, 11)]
    flats = [real("nickel", f"d10{number}") for number in (35, 36, 37)]
    pairs = [
        photon_transfer(pair, biases, sections="[101:900,101:900]").amplifiers[0] for pair in combinations(flats, 2)
    ]
    for one, other in combinations(pairs, 2):
        difference = (one.gain.value - other.gain.value).value
        assert abs(difference) < 2 * np.hypot(one.gain.uncertainty.value, other.gain.uncertainty.value)
    for one in pairs:
        assert 1.76 < one.gain.value.value < 1.82
        assert one.gain.uncertainty.value < 0.03
        assert one.read_noise.value.value == pytest.approx(9.4, rel=0.03)


@needs_data
@pytest.mark.parametrize("colour", ["Blue", "Red"])
def test_lisbon_whose_header_is_wrong(colour):
    biases = [real("lisbon", f"bias022{number}") for number in range(4)]
    first = 243 if colour == "Blue" else 253
    flats = [real("lisbon", f"flat0{number}{colour}") for number in range(first, first + 3)]
    (one,) = photon_transfer(flats, biases).amplifiers
    assert one.gain.value.value == pytest.approx(2.336, abs=2 * one.gain.uncertainty.value)
    assert one.gain.uncertainty.value < 0.03 * 2.336
    assert one.read_noise_adu.value.value == pytest.approx(6.40, rel=0.01)


@needs_data
@pytest.mark.parametrize("folder", ["nickel", "lisbon"])
def test_sums_over_apertures_of_differences_of_biases(folder):
    # White noise alone would be 0.65 to 0.8 of what is observed at radius 15.
    names = [f"d10{number:02d}" for number in range(1, 11)] if folder == "nickel" else [f"bias022{n}" for n in range(4)]
    frames = [real(folder, name).astype(float) for name in names]
    if folder == "nickel":
        # As everywhere without the odd columns at the edges.
        frames = [frame[100:900, 100:900] for frame in frames]
    biases = biases_of(frames, np.ones(frames[0].shape, bool))
    parts = spectrum_of(biases)
    for radius in (2, 5, 8, 15):
        y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
        aperture = (np.hypot(y, x) <= radius).astype(float)
        predicted = parts.white[0] * np.sum(aperture**2) + parts.row[0] * np.sum(aperture.sum(axis=1) ** 2)
        for tone in parts.tones:
            predicted += tone.power * np.abs(np.sum(aperture * np.exp(1j * (tone.wx * x + tone.wy * y)))) ** 2
        whole = fftconvolve(biases.good.astype(float), aperture, "valid") > aperture.sum() - 0.5
        observed = []
        for one, other in zip(frames[::2], frames[1::2], strict=True):
            difference = (one - other) / np.sqrt(2)
            difference -= bias_level(difference, biases.good)
            sums = fftconvolve(np.where(biases.good, difference, 0), aperture, "valid")
            observed.append(np.mean(sums[whole] ** 2))
        assert np.sqrt(np.mean(observed) / predicted) == pytest.approx(1, abs=0.06)


def test_simulated_cameras_of_all_kinds():
    path = ROOT / "benchmarks" / "photon_transfer.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_photon_transfer", path)
    benchmark = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = benchmark
    try:
        spec.loader.exec_module(benchmark)
        verdicts = [benchmark.judge(benchmark.draw_camera(seed, (120, 160))) for seed in range(100, 112)]
    finally:
        del sys.modules[spec.name]
    weights = [float(one.result.gain.value / one.result.gain.uncertainty) ** 2 for one in verdicts]
    error = 1 / np.sqrt(np.sum(weights))
    assert abs(np.average([one.gain for one in verdicts], weights=weights)) < 3 * error
    pulls = [one.gain_pull for one in verdicts]
    assert abs(np.mean(pulls)) < 0.9
    assert 0.5 < np.std(pulls) < 1.5
    assert np.mean([one.beyond for one in verdicts if one.resolved]) < 0.05
