"""Frames from what was found in a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.errors import FrameError, NoiseWarning, warn
from astro_calib.frame.history import History
from astro_calib.frame.lending import file_frame
from astro_calib.frame.write_guard import ReadOnlyValues, WriteGuard
from astro_calib.io.budget_reader import BudgetReader
from astro_calib.io.memory import SMALL, available_memory
from astro_calib.io.stored_arrays import bits, window_of_entry
from astro_calib.io.tree import VERSION
from astro_calib.noise.origin import Origin, RawPixels
from astro_calib.noise.place import known_master

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.coefficient import Coefficient
    from astro_calib.noise.source import NoiseSource

__all__ = ["Stored"]


@dataclass
class Stored:
    """
    What was found in a file; arrays may still be on disk.

    Parameters
    ----------
    name : str
        What messages call it.
    path : Path or None
        The file.
    data, total, mask, flags, psf : array_like or None
        The arrays of the frame; ``total`` is its variance.
    tree : mapping
        As `astro_calib.io.tree` and the formats make it.
    unit, meta, wcs
        As of the frame.
    find : callable
        Given an entry of the list of masters, finds what is stored of it; None if it is nowhere.
    """

    name: str
    path: Path | None
    data: Any
    total: Any
    tree: Mapping[str, Any]
    unit: Any
    meta: Any = None
    wcs: Any = None
    mask: Any = None
    flags: Any = None
    psf: Any = None
    find: Callable[[Mapping[str, Any]], Stored | CCDFrame | None] = field(default=lambda _: None)

    def __post_init__(self) -> None:
        version = self.tree["version"]
        if version > VERSION:
            msg = f"its format is version {version}; this astro-calib reads up to {VERSION}: update it."
            raise FrameError(msg)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the data."""
        return tuple(np.shape(self.data))

    @cached_property
    def reader(self) -> BudgetReader:
        """The budget that is stored, and what of it could not be found."""
        return BudgetReader(self.tree["budget"], self.data, self.total, self.find)

    @property
    def terms(self) -> Sequence[tuple[NoiseSource, Coefficient]]:
        """The sources of noise that are known, with their coefficients; arrays are read when they are asked for."""
        return self.reader.terms if self.tree.get("budget") else ()

    @cached_property
    def whole(self) -> CCDFrame:
        """The frame, read once."""
        return self.frame()

    def frame(self, *, copy: bool = True) -> CCDFrame:
        """
        The frame.

        Parameters
        ----------
        copy : bool
            Whether its arrays are in memory of their own.

        Raises
        ------
        FrameError
            If something is missing or damaged.
        """
        from astro_calib.frame.frame import CCDFrame

        def own(array: Any, dtype: Any = None) -> Any:
            array = np.asarray(array)
            wanted = np.dtype(dtype or array.dtype)
            if not {array.dtype.kind, wanted.kind} <= set("buif"):
                msg = f"it holds an array of type {array.dtype}, which is to become {wanted}."
                raise FrameError(msg)
            size = array.size * wanted.itemsize
            if size > SMALL and size > available_memory():
                msg = f"it announces an array of shape {array.shape}, more than the memory that is free."
                raise FrameError(msg)
            return array.astype(wanted.newbyteorder("="), copy=copy)

        guard = WriteGuard()
        data = own(self.data, np.dtype(self.tree["dtype"]))
        budget = None
        if self.tree.get("budget") is not None:
            if self.total is None:
                msg = "it has a budget, but no variance."
                raise FrameError(msg)
            total = own(self.total, np.dtype(self.tree["budget"]["dtype"]))
            if total.shape != data.shape:
                msg = f"its data have shape {data.shape}, its variance {total.shape}."
                raise FrameError(msg)
            budget = self.reader.budget(total)
            if copy:
                # The file is no longer needed for what is in memory.
                self.reader.hold(ReadOnlyValues(data, guard), total)
        frame = CCDFrame(
            data,
            unit=self.unit,
            mask=None if self.mask is None else own(self.mask, np.bool_),
            flags=None if self.flags is None else bits(own(self.flags)),
            meta=self.meta,
            wcs=self.wcs,
            psf=None if self.psf is None else own(self.psf),
            name=self.name,
            budget=budget,
            history=self._history(None if self.tree.get("n_used") is None else own(self.tree["n_used"], np.uint16)),
            guard=guard,
        )
        if budget is not None and self.reader.missing:
            self._warn_of_missing(self.reader.missing)
        else:
            identity, checksum = str(self.tree["frame_id"]), self.tree.get("checksum")
            file_frame(frame, known_master(identity, self.name, checksum, self.path))
        return frame

    def _history(self, n_used: NDArray[np.uint16] | None) -> History:
        step = self.tree.get("digital_step")
        return History(
            origin=_origin(self.tree.get("origin")),
            flattened_step=None if step is None else float(step),
            applied=tuple((str(kind), str(identity)) for kind, identity in self.tree.get("applied") or ()),
            provenance=tuple(self.tree.get("provenance") or ()),
            n_used=n_used,
        )

    def _warn_of_missing(self, missing: Sequence[Mapping[str, Any]]) -> None:
        files = []
        for entry in missing:
            file = str(entry["file"]).rpartition("/")[2] if entry.get("file") else "in no file when this was written"
            files.append(f"{entry['name']} ({file}; identity {entry['identity']})")
        one = len(files) == 1
        msg = (
            f"{self.name}: the master{'' if one else 's'} {', '.join(files)} {'was' if one else 'were'} not found: "
            f"{'its' if one else 'their'} noise in this frame is treated as independent of that in other frames. "
            "Data and variance are not affected. For covariances and stacks put the "
            f"file{'' if one else 's'} beside this one, or give the directory: masters=..."
        )
        warn(msg, NoiseWarning)


def _origin(entry: Any) -> Origin | None:
    if entry is None:
        return None
    raw = RawPixels.known(tuple(map(int, entry["shape"])), str(entry["identity"]), float(entry["quantum"]))
    return Origin(raw, window_of_entry(entry["window"]))
