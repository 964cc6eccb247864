"""Overscans of assembled frames: where a strip lies in the array says nothing of when it was read."""

import astropy.units as u
import numpy as np
import pytest

from astro_calib import Amplifier, CCDFrame, Correlation, Detector, calibrate

#: Columns of an amplifier and of its overscan, and rows of the frame.
COLUMNS, OVERSCAN, ROWS = 40, 10, 60
#: Most of the read noise is a slow tone, of which each row has a phase of its own.
PART, FREQUENCY, NOISE = 0.8, 2 * np.pi / 110, 10.0


def detector():
    corners = ("lower left", "lower right")
    return Detector(
        amplifiers=[
            Amplifier(
                gain=1 * u.electron / u.adu,
                read_noise=NOISE * u.electron,
                data_section=f"[{k * COLUMNS + 1}:{(k + 1) * COLUMNS},1:{ROWS}]",
                overscan_section=f"[{2 * COLUMNS + k * OVERSCAN + 1}:{2 * COLUMNS + (k + 1) * OVERSCAN},1:{ROWS}]",
                corner=corners[k],
                correlation=Correlation(tones=[(PART, FREQUENCY, None)]),
            )
            for k in range(2)
        ]
    )


def read_out(rng):
    """Two amplifiers that read towards each other, with both overscans to the right of all data."""
    x = np.arange(COLUMNS + OVERSCAN)
    lines = []
    for _ in range(2):
        phases = rng.uniform(0, 2 * np.pi, (ROWS, 1))
        tone = NOISE * np.sqrt(2 * PART) * np.cos(FREQUENCY * x + phases)
        lines.append(1000 + tone + rng.normal(0, NOISE * np.sqrt(1 - PART), (ROWS, len(x))))
    left, right = lines
    # The second amplifier reads from the right.
    data = np.hstack([left[:, :COLUMNS], right[:, COLUMNS - 1 :: -1]])
    return np.hstack([data, left[:, COLUMNS:], right[:, : COLUMNS - 1 : -1]]).astype(np.float32)


def expected():
    """The variance of a pixel less the mean of the overscan that is read after the data, averaged over the row."""
    x = np.arange(COLUMNS + OVERSCAN)
    wave = np.exp(1j * FREQUENCY * x)
    tone = np.mean(np.abs(wave[:COLUMNS] - wave[COLUMNS:].mean()) ** 2)
    return NOISE**2 * (PART * tone + (1 - PART) * (1 + 1 / OVERSCAN))


def test_the_level_has_the_phase_of_pixels_that_are_read_after_the_data():
    rng = np.random.default_rng(5)
    camera = detector()
    sections = {"overscan": camera.overscan_sections(), "overscan_axis": 1, "trim": f"[1:{2 * COLUMNS},1:{ROWS}]"}
    frames = [CCDFrame(read_out(rng), unit="adu", name="raw") for _ in range(100)]
    calibrated = [calibrate(frame, camera, **sections, shot_noise=0) for frame in frames]
    for part in (slice(0, COLUMNS), slice(COLUMNS, 2 * COLUMNS)):
        seen = np.mean([np.mean(np.square(frame.pixels[:, part])) for frame in calibrated])
        predicted = float(calibrated[0].variance[:, part].mean())
        assert seen == pytest.approx(expected(), rel=0.05)
        assert predicted == pytest.approx(expected(), rel=0.01)
