r"""
Combining: mean, median, clipping, and the right error of each
==============================================================

Twelve exposures of one field become one. The mean has the least noise, and keeps every cosmic ray. The median hardly
notices them, and pays with up to 25% more noise. A mean after rejection has nearly the best of both. Each of these
needs an error of its own: the noise of one frame over the root of their number is right for the mean alone.
`~astro_calib.combine` multiplies its square, the variance, by the factor that belongs to the estimator and to the
number of values at each pixel.
"""

# %%
# Frames of a sky of 100 electrons
# --------------------------------
#
# Twelve frames without cosmic rays show the noise of the estimators. The camera has no patterns: noise that frames
# share, such as that of one master bias, does not average down in any of them, and is the subject of another page.

from __future__ import annotations

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table
from astropy.visualization import PercentileInterval

import astro_calib as ac
from astro_calib.validation import compare_noise

SKY = 100.0
NUMBER = 12
rng = np.random.default_rng(11)
detector = ac.Detector(
    gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron
)
camera = ac.simulate.Camera(shape=(300, 300), detector=detector)


def expose(hits: int = 0) -> tuple[ac.CCDFrame, ac.simulate.Truth]:
    """A calibrated frame of 10 s, in electrons, and the truth about it."""
    raw, truth = camera.expose(
        "science", 10, rng=rng, filter="V", sky=SKY / 10, cosmic_rays=hits
    )
    return ac.calibrate(raw, detector, pedestal=camera.bias_level), truth


def observed(data: np.ndarray) -> float:
    """Root mean square of the error made, in electrons."""
    return float(np.sqrt(np.mean((data - SKY) ** 2, dtype=float)))


def predicted(variance: np.ndarray) -> float:
    """What the budget says it is."""
    return float(np.sqrt(np.mean(variance, dtype=float)))


clean = [expose()[0] for _ in range(NUMBER)]
print(
    f"one frame: {observed(clean[0].data):.1f} e, "
    f"predicted {predicted(clean[0].variance):.1f} e"
)

# %%
# What each estimator costs
# -------------------------
#
# The variance of a mean of N values is :math:`\sigma^2/N`. For a median of Gaussian values it is 1.35 times as large
# for three of them, 1.19 for four (the mean of the two in the middle is better than one alone), and comes near
# :math:`\pi/2` only for many. `astro_calib.estimators` has these factors, and those of clipped and trimmed means; they
# are integrals over the distribution of ordered values. Rejection beyond :math:`3\sigma` of known noise is nearly free.

WAYS = {
    "mean": {"method": "mean"},
    "mean, clipped at 3 sigma": {"clip": "sigma", "sigma": 3},
    "mean less lowest and highest": {"clip": "minmax", "extremes": (1, 1)},
    "median": {"method": "median"},
}
COLORS = ("black", "#0072B2", "#009E73", "#D55E00")
MARKERS = ("o", "s", "^", "D")
one = np.mean([predicted(frame.variance) for frame in clean])

figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
for (label, options), color, marker in zip(
    WAYS.items(), COLORS, MARKERS, strict=True
):
    numbers = np.arange(3, NUMBER + 1)
    stacks = [ac.combine(clean[:number], **options) for number in numbers]
    seen = [
        observed(stack.data) * np.sqrt(number) / one
        for stack, number in zip(stacks, numbers, strict=True)
    ]
    says = [
        predicted(stack.variance) * np.sqrt(number) / one
        for stack, number in zip(stacks, numbers, strict=True)
    ]
    axes.plot(numbers, says, "-", color=color)
    axes.plot(numbers, seen, marker, color=color, label=label)
axes.axhline(np.sqrt(np.pi / 2), color="0.5", linestyle=":")
axes.text(
    NUMBER,
    np.sqrt(np.pi / 2) + 0.004,
    r"$\sqrt{\pi/2}$, median of very many",
    color="0.3",
    ha="right",
)
axes.set_ylim(0.97, 1.37)
axes.set_xlabel("number of frames N")
axes.set_ylabel(r"noise of the stack, in units of $\sigma/\sqrt{N}$")
axes.set_title("The noise of a median depends on whether N is odd")
axes.legend(
    title="points: observed, lines: predicted", ncols=2, loc="upper center"
)
plt.show()

# %%
# What it is good for
# -------------------
#
# The same with 60 cosmic rays in each frame. The mean shows them all, each dimmed by the number of frames. "Lowest and
# highest" fails where two frames are hit in one pixel. The median shifts a little at every hit, because the middle of
# twelve values of which one is far off is not the middle of the other eleven.

exposures = [expose(hits=60) for _ in range(NUMBER)]
hit = np.any([truth.cosmic_ray_mask for _, truth in exposures], axis=0)
stacks = {
    label: ac.combine([frame for frame, _ in exposures], **options)
    for label, options in WAYS.items()
}

figure, panels = plt.subplots(
    1, 4, figsize=(8, 3.6), layout="constrained", sharey=True
)
low, high = PercentileInterval(97).get_limits(stacks["mean"].data)
for panel, (label, stack) in zip(panels, stacks.items(), strict=True):
    picture = panel.imshow(
        stack.data[:150, :100],
        origin="lower",
        vmin=low,
        vmax=high,
        cmap="gray",
    )
    panel.set_title(
        label.replace(", ", ",\n").replace("less ", "less\n"),
        fontsize="medium",
    )
    panel.set_xlabel("column")
panels[0].set_ylabel("row")
figure.colorbar(picture, ax=panels, label="electrons", shrink=0.8)
figure.suptitle("Twelve frames with cosmic rays, combined in four ways")
plt.show()

# %%
# The price and what is had for it, in electrons: the error in pixels that nothing hit, and in the others.

costs = Table(
    {
        "estimator": list(stacks),
        "error, no hit": [
            observed(stack.data[~hit]) for stack in stacks.values()
        ],
        "error, hit": [
            observed(stack.data[hit]) for stack in stacks.values()
        ],
        "shift, hit": [
            float(np.mean(stack.data[hit] - SKY))
            for stack in stacks.values()
        ],
    }
)
for name in costs.colnames[1:]:
    costs[name].format = ".2f"
costs

# %%
# Predicted and observed
# ----------------------
#
# In electrons, over all pixels of stacks without cosmic rays. The factor counts for as many values as there are: the
# rejection has thrown out a few of them, and `CCDFrame.n_used <astro_calib.CCDFrame.n_used>` says how many are left.
# The last two rows are the stacks with cosmic rays, in pixels that nothing hit. For the pixels that were hit no error
# bar is claimed: clipping leaves in what is below its threshold, as the corner of a pixel that a track grazed. Stacks
# of the same frames deviate together.

cases = {}
for number in (5, NUMBER):
    for label, options in WAYS.items():
        stack = ac.combine(clean[:number], **options)
        cases[f"{label} of {number}, e"] = stack.data - SKY, stack.variance
for label in ("mean, clipped at 3 sigma", "median"):
    stack = stacks[label]
    cases[f"{label} of {NUMBER}, with cosmic rays, e"] = (
        stack.data[~hit] - SKY,
        stack.variance[~hit],
    )
comparison = compare_noise(cases)
comparison
