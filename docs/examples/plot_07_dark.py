"""
Darks: scaled and not
=====================

Electrons gather in a pixel in the dark as well, in hot pixels many of them. They can be subtracted in two ways: with
darks of the same exposure time as the frame, in which case the bias needs no thought, or with darks of any exposure
time, which are scaled once their bias is off. This page compares the noise of both, and shows where the noise of the
bias goes: it comes in twice, with opposite signs.
"""

# %%
# The frame is exposed for 300 s. One pixel in 200 is hot; the others collect 0.05 e/s.

from __future__ import annotations

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.visualization import AsymmetricPercentileInterval

import astro_calib as ac
from astro_calib.validation import compare_noise

SHAPE = (400, 400)
#: Exposure time (s), dark current of an ordinary pixel and light of the
#: sky (e/s), and electrons of the sky.
TIME, RATE, SKY = 300.0, 0.05, 0.05
SIGNAL = SKY * TIME
rng = np.random.default_rng(7)
detector = ac.Detector(
    gain=1.5 * u.electron / u.adu, read_noise=10 * u.electron
)
camera = ac.simulate.Camera(
    shape=SHAPE,
    detector=detector,
    bias_structure=ac.simulate.bias(SHAPE, 0, structure=5, rng=1),
    dark_rate=ac.simulate.dark_current(
        SHAPE, RATE, hot_pixels=0.005, hot_rates=(0.3, 10), rng=2
    ),
    overscan_columns=32,
)
ordinary = camera.dark_rate < 2 * RATE


def take(kind: str, seconds: float) -> ac.CCDFrame:
    """A raw frame; the shutter of a science frame opens to a dark sky."""
    light = {"filter": "V", "sky": SKY} if kind == "science" else {}
    return camera.expose(kind, seconds, rng=rng, **light)[0]


def calibrated(raw: ac.CCDFrame, **options: object) -> ac.CCDFrame:
    """The frame in electrons, less its overscan."""
    return ac.calibrate(
        raw,
        detector,
        overscan=raw.meta["BIASSEC"],
        trim=raw.meta["TRIMSEC"],
        **options,
    )


raw = take("science", TIME)
bias = calibrated(take("bias", 0), shot_noise=0)

# %%
# A dark of equal exposure
# ------------------------
#
# The simplest way: a dark of 300 s with its bias left in, less which a frame has lost its bias and its dark current at
# once. Subtracting the bias from both first gives the same picture, for the bias is added to one and taken from the
# other: :math:`(r - B) - (D - B) = r - D`. Its noise drops out, and the error shows it: there is no term of that name.

raw_dark = take("dark", TIME)
left_in = calibrated(raw, dark=calibrated(raw_dark))
equal = calibrated(raw, bias=bias, dark=calibrated(raw_dark, bias=bias))


def terms(frame: ac.CCDFrame) -> str:
    """What the error of ordinary pixels is made of, in electrons."""
    parts = {
        name: np.broadcast_to(value, SHAPE)[ordinary]
        for name, value in frame.budget.variances().items()
    }
    return ", ".join(
        f"{name} {np.sqrt(value.mean()):.2f}"
        for name, value in parts.items()
    )


print(
    f"largest difference of the two: "
    f"{np.abs(left_in.data - equal.data).max():.1g} e"
)
for label, frame in (("bias left in", left_in), ("bias subtracted", equal)):
    print(
        f"{label}: {np.sqrt(frame.variance[ordinary].mean()):.2f} e "
        f"({terms(frame)})"
    )

# %%
# The error is a little larger where the bias is left in: its pattern counts as collected electrons, which would have
# shot noise. That is the one reason to subtract it, where exposure times are equal.
#
# A scaled dark
# -------------
#
# A dark of 900 s serves a frame of 300 s, too, at a third of its dark current. Its bias must be off, because that does
# not grow with time: a dark that is scaled with the bias left in leaves two thirds of the pattern in the picture.

long_dark = take("dark", 900)
scaled = calibrated(raw, bias=bias, dark=calibrated(long_dark, bias=bias))
wrong = calibrated(raw, dark=calibrated(long_dark))

figure, axes = plt.subplots(
    1, 3, figsize=(8, 3.6), layout="constrained", sharey=True
)
cut = (slice(0, 60), slice(0, 60))
pictures = (calibrated(raw, bias=bias), scaled, wrong)
titles = (
    "bias subtracted:\nhot pixels stay",
    "bias and scaled dark\nsubtracted",
    "dark scaled with\nbias left in: stripes",
)
low, high = AsymmetricPercentileInterval(1, 99.5).get_limits(
    pictures[0].data
)
for ax, frame, title in zip(axes, pictures, titles, strict=True):
    image = ax.imshow(
        frame.data[cut], origin="lower", cmap="gray", vmin=low, vmax=high
    )
    ax.set_title(title, fontsize="medium")
    ax.set_xlabel("column")
axes[0].set_ylabel("row")
figure.colorbar(image, ax=axes, label="electron", shrink=0.7)
plt.show()

# %%
# Where the noise of the bias goes
# --------------------------------
#
# In :math:`z = r - B - (t/t_d)\,(D - B)` the bias has the coefficient :math:`t/t_d - 1`, so that
#
# .. math:: \sigma^2 = \sigma_r^2 + (t/t_d)^2\,\sigma_D^2 + (t/t_d - 1)^2\,\sigma_B^2 .
#
# Adding up the errors of the four frames in quadrature, as if there were two biases, gives
# :math:`[1 + (t/t_d)^2]\,\sigma_B^2` for the last term: always too much, and at equal exposures twice
# :math:`\sigma_B^2` where there is nothing.

times = [100, 150, 200, 300, 450, 600, 900, 1800]
images = {
    time: calibrated(
        raw, bias=bias, dark=calibrated(take("dark", time), bias=bias)
    )
    for time in times
}
for time in (100, 300, 900):
    print(f"dark of {time} s: {terms(images[time])}")


def noise(
    frame: ac.CCDFrame, truth: float | np.ndarray
) -> tuple[float, float]:
    """The predicted error of ordinary pixels, and the true one."""
    squares = np.square(frame.data - truth, dtype=float)
    return np.sqrt(frame.variance[ordinary].mean(dtype=float)), np.sqrt(
        squares[ordinary].mean()
    )


ratio = TIME / np.geomspace(90, 2000, 200)
of_bias = detector.read_noise.value**2 + detector.gain.value**2 / 12
common = (
    of_bias
    + SIGNAL
    + RATE * TIME
    + ratio**2 * (of_bias + RATE * TIME / ratio)
)
points = np.array([noise(image, SIGNAL) for image in images.values()])
ratios = TIME / np.array(times)

figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
in_quadrature = np.sqrt(common + (1 + ratio**2) * of_bias)
axes.plot(
    ratio,
    in_quadrature,
    color="#d55e00",
    linestyle="--",
    label="all in quadrature",
)
axes.plot(
    ratio,
    np.sqrt(common + (ratio - 1) ** 2 * of_bias),
    color="#0072b2",
    label="formula",
)
axes.plot(
    ratios,
    points[:, 0],
    "s",
    mfc="none",
    color="#0072b2",
    label="predicted by the budget",
)
axes.plot(ratios, points[:, 1], "k.", label="observed")
axes.set_xscale("log")
axes.set_xticks(ratios, [f"{value:.2g}" for value in ratios])
axes.minorticks_off()
axes.set_xlabel("exposure of the frame / exposure of the dark")
axes.set_ylabel("noise of the result (electron)")
axes.set_title("One frame, one bias, one dark: the bias partly cancels")
axes.legend()
plt.show()

# %%
# Which is better when
# --------------------
#
# Say there are 40 minutes for darks, and nine biases. Shall it be N = 8 darks of 300 s, one of 2400 s, or 40 of 60 s?
# What is subtracted is :math:`B + x\,(D - B)` with :math:`x = t/t_d`. Its read noise is
#
# .. math:: R\,\sqrt{x/N + (x - 1)^2/N_B} ,
#
# because longer darks are read less often, but let the biases in. It is least at :math:`x = 1 - N_B/(2N) = 0.44`, for
# darks of some 700 s; with :math:`N_B \geq 2N` biases, the longer the darks, the better. Short darks that are scaled up
# are always worse.

master_bias = ac.combine(
    [calibrated(take("bias", 0), shot_noise=0) for _ in range(9)]
)
truth = camera.gain * camera.bias_structure + camera.dark_rate * TIME
for time in (60, 150, 300, 600, 1200, 2400):
    number = 2400 // time
    dark = ac.combine(
        [
            calibrated(take("dark", time), bias=master_bias)
            for _ in range(number)
        ]
    )
    predicted, observed = noise(master_bias + dark * (TIME / time), truth)
    print(
        f"{number:2d} x {time:4d} s: predicted {predicted:5.2f} e, "
        f"observed {observed:5.2f} e"
    )

# %%
# So: darks that are longer than the frame have less read noise, the more so the more biases there are, and one set of
# them serves all exposure times, those of flats among them. Darks of the frame's own time need no bias. And a long dark
# has its own troubles, which no formula shows: more cosmic rays, and hot pixels that saturate.
#
# Predicted and observed
# ----------------------
#
# Errors against the truth, with one bias and one dark. The mean of a hot pixel can be subtracted, but its shot noise
# stays, that of the frame and that of the dark.

comparison = compare_noise(
    {
        f"{which} pixels, dark of {time} s (e)": (
            images[time].data[pixels] - SIGNAL,
            images[time].variance[pixels],
        )
        for time in (100, 300, 900)
        for which, pixels in (("ordinary", ordinary), ("hot", ~ordinary))
    }
)
comparison

# sphinx_gallery_thumbnail_number = 2
