"""The terms of a master as frames have them that it is applied to: filed under the master."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astro_calib.noise.arrays import SELF_DATA, SurvivorMask
from astro_calib.noise.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from astro_calib.noise.arrays import ArrayRef
    from astro_calib.noise.coefficient import Coefficient
    from astro_calib.noise.place import Master
    from astro_calib.noise.source import NoiseSource

__all__ = ["coefficient_array", "lent_source", "lent_terms"]


def lent_source(source: NoiseSource, master: Master) -> NoiseSource:
    """A source as frames have it that a master is applied to; one of another master stays that one's."""
    home = master if source.home is None or source.home.is_lost else source.home
    return source.replace(home=home, lent=True)


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
                    place = Place.of_whole(master, _words(source, number), plane.shape, plane.digest())
                    known[plane] = master.arrays[place.role] = plane.named(place)
            if isinstance(array, SurvivorMask):
                known[array] = SurvivorMask(known[plane], array.bit)
        result.append((lent_source(source, master), coefficient.with_arrays(lambda array: array, known)))
    return result


def coefficient_array(terms: Iterable[tuple[NoiseSource, Coefficient]], words: Mapping[str, Any]) -> ArrayRef | None:
    """The array of a role, in the words that files write, in the coefficients of a master; None if there is none."""
    for source, coefficient in terms:
        if _words(source, words["number"]) == words:
            arrays = coefficient.arrays
            if 0 <= words["number"] < len(arrays):
                array = arrays[words["number"]]
                return array.plane if isinstance(array, SurvivorMask) else array
            return None
    return None


def _words(source: NoiseSource, number: int) -> dict[str, Any]:
    """What an array is to a master in which it is a factor, by its number, of a source's coefficient."""
    window = [list(part) for part in source.window]
    return {"array": "coefficient", "source": [source.identity, list(source.axes), window], "number": number}
