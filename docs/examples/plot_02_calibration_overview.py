"""
Calibration: from a raw frame to the stars
==========================================

What a camera writes is a sum of what one wants and what one does not want:

.. math:: \\mathrm{raw} = \\mathrm{bias} + \\mathrm{noise} + \\mathrm{dark} + \\mathrm{flat} \\times
    (\\mathrm{sky} + \\mathrm{stars})

To calibrate is to solve this for the stars. Bias, dark and flat are measured, with errors that go into the result, and
the noise is not measured at all. This page shows each term, solves the equation, and says how much of the error of the
result comes from which term.
"""

# %%
# The terms
# ---------
#
# A simulated camera knows its terms. All are in electrons here; the bias is what is left of it when the level that the
# overscan shows has been subtracted.

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from astropy.visualization import PercentileInterval

import astro_calib as ac
from astro_calib.validation import compare_noise

SHAPE = (500, 500)
SECTIONS = {"overscan": "[501:532, 1:500]", "trim": "[1:500, 1:500]"}
rng = np.random.default_rng(2)
camera = ac.simulate.camera(SHAPE, seed=2)
detector = camera.detector
stars = ac.simulate.random_stars(SHAPE, 80, rng, flux_range=(30, 3000))
raw, truth = camera.expose(
    "science", 60, filter="V", sky=5, stars=stars, rng=rng
)

noiseless = truth.mean * camera.gain
terms = {
    "raw (less 1500 e)": raw.data[:, :500] * camera.gain - 1500,
    "bias": camera.bias_structure * camera.gain,
    "noise": raw.data[:, :500] * camera.gain - noiseless,
    "dark": truth.dark,
    "flat (no unit)": truth.sensitivity,
    "sky + stars": (truth.sky_rate + truth.star_rate) * truth.exposure_time,
}
figure, panels = plt.subplots(
    2, 3, figsize=(8, 5.6), sharex=True, sharey=True, layout="constrained"
)
for panel, (name, term) in zip(panels.flat, terms.items(), strict=True):
    low, high = PercentileInterval(97).get_limits(term)
    picture = panel.imshow(
        term, cmap="gray", origin="lower", vmin=low, vmax=high
    )
    panel.set_title(name)
    figure.colorbar(picture, ax=panel, shrink=0.8)
figure.supxlabel("column (pixels)")
figure.supylabel("row (pixels)")
figure.suptitle("What a raw frame is made of (electron)")
plt.show()

# %%
# Solving for the stars
# ---------------------
#
# Five biases, five darks of 120 s and five flats. Each master is made with those that were made before it: the bias is
# taken out of the dark, bias and dark out of the flat. The function takes the frames that were taken, or instead of any
# master one that is given to it; we shall need that below. What is left beside the stars is the sky, which photometry
# takes from around each star.

biases = [camera.expose("bias", 0, rng=rng)[0] for _ in range(5)]
darks = [camera.expose("dark", 120, rng=rng)[0] for _ in range(5)]
flats = [
    camera.expose("flat", 5, filter="V", sky=2000, rng=rng)[0]
    for _ in range(5)
]


def reduce(**known: ac.CCDFrame) -> dict[str, ac.CCDFrame]:
    """The calibrated science frame, and its masters."""
    masters = dict(known)
    if "bias" not in known:
        masters["bias"] = ac.combine(
            [
                ac.calibrate(one, detector, **SECTIONS, shot_noise=0)
                for one in biases
            ]
        )
    for name, frames in (("dark", darks), ("flat", flats)):
        if name not in known:
            before = {
                other: masters[other]
                for other in ("bias", "dark")
                if other in masters
            }
            masters[name] = ac.combine(
                [
                    ac.calibrate(one, detector, **SECTIONS, **before)
                    for one in frames
                ]
            )
    return {
        "image": ac.calibrate(raw, detector, **SECTIONS, **masters),
        **masters,
    }


reduced = reduce()
image = reduced["image"]
figure, panels = plt.subplots(
    1, 2, figsize=(8, 4), sharey=True, layout="constrained"
)
for panel, title, values in (
    (panels[0], "raw", terms["raw (less 1500 e)"]),
    (panels[1], "calibrated", image.data),
):
    low, high = PercentileInterval(97).get_limits(values)
    picture = panel.imshow(
        values, cmap="gray", origin="lower", vmin=low, vmax=high
    )
    panel.set(title=title, xlabel="column (pixels)")
    figure.colorbar(picture, ax=panel, label="electron", shrink=0.8)
panels[0].set_ylabel("row (pixels)")
figure.suptitle(
    "Stripes, hot pixels, glow and dust are gone; the noise is not"
)
plt.show()

# %%
# Each term's share of the error
# ------------------------------
#
# The budget of a calibrated frame keeps the variance of each source of noise apart. The shares differ from pixel to
# pixel: in the sky it is photons and read noise that count, in a bright star the flat is noticed, and in a hot pixel
# the dark.

light = truth.star_rate * truth.exposure_time
hot = camera.dark_rate > 5
places = {
    "hot pixels": hot & (camera.dark_rate < 50),
    "bright stars": (light > 1000) & ~hot,
    "sky": (light < 1) & ~hot,
}
variances = image.budget.variances()
colors = {
    "shot noise": "#56B4E9",
    "read noise": "#999999",
    "bias": "#CC79A7",
    "dark": "#000000",
    "flat": "#E69F00",
    "overscan": "#009E73",
}
figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
left = np.zeros(len(places))
for source, color in colors.items():
    share = [
        100 * variances[source][where].mean() / image.variance[where].mean()
        for where in places.values()
    ]
    axes.barh(list(places), share, left=left, color=color, label=source)
    left += share
axes.set(
    xlabel="share of the variance (%)",
    xlim=(0, 100),
    title="What the error of the calibrated frame is made of",
)
figure.legend(
    ncols=len(colors),
    loc="outside lower center",
    fontsize="small",
    frameon=False,
)
plt.show()

# %%
# Predicted and observed
# ----------------------
#
# What a master really contributed to the error can be seen in a simulation: calibrate the same frame with the true
# bias, say, instead of the measured one. The difference is the bias's contribution, through all that it was subtracted
# from. (In the science frame it enters with the coefficient :math:`t/t_d - 1 = -1/2`, because half of it comes back
# with the dark.) What is left when all three masters are true is the noise of the frame itself.

true = {
    "bias": ac.CCDFrame(
        camera.bias_structure * camera.gain, unit="electron"
    ),
    "dark": ac.CCDFrame(
        camera.dark_rate * 120, unit="electron", meta={"EXPTIME": 120.0}
    ),
    "flat": ac.CCDFrame(truth.sensitivity, unit=""),
}
scene = terms["sky + stars"]
own = (
    variances["shot noise"]
    + variances["read noise"]
    + variances["overscan"]
)
contributions = [
    (
        "sky",
        "bias",
        image.data - reduce(bias=true["bias"])["image"].data,
        variances["bias"],
    ),
    (
        "hot pixels",
        "dark",
        image.data - reduce(dark=true["dark"])["image"].data,
        variances["dark"],
    ),
    (
        "bright stars",
        "flat",
        image.data - reduce(flat=true["flat"])["image"].data,
        variances["flat"],
    ),
    ("sky", "the raw frame", reduce(**true)["image"].data - scene, own),
    *(
        (place, "everything", image.data - scene, image.variance)
        for place in places
    ),
]
comparison = compare_noise(
    {
        f"noise of {place}, from {source} (e)": (
            error[places[place]],
            variance[places[place]],
        )
        for place, source, error, variance in contributions
    }
)
comparison

# sphinx_gallery_thumbnail_number = 3
