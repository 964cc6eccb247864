"""A camera that takes frames."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_array, check_count, check_number, check_shape
from astro_calib.detector.detector import Detector
from astro_calib.simulate.components import (
    ELECTRON_RATE,
    bias,
    dark_current,
    make_cosmic_rays,
    sensitivity_variations,
)
from astro_calib.simulate.components import read_noise as draw_read_noise
from astro_calib.simulate.scene import stars as render_stars

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from astropy.io.fits import Header
    from astropy.table import QTable, Table
    from astropy.wcs import WCS
    from numpy.typing import ArrayLike, NDArray

    from astro_calib.detector.linearity import Linearity
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.simulate.electronics import ReadOut

__all__ = ["Camera", "Truth", "camera"]

FRAME_TYPES = {"bias": "BIAS", "dark": "DARK", "flat": "FLAT", "science": "LIGHT"}
LARGEST_UINT16 = 65535


@dataclass(frozen=True, kw_only=True, eq=False)
class Camera:
    """
    A simulated camera, without patterns unless they are given; `camera` makes one that has them all.

    Parameters
    ----------
    shape : (int, int)
        Shape (ny, nx) of the imaging area, without overscan.
    detector : Detector
        Gain, read noise, linearity and saturation, of one amplifier. Raw values of integer frames end at the
        saturation, whether a full well or the converter is the cause, or at 65535.
    bias_level : float or Quantity
        Level of the overscan, adu.
    bias_drift : float or Quantity
        Standard deviation of the level from frame to frame, adu; common to a frame and its overscan.
    bias_structure : float, Quantity or ndarray of shape (ny, nx)
        Bias above the level of the overscan, adu; may be negative.
    dark_rate : float, Quantity or ndarray of shape (ny, nx)
        Dark current, electron / s.
    sensitivity : mapping of str to float or ndarray of shape (ny, nx)
        Relative sensitivity through each filter, which has a mean of 1 if star fluxes are to be those of the
        calibrated frame.
    overscan_columns : int
        Columns of overscan, after the last column of the image.
    digital_step : int
        The values of integer frames are multiples of this, adu: 16 for a converter of 12 bits whose values are
        stored in 16.
    read_out : ReadOut, optional
        Read-out noise with parts that pixels share, image and overscan alike. The detector of the camera is then one
        with its standard deviation and its correlation. Without it the noise is white.

    Raises
    ------
    ValueError
        If a number is negative or not finite, an array has another shape, or the detector has several
        amplifiers.
    astropy.units.UnitConversionError
        If a quantity has the wrong unit.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astro_calib import Detector
    >>> from astro_calib.simulate import Camera
    >>> detector = Detector(gain=1 * u.electron / u.adu, read_noise=700 * u.electron)
    >>> camera = Camera(shape=(100, 200), detector=detector, bias_level=1100, dark_rate=0.1)
    >>> frame, truth = camera.expose("dark", 30, rng=np.random.default_rng(1), integer=False)
    >>> print(frame.data.dtype, frame.unit, round(truth.mean[0, 0], 3))
    float32 adu 1103.0
    """

    shape: tuple[int, int]
    detector: Detector
    bias_level: float = 1000.0
    bias_drift: float = 0.0
    bias_structure: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    dark_rate: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    sensitivity: Mapping[str, NDArray[np.float64]] = field(default_factory=lambda: {"V": np.ones(())})
    overscan_columns: int = 0
    digital_step: int = 1
    read_out: ReadOut | None = None

    def __post_init__(self) -> None:
        shape = check_shape(self.shape)
        if len(self.detector.amplifiers) != 1:
            number = len(self.detector.amplifiers)
            msg = f"the simulator reads through one amplifier; the detector has {number}."
            raise ValueError(msg)
        for name in self.sensitivity:
            # Names of filters become names of files.
            if not re.fullmatch(r"[\w '+-]+", name):
                msg = f"a filter is called {name!r}; use letters, digits, spaces and any of _ ' + - only."
                raise ValueError(msg)
        checked: dict[str, Any] = {
            "shape": shape,
            "bias_level": check_number("bias_level", self.bias_level, u.adu),
            "bias_drift": check_number("bias_drift", self.bias_drift, u.adu),
            "bias_structure": check_array("bias_structure", self.bias_structure, shape, u.adu, minimum=-math.inf),
            "dark_rate": check_array("dark_rate", self.dark_rate, shape, ELECTRON_RATE),
            "sensitivity": {
                name: check_array(f"sensitivity of filter {name!r}", value, shape)
                for name, value in self.sensitivity.items()
            },
            "overscan_columns": check_count("overscan_columns", self.overscan_columns),
            "digital_step": check_count("digital_step", self.digital_step),
        }
        if checked["digital_step"] == 0:
            msg = "digital_step is 0; it is the number of adu from one value to the next, 1 or more."
            raise ValueError(msg)
        if self.read_out is not None:
            checked["detector"] = self.detector.read_out_with(
                np.sqrt(self.read_out.variance) * u.electron,
                self.read_out.correlation(),
                rows_in_overscan=self.read_out.rows_in_overscan,
            )
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def gain(self) -> float:
        """Gain of the only amplifier, electron / adu."""
        return float(self.detector.amplifiers[0].gain.value)

    @property
    def read_noise(self) -> float:
        """Read noise of the only amplifier, electron."""
        return float(self.detector.amplifiers[0].read_noise.value)

    @property
    def largest_value(self) -> int:
        """The raw value at which integer frames saturate, adu."""
        saturation = self.detector.saturation
        return LARGEST_UINT16 if saturation is None else min(math.ceil(saturation.value), LARGEST_UINT16)

    @property
    def linearity(self) -> Linearity | None:
        """Linearity of the only amplifier."""
        return self.detector.amplifiers[0].linearity

    def expose(
        self,
        kind: str,
        exposure_time: float | u.Quantity,
        *,
        rng: np.random.Generator | int,
        filter: str | None = None,  # noqa: A002  the word of FITS headers
        sky: ArrayLike | u.Quantity = 0.0,
        stars: Table | None = None,
        fwhm: float = 3.5,
        cosmic_rays: int = 0,
        integer: bool = True,
        header: Mapping[str, Any] | None = None,
        wcs: WCS | None = None,
    ) -> tuple[CCDFrame, Truth]:
        r"""
        Take a frame.

        Parameters
        ----------
        kind : {"bias", "dark", "flat", "science"}
            What to take. The shutter stays closed for a bias and for a dark.
        exposure_time : float or Quantity
            s; zero for a bias.
        rng : numpy.random.Generator or int
            Source of randomness. A generator moves on from frame to frame; the same number gives the same
            noise again.
        filter : str, optional
            Name of a filter of the camera; needed for a flat and a science frame.
        sky : float, Quantity or ndarray of shape (ny, nx)
            Light of the sky, or of what lights a flat, electron / s for each pixel of sensitivity 1.
        stars : Table or QTable, optional
            Columns ``x``, ``y`` and ``flux``, as for `stars`.
        fwhm : float
            Full width at half maximum of a star, pixels.
        cosmic_rays : int
            Number of hits, as for `make_cosmic_rays`.
        integer : bool
            True for uint16 as in a file: rounded, and clipped at 0 and at saturation. False for float32,
            neither rounded nor clipped, for experiments with noise that is not small against the bias level.
        header : mapping, optional
            More header cards; they take precedence.
        wcs : astropy.wcs.WCS, optional
            World coordinates of the frame.

        Returns
        -------
        frame : CCDFrame, shape (ny, nx + overscan_columns)
            adu, uint16 or float32.
        truth : Truth
            What the frame was made of.

        Raises
        ------
        ValueError
            If the kind or the filter is unknown, a number is out of range, or light is given with a closed
            shutter.

        Notes
        -----
        With the sensitivity :math:`f`, each pixel is

        .. math::

            N &\sim \mathrm{Poisson}\left[((\mathrm{sky} + \mathrm{stars}) f + \mathrm{dark})\, t
                + \mathrm{cosmic\ rays}\right] \\
            \mathrm{raw} &= (N + R) / \mathrm{gain} + \mathrm{bias}

        with Gaussian read noise :math:`R`, white or as ``read_out`` says. The overscan is read noise and the level of
        the bias only. If the detector has a linearity, :math:`N / \mathrm{gain}` is what that corrects to.

        Examples
        --------
        >>> import numpy as np
        >>> from astro_calib import simulate
        >>> camera = simulate.camera((100, 120), seed=1)
        >>> frame, truth = camera.expose("flat", 5, filter="V", sky=4000, rng=np.random.default_rng(2))
        >>> print(frame.data.shape, frame.data.dtype, frame.meta["IMAGETYP"], frame.meta["BIASSEC"])
        (100, 152) uint16 FLAT [121:152,1:100]
        >>> print(round(truth.light.mean()))
        20000
        """
        self._check_request(kind, filter)
        exposure_time = check_number("exposure_time", exposure_time, u.s)
        if kind == "bias" and exposure_time != 0:
            msg = f"a bias has an exposure_time of 0, not {exposure_time:g} s; for a longer one take a dark."
            raise ValueError(msg)
        sky_rate = check_array("sky", sky, self.shape, ELECTRON_RATE)
        if filter is None and (stars is not None or sky_rate.any()):
            msg = f"a {kind} is taken with the shutter closed: it can have neither sky nor stars."
            raise ValueError(msg)

        dark_sky = np.broadcast_to(0.0, self.shape)
        rng = np.random.default_rng(rng)
        truth = Truth(
            camera=self,
            kind=kind,
            exposure_time=exposure_time,
            filter=filter,
            bias_level=self.bias_level + self.bias_drift * rng.standard_normal(),
            sky_rate=sky_rate,
            star_rate=dark_sky if stars is None else render_stars(self.shape, stars, fwhm),
            cosmic_rays=make_cosmic_rays(self.shape, cosmic_rays, rng) if cosmic_rays else dark_sky,
            saturated=np.broadcast_to(False, self.shape),
            stars=_stars_on_frame(stars, self.shape, exposure_time),
            integer=integer,
        )
        data = self._read_out(truth, rng)
        if integer:
            data = self.digital_step * np.rint(data / self.digital_step)
            truth = replace(truth, saturated=data[:, : self.shape[1]] >= self.largest_value)
            data = np.clip(data, 0, self.largest_value)

        from astro_calib.frame.frame import CCDFrame

        meta = self._header(truth)
        meta.update(header or {})
        frame = CCDFrame(data.astype(np.uint16 if integer else np.float32), unit=u.adu, meta=meta, wcs=wcs)
        return frame, truth

    def _check_request(self, kind: str, filter: str | None) -> None:  # noqa: A002  the word of FITS headers
        """Raise if the kind or the filter is unknown, or the shutter is closed and a filter is given."""
        if kind not in FRAME_TYPES:
            msg = f"kind is {kind!r}; it must be one of {', '.join(FRAME_TYPES)}."
            raise ValueError(msg)
        if kind in ("bias", "dark"):
            if filter is not None:
                msg = f"a {kind} is taken with the shutter closed; leave out filter={filter!r}."
                raise ValueError(msg)
        elif filter not in self.sensitivity:
            known = ", ".join(map(repr, self.sensitivity)) or "none"
            msg = f"a {kind} needs one of the camera's filters ({known}), not {filter!r}."
            raise ValueError(msg)

    def _read_out(self, truth: Truth, rng: np.random.Generator) -> NDArray[np.float64]:
        """Raw values of the frame and its overscan, adu, before rounding."""
        ny, nx = self.shape
        shape = (ny, nx + self.overscan_columns)
        if self.read_out is None:
            data = draw_read_noise(shape, self.read_noise, rng)
        else:
            data = self.read_out.draw(shape, rng, overscan_columns=self.overscan_columns)
        collected = rng.poisson(truth.electrons).astype(np.float64)
        if self.linearity is not None:
            collected = self.linearity.response(collected / self.gain) * self.gain
        data[:, :nx] += collected
        data /= self.gain
        data += truth.bias_level
        data[:, :nx] += self.bias_structure
        return data

    def _header(self, truth: Truth) -> Header:
        """Header of a raw frame, without a date, which only the caller can know."""
        from astropy.io.fits import Header

        ny, nx = self.shape
        image = f"[1:{nx},1:{ny}]"
        header = Header()
        header["BUNIT"] = "adu"
        header["TELESCOP"] = ("simulated", "not an observation")
        header["INSTRUME"] = self.detector.name
        header["OBJECT"] = truth.kind
        header["IMAGETYP"] = (FRAME_TYPES[truth.kind], "kind of frame")
        header["EXPTIME"] = (truth.exposure_time, "[s] exposure time")
        if truth.filter is not None:
            header["FILTER"] = truth.filter
        header["GAIN"] = (self.gain, "[electron/adu] gain")
        header["RDNOISE"] = (self.read_noise, "[electron] read noise")
        if self.detector.saturation is not None:
            header["SATURATE"] = (self.largest_value, "[adu] saturated from here")
        header["DATASEC"] = (image, "imaging area")
        header["TRIMSEC"] = (image, "imaging area")
        if self.overscan_columns:
            header["BIASSEC"] = (f"[{nx + 1}:{nx + self.overscan_columns},1:{ny}]", "overscan")
        return header


def _stars_on_frame(stars: Table | None, shape: tuple[int, int], exposure_time: float) -> QTable:
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


def camera(
    shape: tuple[int, int] = (512, 512),
    *,
    seed: int = 0,
    detector: Detector | None = None,
    filters: Sequence[str] = ("V", "R"),
    read_out: ReadOut | None = None,
) -> Camera:
    """
    Make a camera with everything that calibration has to take out.

    Its bias drifts by 2 adu from frame to frame and has stripes of 3 adu; its dark current of 0.1 electron /
    s comes with 0.2% of hot pixels and the glow of an amplifier; its pixels differ in sensitivity by 1%, its
    corners lose 5% of the light, and each filter has dust of its own. It has 32 columns of overscan.

    Parameters
    ----------
    shape : (int, int)
        Shape (ny, nx) of the imaging area.
    seed : int
        The same seed makes the same camera.
    detector : Detector, optional
        A detector with one amplifier; by default it has 1.5 electron / adu, 8 electron and a saturation of 60000 adu.
    filters : sequence of str
        Names of the filters.
    read_out : ReadOut, optional
        As in `Camera`.

    Returns
    -------
    Camera
        The same for the same arguments.

    Raises
    ------
    ValueError
        If the shape is not two positive whole numbers, or the detector has several amplifiers.

    Examples
    --------
    >>> from astro_calib import simulate
    >>> camera = simulate.camera((64, 96), seed=3, filters=["B", "V"])
    >>> print(camera.shape, sorted(camera.sensitivity), camera.gain)
    (64, 96) ['B', 'V'] 1.5
    """
    if detector is None:
        detector = Detector(
            gain=1.5 * u.electron / u.adu,
            read_noise=8 * u.electron,
            saturation=60000 * u.adu,
            name="simulated camera",
        )
    shape = check_shape(shape)
    bias_rng, dark_rng, pixel_rng, *filter_rngs = map(
        np.random.default_rng, np.random.SeedSequence(seed).spawn(3 + len(filters))
    )
    pixels = sensitivity_variations(shape, vignetting=0, dust=0, pixel_scatter=0.01, rng=pixel_rng)
    optics = [sensitivity_variations(shape, vignetting=0.05, dust=8, pixel_scatter=0, rng=rng) for rng in filter_rngs]
    return Camera(
        shape=shape,
        detector=detector,
        bias_level=1000.0,
        bias_drift=2.0,
        bias_structure=bias(shape, 0.0, structure=3.0, rng=bias_rng),
        dark_rate=dark_current(shape, 0.1, hot_pixels=0.002, glow=2.0, rng=dark_rng),
        sensitivity={
            name: pixels * value / (pixels * value).mean() for name, value in zip(filters, optics, strict=True)
        },
        overscan_columns=32,
        read_out=read_out,
    )


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
    >>> frame, truth = camera.expose("science", 60, filter="V", sky=20, rng=np.random.default_rng(1))
    >>> round(truth.light.mean()), round(truth.variance.mean() - truth.electrons.mean())   # 8^2 + 1.5^2 / 12
    (1200, 64)
    """

    camera: Camera
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
        return self.bias_level + self.camera.bias_structure

    @property
    def mean(self) -> NDArray[np.float64]:
        """Expected raw value, adu, as if nothing saturated."""
        signal, linearity = self.electrons / self.camera.gain, self.camera.linearity
        return (signal if linearity is None else linearity.response(signal)) + self.bias

    @property
    def variance(self) -> NDArray[np.float64]:
        """
        Variance of a pixel's noise, electron squared, as if nothing saturated and the response were linear.

        Shot noise of all electrons, read noise, and for rounded frames the quantisation, the square of a digital step
        in electrons / 12.
        """
        quantisation = (self.camera.gain * self.camera.digital_step) ** 2 / 12 if self.integer else 0.0
        return self.electrons + self.camera.read_noise**2 + quantisation

    @property
    def cosmic_ray_mask(self) -> NDArray[np.bool_]:
        """True for the pixels that a cosmic ray hit."""
        return self.cosmic_rays > 0
