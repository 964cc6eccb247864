"""What a worker of dask.distributed does with the tasks of a night; this module needs the extra ``distributed``."""

from __future__ import annotations

import os
import pickle
import platform
import warnings
from contextlib import chdir, nullcontext
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from distributed import WorkerPlugin, get_worker

from astro_calib.kernels.threads import limit_threads
from astro_calib.night.common.lock import holder
from astro_calib.night.summary.made import versions
from astro_calib.night.tasks.make import do

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from distributed import Worker

    from astro_calib.night.tasks.task import Outcome
    from astro_calib.night.tasks.workplace import Workplace

__all__ = ["Needed", "Said", "WorkOfNight", "do_there", "what_is_wrong"]

#: Warnings and the folder are of the whole process, whatever nights it works for.
ONE_AT_A_TIME = Lock()


class Needed(NamedTuple):
    """
    What a worker needs.

    It has to see the folder ``out`` of the results, which ``held_by`` holds, be able to write there, see the files that
    are to be ``seen``, from ``folder`` on, and have the ``same`` versions of packages.
    """

    folder: str
    out: Path
    held_by: str
    seen: Sequence[Path]
    same: Mapping[str, str]


class Said(NamedTuple):
    """A warning that no remark was made of."""

    message: Warning | str
    category: type[Warning]
    file: str
    line: int


class WorkOfNight(WorkerPlugin):
    """
    A night on a worker: each worker gets it once, those that come later as well.

    ``name`` tells it from that of other runs; ``place`` is where the tasks are done, which the worker unpacks when the
    first of them comes, and ``folder`` where the paths of the night begin that are not absolute.
    """

    def __init__(self, name: str, place: Workplace, folder: str, needed: Needed) -> None:
        self.name, self.folder, self.needed = name, folder, needed
        self._packed = pickle.dumps(place)
        self._place: Workplace | None = None

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002  as distributed calls it
        """Leave the process as it was, without the masters."""
        self._place = None
        limit_threads(None)

    def do(self, name: str, given: Mapping[str, Outcome], threads: int) -> tuple[Outcome, list[Said]]:
        """Do a task with so many threads; ``given`` has the outcomes of those before it."""
        with ONE_AT_A_TIME, _in_folder(self.folder), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if self._place is None:
                # One that has come later was not asked at the start.
                if wrong := what_is_wrong(self.needed):
                    msg = f"a worker on {platform.node()}: {wrong}."
                    raise OSError(msg)
                self._place = pickle.loads(self._packed)  # noqa: S301  it comes from who may run anything here
            limit_threads(threads)
            outcome = do(self._place.task(name), self._place, given)
        return outcome, [_said(warning) for warning in caught]


def do_there(work: str, name: str, given: Mapping[str, Outcome], threads: int) -> tuple[Outcome, list[Said]]:
    """Do a task on a worker, in the `WorkOfNight` of this name; also what was warned of, but for what are remarks."""
    plugin = get_worker().plugins[work]
    assert isinstance(plugin, WorkOfNight)
    return plugin.do(name, given, threads)


def what_is_wrong(needed: Needed) -> str:
    """Return why a worker cannot do its part of a night; empty if it can."""
    folder, out, held_by, seen, same = needed
    with _in_folder(folder):
        different = {name: other for name, other in versions().items() if other != same[name]}
        if different:
            return ", ".join(f"{name} is {other} there, and {same[name]} here" for name, other in different.items())
        if holder(out) != held_by:
            return f"the folder of the results, {out.absolute()}, is not there, or is another one"
        if not os.access(out, os.W_OK | os.X_OK):
            return f"no permission to write in the folder of the results, {out.absolute()}"
        if lost := [path for path in seen if not os.access(path, os.R_OK)]:
            return f"{lost[0].absolute()} is not there, or cannot be read"
    return ""


def _in_folder(folder: str) -> Any:
    """The folder of whoever began the night, if this computer has it."""
    return chdir(folder) if Path(folder).is_dir() else nullcontext()


def _said(warning: warnings.WarningMessage) -> Said:
    message = warning.message
    try:
        pickle.loads(pickle.dumps(message))  # noqa: S301  it is made here
    except Exception:  # noqa: BLE001  its text says what it says
        message = str(message)
    return Said(message, warning.category, warning.filename, warning.lineno)
