"""The frames that are combined: read, checked to be alike, and left in their files if they can be read by rows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import described
from astro_calib.errors import FrameError, NoiseWarning, ShapeMismatchError, warn
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.rebuild import as_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astro_calib.noise.window import Key
    from astro_calib.stack.overflow import Overflow

__all__ = ["load_inputs", "warn_of_repetition"]

#: The number of values at a pixel is counted in 16 bits.
MAX_FRAMES = np.iinfo(np.uint16).max


def load_inputs(
    frames: Iterable[CCDFrame | str | os.PathLike[str]],
    unit: Any,
    memory_limit: float,
    *,
    by_rows: bool,
    overflow: Overflow,
) -> list[Any]:
    """The frames; raw ones stay in their files, if they can be read by rows; what a generator makes may overflow."""
    if isinstance(frames, str) and "," in frames:
        msg = f"combine takes a list of paths: write combine({[name.strip() for name in frames.split(',')]})."
        raise TypeError(msg)
    if isinstance(frames, (str, os.PathLike, CCDFrame)):
        msg = "combine takes several frames: give a list."
        raise TypeError(msg)
    if isinstance(frames, np.ndarray) or hasattr(frames, "compute") or not isinstance(frames, Iterable):
        remedy = "write combine([CCDFrame(image, unit='adu') for image in array])"
        remedy = remedy if getattr(frames, "ndim", 0) > 2 else "write combine([frame, frame, ...])"
        msg = f"combine takes a list of frames or paths, not {described(frames)}: {remedy}."
        raise TypeError(msg)
    loaded: list[Any] = []
    taken, said = 0, False
    known: set[Key] = set()
    for frame in frames:
        if not isinstance(frame, (str, os.PathLike)):
            loaded.append(as_frame(frame, f"frame {len(loaded)}", any_shape=True).snapshot())
            if isinstance(frames, Iterator):
                # Nobody else holds them.
                overflow.take(loaded)
            continue
        if loaded and by_rows and loaded[0].known_budget is None and loaded[0].ndim == 2:
            loaded.append(_on_disk(Path(frame), unit, loaded, memory_limit))
        else:
            loaded.append(CCDFrame.read(frame, unit=unit))
        more = _bytes_of(loaded[-1], known)
        taken += more
        if more and len(loaded) > 1 and taken > memory_limit and not said:
            _warn_of_memory(len(loaded), taken, memory_limit)
            said = True
    if not loaded:
        msg = (
            "there are no frames to combine; give a list of frames or of files, such as "
            "sorted(Path('raw').glob('bias*.fits'))."
        )
        raise FrameError(msg)
    if len(loaded) > MAX_FRAMES:
        msg = f"there are {len(loaded)} frames to combine; expected {MAX_FRAMES} at most. Combine groups of them first."
        raise FrameError(msg)
    first = loaded[0]
    if first.ndim == 0 or first.size == 0:
        msg = f"{first.name} has no pixels (shape {first.shape})."
        raise FrameError(msg)
    for position, frame in enumerate(loaded[1:], start=1):
        if frame.shape != first.shape:
            msg = (
                f"frame 0 ({first.name}) has shape {first.shape}, frame {position} ({frame.name}) has {frame.shape}; "
                "only frames of one shape can be combined. Trim them to the same section first."
            )
            raise ShapeMismatchError(msg)
        if not frame.unit.is_equivalent(first.unit):
            msg = (
                f"frame 0 ({first.name}) is in {first.unit}, frame {position} ({frame.name}) in {frame.unit}; only "
                "frames of one unit can be combined. Apply gain_correct to all of them, or to none."
            )
            raise u.UnitConversionError(msg)
        if frame.unit != first.unit:
            loaded[position] = overflow.frame(frame.convert_unit_to(first.unit))
    return loaded


def _bytes_of(frame: Any, known: set[Key]) -> int:
    """What a frame that was read takes in memory, less the noise that is known already; it is added to that."""
    if not isinstance(frame, CCDFrame):
        return 0
    planes = [plane for plane in (frame.pixels, frame.mask, frame.flags) if plane is not None]
    sources = [] if frame.known_budget is None else [source for source, _ in frame.known_budget.terms]
    own = [source for source in sources if source.key not in known]
    known |= {source.key for source in own}
    return sum(plane.nbytes for plane in planes) + sum(source.variance.nbytes for source in own)


def _warn_of_memory(number: int, taken: int, memory_limit: float) -> None:
    msg = (
        f"the first {number} frames take {taken / 1e9:.2g} GB of memory, and more are to come: more than memory_limit "
        f"({memory_limit / 1e9:.2g} GB). Only raw frames that are neither scaled nor given a detector are read by "
        "rows. Combine fewer at a time, raise memory_limit, or give a generator, whose frames go to temporary files: "
        "combine((CCDFrame.read(path) for path in paths), memory_limit=...)."
    )
    warn(msg)


def _on_disk(path: Path, unit: Any, loaded: Sequence[Any], memory_limit: float) -> Any:
    """A raw frame in a file to be read by rows; another as it is, or in a file of its own if there is no room."""
    from astro_calib.io.fits.rows import RawOnDisk, raw_on_disk, spilled

    first = loaded[0]
    frame = raw_on_disk(path, first.unit, stated=unit is None)
    same_unit = unit is None or u.Unit(unit) == first.unit
    if frame is not None and same_unit and frame.shape == first.shape:
        return frame
    read = CCDFrame.read(path, unit=unit)
    in_memory = sum(one.pixels.nbytes for one in loaded if isinstance(one, CCDFrame))
    raw = read.known_budget is None and read.mask is None and read.flags is None and read.ndim == 2
    if not raw or in_memory + read.pixels.nbytes < memory_limit / 2:
        return read.snapshot()
    directories = [one.directory for one in loaded if isinstance(one, RawOnDisk) and one.directory is not None]
    directory = directories[0] if directories else TemporaryDirectory(prefix="astro-calib-")
    return spilled(read, directory, len(loaded))


def warn_of_repetition(frames: Sequence[Any]) -> None:
    """The same exposure given twice does not average down; say so, since it is hardly ever meant."""
    known: dict[Any, int] = {}
    for position, frame in enumerate(frames):
        if frame.known_budget is None:
            # Frames that share all their noise hold the same values; exact ones are told apart by their pixels.
            origin = frame.origin
            key: Any = (origin.raw.identity(), origin.window)
        else:
            key = frozenset(source.key for source, _ in frame.known_budget.terms)
        earlier = known.setdefault(key, position)
        if earlier != position:
            msg = (
                f"frames {earlier} ({frames[earlier].name}) and {position} ({frame.name}) are the same exposure; "
                "its noise does not average down with itself. Give each frame once."
            )
            warn(msg, NoiseWarning)
