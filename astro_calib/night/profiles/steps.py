"""The steps of a reduction beside overscan, bias, dark and flat, which somebody asks for."""

from __future__ import annotations

import copyreg
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

__all__ = ["COSMIC_RAYS", "FILES", "OF_FILTERS", "Steps", "checked_steps", "with_steps"]

#: What becomes of cosmic rays.
COSMIC_RAYS = ("repair", "mask", "compare")
#: The steps that apply what is in a file: of a filter, or of all frames.
OF_FILTERS = ("fringe", "illumination")
FILES = (*OF_FILTERS, "shutter", "crosstalk")
#: So many pixels make a block at most, along each axis; so high a degree has a sky that is fitted.
LARGEST_BLOCK, HIGHEST_DEGREE = 64, 6
NOTHING: Mapping[str, Path] = MappingProxyType({})


def read_only(mapping: Mapping[Any, Any]) -> MappingProxyType[Any, Any]:
    """Return a copy of a mapping that cannot be changed; pickle finds this function by its name, and not the type."""
    return MappingProxyType(dict(mapping))


# Profiles and steps hold such mappings: with this a plan can be handed to another process.
copyreg.pickle(MappingProxyType, lambda mapping: (read_only, (dict(mapping),)))


@dataclass(frozen=True, kw_only=True)
class Steps:
    """
    What is done to science frames beside the usual.

    Parameters
    ----------
    crosstalk : Path or None
        A TOML file of `~astro_calib.Crosstalk`; for all frames.
    shutter : Path or None
        A master of `~astro_calib.characterize.shutter_map`; for flats as well.
    dark_amplitude : {"fit"} or None
        Whether the dark is scaled as the frame's hot pixels say.
    illumination, fringe : mapping of str to Path
        Masters by filter; ``"*"`` for any other.
    sky : int or None
        The degree of the surface that is fitted to the sky and subtracted.
    cosmic_rays : {"repair", "mask", "compare"} or None
        What becomes of cosmic rays; ``"compare"`` masks those that other frames of the field show.
    bin : int or None
        How many pixels along each axis are added up.
    colours : bool
        Whether the planes of a colour sensor are written, each as a frame.

    Examples
    --------
    >>> from astro_calib.night.profiles.steps import Steps
    >>> Steps(sky=1, cosmic_rays="mask").names
    ('sky', 'cosmic_rays')
    """

    crosstalk: Path | None = None
    shutter: Path | None = None
    dark_amplitude: str | None = None
    illumination: Mapping[str, Path] = field(default_factory=lambda: NOTHING)
    fringe: Mapping[str, Path] = field(default_factory=lambda: NOTHING)
    sky: int | None = None
    cosmic_rays: str | None = None
    bin: int | None = None
    colours: bool = False

    def __post_init__(self) -> None:
        if self.bin is not None and self.colours:
            msg = "bin would add up pixels of different colours; write the planes with colours, and bin these."
            raise ValueError(msg)

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are done."""
        return tuple(one.name for one in fields(self) if _is_told(getattr(self, one.name)))

    @property
    def compares(self) -> bool:
        """Whether cosmic rays are found by comparing frames, once they are calibrated."""
        return self.cosmic_rays == "compare"

    def words(self) -> tuple[str, ...]:
        """Say what is done, a text for each."""
        said = []
        for name in self.names:
            value = getattr(self, name)
            if isinstance(value, Mapping):
                value = ", ".join(str(path) if key == "*" else f"{key}: {path}" for key, path in value.items())
            said.append(f"{name.replace('_', ' ')}: {'yes' if value is True else value}")
        return tuple(said)

    def beside(self, directory: Path) -> Steps:
        """Return the same steps, with paths that begin in a directory."""
        found: dict[str, Any] = {}
        for name in FILES:
            value = getattr(self, name)
            if isinstance(value, Mapping):
                found[name] = {key: directory / path for key, path in value.items()} if value else NOTHING
            elif value is not None:
                found[name] = directory / value
        return replace(self, **found)


def checked_steps(table: Mapping[str, Any], inside: str = "") -> Steps:
    """
    Return the steps that a table asks for.

    A ValueError says which key or value means nothing, and what is allowed; ``inside`` stands before the key.

    >>> from astro_calib.night.profiles.steps import checked_steps
    >>> checked_steps({"cosmic_rays": True}, "steps.")
    Traceback (most recent call last):
        ...
    ValueError: steps.cosmic_rays is True; it must be one of repair, mask, compare.
    """
    known = [one.name for one in fields(Steps)]
    for key in table:
        if key not in known:
            msg = f"[steps] has unknown key {key!r}; allowed are {', '.join(known)}."
            raise ValueError(msg)
    return Steps(**{key: _checked(key, value, inside) for key, value in table.items()})


def with_steps(steps: Steps, **given: Any) -> Steps:
    """Return the steps of a profile with those that options give; a ValueError as that of `checked_steps`."""
    told = {key: value for key, value in given.items() if _is_told(value)}
    return replace(steps, **{key: getattr(checked_steps(told), key) for key in told}) if told else steps


def _is_told(value: Any) -> bool:
    """Whether a value asks for a step; a sky of degree 0 is one."""
    return value is not None and value is not False and value != {}


def _checked(key: str, value: Any, inside: str) -> Any:
    called = f"{inside}{key}"
    if key in OF_FILTERS:
        given = value if isinstance(value, Mapping) else {"*": value}
        if not given or not all(isinstance(path, str) and path for path in given.values()):
            raise _fail(called, value, 'the path of a master, or one for each filter, such as { I = "fringe-I.fits" }')
        return read_only({str(name): Path(path) for name, path in given.items()})
    if key in FILES:
        if not isinstance(value, str) or not value:
            raise _fail(called, value, "the path of a file")
        return Path(value)
    if key == "dark_amplitude":
        if value != "fit":
            raise _fail(called, value, "'fit'")
        return value
    if key == "cosmic_rays":
        if not isinstance(value, str) or value not in COSMIC_RAYS:
            raise _fail(called, value, f"one of {', '.join(COSMIC_RAYS)}")
        return value
    if key == "colours":
        if not isinstance(value, bool):
            raise _fail(called, value, "true or false")
        return value
    lowest, highest = (0, HIGHEST_DEGREE) if key == "sky" else (2, LARGEST_BLOCK)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise _fail(called, value, f"a whole number from {lowest} to {highest}")
    return value


def _fail(key: str, value: Any, allowed: str) -> ValueError:
    return ValueError(f"{key} is {value!r}; it must be {allowed}.")
