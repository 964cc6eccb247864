"""What the tasks of a night have in common: its plan, where results go, and masters, each read once a process."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from astro_calib.frame.frame import CCDFrame
from astro_calib.night.masters.extra_steps import ExtraSteps
from astro_calib.night.masters.master_set import FrameMasters
from astro_calib.night.tasks.field_frames import FieldFrames
from astro_calib.night.tasks.graph import tasks_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.common.output import Output
    from astro_calib.night.plan.night_plan import NightPlan
    from astro_calib.night.tasks.task import Task
    from astro_calib.stack.request import MemoryLimit

__all__ = ["Workplace"]


@dataclass
class Workplace:
    """
    Where the tasks of a night are done; it can be pickled, and leaves behind what it has read.

    Parameters
    ----------
    plan : NightPlan
        The plan of the night.
    output : Output
        Where results go.
    called : mapping of Path to str
        What the raw files are called.
    choices : mapping of str to object
        What is made of a science frame: the options of `~astro_calib.night.science.reduce_science`.
    memory_limit : float or "auto"
        About how many bytes a process may take while it makes a master.
    """

    plan: NightPlan
    output: Output
    called: Mapping[Path, str]
    choices: Mapping[str, Any]
    memory_limit: MemoryLimit = "auto"
    fields: FieldFrames = field(default_factory=FieldFrames, repr=False)
    _frames: dict[str, CCDFrame] = field(default_factory=dict, repr=False)
    _sets: dict[tuple[int, str, str, str], FrameMasters] = field(default_factory=dict, repr=False)
    _groups: dict[int, dict[str, tuple[RawFrame, ...]]] = field(default_factory=dict, repr=False)
    _compared_with: dict[int, Mapping[str, tuple[RawFrame, ...]]] = field(default_factory=dict, repr=False)
    _setup: int = -1

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave what was read behind."""
        return type(self), (self.plan, self.output, self.called, self.choices, self.memory_limit)

    @cached_property
    def steps(self) -> list[ExtraSteps]:
        """The steps beside the usual, by setup; their files are read when they are needed."""
        return [ExtraSteps(plan.profile.steps) for plan in self.plan.setups]

    @cached_property
    def _tasks(self) -> dict[str, Task]:
        return {task.name: task for task in tasks_of(self.plan)}

    def task(self, name: str) -> Task:
        """Return a task of the night."""
        return self._tasks[name]

    def flat_groups(self, setup: int) -> dict[str, tuple[RawFrame, ...]]:
        """Return the flats of a setup that make one master each."""
        if setup not in self._groups:
            self._groups[setup] = self.plan.setups[setup].flat_groups
        return self._groups[setup]

    def compared_with(self, setup: int) -> Mapping[str, tuple[RawFrame, ...]]:
        """Return for each science frame of a setup those that it is compared with."""
        if setup not in self._compared_with:
            self._compared_with[setup] = self.plan.setups[setup].compared_with
        return self._compared_with[setup]

    def at_work(self, setup: int) -> None:
        """Let go of the masters of other setups."""
        if setup != self._setup:
            self._frames.clear()
            self._sets.clear()
            self.fields.clear()
            self._setup = setup

    def keep(self, master: str, frame: CCDFrame) -> None:
        """Hand on a master as it was made, so that it need not be read from its file, which gives the same."""
        self._frames[master] = frame

    def master(self, master: str) -> CCDFrame | None:
        """Return the master in a file of the results; None for no file."""
        if not master:
            return None
        if master not in self._frames:
            self._frames[master] = CCDFrame.read(self.output.directory / master)
        return self._frames[master]

    def masters(self, setup: int, bias: str, dark: str, flat: str) -> FrameMasters:
        """Return the masters for a frame, each by its file; the same set for the same files."""
        key = (setup, bias, dark, flat)
        if key not in self._sets:
            frames = (self.master(one) for one in key[1:])
            self._sets[key] = FrameMasters(
                **dict(zip(("bias", "dark", "flat"), frames, strict=True)), steps=self.steps[setup]
            )
        return self._sets[key]
