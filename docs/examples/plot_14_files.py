"""
ASDF and FITS: what a file keeps
================================

An error bar that forgets its origin when it is written to a file is wrong from the next morning on: the frames of a
night share the noise of their masters, and a stack made from files has to know it. A file written here keeps the
sources of noise, knows its masters by identity and not by name, and tells how the frame was made.
"""

# %%
# One evening: masters and frames go to files
# -------------------------------------------
#
# A master of 4 biases, which is poor on purpose, and 16 frames of a faint sky. All that remains at the end of the
# function is on disk. `astro_calib.masters.provenance.record` notes what was done; ``astro-calib reduce`` does so by
# itself.

from __future__ import annotations

import gc
import tempfile
import textwrap
import tracemalloc
import warnings
from pathlib import Path

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.table import Table

import astro_calib as ac
from astro_calib.errors import NoiseWarning
from astro_calib.masters.provenance import record
from astro_calib.validation import compare_noise

SHAPE = (300, 300)
SKY = 50.0
NUMBER = 16
detector = ac.Detector(
    gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron
)
camera = ac.simulate.Camera(
    shape=SHAPE,
    detector=detector,
    bias_structure=ac.simulate.bias(SHAPE, 0, structure=3),
)
night = tempfile.TemporaryDirectory()
directory = Path(night.name)
(directory / "masters").mkdir()


def evening(rng: np.random.Generator) -> None:
    """Take frames, calibrate them, and write them."""
    level = {"pedestal": camera.bias_level}
    raw = [camera.expose("bias", 0, rng=rng)[0] for _ in range(4)]
    bias = ac.combine(
        [
            ac.calibrate(frame, detector, **level, shot_noise=0)
            for frame in raw
        ]
    )
    record(
        bias, "combine", parameters={"method": "mean", "number": len(raw)}
    )
    bias.write(directory / "masters" / "bias.fits")
    for number in range(NUMBER):
        raw, _ = camera.expose(
            "science", 10, rng=rng, filter="V", sky=SKY / 10
        )
        frame = ac.calibrate(raw, detector, **level, bias=bias)
        record(frame, "calibrate", masters={"bias": bias}, parameters=level)
        frame.write(directory / f"sky-{number:02d}.fits")
        frame.write(directory / f"sky-{number:02d}.asdf")


evening(np.random.default_rng(14))

# %%
# What is in a file
# -----------------
#
# Data, variance, and the mask if there is one, are where `~astropy.nddata.CCDData` expects them, and any FITS viewer
# shows them. ``BUDGET`` names the sources of noise; that of the master is not repeated, but referred to. The shot noise
# takes no place at all: it is what the other sources leave of the variance.

first = directory / "sky-00.fits"
with fits.open(first) as extensions:
    contents = [
        (extension.name, str(extension.shape), extension.size / 1000)
        for extension in extensions
    ]
contents = Table(rows=contents, names=("extension", "shape", "size (kB)"))
contents["size (kB)"].format = ".1f"
contents

# %%
# ASDF holds the same, as a tree that a text editor shows, with the arrays behind it. Either is compressed without loss
# on request.

frame, same = (
    ac.CCDFrame.read(first),
    ac.CCDFrame.read(first.with_suffix(".asdf")),
)
print("CCDData reads:", type(CCDData.read(first).uncertainty).__name__)
print("CCDFrame reads:", ", ".join(frame.budget.names))
print(
    "FITS and ASDF have the same pixels:",
    np.array_equal(frame.data, same.data),
)
print(
    "and the same noise, which cancels:", not (frame - same).variance.any()
)
frame.write(directory / "compressed.fits.fz")
frame.write(directory / "compressed.asdf", compression="zlib")

sizes = {
    "data, variance, flags": (
        frame.data.nbytes + frame.variance.nbytes + frame.flags.nbytes
    )
    / 1000,
    "FITS": first.stat().st_size / 1000,
    "ASDF": first.with_suffix(".asdf").stat().st_size / 1000,
    "FITS, tiles compressed (.fz)": (directory / "compressed.fits.fz")
    .stat()
    .st_size
    / 1000,
    "ASDF, zlib": (directory / "compressed.asdf").stat().st_size / 1000,
}
figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
bars = axes.barh(
    list(sizes), list(sizes.values()), color=["0.6", *["#0072B2"] * 4]
)
axes.bar_label(bars, fmt="%.0f", padding=3)
axes.invert_yaxis()
axes.margins(x=0.1)
axes.set_xlabel(f"kB, for a frame of {SHAPE[0]} x {SHAPE[1]} pixels")
axes.set_title("The sources of noise take next to no place")
plt.show()

# %%
# Lazily
# ------
#
# With ``memmap=True`` the arrays of an uncompressed ASDF file stay on disk until their pixels are asked for.

for memmap in (False, True):
    tracemalloc.start()
    lazy = ac.CCDFrame.read(directory / "sky-01.asdf", memmap=memmap)
    print(
        f"memmap={memmap}: "
        f"{tracemalloc.get_traced_memory()[0] / 1000:.0f} kB in memory"
    )
    tracemalloc.stop()

# %%
# How it was made
# ---------------
#
# The header tells it in words under HISTORY, and `~astro_calib.CCDFrame.provenance` as a tree.

for step in frame.provenance:
    print(f"{step['step']}, with {step['parameters']}")
    for master in step["masters"]:
        print(
            f"  {master['kind']}: {master['file']}, {master['identity']}, "
            f"checksum {master['checksum']}"
        )
print(*fits.getheader(first)["BIAS*"].cards, sep="\n")

# %%
# The next morning
# ----------------
#
# Somebody has moved the masters and given them other names. Data and variance of a frame are in its own file, and no
# worse for it. But that the frames have a noise in common cannot be used any more, and each of them says so:

del frame, same, lazy
gc.collect()  # a master that is still in memory would be found there
(directory / "masters").rename(directory / "archive")
(directory / "archive" / "bias.fits").rename(
    directory / "archive" / "2024-05-13-zero.fits"
)
paths = sorted(directory.glob("sky-*.fits"))
with warnings.catch_warnings(
    record=True, category=NoiseWarning, action="always"
) as caught:
    without_master = [ac.CCDFrame.read(path) for path in paths]
print(
    f"{len(caught)} warnings; the first:",
    *textwrap.wrap(str(caught[0].message), 60),
    sep="\n",
)

# %%
# Told where to look, the master is found by its identity, whatever it is called. Its noise then does not average down
# in the stack, as it does not in truth.

frames = [
    ac.CCDFrame.read(path, masters=directory / "archive") for path in paths
]


def observed(stack: ac.CCDFrame) -> float:
    """Root mean square of the error made, in electrons."""
    return float(np.sqrt(np.mean((stack.data - SKY) ** 2, dtype=float)))


def predicted(stack: ac.CCDFrame) -> float:
    """What the budget says it is."""
    return float(np.sqrt(np.mean(stack.variance, dtype=float)))


numbers = [1, 2, 3, 4, 6, 8, 12, 16]
stacks = [ac.combine(frames[:number]) for number in numbers]
forgetful = [ac.combine(without_master[:number]) for number in numbers]
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
axes.plot(
    numbers,
    [observed(stack) for stack in stacks],
    "o",
    color="black",
    label="observed",
)
axes.plot(
    numbers,
    [predicted(stack) for stack in stacks],
    color="#0072B2",
    label="predicted, master found",
)
axes.plot(
    numbers,
    [predicted(stack) for stack in forgetful],
    "--",
    color="#D55E00",
    label="predicted, master missing",
)
axes.set_ylim(0, None)
axes.set_xlabel("number of frames in the stack")
axes.set_ylabel("noise of the stack (electrons)")
axes.set_title(
    "A stack made from files knows the noise that its frames share"
)
axes.legend()
plt.show()

# %%
# Predicted and observed
# ----------------------
#
# All from files. The noise of the master is in the stack; it cancels in the difference of two halves of the night, and
# in a frame less the stack, which holds a sixteenth of that very frame.

halves = ac.combine(frames[:8]) - ac.combine(frames[8:])
cases = {
    "one frame, e": (frames[0], SKY),
    "mean of 16, e": (stacks[-1], SKY),
    "mean of 8 less mean of the other 8, e": (halves, 0),
    "one frame less the mean of 16, e": (frames[0] - stacks[-1], 0),
}
comparison = compare_noise(
    {
        quantity: (frame.data - truth, frame.variance)
        for quantity, (frame, truth) in cases.items()
    }
)
night.cleanup()
comparison
