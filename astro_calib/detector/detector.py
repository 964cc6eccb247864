"""What a detector does to the light: gain, read noise, linearity, saturation, and the sections of its amplifiers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import NUMBERS, described, is_sequence_of, other_words_of_init, with_sections
from astro_calib.detector.amplifier import (
    GAIN_UNIT,
    Amplifier,
    checked_saturation,
    ends,
    overlap,
)
from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.correlation import Correlation
    from astro_calib.detector.linearity import Linearity

__all__ = ["Detector", "as_detector"]

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
    >>> camera = Detector(
    ...     gain=1.8 * u.electron / u.adu,
    ...     read_noise=9.4 * u.electron,
    ...     saturation=65000 * u.adu,
    ... )
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
                if all(overlap(a, b) for a, b in zip(one.slices(), other.slices(), strict=True)):
                    msg = f"amplifier sections {one.data_section} and {other.data_section} overlap."
                    raise ValueError(msg)
        object.__setattr__(self, "amplifiers", amplifiers)
        object.__setattr__(self, "saturation", checked_saturation(self.saturation))

    def __repr__(self) -> str:
        """What matters most, in one line; ``amplifiers`` has the rest."""
        gain, read_noise = (_range([getattr(one, name) for one in self.amplifiers]) for name in ("gain", "read_noise"))
        parts = [f"gain {gain}", f"read noise {read_noise}"]
        if len(self.amplifiers) > 1:
            parts.insert(0, f"{len(self.amplifiers)} amplifiers")
        if self.saturation is not None:
            parts.append(f"saturation {self.saturation:g}")
        parts += [name for name in ("linearity", "correlation") if any(getattr(a, name) for a in self.amplifiers)]
        return f"<Detector {self.name!r}: {', '.join(parts)}>"

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
        ...     Amplifier(
        ...         gain=1.8 * u.electron / u.adu,
        ...         read_noise=9 * u.electron,
        ...         data_section=f"[{data}, 1:1024]",
        ...         overscan_section=f"[{overscan}, 1:1024]",
        ...     )
        ...     for data, overscan in (
        ...         ("33:544", "1:32"),
        ...         ("545:1056", "1057:1088"),
        ...     )
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
            last = [ends(part)[1] for part in (rows, columns)]
            if any(length < end < float("inf") for length, end in zip(shape, last, strict=True)):
                msg = (
                    f"amplifier section {amplifier.data_section} lies outside a frame of {shape[1]} columns "
                    f"and {shape[0]} rows."
                )
                raise FrameError(msg)
            sections.append((rows, columns))
        return sections


def _range(values: Sequence[u.Quantity]) -> str:
    """A quantity, or the smallest and the largest of several."""
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low.value:g} to {high:g}"
