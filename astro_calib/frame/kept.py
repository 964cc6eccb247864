"""What is found from a frame and kept with it, for as long as its pixels and its noise stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.nddata import CCDData

from astro_calib.dtypes import floating
from astro_calib.frame.write_guard import may_be_written
from astro_calib.noise.identity import content_digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["Kept"]


class Kept(CCDData):
    """A frame that keeps what is found from it."""

    #: What `cached` keeps, each result with what it depends on.
    cache: dict[str, tuple[Any, Any]]

    def _digest(self) -> str:
        return content_digest(self._data)

    def pixel_digest(self) -> str:
        """
        A digest of the pixels, the same for equal ones; found once while nobody can have written into them.

        Returns
        -------
        str
            16 hexadecimal digits and the shape.

        Examples
        --------
        >>> from astro_calib import CCDFrame
        >>> frame = CCDFrame([[1.0, 2.0]], unit="adu")
        >>> frame.pixel_digest() == frame.copy().pixel_digest()
        True
        """
        guard = self._guard
        if guard is None or guard.checksum is not None:
            return self._digest()
        if guard.digest is None:
            guard.digest = self._digest()
        return guard.digest

    def read_only_data(self) -> NDArray[Any]:
        """
        The data as an array that stays as it is, for the budgets of other frames to refer to.

        Returns
        -------
        ndarray
            The data as floating-point numbers if nobody can write into them; else a copy, which is made once.
        """
        if not may_be_written(self._data):
            return floating(self._data)
        array: NDArray[Any] = self.cached("lasting", (), self._copy_of_data)
        return array

    def _copy_of_data(self) -> NDArray[Any]:
        array = np.array(floating(self._data))
        array.flags.writeable = False
        return array

    def cached(self, what: str, given: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """
        Compute something from the frame, and keep it until the frame's pixels, or ``given``, change.

        Parameters
        ----------
        what : str
            A name for the result.
        given : tuple
            What the result depends on besides the frame.
        make : callable
            Computes the result; takes no argument.

        Returns
        -------
        object
            What ``make`` returned, now or before.

        Examples
        --------
        >>> from astro_calib import CCDFrame
        >>> frame = CCDFrame([[1.0, 3.0]], unit="adu")
        >>> frame.cached("level", (), lambda: float(frame.pixels.mean()))
        2.0
        """
        # Writing into the data of a frame gives it another budget.
        budget = self.known_budget
        exposed = self._guard is None or self._guard.was_exposed or self._guard.checksum is not None
        key = (budget, self.pixel_digest() if budget is None and exposed else None, *given)
        found = self.cache.get(what)
        if found is None or found[0] != key:
            found = self.cache[what] = (key, make())
        return found[1]
