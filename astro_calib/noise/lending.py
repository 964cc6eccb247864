"""The terms of a master as frames have them that it is applied to: filed under the master."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.errors import FrameError
from astro_calib.noise.arrays import SELF_DATA, SurvivorMask
from astro_calib.noise.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astro_calib.noise.arrays import ArrayRef
    from astro_calib.noise.coefficient import Coefficient
    from astro_calib.noise.place import Master
    from astro_calib.noise.source import NoiseSource

__all__ = ["lent_terms"]


def lent_terms(
    terms: Iterable[tuple[NoiseSource, Coefficient]], master: Master
) -> list[tuple[NoiseSource, Coefficient]]:
    """The terms with sources that are lent by a master and arrays that are filed under it, if under no other."""
    known: dict[ArrayRef, ArrayRef] = {}
    result = []
    for source, coefficient in terms:
        for number, array in enumerate(coefficient.arrays):
            plane = array.plane if isinstance(array, SurvivorMask) else array
            if plane not in known:
                known[plane] = plane
                if plane is not SELF_DATA and plane.place is None:
                    # Frames of the same pixels and sources may have other coefficients.
                    words = {"array": "coefficient", "source": source.address, "number": number}
                    known[plane] = _filed(plane, Place.of_whole(master, words, plane.shape, plane.digest()))
            if isinstance(array, SurvivorMask):
                known[array] = SurvivorMask(known[plane], array.bit)
        result.append((source.lent_by(master), coefficient.with_arrays(lambda array: array, known)))
    return result


def _filed(plane: ArrayRef, place: Place) -> ArrayRef:
    """The array under its place; as it is filed already, if a frame that was read before has found it in a file."""
    known: ArrayRef | None = place.master.arrays.get(place.role)
    if known is None or known.shape != plane.shape or not _has_digest(known, place.variant):
        known = place.master.arrays[place.role] = plane.named(place)
    return known


def _has_digest(array: ArrayRef, digest: str) -> bool:
    try:
        return array.digest() == digest
    except (FrameError, OSError):
        # The file is gone that it was to be read from.
        return False
