"""A camera of four amplifiers from raw frames to stacks: its noise, and no steps where two amplifiers meet."""

import astropy.units as u
import numpy as np
import pytest

from astro_calib import Amplifier, CCDFrame, Correlation, Detector, calibrate, combine, simulate
from astro_calib.characterize import photon_transfer
from astro_calib.simulate import ReadOut, ReadOutTone

E_PER_ADU = u.electron / u.adu
SIDE, NO = 48, 16
CORNERS = ["lower left", "lower right", "upper left", "upper right"]
GAINS, LEVELS = (1.0, 1.02, 1.1, 1.3), (0.0, 30.0, -20.0, 10.0)
READ_OUTS = [
    ReadOut(white=4),
    ReadOut(white=6, row=2),
    ReadOut(white=5, tones=(ReadOutTone(power=16, wx=1.9, coherent=False),)),
    ReadOut(white=9, row=3, tones=(ReadOutTone(power=20, wx=0.8, coherent=False),)),
]


def camera(side=SIDE, overscan=NO, **options):
    low, high = f"1:{side}", f"{side + 1}:{2 * side}"
    columns = (f"{overscan + 1}:{overscan + side}", f"{overscan + side + 1}:{overscan + 2 * side}")
    beside = (f"1:{overscan}", f"{overscan + 2 * side + 1}:{2 * overscan + 2 * side}")
    amplifiers = [
        Amplifier(
            gain=GAINS[k] * E_PER_ADU,
            read_noise=5 * u.electron,
            data_section=f"[{columns[k % 2]},{(low, high)[k // 2]}]",
            overscan_section=f"[{beside[k % 2]},{(low, high)[k // 2]}]",
            corner=CORNERS[k],
        )
        for k in range(4)
    ]
    return simulate.Camera(
        shape=(2 * side, 2 * side),
        detector=Detector(amplifiers=amplifiers),
        level_offsets=LEVELS,
        bias_drift=3.0,
        **{"read_out": READ_OUTS, **options},
    )


def trim(one):
    rows, columns = one.layout.image
    return f"[{columns.start + 1}:{columns.stop},{rows.start + 1}:{rows.stop}]"


def quarter(k, side=SIDE):
    return np.s_[side * (k // 2) : side * (k // 2 + 1), side * (k % 2) : side * (k % 2 + 1)]


@pytest.mark.parametrize("axis", [pytest.param((0, 1), marks=pytest.mark.long), 1])
def test_the_noise_of_each_amplifier_is_right(axis):
    one = camera()
    rng = np.random.default_rng(1)
    how = {"overscan": one.detector.overscan_sections(), "overscan_axis": axis, "trim": trim(one)}
    number = 120
    y, x = np.mgrid[:SIDE, :SIDE]
    weights = {"box": (np.hypot(x - 20, y - 20) < 6).astype(float), "row": (y == 20).astype(float)}
    squares, predicted = np.zeros((2, 4))
    sums = {name: np.zeros((4, number)) for name in weights}
    for index in range(number):
        raw, truth = one.expose("science", 10, filter="V", sky=30, rng=rng)
        frame = calibrate(raw, one.detector, **how)
        error = frame.data - truth.light
        for k in range(4):
            squares[k] += np.square(error[quarter(k)]).mean() / number
            predicted[k] += frame.variance[quarter(k)].mean() / number
            for name, weight in weights.items():
                sums[name][k, index] = np.sum(weight * error[quarter(k)])
    # 270,000 pixels each; rows and tones have fewer draws, but are a small part.
    np.testing.assert_allclose(np.sqrt(squares / predicted), 1, atol=0.01)
    for name, weight in weights.items():
        for k in range(4):
            whole = np.zeros(frame.shape)
            whole[quarter(k)] = weight
            ratio = sums[name][k].std() / np.sqrt(frame.budget.variance_of_sum(whole))
            assert ratio == pytest.approx(1, abs=3.5 / np.sqrt(2 * number)), (name, k)


def test_measured_amplifiers_meet_without_a_step():
    one = camera(side=100)
    rng = np.random.default_rng(3)
    biases = [one.expose("bias", 0, rng=rng)[0] for _ in range(8)]
    flats = [one.expose("flat", 1, filter="V", sky=20_000, rng=rng)[0] for _ in range(4)]
    detector = photon_transfer(flats, biases, sections=one.detector).to_detector()
    how = {"overscan": detector.overscan_sections(), "trim": trim(one)}
    raws = [one.expose("science", 100, filter="V", sky=50, rng=rng)[0] for _ in range(10)]
    stack = combine([calibrate(raw, detector, **how) for raw in raws])
    middle, pulls = 100, []
    for axis in (0, 1):
        for half in (np.s_[:100], np.s_[100:]):
            weights = np.zeros(stack.shape)
            turned = weights if axis == 1 else weights.T
            turned[half, middle : middle + 5] = 1 / 500
            turned[half, middle - 5 : middle] = -1 / 500
            pulls.append(np.sum(weights * stack.data) / np.sqrt(stack.budget.variance_of_sum(weights)))
            # Measured gains are known to some tenths of a percent, which is all of the error.
            parts = stack.budget.variances_of_sum(weights)
            assert parts["gain"] > 0.5 * sum(parts.values())
    assert np.abs(pulls).max() < 3


def test_the_error_of_the_gains_is_that_of_the_steps():
    # The gains that a detector states scatter about the truth as their uncertainties say: so do the steps.
    rng = np.random.default_rng(4)
    pulls = []
    for _ in range(60):
        amplifiers = [
            Amplifier(
                gain=(1 + 0.02 * rng.standard_normal()) * E_PER_ADU,
                gain_uncertainty=0.02 * E_PER_ADU,
                read_noise=5 * u.electron,
                data_section=section,
            )
            for section in ("[1:20,1:20]", "[21:40,1:20]")
        ]
        raw = CCDFrame(rng.poisson(1000, (20, 40)).astype(np.uint16), unit="adu")
        frame = calibrate(raw, Detector(amplifiers=amplifiers), pedestal=0)
        weights = np.where(np.arange(40) < 20, 1.0, -1.0) * np.ones((20, 1)) / 400
        pulls.append(np.sum(weights * frame.data) / np.sqrt(frame.budget.variance_of_sum(weights)))
    assert np.std(pulls) == pytest.approx(1, abs=3.5 / np.sqrt(120))


@pytest.mark.parametrize("corner", CORNERS)
def test_a_mirrored_amplifier_is_one_of_a_mirrored_frame(corner):
    pickup = Correlation(0.1, [(0.3, 0.7, 0.4), (0.2, 1.5, -0.6)])
    rng = np.random.default_rng(5)
    raw = CCDFrame(rng.normal(1000, 5, (30, 40)).astype(np.float32), unit="adu")
    turn = np.s_[:: -1 if "upper" in corner else 1, :: -1 if "right" in corner else 1]
    numbers = {"gain": 1.5 * E_PER_ADU, "read_noise": 8 * u.electron, "correlation": pickup}
    mirrored = calibrate(raw, Detector(amplifiers=[Amplifier(**numbers, corner=corner)]), pedestal=1000, shot_noise=0)
    upright = calibrate(CCDFrame(raw.data[turn].copy(), unit="adu"), Detector(**numbers), pedestal=1000, shot_noise=0)
    weights = rng.standard_normal((30, 40))
    expected = upright.budget.variance_of_sum(weights[turn])
    assert mirrored.budget.variance_of_sum(weights) == pytest.approx(expected, rel=1e-6)
    # The other way round it would not be.
    y, x = np.mgrid[:30, :40]
    wave = np.cos(0.7 * x + 0.4 * y)
    along = [Detector(amplifiers=[Amplifier(**numbers, corner=one)]) for one in ("lower left", "lower right")]
    found = [calibrate(raw, one, pedestal=1000, shot_noise=0).budget.variance_of_sum(wave) for one in along]
    assert found[0] > 5 * found[1]
