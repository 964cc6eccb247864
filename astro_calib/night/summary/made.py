"""How the results of a night were made: versions, parameters, the command, and when."""

from __future__ import annotations

import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["made_with", "told", "versions"]

#: Packages that have a say in the numbers.
PACKAGES = ("astro-calib", "astropy", "ccdproc", "numba", "numpy", "photutils", "scipy")


def made_with(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return what is to be known of how results were made, with the parameters that `told` gives."""
    return {
        "finished": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": _command(),
        "versions": versions() | {"Python": f"{platform.python_version()}, {platform.system()} {platform.machine()}"},
        "parameters": dict(parameters),
    }


def versions() -> dict[str, str]:
    """Return the version of each package that has a say in the numbers."""
    return {package: version(package) for package in PACKAGES}


def told(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return parameters as text; those that are None or empty are left out."""
    return {name: _told(value) for name, value in parameters.items() if not _is_nothing(value)}


def _command() -> str:
    """The command, if this process is one of ours; empty in somebody else's program."""
    program = Path(sys.argv[0]) if sys.argv else Path()
    ours = program.stem == "astro-calib" or (program.name == "__main__.py" and program.parent.name == "astro_calib")
    return shlex.join(["astro-calib", *sys.argv[1:]]) if ours else ""


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | tuple) and not value)


def _told(value: Any) -> str:
    """A parameter as text. What may be gone through only once, such as a generator, is named by its type."""
    if isinstance(value, list | tuple):
        shown = ", ".join(str(one) for one in value[:20])
        return f"{shown} and {len(value) - 20} more" if len(value) > 20 else shown
    named = getattr(value, "name", None) if not isinstance(value, str | Path) else None
    if isinstance(value, str | Path | int | float) or hasattr(value, "unit"):
        return str(value)
    return str(named or type(value).__name__)
