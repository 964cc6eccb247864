"""
Every image has noise, and it cannot be subtracted
==================================================

A frame of read noise 700 e, a bias level of 1100 e, dark current of 0.1 e/s and 50 stars. One might hope to get rid of
the noise by subtracting a second frame that shows nothing but noise. It gets worse, by a factor of the square root of
two: the second frame's noise is another draw. What can be subtracted is a *pattern*; its noise comes along, and how
much of it remains depends on which frames share it.
"""

# %%
# The frames are simulated as floating-point numbers, because an unsigned file would clip the noise at zero. Shot noise
# is small beside a read noise of 700 e.

from __future__ import annotations

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.visualization import PercentileInterval

import astro_calib as ac
from astro_calib.validation import compare_noise

SHAPE = (700, 700)
rng = np.random.default_rng(1)
detector = ac.Detector(
    gain=1 * u.electron / u.adu, read_noise=700 * u.electron
)
camera = ac.simulate.Camera(
    shape=SHAPE, detector=detector, bias_level=1100, dark_rate=0.1
)
stars = ac.simulate.random_stars(SHAPE, 50, rng, flux_range=(5e3, 1e5))


def take_bias() -> ac.CCDFrame:
    """A bias in electrons; it has collected nothing: no shot noise."""
    frame, _ = camera.expose("bias", 0 * u.s, rng=rng, integer=False)
    return ac.calibrate(frame, detector, pedestal=0, shot_noise=0)


def take_dark(bias: ac.CCDFrame) -> ac.CCDFrame:
    """A dark in electrons, less the bias."""
    frame, _ = camera.expose("dark", 60 * u.s, rng=rng, integer=False)
    return ac.calibrate(frame, detector, bias=bias)


# %%
# Subtracting noise from noise
# ----------------------------
#
# The width of the difference of two biases is :math:`\sqrt{2} \times 700 = 990` e.

noise, other_noise = take_bias(), take_bias()
worse = noise - other_noise

# %%
# Subtracting a pattern
# ---------------------
#
# A science frame of 30 s, a dark of 60 s, and one bias that is subtracted from both. The bias enters twice, with
# opposite signs: once in the science frame, and half of it through the scaled dark. With the ratio :math:`t/t_d` of the
# exposure times, its noise in the result is :math:`(t/t_d - 1)\,\sigma_B`, so that the sum is
# :math:`\sqrt{1 + 1/4 + 1/4} \times 700 = 857` e. Adding up the three in quadrature, as if the two biases were
# independent, gives :math:`\sqrt{1 + 1 + 1/4 + 1/4} \times 700 = 1107` e.

bias = take_bias()
dark = take_dark(bias)
raw, truth = camera.expose(
    "science", 30 * u.s, rng=rng, filter="V", stars=stars, integer=False
)
before = ac.calibrate(raw, detector, pedestal=1100)
after = ac.calibrate(raw, detector, bias=bias, dark=dark)

# %%
# With means of 25 biases and 25 darks hardly any noise of the masters is left:
# :math:`\sqrt{1 + 1/100 + 1/100} \times 700 = 707` e.

master_bias = ac.combine([take_bias() for _ in range(25)])
master_dark = ac.combine([take_dark(master_bias) for _ in range(25)])
best = ac.calibrate(raw, detector, bias=master_bias, dark=master_dark)

# %%
# The same corner of the three frames, all shown between the same limits. A single bias and a single dark make the frame
# coarser than it was before.

frames = {
    "raw, less 1100 e": before,
    "one bias, one dark": after,
    "masters of 25": best,
}
corner = (slice(80, 200), slice(30, 150))
low, high = PercentileInterval(96).get_limits(before[corner].data)
figure, panels = plt.subplots(
    1, 3, figsize=(8, 3.4), sharey=True, layout="constrained"
)
for panel, (label, frame) in zip(panels, frames.items(), strict=True):
    picture = panel.imshow(
        frame[corner].data, cmap="gray", origin="lower", vmin=low, vmax=high
    )
    panel.set(title=label, xlabel="column (pixels)")
panels[0].set_ylabel("row (pixels)")
figure.colorbar(picture, ax=panels, label="signal (electron)", shrink=0.8)
figure.suptitle("Subtracting one bias and one dark adds noise")
plt.show()

# %%
# Predicted and observed
# ----------------------
#
# The histograms of the pixels without a star, with the predicted widths drawn over them. Each curve is a Gaussian whose
# standard deviation is the root of the pixels' mean variance; nothing in it is fitted.

empty = truth.star_rate * truth.exposure_time < 1
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
bins = np.linspace(-3500, 3500, 141)
for (label, frame), color in zip(
    frames.items(), ("#0072B2", "#D55E00", "#009E73"), strict=True
):
    values, sigma = (
        frame.data[empty],
        np.sqrt(frame.variance[empty].mean(dtype=float)),
    )
    values = values - values.mean()
    axes.hist(
        values,
        bins,
        color=color,
        histtype="step",
        label=f"{label}: observed {values.std():.0f} e",
    )
    gaussian = (
        np.exp(-0.5 * (bins / sigma) ** 2)
        * values.size
        * (bins[1] - bins[0])
        / sigma
        / np.sqrt(2 * np.pi)
    )
    axes.plot(
        bins,
        gaussian,
        color=color,
        linestyle=":",
        linewidth=3,
        label=f"predicted {sigma:.0f} e",
    )
axes.set(
    xlabel="signal less its mean (electron)",
    ylabel="pixels",
    title="The noise is as wide as predicted",
)
axes.legend(fontsize="small")
plt.show()

# %%
# The same in numbers, for all pixels, by `~astro_calib.validation.compare_noise`: the root of the mean predicted
# variance, and the root mean square difference from what the simulation put in. For n pixels of independent Gaussian
# noise the relative standard error of the latter is :math:`1/\sqrt{2n}`. The last three rows are one raw frame,
# calibrated in three ways: where they deviate, they deviate together.

expected = {
    "one bias": (noise, 1100),
    "difference of two biases": (worse, 0),
    "raw, less 1100 e": (before, truth.light + truth.dark),
    "one bias, one dark": (after, truth.light),
    "masters of 25": (best, truth.light),
}
comparison = compare_noise(
    {
        f"noise of a pixel, {name} (e)": (
            frame.data - value,
            frame.variance,
        )
        for name, (frame, value) in expected.items()
    }
)
comparison

# sphinx_gallery_thumbnail_number = 2
