"""What there is to reduce of one setup of the camera: its raw frames by kind, and the detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from astro_calib.arguments import printable
from astro_calib.errors import FrameError
from astro_calib.night.headers.values import parse_section
from astro_calib.night.library.loan import NOTHING, Loan
from astro_calib.night.matching.by_kind import FramesByKind
from astro_calib.night.matching.matching import Choice, Match, dark_choice, flat_choice, flat_groups, middle_times
from astro_calib.night.matching.neighbours import neighbours
from astro_calib.night.plan.kind_table import kind_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from astro_calib.characterize.frame_noise import ImageExcess
    from astro_calib.detector.detector import Detector
    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.detector.decide import Number
    from astro_calib.night.profiles.by_hand import BadPixelFile
    from astro_calib.night.profiles.profile import Profile

__all__ = ["Plan", "numbers_of"]

UNIT_NAMES = {"gain": "electron/adu", "read_noise": "electron", "saturation": "adu"}


def _named(profile: Profile) -> str:
    return f"profile {profile.name}{f' (chosen by {printable(profile.why)})' if profile.why else ''}"


@dataclass(frozen=True, kw_only=True)
class Plan(FramesByKind):
    """
    What there is to reduce of one setup of the camera; one of a `~astro_calib.night.NightPlan`. Its ``str`` is a table.

    Parameters
    ----------
    profile : Profile
        The profile by which the frames were told apart.
    frames : tuple of RawFrame
        Those that can be used, in the order of their files. All have the same shape, sections, gain, read
        noise and saturation.
    detector : Detector, optional
        What is known of the detector; None as long as no pixels were looked at.
    remarks : tuple of str
        What should be known about the result.
    numbers : tuple of Number
        Gain and read noise: what options, profile, headers and frames say of each, and which was taken.
    image_excess : ImageExcess, optional
        What the image has in read-out noise and the overscan has not, if the read noise of each frame is from its own
        overscan; None if all frames have the detector's.
    pedestal : float, optional
        The level of zero light in adu, of a setup without overscan and biases; None as long as it is not known.
    title : str
        What tells the setup from the others of the night, in a few words; empty if there is only one.
    name : str
        The same as a part of file names.
    problem : str
        Why its frames cannot be reduced, and what would mend it; empty if they can.
    elsewhere : tuple of str
        What other setups of the night have of that which its science frames lack, and why it is not taken.
    loan : Loan
        The masters of other nights that stand in where the frames have none of their own.
    bad_pixel_file : BadPixelFile, optional
        Bad pixels beside those that the profile names.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from astro_calib import simulate
    >>> from astro_calib.night import plan_night
    >>> with TemporaryDirectory() as directory:
    ...     taken = simulate.night(
    ...         directory,
    ...         camera=simulate.camera((64, 96), filters=["V"]),
    ...         science=1,
    ...     )
    ...     (plan,) = plan_night(directory).setups
    >>> (
    ...     len(plan.biases),
    ...     {filter: len(frames) for filter, frames in plan.flats.items()},
    ...     len(plan.science),
    ... )
    (10, {'V': 5}, 1)
    >>> plan.overscan, plan.trim
    ('[97:128,1:64]', '[1:96,1:64]')
    """

    profile: Profile
    frames: tuple[RawFrame, ...]
    detector: Detector | None = None
    remarks: tuple[str, ...] = ()
    numbers: tuple[Number, ...] = ()
    image_excess: ImageExcess | None = None
    pedestal: float | None = None
    title: str = ""
    name: str = ""
    problem: str = ""
    elsewhere: tuple[str, ...] = ()
    loan: Loan = NOTHING
    bad_pixel_file: BadPixelFile | None = None

    @property
    def camera(self) -> Detector:
        """The detector, which is known once pixels were looked at; else that is a FrameError."""
        if self.detector is None:
            msg = "the detector is not known: only headers were read; plan without headers_only."
            raise FrameError(msg)
        return self.detector

    @property
    def flat_groups(self) -> dict[str, tuple[RawFrame, ...]]:
        """The flats that make one master each: of one filter, angle of the rotator, and time of taking."""
        return flat_groups(self.frames, self.profile.matching)

    @property
    def compared_with(self) -> Mapping[str, tuple[RawFrame, ...]]:
        """By the name of a science frame, those that it is compared with for cosmic rays; empty if none is."""
        return neighbours(self.science) if self.profile.steps.compares else {}

    @property
    def bias_in_darks(self) -> bool:
        """Whether nothing tells the bias but the darks, which hold it."""
        has_bias = "bias" in self.loan.kinds or any(frame.kind == "bias" for frame in self.frames)
        return self.overscan is None and not has_bias

    def match(self, frame: RawFrame) -> Match:
        """
        Find what a science frame is calibrated with, and why.

        Parameters
        ----------
        frame : RawFrame
            One of the science frames.

        Returns
        -------
        Match
            Its bias, dark and flat.
        """
        return self.matches((frame,))[0]

    def matches(self, frames: Iterable[RawFrame] | None = None) -> tuple[Match, ...]:
        """
        Find what each science frame is calibrated with, and why.

        Parameters
        ----------
        frames : iterable of RawFrame, optional
            All science frames by default.

        Returns
        -------
        tuple of Match
            In the order of the frames.
        """
        biases, darks, flats = self.biases, self.darks, self.flat_groups
        own = Choice("bias", biases, f"{len(biases)} of this setup") if biases else None
        bias = own or self.loan.bias or self._without_bias()
        rules, with_bias = self.profile.matching, self.bias_in_darks
        times = middle_times(flats)
        found = []
        for frame in self.science if frames is None else frames:
            dark = dark_choice(frame.exposure_time, darks, rules, with_bias=with_bias)
            if not darks:
                if not with_bias and not self.profile.darks_expected:
                    dark = Choice(why=f"profile {self.profile.name} says that none are needed")
                dark = self.loan.dark_for(frame.exposure_time, with_bias=with_bias) or dark
            flat = flat_choice(frame, flats, rules, times)
            if not flat.name:
                flat = self.loan.flat_for(frame.filter) or flat
            problem = ""
            if with_bias and not dark.name and self.profile.pedestal is None:
                problem = f"there is no bias, and {dark.why}; give biases, or darks of {frame.exposure_time:g} s"
            found.append(Match(frame, bias, dark, flat, problem))
        return tuple(found)

    def _without_bias(self) -> Choice:
        if self.overscan is not None:
            return Choice(why="there are no biases: the overscan tells the level, their pattern stays", mend="biases")
        if self.profile.pedestal is not None:
            return Choice(why=f"there are no biases: {self.profile.pedestal:g} adu are subtracted", mend="biases")
        if not self.darks and "dark" not in self.loan.kinds:
            return Choice(why="there are no biases", mend="biases")
        return Choice(why="there are no biases: the darks hold it", mend="")

    @property
    def overscan(self) -> str | None:
        """The overscan section of all frames, in FITS convention."""
        return self.frames[0].overscan

    @property
    def trim(self) -> str | None:
        """The section of all frames that is kept, in FITS convention."""
        return self.frames[0].trim

    def bad_pixels(self) -> NDArray[np.bool_] | None:
        """
        The map of the bad pixels of the profile and of a file, cut as the frames are; None if none are named.

        Returns
        -------
        ndarray of bool, shape (ny, nx), or None
            True where a pixel is bad.
        """
        frame = self.frames[0]
        named = None
        if self.profile.bad:
            whole = np.zeros(frame.shape, dtype=bool)
            for section in self.profile.bad:
                whole[parse_section(section)] = True
            named = whole if self.trim is None else whole[parse_section(self.trim)]
        given = None if self.bad_pixel_file is None else self.bad_pixel_file.of(frame.shape, self.trim)
        if named is None or given is None:
            return given if named is None else named
        return named | given

    def table(self) -> str:
        """
        The frames by kind and filter, and what is known of the detector, as text.

        Returns
        -------
        str
            Several lines.
        """
        return "\n".join([self.heading(), *self.kinds(), *(f"  {fact}" for fact in self.facts())])

    def heading(self) -> str:
        """
        Say how many frames of which size there are, and by which profile they were told apart.

        Returns
        -------
        str
            One line.
        """
        rows, columns = self.frames[0].shape
        of_setup = f"{self.title}: " if self.title else ""
        number = f"{len(self.frames)} raw frame{'s' * (len(self.frames) > 1)}"
        return f"{of_setup}{number}, {columns} columns x {rows} rows, {_named(self.profile)}"

    def kinds(self, width: int | None = None) -> list[str]:
        """
        Return a table of the frames, and of the masters that are borrowed.

        Parameters
        ----------
        width : int, optional
            How long a line may be; as long as it needs to be by default.

        Returns
        -------
        list of str
            Its lines.
        """
        return kind_lines(self.frames, self.loan.masters, width)

    def facts(self) -> tuple[str, str]:
        """
        Say what is known of the detector, and which sections are used.

        Returns
        -------
        (str, str)
            A line for each.
        """
        described = []
        sources: dict[str, str] = {}
        for number in self.numbers:
            # That of several amplifiers, where it is the same.
            same = sources.setdefault(number.role, number.source) == number.source
            sources[number.role] = number.source if same else ""
        for role, unit in UNIT_NAMES.items():
            # Somebody should look at these: in some headers GAIN is the setting of an amplifier.
            from_header = getattr(self.profile, role) is None and any(getattr(f, role) for f in self.frames)
            source = sources.get(role, "header" if from_header else "")
            digits = ".4g" if source == "measured" else "g"
            values = [] if self.detector is None else numbers_of(self.detector, role)
            ends = [f"{value:{digits}}" for value in sorted({min(values), max(values)})] if values else []
            text = f"{' to '.join(ends)} {unit}" if ends else "unknown"
            origin = f" ({source})" if source in ("header", "measured", "masters") else ""
            described.append(f"{role.replace('_', ' ')} {text}{origin}")
        several = len(self.frames[0].amplifiers)
        overscan = f"of each of {several} amplifiers" if several > 1 and self.overscan else self.overscan
        return ", ".join(described), f"overscan {overscan or 'none'}, kept {self.trim or 'the whole frame'}"

    def __str__(self) -> str:
        lines = [self.table()]
        if self.remarks:
            lines.append("remarks:")
            lines += [f"  {remark}" for remark in self.remarks]
        return "\n".join(lines)


def numbers_of(detector: Detector, role: str) -> list[float]:
    """Return the gain, read noise or saturation of each amplifier, as far as it is known."""
    own = [getattr(amplifier, role) for amplifier in detector.amplifiers]
    usual = detector.saturation if role == "saturation" else None
    found = [usual if one is None else one for one in own]
    return [float(one.value) for one in found if one is not None]
