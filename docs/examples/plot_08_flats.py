"""
Flats, and what they add to bright pixels
=========================================

The pixels of a detector are not equally sensitive, dust throws shadows, and the corners get less light. A flat, a frame
of something evenly bright, shows all of that, and dividing by it takes it out. But a flat has shot noise as well. Its
relative error is the same for every frame that is divided by it: it hardly matters for the sky of a short exposure, and
it is the largest error of all for bright pixels, however many frames one takes.
"""

# %%
# To have the flat's noise by itself, the bias of this camera is a level of 1000 adu and nothing else.

from __future__ import annotations

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.visualization import PercentileInterval

import astro_calib as ac
from astro_calib.validation import compare_noise

SHAPE = (400, 400)
rng = np.random.default_rng(8)
detector = ac.Detector(
    gain=1.5 * u.electron / u.adu,
    read_noise=8 * u.electron,
    saturation=65000 * u.adu,
)
sensitivity = ac.simulate.sensitivity_variations(
    SHAPE, vignetting=0.1, dust=12, pixel_scatter=0.01, rng=1
)
camera = ac.simulate.Camera(
    shape=SHAPE,
    detector=detector,
    bias_level=1000,
    sensitivity={"V": sensitivity},
)


def take(
    kind: str,
    light: float | np.ndarray,
    stars: object = None,
    **options: object,
) -> ac.CCDFrame:
    """A frame with that light (electron), calibrated."""
    raw, _ = camera.expose(
        kind, 1, filter="V", sky=light, stars=stars, rng=rng
    )
    return ac.calibrate(raw, detector, pedestal=1000, **options)


# %%
# A master of twilight flats
# --------------------------
#
# Seven flats of the evening sky, each darker than the one before, and each with stars in other places.
# ``scale="median"`` brings them to a common level before they are combined. What remains to be chosen is the estimator:
#
# - The plain mean keeps a seventh of each star.
# - The median drops the stars, at the price of a larger error.
# - A mean with ``clip="sigma"`` drops them, too, and loses little. With weights in proportion to the levels the faint
#   flats count less, and it is nearly as good as the sum of all the light, :math:`1/\sqrt{N_e}` for its electrons.

levels = [60000, 48000, 36000, 27000, 20000, 15000, 11000]
skies = [
    ac.simulate.random_stars(SHAPE, 20, rng, flux_range=(2e4, 2e5))
    for _ in levels
]
flats = [
    take("flat", level, stars)
    for level, stars in zip(levels, skies, strict=True)
]
masters = {
    "mean": ac.combine(flats, scale="median"),
    "median": ac.combine(flats, scale="median", method="median"),
    "mean, clipped and weighted": ac.combine(
        flats, scale="median", clip="sigma", weights=levels
    ),
}
flat = masters["mean, clipped and weighted"]
starless = sum(ac.simulate.stars(SHAPE, stars) for stars in skies) < 1


def relative_errors(master: ac.CCDFrame) -> np.ndarray:
    """The relative error of the master, where there are no stars."""
    ratio = master.data.astype(float) / sensitivity
    return ratio / ratio[starless].mean() - 1


figure, axes = plt.subplots(
    1, 3, figsize=(8, 3.6), layout="constrained", sharey=True
)
low, high = PercentileInterval(99).get_limits(flat.data / flat.data.mean())
cut = (slice(0, 250), slice(150, 400))
pictures = {
    "faintest flat": flats[-1],
    "mean of seven": masters["mean"],
    "clipped mean of seven": flat,
}
for ax, (title, frame) in zip(axes, pictures.items(), strict=True):
    image = ax.imshow(
        frame.data[cut] / np.median(frame.data),
        origin="lower",
        cmap="gray",
        vmin=low,
        vmax=high,
    )
    ax.set_title(title)
    ax.set_xlabel("column")
axes[0].set_ylabel("row")
figure.colorbar(image, ax=axes, label="relative to the median", shrink=0.7)
plt.show()

# %%
# Dividing by it
# --------------
#
# `~astro_calib.calibrate` divides by the flat over the mean of its good pixels, so that a frame keeps its unit and, on
# average, its values: the level of a flat and the time it was exposed do not matter, only how many electrons it has.
# With :math:`z = r/f` a pixel of z electrons gets the error
#
# .. math:: \sigma_z^2 = z/f + R^2/f^2 + (z\,\sigma_f/f)^2 .
#
# The last term grows faster than the first. They meet where the pixel has as many electrons as all the flats together.
# The picture takes a frame whose light rises from left to right, and divides it by the master, and by a single flat as
# faint as the faintest.

faint = take("flat", levels[-1])
light = np.broadcast_to(np.geomspace(20, 90000, SHAPE[1]), SHAPE)
calibrated = {
    "master of seven": take("science", light, flat=flat),
    "one faint flat": take("science", light, flat=faint),
}

figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
signal = light[0]
colors = {"master of seven": "#0072b2", "one faint flat": "#d55e00"}
for label, image in calibrated.items():
    terms = {
        name: np.broadcast_to(value, SHAPE)
        for name, value in image.budget.variances().items()
    }
    used = starless[:, ::10]
    errors = np.square(image.data - light, dtype=float)[:, ::10]
    axes.plot(
        signal,
        np.sqrt(image.variance.mean(axis=0)),
        color=colors[label],
        label=f"{label}: predicted",
    )
    axes.plot(
        signal,
        np.sqrt(terms["flat"].mean(axis=0)),
        ":",
        color=colors[label],
        label=f"{label}: the flat's part",
    )
    observed = np.sqrt(errors.mean(axis=0, where=used))
    axes.plot(
        signal[::10],
        observed,
        ".",
        color=colors[label],
        label=f"{label}: observed",
    )
axes.plot(signal, np.sqrt(signal), "k--", linewidth=1, label="shot noise")
axes.set_xscale("log")
axes.set_yscale("log")
axes.set_ylim(1, 3000)
axes.set_xlabel("signal (electron)")
axes.set_ylabel("error of a pixel (electron)")
axes.set_title("The flat matters where there is much light")
axes.legend(fontsize="small")
plt.show()

# %%
# The same flat under many frames
# -------------------------------
#
# The error of the flat is the same in each frame. More frames make the shot noise of their mean smaller, and leave the
# flat's part as it is; the predicted error knows that, because the frames refer to one and the same source of noise.
# Adding up in quadrature, as if each frame had a flat of its own, promises far too much. What helps is more light in
# the flats, or moving the telescope between frames, so that a star falls on other pixels.

LEVEL = 60000.0
frames = [take("science", LEVEL, flat=flat) for _ in range(16)]
for number in (1, 4, 16):
    mean = ac.combine(frames[:number])
    scatter = np.std((mean.data - LEVEL)[starless])
    own = np.sqrt(np.mean(frames[0].variance) / number)
    print(
        f"mean of {number:2d}: observed {scatter:3.0f} e, "
        f"predicted {np.sqrt(np.mean(mean.variance)):3.0f} e, "
        f"as if the flats were independent {own:3.0f} e"
    )

# %%
# Predicted and observed
# ----------------------
#
# The masters' relative errors, and the errors of frames that were divided by them, against the truth; pixels where one
# of the flats has a star are left out.

one, mean, difference = (
    take("science", LEVEL, flat=faint),
    ac.combine(frames),
    frames[0] - frames[1],
)
cases = {
    f"flat, {name} (%)": (
        100 * relative_errors(master),
        1e4 * master.variance / np.square(master.data),
    )
    for name, master in masters.items()
}
cases |= {
    "bright frame, one faint flat (e)": (one.data - LEVEL, one.variance),
    "bright frame, master (e)": (
        frames[0].data - LEVEL,
        frames[0].variance,
    ),
    "mean of 16, same master (e)": (mean.data - LEVEL, mean.variance),
    "difference of two, same master (e)": (
        difference.data,
        difference.variance,
    ),
}
comparison = compare_noise(
    {
        quantity: (errors[starless], variance[starless])
        for quantity, (errors, variance) in cases.items()
    }
)
comparison
