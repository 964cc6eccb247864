"""Frames, against the statistics of photons and of reading them out."""

from __future__ import annotations

import pickle

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table

from astro_calib import Amplifier, Detector, simulate

GAIN, READ_NOISE = 1.8, 9.4
DETECTOR = Detector(gain=GAIN * u.electron / u.adu, read_noise=READ_NOISE * u.electron, saturation=60000 * u.adu)
SHAPE = (200, 300)


@pytest.fixture(scope="module")
def plain() -> simulate.Camera:
    """A camera without any pattern."""
    return simulate.Camera(shape=SHAPE, detector=DETECTOR, overscan_columns=20)


@pytest.fixture(scope="module")
def real() -> simulate.Camera:
    """A camera with every pattern."""
    return simulate.camera(SHAPE, seed=5, detector=DETECTOR)


def half_variance_of_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.var(a.astype(float) - b.astype(float)) / 2)


@pytest.mark.parametrize("integer", [True, False])
def test_photon_transfer(plain: simulate.Camera, integer: bool) -> None:
    rng = np.random.default_rng(1)
    levels, variances = [], []
    for sky in (50.0, 500.0, 2000.0, 5000.0, 9000.0):
        pair = [
            plain.expose("flat", 10, filter="V", sky=sky, rng=rng, integer=integer)[0].data[:, :300] for _ in range(2)
        ]
        levels.append(np.mean(pair) - 1000.0)
        variances.append(half_variance_of_difference(*pair))
    levels_, variances_ = np.array(levels), np.array(variances)
    errors = variances_ * np.sqrt(2 / (SHAPE[0] * SHAPE[1]))
    (slope, intercept), covariance = np.polyfit(levels_, variances_, 1, w=1 / errors, cov="unscaled")
    slope_error, intercept_error = np.sqrt(np.diag(covariance))
    assert slope_error * GAIN < 0.005
    assert abs(slope - 1 / GAIN) < 3.5 * slope_error
    expected = (READ_NOISE / GAIN) ** 2 + (1 / 12 if integer else 0)
    assert abs(intercept - expected) < 3.5 * intercept_error
    np.testing.assert_allclose(levels_ * GAIN, np.array([500, 5000, 20000, 50000, 90000]), rtol=2e-3)


def test_read_noise_and_level_of_a_pair_of_biases(real: simulate.Camera) -> None:
    rng = np.random.default_rng(2)
    pair = [real.expose("bias", 0, rng=rng)[0].data for _ in range(2)]
    measured = GAIN * np.sqrt(half_variance_of_difference(*pair))
    expected = np.sqrt(READ_NOISE**2 + GAIN**2 / 12)
    assert measured == pytest.approx(expected, rel=4 / np.sqrt(2 * pair[0].size))


def test_bias_level_drifts_with_its_overscan(plain: simulate.Camera) -> None:
    drifting = simulate.Camera(shape=SHAPE, detector=DETECTOR, bias_drift=20.0, overscan_columns=50)
    rng = np.random.default_rng(3)
    levels = []
    for _ in range(40):
        frame, truth = drifting.expose("bias", 0, rng=rng, integer=False)
        image, overscan = frame.data[:, :300].mean(), frame.data[:, 300:].mean()
        assert image == pytest.approx(truth.bias_level, abs=0.15)
        assert overscan == pytest.approx(truth.bias_level, abs=0.3)
        levels.append(truth.bias_level)
    assert np.std(levels) == pytest.approx(20, rel=4 / np.sqrt(80))
    frame, truth = plain.expose("flat", 10, filter="V", sky=5000, rng=rng)
    assert truth.bias_level == 1000
    assert frame.data[:, 300:].mean() == pytest.approx(1000, abs=0.3)


@pytest.mark.parametrize("integer", [True, False])
def test_every_pixel_scatters_as_its_truth_says(real: simulate.Camera, integer: bool) -> None:
    rng = np.random.default_rng(4)
    stars = simulate.random_stars(SHAPE, 60, rng, flux_range=(100, 8000))
    light = {"filter": "R", "sky": 20.0, "stars": stars}
    for kind, exposure_time, extra in (
        ("bias", 0, {}),
        ("dark", 120, {"cosmic_rays": 20}),
        ("flat", 5, {"filter": "V", "sky": 5000.0}),
        ("science", 60, {"cosmic_rays": 20, **light}),
    ):
        frame, truth = real.expose(kind, exposure_time, rng=rng, integer=integer, **extra)
        pull = (frame.data[:, :300] - truth.mean) * GAIN / np.sqrt(truth.variance)
        assert not truth.saturated.any()
        assert abs(pull.mean()) < 4 / np.sqrt(pull.size), kind
        assert abs(pull.std() - 1) < 4 / np.sqrt(2 * pull.size), kind


@pytest.mark.parametrize("integer", [True, False])
def test_rounding_adds_a_twelfth_of_the_gain_squared(integer: bool) -> None:
    detector = Detector(gain=4 * u.electron / u.adu, read_noise=4 * u.electron)
    camera = simulate.Camera(shape=SHAPE, detector=detector)
    frame, truth = camera.expose("bias", 0, rng=8, integer=integer)
    expected = 16 + (16 / 12 if integer else 0)
    assert truth.variance[0, 0] == pytest.approx(expected)
    assert np.var(frame.data.astype(float) * 4) == pytest.approx(expected, rel=4 * np.sqrt(2 / truth.mean.size))


def test_hot_pixels_have_shot_noise() -> None:
    rate = np.full(SHAPE, 0.1)
    rate[::10, ::10] = 50.0
    camera = simulate.Camera(shape=SHAPE, detector=DETECTOR, dark_rate=rate)
    hot = [camera.expose("dark", 100, rng=seed, integer=False)[0].data[::10, ::10] * GAIN for seed in range(20)]
    assert np.mean(hot) - 1000 * GAIN == pytest.approx(5000, rel=0.002)
    assert np.var(hot) == pytest.approx(5000 + READ_NOISE**2, rel=4 * np.sqrt(2 / np.size(hot)))


def test_dark_electrons_are_drawn_in_electrons() -> None:
    # Drawn in adu, the variance in adu would be the mean in adu, gain times too much.
    camera = simulate.Camera(shape=SHAPE, detector=DETECTOR, dark_rate=20.0)
    frame, _ = camera.expose("dark", 500, rng=1, integer=False)
    net = frame.data - 1000.0
    assert net.var() == pytest.approx(10000 / GAIN**2 + (READ_NOISE / GAIN) ** 2, rel=0.03)
    assert net.mean() == pytest.approx(10000 / GAIN, rel=1e-3)


def test_flux_of_stars_arrives(plain: simulate.Camera) -> None:
    stars = Table({"x": [250.3], "y": [40.8], "flux": [2000.0]})
    frame, truth = plain.expose("science", 30, filter="V", stars=stars, rng=5, integer=False)
    box = frame.data[20:62, 230:272].astype(float) - 1000
    error = np.sqrt(60000 + box.size * READ_NOISE**2)
    assert abs(box.sum() * GAIN - 60000) < 4 * error
    assert frame.data[:100, 200:300].max() == frame.data[:, :300].max()
    np.testing.assert_allclose(truth.stars["flux"].to_value(u.electron), [60000])


def test_truth_is_the_sum_of_its_parts(real: simulate.Camera) -> None:
    stars = Table({"x": [100.0, 150.0, -3.0], "y": [50.0, 190.0, 60.0], "flux": [10.0, 20.0, 30.0]})
    frame, truth = real.expose("science", 10, filter="V", sky=3.0, stars=stars, cosmic_rays=9, rng=6)
    np.testing.assert_allclose(truth.electrons, truth.light + truth.dark + truth.cosmic_rays)
    np.testing.assert_allclose(truth.dark, 10 * real.dark_rate)
    np.testing.assert_allclose(
        (truth.light / real.sensitivity["V"]).sum(), 10 * (3.0 * SHAPE[0] * SHAPE[1] + 30.0 + 3.9), rtol=1e-3
    )
    np.testing.assert_array_equal(truth.cosmic_ray_mask, truth.cosmic_rays > 0)
    assert truth.cosmic_ray_mask.sum() >= 9
    np.testing.assert_allclose(truth.mean, truth.electrons / GAIN + truth.bias_level + real.bias_structure)
    # The star beyond the edge sends light, but is not on the frame; the table given is left as it was.
    assert list(truth.stars["x"]) == [100, 150]
    np.testing.assert_array_equal(stars["flux"], [10, 20, 30])
    assert frame.data.shape == (200, 332)


def test_saturated_pixels_are_at_the_level_and_in_the_truth(real: simulate.Camera) -> None:
    stars = Table({"x": [100.0], "y": [50.0], "flux": [5e6]})
    frame, truth = real.expose("science", 1, filter="V", stars=stars, rng=7)
    assert frame.data.max() == 60000
    np.testing.assert_array_equal(frame.data[:, :300] == 60000, truth.saturated)
    assert 5 < truth.saturated.sum() < 100
    assert truth.saturated[50, 100]
    # Without rounding there is no converter that could end.
    frame, truth = real.expose("science", 1, filter="V", stars=stars, rng=7, integer=False)
    assert frame.data.max() > 100000
    assert not truth.saturated.any()


def test_without_a_saturation_sixteen_bits_are_the_end() -> None:
    detector = Detector(gain=1 * u.electron / u.adu, read_noise=700 * u.electron)
    camera = simulate.Camera(shape=(50, 60), detector=detector, bias_level=1100)
    frame, truth = camera.expose("flat", 1, filter="V", sky=1e5, rng=1)
    assert (frame.data == 65535).all()
    assert truth.saturated.all()
    assert "SATURATE" not in frame.meta
    # Float frames keep the half of the noise that an unsigned file clips.
    integers, _ = camera.expose("bias", 0, rng=2)
    floats, _ = camera.expose("bias", 0, rng=2, integer=False)
    assert integers.data.min() == 0
    assert floats.data.min() < -500
    assert floats.data.dtype == np.float32
    np.testing.assert_allclose(np.clip(floats.data, 0, None), integers.data, atol=0.5001)


def test_the_same_seed_makes_the_same_camera_and_frame() -> None:
    frames = []
    for _ in range(2):
        camera = simulate.camera((60, 80), seed=9)
        rng = np.random.default_rng(10)
        stars = simulate.random_stars((60, 80), 10, rng)
        frame, _ = camera.expose("science", 60, filter="V", sky=9, stars=stars, cosmic_rays=4, rng=rng)
        frames.append(frame.data)
    np.testing.assert_array_equal(*frames)
    other = simulate.camera((60, 80), seed=10)
    assert (other.sensitivity["V"] != camera.sensitivity["V"]).any()


def test_patterns_of_the_default_camera(real: simulate.Camera) -> None:
    for name in ("V", "R"):
        flat = real.sensitivity[name]
        assert flat.mean() == pytest.approx(1)
        centre = np.median(flat[90:110, 140:160])
        assert np.median(flat[:10, :10]) / centre == pytest.approx(0.955, abs=0.02)
        neighbours = flat[:, 1:] - flat[:, :-1]
        assert 1.4826 * np.median(np.abs(neighbours)) / np.sqrt(2) == pytest.approx(0.01, rel=0.03)
    # The pixels are the detector's, the dust is the filter's.
    ratio = real.sensitivity["V"] / real.sensitivity["R"]
    assert np.median(np.abs(ratio - 1)) < 1e-3
    assert np.ptp(ratio) > 0.015
    assert np.sum(real.dark_rate > 1.1) > 0.001 * ratio.size


def test_arrays_of_a_camera_are_its_own() -> None:
    rate = np.ones((5, 6))
    camera = simulate.Camera(shape=(5, 6), detector=DETECTOR, dark_rate=rate)
    rate[0, 0] = 100
    assert camera.dark_rate[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        camera.dark_rate[0, 0] = 5
    copy = pickle.loads(pickle.dumps(camera))  # noqa: S301  our own bytes
    assert copy.shape == (5, 6)
    assert copy.gain == GAIN


def test_header_says_what_the_frame_is(real: simulate.Camera) -> None:
    frame, _ = real.expose("science", 0.5 * u.min, filter="R", rng=1, header={"OBJECT": "M 13"})
    expected = {
        "IMAGETYP": "LIGHT",
        "EXPTIME": 30.0,
        "FILTER": "R",
        "OBJECT": "M 13",
        "GAIN": GAIN,
        "RDNOISE": READ_NOISE,
        "SATURATE": 60000,
        "BUNIT": "adu",
        "DATASEC": "[1:300,1:200]",
        "TRIMSEC": "[1:300,1:200]",
        "BIASSEC": "[301:332,1:200]",
    }
    assert {key: frame.meta[key] for key in expected} == expected
    assert frame.unit == u.adu
    dark, truth = real.expose("dark", 5, rng=1)
    assert "FILTER" not in dark.meta
    assert (truth.sensitivity == 1).all()
    no_overscan = simulate.Camera(shape=(5, 6), detector=DETECTOR)
    assert "BIASSEC" not in no_overscan.expose("bias", 0, rng=1)[0].meta


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("dark", -5), {}, "exposure_time is -5; it must be finite and at least 0 s"),
        (("dark", np.inf), {}, "exposure_time is inf"),
        (("bias", 5), {}, "a bias has an exposure_time of 0, not 5 s"),
        (("zero", 0), {}, "kind is 'zero'; it must be one of bias, dark, flat, science"),
        (("flat", 5), {"filter": "B"}, r"a flat needs one of the camera's filters \('V', 'R'\), not 'B'"),
        (("science", 5), {}, r"a science needs one of the camera's filters \('V', 'R'\), not None"),
        (("dark", 5), {"filter": "V"}, "shutter closed; leave out filter='V'"),
        (("dark", 5), {"sky": 5.0}, "neither sky nor stars"),
        (("flat", 5), {"filter": "V", "sky": -1.0}, "sky must be finite and at least 0"),
        (("flat", 5), {"filter": "V", "sky": np.ones((3, 4))}, r"sky has shape \(3, 4\)"),
        (("dark", 5), {"cosmic_rays": -2}, "number is -2"),
    ],
)
def test_requests_that_cannot_be_met(
    real: simulate.Camera, arguments: tuple[str, float], options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        real.expose(*arguments, rng=1, **options)  # type: ignore[arg-type]  # wrong ones are the point


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (0, 5)}, "neither axis may be empty"),
        ({"dark_rate": -1.0}, "dark_rate must be finite and at least 0 electron / s everywhere"),
        ({"dark_rate": np.ones((4, 5))}, r"dark_rate has shape \(4, 5\)"),
        ({"sensitivity": {"V": np.nan}}, "sensitivity of filter 'V' must be finite"),
        ({"sensitivity": {"../V": 1.0}}, "a filter is called '../V'"),
        ({"overscan_columns": -1}, "overscan_columns is -1"),
        ({"bias_level": -5}, "bias_level is -5"),
    ],
)
def test_cameras_that_cannot_be(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate.Camera(**{"shape": (5, 6), "detector": DETECTOR, **options})  # type: ignore[arg-type]  # wrong ones are the point


def test_one_amplifier_only() -> None:
    halves = [
        Amplifier(gain=1 * u.electron / u.adu, read_noise=5 * u.electron, data_section=section)
        for section in ("[1:3,1:5]", "[4:6,1:5]")
    ]
    with pytest.raises(ValueError, match="one amplifier; the detector has 2"):
        simulate.Camera(shape=(5, 6), detector=Detector(amplifiers=tuple(halves)))


@pytest.mark.parametrize("shared", [True, False])
def test_rows_and_tones_go_through_image_and_overscan(shared: bool) -> None:
    noise = simulate.ReadOut(
        white=3, row=4, tones=(simulate.ReadOutTone(power=20, wx=0.9, wy=0.2),), rows_in_overscan=shared
    )
    camera = simulate.Camera(
        shape=(150, 80), detector=DETECTOR, bias_level=1000, bias_drift=5, overscan_columns=80, read_out=noise
    )
    assert camera.read_noise == pytest.approx(np.sqrt(9 + 16 + 20))
    assert camera.detector.correlation == noise.correlation()
    assert camera.detector.rows_in_overscan is shared
    assert camera.detector.saturation == DETECTOR.saturation
    products = {"rows": [], "tone": []}
    levels = []
    rng = np.random.default_rng(1)
    for _ in range(150):
        frame, truth = camera.expose("bias", 0, rng=rng)
        values = (frame.data - truth.bias_level) * GAIN
        levels.append(truth.bias_level)
        rows = np.array([values[:, :80].mean(axis=1), values[:, 80:].mean(axis=1)])
        products["rows"].append(np.mean(rows[0] * rows[1]))
        # 70 pixels and 3 rows further, across the edge of the overscan.
        products["tone"].append(np.mean(values[:-3, 40:80] * values[3:, 110:150]))
    means = {name: (np.mean(values), np.std(values) / np.sqrt(150)) for name, values in products.items()}
    assert means["rows"][0] == pytest.approx(16 if shared else 0, abs=4 * means["rows"][1] + 0.3)
    assert means["tone"][0] == pytest.approx(20 * np.cos(0.9 * 70 + 0.2 * 3), abs=4 * means["tone"][1])
    assert np.std(levels) == pytest.approx(5, rel=0.2)


def test_the_parts_of_a_read_out_are_those_of_its_correlation() -> None:
    noise = simulate.ReadOut(
        white=3,
        row=2,
        tones=(simulate.ReadOutTone(power=7, wx=0.9), simulate.ReadOutTone(power=5, wx=2, coherent=False)),
    )
    dx, dy = np.meshgrid(np.arange(-3, 4), np.arange(-2, 3))
    np.testing.assert_allclose(
        noise.variance * noise.correlation().rho(dx, dy), noise.autocovariance(dx, dy), atol=1e-9
    )
