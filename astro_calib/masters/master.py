"""A frame made ready to be applied to others."""

from __future__ import annotations

from astro_calib.frame.frame import UNNAMED, CCDFrame

__all__ = ["FRAME_NOISE", "with_noise_named"]


#: Names of the noise of a frame's own; in a frame that a master was applied to, it is the master's noise.
FRAME_NOISE = frozenset({"read noise", "shot noise", "overscan", "scale", "merged", UNNAMED})


def with_noise_named(master: CCDFrame, kind: str) -> CCDFrame:
    """The master with its own noise under the name of its kind."""
    if master.known_budget is None:
        return master
    return master.replace(master.pixels, master.known_budget.named(kind, FRAME_NOISE))
