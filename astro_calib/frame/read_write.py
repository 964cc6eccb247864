"""What ``CCDFrame.read`` and ``CCDFrame.write`` do before the format is known."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from astropy.io import registry

from astro_calib.arguments import described
from astro_calib.errors import FrameError

__all__ = ["FrameRead", "FrameWrite", "register_formats"]


def register_formats() -> None:
    """Import the formats, each of which registers itself: needed as soon as somebody looks at ``read`` or ``write``."""
    for name in ("fits", "asdf"):
        import_module(f"astro_calib.io.{name}.registration")


class FrameRead(registry.UnifiedReadWrite):
    """
    Read a frame from a file.

    Parameters
    ----------
    *args
        The file's name first.
    format : str, optional
        Found out from the file if it is not given.
    **kwargs
        Arguments of the format's reader, such as ``unit="adu"`` for raw FITS files.

    Raises
    ------
    FrameError
        If the file has none of the formats that are known; the message names it.
    """

    def __init__(self, instance: Any, cls: type) -> None:
        register_formats()
        super().__init__(instance, cls, "read", registry=None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Read."""
        # An open file can tell where it is; what astropy opened, a list of HDUs or one, knows its file.
        opened = args and any(hasattr(args[0], one) for one in ("tell", "fileinfo"))
        if args and not opened and not isinstance(args[0], (str, os.PathLike)):
            msg = f"CCDFrame.read takes a path or an open file, not {described(args[0])}."
            raise TypeError(msg)
        if args and isinstance(args[0], (str, os.PathLike)):
            if Path(args[0]).is_dir():
                msg = f"{args[0]} is a directory; expected a file."
                raise FrameError(msg)
            # By its path, so that the reader sees the file as it is on disk.
            args = (Path(args[0]), *args[1:])
        try:
            return self.registry.read(self._cls, *args, **kwargs)
        except registry.IORegistryError as error:
            name = args[0] if args else "the file"
            msg = f"{name} cannot be read: it is neither a FITS nor an ASDF file, or is empty or damaged."
            raise FrameError(msg) from error


class FrameWrite(registry.UnifiedReadWrite):
    """
    Write a frame to a file.

    Parameters
    ----------
    *args
        The file's name first.
    format : {"fits", "asdf"}, optional
        Found out from the name if it is not given.
    **kwargs
        Arguments of the format's writer, such as ``overwrite=True``; ``CCDFrame.write.help("fits")`` tells them.

    Raises
    ------
    OSError
        If the file is there already and not to be overwritten, or cannot be written.
    """

    def __init__(self, instance: Any, cls: type) -> None:
        register_formats()
        super().__init__(instance, cls, "write", registry=None)

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Write."""
        if args and not isinstance(args[0], (str, os.PathLike)) and not hasattr(args[0], "tell"):
            msg = f"a frame is written to a path, not to {described(args[0])}: frame.write('image.fits')."
            raise TypeError(msg)
        self.registry.write(self._instance, *args, **kwargs)
