"""The directory of the results: what goes where, and not over anything that is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from astro_calib.arguments import as_path
from astro_calib.io.atomic import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from os import PathLike

__all__ = ["Output", "check_output"]

#: The parts of the results, and how the names of their files end.
PARTS = {"masters": ".fits", "calibrated": ".fits", "tables": ".ecsv", "pictures": ".png"}
SUMMARY = "summary.txt"


class Output:
    """
    The directory of the results, made ready for them.

    Parameters
    ----------
    directory : path
        Made if it does not exist.
    raw : iterable of Path
        The raw files, beside which nothing is written.
    overwrite : bool
        Whether results of an earlier reduction are replaced.

    Raises
    ------
    FileExistsError
        If there are results and ``overwrite`` is False, or raw frames lie in the directory.
    OSError
        If the directory cannot be made or written.

    Examples
    --------
    >>> import tempfile
    >>> from astro_calib.night.output import Output
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     output = Output(directory, [])
    ...     output.path("tables", "d1048").name
    'd1048.ecsv'
    """

    def __init__(self, directory: str | PathLike[str], raw: Iterable[Path], *, overwrite: bool = False) -> None:
        self.directory = Path(directory)
        self._written: set[Path] = set()
        check_output(self.directory, overwrite=overwrite)
        places = {(self.directory / part).resolve() for part in ("", *PARTS)}
        for path in raw:
            if path.resolve().parent in places:
                msg = (
                    f"the raw frame {path} lies where the results would be written; give another directory "
                    f"than {self.directory} for them."
                )
                raise FileExistsError(msg)
        try:
            for part in PARTS:
                (self.directory / part).mkdir(parents=True, exist_ok=True)
            # Without it, what is there is not finished.
            self.summary.unlink(missing_ok=True)
        except OSError as error:
            raise _not_writable(self.directory, error.strerror or str(error)) from error

    @property
    def summary(self) -> Path:
        """The file of the summary, which is written last."""
        return self.directory / SUMMARY

    def path(self, part: str, name: str) -> Path:
        """
        A file of the results.

        Parameters
        ----------
        part : {"masters", "calibrated", "tables", "pictures"}
            What it is.
        name : str
            Its name without suffix, safe as ``file_name`` makes it.

        Returns
        -------
        Path
        """
        return self.directory / part / f"{name}{PARTS[part]}"

    def write(self, part: str, name: str, write: Callable[[Path], object]) -> None:
        """Write a file of the results, with `write_atomically`."""
        path = self.path(part, name)
        write_atomically(path, write)
        self.written(path)

    def written(self, path: Path) -> None:
        """Take note that a file was written."""
        self._written.add(path)

    def left_over(self) -> list[Path]:
        """Results in the directory that were not written by now: from an earlier reduction."""
        return sorted(set(_results(self.directory)) - self._written - {self.summary})


def check_output(directory: str | PathLike[str], *, overwrite: bool = False) -> None:
    """
    Find out whether results can go into a directory, without making anything.

    Parameters
    ----------
    directory : path
        The directory, which need not exist.
    overwrite : bool
        Whether it may hold results of an earlier reduction.

    Raises
    ------
    FileExistsError
        If it is a file, or there are results and ``overwrite`` is False.
    OSError
        If it cannot be made or written.

    Examples
    --------
    >>> import tempfile
    >>> from astro_calib.night.output import check_output
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     check_output(f"{parent}/reduced")
    """
    directory = as_path("the directory for the results", directory)
    if directory.exists() and not directory.is_dir():
        msg = f"{directory} is a file; give a directory for the results."
        raise FileExistsError(msg)
    if not overwrite and (found := _results(directory)):
        msg = (
            f"{directory} holds results already, such as {found[0].relative_to(directory)}; give "
            "another directory, or --overwrite (overwrite=True) to replace them."
        )
        raise FileExistsError(msg)
    # What is not there yet is made in the nearest directory above it that is.
    for place in [directory, *directory.absolute().parents]:
        if place.exists():
            if not place.is_dir():
                raise _not_writable(directory, f"{place} is a file")
            if not os.access(place, os.W_OK | os.X_OK):
                raise _not_writable(directory, f"no permission to write in {place}")
            break


def _not_writable(directory: Path, reason: str) -> OSError:
    msg = f"{directory} cannot be written: {reason}; give another directory for the results (OUT, or -o)."
    return OSError(msg)


def _results(directory: Path) -> list[Path]:
    found = [path for part, suffix in PARTS.items() for path in (directory / part).glob(f"*{suffix}")]
    return sorted(found) + ([directory / SUMMARY] if (directory / SUMMARY).exists() else [])
