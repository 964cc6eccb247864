"""Photon transfer of several amplifiers, each along its own read-out."""

import astropy.units as u
import numpy as np
import pytest

from astro_calib import Amplifier, Detector, simulate
from astro_calib.characterize import photon_transfer
from astro_calib.simulate import ReadOut, ReadOutTone

E_PER_ADU = u.electron / u.adu
SIDE = 120
CORNERS = ["lower left", "lower right", "upper left", "upper right"]
GAINS, WHITES = (1.0, 1.02, 1.15, 1.3), (4.0, 5.0, 6.0, 8.0)
TONES = [ReadOutTone(power=20 + 5 * k, wx=0.6 + 0.4 * k, wy=0.5) for k in range(4)]


def camera(data, overscan):
    amplifiers = [
        Amplifier(
            gain=GAINS[k] * E_PER_ADU,
            read_noise=WHITES[k] * u.electron,
            data_section=data[k],
            overscan_section=overscan[k],
            corner=CORNERS[k],
            saturation=(40_000 + 1000 * k) * u.adu,
        )
        for k in range(len(data))
    ]
    read_outs = [ReadOut(white=WHITES[k], tones=(TONES[k],)) for k in range(len(data))]
    return simulate.Camera(shape=(2 * SIDE, 2 * SIDE), detector=Detector(amplifiers=amplifiers), read_out=read_outs)


def quadrants():
    low, high, width = f"1:{SIDE}", f"{SIDE + 1}:{2 * SIDE}", 2 * SIDE
    data = [f"[{x},{y}]" for y in (low, high) for x in (f"11:{SIDE + 10}", f"{SIDE + 11}:{width + 10}")]
    overscan = [f"[{x},{y}]" for y in (low, high) for x in ("1:10", f"{width + 11}:{width + 20}")]
    return camera(data, overscan)


def in_turn():
    n = 2 * SIDE
    data = [f"[1:{n - 1}:2,1:{n}]", f"[2:{n}:2,1:{n}]"]
    return camera(data, [f"[{n + 1}:{n + 15}:2,1:{n}]", f"[{n + 2}:{n + 16}:2,1:{n}]"])


@pytest.mark.parametrize("pixels", [None, 10_000])
@pytest.mark.parametrize("make", [quadrants, in_turn])
def test_gains_noises_and_tones_of_each(make, pixels):
    one = make()
    rng = np.random.default_rng(4)
    biases = [one.expose("bias", 0, rng=rng)[0] for _ in range(10)]
    flats = [one.expose("flat", 1, filter="V", sky=20_000, rng=rng)[0] for _ in range(4)]
    result = photon_transfer(flats, biases, sections=one.detector, pixels=pixels)
    found = result.to_detector()
    for k, (measured, amplifier) in enumerate(zip(result.amplifiers, found.amplifiers, strict=True)):
        assert abs(measured.gain.value.value - GAINS[k]) < 3.5 * measured.gain.uncertainty.value
        strongest = max(measured.tones, key=lambda tone: tone.power)
        sign = np.sign(strongest.wx)
        assert (sign * strongest.wx, sign * strongest.wy) == pytest.approx((TONES[k].wx, TONES[k].wy), abs=np.pi / SIDE)
        truth = one.detector.amplifiers[k]
        assert (amplifier.data_section, amplifier.overscan_section, amplifier.corner) == (
            truth.data_section,
            truth.overscan_section,
            truth.corner,
        )
        assert measured.white.value.value == pytest.approx(WHITES[k], rel=0.05)


def test_the_corners_may_be_given():
    one = quadrants()
    rng = np.random.default_rng(5)
    biases = [one.expose("bias", 0, rng=rng)[0] for _ in range(4)]
    flats = [one.expose("flat", 1, filter="V", sky=50_000, rng=rng)[0] for _ in range(2)]
    flats += [one.expose("flat", 1, filter="V", sky=20_000, rng=rng)[0] for _ in range(2)]
    sections = [amplifier.data_section for amplifier in one.detector.amplifiers]
    first, second = (
        photon_transfer(flats, biases, sections=sections[1], **how) for how in ({}, {"corners": [CORNERS[1]]})
    )
    # Mirrored, the same covariances.
    np.testing.assert_allclose(first.amplifiers[0].lags[0], second.amplifiers[0].lags[0], rtol=1e-6)
    assert second.amplifiers[0].corner == "lower right"
    # Its flats of 50,000 electrons end where this amplifier's range does.
    assert first.amplifiers[0].saturation == 41_000 * u.adu
    detector = photon_transfer(flats, biases, sections=sections, corners=CORNERS).to_detector()
    assert [one.saturation.value for one in detector.amplifiers[:2]] == [40_000, 41_000]
    with pytest.raises(ValueError, match="expected one of 'lower left'"):
        photon_transfer(flats, biases, sections=sections, corners=["left"])
