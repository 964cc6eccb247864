"""What a detector does to the light: gain, read noise, linearity, saturation, and the sections of its amplifiers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import (
    NUMBERS,
    check_quantity,
    check_switch,
    described,
    is_sequence_of,
    other_words_of_init,
    with_sections,
)
from astro_calib.detector.correlation import Correlation
from astro_calib.detector.linearity import Linearity
from astro_calib.detector.sections import slices_of_section
from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Amplifier", "Detector"]

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

#: The sections that the docstrings of both identities share.
OF_IDENTITY = """
    Parameters
    ----------
    index : int
        Which of the ``amplifiers``.

    Returns
    -------
    str
        A checksum of what the source depends on.
    """


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


def as_detector(value: Any, what: str) -> Detector:
    """The detector that a function was given, ``what`` being what it is for; the error says how to make one."""
    if isinstance(value, Detector):
        return value
    gain = "1.5"
    if isinstance(value, NUMBERS) and not isinstance(value, bool):
        gain = f"{value}"
    elif isinstance(value, u.Quantity) and value.isscalar and value.unit.is_equivalent(GAIN_UNIT):
        gain = f"{value.to_value(GAIN_UNIT):g}"
    example = f"Detector(gain={gain} * u.electron / u.adu, read_noise=8 * u.electron)"
    if isinstance(value, Amplifier):
        example = "Detector(amplifiers=[amplifier])"
    msg = f"{what} needs a Detector, not {described(value)}. Write {example}, with the numbers of your camera."
    raise TypeError(msg)


def _overlap(a: slice, b: slice) -> bool:
    """Whether two slices of an axis have a pixel in common, in whatever direction and steps they go."""
    (first, end), (other_first, other_end) = _ends(a), _ends(b)
    low, high = max(first, other_first), int(min(end, other_end, MAX_LENGTH))
    step, other_step = (abs(part.step or 1) for part in (a, b))
    # Slices that go on for ever meet again and again after a product of their steps.
    held = range(first + -(-(low - first) // step) * step, high, step)[:other_step]
    return any((cell - other_first) % other_step == 0 for cell in held)


def _ends(part: slice) -> tuple[int, float]:
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


def _checked_saturation(value: Any) -> u.Quantity | None:
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
    overscan_section : str, optional
        Its overscan, as a FITS section of the frame as it is in the file, for `Detector.overscan_sections`.
    saturation : Quantity, adu, optional
        Raw level at and above which its pixels are flagged as saturated, if that is not the detector's.
    corner : {"lower left", "lower right", "upper left", "upper right"}
        The corner of its section that it reads first. The correlation is that of its pixels in the order in which it
        reads them: along the row away from this corner, and from row to row away from it.
    linearity : LinearityPolynomial or LinearityTable, optional
        How its response departs from a straight line. Without it the response counts as linear.
    correlation : Correlation, optional
        How the read noise of neighbours goes together. Without it the read noise of each pixel is its own.
    rows_in_overscan : bool
        Whether the part of the read noise that a row has in common is the same in image and overscan, so that the level
        of a row takes it off. Otherwise the overscan's rows have one of their own, of the same size.

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
    >>> left = Amplifier(gain=1.8 * u.electron / u.adu, read_noise=9.4 * u.electron,
    ...                  data_section="[1:512, 1:1024]")
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
        object.__setattr__(self, "saturation", _checked_saturation(self.saturation))
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


@other_words_of_init(
    readnoise="write read_noise={readnoise}.",
    rdnoise="write read_noise={rdnoise}.",
    _position="Write Detector(gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron).",
)
@dataclass(frozen=True, kw_only=True)
class Detector:
    """
    A camera's detector, for `create_deviation` and `calibrate`.

    Parameters
    ----------
    gain, read_noise, gain_uncertainty : Quantity, optional
        As in `Amplifier`, for a detector with one amplifier.
    saturation : Quantity, adu, optional
        Raw level at and above which a pixel is flagged as saturated. Without it none is, but for those of amplifiers
        that have their own.
    amplifiers : sequence of Amplifier, optional
        Instead of ``gain`` and ``read_noise``, for a detector with several; each with its ``data_section``.
    name : str
        Tells detectors apart: the noise of gain and linearity is shared by all frames of one detector.
    linearity : LinearityPolynomial or LinearityTable, optional
        As in `Amplifier`, for a detector with one amplifier.
    correlation : Correlation, optional
        As in `Amplifier`, for a detector with one amplifier.
    rows_in_overscan : bool
        As in `Amplifier`, for a detector with one amplifier.

    Raises
    ------
    astropy.units.UnitConversionError
        If a quantity has the wrong unit.
    TypeError
        If the linearity is something else.
    ValueError
        If neither ``gain`` and ``read_noise`` nor ``amplifiers`` are given, or both are, or a value is
        out of range.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astro_calib import Detector
    >>> camera = Detector(gain=1.8 * u.electron / u.adu, read_noise=9.4 * u.electron,
    ...                   saturation=65000 * u.adu)
    >>> camera.amplifiers[0].read_noise
    <Quantity 9.4 electron>
    """

    gain: u.Quantity | None = None
    read_noise: u.Quantity | None = None
    gain_uncertainty: u.Quantity | None = None
    saturation: u.Quantity | None = None
    amplifiers: tuple[Amplifier, ...] = field(default=())
    name: str = "detector"
    linearity: Linearity | None = None
    correlation: Correlation | None = None
    rows_in_overscan: bool = True

    def __post_init__(self) -> None:
        if not is_sequence_of(Amplifier, self.amplifiers):
            msg = (
                f"amplifiers is {described(self.amplifiers)}; expected a list of Amplifier, such as "
                "[Amplifier(gain=..., read_noise=..., data_section='[1:512, 1:1024]'), ...]."
            )
            raise TypeError(msg)
        if not isinstance(self.name, str):
            msg = f"the name of the detector is {described(self.name)}; expected text, such as 'left camera'."
            raise TypeError(msg)
        amplifiers = tuple(self.amplifiers)
        own = (self.gain, self.read_noise, self.gain_uncertainty, self.linearity, self.correlation)
        if amplifiers and (any(value is not None for value in own) or not self.rows_in_overscan):
            msg = "give a Detector either gain and read_noise, or amplifiers that each have their own; not both."
            raise ValueError(msg)
        if not amplifiers:
            missing = [name for name in ("gain", "read_noise") if getattr(self, name) is None]
            if missing:
                msg = (
                    f"a Detector needs gain and read_noise; missing: {', '.join(missing)}. They are in the "
                    "camera's manual, or can be measured from pairs of flats and biases."
                )
                raise ValueError(msg)
            assert self.gain is not None
            assert self.read_noise is not None
            only = Amplifier(
                gain=self.gain,
                read_noise=self.read_noise,
                gain_uncertainty=self.gain_uncertainty,
                linearity=self.linearity,
                correlation=self.correlation,
                rows_in_overscan=self.rows_in_overscan,
            )
            for name in ("gain", "read_noise", "gain_uncertainty"):
                object.__setattr__(self, name, getattr(only, name))
            amplifiers = (only,)
        elif len(amplifiers) > 1 and any(amplifier.data_section is None for amplifier in amplifiers):
            msg = "each of several amplifiers needs its data_section, such as '[1:512, 1:1024]'."
            raise ValueError(msg)
        for index, one in enumerate(amplifiers):
            for other in amplifiers[index + 1 :]:
                if all(_overlap(a, b) for a, b in zip(one.slices(), other.slices(), strict=True)):
                    msg = f"amplifier sections {one.data_section} and {other.data_section} overlap."
                    raise ValueError(msg)
        object.__setattr__(self, "amplifiers", amplifiers)
        object.__setattr__(self, "saturation", _checked_saturation(self.saturation))

    @with_sections(OF_IDENTITY)
    def gain_identity(self, index: int) -> str:
        """Identity of the gain's noise for amplifier ``index``: the same for every frame of this detector."""
        gain = self.amplifiers[index]
        return self._identity("gain", index, f"{gain.gain}|{gain.gain_uncertainty}")

    @with_sections(OF_IDENTITY)
    def linearity_identity(self, index: int) -> str:
        """Identity of the noise of the linearity of amplifier ``index``: the same for every frame of this detector."""
        linearity = self.amplifiers[index].linearity
        assert linearity is not None
        return self._identity("linearity", index, linearity.identity())

    def _identity(self, kind: str, index: int, what: str) -> str:
        text = f"{self.name}|{index}|{what}|{self.amplifiers[index].data_section}"
        return f"{kind}:{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"

    def read_out_with(
        self, read_noise: u.Quantity, correlation: Correlation | None, *, rows_in_overscan: bool = True
    ) -> Detector:
        """
        The same detector of one amplifier with another read noise.

        Parameters
        ----------
        read_noise : Quantity, electron
            Its standard deviation.
        correlation : Correlation or None
            How that of neighbours goes together.
        rows_in_overscan : bool
            As in `Amplifier`.

        Returns
        -------
        Detector
            With the name, gain, linearity and saturation of this one.
        """
        (amplifier,) = self.amplifiers
        changes = {"read_noise": read_noise, "correlation": correlation, "rows_in_overscan": rows_in_overscan}
        if self.gain is not None:
            return replace(self, amplifiers=(), **changes)
        return replace(self, amplifiers=(replace(amplifier, **changes),))

    @property
    def has_linearity(self) -> bool:
        """Whether the response of any amplifier is known to depart from a straight line."""
        return any(amplifier.linearity is not None for amplifier in self.amplifiers)

    def alone(self, index: int) -> Detector:
        """
        A detector that has one of the amplifiers of this one only, for frames that hold nothing but its pixels.

        Parameters
        ----------
        index : int
            Which of the ``amplifiers``.

        Returns
        -------
        Detector
            Of the same saturation, without sections.
        """
        amplifier = replace(self.amplifiers[index], data_section=None, overscan_section=None)
        return Detector(amplifiers=(amplifier,), saturation=self.saturation, name=self.name)

    def overscan_sections(self) -> list[str]:
        """
        The overscan of each amplifier, for ``calibrate(overscan=...)``.

        Returns
        -------
        list of str
            FITS sections of the frame as it is in the file.

        Raises
        ------
        ValueError
            If some amplifier has none.

        Examples
        --------
        >>> import astropy.units as u
        >>> from astro_calib import Amplifier, Detector
        >>> left, right = (
        ...     Amplifier(gain=1.8 * u.electron / u.adu, read_noise=9 * u.electron, data_section=f"[{data}, 1:1024]",
        ...               overscan_section=f"[{overscan}, 1:1024]")
        ...     for data, overscan in (("33:544", "1:32"), ("545:1056", "1057:1088"))
        ... )
        >>> Detector(amplifiers=[left, right]).overscan_sections()
        ['[1:32, 1:1024]', '[1057:1088, 1:1024]']
        """
        sections = [one.overscan_section for one in self.amplifiers if one.overscan_section is not None]
        if len(sections) < len(self.amplifiers):
            msg = (
                f"{len(self.amplifiers) - len(sections)} of {len(self.amplifiers)} amplifiers have no "
                "overscan_section; give each its own, such as overscan_section='[1025:1056, 1:1024]'."
            )
            raise ValueError(msg)
        return sections

    def saturations(self) -> list[float | None]:
        """
        The level from which the pixels of each amplifier are saturated, adu.

        Returns
        -------
        list of float or None
            Its own or the detector's, whichever is lower; None without any.
        """
        levels = [[one for one in (amp.saturation, self.saturation) if one is not None] for amp in self.amplifiers]
        return [min((float(one.value) for one in several), default=None) for several in levels]

    def pixel_map(self, attribute: str, shape: tuple[int, ...]) -> float | NDArray[np.float64]:
        """
        An attribute of the amplifiers as a number, or for several amplifiers as an array.

        Parameters
        ----------
        attribute : {"gain", "read_noise"}
            Which one; in electron / adu or electron.
        shape : (int, int)
            Shape (ny, nx) of the frame as it is in the file.

        Returns
        -------
        float or ndarray of float64, shape (ny, nx)
            NaN where no amplifier reads.

        Raises
        ------
        FrameError
            If an amplifier's section lies outside the frame.
        """
        values = [getattr(amplifier, attribute).value for amplifier in self.amplifiers]
        if len(values) == 1:
            return float(values[0])
        result = np.full(shape, np.nan)
        for section, value in zip(self.sections(shape), values, strict=True):
            result[section] = value
        return result

    def sections(self, shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
        """
        The amplifiers' sections of a raw frame.

        Parameters
        ----------
        shape : (int, int)
            The shape of the raw frame.

        Returns
        -------
        list of (slice, slice)
            Rows and columns, for each amplifier.

        Raises
        ------
        FrameError
            If a section lies outside the frame.
        """
        sections = []
        for amplifier in self.amplifiers:
            rows, columns = amplifier.slices()
            ends = [_ends(part)[1] for part in (rows, columns)]
            if any(length < end < float("inf") for length, end in zip(shape, ends, strict=True)):
                msg = (
                    f"amplifier section {amplifier.data_section} lies outside a frame of {shape[1]} columns "
                    f"and {shape[0]} rows."
                )
                raise FrameError(msg)
            sections.append((rows, columns))
        return sections
