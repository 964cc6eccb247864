"""The audit of the noise: what it says of cameras whose truth is known, of real ones, of frames that cannot tell."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.table import Table

from astro_calib import CCDFrame, Detector
from astro_calib.characterize import audit_noise
from astro_calib.characterize.audit.model import State, Wave, covariances
from astro_calib.characterize.audit.samples import Sample
from astro_calib.characterize.audit.sums import variance_of_sums, weights_of
from astro_calib.characterize.lags import REACH, folded
from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.simulate.electronics import ReadOut, ReadOutTone

ROOT = Path(__file__).parents[2]
LISBON = ROOT.parent / "shared" / "data" / "lisbon"
SHAPE = (128, 128)


def stated(gain=1.5, read_noise=6.0):
    return Detector(gain=gain * u.electron / u.adu, read_noise=read_noise * u.electron)


class Simulated:
    """A camera with a gain of 1.5 and a read noise of 6 electrons, if nothing else is said."""

    def __init__(self, seed, read_out=None, gain=1.5, level=500.0, shape=SHAPE):
        self.rng = np.random.default_rng([seed, 5])
        self.read_out = read_out or ReadOut(white=6)
        self.gain, self.level, self.shape = gain, level, shape

    def frame(self, electrons=0.0, level=0.0):
        charge = self.rng.poisson(np.broadcast_to(electrons, self.shape)) + self.read_out.draw(self.shape, self.rng)
        values = np.rint(charge / self.gain + self.level + level)
        return np.clip(values, 0, 65535).astype(np.uint16)

    def biases(self, number=6):
        return [self.frame() for _ in range(number)]

    def flats(self, levels=(30_000, 29_000, 8000, 8200)):
        return [self.frame(level) for level in levels]


@pytest.fixture(scope="module")
def benchmark():
    """The module with the cameras of the long run."""
    path = ROOT / "benchmarks" / "audit.py"
    if not path.is_file():
        pytest.skip("the benchmarks are not part of the package")
    spec = importlib.util.spec_from_file_location("benchmark_of_audit", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


FAULTS = (
    "gain off by 10%",
    "gain off by 20%",
    "read noise off by 30%",
    "rows",
    "tones",
    "drifting overscan",
    "wrong dark",
    "wrong flat",
    "clamped level",
    "master of another temperature",
)


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_the_fault_of_a_camera_is_named_and_no_other(benchmark, fault):
    assert set(benchmark.FAULTS) == set(FAULTS)
    camera = benchmark.Camera(70_000 + FAULTS.index(fault), fault)
    result = camera.audit()
    assert benchmark.judgement(camera, result) in ("right", "pair"), result.verdict
    assert not result.right


@pytest.mark.long
@pytest.mark.parametrize("number", range(10))
def test_a_right_camera_is_not_accused(benchmark, number):
    result = benchmark.Camera(71_000 + number, None).audit()
    assert result.right, result.verdict
    assert result.verdict.startswith("all right: no noise differs from its prediction by more than ")


def test_the_size_of_a_wrong_gain_and_its_error():
    camera = Simulated(1, gain=1.7)
    frames = {"bias": camera.biases(), "flat": camera.flats()}
    result = audit_noise(frames, stated(1.8))
    row = result.faults[result.faults["fault"] == "gain"][0]
    assert abs(row["size"] - (1.8 / 1.7 - 1)) < 3.5 * row["error"]
    assert row["error"] < 0.01
    assert result.verdict.startswith("the gain is ")
    assert "too large: 1.8, should be 1.70" in result.verdict or "too large: 1.8, should be 1.69" in result.verdict


@pytest.mark.long
def test_pulls_of_the_gain():
    # 16 cameras: the standard deviation of their pulls is known to 18%.
    pulls = []
    for seed in range(16):
        camera = Simulated(100 + seed, shape=(96, 96))
        result = audit_noise({"bias": camera.biases(3), "flat": camera.flats((20_000, 20_000))}, stated(1.65))
        row = result.faults[result.faults["fault"] == "gain"][0]
        pulls.append((row["size"] - 0.1) / row["error"])
    assert 0.5 < np.std(pulls) < 1.5
    assert abs(np.mean(pulls)) < 3 / np.sqrt(16)


def test_a_read_noise_that_is_right_in_adu():
    # The camera has 6 electrons, or 4 adu; the user multiplied these by the wrong gain.
    camera = Simulated(2)
    result = audit_noise({"bias": camera.biases(), "flat": camera.flats()}, stated(1.2, 4.8))
    assert result.verdict.startswith("the gain is 20% too small: 1.2, should be 1.5")
    assert "the read noise 6" in result.verdict
    assert list(result.faults["fault"][result.faults["named"] == "yes"]) == ["gain, read noise right in adu"]


def test_rows_and_tones_that_were_taken_for_white_noise():
    rows = audit_noise({"bias": Simulated(3, ReadOut(white=5, row=np.sqrt(11))).biases()}, stated())
    assert "share a noise of 3." in rows.verdict
    tone = ReadOutTone(power=11, wx=2 * np.pi / 4, wy=0.5)
    tones = audit_noise({"bias": Simulated(4, ReadOut(white=5, tones=(tone,))).biases(10)}, stated())
    assert "period 4 pixels along the rows, whose phase goes on from row to row" in tones.verdict


def test_biases_alone_cannot_tell():
    result = audit_noise({"bias": Simulated(5, ReadOut(white=8)).biases()}, stated())
    assert not result.right
    assert set(result.faults["fault"][result.faults["named"] == "perhaps"]) == {"read noise", "gain"}
    for words in ("the noise of the biases is 33% larger", "spurious charge", "Biases alone cannot tell", "two flats"):
        assert words in result.verdict
    assert "quantisation" not in result.verdict
    with_floats = [frame + 0.1 * np.random.default_rng(1).random(SHAPE) for frame in Simulated(5).biases()]
    assert "quantisation" in audit_noise({"bias": with_floats}, stated(read_noise=4.0)).verdict


def test_a_level_that_drifts_needs_six_biases():
    camera = Simulated(6)
    levels = [0, 3, -2, 4, -4, 1, 2, -3]
    biases = [camera.frame(level=level) for level in levels]
    result = audit_noise({"bias": biases}, stated())
    assert result.verdict.startswith("the level drifts by 4.")
    assert "odd" not in result.verdict
    few = audit_noise({"bias": biases[:4]}, stated())
    assert "or one of 4 biases is odd; 6 or more would decide" in few.verdict


def test_the_sky_of_calibrated_frames_at_one_level_cannot_tell_gain_from_read_noise():
    rng = np.random.default_rng(7)

    def frame(sky, gain_error):
        from astro_calib import calibrate

        raw = np.rint(500 + (rng.poisson(sky, SHAPE) + rng.normal(0, 6, SHAPE)) / 1.5).astype(np.uint16)
        return calibrate(CCDFrame(raw, unit="adu"), stated(1.5 * gain_error), pedestal=500)

    def audited(skies, gain_error):
        return audit_noise({"science": [frame(sky, gain_error) for sky in skies]}, stated(1.5 * gain_error))

    one = audited((100, 110), 1.3)
    assert not one.right
    assert len(set(one.faults["fault"][one.faults["named"] == "perhaps"])) > 1
    assert "These frames cannot tell which" in one.verdict
    several = audited((50, 50, 5000, 5000), 1.3)
    assert several.verdict.startswith("the gain is "), several.verdict
    assert "too large: 1.95, should be 1." in several.verdict
    assert audited((50, 50, 5000, 5000), 1.0).right


@pytest.mark.parametrize("coherent", [True, False])
def test_covariances_and_sums_over_apertures_are_those_of_the_truth(coherent):
    wave = Wave(9.0, 1.3, 0.4 if coherent else 0.0, coherent)
    read_out = ReadOut(white=5, row=1.5, tones=(ReadOutTone(power=9, wx=1.3, wy=wave.wy, coherent=coherent),))
    state = State(rows=2.25, tones=(wave,))
    sample = Sample(
        kind="bias",
        level=0,
        lags=np.zeros((REACH + 1) ** 2),
        ring=False,
        pixels=1,
        draws=1,
        shape=SHAPE,
        reads=1,
        read=25,
        shot=0,
        other=0,
    )
    white, rest = covariances(sample, state)
    dy, dx = np.mgrid[0 : REACH + 1, -REACH : REACH + 1]
    truth = folded(read_out.autocovariance(dx, dy)).ravel()
    rest[0] += white
    np.testing.assert_allclose(rest, truth, atol=1e-9)
    weights = weights_of(5.0)
    y, x = (axis.ravel() for axis in np.mgrid[: weights.shape[0], : weights.shape[1]])
    matrix = read_out.autocovariance(x[:, None] - x, y[:, None] - y)
    expected = weights.ravel() @ matrix @ weights.ravel()
    assert variance_of_sums(5.0, 25.0, state) == pytest.approx(expected)


def test_apertures_show_the_rows():
    result = audit_noise({"bias": Simulated(8, ReadOut(white=6, row=2)).biases(20)}, stated())
    table = result.apertures
    assert table["radius"].max() == 15
    assert table["ratio"].max() > 1.5
    # Errors of the sums of differences, of which there are ten.
    off = (table["with_faults"] - 1) / (table["error"] / table["ratio"])
    assert np.all(abs(off) < 3)


def test_clamped_levels():
    piled = Simulated(9, level=1.0)
    result = audit_noise({"bias": piled.biases(), "flat": piled.flats()}, stated())
    assert result.verdict.startswith("the level is clamped: ")
    assert "lowest value, 0 adu" in result.verdict
    camera = Simulated(10)
    darks = [CCDData(camera.frame(30, level=-25), unit="adu", meta={"EXPTIME": 300.0}) for _ in range(3)]
    result = audit_noise({"bias": camera.biases(), "dark": darks, "flat": camera.flats()}, stated())
    assert "the level of darks of 300 s is 5" in result.verdict
    assert list(result.faults["fault"][result.faults["named"] == "yes"]) == ["clamp"]


def test_noise_that_the_digital_step_hides_is_not_judged():
    camera = Simulated(16, ReadOut(white=2), gain=8.0)
    detector = stated(8.0, 2.0)
    result = audit_noise({"bias": camera.biases(), "flat": camera.flats()}, detector)
    assert result.right, result.verdict
    assert set(result.noise["kind"]) == {"flat"}
    assert "which hides it: biases and darks are left out" in result.remarks[0]
    with pytest.raises(
        FrameError, match="these frames tell nothing of the noise: the read noise of 2 electron is less"
    ):
        audit_noise({"bias": camera.biases()}, detector)


def test_biases_without_noise_are_no_good_detector():
    biases = [np.full(SHAPE, 500, np.uint16) for _ in range(3)]
    for number, bias in enumerate(biases):
        bias[number, 0] = 501
    result = audit_noise({"bias": biases, "flat": Simulated(17).flats()}, stated())
    assert result.verdict.startswith("the level is clamped: the biases have no noise at all")


def test_amplifiers_are_judged_apart():
    from astro_calib import Amplifier

    left, right = Simulated(11, shape=(128, 64)), Simulated(12, gain=2.0, shape=(128, 64))
    frames = {
        kind: [np.hstack(pair) for pair in zip(getattr(left, kind)(), getattr(right, kind)(), strict=True)]
        for kind in ("biases", "flats")
    }
    sections = ("[1:64,1:128]", "[65:128,1:128]")
    amplifiers = [
        Amplifier(gain=1.5 * u.electron / u.adu, read_noise=6 * u.electron, data_section=section)
        for section in sections
    ]
    result = audit_noise({"bias": frames["biases"], "flat": frames["flats"]}, Detector(amplifiers=amplifiers))
    first, second = result.verdict.split("\n")
    assert first.startswith(f"{sections[0]}: all right")
    assert second.startswith(f"{sections[1]}: the gain is 25% too small")


def test_table_dictionary_and_figure(tmp_path):
    camera = Simulated(13)
    result = audit_noise({"bias": camera.biases(), "flat": camera.flats()}, stated(1.65))
    assert result.verdict in str(result)
    found = json.loads(json.dumps(result.to_dict()))
    assert found["right"] is False
    assert {row["kind"] for row in found["noise"]} == {"bias", "flat"}
    result.write(tmp_path / "audit.ecsv")
    table = Table.read(tmp_path / "audit.ecsv")
    assert table.meta["verdict"] == result.verdict
    assert list(table["fault"]) == list(result.faults["fault"])
    result.plot().savefig(tmp_path / "audit.png")
    assert (tmp_path / "audit.png").read_bytes().startswith(b"\x89PNG")


def test_inputs_stay_as_they_are():
    camera = Simulated(14)
    frames = {"bias": camera.biases(3), "flat": camera.flats((9000, 9000))}
    before = {kind: [frame.copy() for frame in ones] for kind, ones in frames.items()}
    audit_noise(frames, stated())
    for kind, ones in frames.items():
        np.testing.assert_array_equal(ones, before[kind])


def test_what_is_missing_is_said_in_a_sentence():
    camera = Simulated(15)
    biases, flats = camera.biases(3), camera.flats((9000, 9000))
    for frames, words in (
        ({}, "an audit needs two biases or more, or two calibrated science frames; given: none."),
        ({"flat": flats}, "an audit of raw frames needs two biases or more, for the level and the read noise"),
        ({"bias": biases[:1]}, "an audit needs two biases or more that were taken one after the other; given: one."),
        ({"bias": [biases[0]] * 3}, "given: 3 times the same bias."),
        ({"bias": biases, "flat": [flats[0]] * 2}, "given: 2 times the same flat."),
        ({"bias": biases, "flat": camera.biases(2)}, "needs two flats or more with light and below saturation"),
        ({"bias": biases, "flat": camera.flats((98_200, 98_300))}, "2 of 2 saturated at 65535 adu"),
        ({"bias": biases, "dark": biases}, "dark 1 has no EXPTIME in its header"),
        ({"science": biases}, "science frame 1 is an ndarray of shape (128, 128) without an error"),
    ):
        with pytest.raises(FrameError) as caught:
            audit_noise(frames, stated())
        assert words in str(caught.value)
    with pytest.raises(FrameError, match="needs the stated detector"):
        audit_noise({"bias": biases})
    with pytest.raises(ShapeMismatchError, match=r"give frames of one shape"):
        audit_noise({"bias": biases, "flat": [flat[:100] for flat in flats]}, stated())
    with pytest.raises(ValueError, match="no kind of frames 'biases'"):
        audit_noise({"biases": biases}, stated())
    with pytest.raises(TypeError, match="expected a dictionary"):
        audit_noise(biases, stated())
    with pytest.raises(FrameError, match="holds no calibrated frames"):
        audit_noise("/nowhere", stated())


def test_a_sky_full_of_faint_objects_is_left_out():
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(18)
    objects = 25 * gaussian_filter(rng.standard_normal((2, *SHAPE)), (0, 1.5, 1.5))
    frames = [
        CCDFrame(100 + rng.normal(0, 10, SHAPE) + one, unit="electron", uncertainty=np.full(SHAPE, 10.0))
        for one in objects
    ]
    with pytest.raises(FrameError, match="faint objects fill their sky"):
        audit_noise({"science": frames})


def test_errors_whose_parts_are_not_known():
    rng = np.random.default_rng(19)
    frames = [
        CCDFrame(rng.normal(100, 12.5, SHAPE), unit="electron", uncertainty=np.full(SHAPE, 10.0)) for _ in range(2)
    ]
    result = audit_noise({"science": frames})
    assert not result.right
    row = result.faults[result.faults["fault"] == "error"][0]
    assert row["named"] == "yes"
    assert abs(row["size"] - 0.25) < 3.5 * row["error"]
    assert "% too small; their budgets do not say what they are made of" in result.verdict


@pytest.fixture(scope="module")
def field():
    """A camera and its stars."""
    from astro_calib import simulate

    shape = (256, 256)
    detector = stated(1.5, 8)
    camera = simulate.Camera(shape=shape, detector=detector, bias_level=500, sensitivity={"V": np.ones(shape)})
    stars = simulate.random_stars(shape, 60, np.random.default_rng(1), flux_range=(30, 3000))
    return camera, stars


@pytest.mark.parametrize("extra", [pytest.param(0.0, marks=pytest.mark.long), 0.02])
def test_stars_of_a_series_scatter_as_their_errors_say(field, extra):
    from astro_calib import calibrate

    camera, stars = field
    rng = np.random.default_rng(2)
    frames = []
    for _ in range(6):
        changed = stars.copy()
        # Scintillation, or a flat that is wrong: a part of the flux, which only bright stars show.
        changed["flux"] = changed["flux"] * (1 + extra * rng.standard_normal(len(stars)))
        raw_frame, _ = camera.expose("science", 60, filter="V", sky=20.0, stars=changed, rng=rng)
        frames.append(calibrate(raw_frame, stated(1.5, 8), pedestal=500))
    result = audit_noise({"science": frames})
    row = result.faults[result.faults["fault"] == "stars"][0]
    assert len(result.stars) > 30
    if extra:
        assert row["named"] == "yes"
        assert "times their errors, bright ones more: scintillation" in result.verdict
        # Of a star of 100,000 electrons: the scatter is 2%, the error less than half a percent.
        brightest = result.stars[np.argmax(result.stars["flux"])]
        assert brightest["scatter"] / brightest["flux"] == pytest.approx(extra, rel=0.8)
    else:
        assert abs(row["size"]) < 3.5 * row["error"]
        assert result.right


def raw(path):
    with fits.open(path) as file:
        return CCDData(np.squeeze(file[0].data), unit="adu", meta=file[0].header)


@pytest.mark.long
def test_the_wrong_gain_of_a_real_header():
    if not LISBON.is_dir():
        pytest.skip("the real frames in ../shared/data/lisbon are not part of a checkout")
    frames = {
        "bias": [raw(path) for path in sorted(LISBON.glob("bias*"))],
        "flat": [raw(path) for path in sorted(LISBON.glob("flat*Blue*"))],
    }
    # 6.4 adu times the gain of the header; plain NumPy finds 2.340 and 2.333 +- 0.004 from the variance of pairs.
    result = audit_noise(frames, stated(1.5, 9.6))
    assert "the gain is 36% too small: 1.5, should be 2.3" in result.verdict
    right = audit_noise(frames, stated(2.337, 14.95))
    assert "the gain" not in right.verdict
    assert np.all(abs(right.noise["ratio"] - 1) < 0.01)


@pytest.mark.long
def test_the_tones_of_a_real_camera(nickel):
    frames = {
        "bias": [raw(nickel / f"d10{number:02}.fits.gz") for number in range(1, 11)],
        "flat": [raw(nickel / f"d10{number}.fits.gz") for number in (35, 36, 37)],
    }
    result = audit_noise(frames, stated(1.79, 9.4), overscan="[1035:1055,401:900]", trim="[101:500,401:900]")
    # Sums over empty apertures of radius 8: plain NumPy finds 1.1 to 1.2 times the white prediction.
    assert "tone" in result.verdict
    assert "the gain" not in result.verdict
    assert np.all(abs(result.noise["ratio"] - 1) < 0.02)
