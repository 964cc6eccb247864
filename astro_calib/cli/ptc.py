"""``astro-calib ptc``: gain, read noise and more from flats and biases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from astro_calib.cli.options import OVERWRITE, PATH, QUIET, example
from astro_calib.cli.output import check_writable, clear_errors, show

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.nddata import CCDData

    from astro_calib.night import Plan, RawFrame

#: Cards that are the same in all frames of one setup of a camera.
SETTINGS = ("INSTRUME", "GAIN", "EGAIN", "OFFSET", "BLKLEVEL", "READOUTM", "READMODE", "XBINNING", "YBINNING")


@click.command("ptc", epilog=example("ptc raw/", "ptc flats/ biases/ -o curve.png", "ptc raw/ --filter V --json"))
@click.argument("raw", nargs=-1, required=True, type=PATH)
@click.option(
    "-p",
    "--profile",
    default="generic",
    show_default=True,
    help="Instrument profile, as for reduce: says what is a flat.",
)
@click.option("--unit", help="adu: the raw frames are in adu, whatever their BUNIT says.")
@click.option("--filter", "only", help="Use the flats of this filter only.  [default: each filter by itself]")
@click.option(
    "--section",
    "sections",
    multiple=True,
    metavar="SECTION",
    help="Pixels of an amplifier, such as '[1:512,1:1024]'; may be given again.  [default: the headers' data section]",
)
@click.option("--json", "as_json", is_flag=True, help="Print all numbers as JSON.")
@click.option("-o", "--out", type=PATH, help="Draw the curve with its fit into this file (PNG, PDF, SVG).")
@OVERWRITE
@QUIET
def command(
    raw: tuple[Path, ...],
    profile: str,
    unit: str | None,
    only: str | None,
    sections: tuple[str, ...],
    as_json: bool,
    out: Path | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """
    Measure gain, read noise and more from flats and biases: the photon transfer curve.

    RAW are FITS files, or directories of them; two flats through one filter and two biases are enough. Frames that
    differ from most in shape or settings are left out, and named. With --out and several filters each has a file, with
    the filter in its name.
    """
    with clear_errors():
        import json

        from astro_calib.characterize import photon_transfer
        from astro_calib.io.atomic import write_atomically
        from astro_calib.night import plan_night

        # Neither number is used, but a plan wants them.
        plan = plan_night(raw, profile, unit=unit, gain=1.0, read_noise=1.0)
        flats = _flats_to_use(plan, only)
        pictures = _pictures(out, list(flats))
        for path in pictures.values():
            check_writable(path, overwrite)
        biases = [_raw_frame(frame.path) for frame in plan.biases]
        chosen = sections or ((plan.trim,) if plan.trim else None)
        results = {}
        for name, frames in flats.items():
            lit = [_raw_frame(frame.path) for frame in frames]
            _check_one_setup([frame.path for frame in (*frames, *plan.biases)], [*lit, *biases])
            results[name] = photon_transfer(lit, biases, sections=chosen)
        for name, path in pictures.items():
            write_atomically(path, results[name].plot().savefig)
    if as_json:
        show(json.dumps({name: result.to_dict() for name, result in results.items()}, indent=2))
    elif not quiet:
        for name, result in results.items():
            show(f"filter {name or '-'}: {len(flats[name])} flats, {len(biases)} biases\n{result}")
    if not quiet:
        for file in plan.unused:
            click.echo(f"not used: {file}", err=True)


def _flats_to_use(plan: Plan, only: str | None) -> dict[str, tuple[RawFrame, ...]]:
    """The flats by filter, of one filter if that is asked for, else of those that have two or more."""
    from astro_calib.errors import FrameError

    flats = plan.flats
    if only is not None:
        if only not in flats:
            msg = f"there are no flats through filter {only!r}; there are some through {', '.join(flats) or 'none'}."
            raise FrameError(msg)
        return {only: flats[only]}
    found = {name: frames for name, frames in flats.items() if len(frames) > 1}
    if not found or len(plan.biases) < 2:
        number = max((len(frames) for frames in flats.values()), default=0)
        msg = (
            "photon transfer needs two flats or more through one filter and two biases or more; "
            f"found: {number} and {len(plan.biases)}."
        )
        raise FrameError(msg)
    return found


def _check_one_setup(paths: list[Path], frames: list[CCDData]) -> None:
    """Refuse frames that were not taken with the same settings of one camera, as far as their headers tell."""
    from astro_calib.errors import FrameError

    for card in SETTINGS:
        files: dict[str, Path] = {}
        for path, frame in zip(paths, frames, strict=True):
            if card in frame.meta:
                files.setdefault(str(frame.meta[card]).strip(), path)
        if len(files) > 1:
            listed = ", ".join(f"{value} ({path.name})" for value, path in list(files.items())[:3])
            msg = f"the frames differ in {card}: {listed}; give frames of one setup, one run for each."
            raise FrameError(msg)


def _pictures(out: Path | None, names: list[str]) -> dict[str, Path]:
    """Which file the curve of each filter goes to."""
    if out is None:
        return {}
    if len(names) == 1:
        return {names[0]: out}
    from astro_calib.night.names import file_name

    return {name: out.with_name(f"{out.stem}-{file_name(name)}{out.suffix}") for name in names}


def _raw_frame(path: Path) -> CCDData:
    """A raw frame with its header, in adu."""
    from astropy.nddata import CCDData

    from astro_calib.night.raw_file import read_raw_file

    header, pixels = read_raw_file(path)
    return CCDData(pixels, unit="adu", meta=header)
