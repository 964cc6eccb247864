"""``astro-calib reduce --dry-run``: the plan of a night, from its headers alone."""

from __future__ import annotations

from typing import Any

from astro_calib.cli.output import Failure, FailureInPart, clear_errors, show

__all__ = ["show_plan"]


def show_plan(raw: Any, *, profile: str, detector: str, patterns: dict[str, Any], quiet: bool, **options: Any) -> None:
    """
    Print what would be made of a night; with the exit status that its reduction would have, as far as headers tell.

    ``patterns`` are names of files by kind, ``options`` others of `reduce_night` that a plan depends on.
    """
    with clear_errors():
        from functools import partial

        from astro_calib.io.terminal import progress_bar
        from astro_calib.night.planning import make_plan
        from astro_calib.night.preview.numbers_told import unknown_numbers
        from astro_calib.night.preview.plan_text import lost_science, may_be_science, plan_text

        watch = partial(progress_bar, desc="headers", unit="file", show=not quiet)
        night = make_plan(raw, profile, detector=detector, patterns=patterns, headers_only=True, watch=watch, **options)
        measured = detector in ("auto", "measure")
        text = plan_text(night, measured=measured)
    if not quiet:
        show(text)
    lost, reduced = lost_science(night, measured=measured)
    # A night of calibration frames alone makes masters, which is something, as in the reduction.
    nothing = lost > may_be_science(night) and not reduced
    if nothing or all(unknown_numbers(plan, measured=measured) for plan in night.setups):
        msg = "nothing of this night can be reduced" if quiet else "nothing of this night can be reduced; above is why"
        raise Failure(msg)
    if lost:
        msg = f"{lost} of {lost + reduced} science frames, or files that may be some, would not be reduced"
        raise FailureInPart(msg if quiet else f"{msg}; above is why")
