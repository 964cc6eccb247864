"""What a night borrows from a library: the masters of other nights that stand in where it has none of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from astro_calib.night.common.names import for_filter
from astro_calib.night.matching.matching import Choice, same_exposure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from astro_calib.night.common.frames import RawFrame, UnusedFile
    from astro_calib.night.library.master_file import MasterFile

__all__ = ["LENT", "NOTHING", "Borrowed", "Loan", "nothing_lent", "without_lent"]


#: What a master remembers that was lent to a night.
LENT = "lend"


class Borrowed(NamedTuple):
    """
    A master of another night that stands in where the night has none, and how many days it is from the night.

    ``other_level`` says which gain or offset a flat has that is not that of the night; empty for all others.
    """

    master: MasterFile
    days: float | None
    other_level: str = ""

    @property
    def age(self) -> str:
        """
        How old it is, in words.

        >>> from pathlib import Path
        >>> from astro_calib.night.library.loan import Borrowed
        >>> from astro_calib.night.library.master_file import MasterFile
        >>> Borrowed(
        ...     MasterFile(path=Path("b.fits"), kind="bias", shape=(1, 1)), 12.2
        ... ).age
        '12 days before the night'
        """
        if self.days is None:
            return "of an unknown date"
        number = round(abs(self.days))
        if number == 0:
            return "of the same night"
        return f"{number} day{'' if number == 1 else 's'} {'before' if self.days > 0 else 'after'} the night"

    @property
    def title(self) -> str:
        """What it is for."""
        master = self.master
        if master.kind == "bias":
            return "master bias"
        if master.kind == "dark":
            return f"master dark of {master.exposure_time:g} s"
        return f"master flat for {for_filter(master.filter)}"


@dataclass(frozen=True, kw_only=True)
class Loan:
    """
    What a library lends to the frames of one setup.

    Parameters
    ----------
    masters : tuple of Borrowed
        The bias first, then darks, then flats.
    remarks : tuple of str
        What was taken, and what the library has not.
    """

    masters: tuple[Borrowed, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of frame that are borrowed."""
        return frozenset(one.master.kind for one in self.masters)

    @property
    def numbers(self) -> dict[str, tuple[float, float | None]]:
        """
        The gain and the read noise that masters of ours were made with, those of the nearest night.

        Beside each is its uncertainty; None if it counted as exact.
        """
        of_setup = [one for one in self.masters if one.master.ours and not one.other_level]
        ours = sorted(of_setup, key=lambda one: abs(one.days or 0))
        if not ours or any(len(one.master.gain) != 1 or len(one.master.read_noise) != 1 for one in ours):
            return {}
        first = ours[0].master
        uncertainty = first.gain_uncertainty[0] if first.gain_uncertainty else None
        return {"gain": (first.gain[0], uncertainty), "read_noise": (first.read_noise[0], None)}

    @property
    def bias(self) -> Choice | None:
        """The bias as a choice for any science frame; None if none is borrowed."""
        return next(map(_choice, self.of_kind("bias")), None)

    def dark_for(self, exposure_time: float, *, with_bias: bool) -> Choice | None:
        """
        Return the dark as a choice for an exposure time in seconds; None if none is borrowed that serves.

        ``with_bias`` says that it has to hold the bias, which nothing else tells, so that it cannot be scaled.
        """
        darks = [one for one in self.of_kind("dark") if one.master.may_hold_bias or not with_bias]
        same = [one for one in darks if same_exposure(one.master.exposure_time, exposure_time)]
        if same or with_bias:
            return next(map(_choice, same), None)
        names = ", ".join(one.master.path.name for one in darks)
        scaled = f"borrowed: {', '.join(one.title for one in darks)}, scaled"
        return Choice(names, why=scaled, mend=f"darks of {exposure_time:g} s") if darks else None

    def flat_for(self, name: str) -> Choice | None:
        """Return the flat as a choice for a filter; None if none is borrowed."""
        return next((_choice(one) for one in self.of_kind("flat") if one.master.filter == name), None)

    def of_kind(self, kind: str) -> tuple[Borrowed, ...]:
        """Those of one kind."""
        return tuple(one for one in self.masters if one.master.kind == kind)


def _choice(one: Borrowed) -> Choice:
    return Choice(one.master.path.name, why=f"borrowed: {one.title}, {one.age}")


#: Of a night that has all that it needs, or no library.
NOTHING = Loan()


def without_lent(files: Iterable[UnusedFile], loans: Iterable[Loan]) -> tuple[UnusedFile, ...]:
    """Return the files of a night that are not used, without masters among them that are lent to it."""
    lent = {os.path.realpath(one.master.path) for loan in loans for one in loan.masters}
    return tuple(file for file in files if not lent or os.path.realpath(file.path) not in lent)


def nothing_lent(frames: Sequence[RawFrame]) -> Loan:  # noqa: ARG001  it stands in for `Library.lend`
    """Return what frames borrow without a library."""
    return NOTHING
