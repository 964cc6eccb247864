"""``astro-calib demo``: a simulated night, reduced."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from astro_calib.cli.options import OVERWRITE, PATH, QUIET, example
from astro_calib.cli.output import clear_errors, show, show_summary

if TYPE_CHECKING:
    from pathlib import Path


#: What is to be seen first is not wider.
WIDTH = 79


@click.command("demo", epilog=example("demo", "demo night/ --seed 7"))
@click.argument("out", default="astro-calib-demo", type=PATH)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The same seed, the same night.")
@OVERWRITE
@QUIET
def command(out: Path, seed: int, overwrite: bool, quiet: bool) -> None:
    """
    Simulate a small night, reduce it, and say what the errors are made of and what calibration does to the stars.

    The raw frames go to OUT/raw, the results to OUT/reduced; OUT is astro-calib-demo if it is not given.
    """
    with clear_errors():
        from astro_calib import simulate
        from astro_calib.cli.first_look import first_look
        from astro_calib.io.atomic import remove_leftovers
        from astro_calib.io.terminal import room_on
        from astro_calib.night import reduce_night
        from astro_calib.night.common.output import check_output
        from astro_calib.report.page import REPORT

        # Before the frames of an earlier demo are removed.
        check_output(out, overwrite=True)
        raw, reduced = out / "raw", out / "reduced"
        remove_leftovers(raw)
        if not overwrite and raw.is_dir() and any(raw.iterdir()):
            msg = f"{raw} holds files already; give another directory, or --overwrite to make the demo again."
            raise FileExistsError(msg)
        if overwrite:
            _forget_demo(raw)
        simulate.night(raw, seed=seed, progress=not quiet)
        summary = reduce_night(raw, reduced, profile="generic", overwrite=overwrite, progress=not quiet)
    if not quiet:
        show(first_look(summary.frames, min(room_on(sys.stdout) or WIDTH, WIDTH)))
        show_summary(summary)
        show(f"raw frames in {raw}, results in {reduced}")
        show(f"open {reduced / REPORT} in a browser")


def _forget_demo(raw: Path) -> None:
    """Remove the simulated frames of an earlier demo, told by what their headers say."""
    from astropy.io import fits

    for path in raw.glob("*.fits"):
        if fits.getheader(path).get("TELESCOP") == "simulated":
            path.unlink()
