"""Numbers that no camera and no observer means: refused with a sentence, or used without being lost."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from click.testing import CliRunner

from astro_calib import Amplifier, CCDFrame, Detector, calibrate, combine, gain_correct, subtract_dark
from astro_calib.cli import main
from astro_calib.errors import FrameError

GAIN = u.electron / u.adu


def frames(number, **keywords):
    return [
        CCDFrame(np.full((2, 3), 10.0 * k), unit="adu", uncertainty=np.full((2, 3), 2.0), **keywords)
        for k in range(1, number + 1)
    ]


@pytest.mark.parametrize(
    ("weights", "mean", "variance"),
    [
        ([1e308] * 4, 25.0, 1.0),
        ([1e-320] * 4, 25.0, 1.0),
        ([1e308, 1e308, 0, 0], 15.0, 2.0),
        ([1e-300, 3e-300, 0, 0], 17.5, 4 * 10 / 16),
        ([1e308, 1.0, 1e-320, 0], 10.0, 4.0),
        ([1, 1, 1, 1], 25.0, 1.0),
    ],
    ids=str,
)
@pytest.mark.parametrize("clip", [None, "sigma"])
def test_only_the_ratio_of_weights_counts(weights, mean, variance, clip):
    stack = combine(frames(4), weights=weights, clip=clip, sigma=100)
    np.testing.assert_allclose(stack.data, mean)
    # The factor of a rejection with unlike weights is simulated, and good to 1%.
    np.testing.assert_allclose(stack.variance, variance, rtol=1e-6 if clip is None else 0.01)


@pytest.mark.parametrize("weights", [[np.inf] * 4, [np.nan, 1, 1, 1], [-1, 1, 1, 1], [0, 0, 0, 0]], ids=str)
def test_weights_that_are_none(weights):
    with pytest.raises(ValueError, match="weights must be"):
        combine(frames(4), weights=weights)


@pytest.mark.parametrize(("number", "extremes"), [(5, (3, 2)), (5, (5, 0)), (5, (0, 9)), (2, (1, 1)), (4, (2, 2))])
def test_a_rejection_that_leaves_nothing(number, extremes):
    with pytest.raises(ValueError, match=rf"would leave none of {number} values"):
        combine(frames(number), clip="minmax", extremes=extremes)


def test_a_rejection_that_leaves_one():
    np.testing.assert_allclose(combine(frames(5), clip="minmax", extremes=(3, 1)).data, 40.0)
    np.testing.assert_allclose(combine(frames(5), clip="minmax", extremes=(2, 2)).data, 30.0)


@pytest.mark.parametrize("extremes", [(-1, 1), (0.5, 0.5), (1,), (1, 1, 1)], ids=str)
def test_extremes_that_are_no_numbers_of_values(extremes):
    with pytest.raises(ValueError, match=r"expected two whole numbers|cannot be negative"):
        combine(frames(5), clip="minmax", extremes=extremes)


@pytest.mark.parametrize("gain", [1e300, 1e7, 1e-7, 1e-300])
def test_a_gain_that_no_detector_has(gain):
    for make in (
        lambda: Detector(gain=gain * GAIN, read_noise=5 * u.electron),
        lambda: Amplifier(gain=gain * GAIN, read_noise=5 * u.electron),
        lambda: gain_correct(frames(1)[0], gain * GAIN),
    ):
        with pytest.raises(ValueError, match=r"gain is .*; expected 1e-06 to 1e"):
            make()


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"gain": np.inf * GAIN}, "finite"),
        ({"gain": 0 * GAIN}, "positive"),
        ({"read_noise": 1e200 * u.electron}, "read_noise is"),
        ({"read_noise": np.inf * u.electron}, "finite"),
        ({"saturation": np.inf * u.adu}, "finite"),
        ({"saturation": 1e300 * u.adu}, "saturation is"),
        ({"saturation": 1e10 * u.adu}, "saturation is"),
        ({"gain_uncertainty": 1e200 * GAIN}, "gain_uncertainty is"),
    ],
    ids=[
        "gain inf",
        "gain 0",
        "read noise 1e200",
        "read noise inf",
        "saturation inf",
        "saturation 1e300",
        "saturation 1e10",
        "uncertainty 1e200",
    ],
)
def test_other_numbers_that_no_detector_has(numbers, said):
    with pytest.raises(ValueError, match=said):
        Detector(**{"gain": 1.5 * GAIN, "read_noise": 5 * u.electron, **numbers})


@pytest.mark.parametrize("gain", [0.005, 0.1, 1.5, 100.0, 65535 * 1.5])
def test_gains_that_there_are(gain):
    # Electron multiplying, CMOS, CCD, infrared, and images on a scale from 0 to 1.
    assert Detector(gain=gain * GAIN, read_noise=5 * u.electron).gain.value == gain


@pytest.mark.parametrize("seconds", [1e300, 1e30, 1e9, np.inf, -1.0, np.nan], ids=str)
@pytest.mark.parametrize("of", ["frame", "dark"])
@pytest.mark.parametrize("way", ["header", "quantity", "calibrate"])
def test_an_exposure_that_nobody_took(seconds, of, way):
    ccd, dark = frames(2)
    times = {"frame": 60.0, "dark": 60.0, of: seconds}
    ccd.meta["EXPTIME"], dark.meta["EXPTIME"] = times["frame"], times["dark"]
    quantities = {"data_exposure": times["frame"] * u.s, "dark_exposure": times["dark"] * u.s}
    raw = CCDFrame(np.full((2, 3), 100, np.uint16), unit="adu", meta={"EXPTIME": times["frame"]})
    camera = Detector(gain=1.5 * GAIN, read_noise=5 * u.electron)
    ways = {
        "header": lambda: subtract_dark(ccd, dark, exposure_time="EXPTIME", scale=True),
        "quantity": lambda: subtract_dark(ccd, dark, scale=True, **quantities),
        "calibrate": lambda: calibrate(raw, camera, pedestal=0, dark=dark),
    }
    with pytest.raises(FrameError, match="exposure"):
        ways[way]()


@pytest.mark.parametrize(
    "options",
    [
        ["--gain", "1e300"],
        ["--gain", "1e-300"],
        ["--read-noise", "1e200"],
        ["--gain", "inf"],
        ["--saturation", "nan"],
        ["--saturation", "1e300"],
    ],
    ids=" ".join,
)
def test_options_of_the_command(options, tmp_path):
    from astropy.io import fits

    for number, kind in enumerate(["BIAS", "BIAS", "LIGHT"]):
        header = fits.Header([("IMAGETYP", kind), ("EXPTIME", 0.0 if kind == "BIAS" else 30.0)])
        fits.writeto(tmp_path / f"{number}.fits", np.full((8, 10), 1000 + number, dtype=np.uint16), header)
    given = {"--gain": "1.5", "--read-noise": "8", options[0]: options[1]}
    arguments = [
        "reduce",
        str(tmp_path),
        "-o",
        str(tmp_path / "out"),
        *(word for pair in given.items() for word in pair),
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    # An error that was foreseen, and no traceback.
    assert isinstance(result.exception, SystemExit)
    assert options[0].strip("-").replace("-", "_") in result.output
