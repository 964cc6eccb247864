"""The directory of the results: what goes where, and not over anything that is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

__all__ = ["Output"]

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
        If the directory cannot be made.

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
        self._asked_for: set[Path] = set()
        if self.directory.exists() and not self.directory.is_dir():
            msg = f"{self.directory} is a file; give a directory for the results."
            raise FileExistsError(msg)
        places = {(self.directory / part).resolve() for part in ("", *PARTS)}
        for path in raw:
            if path.resolve().parent in places:
                msg = (
                    f"the raw frame {path} lies where the results would be written; give another directory "
                    f"than {self.directory} for them."
                )
                raise FileExistsError(msg)
        if not overwrite and (found := self._results()):
            msg = (
                f"{self.directory} holds results already, such as {found[0].relative_to(self.directory)}; give "
                "another directory, or --overwrite (overwrite=True) to replace them."
            )
            raise FileExistsError(msg)
        for part in PARTS:
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        # Without it, what is there is not finished.
        self.summary.unlink(missing_ok=True)

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
        path = self.directory / part / f"{name}{PARTS[part]}"
        self._asked_for.add(path)
        return path

    def left_over(self) -> list[Path]:
        """Results in the directory that ``path`` was not asked for: from an earlier reduction."""
        return sorted(set(self._results()) - self._asked_for - {self.summary})

    def _results(self) -> list[Path]:
        found = [path for part, suffix in PARTS.items() for path in (self.directory / part).glob(f"*{suffix}")]
        return sorted(found) + ([self.summary] if self.summary.exists() else [])
