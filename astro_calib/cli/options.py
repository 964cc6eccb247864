"""What the options and the help of several commands have in common."""

from __future__ import annotations

import math
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def _hush(context: click.Context, parameter: click.Parameter, quiet: bool) -> bool:
    """Let astropy log errors only, until the command has ended."""
    del parameter
    if quiet:
        from astropy import log

        context.call_on_close(partial(log.setLevel, log.level))
        log.setLevel("ERROR")
    return quiet


QUIET = click.option(
    "-q",
    "--quiet",
    is_flag=True,
    callback=_hush,
    help="Show neither progress nor results; errors still go to standard error.",
)
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace the results of an earlier run.")


class FileName(click.Path):
    """A path; an empty text, which would mean the working directory, is refused."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Make a path of a text."""
        if value == "":
            self.fail("it is empty; give the name of a file or directory ('.' for this one).", parameter, context)
        return super().convert(value, parameter, context)


class ProfileName(click.ParamType[str]):
    """The name of a built-in profile, or the path of a TOML file; a shell completes both."""

    name = "profile"

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the profiles that begin with what is typed, and let the shell add files."""
        del context, parameter
        from click.shell_completion import CompletionItem

        from astro_calib.night import builtin_profiles

        names = [name for name in ("auto", *builtin_profiles()) if name.startswith(incomplete)]
        return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


class Memory(click.ParamType["float | str"]):
    """An amount of memory, in bytes: a number with or without a unit, in upper or lower case; or "auto"."""

    name = "memory"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Make bytes of a text such as 2GB."""
        if value == "auto":
            return value
        found = re.fullmatch(r"(\d+\.?\d*|\.\d+) *(?:([KMGT])(I)?)?B?", str(value).strip().upper())
        prefix = "" if found is None else found[2] or ""
        size = 0.0 if found is None else float(found[1]) * (1024 if found[3] else 1000) ** " KMGT".index(prefix or " ")
        if not 0 < size < math.inf:
            self.fail(f"{value!r} is no amount of memory; expected such as 2GB or 500MB.", parameter, context)
        return size


PATH = FileName(path_type=Path)
POSITIVE = click.FloatRange(min=0, min_open=True)
PROFILE = click.option(
    "-p",
    "--profile",
    type=ProfileName(),
    default="auto",
    show_default=True,
    help="Instrument profile: the one that each header chooses (auto), a built-in one (the shell completes it), or "
    "the path of a TOML file.",
)
NUMBER = click.IntRange(min=1)
MEMORY = Memory()


def example(*calls: str) -> str:
    """Lines for the end of a help text; the first letter tells click to leave them as they are."""
    return "\b\nExample:\n" + "\n".join(f"  astro-calib {call}" for call in calls)
