"""
The read-out noise of one frame, from its own overscan, with what biases say of image against overscan.

Read-out noise changes from frame to frame, with what the electronics pick up. A few columns of overscan tell its size
and which frequencies it has.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.arguments import described
from astro_calib.characterize.frames import as_read, different_frames
from astro_calib.characterize.overscan_noise import noise_of, parts_of
from astro_calib.detector.correlation import Correlation
from astro_calib.detector.detector import as_detector
from astro_calib.detector.sections import slices_of_section
from astro_calib.detector.waves import ENOUGH_TONES
from astro_calib.errors import FrameError
from astro_calib.noise.digital_step import digital_step, neighbours
from astro_calib.steps.overscan_rows import row_noise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.amplifier import Amplifier
    from astro_calib.detector.detector import Detector

__all__ = ["ImageExcess", "frame_detector", "image_excess"]

#: Fewer rows or columns of overscan tell nothing of its neighbours.
FEWEST_ROWS, FEWEST_COLUMNS = 32, 8
#: So many columns of the image are looked at.
ENOUGH = 256


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
    >>> sigma = np.where(
    ...     np.arange(160) < 128, 5.0, 4.0
    ... )  # 128 columns of image, 32 of overscan
    >>> biases = [
    ...     np.rint(rng.normal(1000, sigma, (200, 160))) for _ in range(4)
    ... ]
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
    # Every so many columns are enough to tell a variance; even and odd ones may differ.
    wide = range(arrays[0].shape[1])[light[1]]
    light = (light[0], slice(wide.start, wide.stop, max(1, len(wide) // ENOUGH - 1) | 1))
    excess, rows = [], []
    for first, second in pairwise(arrays):
        difference = (second.astype(float) - first) / np.sqrt(2)
        noise = [noise_of(difference[part]) for part in (light, where)]
        # Of some columns of the image other things are wrong.
        of_image, of_overscan = (np.median(np.mean(part**2, axis=0)) for part in noise)
        excess.append(float(of_image - of_overscan))
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
        neighbours goes together. Tones that it has are those of the frame, too, the strong ones in the strength that
        the overscan shows.
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
    TypeError
        If the frame is no image, or the detector no `~astro_calib.Detector`.
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
    >>> truth = ReadOut(
    ...     white=6, tones=(ReadOutTone(power=28, wx=2.4, coherent=False),)
    ... )
    >>> frame = 1000 + truth.draw((400, 132), np.random.default_rng(1)) / 1.5
    >>> camera = Detector(
    ...     gain=1.5 * u.electron / u.adu, read_noise=6 * u.electron
    ... )
    >>> found = frame_detector(np.rint(frame), "[101:132, 1:400]", camera)
    >>> print(
    ...     found.read_noise.round(),
    ...     found.correlation.rho(1, 0).round(1),
    ...     truth.correlation().rho(1, 0).round(1),
    ... )
    8.0 electron -0.3 -0.3
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
    strip = as_read(pixels, _section("the overscan", overscan, pixels.shape), detector.amplifiers[0].corner)
    noise = noise_of(strip.astype(float))
    white, row, tones = parts_of(noise, _tones_of(detector.amplifiers[0]))
    step = digital_step(neighbours(pixels)) or 0.0
    # What rounding adds is known from the step.
    white = max(white + excess.white - step**2 / 12, 0.0)
    if excess.rows_in_overscan:
        # So slow a tone is like what a row has in common.
        tones[np.abs(tones[:, 1]) < np.pi / noise.shape[1], 1] = 0.0
    total = white + row + float(tones[:, 0].sum())
    gain = float(detector.amplifiers[0].gain.value)
    correlation = Correlation(row / total, tones / [total, 1, 1]).with_fewer(ENOUGH_TONES) if total > 0 else None
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


def _tones_of(amplifier: Amplifier) -> NDArray[np.float64]:
    """Power, adu^2, and frequencies of the tones whose phase goes on from row to row."""
    if amplifier.correlation is None:
        return np.zeros((0, 3))
    tones = amplifier.correlation.tones
    variance = float(amplifier.read_noise.value / amplifier.gain.value) ** 2
    return tones[~np.isnan(tones[:, 2])] * [variance, 1, 1]
