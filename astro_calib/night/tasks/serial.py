"""The tasks of a night done one after the other in this process; a science frame is written while the next is made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from astro_calib.night.masters.masters import ignore
from astro_calib.night.tasks.make import begin
from astro_calib.night.tasks.task import SCIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from astro_calib.night.masters.masters import Done
    from astro_calib.night.tasks.task import Outcome, Task
    from astro_calib.night.tasks.workplace import Workplace

__all__ = ["run_serial"]


def run_serial(
    tasks: Iterable[Task],
    place: Workplace,
    known: Mapping[str, Outcome],
    done: Done = ignore,
) -> Generator[tuple[Task, Outcome]]:
    """
    Do tasks in their order, and yield each with its outcome; those that are ``known`` are not done again.

    ``done`` is called with each raw frame that a master was made of.
    """
    # Of science frames nobody asks again.
    masters: dict[str, Outcome] = {}
    with ThreadPoolExecutor(1) as writer:
        last: Callable[[], tuple[Task, Outcome]] | None = None
        for task in tasks:
            if task.kind != SCIENCE and last is not None:
                yield last()
                last = None
            if task.kind != SCIENCE:
                outcome = known.get(task.name) or _whole(task, place, masters, done)
                masters[task.name] = outcome
                yield task, outcome
                continue
            following = _begun(task, place, masters, writer, known.get(task.name))
            if last is not None:
                yield last()
            last = following
        if last is not None:
            yield last()


def _whole(task: Task, place: Workplace, masters: Mapping[str, Outcome], done: Done) -> Outcome:
    begun = begin(task, place, masters, done)
    return begun.end(begun.write)


def _begun(
    task: Task, place: Workplace, masters: Mapping[str, Outcome], writer: ThreadPoolExecutor, known: Outcome | None
) -> Callable[[], tuple[Task, Outcome]]:
    if known is not None:
        return lambda: (task, known)
    begun = begin(task, place, masters)
    written = writer.submit(begun.write)
    return lambda: (task, begun.end(written.result))
