"""
The variance of a calibrated frame's shot noise, without an array of its own.

The electrons that a pixel collected are the variance of their number, and a calibrated frame still tells them: with its
values z, its normalised flat F and the dark D that was subtracted with the factor t they are ``z F + t D``.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.factored import Field

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.identity import Watch

__all__ = ["ShotVariance"]


class ShotVariance(Field):
    """
    The variance of the shot noise in a calibrated frame, found from its values when it is asked for.

    The frame's values may be written into once somebody has got hold of them. The variance is an array of its own from
    then on, if anybody besides that frame needs it: the frame itself then has other sources of noise.

    Parameters
    ----------
    data : ndarray
        The calibrated values, in electrons.
    watch : Watch
        That of the values.
    flat : ndarray, optional
        They were divided by this.
    dark : ndarray, optional
        This was subtracted before.
    ratio : float
        Times this.
    floor : float
        The variance is not less than this, in electrons squared.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.identity import Watch
    >>> from astro_calib.shot_variance import ShotVariance
    >>> ShotVariance(np.array([[50.0, -8.0]]), Watch(), flat=np.array([[2.0, 2.0]]), floor=-9.0).array
    array([[100.,  -9.]])
    """

    __slots__ = ("__weakref__", "_fields", "_floor", "_kept", "_lock", "_ratio", "_shared", "_watch")

    def __init__(
        self,
        data: NDArray[Any],
        watch: Watch,
        *,
        flat: NDArray[Any] | None = None,
        dark: NDArray[Any] | None = None,
        ratio: float = 0.0,
        floor: float = 0.0,
    ) -> None:
        #: Values, flat and dark; None once the variance is kept.
        self._fields: tuple[Field, Field | None, Field | None] | None = (
            Field(data),
            None if flat is None else Field(flat),
            None if dark is None else Field(dark),
        )
        self._ratio, self._floor = ratio, floor
        self._watch = watch
        self._kept: NDArray[Any] | None = None
        self._shared = False
        self._lock = RLock()
        self._digest = None
        keys = (None if field is None else field._key for field in self._fields)
        self._key = ("shot variance", *keys, ratio, floor)
        watch.readers[id(self)] = self

    @property
    def array(self) -> NDArray[Any]:
        """The values, made anew each time, unless they had to be kept."""
        return self.part((slice(None),) * len(self.shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        shape: tuple[int, ...] = self._key[1][1]
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the array."""
        return np.dtype(self._key[1][3])

    @property
    def nbytes(self) -> int:
        """How much memory the array takes: none, unless it had to be kept."""
        return 0 if self._kept is None else self._kept.nbytes

    def part(self, item: tuple[slice, ...]) -> NDArray[Any]:
        """
        ``array[item]``, without the rest of the array.

        Parameters
        ----------
        item : tuple of slice
            One slice for each axis of the array.

        Returns
        -------
        ndarray
            Of the type of the values.
        """
        from astro_calib.kernels.calibrate import shot_variance

        with self._lock:
            if self._fields is None:
                assert self._kept is not None
                return self._kept[item]
            data, flat, dark = (None if field is None else field.part(item) for field in self._fields)
        assert data is not None
        return shot_variance(data, flat, dark, self._ratio, self._floor)

    def cut(self, item: tuple[slice, ...]) -> Field:
        """
        The field of ``array[item]``.

        Parameters
        ----------
        item : tuple of slice
            One slice for each axis of the array.

        Returns
        -------
        Field
            A reference to that part.
        """
        with self._lock:
            if self._fields is None:
                assert self._kept is not None
                return Field(self._kept[item])
            data, flat, dark = (None if field is None else field.part(item) for field in self._fields)
        assert data is not None
        result = ShotVariance(data, self._watch, flat=flat, dark=dark, ratio=self._ratio, floor=self._floor)
        if self._shared:
            result.used_with(None)
        return result

    def used_with(self, data: NDArray[Any] | None) -> None:
        """
        Note that a budget refers to this.

        Parameters
        ----------
        data : ndarray or None
            The values of the frame that the budget belongs to.
        """
        if self._fields is None or (data is not None and Field(data) == self._fields[0]):
            return
        self._shared = True
        if self._watch.stamp is not None:
            self.keep()

    def values_handed_out(self) -> None:
        """Note that the values may be written into from now on."""
        if self._shared:
            self.keep()

    def keep(self) -> None:
        """Make an array of its own, which does not depend on the values any more."""
        with self._lock:
            if self._fields is not None:
                kept = self.array
                kept.flags.writeable = False
                self._kept, self._fields = kept, None

    def __reduce__(self) -> tuple[Any, ...]:
        return Field, (self.array,)
