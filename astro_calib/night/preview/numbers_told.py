"""Gain and read noise of a planned setup, before pixels are looked at: what tells each, or would."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from astro_calib.night.common.frames import by_amplifier

if TYPE_CHECKING:
    from astro_calib.night.plan.plan import Plan

__all__ = ["Told", "numbers_told", "unknown_numbers"]

#: So many flats of one filter, and biases, and both numbers of the detector can be measured.
PAIR = 2
NEEDS = {"gain": "two flats of one filter and two biases", "read_noise": "two biases"}
UNITS = {"gain": "electron/adu", "read_noise": "electron"}


class Told(NamedTuple):
    """
    Where a number of the detector is from.

    Attributes
    ----------
    role : {"gain", "read_noise"}
        Which number.
    known : bool
        Whether anything tells it.
    text : str
        What tells it, or what would.
    """

    role: str
    known: bool
    text: str

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.role.replace("_", " ")


def numbers_told(plan: Plan, *, measured: bool) -> tuple[Told, Told]:
    """Return what tells gain and read noise; ``measured`` says whether they may be measured."""
    flats = max((len(frames) for frames in plan.flats.values()), default=0)
    dark = plan.biases or (next(iter(plan.darks.values()), ()) if plan.overscan is None else ())
    gain = _told(plan, "gain", enough=flats >= PAIR and len(dark) >= PAIR, measured=measured)
    noise = _told(plan, "read_noise", enough=len(dark) >= PAIR, measured=measured)
    if not gain.known and noise.known and noise.text.startswith("measured"):
        noise = Told("read_noise", False, "unknown: frames tell it in adu, and the gain is unknown; give --gain")
    return gain, noise


def unknown_numbers(plan: Plan, *, measured: bool) -> str:
    """Return which numbers nothing tells, and what would; empty if all are known."""
    told = numbers_told(plan, measured=measured)
    return "; ".join(f"the {one.name} is {one.text}" for one in told if not one.known)


def _told(plan: Plan, role: str, *, enough: bool, measured: bool) -> Told:
    stated = getattr(plan.profile, role)
    values = [[getattr(one, role) for one in by_amplifier(frame)] for frame in plan.frames]
    told = sorted({value for of_frame in values for value in of_frame} - {None})
    # Some of several amplifiers may have none.
    lacking = any(set(of_one) == {None} for of_one in zip(*values, strict=False))
    per_step = f"{role}_per_step"
    steps = sorted({frame.in_header[per_step] for frame in plan.frames if per_step in frame.in_header})
    checked = ", checked with the frames" if enough and measured else ", not checked"
    if measured and not enough:
        checked += f", for that needs {NEEDS[role]}"
    if stated is not None:
        return Told(role, True, f"{stated:g} {UNITS[role]}, as profile or options say{checked}")
    if role in plan.loan.numbers and not (enough and measured):
        value = plan.loan.numbers[role][0]
        return Told(role, True, f"{value:g} {UNITS[role]}, with which the masters of other nights were made")
    if told and (not lacking or (enough and measured)):
        text = f"{' to '.join(f'{value:g}' for value in (told[0], told[-1])[: len(told)])} {UNITS[role]}"
        rest = ", and measured of the amplifiers of which they tell none" if lacking else ""
        return Told(role, True, f"{text} by the headers{checked}{rest}")
    if steps:
        step = "one step of the converter, which the pixels show once they are read"
        text = f"{steps[0]:g} electron by the headers for {step}{checked}"
        return Told(role, True, text)
    if enough and measured:
        return Told(role, True, "measured from the frames, for no header tells it")
    of_some = " of some amplifiers" if told else ""
    text = f"unknown{of_some}: no header tells it; give --{role.replace('_', '-')}"
    return Told(role, False, f"{text}, or {f'take {NEEDS[role]}' if measured else 'let it be measured (--detector)'}")
