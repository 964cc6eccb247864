"""Write frames as ASDF files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.errors import FrameError
from astro_calib.io.asdf.read import FRAME
from astro_calib.io.atomic import write_atomically
from astro_calib.io.frame_tree import note_file
from astro_calib.io.paths import file_to_write

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from astro_calib.frame.frame import CCDFrame

__all__ = ["write_asdf"]


def write_asdf(
    ccd: CCDFrame,
    filename: str | os.PathLike[str],
    overwrite: bool = False,
    *,
    compression: str | None = None,
    include_masters: bool = False,
) -> None:
    """
    Write a frame; this is what ``CCDFrame.write`` calls for ASDF.

    Parameters
    ----------
    ccd : CCDFrame
        The frame.
    filename : str or path
        Where to. The file is there whole or not at all.
    overwrite : bool
        Whether to replace a file that is there.
    compression : {"zlib", "bzp2", "lz4"}, optional
        How to compress the arrays; the last needs a package of its own.
    include_masters : bool
        Whether to write the noise and the arrays of masters into this file as well. Without, the file refers to the
        files of the masters, and is not larger than data, variance, mask and flags need.

    Raises
    ------
    FileExistsError
        If the file is there and is not to be overwritten.
    OSError
        If it cannot be written; an old file is left as it was.
    FrameError
        If the header holds what ASDF cannot.
    """
    import asdf
    from yaml.representer import RepresenterError

    from astro_calib.io.asdf.converters import Writing, writing

    path = file_to_write(filename, overwrite=overwrite)

    def write(temporary: Path) -> None:
        asdf.AsdfFile({FRAME: ccd}).write_to(temporary, all_array_compression=compression)

    token = writing.set(Writing(path, include_masters))
    try:
        write_atomically(path, write)
    except RepresenterError as error:
        msg = f"{ccd.name} cannot be written to {path}: {error}"
        raise FrameError(msg) from error
    finally:
        writing.reset(token)
    note_file(ccd, path)
