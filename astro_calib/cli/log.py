"""Where it is told what is done with each file: standard error (``-v``), a file (``--log``), or nowhere."""

from __future__ import annotations

import logging
import platform
import shlex
import sys
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: What concerns the command as a whole, which standard error has anyway.
COMMAND = logging.getLogger("astro_calib.command")
FORM = "%(asctime)s %(levelname)-7s %(message)s"


@contextmanager
def logged(path: Path | None, verbose: bool) -> Iterator[None]:
    """Tell what is done to a file, and on standard error if that is asked for."""
    from astro_calib.night.log import LOG

    before = LOG.level
    with ExitStack() as stack:
        if verbose:
            stack.enter_context(_told(_to_stderr()))
        if path is not None:
            stack.enter_context(_told(_to_file(path)))
        if path is not None or verbose:
            LOG.setLevel(logging.INFO if path is None else logging.DEBUG)
        try:
            yield
        except BaseException as error:
            COMMAND.error(_said(error))
            raise
        finally:
            LOG.setLevel(before)


def _to_stderr() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.INFO)
    handler.addFilter(lambda record: record.name != COMMAND.name)
    return handler


def _to_file(path: Path) -> logging.Handler:
    handler = logging.FileHandler(path, mode="w", encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter(FORM))
    return handler


@contextmanager
def _told(handler: logging.Handler) -> Iterator[None]:
    from astropy import log

    from astro_calib.night.log import LOG

    LOG.addHandler(handler)
    if isinstance(handler, logging.FileHandler):
        log.addHandler(handler)
        system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
        called = shlex.join(["astro-calib", *sys.argv[1:]])
        for text in (f"astro-calib {version('astro-calib')}, {system}", called):
            handler.handle(logging.LogRecord(COMMAND.name, logging.INFO, "", 0, text, None, None))
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        log.removeHandler(handler)
        handler.close()


def _said(error: BaseException) -> str:
    """What ended the command."""
    if isinstance(error, click.ClickException):
        return error.format_message()
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
