"""The noise and the arrays that a frame has of its masters, from the masters' files."""

from __future__ import annotations

import json
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from astro_calib.errors import FrameError
from astro_calib.io.stored_arrays import MALFORMED, native, window_of_entry
from astro_calib.masters.registry import (
    Master,
    Place,
    array_in_memory,
    coefficient_field,
    found_in,
    master_in_memory,
    path_of,
    remember_array,
    remember_source,
    source_in_memory,
)
from astro_calib.noise.arrays import ArrayRef, LazyArray, SurvivorMask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.coefficient import Coefficient
    from astro_calib.noise.source import NoiseSource

__all__ = ["MasterParts", "MissingMasterError", "StoredMaster"]

#: Frames under one flat refer to one array.
_shared: weakref.WeakValueDictionary[tuple[str, str], LazyArray] = weakref.WeakValueDictionary()


class StoredMaster(Protocol):
    """A master in a file, of which as little as possible was read."""

    name: str
    path: Path | None
    data: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the data."""

    @property
    def terms(self) -> Sequence[tuple[NoiseSource, Coefficient]]:
        """The sources of noise that are known, with their coefficients."""

    @property
    def whole(self) -> CCDFrame:
        """The frame, read once."""


class MissingMasterError(Exception):
    """
    A term needs a master that is not there.

    Parameters
    ----------
    entry : mapping
        Of the list of masters.
    """

    def __init__(self, entry: Mapping[str, Any]) -> None:
        super().__init__(entry["identity"])
        self.entry = entry


class MasterParts:
    """
    What a tree refers to that belongs to masters.

    Parameters
    ----------
    masters : sequence of mapping
        The list of masters in the tree.
    shape : tuple of int
        Of the frame that refers to them.
    find : callable
        Given an entry of the list, finds what is stored of the master; None if it is nowhere.
    """

    def __init__(
        self,
        masters: Sequence[Mapping[str, Any]],
        shape: tuple[int, ...],
        find: Callable[[Mapping[str, Any]], StoredMaster | CCDFrame | None],
    ) -> None:
        self._masters = masters
        self._shape = shape
        self._find = find
        self._found: dict[str, Any] = {}

    def source(self, entry: Mapping[str, Any]) -> NoiseSource:
        """
        The part of a master's source that a frame holds.

        Raises
        ------
        MissingMasterError
            If the master is not found, or has no such source.
        """
        identity, axes = str(entry["identity"]), tuple(map(int, entry["axes"]))
        window = window_of_entry(entry["window"])
        known = source_in_memory((identity, axes, window), self._shape)
        if known is None:
            master = self._masters[int(entry["master"])]
            found = self._stored(master)
            shape, terms = _terms_of(found)
            for source, _ in terms:
                item = _item(source, shape, window, self._shape)
                if source.identity == identity and source.axes == axes and item is not None:
                    known = source.cut(item, shape)
                    break
            else:
                raise MissingMasterError(master)
            found_in(known, _remembered(found, master))
        result = known.replace(name=str(entry["name"]))
        remember_source(result, self._shape)
        return result

    def field(self, entry: Mapping[str, Any]) -> ArrayRef:
        """
        A part of a master's array, which is read when it is asked for.

        Raises
        ------
        MissingMasterError
            If the master is not found.
        """
        master = self._masters[int(entry["master"])]
        identity, shape = str(master["identity"]), tuple(int(length) for length in entry["shape"])
        item = tuple(slice(*map(int, part)) for part in entry["item"])
        role = {key: _plain(value) for key, value in entry.items() if key not in ("master", "item", "shape")}
        key = (identity, json.dumps([role, [list(part) for part in entry["item"]]], sort_keys=True))
        shared = _shared.get(key)
        if shared is not None:
            return shared
        array = array_in_memory(identity, role)
        if array is not None:
            return ArrayRef(array[item])
        found = self._stored(master)
        place = Place(_remembered(found, master), role, item)

        def load() -> NDArray[Any]:
            try:
                array = _array_of(found, role, str(master["checksum"]))
            except FrameError:
                raise
            except MALFORMED as error:
                msg = f"the master {found.name} cannot be used: {error!r}"
                raise FrameError(msg) from error
            # So that parts of it are known, too.
            remember_array(array, place.master, role)
            return array[item]

        return _shared.setdefault(key, LazyArray(shape, load, place))

    def _stored(self, entry: Mapping[str, Any]) -> StoredMaster | CCDFrame:
        """The master, in memory or in a file."""
        identity = str(entry["identity"])
        if identity not in self._found:
            in_memory = master_in_memory(identity)
            self._found[identity] = self._find(entry) if in_memory is None else in_memory
        found: StoredMaster | CCDFrame | None = self._found[identity]
        if found is None:
            raise MissingMasterError(entry)
        return found


def _plain(value: Any) -> Any:
    """Lists of whichever type as lists."""
    return value if isinstance(value, (str, int, float, type(None))) else [_plain(part) for part in value]


def _remembered(found: StoredMaster | CCDFrame, entry: Mapping[str, Any]) -> Master:
    from astro_calib.frame.frame import CCDFrame

    path = path_of(str(entry["identity"])) if isinstance(found, CCDFrame) else found.path
    return Master(str(entry["identity"]), str(entry["name"]), str(entry["checksum"]), path)


def _terms_of(found: StoredMaster | CCDFrame) -> tuple[tuple[int, ...], Sequence[tuple[NoiseSource, Coefficient]]]:
    from astro_calib.frame.frame import CCDFrame

    if isinstance(found, CCDFrame):
        return found.shape, () if found.known_budget is None else found.known_budget.terms
    return found.shape, found.terms


def _array_of(found: StoredMaster | CCDFrame, role: Mapping[str, Any], checksum: str) -> NDArray[Any]:
    """An array of a master."""
    from astro_calib.dtypes import floating
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.masters.normalise import normalised
    from astro_calib.noise.identity import content_digest

    if role["array"] == "coefficient":
        field = coefficient_field(_terms_of(found)[1], role)
        if field is None:
            msg = f"the master {found.name} has no coefficient like that which was used."
            raise FrameError(msg)
        return field.plane.array if isinstance(field, SurvivorMask) else field.array
    if not isinstance(found, CCDFrame):
        if content_digest(native(found.data)) != checksum:
            msg = f"the pixels of the master {found.name} are not those that were used: their checksum differs."
            raise FrameError(msg)
        found = found.whole
    if role["array"] == "data":
        data = floating(found.pixels)
        return data * float(role["factor"]) if "factor" in role else data
    if role["array"] == "normalised":
        return normalised(found, role["min_value"], role["norm_value"]).pixels
    msg = f"{role['array']!r} is no array of a master; is the file from a later version?"
    raise FrameError(msg)


def _item(
    source: NoiseSource, whole: tuple[int, ...], window: tuple[tuple[int, int], ...], shape: tuple[int, ...]
) -> tuple[slice, ...] | None:
    """The slices of a master's frame that hold a window of one of its sources; None if they do not."""
    if len(whole) != len(shape) or len(window) != len(source.window):
        return None
    item = [slice(0, length) for length in shape]
    for axis, (origin, step), (start, stride) in zip(source.axes, source.window, window, strict=True):
        first, rest = divmod(start - origin, step)
        every, uneven = divmod(stride, step)
        last = first + (shape[axis] - 1) * every
        if rest or uneven or every == 0 or not (0 <= first < whole[axis] and 0 <= last < whole[axis]):
            return None
        end = last + (1 if every > 0 else -1)
        item[axis] = slice(first, end if end >= 0 else None, every)
    return tuple(item)
