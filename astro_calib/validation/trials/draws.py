"""
What the trials simulate, in plain NumPy: raw frames and masters whose noise is drawn anew each time.

Nothing here comes from the code under test, so that an error of that code cannot be in the truth as well.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

#: The camera, where a trial does not need another: electron / adu, electron, adu.
GAIN, READ_NOISE, PEDESTAL = 1.5, 6.0, 1000.0
#: Standard deviation of the pedestal from frame to frame, where it is no constant: adu.
DRIFT = 3.0


class Drawn(NamedTuple):
    """
    One realisation.

    Attributes
    ----------
    frames : sequence of ndarray or ndarray, shape (n, ny, nx)
        The frames that were simulated.
    place : ndarray, shape (2,)
        Two numbers between 0 and 1, which choose the sum over pixels whose variance stands for that of all.
    known : mapping
        What the user is told besides, or the truth that differs from one realisation to the next.
    """

    frames: Sequence[NDArray[Any]] | NDArray[Any]
    place: NDArray[np.float64]
    known: Mapping[str, Any] = MappingProxyType({})


def digitised(
    rng: np.random.Generator,
    electrons: float | NDArray[Any],
    shape: tuple[int, int],
    *,
    gain: float | NDArray[Any] = GAIN,
    read_noise: float | NDArray[Any] = READ_NOISE,
    pedestal: float | NDArray[Any] = PEDESTAL,
    step: int = 1,
) -> NDArray[np.uint16]:
    """
    Expose and read a frame: ``electrons`` are expected, the values are multiples of ``step`` adu.

    The gain is in electron / adu, the read noise in electron, the pedestal in adu; all broadcast to the shape.
    """
    collected = rng.poisson(np.broadcast_to(electrons, shape)) + read_noise * rng.standard_normal(shape)
    return (step * np.rint((pedestal + collected / gain) / step)).astype(np.uint16)


def raw_frames(
    rng: np.random.Generator, light: Sequence[Any], shape: tuple[int, int], gain_error: float = 0.0, **camera: Any
) -> Drawn:
    """One raw frame for each light (electron); the true gain differs from the known one by a relative error."""
    if gain_error:
        camera["gain"] = rng.normal(GAIN, gain_error * GAIN)
    return Drawn([digitised(rng, one, shape, **camera) for one in light], rng.random(2))


def raw_frames_of_known_gains(
    rng: np.random.Generator,
    light: float,
    gains: NDArray[np.float64],
    uncertainty: float,
    shape: tuple[int, int],
    number: int = 1,
) -> Drawn:
    """Raw frames, and gains measured with a relative uncertainty; each amplifier has as many columns as the others."""
    gain = np.repeat(gains, shape[1] // gains.size)
    frames = [digitised(rng, light, shape, gain=gain) for _ in range(number)]
    measured = gains * (1 + uncertainty * rng.standard_normal(gains.size))
    return Drawn(frames, rng.random(2), {"gains": measured, "uncertainties": uncertainty * measured})


# -- frames with an overscan -----------------------------------------------------------------------------------------


class Layout(NamedTuple):
    """
    How many lines a frame has, and how many pixels of each see light and how many are overscan.

    The overscan is averaged over the axes. The lines are columns if that is axis 0, and else rows.
    """

    lines: int
    light: int
    overscan: int
    axes: int | tuple[int, int]

    @property
    def turned(self) -> bool:
        """Whether the lines are columns."""
        return self.axes == 0

    def section(self, first: int, last: int) -> str:
        """The FITS section of the pixels from first to last, which is left out, of all lines."""
        across, along = f"1:{self.lines}", f"{first + 1}:{last}"
        return f"[{across},{along}]" if self.turned else f"[{along},{across}]"

    def arguments(self, **options: Any) -> dict[str, Any]:
        """The arguments of subtract_overscan."""
        return {"fits_section": self.of_overscan, "overscan_axis": self.axes, **options}

    @property
    def of_overscan(self) -> str:
        """The FITS section of the overscan."""
        return self.section(self.light, self.light + self.overscan)

    @property
    def of_light(self) -> str:
        """The FITS section of the pixels that see light."""
        return self.section(0, self.light)


def with_overscan(rng: np.random.Generator, layout: Layout, light: float = 0.0, number: int = 1) -> Drawn:
    """Raw frames, each with a pedestal of its own, which is no whole number."""
    whole = layout.light + layout.overscan
    electrons = np.where(np.arange(whole) < layout.light, light, 0.0)
    frames, pedestals = [], []
    for _ in range(number):
        pedestals.append(rng.normal(PEDESTAL, DRIFT))
        pixels = digitised(rng, electrons, (layout.lines, whole), pedestal=pedestals[-1])
        frames.append(np.ascontiguousarray(pixels.T) if layout.turned else pixels)
    return Drawn(frames, rng.random(2), {"pedestals": pedestals})


def by_two_amplifiers(
    rng: np.random.Generator, half: Layout, light: float, gains: Sequence[float], read_noises: Sequence[float]
) -> Drawn:
    """A raw frame of two halves side by side, each with its overscan on its side of the frame."""
    width = half.light + half.overscan
    electrons = np.where(np.arange(width) < half.overscan, 0.0, light)
    left, right = (
        digitised(
            rng,
            electrons,
            (half.lines, width),
            gain=gain,
            read_noise=read_noise,
            pedestal=rng.normal(PEDESTAL, DRIFT),
        )
        for gain, read_noise in zip(gains, read_noises, strict=True)
    )
    return Drawn([np.hstack([left, right[:, ::-1]])], rng.random(2))


# -- a detector whose response is not linear -------------------------------------------------------------------------

#: Its camera; its true correction is x (1 + a1 x + a2 x**2) up to a largest signal, in powers of adu.
NONLINEAR_GAIN, NONLINEAR_READ_NOISE = 1.5, 30.0
COEFFICIENTS, LIMIT = np.array([1e-6, 3e-11]), 50000.0
#: Covariance of the coefficients as they are measured.
SIGMAS, CORRELATION = np.array([2.0e-7, 5.0e-12]), -0.8
COVARIANCE = np.outer(SIGMAS, SIGMAS) * np.array([[1, CORRELATION], [CORRELATION, 1]])
#: Signals at which the correction was measured, and the error of each; adu.
NODES, NODE_SIGMA = np.linspace(0, LIMIT, 6), 120.0


def correction(measured: NDArray[np.float64]) -> NDArray[np.float64]:
    """The true signal of a measured one, both in adu net of pedestal."""
    return measured * (1 + COEFFICIENTS[0] * measured + COEFFICIENTS[1] * measured**2)


def response(true: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the detector makes of a signal, by Newton's method."""
    measured = true.copy()
    for _ in range(6):
        slope = 1 + 2 * COEFFICIENTS[0] * measured + 3 * COEFFICIENTS[1] * measured**2
        measured -= (correction(measured) - true) / slope
    return measured


def levels(light: ArrayLike, columns: int, rows: int = 1) -> NDArray[np.float64]:
    """So many pixels for each level, beside and above each other."""
    return np.repeat(np.reshape(np.repeat(np.asarray(light, dtype=np.float64), rows), (-1, 1)), columns, axis=1)


def by_polynomial(rng: np.random.Generator, light: Sequence[NDArray[np.float64]], part: float = 1.0) -> Drawn:
    """Frames, and a polynomial whose coefficients are off by a part of the uncertainties above; 0 is exact."""
    if not part:
        return _compressed(rng, light, {"coefficients": COEFFICIENTS, "covariance": None})
    first, second = rng.standard_normal(2)
    errors = np.array([first, CORRELATION * first + np.sqrt(1 - CORRELATION**2) * second])
    known = {"coefficients": COEFFICIENTS + part * SIGMAS * errors, "covariance": part**2 * COVARIANCE}
    return _compressed(rng, light, known)


def by_table(rng: np.random.Generator, columns: int, rows: int = 1, part: float = 1.0) -> Drawn:
    """A frame, and a table of the correction whose values are off."""
    # Between its nodes the table is straight: the light is put where that is no error, on a node and near it.
    truth = correction(NODES)
    sigmas = part * NODE_SIGMA * (NODES > 0)
    values = truth + sigmas * rng.standard_normal(NODES.size)
    light = levels(NONLINEAR_GAIN * truth[1:5], columns, rows)
    return _compressed(rng, [light], {"nodes": NODES, "values": values, "sigmas": sigmas})


def _compressed(rng: np.random.Generator, light: Sequence[NDArray[np.float64]], known: dict[str, Any]) -> Drawn:
    """Frames of a detector that compresses what was collected, before it is read."""
    frames = []
    for one in light:
        collected = response(rng.poisson(one) / NONLINEAR_GAIN)
        measured = collected + NONLINEAR_READ_NOISE / NONLINEAR_GAIN * rng.standard_normal(one.shape)
        frames.append(np.rint(PEDESTAL + measured).astype(np.uint16))
    return Drawn(frames, rng.random(2), {**known, "light": light})


# -- nights: biases, darks, flats and science frames -----------------------------------------------------------------


class Night(NamedTuple):
    """
    Raw frames of each kind, and the exposure times of darks, flats and science frames, in seconds.

    The mask is that of the flats; the place is one number between 0 and 1.
    """

    biases: Sequence[NDArray[np.uint16]]
    darks: Sequence[NDArray[np.uint16]]
    flats: Sequence[NDArray[np.uint16]]
    science: Sequence[NDArray[np.uint16]]
    times: tuple[float, float, float]
    mask: NDArray[np.bool_] | None = None
    place: float = 0.0


#: A small camera: exposures of dark and flat, seconds; dark current, electron / s; light of sky and lamp, electron.
SHAPE = (48, 48)
DARK_TIME, FLAT_TIME, DARK_RATE = 60.0, 6.0, 0.5
FAINT, BRIGHT, LAMP = 20.0, 400.0, 1500.0
#: Its bias pattern, adu, and its sensitivity, with a mean of one.
PATTERN = np.random.default_rng(1).normal(0, 2.0, SHAPE)
SENSITIVITY = np.random.default_rng(2).normal(1, 0.03, SHAPE)
SENSITIVITY /= SENSITIVITY.mean()
#: The same with rows that see little.
VIGNETTED = np.where(np.arange(SHAPE[0])[:, np.newaxis] < 6, 0.2, 1.0) * SENSITIVITY
VIGNETTED /= VIGNETTED.mean()
#: Pixels that are stuck far up, which the user has masked.
STUCK = np.zeros(SHAPE, dtype=bool)
STUCK[:, -5:] = True


def small_night(
    rng: np.random.Generator,
    *,
    biases: int = 1,
    darks: int = 0,
    flats: int = 0,
    time: float = DARK_TIME,
    sky: float = FAINT,
    sensitivity: NDArray[np.float64] = SENSITIVITY,
    stuck: bool = False,
    fading: float = 0.0,
) -> Night:
    """
    One science frame, and so many of each other kind; without darks there is no dark current.

    Each flat has less light than the one before, by the part ``fading``.
    """

    def exposed(number: int, light: float, seconds: float) -> list[NDArray[np.uint16]]:
        expected = light * sensitivity + DARK_RATE * seconds * bool(darks)
        return [digitised(rng, expected, SHAPE, pedestal=PEDESTAL + PATTERN) for _ in range(number)]

    drawn_flats = [exposed(1, LAMP * (1 - fading) ** index, FLAT_TIME)[0] for index in range(flats)]
    for flat in drawn_flats if stuck else []:
        flat[STUCK] = 60000
    return Night(
        exposed(biases, 0.0, 0.0),
        exposed(darks, 0.0, DARK_TIME),
        drawn_flats,
        exposed(1, sky, time),
        (DARK_TIME, FLAT_TIME, time),
        STUCK if stuck else None,
    )


#: A field of stars in a grid of so many pixels: shape, columns of overscan, read noise; and its own camera, as above.
FIELD, STEP, FIELD_OVERSCAN, FIELD_READ_NOISE = (90, 150), 15, 16, 8.0
FIELD_TIMES, FIELD_DARK_RATE, FIELD_SKY, FIELD_LAMP = (240.0, 10.0, 120.0), 0.1, 60.0, 5000.0
FIELD_PATTERN = np.random.default_rng(3).normal(0, 2.0, FIELD)
FIELD_SENSITIVITY = np.random.default_rng(4).normal(1, 0.02, FIELD)
FIELD_SENSITIVITY /= FIELD_SENSITIVITY.mean()
#: Where the stars stand, their width (standard deviation, pixels), and the electrons of each.
PLACES = np.array([(x, y) for y in range(STEP // 2, FIELD[0], STEP) for x in range(STEP // 2, FIELD[1], STEP)], float)
WIDTH, FLUX = 1.0, 1000.0


def field_light() -> NDArray[np.float64]:
    """Expected electrons of sky and stars, which are Gaussians sampled in the middle of each pixel."""
    y, x = np.mgrid[: FIELD[0], : FIELD[1]]
    profiles = [np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * WIDTH**2)) for x0, y0 in PLACES]
    return FIELD_SKY + FLUX / (2 * np.pi * WIDTH**2) * np.sum(profiles, axis=0)


#: What a perfect calibration makes of a science frame.
FIELD_LIGHT = field_light()


def field_night(rng: np.random.Generator, number: int) -> Night:
    """So many frames of each kind, each with a pedestal of its own."""

    def exposed(light: NDArray[np.float64] | float, seconds: float) -> list[NDArray[np.uint16]]:
        whole = (FIELD[0], FIELD[1] + FIELD_OVERSCAN)
        expected, pattern = np.zeros(whole), np.zeros(whole)
        expected[:, : FIELD[1]] = light * FIELD_SENSITIVITY + FIELD_DARK_RATE * seconds
        pattern[:, : FIELD[1]] = FIELD_PATTERN
        pedestals = rng.normal(PEDESTAL, DRIFT, number)
        return [digitised(rng, expected, whole, read_noise=FIELD_READ_NOISE, pedestal=at + pattern) for at in pedestals]

    dark_time, flat_time, science_time = FIELD_TIMES
    return Night(
        exposed(0.0, 0.0),
        exposed(0.0, dark_time),
        exposed(FIELD_LAMP, flat_time),
        exposed(FIELD_LIGHT, science_time),
        FIELD_TIMES,
        place=rng.random(),
    )


def hit_sky(rng: np.random.Generator, peak: float) -> Drawn:
    """A raw frame of stars on a grid, of so many electrons in the brightest pixel, with hits of single pixels."""
    y, x = (np.mod(axis, 16) - 8 for axis in np.mgrid[: SHAPE[0], : SHAPE[1]])
    light = 100.0 + peak * np.exp(-(x**2 + y**2) / (2 * 2.0**2))
    hit = np.zeros(SHAPE, dtype=bool)
    hit[tuple(rng.integers(4, np.array(SHAPE)[:, np.newaxis] - 4, (2, 8)))] = True
    return Drawn([digitised(rng, light + 3000.0 * hit, SHAPE)], rng.random(2), {"light": light, "hit": hit})


# -- frames of Gaussian noise of known size, in electrons ------------------------------------------------------------

#: What all frames show, without noise; and their shape, large enough that most of the time is spent on pixels.
LEVEL, GAUSSIAN_SHAPE = 100.0, (40, 40)


class Frames(NamedTuple):
    """
    Frames, the noise that each has for itself, and the values that are masked.

    If there is a master, a bias or a dark of 0 and its noise, it is to be subtracted from all of them; ``ratios`` are
    their exposure times in units of that of a dark.
    """

    values: NDArray[np.float64]
    sigmas: Sequence[float]
    masks: NDArray[np.bool_] | None = None
    master: NDArray[np.float64] | None = None
    master_sigma: float = 0.0
    ratios: Sequence[float] | None = None


def gaussian(
    rng: np.random.Generator,
    *,
    sigmas: Sequence[float],
    shape: tuple[int, int] = GAUSSIAN_SHAPE,
    masked: float = 0.0,
    master_sigma: float = 0.0,
    ratios: Sequence[float] | None = None,
) -> Frames:
    """Frames, of which a part of the values is masked; there is a master if it has a sigma."""
    master = rng.normal(0.0, master_sigma, shape) if master_sigma else None
    values = rng.standard_normal((len(sigmas), *shape)) * np.reshape(sigmas, (-1, 1, 1)) + LEVEL
    masks = rng.random(values.shape) < masked if masked else None
    return Frames(values, sigmas, masks, master, master_sigma, ratios)


#: A hit of a cosmic ray, far beyond any threshold.
HIT = 1000.0


def with_hits(rng: np.random.Generator, sigmas: Sequence[float]) -> tuple[Frames, NDArray[np.bool_]]:
    """Frames, and where the first of them was hit: in a tenth of its pixels."""
    drawn = gaussian(rng, sigmas=sigmas)
    hits = rng.random(drawn.values.shape[1:]) < 0.1
    drawn.values[0] += HIT * hits
    return drawn, hits


def hit_frames(rng: np.random.Generator, number: int, sigma: float) -> Drawn:
    """Frames of which cosmic rays hit a hundredth of the pixels."""
    frames = rng.normal(LEVEL, sigma, (number, 64, 64))
    frames += (rng.random(frames.shape) < 0.01) * rng.uniform(15, 200, frames.shape) * sigma
    return Drawn(frames, rng.random(2))


def with_flat(
    rng: np.random.Generator, sigmas: Sequence[float], light: float, sigma: float
) -> tuple[Frames, NDArray[np.float64]]:
    """Frames, and a flat of so much light."""
    return gaussian(rng, sigmas=sigmas), rng.normal(light, sigma, GAUSSIAN_SHAPE)


def with_dark(rng: np.random.Generator, ratio: float, sigmas: Sequence[float]) -> Drawn:
    """
    A raw frame, a dark and a bias of these sigmas; the frame was exposed ``ratio`` times as long as the dark.

    The bias is 50, the dark current leaves 20 in the dark, and there is light of `LEVEL`.
    """
    expected = (50 + 20 * ratio + LEVEL, 50 + 20, 50)
    return Drawn([rng.normal(*pair, GAUSSIAN_SHAPE) for pair in zip(expected, sigmas, strict=True)], np.zeros(2))


def dithered(
    rng: np.random.Generator, dither: int, side: int, sigmas: Sequence[float], master_sigma: float
) -> tuple[Frames, NDArray[np.intp], NDArray[np.float64]]:
    """
    Frames under one master, where the field begins in each, and the place of `Drawn`.

    Each is shifted along both axes by a whole number of pixels, of all up to ``dither`` with equal chance; ``side`` is
    that of what all have in common.
    """
    length = side + 2 * dither
    frames = gaussian(rng, sigmas=sigmas, shape=(length, length), master_sigma=master_sigma)
    return frames, rng.integers(0, 2 * dither + 1, (len(sigmas), 2)), rng.random(2)


def unequal_flats(rng: np.random.Generator, lights: Sequence[float], shape: tuple[int, int]) -> Drawn:
    """Flats in electrons, each of its own light."""
    whole = (len(lights), *shape)
    flats = rng.poisson(np.reshape(lights, (-1, 1, 1)), whole) + READ_NOISE * rng.standard_normal(whole)
    return Drawn(flats, rng.random(2))
