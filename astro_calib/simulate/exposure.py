"""What a simulated frame was made of, and how it is read out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import astropy.units as u
import numpy as np

from astro_calib.simulate.components import ELECTRON_RATE
from astro_calib.simulate.components import read_noise as draw_read_noise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from astropy.io.fits import Header
    from astropy.table import QTable, Table
    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.detector.linearity import Linearity
    from astro_calib.simulate.amplifiers import Layout
    from astro_calib.simulate.electronics import ReadOut, ReadOutTone

__all__ = ["FRAME_TYPES", "Truth", "header_of", "largest_value", "read_out_frame", "stars_on_frame"]

LARGEST_UINT16 = 65535
FRAME_TYPES = {"bias": "BIAS", "dark": "DARK", "flat": "FLAT", "science": "LIGHT"}


class Instrument(Protocol):
    """What is asked of a `Camera`."""

    @property
    def shape(self) -> tuple[int, int]:
        """Of the imaging area."""

    @property
    def detector(self) -> Detector:
        """Its detector."""

    @property
    def bias_structure(self) -> NDArray[np.float64]:
        """In adu."""

    @property
    def dark_rate(self) -> NDArray[np.float64]:
        """Electron / s."""

    @property
    def sensitivity(self) -> Mapping[str, NDArray[np.float64]]:
        """By filter."""

    @property
    def level_offsets(self) -> tuple[float, ...]:
        """In adu, for each amplifier."""

    @property
    def digital_step(self) -> int:
        """In adu."""

    @property
    def common_tones(self) -> tuple[ReadOutTone, ...]:
        """What all amplifiers have at once."""

    @property
    def layout(self) -> Layout:
        """Where everything is in a raw frame."""

    @property
    def read_outs(self) -> tuple[ReadOut | None, ...]:
        """The noise of each amplifier."""

    @property
    def image_gain(self) -> float | NDArray[np.float64]:
        """Electron / adu."""

    @property
    def image_read_noise(self) -> float | NDArray[np.float64]:
        """Electron."""

    @property
    def image_level_offset(self) -> float | NDArray[np.float64]:
        """In adu."""

    @property
    def linearity(self) -> Linearity | None:
        """That of all amplifiers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """
    What a simulated frame was made of: everything that is not noise.

    All arrays have the shape (ny, nx) of the imaging area, without overscan, and hold expected values, before
    Poisson noise.

    Parameters
    ----------
    camera : Camera
        The camera that took the frame.
    kind : {"bias", "dark", "flat", "science"}
        What was taken.
    exposure_time : float
        s.
    filter : str or None
        The filter of a flat or a science frame.
    bias_level : float
        Level of this frame's overscan, adu; the camera's level plus this frame's drift.
    sky_rate, star_rate : ndarray of float64
        Light of the sky and of the stars at a sensitivity of 1, electron / s.
    cosmic_rays : ndarray of float64
        Charge of the cosmic rays, electron.
    saturated : ndarray of bool
        Pixels that reached the saturation level, or the end of 16 bits.
    stars : QTable
        The stars whose centre is on the frame: the columns that were given, with ``flux`` in electron, what
        the whole exposure collects at a sensitivity of 1.
    integer : bool
        Whether the frame was rounded and clipped.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import simulate
    >>> camera = simulate.camera((64, 96), seed=3)
    >>> frame, truth = camera.expose(
    ...     "science", 60, filter="V", sky=20, rng=np.random.default_rng(1)
    ... )
    >>> (
    ...     round(truth.light.mean()),
    ...     round(truth.variance.mean() - truth.electrons.mean()),
    ... )  # 8^2 + 1.5^2 / 12
    (1200, 64)
    """

    camera: Instrument
    kind: str
    exposure_time: float
    filter: str | None
    bias_level: float
    sky_rate: NDArray[np.float64]
    star_rate: NDArray[np.float64]
    cosmic_rays: NDArray[np.float64]
    saturated: NDArray[np.bool_]
    stars: QTable
    integer: bool

    @property
    def sensitivity(self) -> NDArray[np.float64]:
        """Relative sensitivity through the filter, mean 1; all 1 for a closed shutter."""
        if self.filter is None:
            return np.broadcast_to(1.0, self.camera.shape)
        return self.camera.sensitivity[self.filter]

    @property
    def light(self) -> NDArray[np.float64]:
        """Expected electrons of sky and stars, after the sensitivity."""
        return (self.sky_rate + self.star_rate) * self.sensitivity * self.exposure_time

    @property
    def dark(self) -> NDArray[np.float64]:
        """Expected electrons of the dark current."""
        return self.camera.dark_rate * self.exposure_time

    @property
    def electrons(self) -> NDArray[np.float64]:
        """Expected electrons from all sources: light, dark current and cosmic rays."""
        return self.light + self.dark + self.cosmic_rays

    @property
    def bias(self) -> NDArray[np.float64]:
        """Bias with its structure, adu."""
        return self.bias_level + self.camera.image_level_offset + self.camera.bias_structure

    @property
    def mean(self) -> NDArray[np.float64]:
        """Expected raw value, adu, as if nothing saturated."""
        signal, linearity = self.electrons / self.camera.image_gain, self.camera.linearity
        return (signal if linearity is None else linearity.response(signal)) + self.bias

    @property
    def variance(self) -> NDArray[np.float64]:
        """
        Variance of a pixel's noise, electron squared, as if nothing saturated and the response were linear.

        Shot noise of all electrons, read noise, and for rounded frames the quantisation, the square of a digital step
        in electrons / 12.
        """
        quantisation = (self.camera.image_gain * self.camera.digital_step) ** 2 / 12 if self.integer else 0.0
        return self.electrons + self.camera.image_read_noise**2 + quantisation

    @property
    def cosmic_ray_mask(self) -> NDArray[np.bool_]:
        """True for the pixels that a cosmic ray hit."""
        return self.cosmic_rays > 0


def read_out_frame(camera: Instrument, truth: Truth, rng: np.random.Generator) -> NDArray[np.float64]:
    """Raw values of the frame and its overscan, adu, before rounding; the level where no amplifier reads."""
    layout, amplifiers = camera.layout, camera.detector.amplifiers
    rows = max(len(reading.rows) for reading in layout.readings)
    common = [(tone, tone.amplitudes(rows, rng)) for tone in camera.common_tones]
    noises: list[NDArray[np.float64]] = []
    for reading, read_out, amplifier in zip(layout.readings, camera.read_outs, amplifiers, strict=True):
        if read_out is None:
            noises.append(draw_read_noise((len(reading.rows), len(reading.columns)), amplifier.read_noise, rng))
            continue
        y, x, is_overscan = reading.in_order(camera.shape)
        noise = read_out.draw_at(y, x, rng, is_overscan)
        for tone, amplitudes in common:
            noise += tone.at(y, x, amplitudes)
        noises.append(noise)
    collected = rng.poisson(truth.electrons).astype(np.float64)
    data = np.full(layout.shape, truth.bias_level)
    structure = np.broadcast_to(camera.bias_structure, camera.shape)
    of_each = zip(layout.readings, noises, amplifiers, camera.level_offsets, strict=True)
    for reading, values, amplifier, offset in of_each:
        gain, electrons = float(amplifier.gain.value), collected[reading.image]
        if amplifier.linearity is not None:
            electrons = amplifier.linearity.response(electrons / gain) * gain
        number = electrons.shape[1]
        values[:, :number] += electrons
        values[...] = values / gain + (truth.bias_level + offset)
        values[:, :number] += structure[reading.image]
        data[np.ix_(reading.rows, reading.columns)] = values
    return data


def header_of(camera: Instrument, truth: Truth) -> Header:
    """Header of a raw frame, without a date, which only the caller can know."""
    from astropy.io.fits import Header

    rows, columns = camera.layout.image
    image = f"[{columns.start + 1}:{columns.stop},{rows.start + 1}:{rows.stop}]"
    amplifiers = camera.detector.amplifiers
    header = Header()
    header["BUNIT"] = "adu"
    header["TELESCOP"] = ("simulated", "not an observation")
    header["INSTRUME"] = camera.detector.name
    header["OBJECT"] = truth.kind
    header["IMAGETYP"] = (FRAME_TYPES[truth.kind], "kind of frame")
    header["EXPTIME"] = (truth.exposure_time, "[s] exposure time")
    if truth.filter is not None:
        header["FILTER"] = truth.filter
    if len(amplifiers) == 1:
        header["GAIN"] = (float(amplifiers[0].gain.value), "[electron/adu] gain")
        header["RDNOISE"] = (float(amplifiers[0].read_noise.value), "[electron] read noise")
        if camera.detector.saturation is not None:
            header["SATURATE"] = (largest_value(camera.detector.saturations()[0]), "[adu] saturated from here")
    header["DATASEC"] = (image, "imaging area")
    header["TRIMSEC"] = (image, "imaging area")
    ny, nx = camera.layout.shape
    if len(amplifiers) == 1 and nx > columns.stop:
        header["BIASSEC"] = (f"[{columns.stop + 1}:{nx},1:{ny}]", "overscan")
    return header


def largest_value(saturation: float | None) -> int:
    """The raw value at which integer frames saturate, adu."""
    return LARGEST_UINT16 if saturation is None else min(math.ceil(saturation), LARGEST_UINT16)


def stars_on_frame(stars: Table | None, shape: tuple[int, int], exposure_time: float) -> QTable:
    """The stars whose centre is on the frame, with their flux in electrons."""
    from astropy.table import QTable

    if stars is None:
        return QTable({"x": np.zeros(0), "y": np.zeros(0), "flux": np.zeros(0) * u.electron})
    table = QTable(stars)
    inside = [
        np.abs(u.Quantity(table[name], u.pixel).value - (size - 1) / 2) < size / 2
        for name, size in zip(("y", "x"), shape, strict=True)
    ]
    table = table[inside[0] & inside[1]]
    table["flux"] = u.Quantity(table["flux"], ELECTRON_RATE) * (exposure_time * u.s)
    return table
