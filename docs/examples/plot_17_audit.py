"""
An audit that finds the fault
=============================

An error bar is as good as what was stated of the camera. The gain in a header may be a setting, the read noise that of
another mode, and the read-out may have noise that no single number describes. Frames show it: their differences have
the noise that they have, whatever anybody says. `~astro_calib.characterize.audit_noise` compares it with what was
stated, and names the fault that explains the difference.
"""

# %%
# A camera has a gain of 1.66 electron/adu and a read noise of 8 electrons; but its headers say that the gain is 1.8.

from __future__ import annotations

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table, vstack

import astro_calib as ac
from astro_calib.characterize import audit_noise
from astro_calib.simulate.electronics import ReadOut

SHAPE, GAIN = (160, 200), 1.66
rng = np.random.default_rng(16)


def expose(electrons: float, read_out: ReadOut) -> np.ndarray:
    """A raw frame with so many electrons in each pixel, adu."""
    charge = rng.poisson(electrons, SHAPE) + read_out.draw(SHAPE, rng)
    return np.rint(1000 + charge / GAIN).astype(np.uint16)


def take(read_out: ReadOut) -> dict[str, list[np.ndarray]]:
    """Biases, and flats of two levels."""
    levels = (40_000, 38_000, 12_000, 11_500)
    biases = [expose(0, read_out) for _ in range(8)]
    return {
        "bias": biases,
        "flat": [expose(level, read_out) for level in levels],
    }


def detector(gain: float) -> ac.Detector:
    """What is stated of the camera."""
    return ac.Detector(
        gain=gain * u.electron / u.adu, read_noise=8 * u.electron
    )


# %%
# A wrong gain
# ------------
#
# The noise of biases and flats is larger than predicted, but not by the same factor: the shot noise moves with the
# gain, and the read noise, which was stated in electrons, twice as much. No other fault does that. Each fault is fitted
# by itself; how much more likely it makes what is observed stands in the column ``likelihood``.

frames = take(ReadOut(white=8))
wrong = audit_noise(frames, detector(1.8))
print(wrong)

# %%
# All that was tried:

wrong.faults["fault", "size", "error", "unit", "likelihood", "named"]

# %%
# With the gain that the verdict asks for:

right = audit_noise(frames, detector(1.66))
print(right)

# %%
# Rows that share noise
# ---------------------
#
# Another camera has the gain that is stated, and each row a noise of 1.5 electrons in common. The noise of a pixel is
# 2% larger than predicted, which nobody would notice; that of sums over apertures is half as large again.

frames_with_rows = take(ReadOut(white=8, row=1.5))
rows = audit_noise(frames_with_rows, detector(1.66))
print(rows)
rows.apertures

# %%
# The figure shows the noise over its prediction by level, what neighbours have in common, and the sums over apertures:
# as stated, and with the fault that was named. First the wrong gain, then the rows.

size = (11, 4)
wrong.plot(plt.figure(figsize=size, layout="constrained"))
rows.plot(plt.figure(figsize=size, layout="constrained"))
plt.show()

# %%
# Rows that are stated
# --------------------
#
# A detector that is said to have these rows is right, and the sums over apertures are those that it predicts.

stated = ac.Detector(
    gain=GAIN * u.electron / u.adu,
    read_noise=np.hypot(8, 1.5) * u.electron,
    correlation=ac.Correlation(row=1.5**2 / (8**2 + 1.5**2)),
)
print(audit_noise(frames_with_rows, stated))

# %%
# What frames cannot tell
# -----------------------
#
# From biases alone a wrong gain and a wrong read noise look alike. The audit says so, and which frames would decide.

print(audit_noise({"bias": frames["bias"]}, detector(1.8)).verdict)

# %%
# Predicted and observed
# ----------------------
#
# The noise of the frames with the gain that is right.

parts: list[Table] = []
for row in right.noise:
    name = f"{row['kind']}, level {row['level']:.0f} (e)"
    parts.append(
        Table(
            [
                [name],
                [row["predicted"]],
                [row["observed"]],
                [row["ratio"]],
                [row["error"]],
            ]
        )
    )
for row in right.apertures:
    name = f"sum in radius {row['radius']:g} (e)"
    parts.append(
        Table(
            [
                [name],
                [row["predicted"]],
                [row["observed"]],
                [row["ratio"]],
                [row["error"]],
            ]
        )
    )
comparison = vstack(parts)
comparison.rename_columns(
    comparison.colnames,
    ["quantity", "predicted", "observed", "ratio", "standard error"],
)
comparison
