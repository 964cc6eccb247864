"""
Instrument profiles: how a camera's raw files are to be understood.

A profile is a TOML file. It says how to tell the kind of a frame from its header, where overscan and data
are, and what is known of the detector. What a profile leaves out is as in the built-in profile ``generic``
(``IMAGETYP``, ``EXPTIME``, ``FILTER`` and their usual other spellings): each key of ``[keywords]`` and
``[detector]``, and each kind of frame. For many cameras two lines are enough::

    [detector]
    gain = 1.5
    read_noise = 8.0

A complete one, with everything that a profile can hold::

    name = "mountain"                       # optional; the name of the file without it
    description = "0.6 m telescope, CCD camera"

    [keywords]                              # header keywords; of several, the first that has a value
    kind = ["IMAGETYP", "OBSTYPE"]          # what the rules below call "kind"
    exposure_time = "EXPTIME"               # in seconds
    filter = ["FILTER", "FILTNAM"]
    object = "OBJECT"
    gain = "EGAIN"                          # used where [detector] does not give the number
    gain_per_step = "EGAIN_AD"              # electrons for one step of the converter, where "gain" has no value
    read_noise = "RDNOISE"
    saturation = "SATLEVEL"
    overscan = "BIASSEC"
    trim = ["TRIMSEC", "DATASEC"]

    [detector]                              # goes before what the header says
    gain = 1.5                              # electron/adu
    gain_uncertainty = 0.02                 # electron/adu; without it the gain counts as exact
    read_noise = 8.0                        # electron
    saturation = 60000                      # adu
    unit = "adu"                            # the raw frames are in adu, whatever BUNIT says
    linearity = { coefficients = [6e-7, -2e-12], uncertainties = [3e-8, 5e-13], limit = 55000 }
    overscan = "[1025:1056, 1:1024]"        # FITS convention: columns first, from 1; "none": there is none
    trim = "[1:1024, 1:1024]"               # what is kept; "none": everything
    overscan_level = "frame"                # one level for the "frame", for each "row" or each "column"
    bad = ["[257:257, 1:1024]"]             # bad pixels of the frame as it is in the file
    darks_expected = true                   # false: the dark current is negligible
    pedestal = 1000                         # adu: the level of zero light, where nothing in the frames tells it

    [[amplifiers]]                          # one for each, where several read the chip and headers do not tell
    extension = 1                           # number or name; 0 for the primary image, if it is left out
    data = "[1:1024, 1:2048]"               # what it has read, in its image
    overscan = "[1025:1056, 1:2048]"
    placed = "[1024:1, 1:2048]"             # where that belongs; backwards: its image is mirrored
    gain = 1.5                              # and gain_uncertainty, read_noise, saturation, corner, chip, name

    [matching]                              # which frames go together
    temperature = 2.5                       # degrees C: how far apart the frames of one setup may be
    rotator = 2.0                           # degrees: how far apart a flat and a science frame may be
    flat_hours = 16                         # flats with a longer pause between them make two masters
    scale_darks = true                      # false: a frame gets a dark of its own exposure, or none

    [steps]                                 # what is done beside the usual; files beside the profile, or with a path
    cosmic_rays = "mask"                    # or "repair"
    sky = 1                                 # the degree of a surface that is fitted and subtracted
    dark_amplitude = "fit"                  # scale the dark as the frame's hot pixels say
    fringe = { I = "fringe-I.fits" }        # by filter, or one file for all; so may be illumination
    shutter = "shutter.fits"
    crosstalk = "crosstalk.toml"
    bin = 2                                 # add up blocks of 2 x 2 pixels
    colours = false                         # true: write the planes of a colour sensor, too, without bin

    [bias]                                  # a frame is of this kind if every line fits
    OBSTYPE = "DARK"                        # capitals: a header keyword; small letters: see [keywords]
    exposure_time = 0

    [dark]
    OBSTYPE = "DARK"
    exposure_time = { above = 0 }           # above and below, either or both

    [flat]
    OBSTYPE = "OBJECT"
    OBJECT = ["sky flat*", "dome flat*"]    # any of these; * is any text, ? any one letter

    [ignore]                                # these are left out
    OBJECT = "*focus*"

    [science]
    OBSTYPE = "OBJECT"

    [chosen_by]                             # in built-in profiles: taken for frames with this header
    INSTRUME = "Mountain CCD*"

Text is compared without regard to capitals, underscores, hyphens and spaces at the ends. A kind that is
recognised in several ways is written several times, as ``[[flat]]``. The kinds are tried in the order
ignore, bias, dark, flat, science; the first that fits is taken.

``kind = { add = "BILDTYP" }`` under ``[keywords]`` puts a keyword before the built-in ones; ``"WHEEL1 + WHEEL2"`` is
one filter of two wheels; ``"IMG_EXP [ms]"`` an exposure time in milliseconds (or ``us``, ``min``), and ``"BITDEPTH
[bits]"`` a saturation. In a rule ``FILENAME`` is the name of the file, and ``FOLDER`` that of its folder or of the one
above. With ``add = true`` a rule comes beside the built-in ones of its kind; with ``doubtful = true`` it is tried only
where the others say that it is a science frame, or nothing; ``reason = "..."`` in ``[ignore]`` says why.

The linearity says what a signal x, in adu and net of pedestal, would be if the response were linear: x (1 + a1 x +
a2 x^2 + ...) up to a limit, with these coefficients, or what a look-up table says, ``{ measured = [...], corrected =
[...] }``. Both may have ``uncertainties``; see `~astro_calib.LinearityPolynomial` and `~astro_calib.LinearityTable`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from astro_calib.night.headers.cards import cards_of
from astro_calib.night.profiles.check import KINDS, OVERSCAN_AXES, Rule
from astro_calib.night.profiles.matching_rules import Matching
from astro_calib.night.profiles.reading import FILENAME, FOLDER, ExposureTime, Reading
from astro_calib.night.profiles.recognise import Recognised, recognise
from astro_calib.night.profiles.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from astropy.io.fits import Header

    from astro_calib.detector.linearity import Linearity

__all__ = ["KINDS", "ExposureTime", "Profile"]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """
    How the raw files of a camera are to be understood; made by `~astro_calib.night.load_profile`.

    Parameters
    ----------
    name, description, source : str
        What it is called, and the file that it comes from.
    keywords : mapping of str to tuple of str
        Header keywords for each of kind, exposure_time, filter, object, gain, gain_per_step, read_noise,
        saturation, overscan, trim.
    rules : mapping of str to tuple of mapping
        For each of ``KINDS`` the alternatives by which it is recognised.
    gain, gain_uncertainty : float, optional
        In electron/adu; None if the header has to say it.
    read_noise : float, optional
        In electron.
    saturation : float, optional
        In adu.
    unit : str, optional
        ``"adu"`` if raw frames are in adu whatever their BUNIT says; None if that has to say it.
    linearity : LinearityPolynomial or LinearityTable, optional
        How the response departs from a straight line.
    overscan, trim : str, optional
        Sections in FITS convention, ``"none"``, or None if the header has to say it.
    overscan_level : {"frame", "row", "column"}
        Whether the overscan has one level, or one for each row or column.
    bad : tuple of str
        Sections of bad pixels, of the frame as it is in the file.
    darks_expected : bool
        Whether missing darks are worth a remark.
    amplifiers : tuple of mapping
        For each of several amplifiers what it has read, and its numbers; empty if headers tell that.
    chosen_by : tuple of mapping
        The headers by which the profile is chosen where none is given: any of these rules.
    why : str
        The card by which it was chosen; empty if no header chose it.
    pedestal : float, optional
        The level of zero light in adu, for frames without overscan and biases.
    matching : Matching
        Which frames go together.
    steps : Steps
        What is done to science frames beside the usual.
    given : mapping of str to tuple of str
        Patterns for names of files and folders, by kind, that go before the rules.

    Examples
    --------
    >>> from astro_calib.night import load_profile
    >>> profile = load_profile("nickel")
    >>> profile.saturation, profile.overscan
    (65000.0, '[1033:1056, 1:1024]')
    """

    name: str
    description: str
    source: str
    keywords: Mapping[str, tuple[str, ...]]
    rules: Mapping[str, tuple[Rule, ...]]
    gain: float | None = None
    gain_uncertainty: float | None = None
    read_noise: float | None = None
    saturation: float | None = None
    unit: str | None = None
    linearity: Linearity | None = None
    overscan: str | None = None
    trim: str | None = None
    overscan_level: str = "frame"
    bad: tuple[str, ...] = ()
    darks_expected: bool = True
    amplifiers: tuple[Mapping[str, Any], ...] = ()
    chosen_by: tuple[Rule, ...] = ()
    why: str = ""
    pedestal: float | None = None
    matching: Matching = field(default_factory=Matching)
    steps: Steps = field(default_factory=Steps)
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, header: Header) -> Profile:  # noqa: ARG002  a profile that chooses looks at it
        """
        Return the profile for the frame with a header: this one, unless it is the one that chooses.

        Parameters
        ----------
        header : astropy.io.fits.Header
            A raw frame's header.

        Returns
        -------
        Profile
            See `~astro_calib.night.choose_profile`.
        """
        return self

    def tables(self, number: int, chip: str = "") -> tuple[Mapping[str, Any], ...]:
        """
        What it says of each of several amplifiers.

        Parameters
        ----------
        number : int
            How many there are.
        chip : str
            The name of the chip that they have read, in a file of several.

        Returns
        -------
        tuple of mapping
            Its ``amplifiers``, or empty ones if it has none.
        """
        of_chip = tuple(table for table in self.amplifiers if not chip or table.get("chip") == chip)
        return of_chip or ({},) * number

    @property
    def overscan_axis(self) -> int | tuple[int, int]:
        """The argument of that name of `astro_calib.calibrate`."""
        return OVERSCAN_AXES[self.overscan_level]

    def find(self, header: Header, role: str) -> tuple[str, Any] | None:
        """
        The keyword that has a value for one of the profile's ``[keywords]``, and that value.

        What a keyword cannot mean is passed over: a GAIN that is the number of a setting is no gain.

        Parameters
        ----------
        header : astropy.io.fits.Header
            A raw frame's header.
        role : str
            Such as "exposure_time".

        Returns
        -------
        (str, bool or int or float or str) or None
            None if no keyword of that role has a value.
        """
        return Reading(header, self.keywords).find(role)

    def passed_over(self, header: Header, role: str) -> str:
        """
        Why keywords of a role are not taken for it; empty if none is passed over.

        Parameters
        ----------
        header : astropy.io.fits.Header
            A raw frame's header.
        role : str
            Such as "gain".

        Returns
        -------
        str
            For a message.

        Examples
        --------
        >>> from astropy.io import fits
        >>> from astro_calib.night import load_profile
        >>> load_profile("generic").passed_over(
        ...     fits.Header([("GAIN", 120)]), "gain"
        ... )
        'GAIN=120 is what the camera was set to, and no gain in electron/adu'
        """
        return Reading(header, self.keywords).passed_over(role)

    def exposure_time(self, header: Header) -> ExposureTime | None:
        """
        What a header says of the exposure time.

        Parameters
        ----------
        header : astropy.io.fits.Header
            A raw frame's header.

        Returns
        -------
        ExposureTime or None
            Of the first keyword of that role that holds a time, or else of the first that holds anything; None if none
            has a value.

        Examples
        --------
        >>> from astropy.io import fits
        >>> from astro_calib.night import load_profile
        >>> load_profile("generic").exposure_time(
        ...     fits.Header([("EXPTIME", "1/30")])
        ... ).seconds
        0.03333333333333333
        """
        return Reading(header, self.keywords).exposure_time()

    def kind(self, header: Header, path: Path | None = None) -> str | None:
        """
        The kind of frame that a header tells of, or the names of its file and folders.

        Parameters
        ----------
        header : astropy.io.fits.Header
            A raw frame's header.
        path : Path, optional
            The file, where its name may tell.

        Returns
        -------
        str or None
            One of ``KINDS``; None if no rule fits.

        Examples
        --------
        >>> from astropy.io import fits
        >>> from astro_calib.night import load_profile
        >>> load_profile("generic").kind(fits.Header([("IMAGETYP", "Bias Frame")]))
        'bias'
        """
        return self.recognise(header, path).kind

    def recognise(self, header: Header, path: Path | None = None, places: Collection[Path] = ()) -> Recognised:
        """
        What kind of frame a file holds, and what tells it.

        Parameters
        ----------
        header : astropy.io.fits.Header
            A raw frame's header.
        path : Path, optional
            The file, where its name may tell.
        places : collection of Path
            The folders that somebody gave as the night: their names, and those above, say nothing of a single file.

        Returns
        -------
        Recognised
            Its ``kind`` is what `kind` returns; ``why`` and ``remark`` are for messages.

        Examples
        --------
        >>> from astropy.io import fits
        >>> from astro_calib.night import load_profile
        >>> load_profile("generic").recognise(
        ...     fits.Header([("IMAGETYP", "Bias Frame")])
        ... ).why
        "IMAGETYP='Bias Frame'"
        """
        return recognise(Reading(header, self.keywords, path), self.rules, self.given, places)

    def kind_values(self, header: Header) -> str:
        """
        What the header holds where the rules look, for a message about a frame of no known kind.

        Parameters
        ----------
        header : astropy.io.fits.Header
            A raw frame's header.

        Returns
        -------
        str
            Keywords and values.
        """
        roles = [name for kind in KINDS for rule in self.rules[kind] for name in rule if name not in (FILENAME, FOLDER)]
        entries = dict.fromkeys(entry for name in roles for entry in self.keywords.get(name, (name,)))
        found = [f"{card.keyword}={card.value!r}" for card in cards_of(header, tuple(entries))]
        return ", ".join(found) if found else f"none of {', '.join(entries)} is there"
