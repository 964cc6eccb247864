"""
The read-out noise of one frame, from its own overscan, with what biases say of image against overscan.

Read-out noise changes from frame to frame, with what the electronics pick up. A few columns of overscan tell its size
and which frequencies it has along a row. What is sharp from row to row, too, are tones that go on through the frame;
the rest has a phase of its own in each row, and is found as cosines, none of them negative, that explain the
covariances of pixels in a row.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.arguments import described
from astro_calib.characterize.frames import different_frames
from astro_calib.detector.correlation import Correlation
from astro_calib.detector.detector import as_detector
from astro_calib.detector.sections import slices_of_section
from astro_calib.errors import FrameError
from astro_calib.noise.digital_step import digital_step, neighbours
from astro_calib.steps.overscan_rows import row_noise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector

__all__ = ["ImageExcess", "frame_detector", "image_excess"]

#: Fewer rows or columns of overscan tell nothing of its neighbours.
FEWEST_ROWS, FEWEST_COLUMNS = 32, 8
#: A pixel that is so many standard deviations off is none of the noise.
CLIP = 5.0
#: An axis along which so many pixels are averaged shows a profile that is none of the noise.
MANY = 200
#: So many columns of the image are looked at.
ENOUGH = 256
#: Degree of the drift of the level.
DRIFT = 3
#: How often a sharp tone may be found where there is none.
FALSE_ALARMS = 1e-3
#: Searches for tones, and the weakest that is taken with the strongest.
SEARCHES, WITH_STRONGEST = 12, 0.3
#: The largest distance along a row, and how many frequencies are tried.
REACH, FREQUENCIES = 20, 161
#: The largest distance across rows that is looked at.
ROWS = 4
#: A known tone of so much of the variance is not looked for again.
STRONG = 0.005
#: By so much a tone wanders across the rows from frame to frame, radians a pixel.
WANDERS = 0.2
#: So much of the variance in tones costs the fit as much as one error of a covariance.
COMB = 0.15


class ImageExcess(NamedTuple):
    """
    What the image has in read-out noise that the overscan has not.

    Parameters
    ----------
    white : float
        Variance of the part of each pixel, adu^2; negative where the image has less.
    rows_in_overscan : bool
        Whether what a row has in common is the same in image and overscan.

    Examples
    --------
    >>> from astro_calib.characterize import ImageExcess
    >>> ImageExcess(white=4.4, rows_in_overscan=False).white
    4.4
    """

    white: float
    rows_in_overscan: bool = True


def image_excess(biases: Sequence[Any], overscan: str, image: str | None = None) -> ImageExcess:
    """
    What the image has in read-out noise that the overscan has not, from biases.

    Parameters
    ----------
    biases : sequence of CCDFrame or ndarray, shape (ny, nx)
        Two or more raw ones, with their overscan, taken one after the other.
    overscan : str
        FITS section of the overscan.
    image : str, optional
        FITS section of the image; all columns beside the overscan by default.

    Returns
    -------
    ImageExcess
        For `frame_detector`.

    Raises
    ------
    FrameError
        If there are no two biases that differ, they differ in shape, or a section lies outside of them.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.characterize import image_excess
    >>> rng = np.random.default_rng(1)
    >>> sigma = np.where(np.arange(160) < 128, 5.0, 4.0)             # 128 columns of image, 32 of overscan
    >>> biases = [np.rint(rng.normal(1000, sigma, (200, 160))) for _ in range(4)]
    >>> excess = image_excess(biases, "[129:160, 1:200]")
    >>> bool(abs(excess.white - 9) < 1)
    True
    """
    arrays, _ = different_frames(biases, "bias", [])
    where = _section("the overscan", overscan, arrays[0].shape)
    if image is None:
        columns = range(arrays[0].shape[1])[where[1]]
        before, after = columns.start, arrays[0].shape[1] - columns.stop
        light = (where[0], slice(0, columns.start) if before >= after else slice(columns.stop, None))
    else:
        light = _section("the image", image, arrays[0].shape)
    # Every so many columns are enough to tell a variance.
    wide = range(arrays[0].shape[1])[light[1]]
    light = (light[0], slice(wide.start, wide.stop, max(1, len(wide) // ENOUGH)))
    excess, rows = [], []
    for first, second in pairwise(arrays):
        difference = (second.astype(float) - first) / np.sqrt(2)
        noise = [_noise_of(difference[part]) for part in (light, where)]
        excess.append(float(np.mean(noise[0] ** 2) - np.mean(noise[1] ** 2)))
        if light[0] == where[0]:
            rows.append(row_noise(noise[1], noise[0]))
    variance = sum(one.variance for one in rows)
    shared = sum(one.variance * one.shared for one in rows) / variance if variance else 1.0
    return ImageExcess(float(np.mean(excess)), shared > 0.5)


def frame_detector(frame: Any, overscan: str, detector: Detector, excess: ImageExcess | None = None) -> Detector:
    r"""
    The detector as it read out one frame: read noise and its correlation from the frame's own overscan.

    Parameters
    ----------
    frame : CCDFrame or ndarray, shape (ny, nx)
        A raw one, in adu, with its overscan.
    overscan : str
        FITS section of the overscan, without columns that hold trailing charge.
    detector : Detector
        Of one amplifier, such as `PhotonTransfer.to_detector` makes; all is kept but its read noise and how that of
        neighbours goes together.
    excess : ImageExcess, optional
        What `image_excess` found in biases. Without it the image counts as read out like the overscan, and where it is
        not, the read noise may be too low.

    Returns
    -------
    Detector
        Whose read noise holds for the image of this frame.

    Raises
    ------
    FrameError
        If the section lies outside of the frame, or is smaller than 32 rows and 8 columns.
    ValueError
        If the detector has several amplifiers.

    Notes
    -----
    The autocovariance of the overscan, less its mean and what drifts slowly along it, is taken as

    .. math:: C(d_x, d_y) = w \, \delta(d_x, d_y) + \delta(d_y) \sum_k p_k \cos(\omega_k d_x) + \sum_j p_j
        \cos(\omega_{xj} d_x + \omega_{yj} d_y).

    Tones j are frequencies that chance does not lift so high above others of their :math:`\omega_x`. The white part w
    and the :math:`p_k` of phases that each row has for itself, that of :math:`\omega = 0` for what a row has in common,
    fit the covariances along the rows; none is negative. The excess of the image is white.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astro_calib import Detector
    >>> from astro_calib.characterize import frame_detector
    >>> from astro_calib.simulate.electronics import ReadOut, ReadOutTone
    >>> truth = ReadOut(white=6, tones=(ReadOutTone(power=28, wx=2.4, coherent=False),))
    >>> frame = 1000 + truth.draw((400, 132), np.random.default_rng(1)) / 1.5
    >>> camera = Detector(gain=1.5 * u.electron / u.adu, read_noise=6 * u.electron)
    >>> found = frame_detector(np.rint(frame), "[101:132, 1:400]", camera)
    >>> print(found.read_noise.round(1), found.correlation.rho(1, 0).round(2), truth.correlation().rho(1, 0).round(2))
    8.0 electron -0.32 -0.32
    """
    detector = as_detector(detector, "frame_detector")
    if len(detector.amplifiers) != 1:
        msg = (
            f"the detector has {len(detector.amplifiers)} amplifiers, and an overscan is that of one; measure the part "
            "of each with a Detector of its own."
        )
        raise ValueError(msg)
    pixels = getattr(frame, "pixels", None)
    pixels = np.asarray(pixels if pixels is not None else getattr(frame, "data", frame))
    if pixels.ndim != 2 or pixels.dtype.kind not in "uif":
        msg = f"the frame is {described(frame)}; expected a raw image, in adu."
        raise TypeError(msg)
    excess = ImageExcess(0.0) if excess is None else excess
    noise = _noise_of(pixels[_section("the overscan", overscan, pixels.shape)].astype(float))
    known = _tones_of(detector)
    tones, rest = _sharp_tones(noise, known)
    white, row, changing, size = _fitted(rest, known)
    step = digital_step(neighbours(pixels)) or 0.0
    # What rounding adds is known from the step.
    white = max(white + excess.white - step**2 / 12, 0.0)
    if excess.rows_in_overscan:
        # So slow a tone is like what a row has in common.
        slow = np.abs(tones[:, 1]) < np.pi / noise.shape[1]
        tones[slow, 1] = 0.0
    if size:
        tones = np.vstack([tones, known * [size, 1, 1]])
    total = white + row + tones[:, 0].sum() + sum(power for power, _ in changing)
    gain = float(detector.amplifiers[0].gain.value)
    correlation = None
    if total > 0:
        parts = [(power / total, wx, wy) for power, wx, wy in tones]
        parts += [(power / total, wx, None) for power, wx in changing]
        correlation = Correlation(row / total, parts)
    return detector.read_out_with(
        gain * np.sqrt(total) * u.electron, correlation, rows_in_overscan=excess.rows_in_overscan
    )


def _section(what: str, section: str, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a section that is large enough."""
    try:
        parts = slices_of_section(section)
    except ValueError as error:
        msg = f"{what} is {described(section)}; expected a FITS section such as '[1025:1056, 1:1024]'."
        raise FrameError(msg) from error
    rows, columns = (len(range(length)[part]) for part, length in zip(parts, shape, strict=True))
    inside = all(part.stop is None or part.stop <= length for part, length in zip(parts, shape, strict=True))
    if not inside or rows < FEWEST_ROWS or columns < FEWEST_COLUMNS:
        msg = (
            f"{what}, {section}, has {columns} columns and {rows} rows of a frame of {shape[1]} columns and {shape[0]} "
            f"rows; expected a section inside of it, of {FEWEST_COLUMNS} columns and {FEWEST_ROWS} rows or more."
        )
        raise FrameError(msg)
    return parts


def _noise_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values less their level, its drift and profiles that all rows or columns have; 0 where one is far off."""
    values = np.where(np.isfinite(values), values, np.nan)
    values = values - np.nanmedian(values)
    for _ in range(2):
        kept = values[np.isfinite(values)]
        width = max(1.4826 * float(np.median(np.abs(kept - np.median(kept)))), 0.5)
        values[np.abs(values) > CLIP * np.hypot(width, float(np.std(kept)) if width == 0.5 else 0.0)] = np.nan
        for axis in (0, 1):
            values -= _profile(values, axis)
    return np.nan_to_num(values)


def _profile(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """The means over an axis: all of them if they are known well, else their drift; broadcasts to the values."""
    number = np.isfinite(values).sum(axis=axis)
    means = np.nansum(values, axis=axis) / np.maximum(number, 1)
    if values.shape[axis] < MANY:
        place = np.linspace(-1, 1, means.size)
        means = np.polynomial.legendre.legval(place, np.polynomial.legendre.legfit(place, means, DRIFT, w=number > 0))
    return np.expand_dims(means, axis)


def _tones_of(detector: Detector) -> NDArray[np.float64]:
    """The tones of a detector whose phase goes on from row to row."""
    correlation = detector.amplifiers[0].correlation
    tones = np.zeros((0, 3)) if correlation is None else correlation.tones
    return tones[~np.isnan(tones[:, 2])]


def _sharp_tones(
    noise: NDArray[np.float64], known: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Tones that are sharp from row to row, as a table of power and both frequencies, and the noise without them.

    Strong tones that are known already are not among them.
    """
    from scipy.fft import next_fast_len, rfft2

    ny, nx = noise.shape
    # Twice as fine as the rows resolve, and finer along the columns, of which there are few.
    shape = (next_fast_len(2 * ny, real=True), next_fast_len(4 * nx, real=True))
    limit = np.log(noise.size / FALSE_ALARMS)
    found: list[tuple[float, float, float]] = []
    strong = [(wx, wy) for part, wx, wy in known if part > STRONG]
    rest = noise
    for _ in range(SEARCHES):
        power = np.square(np.abs(rfft2(rest, shape))) / noise.size
        floor = power.mean(axis=0)
        high = np.argwhere(power > np.maximum(limit * floor, WITH_STRONGEST * power.max() * (power > limit * floor)))
        if not high.size:
            break
        high = high[np.argsort(-power[tuple(high.T)])]
        chosen: list[tuple[float, float]] = []
        for row, column in high:
            wx, wy = (
                2 * np.pi * _peak(power, (row, column), axis) / length
                for axis, length in ((1, shape[1]), (0, shape[0]))
            )
            within = (4 * np.pi / ny, 4 * np.pi / nx)
            if not (_is_among((wx, wy), chosen, within) or _is_among((wx, wy), strong, (WANDERS, within[1]))):
                chosen.append((wx, wy))
        if not chosen:
            break
        y, x = np.arange(ny)[:, None], np.arange(nx)
        waves = np.stack([wave(wx * x + wy * y).ravel() for wx, wy in chosen for wave in (np.cos, np.sin)], axis=1)
        sizes = np.linalg.lstsq(waves, rest.ravel(), rcond=None)[0]
        rest = rest - (waves @ sizes).reshape(noise.shape)
        found += [(float(pair @ pair) / 2, *place) for pair, place in zip(sizes.reshape(-1, 2), chosen, strict=True)]
    return np.array(found).reshape(-1, 3), rest


def _peak(power: NDArray[np.float64], at: tuple[int, int], axis: int) -> float:
    """The place of a peak along an axis, by the parabola through it and its neighbours."""
    line = power[:, at[1]] if axis == 0 else power[at[0]]
    place = at[axis]
    if axis == 1 and not 0 < place < len(line) - 1:
        return float(place)
    before, here, after = (float(line[(place + step) % len(line)]) for step in (-1, 0, 1))
    curvature = before - 2 * here + after
    return place + (float(np.clip((before - after) / (2 * curvature), -0.5, 0.5)) if curvature < 0 else 0.0)


def _is_among(place: tuple[float, float], others: Sequence[tuple[float, float]], within: tuple[float, float]) -> bool:
    """Whether a frequency along and across the rows is one of the others, within so much across and along."""
    wx, wy = place
    # A wave that goes the other way is the same.
    return any(
        np.hypot(_turn(wy - sign * one[1]) / within[0], _turn(wx - sign * one[0]) / within[1]) < 1
        for one in others
        for sign in (1, -1)
    )


def _turn(angle: float) -> float:
    """The same angle from -pi to pi."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _fitted(
    noise: NDArray[np.float64], known: NDArray[np.float64]
) -> tuple[float, float, list[tuple[float, float]], float]:
    """
    Fit the covariances of noise by parts, none of them negative.

    They are the white part, what a row has in common, power and frequency of tones whose phase each row draws anew,
    and the factor of the tones that the noise may have in a known shape.
    """
    from scipy.optimize import nnls

    nx = noise.shape[1]
    reach = min(nx - 2, REACH)
    lags = [(0, dx) for dx in range(reach + 1)]
    if len(known):
        lags += [(dy, dx) for dy in range(1, ROWS + 1) for dx in range(-reach // 2, reach // 2 + 1)]
    dy, dx = np.array(lags).T
    found = np.array([_covariance(noise, *lag) for lag in lags])
    variance = max(float(found[0]), 1e-12)
    frequencies = np.linspace(0, np.pi, FREQUENCIES)
    same_row = (dy == 0)[:, None]
    model = np.column_stack([(dy == 0) & (dx == 0), same_row * np.cos(np.multiply.outer(dx, frequencies))])
    if len(known):
        waves = [part * np.cos(wx * dx + wy * dy) for part, wx, wy in known]
        model = np.column_stack([model, variance * np.sum(waves, axis=0)])
    # In units of the errors; the variance is to be met.
    weight = np.sqrt(noise.size * (1 - np.abs(dx) / nx)) / variance * np.where((dy == 0) & (dx == 0), 10.0, 1.0)
    # A comb of tones is white, too, as far as these lags reach: white comes first.
    comb = np.zeros(model.shape[1])
    comb[1 : 1 + FREQUENCIES] = 1 / (COMB * variance)
    parts, _ = nnls(np.vstack([model * weight[:, None], comb]), np.append(found * weight, 0.0))
    changing = zip(parts[2 : 1 + FREQUENCIES], frequencies[1:], strict=True)
    tones = [(float(part), float(w)) for part, w in changing if part > 0]
    return float(parts[0]), float(parts[1]), tones, variance * float(parts[1 + FREQUENCIES]) if len(known) else 0.0


def _covariance(noise: NDArray[np.float64], dy: int, dx: int) -> float:
    """The mean product of pixels at a distance."""
    ny, nx = noise.shape
    first = noise[dy:, max(dx, 0) : nx + min(dx, 0)]
    return float(np.mean(first * noise[: ny - dy, max(-dx, 0) : nx - max(dx, 0)]))
