"""The stars of a frame, as far as a page shows them, read from their table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.photometry.ratios import RATIOS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["COMPONENTS", "error_parts", "read_stars"]

#: A table of stars has less bytes than this.
LARGEST = 32 * 2**20
#: Parts of a flux's error, by their columns.
COMPONENTS = {
    "err_source": "shot noise of the star",
    "err_sky": "shot noise of the sky",
    "err_read_noise": "read noise",
    "err_dark": "dark",
    "err_bias": "bias",
    "err_flat": "flat",
    "err_other": "gain and the rest",
}


def read_stars(path: Path) -> dict[str, NDArray[np.float64]]:
    """Return the columns that are shown; those that the table does not have are missing. Empty if it cannot be read."""
    from astropy.io import ascii as tables

    wanted = ["flux", *COMPONENTS, *(name for pair in RATIOS.values() for name in pair[:2])]
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return {}
        # Not by its path: of a broken file the reader would leave it open.
        lines = path.read_text(encoding="utf-8").splitlines()
        table: Any = tables.read(lines, format="fast_basic", comment="#", guess=False)
        columns = {name: np.asarray(table[name], dtype=np.float64) for name in wanted if name in table.colnames}
    except (OSError, ValueError):
        return {}
    return columns


def error_parts(stars: dict[str, NDArray[np.float64]], quantile: float) -> dict[str, float]:
    """Return what the variance of the flux of a faint, middling or bright star is made of, as shares."""
    flux = stars.get("flux", np.zeros(0))
    if not all(name in stars for name in COMPONENTS) or not flux.size:
        return {}
    order = np.flatnonzero(np.isfinite(flux) & (flux > 0))
    if not order.size:
        return {}
    order = order[np.argsort(flux[order])]
    star = order[round(quantile * (order.size - 1))]
    with np.errstate(over="ignore"):
        variances = {label: float(np.square(stars[name][star])) for name, label in COMPONENTS.items()}
    total = sum(variances.values())
    return {label: part / total for label, part in variances.items()} if 0 < total < np.inf else {}
