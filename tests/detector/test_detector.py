"""Detectors: what is refused, and which amplifier reads which pixel."""

from __future__ import annotations

import pickle
from contextlib import nullcontext

import astropy.units as u
import numpy as np
import pytest

from astro_calib import Amplifier, Detector, LinearityPolynomial, LinearityTable
from astro_calib.errors import FrameError

GAIN = 1.8 * u.electron / u.adu
READ_NOISE = 9.4 * u.electron
LINEARITY = LinearityPolynomial([1e-6], limit=60000 * u.adu, uncertainties=[1e-7])


def left_and_right(**kwargs):
    """Two amplifiers that read the halves of a frame of 4 rows and 6 columns."""
    return Detector(
        amplifiers=[
            Amplifier(gain=GAIN, read_noise=READ_NOISE, data_section="[1:3, 1:4]", **kwargs),
            Amplifier(gain=2 * GAIN, read_noise=READ_NOISE / 2, data_section="[4:6, 1:4]", **kwargs),
        ]
    )


def test_units_are_converted():
    camera = Detector(
        gain=0.0018 * u.Unit(1000 * u.electron) / u.adu, read_noise=9.4 * u.electron, gain_uncertainty=0.01 * GAIN.unit
    )
    assert camera.gain.unit == u.electron / u.adu
    assert camera.gain.value == pytest.approx(1.8)
    assert len(camera.amplifiers) == 1
    assert camera.amplifiers[0].gain == camera.gain
    assert camera.amplifiers[0].gain_uncertainty == 0.01 * GAIN.unit


@pytest.mark.parametrize("what", ["gain", "read_noise", "saturation", "gain_uncertainty"])
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (-1.0, ValueError, "must be finite and"),
        (np.nan, ValueError, "must be finite and"),
        (np.inf, ValueError, "must be finite and"),
        ("array", ValueError, "must be a single number"),
        ("no unit", u.UnitTypeError, "has no unit; give it in"),
        ("other unit", u.UnitConversionError, "cannot be converted to"),
    ],
)
def test_bad_quantity_is_refused_by_name(what, value, error, message):
    units = {"gain": GAIN.unit, "read_noise": u.electron, "saturation": u.adu, "gain_uncertainty": GAIN.unit}
    special = {"array": [1.0, 2.0] * units[what], "no unit": 1.0, "other unit": 1.0 * u.m}
    given = special[value] if isinstance(value, str) else value * units[what]
    arguments = {"gain": GAIN, "read_noise": READ_NOISE, what: given}
    with pytest.raises(error, match=f"^{what} .*{message}"):
        Detector(**arguments)


def test_zero_is_a_noise_but_no_gain_and_no_saturation():
    silent = Detector(gain=GAIN, read_noise=0 * u.electron, gain_uncertainty=0 * GAIN.unit)
    assert silent.read_noise == 0 * u.electron
    with pytest.raises(ValueError, match=r"gain is 0.* positive"):
        Detector(gain=0 * GAIN.unit, read_noise=READ_NOISE)
    with pytest.raises(ValueError, match=r"saturation is 0.* positive"):
        Detector(gain=GAIN, read_noise=READ_NOISE, saturation=0 * u.adu)


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match=r"missing: gain, read_noise\."):
        Detector()
    with pytest.raises(ValueError, match=r"missing: read_noise\."):
        Detector(gain=GAIN)
    with pytest.raises(ValueError, match="needs its data_section"):
        Detector(amplifiers=[Amplifier(gain=GAIN, read_noise=READ_NOISE)] * 2)


@pytest.mark.parametrize(
    "given",
    [{"gain": GAIN}, {"read_noise": READ_NOISE}, {"gain_uncertainty": 0.01 * GAIN.unit}, {"linearity": LINEARITY}],
    ids=lambda given: str(*given),
)
def test_amplifiers_have_their_own_values(given):
    # Taken in silence, one of these would be without any effect.
    with pytest.raises(ValueError, match="not both"):
        Detector(amplifiers=[Amplifier(gain=GAIN, read_noise=READ_NOISE)], **given)


def test_one_amplifier_is_a_number_and_several_are_a_map():
    assert Detector(gain=GAIN, read_noise=READ_NOISE).pixel_map("gain", (4, 6)) == 1.8
    camera = left_and_right()
    np.testing.assert_allclose(camera.pixel_map("gain", (4, 6)), [[1.8, 1.8, 1.8, 3.6, 3.6, 3.6]] * 4)
    np.testing.assert_allclose(camera.pixel_map("read_noise", (4, 6)), [[9.4, 9.4, 9.4, 4.7, 4.7, 4.7]] * 4)


def test_section_is_in_the_convention_of_fits():
    # First axis first, counted from 1, ends included.
    rows, columns = Amplifier(gain=GAIN, read_noise=READ_NOISE, data_section="[2:5, 1:3]").slices()
    assert (rows, columns) == (slice(0, 3), slice(1, 5))
    assert Amplifier(gain=GAIN, read_noise=READ_NOISE).slices() == (slice(None), slice(None))


@pytest.mark.parametrize("section", ["[32,1:4]", "[1:3]", "[1:3,4]", "[1:3,1:4,1:2]", "1:3,1:4", "[0:3,1:4]", 7, ""])
def test_section_of_an_amplifier_needs_a_range_on_both_axes(section):
    # "[32,1:4]" was taken for the columns 1 to 32.
    with pytest.raises(ValueError, match=r"data_section is .*; expected a FITS section"):
        Amplifier(gain=GAIN, read_noise=READ_NOISE, data_section=section)


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ("[1:3, 1:4]", "[4:6, 1:4]", False),
        ("[1:3, 1:4]", "[3:6, 1:4]", True),
        ("[6:4, 1:4]", "[1:3, 1:4]", False),
        ("[6:3, 1:4]", "[3:1, 1:4]", True),
        ("[6:1, 1:4]", "[3:5, 1:4]", True),
        ("[3:1, 1:4]", "[6:4, 4:1]", False),
        ("[*, 1:2]", "[1:6, 4:3]", False),
        ("[*, 2:1]", "[1:6, 4:2]", True),
    ],
)
def test_sections_that_overlap_are_refused_in_whatever_direction_they_are_read(one, other, common):
    amplifiers = [Amplifier(gain=GAIN, read_noise=READ_NOISE, data_section=section) for section in (one, other)]
    with pytest.raises(ValueError, match="overlap") if common else nullcontext():
        Detector(amplifiers=amplifiers)


def test_pixels_that_no_amplifier_reads_are_not_a_number():
    gains = left_and_right().pixel_map("gain", (5, 7))
    assert np.isnan(gains[4]).all()
    assert np.isnan(gains[:, 6]).all()
    assert np.isfinite(gains[:4, :6]).all()


@pytest.mark.parametrize(("shape", "section"), [((3, 6), "1:3, 1:4"), ((4, 5), "4:6, 1:4")])
def test_section_outside_the_frame_is_refused(shape, section):
    with pytest.raises(FrameError, match=rf"\[{section}\] lies outside .* {shape[1]} columns and {shape[0]} rows"):
        left_and_right().pixel_map("gain", shape)


def test_gain_is_the_same_noise_for_every_frame_of_a_detector_and_of_no_other():
    camera, again = (Detector(gain=GAIN, read_noise=READ_NOISE, gain_uncertainty=0.01 * GAIN.unit) for _ in range(2))
    other = Detector(gain=GAIN, read_noise=READ_NOISE, gain_uncertainty=0.01 * GAIN.unit, name="blue")
    assert camera.gain_identity(0) == again.gain_identity(0)
    assert camera.gain_identity(0) != other.gain_identity(0)
    halves = left_and_right(gain_uncertainty=0.01 * GAIN.unit)
    assert halves.gain_identity(0) != halves.gain_identity(1)


def test_linearity_is_that_of_an_amplifier():
    table = LinearityTable([10000, 60000] * u.adu, [10000, 62000] * u.adu)
    for linearity in (LINEARITY, table):
        camera = Detector(gain=GAIN, read_noise=READ_NOISE, linearity=linearity)
        assert camera.amplifiers[0].linearity == camera.linearity == linearity
        assert camera.has_linearity
    left, right = (
        Amplifier(gain=GAIN, read_noise=READ_NOISE, data_section=section, linearity=linearity)
        for section, linearity in (("[1:3, 1:4]", None), ("[4:6, 1:4]", table))
    )
    assert Detector(amplifiers=[left, right]).has_linearity
    assert not Detector(amplifiers=[left]).has_linearity


@pytest.mark.parametrize("linearity", [1e-6, [1e-6], "polynomial"])
def test_linearity_is_a_polynomial_or_a_table(linearity):
    with pytest.raises(TypeError, match=r"linearity is .*expected a LinearityPolynomial or a LinearityTable\."):
        Detector(gain=GAIN, read_noise=READ_NOISE, linearity=linearity)


def test_linearity_is_the_same_noise_for_every_frame_of_a_detector_and_of_no_other():
    camera, again, other = (
        Detector(gain=GAIN, read_noise=READ_NOISE, linearity=LINEARITY, name=name) for name in ("red", "red", "blue")
    )
    assert camera.linearity_identity(0) == again.linearity_identity(0)
    assert camera.linearity_identity(0) != other.linearity_identity(0)
    halves = left_and_right(linearity=LINEARITY)
    assert halves.linearity_identity(0) != halves.linearity_identity(1)


def test_detectors_compare_by_value_and_can_be_sent_to_another_process():
    camera = Detector(gain=GAIN, read_noise=READ_NOISE, saturation=65000 * u.adu, linearity=LINEARITY)
    again = pickle.loads(pickle.dumps(camera))  # noqa: S301  our own bytes
    assert again == camera
    assert again.gain_identity(0) == camera.gain_identity(0)
    assert again.linearity_identity(0) == camera.linearity_identity(0)
    assert camera != Detector(gain=2 * GAIN, read_noise=READ_NOISE, saturation=65000 * u.adu, linearity=LINEARITY)
    assert camera != Detector(gain=GAIN, read_noise=READ_NOISE, saturation=65000 * u.adu)
    with pytest.raises(AttributeError):
        camera.gain = 2 * GAIN


@pytest.mark.parametrize("section", ["7:4, 1:4", "6:4, 5:1"])
def test_section_that_is_read_backwards_from_outside_the_frame_is_refused(section):
    first = Amplifier(gain=GAIN, read_noise=READ_NOISE, data_section="[1:3, 1:4]")
    second = Amplifier(gain=GAIN, read_noise=READ_NOISE, data_section=f"[{section}]")
    with pytest.raises(FrameError, match=rf"\[{section}\] lies outside .* 6 columns and 4 rows"):
        Detector(amplifiers=[first, second]).pixel_map("gain", (4, 6))
