"""Which master dark serves a frame: one of its exposure, or a better one that has to be scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_positive
from astro_calib.characterize.dark_frames import as_frames, exposures_of, other_temperatures
from astro_calib.characterize.darks import TOLERANCE
from astro_calib.characterize.outliers import hot_pixels, smooth
from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.frame.rebuild import as_frame, measured
from astro_calib.steps.dark import exposure_ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from astropy.table import Table
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["DarkChoice", "choose_dark"]

#: Exposures that differ by less than this part are the same: the dark need not be scaled.
MATCHED = 0.01
#: Pixels that are off by more than this many standard errors are judged with the hot ones.
FAR = 5.0


@dataclass(frozen=True, kw_only=True, eq=False)
class DarkChoice:
    """
    The dark that serves a frame best, and why.

    Parameters
    ----------
    dark : CCDFrame
        The master dark.
    ratio : float
        What it is multiplied by: exposure of the frame over that of the dark.
    reason : str
        Why, in words.
    table : Table
        A row for each dark, the best first: ``dark``, its ``exposure`` (s), ``ratio``, whether the scaling is
        ``tested``, and for ``ordinary`` and ``hot`` pixels and for ``all`` of them the error that the dark brings (root
        mean square, in the frame's unit), of which ``noise`` and ``bias`` in the ordinary and the hot ones.

    Examples
    --------
    As `choose_dark` makes it; see there.

    >>> import numpy as np
    >>> from astro_calib import CCDFrame
    >>> from astro_calib.characterize import choose_dark
    >>> def made(exposure, sigma):
    ...     data = np.random.default_rng(1).normal(
    ...         0.1 * exposure, sigma, (64, 64)
    ...     )
    ...     return CCDFrame(
    ...         data,
    ...         unit="electron",
    ...         uncertainty=np.full((64, 64), sigma),
    ...         meta={"EXPTIME": exposure},
    ...     )
    >>> choose_dark(made(60.0, 5.0), [made(60.0, 2.0)]).ratio
    1.0
    """

    dark: CCDFrame
    ratio: float
    reason: str
    table: Table

    def __str__(self) -> str:
        return "\n".join([self.reason, "", *self.table.pformat(max_lines=-1, max_width=-1)])


class _Judged(NamedTuple):
    """A dark with the mean squares that it brings to ordinary and hot pixels, as variance and as bias squared."""

    dark: CCDFrame
    exposure: float
    ratio: float
    tested_at: float | None
    variance: NDArray[np.float64]
    square_of_bias: NDArray[np.float64]
    shares: NDArray[np.float64]

    @property
    def squares(self) -> NDArray[np.float64]:
        return self.variance + self.square_of_bias

    @property
    def total(self) -> float:
        return float(self.shares @ self.squares)

    @property
    def rank(self) -> tuple[bool, float]:
        """An untested scaling comes after all others."""
        return self.tested_at is None and self.ratio != 1, self.total


def choose_dark(
    frame: CCDFrame,
    darks: Iterable[CCDFrame],
    *,
    exposure_time: str = "EXPTIME",
    exposure_unit: Any = u.s,
    temperature: str = "CCD-TEMP",
    tolerance: float | u.Quantity = TOLERANCE,
) -> DarkChoice:
    r"""
    Choose the master dark with the least error, noise and bias together.

    A long dark scaled down brings little noise. But pixels that do not grow steadily with time, hot ones above all,
    then have an error that no noise model knows. Darks of other exposures show it.

    Parameters
    ----------
    frame : CCDFrame, shape (ny, nx)
        The frame to correct, its bias subtracted.
    darks : iterable of CCDFrame, each of shape (ny, nx)
        Master darks with their errors, their bias subtracted, in the unit of the frame. Those of another temperature
        than the frame are left out.
    exposure_time : str
        Header keyword of the exposure time.
    exposure_unit : unit
        Its unit.
    temperature : str
        Header keyword of the detector's temperature, degrees Celsius.
    tolerance : float or Quantity
        How far the temperature of a dark may be from that of the frame, K.

    Returns
    -------
    DarkChoice
        The dark, what it is multiplied by, the reason in words, and what each dark would bring.

    Raises
    ------
    FrameError
        If there is no dark, one has no error or no exposure, or none has the temperature of the frame.
    ShapeMismatchError
        If shapes differ.
    astropy.units.UnitConversionError
        If units differ.
    TypeError
        If the darks are no frames.

    Notes
    -----
    A dark of the exposure :math:`t_d` is scaled by :math:`\rho = t/t_d`. Its variance is what it and the bias bring
    together, in which a bias that both had subtracted counts with :math:`\rho - 1`. Its bias is measured with the dark
    R of the exposure :math:`t_R` that is nearest to the frame's:

    .. math:: b^2 = \left\langle \left(\tfrac{t_R}{t_d} D - R\right)^2 - \mathrm{Var}\left(\tfrac{t_R}{t_d} D - R\right)
        \right\rangle \left[\frac{t}{t_R}\,\frac{\ln(t/t_d)}{\ln(t_R/t_d)}\right]^2,

    with the mean over ordinary and over hot pixels apart, and one standard error added. The last factor is one where
    the exposure of R is that of the frame. Else it is right for currents that go as a power of time near one. The sum
    of variance and squared bias, on average over all pixels that are not masked, is least for the dark that is chosen.
    A scaled dark that nothing was there to test comes last.

    Examples
    --------
    A long dark has less noise, but one pixel in a hundred is hot and does not grow steadily:

    >>> import numpy as np
    >>> from astro_calib import CCDFrame
    >>> from astro_calib.characterize import choose_dark
    >>> rng = np.random.default_rng(1)
    >>> hot = rng.random((100, 100)) < 0.01
    >>> def made(exposure, sigma, power=0.7):
    ...     rate = np.where(hot, 20.0 * exposure**power, 0.1 * exposure)
    ...     data = rng.normal(rate, sigma)
    ...     return CCDFrame(
    ...         data,
    ...         unit="electron",
    ...         uncertainty=np.full((100, 100), sigma),
    ...         meta={"EXPTIME": exposure, "CCD-TEMP": -20.0},
    ...         name=f"dark{exposure:g}",
    ...     )
    >>> choice = choose_dark(
    ...     made(60.0, 5.0), [made(60.0, 3.0), made(600.0, 3.0)]
    ... )
    >>> choice.dark.name, choice.ratio
    ('dark60', 1.0)
    """
    frame = as_frame(frame)
    candidates = as_frames("choose_dark", "darks", darks)
    for dark in candidates:
        if dark.shape != frame.shape:
            msg = f"{frame.name} has shape {frame.shape}, {dark.name} has {dark.shape}; trim both to the same section."
            raise ShapeMismatchError(msg)
        if dark.unit != frame.unit:
            msg = f"{frame.name} is in {frame.unit}, {dark.name} in {dark.unit}; give darks in the unit of the frame."
            raise u.UnitConversionError(msg)
        if dark.known_budget is None:
            msg = f"{dark.name} has no error, so that it cannot be judged; make it from calibrated darks by combine."
            raise FrameError(msg)
    # Of two temperatures the median is in the middle.
    allowed = check_positive("tolerance", tolerance, u.K) / 2
    left_out = [dark for dark in candidates if other_temperatures([frame, dark], temperature, allowed)[0]]
    candidates = [dark for dark in candidates if not any(dark is one for one in left_out)]
    if not candidates:
        celsius = f"{frame.meta[temperature]} deg C"
        msg = f"{frame.name} has {celsius}, none of the {len(left_out)} darks has; take darks of that temperature."
        raise FrameError(msg)
    t = exposures_of(frame, exposure_time, exposure_unit)
    times = [exposures_of(dark, exposure_time, exposure_unit) for dark in candidates]
    for dark, time in zip(candidates, times, strict=True):
        exposure_ratio(t * u.s, time * u.s, dark)
    if t == 0:
        msg = f"{frame.name} is exposed for 0 s; it has no dark current to subtract."
        raise FrameError(msg)
    good = np.logical_and.reduce([measured(dark) for dark in candidates])
    if not good.any():
        msg = f"no pixel is fit for use in all {len(candidates)} darks."
        raise FrameError(msg)
    longest = int(np.argmax(times))
    pixels, variance = candidates[longest].pixels, _variance(candidates[longest])
    hot = hot_pixels(pixels - smooth(pixels, good), good, FAR, np.sqrt(variance))
    tests = [_test_of(t, place, candidates, times) for place in range(len(candidates))]
    for test in tests:
        if test is not None:
            # Pixels that are far off are none of the ordinary ones, whatever their dark current is.
            hot |= good & (test.excess > (FAR**2 - 1) * test.variance)
    classes = (good & ~hot, hot)
    judged = [
        _judge(frame, t, dark, time, test, classes) for dark, time, test in zip(candidates, times, tests, strict=True)
    ]
    judged.sort(key=lambda one: one.rank)
    reason = _in_words(judged, frame, t)
    if left_out:
        reason += f" Left out, for their temperature is another: {', '.join(dark.name for dark in left_out)}."
    return DarkChoice(dark=judged[0].dark, ratio=judged[0].ratio, reason=reason, table=_table(judged, frame))


def _variance(frame: CCDFrame) -> NDArray[Any]:
    variance = frame.variance
    assert variance is not None
    return variance


class _Test(NamedTuple):
    """
    A dark scaled to the exposure of another, less that.

    Attributes
    ----------
    at : float
        The exposure of the other, s.
    excess, variance : ndarray, shape (ny, nx)
        The square of the difference beyond its variance, and this variance.
    factor : float
        By which the difference is larger at the exposure of the frame.
    """

    at: float
    excess: NDArray[np.float64]
    variance: NDArray[np.float64]
    factor: float


def _test_of(t: float, place: int, darks: Sequence[CCDFrame], times: Sequence[float]) -> _Test | None:
    """What shows how well a dark can be scaled; None if it need not be, or nothing does."""
    time = times[place]
    others = [one for one in range(len(darks)) if not _same(times[one], time)]
    if _same(t, time) or not others:
        return None
    nearest = min(others, key=lambda one: abs(np.log(times[one] / t)))
    at = times[nearest]
    difference = darks[place].multiply(at / time).subtract(darks[nearest])
    variance = _variance(difference).astype(np.float64)
    factor = 1.0 if _same(at, t) else float(t / at * np.log(t / time) / np.log(at / time))
    return _Test(at, np.square(difference.pixels, dtype=np.float64) - variance, variance, factor)


def _judge(
    frame: CCDFrame,
    t: float,
    dark: CCDFrame,
    time: float,
    test: _Test | None,
    classes: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> _Judged:
    """What a dark brings to a frame of the exposure t, in ordinary and in hot pixels."""
    ratio = 1.0 if _same(t, time) else t / time
    scaled = dark.multiply(ratio)
    added = _variance(scaled)
    if frame.known_budget is not None:
        # What bias and dark bring together: where the dark has the bias, too, a part of it cancels.
        bias = frame.known_budget.variances().get("bias", 0.0)
        added = _variance(frame.subtract(scaled)) - (_variance(frame) - bias)
    squares = np.zeros(2)
    if test is not None:
        for kind, where in enumerate(classes):
            if where.any():
                values = test.excess[where]
                error = values.std() / np.sqrt(values.size)
                squares[kind] = (max(0.0, values.mean()) + error) * test.factor**2
    variances = [added[where].mean(dtype=np.float64) if where.any() else 0.0 for where in classes]
    numbers = np.array([np.count_nonzero(where) for where in classes])
    return _Judged(
        dark=dark,
        exposure=time,
        ratio=ratio,
        tested_at=None if test is None else test.at,
        variance=np.array(variances),
        square_of_bias=squares,
        shares=numbers / numbers.sum(),
    )


def _same(one: float, other: float) -> bool:
    return abs(one / other - 1) < MATCHED


def _in_words(judged: Sequence[_Judged], frame: CCDFrame, t: float) -> str:
    """Why the first is the best."""
    best, *rest = judged
    unit = frame.unit
    words = f"{best.dark.name} serves {frame.name} ({t:g} s) best: {_says(best, unit)}"
    if not rest:
        words += " It is the only one."
        return words
    second = rest[0]
    words += f" The next is {second.dark.name}: {_says(second, unit)}"
    ordinary = [one for one in rest if one.squares[0] < 0.8 * best.squares[0]]
    if ordinary and best.rank[0] == ordinary[0].rank[0]:
        words += f" If the hot pixels are masked, {ordinary[0].dark.name} is the better one."
    return words


def _says(one: _Judged, unit: u.UnitBase) -> str:
    """What a dark brings."""
    noise, bias = np.sqrt(one.variance), np.sqrt(one.square_of_bias)
    if one.ratio == 1:
        return f"it has the frame's exposure, and brings {noise[0]:.3g} {unit} of noise to ordinary pixels."
    scaled = f"scaled by {one.ratio:.3g} it brings {noise[0]:.3g} {unit} of noise to ordinary pixels"
    if one.tested_at is None:
        return f"{scaled}; that it may be scaled is not tested, for no dark of another exposure is there."
    tested = f"as a dark of {one.tested_at:g} s shows"
    return f"{scaled}, and errors of {bias[0]:.3g} {unit}, {bias[1]:.3g} {unit} in hot ones, {tested}."


def _table(judged: Sequence[_Judged], frame: CCDFrame) -> Table:
    from astropy.table import Table

    rows = [
        (
            one.dark.name,
            one.exposure,
            one.ratio,
            one.ratio == 1 or one.tested_at is not None,
            *np.sqrt(one.squares),
            np.sqrt(one.total),
            *np.sqrt(one.variance),
            *np.sqrt(one.square_of_bias),
        )
        for one in judged
    ]
    kinds = ("ordinary", "hot", "all", "noise", "noise in hot", "bias", "bias in hot")
    table = Table(rows=rows, names=("dark", "exposure", "ratio", "tested", *kinds))
    table["exposure"].unit = u.s
    table["ratio"].format = ".4g"
    for name in kinds:
        table[name].unit = frame.unit
        table[name].format = ".3g"
    return table
