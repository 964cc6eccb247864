"""
Linearity and saturation
========================

Twice the light should give twice the signal. No detector does so up to the end: towards a full well a pixel answers
less and less, and at last not at all. As far as the response is known it can be corrected, and the noise with it, which
the detector has compressed, too. What is not known exactly of the correction is an error that all pixels share. And a
saturated pixel holds no measurement.
"""

# %%
# The detector of this page lacks 5 % of the signal at 50000 adu, and ends at 60000. Its user has measured the
# correction
#
# .. math:: f(x) = x\,(1 + a_1 x + a_2 x^2)
#
# of a signal x above the bias, up to 50000 adu, and knows each coefficient to 10 %. What was found is not quite the
# truth.

from __future__ import annotations

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np

import astro_calib as ac
from astro_calib.validation import compare_noise

GAIN, BIAS, LIMIT = 1.5, 1000, 50000 * u.adu
COEFFICIENTS = np.array([5e-7, 1e-11])
SIGMAS = 0.1 * COEFFICIENTS
rng = np.random.default_rng(9)


def detector(linearity: ac.Linearity | None) -> ac.Detector:
    """The detector, with that correction."""
    return ac.Detector(
        gain=GAIN * u.electron / u.adu,
        read_noise=8 * u.electron,
        saturation=60000 * u.adu,
        linearity=linearity,
    )


def measured_polynomial() -> ac.LinearityPolynomial:
    """What a user may find: coefficients that are off by their errors."""
    found = COEFFICIENTS + SIGMAS * rng.standard_normal(2)
    return ac.LinearityPolynomial(found, limit=LIMIT, uncertainties=SIGMAS)


truth = ac.LinearityPolynomial(COEFFICIENTS, limit=LIMIT)
known = detector(measured_polynomial())

# %%
# Before and after the correction
# -------------------------------
#
# Flats whose light rises from left to right, beyond saturation. `~astro_calib.calibrate` corrects the linearity if the
# detector has one, by `~astro_calib.correct_linearity`, at its place in the order of steps: after the bias, which is no
# signal, and before the dark, whose electrons were collected like all others.

light = np.broadcast_to(np.linspace(500, 100000, 600), (400, 600))
camera = ac.simulate.Camera(
    shape=light.shape, detector=detector(truth), bias_level=BIAS
)
raws = [
    camera.expose("flat", 1, filter="V", sky=light, rng=rng)[0]
    for _ in range(2)
]
before = [ac.calibrate(raw, detector(None), pedestal=BIAS) for raw in raws]
after = [ac.calibrate(raw, known, pedestal=BIAS) for raw in raws]


def first_column(flag: ac.DataQuality) -> float:
    """The light at which half of the pixels are flagged, in 1000 e."""
    return (
        light[0, ((after[0].flags & flag) != 0).mean(axis=0) > 0.5].min()
        / 1000
    )


nonlinear, saturated = (
    first_column(flag)
    for flag in (ac.DataQuality.NONLINEAR, ac.DataQuality.SATURATED)
)
signal = light[0] / 1000
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
band = (
    100
    * np.sqrt(
        np.broadcast_to(
            after[0].budget.variances()["linearity"], light.shape
        )[0]
    )
    / light[0]
)
axes.fill_between(
    signal,
    -band,
    band,
    color="#56b4e9",
    alpha=0.4,
    label="predicted error of the correction",
)
for label, frames, color in (
    ("not corrected", before, "#d55e00"),
    ("corrected", after, "#0072b2"),
):
    axes.plot(
        signal,
        100 * (frames[0].data.mean(axis=0) / light[0] - 1),
        color=color,
        label=label,
    )
axes.axvspan(
    nonlinear,
    saturated,
    color="0.9",
    zorder=0,
    label="flag NONLINEAR: above the known range",
)
axes.axvspan(
    saturated,
    signal[-1],
    color="0.7",
    zorder=0,
    label="flag SATURATED, and masked",
)
axes.set_ylim(-8, 2)
axes.set_xlabel("light (1000 electrons)")
axes.set_ylabel("mean of a column less the truth (%)")
axes.set_title("The correction is off by what its error says")
axes.legend(loc="lower left")
plt.show()

# %%
# Above the known range the correction goes on as a straight line, and the flag ``NONLINEAR`` says so: this camera does
# the same, a real one need not. A pixel at the saturation level is flagged ``SATURATED`` before anything is subtracted,
# and masked: what it holds is a lower limit, for which no error could be right.
#
# The noise is compressed, too
# ----------------------------
#
# Shot noise arises before the response flattens. Where the slope :math:`f'(x)` is 1.1, a measured frame has a tenth
# less of it than its electrons should give, which misleads whoever measures the gain from it. The correction multiplies
# each deviation by :math:`f'(x)`: shot noise becomes that of the corrected signal, as it should, and read noise, which
# came after, becomes more than it was. Half the variance of the difference of two flats shows it; what is common to
# both, such as the error of the correction, drops out.

figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
pairs = {"not corrected": before, "corrected": after}
for (label, (first, second)), color in zip(
    pairs.items(), ("#d55e00", "#0072b2"), strict=True
):
    difference = first - second
    axes.plot(
        signal,
        difference.variance.mean(axis=0) / 2000,
        color=color,
        label=f"{label}: predicted",
    )
    by_ten = (
        np.var(difference.data, axis=0).reshape(-1, 10).mean(axis=1) / 2000
    )
    axes.plot(
        signal.reshape(-1, 10).mean(axis=1),
        by_ten,
        ".",
        color=color,
        label=f"{label}: observed",
    )
axes.set_xlim(0, nonlinear)
axes.set_ylim(0, nonlinear * 1.1)
axes.set_xlabel("light (1000 electrons)")
axes.set_ylabel("variance of a pixel (1000 electrons squared)")
axes.set_title("A response that flattens takes noise away")
axes.legend()
plt.show()

# %%
# The error that all pixels share
# -------------------------------
#
# The error of the correction does not average down, neither over pixels nor over frames, because one correction is used
# for all. In the mean of 2500 pixels it is all that is left. `~astro_calib.LinearityTable` is for a correction that was
# measured at some signals, each with its error. Here many users measure the correction, by polynomial or table, and
# correct a flat of their own with it.

LEVEL = 45000.0
nodes = np.array([15000.0, 30000.0, LEVEL, 50000.0])
small = ac.simulate.Camera(
    shape=(50, 50), detector=detector(truth), bias_level=BIAS
)
collected = float(truth.correct(np.array(LEVEL))) * GAIN


def measured_table() -> ac.LinearityTable:
    """What a user may find: values that are off by 150 adu."""
    found = truth.correct(nodes) + 150 * rng.standard_normal(nodes.size)
    return ac.LinearityTable(
        nodes * u.adu, found * u.adu, np.full(nodes.size, 150) * u.adu
    )


def mean_of_flat(linearity: ac.Linearity) -> tuple[float, float]:
    """The error of the mean of a flat (%), and its predicted variance."""
    raw, _ = small.expose("flat", 1, filter="V", sky=collected, rng=rng)
    flat = ac.calibrate(raw, detector(linearity), pedestal=BIAS)
    weights = np.full(flat.shape, 100 / collected / flat.size)
    return np.sum(weights * flat.data) - 100, flat.budget.variance_of_sum(
        weights
    )


means = {
    "by polynomial": [
        mean_of_flat(measured_polynomial()) for _ in range(300)
    ],
    "by table": [mean_of_flat(measured_table()) for _ in range(300)],
}

# %%
# Predicted and observed
# ----------------------
#
# The difference of the two corrected flats, at columns around three levels; without a correction the prediction does
# not hold, as the figure shows. Then the means of flats, over users.

difference = after[0] - after[1]
cases = {}
for level in (15, 40, 70):
    columns = np.abs(signal - level) < 3
    name = f"difference of flats, {level} x 1000 e (e)"
    cases[name] = (
        difference.data[:, columns],
        difference.variance[:, columns],
    )
for how, results in means.items():
    cases[f"mean of 2500 pixels, corrected {how} (%)"] = tuple(
        np.transpose(results)
    )
comparison = compare_noise(cases)
comparison
