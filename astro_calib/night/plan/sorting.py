"""Sort the frames of a night into setups of the camera, and find out which of them can be reduced."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from astro_calib.night.common.names import PLURALS, file_name, for_filter
from astro_calib.night.files.survey import COMMON, alike, left_out
from astro_calib.night.headers.setting_cards import CAMERA
from astro_calib.night.headers.settings import COOLED
from astro_calib.night.library.loan import nothing_lent, without_lent
from astro_calib.night.matching.matching import same_exposure
from astro_calib.night.plan.completeness import why_incomplete
from astro_calib.night.plan.night_plan import NightPlan
from astro_calib.night.plan.other_nights import of_nearest_nights, remarks_on_time
from astro_calib.night.plan.plan import Plan
from astro_calib.night.profiles.choice import profile_of
from astro_calib.night.setups.dark_temperature import SILENT, doubts_of_temperature, silent_darks
from astro_calib.night.setups.odd_cards import doubts_of_cards, doubts_of_filters
from astro_calib.night.setups.setups import SIZE, Difference, Setup, difference, setup_titles, setups
from astro_calib.night.setups.told_in_part import remarks_on_settings
from astro_calib.night.setups.unsure import without_unsure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from astro_calib.night.common.frames import RawFrame, UnusedFile
    from astro_calib.night.library.loan import Loan
    from astro_calib.night.profiles.profile import Profile

__all__ = ["night_of", "without_hopeless"]

#: What to do with flats of another gain or offset: masters of them fit any.
OTHER_LEVEL = "a master flat of them would do: reduce them with their own darks or biases, and give it with --masters"
ADVICE = "as in the frames that are reduced; reduce it with frames of its own setup"


class _Found(NamedTuple):
    """A setup that was found, and why its frames are left out where those of others are reduced, as far as known."""

    setup: Setup
    reasons: dict[Path, UnusedFile]
    said: tuple[str, ...] = ()

    @property
    def science(self) -> int:
        return sum(frame.kind == "science" for frame in self.setup.frames)

    def rank(self) -> tuple[bool, int, int]:
        """Setups with most science frames first, of those that have something to calibrate them with."""
        return 0 < self.science < len(self.setup.frames), self.science, len(self.setup.frames)


def night_of(
    frames: Sequence[RawFrame],
    unused: Sequence[UnusedFile],
    profile: Profile,
    *,
    needs_numbers: bool,
    lend: Callable[[Sequence[RawFrame]], Loan] = nothing_lent,
) -> NightPlan:
    """
    Sort the frames of a night into setups, from their headers.

    With ``needs_numbers`` frames that differ in the gain that their headers tell are of several setups. ``lend`` says
    what a setup borrows of a library.
    """
    useless = list(unused)
    found: list[_Found] = []
    for group in alike(frames, needs_numbers=needs_numbers):
        useless += group.unusable
        reasons = {file.path: file for file in group.left_out}
        sure, unsure = _without_unsure(group.frames, profile, reasons)
        found += sure
        useless += unsure
    found.sort(key=_Found.rank, reverse=True)
    found = _each_science_once(found)
    telling = useless if len(found) < 2 else []
    plans = []
    for one in found:
        own = profile_of(one.setup.frames, profile)
        loan = lend(one.setup.frames)
        problem = why_incomplete(one.setup.frames, telling, own, loan)
        plans.append(Plan(profile=own, frames=one.setup.frames, problem=problem, loan=loan, remarks=one.said))
    with_science = any(one.science for one in found)
    wanted = [number for number, one in enumerate(found) if one.science or not with_science]
    usable = [number for number in wanted if not plans[number].problem]
    titles = (
        setup_titles([found[number].setup.settings for number in usable]) if len(usable) > 1 else [""] * len(usable)
    )
    done = [
        replace(
            plans[number], title=title, name=file_name(title.replace(" ", "-").replace(",", ""))[:40] if title else ""
        )
        for number, title in zip(usable, titles, strict=True)
    ]
    used = {frame.path for plan in done for frame in plan.frames}
    listed = {file.path for file in useless}
    # The main setup first, so that a frame that is in none is compared with that.
    main = [found[number].setup for number in usable] or [one.setup for one in found[:1]]
    for one in found:
        for frame in one.setup.frames:
            if frame.path not in used and frame.path not in listed:
                listed.add(frame.path)
                useless.append(_why_left_out(frame, one, main if usable or frame.kind != "science" else []))
    done = [
        replace(plan, elsewhere=_elsewhere(plan, found[number].setup, found))
        for number, plan in zip(usable, done, strict=True)
    ]
    served = [without_hopeless(plan) for plan in done]
    useless += [file for _, files in served for file in files]
    of_night = [of_nearest_nights(plan) for plan, _ in served]
    useless += [file for _, files in of_night for file in files]
    done, silent = _told_of_darks([plan for plan, _ in of_night])
    useless += silent
    done = [replace(plan, remarks=(*plan.remarks, *remarks_on_time(plan))) for plan in done]
    incomplete = [
        replace(plans[number], elsewhere=(*found[number].said, *_elsewhere(plans[number], found[number].setup, found)))
        for number in wanted
        if number not in usable
    ]
    incomplete = _lacking_the_same(incomplete, telling)
    unused = without_lent(useless, (plan.loan for plan in done))
    return NightPlan(setups=tuple(done), unused=unused, profile=profile, incomplete=tuple(incomplete))


def _without_unsure(
    frames: Sequence[RawFrame], profile: Profile, reasons: dict[Path, UnusedFile]
) -> tuple[list[_Found], list[UnusedFile]]:
    """The setups of frames of one shape, and the frames that may be of several of these."""
    ranked = [_Found(_with_size(setup), reasons) for setup in setups(frames, profile.matching.temperature)]
    ranked.sort(key=_Found.rank, reverse=True)
    sure = without_unsure([one.setup for one in ranked])
    found = [
        _Found(setup, reasons, tuple(said))
        for setup, said in zip(sure.setups, sure.remarks, strict=True)
        if setup.frames
    ]
    # One may serve where the other setups have no science frame.
    used = {frame.path for one in found for frame in one.setup.frames}
    unsure = [left_out(frame, sure.reasons[frame.path]) for frame in frames if frame.path in sure.reasons]
    return found, [file for file in unsure if file.path not in used]


def _lacking_the_same(plans: Sequence[Plan], telling: Sequence[UnusedFile]) -> list[Plan]:
    """Setups that lack the same and differ in temperature alone as one, so that it is said once."""
    groups: dict[tuple[str, ...], list[Plan]] = {}
    for plan in plans:
        settings = sorted(
            {f"{card}={value}" for f in plan.frames for card, value in f.settings.items() if card != COOLED}
        )
        kinds = sorted({frame.kind for frame in plan.frames})
        groups.setdefault((*settings, *kinds, str(plan.frames[0].shape), *plan.loan.remarks), []).append(plan)
    done = []
    for first, *more in groups.values():
        frames = sorted({frame.path: frame for plan in (first, *more) for frame in plan.frames}.items())
        together = tuple(frame for _, frame in frames)
        problem = why_incomplete(together, telling, first.profile, first.loan) if more else ""
        done.append(replace(first, frames=together, problem=problem) if problem else first)
        done += [] if problem else more
    return done


def _told_of_darks(plans: Sequence[Plan]) -> tuple[list[Plan], list[UnusedFile]]:
    """Leave out darks that may be of any temperature where others tell it, and say what headers say of the rest."""
    done = []
    silent: dict[Path, RawFrame] = {}
    for plan in plans:
        without = {frame.path: frame for frame in silent_darks(plan.frames)}
        silent |= without
        frames = tuple(frame for frame in plan.frames if frame.path not in without)
        remarks = (
            *plan.remarks,
            *doubts_of_temperature(frames, plan.profile.matching.temperature),
            *doubts_of_cards(frames),
            *doubts_of_filters(frames),
            *remarks_on_settings(frames, plan.remarks),
        )
        done.append(replace(plan, frames=frames, remarks=remarks))
    used = {frame.path for plan in done for frame in plan.frames}
    return done, [left_out(frame, SILENT) for path, frame in silent.items() if path not in used]


def _elsewhere(plan: Plan, setup: Setup, found: Sequence[_Found]) -> tuple[str, ...]:
    """What other setups have of that which the science frames of one lack, and why it is not taken."""
    own = {frame.path for frame in plan.frames}
    lacking = _lacking(plan)
    reasons: dict[tuple[str, str], dict[str, dict[Path, None]]] = {what: {} for what in lacking}
    ways_out: dict[tuple[str, str], str] = {}
    for frame in (frame for other in found for frame in other.setup.frames if frame.path not in own):
        what = (frame.kind, frame.filter if frame.kind == "flat" else "")
        times = lacking.get(what)
        if times is not None and (not times or any(same_exposure(time, frame.exposure_time) for time in times)):
            # In whole degrees, the same for all frames of a cooler that jitters.
            different = difference(setup, frame, thermometer=frame.thermometer, degrees=".0f")
            why = different.words or _other_section(setup.frames[0], frame)
            reasons[what].setdefault(why, {})[frame.path] = None
            of_flat = different.is_of_level and frame.kind == "flat"
            ways_out[frame.kind, why] = OTHER_LEVEL if of_flat else _may_be_allowed(different)
    lines = []
    for (kind, filter_name), found_reasons in reasons.items():
        for why, paths in found_reasons.items():
            several = len(paths) > 1
            what_kind = f"{len(paths)} {PLURALS[kind] if several else kind}"
            what_kind += f" of {for_filter(filter_name)}" if kind == "flat" else ""
            their, they_are = ("their", "they are") if several else ("its", "it is")
            may = ways_out[kind, why]
            differ = f"{their} {why}{may and f' ({may})'}" if why else f"{they_are} of another shape"
            lines.append(f"{what_kind} {'are' if several else 'is'} not used: {differ}")
    return tuple(lines)


def _lacking(plan: Plan) -> dict[tuple[str, str], list[float]]:
    """
    What frames of a plan lack: kinds, with the filter of a flat; of darks for flats alone, the exposure times.

    Darks that hold the bias stand in for biases; that there are some all the same is worth saying.
    """
    lacking: dict[tuple[str, str], list[float]] = {}
    for match in plan.matches():
        choices = (("bias", match.bias), ("dark", match.dark), ("flat", match.flat))
        lacks = [kind for kind, one in choices if one.mend or (kind == "bias" and not one.name)]
        lacking |= {(kind, match.frame.filter if kind == "flat" else ""): [] for kind in lacks}
    if plan.bias_in_darks:
        exposures = dict.fromkeys(flat.exposure_time for flat in plan.of_kind("flat"))
        times = [time for time in exposures if not any(same_exposure(time, dark) for dark in plan.darks)]
        if times:
            lacking.setdefault(("dark", ""), times)
    return lacking


def _other_section(one: RawFrame, other: RawFrame) -> str:
    """What differs in frames of one shape that are of the same setup by their settings; empty if the shape does."""
    if one.shape != other.shape:
        return ""
    differing = [role for role in COMMON if getattr(one, role) != getattr(other, role)]
    return ", ".join(f"{COMMON[role]} is {getattr(other, role)}, not {getattr(one, role)}" for role in differing[:1])


def without_hopeless(plan: Plan) -> tuple[Plan, list[UnusedFile]]:
    """Return a plan without the science frames that nothing tells the level of zero light of, and these."""
    problems = {match.frame.path: match.problem for match in plan.matches() if match.problem}
    if not problems:
        return plan, []
    kept = tuple(frame for frame in plan.frames if frame.path not in problems)
    files = [left_out(frame, problems[frame.path]) for frame in plan.frames if frame.path in problems]
    return replace(plan, frames=kept), files


def _with_size(setup: Setup) -> Setup:
    rows, columns = setup.frames[0].shape
    return setup._replace(settings={**setup.settings, SIZE: f"{columns}x{rows}"})


def _each_science_once(found: Iterable[_Found]) -> list[_Found]:
    """A science frame whose header does not tell to which setup it belongs is reduced in the first of them."""
    taken: set[Path] = set()
    result = []
    for one in found:
        kept = tuple(frame for frame in one.setup.frames if frame.kind != "science" or frame.path not in taken)
        taken |= {frame.path for frame in kept if frame.kind == "science"}
        if kept:
            result.append(one._replace(setup=one.setup._replace(frames=kept)))
    return result


def _why_left_out(frame: RawFrame, own: _Found, others: Sequence[Setup]) -> UnusedFile:
    """Why a frame is in no setup that is reduced: what it has differently than the most similar one of these."""
    if frame.path in own.reasons:
        return own.reasons[frame.path]
    found = [difference(setup, frame, thermometer=frame.thermometer) for setup in others]
    nearest = min((one for one in found if one.words), key=lambda one: len(one.words), default=None)
    if nearest is None:
        return left_out(frame, "nothing of its setup can be reduced")
    may = _may_be_allowed(nearest)
    return left_out(frame, f"its {nearest.words}, {ADVICE}{may and f'; {may}'}")


def _may_be_allowed(different: Difference) -> str:
    """What lets a frame be used all the same that differs in nothing else; empty if nothing does."""
    if different.is_of_temperature:
        return "matching.temperature in a profile can allow it"
    if different.families == {CAMERA}:
        return "if it is the same camera by another name, give it one name in all headers"
    return ""
