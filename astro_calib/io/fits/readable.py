"""What is raised while a FITS file is read, as an error that names the file."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["readable"]


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Make a FrameError of what is raised while a file is read, which names the file."""
    try:
        yield
    except (FileNotFoundError, Warning):
        # Warnings are raised where somebody has turned them into errors.
        raise
    except Exception as error:
        # In a damaged file astropy, and the libraries that unpack it, raise errors of any kind.
        msg = f"{name} cannot be read: {str(error) or type(error).__name__}"
        raise FrameError(msg) from error
