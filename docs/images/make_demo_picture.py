"""
Make demo.png, the picture in the README, from what `astro-calib demo` has written.

    astro-calib demo night
    python docs/images/make_demo_picture.py night docs/images/demo.png
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import QTable
from astropy.visualization import ImageNormalize, ZScaleInterval
from matplotlib.figure import Figure

import astro_calib as ac

FRAME = "science-001-V"


def show(axes: Any, image: np.ndarray, title: str) -> None:
    norm = ImageNormalize(image[np.isfinite(image)], interval=ZScaleInterval())
    axes.imshow(image, origin="lower", cmap="gray", norm=norm)
    axes.set_title(title, fontsize="medium")
    axes.set_axis_off()


def main(night: Path, path: Path) -> None:
    raw = ac.CCDFrame.read(night / "raw" / f"{FRAME}.fits", unit="adu")
    image = ac.CCDFrame.read(night / "reduced" / "calibrated" / f"{FRAME}.fits")
    stars = QTable.read(night / "reduced" / "tables" / f"{FRAME}.ecsv")
    before, after = stars["snr_empirical_before"], stars["snr_empirical"]
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    show(left, raw.data[:, : image.shape[1]].astype(float), "raw")
    show(middle, np.where(image.mask, np.nan, image.data), "calibrated")
    good = (before > 0) & (after > 0)
    limits = np.array([min(before[good].min(), after[good].min()), after[good].max()]) * [0.8, 1.3]
    right.plot(limits, limits, color="#8a8a8a", linewidth=1, label="no change")
    right.scatter(before[good], after[good], s=16, color="#1f6fb4", alpha=0.7, linewidths=0, label="a star")
    right.set(xscale="log", yscale="log", xlim=limits, ylim=limits, aspect="equal")
    right.set_xlabel("flux / scatter of empty apertures, before")
    right.set_ylabel("after")
    right.set_title("signal-to-noise ratio of the stars", fontsize="medium")
    right.legend(frameon=False)
    figure.savefig(path, dpi=80, bbox_inches="tight")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
