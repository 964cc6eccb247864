"""The rules by which frames go together, which a profile can change."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Matching"]


@dataclass(frozen=True, kw_only=True)
class Matching:
    """
    Which frames go together.

    Parameters
    ----------
    temperature : float
        How far the temperature of a dark may be from that of a science frame, in degrees. Biases and
        flats may be further.
    rotator : float
        How far apart the rotator's angles of a flat and of a science frame may be, in degrees.
    flat_hours : float
        Flats of one filter with a longer pause between them, in hours, make two masters.
    scale_darks : bool
        Whether a dark of another exposure may be scaled, where there is none of the same.

    Examples
    --------
    >>> from astro_calib.night.profiles.matching_rules import Matching
    >>> Matching(temperature=1.0).flat_hours
    16.0
    """

    temperature: float = 2.5
    rotator: float = 2.0
    flat_hours: float = 16.0
    scale_darks: bool = True
