"""
The signal-to-noise ratio of stars, and what its error is made of
=================================================================

A calibration takes patterns out and brings the noise of its masters in. Whether a star gains or loses is a matter of
numbers: `~astro_calib.compare_snr` measures the same stars in the same pixels before and after, and says which part of
the error comes from the star, the sky, the readout and each of the masters. For a faint star that is the sky, and more
biases would be a waste of time; for a bright one it may be the flat.
"""

# %%
# A field with stars on a grid
# ----------------------------
#
# The camera has stripes in its bias, hot pixels, dust, and pixels that differ in sensitivity by 1%. The stars stand on
# a grid, so that none disturbs its neighbour, with fluxes from the faintest that can be measured to some hundred
# thousand electrons. The masters come from 10 biases, 10 darks and only 3 flats.

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table, vstack
from photutils.aperture import ApertureStats, CircularAperture

import astro_calib as ac
from astro_calib.photometry import before_calibration
from astro_calib.validation import compare_noise

SHAPE = (450, 450)
SPACING = 30
FWHM = 3.5
rng = np.random.default_rng(12)
camera = ac.simulate.camera(SHAPE, seed=12, filters=["V"])
detector = camera.detector


def expose(
    kind: str, seconds: float, **light: object
) -> tuple[ac.CCDFrame, ac.simulate.Truth]:
    """A raw frame and the truth about it."""
    return camera.expose(
        kind, seconds, rng=rng, filter="V" if light else None, **light
    )


raw_bias, _ = expose("bias", 0)
sections = {
    "overscan": raw_bias.meta["BIASSEC"],
    "trim": raw_bias.meta["TRIMSEC"],
}
biases = [
    ac.calibrate(expose("bias", 0)[0], detector, **sections, shot_noise=0)
    for _ in range(10)
]
bias = ac.combine(biases)
dark = ac.combine(
    [
        ac.calibrate(
            expose("dark", 120)[0], detector, **sections, bias=bias
        )
        for _ in range(10)
    ]
)
flats = [
    ac.calibrate(
        expose("flat", 5, sky=3000)[0],
        detector,
        **sections,
        bias=bias,
        dark=dark,
    )
    for _ in range(3)
]
flat = ac.combine(flats)


def grid(shift_x: int, shift_y: int) -> Table:
    """Stars on a grid, evenly spread in the logarithm of the flux."""
    y, x = np.mgrid[
        SPACING : SHAPE[0] - SPACING : SPACING,
        SPACING : SHAPE[1] - SPACING : SPACING,
    ]
    inside = rng.uniform(-0.5, 0.5, (2, y.size))
    flux = 10 ** rng.uniform(0.8, 3.7, y.size)
    return Table(
        {
            "x": x.ravel() + shift_x + inside[0],
            "y": y.ravel() + shift_y + inside[1],
            "flux": flux,
        }
    )


def measure(shift_x: int, shift_y: int) -> Table:
    """The stars of a new exposure, before and after, and their light."""
    stars = grid(shift_x, shift_y)
    raw, truth = expose("science", 60, sky=10, stars=stars, fwhm=FWHM)
    before = before_calibration(raw, detector, **sections)
    after = ac.calibrate(
        raw, detector, **sections, bias=bias, dark=dark, flat=flat
    )
    table = ac.compare_snr(before, after, positions=stars, fwhm=FWHM)
    places = np.transpose([stars["x"], stars["y"]])
    light = ApertureStats(
        truth.star_rate * truth.exposure_time,
        CircularAperture(places, r=table.meta["radius"]),
    ).sum
    table["truth"] = light * table["flux"].unit
    return table


# %%
# Nine exposures, with the grid shifted by more than an aperture each time: the noise of the masters is then another for
# every star, so that all of them are independent.

shifts = [
    (shift_x, shift_y) for shift_x in (0, 8, 16) for shift_y in (0, 8, 16)
]
stars = vstack(
    [measure(shift_x, shift_y) for shift_x, shift_y in shifts],
    metadata_conflicts="silent",
)
stars = stars[(stars["n_saturated"] == 0) & np.isfinite(stars["flux_err"])]

# %%
# Before and after
# ----------------
#
# `~astro_calib.compare_snr` gives flux, error and SNR twice, after the calibration and before. The truth is known here,
# so that the errors need not be believed: the points are the light over the error that was really made. Before
# calibration the error claimed (``flux_err_before``) knows shot noise and read noise only. Stripes and hot pixels make
# faint stars worse than it says; for bright ones dust and vignetting do, which grow with the star and set a limit.


def signal_to_noise(stars: Table, suffix: str = "") -> tuple[float, float]:
    """Light over error, predicted and observed, for similar stars."""
    light = stars["truth"].value
    claimed = stars[f"flux_err{suffix}"].value
    made = stars[f"flux{suffix}"].value - light
    mean = np.mean(light)
    return mean / np.sqrt(np.mean(claimed**2)), mean / np.sqrt(
        np.mean(made**2)
    )


bins = np.array_split(np.argsort(stars["truth"]), 12)
light = [np.mean(stars["truth"][part]).value for part in bins]
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
for when, suffix, color, marker, style in (
    ("after calibration", "", "#0072B2", "o", "-"),
    ("before", "_before", "#D55E00", "s", "--"),
):
    says, seen = zip(
        *[signal_to_noise(stars[part], suffix) for part in bins],
        strict=True,
    )
    axes.plot(light, says, style, color=color, label=f"{when}, predicted")
    axes.plot(light, seen, marker, color=color, label=f"{when}, observed")
axes.set_xscale("log")
axes.set_yscale("log")
axes.set_xlabel("light of the star in the aperture (electrons)")
axes.set_ylabel("signal-to-noise ratio")
axes.set_title("What the error bars of a raw frame do not know")
axes.legend()
plt.show()

# %%
# What the error is made of
# -------------------------
#
# The squares of the columns ``err_...`` add up to that of ``flux_err``. The share of the flat grows with the star: the
# flat's relative noise is the same for all, while that of the star's own photons falls. With three flats it sets a
# limit to the brightest stars; more flats would lift it, more biases would not.

SOURCES = {
    "err_source": ("shot noise of the star", "#E69F00"),
    "err_flat": ("flat", "#CC79A7"),
    "err_sky": ("shot noise of sky and dark current", "#56B4E9"),
    "err_read_noise": ("read noise", "#0072B2"),
    "err_dark": ("master dark", "#009E73"),
    "err_bias": ("master bias", "#000000"),
    "err_other": ("overscan and others", "#999999"),
}
names, colors = zip(*SOURCES.values(), strict=True)
shares = [
    [
        100
        * np.mean(stars[column][part] ** 2)
        / np.mean(stars["flux_err"][part] ** 2)
        for part in bins
    ]
    for column in SOURCES
]
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
axes.stackplot(light, shares, labels=names, colors=colors)
axes.set_xscale("log")
axes.set_xlim(light[0], light[-1])
axes.set_ylim(0, 100)
axes.set_xlabel("light of the star in the aperture (electrons)")
axes.set_ylabel("share of the variance (%)")
axes.set_title(
    "Faint stars: the sky. Bright ones: their own photons, the flat"
)
figure.legend(
    *(part[::-1] for part in axes.get_legend_handles_labels()),
    loc="outside lower center",
    ncols=3,
)
plt.show()

# %%
# A faint and a bright star in numbers:

faint, bright = stars[bins[1][0]], stars[bins[-1][-1]]
budget = Table({"source": [*names, "all together"]})
for word, star in (("faint", faint), ("bright", bright)):
    errors = np.array(
        [star[column].value for column in (*SOURCES, "flux_err")]
    )
    budget[f"{word} star (e)"] = errors
    budget[f"{word}, share (%)"] = 100 * errors**2 / errors[-1] ** 2
for column in budget.colnames[1:]:
    budget[column].format = ".1f"
budget

# %%
# Predicted and observed
# ----------------------
#
# The errors of the fluxes after calibration, in electrons, for thirds of the stars from faint to bright: the root of
# the mean of ``flux_err`` squared, and of the errors made squared. The standard error comes from the scatter of the
# latter, since among stars of unlike brightness those with the largest errors count most.

thirds = np.array_split(np.argsort(stars["truth"]), 3)
errors, variances = (
    (stars["flux"] - stars["truth"]).value,
    stars["flux_err"].value ** 2,
)
comparison = compare_noise(
    {
        f"error of the flux of {word} stars, e": (
            errors[part],
            variances[part],
        )
        for word, part in zip(
            ("faint", "middling", "bright"), thirds, strict=True
        )
    }
)
comparison

# sphinx_gallery_thumbnail_number = 2
