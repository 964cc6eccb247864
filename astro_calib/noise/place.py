"""The master, the role and the region that an array is filed under, and the master in whose file a source is kept."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from astro_calib.noise.window import Key

__all__ = ["Master", "Place", "Role", "known_master", "path_of", "role_of", "whole_region"]

#: What an array is to its master: ``array`` and further words, sorted, lists as tuples.
Role: TypeAlias = tuple[tuple[str, Any], ...]


class Master:
    """
    A frame that others refer to: who it is, and the file that it is in.

    Frames of one identity share one master, and so do frames that were read from files or unpickled.

    Parameters
    ----------
    identity : str
        Found from the frame's pixels, its unit and its sources of noise.
    name : str
        What the frame is called.
    checksum : str or None
        Digest of its pixels, once it was needed.
    path : Path, optional
        The file that it is in, if it is in one.

    Attributes
    ----------
    arrays : mapping of Role to ArrayRef
        Its arrays that somebody refers to.
    sources : mapping of (Key, shape) to NoiseSource
        Its sources that somebody holds, as frames of a shape see them.
    """

    __slots__ = ("__weakref__", "_frames", "arrays", "checksum", "identity", "name", "path", "sources")

    def __init__(self, identity: str, name: str, checksum: str | None = None, path: Path | None = None) -> None:
        self.identity = identity
        self.name = name
        self.checksum = checksum
        self.path = path
        self.arrays: weakref.WeakValueDictionary[Role, Any] = weakref.WeakValueDictionary()
        self.sources: weakref.WeakValueDictionary[tuple[Key, tuple[int, ...]], Any] = weakref.WeakValueDictionary()
        self._frames: tuple[weakref.ref[Any], ...] = ()

    def __repr__(self) -> str:
        return f"<Master {self.name!r}, {self.identity}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.identity, self.name, self.checksum, self.path)

    @property
    def frames(self) -> list[Any]:
        """The frames of this identity that somebody holds."""
        return [frame for reference in self._frames if (frame := reference()) is not None]

    def add_frame(self, frame: Any) -> None:
        """Remember a frame of this identity for as long as somebody holds it."""
        # A new tuple, since other threads may go through the old one.
        self._frames = (*(one for one in self._frames if one() not in (None, frame)), weakref.ref(frame))

    @property
    def is_lost(self) -> bool:
        """Whether its file was removed."""
        # os.path takes what may not be looked at for missing; pathlib stops at it.
        return self.path is not None and not os.path.exists(self.path)  # noqa: PTH110  as said


#: The masters that somebody refers to, by identity.
_known: weakref.WeakValueDictionary[str, Master] = weakref.WeakValueDictionary()
_lock = threading.RLock()


def known_master(
    identity: str, name: str | None = None, checksum: str | None = None, path: Path | None = None
) -> Master:
    """
    The master of an identity; a new one if nobody refers to it yet, or if its pixels are others.

    The checksum is noted if it was not known yet, and the file, which may be another copy than that known before.
    """
    # Frames that are read by several threads at once get one master.
    with _lock:
        master = _known.get(identity)
        if master is None or (checksum is not None and master.checksum not in (None, checksum)):
            master = _known[identity] = Master(identity, name or identity)
        master.checksum = master.checksum or checksum
        if path is not None:
            master.name, master.path = path.name, path
        return master


def _unpickled(identity: str, name: str, checksum: str | None, path: Path | None) -> Master:
    """The master of an identity; its file as the pickle says, unless one is known that is still there."""
    master = known_master(identity, name, checksum)
    if path is not None and (master.path is None or master.is_lost):
        master.path = path
    return master


class Place(NamedTuple):
    """
    What an array is, wherever it lies in memory.

    Attributes
    ----------
    master : Master
        The master that it belongs to.
    role : Role
        What it is there: ``{"array": "data"}``, ``"normalised"`` with the arguments of `flat_correct`, or
        ``"coefficient"`` with a source and the number of the factor.
    shape : tuple of int
        The shape of the whole array.
    region : tuple of range
        Which part of that, along each axis.
    variant : str
        What else its values depend on, in this process, such as the mask of a flat when it was normalised.
    """

    master: Master
    role: Role
    shape: tuple[int, ...]
    region: tuple[range, ...]
    variant: str = ""

    @classmethod
    def of_whole(cls, master: Master, words: Mapping[str, Any], shape: tuple[int, ...], variant: str = "") -> Place:
        """The place of a whole array, with its role in the words that files write."""
        return cls(master, role_of(words), shape, whole_region(shape), variant)

    @property
    def is_whole(self) -> bool:
        """Whether the region is all of the array."""
        return self.region == whole_region(self.shape)

    @property
    def key(self) -> tuple[Any, ...]:
        """The same for equal arrays, and for them only."""
        return "place", self.master.identity, self.master.checksum, self.role, self.region, self.variant

    def cut(self, item: tuple[slice, ...]) -> Place:
        """The place of ``array[item]``."""
        return self._replace(region=tuple(along[part] for along, part in zip(self.region, item, strict=True)))

    @property
    def words(self) -> dict[str, Any]:
        """The role in the words that files write."""
        return {key: _as_list(value) for key, value in self.role}

    @property
    def is_upright(self) -> bool:
        """Whether no axis runs backwards, which files cannot say."""
        return all(along.step > 0 for along in self.region)


def path_of(identity: str) -> Path | None:
    """The file of a master; None if it is in none, or nobody refers to it."""
    master = _known.get(identity)
    return None if master is None else master.path


def whole_region(shape: Iterable[int]) -> tuple[range, ...]:
    """All of an array."""
    return tuple(range(length) for length in shape)


def role_of(words: Mapping[str, Any]) -> Role:
    """A role from its words, as files write them."""
    return tuple(sorted((str(key), _hashable(value)) for key, value in words.items()))


def _hashable(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, type(None))) else tuple(map(_hashable, value))


def _as_list(value: Any) -> Any:
    return list(map(_as_list, value)) if isinstance(value, tuple) else value
