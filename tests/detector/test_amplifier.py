"""What an amplifier reads, and in which order."""

import itertools

import astropy.units as u
import numpy as np
import pytest

from astro_calib import Amplifier, Correlation, Detector

NUMBERS = {"gain": 1.5 * u.electron / u.adu, "read_noise": 5 * u.electron}
AXIS = ["1:6", "7:12", "1:11:2", "2:12:2", "1:10:3", "2:11:3", "3:12:3", "12:1", "5:8", "4:12:4"]


def cells(part):
    first, last, *step = (int(number) for number in part.split(":"))
    step = step[0] if step else 1
    return set(range(first, last + 1, step)) if last >= first else set(range(last, first + 1))


@pytest.mark.parametrize(("one", "other"), [*itertools.combinations(AXIS, 2)])
def test_sections_that_overlap_are_those_with_a_pixel_in_common(one, other):
    several = [Amplifier(**NUMBERS, data_section=f"[{part},1:4]") for part in (one, other)]
    if cells(one) & cells(other):
        with pytest.raises(ValueError, match="overlap"):
            Detector(amplifiers=several)
    else:
        Detector(amplifiers=several)


def test_whole_axes_overlap_but_for_columns_in_turn():
    with pytest.raises(ValueError, match="overlap"):
        Detector(amplifiers=[Amplifier(**NUMBERS, data_section=section) for section in ("[*,1:4]", "[3:5,2:3]")])
    rows = [Amplifier(**NUMBERS, data_section=section) for section in ("[*,1:3]", "[*,4:6]")]
    gains = Detector(amplifiers=rows).pixel_map("gain", (6, 3))
    np.testing.assert_array_equal(gains, 1.5)


@pytest.mark.parametrize(
    ("section", "corner", "steps"),
    [
        ("[1:8,1:6]", "lower left", (1, 1)),
        ("[1:8,1:6]", "lower right", (-1, 1)),
        ("[1:8,1:6]", "upper left", (1, -1)),
        ("[1:7:2,1:6]", "upper right", (-2, -1)),
        ("[2:8:2,1:6]", "lower left", (2, 1)),
    ],
)
def test_the_correlation_goes_along_the_read_out(section, corner, steps):
    pickup = Correlation(0.1, [(0.3, 0.9, 0.4), (0.2, np.pi, None)])
    amplifier = Amplifier(**NUMBERS, data_section=section, corner=corner, correlation=pickup)
    dx, dy = np.meshgrid(np.arange(-3, 4), np.arange(-3, 4))
    in_frame = amplifier.correlation_in_frame.rho(dx * steps[0], dy * steps[1])
    np.testing.assert_allclose(in_frame, pickup.rho(dx, dy), atol=1e-12)
    assert Amplifier(**NUMBERS, corner=corner).correlation_in_frame is None


def test_saturations():
    own = Amplifier(**NUMBERS, data_section="[1:4,1:4]", saturation=60_000 * u.adu)
    other = Amplifier(**NUMBERS, data_section="[5:8,1:4]")
    assert Detector(amplifiers=[own, other]).saturations() == [60_000, None]
    assert Detector(amplifiers=[own, other], saturation=65_000 * u.adu).saturations() == [60_000, 65_000]
    assert Detector(amplifiers=[own, other], saturation=50_000 * u.adu).saturations() == [50_000, 50_000]
    assert Detector(amplifiers=[own, other]).alone(0).saturations() == [60_000]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"corner": "left"}, "corner is 'left'; expected one of 'lower left'"),
        ({"overscan_section": "1025:1056"}, "overscan_section is '1025:1056'; expected a FITS section"),
        ({"saturation": -5 * u.adu}, "saturation is -5.0 adu"),
        ({"saturation": 1e12 * u.adu}, "expected 4.29497e\\+09 adu at most"),
    ],
)
def test_what_no_amplifier_has(wrong, message):
    with pytest.raises(ValueError, match=message):
        Amplifier(**NUMBERS, **wrong)
