"""``astro-calib ptc``: gain, read noise and more from flats and biases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from astro_calib.cli.options import OVERWRITE, PATH, PROFILE, QUIET, example
from astro_calib.cli.output import check_writable, clear_errors, show

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.nddata import CCDData

    from astro_calib.night import RawFrame


@click.command("ptc", epilog=example("ptc raw/", "ptc flats/ biases/ -o curve.png", "ptc raw/ --filter V --json"))
@click.argument("raw", nargs=-1, required=True, type=PATH)
@PROFILE
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
    differ in camera, binning, window, gain, offset, read-out mode or temperature are measured apart, and those that
    differ from most in shape are left out, and named. With --out and several curves each has a file, with the filter in
    its name.
    """
    with clear_errors():
        import json

        from astro_calib.characterize import photon_transfer
        from astro_calib.io.atomic import write_atomically
        from astro_calib.night import load_profile
        from astro_calib.night.files.survey import survey_night
        from astro_calib.night.planning import with_unit

        frames, unused = survey_night(raw, with_unit(load_profile(profile), unit))
        groups = _groups(frames, only)
        pictures = _pictures(out, list(groups))
        for path in pictures.values():
            check_writable(path, overwrite)
        results = {}
        for name, (flats, biases) in groups.items():
            chosen = sections or _sections(flats[0])
            lit, dark = (list(map(_raw_frame, kind)) for kind in (flats, biases))
            corners = None if sections else [one.corner for one in flats[0].amplifiers] or None
            results[name] = photon_transfer(lit, dark, sections=chosen, corners=corners)
        for name, path in pictures.items():
            write_atomically(path, results[name].plot().savefig)
    if as_json:
        show(json.dumps({name: result.to_dict() for name, result in results.items()}, indent=2))
    elif not quiet:
        for name, result in results.items():
            flats, biases = groups[name]
            show(f"filter {name or '-'}: {len(flats)} flats, {len(biases)} biases\n{result}")
    if not quiet:
        for file in unused:
            click.echo(f"not used: {file}", err=True)


def _groups(frames: list[RawFrame], only: str | None) -> dict[str, tuple[tuple[RawFrame, ...], tuple[RawFrame, ...]]]:
    """The flats and biases to measure with, by filter, and by setup if there are several that can be measured."""
    from astro_calib.errors import FrameError
    from astro_calib.night.setups.setups import described_setups, setups

    if only is not None:
        filters = sorted({frame.filter for frame in frames if frame.kind == "flat"})
        if only not in filters:
            msg = f"there are no flats through filter {only!r}; there are some through {', '.join(filters) or 'none'}."
            raise FrameError(msg)
    found = setups(frames)
    names = described_setups(found)
    groups = {}
    most = (0, 0)
    for setup, called in zip(found, names, strict=True):
        biases = tuple(frame for frame in setup.frames if frame.kind == "bias")
        flats = [frame for frame in setup.frames if frame.kind == "flat"]
        for name in sorted({frame.filter for frame in flats} if only is None else {only}):
            lit = tuple(frame for frame in flats if frame.filter == name)
            most = max(most, (len(lit), len(biases)))
            if len(lit) > 1 and len(biases) > 1:
                groups[f"{name}, {called}" if called else name] = (lit, biases)
        most = max(most, (0, len(biases)))
    if not groups:
        several = f" of one setup ({', '.join(names[:3])})" if len(found) > 1 else ""
        msg = (
            f"photon transfer needs two flats or more through one filter and two biases or more{several}; "
            f"found: {most[0]} and {most[1]}."
        )
        raise FrameError(msg)
    return groups


def _pictures(out: Path | None, names: list[str]) -> dict[str, Path]:
    """Which file the curve of each filter goes to."""
    if out is None:
        return {}
    if len(names) == 1:
        return {names[0]: out}
    from astro_calib.night.common.names import file_name

    return {name: out.with_name(f"{out.stem}-{file_name(name)}{out.suffix}") for name in names}


def _sections(frame: RawFrame) -> tuple[str, ...] | None:
    """The pixels of each amplifier, or what is kept; None for the whole frame."""
    from astro_calib.night.common.frames import by_amplifier

    return tuple(one.trim for one in by_amplifier(frame) if one.trim) or None


def _raw_frame(frame: RawFrame) -> CCDData:
    """A raw frame with its header, in adu."""
    from astropy.nddata import CCDData

    from astro_calib.night.files.raw_pixels import raw_pixels

    header, pixels = raw_pixels(frame)
    return CCDData(pixels, unit="adu", meta=header)
