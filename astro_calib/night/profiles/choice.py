"""Which profile a raw frame is read with: a built-in one, one from a file, or the one that its header chooses."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Protocol

from astro_calib.arguments import as_path
from astro_calib.errors import ProfileError
from astro_calib.night.headers.values import header_value
from astro_calib.night.profiles.check import Rule, checked_fields
from astro_calib.night.profiles.profile import Profile
from astro_calib.night.profiles.reading import Reading
from astro_calib.night.profiles.recognise import fits_rule

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from astropy.io.fits import Header


__all__ = ["AUTO", "builtin_profiles", "choose_profile", "load_profile", "profile_of"]

#: What stands for the profile that each header chooses.
AUTO = "auto"
#: No profile has so many bytes.
LARGEST = 1 << 20


class HasProfile(Protocol):
    """A frame that may have chosen a profile by its header."""

    @property
    def profile(self) -> Profile | None:
        """The one that it chose."""


def builtin_profiles() -> tuple[str, ...]:
    """
    The names of the profiles that come with the package.

    Returns
    -------
    tuple of str
        In alphabetical order.

    Examples
    --------
    >>> from astro_calib.night import builtin_profiles
    >>> builtin_profiles()
    ('generic', 'indi', 'lco', 'nickel', 'nina', 'noirlab', 'qhy', 'saao', 'sgp', 'sharpcap', 'zwo')
    """
    directory = resources.files("astro_calib.resources") / "profiles"
    return tuple(sorted(entry.name[:-5] for entry in directory.iterdir() if entry.name.endswith(".toml")))


def load_profile(profile: str | PathLike[str] | Profile) -> Profile:
    """
    Load an instrument profile.

    Parameters
    ----------
    profile : str, path or Profile
        The name of a built-in profile, or the path of a TOML file (with a ``/`` in it, or ending in
        ``.toml``). A `~astro_calib.night.Profile` is returned as it is. ``"auto"`` stands for the one that
        `~astro_calib.night.choose_profile` chooses for each frame.

    Returns
    -------
    Profile
        With all that it leaves out as in ``generic``.

    Raises
    ------
    ProfileError
        If there is no such profile, or it is not valid; the message names the file, the key, what was
        found and what is allowed.

    Examples
    --------
    >>> from astro_calib.night import load_profile
    >>> load_profile("nickel").saturation
    65000.0
    """
    if isinstance(profile, Profile):
        return profile
    if profile == AUTO:
        generic = _builtin("generic")
        return _Choosing(**{field.name: getattr(generic, field.name) for field in fields(generic)})
    names = builtin_profiles()
    if isinstance(profile, str) and profile in names:
        return _builtin(profile)
    path = as_path("profile", profile)
    if path.suffix.lower() != ".toml" and len(path.parts) < 2:
        known = ", ".join(names)
        msg = f"there is no profile {str(profile)!r}; built in are {known} (or auto), or give the path of a .toml file."
        raise ProfileError(msg)
    try:
        # A pipe or a device would be read for ever.
        if path.exists() and not path.is_file():
            msg = f"profile {path} is no regular file; give the path of a TOML file."
            raise ProfileError(msg)
        if path.stat().st_size > LARGEST:
            msg = f"profile {path} has more than {LARGEST} bytes; give the path of a TOML file."
            raise ProfileError(msg)
        content = path.read_bytes()
    except OSError as error:
        msg = f"profile {path} cannot be read: {error.strerror or error}."
        raise ProfileError(msg) from error
    try:
        table = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"profile {path} is not valid TOML: {error}."
        raise ProfileError(msg) from error
    loaded = _profile(path.stem, table, f"profile {path}")
    return replace(loaded, steps=loaded.steps.beside(path.parent)) if loaded.steps.names else loaded


def choose_profile(header: Header) -> Profile:
    """
    Choose the built-in profile for the frame with a header.

    Parameters
    ----------
    header : astropy.io.fits.Header
        A raw frame's header.

    Returns
    -------
    Profile
        The one whose ``[chosen_by]`` fits, and ``generic`` if none does. Of several the one with the most lines that
        fit; if that is not one alone, none of them is safe, and it is ``generic``.

    Examples
    --------
    >>> from astropy.io import fits
    >>> from astro_calib.night import choose_profile
    >>> header = fits.Header(
    ...     [
    ...         ("INSTRUME", "Nickel Direct Camera"),
    ...         ("NAXIS1", 1056),
    ...         ("NAXIS2", 1024),
    ...     ]
    ... )
    >>> profile = choose_profile(header)
    >>> profile.name, profile.why
    ('nickel', "INSTRUME='Nickel Direct Camera'")
    """
    # Whether a card is there at all is found out faster than what it holds.
    fitting = [
        (len(rule), profile, rule)
        for profile in _choosable()
        for rule in profile.chosen_by
        if all(card in header or card in profile.keywords for card in rule)
        and fits_rule(Reading(header, profile.keywords), rule)
    ]
    most = max((lines for lines, _, _ in fitting), default=0)
    best = {profile.name: _telling(rule) for lines, profile, rule in fitting if lines == most}
    if len(best) != 1:
        return _builtin("generic")
    ((name, (card, expected)),) = best.items()
    value = header_value(header, card)
    # Of many comments it is the one that the profile looks for.
    told = expected.rstrip("*") if value is None else value
    return replace(_builtin(name), why=f"{card}={told!r}")


def profile_of(frames: Iterable[HasProfile], given: Profile) -> Profile:
    """
    Return the profile of frames that are reduced together: the one that most of them chose, or else the one ``given``.

    >>> from astro_calib.night.profiles.choice import load_profile, profile_of
    >>> profile_of([], load_profile("nickel")).name
    'nickel'
    """
    chosen = [frame.profile for frame in frames if frame.profile is not None]
    telling = [profile for profile in chosen if profile.why] or chosen
    names = Counter(profile.name for profile in telling)
    return max(telling, key=lambda profile: names[profile.name], default=given)


def _telling(rule: Rule) -> tuple[str, str]:
    """The first card of a rule that is about a text, and the first text that it may be."""
    return next((card, expected[0]) for card, expected in rule.items() if isinstance(expected[0], str))


@dataclass(frozen=True, kw_only=True)
class _Choosing(Profile):
    """The profile ``auto``: the one that each header chooses, with what options gave this one."""

    def of(self, header: Header) -> Profile:
        chosen, generic = choose_profile(header), _builtin("generic")
        given = {
            field.name: getattr(self, field.name)
            for field in fields(generic)
            if getattr(self, field.name) is not getattr(generic, field.name)
        }
        if "gain" in given:
            given["gain_uncertainty"] = self.gain_uncertainty
        return replace(chosen, **given) if given else chosen


def _read_builtin(name: str) -> dict[str, Any]:
    file = resources.files("astro_calib.resources") / "profiles" / f"{name}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


@cache
def _builtin(name: str) -> Profile:
    return _profile(name, _read_builtin(name), f"built-in profile {name!r}")


@cache
def _choosable() -> tuple[Profile, ...]:
    return tuple(profile for profile in map(_builtin, builtin_profiles()) if profile.chosen_by)


def _profile(stem: str, table: dict[str, Any], source: str) -> Profile:
    base = _read_builtin("generic")
    return Profile(source=source, **({"name": stem} | checked_fields(source, table, base)))
