"""A master on disk: its file, its picture, and what the summary says of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from astro_calib.frame.rebuild import usable
from astro_calib.night.common.frames import UnusedFile
from astro_calib.night.common.net import reason_of, tried
from astro_calib.night.masters.master_set import level_of, pixel_sigma_of, sigma_of, variance_of
from astro_calib.night.summary.master_summary import MasterSummary
from astro_calib.report.pictures import master_picture

if TYPE_CHECKING:
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.night.common.output import Output
    from astro_calib.night.masters.master_noise import Scatter
    from astro_calib.night.plan.plan import Plan

__all__ = ["write_master"]


def write_master(
    master: CCDFrame, title: str, kind: str, name: str, output: Output, *, setup: Plan, scatter: Scatter, pictures: bool
) -> tuple[MasterSummary | None, list[UnusedFile]]:
    """
    Write a master and a picture of it; return what the summary says of it, and what of this could not be written.

    There is no summary if it cannot be written because of what is in it; a disk that cannot be written is an OSError.
    """
    lost: list[UnusedFile] = []
    path = output.path("masters", name)
    picture = tried(path, "", partial(_picture, title, master)) if pictures else None
    if isinstance(picture, UnusedFile):
        lost.append(replace(picture, reason=f"its picture cannot be drawn: {picture.reason}", kind="master"))
    output.make_way(path)
    try:
        master.write(path, overwrite=True)
    except OSError:
        # A disk that is full is full for all that follows.
        raise
    except Exception as error:  # noqa: BLE001  it was applied, and costs its own file and not the night
        reason = f"it was applied, but cannot be written: {reason_of(error)}"
        return None, [*lost, UnusedFile(path, reason, "master", lost=True)]
    output.written(path)
    if isinstance(picture, bytes):
        output.write("pictures", f"{name}-master", partial(Path.write_bytes, data=picture))
    summary = MasterSummary(
        path=path,
        title=f"{title}, {setup.title}" if setup.title else title,
        setup=setup.name,
        number=int(master.meta.get("NCOMBINE", 0)),
        level=level_of(master),
        sigma=sigma_of(master),
        pixel_sigma=pixel_sigma_of(master),
        kind=kind,
        noise_ratio=scatter.ratio,
        rejected=scatter.rejected,
    )
    return summary, lost


def _picture(title: str, master: CCDFrame) -> bytes:
    return master_picture(title, master.pixels, np.sqrt(variance_of(master)), usable(master), str(master.unit))
