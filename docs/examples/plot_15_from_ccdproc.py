"""
From ccdproc
============

A script that was written for ccdproc, run with both packages: the frames are the same, the errors are not. Which are
right is not a matter of opinion. All is simulated, so that the observation can be repeated with new noise in every
frame, and the scatter of the results is what an error bar has to predict.
"""

# %%
# The same script
# ---------------
#
# ``package`` is ccdproc or astro_calib. `astro_calib.ccd_process` takes the arguments of `ccdproc.ccd_process`, and
# other functions, too, have the names known from there. Only the word for a mean differs. (The overscan is averaged:
# medians of whole numbers are interpolated by astro_calib, and would differ by a fraction of an adu.)

from __future__ import annotations

import logging
from typing import Any

import astropy.units as u
import ccdproc
import matplotlib.pyplot as plt
import numpy as np
from astropy.nddata import CCDData, VarianceUncertainty
from astropy.table import Table

import astro_calib as ac
from astro_calib.validation import compare_noise

GAIN = 1.5 * u.electron / u.adu
READ_NOISE = 8 * u.electron
SHAPE = (100, 100)
SKY = 1000.0
OPTIONS = {
    "oscan": "[101:132, 1:100]",
    "oscan_median": False,
    "trim": "[1:100, 1:100]",
    "error": True,
    "gain": GAIN,
    "readnoise": READ_NOISE,
}
MEAN = {ccdproc: "average", ac: "mean"}


def script(
    package: Any, raw: dict[str, list[CCDData]]
) -> dict[str, CCDData]:
    """Masters, calibrated science frames, and their combination."""
    mean = MEAN[package]
    bias = package.combine(
        [package.ccd_process(frame, **OPTIONS) for frame in raw["bias"]],
        method=mean,
    )
    with_bias = OPTIONS | {"master_bias": bias}
    dark = package.combine(
        [package.ccd_process(frame, **with_bias) for frame in raw["dark"]],
        method=mean,
    )
    with_dark = with_bias | {
        "dark_frame": dark,
        "dark_scale": True,
        "dark_exposure": 120 * u.s,
    }
    flats = [
        package.ccd_process(frame, **with_dark, data_exposure=5 * u.s)
        for frame in raw["flat"]
    ]
    flat = package.combine(flats, method=mean)
    full = with_dark | {"master_flat": flat, "data_exposure": 60 * u.s}
    images = [
        package.ccd_process(frame, **full) for frame in raw["science"]
    ]
    return {
        "one frame": images[0],
        "difference of two": images[0].subtract(images[1]),
        "mean of 5": package.combine(images, method=mean),
        "median of 5": package.combine(images, method="median"),
    }


# %%
# An observation, as often as one likes
# -------------------------------------
#
# The bias has stripes, the pixels differ in sensitivity by 1%, the dark current is 0.5 electrons a second. The sky has
# 1000 electrons.

stripes = np.random.default_rng(1).normal(0, 3, SHAPE[1])
camera = ac.simulate.Camera(
    shape=SHAPE,
    detector=ac.Detector(gain=GAIN, read_noise=READ_NOISE),
    bias_structure=np.broadcast_to(stripes - stripes.mean(), SHAPE),
    dark_rate=0.5,
    sensitivity={"V": ac.simulate.sensitivity_variations(SHAPE, dust=2)},
    overscan_columns=32,
)


def observe(rng: np.random.Generator) -> dict[str, list[ac.CCDFrame]]:
    """All raw frames of a night."""
    what = {
        "bias": (8, 0, {}),
        "dark": (5, 120, {}),
        "flat": (3, 5, {"filter": "V", "sky": 4000}),
        "science": (5, 60, {"filter": "V", "sky": SKY / 60}),
    }
    return {
        kind: [
            camera.expose(kind, seconds, rng=rng, **light)[0]
            for _ in range(number)
        ]
        for kind, (number, seconds, light) in what.items()
    }


def variance(image: CCDData) -> np.ndarray:
    """The variance of each pixel, whatever uncertainty a frame has."""
    return image.uncertainty.represent_as(VarianceUncertainty).array


rng = np.random.default_rng(15)
nights = []
logging.disable(
    logging.WARNING
)  # ccdproc logs that the noise of negative pixels is not a number
for _ in range(15):
    raw = observe(rng)
    plain = {
        kind: [CCDData(frame.data, unit="adu") for frame in frames]
        for kind, frames in raw.items()
    }
    nights.append((script(ccdproc, plain), script(ac, raw)))
logging.disable(logging.NOTSET)

for name in nights[0][0]:
    difference = np.abs(
        [theirs[name].data - ours[name].data for theirs, ours in nights]
    )
    equal = 100 * np.mean(difference < 1e-3)
    print(
        f"{name}: {equal:.2f}% of the pixels within 0.001 e, "
        f"all within {difference.max():.3f} e of {SKY:.0f} e"
    )

# %%
# The frames are equal, as 32-bit numbers go, but for a row or so in which a value of the overscan lay more than five
# standard deviations off; astro_calib leaves such a value out, as it may be a cosmic ray. Who only looks at images can
# take either package.
#
# Their errors
# ------------
#
# The error of a pixel is what it differs from the truth by. For the sum of a row the errors of ccdproc add up in
# quadrature, since nothing else can be done with them; the budget of astro_calib knows that the level of the overscan
# is common to the row, and the error of the flat's level to all pixels
# (`~astro_calib.UncertaintyBudget.variance_of_sum`).

middle = np.zeros(SHAPE)
middle[SHAPE[0] // 2] = 1
cases, theirs = {}, []
for name in nights[0][0]:
    truth = 0.0 if name == "difference of two" else SKY
    made = np.array([ours[name].data - truth for _, ours in nights])
    cases[f"{name}, a pixel (e)"] = (
        made,
        np.array([variance(ours[name]) for _, ours in nights]),
    )
    theirs.append(
        np.sqrt(np.mean([variance(image[name]) for image, _ in nights]))
    )
sums = np.sum(
    [ours["one frame"].data - SKY for _, ours in nights],
    axis=2,
    dtype=float,
)
own = np.mean(
    [ours["one frame"].budget.variance_of_sum(middle) for _, ours in nights]
)
cases["one frame, the sum of a row (e)"] = sums, own
theirs.append(
    np.sqrt(
        np.mean(
            [
                np.sum(middle * variance(image["one frame"]))
                for image, _ in nights
            ]
        )
    )
)

comparison = compare_noise(cases)
errors = Table(
    {
        "error of": comparison["quantity"],
        "true (repeated)": comparison["observed"],
        "by ccdproc": theirs,
    }
)
errors["by astro-calib"] = comparison["predicted"]
for name in errors.colnames[1:]:
    errors[name].format = ".1f"
errors

# %%
# A single pixel of a single frame has nearly the same error in both. The rest is what ccdproc leaves out: that the
# frames of a night share their masters, so that a difference has less noise and a mean has more; the factor of the
# median; and the overscan.

figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
places = np.arange(len(errors))
for name, color, shift in (
    ("by ccdproc", "#D55E00", -0.2),
    ("by astro-calib", "#0072B2", 0.2),
):
    ratio = errors[name] / errors["true (repeated)"]
    axes.bar_label(
        axes.bar(places + shift, ratio, 0.38, color=color, label=name),
        fmt="%.2f",
        padding=2,
    )
axes.axhline(1, color="black", linewidth=1)
axes.set_xticks(
    places,
    [
        name.replace(" (e)", "").replace(", ", ",\n")
        for name in errors["error of"]
    ],
)
axes.set_ylim(0, 1.35)
axes.set_ylabel("error predicted / true error")
axes.set_title("One script, two packages: how large their errors are")
axes.legend(loc="upper right", ncols=2)
plt.show()

# %%
# In a new script
# ---------------
#
# `astro_calib.calibrate` does what ``ccd_process`` does with a `~astro_calib.Detector` in place of gain and read noise.
# It takes ``shot_noise=0`` for biases, which have collected no light: ``ccd_process`` does not know that a frame is a
# bias, and estimates the shot noise from its stripes. ``astro_calib.combine`` takes ``clip="sigma"`` to reject by the
# known noise of each value.

detector = ac.Detector(gain=GAIN, read_noise=READ_NOISE)
biases = [
    ac.calibrate(
        frame,
        detector,
        overscan=OPTIONS["oscan"],
        trim=OPTIONS["trim"],
        shot_noise=0,
    )
    for frame in raw["bias"]
]
bias = ac.combine(biases, clip="sigma")
for name, part in bias.budget.variances().items():
    print(f"{name}: {np.sqrt(np.mean(part)):.2f} e")

# %%
# Predicted and observed
# ----------------------
#
# The errors of astro_calib once more. A standard error is that of as many independent values as there are pixels in
# all nights together, or sums of rows; what the pixels of a row have in common is less than one per cent of their
# variance, and changes it little.

comparison
