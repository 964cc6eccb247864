"""
Make demo.png, the picture in the README, from what `astro-calib demo` has written.

    astro-calib demo night
    python docs/images/make_demo_picture.py night docs/images/demo.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from astropy.table import QTable
from matplotlib import rc_context
from matplotlib.figure import Figure

import astro_calib as ac

FRAME = "science-001-V"


def show(frame: ac.CCDFrame, axes: object, title: str) -> None:
    """The image alone."""
    axes = frame.plot(axes)
    axes.images[0].colorbar.remove()
    axes.set_axis_off()
    axes.set_title(title)


def main(night: Path, path: Path) -> None:
    raw = ac.CCDFrame.read(night / "raw" / f"{FRAME}.fits", unit="adu")
    image = ac.CCDFrame.read(night / "reduced" / "calibrated" / f"{FRAME}.fits")
    stars = QTable.read(night / "reduced" / "tables" / f"{FRAME}.ecsv")
    with rc_context({"font.size": 12, "axes.titlesize": "medium"}):
        figure = Figure(figsize=(16, 4.1), layout="constrained")
        first, second, third, fourth = figure.subplots(1, 4, width_ratios=(1, 1, 1.05, 1))
        show(raw[:, : image.shape[1]], first, "raw")
        show(image, second, "calibrated")
        image.budget.plot(third).set_title(f"what the error of a pixel is made of ({image.unit})")
        ac.plot_snr(stars, fourth).set_title("signal-to-noise ratio of the stars")
        fourth.set_aspect("equal")
        figure.savefig(path, dpi=80, bbox_inches="tight")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
