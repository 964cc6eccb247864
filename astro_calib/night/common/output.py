"""The directory of the results: what goes where, and not over anything that is there."""

from __future__ import annotations

import os
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_calib.arguments import as_path
from astro_calib.io.atomic import remove_leftovers, write_atomically
from astro_calib.night.common.lock import check_idle, hold, holder, release
from astro_calib.report.page import REPORT
from astro_calib.report.summary_file import SUMMARY_JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from os import PathLike
    from typing import Self

__all__ = ["PARTS", "SAID", "SUMMARY", "Output", "check_output", "results_in"]

#: The parts of the results, and how the names of their files end.
PARTS = {"masters": ".fits", "calibrated": ".fits", "tables": ".ecsv", "pictures": ".png"}
SUMMARY = "summary.txt"
#: What tells of the results.
SAID = (SUMMARY, SUMMARY_JSON, REPORT)


class Output:
    """
    The directory of the results, made ready for them; nothing is written beside raw files.

    It is held until the end of the ``with`` block, so that no other reduction writes into it. A BlockingIOError says
    that another does; a FileExistsError that there are results which may not be overwritten, or that raw frames lie
    there; an OSError that the directory cannot be made or written. ``check`` is called once it is held, before anything
    in it is touched.
    """

    def __init__(
        self,
        directory: str | PathLike[str],
        raw: Iterable[Path],
        *,
        overwrite: bool = False,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        check_output(directory, overwrite=overwrite)
        self.directory = Path(directory)
        self._written: set[Path] = set()
        self._holder = ""
        places = {_identity(self.directory / part) for part in ("", *PARTS)} - {None}
        for path in raw:
            # Look at the directory of the file, and at that of a link to it.
            if {_identity(path.parent), _identity(Path(os.path.realpath(path)).parent)} & places:
                msg = (
                    f"the raw frame {path} lies where the results would be written; give another directory "
                    f"than {self.directory} for them."
                )
                raise FileExistsError(msg)
        try:
            self._make_ready(check, overwrite=overwrite)
        except (BlockingIOError, FileExistsError):
            raise
        except OSError as error:
            raise _not_writable(self.directory, error.strerror or str(error)) from error

    def _make_ready(self, check: Callable[[], object], *, overwrite: bool) -> None:
        for part in PARTS:
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        self._held = hold(self.directory)
        try:
            # Another reduction may have ended since the first look.
            _check_empty(self.directory, overwrite=overwrite)
            check()
            self.remove_leftovers()
            # Its absence tells that the results are not finished.
            for name in SAID:
                (self.directory / name).unlink(missing_ok=True)
        except BaseException:
            release(self.directory, self._held)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        release(self.directory, self._held)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the lock with the process that holds it."""
        return {name: value for name, value in vars(self).items() if name != "_held"}

    def for_one_task(self) -> Output:
        """Return the same directory, with a note of its own of what is written."""
        same = copy(self)
        vars(same)["_written"] = set[Path]()
        return same

    def elsewhere(self) -> Output:
        """Return the same directory for another process, which writes nothing once this one holds it no more."""
        same = self.for_one_task()
        vars(same)["_holder"] = self.holder()
        return same

    def remove_leftovers(self) -> None:
        """Remove the temporary files of processes that were killed."""
        for part in ("", *PARTS):
            remove_leftovers(self.directory / part)

    def holder(self) -> str:
        """Who holds the directory now; empty if nobody does."""
        return holder(self.directory)

    def files(self) -> tuple[str, ...]:
        """What was written, as paths in the directory, in the order of their names."""
        return tuple(sorted(path.relative_to(self.directory).as_posix() for path in self._written))

    @property
    def summary(self) -> Path:
        """The file of the summary, which is written last."""
        return self.directory / SUMMARY

    def path(self, part: str, name: str) -> Path:
        """Return the path of a result, under a name without suffix that is safe as `file_name` makes it."""
        return self.directory / part / f"{name}{PARTS[part]}"

    def write(self, part: str, name: str, write: Callable[[Path], object]) -> None:
        """Write a file of the results, with `write_atomically`."""
        path = self.path(part, name)
        self.make_way(path)
        write_atomically(path, write)
        self.written(path)

    def make_way(self, path: Path) -> None:
        """Remove a link in the place of a result: what it points to, which may be a raw frame, is not replaced."""
        if self._holder and self.holder() != self._holder:
            # Whoever asked for this has given it up, and another reduction may have begun.
            msg = f"{self.directory} is not held by {self._holder} any more; nothing more of it is written."
            raise OSError(msg)
        if path.is_symlink():
            path.unlink()

    def written(self, path: Path) -> None:
        """Take note that a file was written."""
        self._written.add(path)

    def left_over(self) -> list[Path]:
        """Results in the directory that were not written by now: from an earlier reduction."""
        return sorted(set(results_in(self.directory)) - self._written - {self.directory / name for name in SAID})


def check_output(directory: str | PathLike[str], *, overwrite: bool = False) -> None:
    """
    Find out whether results can go into a directory, without making anything.

    A FileExistsError says that it is a file, or holds results which may not be overwritten; a BlockingIOError that
    another reduction is writing into it; an OSError that it cannot be made or written; a ValueError that it has no
    name.
    """
    directory = as_path("the directory for the results", directory)
    if _there(directory) and not directory.is_dir():
        msg = f"{directory} is a file; give a directory for the results."
        raise FileExistsError(msg)
    check_idle(directory)
    _check_empty(directory, overwrite=overwrite)
    for part in PARTS:
        if _there(directory / part) and not (directory / part).is_dir():
            raise _not_writable(directory, f"{directory / part} is a file")
    # New directories will be made in the nearest one above that exists.
    for place in [*(directory / part for part in PARTS), directory, *directory.absolute().parents]:
        if _leads_nowhere(place):
            raise _not_writable(directory, f"{place} is a link that leads nowhere")
    for place in [directory, *directory.absolute().parents]:
        if _there(place):
            if not place.is_dir():
                raise _not_writable(directory, f"{place} is a file")
            if not os.access(place, os.W_OK | os.X_OK):
                raise _not_writable(directory, f"no permission to write in {place}")
            break


def _check_empty(directory: Path, *, overwrite: bool) -> None:
    if not overwrite and (found := results_in(directory)):
        msg = (
            f"{directory} holds results already, such as {found[0].relative_to(directory)}; give "
            "another directory, or --overwrite (overwrite=True) to replace them."
        )
        raise FileExistsError(msg)


def _there(path: Path) -> bool:
    """Whether something is there; a place that cannot be looked into holds nothing."""
    try:
        return path.exists()
    except OSError:
        return False


def _leads_nowhere(path: Path) -> bool:
    """Whether a path is a link to nothing, or to itself."""
    try:
        return path.is_symlink() and not path.exists()
    except OSError:
        return False


def _identity(directory: Path) -> tuple[int, int] | None:
    """The device and number of a directory, which are the same under all its names; None if it is not there."""
    try:
        status = directory.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _not_writable(directory: Path, reason: str) -> OSError:
    msg = f"{directory} cannot be written: {reason}; give another directory for the results (OUT, or -o)."
    return OSError(msg)


def results_in(directory: Path) -> list[Path]:
    """Return the results that are in a directory, also those of which nothing is known."""
    parts = [path for part, suffix in PARTS.items() for path in (directory / part).glob(f"*{suffix}")]
    # Hidden ones are what a process that was killed has left.
    found = sorted(path for path in parts if not path.name.startswith("."))
    return found + [directory / name for name in SAID if _there(directory / name)]
