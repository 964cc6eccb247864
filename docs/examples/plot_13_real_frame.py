"""
A real frame, and a night
=========================

A frame of the 1 m telescope at Sutherland (SAAO) comes with ccdproc, so that every machine that has ccdproc has it. Are
its error bars true? The frame itself can tell: its overscan shows the read noise, its sky the rest. Then a whole night,
simulated, written as raw FITS files, and reduced with one call.
"""

# %%
# A frame and its header
# ----------------------
#
# Gain, read noise and sections are those of the header. They say what detector it is, and `~astro_calib.calibrate`
# gives the frame in electrons, with a variance for each source of noise.

from __future__ import annotations

import tempfile
from pathlib import Path

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.stats import sigma_clip
from astropy.table import Table
from astropy.utils.data import get_pkg_data_filename
from astropy.visualization import PercentileInterval

import astro_calib as ac
from astro_calib.validation import compare_noise

raw = ac.CCDFrame.read(
    get_pkg_data_filename("data/a8280271.fits", package="ccdproc.tests"),
    unit="adu",
)
gain = raw.meta["GAIN"] * u.electron / u.adu
sections = {"overscan": raw.meta["BIASSEC"], "trim": raw.meta["TRIMSEC"]}
camera = ac.Detector(
    gain=gain,
    read_noise=raw.meta["RDNOISE"] * u.electron,
    saturation=65000 * u.adu,
)
image = ac.calibrate(raw, camera, **sections)
for source, variance in image.budget.variances().items():
    print(f"{source}: {np.sqrt(np.mean(variance)):.2f} e")


def show(before: ac.CCDFrame, after: ac.CCDFrame, title: str) -> np.ndarray:
    """The two frames side by side; returns the axes."""
    figure, panels = plt.subplots(
        1, 2, figsize=(8, 3.8), layout="constrained"
    )
    for panel, frame, words in zip(
        panels, (before, after), ("raw", "calibrated"), strict=True
    ):
        low, high = PercentileInterval(96).get_limits(
            frame.data[20:240, 20:240]
        )
        picture = panel.imshow(
            frame.data, origin="lower", vmin=low, vmax=high, cmap="gray"
        )
        panel.set_title(words)
        panel.set_xlabel("column")
        figure.colorbar(
            picture, ax=panel, label=str(frame.unit), shrink=0.8
        )
    panels[0].set_ylabel("row")
    figure.suptitle(title)
    return panels


show(
    raw,
    image,
    f"{raw.meta['OBJECT'].strip()}, {raw.meta['EXPTIME']:.0f} s, "
    f"{raw.meta['TELESCOP']}",
)
plt.show()

# %%
# What its pixels say
# -------------------
#
# Nothing but read noise and the rounding to whole adu, :math:`g^2/12`, is in the overscan. Its scatter is larger than
# the header has it. The sky agrees: it is noisier than predicted, but as expected with the read noise of the overscan.
# So the header is too optimistic, and the frame is calibrated again.
#
# The noise of the sky is that of differences of one row and the next over the root of two, from which gradients drop
# out. Stars and defects are left out by clipping at four standard deviations, which takes less than 0.1% off the
# scatter of a Gaussian.


def clipped(values: np.ndarray) -> np.ma.MaskedArray:
    """The values without outliers."""
    return sigma_clip(values, sigma=4, maxiters=10)


def sky_noise(
    frame: ac.CCDFrame,
) -> tuple[np.ma.MaskedArray, np.ma.MaskedArray]:
    """Noise of the sky from differences, and what is predicted."""
    upper, lower = (
        frame[11:501:2],
        frame[10:500:2],
    )  # the last rows were not exposed
    difference = clipped((upper.data - lower.data) / np.sqrt(2))
    return difference - difference.mean(), np.ma.array(
        (upper.variance + lower.variance) / 2, mask=difference.mask
    )


overscan = clipped(raw[:, 3:13].data * gain.value)  # BIASSEC
read_noise = (
    float(np.sqrt(np.var(overscan) - gain.value**2 / 12)) * u.electron
)
better = ac.Detector(
    gain=gain, read_noise=read_noise, saturation=65000 * u.adu
)
again = ac.calibrate(raw, better, **sections)
for says, detector, frame in (
    ("header", camera, image),
    ("overscan", better, again),
):
    errors, variance = sky_noise(frame)
    predicted, observed = np.sqrt(variance.mean()), errors.std()
    noise = detector.amplifiers[0].read_noise
    print(
        f"read noise of the {says}, {noise:.2f}: "
        f"sky predicted {predicted:.2f} e, observed {observed:.2f} e"
    )

# %%
# A night
# -------
#
# The demo on the command line, ``astro-calib demo``, does the same with a larger camera: it writes the raw frames of a
# night and reduces them. `~astro_calib.reduce_night` finds out what each file is, makes the masters, calibrates the
# science frames, and measures their stars. Here are the files that it writes, but for the pictures, and what it says;
# ``print(summary)`` is the text of ``summary.txt``.

instrument = ac.simulate.camera((256, 256), seed=13, filters=["V"])
with tempfile.TemporaryDirectory() as directory:
    night = ac.simulate.night(
        Path(directory, "raw"),
        seed=13,
        camera=instrument,
        darks=5,
        science=1,
    )
    summary = ac.reduce_night(
        night.directory,
        Path(directory, "reduced"),
        pictures=False,
        progress=False,
    )
    files = [
        path.relative_to(summary.out)
        for path in sorted(summary.out.rglob("*"))
        if path.is_file()
    ]
    bias, dark, flat = (
        ac.CCDFrame.read(master.path) for master in summary.masters
    )
    (raw_path,) = night.paths("science")
    (result,) = summary.frames
    raw_science, science = (
        ac.CCDFrame.read(raw_path),
        ac.CCDFrame.read(result.path),
    )
    stars = Table.read(result.table)
print(*files, sep="\n")

overview = Table(
    rows=[
        ("exposure (s)", result.exposure_time),
        ("sky (e)", result.sky.level),
        ("noise of the sky / predicted", result.sky.ratio),
        ("stars measured", result.stars),
        ("median SNR before", result.snr_empirical_before),
        ("median SNR after", result.snr_empirical_after),
    ],
    names=(result.path.name, "value"),
)
overview["value"].format = ".4g"
overview

# %%
# The signal-to-noise ratio (SNR) is the flux over the scatter of empty apertures, which see the pattern that the
# calibration takes out. It rises, although the masters bring noise in.

panels = show(
    raw_science,
    science,
    "A simulated science frame, and the stars found in it",
)
panels[1].plot(
    stars["x"],
    stars["y"],
    "o",
    markersize=9,
    markerfacecolor="none",
    color="#E69F00",
)
plt.show()

# %%
# Predicted and observed
# ----------------------
#
# Of the real frame: the noise of the last eight columns, an overscan as well, as predicted from that of the first; and
# that of its sky. The standard errors have those of the read noise in them. What the gain is off from the header's is
# not known, nor how much the pixels differ in sensitivity, for which a flat would be needed.
#
# Of the night: the error in pixels of the sky and of the masters against the truth, without hot pixels and cosmic rays.

last = clipped(raw[:, 528:].data * gain.value)
sky_errors, sky_variance = sky_noise(again)
cases = {
    "SAAO: overscan of the last columns, e": (
        last - last.mean(),
        np.var(overscan),
    ),
    "SAAO: sky, e": (sky_errors, sky_variance),
}
truth = night.truths[raw_path]
cool = instrument.dark_rate < 3
sky = cool & ~truth.cosmic_ray_mask & (truth.star_rate < 1)
for name, frame, expected, good in (
    (
        "master bias",
        bias,
        instrument.bias_structure * instrument.gain,
        cool,
    ),
    ("master dark", dark, instrument.dark_rate * 120, cool),
    (
        "master flat",
        flat,
        instrument.sensitivity["V"] * np.mean(flat.data),
        cool,
    ),
    (
        "sky",
        science,
        (truth.sky_rate + truth.star_rate) * truth.exposure_time,
        sky,
    ),
):
    used = good if frame.mask is None else good & ~frame.mask
    errors = (frame.data - expected)[used]
    cases[f"night: {name}, e"] = (
        errors - errors.mean(),
        frame.variance[used],
    )
comparison = compare_noise(cases)
share = np.array(
    [1, read_noise.value**2 / sky_variance.mean()]
)  # of the variance, known from the overscan only
comparison["standard error"][:2] = np.hypot(
    comparison["standard error"][:2], share / np.sqrt(2 * overscan.count())
)
comparison

# sphinx_gallery_thumbnail_number = 2
