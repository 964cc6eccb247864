"""The masters of a night: the mean bias, a mean dark for each exposure time, a mean flat for each filter."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.errors import FrameError
from astro_calib.flags import DataQuality
from astro_calib.frame.rebuild import usable
from astro_calib.night.common.frames import RawFrame, UnusedFile, by_reason, file_state
from astro_calib.night.common.names import file_name, for_filter, unique_name
from astro_calib.night.common.net import reason_of, tried
from astro_calib.night.common.remarks import heard_of_file
from astro_calib.night.files.raw_pixels import raw_frame
from astro_calib.night.library.master_file import made_of
from astro_calib.night.masters.bias_in_darks import signal_model
from astro_calib.night.masters.dark_frames import DarkFrames
from astro_calib.night.masters.extra_steps import ExtraSteps
from astro_calib.night.masters.lent_master import borrowed_masters
from astro_calib.night.masters.light_in_dark import light_in
from astro_calib.night.masters.master_noise import Inputs, Scatter
from astro_calib.night.masters.master_set import (
    EXPOSURE_TIME,
    Masters,
    dark_name,
    flat_name,
    level_of,
    pixel_sigma_of,
    sigma_of,
    variance_of,
)
from astro_calib.night.masters.read_out import detector_of
from astro_calib.night.matching.dark_for import FAR, distance
from astro_calib.night.summary.master_summary import REJECTED, MasterSummary
from astro_calib.report.pictures import master_picture
from astro_calib.stack.levels import finite_median

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from astro_calib.detector.detector import Detector
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.night.common.output import Output
    from astro_calib.night.plan.plan import Plan

__all__ = ["calibrate_raw", "make_masters", "read_raw", "write_masters"]

#: A flat of which less than this part of the pixels can be used is left out.
USABLE_PART_OF_FLAT = 0.5
#: What is applied to a frame.
MASTERS = ("bias", "dark", "shutter", "flat", "illumination", "fringe")


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


def make_masters(plan: Plan, *, done: Callable[[RawFrame], object] = lambda _: None) -> Masters:
    """
    Make the masters that a plan has frames for; call ``done`` with each raw frame that was read, for a progress bar.

    If there is no overscan and not one bias can be calibrated, that is a FrameError.
    """
    unused: list[UnusedFile] = []
    remarks: list[str] = []

    steps = ExtraSteps(plan.profile.steps)

    def calibrated(frames: Iterable[RawFrame], **options: Any) -> Iterator[CCDFrame]:
        return _calibrated(frames, lambda frame: calibrate_raw(frame, plan, steps=steps, **options), unused, done)

    scatter: dict[str, Scatter] = {}

    def combined(name: str, group: Sequence[RawFrame], frames: Iterator[CCDFrame], **options: Any) -> CCDFrame | None:
        inputs = Inputs(scaled="scale" in options)
        stack = _tried_together(
            group, lambda: _combined(frames, inputs, made_of(group, plan.camera), **options), unused
        )
        if stack is not None:
            scatter[name] = inputs.scatter(stack)
        return stack

    borrowed = partial(borrowed_masters, plan, unused=unused, remarks=remarks)
    # The pattern of a bias is no light and has no shot noise.
    bias = combined("bias", plan.biases, calibrated(plan.biases, shot_noise=0.0))
    for _, lent in borrowed("bias"):
        bias = lent
    number = len(plan.biases) + len(plan.loan.of_kind("bias"))
    if number and bias is None:
        if plan.overscan is None:
            reasons = "".join(f"\n  {line}" for line in by_reason(unused))
            msg = f"none of the {number} biases can be used, and there is no overscan:{reasons}"
            raise FrameError(msg)
        remarks.append(f"none of the {number} biases can be used: their pattern stays in the frames")
    darks: dict[float, CCDFrame] = {one.exposure_time: lent for one, lent in borrowed("dark", bias)}
    lost: list[float] = []
    for time, frames in plan.darks.items():
        looks = DarkFrames(len(frames))
        dark = combined(dark_name(time), frames, looks.watched(calibrated(frames, bias=bias)))
        if said := looks.remark():
            remarks.append(f"the darks of {time:g} s {said}")
        if dark is None:
            lost.append(time)
            continue
        dark.meta[EXPOSURE_TIME] = time
        darks[time] = dark
    if plan.bias_in_darks and plan.profile.pedestal is None and not darks:
        reasons = "".join(f"\n  {line}" for line in by_reason(unused))
        msg = f"none of the darks can be used, and nothing else tells the level of zero light; give biases:{reasons}"
        raise FrameError(msg)
    if lost:
        consequence = "those of other exposure times are scaled" if darks else "the dark current stays in the frames"
        times = ", ".join(f"{time:g}" for time in lost)
        remarks.append(f"none of the darks of {times} s can be used: {consequence}")
    scales = plan.profile.matching.scale_darks
    masters = Masters(bias=bias, darks=darks, flats={}, may_scale=scales, bias_in_darks=plan.bias_in_darks)
    remarks += _remarks_on_darks(masters, plan)
    flats: dict[str, CCDFrame] = {one.filter: lent for one, lent in borrowed("flat")}
    for key, frames in plan.flat_groups.items():
        lit = _lit(frames, plan, masters, unused, done, steps)
        flat = combined(flat_name(key), frames, lit, scale="median")
        if flat is not None:
            left_out = {file.path for file in unused}
            flat.meta[EXPOSURE_TIME] = fmean(frame.exposure_time for frame in frames if frame.path not in left_out)
            flats[key] = flat
    remarks += _remarks_on_lost_flats(flats, plan)
    remarks += steps.remarks(plan.science)
    if bias is not None and not scatter.get("bias", Scatter()).rejected > REJECTED:
        # With its pattern left in them, or a level that is not theirs, darks and flats are alike anyway.
        remarks += _remarks_on_light(darks, flats, bias)
    return replace(masters, flats=flats, scatter=scatter, steps=steps, unused=tuple(unused), remarks=tuple(remarks))


def _remarks_on_lost_flats(flats: Mapping[str, CCDFrame], plan: Plan) -> Iterator[str]:
    """Yield remarks on filters of which no flat can be used."""
    groups = plan.flat_groups
    for filter_name in sorted(
        {frames[0].filter for frames in groups.values()}
        - {groups[key][0].filter if key in groups else key for key in flats}
    ):
        names = ", ".join(frame.path.name for frame in plan.science if frame.filter == filter_name)
        without = f": reduced without one: {names}" if names else ""
        yield f"no flat for {for_filter(filter_name)} can be used{without}"


def _remarks_on_light(darks: Mapping[float, CCDFrame], flats: Mapping[str, CCDFrame], bias: CCDFrame) -> Iterator[str]:
    """Yield remarks on darks that light has reached, which is subtracted from the frames as well."""
    for time, dark in darks.items():
        if light := light_in(dark, flats.values(), bias):
            yield (
                f"the master dark of {time:g} s has the pattern of a flat, as if light of {light.value:.3g} +- "
                f"{light.error:.1g} electron had reached it: it is subtracted from the frames; take darks with the "
                "camera covered"
            )


def _remarks_on_darks(masters: Masters, plan: Plan) -> Iterator[str]:
    """Yield remarks on exposure times that have no dark of their own, where that may make the frames wrong."""
    for seconds in sorted({frame.exposure_time for frame in plan.science if frame.exposure_time > 0}):
        dark = masters.dark_for(seconds)
        if not masters.darks:
            return
        if dark is None:
            there = ", ".join(f"{time:g}" for time in masters.darks)
            yield f"for exposures of {seconds:g} s there is no dark, but for {there} s: it stays in the frames"
            continue
        of_dark = float(dark.meta[EXPOSURE_TIME])
        if distance(of_dark, seconds) > FAR:
            yield (
                f"for exposures of {seconds:g} s there is no dark nearer than {of_dark:g} s; it is scaled by "
                f"{seconds / of_dark:.3g}, which hot pixels do not follow"
            )
        elif how := masters.how_made(seconds):
            tested = "" if how.tested or masters.bias_in_darks else "; nothing tests whether its hot pixels follow"
            yield f"for exposures of {seconds:g} s there is no dark; taken is {how.why}{tested}"


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


def _combined(frames: Iterator[CCDFrame], inputs: Inputs, noted: Mapping[str, Any], **options: Any) -> CCDFrame | None:
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
    stack = combine(named(), **choices)
    # All were calibrated like the first.
    stack.history = replace(stack.history, provenance=first.provenance)
    record(stack, "combine", parameters={**choices, **noted, "frames": names})
    return stack


def _lit(
    frames: Iterable[RawFrame],
    plan: Plan,
    masters: Masters,
    unused: list[UnusedFile],
    done: Callable[[RawFrame], object],
    steps: ExtraSteps,
) -> Iterator[CCDFrame]:
    """Calibrated flats with light in them; the others go to ``unused``."""

    def calibrate(frame: RawFrame) -> CCDFrame:
        flat = calibrate_raw(frame, plan, steps=steps, bias=masters.bias, dark=masters.dark_for(frame.exposure_time))
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

    return _calibrated(frames, calibrate, unused, done)


def write_masters(
    masters: Masters, output: Output, *, lost: list[UnusedFile], setup: Plan, pictures: bool = True
) -> list[MasterSummary]:
    """
    Write the masters and pictures of them, and return what the summary says of each.

    A master that cannot be written because of what is in it, or not drawn, goes to ``lost``; a disk that cannot be
    written is an OSError.
    """
    summaries: list[MasterSummary] = []
    for title, wanted, master in masters.titled():
        of_setup = f"-{setup.name}" if setup.name else ""
        name = unique_name(f"master-{file_name(wanted)}{of_setup}", {summary.path.stem for summary in summaries})
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
            lost.append(UnusedFile(path, reason, "master", lost=True))
            continue
        output.written(path)
        if isinstance(picture, bytes):
            output.write("pictures", f"{name}-master", partial(Path.write_bytes, data=picture))
        summaries.append(
            MasterSummary(
                path=path,
                title=f"{title}, {setup.title}" if setup.title else title,
                setup=setup.name,
                number=int(master.meta.get("NCOMBINE", 0)),
                level=level_of(master),
                sigma=sigma_of(master),
                pixel_sigma=pixel_sigma_of(master),
                kind=wanted.split("-")[0],
                noise_ratio=masters.scatter[wanted].ratio if wanted in masters.scatter else float("nan"),
                rejected=masters.scatter[wanted].rejected if wanted in masters.scatter else float("nan"),
            )
        )
    return summaries


def _picture(title: str, master: CCDFrame) -> bytes:
    return master_picture(title, master.pixels, np.sqrt(variance_of(master)), usable(master), str(master.unit))
