"""Which cells of a source of noise the pixels of a frame hold."""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["Key", "Window", "along", "compose_windows", "window_of"]


#: For each axis along which a source varies, the cell that the first pixel holds, and the step from pixel to pixel.
Window: TypeAlias = tuple[tuple[int, int], ...]


Key: TypeAlias = tuple[str, tuple[int, ...], Window]


def window_of(part: slice, length: int) -> tuple[int, int]:
    """First pixel and step of a slice of an axis."""
    start, _, step = part.indices(length)
    return start, step


def compose_windows(outer: Window, inner: Window) -> Window:
    """The window of a window: cell = o + s (o' + s' pixel)."""
    return tuple(
        (origin + step * start, step * stride) for (origin, step), (start, stride) in zip(outer, inner, strict=True)
    )


def along(lengths: tuple[int, ...], item: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the index of a part of a frame for an array that broadcasts to the frame."""
    if lengths == shape:
        return item
    missing = len(shape) - len(lengths)
    return tuple(
        slice(None) if length == 1 and shape[missing + axis] != 1 else part
        for axis, (length, part) in enumerate(zip(lengths, item[missing:], strict=True))
    )
