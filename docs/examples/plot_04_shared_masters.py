"""
Shared masters: why averaging 25 frames does not give a fifth of the noise
==========================================================================

Averaging N frames divides their noise by :math:`\\sqrt{N}`, if it is independent. That of frames that were calibrated
with one master is not: the master's noise is the same in all of them, and their mean has all of it. A frame that has
one error bar for each pixel, and no more, cannot say so, because the error bar does not tell where it came from. The
error of a deep stack then comes out too small, and faint things in it seem more certain than they are.
"""

# %%
# Many exposures, few darks
# -------------------------
#
# A narrow band with little light: 25 frames of 300 s, and for all of them five darks of 300 s and five biases.

from __future__ import annotations

import astropy.units as u
import ccdproc
import matplotlib.pyplot as plt
import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.table import Table

import astro_calib as ac
from astro_calib.validation import compare_noise

SHAPE = (300, 300)
rng = np.random.default_rng(4)
detector = ac.Detector(
    gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron
)
camera = ac.simulate.Camera(
    shape=SHAPE, detector=detector, bias_level=1000, dark_rate=0.1
)
sky, dark_signal, pedestal = 0.1 * 300, 0.1 * 300, 1000 * 1.5  # electron
biases = [camera.expose("bias", 0, rng=rng)[0] for _ in range(5)]
darks = [camera.expose("dark", 300, rng=rng)[0] for _ in range(5)]
raw = [
    camera.expose("science", 300, filter="V", sky=0.1, rng=rng)[0]
    for _ in range(25)
]

bias = ac.combine(
    [
        ac.calibrate(one, detector, pedestal=0, shot_noise=0)
        for one in biases
    ]
)
dark = ac.combine([ac.calibrate(one, detector, bias=bias) for one in darks])
frames = [ac.calibrate(one, detector, bias=bias, dark=dark) for one in raw]

# %%
# Three error bars for one stack
# ------------------------------
#
# For comparison the same frames go through ccdproc, with the same masters and the same error of each raw frame to
# begin with. There are two ways to an error of the mean there. Uncertainties that are carried along are added in
# quadrature, as if all were independent. And `ccdproc.combine` reports the scatter of the values at each pixel over
# :math:`\sqrt{N}`, whatever uncertainties the frames have; its scatter is the root of a sum of squares over N, not
# N - 1, so that for a few frames the error is smaller still.


def without_budget(frame: ac.CCDFrame) -> CCDData:
    """The same values and standard deviations, without their sources."""
    return CCDData(
        frame.data,
        unit=frame.unit,
        uncertainty=StdDevUncertainty(np.sqrt(frame.variance)),
        meta=frame.meta,
    )


def with_ccdproc(one: ac.CCDFrame) -> CCDData:
    """A raw frame, given its deviation and calibrated with ccdproc."""
    own = ac.create_deviation(
        ac.gain_correct(one, detector),
        detector,
        pedestal=pedestal * u.electron,
    )
    result = ccdproc.subtract_bias(
        without_budget(own), without_budget(bias)
    )
    return ccdproc.subtract_dark(
        result,
        without_budget(dark),
        exposure_time="EXPTIME",
        exposure_unit=u.s,
    )


def root_mean_square(values: np.ndarray) -> float:
    """Over all pixels."""
    return float(np.sqrt(np.mean(np.square(values, dtype=float))))


others = [with_ccdproc(one) for one in raw]
NUMBERS = (1, 2, 4, 8, 16, 25)
stacks = {number: ac.combine(frames[:number]) for number in NUMBERS}
truth = [root_mean_square(stack.data - sky) for stack in stacks.values()]
reported = {
    "astro-calib": [
        np.sqrt(stack.variance.mean(dtype=float))
        for stack in stacks.values()
    ],
    "quadrature": [
        np.sqrt(
            np.mean(
                sum(one.uncertainty.array**2 for one in others[:number])
            )
        )
        / number
        for number in NUMBERS
    ],
    "ccdproc.combine": [
        root_mean_square(ccdproc.combine(others[:number]).uncertainty.array)
        if number > 1
        else np.nan
        for number in NUMBERS
    ],
}

figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
axes.plot(
    NUMBERS,
    truth,
    "ko",
    markersize=8,
    label="observed: scatter about the truth",
)
styles = {
    "astro-calib": ("#009E73", "-"),
    "quadrature": ("#D55E00", "--"),
    "ccdproc.combine": ("#0072B2", ":"),
}
for name, (color, style) in styles.items():
    axes.plot(
        NUMBERS,
        reported[name],
        color=color,
        linestyle=style,
        linewidth=2.5,
        label=f"reported: {name}",
    )
floor = np.sqrt(np.mean(stacks[25].budget.variances()["dark"]))
axes.axhline(floor, color="gray", linewidth=1)
axes.annotate(
    "noise of the master dark",
    (1, floor),
    xytext=(0, 4),
    textcoords="offset points",
)
axes.set(
    xlabel="number of frames in the mean",
    ylabel="noise of a pixel (electron)",
    xscale="log",
    ylim=(0, None),
)
axes.set_xticks(NUMBERS, NUMBERS)
axes.minorticks_off()
axes.set_title(
    "The noise of a stack does not fall below that of the master under it"
)
axes.legend()
plt.show()

# %%
# What they report for the mean of 25, over the truth. With the read noise R, the dark current D and the sky S in
# electrons, the variance of a frame's own noise is :math:`R^2 + D + S = 124`, that of the mean of 25 of them 5. The
# master dark, the mean of five, has :math:`(R^2 + D)/5 = 19`, and keeps it. The bias drops out, because frame and dark
# are exposed equally long.

ratios = [values[-1] / truth[-1] for values in reported.values()]
claims = Table({"reported by": list(reported), "reported / true": ratios})
claims["reported / true"].format = ".2f"
claims

# %%
# To see is to believe: on the left the error of the stack, on the right the error that was taken out of each of its
# frames with dark and bias, with its sign changed. It is the same pattern. It does not help to take more frames; it
# helps to take more darks, or to move the telescope between the exposures, so that different pixels of the master meet
# in a pixel of the stack.

corner = (slice(0, 24), slice(0, 24))
master = dark + bias
errors = {
    "mean of 25 frames, less the truth": stacks[25].data - sky,
    "master dark, sign changed": pedestal + dark_signal - master.data,
}
figure, panels = plt.subplots(
    1, 2, figsize=(8, 4), sharey=True, layout="constrained"
)
for panel, (title, error) in zip(panels, errors.items(), strict=True):
    picture = panel.imshow(
        error[corner], cmap="cividis", origin="lower", vmin=-12, vmax=12
    )
    panel.set(title=title, xlabel="column (pixels)")
panels[0].set_ylabel("row (pixels)")
figure.colorbar(picture, ax=panels, label="electron", shrink=0.8)
figure.suptitle("The error of the stack is that of its master")
plt.show()

# %%
# Predicted and observed
# ----------------------
#
# The stacks, and two differences in which the shared noise cancels: of two frames, and of the means of the first and
# of the second twelve. Sources of noise have an identity, so that ``-`` knows. The last row is the correlation of the
# two pictures above, predicted with `astro_calib.covariance`; for n pixels its standard error is
# :math:`(1 - r^2)/\sqrt{n}`.

cases = {
    f"mean of {number}": (stack, sky) for number, stack in stacks.items()
}
cases["difference of two frames"] = (frames[0] - frames[1], 0)
cases["difference of two means of 12"] = (
    ac.combine(frames[:12]) - ac.combine(frames[12:24]),
    0,
)
comparison = compare_noise(
    {
        f"noise of a pixel, {name} (e)": (
            result.data - value,
            result.variance,
        )
        for name, (result, value) in cases.items()
    }
)
shared = -ac.covariance(stacks[25], master).mean(dtype=float)
predicted = shared / np.sqrt(
    stacks[25].variance.mean(dtype=float)
    * master.variance.mean(dtype=float)
)
observed = np.corrcoef([error.ravel() for error in errors.values()])[0, 1]
standard_error = (1 - observed**2) / np.sqrt(np.prod(SHAPE)) / predicted
comparison.add_row(
    (
        "correlation of stack and master",
        predicted,
        observed,
        observed / predicted,
        standard_error,
    )
)
comparison
