from __future__ import annotations

from itertools import product

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table
from photutils.aperture import CircularAnnulus, CircularAperture, aperture_photometry

from astro_calib import Amplifier, Detector, calibrate, combine, measure_snr
from astro_calib.characterize import plan_calibration
from astro_calib.simulate import Camera, stars
from tests.noise_checks import assert_scatters_as_predicted

RATE = u.electron / u.s
CAMERA = Detector(gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron, saturation=60000 * u.adu)
#: A star on a dark sky, with a camera whose masters matter.
NIGHT = {
    "flux": 200 * RATE,
    "sky": 4 * RATE,
    "dark_current": 2 * RATE,
    "fwhm": 3.0,
    "flat_level": 1500 * u.electron,
    "lamp_time": 5 * u.s,
    "read_out_time": 5 * u.s,
}
#: A narrow one, so that many stars have room.
ANNULUS = (5.0, 7.0)


def fraction(radius, fwhm):
    """The part of a Gaussian's light within a radius, pixels being small."""
    return 1 - np.exp(-4 * np.log(2) * (radius / fwhm) ** 2)


def test_frame_limited_by_its_star_has_the_root_of_its_electrons_as_snr():
    ideal = Detector(gain=1 * u.electron / u.adu, read_noise=0 * u.electron)
    given = {"science": 1, "biases": 10**9, "flats": 10**9} | {"fwhm": 2.0, "radius": 8.0, "annulus": (12.0, 40.0)}
    plan = plan_calibration(
        ideal,
        flux=100 * RATE,
        sky=0 * RATE,
        flat_level=1e12 * u.electron,
        exposure=100 * u.s,
        lamp_time=1 * u.s,
        read_out_time=1 * u.s,
        **given,
    )
    # 10,000 electrons; the digitisation of 200 pixels adds 17.
    assert plan.snr == pytest.approx(1e4 / np.sqrt(1e4 + np.pi * 64 / 12), rel=1e-3)
    assert plan.snr_with(science=4) == pytest.approx(2 * plan.snr)


def test_sky_limited_frame_has_the_noise_of_the_ccd_equation():
    plan = plan_calibration(
        CAMERA,
        **NIGHT | {"flux": 1 * RATE, "dark_current": 0 * RATE, "flat_level": 50000 * u.electron, "sky": 1000 * RATE},
        radius=20,
        annulus=(30, 40),
        exposure=10 * u.s,
        science=1,
        biases=10**6,
        flats=10**8,
    )
    inside, ring = np.pi * 20**2, np.pi * (40**2 - 30**2)
    # Pixels on the edge count by the square of the part inside: 2% fewer, as measure_snr says.
    expected = np.sqrt(inside * (0.98 + inside / ring) * (1e4 + 64))
    assert plan.signal.value / plan.snr == pytest.approx(expected, rel=3e-3)


def test_darks_of_the_exposure_cancel_the_bias_and_scaled_ones_do_not():
    numbers = {"science": 10, "biases": 3, "darks": 10, "flats": 10}
    faint = NIGHT | {"flux": 1 * RATE, "sky": 0 * RATE, "dark_current": 1e-9 * RATE, "flat_level": 80000 * u.electron}
    matched = plan_calibration(CAMERA, exposure=60 * u.s, **numbers, **faint)
    scaled = plan_calibration(CAMERA, exposure=60 * u.s, dark_exposure=30 * u.s, **numbers, **faint)
    assert matched.variances["biases"] < 1e-5 * matched.variances["darks"]
    # Twice the dark less the bias: coefficients of 2 - 1 and 2, both of the read noise.
    assert scaled.variances["biases"] == pytest.approx(matched.variances["darks"], rel=1e-3)
    assert scaled.variances["darks"] == pytest.approx(4 * matched.variances["darks"], rel=1e-3)
    assert any("scaled" in remark for remark in scaled.remarks)


def test_uncertain_gain_limits_what_frames_can_reach():
    uncertain = Amplifier(
        gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron, gain_uncertainty=0.015 * u.electron / u.adu
    )
    numbers = dict.fromkeys(["science", "biases", "darks", "flats"], 10**9)
    assert plan_calibration(uncertain, exposure=60 * u.s, **numbers, **NIGHT).snr == pytest.approx(100, rel=1e-3)


def best_by_brute_force(camera, minutes, night, fewest, given):
    """The best SNR among all numbers of frames and many exposures, which uses nothing but the variance of one frame."""
    best = 0.0
    for exposure in np.geomspace(1, 60 * minutes / fewest, 60):
        numbers = dict.fromkeys(["science", "biases", "darks", "flats"], 3)
        numbers |= {kind: number for kind, number in given.items() if kind in numbers}
        if not night["dark_current"].value:
            del numbers["darks"]
        trial = plan_calibration(
            camera, exposure=exposure * u.s, dark_exposure=given.get("dark_exposure"), **numbers, **night
        )
        # All numbers of the dearest kinds; the rest of the time goes into the cheapest.
        *dear, cheap = sorted((kind for kind in numbers if kind not in given), key=lambda kind: -trial.seconds[kind])
        axes = [np.arange(fewest, int(60 * minutes / trial.seconds[kind]) + 1) for kind in dear]
        if any(axis.size == 0 for axis in axes):
            continue
        grid = dict(zip(dear, np.meshgrid(*axes, indexing="ij"), strict=True))
        left = 60 * minutes - sum(grid[kind] * trial.seconds[kind] for kind in dear)
        grid[cheap] = left // trial.seconds[cheap]
        possible = grid[cheap] >= fewest
        variance = sum(
            value / np.where(possible, grid.get(kind, numbers[kind]), 1) for kind, value in trial.variances.items()
        )
        if possible.any():
            best = max(best, trial.signal.value / np.sqrt(variance[possible].min()))
    assert best > 0
    return best


@pytest.mark.parametrize(
    ("minutes", "changes", "given"),
    [
        (8, {}, {}),
        (12, {"flux": 2000 * RATE, "flat_level": 20000 * u.electron}, {}),
        (5, {"dark_current": 0 * RATE, "sky": 200 * RATE}, {}),
        (6, {"read_out_time": 30 * u.s}, {"at_least": 1}),
        (8, {"flux": 20 * RATE}, {"dark_exposure": 60 * u.s}),
        (10, {"flux": 5000 * RATE}, {"biases": 20}),
    ],
)
def test_brute_force_finds_nothing_better_by_one_percent(minutes, changes, given):
    night, fewest = NIGHT | changes, given.get("at_least", 3)
    plan = plan_calibration(CAMERA, time=minutes * u.min, **night, **given)
    spent = sum(plan.numbers[kind] * plan.seconds[kind] for kind in plan.numbers if kind not in given)
    assert spent <= 60 * minutes + 1e-6
    assert plan.snr > 0.99 * best_by_brute_force(CAMERA, minutes, night, fewest, given)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_brute_force_finds_nothing_better_for_any_camera(seed):
    rng = np.random.default_rng(seed)
    camera = Detector(gain=rng.uniform(0.3, 3) * u.electron / u.adu, read_noise=rng.uniform(1, 15) * u.electron)
    night = {
        "flux": 10 ** rng.uniform(0.5, 4) * RATE,
        "sky": 10 ** rng.uniform(-1, 2.5) * RATE,
        "dark_current": rng.choice([0, 10 ** rng.uniform(-3, 0.5)]) * RATE,
        "fwhm": rng.uniform(2, 6),
        "flat_level": 10 ** rng.uniform(3, 4.8) * u.electron,
        "lamp_time": rng.uniform(3, 20) * u.s,
        "read_out_time": rng.uniform(5, 40) * u.s,
    }
    fewest = int(rng.integers(1, 4))
    plan = plan_calibration(camera, time=12 * u.min, at_least=fewest, **night)
    assert plan.snr > 0.99 * best_by_brute_force(camera, 12, night, fewest, {})


def simulated_night(camera, plan, light, rng):
    """The mean of the science frames of a planned night, calibrated with the masters of that night."""

    def taken(kind, number, exposure, **light):
        return [camera.expose(kind, exposure, rng=rng, **light)[0] for _ in range(number)]

    t, of_dark = plan.exposure.value, plan.dark_exposure.value
    bias = combine([calibrate(raw, CAMERA, shot_noise=0) for raw in taken("bias", plan.biases, 0)])
    dark = combine([calibrate(raw, CAMERA, bias=bias) for raw in taken("dark", plan.darks, of_dark)])
    lamp = NIGHT["flat_level"].value / NIGHT["lamp_time"].value
    flats = taken("flat", plan.flats, NIGHT["lamp_time"].value, filter="V", sky=lamp)
    flat = combine([calibrate(raw, CAMERA, bias=bias, dark=dark) for raw in flats])
    images = taken("science", plan.science, t, filter="V", sky=NIGHT["sky"].value + light)
    return combine([calibrate(raw, CAMERA, bias=bias, dark=dark, flat=flat) for raw in images])


@pytest.mark.long
@pytest.mark.parametrize(
    "given", [{}, pytest.param({"dark_exposure": 40 * u.s, "exposure": 20 * u.s}, marks=pytest.mark.long)]
)
def test_recommended_night_gives_the_promised_snr(given):
    plan = plan_calibration(CAMERA, time=6 * u.min, annulus=ANNULUS, **NIGHT, **given)
    # The masters matter, or nothing would be tested.
    assert plan.snr < 0.85 * plan.snr_with(biases=np.inf, darks=np.inf, flats=np.inf)
    rng = np.random.default_rng(20261128)
    shape, spacing = (304, 304), 15
    camera = Camera(shape=shape, detector=CAMERA, dark_rate=NIGHT["dark_current"].value)
    grid = np.arange(9, 304 - 8, spacing)
    y, x = (axis.ravel() + rng.uniform(-0.5, 0.5, axis.size) for axis in np.meshgrid(grid, grid))
    field = Table({"x": x, "y": y, "flux": np.full(x.size, NIGHT["flux"].value / fraction(3.0, NIGHT["fwhm"]))})
    places = np.stack([x, y], axis=1)
    circles, rings = CircularAperture(places, 3.0), CircularAnnulus(places, *ANNULUS)

    def fluxes(image):
        sums = aperture_photometry(image, circles)["aperture_sum"]
        return sums - aperture_photometry(image, rings, method="center")["aperture_sum"] * circles.area / counts

    counts = aperture_photometry(np.ones(shape), rings, method="center")["aperture_sum"]
    light = stars(shape, field, NIGHT["fwhm"])
    truth = fluxes(light * plan.exposure.value)
    assert np.mean(truth) == pytest.approx(plan.signal.value, rel=0.02)
    images = [simulated_night(camera, plan, light, rng) for _ in range(29)]
    measured = [fluxes(image.data) - truth for image in images]
    noise = plan.signal.value / plan.snr
    assert_scatters_as_predicted(np.array(measured), noise**2, tolerance=0.02)
    # What the package's own budget says of a star, to the same 2%.
    table = measure_snr(images[0], positions=places, fwhm=NIGHT["fwhm"], radius=3.0, annulus=ANNULUS, n_empty=0)
    assert np.sqrt(np.mean(np.square(table["flux_err"].value))) == pytest.approx(noise, rel=0.02)


def test_plan_says_what_gains_most():
    few_darks = {"exposure": 60 * u.s, "science": 20, "biases": 10, "darks": 3, "flats": 100}
    plan = plan_calibration(CAMERA, **NIGHT, **few_darks)
    assert plan.next == "darks"
    cost = plan.seconds["darks"]
    more = plan.snr_with(darks=3 + 60 / cost)
    row = plan.table[list(plan.table["frames"]).index("darks")]
    assert row["gain"] == pytest.approx(100 * (more / plan.snr - 1))
    assert row["SNR at best"] == pytest.approx(plan.snr_with(darks=np.inf))
    assert sum(plan.table["share"]) == pytest.approx(100)
    words = str(plan)
    assert "20 science frames of 60 s, 10 biases, 3 darks of 60 s, 100 flats" in words
    assert "gains most with darks" in words


def test_exposure_stays_below_saturation_and_a_given_one_that_does_not_is_remarked():
    bright = NIGHT | {"flux": 1e5 * RATE}
    plan = plan_calibration(CAMERA, time=20 * u.min, **bright)
    # A Gaussian of 3 pixels has 0.094 of its light in its central pixel, when it is integrated over it.
    peak = 1e5 / fraction(3.0, 3.0) * 0.094 * plan.exposure.value
    assert 0.3 * 90000 < peak < 0.82 * 90000
    assert plan.remarks == ()
    long = plan_calibration(CAMERA, exposure=60 * u.s, time=20 * u.min, **bright)
    assert "saturates" in long.remarks[0]


def test_curve_has_a_line_and_a_point_for_each_kind():
    plan = plan_calibration(CAMERA, time=8 * u.min, **NIGHT)
    (axes,) = plan.plot().axes
    points = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(points, [(number, plan.snr) for number in plan.numbers.values()])
    curves = [line for line in axes.lines if line.get_label() in plan.numbers]
    for line in curves:
        assert np.all(np.diff(line.get_ydata()) > 0)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"flux": 100}, u.UnitTypeError, "flux has no unit"),
        ({"flux": 100 * u.electron}, u.UnitConversionError, "flux is in electron"),
        ({"flux": 0 * RATE}, ValueError, "flux is 0"),
        ({"sky": "dark"}, TypeError, "sky is 'dark'"),
        ({"flat_level": 70000 * u.adu}, ValueError, "saturates at 60000 adu"),
        ({"time": None}, ValueError, "give the telescope time="),
        ({"time": 10 * u.s}, ValueError, "3 frames of each of science, biases, darks, flats take"),
        ({"biases": 0}, ValueError, "biases is 0"),
        ({"biases": 2.5}, ValueError, "whole number"),
        ({"science": 5}, ValueError, "give the exposure"),
        ({"dark_current": 0 * RATE, "darks": 5}, ValueError, "dark_current is 0"),
        ({"annulus": (2, 1)}, ValueError, "annulus is"),
        ({"annulus": 5}, TypeError, "annulus is 5"),
        ({"flux": 1e9 * RATE}, ValueError, "saturates in"),
        ({"read_out_time": 0 * u.s, "lamp_time": 0 * u.s}, ValueError, "take no time"),
        ({"detector": 1.5}, TypeError, "plan_calibration needs a Detector"),
    ],
)
def test_mistakes_are_told(changes, error, words):
    arguments = {"detector": CAMERA, "time": 10 * u.min} | NIGHT | changes
    with pytest.raises(error, match=words):
        plan_calibration(**arguments)


def test_detector_of_several_amplifiers_has_to_name_one():
    sections = ["[1:10,1:20]", "[11:20,1:20]"]
    several = [
        Amplifier(gain=1 * u.electron / u.adu, read_noise=noise * u.electron, data_section=section)
        for noise, section in zip((5, 20), sections, strict=True)
    ]
    camera = Detector(amplifiers=several)
    with pytest.raises(ValueError, match=r"2 amplifiers; give the one that reads the target"):
        plan_calibration(camera, time=10 * u.min, **NIGHT)
    quiet, loud = (plan_calibration(one, time=10 * u.min, **NIGHT) for one in camera.amplifiers)
    assert quiet.snr > loud.snr


def test_numbers_are_whole_and_in_order():
    plan = plan_calibration(CAMERA, time=8 * u.min, **NIGHT)
    assert list(plan.numbers) == ["science", "biases", "darks", "flats"]
    assert all(isinstance(number, int) and number >= 3 for number in plan.numbers.values())
    for kind, number in product(plan.numbers, (0, -1)):
        with pytest.raises(ValueError, match="expected a positive number"):
            plan.snr_with(**{kind: number})
    with pytest.raises(TypeError, match="no argument 'lamps'"):
        plan.snr_with(lamps=3)
