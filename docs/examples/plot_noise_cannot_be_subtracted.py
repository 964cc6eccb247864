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
from astropy.stats import mad_std

import astro_calib as ac

SHAPE = (2000, 2000)
rng = np.random.default_rng(1)
detector = ac.Detector(gain=1 * u.electron / u.adu, read_noise=700 * u.electron)
camera = ac.simulate.Camera(shape=SHAPE, detector=detector, bias_level=1100, dark_rate=np.full(SHAPE, 0.1))
stars = ac.simulate.random_stars(SHAPE, 50, rng, flux_range=(5e3, 1e5))


def expose(kind: str, seconds: float) -> ac.CCDFrame:
    """A raw frame in adu, of floating-point numbers."""
    light = {"filter": "V", "stars": stars} if kind == "science" else {}
    frame, _ = camera.expose(kind, seconds * u.s, rng=rng, integer=False, **light)
    return frame


def take_bias() -> ac.CCDFrame:
    """A bias in electrons; it has collected nothing, and has no shot noise."""
    return ac.calibrate(expose("bias", 0), detector, pedestal=0, shot_noise=0)


# %%
# Subtracting noise from noise
# ----------------------------

noise, other_noise = take_bias(), take_bias()
worse = noise - other_noise
print(f"one noise image:     {mad_std(noise.data):6.1f} e, predicted {np.sqrt(np.median(noise.variance)):6.1f} e")
print(f"less a second one:   {mad_std(worse.data):6.1f} e, predicted {np.sqrt(np.median(worse.variance)):6.1f} e")

# %%
# Subtracting a pattern
# ---------------------
#
# A science frame of 30 s, a dark of 60 s, and one bias that is subtracted from both. The bias enters twice, with
# opposite signs: once in the science frame, and half of it through the scaled dark. Its noise in the result is
# :math:`(t/t_d - 1)\,\sigma_B`, so that the sum is :math:`\sqrt{1 + 1/4 + 1/4}\; 700 = 857` e. Adding up the three in
# quadrature, as if the two biases were independent, gives 1107 e.

bias = take_bias()
dark = ac.calibrate(expose("dark", 60), detector, bias=bias)
raw = expose("science", 30)
before = ac.calibrate(raw, detector, pedestal=1100)
after = ac.calibrate(raw, detector, bias=bias, dark=dark)


def scatter(frame: ac.CCDFrame) -> float:
    """1.4826 times the median absolute deviation, which the few pixels with stars hardly touch."""
    return float(mad_std(frame.data))


for label, frame in (("raw", before), ("less bias and dark", after)):
    predicted = np.sqrt(np.median(frame.variance))
    print(f"{label:20s} {scatter(frame):6.1f} e, predicted {predicted:6.1f} e")

# %%
# With means of 25 biases and 25 darks the noise of the masters is all but gone: 707 e.

master_bias = ac.combine([take_bias() for _ in range(25)])
master_dark = ac.combine([ac.calibrate(expose("dark", 60), detector, bias=master_bias) for _ in range(25)])
best = ac.calibrate(raw, detector, bias=master_bias, dark=master_dark)
print(f"with masters of 25:  {scatter(best):6.1f} e, predicted {np.sqrt(np.median(best.variance)):6.1f} e")

# %%
# The histograms, with the predicted widths drawn over them.

figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
bins = np.arange(-4000, 5000, 50.0)
for label, frame in (("raw, less 1100 e", before), ("one bias, one dark", after), ("masters of 25", best)):
    values = frame.data.ravel() - np.median(frame.data)
    sigma = float(np.sqrt(np.median(frame.variance)))
    _, _, patches = axes.hist(values, bins, histtype="step", linewidth=1.5, label=f"{label}: {scatter(frame):.0f} e")
    gaussian = values.size * 50 / sigma / np.sqrt(2 * np.pi) * np.exp(-0.5 * (bins / sigma) ** 2)
    axes.plot(bins, gaussian, linestyle=":", color=patches[0].get_edgecolor(), label=f"predicted {sigma:.0f} e")
axes.set_yscale("log")
axes.set_ylim(1, None)
axes.set_xlabel("electrons less the median")
axes.set_ylabel("pixels")
axes.legend()
plt.show()
