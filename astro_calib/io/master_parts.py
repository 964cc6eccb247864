"""The noise and the arrays that a frame has of its masters, from the masters' files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from astro_calib.dtypes import floating
from astro_calib.errors import FrameError
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.lending import frame_in_memory
from astro_calib.io.stored_arrays import MALFORMED, native, window_of_entry
from astro_calib.masters.normalise import normalised
from astro_calib.masters.shutter import exposed_part
from astro_calib.noise.arrays import LazyArray, SurvivorMask, TableArray
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.identity import content_digest
from astro_calib.noise.place import Place, known_master, role_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from astro_calib.noise.arrays import ArrayRef
    from astro_calib.noise.place import Master
    from astro_calib.noise.source import NoiseSource

__all__ = ["MasterParts", "MissingMasterError", "StoredMaster"]


NOTHING = Coefficient(0.0)


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
        self._entries = masters
        self._masters = [
            known_master(str(entry["identity"]), str(entry["name"]), str(entry["checksum"])) for entry in masters
        ]
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
        master = self._masters[int(entry["master"])]
        known: NoiseSource | None = master.sources.get(((identity, axes, window), self._shape))
        if known is None:
            found = self._stored(master)
            shape, terms = _terms_of(found)
            for source, _ in terms:
                item = _item(source, shape, window, self._shape)
                if source.identity == identity and source.axes == axes and item is not None:
                    known = source.cut(item, shape).lent_by(master)
                    break
            else:
                raise MissingMasterError(self._entries[int(entry["master"])])
        result = known.replace(name=str(entry["name"]))
        master.sources[result.key, self._shape] = result
        return result

    def array(self, entry: Mapping[str, Any]) -> ArrayRef:
        """
        A part of a master's array, which is read when it is asked for.

        Raises
        ------
        MissingMasterError
            If the master is not found.
        """
        master = self._masters[int(entry["master"])]
        item = tuple(slice(*map(int, part)) for part in entry["item"])
        words = {key: _plain(value) for key, value in entry.items() if key not in ("master", "item", "shape")}
        whole: ArrayRef | None = master.arrays.get(role_of(words))
        if whole is None:
            whole = self._whole(self._stored(master), master, words)
            whole = master.arrays.setdefault(role_of(words), whole)
        return whole.cut(item)

    def _whole(self, found: StoredMaster | CCDFrame, master: Master, words: Mapping[str, Any]) -> ArrayRef:
        """The whole of an array of a master."""
        if words["array"] != "coefficient":
            place = Place.of_whole(master, words, found.shape)
            return LazyArray(found.shape, lambda: _pixels_of(found, words, master.checksum), place)
        array = _coefficient_array(_terms_of(found)[1], words)
        if array is None:
            msg = f"the master {found.name} has no coefficient like that which was used."
            raise FrameError(msg)
        place = Place.of_whole(master, words, array.shape)
        return array.named(place) if not isinstance(array, TableArray) else self._table(array, place, found, words)

    def _table(
        self, table: TableArray, place: Place, found: StoredMaster | CCDFrame, words: Mapping[str, Any]
    ) -> TableArray:
        """A table with the plane that others have of the same master, so that nobody holds it twice."""
        plane, patterns, values = table.entries
        for number in range(len(_coefficient(_terms_of(found)[1], words).arrays)):
            of_plane = {**words, "number": number}
            if _coefficient_array(_terms_of(found)[1], of_plane) is plane:
                role = role_of(of_plane)
                named = plane.named(Place.of_whole(place.master, of_plane, plane.shape))
                plane = place.master.arrays.setdefault(role, named)
                break
        return TableArray(plane, patterns, values, place)

    def _stored(self, master: Master) -> StoredMaster | CCDFrame:
        """The master, in memory or in a file."""
        if master.identity not in self._found:
            in_memory: CCDFrame | None = frame_in_memory(master)
            entry = self._entries[self._masters.index(master)]
            self._found[master.identity] = self._find(entry) if in_memory is None else in_memory
        found: StoredMaster | CCDFrame | None = self._found[master.identity]
        if found is None:
            raise MissingMasterError(self._entries[self._masters.index(master)])
        if master.path is None and not isinstance(found, CCDFrame):
            known_master(master.identity, master.name, master.checksum, found.path)
        return found


def _plain(value: Any) -> Any:
    """Lists of whichever type as lists."""
    return value if isinstance(value, (str, int, float, type(None))) else [_plain(part) for part in value]


def _terms_of(found: StoredMaster | CCDFrame) -> tuple[tuple[int, ...], Sequence[tuple[NoiseSource, Coefficient]]]:
    if isinstance(found, CCDFrame):
        return found.shape, () if found.known_budget is None else found.known_budget.terms
    return found.shape, found.terms


def _pixels_of(found: StoredMaster | CCDFrame, words: Mapping[str, Any], checksum: str | None) -> NDArray[Any]:
    """The pixels of a master, as they are in a role."""
    if not isinstance(found, CCDFrame) and content_digest(native(found.data)) != checksum:
        msg = f"the pixels of the master {found.name} are not those that were used: their checksum differs."
        raise FrameError(msg)
    try:
        frame = found if isinstance(found, CCDFrame) else found.whole
        if words["array"] == "data":
            data = floating(frame.pixels)
            return data * float(words["factor"]) if "factor" in words else data
        if words["array"] in ("normalised", "normalised by colour"):
            by_colour = words["array"] != "normalised"
            return normalised(frame, words["min_value"], words["norm_value"], by_colour=by_colour).pixels
        if words["array"] == "exposed part":
            return exposed_part(frame, float(words["seconds"])).pixels
    except FrameError:
        raise
    except MALFORMED as error:
        msg = f"the master {found.name} cannot be used: {error!r}"
        raise FrameError(msg) from error
    msg = f"{words['array']!r} is no array of a master; is the file from a later version?"
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


def _coefficient(terms: Iterable[tuple[NoiseSource, Coefficient]], words: Mapping[str, Any]) -> Coefficient:
    """The coefficient of the source that words of a file name; zero if a master has no such source."""
    return next((c for source, c in terms if source.address == words.get("source")), NOTHING)


def _coefficient_array(terms: Iterable[tuple[NoiseSource, Coefficient]], words: Mapping[str, Any]) -> ArrayRef | None:
    """The array in a coefficient of a master that words of a file mean; None if there is none."""
    coefficient = _coefficient(terms, words)
    if not 0 <= words["number"] < len(coefficient.arrays):
        return None
    array = coefficient.arrays[words["number"]]
    return array.plane if isinstance(array, SurvivorMask) else array
