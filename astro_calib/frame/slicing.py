"""Cutting a frame: its pixels, its budget, its WCS and its place in the raw frame."""

from __future__ import annotations

from typing import Any, Self

from astropy.nddata import VarianceUncertainty
from astropy.wcs import WCS

from astro_calib.arguments import described
from astro_calib.errors import warn
from astro_calib.frame.base import BaseFrame
from astro_calib.frame.bayer_cards import cards_of_cut
from astro_calib.frame.checks import warn_of_lost_sources
from astro_calib.frame.wcs import cut_wcs
from astro_calib.noise.window import compose_windows, window_of

__all__ = ["Slicing"]


class Slicing(BaseFrame):
    """Indexing: ``frame[rows, columns]``."""

    def __getitem__(self, item: Any) -> Self:
        if self.shape == ():
            msg = "scalars cannot be sliced."
            raise TypeError(msg)
        try:
            kwargs = self._slice(item)
        except (IndexError, TypeError) as error:
            remedy = "slices of rows and columns, as in frame[10:20, 5:15]"
            if isinstance(item, str):
                remedy += f", or trim_image(frame, {item!r}) for a FITS section"
            msg = (
                f"{self.name} has shape {self.shape} and cannot be cut by {described(item)} ({error}): write {remedy}."
            )
            raise IndexError(msg) from error
        return type(self)(**kwargs)

    def __setitem__(self, item: Any, value: Any) -> None:
        msg = (
            f"{self.name}: values are written into its array, as in frame.data[10:20, 5:15] = 0; the variance is then "
            "no longer that of the sources."
        )
        raise TypeError(msg)

    def _slice(self, item: Any) -> dict[str, Any]:
        slices = _plain_slices(item, self.ndim)
        guard = None if slices is None or self._guard is None or self._guard.checksum is not None else self._guard
        part = self.data[item] if guard is None else self._data[item]
        kwargs: dict[str, Any] = {
            "data": part,
            "guard": None if guard is None else guard.of_part(self._data, part),
            "mask": self._slice_mask(item),
            "wcs": self._slice_wcs(item),
            "unit": self.unit,
            "meta": self.meta if slices is None else cards_of_cut(self.meta, slices, self.shape, self.name),
            "name": self._name,
            "flags": None if self.flags is None else self.flags[item],
        }
        budget, origin = self.known_budget, self.origin
        cut = None
        if slices is not None:
            if origin is not None:
                moves = tuple(window_of(part, length) for part, length in zip(slices, self.shape, strict=True))
                cut = origin.cut(compose_windows(origin.window, moves), slices, self.shape)
            if budget is not None:
                kwargs["budget"] = budget[slices]
        elif budget is not None:
            warn_of_lost_sources(self.name, "an index other than slices takes out single pixels")
            kwargs["uncertainty"] = VarianceUncertainty(budget.variance()[item], unit=self.unit**2)
        kwargs["history"] = self.history.of_new_pixels(origin=cut)
        return kwargs

    def _slice_wcs(self, item: Any) -> Any:
        slices = _plain_slices(item, self.ndim)
        if isinstance(self.wcs, WCS) and slices is not None and self.ndim <= self.wcs.naxis:
            return cut_wcs(self.wcs, slices, self.shape)
        try:
            wcs = super()._slice_wcs(item)
        except (ValueError, IndexError):
            wcs = None
        if self.wcs is not None and (wcs is None or not isinstance(wcs, type(self.wcs))):
            msg = (
                f"{self.name}: its WCS cannot follow the index {described(item)}; the result has none. Cut by slices "
                "to keep it."
            )
            warn(msg)
            return None
        return wcs


def _plain_slices(item: Any, ndim: int) -> tuple[slice, ...] | None:
    """One slice for each axis; None if ``item`` has anything but slices."""
    parts = item if isinstance(item, tuple) else (item,)
    if any(not isinstance(part, slice) and part is not Ellipsis for part in parts):
        return None
    if Ellipsis in parts:
        where = parts.index(Ellipsis)
        parts = (*parts[:where], *[slice(None)] * (ndim - len(parts) + 1), *parts[where + 1 :])
    return (*parts, *[slice(None)] * (ndim - len(parts)))
