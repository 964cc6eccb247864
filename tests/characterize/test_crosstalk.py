"""Crosstalk measured from the ghosts of bright and of saturated stars."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import Amplifier, CCDFrame, DataQuality, Detector, calibrate, subtract_overscan
from astro_calib.characterize import measure_crosstalk
from astro_calib.errors import FrameError

SIDE, STRIP = 64, 10
LEVEL, READ_NOISE, SATURATION = 1000.0, 4.0, 62000.0
GAINS = (1.5, 1.8)
#: What the right amplifier has of the left one, and the other way round.
MATRIX = np.array([[0, -4e-4], [1e-3, 0]])


def section(x0, x1):
    return f"[{x0}:{x1}, 1:{SIDE}]"


def camera():
    corners = ("lower left", "lower right")
    amplifiers = [
        Amplifier(
            gain=gain * u.electron / u.adu,
            read_noise=READ_NOISE * u.electron,
            data_section=section(k * SIDE + 1, (k + 1) * SIDE),
            overscan_section=section(2 * SIDE + k * STRIP + 1, 2 * SIDE + (k + 1) * STRIP),
            corner=corners[k],
        )
        for k, gain in enumerate(GAINS)
    ]
    return Detector(amplifiers=amplifiers, saturation=SATURATION * u.adu)


def frame_of_stars(rng, stars=12, brightest=3e5):
    """A raw frame with stars, some of them saturated, and its truth in electrons."""
    y, x = np.mgrid[:SIDE, : 2 * SIDE]
    truth = np.full((SIDE, 2 * SIDE), 300.0)
    for row, column, peak in zip(
        rng.uniform(0, SIDE, stars), rng.uniform(0, 2 * SIDE, stars), np.geomspace(brightest, 100, stars), strict=True
    ):
        truth += peak * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 4.5)
    gains = np.repeat(GAINS, SIDE)
    light = np.minimum(rng.poisson(truth) / gains, 65535 - LEVEL)
    left, right = light[:, :SIDE], light[:, SIDE:]
    image = np.hstack([left + MATRIX[0, 1] * right[:, ::-1], right + MATRIX[1, 0] * left[:, ::-1]])
    strips = np.zeros((SIDE, 2 * STRIP))
    noise = rng.normal(0, READ_NOISE, (SIDE, 2 * (SIDE + STRIP))) / np.hstack([gains, np.repeat(GAINS, STRIP)])
    raw = np.round(np.hstack([image, strips]) + LEVEL + noise)
    return CCDFrame(np.clip(raw, 0, 65535).astype(np.uint16), unit="adu"), np.minimum(truth, (65535 - LEVEL) * gains)


def net(frame, detector):
    return subtract_overscan(frame, overscan=detector.overscan_sections(), overscan_axis=(0, 1), detector=detector)


def measured(rng, number, **options):
    detector = camera()
    return measure_crosstalk([net(frame_of_stars(rng)[0], detector) for _ in range(number)], detector, **options)


@pytest.mark.long
def test_coefficients_are_found_within_their_errors():
    rng = np.random.default_rng(2)
    pulls = []
    for _ in range(40):
        found = measured(rng, 4)
        pulls += [(found.matrix - MATRIX)[pair] / found.uncertainty[pair] for pair in ((0, 1), (1, 0))]
    assert abs(np.mean(pulls)) < 3 / len(pulls) ** 0.5
    assert 0.75 < np.std(pulls) < 1.15


def error_of_sum(frame, where):
    """The predicted error of the sum over some pixels, and the part of it that all frames share."""
    own, shared = 0.0, {}
    for source, coefficient in frame.budget.terms:
        values = np.broadcast_to(coefficient.evaluate(frame.data), frame.shape)[where]
        variance = np.broadcast_to(source.variance.evaluate(), frame.shape)[where]
        if source.axes:
            own += np.sum(values**2 * variance)
        elif source.name == "crosstalk":
            shared[source.identity] = values.sum() * variance[0] ** 0.5
        else:
            own += values.sum() ** 2 * variance[0]
    return own, shared


def test_ghosts_of_saturated_stars_are_gone_with_the_measured_matrix():
    rng = np.random.default_rng(7)
    detector, crosstalk = camera(), measured(rng, 8)
    total, own, shared, pulls, before = 0.0, 0.0, {}, [], []
    for _ in range(40):
        raw, truth = frame_of_stars(rng)
        where = (truth[:, ::-1] > 60000 * GAINS[1]) & (truth < 5000)
        if not where.any():
            continue
        options = {"overscan": detector.overscan_sections(), "trim": section(1, 2 * SIDE)}
        found = calibrate(raw, detector, crosstalk=crosstalk, **options)
        error = (found.data - truth)[where].sum()
        of_frame, of_all = error_of_sum(found, where)
        pulls.append(error / np.sqrt(of_frame + sum(one**2 for one in of_all.values())))
        before.append((calibrate(raw, detector, **options).data - truth)[where].sum() / np.sqrt(of_frame))
        total, own = total + error, own + of_frame
        shared = {key: shared.get(key, 0.0) + one for key, one in of_all.items()}
        clipped = (found.flags & DataQuality.CROSSTALK) != 0
        assert clipped[where].mean() > 0.5
    assert len(pulls) > 20
    assert np.max(np.abs(pulls)) < 3
    assert 0.7 < np.std(pulls) < 1.3
    assert abs(total) < 3 * np.sqrt(own + sum(one**2 for one in shared.values()))
    assert np.mean(np.abs(before)) > 5


def test_errors_say_what_is_wrong():
    rng = np.random.default_rng(5)
    detector = camera()
    raw, _ = frame_of_stars(rng)
    with pytest.raises(FrameError, match="as subtract_overscan gives it"):
        measure_crosstalk([raw], detector)
    with pytest.raises(FrameError, match="has no star above the threshold"):
        measure_crosstalk([net(raw, detector)], detector, threshold=1e6)
    with pytest.raises(ValueError, match="0 frames"):
        measure_crosstalk([], detector)
