"""What the options and the help of several commands have in common."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click


def _hush(context: click.Context, parameter: click.Parameter, quiet: bool) -> bool:
    """Let astropy log errors only, until the command has ended."""
    del parameter
    if quiet:
        from astropy import log

        context.call_on_close(partial(log.setLevel, log.level))
        log.setLevel("ERROR")
    return quiet


QUIET = click.option(
    "-q", "--quiet", is_flag=True, callback=_hush, help="Show neither progress nor the summary; errors only."
)
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace the results of an earlier run.")


class FileName(click.Path):
    """A path; an empty text, which would mean the working directory, is refused."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Make a path of a text."""
        if value == "":
            self.fail("it is empty; give the name of a file or directory ('.' for this one).", parameter, context)
        return super().convert(value, parameter, context)


PATH = FileName(path_type=Path)
POSITIVE = click.FloatRange(min=0, min_open=True)
NUMBER = click.IntRange(min=1)


def example(*calls: str) -> str:
    """Lines for the end of a help text; the first letter tells click to leave them as they are."""
    return "\b\nExample:\n" + "\n".join(f"  astro-calib {call}" for call in calls)
