"""The masters of a night: the mean bias, a mean dark for each exposure time, a mean flat for each filter."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import chain
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from astro_calib.errors import FrameError
from astro_calib.flags import DataQuality
from astro_calib.frame.rebuild import usable
from astro_calib.io.memory import memory_taken
from astro_calib.night.common.frames import RawFrame, UnusedFile, file_state
from astro_calib.night.common.net import tried
from astro_calib.night.common.remarks import heard_of_file
from astro_calib.night.files.raw_pixels import raw_frame
from astro_calib.night.library.master_file import made_of
from astro_calib.night.masters.bias_in_darks import signal_model
from astro_calib.night.masters.dark_frames import DarkFrames
from astro_calib.night.masters.extra_steps import ExtraSteps
from astro_calib.night.masters.master_noise import Inputs, Scatter
from astro_calib.night.masters.master_set import EXPOSURE_TIME
from astro_calib.night.masters.read_out import detector_of
from astro_calib.stack.levels import finite_median

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from astro_calib.detector.detector import Detector
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.night.plan.plan import Plan
    from astro_calib.stack.request import MemoryLimit

__all__ = ["MadeMaster", "calibrate_raw", "make_bias", "make_dark", "make_flat", "read_raw"]

#: What is called with each raw frame that was read.
Done: TypeAlias = "Callable[[RawFrame], object]"

#: A flat of which less than this part of the pixels can be used is left out.
USABLE_PART_OF_FLAT = 0.5
#: What is applied to a frame.
MASTERS = ("bias", "dark", "shutter", "flat", "illumination", "fringe")


def ignore(_: object) -> None:
    """Take note of nothing."""


def read_raw(frame: RawFrame) -> CCDFrame:
    """
    Read a raw frame in adu, and put its exposure time under ``EXPOSURE_TIME``, where the other steps look for it.

    A FrameError says that it cannot be read, or has changed since it was planned with.
    """
    with heard_of_file(frame.path.name):
        ccd = raw_frame(frame)
    if ccd.shape != frame.shape:
        msg = f"{frame.path.name} had shape {frame.shape} when the night was planned, and has {ccd.shape} now."
        raise FrameError(msg)
    # The plan has looked at header and pixels of the file as it was then.
    if file_state(frame.file) != frame.state:
        msg = f"{frame.path.name} was changed after the night was planned; reduce again when nothing writes to it."
        raise FrameError(msg)
    if ccd.meta.get(EXPOSURE_TIME) != frame.exposure_time:
        ccd.meta[EXPOSURE_TIME] = (frame.exposure_time, "[s] exposure time")
    return ccd


def calibrate_raw(
    frame: RawFrame,
    plan: Plan,
    ccd: CCDFrame | None = None,
    *,
    detector: Detector | None = None,
    steps: ExtraSteps | None = None,
    **options: Any,
) -> CCDFrame:
    """
    Calibrate a frame of the night with what its plan says of overscan, sections, bad pixels and detector.

    ``ccd`` is the frame if it was read already, ``detector`` what read it out if that was found out; ``options`` go to
    `astro_calib.calibrate`: the masters, and where the shot noise comes from.
    """
    from astro_calib.masters.provenance import record
    from astro_calib.steps.header import forget_levels, forget_sections, is_gain_or_setting, note_gain_of_one
    from astro_calib.steps.sequence import calibrate

    raw = read_raw(frame) if ccd is None else ccd
    more = (steps or ExtraSteps(plan.profile.steps)).options(frame, with_dark=options.get("dark") is not None)
    detector = detector or detector_of(plan, raw, neighbours=frame.kind == "science")
    dark = options.get("dark")
    if plan.bias_in_darks and (frame.kind == "dark" or dark is not None):
        options["shot_noise"] = signal_model(raw, plan, detector, dark)
    result = calibrate(
        raw,
        detector,
        overscan=plan.frames[0].overscans,
        overscan_axis=plan.profile.overscan_axis if plan.frames[0].overscans else (0, 1),
        pedestal=plan.pedestal,
        trim=plan.trim,
        bad_pixels=plan.bad_pixels(),
        exposure_time=EXPOSURE_TIME,
        **more,
        **options,
    )
    if frame.kind == "science" and steps is not None:
        result = steps.finished(result)
    record(
        result,
        "calibrate",
        masters={kind: {**more, **options}.get(kind) for kind in MASTERS},
        parameters={
            "raw": frame.path.name,
            "overscan": plan.overscan,
            "overscan_axis": plan.profile.overscan_axis,
            "trim": plan.trim,
            **({} if plan.pedestal is None else {"pedestal": plan.pedestal}),
            "gain": [amplifier.gain for amplifier in detector.amplifiers],
            "read_noise": [amplifier.read_noise for amplifier in detector.amplifiers],
            "saturation": plan.camera.saturation,
            **{key: value for key, value in more.items() if key in ("sky", "cosmic_rays", "dark_amplitude")},
            **({} if plan.profile.steps.bin is None or frame.kind != "science" else {"bin": plan.profile.steps.bin}),
            "shot_noise": "above the dark" if plan.bias_in_darks else options.get("shot_noise", "data"),
        },
    )
    keywords = plan.profile.keywords  # of its camera; the steps know the usual ones
    forget_sections(result.meta, (*keywords["overscan"], *keywords["trim"]))
    forget_levels(result.meta, keywords["saturation"])
    note_gain_of_one(result.meta, (name for name in keywords["gain"] if not is_gain_or_setting(name)))
    return result


class MadeMaster(NamedTuple):
    """
    What became of the frames of one master.

    Attributes
    ----------
    frame : CCDFrame or None
        The master in electron; None if none of its frames can be used.
    scatter : Scatter
        How its frames scatter.
    unused : tuple of UnusedFile
        Frames that turned out to be of no use.
    remarks : tuple of str
        What is to be said.
    """

    frame: CCDFrame | None = None
    scatter: Scatter = Scatter()
    unused: tuple[UnusedFile, ...] = ()
    remarks: tuple[str, ...] = ()


def make_bias(plan: Plan, steps: ExtraSteps, done: Done = ignore, *, memory_limit: MemoryLimit = "auto") -> MadeMaster:
    """
    Make the master bias of a setup; ``done`` is called with each raw frame that was read, for a progress bar.

    ``memory_limit`` is about how many bytes this process may take meanwhile.
    """

    def calibrated(frame: RawFrame) -> CCDFrame:
        # The pattern of a bias is no light and has no shot noise.
        return calibrate_raw(frame, plan, steps=steps, shot_noise=0.0)

    return _made(plan, plan.biases, calibrated, done, memory_limit)


def make_dark(
    plan: Plan,
    time: float,
    bias: CCDFrame | None,
    steps: ExtraSteps,
    done: Done = ignore,
    *,
    memory_limit: MemoryLimit = "auto",
) -> MadeMaster:
    """Make the master dark of an exposure time in seconds, one of ``plan.darks``."""
    frames = plan.darks[time]
    looks = DarkFrames(len(frames))

    def calibrated(frame: RawFrame) -> CCDFrame:
        return calibrate_raw(frame, plan, steps=steps, bias=bias)

    made = _made(plan, frames, calibrated, done, memory_limit, looks.watched)
    if made.frame is not None:
        made.frame.meta[EXPOSURE_TIME] = time
    said = looks.remark()
    return made._replace(remarks=(f"the darks of {time:g} s {said}",) if said else ())


def make_flat(
    plan: Plan,
    key: str,
    bias: CCDFrame | None,
    dark_for: Callable[[float], CCDFrame | None],
    steps: ExtraSteps,
    done: Done = ignore,
    *,
    memory_limit: MemoryLimit = "auto",
) -> MadeMaster:
    """Make the master flat of a group of flats, one of ``plan.flat_groups``; ``dark_for`` gives the dark for a time."""
    frames = plan.flat_groups[key]

    def calibrated(frame: RawFrame) -> CCDFrame:
        return _lit(frame, calibrate_raw(frame, plan, steps=steps, bias=bias, dark=dark_for(frame.exposure_time)))

    made = _made(plan, frames, calibrated, done, memory_limit, scale="median")
    if made.frame is not None:
        left_out = {file.path for file in made.unused}
        times = [frame.exposure_time for frame in frames if frame.path not in left_out]
        made.frame.meta[EXPOSURE_TIME] = fmean(times)
    return made


def _made(
    plan: Plan,
    group: Sequence[RawFrame],
    calibrate: Callable[[RawFrame], CCDFrame],
    done: Done,
    memory_limit: MemoryLimit,
    watched: Callable[[Iterator[CCDFrame]], Iterator[CCDFrame]] = iter,
    **options: Any,
) -> MadeMaster:
    """The master of a group of frames; ``watched`` sees each frame before it is combined."""
    unused: list[UnusedFile] = []
    inputs = Inputs(scaled="scale" in options)
    frames = watched(_calibrated(group, calibrate, unused, done))
    combine = partial(_combined, frames, inputs, made_of(group, plan.camera), memory_limit, **options)
    stack = _tried_together(group, combine, unused)
    scatter = Scatter() if stack is None else inputs.scatter(stack)
    return MadeMaster(stack, scatter, tuple(unused))


def _calibrated(
    frames: Iterable[RawFrame],
    calibrate: Callable[[RawFrame], CCDFrame],
    unused: list[UnusedFile],
    done: Callable[[RawFrame], object],
) -> Iterator[CCDFrame]:
    """Calibrated frames; those that cannot be go to ``unused``, and do not stop the others."""
    for frame in frames:
        outcome = tried(frame.path, frame.kind, partial(calibrate, frame))
        if isinstance(outcome, UnusedFile):
            unused.append(outcome)
        else:
            yield outcome
        done(frame)


def _tried_together(
    group: Sequence[RawFrame], combine: Callable[[], CCDFrame | None], unused: list[UnusedFile]
) -> CCDFrame | None:
    """The master of a group of frames; if there is none because of all of them, each goes to ``unused``."""
    if not group:
        return None
    outcome = tried(group[0].path, group[0].kind, combine)
    if not isinstance(outcome, UnusedFile):
        return outcome
    known = {file.path for file in unused}
    reason = f"they cannot be combined: {outcome.reason}"
    unused += [UnusedFile(f.path, reason, f.kind, lost=outcome.lost) for f in group if f.path not in known]
    return None


def _combined(
    frames: Iterator[CCDFrame], inputs: Inputs, noted: Mapping[str, Any], memory_limit: MemoryLimit, **options: Any
) -> CCDFrame | None:
    """The mean of frames, without what deviates; None if there are none. ``inputs`` takes note of each."""
    from astro_calib.masters.provenance import record
    from astro_calib.stack.combination import combine

    first = next(frames, None)
    if first is None:
        return None
    names: list[str] = []

    def named() -> Iterator[CCDFrame]:
        for frame in chain([first], frames):
            names.append(frame.name)
            inputs.add(frame)
            yield frame

    choices: dict[str, Any] = {"method": "mean", "clip": "sigma", **options}
    # That of a night is for all that this process takes, of which a combination gets the rest.
    rest = memory_limit if memory_limit == "auto" else max(memory_limit - memory_taken(), 1.0)
    stack = combine(named(), memory_limit=rest, **choices)
    # All were calibrated like the first.
    stack.history = replace(stack.history, provenance=first.provenance)
    record(stack, "combine", parameters={**choices, **noted, "frames": names})
    return stack


def _lit(frame: RawFrame, flat: CCDFrame) -> CCDFrame:
    """A calibrated flat; a FrameError if there is no light in it, or too much."""
    good = usable(flat)
    # A window of several amplifiers leaves a gap in the middle.
    flags = flat.flags if frame.is_assembled else None
    unread = 0 if flags is None else np.count_nonzero(flags & DataQuality.NO_DATA)
    part = np.count_nonzero(good) / max(1, good.size - unread)
    if part < USABLE_PART_OF_FLAT:
        msg = f"only {part:.0%} of the pixels of this flat can be used; the others are saturated or bad"
        raise FrameError(msg)
    level = finite_median(flat.pixels[good])
    if not level > 0:
        msg = f"the median of this flat is {level:.4g} electron; there is no light in it"
        raise FrameError(msg)
    return flat
