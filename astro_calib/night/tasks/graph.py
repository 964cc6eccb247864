"""Which tasks a night has, in an order in which they can be done, and which needs which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.night.common.names import file_name, unique_name
from astro_calib.night.masters.master_set import dark_name, flat_name
from astro_calib.night.matching.matching import same_exposure
from astro_calib.night.tasks.task import BIAS, DARK, DARK_FOR, FLAT, LENT, LIGHT, SCIENCE, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.plan.night_plan import NightPlan
    from astro_calib.night.plan.plan import Plan

__all__ = ["tasks_of"]


def tasks_of(night: NightPlan) -> list[Task]:
    """
    Return the tasks of a night: for each setup the bias, darks, flats, and then the science frames.

    >>> from tempfile import TemporaryDirectory
    >>> from astro_calib import simulate
    >>> from astro_calib.night import plan_night
    >>> from astro_calib.night.tasks.graph import tasks_of
    >>> with TemporaryDirectory() as directory:
    ...     taken = simulate.night(
    ...         directory,
    ...         camera=simulate.camera((64, 96), filters=["V"]),
    ...         science=1,
    ...     )
    ...     tasks = tasks_of(plan_night(directory))
    >>> [task.name for task in tasks if task.kind != "dark for"]
    ['bias', 'dark-120s', 'flat-V', 'light in darks', 'science-001-V']
    >>> tasks[-1].needs
    ('bias', 'dark for 120 s', 'flat-V')
    """
    return [task for number, plan in enumerate(night.setups) for task in _Setup(number, plan).tasks()]


class _Setup:
    """The tasks of one setup."""

    def __init__(self, number: int, plan: Plan) -> None:
        self.number, self.plan = number, plan
        self._names: set[str] = set()
        self._files: set[str] = set()

    def tasks(self) -> list[Task]:
        plan, lent = self.plan, list(enumerate(self.plan.loan.masters))
        biases = [self._task("bias", BIAS, file="bias")] if plan.biases else []
        biases += [self._lent(n, "bias") for n, one in lent if one.master.kind == "bias"]
        bias = _names(biases)
        darks = {
            one.master.exposure_time: self._lent(n, dark_name(one.master.exposure_time), bias)
            for n, one in lent
            if one.master.kind == "dark"
        }
        own = {
            time: self._task(dark_name(time), DARK, time, dark_name(time), needs=bias)
            for time in plan.darks
            if time not in darks
        }
        darks |= own
        made = {time: self._dark_for(time, darks) for time in self._exposure_times()}
        flats = [(one.master.filter, self._lent(n, flat_name(one.master.filter))) for n, one in lent if _is_flat(one)]
        groups = plan.flat_groups
        for key, frames in groups.items():
            needs = (*bias, *_names(made[time] for time in dict.fromkeys(frame.exposure_time for frame in frames)))
            flats.append((frames[0].filter, self._task(flat_name(key), FLAT, key, flat_name(key), needs=needs)))
        masters = [*biases, *darks.values(), *made.values(), *(flat for _, flat in flats)]
        every = (*bias, *_names(darks.values()), *_names(flat for _, flat in flats))
        light = [self._task("light in darks", LIGHT, needs=every)] if bias and darks and flats else []
        science = []
        others = plan.compared_with
        for index, frame in _in_fields(plan.science) if others else enumerate(plan.science):
            of_filter = _names(flat for name, flat in flats if name == frame.filter)
            times = dict.fromkeys(one.exposure_time for one in (frame, *others.get(frame.name, ())))
            needs = (*bias, *_names(made[time] for time in times), *of_filter)
            science.append(self._task(frame.name, SCIENCE, index, frame.name, needs=needs))
        return [*masters, *light, *science]

    def _exposure_times(self) -> Iterable[float]:
        """The exposure times that need a dark: those of science frames, the shortest first, and then of flats."""
        science = sorted({frame.exposure_time for frame in self.plan.science})
        flats = [frame.exposure_time for group in self.plan.flat_groups.values() for frame in group]
        positive = [time for time in science if time > 0]
        return dict.fromkeys([*positive, *flats, *science])

    def _dark_for(self, time: float, darks: dict[float, Task]) -> Task:
        same = _names(dark for own, dark in darks.items() if time > 0 and same_exposure(own, time))
        every = _names(darks.values())
        name = f"{dark_name(time)}-made"
        return self._task(f"dark for {time:g} s", DARK_FOR, time, name, needs=same or every, after=every)

    def _lent(self, number: int, name: str, needs: tuple[str, ...] = ()) -> Task:
        return self._task(f"lent {name}", LENT, number, name, needs=needs)

    def _task(self, name: str, kind: str, of: Any = None, file: str = "", **needs: tuple[str, ...]) -> Task:
        """A task with a name, and a name for its file, that no other has."""
        whole = f"{self.plan.name}: {name}" if self.plan.name else name
        only = whole
        while only in self._names:
            only += "'"
        self._names.add(only)
        if file and kind != SCIENCE:
            of_setup = f"-{self.plan.name}" if self.plan.name else ""
            file = unique_name(f"master-{file_name(file)}{of_setup}", self._files)
            self._files.add(file)
        return Task(name=only, kind=kind, setup=self.number, of=of, file=file, **needs)


def _in_fields(science: Sequence[RawFrame]) -> list[tuple[int, RawFrame]]:
    """Frames that are compared one after the other, so that few are in memory at a time."""

    def field(numbered: tuple[int, RawFrame]) -> tuple[Any, ...]:
        _, frame = numbered
        return frame.object.strip().casefold(), frame.filter, frame.shape, frame.exposure_time, frame.time or 0.0

    return sorted(enumerate(science), key=field)


def _names(tasks: Iterable[Task]) -> tuple[str, ...]:
    return tuple(task.name for task in tasks)


def _is_flat(one: Any) -> bool:
    return bool(one.master.kind == "flat")
