"""The identity of noise: found from the pixels if they tell it, drawn at random if not."""

from __future__ import annotations

import uuid
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


__all__ = ["content_digest", "content_identity", "drawn_identity", "uncertainty_identity"]


#: The beginning of identities that were found from pixels.
PIXELS = "pixels:"
#: The beginning of identities that were drawn at random.
DRAWN = "drawn:"


def drawn_identity() -> str:
    """An identity that no other noise has."""
    return DRAWN + uuid.uuid4().hex


def content_identity(pixels: NDArray[Any], digest: Callable[[], str] | None = None) -> str:
    """
    The identity of the noise in a frame, from the frame's pixels.

    Noise tells frames apart: two exposures never agree in every pixel, and the same file read twice does. An array
    of one constant value holds no noise to be recognised by, so that its identity is drawn. ``digest`` gives that of
    the pixels, if it is known somewhere.
    """
    if pixels.size < 2 or not _varies(pixels):
        return drawn_identity()
    return PIXELS + (content_digest(pixels) if digest is None else digest())


def content_digest(pixels: NDArray[Any]) -> str:
    """A digest of pixel values. The compiled loop is imported when it is first needed."""
    from astro_calib.kernels.digest import digest

    return digest(pixels)


def _varies(pixels: NDArray[Any]) -> bool:
    first = pixels.flat[0]
    # The first few pixels nearly always decide; only a constant array is read whole.
    return bool(np.any(pixels.ravel()[:64] != first) or np.any(pixels != first))


_constant_identities: weakref.WeakKeyDictionary[Any, tuple[int, str]] = weakref.WeakKeyDictionary()


def uncertainty_identity(pixels: NDArray[Any], uncertainty: Any) -> str:
    """
    The identity of the noise of a plain CCDData, from its values and its error bars.

    If the values are all the same, from the uncertainty object: the same each time that it is used with the same array.
    """
    identity = content_identity(pixels)
    if not identity.startswith(DRAWN):
        return f"{identity}:{content_digest(np.asarray(uncertainty.array))}"
    array, known = _constant_identities.get(uncertainty, (0, ""))
    if array != id(pixels):
        known = identity
        _constant_identities[uncertainty] = (id(pixels), known)
    return known
