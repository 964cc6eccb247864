"""``astro-calib report``: the page of results that were made before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from astro_calib.cli.options import PATH, QUIET, example
from astro_calib.cli.output import clear_errors, show

if TYPE_CHECKING:
    from pathlib import Path


@click.command("report", epilog=example("report reduced/"))
@click.argument("out", type=PATH)
@QUIET
def command(out: Path, quiet: bool) -> None:
    """
    Make the report of results again: OUT is the directory that reduce has written.

    The page, OUT/report.html, is made from OUT/summary.json, the tables and the pictures; it replaces the one that is
    there. It is one file that needs nothing else, and asks no network.
    """
    with clear_errors():
        from astro_calib.report.page import write_page

        path = write_page(out)
    if not quiet:
        show(f"the report is {path}")
