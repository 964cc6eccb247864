"""What a photon transfer finds: values with their errors, for each amplifier."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.characterize.transfer_picture import draw_transfer
from astro_calib.detector.amplifier import Amplifier
from astro_calib.detector.correlation import Correlation
from astro_calib.detector.detector import Detector
from astro_calib.detector.waves import ENOUGH_TONES

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from astro_calib.characterize.tones import Tone

__all__ = ["AmplifierTransfer", "Doubt", "Measured", "NotBias", "NotRaw", "PhotonTransfer", "Point"]


class Doubt(str):
    """A remark that speaks against the gain."""

    __slots__ = ()


class NotBias(str):
    """A remark that speaks against the read noise: the biases may be something else."""

    __slots__ = ()


class NotRaw(Doubt):
    """A remark that the frames are not raw, so that their noise is not that of the detector."""

    __slots__ = ()


@dataclass(frozen=True)
class Measured:
    """
    A value with its standard uncertainty.

    Parameters
    ----------
    value, uncertainty : Quantity
        Of one unit.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astro_calib.characterize import Measured
    >>> print(
    ...     Measured(1.7912 * u.electron / u.adu, 0.0123 * u.electron / u.adu)
    ... )
    1.791 +- 0.012 electron / adu
    """

    value: u.Quantity
    uncertainty: u.Quantity

    def __str__(self) -> str:
        value, error = self.value.value, self.uncertainty.to_value(self.value.unit)
        if not np.isfinite(error) or error <= 0:
            return f"{value:.4g} {self.value.unit}".rstrip()
        digits = 1 - int(np.floor(np.log10(error)))
        unit = f" {self.value.unit}".rstrip()
        if not -6 < digits < 7:
            return f"{value:.3g} +- {error:.2g}{unit}"
        return f"{round(value, digits):.{max(digits, 0)}f} +- {round(error, digits):.{max(digits, 0)}f}{unit}"


class Point(NamedTuple):
    """
    One measurement of the photon transfer curve: a difference of flats at one level.

    Parameters
    ----------
    level : float
        Mean level of a flat, adu above the bias.
    variance, uncertainty : float
        Variance of a flat at that level with its standard uncertainty, adu^2.
    predicted : float
        The variance that the fit has there, adu^2.
    flats : tuple of int
        Which flats it comes from.

    Examples
    --------
    >>> from astro_calib.characterize import Point
    >>> point = Point(
    ...     level=20_000.0,
    ...     variance=13_340.0,
    ...     uncertainty=60.0,
    ...     predicted=13_360.0,
    ...     flats=(1, 0),
    ... )
    >>> off = (point.variance - point.predicted) / point.uncertainty
    >>> print(f"{off:.2f} errors off")
    -0.33 errors off
    """

    level: float
    variance: float
    uncertainty: float
    predicted: float
    flats: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class AmplifierTransfer:
    """
    What `photon_transfer` finds of one amplifier.

    Parameters
    ----------
    section : str or None
        The pixels, as a FITS section; None for all.
    gain : Measured
        Electron / adu, at zero signal.
    read_noise : Measured
        Standard deviation of the noise of reading a pixel, electron: white part, rows and tones together, without
        what rounding adds.
    read_noise_adu : Measured
        The same in adu, whose uncertainty does not hold that of the gain.
    white, row : Measured
        Standard deviations of the part of each pixel and of that which a row shares, electron.
    tones : tuple of Tone
        Their powers are in electron^2.
    digital_step : Quantity
        adu; 0 where the values come in no steps.
    level : Measured
        Level of the biases, adu; the uncertainty is that of their mean.
    drift : Measured
        Standard deviation of the level from bias to bias, adu.
    full_well : Quantity or None
        Level above the bias where values pile up, electron; None if no flat reaches it.
    saturation : Quantity or None
        The raw value where they pile up, adu.
    a_00 : Measured
        Relative change of the variance for each electron of the level, by charge that repels charge, 1 / electron.
    nonlinearity : Measured or None
        Relative loss of signal at the highest level; None for fewer than four levels.
    consistent : bool or None
        Whether flats, or parts of them, at levels that differ by a quarter or more agree. None if there is one level
        only: a response that is not straight would then be part of the gain, three times over. False as well if the
        flats' noise is not that of raw frames: smoothed, averaged, or with structures that light left in it.
    points : tuple of Point
        The measurements, for a plot.
    lags, lags_uncertainty : ndarray, shape (9, 9)
        Autocovariance of a bias at dy and dx from 0 to 8, the mean of both signs of dx, adu^2.
    biases, flats : int
        How many frames were used.
    remarks : tuple of str
        What a user should know before believing it.
    corner : str
        The corner that is read first, as in `~astro_calib.Amplifier`. Lags and tones are those of the pixels in the
        order in which they are read.
    overscan_section : str or None
        That of the amplifier, if a detector told it.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.characterize import photon_transfer
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
    >>> result = photon_transfer(flats, biases)
    >>> one = result.amplifiers[0]
    >>> print(one.digital_step, one.full_well, one.flats, one.biases)
    1.0 adu None 3 3
    >>> bool(abs(one.read_noise_adu.value.value - 4) < 0.1)
    True
    """

    section: str | None
    gain: Measured
    read_noise: Measured
    read_noise_adu: Measured
    white: Measured
    row: Measured
    tones: tuple[Tone, ...]
    digital_step: u.Quantity
    level: Measured
    drift: Measured
    full_well: u.Quantity | None
    saturation: u.Quantity | None
    a_00: Measured
    nonlinearity: Measured | None
    consistent: bool | None
    points: tuple[Point, ...] = field(repr=False)
    lags: NDArray[np.float64] = field(repr=False, compare=False)
    lags_uncertainty: NDArray[np.float64] = field(repr=False, compare=False)
    biases: int
    flats: int
    remarks: tuple[str, ...]
    corner: str = "lower left"
    overscan_section: str | None = None

    @property
    def correlation(self) -> Correlation | None:
        """How the read noise of neighbours goes together; None if each pixel has its own."""
        total = float(self.read_noise.value.value) ** 2
        row = float(self.row.value.value) ** 2
        powers = np.array([tone.power for tone in self.tones])
        if total <= 0 or not (row > 0 or powers.any()):
            return None
        # Where rounding hides the noise, its parts are known worse than all of it.
        total = max(total, row + float(powers.sum()))
        tones = [(tone.power / total, tone.wx, tone.wy) for tone in self.tones]
        return Correlation(row / total, tones).with_fewer(ENOUGH_TONES)

    def __str__(self) -> str:
        lines = [
            f"gain          {self.gain}",
            f"read noise    {self.read_noise}  (white {self.white}, rows {self.row}, {len(self.tones)} tones)",
            f"level         {self.level}, drift {self.drift}, in steps of {self.digital_step:g}",
            f"a_00          {self.a_00}",
        ]
        if self.nonlinearity is not None:
            lines.append(f"nonlinearity  {self.nonlinearity} at the highest level")
        if self.full_well is not None:
            lines.append(f"full well     {self.full_well:.4g}, at {self.saturation:g}")
        if self.consistent is None:
            lines.append("one level only  a response that is not straight would not show")
        lines += [f"! {remark}" for remark in self.remarks]
        if self.section is not None:
            lines.insert(0, f"amplifier {self.section}")
        return "\n".join(lines)


def _plain(value: Any) -> Any:
    """A value as JSON knows it; numbers that are not finite are None."""
    if isinstance(value, AmplifierTransfer):
        left_out = ("points", "lags", "lags_uncertainty")
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value) if one.name not in left_out}
    if isinstance(value, Measured):
        error = value.uncertainty.to_value(value.value.unit)
        return {"value": _plain(value.value.value), "uncertainty": _plain(error), "unit": str(value.value.unit)}
    if isinstance(value, u.Quantity):
        return {"value": _plain(value.value), "unit": str(value.unit)}
    if hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value


@dataclass(frozen=True)
class PhotonTransfer:
    """
    The result of `photon_transfer`.

    Parameters
    ----------
    amplifiers : tuple of AmplifierTransfer
        One for each section.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.characterize import photon_transfer
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
    >>> result = photon_transfer(flats, biases)
    >>> len(result.amplifiers), result.remarks
    (1, ())
    """

    amplifiers: tuple[AmplifierTransfer, ...]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know before believing it, of all amplifiers."""
        several = len(self.amplifiers) > 1
        return tuple(
            f"{one.section}: {remark}" if several else remark for one in self.amplifiers for remark in one.remarks
        )

    def __str__(self) -> str:
        return "\n".join(map(str, self.amplifiers))

    def to_dict(self) -> dict[str, Any]:
        """
        All numbers, as they can be written as JSON.

        Returns
        -------
        dict
            Under ``"amplifiers"`` a dictionary for each, without points and lags. What is measured has ``"value"``,
            ``"uncertainty"`` and ``"unit"``.
        """
        return {"amplifiers": [_plain(one) for one in self.amplifiers]}

    def to_detector(self, name: str = "detector") -> Detector:
        """
        The detector with what was measured, for `~astro_calib.calibrate`.

        Parameters
        ----------
        name : str
            Name of the detector.

        Returns
        -------
        Detector
            With gains, their uncertainties, read noises with rows and tones, and the saturation if it was seen: that
            of each amplifier, if there are several.
        """
        several = len(self.amplifiers) > 1
        amplifiers = [
            Amplifier(
                gain=one.gain.value,
                gain_uncertainty=one.gain.uncertainty,
                read_noise=one.read_noise.value,
                data_section=one.section,
                correlation=one.correlation,
                corner=one.corner,
                overscan_section=one.overscan_section,
                saturation=one.saturation if several else None,
            )
            for one in self.amplifiers
        ]
        of_all = None if several else self.amplifiers[0].saturation
        return Detector(amplifiers=tuple(amplifiers), saturation=of_all, name=name)

    def plot(self, figure: Figure | None = None) -> Figure:
        """
        Draw variance against level with the fit, and the residuals, a column for each amplifier.

        Parameters
        ----------
        figure : matplotlib.figure.Figure, optional
            Draw into this one, such as ``plt.figure(layout="constrained")``, which ``plt.show()`` then shows.

        Returns
        -------
        matplotlib.figure.Figure
            Save it with its ``savefig``.
        """
        return draw_transfer(self.amplifiers, figure)
