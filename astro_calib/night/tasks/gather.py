"""What became of a night, gathered from the outcomes of its tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.night.common.remarks import Remark
from astro_calib.night.files.survey import left_out
from astro_calib.night.summary.frame_summary import FrameSummary
from astro_calib.night.summary.journal import tell_masters, tell_reduced, tell_unused
from astro_calib.night.summary.master_summary import MasterSummary
from astro_calib.night.tasks.said import said_of_masters
from astro_calib.night.tasks.task import SCIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astro_calib.errors import FrameError
    from astro_calib.night.common.frames import UnusedFile
    from astro_calib.night.common.output import Output
    from astro_calib.night.common.remarks import Remarks
    from astro_calib.night.plan.night_plan import NightPlan
    from astro_calib.night.tasks.task import Outcome, Task

__all__ = ["Gathered"]


class Gathered:
    """
    Masters, science frames, and all that is not among the results of a night, setup by setup.

    What is to be said of it goes to ``remarks``, and what was written to ``output``.
    """

    def __init__(self, plan: NightPlan, remarks: Remarks, output: Output) -> None:
        self.plan, self.remarks, self.output = plan, remarks, output
        self.masters: list[MasterSummary] = []
        self.frames: list[FrameSummary] = []
        self.failures: list[UnusedFile] = []
        self.unused: list[UnusedFile] = []
        self._errors: dict[int, FrameError] = {}

    def take(self, tasks: Iterable[tuple[Task, Outcome]]) -> None:
        """
        Take the outcomes of tasks, in the order of the tasks; all before the first science frame are masters.

        If nothing of any setup can be reduced, the first error is raised.
        """
        masters: list[tuple[Task, Outcome]] = []
        for task, outcome in tasks:
            if masters and (task.kind == SCIENCE or task.setup != masters[0][0].setup):
                self._masters(masters)
                masters = []
            if task.kind != SCIENCE:
                masters.append((task, outcome))
            elif task.setup not in self._errors:
                self._science(outcome)
        if masters:
            self._masters(masters)
        if len(self._errors) == len(self.plan.setups):
            raise next(iter(self._errors.values()))

    def _masters(self, done: list[tuple[Task, Outcome]]) -> None:
        number = done[0][0].setup
        plan = self.plan.setups[number]
        self._note_files(outcome for _, outcome in done)
        if error := next((outcome.error for _, outcome in done if outcome.error), None):
            # A master that cannot be made costs its setup, and not those of the others.
            self._errors[number] = error
            lost = [left_out(frame, str(error)) for frame in plan.frames]
            self.unused += lost
            tell_unused(lost)
            return
        made = [outcome.summary for _, outcome in done if isinstance(outcome.summary, MasterSummary)]
        unused = [file for _, outcome in done for file in outcome.unused]
        self.masters += made
        self.unused += unused
        self.remarks.add(*(remark for _, outcome in done for remark in outcome.heard))
        tell_masters(made)
        tell_unused(unused)
        said = [*said_of_masters(plan, done), *(remark for master in made for remark in master.remarks())]
        self.remarks.add(*(Remark(remark, [f"({plan.title})"]) if plan.title else remark for remark in said))

    def _science(self, outcome: Outcome) -> None:
        self._note_files([outcome])
        self.remarks.add(*outcome.heard)
        if outcome.failure is not None:
            self.failures.append(outcome.failure)
            tell_unused([outcome.failure])
        elif isinstance(outcome.summary, FrameSummary):
            self.frames.append(outcome.summary)
            tell_reduced(outcome.summary)
            self.remarks.add(*outcome.summary.remarks())

    def _note_files(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            for file in outcome.files:
                self.output.written(self.output.directory / file)
