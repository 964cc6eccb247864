"""A frame made ready to be applied to others."""

from __future__ import annotations

from astro_calib.frame.frame import UNNAMED, CCDFrame
from astro_calib.frame.rebuild import rebuilt

__all__ = ["FRAME_NOISE", "relabelled"]


#: Names of the noise of a frame's own; in a frame that a master was applied to, it is the master's noise.
FRAME_NOISE = frozenset({"read noise", "shot noise", "overscan", "scale", "merged", UNNAMED})


def relabelled(master: CCDFrame, kind: str) -> CCDFrame:
    """The master with its own noise under the name of its kind."""
    if master._noise is None:
        return master
    return rebuilt(master, master._data, master._noise.named(kind, FRAME_NOISE))
