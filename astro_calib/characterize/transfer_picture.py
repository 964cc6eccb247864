"""Photon transfer curves as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.arguments import axes_to_draw_on, described

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["draw_transfer", "plot_ptc"]

#: What the points of a curve are.
FLATS = "differences of flats"


def plot_ptc(transfer: Any, axes: Axes | None = None) -> Axes:
    """
    Draw a photon transfer curve: variance against level, with the fit.

    Parameters
    ----------
    transfer : PhotonTransfer or AmplifierTransfer
        What `~astro_calib.characterize.photon_transfer` found; all its amplifiers, or one of them.
    axes : matplotlib.axes.Axes, optional
        Draw here; by default in a new figure of pyplot, which ``plt.show()`` shows.

    Returns
    -------
    matplotlib.axes.Axes
        With points for the differences of flats, and a line for the fit.
        `~astro_calib.characterize.PhotonTransfer.plot` has the residuals too.

    Raises
    ------
    TypeError
        If it is something else.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from astro_calib.characterize import photon_transfer, plot_ptc
    >>> rng = np.random.default_rng(2)
    >>> biases = [np.rint(500 + rng.normal(0, 4, (100, 100))) for _ in range(3)]
    >>> flats = [
    ...     np.rint(
    ...         500
    ...         + rng.poisson(9000, (100, 100))
    ...         + rng.normal(0, 4, (100, 100))
    ...     )
    ...     for _ in range(3)
    ... ]
    >>> plot_ptc(
    ...     photon_transfer(flats, biases), Figure().subplots()
    ... ).get_xlabel()
    'level above the bias [adu]'
    """
    amplifiers = getattr(transfer, "amplifiers", (transfer,))
    if not all(hasattr(one, "points") for one in amplifiers):
        msg = f"plot_ptc draws what photon_transfer(flats, biases) returned, not {described(transfer)}."
        raise TypeError(msg)
    axes = axes_to_draw_on(axes)
    several = len(amplifiers) > 1
    for number, one in enumerate(amplifiers):
        level, variance, error, predicted = _columns(one)
        order = np.argsort(level)
        points, line = (f"C{number}",) * 2 if several else ("C0", "C1")
        label = f"{one.section}: gain {one.gain}" if several else f"gain {one.gain}"
        axes.errorbar(level, variance, error, fmt="o", ms=3, color=points, label=None if several else FLATS)
        axes.plot(level[order], predicted[order], color=line, label=label)
    axes.set(xlabel="level above the bias [adu]", ylabel="variance [adu$^2$]")
    axes.legend(loc="lower right", fontsize="small")
    return axes


def draw_transfer(amplifiers: Sequence[Any], figure: Figure | None) -> Figure:
    """Draw curve and residuals of each amplifier, in a column of its own."""
    from matplotlib.figure import Figure

    if figure is None:
        figure = Figure(figsize=(5 * len(amplifiers), 5), layout="constrained")
    axes = figure.subplots(2, len(amplifiers), sharex="col", squeeze=False, height_ratios=(2, 1))
    for column, one in zip(axes.T, amplifiers, strict=True):
        plot_ptc(one, column[0]).set(xlabel="", title=one.section or "")
        level, variance, error, predicted = _columns(one)
        column[1].errorbar(level, 100 * (variance / predicted - 1), 100 * error / predicted, fmt="o", ms=3)
        column[1].axhline(0, lw=0.8, color="k")
        column[1].set(xlabel="level above the bias [adu]", ylabel="residual [%]")
    return figure


def _columns(transfer: Any) -> NDArray[np.float64]:
    """Level, variance, error and predicted variance of the points of a curve."""
    return np.array([point[:4] for point in transfer.points]).T
