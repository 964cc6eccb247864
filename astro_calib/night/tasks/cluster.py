"""The tasks of a night done by the workers of a dask.distributed cluster."""

from __future__ import annotations

import time
import warnings
from contextlib import contextmanager, suppress
from dataclasses import replace
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from astro_calib.errors import FrameError
from astro_calib.night.common.frames import UnusedFile
from astro_calib.night.common.log import LOG
from astro_calib.night.summary.made import versions
from astro_calib.night.tasks.task import SCIENCE, Outcome

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from distributed import Client, Future

    from astro_calib.night.tasks.task import Task
    from astro_calib.night.tasks.worker import Needed
    from astro_calib.night.tasks.workplace import Workplace

__all__ = ["run_on_cluster"]

#: So many tasks a worker has, with the one that it is at: it need not wait for the next, and little is lost with it.
AHEAD = 2
#: So many seconds a night waits for a worker.
PATIENCE = 300.0
#: After so many seconds workers are counted again.
OLD = 2.0

NO_MEMORY = (
    "each process that worked on it was killed, as happens where there is not enough memory for it; let fewer workers "
    "share the memory, or give them more"
)


def run_on_cluster(
    tasks: Sequence[Task], place: Workplace, known: Mapping[str, Outcome], client: Client
) -> Generator[tuple[Task, Outcome]]:
    """
    Let the workers of a cluster do tasks, and yield each with its outcome as they come; those ``known`` are not done.

    A task is sent as its name. Workers read masters from the files that others have written. If a worker is lost,
    others do its tasks; a task with which workers are lost again and again, also when nothing else is done, has failed.
    """
    with _on_workers(place, client) as work:
        crew = _Crew(client)
        yield from _Run(tasks, place, known, crew, work).outcomes()


@contextmanager
def _on_workers(place: Workplace, client: Client) -> Iterator[str]:
    """Give all workers what the tasks have in common, those that come later as well; its name is what tasks need."""
    from astro_calib.night.tasks.worker import Needed, WorkOfNight

    folder = str(Path.cwd())
    needed = Needed(folder, place.output.directory, place.output.holder(), _one_a_folder(place), versions())
    _check_workers(needed, client)
    elsewhere = replace(place, output=place.output.elsewhere())
    work = WorkOfNight(f"astro-calib-{uuid4().hex}", elsewhere, folder, needed)
    client.register_plugin(work)
    try:
        yield work.name
    finally:
        # Without a scheduler there is nothing to take back.
        with suppress(OSError, RuntimeError):
            client.unregister_worker_plugin(work.name)


def _check_workers(needed: Needed, client: Client) -> None:
    """Make sure that there are workers, and that each of them sees what it needs; an OSError says which does not."""
    from astro_calib.night.tasks.worker import what_is_wrong

    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        raise _no_worker() from error
    answers = client.run(what_is_wrong, needed, on_error="return")
    for worker, answer in answers.items():
        if isinstance(answer, BaseException):
            reason = f"it cannot run astro-calib ({type(answer).__name__}: {answer}); install the same version there"
            raise OSError(f"worker {worker}: {reason}.") from answer  # noqa: EM102  one sentence
        if answer:
            msg = f"worker {worker}: {answer}; all workers need the same files under the same paths, and versions."
            raise OSError(msg)
    if threads := max(client.nthreads().values(), default=1) - 1:
        LOG.warning("there are workers of %d threads, of which one is used: start them with --nthreads 1", threads + 1)


def _one_a_folder(place: Workplace) -> list[Path]:
    """One of the files that are read from each folder."""
    frames = [frame.path for plan in place.plan.setups for frame in plan.frames]
    lent = [one.master.path for plan in place.plan.setups for one in plan.loan.masters]
    return list({path.parent: path for path in (*frames, *lent)}.values())


def _no_worker() -> OSError:
    return OSError(
        f"the cluster has had no worker for {PATIENCE:g} s; start some (`dask worker ADDRESS --nthreads 1`), and give "
        "the same command again: it goes on where this one has stopped."
    )


class _Crew:
    """The workers of a cluster, counted now and then."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._number, self._hosts, self._counted, self._there = 1, 1, -OLD, time.monotonic()

    def number(self) -> int:
        """How many workers there are; an OSError says that there has been none for long."""
        now = time.monotonic()
        if now - self._counted > OLD:
            if self.client.status != "running":
                raise _no_scheduler()
            workers = list(self.client.nthreads())
            self._number, self._counted = len(workers), now
            self._hosts = len({urlsplit(address).hostname for address in workers})
            if self._number:
                self._there = now
            elif now - self._there > PATIENCE:
                raise _no_worker()
        return self._number

    def threads(self) -> int:
        """How many threads a task may use while nothing else is done: those of the other workers on its computer."""
        return max(self.number(), 1) if self._hosts == 1 else 1


def _no_scheduler() -> OSError:
    return OSError(
        "the scheduler of the cluster does not answer any more; give the same command again when it does: it goes on "
        "where this one has stopped."
    )


class _Run:
    """The tasks of a night on their way; arguments as of `run_on_cluster`, and ``work``, which workers know."""

    def __init__(
        self, tasks: Sequence[Task], place: Workplace, known: Mapping[str, Outcome], crew: _Crew, work: str
    ) -> None:
        self.tasks, self.place, self.known, self.crew, self.work = tasks, place, known, crew, work
        self.order = {task.name: number for number, task in enumerate(tasks)}
        # Of science frames nobody asks again.
        self.masters: dict[str, Outcome] = {}
        self.waiting: list[int] = []
        self.sent: dict[Future, Task] = {}
        # With these, workers were lost: each is tried once more, with nothing else beside it.
        self.suspects: list[Task] = []
        self.alone: set[str] = set()

    def outcomes(self) -> Iterator[tuple[Task, Outcome]]:
        sorter = TopologicalSorter({task.name: (*task.needs, *task.after) for task in self.tasks})
        sorter.prepare()
        try:
            while sorter.is_active():
                for name in sorter.get_ready():
                    heappush(self.waiting, self.order[name])
                for task, outcome in list(self._send()) or self._come():
                    if task.kind != SCIENCE:
                        self.masters[task.name] = outcome
                    yield task, outcome
                    sorter.done(task.name)
        finally:
            self.crew.client.cancel(list(self.sent))

    def _send(self) -> Iterator[tuple[Task, Outcome]]:
        """Send the tasks that are ready, the first of the night first; what is known comes back at once."""
        most = AHEAD * max(self.crew.number(), 1)
        while self.waiting and len(self.sent) < most:
            task = self.tasks[heappop(self.waiting)]
            if task.name in self.known:
                yield task, self.known[task.name]
            else:
                self._send_one(task)
        if self.suspects and not self.sent and not self.waiting:
            task = self.suspects.pop(0)
            self.alone.add(task.name)
            self._send_one(task)

    def _send_one(self, task: Task) -> None:
        from astro_calib.night.tasks.worker import do_there

        # What becomes ready later waits for the end of this one.
        threads = 1 if self.sent or self.waiting else self.crew.threads()
        given = {name: self.masters[name] for name in (*task.needs, *task.after)}
        # What stands before the number has a time in common, by which the scheduler shares tasks out.
        key = (task.kind.replace(" ", "-"), self.work, self.order[task.name], int(task.name in self.alone))
        future = self.crew.client.submit(do_there, self.work, task.name, given, threads, key=key, pure=False)
        self.sent[future] = task

    def _come(self) -> Iterator[tuple[Task, Outcome]]:
        """Wait for tasks that are over."""
        from distributed import wait

        if not self.sent:
            return
        try:
            with self.crew.client.as_current():
                done = wait(list(self.sent), timeout=OLD, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            return
        for future in done:
            task = self.sent.pop(future)
            outcome = self._outcome(task, future)
            # What a lost worker still held would be made anew.
            future.release()
            if outcome is not None:
                yield task, outcome

    def _outcome(self, task: Task, future: Future) -> Outcome | None:
        """What became of a task; None if it has to be tried once more."""
        from distributed import KilledWorker

        if future.status == "finished":
            outcome, said = future.result()
            for one in said:
                warnings.warn_explicit(one.message, one.category, one.file, one.line)
            return outcome
        if future.status != "error":
            raise _no_scheduler()
        error: Any = future.exception()
        if not isinstance(error, KilledWorker):
            raise error
        if task.name in self.alone:
            return self._failed(task)
        self.suspects.append(task)
        return None

    def _failed(self, task: Task) -> Outcome:
        """The outcome of a task that costs workers: a science frame is lost, or all that a master is needed for."""
        if task.kind == SCIENCE:
            frame = self.place.plan.setups[task.setup].science[task.of]
            return Outcome(name=task.name, failure=UnusedFile(frame.path, NO_MEMORY, frame.kind, lost=True))
        return Outcome(name=task.name, error=FrameError(f"{task.name} could not be made: {NO_MEMORY}"))
