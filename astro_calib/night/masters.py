"""The masters of a night: the mean bias, a mean dark for each exposure time, a mean flat for each filter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.night.frames import RawFrame, UnusedFile
from astro_calib.night.names import file_name, unique_name
from astro_calib.night.pictures import master_picture, save_picture
from astro_calib.night.pixels import masked, usable
from astro_calib.night.plan import SAME_EXPOSURE
from astro_calib.night.summary import MasterSummary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from astro_calib.frame import CCDFrame
    from astro_calib.night.output import Output
    from astro_calib.night.plan import Plan

__all__ = ["Masters", "calibrate_raw", "make_masters", "read_raw", "write_masters"]

#: The header keyword under which all frames of a night have their exposure time.
EXPOSURE_TIME = "EXPTIME"
#: A flat of which less than this part of the pixels can be used is left out.
USABLE_PART_OF_FLAT = 0.5


@dataclass(frozen=True, kw_only=True)
class Masters:
    """
    The masters of a night, in electron; made by ``make_masters``.

    Parameters
    ----------
    bias : CCDFrame or None
        The master bias, if there are biases.
    darks : mapping of float to CCDFrame
        Master darks by exposure time in seconds, bias subtracted.
    flats : mapping of str to CCDFrame
        Master flats by filter, on the average level of their frames.
    unused : tuple of UnusedFile
        Frames that turned out to be of no use.
    """

    bias: CCDFrame | None
    darks: Mapping[float, CCDFrame]
    flats: Mapping[str, CCDFrame]
    unused: tuple[UnusedFile, ...] = ()

    def titled(self) -> Iterator[tuple[str, str, CCDFrame]]:
        """Of each master a title, a name, which may hold anything that a header can, and the frame."""
        if self.bias is not None:
            yield "master bias", "bias", self.bias
        for time, dark in self.darks.items():
            yield f"master dark, {time:g} s", f"dark-{time:g}s", dark
        for filter_name, flat in self.flats.items():
            yield f"master flat, {filter_name or 'no filter'}", f"flat-{filter_name or 'none'}", flat

    def dark_for(self, exposure_time: float) -> CCDFrame | None:
        """The dark of that exposure time in seconds, else the longest: scaled, it has the least noise."""
        if not self.darks:
            return None
        nearest = min(self.darks, key=lambda time: abs(time - exposure_time))
        same = exposure_time / SAME_EXPOSURE <= nearest <= exposure_time * SAME_EXPOSURE
        return self.darks[nearest if same else max(self.darks)]


def read_raw(frame: RawFrame) -> CCDFrame:
    """
    Read a raw frame, with its exposure time under ``EXPOSURE_TIME``, where the other steps look for it.

    Parameters
    ----------
    frame : RawFrame
        What to read.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        In adu.
    """
    from astro_calib.frame import CCDFrame

    ccd = CCDFrame.read(frame.path, unit="adu")
    ccd.meta[EXPOSURE_TIME] = frame.exposure_time
    return ccd


def calibrate_raw(frame: RawFrame, plan: Plan, ccd: CCDFrame | None = None, **options: Any) -> CCDFrame:
    """
    Calibrate a frame of the night with what its plan says of overscan, sections, bad pixels and detector.

    Parameters
    ----------
    frame : RawFrame
        What to calibrate.
    plan : Plan
        The plan that it is in.
    ccd : CCDFrame, optional
        The frame itself, if it was read already.
    **options
        More arguments of `astro_calib.calibrate`: the masters, and where the shot noise comes from.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        In electron.
    """
    from astro_calib.calibrate import calibrate

    return calibrate(
        read_raw(frame) if ccd is None else ccd,
        plan.detector,
        overscan=plan.overscan,
        overscan_axis=plan.profile.overscan_axis,
        overscan_median=True,
        trim=plan.trim,
        bad_pixels=plan.bad_pixels(),
        exposure_time=EXPOSURE_TIME,
        **options,
    )


def make_masters(plan: Plan, *, done: Callable[[RawFrame], object] = lambda _: None) -> Masters:
    """
    Make the masters that a plan has frames for.

    Parameters
    ----------
    plan : Plan
        The night.
    done : callable
        Called with each raw frame that has been read; for a progress bar.

    Returns
    -------
    Masters

    Raises
    ------
    FrameError
        If a frame cannot be calibrated.
    """
    from astro_calib.combine import combine

    bias = None
    if plan.biases:
        # The pattern of a bias is no light and has no shot noise.
        biases = (calibrate_raw(frame, plan, shot_noise=0.0) for frame in _counted(plan.biases, done))
        bias = combine(biases, method="mean", clip="sigma")
    darks = {}
    for time, frames in plan.darks.items():
        exposures = (calibrate_raw(frame, plan, bias=bias) for frame in _counted(frames, done))
        darks[time] = combine(exposures, method="mean", clip="sigma")
        darks[time].meta[EXPOSURE_TIME] = time
    masters = Masters(bias=bias, darks=darks, flats={})
    flats: dict[str, CCDFrame] = {}
    unused: list[UnusedFile] = []
    for filter_name, frames in plan.flats.items():
        calibrated = list(_flats(frames, plan, masters, unused, done))
        if calibrated:
            flats[filter_name] = combine(calibrated, method="mean", clip="sigma", scale="median")
    return replace(masters, flats=flats, unused=tuple(unused))


def _counted(frames: Iterable[RawFrame], done: Callable[[RawFrame], object]) -> Iterator[RawFrame]:
    for frame in frames:
        yield frame
        done(frame)


def _flats(
    frames: Iterable[RawFrame],
    plan: Plan,
    masters: Masters,
    unused: list[UnusedFile],
    done: Callable[[RawFrame], object],
) -> Iterator[CCDFrame]:
    """Calibrated flats; those of no use go to ``unused``."""
    for frame in _counted(frames, done):
        flat = calibrate_raw(frame, plan, bias=masters.bias, dark=masters.dark_for(frame.exposure_time))
        good = usable(flat)
        part = np.count_nonzero(good) / good.size
        if part < USABLE_PART_OF_FLAT:
            reason = f"only {part:.0%} of the pixels of this flat can be used; the others are saturated or bad"
            unused.append(UnusedFile(frame.path, reason, "flat"))
            continue
        level = float(np.median(flat.data[good]))
        if not level > 0:
            reason = f"the median of this flat is {level:.4g} electron; there is no light in it"
            unused.append(UnusedFile(frame.path, reason, "flat"))
            continue
        yield flat


def write_masters(masters: Masters, output: Output) -> list[MasterSummary]:
    """
    Write masters and pictures of them.

    Parameters
    ----------
    masters : Masters
        What to write.
    output : Output
        Where to.

    Returns
    -------
    list of MasterSummary

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    summaries: list[MasterSummary] = []
    for title, wanted, master in masters.titled():
        name = unique_name(f"master-{file_name(wanted)}", {summary.path.stem for summary in summaries})
        path = output.path("masters", name)
        master.write(path, overwrite=True)
        assert master.variance is not None  # combine never makes an exact master
        values, sigmas = masked(master), masked(master, np.sqrt(master.variance))
        save_picture(master_picture(title, values, sigmas, str(master.unit)), output.path("pictures", f"{name}-master"))
        summaries.append(
            MasterSummary(
                path=path,
                title=title,
                number=int(master.meta["NCOMBINE"]),
                level=float(np.nanmedian(values)),
                sigma=float(np.nanmedian(sigmas)),
            )
        )
    return summaries
