"""``astro-calib reduce``: a night from raw files to measured stars."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astro_calib.cli.dry_run import show_plan
from astro_calib.cli.options import MEMORY, OVERWRITE, PATH, PROFILE, QUIET, example
from astro_calib.cli.output import Failure, FailureInPart, clear_errors, show_summary
from astro_calib.cli.reports import check_reports, told_as_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

    from astro_calib.night.summary.summary import NightSummary
    from astro_calib.stack.request import MemoryLimit


@click.command(
    "reduce",
    epilog=example(
        "reduce raw/ --dry-run",
        "reduce raw/ -o reduced/ --gain 1.5 --read-noise 8",
        "reduce d10*.fits.gz -o reduced/ --profile mycamera.toml",
    ),
)
@click.argument("raw", nargs=-1, required=True, type=PATH)
@click.option("-o", "--out", type=PATH, help="Directory for the results; made if needed. Not needed with --dry-run.")
@click.option("--dry-run", is_flag=True, help="Say what would be made of which files, and why, from headers alone.")
@PROFILE
@click.option("--gain", type=float, help="Gain in electron/adu, instead of the profile's or the header's.")
@click.option("--read-noise", type=float, help="Read noise in electron, likewise.")
@click.option("--saturation", type=float, help="Level in adu at which a pixel is saturated, likewise.")
@click.option("--pedestal", type=float, help="Level of zero light in adu, where neither overscan nor biases tell it.")
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
@click.option(
    "--cosmic-rays",
    type=click.Choice(["repair", "mask", "compare"]),
    help="Find cosmic rays, and repair or only mask them; compare: mask those that other frames of the field show.",
)
@click.option("--sky", type=click.IntRange(0, 6), metavar="DEGREE", help="Subtract a surface fitted to the sky.")
@click.option("--bin", type=click.IntRange(2, 64), metavar="N", help="Add up blocks of N x N calibrated pixels.")
@click.option("--colours", is_flag=True, help="Write the planes of a colour sensor, too; measure stars in a green one.")
@click.option("--unit", help="adu: the raw frames are in adu, whatever their BUNIT says.")
@click.option("--no-stars", is_flag=True, help="Calibrate only: measure neither stars nor the noise of the sky.")
@click.option("--no-pictures", is_flag=True, help="Draw no pictures; the report has none either.")
@click.option(
    "--memory-limit",
    type=MEMORY,
    default="auto",
    metavar="SIZE",
    help="Memory that a process may take while it makes a master, such as 2GB: frames that do not fit are kept in "
    "temporary files, and the master is the same.  [default: half of what is free]",
)
@click.option("--log", type=PATH, metavar="FILE", help="Write what is done with each file, and when, to this file.")
@click.option("--json", "json_file", type=PATH, metavar="FILE", help="Write all that the summary says as JSON.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Share the night out among N processes.")
@click.option(
    "--scheduler", metavar="ADDRESS", help="Let the workers of a dask.distributed cluster do it, as tcp://..."
)
@OVERWRITE
@click.option("-v", "--verbose", is_flag=True, help="Say what is done with each file, and show all of the summary.")
@QUIET
def command(
    raw: tuple[Path, ...],
    out: Path | None,
    dry_run: bool,
    profile: str,
    gain: float | None,
    read_noise: float | None,
    saturation: float | None,
    pedestal: float | None,
    aperture: float | None,
    detector: str,
    masters: tuple[Path, ...],
    bias: tuple[str, ...],
    dark: tuple[str, ...],
    flat: tuple[str, ...],
    science: tuple[str, ...],
    bad_pixels: Path | None,
    cosmic_rays: str | None,
    sky: int | None,
    bin: int | None,  # noqa: A002  as the option is called
    colours: bool,
    unit: str | None,
    no_stars: bool,
    no_pictures: bool,
    memory_limit: MemoryLimit,
    log: Path | None,
    json_file: Path | None,
    workers: int | None,
    scheduler: str | None,
    overwrite: bool,
    verbose: bool,
    quiet: bool,
) -> None:
    """
    Reduce a night of raw frames: RAW are FITS files, or directories of them.

    Biases, darks, flats and science frames are told apart by their headers, as the profile says; by the names of files
    and folders where headers are silent; or by --bias, --dark, --flat and --science. OUT will
    hold masters and calibrated frames (FITS, which CCDData.read opens), a table of the stars of each frame (ECSV),
    pictures (PNG), a page for the browser (report.html), summary.txt and the same as JSON (summary.json). A terminal
    shows the most important part of the summary.

    A reduction that was interrupted, or killed, goes on with the same command:
    what is complete and still valid stays as it is. --overwrite begins anew.

    With --dry-run nothing is written, and no pixel is read: it says what each file was taken for and why, which masters
    would be made, what each science frame would get, and what is missing.

    The exit status is 0 if all science frames were reduced; 3 if some were not, or a file that cannot be read may be
    one; 1 if nothing was reduced; 2 if an option is missing, misspelt or out of its range; 130 after Ctrl-C.
    """
    from astro_calib.cli.log import logged

    if quiet and verbose:
        msg = "--quiet and --verbose contradict each other; give one of them."
        raise click.UsageError(msg)
    if workers is not None and scheduler is not None:
        msg = "--workers and --scheduler contradict each other; give one of them."
        raise click.UsageError(msg)
    patterns: dict[str, Any] = {"bias": bias, "dark": dark, "flat": flat, "science": science}
    options: dict[str, Any] = {
        "profile": profile,
        "gain": gain,
        "read_noise": read_noise,
        "saturation": saturation,
        "pedestal": pedestal,
        "masters": masters or None,
        "unit": unit,
        "bad_pixels": bad_pixels,
        "detector": detector,
    }
    steps: dict[str, Any] = {"cosmic_rays": cosmic_rays, "sky": sky, "bin": bin, "colours": colours}
    if dry_run:
        if log is not None or json_file is not None:
            msg = "--dry-run writes nothing; leave out --log and --json."
            raise click.UsageError(msg)
        show_plan(raw, patterns=patterns, quiet=quiet, steps=steps, **options)
        return
    if out is None:
        msg = "--out is missing: a directory for the results (or --dry-run, to see what would be made)."
        raise click.UsageError(msg)
    inputs = [Path(profile), *masters, *([bad_pixels] if bad_pixels else [])]
    with clear_errors():
        check_reports({"--log": log, "--json": json_file}, raw, out, inputs=inputs, overwrite=overwrite)
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
    with logged(log, verbose), told_as_json(json_file) as tell:
        with clear_errors():
            from astro_calib.night import reduce_night

            with _client(workers, scheduler) as client:
                summary = reduce_night(
                    raw,
                    out,
                    **options,
                    **patterns,
                    **steps,
                    overwrite=overwrite,
                    aperture=aperture,
                    stars=not no_stars,
                    pictures=not no_pictures,
                    memory_limit=memory_limit,
                    progress=not (quiet or verbose),
                    workers=workers,
                    client=client,
                )
        failure = FailureInPart if summary.outcome == "part" else Failure
        unwritten = tell({"exit_status": failure.exit_code if summary.lost else 0, **summary.to_dict()})
        if not quiet:
            show_summary(summary, whole=verbose)
        if summary.lost:
            raise failure("\n".join(filter(None, (lost(summary), unwritten))))
        if unwritten:
            raise FailureInPart(unwritten)


@contextmanager
def _client(workers: int | None, scheduler: str | None) -> Iterator[Client | None]:
    """Connect to a cluster, if there is one; say what is missing for it, or for workers."""
    if workers is None and scheduler is None:
        yield None
        return
    from astro_calib.night.tasks.crew import check_installed, connected

    try:
        check_installed()
    except ImportError as error:
        raise Failure(str(error)) from error
    if scheduler is None:
        yield None
        return
    with connected(scheduler) as client:
        yield client


def lost(summary: NightSummary) -> str:
    """The science frames that are missing in the results, and files that may be some; empty if there are none."""
    from astro_calib.night.summary.unused_text import lost_lines

    return "\n".join(lost_lines(summary.lost, len(summary.frames), summary.called))
