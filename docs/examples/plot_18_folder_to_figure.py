"""
From a folder of raw frames to a figure
=======================================

A folder of raw frames goes in, a figure for a paper comes out: eleven cells, each of a few lines. Each error bar comes
with its frame, and nothing is calculated by hand. Download this page as a notebook, put your own folder in the first
cell, and run it.
"""

# %%
# The folder
# ----------
#
# Here a night is simulated: biases, darks, flats, and two exposures of a field of stars. If you have raw frames,
# ``raw`` is the path of their folder instead.

from __future__ import annotations

import tempfile
from pathlib import Path

import astropy.units as u
import matplotlib.pyplot as plt
from astropy.table import QTable

import astro_calib as ac
from astro_calib.validation import compare_noise

place = tempfile.TemporaryDirectory()
raw, reduced = Path(place.name) / "raw", Path(place.name) / "reduced"
camera = ac.simulate.camera((450, 450), seed=18, filters=["V"])
night = ac.simulate.night(raw, seed=18, camera=camera, stars=300)

# %%
# What there is
# -------------
#
# The headers say what each frame is, and which masters each science frame will get.

print(ac.night.plan_night(raw))

# %%
# One call reduces the night: it makes the masters, calibrates, masks cosmic rays, and measures the stars. All apertures
# get the same radius, so that their fluxes can be compared. What is printed last is the noise of the sky over the noise
# that is predicted.

summary = ac.reduce_night(
    raw,
    reduced,
    aperture=4.0,
    cosmic_rays="mask",
    progress=False,
)
for frame in summary.frames:
    ratio = frame.sky.ratio
    print(f"{frame.path.name}: {frame.stars} stars, sky {ratio:.3f}")

# %%
# What a frame knows
# ------------------
#
# A frame by itself at the end of a cell says what it is, and what its error is made of.

image = ac.CCDFrame.read(reduced / "calibrated" / "science-001-V.fits")
image

# %%
# The same as a picture. Most of the error comes from the light of the sky; the masters hardly matter.

image.budget.plot()
plt.show()

# %%
# The stars
# ---------
#
# Each star has its flux, the error of that, and the parts of the error. Stars of which some pixels are missing are left
# out.

stars = QTable.read(reduced / "tables" / "science-001-V.ecsv")
stars = stars[~stars["partial"]]
stars["id", "x", "y", "flux", "flux_err", "err_source", "err_sky"][:5]

# %%
# What the calibration was good for: before it, the pattern of bias, dark and flat scattered as noise does.

ac.plot_snr(stars)
plt.show()

# %%
# The figure
# ----------
#
# Magnitudes are instrumental. The error of a magnitude is that of the flux over the flux, times 1.086.

stars["magnitude"] = u.Magnitude(stars["flux"])
errors = {
    "flux_err": "all",
    "err_source": "the star",
    "err_sky": "sky",
    "err_read_noise": "read noise",
    "err_flat": "flat",
}
for column in errors:
    share = stars[column] / stars["flux"]
    stars[f"{column}_mag"] = 1.086 * share * u.mag

# %%
# On the left the field, on the right how well the stars are measured, and what limits that: the light of the sky for
# faint stars, their own light and the flat for bright ones.

figure = plt.figure(figsize=(10, 4.5), layout="constrained")
field, precision = figure.subplots(1, 2)
image.plot(field)
for column, label in errors.items():
    error = stars[f"{column}_mag"].value
    precision.plot(stars["magnitude"].value, error, ".", ms=4, label=label)
precision.set(
    yscale="log",
    xlabel="instrumental magnitude V",
    ylabel="error (mag)",
    title="What limits the precision",
)
precision.legend()
figure.savefig(reduced / "figure.pdf")
plt.show()

# %%
# The same stars on the second exposure, which is shifted by some pixels; the WCS of the frames says by how many.

second = ac.CCDFrame.read(reduced / "calibrated" / "science-002-V.fits")
x, y = second.wcs.world_to_pixel_values(stars["ra"], stars["dec"])
places = QTable({"x": x, "y": y})
again = ac.measure_snr(second, positions=places, radius=4.0)
place.cleanup()

# %%
# Predicted and observed
# ----------------------
#
# Both exposures see the same stars, so that the electrons in a second differ by their errors alone. This is the last
# cell; where ``ratio`` is one, the error bars of the figure are right.

seconds = image.header["EXPTIME"], second.header["EXPTIME"]
rates = stars["flux"] / seconds[0], again["flux"] / seconds[1]
sigmas = stars["flux_err"] / seconds[0], again["flux_err"] / seconds[1]
both = ~again["partial"]
difference = (rates[0] - rates[1])[both].value
variance = (sigmas[0] ** 2 + sigmas[1] ** 2)[both].value
comparison = compare_noise({"electron / s": (difference, variance)})
comparison
