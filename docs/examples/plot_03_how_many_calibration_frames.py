"""
Why one takes many calibration frames
=====================================

Every bias, dark and flat brings its own noise into the frame that it calibrates. The mean of N of them brings
:math:`\\sqrt{N}` times less. How many are enough depends on what is observed: for a faint object in a narrow band it is
the darks that matter, for a bright one the flats. The uncertainty budget tells, before the night is over.
"""

# %%
# Two frames and their calibration
# --------------------------------
#
# A faint frame of 600 s in a narrow band, with darks of only 300 s, and a bright one of 60 s. There are 32 frames of
# each kind for calibration. The scene is an empty sky, so that all that is seen is noise.

from __future__ import annotations

from functools import cache

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

import astro_calib as ac
from astro_calib.validation import compare_noise

SHAPE = (300, 300)
MOST = 32
rng = np.random.default_rng(3)
detector = ac.Detector(
    gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron
)
camera = ac.simulate.Camera(
    shape=SHAPE,
    detector=detector,
    bias_structure=ac.simulate.bias(SHAPE, 0, structure=3),
    dark_rate=0.1,
    sensitivity={"V": ac.simulate.sensitivity_variations(SHAPE)},
)
faint, faint_truth = camera.expose(
    "science", 600, filter="V", sky=0.1, rng=rng
)
bright, bright_truth = camera.expose(
    "science", 60, filter="V", sky=300, rng=rng
)
biases = [camera.expose("bias", 0, rng=rng)[0] for _ in range(MOST)]
darks = [camera.expose("dark", 300, rng=rng)[0] for _ in range(MOST)]
flats = [
    camera.expose("flat", 5, filter="V", sky=4000, rng=rng)[0]
    for _ in range(MOST)
]


@cache
def master_bias(n_biases: int) -> ac.CCDFrame:
    """The mean of the first so many biases."""
    return ac.combine(
        [
            ac.calibrate(one, detector, pedestal=0, shot_noise=0)
            for one in biases[:n_biases]
        ]
    )


@cache
def master_dark(n_biases: int, n_darks: int) -> ac.CCDFrame:
    """The mean of the first so many darks, less that bias."""
    return ac.combine(
        [
            ac.calibrate(one, detector, bias=master_bias(n_biases))
            for one in darks[:n_darks]
        ]
    )


def calibrated(
    raw: ac.CCDFrame,
    *,
    n_biases: int = MOST,
    n_darks: int = MOST,
    n_flats: int = MOST,
) -> ac.CCDFrame:
    """A frame calibrated with masters of so many frames of each kind."""
    masters = {
        "bias": master_bias(n_biases),
        "dark": master_dark(n_biases, n_darks),
    }
    flat = ac.combine(
        [ac.calibrate(one, detector, **masters) for one in flats[:n_flats]]
    )
    return ac.calibrate(raw, detector, **masters, flat=flat)


# %%
# Fewer frames of one kind
# ------------------------
#
# The number of one kind of frame is varied, with the full number of the others. For the root mean square over all
# pixels, predicted is the budget's variance, and observed the difference from what the simulation put in.
#
# The exposure time of the faint frame is twice that of the darks: whatever noise a dark has enters twice as large. The
# bias is subtracted once from the frame, and comes back twice with the dark, so that its coefficient is
# :math:`t/t_d - 1 = 1`. Had the darks been as long as the frame, the biases would not matter at all.

NUMBERS = (1, 2, 4, 8, 16, 32)
faint_sky = faint_truth.sky_rate * faint_truth.exposure_time
bright_sky = bright_truth.sky_rate * bright_truth.exposure_time
cases = {
    "biases": ("faint frame", faint, faint_sky),
    "darks": ("faint frame", faint, faint_sky),
    "flats": ("bright frame", bright, bright_sky),
}
images = {
    kind: [
        calibrated(cases[kind][1], **{f"n_{kind}": number})
        for number in NUMBERS
    ]
    for kind in cases
}
predicted = {
    kind: [
        np.sqrt(image.variance.mean(dtype=float)) for image in images[kind]
    ]
    for kind in cases
}
observed = {
    kind: [
        np.sqrt(np.mean((image.data - cases[kind][2]) ** 2))
        for image in images[kind]
    ]
    for kind in cases
}

figure, panels = plt.subplots(1, 2, figsize=(8, 4.5), layout="constrained")
for panel, title, kinds in (
    (panels[0], "faint frame", ("biases", "darks")),
    (panels[1], "bright frame", ("flats",)),
):
    for kind, color, marker in zip(
        kinds, ("#0072B2", "#D55E00"), "os", strict=False
    ):
        panel.plot(
            NUMBERS,
            predicted[kind],
            color=color,
            label=f"{kind}, predicted",
        )
        panel.plot(
            NUMBERS,
            observed[kind],
            marker,
            color=color,
            label=f"{kind}, observed",
        )
    variances = images[kinds[0]][-1].budget.variances()
    alone = np.sqrt(
        np.mean(variances["shot noise"] + variances["read noise"])
    )
    panel.axhline(
        alone, color="black", linestyle="--", label="the frame's own noise"
    )
    panel.set(
        title=title, xlabel="number of frames", xscale="log", ylim=(0, None)
    )
    panel.set_xticks(NUMBERS, NUMBERS)
    panel.minorticks_off()
    panel.legend(loc="lower right", fontsize="small")
panels[0].set_ylabel("noise of a pixel (electron)")
figure.suptitle(
    "More calibration frames bring the noise down to the frame's own"
)
plt.show()

# %%
# How many are enough
# -------------------
#
# The noise :math:`\sqrt{s^2 + m^2/N}` of a frame with the variance :math:`s^2` of its own and :math:`m^2` from a single
# calibration frame is 1% larger than s alone for :math:`N = m^2 / (0.0201\, s^2)`. Both are in the budget of a frame
# calibrated with one frame of the kind.

enough = Table(
    names=["frames", "for the", "needed for 1%"], dtype=["U10", "U20", "i8"]
)
for kind, (title, _, _) in cases.items():
    parts = {
        name: float(part.mean())
        for name, part in images[kind][0].budget.variances().items()
    }
    own = parts["shot noise"] + parts["read noise"]
    source = {"biases": "bias", "darks": "dark", "flats": "flat"}[kind]
    enough.add_row(
        (kind, title, np.ceil(parts[source] / own / (1.01**2 - 1)))
    )
enough

# %%
# Predicted and observed
# ----------------------
#
# The points of the figure in numbers. All rows for one frame share that frame's own noise: where they deviate, they
# deviate together.

comparison = compare_noise(
    {
        f"noise of the {title}, {kind}: {number} (e)": (
            image.data - scene,
            image.variance,
        )
        for kind, (title, _, scene) in cases.items()
        for number, image in zip(NUMBERS, images[kind], strict=True)
    }
)
comparison
