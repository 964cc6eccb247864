"""Progress bars of the tasks of a night: for each setup one of its masters, and one of its science frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astro_calib.night.tasks.task import BIAS, DARK, FLAT, SCIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from astro_calib.night.plan.night_plan import NightPlan
    from astro_calib.night.tasks.task import Outcome, Task

__all__ = ["Bars"]


class Bars:
    """Shows one bar at a time; ``bar`` makes one with a description and a total."""

    def __init__(self, plan: NightPlan, bar: Callable[..., Any]) -> None:
        self._plan, self._bar = plan, bar
        self._shown: tuple[int, bool] | None = None
        self._read = 0
        self._now: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._now is not None:
            self._now.close()

    def expected(self, task: Task) -> None:
        """Show the bar of a task that is waited for."""
        self._read = 0
        wanted = task.setup, task.kind == SCIENCE
        if wanted == self._shown:
            return
        self.__exit__(None, None, None)
        plan = self._plan.setups[task.setup]
        of_setup = f" {plan.title}" if plan.title else ""
        what = "science" if task.kind == SCIENCE else "masters"
        number = len(plan.science)
        total = number if task.kind == SCIENCE else len(plan.frames) - number
        self._shown, self._now = wanted, self._bar(desc=f"{what}{of_setup}", total=total)

    def read(self, _: object) -> None:
        """Take note of a raw frame that went into a master."""
        self._read += 1
        self._now.update()

    def counted(self, outcomes: Iterable[tuple[Task, Outcome]]) -> Iterator[tuple[Task, Outcome]]:
        """Yield outcomes as they come, and count science frames, and frames of masters that were read elsewhere."""
        for task, outcome in outcomes:
            self._now.update(max(self._frames(task) - self._read, 0))
            yield task, outcome

    def _frames(self, task: Task) -> int:
        plan = self._plan.setups[task.setup]
        if task.kind == BIAS:
            return len(plan.biases)
        if task.kind == DARK:
            return len(plan.darks[task.of])
        if task.kind == FLAT:
            return len(plan.flat_groups[task.of])
        return int(task.kind == SCIENCE)
