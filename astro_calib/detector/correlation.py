r"""
How the read-out noise of neighbouring pixels goes together.

Read-out noise that is stationary over the pixels of an amplifier has the autocorrelation

.. math:: \rho(d_x, d_y) = \delta(d_x) \delta(d_y) \, w + \delta(d_y) \, r
    + \sum_j p_j \cos(\omega_{xj} d_x + \omega_{yj} d_y)

with a white part w, a part r that the pixels of a row share, and tones. All parts are positive, so that no weighted
sum over pixels has a negative variance, which a table of lags that is cut off does not ensure. What the pixels of a row
share is a wave of frequency 0 whose phase is another one in each row, and is treated as such here: the first of the
``waves``.
"""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_number, described
from astro_calib.detector.waves import Level, collected, of_level, parts_of_variance, table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Correlation", "Level", "averaged"]

#: The parts may add up to more than one by this much from rounding.
ROUNDING = 1e-6


class Correlation:
    r"""
    How the noise of pixels goes together: parts of its variance that rows share, and tones; the rest is white.

    Parameters
    ----------
    row : float
        The part of the variance that the pixels of a row have in common, 0 to 1.
    tones : iterable of (float, float or Quantity, float, Quantity or None)
        For each tone, such as electronic pick-up, its part of the variance, and by how many radians its phase moves
        from pixel to pixel along a row, and from row to row (or angles with their unit); None if each row has a phase
        of its own. Tones of one
        frequency are added up. Of more than 256 those that matter least are merged with their neighbours in frequency.

    Raises
    ------
    TypeError
        If an argument is no number, or no list of tones.
    ValueError
        If a part is negative, all of them together are more than 1, or a frequency is not finite.

    Notes
    -----
    With x along the row and y from row to row, a weighted sum over pixels has the variance, in units of a pixel's,

    .. math:: w \sum_{x, y} a^2 + r \sum_y \Big( \sum_x a \Big)^2 + \sum_j p_j \Big| \sum_{x, y} a \,
        e^{i (\omega_{xj} x + \omega_{yj} y)} \Big|^2

    with w the white part, r that of rows, and :math:`p_j` those of tones whose phase goes on from row to row; for the
    other tones the squares of each row are added up.

    Examples
    --------
    Half of the variance is a tone with a period of 8 pixels, which goes on from row to row:

    >>> import numpy as np
    >>> from astro_calib import Correlation
    >>> pickup = Correlation(row=0.1, tones=[(0.5, 2 * np.pi / 8, 0.3)])
    >>> round(pickup.white, 3)
    0.4
    >>> pickup.rho([0, 4, 8], 0).round(3)
    array([ 1. , -0.4,  0.6])
    """

    def __init__(self, row: float = 0.0, tones: Iterable[Sequence[float | u.Quantity | None]] = ()) -> None:
        common = check_number("the part that rows share", row, maximum=1.0)
        self.__setstate__((np.array([(common, 0.0, np.nan), *_rows_of(tones)]), None))

    @classmethod
    def of_waves(cls, waves: NDArray[np.float64], level: Level | None = None) -> Correlation:
        """
        Make a correlation of the table that `waves` returns.

        Parameters
        ----------
        waves : ndarray, shape (n_waves, 3)
            Part of the variance and both frequencies; the first is that of rows.
        level : Level, optional
            What was subtracted.

        Returns
        -------
        Correlation
            With waves of one frequency added up.

        Raises
        ------
        ValueError
            If that makes no sense.
        """
        waves = np.array(waves, dtype=np.float64)
        parts_fit = waves.ndim == 2 and waves.shape[1:] == (3,) and len(waves) and np.all(waves[:, 0] >= 0)
        if not parts_fit or np.isinf(waves).any() or np.isnan(waves[:, :2]).any():
            msg = f"the waves of a correlation are {described(waves)}; expected parts of the variance and frequencies."
            raise ValueError(msg)
        if waves[0, 1] != 0 or not np.isnan(waves[0, 2]):
            msg = "the first wave of a correlation is not that which the pixels of a row share."
            raise ValueError(msg)
        if level is not None:
            level = _checked_level(level, waves)
        result = cls.__new__(cls)
        result.__setstate__((waves, level))
        return result

    def __getstate__(self) -> tuple[NDArray[np.float64], Level | None]:
        return self._waves, self._level

    def __setstate__(self, state: tuple[NDArray[np.float64], Level | None]) -> None:
        waves, level = state
        self._waves, table = collected(waves, table_of(level, waves))
        self._level = Level.of_table(level.axes, table) if level is not None and table[:, 2].any() else None
        for array in (self._waves, *(() if self._level is None else self._level.arrays)):
            array.flags.writeable = False
        total = float(parts_of_variance(self._waves, self._level).sum())
        if total > 1 + ROUNDING:
            msg = f"the parts of a correlation add up to {total:.6g}; expected 1 at most: they are parts of a variance."
            raise ValueError(msg)
        self._white = max(1 - total, 0.0)

    @property
    def waves(self) -> NDArray[np.float64]:
        """
        All that is not white.

        Returns
        -------
        ndarray of float64, shape (1 + n_tones, 3)
            Part of the variance, radians from pixel to pixel along a row, and from row to row (NaN: each row has a
            phase of its own). The first is what rows share; the strongest tone follows.
        """
        return self._waves

    @property
    def level(self) -> Level | None:
        """
        The overscan level that was subtracted.

        Returns
        -------
        Level or None
            None if there is none, or it has nothing of the waves.
        """
        return self._level

    @property
    def white(self) -> float:
        """
        The part of the variance that each pixel has for itself.

        Returns
        -------
        float
            0 to 1.
        """
        return self._white

    @property
    def row(self) -> float:
        """
        The part of the variance that the pixels of a row have in common.

        Returns
        -------
        float
            0 to 1, before a level was subtracted.
        """
        return float(self._waves[0, 0])

    @property
    def tones(self) -> NDArray[np.float64]:
        """
        The tones.

        Returns
        -------
        ndarray of float64, shape (n_tones, 3)
            The strongest first: part of the variance, radians from pixel to pixel along a row, and from row to row;
            this is NaN where each row has a phase of its own.
        """
        return self._waves[1:]

    def rho(self, dx: ArrayLike, dy: ArrayLike) -> NDArray[np.float64]:
        """
        The correlation of two pixels; with a level subtracted, on average over places.

        Parameters
        ----------
        dx, dy : array_like of int
            Distance along the row, and in rows.

        Returns
        -------
        ndarray of float64
            1 where both are 0.
        """
        dx, dy = np.broadcast_arrays(np.asarray(dx, dtype=np.float64), np.asarray(dy, dtype=np.float64))
        here = dy == 0
        result = np.where(here & (dx == 0), self.white, 0.0)
        added = of_level(self._waves, self._level)
        axes = None if self._level is None else self._level.axes
        for (part, wx, wy), more in zip(self._waves, added, strict=True):
            coherent = not np.isnan(wy)
            result += part * (np.cos(wx * dx + wy * dy) if coherent else here * np.cos(wx * dx))
            if more and axes == (0,):
                result += more * (np.cos(wy * dy) if coherent else here)
            elif more:
                result += more * (np.cos(wx * dx) if axes else 1.0)
        return result

    def less_level(self, level: Level) -> tuple[Correlation, float]:
        """
        The correlation after an overscan level was subtracted, and what the variance of a pixel is multiplied by.

        Parameters
        ----------
        level : Level
            Its amplitudes are those of `waves`. The white noise in it is a source of its own.

        Returns
        -------
        correlation : Correlation
            In parts of the new variance.
        factor : float
            The new variance in units of the old one, on average over pixels.

        Raises
        ------
        ValueError
            If a level was subtracted before, or this one has other waves.
        """
        if self._level is not None:
            msg = "a level was subtracted from this noise before."
            raise ValueError(msg)
        factor = self.white + float(parts_of_variance(self._waves, level).sum())
        if factor <= 0:
            return Correlation(), 0.0
        return Correlation.of_waves(self._waves / [factor, 1, 1], level), factor

    def with_fewer(self, most: int) -> Correlation:
        """
        The same noise by fewer tones.

        Parameters
        ----------
        most : int
            Of more tones those that matter least are merged with their neighbours in frequency.

        Returns
        -------
        Correlation
            With the same parts of white noise, rows, and all tones together.
        """
        if len(self.tones) <= most:
            return self
        waves, table = collected(self._waves, table_of(self._level, self._waves), most)
        return Correlation.of_waves(waves, Level.of_table(() if self._level is None else self._level.axes, table))

    def seen_through(self, window: Sequence[tuple[int, int]]) -> Correlation:
        """
        The same noise by the places of a frame's pixels.

        Parameters
        ----------
        window : ((int, int), (int, int))
            For rows and columns: the first cell, and the step from pixel to pixel.

        Returns
        -------
        Correlation
            Of pixels that are as many cells apart as the steps say.
        """
        (first_row, row_step), (first_column, column_step) = window
        if (first_row, row_step, first_column, column_step) == (0, 1, 0, 1):
            return self
        level = self._level
        if level is not None:
            coherent = ~np.isnan(self._waves[:, 2])
            x, y = self._waves[:, 1] * first_column, np.where(coherent, self._waves[:, 2], 0.0) * first_row
            # The level is a wave along its own axis only.
            phase = {(): x + y, (0,): x, (1,): y}[level.axes]
            level = level._replace(amplitudes=level.amplitudes * np.exp(-1j * phase))
        return Correlation.of_waves(self._waves * [1, column_step, row_step], level)

    def spread_out(self, columns: int, rows: int) -> Correlation:
        """
        The same noise by the cells of a frame in which its pixels lie some apart, or in falling order.

        Parameters
        ----------
        columns, rows : int
            From each pixel to the next along the row, and from row to row; negative where they come in falling order.

        Returns
        -------
        Correlation
            With other frequencies.

        Raises
        ------
        ValueError
            If a level was subtracted, which has its place.
        """
        if self._level is not None:
            msg = "a level was subtracted from this noise: it has its place, and cannot be spread out."
            raise ValueError(msg)
        return self if columns == rows == 1 else Correlation.of_waves(self._waves / [1, columns, rows])

    def _key(self) -> tuple[Any, ...]:
        level = None if self._level is None else (self._level.axes, *(array.tobytes() for array in self._level.arrays))
        return self._waves.tobytes(), level

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Correlation) and self._key() == other._key())

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        tones = len(self.tones)
        after = "" if self._level is None else ", less a level"
        parts = f"white {self.white:.3g}, rows {self.row:.3g}, {tones} tone{'s' if tones != 1 else ''}"
        return f"<Correlation: {parts} {self.tones[:, 0].sum():.3g}{after}>"

    def __copy__(self) -> Correlation:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Correlation:
        return self


def _checked_level(level: Level, waves: NDArray[np.float64]) -> Level:
    """A level that fits the waves."""
    axes, arrays = tuple(level.axes), level.arrays
    fits = axes in ((), (0,), (1,)) and all(np.shape(array) == (len(waves),) for array in arrays)
    if not fits or not np.all(np.isfinite(arrays)):
        msg = "the level that was subtracted does not fit the waves of a correlation."
        raise ValueError(msg)
    table = Level(axes, *map(np.asarray, arrays)).table(waves)
    size = np.hypot(table[:, 0], table[:, 1])
    # No wave is more in a level, or in what the image has of it, than its variance there allows.
    table[:, 2] = np.maximum(table[:, 2], np.square(size))
    table[:, 3] = np.clip(table[:, 3], -size, size)
    return Level.of_table(axes, table)


def averaged(
    parts: Iterable[tuple[float, Correlation | None, Sequence[tuple[int, int]]]],
) -> Correlation | None:
    """
    The correlation of a sum of independent noise; None if all of it is white.

    Parameters
    ----------
    parts : iterable of (float, Correlation or None, window)
        The variance of each summand, its correlation, and where it is seen.
    """
    weights: dict[Correlation | None, float] = {}
    for variance, correlation, window in parts:
        seen = None if correlation is None else correlation.seen_through(window)
        weights[seen] = weights.get(seen, 0.0) + max(variance, 0.0)
    total = sum(weights.values())
    some = [(weight / total, one) for one, weight in weights.items() if one is not None and weight > 0]
    if not some:
        return None
    if len(weights) == 1:
        return some[0][1]
    axes = {one.level.axes for _, one in some if one.level is not None}
    tables, levels = [], []
    for weight, one in some:
        table, level = one.waves * [weight, 1, 1], one.level
        if level is not None and len(axes) > 1:
            # Levels along different axes: what they add on average stays with the waves.
            table[:, 0] = weight * np.maximum(parts_of_variance(one.waves, level), 0.0)
            level = None
        tables.append(table)
        levels.append(table_of(level, table))
    level = Level.of_table(axes.pop(), np.concatenate(levels)) if len(axes) == 1 else None
    return Correlation.of_waves(np.concatenate(tables), level)


def _rows_of(tones: Any) -> list[tuple[float, float, float]]:
    """The tones that a caller gives, checked."""
    expected = "(part of the variance, radians from pixel to pixel, radians from row to row, or None)"
    if isinstance(tones, str) or not hasattr(tones, "__iter__"):
        msg = f"the tones are {described(tones)}; expected a list with {expected} for each."
        raise TypeError(msg)
    result = []
    for number, tone in enumerate(tones):
        try:
            values = () if isinstance(tone, str) else tuple(tone)
        except TypeError:
            values = ()
        if len(values) != 3:
            msg = f"tones[{number}] is {described(tone)}; expected {expected}."
            raise TypeError(msg)
        part, wx, wy = values
        here = f"tones[{number}]: a tone's"
        size = check_number(f"{here} part of the variance", part, maximum=1.0)
        along = _radians(f"{here} frequency", wx)
        changing = wy is None or (isinstance(wy, Real) and np.isnan(float(wy)))
        result.append((size, along, np.nan if changing else _radians(f"{here} frequency", wy)))
    return result


def _radians(what: str, value: Any) -> float:
    """A frequency, in radians a pixel; an angle may have another unit."""
    angle = isinstance(value, u.Quantity) and value.unit.is_equivalent(u.rad)
    return check_number(what, value, u.rad if angle else u.dimensionless_unscaled, minimum=-np.inf)
