"""
A camera measured and put right
===============================

The headers of an observatory's camera say ``GAIN = 1.5``, and its manual speaks of a read noise of 9 e. Both are
wrong, as they often are: what a header calls a gain may be the number of a setting, or belong to another mode.
Error bars that are made of such numbers are wrong, too. A few flats and biases tell what is right.
"""

# %%
# The camera as it really is: 2.34 e for each adu, and a read noise of 13 e. Its field is vignetted, and the lamp of the
# flats fades while they are taken.

from __future__ import annotations

import math

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np

import astro_calib as ac
from astro_calib.characterize import photon_transfer
from astro_calib.validation import compare_noise

SHAPE = (400, 400)
SKY = 400.0
rng = np.random.default_rng(16)
true = ac.Detector(
    gain=2.34 * u.electron / u.adu,
    read_noise=13 * u.electron,
    saturation=65000 * u.adu,
)
stated = ac.Detector(
    gain=1.5 * u.electron / u.adu,
    read_noise=9 * u.electron,
    saturation=65000 * u.adu,
)
camera = ac.simulate.Camera(
    shape=SHAPE,
    detector=true,
    bias_level=1200,
    bias_drift=1.5,
    sensitivity={
        "V": ac.simulate.sensitivity_variations(
            SHAPE, vignetting=0.2, rng=1
        )
    },
)
biases = [camera.expose("bias", 0, rng=rng)[0] for _ in range(10)]
flats = [
    camera.expose("flat", seconds, filter="V", sky=lamp, rng=rng)[0]
    for seconds, lamp in (
        (5, 4000),
        (5, 3960),
        (10, 3930),
        (10, 3890),
        (20, 3850),
        (20, 3810),
    )
]
science = [
    camera.expose("science", 60, filter="V", sky=SKY / 60, rng=rng)[0]
    for _ in range(2)
]

# %%
# What the frames say
# -------------------
#
# Two flats of one level differ by their noise alone, and the variance of photons is their number. In adu the variance
# divided by the level is one over the gain. `~astro_calib.characterize.photon_transfer` compares all flats and all
# biases with each other. Each number has a standard uncertainty. ``astro-calib ptc`` does the same for a directory of
# files.

transfer = photon_transfer(flats, biases)
measured = transfer.amplifiers[0]
print("gain:      ", measured.gain)
print("read noise:", measured.read_noise)
transfer.plot(plt.figure(figsize=(6, 5), layout="constrained"))
plt.show()

# %%
# Put right
# ---------
#
# `~astro_calib.characterize.PhotonTransfer.to_detector` gives the `~astro_calib.Detector` that all functions take. Its
# gain brings its uncertainty along: all frames of the night share it, so that it does not average down.
#
# The same frames, calibrated with the numbers that were stated and with those that were measured:

right = transfer.to_detector()


def reduced(detector: ac.Detector) -> list[ac.CCDFrame]:
    """Both science frames, calibrated with this night's masters."""
    bias = ac.combine(
        [
            ac.calibrate(raw, detector, pedestal=0, shot_noise=0)
            for raw in biases
        ]
    )
    flat = ac.combine(
        [ac.calibrate(raw, detector, bias=bias) for raw in flats[-2:]],
        scale=np.median,
    )
    return [
        ac.calibrate(raw, detector, bias=bias, flat=flat) for raw in science
    ]


def over_prediction(frames: list[ac.CCDFrame]) -> float:
    """The noise of the difference of two frames, over its prediction."""
    difference = frames[0] - frames[1]
    return float(
        np.std(difference.data) / np.sqrt(np.mean(difference.variance))
    )


frames = {"stated": reduced(stated), "measured": reduced(right)}
ratios = {name: over_prediction(pair) for name, pair in frames.items()}
for name, ratio in ratios.items():
    print(
        f"with the {name} gain and read noise: "
        f"observed over predicted {ratio:.3f}"
    )

figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
errors = np.linspace(0, 4, 81)
for (name, pair), color in zip(
    frames.items(), ("#d55e00", "#0072b2"), strict=True
):
    difference = pair[0] - pair[1]
    pulls = np.sort(
        np.ravel(np.abs(difference.data / np.sqrt(difference.variance)))
    )
    beyond = 1 - np.searchsorted(pulls, errors) / pulls.size
    axes.plot(
        errors, beyond, linewidth=1.5, color=color, label=f"{name} numbers"
    )
axes.plot(
    errors,
    [math.erfc(error / math.sqrt(2)) for error in errors],
    "k:",
    label="Gaussian: as it should be",
)
axes.set_yscale("log")
axes.set_ylim(1e-5, 1)
axes.set_xlabel("so many error bars")
axes.set_ylabel("share of pixels that differ by more")
axes.set_title(
    "Two frames of one sky: the stated numbers give too long error bars"
)
axes.legend()
plt.show()

# %%
# The camera collects 2.34 electrons where the header speaks of 1.5. The noise of few electrons is large against their
# number, so that the stated error bars are too long: by a fifth here, which hides faint stars and makes every
# signal-to-noise ratio too small. Had the header's gain been too large, they would be too short. Nothing in a single
# frame shows it, for the picture looks the same.
#
# Predicted and observed
# ----------------------
#
# With the measured detector the error bars hold for biases, whose noise is that of reading out, for flats, whose noise
# is that of photons, and for the frames of the sky.

difference = frames["measured"][0] - frames["measured"][1]
biases_apart = [
    ac.calibrate(raw, right, pedestal=0, shot_noise=0) for raw in biases[:2]
]
flats_apart = [
    ac.calibrate(raw, right, pedestal=1200 * u.adu) for raw in flats[-2:]
]
level = np.mean(flats_apart[0].data) / np.mean(flats_apart[1].data)
of_biases, of_flats = (
    biases_apart[0] - biases_apart[1],
    flats_apart[0] - flats_apart[1].multiply(float(level)),
)
comparison = compare_noise(
    {
        "difference of two biases (e)": (
            of_biases.data - of_biases.data.mean(),
            of_biases.variance,
        ),
        "difference of two flats (e)": (
            of_flats.data - of_flats.data.mean(),
            of_flats.variance,
        ),
        "difference of two science frames (e)": (
            difference.data - difference.data.mean(),
            difference.variance,
        ),
    }
)
comparison
