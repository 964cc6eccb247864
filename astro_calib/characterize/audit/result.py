"""What an audit finds: faults, a verdict in words, and the comparison that they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from os import PathLike

    from astropy.table import Table
    from matplotlib.figure import Figure

__all__ = ["NoiseAudit"]


@dataclass(frozen=True)
class NoiseAudit:
    """
    The result of `audit_noise`.

    Parameters
    ----------
    verdict : str
        One sentence for each fault: the culprit with its size, or those that these frames cannot tell apart and the
        frames that would decide. For each amplifier, where there are several.
    faults : astropy.table.Table
        A row for each fault that was tried: ``amplifier``; ``fault``; its ``size`` with its standard ``error`` and
        ``unit`` if it were the only one; by how much it raises the logarithm of the ``likelihood``; and whether it is
        ``named`` in the verdict (``"yes"``, ``"perhaps"`` where the frames cannot tell, ``"no"``). The sizes of gain
        and read noise are relative: what was stated over the truth, and the truth over what was stated, less 1.
    noise : astropy.table.Table
        A row for each difference of frames, or for each part of it by level: ``amplifier``, ``kind``, ``level``, the
        ``observed`` and ``predicted`` standard deviation, their ``ratio`` with its ``error``, the ratio ``with_faults``
        that were named, and the share of ``outliers``.
    lags : astropy.table.Table
        Covariances of neighbours over the variance at each distance along and across the rows, as observed, as
        ``predicted``, and ``with_faults``.
    apertures : astropy.table.Table
        Sums over empty apertures less the sky around them, for each ``radius``: ``observed`` and ``predicted`` standard
        deviation, ``ratio``, ``error``, and the ratio ``with_faults``.
    stars : astropy.table.Table
        The stars of a series of five frames or more of one field: place in the first frame, mean ``flux``, its
        ``scatter`` from frame to frame, the ``error`` that each frame says, and their ``ratio``. In the table of faults
        the size of ``stars`` is the ratio of most of them, less 1.
    remarks : tuple of str
        What a user should know before believing it.

    Examples
    --------
    >>> import numpy as np
    >>> import astropy.units as u
    >>> from astro_calib import Detector
    >>> from astro_calib.characterize import audit_noise
    >>> rng = np.random.default_rng(3)
    >>> biases = [np.rint(500 + rng.normal(0, 4, (100, 100))) for _ in range(4)]
    >>> detector = Detector(
    ...     gain=1.5 * u.electron / u.adu, read_noise=5 * u.electron
    ... )
    >>> result = audit_noise({"bias": biases}, detector)
    >>> result.right
    False
    >>> print(result.verdict[:61])
    the noise of the biases is 19% larger than predicted: the rea
    """

    verdict: str
    faults: Table
    noise: Table = field(repr=False)
    lags: Table = field(repr=False)
    apertures: Table = field(repr=False)
    stars: Table = field(repr=False)
    remarks: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Whether no fault was found."""
        return not any(self.faults["named"] != "no")

    def __str__(self) -> str:
        columns = ("kind", "level", "observed", "predicted", "ratio", "error", "with_faults")
        several = len(set(self.noise["amplifier"])) > 1
        table = self.noise[(("amplifier",) if several else ()) + columns]
        lines = [self.verdict, "", *table.pformat(max_lines=-1, max_width=-1, show_unit=True)]
        found = self.faults[self.faults["named"] != "no"]
        if len(found):
            shown = found["fault", "size", "error", "unit", "likelihood", "named"]
            lines += ["", *shown.pformat(max_lines=-1, max_width=-1)]
        return "\n".join([*lines, *(f"! {remark}" for remark in self.remarks)])

    def to_dict(self) -> dict[str, Any]:
        """
        All that was found, as it can be written as JSON.

        Returns
        -------
        dict
            ``"right"``, ``"verdict"``, ``"remarks"``, and a list of dictionaries for each table.
        """
        return {
            "right": self.right,
            "verdict": self.verdict,
            "remarks": list(self.remarks),
            **{name: _rows(getattr(self, name)) for name in ("faults", "noise", "lags", "apertures", "stars")},
        }

    def write(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """
        Write the table of faults as ECSV, with the verdict and the other tables in its header.

        Parameters
        ----------
        path : path-like
            The file.
        overwrite : bool
            Whether a file may be replaced.
        """
        table = self.faults.copy()
        table.meta = {key: value for key, value in self.to_dict().items() if key != "faults"}
        table.write(path, format="ascii.ecsv", overwrite=overwrite)

    def plot(self, figure: Figure | None = None) -> Figure:
        """
        Draw observed over predicted noise against level, distance of pixels, and radius of apertures.

        Parameters
        ----------
        figure : matplotlib.figure.Figure, optional
            Draw into this one, such as ``plt.figure(layout="constrained")``, which ``plt.show()`` then shows.

        Returns
        -------
        matplotlib.figure.Figure
            Save it with its ``savefig``.
        """
        from astro_calib.characterize.audit.picture import picture

        return picture(self.verdict, self.noise, self.lags, self.apertures, figure)


def _rows(table: Table) -> list[dict[str, Any]]:
    return [{name: _plain(row[name]) for name in table.colnames} for row in table]


def _plain(value: Any) -> Any:
    """A value as JSON knows it; numbers that are not finite are None."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value if isinstance(value, (bool, int, float)) else str(value)
