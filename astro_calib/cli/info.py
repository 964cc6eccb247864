"""``astro-calib info``: what a file is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from astro_calib.cli.options import PATH, PROFILE, example
from astro_calib.cli.output import clear_errors, show

if TYPE_CHECKING:
    from pathlib import Path


@click.command("info", epilog=example("info raw/d1048.fits.gz", "info reduced/calibrated/*.fits"))
@click.argument("files", nargs=-1, required=True, type=PATH)
@PROFILE
def command(files: tuple[Path, ...], profile: str) -> None:
    """
    Say what FILES are; of a directory, all FITS files in it.

    Of a raw frame: its kind and what tells it, filter, exposure, sections, gain and settings, from its header alone, as
    reduce would take them. Of a result of this package: the frames and masters that it was made of, the steps, and what
    its noise consists of. The exit status is 1 if a file cannot be read.
    """
    with clear_errors():
        from astro_calib.errors import FrameError
        from astro_calib.night import load_profile
        from astro_calib.night.files.find import find_files
        from astro_calib.night.preview.about import about_file

        loaded = load_profile(profile)
        paths, _ = find_files(files)
        problems = []
        for path in paths:
            try:
                show(about_file(path, loaded))
            except (FrameError, OSError) as error:
                problems.append(str(error))
    if problems:
        raise click.ClickException("\n".join(problems))
