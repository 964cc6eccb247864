"""Read-out noise that pixels share, image and overscan as one field: what is predicted against what scatters."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import (
    Amplifier,
    CCDFrame,
    Correlation,
    Detector,
    calibrate,
    combine,
    create_deviation,
    subtract_overscan,
)
from astro_calib.errors import NoiseWarning

GAIN = 1.5
NY, NX, NO = 40, 48, 24
#: Standard deviations of white part and rows; power and frequencies of tones, NaN for a phase of its own in each row.
KINDS = {
    "rows": (5.0, 1.8, []),
    "tones": (5.0, 0.0, [(16.0, 1.1, 0.4), (9.0, 0.4, 2.5)]),
    "tones of rows": (5.0, 1.0, [(16.0, 1.1, np.nan), (9.0, 0.4, np.nan)]),
}


def field(rng, kind, shape):
    """Noise in electrons, drawn with NumPy alone."""
    white, row, tones = KINDS[kind]
    y, x = np.mgrid[: shape[0], : shape[1]]
    noise = white * rng.standard_normal(shape) + row * rng.standard_normal((shape[0], 1))
    for power, wx, wy in tones:
        of_rows = np.isnan(wy)
        a, b = np.sqrt(power) * rng.standard_normal((2, shape[0] if of_rows else 1, 1))
        phase = wx * x + (0 if of_rows else wy * y)
        noise = noise + a * np.cos(phase) + b * np.sin(phase)
    return noise


def camera(kind, **attributes):
    white, row, tones = KINDS[kind]
    total = white**2 + row**2 + sum(power for power, _, _ in tones)
    correlation = Correlation(row**2 / total, [(p / total, wx, None if np.isnan(wy) else wy) for p, wx, wy in tones])
    return Detector(
        gain=GAIN * u.electron / u.adu, read_noise=np.sqrt(total) * u.electron, correlation=correlation, **attributes
    )


def weights():
    """Apertures of radius 2, 5 and 8, less annuli; and a row."""
    y, x = np.mgrid[:NY, :NX]
    distance = np.hypot(y - NY // 2, x - NX // 2)
    for radius in (2, 5, 8):
        inside, ring = distance <= radius, (distance > radius + 3) & (distance <= radius + 8)
        yield inside - inside.sum() / ring.sum() * ring
    yield (y == 7).astype(float)


def measured(kind, detector, overscan_axis, median, number):
    """Observed over predicted variance of pixels and of sums over weights."""
    rng = np.random.default_rng(17)
    over = list(weights())
    pixels, sums = [], []
    for _ in range(number):
        across = overscan_axis == 0
        noise = field(rng, kind, (NY + NO, NX) if across else (NY, NX + NO))
        raw = np.rint(1000 + rng.normal(0, 3) + noise / GAIN).astype(np.uint16)
        section = f"[1:{NX},{NY + 1}:{NY + NO}]" if across else f"[{NX + 1}:{NX + NO},1:{NY}]"
        frame = calibrate(
            CCDFrame(raw, unit="adu"),
            detector,
            overscan=section,
            overscan_axis=overscan_axis,
            overscan_median=median,
            trim=f"[1:{NX},1:{NY}]",
            shot_noise=0,
        )
        pixels.append(np.mean(np.square(frame.data, dtype=float)))
        sums.append([np.sum(one * frame.data) for one in over])
    predicted = [frame.budget.variance_of_sum(one) for one in over]
    return np.mean(pixels) / np.mean(frame.variance), np.mean(np.square(sums), axis=0) / predicted


@pytest.mark.parametrize("median", [pytest.param(False, marks=pytest.mark.long), True], ids=["mean", "median"])
@pytest.mark.parametrize("overscan_axis", [(0, 1), 1, 0], ids=["frame", "rows", "columns"])
@pytest.mark.parametrize(
    "kind",
    [pytest.param("rows", marks=pytest.mark.long), pytest.param("tones", marks=pytest.mark.long), "tones of rows"],
)
def test_what_image_and_overscan_share_counts_once(kind, overscan_axis, median):
    number = 120
    pixel, sums = measured(kind, camera(kind), overscan_axis, median, number)
    # A coherent tone has one amplitude a frame.
    assert pixel == pytest.approx(1, abs=0.03 if kind != "tones" else 0.1)
    assert np.all(np.abs(sums - 1) < 4 * np.sqrt(2 / number))
    assert np.mean(sums) == pytest.approx(1, abs=3 * np.sqrt(2 / number / 3))


def test_a_level_a_row_takes_off_what_the_row_has_in_common():
    # Level of a row of 24 pixels, of sigma 5: the row's own sigma of 1.8 is gone.
    rng = np.random.default_rng(3)
    raw = CCDFrame((1000 + field(rng, "rows", (200, NX + NO)) / GAIN).astype(np.float32), unit="adu")
    frame = calibrate(raw, camera("rows"), overscan=f"[{NX + 1}:{NX + NO},1:200]", overscan_axis=1, shot_noise=0)
    assert frame.variance[:, :NX].mean() == pytest.approx(25 + 25 / NO * np.pi / 2, rel=0.02)
    image = frame[:, :NX]
    row = np.zeros((200, NX))
    row[5] = 1
    assert image.budget.variance_of_sum(row) == pytest.approx(NX * 25 + NX**2 * 25 / NO * np.pi / 2, rel=0.1)


@pytest.mark.parametrize("trimmed", [True, False], ids=["trimmed", "whole"])
@pytest.mark.parametrize("overscan_axis", [(0, 1), 1, 0], ids=["frame", "rows", "columns"])
@pytest.mark.parametrize("frequencies", [(0.01, 0.02), (0.01, None), (0.0, 0.03), (0.05, -0.04)], ids=str)
def test_the_pixels_of_a_slow_tone_less_a_level(frequencies, overscan_axis, trimmed):
    wx, wy = frequencies
    detector = Detector(
        gain=GAIN * u.electron / u.adu,
        read_noise=np.sqrt(32) * u.electron,
        correlation=Correlation(tones=[(0.5, wx, wy)]),
    )
    across = overscan_axis == 0
    ny, nx = (NY + NO, NX) if across else (NY, NX + NO)
    noise = np.random.default_rng(4).normal(0, 4, (ny, nx))
    frame = calibrate(
        CCDFrame((1000 + noise / GAIN).astype(np.float32), unit="adu"),
        detector,
        overscan=f"[1:{NX},{NY + 1}:{ny}]" if across else f"[{NX + 1}:{nx},1:{NY}]",
        overscan_axis=overscan_axis,
        overscan_median=False,
        trim=f"[1:{NX},1:{NY}]" if trimmed else None,
        shot_noise=0,
    )
    # The covariance of all pixels of image and overscan, and of the tone in a pixel less its level.
    y, x = np.indices((ny, nx))
    averaged = (0, 1) if overscan_axis == (0, 1) else (overscan_axis,)
    number = np.prod([(NY if axis == 0 else NO) if not across else NO for axis in averaged])
    if wy is None:
        wave = np.exp(1j * wx * x)
        # Each row has an amplitude of its own.
        of_row = wave[:, NX:].mean(axis=1, keepdims=True) if 1 in averaged else None
        if overscan_axis == (0, 1):
            size = np.abs(wave - of_row / NY) ** 2 + (NY - 1) * np.abs(of_row / NY) ** 2
        else:
            size = np.abs(wave - of_row) ** 2 if overscan_axis == 1 else np.ones((ny, nx)) + 1 / NO
    else:
        wave = np.exp(1j * (wx * x + wy * y))
        size = np.abs(wave - (wave[NY:] if across else wave[:, NX:]).mean(axis=averaged, keepdims=True)) ** 2
    expected = 16 + 16 * size[:NY, :NX].mean() + 16 / number
    assert frame.variance[:NY, :NX].mean() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("median", [False, True], ids=["mean", "median"])
@pytest.mark.parametrize("overscan_axis", [(0, 1), 1], ids=["frame", "rows"])
def test_the_error_of_a_level_does_not_follow_the_draw_of_a_tone(overscan_axis, median):
    # A frame with a strong tone and one with a weak one have the same errors: those that the detector states.
    rng = np.random.default_rng(12)
    y, x = np.mgrid[:NY, : NX + NO]
    ratios = []
    for size in (0.1, 1.0, 2.5):
        noise = 5 * rng.standard_normal(y.shape) + 4 * size * np.sqrt(2) * np.cos(1.1 * x + 0.4 * y + size)
        frame = calibrate(
            CCDFrame(np.rint(1000 + noise / GAIN).astype(np.uint16), unit="adu"),
            camera("tones"),
            overscan=f"[{NX + 1}:{NX + NO},1:{NY}]",
            overscan_axis=overscan_axis,
            overscan_median=median,
            trim=f"[1:{NX},1:{NY}]",
            shot_noise=0,
        )
        ratios.append([frame.budget.variance_of_sum(one) for one in weights()])
        level = sum(
            c.part((slice(1), slice(1)), frame.shape) ** 2 * s.variance.part((slice(1), slice(1)), frame.shape)
            for s, c in frame.budget.terms
            if s.name == "overscan"
        )
        if not median:
            # 5^2 and rounding, over the pixels of the level.
            expected = (25 + GAIN**2 / 12) / (NO if overscan_axis == 1 else NO * NY)
            assert float(np.ravel(level)[0]) == pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(np.divide(ratios, ratios[0]), 1, rtol=0.002)


def test_the_median_of_frames_with_a_slow_tone_less_a_level():
    # What the level has taken off, the median's own noise has not in common: it was 1.5 times too large.
    rng, number, radius = np.random.default_rng(6), 3, 15
    y, x = np.mgrid[:NY, : NX + NO]
    wave = np.exp(1j * (0.01 * x + 0.02 * y))
    disk = np.hypot(y - NY // 2, x - NX // 2)[:, :NX] <= radius
    weights = disk - disk.mean()

    def less_level():
        noise = 4 * rng.standard_normal((number, *wave.shape))
        noise += 4 * (wave * (rng.standard_normal((number, 1, 1, 2)) @ [1, 1j])).real
        return noise, noise[:, :, :NX] - noise[:, :, NX:].mean(axis=2, keepdims=True)

    # A median differs from the mean by what is not correlated with it.
    apart = [
        np.sum(weights * (np.median(one, axis=0) - one.mean(axis=0))) for _, one in (less_level() for _ in range(800))
    ]
    detector = Detector(
        gain=GAIN * u.electron / u.adu,
        read_noise=np.sqrt(32) * u.electron,
        correlation=Correlation(tones=[(0.5, 0.01, 0.02)]),
    )
    frames = [
        calibrate(
            CCDFrame((1000 + noise / GAIN).astype(np.float32), unit="adu"),
            detector,
            overscan=f"[{NX + 1}:{NX + NO},1:{NY}]",
            overscan_axis=1,
            overscan_median=False,
            trim=f"[1:{NX},1:{NY}]",
            shot_noise=0,
        )
        for noise in less_level()[0]
    ]
    mean, median = (combine(frames, method=method).budget.variance_of_sum(weights) for method in ("mean", "median"))
    assert np.sqrt(median / (mean + np.var(apart))) == pytest.approx(1, abs=0.04)


def test_rows_that_the_overscan_does_not_share_are_added_by_its_level():
    detector = camera("rows", rows_in_overscan=False)
    rng = np.random.default_rng(5)
    errors, predicted = [], []
    for _ in range(120):
        noise = field(rng, "rows", (NY, NX + NO))
        noise[:, NX:] = field(rng, "rows", (NY, NO))
        raw = CCDFrame((1000 + noise / GAIN).astype(np.float32), unit="adu")
        frame = calibrate(
            raw,
            detector,
            overscan=f"[{NX + 1}:{NX + NO},1:{NY}]",
            overscan_axis=1,
            overscan_median=False,
            trim=f"[1:{NX},1:{NY}]",
            shot_noise=0,
        )
        errors.append(frame.data.sum(axis=1, dtype=float))
        row = np.zeros((NY, NX))
        row[3] = 1
        predicted.append(frame.budget.variance_of_sum(row))
    # 5^2 for each pixel, 1.8^2 twice for the row, and 5^2 / 24 for its level.
    truth = NX * 25 + NX**2 * (2 * 1.8**2 + 25 / NO)
    assert np.mean(predicted) == pytest.approx(truth, rel=0.02)
    assert np.mean(np.square(errors)) == pytest.approx(truth, rel=0.08)


def test_step_by_step_as_all_at_once():
    rng = np.random.default_rng(8)
    detector = camera("tones")
    raw = CCDFrame(np.rint(1000 + field(rng, "tones", (NY, NX + NO)) / GAIN).astype(np.uint16), unit="adu")
    section = f"[{NX + 1}:{NX + NO},1:{NY}]"
    at_once = calibrate(raw, detector, overscan=section, overscan_axis=1, trim=f"[1:{NX},1:{NY}]", shot_noise=0)
    less = subtract_overscan(raw, fits_section=section, overscan_axis=1, median=True)[:, :NX]
    by_steps = create_deviation(less * (GAIN * u.electron / u.adu), detector, shot_noise=0)
    np.testing.assert_allclose(by_steps.data, at_once.data, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(by_steps.variance, at_once.variance, rtol=1e-5)
    for one in weights():
        assert by_steps.budget.variance_of_sum(one) == pytest.approx(at_once.budget.variance_of_sum(one), rel=1e-5)


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
def test_a_file_between_the_steps_changes_nothing(tmp_path, suffix):
    rng = np.random.default_rng(8)
    detector = camera("tones of rows")
    raw = CCDFrame(np.rint(1000 + field(rng, "tones of rows", (NY, NX + NO)) / GAIN).astype(np.uint16), unit="adu")
    less = subtract_overscan(raw, fits_section=f"[{NX + 1}:{NX + NO},1:{NY}]", overscan_axis=1)[:, :NX]
    less.write(tmp_path / f"less.{suffix}")
    kept = CCDFrame.read(tmp_path / f"less.{suffix}")
    direct, from_file = (create_deviation(one, detector, shot_noise=0) for one in (less, kept))
    np.testing.assert_allclose(from_file.variance, direct.variance, rtol=1e-5)
    for one in weights():
        assert from_file.budget.variance_of_sum(one) == pytest.approx(direct.budget.variance_of_sum(one), rel=1e-5)


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
@pytest.mark.parametrize("method", ["mean", "median"])
def test_a_stack_keeps_its_errors_in_a_file(tmp_path, method, suffix):
    rng = np.random.default_rng(18)
    frames = [
        calibrate(
            CCDFrame(np.rint(1000 + field(rng, "tones", (NY, NX + NO)) / GAIN).astype(np.uint16), unit="adu"),
            camera("tones"),
            overscan=f"[{NX + 1}:{NX + NO},1:{NY}]",
            overscan_axis=1,
            trim=f"[1:{NX},1:{NY}]",
            shot_noise=0,
        )
        for _ in range(10)
    ]
    stack = combine(frames, method=method)
    stack.write(tmp_path / f"stack.{suffix}")
    kept = CCDFrame.read(tmp_path / f"stack.{suffix}")
    # The errors of the levels come from the scatter of each overscan.
    single = [np.mean([frame.budget.variance_of_sum(one) for frame in frames]) for one in weights()]
    for one, variance in zip(weights(), single, strict=True):
        if method == "mean":
            assert stack.budget.variance_of_sum(one) == pytest.approx(variance / 10, rel=0.02)
        assert kept.budget.variance_of_sum(one) == pytest.approx(stack.budget.variance_of_sum(one), rel=1e-5)


@pytest.mark.parametrize("kind", ["rows", "white"])
def test_an_overscan_after_the_read_noise_is_not_linked_and_says_so(kind):
    rng = np.random.default_rng(8)
    raw = CCDFrame((1000 + field(rng, "rows", (NY, NX + NO)) / GAIN).astype(np.float32), unit="adu")
    white = Detector(gain=GAIN * u.electron / u.adu, read_noise=5 * u.electron, correlation=Correlation())
    before = create_deviation(raw, camera("rows") if kind == "rows" else white, pedestal=1000, shot_noise=0)
    arguments = {"fits_section": f"[{NX + 1}:{NX + NO},1:{NY}]", "overscan_axis": 1}
    if kind == "white":
        subtract_overscan(before, **arguments)
        return
    with pytest.warns(NoiseWarning, match="Call subtract_overscan before create_deviation"):
        subtract_overscan(before, **arguments)


def test_a_detector_without_correlation_has_the_variance_that_it_had():
    rng = np.random.default_rng(9)
    raw = CCDFrame(np.rint(1000 + field(rng, "rows", (NY, NX + NO)) / GAIN).astype(np.uint16), unit="adu")
    plain, white = (
        calibrate(
            raw,
            Detector(gain=GAIN * u.electron / u.adu, read_noise=5 * u.electron, correlation=correlation),
            overscan=f"[{NX + 1}:{NX + NO},1:{NY}]",
            overscan_axis=1,
            overscan_median=False,
        )
        for correlation in (None, Correlation())
    )
    np.testing.assert_allclose(white.variance, plain.variance, rtol=1e-6)


@pytest.mark.parametrize("shared", [True, False])
def test_without_a_correlation_the_image_tells_whether_it_shares_the_rows_of_the_overscan(shared):
    # Sigma 5 for each pixel, and 2 for each row, in adu.
    rng = np.random.default_rng(10)
    rows, own = 2 * rng.standard_normal((2, 600, 1))
    noise = 5 * rng.standard_normal((600, 224))
    noise[:, :200] += rows
    noise[:, 200:] += rows if shared else own
    frame = subtract_overscan(CCDFrame(1000 + noise, unit="adu"), fits_section="[201:224,1:600]", overscan_axis=1)
    # What both have is taken off.
    expected = 25 / 24 + (0 if shared else 4)
    assert frame.variance.mean() == pytest.approx(expected, rel=0.1)
    own_error = frame.data[:, :200].mean(axis=1) - (0 if shared else rows[:, 0])
    assert np.var(own_error) == pytest.approx(expected + 25 / 200, rel=0.2)


def test_amplifiers_have_no_tone_in_common():
    white, _, tones = KINDS["tones"]
    total = white**2 + sum(power for power, _, _ in tones)
    correlation = Correlation(0.0, [(p / total, wx, wy) for p, wx, wy in tones])
    amplifiers = [
        Amplifier(
            gain=gain * u.electron / u.adu,
            read_noise=np.sqrt(total) * u.electron,
            data_section=section,
            correlation=correlation,
        )
        for gain, section in ((1.5, "[1:24,1:40]"), (2.0, "[25:48,1:40]"))
    ]
    frame = CCDFrame(np.ones((NY, NX), np.float32), unit="adu")
    both = calibrate(frame, Detector(amplifiers=amplifiers), pedestal=0, shot_noise=0)
    assert [source.name for source, _ in both.budget.terms] == ["read noise", "read noise"]
    rng = np.random.default_rng(11)
    over = rng.standard_normal((NY, NX))
    left, right = over * (np.arange(NX) < 24), over * (np.arange(NX) >= 24)
    sums = [both.budget.variance_of_sum(one) for one in (over, left, right)]
    assert sums[0] == pytest.approx(sums[1] + sums[2], rel=1e-6)
    y, x = np.mgrid[:NY, :NX]
    by_hand = white**2 * np.sum(left**2)
    by_hand += sum(p * np.abs(np.sum(left * np.exp(1j * (wx * x + wy * y)))) ** 2 for p, wx, wy in tones)
    assert sums[1] == pytest.approx(by_hand, rel=1e-5)
    np.testing.assert_allclose(both.variance, total, rtol=1e-5)


@pytest.mark.parametrize("what", [0.5, "rows", [(0.1, 1.0, 1.0)]])
def test_a_correlation_that_is_none_is_refused(what):
    with pytest.raises(TypeError, match=r"correlation is .* expected a Correlation"):
        Detector(gain=1 * u.electron / u.adu, read_noise=5 * u.electron, correlation=what)


def test_a_detector_of_several_amplifiers_leaves_the_correlation_to_them():
    amplifier = Amplifier(gain=1 * u.electron / u.adu, read_noise=5 * u.electron)
    with pytest.raises(ValueError, match="not both"):
        Detector(amplifiers=[amplifier], correlation=Correlation(row=0.1))
