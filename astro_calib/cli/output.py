"""What a command prints and writes, and its errors as messages."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn errors that a user can do something about into messages; any other is a fault of this program."""
    try:
        yield
    except (OSError, ValueError, MemoryError) as error:
        # FrameError, ProfileError and the errors of units are ValueErrors.
        raise click.ClickException(str(error) or type(error).__name__) from error


def show(text: object, where: str = "") -> None:
    """Print results; ``where`` says where else they are, if they cannot be printed."""
    from astro_calib.io.terminal import forget_stdout

    try:
        try:
            click.echo(text)
        except UnicodeEncodeError:
            click.echo(str(text).encode("ascii", "replace").decode())
    except BrokenPipeError:
        # The reader of the pipe has closed it.
        forget_stdout()
    except OSError as error:
        forget_stdout()
        msg = f"the results cannot be printed: {error.strerror or error}.{where}"
        raise click.ClickException(msg) from error


def check_writable(out: Path, overwrite: bool) -> None:
    """Say what is wrong with a path before the work begins, not after."""
    from tempfile import TemporaryFile

    if out.is_dir():
        msg = f"{out} is a directory; give the name of a file."
        raise IsADirectoryError(msg)
    if out.exists() and not overwrite:
        msg = f"{out} exists already; give another file, or --overwrite to replace it."
        raise FileExistsError(msg)
    if not out.parent.is_dir():
        msg = f"{out.parent} is not a directory; make it first."
        raise NotADirectoryError(msg)
    try:
        with TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        msg = f"no file can be made in {out.parent}: {error.strerror}; give another place."
        raise OSError(msg) from error
