"""``astro-calib profile``: a profile drafted from the files of a night."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from astro_calib.cli.options import OVERWRITE, PATH, example
from astro_calib.cli.output import check_writable, clear_errors, show

if TYPE_CHECKING:
    from pathlib import Path


@click.command("profile", epilog=example("profile raw/", "profile raw/ -o mycamera.toml"))
@click.argument("raw", nargs=-1, required=True, type=PATH)
@click.option("-o", "--out", type=PATH, help="Write the profile into this file.  [default: print it]")
@OVERWRITE
def command(raw: tuple[Path, ...], out: Path | None, overwrite: bool) -> None:
    """
    Draft an instrument profile from the headers of RAW: files, or directories of them.

    The profile can be used as it is, with --profile. It says which cards are read and what they hold, what the files
    are taken for, and what would have to be decided: lines behind a # are what holds without them.
    """
    with clear_errors():
        from astro_calib.io.atomic import write_atomically
        from astro_calib.night.preview.draft import draft_profile

        if out is not None:
            check_writable(out, overwrite)
        text = draft_profile(raw)
        if out is None:
            show(text.rstrip("\n"))
        else:
            write_atomically(out, lambda path: path.write_text(text, encoding="utf-8"))
