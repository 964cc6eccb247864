"""
The bias, and the noise that it brings
======================================

Even an exposure of no length gives numbers: an offset, with stripes and spots that are the same in every frame. They
are measured by reading the detector a few times in the dark, and subtracted. But each of these readings has read noise,
and what is left of it in their mean goes into every frame of the night. This page makes a master bias, looks at its
structure, and follows its noise into the frames that it is subtracted from.
"""

# %%
# The camera has a read noise of 8 e. Its bias drifts from frame to frame, which the overscan tells, and has a pattern,
# which it does not. Real biases are hit by cosmic rays, too, while they wait to be read.

from __future__ import annotations

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.visualization import PercentileInterval

import astro_calib as ac
from astro_calib.validation import compare_noise

SHAPE = (500, 500)
rng = np.random.default_rng(6)
detector = ac.Detector(
    gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron
)
pattern = ac.simulate.bias(SHAPE, 0, structure=3, rng=1)
camera = ac.simulate.Camera(
    shape=SHAPE,
    detector=detector,
    bias_level=1000,
    bias_drift=2,
    bias_structure=pattern,
    overscan_columns=32,
)
truth = camera.gain * pattern

# %%
# One bias
# --------
#
# `~astro_calib.calibrate` subtracts the level of the overscan, cuts it off, and goes over to electrons. A bias has
# collected none, so that it has no shot noise: ``shot_noise=0``.


def calibrated(raw: ac.CCDFrame, **options: object) -> ac.CCDFrame:
    """The frame in electrons, less its overscan."""
    return ac.calibrate(
        raw,
        detector,
        overscan=raw.meta["BIASSEC"],
        trim=raw.meta["TRIMSEC"],
        **options,
    )


def take_bias(cosmic_rays: int = 0) -> ac.CCDFrame:
    """A bias, with so many hits of cosmic rays."""
    raw, _ = camera.expose("bias", 0, rng=rng, cosmic_rays=cosmic_rays)
    return calibrated(raw, shot_noise=0)


biases = [take_bias(cosmic_rays=40) for _ in range(25)]


def terms(frame: ac.CCDFrame) -> str:
    """What the error is made of, in electrons."""
    return ", ".join(
        f"{name} {np.sqrt(np.mean(value)):.2f}"
        for name, value in frame.budget.variances().items()
    )


print("one bias:", terms(biases[0]))

# %%
# The master bias
# ---------------
#
# The mean of 25 biases has a fifth of the noise of one. Clipping leaves out values that are more than 3 standard
# deviations away from the median of all 25, and with them the cosmic rays. The price is small: one good value in 370
# is rejected, too, and the variance of the mean rises by some 3 %, which its error includes.

plain = ac.combine(biases)
master = ac.combine(biases, clip="sigma")

figure, axes = plt.subplots(
    1, 2, figsize=(8, 4.5), layout="constrained", sharey=True
)
low, high = PercentileInterval(99).get_limits(biases[0].data)
for ax, frame, title in zip(
    axes,
    (biases[0], master),
    ("one bias", "master of 25 biases"),
    strict=True,
):
    image = ax.imshow(
        frame.data, origin="lower", cmap="gray", vmin=low, vmax=high
    )
    ax.set_title(title)
    ax.set_xlabel("column")
axes[0].set_ylabel("row")
figure.colorbar(
    image, ax=axes, label="electrons above the overscan", shrink=0.8
)
figure.suptitle("The stripes are the same in each bias; the noise is not")
plt.show()

# %%
# What clipping is for shows in the errors of both masters against the true pattern, which a simulation knows. A cosmic
# ray in one of 25 biases leaves a twenty-fifth of itself in the plain mean, and every frame of the night would get it
# with the opposite sign: a hole.

figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
bins = np.arange(-10, 100, 1.0)
for label, frame, color in (
    ("mean", plain, "#d55e00"),
    ("mean, clipped", master, "#0072b2"),
):
    axes.hist(
        np.ravel(frame.data - truth),
        bins,
        histtype="step",
        linewidth=1.5,
        color=color,
        label=label,
    )
sigma = float(np.sqrt(np.mean(master.variance)))
gaussian = (
    truth.size
    / sigma
    / np.sqrt(2 * np.pi)
    * np.exp(-0.5 * (bins / sigma) ** 2)
)
axes.plot(bins, gaussian, "k:", label="Gaussian of the predicted width")
axes.set_yscale("log")
axes.set_ylim(0.5, 2 * gaussian.max())
axes.set_xlabel("error of the master bias (electron)")
axes.set_ylabel("pixels per electron")
axes.set_title("Cosmic rays stay in a plain mean")
axes.legend()
plt.show()

# %%
# What the bias does to a frame
# -----------------------------
#
# Two frames of a dark sky: 20 e in each pixel. Without a bias the pattern stays in. With a single bias it is gone, but
# the noise of that bias is there instead. In the error budget it is a term of its own.

one = take_bias()
raws = [
    camera.expose("science", 10, filter="V", sky=2, rng=rng)[0]
    for _ in range(2)
]
for label, bias in (
    ("no bias", None),
    ("one bias", one),
    ("master of 25", master),
):
    frame = calibrated(raws[0], bias=bias)
    predicted = np.sqrt(np.mean(frame.variance))
    print(
        f"{label}: scatter {np.std(frame.data):.2f} e, "
        f"predicted {predicted:.2f} e ({terms(frame)})"
    )

# %%
# Without a bias the scatter is larger than the prediction: a pattern is not noise, and no budget knows of it.
#
# Predicted and observed
# ----------------------
#
# The errors of all pixels against the truth. Two frames less the same bias have its noise in common, and in their
# difference it cancels: it is read noise and shot noise of two frames, and no more. In their mean all of it stays.

SKY = 20.0
first, second = (calibrated(raw, bias=one) for raw in raws)
cases = [
    ("one bias (e)", one, truth),
    ("master of 25, clipped (e)", master, truth),
    ("frame less one bias (e)", first, SKY),
    ("frame less master of 25 (e)", calibrated(raws[0], bias=master), SKY),
    (
        "mean of two frames less one bias (e)",
        ac.combine([first, second]),
        SKY,
    ),
    ("difference of two frames less one bias (e)", first - second, 0),
]
comparison = compare_noise(
    {
        quantity: (frame.data - expected, frame.variance)
        for quantity, frame, expected in cases
    }
)
comparison
