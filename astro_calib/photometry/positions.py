"""The positions of stars that a caller gives, as a table or an array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import quantity_values

if TYPE_CHECKING:
    from astropy.table import Table
    from numpy.typing import ArrayLike, NDArray

__all__ = ["positions_of"]


def _in_pixels(what: str, column: Any) -> NDArray[np.float64]:
    """The values of a column in pixels; what is masked is no number."""
    filled = column.astype(np.float64).filled(np.nan) if hasattr(column, "filled") else column
    return quantity_values(what, filled, u.pixel)


def positions_of(positions: ArrayLike | Table) -> NDArray[np.float64]:
    """The positions of a table or an array as an array of shape (n, 2)."""
    from astropy.coordinates import SkyCoord
    from astropy.table import Table

    if isinstance(positions, SkyCoord):
        msg = "positions are sky coordinates; expected pixels: write np.transpose(frame.wcs.world_to_pixel(positions))."
        raise TypeError(msg)
    if isinstance(positions, Table):
        missing = [name for name in ("x", "y") if name not in positions.colnames]
        if missing:
            msg = (
                f"positions is a table with the columns {', '.join(positions.colnames)}; expected x and y: rename "
                "them, as in table.rename_columns(['xcentroid', 'ycentroid'], ['x', 'y'])."
            )
            raise ValueError(msg)
        columns = [_in_pixels(f"positions[{name!r}]", positions[name]) for name in ("x", "y")]
        places = np.stack(columns, axis=-1)
    else:
        places = quantity_values("positions", positions, u.pixel)
    if places.ndim != 2 or places.shape[1] != 2:
        msg = f"positions must be finite numbers of shape (n, 2), x and y of each star; they have shape {places.shape}."
        raise ValueError(msg)
    bad = np.flatnonzero(~np.isfinite(places).all(axis=1))
    if len(bad):
        msg = (
            f"positions must be finite numbers, x and y of each star; {len(bad)} of {len(places)} are masked or not "
            f"finite, the first in row {bad[0]}. Leave them out."
        )
        raise ValueError(msg)
    return places
