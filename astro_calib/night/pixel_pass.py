"""The second pass over a night: its pixels are looked at, and what its detectors are is found out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from astro_calib.errors import FrameError, ProfileError
from astro_calib.night.common.frames import RawFrame, UnusedFile, by_reason
from astro_calib.night.files.pixels import Pixels
from astro_calib.night.files.sample import FEWER, PIXELS, Seen
from astro_calib.night.files.survey import left_out
from astro_calib.night.files.unlike import remarks_on_fractions, remarks_on_net_biases, without_unlike
from astro_calib.night.headers.raw_file import most_bytes
from astro_calib.night.library.loan import without_lent
from astro_calib.night.library.master_file import CALIBRATIONS
from astro_calib.night.masters.lent_master import lent_pedestal
from astro_calib.night.plan.completeness import check_bad_sections, remarks_on, why_incomplete
from astro_calib.night.plan.sorting import without_hopeless

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from astro_calib.night.detector.detector import NightDetector
    from astro_calib.night.library.loan import Loan
    from astro_calib.night.plan.night_plan import NightPlan
    from astro_calib.night.plan.plan import Plan
    from astro_calib.night.profiles.profile import Profile

__all__ = ["PixelPass"]


class PixelPass:
    """
    Looks at the pixels of a night that was planned from its headers.

    ``frames`` are all frames of the night. ``find_detector`` finds the detector of the frames of a setup, ``lend`` says
    what they borrow of a library, ``mode`` where the numbers of the detector may be from.
    """

    def __init__(
        self,
        night: NightPlan,
        frames: Sequence[RawFrame],
        find_detector: Callable[..., NightDetector],
        lend: Callable[[Sequence[RawFrame]], Loan],
        *,
        mode: str,
    ) -> None:
        self.night, self.find_detector, self.lend, self.mode = night, find_detector, lend, mode
        self.of_setups = {frame.path for frame in frames}
        self.pixels = Pixels(most_bytes(math.prod(frame.shape) for frame in frames))
        self.unused = list(night.unused)

    def whole(self, watch: Callable[[Sequence[Path]], Iterable[Path]]) -> NightPlan:
        """Return the plan of the night, with its detectors; the first error is raised if nothing can be reduced."""
        progress = _each_once(watch([frame.path for frame in self.night.frames]))
        done, incomplete, errors = [], list(self.night.incomplete), []
        for plan in self.night.setups:
            seen = _kept_pieces(plan.profile, self.mode)
            good, useless, unlike = self._good(plan, seen, progress)
            try:
                done.append(self._with_detector(plan, good, useless, unlike, seen))
            except (FrameError, ProfileError) as error:
                errors.append(error)
                incomplete.append(replace(plan, frames=tuple(good), problem=str(error)))
                reason = (
                    str(error) if not plan.title else f"nothing of its setup ({plan.title}) can be reduced: {error}"
                )
                self._leave_out(left_out(frame, reason) for frame in good)
        progress(None)
        if not done:
            raise errors[0]
        used = {frame.path for plan in done for frame in plan.frames}
        unused = (file for file in self.unused if file.path not in used)
        return replace(
            self.night,
            setups=tuple(done),
            incomplete=tuple(incomplete),
            unused=without_lent(unused, (plan.loan for plan in done)),
        )

    def _good(
        self, plan: Plan, seen: Seen | None, progress: Callable[[Path | None], object]
    ) -> tuple[list[RawFrame], list[UnusedFile], list[UnusedFile]]:
        """The frames of a setup that are of use, those that are not, and those that are not like the others."""
        good: list[RawFrame] = []
        useless: list[UnusedFile] = []
        for frame in plan.frames:
            progress(frame.path)
            outcome = self.pixels.looked_at(frame, seen)
            if isinstance(outcome, UnusedFile):
                useless.append(outcome)
            else:
                good.append(outcome)
        good, unlike = without_unlike(good, self.pixels.glances, plan.profile.matching)
        self._leave_out([*useless, *unlike])
        return good, useless, unlike

    def _with_detector(
        self,
        plan: Plan,
        good: list[RawFrame],
        useless: Sequence[UnusedFile],
        unlike: Sequence[UnusedFile],
        seen: Seen | None,
    ) -> Plan:
        """The plan of a setup, of which these frames are left; an error says why it cannot be reduced."""
        # Some may have turned out to be of no use.
        loan = self.lend(good)
        if problem := why_incomplete(good, [] if plan.title else self.unused, plan.profile, loan):
            raise FrameError(problem)
        plan, hopeless = without_hopeless(replace(plan, frames=tuple(good), loan=loan))
        good[:] = plan.frames
        self.unused += hopeless
        check_bad_sections(plan.profile, good[0].shape)
        is_lent = "bias" in loan.kinds
        found = self.find_detector(good, plan.profile, seen=seen, lent=loan.numbers, bias_is_lent=is_lent)
        in_none = [file for file in self.unused if file.path not in self.of_setups]
        damaged = [file for file in (*in_none, *useless) if file.damaged and file.kind in CALIBRATIONS]
        said = (
            *remarks_on(good, plan.profile, loan, [*in_none, *useless, *unlike]),
            *plan.elsewhere,
            *by_reason(unlike),
            *by_reason(damaged),
            *remarks_on_fractions(good, self.pixels.glances),
            *remarks_on_net_biases(good, self.pixels.glances),
        )
        whole = replace(
            plan,
            detector=found.detector,
            remarks=(*plan.remarks, *found.remarks, *said),
            numbers=found.numbers,
            image_excess=found.image_excess,
            pedestal=found.pedestal,
        )
        return replace(whole, pedestal=lent_pedestal(whole))

    def _leave_out(self, files: Iterable[UnusedFile]) -> None:
        known = {file.path for file in self.unused}
        self.unused += [file for file in files if file.path not in known]


def _each_once(waiting: Iterable[Path]) -> Callable[[Path | None], object]:
    """What moves a progress bar on for each path that it has not seen, and ends the bar for None."""
    bar: Iterator[Path] = iter(waiting)
    seen: set[Path | None] = set()

    def progress(path: Path | None) -> None:
        if path not in seen:
            seen.add(path)
            next(bar, None)

    return progress


def _kept_pieces(profile: Profile, mode: str) -> Seen | None:
    """What keeps pieces of frames for the measurement; None if there is none."""
    if mode not in ("auto", "measure"):
        return None
    # What is stated is taken, and the measurement can only contradict it.
    stated = mode == "auto" and None not in (profile.gain, profile.read_noise)
    return Seen(FEWER if stated else PIXELS)
