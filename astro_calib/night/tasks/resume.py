"""Whether a reduction goes on with what an earlier one has left in its directory, and what it need not redo."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from astro_calib.night.common.output import SUMMARY, results_in
from astro_calib.night.summary.frame_summary import FrameSummary
from astro_calib.night.tasks.journal import Journal, read_journal, state_of
from astro_calib.night.tasks.task import DARK_FOR, LIGHT, SCIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from astro_calib.night.common.output import Output
    from astro_calib.night.tasks.journal import Past
    from astro_calib.night.tasks.task import Outcome, Task

__all__ = ["Resumption", "check_results"]


def check_results(directory: Path, parameters: Mapping[str, str], *, overwrite: bool) -> Past:
    """
    Return what a journal tells of the results in a directory, into which a run with these parameters may write.

    A FileExistsError says that there are results of other parameters, or such as no journal tells of, and that
    ``overwrite`` does not allow to replace them.
    """
    past = read_journal(directory)
    if overwrite or not (found := results_in(directory)):
        return past
    if past.parameters is None:
        raise _refused(directory, found[0], "")
    if different := _different(past.parameters, parameters):
        raise _refused(directory, found[0], f"they were made with other parameters: {different}; give the same ones")
    return past


def _refused(directory: Path, first: Path, why: str) -> FileExistsError:
    because = f"{why}; give " if why else "give "
    return FileExistsError(
        f"{directory} holds results already, such as {first.relative_to(directory)}; {because}another directory, or "
        "--overwrite (overwrite=True) to replace them."
    )


def _different(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Which parameters are others than they were."""
    names = [name for name in dict.fromkeys((*before, *now)) if before.get(name) != now.get(name)]
    return ", ".join(
        f"{name} was {before.get(name, 'not given')}, and is {now.get(name, 'not given')}" for name in names
    )


class Resumption:
    """
    What of the tasks of a run is complete already, and the note that it takes of the others.

    ``keys`` has the key of each task, ``past`` tells what earlier runs have done into the directory, ``raw`` has the
    raw files as they are named now. With ``overwrite``, or other ``parameters``, all is made anew.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        keys: Mapping[str, str],
        past: Past,
        directory: Path,
        raw: Iterable[Path],
        parameters: Mapping[str, str],
        *,
        overwrite: bool,
    ) -> None:
        self.tasks, self.keys, self.past, self.directory = tasks, keys, past, directory
        self.parameters = parameters
        # An earlier run of other parameters has left no results, or this one had been refused.
        self.anew = overwrite or past.parameters != parameters
        self.known: dict[str, Outcome] = {}
        if self.anew:
            return
        named = {os.path.realpath(path): path for path in raw}
        for task in tasks:
            record = past.records.get(task.name)
            if record is None or record.key != keys[task.name] or not all(name in self.known for name in task.needs):
                continue
            before = [past.records[name].number for name in (*task.needs, *task.after) if name in past.records]
            # What was made since, such as a flat whose frames could not be read at first, it knows nothing of.
            if record.number > max(before, default=0) and record.is_whole(directory):
                self.known[task.name] = _of_files(record.outcome, named)

    def check(self) -> None:
        """Raise a FileExistsError if a night is finished, and nothing of it can be gone on with, or nothing is left."""
        found = [] if self.anew else results_in(self.directory)
        if not found or not (self.directory / SUMMARY).exists():
            return
        if not self.known:
            raise _refused(self.directory, found[0], "none of them is of these raw files and this version")
        if all(task.name in self.known for task in self.tasks):
            raise _refused(self.directory, found[0], "all of them are complete, and nothing has changed since")

    def check_untouched(self) -> None:
        """Raise an OSError if another reduction has written into the directory since the journal was read."""
        if read_journal(self.directory).run != self.past.run:
            msg = f"another reduction has written into {self.directory} since this one began; begin again."
            raise OSError(msg)

    def journal(self) -> Journal:
        """Begin the journal of the directory, or go on with it."""
        journal = Journal(self.directory)
        journal.begin(self.parameters, self._older(), anew=self.anew)
        return journal

    def noted(self, outcomes: Iterable[tuple[Task, Outcome]], journal: Journal) -> Iterator[tuple[Task, Outcome]]:
        """Yield outcomes as they come, those that are new once the journal has them."""
        for task, outcome in outcomes:
            if task.name not in self.known and _is_complete(task, outcome):
                journal.done(self.keys[task.name], outcome)
            yield task, outcome

    def clear(self, output: Output) -> None:
        """Remove what was replaced: files that earlier runs have written for what this one does not make."""
        left = {path.relative_to(output.directory).as_posix(): path for path in output.left_over()}
        for file, state in self._older().items():
            # Whoever has written into it since wants to keep it.
            if file in left and state_of(left[file]) == state:
                left[file].unlink()

    def _older(self) -> dict[str, tuple[int, int]]:
        """The files of earlier runs that are replaced by this one, with their states."""
        files = dict(self.past.older)
        if self.anew:
            names = {task.name for task in self.tasks}
            for name, record in self.past.records.items():
                if name not in names:
                    files |= record.files
        return files

    def complete(self) -> tuple[int, int]:
        """Return how many masters, and how many science frames, were complete already."""
        known = [task for task in self.tasks if task.name in self.known]
        science = sum(task.kind == SCIENCE for task in known)
        return sum(self.known[task.name].summary is not None for task in known) - science, science


def _is_complete(task: Task, outcome: Outcome) -> bool:
    """Whether an outcome can be taken again: what failed is tried again."""
    if outcome.error is not None or outcome.failure is not None:
        return False
    if outcome.passing or any(file.passing for file in outcome.unused):
        return False
    return task.kind in (DARK_FOR, LIGHT) or outcome.summary is not None


def _of_files(outcome: Outcome, named: Mapping[str, Path]) -> Outcome:
    """An outcome with the raw files as they are named now."""
    unused = tuple(replace(file, path=named.get(os.path.realpath(file.path), file.path)) for file in outcome.unused)
    summary = outcome.summary
    if isinstance(summary, FrameSummary) and summary.raw is not None:
        summary = replace(summary, raw=named.get(os.path.realpath(summary.raw), summary.raw))
    return replace(outcome, unused=unused, summary=summary)
