"""A plan of calibration frames: the SNR that it gives, as numbers, a table and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import described

if TYPE_CHECKING:
    from collections.abc import Mapping

    from astropy.table import Table
    from matplotlib.figure import Figure

__all__ = ["KINDS", "CalibrationPlan"]

#: What is planned, and what one of it is called.
KINDS = {"science": "science frame", "biases": "bias", "darks": "dark", "flats": "flat"}


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibrationPlan:
    """
    How many frames of each kind to take, and the SNR that they give.

    Parameters
    ----------
    exposure, dark_exposure : Quantity, s
        Exposure of each science frame and of each dark.
    science, biases, darks, flats : int
        Numbers of frames.
    time : Quantity, min
        What all these frames take, read-out included.
    signal : Quantity, electron
        Light of the target in the aperture, in one exposure.
    variances : dict of str to float
        Variance of the target's flux, in electron squared, that each kind would bring if there was one frame of it.
    gain_variance : float
        What the uncertainty of the gain brings, in electron squared; it depends on no number of frames.
    seconds : dict of str to float
        What one frame of each kind takes, s, read-out included.
    remarks : tuple of str
        What should be known about the plan, such as that the target saturates.

    Examples
    --------
    As `plan_calibration` makes it; see there.

    >>> import astropy.units as u
    >>> from astro_calib import Detector
    >>> from astro_calib.characterize import plan_calibration
    >>> camera = Detector(
    ...     gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron
    ... )
    >>> plan = plan_calibration(
    ...     camera,
    ...     flux=100 * u.electron / u.s,
    ...     sky=5 * u.electron / u.s,
    ...     fwhm=3.5,
    ...     exposure=60 * u.s,
    ...     flat_level=20000 * u.electron,
    ...     lamp_time=5 * u.s,
    ...     read_out_time=15 * u.s,
    ...     science=5,
    ...     biases=10,
    ...     flats=4,
    ... )
    >>> bool(plan.snr < plan.snr_with(biases=100))
    True
    """

    exposure: u.Quantity
    dark_exposure: u.Quantity
    science: int
    biases: int
    darks: int
    flats: int
    time: u.Quantity
    signal: u.Quantity
    variances: Mapping[str, float]
    gain_variance: float
    seconds: Mapping[str, float]
    remarks: tuple[str, ...] = ()

    @property
    def numbers(self) -> dict[str, int]:
        """The numbers of frames by kind; no darks where there is no dark current."""
        return {kind: getattr(self, kind) for kind in self.variances}

    @property
    def snr(self) -> float:
        """Signal-to-noise ratio of the target in the mean of the science frames."""
        return float(self._snr(self.numbers))

    def snr_with(self, **numbers: float) -> float:
        """
        The SNR with other numbers of frames.

        Parameters
        ----------
        **numbers : float
            Of ``science``, ``biases``, ``darks`` or ``flats``; `numpy.inf` for a master without noise. Those that are
            not given are the plan's.

        Returns
        -------
        float
            Signal-to-noise ratio of the target.

        Raises
        ------
        TypeError
            If there is no such kind.
        ValueError
            If a number is not positive.
        """
        for kind, number in numbers.items():
            if kind not in KINDS:
                msg = f"snr_with has no argument {kind!r}; expected {', '.join(KINDS)}."
                raise TypeError(msg)
            if not number > 0:
                msg = f"{kind} is {described(number)}; expected a positive number."
                raise ValueError(msg)
        return float(self._snr({**self.numbers, **numbers}))

    def _snr(self, numbers: Mapping[str, Any]) -> Any:
        """Signal over noise; numbers of frames may be arrays."""
        parts = sum(variance / numbers[kind] for kind, variance in self.variances.items())
        return self.signal.value / np.sqrt(parts + self.gain_variance)

    @property
    def table(self) -> Table:
        """
        A row for each kind of frame.

        With the columns ``frames``, ``number``, ``exposure`` (s), ``time`` (min, of all of them with read-out),
        ``noise`` (electron, what they bring to the error of the flux), ``share`` (of the variance, %), ``gain`` (of SNR
        by one more minute of them, %) and ``SNR at best`` (with endless frames of this kind).
        """
        from astropy.table import Table

        total = (self.signal.value / self.snr) ** 2
        overheads = {"science": self.exposure.value, "biases": 0.0, "darks": self.dark_exposure.value}
        rows = []
        for kind, number in self.numbers.items():
            part = self.variances[kind] / number
            rows.append(
                (
                    kind,
                    number,
                    overheads.get(kind, np.nan),
                    number * self.seconds[kind] / 60,
                    np.sqrt(part),
                    100 * part / total,
                    100 * (self.snr_with(**{kind: number + 60 / self.seconds[kind]}) / self.snr - 1),
                    self.snr_with(**{kind: np.inf}),
                )
            )
        names = ("frames", "number", "exposure", "time", "noise", "share", "gain", "SNR at best")
        table = Table(rows=rows, names=names)
        units = {"exposure": u.s, "time": u.min, "noise": u.electron, "share": u.percent, "gain": u.percent / u.min}
        for name, unit in units.items():
            table[name].unit = unit
        for name, form in zip(names[2:], ("g", ".1f", ".4g", ".1f", ".3f", ".1f"), strict=True):
            table[name].format = form
        return table

    @property
    def next(self) -> str:
        """The kind of frame of which one more minute gains most."""
        gains = self.table["gain"]
        return str(self.table["frames"][int(np.argmax(gains))])

    def __str__(self) -> str:
        numbers = self.numbers
        frames = [_counted(number, kind) for kind, number in numbers.items()]
        frames[0] += f" of {self.exposure.value:g} s"
        if "darks" in numbers:
            frames[2] += f" of {self.dark_exposure.value:g} s"
        table = self.table
        masters = sum(row["share"] for row in table if row["frames"] != "science")
        perfect = self.snr_with(**dict.fromkeys([kind for kind in numbers if kind != "science"], np.inf))
        gain = table["gain"][int(np.argmax(table["gain"]))]
        lines = [
            f"{', '.join(frames)}: SNR {self.snr:.4g}, in {self.time.value:.1f} min.",
            f"The masters are {masters:.1f}% of the variance; with perfect ones the SNR is {perfect:.4g}.",
            f"One more minute gains most with {self.next}: {gain:.2g}% of the SNR.",
            *self.remarks,
        ]
        return "\n".join([*lines, "", *table.pformat(max_lines=-1, max_width=-1)])

    def plot(self, figure: Figure | None = None) -> Figure:
        """
        Draw the SNR against the number of frames of each kind, the others as in the plan.

        Parameters
        ----------
        figure : matplotlib.figure.Figure, optional
            Draw into this one, such as ``plt.figure(layout="constrained")``, which ``plt.show()`` then shows.

        Returns
        -------
        matplotlib.figure.Figure
            With a point on each curve for the plan.
        """
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.0, 5.0), layout="constrained") if figure is None else figure
        axes = figure.subplots()
        most = max(30, *(3 * number for number in self.numbers.values()))
        steps = np.unique(np.geomspace(1, most, 200).round())
        for kind, number in self.numbers.items():
            snr = self._snr({**self.numbers, kind: steps})
            (line,) = axes.plot(steps, snr, label=kind)
            axes.plot([number], [self.snr], "o", color=line.get_color())
        perfect = self.snr_with(**dict.fromkeys([kind for kind in self.numbers if kind != "science"], np.inf))
        axes.axhline(perfect, color="#8a8a8a", linestyle="--", label="perfect masters")
        axes.set(
            xscale="log",
            xlabel="number of frames, the others as planned",
            ylabel="SNR of the target",
            title=f"SNR {self.snr:.4g} in {self.time.value:.1f} min",
        )
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend()
        return figure


def _counted(number: int, kind: str) -> str:
    return f"{number} {KINDS[kind] if number == 1 else kind + ' frames' * (kind == 'science')}"
