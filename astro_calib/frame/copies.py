"""Frames that are made of one frame: with other pixels or another budget, for a calculation, copied, pickled."""

from __future__ import annotations

import dataclasses
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Self

from astropy.nddata import CCDData

from astro_calib.frame.write_guard import WriteGuard, is_same_array, may_be_written

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.noise.budget import UncertaintyBudget
    from astro_calib.noise.origin import Origin

__all__ = ["Copies"]


class Copies(CCDData):
    """A frame of which others are made."""

    def parts(self) -> dict[str, Any]:
        """
        The arguments that make another frame which shares this one's array.

        Returns
        -------
        dict
            The arguments of `CCDFrame`, by their names.
        """
        return {
            "data": self._data,
            "unit": self.unit,
            "mask": self.mask,
            "flags": self.flags,
            "meta": self.meta,
            "wcs": self.wcs,
            "psf": self.psf,
            "name": self._name,
            "budget": self.known_budget,
            "history": self.history,
            "guard": self._lasting_guard(),
        }

    def _lasting_guard(self) -> WriteGuard | None:
        """Who may write into the array, also after the calculation that a snapshot is made for."""
        return self._guard.owner if self._guard is not None and self._guard.is_snapshot else self._guard

    def replace(
        self, data: NDArray[Any], budget: UncertaintyBudget | None, *, origin: Origin | None = None, **others: Any
    ) -> Self:
        """
        A frame with other values, or another budget, and the rest of this one.

        Parameters
        ----------
        data : ndarray
            The new values, of the same shape: an array that nobody else holds, or `pixels`.
        budget : UncertaintyBudget or None
            Of the new values.
        origin : Origin, optional
            Which pixels of a raw frame they are, if others.
        **others
            ``unit``, ``mask``, ``flags``, ``wcs``, ``meta``, ``psf``, ``name``, ``history`` and ``guard``, if others.

        Returns
        -------
        CCDFrame
            With a header of its own.

        Examples
        --------
        >>> import numpy as np
        >>> from astro_calib import CCDFrame
        >>> frame = CCDFrame(
        ...     np.ones((2, 2)),
        ...     unit="adu",
        ...     mask=np.eye(2, dtype=bool),
        ...     name="dark.fits",
        ... )
        >>> doubled = frame.replace(2 * frame.pixels, None)
        >>> doubled.name, int(doubled.mask.sum())
        ('dark.fits', 2)
        """
        same = is_same_array(data, self._data)
        step = self.history.flattened_step if same else None
        origin = self.origin if origin is None else origin
        changed: dict[str, Any] = {
            "data": self._data if same else data,
            "budget": budget,
            "guard": self._lasting_guard() if same else others.pop("guard", None) or WriteGuard(),
            "history": self.history.of_new_pixels(origin=origin, flattened_step=step),
        }
        if "meta" not in others:
            changed["meta"] = deepcopy(self.meta)
        return type(self)(**{**self.parts(), **changed, **{key: one for key, one in others.items() if one is not None}})

    def snapshot(self, budget: UncertaintyBudget | None = None, cache: dict[str, Any] | None = None) -> Self:
        """
        This frame for the time of a calculation: its pixels are compared with their checksum once, now.

        Parameters
        ----------
        budget : UncertaintyBudget, optional
            The same noise in other words.
        cache : dict, optional
            Where `cached` keeps what is made of the snapshot, if not with the frame.

        Returns
        -------
        CCDFrame
            A frame that shares all arrays with this one. Nobody may write into them meanwhile.
        """
        known, owner = self.known_budget, self._lasting_guard()
        exposed = owner is None or owner.checksum is not None
        guard = WriteGuard.of_snapshot(owner, was_exposed=known is None and cache is None and exposed)
        if known is None and owner is not None and owner.checksum is not None:
            # The budget was asked for, so that the two were compared.
            guard.digest = owner.checksum
        cache = self.cache if cache is None else cache
        return type(self)(
            self, budget=known if budget is None else budget, guard=guard, history=self.history, cache=cache
        )

    def copy(self) -> Self:
        """
        A copy with data, mask, flags and header of its own, and the same noise.

        Returns
        -------
        CCDFrame
            Equal to this frame; in a difference of the two all noise cancels.
        """

        def copied(value: Any) -> Any:
            return None if value is None else value.copy()

        changed = {
            "data": self._data.copy(),
            **{name: copied(getattr(self, name)) for name in ("mask", "flags", "psf")},
            "meta": deepcopy(self.meta),
            "wcs": None if self.wcs is None else self.wcs.deepcopy(),
            "history": dataclasses.replace(self.history, n_used=copied(self.n_used), is_constant=False),
            "guard": WriteGuard(),
        }
        return type(self)(**{**self.parts(), **changed})

    def __copy__(self) -> Self:
        return type(self)(self, psf=self.psf)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    def __getstate__(self) -> dict[str, Any]:
        budget = self.known_budget  # which notices whether the data were written into
        state = self.__dict__.copy()
        if not may_be_written(self._data):
            # Others may refer to the same memory, which can be written into when it comes out of a pickle.
            state["_data"] = self._data.view()
        if budget is not None and budget.data is not None and is_same_array(budget.data, self._data):
            state["_budget"] = budget.with_values(state["_data"])
        if self._guard is None and self._checksum is None:
            state["_guard"] = WriteGuard()  # a read-only array comes back as one that can be written into
        state["_uncertainty"] = state["_wrapped"] = None
        state["cache"] = {}
        return state
