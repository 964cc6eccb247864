"""One output of a detector: gain, read noise, linearity, saturation, and which pixels it reads in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_quantity, check_switch, described, other_words_of_init
from astro_calib.detector.correlation import Correlation
from astro_calib.detector.linearity import Linearity
from astro_calib.detector.sections import slices_of_section

__all__ = [
    "CORNERS",
    "GAINS",
    "GAIN_UNIT",
    "MAX_LEVEL",
    "MAX_READ_NOISE",
    "Amplifier",
    "check_gain",
    "checked_saturation",
    "ends",
    "overlap",
    "positive_quantity",
]

GAIN_UNIT = u.electron / u.adu
#: No detector's gain is outside of this range, electron / adu, not even that of images on a scale from 0 to 1.
GAINS = (1e-6, 1e6)
#: No detector reads out with more noise than this, electron.
MAX_READ_NOISE = 1e6
#: No detector saturates above this level, adu: whole numbers of 32 bits end there.
MAX_LEVEL = 2.0**32

#: No axis of a frame has more pixels than this.
MAX_LENGTH = 1 << 40
#: The corner that an amplifier reads first, and whether its columns and rows then come in falling order.
CORNERS = {
    "lower left": (False, False),
    "lower right": (True, False),
    "upper left": (False, True),
    "upper right": (True, True),
}


def check_gain(what: str, gain: u.Quantity) -> None:
    """Refuse a gain in electron / adu that no detector has: the electrons would be beyond what numbers can hold."""
    if not GAINS[0] <= gain.value <= GAINS[1]:
        msg = f"{what} is {gain}; expected {GAINS[0]:g} to {GAINS[1]:g}, and 0.1 to 10 for most cameras."
        raise ValueError(msg)


def positive_quantity(
    what: str, value: Any, unit: u.UnitBase, *, zero_allowed: bool = False, unitless_allowed: bool = False
) -> u.Quantity:
    """``value`` as a finite, positive scalar in ``unit``, or an error that says what was expected."""
    quantity = check_quantity(what, value, unit, unitless_allowed=unitless_allowed)
    if not quantity.isscalar:
        msg = f"{what} must be a single number; for several amplifiers give Detector(amplifiers=[...])."
        raise ValueError(msg)
    number = quantity.value
    if not np.isfinite(number) or number < 0 or (number == 0 and not zero_allowed):
        kind = "zero or positive" if zero_allowed else "positive"
        msg = f"{what} is {quantity}; it must be finite and {kind}."
        raise ValueError(msg)
    return quantity


def overlap(a: slice, b: slice) -> bool:
    """Whether two slices of an axis have a pixel in common, in whatever direction and steps they go."""
    (first, end), (other_first, other_end) = ends(a), ends(b)
    low, high = max(first, other_first), int(min(end, other_end, MAX_LENGTH))
    step, other_step = (abs(part.step or 1) for part in (a, b))
    # Slices that go on for ever meet again and again after a product of their steps.
    held = range(first + -(-(low - first) // step) * step, high, step)[:other_step]
    return any((cell - other_first) % other_step == 0 for cell in held)


def ends(part: slice) -> tuple[int, float]:
    """The lowest pixel of a slice and the one after its highest; None is an end of the axis."""
    step = part.step or 1
    if step > 0:
        return part.start or 0, float("inf") if part.stop is None else part.stop
    if part.start is None:
        return 0, float("inf")
    last = -1 if part.stop is None else part.stop
    return range(part.start, last, step)[-1] if part.start > last else part.start, part.start + 1


def _slices(what: str, section: Any) -> tuple[slice, slice]:
    """The (row, column) slices of an amplifier's section."""
    try:
        return slices_of_section(section)
    except ValueError as error:
        msg = f"{what} is {described(section)}; expected a FITS section such as '[1:512, 1:1024]'."
        raise ValueError(msg) from error


def checked_saturation(value: Any) -> u.Quantity | None:
    """A level in adu that a pixel can have, or None."""
    if value is None:
        return None
    saturation = positive_quantity("saturation", value, u.adu)
    if saturation.value > MAX_LEVEL:
        msg = f"saturation is {saturation}; expected {MAX_LEVEL:g} adu at most, and 65535 for 16 bits."
        raise ValueError(msg)
    return saturation


@other_words_of_init(
    readnoise="write read_noise={readnoise}.",
    _position="Write Amplifier(gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron, data_section='[1:9,1:9]').",
)
@dataclass(frozen=True, kw_only=True)
class Amplifier:
    """
    One output of a detector.

    Parameters
    ----------
    gain : Quantity, electron / adu
        Electrons for each digital unit; positive.
    read_noise : Quantity, electron
        Standard deviation of the noise that reading a pixel adds; zero or positive.
    gain_uncertainty : Quantity, electron / adu, optional
        Standard uncertainty of the gain. It is common to all pixels and frames of the amplifier, so it
        does not average down. Without it the gain counts as exact.
    data_section : str, optional
        The pixels that this amplifier reads, as a FITS section (first axis first, counted from 1, ends
        included) of the frame as it is in the file. Needed when a detector has several amplifiers. Every other column
        is ``"[1:1023:2, 1:512]"``.
    linearity : LinearityPolynomial or LinearityTable, optional
        How its response departs from a straight line. Without it the response counts as linear.
    correlation : Correlation, optional
        How the read noise of neighbours goes together. Without it the read noise of each pixel is its own.
    rows_in_overscan : bool
        Whether the part of the read noise that a row has in common is the same in image and overscan, so that the level
        of a row takes it off. Otherwise the overscan's rows have one of their own, of the same size.
    overscan_section : str, optional
        Its overscan, as a FITS section of the frame as it is in the file, for `Detector.overscan_sections`.
    saturation : Quantity, adu, optional
        Raw level at and above which its pixels are flagged as saturated, if that is not the detector's.
    corner : {"lower left", "lower right", "upper left", "upper right"}
        The corner of its section that it reads first. The correlation is that of its pixels in the order in which it
        reads them: along the row away from this corner, and from row to row away from it.

    Raises
    ------
    astropy.units.UnitConversionError
        If a quantity has the wrong unit.
    TypeError
        If the linearity is something else.
    ValueError
        If a gain is not positive or larger than that of any detector, or a noise is negative or larger than that.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astro_calib import Amplifier
    >>> left = Amplifier(
    ...     gain=1.8 * u.electron / u.adu,
    ...     read_noise=9.4 * u.electron,
    ...     data_section="[1:512, 1:1024]",
    ... )
    >>> left.gain
    <Quantity 1.8 electron / adu>
    """

    gain: u.Quantity
    read_noise: u.Quantity
    gain_uncertainty: u.Quantity | None = None
    data_section: str | None = None
    linearity: Linearity | None = None
    correlation: Correlation | None = None
    rows_in_overscan: bool = True
    overscan_section: str | None = None
    saturation: u.Quantity | None = None
    corner: str = "lower left"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", positive_quantity("gain", self.gain, GAIN_UNIT))
        check_gain("gain", self.gain)
        object.__setattr__(
            self, "read_noise", positive_quantity("read_noise", self.read_noise, u.electron, zero_allowed=True)
        )
        if self.read_noise.value > MAX_READ_NOISE:
            msg = f"read_noise is {self.read_noise}; expected {MAX_READ_NOISE:g} at most, and 1 to 20 for most cameras."
            raise ValueError(msg)
        if self.gain_uncertainty is not None:
            checked = positive_quantity("gain_uncertainty", self.gain_uncertainty, GAIN_UNIT, zero_allowed=True)
            if checked.value > GAINS[1]:
                msg = f"gain_uncertainty is {checked}; expected a part of the gain, which is {self.gain}."
                raise ValueError(msg)
            object.__setattr__(self, "gain_uncertainty", checked)
        if self.linearity is not None and not isinstance(self.linearity, Linearity):
            msg = f"linearity is {described(self.linearity)}; expected a LinearityPolynomial or a LinearityTable."
            raise TypeError(msg)
        if self.correlation is not None and not isinstance(self.correlation, Correlation):
            msg = f"correlation is {described(self.correlation)}; expected a Correlation, such as Correlation(row=0.1)."
            raise TypeError(msg)
        object.__setattr__(self, "rows_in_overscan", check_switch("rows_in_overscan", self.rows_in_overscan))
        object.__setattr__(self, "saturation", checked_saturation(self.saturation))
        if self.corner not in CORNERS:
            msg = f"corner is {described(self.corner)}; expected one of {', '.join(map(repr, CORNERS))}."
            raise ValueError(msg)
        self.slices()
        if self.overscan_section is not None:
            _slices("overscan_section", self.overscan_section)

    def slices(self) -> tuple[slice, slice]:
        """
        The (row, column) slices of the section, in the frame as it is in the file; all of it without one.

        Returns
        -------
        (slice, slice)
            Rows and columns of the frame as it is in the file; all of it without a section.

        Raises
        ------
        ValueError
            If ``data_section`` is not a FITS section of two axes.
        """
        if self.data_section is None:
            return slice(None), slice(None)
        return _slices("data_section", self.data_section)

    @property
    def correlation_in_frame(self) -> Correlation | None:
        """
        The correlation from pixel to pixel of the frame, instead of those that the amplifier reads one after the other.

        Returns
        -------
        Correlation or None
            With tones that are mirrored if the corner says so, and slower ones if it reads every other column only.
        """
        if self.correlation is None:
            return None
        steps = [abs(part.step or 1) for part in self.slices()]
        columns, rows = (-1 if falls else 1 for falls in CORNERS[self.corner])
        return self.correlation.spread_out(columns * steps[1], rows * steps[0])
