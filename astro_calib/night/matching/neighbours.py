"""Which science frames of a night show the same field, one after the other."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from astro_calib.night.matching.matching import same_exposure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from astro_calib.night.common.frames import RawFrame

__all__ = ["MOST", "neighbours"]

#: A frame is compared with so many others: with four, two hits at the same pixel are found as well.
MOST = 4


def neighbours(science: Sequence[RawFrame]) -> Mapping[str, tuple[RawFrame, ...]]:
    """
    Return for each science frame, by its name, up to four of the same object, filter and exposure time.

    The nearest in time is the first. Frames whose headers tell no time are taken to follow each other in their order.
    """
    found: dict[str, tuple[RawFrame, ...]] = {}
    place = {frame.name: index for index, frame in enumerate(science)}

    def field(frame: RawFrame) -> tuple[str, str, tuple[int, int]]:
        return frame.object.strip().casefold(), frame.filter, frame.shape

    def moment(frame: RawFrame) -> tuple[float, int]:
        return (0.0 if frame.time is None else frame.time), place[frame.name]

    for _, group in groupby(sorted(science, key=lambda one: (*field(one), one.exposure_time)), key=field):
        for frames in _of_one_exposure(list(group)):
            row = sorted(frames, key=moment)
            for index, frame in enumerate(row):
                around = [one for one in range(index - MOST, index + MOST + 1) if 0 <= one < len(row) and one != index]
                begun = moment(frame)[0]
                around.sort(key=lambda one: (abs(moment(row[one])[0] - begun), abs(one - index)))
                found[frame.name] = tuple(row[one] for one in around[:MOST])
    return found


def _of_one_exposure(frames: Sequence[RawFrame]) -> list[list[RawFrame]]:
    """Frames whose exposure times are the same but for how long a shutter took, from ones in the order of these."""
    groups: list[list[RawFrame]] = []
    for frame in frames:
        if groups and same_exposure(groups[-1][0].exposure_time, frame.exposure_time):
            groups[-1].append(frame)
        else:
            groups.append([frame])
    return groups
