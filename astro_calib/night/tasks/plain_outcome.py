"""Outcomes of tasks as JSON holds them, and back; what comes from a file is trusted with nothing but these types."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from astro_calib.night.common.frames import UnusedFile
from astro_calib.night.common.remarks import Remark
from astro_calib.night.summary.frame_summary import FrameSummary
from astro_calib.night.summary.master_summary import MasterSummary
from astro_calib.night.tasks.task import Outcome
from astro_calib.photometry.sky_noise import SkyNoise
from astro_calib.report.histogram import Histogram

__all__ = ["outcome_of", "plain_outcome"]

#: What an outcome is made of; each is a table with one key, the name of its type.
TYPES = {kind.__name__: kind for kind in (Outcome, FrameSummary, MasterSummary, UnusedFile, SkyNoise, Histogram)}


def plain_outcome(outcome: Outcome, directory: Path) -> Any:
    """
    Return an outcome as JSON holds it; paths in the directory of the results are told from there.

    >>> from pathlib import Path
    >>> from astro_calib.night.tasks.plain_outcome import (
    ...     outcome_of,
    ...     plain_outcome,
    ... )
    >>> from astro_calib.night.tasks.task import Outcome
    >>> outcome = Outcome(
    ...     name="bias",
    ...     files=("masters/master-bias.fits",),
    ...     facts={"exposure_time": float("inf")},
    ... )
    >>> outcome_of(
    ...     plain_outcome(outcome, Path("out")), Path("elsewhere")
    ... ) == outcome
    True
    """
    return _plain(outcome, directory)


def outcome_of(plain: Any, directory: Path) -> Outcome:
    """Return the outcome that `plain_outcome` has written; a ValueError says that it is none."""
    try:
        found = _value(plain, directory)
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        msg = f"no outcome of a task: {error}"
        raise ValueError(msg) from error
    if not isinstance(found, Outcome):
        msg = "no outcome of a task"
        raise ValueError(msg)  # noqa: TRY004  it is in a file, and nobody has given it
    for file in (*found.files, *((found.master,) if found.master else ())):
        inside(file)
    return found


def _plain(value: Any, directory: Path) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else {"number": str(value)}
    if isinstance(value, Remark):
        return {"remark": [value.text, list(value.names)]}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Path):
        inside = value.is_relative_to(directory)
        # The next run may begin in another folder.
        return {"result": value.relative_to(directory).as_posix()} if inside else {"path": str(value.absolute())}
    if type(value).__name__ in TYPES:
        names = [field.name for field in fields(value)] if is_dataclass(value) else value._fields
        return {type(value).__name__: {name: _plain(getattr(value, name), directory) for name in names}}
    if isinstance(value, Mapping):
        return {"table": [[key, _plain(one, directory)] for key, one in value.items()]}
    if isinstance(value, tuple | list):
        return [_plain(one, directory) for one in value]
    if isinstance(value, array):
        return {"array": [value.typecode, value.tolist()]}
    msg = f"the journal cannot hold a {type(value).__name__}"
    raise TypeError(msg)


def _value(plain: Any, directory: Path) -> Any:
    if isinstance(plain, list):
        return tuple(_value(one, directory) for one in plain)
    if not isinstance(plain, dict):
        return plain
    ((kind, content),) = plain.items()
    if kind == "number":
        return float(content)
    if kind == "remark":
        text, names = content
        return Remark(str(text), [str(name) for name in names])
    if kind == "array":
        return array(*content)
    if kind == "path":
        return Path(content)
    if kind == "result":
        return directory / inside(content)
    if kind == "table":
        return {str(key): _value(one, directory) for key, one in content}
    return TYPES[kind](**{str(name): _value(one, directory) for name, one in content.items()})


def inside(file: Any) -> Path:
    """Return a path below the directory of the results; a ValueError if it leads out of it."""
    path = Path(file)
    if path.is_absolute() or not path.parts or ".." in path.parts:
        msg = f"{file!r} is no path of a result"
        raise ValueError(msg)
    return path
