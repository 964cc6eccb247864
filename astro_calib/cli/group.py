"""The group of the commands: signals that end them, and where astropy's log goes."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from astro_calib.cli.output import Folding

if TYPE_CHECKING:
    from collections.abc import Iterator


class Commands(click.Group):
    """Commands that say in one line which signal ended them, and that do without standard error."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run a command; a signal that ends it is named in one line."""
        from astro_calib.io.terminal import Ended, steady_streams, unwinding_signals

        with steady_streams(), unwinding_signals():
            try:
                return super().main(*arguments, **options)
            except Ended as end:
                click.echo(f"\n{_ended_by(end.number)}", err=True)
                raise

    def invoke(self, context: click.Context) -> Any:
        """Run a command; Ctrl-C is a signal like the others."""
        from astro_calib.io.terminal import Ended

        try:
            return super().invoke(context)
        except KeyboardInterrupt as error:
            # click would take it for an ordinary failure.
            raise Ended(signal.SIGINT) from error


def _ended_by(number: int) -> str:
    how = "Interrupted" if number == signal.SIGINT else f"Ended by {signal.Signals(number).name}"
    return f"{how}: the files that were finished are whole, no others are left behind."


@contextmanager
def log_to_stderr() -> Iterator[None]:
    """Send astropy's log to standard error: it would mix information with the results on standard output."""
    import logging

    from astropy import log
    from astropy.logger import StreamHandler

    before = list(log.handlers)
    beside = logging.StreamHandler()
    beside.setFormatter(Folding("%(levelname)s: %(message)s"))
    log.handlers[:] = [beside, *(handler for handler in before if not isinstance(handler, StreamHandler))]
    try:
        yield
    finally:
        log.handlers[:] = before
