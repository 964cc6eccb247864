"""What a step may ask of a frame before it is applied: all but its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    import numpy as np
    from astropy import units as u

    from astro_calib.frame.history import History
    from astro_calib.noise.origin import Origin

__all__ = ["FrameFacts"]


class FrameFacts(Protocol):
    """A `CCDFrame`, or what one will be after operations that were not carried out yet."""

    @property
    def name(self) -> str:
        """What messages call the frame."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""

    @property
    def size(self) -> int:
        """The number of pixels."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels."""

    @property
    def unit(self) -> u.UnitBase:
        """The unit of the pixels."""

    @property
    def meta(self) -> MutableMapping[str, Any]:
        """The header."""

    @property
    def history(self) -> History:
        """Which masters were applied."""

    @property
    def origin(self) -> Origin | None:
        """Which pixels of a raw frame it holds."""
