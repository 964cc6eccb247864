"""Crosstalk: how much of what one amplifier reads is found in what another one reads at the same moment."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.arguments import described
from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Crosstalk"]

#: No amplifier has more of the others than this, as the root of the sum of squares: their read noise would count.
LARGEST = 0.14


@dataclass(frozen=True, eq=False)
class Crosstalk:
    """
    How much of each amplifier is found in the others.

    Parameters
    ----------
    matrix : array_like, shape (n, n)
        In row i and column j, what amplifier i has of the value of amplifier j that is read at the same moment, both in
        adu net of their levels; zero on the diagonal. The amplifiers are numbered as in `Detector`.
    uncertainty : array_like, shape (n, n), optional
        Standard uncertainty of each. The error of a coefficient is the same for all pixels and frames, so that it does
        not average down. Without it the matrix counts as exact.
    name : str
        Tells cameras apart: the error of equal matrices of one name is the same noise.

    Raises
    ------
    ValueError
        If the matrix is not square, holds what is no finite number, a coefficient on the diagonal, or in a row more
        than 0.14 as the root of the sum of squares, or if an uncertainty is negative.

    Examples
    --------
    The right half of a chip has a thousandth of the left one, and nothing goes the other way:

    >>> from astro_calib.detector.crosstalk import Crosstalk
    >>> crosstalk = Crosstalk(
    ...     [[0, 0], [1e-3, 0]], uncertainty=[[0, 0], [2e-5, 0]]
    ... )
    >>> crosstalk.amplifiers
    2
    """

    matrix: NDArray[np.float64]
    uncertainty: NDArray[np.float64] | None = None
    name: str = "crosstalk"

    def __post_init__(self) -> None:
        matrix = _square("the matrix of the crosstalk", self.matrix)
        most = float(np.sqrt(np.square(matrix).sum(axis=1)).max(initial=0.0))
        if np.any(np.diag(matrix) != 0) or most > LARGEST:
            msg = (
                f"the matrix of the crosstalk has {np.diag(matrix).tolist()} on the diagonal, and {most:g} as the "
                f"largest root of a row's sum of squares; expected 0 on the diagonal, and {LARGEST:g} at most (1e-5 to "
                "1e-2 for most cameras)."
            )
            raise ValueError(msg)
        object.__setattr__(self, "matrix", matrix)
        if self.uncertainty is not None:
            uncertainty = _square("the uncertainty of the crosstalk", self.uncertainty)
            if uncertainty.shape != matrix.shape or np.any(uncertainty < 0) or np.any(np.diag(uncertainty) != 0):
                msg = (
                    f"the uncertainty of the crosstalk has shape {uncertainty.shape} and {uncertainty.min():g} as its "
                    f"smallest number; expected shape {matrix.shape}, no negative number, and 0 on the diagonal."
                )
                raise ValueError(msg)
            object.__setattr__(self, "uncertainty", uncertainty)
        if not isinstance(self.name, str):
            msg = f"the name of the crosstalk is {described(self.name)}; expected text, such as 'left camera'."
            raise TypeError(msg)

    @property
    def amplifiers(self) -> int:
        """How many amplifiers it is for."""
        return len(self.matrix)

    def identity(self, victim: int, aggressor: int) -> str:
        """
        Identity of the error of a coefficient: the same for every frame that is corrected with it.

        Parameters
        ----------
        victim, aggressor : int
            Row and column of the matrix.

        Returns
        -------
        str
            A checksum of what it depends on.
        """
        uncertainty = 0.0 if self.uncertainty is None else float(self.uncertainty[victim, aggressor])
        text = f"{self.name}|{victim}|{aggressor}|{float(self.matrix[victim, aggressor])!r}|{uncertainty!r}"
        return f"crosstalk:{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"

    def identity_of_all(self) -> str:
        """
        Identity of the whole matrix, so that it is not subtracted from a frame twice.

        Returns
        -------
        str
            A checksum of its numbers and its name.
        """
        digest = hashlib.blake2b(f"{self.name}|{self.matrix.shape}".encode(), digest_size=12)
        digest.update(self.matrix.tobytes())
        return f"crosstalk:{digest.hexdigest()}"

    # -- tables and files ----------------------------------------------------------------------------------------

    def as_table(self) -> dict[str, Any]:
        """
        The numbers as a profile or a file has them, to be given to `from_table`.

        Returns
        -------
        dict
            With ``name``, ``matrix`` and, if there is one, ``uncertainty``.
        """
        table: dict[str, Any] = {"name": self.name, "matrix": self.matrix.tolist()}
        if self.uncertainty is not None:
            table["uncertainty"] = self.uncertainty.tolist()
        return table

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Crosstalk:
        """
        What `as_table` wrote.

        Parameters
        ----------
        table : mapping
            With ``matrix``, and ``uncertainty`` and ``name`` if there are any.

        Returns
        -------
        Crosstalk
            The same numbers.

        Raises
        ------
        ValueError
            If something else is in it, or the numbers are no crosstalk.
        """
        unknown = sorted(set(table) - {"name", "matrix", "uncertainty"})
        if unknown or "matrix" not in table:
            found = ", ".join(sorted(table)) or "nothing"
            msg = f"a table of crosstalk holds {found}; expected matrix, and uncertainty and name if they are known."
            raise ValueError(msg)
        return cls(table["matrix"], table.get("uncertainty"), table.get("name", "crosstalk"))

    def write(self, path: str | Path) -> None:
        """
        Write the numbers into a file of the form TOML.

        Parameters
        ----------
        path : str or Path
            A file of this name is replaced.
        """
        lines = [f'name = "{_quoted(self.name)}"', *_lines("matrix", self.matrix)]
        if self.uncertainty is not None:
            lines += _lines("uncertainty", self.uncertainty)
        path = Path(path)
        unfinished = path.with_name(f"{path.name}.part")
        unfinished.write_text("\n".join([*lines, ""]), encoding="utf-8")
        unfinished.replace(path)

    @classmethod
    def read(cls, path: str | Path) -> Crosstalk:
        """
        Read what `write` has written.

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        Crosstalk
            The same numbers.

        Raises
        ------
        FrameError
            If the file does not hold crosstalk; the message names it.
        """
        try:
            return cls.from_table(tomllib.loads(Path(path).read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            msg = f"{path}: {error}"
            raise FrameError(msg) from error


def _square(what: str, value: ArrayLike) -> NDArray[np.float64]:
    try:
        array = np.array(value, dtype=np.float64)
    except (ValueError, TypeError):
        array = np.array(np.nan)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not np.isfinite(array).all():
        msg = (
            f"{what} is {described(value)}; expected finite numbers in as many rows as columns, one for each amplifier."
        )
        raise ValueError(msg)
    array.flags.writeable = False
    return array


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _lines(name: str, matrix: NDArray[np.float64]) -> list[str]:
    return [f"{name} = [", *(f"    [{', '.join(repr(float(one)) for one in row)}]," for row in matrix), "]"]
