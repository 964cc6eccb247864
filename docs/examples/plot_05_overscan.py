"""
Overscan: its level, and what that costs
========================================

The electronics add a level to every pixel, which drifts from frame to frame and within a frame. The overscan shows it:
columns that are read after the last real one, and hold nothing but the level and read noise. One may subtract one
level for the whole frame, one for each row, or a smooth curve. A level is a mean or a median of few pixels, so that it
has noise; the pixels of a row get the same draw of it, and in an aperture that adds up.
"""

# %%
# A level that settles
# --------------------
#
# The level of many cameras changes while the first rows are read. Here it falls by 12 adu, with a scale of 50 rows. The
# frames are biases, so that whatever is left besides the level is noise.

from __future__ import annotations

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.modeling.models import Chebyshev1D

import astro_calib as ac
from astro_calib.estimators import median_variance_factor
from astro_calib.validation import compare_noise

SHAPE = (200, 200)
rng = np.random.default_rng(5)
detector = ac.Detector(
    gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron
)
camera = ac.simulate.Camera(
    shape=SHAPE, detector=detector, bias_drift=3, overscan_columns=64
)
settling = 12 * np.exp(-np.arange(SHAPE[0]) / 50)[:, np.newaxis]


def take(
    change: np.ndarray | float,
) -> tuple[ac.CCDFrame, np.ndarray | float]:
    """A raw bias, and the true level of its rows in adu."""
    frame, truth = camera.expose("bias", 0, rng=rng, integer=False)
    return ac.CCDFrame(
        np.rint(frame.data + change).astype(np.uint16), unit="adu"
    ), truth.bias_level + change


CHOICES = {
    "one level": {"overscan_axis": (0, 1)},
    "a level for each row": {"overscan_axis": 1},
    "a curve": {"overscan_axis": 1, "overscan_model": Chebyshev1D(5)},
}


def calibrated(raw: ac.CCDFrame, choice: str) -> ac.CCDFrame:
    """In electrons, less the mean of 16 columns of overscan."""
    sections = {"overscan": "[201:216, 1:200]", "trim": "[1:200, 1:200]"}
    return ac.calibrate(
        raw,
        detector,
        **sections,
        **CHOICES[choice],
        overscan_median=False,
        shot_noise=0,
    )


example, _ = take(settling)
figure, panels = plt.subplots(
    1, 3, figsize=(8, 3.4), sharey=True, layout="constrained"
)
for panel, choice in zip(panels, CHOICES, strict=True):
    picture = panel.imshow(
        calibrated(example, choice).data,
        cmap="gray",
        origin="lower",
        vmin=-20,
        vmax=20,
    )
    panel.set(title=choice, xlabel="column (pixels)")
panels[0].set_ylabel("row (pixels)")
figure.colorbar(picture, ax=panels, label="electron", shrink=0.8)
figure.suptitle(
    "One level leaves a gradient; a level for each row leaves streaks"
)
plt.show()

# %%
# A gradient is not noise, and the budget of the left frame knows nothing of it. To find out whether rows need a level
# each, compare the scatter of the means of the overscan's rows with what their pixels' scatter allows.

rows = example.data[:, 200:].mean(axis=1)
allowed = example.data[:, 200:].std(axis=1, ddof=1).mean() / np.sqrt(64)
print(
    f"means of the rows scatter by {rows.std(ddof=1):.2f} adu; "
    f"read noise allows {allowed:.2f} adu"
)

# %%
# Mean or median
# --------------
#
# The mean of n pixels of scatter s has the standard error :math:`s/\sqrt{n}`, the median :math:`\sqrt{f_n}` times as
# much; the factor goes to :math:`f_n = \pi/2`. (Of whole numbers the median is interpolated, and a little better.) The
# median is there for the sake of cosmic rays, and of columns that still hold light. Outliers of five standard
# deviations are left out of either, so that a mean will do unless more is wrong with the overscan.

steady = [take(0.0) for _ in range(20)]
levels = np.array([[level] for _, level in steady])
widths = np.array([4, 8, 16, 32, 64])
s = np.hypot(camera.read_noise / camera.gain, np.sqrt(1 / 12))
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
found = {}
for median, color, marker in (
    (False, "#0072B2", "o"),
    (True, "#D55E00", "s"),
):
    word = "median" if median else "mean"
    for width in widths:
        section = f"[201:{200 + width}, 1:200]"
        results = [
            ac.subtract_overscan(raw, fits_section=section, median=median)
            for raw, _ in steady
        ]
        taken_off = [
            raw.data[:, 0] - result.data[:, 0]
            for (raw, _), result in zip(steady, results, strict=True)
        ]
        errors = np.array(taken_off) - levels
        found[word, width] = (
            errors,
            np.array([result.variance[:, 0] for result in results]),
        )
    factor = np.array(
        [
            median_variance_factor(int(width)) if median else 1
            for width in widths
        ]
    )
    axes.plot(
        widths,
        s * np.sqrt(factor / widths),
        ":",
        color=color,
        label=f"{word}, formula",
    )
    axes.plot(
        widths,
        [np.sqrt(found[word, n][1].mean()) for n in widths],
        "-",
        color=color,
        label=f"{word}, predicted",
    )
    axes.plot(
        widths,
        [found[word, n][0].std() for n in widths],
        marker,
        color=color,
        label=f"{word}, observed",
    )
axes.set(
    xlabel="columns of overscan",
    ylabel="error of a row's level (adu)",
    xscale="log",
    yscale="log",
)
axes.set_xticks(widths, widths)
axes.set_yticks([0.5, 1, 2, 3], ["0.5", "1", "2", "3"])
axes.minorticks_off()
axes.set_title("The median of a row's overscan is noisier than its mean")
axes.legend()
plt.show()

# %%
# What it does in an aperture
# ---------------------------
#
# With a level for each row, a pixel has its read noise R and the noise :math:`\sigma = R/\sqrt{16}` of the level. In a
# sum over an aperture the read noise adds in quadrature, the level's noise in full along each row: its variance is
# :math:`\sigma^2 \sum_y n_y^2` with :math:`n_y` pixels of the aperture in row y. For a disc of radius r that is
# :math:`\sigma^2\,16\,r^3/3`, which outgrows the :math:`\pi r^2 R^2` of the pixels. An error bar for each pixel, added
# in quadrature, misses it. The budget knows which pixels share a draw:
# `~astro_calib.UncertaintyBudget.variance_of_sum` adds what has to be added.
# An annulus around the aperture takes out the error of one level for the frame, but that of a row's level only in part.

RADII = np.array([2, 5, 8, 12, 15, 19])
y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
centres = [
    (row, column)
    for row in (20, 60, 100, 140, 180)
    for column in (40, 100, 160)
]
discs = np.array(
    [
        [np.hypot(y - row, x - column) <= r for row, column in centres]
        for r in RADII
    ],
    dtype=np.float32,
)
taken = {"one level": steady + [take(0.0) for _ in range(60)]}
taken["a level for each row"] = taken["a curve"] = [
    take(settling) for _ in range(80)
]

figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
apertures = {}
for (choice, frames), color, marker in zip(
    taken.items(), ("#0072B2", "#D55E00", "#009E73"), "osD", strict=True
):
    images = [calibrated(raw, choice) for raw, _ in frames]
    sums = np.array(
        [np.tensordot(discs, image.data, axes=2) for image in images]
    )
    variances = np.mean(
        [
            [
                [image.budget.variance_of_sum(one) for one in disc[1::3]]
                for disc in discs
            ]
            for image in images[:15]
        ],
        axis=(0, 2),
    )
    apertures[choice] = sums, variances
    axes.plot(
        RADII, np.sqrt(variances), color=color, label=f"{choice}, predicted"
    )
    axes.plot(
        RADII,
        np.sqrt(np.mean(sums**2, axis=(0, 2))),
        marker,
        color=color,
        label=f"{choice}, observed",
    )
pixels = [
    np.sqrt(
        np.sum(
            disc[7] * calibrated(example, "a level for each row").variance
        )
    )
    for disc in discs
]
axes.plot(
    RADII,
    pixels,
    "--",
    color="black",
    label="a level for each row, pixels in quadrature",
)
axes.set(
    xlabel="radius of the aperture (pixels)",
    ylabel="noise of the sum (electron)",
    ylim=(0, None),
)
axes.set_xticks(RADII)
axes.set_title("A level for each row costs most in wide apertures")
axes.legend(fontsize="small")
plt.show()

# %%
# Predicted and observed
# ----------------------
#
# Some points of the two figures. Levels of rows and sums over apertures of one frame may share noise, so that their
# mean square in each frame counts as one value, and the standard error is that of the mean over the frames.


def each_frame(errors: np.ndarray) -> np.ndarray:
    """The root mean square in each frame."""
    return np.sqrt(np.mean(np.square(errors, dtype=float), axis=1))


cases = {}
for word in ("mean", "median"):
    for width in (4, 16, 64):
        errors, variances = found[word, width]
        cases[f"level of a row, {word} of {width} columns (adu)"] = (
            each_frame(errors),
            variances.mean(),
        )
for choice, (sums, variances) in apertures.items():
    for index in (0, 3, 5):
        cases[f"sum in radius {RADII[index]}, {choice} (e)"] = (
            each_frame(sums[:, index]),
            variances[index],
        )
comparison = compare_noise(cases)
comparison

# sphinx_gallery_thumbnail_number = 3
