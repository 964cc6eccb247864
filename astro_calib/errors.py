"""The errors and warnings of this package; each is also the built-in error that a caller would expect."""

from __future__ import annotations

from astropy.utils.exceptions import AstropyUserWarning

__all__ = ["FrameError", "NoiseWarning", "ProfileError", "ShapeMismatchError"]


class FrameError(ValueError):
    """A frame cannot be used for what was asked; the message names it, and says what to do."""


class ShapeMismatchError(FrameError):
    """Two frames, or a frame and a section, do not fit together."""


class ProfileError(ValueError):
    """An instrument profile is incomplete or contradicts itself."""


class NoiseWarning(AstropyUserWarning):
    """An error bar is less exact than usual; the message says what was given up and why."""
