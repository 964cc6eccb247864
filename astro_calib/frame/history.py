"""What a frame remembers of how it was made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from astro_calib.noise.origin import Origin

__all__ = ["BLANK", "History"]


@dataclass(frozen=True, kw_only=True)
class History:
    """
    What a frame remembers of how it was made.

    Attributes
    ----------
    origin : Origin or None
        Which pixels of which raw frame it holds; None while nobody asked, and for a frame whose error came with it.
    flattened_step : float or None
        The digital step, in the frame's unit, of a frame that was divided by a flat and is no longer a raw one.
    applied : tuple of (str, str)
        The kind and the identity of each master that was applied, so that none is applied twice.
    provenance : tuple of mapping
        What `~astro_calib.masters.provenance.record` was told, the oldest step first.
    n_used : ndarray of uint16 or None
        For a stack, how many values were used at each pixel.
    is_constant : bool
        Whether the frame stands for a number or an array in arithmetic, which no detector has read out.
    """

    origin: Origin | None = None
    flattened_step: float | None = None
    applied: tuple[tuple[str, str], ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()
    n_used: NDArray[Any] | None = None
    is_constant: bool = False

    def of_new_pixels(self, **changes: Any) -> History:
        """The history of a frame with other pixels: of this one it keeps which masters were applied."""
        return replace(self, **({"provenance": (), "n_used": None, "is_constant": False} | changes))


#: The history of a frame to which nothing was done yet.
BLANK = History()
