"""Find out which raw frames a night has, what each is good for, and which cannot be used and why."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import described, quantity_values
from astro_calib.errors import FrameError
from astro_calib.night.detector.decide import MODES
from astro_calib.night.detector.detector import night_detector
from astro_calib.night.files.examine import ADU
from astro_calib.night.files.survey import UNITS, survey_headers
from astro_calib.night.library.library import find_library
from astro_calib.night.library.loan import nothing_lent
from astro_calib.night.masters.extra_steps import ExtraSteps
from astro_calib.night.pixel_pass import PixelPass
from astro_calib.night.plan.completeness import why_incomplete
from astro_calib.night.plan.sorting import night_of
from astro_calib.night.profiles.by_hand import read_bad_pixels, unfitting, with_patterns
from astro_calib.night.profiles.choice import load_profile
from astro_calib.night.profiles.steps import with_steps
from astro_calib.night.summary.journal import tell_frames, tell_unused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from os import PathLike
    from pathlib import Path

    from astro_calib.night.plan.night_plan import NightPlan
    from astro_calib.night.plan.plan import Plan
    from astro_calib.night.profiles.by_hand import BadPixelFile, Pattern
    from astro_calib.night.profiles.profile import Profile

__all__ = ["make_plan", "plan_night", "with_unit"]


def plan_night(
    raw: Any,
    profile: str | PathLike[str] | Profile = "auto",
    *,
    gain: u.Quantity | float | None = None,
    read_noise: u.Quantity | float | None = None,
    saturation: u.Quantity | float | None = None,
    pedestal: u.Quantity | float | None = None,
    unit: str | u.UnitBase | None = None,
    masters: Any = None,
    bias: Pattern = None,
    dark: Pattern = None,
    flat: Pattern = None,
    science: Pattern = None,
    bad_pixels: str | PathLike[str] | None = None,
    watch: Callable[[Sequence[Path]], Iterable[Path]] = iter,
    headers_only: bool = False,
) -> NightPlan:
    """
    Find out what there is to reduce. Every file is read to its end once; nothing is written.

    Parameters
    ----------
    raw : path, ccdproc.ImageFileCollection, or iterable of paths
        Directories, files, or both.
    profile : str, path or Profile
        See `~astro_calib.night.load_profile`; ``"auto"`` is the one that `~astro_calib.night.choose_profile` chooses
        for each frame.
    gain, read_noise, saturation : Quantity or float, optional
        In electron/adu, electron and adu; go before what the profile and the headers say.
    pedestal : Quantity or float, optional
        The level of zero light in adu, for frames without overscan and biases.
    unit : str or unit, optional
        ``"adu"``: the numbers in the raw frames are in adu, whatever their BUNIT says.
    masters : path or iterable of paths, optional
        Masters of other nights, or directories of them: those that fit stand in for biases, darks and flats that a
        setup of the night lacks.
    bias, dark, flat, science : str, path, or several, optional
        What files of this kind, or folders of them, are called: a name, a path, or a pattern such as ``"dusk*"``. It
        goes before what headers say.
    bad_pixels : path, optional
        A FITS image in which bad pixels are not 0, of the shape of the raw frames or of what is kept of them.
    watch : callable
        Given the list of files, returns an iterable of them; for a progress bar. It is called for the headers, and
        again for the pixels.
    headers_only : bool
        Whether only headers are read, which is fast: detectors are not known then, damaged files and copies not found,
        and a night that is incomplete is no error.

    Returns
    -------
    NightPlan
        What there is to reduce, and what is left out.

    Raises
    ------
    FrameError
        If there is nothing that can be reduced: no file or no science frame can be used, there are science
        frames and nothing else, or there is neither a bias nor an overscan; or if the gain or the read noise
        is not known. The message says what was found and what to do.
    FileNotFoundError
        If a path does not exist.
    ProfileError
        If the profile is not valid.
    astropy.units.UnitConversionError, ValueError
        If a gain, read noise or saturation has the wrong unit or is out of range, or ``unit`` is not adu.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from astropy.io import fits
    >>> from astro_calib.night import plan_night
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     for number, kind in enumerate(["BIAS", "BIAS", "LIGHT"]):
    ...         header = fits.Header(
    ...             [
    ...                 ("IMAGETYP", kind),
    ...                 ("EXPTIME", 0.0 if kind == "BIAS" else 30.0),
    ...             ]
    ...         )
    ...         data = np.full((8, 10), 1000 + number, dtype=np.uint16)
    ...         fits.writeto(f"{directory}/frame{number}.fits", data, header)
    ...     plan = plan_night(directory, gain=1.5, read_noise=8.0)
    >>> len(plan.biases), plan.science[0].exposure_time
    (2, 30.0)
    """
    return make_plan(
        raw,
        profile,
        unit=unit,
        masters=masters,
        watch=watch,
        headers_only=headers_only,
        patterns={"bias": bias, "dark": dark, "flat": flat, "science": science},
        bad_pixels=bad_pixels,
        gain=gain,
        read_noise=read_noise,
        saturation=saturation,
        pedestal=pedestal,
    )


def make_plan(
    raw: Any,
    profile: str | PathLike[str] | Profile,
    *,
    detector: str = "header",
    unit: str | u.UnitBase | None = None,
    masters: Any = None,
    watch: Callable[[Sequence[Path]], Iterable[Path]] = iter,
    headers_only: bool = False,
    patterns: Mapping[str, Pattern] | None = None,
    bad_pixels: str | PathLike[str] | None = None,
    steps: Mapping[str, Any] | None = None,
    **numbers: u.Quantity | float | None,
) -> NightPlan:
    """
    Find out what there is to reduce, as `plan_night` does, and with which detector.

    ``detector`` says which of its numbers may be taken: "auto", "header", "measure" or "profile"; ``numbers`` are gain,
    read noise and saturation, where they are given, ``patterns`` names of files and folders by kind, and ``steps`` what
    is done beside the usual.
    """
    if detector not in MODES:
        msg = f"detector is {described(detector)}; expected one of {', '.join(MODES)}."
        raise ValueError(msg)
    profile = _with_options(load_profile(profile), **numbers)
    profile = with_patterns(with_unit(profile, unit), patterns or {})
    profile = replace(profile, steps=with_steps(profile.steps, **(steps or {})))
    # Before all files are read, which takes a while.
    ExtraSteps(profile.steps).read()
    mask = None if bad_pixels is None else read_bad_pixels(bad_pixels)
    needs_numbers = detector == "header"
    frames, unused = survey_headers(raw, profile, watch=watch, needs_numbers=needs_numbers)
    if mask is not None:
        unused = [file for file in unused if not mask.is_in(file.path)]
        frames = [frame for frame in frames if not mask.is_in(frame.path)]
    lend = nothing_lent if masters is None else find_library(masters, profile).lend
    night = night_of(frames, unused, profile, needs_numbers=needs_numbers, lend=lend)
    paths = [frame.path for frame in frames] + [file.path for file in unused]
    said = unfitting(profile, paths)
    night = replace(night, setups=tuple(_told(plan, said, mask) for plan in night.setups))
    if headers_only:
        return night
    tell_frames(night.frames)
    tell_unused(night.unused)
    if not night.setups:
        raise FrameError(_why_nothing(night, profile))
    given = [role for role, value in numbers.items() if value is not None]
    find_detector = partial(night_detector, mode=detector, options=given)
    looked_at = PixelPass(night, frames, find_detector, lend, mode=detector).whole(watch)
    before = set(night.unused)
    tell_unused(file for file in looked_at.unused if file not in before)
    return looked_at


def _why_nothing(night: NightPlan, profile: Profile) -> str:
    """Why no setup of a night can be reduced, and what there is of that which is missing."""
    if not night.incomplete:
        return why_incomplete([], night.unused, profile)
    first = night.incomplete[0]
    return "\n  ".join((first.problem, *first.elsewhere))


def _told(plan: Plan, remarks: Sequence[str], mask: BadPixelFile | None) -> Plan:
    """A plan with what is said of the night, and with the bad pixels of a file, if they are those of its frames."""
    if mask is None:
        return replace(plan, remarks=(*plan.remarks, *remarks))
    shape = plan.frames[0].shape
    fits = mask.of(shape, plan.trim) is not None
    return replace(
        plan,
        remarks=(*plan.remarks, *remarks, *([] if fits else [mask.misfit(shape)])),
        bad_pixel_file=mask if fits else None,
    )


def _with_options(profile: Profile, **options: u.Quantity | float | None) -> Profile:
    """The profile with those of its numbers replaced that the caller gives."""
    numbers: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        unit = UNITS.get(name, u.adu)
        quantity = u.Quantity(quantity_values(name, value, unit), unit)
        zero_allowed = name in ("read_noise", "pedestal")
        if not quantity.isscalar or not (np.inf > quantity.value > 0 or (zero_allowed and quantity.value == 0)):
            msg = f"{name} is {value}; it must be a number{', 0 or' if zero_allowed else ''} above 0."
            raise ValueError(msg)
        numbers[name] = float(quantity.value)
        if name == "gain":
            numbers["gain_uncertainty"] = None
    return replace(profile, **numbers)


def with_unit(profile: Profile, unit: str | u.UnitBase | None) -> Profile:
    """Return the profile with the unit of the raw frames, where it is given; a ValueError says that it is not adu."""
    return profile if unit is None else replace(profile, unit=_checked_unit(unit))


def _checked_unit(unit: str | u.UnitBase) -> str:
    if str(unit).strip().casefold() not in ADU - {""}:
        msg = f"unit is {str(unit)!r}; raw frames are in adu: give 'adu', or nothing where BUNIT is right."
        raise ValueError(msg)
    return "adu"
