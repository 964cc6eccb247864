"""The raw frames of a night by kind and filter, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.night.common.names import MANY
from astro_calib.night.common.text import columns, glued, listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.library.loan import Borrowed

__all__ = ["kind_lines"]

#: The order in which kinds are listed.
ORDER = ("bias", "dark", "flat", "science")
#: About as much room the other columns need.
BEFORE = 40


def kind_lines(frames: Iterable[RawFrame], borrowed: Iterable[Borrowed] = (), width: int | None = None) -> list[str]:
    """
    Return a table with a line for each kind of frame and filter: how many, of which exposure, and which files.

    Masters that are borrowed stand below.
    """
    groups: dict[tuple[str, str], list[RawFrame]] = {}
    for frame in sorted(frames, key=lambda frame: ORDER.index(frame.kind)):
        groups.setdefault((frame.kind, frame.filter), []).append(frame)
    rows: list[tuple[str, ...]] = [("kind", "filter", "time / s", "frames", "files")]
    for (kind, filter_name), group in groups.items():
        times = sorted({frame.exposure_time for frame in group})
        exposure = f"{times[0]:g}" if len(times) == 1 else f"{times[0]:g} to {times[-1]:g}"
        names = [frame.path.name for frame in group]
        files = listed(names)
        if len(names) > MANY or (width is not None and len(files) > width - BEFORE and len(names) > 2):
            files = f"{glued(names[0])} to {glued(names[-1])}"
        rows.append((kind, glued(filter_name) or "-", exposure, str(len(group)), files))
    for one in borrowed:
        exposure = "-" if one.master.kind == "flat" else f"{one.master.exposure_time:g}"
        called = f"{glued(one.master.path.name)}, a master {one.age}"
        rows.append((one.master.kind, glued(one.master.filter) or "-", exposure, str(one.master.number or "-"), called))
    return columns(rows, "<<>><", width)
