"""
Which noise and which arrays belong to which master, so that a frame's file can refer to the master's file.

The sources of noise of a bias, a dark and a flat, and the flat's own data, are in all frames that they were applied to.
In a file each is written once, in that of its master. What is known here is known as long as somebody holds the frames
or arrays concerned, and only within this process.
"""

from __future__ import annotations

import hashlib
import os
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.dtypes import floating
from astro_calib.frame.operands import OBSERVERS
from astro_calib.noise.arrays import SELF_DATA, LazyArray, SurvivorMask
from astro_calib.noise.identity import content_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.arrays import ArrayRef
    from astro_calib.noise.coefficient import Coefficient
    from astro_calib.noise.source import NoiseSource
    from astro_calib.noise.window import Key

__all__ = [
    "Master",
    "Place",
    "applied",
    "array_in_memory",
    "coefficient_field",
    "converted",
    "filed",
    "found_in",
    "frame_identity",
    "home",
    "locate",
    "master_in_memory",
    "master_of",
    "path_of",
    "remember_array",
    "remember_source",
    "source_in_memory",
    "stands_for",
]


class Master:
    """
    What is remembered of a frame that was applied to others.

    Parameters
    ----------
    identity : str
        Of the frame: of its pixels, its unit and its sources of noise.
    name : str
        What the frame is called.
    checksum : str or None
        Digest of its pixels, once it was needed.
    path : Path, optional
        The file that it is in, if it is in one.
    """

    __slots__ = ("__weakref__", "checksum", "identity", "name", "path")

    def __init__(self, identity: str, name: str, checksum: str | None, path: Path | None = None) -> None:
        self.identity = identity
        self.name = name
        self.checksum = checksum
        self.path = path


class Place(NamedTuple):
    """
    Where an array can be had from.

    Attributes
    ----------
    master : Master
        The master that it belongs to.
    role : mapping
        What it is there: ``{"array": "data"}``, ``"normalised"`` with the arguments of `flat_correct`, or
        ``"coefficient"`` with a source and the number of the factor.
    item : tuple of slice
        Which part of that.
    """

    master: Master
    role: Mapping[str, Any]
    item: tuple[slice, ...]


class _Known(NamedTuple):
    owner: weakref.ref[NDArray[Any]]
    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]
    master: Master
    role: Mapping[str, Any]


_masters: weakref.WeakKeyDictionary[CCDFrame, tuple[Any, Master]] = weakref.WeakKeyDictionary()
#: Masters in another unit than that which they were given in.
_conversions: weakref.WeakSet[CCDFrame] = weakref.WeakSet()
#: The master in whose file a source is written, and the one in whose file it would be if that were applied.
_homes: weakref.WeakValueDictionary[tuple[str, tuple[int, ...]], Master] = weakref.WeakValueDictionary()
_filed: weakref.WeakValueDictionary[tuple[str, tuple[int, ...]], Master] = weakref.WeakValueDictionary()
_sources: weakref.WeakValueDictionary[tuple[Key, tuple[int, ...]], NoiseSource] = weakref.WeakValueDictionary()
#: Those that were found in files by their identities, for as long as this process runs: a few words each.
_found: dict[str, Master] = {}
#: Those of which all is noted.
_applied: weakref.WeakSet[Master] = weakref.WeakSet()
#: So many pixels along each axis are in a frame's identity.
PIXELS = 64
#: By the memory that they are in, for as long as somebody holds it.
_arrays: dict[tuple[Any, ...], _Known] = {}


def frame_identity(frame: CCDFrame) -> str:
    """The identity of a frame as a master: from its sources of noise, its unit, and some of its pixels."""
    budget = frame.known_budget
    keys = [] if budget is None else sorted(source.key for source, _ in budget.terms)
    some = frame.pixels[tuple(slice(None, None, max(1, length // PIXELS)) for length in frame.shape)]
    text = hashlib.blake2b(f"{frame.shape}|{frame.unit}|{keys}".encode(), digest_size=12)
    text.update(np.ascontiguousarray(some, dtype=np.float64).tobytes())
    return "frame:" + text.hexdigest()


def master_of(frame: CCDFrame) -> Master:
    """What is remembered of a frame; made when it is first asked for, and anew after the frame has changed."""
    _ = frame.known_budget  # which notices whether the data were written into
    known = _masters.get(frame)
    if known is not None and known[0] == _present(frame):
        return known[1]
    master = Master(frame_identity(frame), frame.name, None)
    _remembered(frame, master)
    return master


def _present(frame: CCDFrame) -> tuple[Any, ...]:
    return frame.known_budget, frame.pixels.__array_interface__["data"][0], str(frame.unit)


def _remembered(frame: CCDFrame, master: Master) -> None:
    _masters[frame] = (_present(frame), master)


def _all_remembered() -> Iterator[tuple[CCDFrame, Master]]:
    """The frames that somebody holds, and what is remembered of them; other threads may add to them meanwhile."""
    for reference in list(_masters.keyrefs()):
        frame = reference()
        known = None if frame is None else _masters.get(frame)
        if frame is not None and known is not None:
            yield frame, known[1]


def applied(frame: CCDFrame) -> None:
    """Take note that a frame is a master: what others have of it is not written into their files."""
    known = _masters.get(frame)
    if known is not None and known[1] in _applied and known[0] == _present(frame):
        return
    master = master_of(frame)
    _applied.add(master)
    if master.checksum is None:
        master.checksum = content_digest(frame.pixels)
    if frame.known_budget is not None:
        for source, coefficient in frame.known_budget.terms:
            key = source.identity, source.axes
            if _lost(_homes.get(key)):
                in_file = _filed.get(key)
                _homes[key] = master if in_file is None or _lost(in_file) else in_file
            for number, field in enumerate(_fields(coefficient)):
                if field is not SELF_DATA and not isinstance(
                    field.plane if isinstance(field, SurvivorMask) else field, LazyArray
                ):
                    remember_array(_memory(field), master, coefficient_role(source, number))
    remember_array(floating(frame.pixels), master, {"array": "data"})


def _lost(master: Master | None) -> bool:
    """Whether there is no such master, or none any more: its file was removed."""
    # What may not be looked at is not there for os.path; pathlib stops at it.
    return master is None or (master.path is not None and not os.path.exists(master.path))  # noqa: PTH110  as said


def stands_for(frame: CCDFrame, master: CCDFrame) -> None:
    """Take note that a frame is a master, noted as applied, under another object for the time of a calculation."""
    _remembered(frame, master_of(master))


def converted(frame: CCDFrame, master: CCDFrame, factor: float | None) -> None:
    """
    Take note that a frame is a master in another unit.

    Parameters
    ----------
    frame : CCDFrame
        The master times the factor.
    master : CCDFrame
        The master as it was given, and noted as applied.
    factor : float or None
        None if it is not the same for all pixels.
    """
    known = master_of(master)
    _masters[frame] = (_present(frame), known)
    _conversions.add(frame)
    if factor is not None:
        remember_array(frame.pixels, known, {"array": "data", "factor": factor})


def coefficient_role(source: NoiseSource, number: int) -> dict[str, Any]:
    """What the array of a factor is that is in a coefficient of a master."""
    window = [list(part) for part in source.window]
    return {"array": "coefficient", "source": [source.identity, list(source.axes), window], "number": number}


def coefficient_field(terms: Iterable[tuple[NoiseSource, Coefficient]], role: Mapping[str, Any]) -> ArrayRef | None:
    """The factor of that role in a master's budget; None if there is none."""
    for source, coefficient in terms:
        if coefficient_role(source, role["number"]) == role:
            fields = _fields(coefficient)
            return fields[role["number"]] if 0 <= role["number"] < len(fields) else None
    return None


def _fields(coefficient: Coefficient) -> list[ArrayRef]:
    return [field for _, factors in coefficient.monomials for field, _ in factors]


def _memory(field: ArrayRef) -> NDArray[Any]:
    return field.plane.array if isinstance(field, SurvivorMask) else field.array


def used_as_operand(frame: Any, array: NDArray[Any] | None) -> None:
    """Take note of an operand of arithmetic, which counts as a master if it is in a file."""
    known = _masters.get(frame)
    if known is not None and known[1].path is not None and master_of(frame).path is not None:
        applied(frame)
        if array is not None:
            remember_array(array, master_of(frame), {"array": "data"})


OBSERVERS.append(used_as_operand)


def filed(frame: CCDFrame, master: Master, elsewhere: frozenset[str] = frozenset()) -> None:
    """
    Take note of the file that a frame is in.

    Parameters
    ----------
    frame : CCDFrame
        The frame.
    master : Master
        What the file says of it.
    elsewhere : frozenset of str
        Identities of sources that are not in this file, but in that of another master.
    """
    _remembered(frame, master)
    if frame.known_budget is not None:
        for source, _ in frame.known_budget.terms:
            if source.identity not in elsewhere:
                _filed[source.identity, source.axes] = master


def path_of(identity: str) -> Path | None:
    """The file of a master; None if it is in none, or nobody holds the master any more."""
    paths = (master.path for _, master in _all_remembered() if master.identity == identity)
    return next((path for path in paths if path is not None), None)


def home(source: NoiseSource) -> Master | None:
    """The master in whose file a source is written; None for a frame's own."""
    return _homes.get((source.identity, source.axes))


def master_in_memory(identity: str) -> CCDFrame | None:
    """A frame of that identity, if there is one in this process that was not changed since."""
    for frame, master in _all_remembered():
        same = master.identity == identity and frame not in _conversions
        if same and master_of(frame).identity == identity:
            return frame
    return None


def array_in_memory(identity: str, role: Mapping[str, Any]) -> NDArray[Any] | None:
    """An array of a master, if some frame still refers to it."""
    for known in list(_arrays.values()):
        owner = known.owner()
        if owner is not None and known.master.identity == identity and known.role == role:
            memory = owner if owner.flags.c_contiguous else owner.T
            if memory.flags.c_contiguous:
                offset = known.address - owner.__array_interface__["data"][0]
                return np.ndarray(known.shape, known.dtype, memory.data, offset, known.strides)
    return None


def remember_source(source: NoiseSource, shape: tuple[int, ...]) -> None:
    """Take note of a source, as a frame of some shape holds it, that is written in the file of another."""
    _sources[source.key, shape] = source


def source_in_memory(key: Key, shape: tuple[int, ...]) -> NoiseSource | None:
    """A source that some frame still holds, just this region of it."""
    return _sources.get((key, shape))


def found_in(source: NoiseSource, master: Master) -> None:
    """Take note of the master in whose file a source was found, so that it need not be written with other frames."""
    key = source.identity, source.axes
    if _lost(_found.get(master.identity)):
        _found[master.identity] = master
    if _lost(_homes.get(key)):
        _homes[key] = _found[master.identity]


def remember_array(array: NDArray[Any], master: Master, role: Mapping[str, Any]) -> None:
    """Take note that an array can be had from a master; the first that it is known of counts."""
    address = array.__array_interface__["data"][0]
    key = (address, array.shape, array.strides, array.dtype.str)
    if key in _arrays:
        return
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    alive = weakref.ref(owner, lambda _: _arrays.pop(key, None))
    _arrays[key] = _Known(alive, address, array.shape, array.strides, array.dtype, master, role)


def locate(field: ArrayRef) -> Place | None:
    """Where the array of a field can be had from; None if it belongs to no master."""
    if isinstance(field, LazyArray) and field.place is not None:
        place: Place = field.place
        return place
    array = _memory(field)
    for known in list(_arrays.values()):
        item = None if known.owner() is None else _slices(array, known)
        if item is not None:
            return Place(known.master, known.role, item)
    return None


def _slices(part: NDArray[Any], whole: _Known) -> tuple[slice, ...] | None:
    """The slices that cut one array out of another that is in the same memory; None if it is not there."""
    if part.dtype != whole.dtype or part.ndim != len(whole.shape) or not part.size:
        return None
    offset = part.__array_interface__["data"][0] - whole.address
    if offset < 0 or min(whole.strides, default=0) <= 0:
        return None
    item = []
    for axis in sorted(range(part.ndim), key=lambda axis: -whole.strides[axis]):
        start, offset = divmod(offset, whole.strides[axis])
        step, rest = divmod(part.strides[axis], whole.strides[axis])
        stop = start + (part.shape[axis] - 1) * step + 1
        if rest or step <= 0 or stop > whole.shape[axis]:
            return None
        item.append((axis, slice(start, stop, step)))
    return None if offset else tuple(one for _, one in sorted(item, key=lambda pair: pair[0]))
