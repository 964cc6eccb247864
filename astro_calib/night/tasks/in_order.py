"""Outcomes of tasks in the order of the tasks, in whatever order they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from astro_calib.night.tasks.task import Outcome, Task

__all__ = ["in_order"]


def in_order(
    tasks: Iterable[Task], outcomes: Iterator[tuple[Task, Outcome]], expected: Callable[[Task], object]
) -> Iterator[tuple[Task, Outcome]]:
    """
    Yield tasks in their order, each with its outcome; ``expected`` is called with each before it is waited for.

    >>> from astro_calib.night.tasks.in_order import in_order
    >>> from astro_calib.night.tasks.task import BIAS, DARK, Outcome, Task
    >>> bias, dark = (
    ...     Task(name="bias", kind=BIAS, setup=0),
    ...     Task(name="dark", kind=DARK, setup=0),
    ... )
    >>> come = iter(
    ...     [(dark, Outcome(name="dark")), (bias, Outcome(name="bias"))]
    ... )
    >>> [
    ...     task.name
    ...     for task, _ in in_order([bias, dark], come, lambda task: None)
    ... ]
    ['bias', 'dark']
    """
    come: dict[str, Outcome] = {}
    for task in tasks:
        expected(task)
        while task.name not in come:
            other, outcome = next(outcomes)
            come[other.name] = outcome
        yield task, come.pop(task.name)
