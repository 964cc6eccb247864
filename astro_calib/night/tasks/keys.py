"""Keys of tasks: two of the same key have the same result, for all that it hangs on is the same."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.night.profiles.steps import FILES
from astro_calib.night.summary.made import versions
from astro_calib.night.tasks.task import BIAS, DARK, FLAT, LENT, SCIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.plan.night_plan import NightPlan
    from astro_calib.night.plan.plan import Plan
    from astro_calib.night.tasks.task import Task

__all__ = ["digest_of", "keys_of"]

#: What is known of a raw frame that does not change what is made of it: it is as it was, or it is said elsewhere.
OF_NO_MATTER = {"path", "state", "profile", "remarks", "why", "misfit", "unusable", "beyond", "hints"}


def digest_of(*values: Any) -> str:
    """
    Return a digest of values, the same in each process.

    >>> from astro_calib.night.tasks.keys import digest_of
    >>> digest_of({"a": 1.0, "b": (2, None)}) == digest_of(
    ...     {"b": (2, None), "a": 1.0}
    ... )
    True
    """
    digest = blake2b(digest_size=16)
    for piece in _pieces(values):
        digest.update(len(piece).to_bytes(8, "little"))
        digest.update(piece)
    return digest.hexdigest()


def keys_of(
    tasks: Iterable[Task], night: NightPlan, called: Mapping[Path, str], choices: Mapping[str, Any]
) -> dict[str, str]:
    """
    Return the key of each task by its name: of raw files, numbers and choices, and of the masters that it needs.

    ``called`` is what raw files are called, ``choices`` what is made of a science frame.
    """
    keys: dict[str, str] = {}
    setups = [_Setup(plan) for plan in night.setups]
    for task in tasks:
        setup = setups[task.setup]
        chosen = choices if task.kind == SCIENCE else choices["pictures"]
        raw = [_raw(frame, called) for frame in _frames(task, setup)]
        lent = _lent(setup.plan.loan.masters[task.of]) if task.kind == LENT else None
        needs = [keys[name] for name in task.needs]
        keys[task.name] = digest_of(task.name, task.file, setup.digest, chosen, raw, lent, needs)
    return keys


class _Setup:
    """A setup, with a digest of all that its tasks have in common; frames by what they are of, found once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.science, self.groups = plan.science, plan.flat_groups
        steps = plan.profile.steps
        #: What a frame is compared with has a say in its hits.
        self.others = plan.compared_with
        files = {name: getattr(steps, name) for name in FILES}
        paths = [
            path for one in files.values() if one for path in (one.values() if isinstance(one, Mapping) else [one])
        ]
        bad = plan.bad_pixels()
        self.digest = digest_of(
            versions(),
            _code(),
            replace(plan.profile, why="", description="", source=""),
            [_contents(path) for path in paths],
            bad,
            [plan.name, plan.title, plan.camera, plan.image_excess, plan.pedestal, plan.bias_in_darks],
            [plan.frames[0].overscans, plan.trim, plan.frames[0].shape],
        )


def _frames(task: Task, setup: _Setup) -> tuple[RawFrame, ...]:
    """The raw frames that a task reads."""
    if task.kind == BIAS:
        return setup.plan.biases
    if task.kind == DARK:
        return setup.plan.darks[task.of]
    if task.kind == FLAT:
        return setup.groups[task.of]
    if task.kind == SCIENCE:
        frame = setup.science[task.of]
        return (frame, *setup.others.get(frame.name, ()))
    return ()


def _raw(frame: RawFrame, called: Mapping[Path, str]) -> dict[str, Any]:
    known = {field.name: getattr(frame, field.name) for field in fields(frame) if field.name not in OF_NO_MATTER}
    return known | {"path": os.path.realpath(frame.path), "called": called[frame.path]}


def _lent(one: Any) -> list[Any]:
    return [one.master, one.days, one.other_level, _contents(one.master.path)]


def _contents(path: Path) -> str:
    """A digest of what is in a file; empty if it cannot be read, which is told where it is needed."""
    try:
        with path.open("rb") as file:
            return file_digest(file, "blake2b").hexdigest()
    except OSError:
        return ""


@cache
def _code() -> str:
    """A digest of the code of a version that is still worked on, and so may change from run to run."""
    if ".dev" not in versions()["astro-calib"]:
        return ""
    package = Path(__file__).parents[2]
    return digest_of([(path.relative_to(package), path.read_bytes()) for path in sorted(package.rglob("*.py"))])


def _pieces(value: Any) -> Iterator[bytes]:
    """A value in pieces; what is different gives other ones, and the order of a set or a mapping makes none."""
    if isinstance(value, np.ndarray):
        # A quantity is one with a unit.
        yield f"array {value.dtype.str} {value.shape} {getattr(value, 'unit', '')}".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif value is None or isinstance(value, str | bytes | int | float | np.generic | Path):
        yield f"{type(value).__name__} {value!r}".encode("utf-8", "surrogateescape")
    elif isinstance(value, Mapping) and not is_dataclass(value):
        parts = sorted((b"".join(_pieces(key)), b"".join(_pieces(one))) for key, one in value.items())
        yield f"mapping {len(parts)}".encode()
        yield from (piece for pair in parts for piece in pair)
    elif isinstance(value, set | frozenset):
        yield f"set {len(value)}".encode()
        yield from sorted(b"".join(_pieces(one)) for one in value)
    elif isinstance(value, tuple | list):
        yield f"sequence {len(value)}".encode()
        for one in value:
            yield from _pieces(one)
    else:
        yield type(value).__name__.encode()
        yield from _pieces(_parts(value))


def _parts(value: Any) -> dict[str, Any]:
    """What an object is made of."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    found = dict(vars(value)) if hasattr(value, "__dict__") else {}
    slots = {name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())}
    found |= {name: getattr(value, name) for name in slots if hasattr(value, name)}
    if not found:
        msg = f"{value!r} cannot be told from another {type(value).__name__}"
        raise TypeError(msg)
    return found
