"""The audit of cameras whose rows and tones are stated: these are no fault, and what differs from them is."""

from __future__ import annotations

import re

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData

from astro_calib import CCDFrame, Detector, calibrate, combine
from astro_calib.characterize import audit_noise
from astro_calib.simulate.electronics import ReadOut, ReadOutTone

SHAPE, OVERSCAN = (160, 160), 32
GAIN = 1.5
TONES = (ReadOutTone(power=25, wx=2 * np.pi / 5, coherent=False), ReadOutTone(power=9, wx=2.2, wy=0.7))
READ_OUT = ReadOut(white=5, row=1.5, tones=TONES)


def detector(read_out=READ_OUT):
    true = Detector(gain=GAIN * u.electron / u.adu, read_noise=np.sqrt(read_out.variance) * u.electron)
    return true.read_out_with(true.amplifiers[0].read_noise, read_out.correlation())


def as_white():
    return Detector(gain=GAIN * u.electron / u.adu, read_noise=np.sqrt(READ_OUT.variance) * u.electron)


def tone_near(verdict, period):
    """The strength of the tone that the verdict names with about this period, and what it says of it."""
    for line in verdict.split("\n"):
        found = re.match(
            r"the read-out has a tone of ([0-9.]+) \+- [0-9.]+ electron, period ([0-9.]+) pixels(.*)", line
        )
        if found and abs(float(found[2]) / period - 1) < 0.05:
            return float(found[1]), found[3]
    pytest.fail(f"no tone with a period of {period} pixels in: {verdict}")


def raw(electrons, rng, read_out=READ_OUT, overscan=0):
    shape = SHAPE[0], SHAPE[1] + overscan
    charge = read_out.draw(shape, rng, overscan_columns=overscan)
    charge[:, : SHAPE[1]] += rng.poisson(electrons, SHAPE)
    return np.rint(1000 + charge / GAIN).astype(np.uint16)


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(41)
    darks = [CCDData(raw(20, rng), unit="adu", meta={"EXPTIME": 60.0}) for _ in range(3)]
    flats = [raw(level, rng) for level in (30_000, 29_000, 8000, 8200)]
    return {"bias": [raw(0, rng) for _ in range(8)], "dark": darks, "flat": flats}


@pytest.mark.long
def test_a_camera_is_right_with_its_true_detector_and_wrong_with_white_noise(frames):
    right = audit_noise(frames, detector())
    assert right.right, right.verdict
    assert right.verdict.startswith("all right")
    # Sums over apertures, which no fault was fitted to.
    assert np.all(abs(right.apertures["ratio"] - 1) < 4 * right.apertures["error"])
    assert np.all(abs(right.lags["covariance"] - right.lags["predicted"]) < 0.1)
    white = audit_noise(frames, as_white())
    assert not white.right
    # Each has about the truth's strength and period.
    (slow, changing), (fast, coherent) = tone_near(white.verdict, 5.0), tone_near(white.verdict, 2 * np.pi / 2.2)
    assert slow == pytest.approx(5, rel=0.1)
    assert "whose phase each row has of its own" in changing
    assert fast < 5
    assert "whose phase goes on from row to row" in coherent
    assert "which the budget takes for white noise" in white.verdict


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_other_cameras_are_right_with_their_true_detector(seed):
    rng = np.random.default_rng([seed, 43])
    tones = tuple(
        ReadOutTone(
            power=rng.uniform(4, 40), wx=rng.uniform(0.4, 3), wy=rng.uniform(-3, 3), coherent=bool(rng.random() < 0.5)
        )
        for _ in range(2)
    )
    read_out = ReadOut(white=rng.uniform(4, 9), row=rng.uniform(0, 3), tones=tones)
    biases, flats = [raw(0, rng, read_out) for _ in range(6)], [raw(9000, rng, read_out) for _ in range(2)]
    result = audit_noise({"bias": biases, "flat": flats}, detector(read_out))
    assert result.right, result.verdict


def test_tones_that_were_stated_and_are_not_there():
    rng = np.random.default_rng(44)
    white = ReadOut(white=float(np.sqrt(READ_OUT.variance)))
    result = audit_noise({"bias": [raw(0, rng, white) for _ in range(6)]}, detector())
    assert not result.right
    assert "the rows and tones that were stated are 9" in result.verdict
    assert "% too strong, and the rest of it is white" in result.verdict


def test_a_tone_beside_those_that_were_stated():
    rng = np.random.default_rng(45)
    more = ReadOut(white=5, row=1.5, tones=(*TONES, ReadOutTone(power=16, wx=1.8, coherent=False)))
    result = audit_noise({"bias": [raw(0, rng, more) for _ in range(8)]}, detector())
    row = result.faults[result.faults["fault"] == "tone"][0]
    assert abs(row["size"] - 4) < 3.5 * row["error"]
    # 2 pi / 1.8 = 3.49.
    assert "period 3.5 pixels" in result.verdict or "period 3.49 pixels" in result.verdict
    assert result.verdict.endswith("beside what was stated")


@pytest.mark.long
def test_a_wrong_gain_is_named_though_there_are_tones(frames):
    wrong = detector().amplifiers[0]
    stated = Detector(
        gain=1.15 * GAIN * u.electron / u.adu, read_noise=1.15 * wrong.read_noise, correlation=wrong.correlation
    )
    result = audit_noise(frames, stated)
    assert result.verdict.startswith("the gain is 1"), result.verdict
    assert len(result.verdict.split("\n")) == 1
    row = result.faults[result.faults["named"] == "yes"][0]
    assert abs(row["size"] - 0.15) < 3.5 * row["error"]


@pytest.fixture(scope="module")
def overscan():
    return f"[{SHAPE[1] + 1}:{SHAPE[1] + OVERSCAN},1:{SHAPE[0]}]"


@pytest.mark.long
@pytest.mark.parametrize("axis", [(0, 1), 1], ids=["level of the frame", "level of each row"])
def test_calibrated_frames_that_were_written_to_disk(tmp_path, overscan, axis):
    rng = np.random.default_rng(46)
    exposures = {
        kind: [raw(level, rng, overscan=OVERSCAN) for level in levels]
        for kind, levels in {"bias": [0] * 6, "science": [150, 160, 900, 950]}.items()
    }

    def calibrated(stated, name):
        options = {"overscan": overscan, "overscan_axis": axis, "trim": f"[1:{SHAPE[1]},1:{SHAPE[0]}]"}
        ready = [calibrate(CCDFrame(one, unit="adu"), stated, **options) for one in exposures["bias"]]
        bias = combine(ready)
        bias.write(tmp_path / f"{name}-bias.fits")
        paths = []
        for number, one in enumerate(exposures["science"]):
            frame = calibrate(CCDFrame(one, unit="adu"), stated, bias=bias, **options)
            paths.append(tmp_path / f"{name}-{number}.fits")
            frame.write(paths[-1])
        return {"science": paths}

    right = audit_noise(calibrated(detector(), "right"))
    assert right.right, right.verdict
    white = audit_noise(calibrated(as_white(), "white"))
    assert tone_near(white.verdict, 5.0)[0] == pytest.approx(5, rel=0.1)


def test_figures_are_drawn_into_a_given_one(frames):
    from matplotlib.figure import Figure

    given = Figure(layout="constrained")
    assert audit_noise({"bias": frames["bias"]}, detector()).plot(given) is given
    assert [axes.get_xlabel() for axes in given.axes] == [
        "level [electron]",
        "distance along the row [pixel]",
        "radius of empty apertures [pixel]",
    ]
