"""Which noise is which: identities that are found from the pixels where they can be, and drawn where not."""

from __future__ import annotations

import uuid
import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.source import Window

__all__ = ["Origin", "RawPixels", "content_digest", "content_identity", "drawn_identity", "uncertainty_identity"]


def drawn_identity() -> str:
    """An identity that no other noise has."""
    return "drawn:" + uuid.uuid4().hex


def content_identity(pixels: NDArray[Any]) -> str:
    """
    The identity of the noise in a frame, from the frame's pixels.

    Noise tells frames apart: two exposures never agree in every pixel, and the same file read twice does. An array
    of one constant value holds no noise to be recognised by, so that its identity is drawn.
    """
    if pixels.size < 2 or not _varies(pixels):
        return drawn_identity()
    return "pixels:" + content_digest(pixels)


def content_digest(pixels: NDArray[Any]) -> str:
    """A digest of pixel values; the loop is compiled, and loaded when it is first needed."""
    from astro_calib.kernels.digest import digest

    return digest(pixels)


def _varies(pixels: NDArray[Any]) -> bool:
    first = pixels.flat[0]
    # Nearly always decided by the first few pixels; the whole array is read only for a constant one.
    return bool(np.any(pixels.ravel()[:64] != first) or np.any(pixels != first))


_uncertainty_identities: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def uncertainty_identity(pixels: NDArray[Any], uncertainty: Any) -> str:
    """The identity of the noise of a plain CCDData: the same each time that the same object is used."""
    identity = _uncertainty_identities.get(uncertainty)
    if identity is None:
        identity = content_identity(pixels)
        if uncertainty.array is not None and not identity.startswith("drawn"):
            # Frames of the same values with other error bars do not have the same noise.
            identity += ":" + content_digest(np.asarray(uncertainty.array))
        _uncertainty_identities[uncertainty] = identity
    return identity


class RawPixels:
    """
    The pixels of a raw frame, until their identity has been found; then only that is kept.

    Shared by all frames that are made of one raw frame, so that the identity is found once.
    """

    def __init__(self, pixels: NDArray[Any]) -> None:
        self.shape = pixels.shape
        self._pixels: NDArray[Any] | None = pixels
        self._identity = ""

    def identity(self) -> str:
        """The identity of the noise in the raw frame."""
        if self._pixels is not None:
            self._identity = content_identity(self._pixels)
            self._pixels = None
        return self._identity


@dataclass(frozen=True, eq=False)
class Origin:
    """
    Which pixels of which raw frame a frame holds.

    Attributes
    ----------
    raw : RawPixels
        The frame as it was read.
    window : tuple of (origin, step)
        Which of these pixels the frame holds now, for each axis.
    quantum : float
        Size of one digital step in the frame's present unit; 0 where the values were not digitised.
    """

    raw: RawPixels
    window: Window
    quantum: float

    @classmethod
    def of(cls, pixels: NDArray[Any]) -> Origin:
        """The origin of a frame that was not touched yet."""
        quantum = 1.0 if pixels.dtype.kind in "ui" else 0.0
        return cls(RawPixels(pixels), ((0, 1),) * pixels.ndim, quantum)

    def cells(self, shape: tuple[int, ...]) -> tuple[NDArray[np.intp], ...]:
        """The index that takes the pixels of a frame of ``shape`` out of an array like the raw frame."""
        return np.ix_(*(start + step * np.arange(n) for (start, step), n in zip(self.window, shape, strict=True)))

    def scaled(self, factor: float) -> Origin:
        """The origin after the frame was multiplied by a number."""
        return replace(self, quantum=self.quantum * abs(factor))

    def cut(self, window: Window) -> Origin:
        """The origin of a part of the frame."""
        return replace(self, window=window)
