"""
Bad pixels and cosmic rays
==========================

Some pixels are always wrong: they are hot, or dead. Others are hit by a cosmic ray during one exposure. Neither is
noise, and no error bar can cover it. Such pixels are flagged with the reason, and masked, so that no later step uses
them. A hit pixel may be repaired for the eye, but what was under it nobody knows. With several exposures one need not
guess: the others have measured it.
"""

# %%
# The detector has hot pixels and a dead column. Six exposures of 300 s show the same stars, and 80 cosmic rays each.

from __future__ import annotations

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table
from matplotlib.colors import ListedColormap

import astro_calib as ac
from astro_calib.validation import compare_noise

SHAPE, BIAS, SKY = (400, 400), 1000, 150.0
rng = np.random.default_rng(10)
sensitivity = np.ones(SHAPE)
sensitivity[:260, 121] = 0.02
detector = ac.Detector(
    gain=1.5 * u.electron / u.adu,
    read_noise=8 * u.electron,
    saturation=65000 * u.adu,
)
camera = ac.simulate.Camera(
    shape=SHAPE,
    detector=detector,
    bias_level=BIAS,
    dark_rate=ac.simulate.dark_current(
        SHAPE, 0, hot_pixels=0.002, hot_rates=(2, 100), rng=1
    ),
    sensitivity={"V": sensitivity},
)

# %%
# Bad pixels
# ----------
#
# Hot pixels show in darks, dead ones in flats. The map is made once, and given to `~astro_calib.calibrate`, which calls
# `~astro_calib.flag_bad_pixels`: the pixels get the flag ``BAD`` of `~astro_calib.DataQuality`, and are masked.

darks, flats = [], []
for _ in range(5):
    darks.append(
        ac.calibrate(
            camera.expose("dark", 300, rng=rng)[0], detector, pedestal=BIAS
        )
    )
    raw, _ = camera.expose("flat", 1, filter="V", sky=20000, rng=rng)
    flats.append(ac.calibrate(raw, detector, pedestal=BIAS))
dark, flat = (
    ac.combine(darks, method="median"),
    ac.combine(flats, method="median"),
)
hot = dark.data > 10 * np.sqrt(np.median(dark.variance))
dead = flat.data < 0.5 * np.median(flat.data)
print(
    f"{np.count_nonzero(hot)} hot pixels, "
    f"{np.count_nonzero(dead)} dead ones"
)

stars = ac.simulate.random_stars(SHAPE, 150, rng, flux_range=(3, 300))
images, truths = [], []
for _ in range(6):
    raw, truth = camera.expose(
        "science",
        300,
        filter="V",
        sky=SKY / 300,
        stars=stars,
        cosmic_rays=80,
        rng=rng,
    )
    images.append(
        ac.calibrate(raw, detector, pedestal=BIAS, bad_pixels=hot | dead)
    )
    truths.append(truth)
light = truths[0].light
hits = np.array([truth.cosmic_ray_mask for truth in truths]) & ~(hot | dead)

# %%
# One exposure
# ------------
#
# `~astro_calib.cosmicray_lacosmic` finds what is too sharp to be a star, by ccdproc's L.A.Cosmic, with the frame's own
# errors to compare with. It puts an estimate from the neighbours there, and flags ``COSMIC_RAY``.

repaired = [ac.cosmicray_lacosmic(image) for image in images[:3]]
found = np.array(
    [(image.flags & ac.DataQuality.COSMIC_RAY) != 0 for image in repaired]
)
true_hits = found & hits[:3]
print(
    f"{true_hits.sum() / hits[:3].sum():.1%} of the hit pixels were found"
)
print(
    f"{np.mean(found & ~hits[:3]):.2%} of all pixels "
    f"were taken for hits, and are none"
)

figure, axes = plt.subplots(
    1, 3, figsize=(8, 3.6), layout="constrained", sharey=True
)
cut = (slice(180, 300), slice(80, 200))
style = {"vmin": SKY - 50, "vmax": SKY + 150, "cmap": "gray"}
axes[0].imshow(images[0].data[cut], origin="lower", **style)
axes[0].set_title("calibrated")
axes[1].imshow(
    np.ma.array(repaired[0].data, mask=hot | dead)[cut],
    origin="lower",
    **style,
)
axes[1].set_title("repaired; bad masked")
kinds = np.select([found[0], hot | dead], [2, 1], 0)
axes[2].imshow(
    kinds[cut],
    origin="lower",
    cmap=ListedColormap(["white", "#0072b2", "#d55e00"]),
)
axes[2].set_title("flags: bad (blue), hit (red)")
for ax in axes:
    ax.set_xlabel("column of the cut")
axes[0].set_ylabel("row of the cut")
plt.show()

# %%
# The error of a repaired pixel
# -----------------------------
#
# It cannot be the shot noise of electrons that were not counted. The package takes the scatter of the good pixels
# around it, because the truth may lie anywhere among them, and adds the error of their median. As a prediction that
# is too careful on an even sky, where the neighbours are a good guess. On a star, which a few pixels cannot describe,
# it is needed: of Gaussian errors 68 % lie within one standard deviation. So it has a table of its own, as an upper
# limit. Repaired pixels stay masked.

errors = np.abs([image.data - light for image in repaired])
limits = np.sqrt([image.variance for image in repaired])
rows = []
for name, where in (
    ("of the sky", light < 1.1 * SKY),
    ("of stars", light > 1.5 * SKY),
):
    error, limit = errors[true_hits & where], limits[true_hits & where]
    rows.append(
        (
            name,
            error.size,
            np.median(limit),
            np.median(error),
            100 * np.mean(error < limit),
        )
    )
names = [
    "repaired pixels",
    "number",
    "median limit (e)",
    "median true error (e)",
    "within the limit (%)",
]
repairs = Table(rows=rows, names=names)
repairs.round(1)
repairs

# %%
# Several exposures
# -----------------
#
# In a mean of six with ``clip="sigma"`` a value that lies more than 3 standard deviations from the median of the six is
# left out. The pixel gets the remark ``REJECTED``, ``n_used`` says how many values were used, and the error is that of
# so many. Bad pixels are bad in every frame, and stay masked, unless the telescope is moved in between.

plain = ac.combine(images)
stack = ac.combine(images, clip="sigma")
good = ~stack.mask
once = good & (hits.sum(axis=0) == 1)
never = good & ~hits.any(axis=0)
for name, pixels in (("one exposure was hit", once), ("none was", never)):
    print(
        f"values used where {name}: {stack.n_used[pixels].mean():.2f} of 6"
    )

figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
bins = np.linspace(-8, 60, 137)
for label, frame, color in (
    ("mean", plain, "#d55e00"),
    ("mean, clipped", stack, "#0072b2"),
):
    pulls = ((frame.data - light) / np.sqrt(frame.variance))[good]
    axes.hist(
        pulls,
        bins,
        histtype="step",
        linewidth=1.5,
        color=color,
        label=label,
    )
axes.plot(
    bins,
    good.sum() * 0.5 * np.exp(-0.5 * bins**2) / np.sqrt(2 * np.pi),
    "k:",
    label="Gaussian of width 1",
)
axes.set_yscale("log")
axes.set_ylim(0.5, 1e5)
axes.set_xlabel("error / predicted error")
axes.set_ylabel("pixels")
axes.set_title("Six exposures: what one hit does to a mean")
axes.legend()
plt.show()

# %%
# Predicted and observed
# ----------------------
#
# Errors against the truth of pixels that are not bad. Where one exposure was hit the stack is about as good as a mean
# of the other five.

quiet = good & ~hits[0]
cases = [
    ("one exposure, not hit (e)", images[0], quiet),
    ("clipped stack, never hit (e)", stack, never),
    ("clipped stack, hit in one exposure (e)", stack, once),
]
comparison = compare_noise(
    {
        quantity: ((frame.data - light)[pixels], frame.variance[pixels])
        for quantity, frame, pixels in cases
    }
)
comparison
