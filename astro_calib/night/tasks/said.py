"""What is to be said of the masters of a setup, all together, from what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.night.common.names import for_filter
from astro_calib.night.masters.extra_steps import ExtraSteps
from astro_calib.night.matching.dark_for import FAR, distance
from astro_calib.night.tasks.task import BIAS, DARK, DARK_FOR, FLAT, LENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from astro_calib.night.plan.plan import Plan
    from astro_calib.night.tasks.task import Outcome, Task

__all__ = ["said_of_masters"]


def said_of_masters(plan: Plan, done: Sequence[tuple[Task, Outcome]]) -> Iterator[str]:
    """Yield what is to be said of the masters of a setup, in their order, from all its tasks but science frames."""
    lent: dict[str, list[tuple[Task, Outcome]]] = {kind: [] for kind in (BIAS, DARK, FLAT)}
    own: dict[str, list[tuple[Task, Outcome]]] = {kind: [] for kind in (BIAS, DARK, DARK_FOR, FLAT)}
    others: list[Outcome] = []
    for task, outcome in done:
        if task.kind == LENT:
            lent[plan.loan.masters[task.of].master.kind].append((task, outcome))
        elif task.kind in own:
            own[task.kind].append((task, outcome))
        else:
            others.append(outcome)
    for _, outcome in (*lent[BIAS], *own[BIAS]):
        yield from outcome.said
    biases = [*own[BIAS], *lent[BIAS]]
    if biases and not any(outcome.master for _, outcome in biases):
        number = len(plan.biases) + len(plan.loan.of_kind("bias"))
        yield f"none of the {number} biases can be used: their pattern stays in the frames"
    for _, outcome in (*lent[DARK], *own[DARK]):
        yield from outcome.said
    there = [plan.loan.masters[task.of].master.exposure_time for task, outcome in lent[DARK] if outcome.master]
    there += [task.of for task, outcome in own[DARK] if outcome.master]
    if lost := [task.of for task, outcome in own[DARK] if not outcome.master]:
        consequence = "those of other exposure times are scaled" if there else "the dark current stays in the frames"
        times = ", ".join(f"{time:g}" for time in lost)
        yield f"none of the darks of {times} s can be used: {consequence}"
    yield from _of_darks(plan, {task.of: outcome for task, outcome in own[DARK_FOR]}, there)
    for _, outcome in lent[FLAT]:
        yield from outcome.said
    made = {task.of for task, outcome in own[FLAT] if outcome.master}
    borrowed = {plan.loan.masters[task.of].master.filter for task, outcome in lent[FLAT] if outcome.master}
    yield from _of_lost_flats(plan, made, borrowed)
    yield from ExtraSteps(plan.profile.steps).remarks(plan.science)
    for outcome in others:
        yield from outcome.said


def _of_darks(plan: Plan, dark_for: Mapping[float, Outcome], there: Sequence[float]) -> Iterator[str]:
    """Yield remarks on exposure times that have no dark of their own, where that may make the frames wrong."""
    if not there:
        return
    for seconds in sorted({frame.exposure_time for frame in plan.science if frame.exposure_time > 0}):
        outcome = dark_for[seconds]
        if not outcome.master:
            times = ", ".join(f"{time:g}" for time in there)
            yield f"for exposures of {seconds:g} s there is no dark, but for {times} s: it stays in the frames"
            continue
        of_dark = float(outcome.facts["exposure_time"])
        if distance(of_dark, seconds) > FAR:
            yield (
                f"for exposures of {seconds:g} s there is no dark nearer than {of_dark:g} s; it is scaled by "
                f"{seconds / of_dark:.3g}, which hot pixels do not follow"
            )
        elif why := outcome.facts["why"]:
            tested = (
                "" if outcome.facts["tested"] or plan.bias_in_darks else "; nothing tests whether its hot pixels follow"
            )
            yield f"for exposures of {seconds:g} s there is no dark; taken is {why}{tested}"


def _of_lost_flats(plan: Plan, made: set[str], borrowed: set[str]) -> Iterator[str]:
    """Yield remarks on filters of which no flat can be used."""
    groups = plan.flat_groups
    there = {groups[key][0].filter for key in made} | borrowed
    for filter_name in sorted({frames[0].filter for frames in groups.values()} - there):
        names = ", ".join(frame.path.name for frame in plan.science if frame.filter == filter_name)
        without = f": reduced without one: {names}" if names else ""
        yield f"no flat for {for_filter(filter_name)} can be used{without}"
