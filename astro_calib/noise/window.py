"""Which cells of a source of noise the pixels of a frame hold."""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["Key", "Window", "compose_windows", "window_of"]


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
