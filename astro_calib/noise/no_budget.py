"""What a frame without noise has in the place of a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from astro_calib.noise.coefficient import Coefficient
    from astro_calib.noise.source import NoiseSource

__all__ = ["NoBudget"]


class NoNoiseError(FrameError, AttributeError):
    """What is asked of a budget that is not there; to Python an attribute that is missing."""


class NoBudget:
    """
    The budget of a frame that counts as exact, such as a raw frame: false, without terms, and without variances.

    Parameters
    ----------
    name : str
        Of the frame.
    shape : tuple of int
        Of the frame.

    Attributes
    ----------
    terms, names : tuple
        Empty.
    shape : tuple of int
        Of the frame.

    Raises
    ------
    FrameError
        If anything else is asked for that an `~astro_calib.UncertaintyBudget` has. The message says how a frame gets
        its noise.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import CCDFrame
    >>> raw = CCDFrame(
    ...     np.zeros((2, 2), dtype=np.uint16), unit="adu", name="d1.fits"
    ... )
    >>> raw.budget
    <no budget: d1.fits has no noise yet>
    >>> bool(raw.budget)
    False
    """

    terms: tuple[tuple[NoiseSource, Coefficient], ...] = ()
    names: tuple[str, ...] = ()

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self._name, self.shape = name, shape

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"<no budget: {self._name} has no noise yet>"

    def __contains__(self, term: tuple[NoiseSource, Coefficient]) -> bool:
        return False

    def __getitem__(self, item: Any) -> Any:
        raise self._missing()

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        raise self._missing()

    def _missing(self) -> NoNoiseError:
        return NoNoiseError(
            f"{self._name} has no noise yet, so that nothing has a variance. Call create_deviation(frame, detector) or "
            "calibrate(frame, detector, ...) first, or set frame.uncertainty if its error is known."
        )
