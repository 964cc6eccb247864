"""``astro-calib reduce``: a night from raw files to measured stars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from astro_calib.cli.options import OVERWRITE, PATH, QUIET, example
from astro_calib.cli.output import clear_errors, show

if TYPE_CHECKING:
    from pathlib import Path

    from astro_calib.night.summary import NightSummary


@click.command(
    "reduce",
    epilog=example(
        "reduce raw/ -o reduced/ --gain 1.5 --read-noise 8",
        "reduce d10*.fits.gz -o reduced/ --profile mycamera.toml",
    ),
)
@click.argument("raw", nargs=-1, required=True, type=PATH)
@click.option("-o", "--out", required=True, type=PATH, help="Directory for the results; made if needed.")
@click.option(
    "-p",
    "--profile",
    default="auto",
    show_default=True,
    help="Instrument profile: the one that each header chooses (auto), one by its name, such as nickel, or the path of "
    "a TOML file.",
)
@click.option("--gain", type=float, help="Gain in electron/adu, instead of the profile's or the header's.")
@click.option("--read-noise", type=float, help="Read noise in electron, likewise.")
@click.option("--saturation", type=float, help="Level in adu at which a pixel is saturated, likewise.")
@click.option(
    "--aperture",
    type=click.FloatRange(min=0, min_open=True),
    metavar="PIXELS",
    help="Radius of the apertures on every frame, so that fluxes can be compared.  [default: each frame's FWHM]",
)
@click.option(
    "--detector",
    type=click.Choice(["auto", "header", "measure", "profile"]),
    default="auto",
    show_default=True,
    help="Where gain and read noise are from, if they are not given: measured from flats and biases where that is sure "
    "(auto), from headers, only measured, or only from profile and options.",
)
@click.option(
    "--masters",
    multiple=True,
    type=PATH,
    help="A master of another night, or a directory of some: those that fit stand in for what the night lacks. May be "
    "given several times.",
)
@click.option("--bias", multiple=True, metavar="PATTERN", help="Names of biases, or of folders of them, as 'b*'.")
@click.option("--dark", multiple=True, metavar="PATTERN", help="Names of darks, likewise.")
@click.option("--flat", multiple=True, metavar="PATTERN", help="Names of flats, likewise.")
@click.option("--science", multiple=True, metavar="PATTERN", help="Names of science frames, likewise.")
@click.option("--bad-pixels", type=PATH, metavar="FILE", help="FITS image in which bad pixels are not 0.")
@click.option("--unit", help="adu: the raw frames are in adu, whatever their BUNIT says.")
@click.option("--no-stars", is_flag=True, help="Calibrate only: measure neither stars nor the noise of the sky.")
@click.option("--no-pictures", is_flag=True, help="Draw no pictures, which takes as long as all else.")
@OVERWRITE
@QUIET
def command(
    raw: tuple[Path, ...],
    out: Path,
    profile: str,
    gain: float | None,
    read_noise: float | None,
    saturation: float | None,
    aperture: float | None,
    detector: str,
    masters: tuple[Path, ...],
    bias: tuple[str, ...],
    dark: tuple[str, ...],
    flat: tuple[str, ...],
    science: tuple[str, ...],
    bad_pixels: Path | None,
    unit: str | None,
    no_stars: bool,
    no_pictures: bool,
    overwrite: bool,
    quiet: bool,
) -> None:
    """
    Reduce a night of raw frames: RAW are FITS files, or directories of them.

    Biases, darks, flats and science frames are told apart by their headers, as the profile says; by the names of files
    and folders where headers are silent; or by --bias, --dark, --flat and --science. OUT will
    hold masters and calibrated frames (FITS, which CCDData.read opens), a table of the stars of each frame
    (ECSV), pictures (PNG) and summary.txt. The exit status is 1 if a science frame, or a file that cannot be
    read and may be one, is not among them.
    """
    with clear_errors():
        from astro_calib.night import reduce_night

        summary = reduce_night(
            raw,
            out,
            profile=profile,
            gain=gain,
            read_noise=read_noise,
            saturation=saturation,
            masters=masters or None,
            unit=unit,
            bias=bias,
            dark=dark,
            flat=flat,
            science=science,
            bad_pixels=bad_pixels,
            detector=detector,
            overwrite=overwrite,
            aperture=aperture,
            stars=not no_stars,
            pictures=not no_pictures,
            progress=not quiet,
        )
    if not quiet:
        show(summary, f" They are in {out / 'summary.txt'}.")
    problems = lost(summary)
    if problems:
        raise click.ClickException(problems)


def lost(summary: NightSummary) -> str:
    """The science frames that are missing in the results, and files that may be some; empty if there are none."""
    from astro_calib.night.frames import by_reason

    lost = [file for file in summary.unused if file.lost]
    science = [*summary.failures, *(file for file in lost if file.kind == "science")]
    others = [file for file in lost if file.kind not in ("", "science")]
    unreadable = [file for file in lost if not file.kind]
    lines = []
    if science:
        total = len(science) + len(summary.frames)
        lines.append(f"{len(science)} of {total} science frames could not be reduced:")
        lines += [f"  {line}" for line in by_reason(science)]
    if unreadable:
        lines.append(f"files that cannot be read, and may be science frames ({len(unreadable)}):")
        lines += [f"  {line}" for line in by_reason(unreadable)]
    if others:
        lines.append(f"frames that could not be used, or results that could not be written ({len(others)}):")
        lines += [f"  {line}" for line in by_reason(others)]
    return "\n".join(lines)
