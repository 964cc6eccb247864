"""
Read frames from ASDF files.

The tree holds the frame under "frame"; more can be put beside it with `asdf.AsdfFile`, which knows the frames of this
package by their tags.
"""

from __future__ import annotations

import warnings
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import astropy.units as u
from astropy.utils.exceptions import AstropyWarning

from astro_calib.errors import FrameError
from astro_calib.io import mapping
from astro_calib.io.asdf.integrity import check_tree, check_whole_asdf
from astro_calib.io.find import Finder
from astro_calib.io.paths import file_to_read
from astro_calib.io.stored import Stored
from astro_calib.io.stored_arrays import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from astro_calib.frame.frame import CCDFrame

__all__ = ["FRAME", "read_asdf", "stored_asdf"]

#: Where the frame is in the tree.
FRAME = "frame"


def read_asdf(
    filename: Any,
    *,
    masters: Any = None,
    checksum: bool = False,
    memmap: bool = False,
    key: str = FRAME,
    unit: Any = None,
) -> CCDFrame:
    """
    Read a frame; this is what ``CCDFrame.read`` calls for ASDF.

    Parameters
    ----------
    filename : str, path or open file
        The file. It is refused if any byte is missing.
    masters : path or list of paths, optional
        Files of masters, or directories with them, to look in before the directory of the file.
    checksum : bool
        Whether to compare the arrays with the checksums in the file.
    memmap : bool
        Whether arrays stay on disk until their pixels are asked for, as far as they are not compressed. They cannot be
        written into, and can be used for as long as they are wanted.
    key : str
        Where the frame is in the tree.
    unit : unit, optional
        That of the frame, which the file says itself; it is refused if it is another.

    Returns
    -------
    CCDFrame
        Whose `~astro_calib.CCDFrame.name` is that of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FrameError
        If the file cannot be read as ASDF, is cut off or damaged, was written by a later version, or holds no frame;
        the message names it.

    Warns
    -----
    NoiseWarning
        If a master is not found; what the frame shares with others through it then counts as its own noise.
    """
    path = file_to_read(filename)
    if path is None:
        msg = f"{filename!r} is not the name of a file."
        raise TypeError(msg)
    with _named(path):
        frame = _stored(path, Finder(path, masters), key, checksum=checksum, memmap=memmap).frame(copy=not memmap)
        if unit is not None and u.Unit(unit) != frame.unit:
            msg = f"it is in {frame.unit or 'no unit'}, not in {unit}: read it without unit, and convert it."
            raise FrameError(msg)
        return frame


def stored_asdf(path: Path, find: Finder) -> Stored:
    """A file of which only the text is read; errors are those of `read_asdf`."""
    with _named(path):
        return _stored(path, find, FRAME)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises into a FrameError that names the file."""
    from asdf.exceptions import AsdfWarning, ValidationError
    from yaml import YAMLError

    damaged = (OSError, EOFError, MemoryError, RuntimeError, AssertionError, zlib.error, *MALFORMED)
    try:
        yield
    except FileNotFoundError:
        raise
    except (*damaged, ValidationError, YAMLError, AsdfWarning) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        msg = f"{path.name} cannot be read: {reason}"
        raise FrameError(msg) from error


def _stored(path: Path, find: Finder, key: str, *, checksum: bool = False, memmap: bool = False) -> Stored:
    import asdf
    from asdf.exceptions import AsdfWarning
    from asdf.util import load_yaml

    from astro_calib.io.asdf.converters import Reading, reading

    memmap = memmap or mapping.room()
    check_whole_asdf(path)
    check_tree(load_yaml(path, tagged=True))
    token = reading.set(Reading(path.absolute(), find, stored=True))
    try:
        with warnings.catch_warnings():
            # Objects of other packages may lie beside the frame.
            warnings.simplefilter("ignore", AsdfWarning)
            # asdf would leave the tree of an object that it cannot make.
            warnings.filterwarnings("error", "A node failed to convert", AsdfWarning)
            # Remarks on how a unit in the WCS was understood do not concern the pixels.
            warnings.simplefilter("ignore", AstropyWarning)
            with asdf.open(path, memmap=memmap, lazy_load=False, validate_checksums=checksum) as file:
                if key not in file:
                    msg = f"there is no {key!r} in it; found: {', '.join(map(str, file.keys()))}."
                    raise FrameError(msg)
                found = file[key]
                if isinstance(found, Stored):
                    # All arrays of a file are in one map.
                    mapping.note([found.data])
    finally:
        reading.reset(token)
    if not isinstance(found, Stored):
        tag = getattr(found, "_tag", None)
        msg = f"what it holds under {key!r} is a {type(found).__name__}, not a frame"
        if tag is not None:
            msg = f"this version of astro-calib does not know {tag}, which was written by a later one: update it."
        raise FrameError(msg)
    return found
