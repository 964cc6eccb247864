"""How each task is done, from the plan, the raw files, and the masters that were made before."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from astro_calib.errors import FrameError
from astro_calib.night.common.frames import UnusedFile, by_reason
from astro_calib.night.common.net import tried
from astro_calib.night.common.remarks import heard
from astro_calib.night.comparing import without_hits
from astro_calib.night.masters.lent_master import borrowed_master
from astro_calib.night.masters.light_in_dark import remark_on_light
from astro_calib.night.masters.master_set import EXPOSURE_TIME, Darks
from astro_calib.night.masters.masters import MadeMaster, ignore, make_bias, make_dark, make_flat
from astro_calib.night.masters.written import write_master
from astro_calib.night.matching.matching import flat_choice
from astro_calib.night.science import calibrated, reduce_science
from astro_calib.night.summary.master_summary import REJECTED
from astro_calib.night.tasks.task import BIAS, DARK, DARK_FOR, FLAT, LENT, LIGHT, SCIENCE, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.masters.master_set import FrameMasters
    from astro_calib.night.masters.masters import Done
    from astro_calib.night.plan.plan import Plan
    from astro_calib.night.tasks.task import Task
    from astro_calib.night.tasks.workplace import Workplace

__all__ = ["Begun", "begin", "do", "masters_for"]


class Begun(NamedTuple):
    """
    A task whose result is made, and not written yet.

    ``write`` writes the image and can be called from another thread; ``end`` is called with what waits for that, writes
    the rest, and returns the outcome.
    """

    write: Callable[[], object]
    end: Callable[[Callable[[], object]], Outcome]


def do(task: Task, place: Workplace, given: Mapping[str, Outcome], done: Done = ignore) -> Outcome:
    """
    Do a task; ``given`` has the outcomes of the tasks that it needs or comes after, by their names.

    ``done`` is called with each raw frame that was read.
    """
    begun = begin(task, place, given, done)
    return begun.end(begun.write)


def begin(task: Task, place: Workplace, given: Mapping[str, Outcome], done: Done = ignore) -> Begun:
    """Do all of a task but the writing of a science frame, during which another can be begun."""
    place.at_work(task.setup)
    work = _Work(task, place, given, done)
    if (lost := work.error()) is not None:
        return _over(Outcome(name=task.name, error=lost))
    if task.kind == SCIENCE:
        return _science(work)
    try:
        with heard() as said:
            outcome = _MAKE[task.kind](work)
    except FrameError as error:
        return _over(Outcome(name=task.name, error=error))
    return _over(replace(outcome, heard=tuple(said), files=work.output.files()))


def _over(outcome: Outcome) -> Begun:
    return Begun(lambda: None, lambda _: outcome)


class _Work:
    """One task, where it is done, and what the tasks before it have made."""

    def __init__(self, task: Task, place: Workplace, given: Mapping[str, Outcome], done: Done) -> None:
        self.task, self.place, self.done, self.by_name = task, place, done, given
        self.plan, self.output = place.plan.setups[task.setup], place.output.for_one_task()
        #: Whether something failed that another run may find well.
        self.passing = False
        self.needs = [place.task(name) for name in dict.fromkeys((*task.needs, *task.after))]

    def of(self, *kinds: str) -> Iterator[tuple[Task, Outcome]]:
        """Tasks of some kinds of master and what became of them; one that is borrowed is of its own kind."""
        for task in self.needs:
            if _kind(task, self.plan) in kinds:
                yield task, self.by_name[task.name]

    def error(self) -> FrameError | None:
        """Why nothing of the setup can be reduced; None if it can be."""
        found = [self.by_name[task.name].error for task in self.needs]
        if any(found):
            return next(filter(None, found))
        biases = [outcome for _, outcome in self.of(BIAS)]
        number = len(self.plan.biases) + len(self.plan.loan.of_kind("bias"))
        if not biases or self.bias or self.plan.overscan is not None:
            return None
        reasons = _reasons(biases)
        return FrameError(f"none of the {number} biases can be used, and there is no overscan:{reasons}")

    @property
    def bias(self) -> str:
        """Where the master bias is; empty if there is none."""
        return next((outcome.master for _, outcome in self.of(BIAS)), "")

    def darks(self) -> dict[float, str]:
        """Where the darks are, by exposure time."""
        return {_time(task, self.plan): outcome.master for task, outcome in self.of(DARK) if outcome.master}

    def dark_for(self) -> dict[float, str]:
        """Where the dark for each exposure time is; empty if there is none."""
        return {task.of: outcome.master for task, outcome in self.of(DARK_FOR)}

    def flats(self) -> dict[str, str]:
        """Where the flats are, by the key of their group, or the filter of one that is borrowed."""
        return {_key(task, self.plan): outcome.master for task, outcome in self.of(FLAT) if outcome.master}


def _kind(task: Task, plan: Plan) -> str:
    return str(plan.loan.masters[task.of].master.kind) if task.kind == LENT else task.kind


def _time(task: Task, plan: Plan) -> float:
    return float(plan.loan.masters[task.of].master.exposure_time if task.kind == LENT else task.of)


def _key(task: Task, plan: Plan) -> str:
    return str(plan.loan.masters[task.of].master.filter if task.kind == LENT else task.of)


def _reasons(outcomes: list[Outcome]) -> str:
    unused = (file for outcome in outcomes for file in outcome.unused)
    return "".join(f"\n  {line}" for line in by_reason(unused))


def _bias(work: _Work) -> Outcome:
    limit = work.place.memory_limit
    made = make_bias(work.plan, work.place.steps[work.task.setup], work.done, memory_limit=limit)
    return _written(work, made, "master bias", "bias")


def _dark(work: _Work) -> Outcome:
    bias, steps, limit = work.place.master(work.bias), work.place.steps[work.task.setup], work.place.memory_limit
    made = make_dark(work.plan, work.task.of, bias, steps, work.done, memory_limit=limit)
    return _written(work, made, f"master dark, {work.task.of:g} s", "dark")


def _flat(work: _Work) -> Outcome:
    darks = {time: work.place.master(path) for time, path in work.dark_for().items()}
    bias, steps, limit = work.place.master(work.bias), work.place.steps[work.task.setup], work.place.memory_limit
    made = make_flat(work.plan, work.task.of, bias, darks.__getitem__, steps, work.done, memory_limit=limit)
    return _written(work, made, _flat_title(work.task.of), "flat")


def _lent(work: _Work) -> Outcome:
    one = work.plan.loan.masters[work.task.of]
    frame, unused, remarks = borrowed_master(work.plan, one, work.place.master(work.bias))
    titles = {
        "bias": "master bias",
        "dark": f"master dark, {one.master.exposure_time:g} s",
        "flat": _flat_title(one.master.filter),
    }
    made = MadeMaster(frame, unused=unused, remarks=remarks)
    return _written(work, made, titles[one.master.kind], one.master.kind)


def _flat_title(name: str) -> str:
    return f"master flat, {name or 'no filter'}"


def _dark_for(work: _Work) -> Outcome:
    plan, paths = work.plan, work.darks()
    if plan.bias_in_darks and plan.profile.pedestal is None and not paths:
        reasons = _reasons([outcome for _, outcome in work.of(DARK)])
        msg = f"none of the darks can be used, and nothing else tells the level of zero light; give biases:{reasons}"
        raise FrameError(msg)
    frames = {time: frame for time, path in paths.items() if (frame := work.place.master(path)) is not None}
    darks = Darks(darks=frames, may_scale=plan.profile.matching.scale_darks, bias_in_darks=plan.bias_in_darks)
    dark, how = darks.dark_for(work.task.of), darks.how_made(work.task.of)
    if dark is None:
        return Outcome(name=work.task.name)
    facts = {
        "exposure_time": float(dark.meta[EXPOSURE_TIME]),
        "why": "" if how is None else how.why,
        "tested": how is not None and how.tested,
    }
    own = next((time for time, frame in frames.items() if frame is dark), None)
    if own is not None:
        return Outcome(name=work.task.name, master=paths[own], facts=facts)
    assert how is not None
    title = f"dark for {float(dark.meta[EXPOSURE_TIME]):g} s, {how.why}"
    return replace(_written(work, MadeMaster(dark), title, "dark"), facts=facts)


def _light(work: _Work) -> Outcome:
    """Look for light in the darks, which is subtracted from the frames as well."""
    for _, outcome in work.of(BIAS):
        # With its pattern left in them, or a level that is not theirs, darks and flats are alike anyway.
        if outcome.summary is not None and getattr(outcome.summary, "rejected", 0.0) > REJECTED:
            return Outcome(name=work.task.name)
    bias = work.place.master(work.bias)
    if bias is None:
        return Outcome(name=work.task.name)
    flats = [flat for path in work.flats().values() if (flat := work.place.master(path)) is not None]
    darks = {time: dark for time, path in work.darks().items() if (dark := work.place.master(path)) is not None}
    said = [remark for time, dark in darks.items() if (remark := remark_on_light(time, dark, flats, bias))]
    return Outcome(name=work.task.name, said=tuple(said))


_MAKE = {BIAS: _bias, DARK: _dark, FLAT: _flat, LENT: _lent, DARK_FOR: _dark_for, LIGHT: _light}


def _written(work: _Work, made: MadeMaster, title: str, kind: str) -> Outcome:
    """Write a master, if there is one, and keep it for those that need it."""
    outcome = Outcome(name=work.task.name, unused=made.unused, said=made.remarks)
    if made.frame is None:
        return outcome
    pictures = work.place.choices["pictures"]
    summary, lost = write_master(
        made.frame, title, kind, work.task.file, work.output, setup=work.plan, scatter=made.scatter, pictures=pictures
    )
    master = f"masters/{work.task.file}.fits"
    work.place.keep(master, made.frame)
    return replace(outcome, summary=summary, unused=(*made.unused, *lost), master=master)


def _science(work: _Work) -> Begun:
    frame = work.plan.science[work.task.of]
    called, masters = work.place.called[frame.path], _masters_for(work, frame)
    compare = partial(_compared, work, frame) if work.plan.profile.steps.compares else None

    def made() -> Any:
        return reduce_science(frame, work.plan, masters, work.output, compare, **work.place.choices)

    with heard(frame.path.name, called) as said:
        begun = tried(frame.path, frame.kind, made)
    if isinstance(begun, UnusedFile):
        return _over(Outcome(name=work.task.name, failure=begun, heard=tuple(said)))

    def end(written: Callable[[], object]) -> Outcome:
        more: list[str] = []

        def ended() -> Outcome:
            nonlocal more
            written()
            with heard(frame.path.name, called) as more:
                begun.write_beside()
            summary = replace(begun.summary, raw_name=called)
            return Outcome(name=work.task.name, summary=summary, files=work.output.files(), passing=work.passing)

        outcome = tried(frame.path, frame.kind, ended)
        if isinstance(outcome, UnusedFile):
            outcome = Outcome(name=work.task.name, failure=outcome, files=work.output.files())
        return replace(outcome, heard=(*said, *more))

    return Begun(begun.write_image, end)


def _compared(work: _Work, frame: RawFrame, image: CCDFrame) -> CCDFrame:
    """A science frame without the hits of cosmic rays that others of its field show."""
    fields = work.place.fields
    own = fields.again(frame, image)
    others = []
    for other in work.place.compared_with(work.task.setup)[frame.name]:
        with warnings.catch_warnings():
            # What is to be said of it is said when it is reduced itself.
            warnings.simplefilter("ignore")
            make = partial(calibrated, other, work.plan, _masters_for(work, other))
            found = tried(other.path, other.kind, partial(fields.seen, other, make))
        if isinstance(found, UnusedFile):
            work.passing |= found.passing
        else:
            others.append(found)
    return without_hits(own, others)


def masters_for(task: Task, place: Workplace, given: Mapping[str, Outcome]) -> FrameMasters:
    """Return the masters of a science frame; the arguments are those of `do`."""
    work = _Work(task, place, given, ignore)
    return _masters_for(work, work.plan.science[task.of])


def _masters_for(work: _Work, frame: RawFrame) -> FrameMasters:
    return work.place.masters(work.task.setup, work.bias, work.dark_for()[frame.exposure_time], _flat_for(work, frame))


def _flat_for(work: _Work, frame: RawFrame) -> str:
    """Where the flat is to divide a science frame by; empty without one."""
    flats, plan, groups = work.flats(), work.plan, work.place.flat_groups(work.task.setup)
    chosen = flat_choice(frame, {key: groups[key] for key in flats if key in groups}, plan.profile.matching)
    if chosen.name:
        return flats[chosen.key]
    # One that is borrowed goes by its filter alone.
    return "" if frame.filter in groups else flats.get(frame.filter, "")
