"""``astro-calib audit``: whether the error bars of frames are right, and which fault it is if not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from astro_calib.cli.options import OVERWRITE, PATH, PROFILE, QUIET, example
from astro_calib.cli.output import Failure, check_writable, clear_errors, show

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    "audit",
    epilog=example(
        "audit raw/ --gain 1.5 --read-noise 8",
        "audit raw/ reduced/ -o audit.png -o audit.ecsv",
        "audit reduced/ --json",
    ),
)
@click.argument("frames", nargs=-1, required=True, type=PATH)
@PROFILE
@click.option("--gain", type=float, help="Gain in electron/adu, instead of the profile's or the header's.")
@click.option("--read-noise", type=float, help="Read noise in electron, likewise.")
@click.option("--unit", help="adu: the raw frames are in adu, whatever their BUNIT says.")
@click.option("--filter", "only", help="Use the flats of this filter.  [default: the one with most of them]")
@click.option("--json", "as_json", is_flag=True, help="Print all numbers as JSON.")
@click.option(
    "-o",
    "--out",
    "outs",
    multiple=True,
    type=PATH,
    help="Write the table of faults (.ecsv) or draw the figure (PNG, PDF, SVG); may be given again.",
)
@OVERWRITE
@QUIET
def command(
    frames: tuple[Path, ...],
    profile: str,
    gain: float | None,
    read_noise: float | None,
    unit: str | None,
    only: str | None,
    as_json: bool,
    outs: tuple[Path, ...],
    overwrite: bool,
    quiet: bool,
) -> None:
    """
    Find out whether the error bars of these frames are right, and if not, which fault it is.

    FRAMES are raw biases, darks and flats (FITS files, or directories of them), a directory that reduce wrote, or both.
    What the frames show is compared with what gain and read noise predict, and a sentence names each fault: a wrong
    gain or read noise, rows, tones, a level that drifts or is clamped, a wrong dark or flat; or those that these frames
    cannot tell apart, and the frame that would decide. The exit status is 1 if a fault was found.
    """
    with clear_errors():
        import json

        from astro_calib.characterize import audit_noise
        from astro_calib.io.atomic import write_atomically
        from astro_calib.night.to_audit import frames_to_audit

        for path in outs:
            check_writable(path, overwrite)
        given = frames_to_audit(frames, profile, unit=unit, gain=gain, read_noise=read_noise, filter_name=only)
        result = audit_noise(given.frames, given.detector, overscan=given.overscan, trim=given.trim)
        for path in outs:
            if path.suffix == ".ecsv":
                write_atomically(path, partial(result.write, overwrite=True))
            else:
                write_atomically(path, result.plot().savefig)
    if as_json:
        show(json.dumps(result.to_dict(), indent=2))
    elif not quiet:
        show(result)
    if not quiet:
        for file in given.left_out:
            click.echo(f"not used: {file}", err=True)
    if not result.right:
        msg = f"the error bars are not right:\n{result.verdict}"
        raise Failure(msg)
