"""A camera that takes frames."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_array, check_count, check_number, check_shape
from astro_calib.simulate.amplifiers import Layout, layout_of, with_read_outs
from astro_calib.simulate.components import ELECTRON_RATE, make_cosmic_rays
from astro_calib.simulate.exposure import (
    FRAME_TYPES,
    Truth,
    header_of,
    largest_value,
    read_out_frame,
    stars_on_frame,
)
from astro_calib.simulate.scene import stars as render_stars

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from astropy.table import Table
    from astropy.wcs import WCS
    from numpy.typing import ArrayLike, NDArray

    from astro_calib.detector.amplifier import Amplifier
    from astro_calib.detector.detector import Detector
    from astro_calib.detector.linearity import Linearity
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.simulate.electronics import ReadOut, ReadOutTone

__all__ = ["Camera"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Camera:
    """
    A simulated camera, without patterns unless they are given; `camera` makes one that has them all.

    Parameters
    ----------
    shape : (int, int)
        Shape (ny, nx) of the imaging area, without overscan.
    detector : Detector
        Gain, read noise, linearity and saturation. Raw values of integer frames end at the
        saturation, whether a full well or the converter is the cause, or at 65535. The data sections of several
        amplifiers are together the imaging area in the raw frame, and their overscan sections lie beside it.
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
        Columns of overscan, after the last column of the image, for one amplifier.
    digital_step : int
        The values of integer frames are multiples of this, adu: 16 for a converter of 12 bits whose values are
        stored in 16.
    read_out : ReadOut or sequence of ReadOut, optional
        Read-out noise with parts that pixels share, image and overscan alike, for all amplifiers or for each. It goes
        along the order in which an amplifier reads. The detector of the camera is then one with its standard deviation
        and its correlation. Without it the noise is white.
    level_offsets : sequence of float
        How much higher than ``bias_level`` the level of each amplifier is, adu; may be negative.
    common_tones : sequence of ReadOutTone
        Tones that all amplifiers have at once, in pixels that are read at the same time.

    Raises
    ------
    ValueError
        If a number is negative or not finite, an array has another shape, or the sections of several amplifiers are
        not together the imaging area.
    astropy.units.UnitConversionError
        If a quantity has the wrong unit.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astro_calib import Detector
    >>> from astro_calib.simulate import Camera
    >>> detector = Detector(
    ...     gain=1 * u.electron / u.adu, read_noise=700 * u.electron
    ... )
    >>> camera = Camera(
    ...     shape=(100, 200), detector=detector, bias_level=1100, dark_rate=0.1
    ... )
    >>> frame, truth = camera.expose(
    ...     "dark", 30, rng=np.random.default_rng(1), integer=False
    ... )
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
    read_out: ReadOut | Sequence[ReadOut] | None = None
    level_offsets: tuple[float, ...] = ()
    common_tones: tuple[ReadOutTone, ...] = ()
    #: Where everything is in a raw frame, and the noise of each amplifier, found from the rest.
    layout: Layout = field(init=False, repr=False)
    read_outs: tuple[ReadOut | None, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shape = check_shape(self.shape)
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
        number = len(self.detector.amplifiers)
        offsets = tuple(self.level_offsets) or (0.0,) * number
        if len(offsets) != number:
            msg = f"level_offsets has {len(offsets)} numbers; expected one for each of {number} amplifiers."
            raise ValueError(msg)
        checked["level_offsets"] = tuple(
            check_number("level_offsets", one, u.adu, minimum=-math.inf) for one in offsets
        )
        checked["common_tones"] = tuple(self.common_tones)
        checked["layout"] = layout_of(shape, self.detector, checked["overscan_columns"])
        checked["detector"], checked["read_outs"] = with_read_outs(
            self.detector, self.read_out, checked["common_tones"]
        )
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def gain(self) -> float:
        """Gain of the only amplifier, electron / adu."""
        return float(self._only.gain.value)

    @property
    def read_noise(self) -> float:
        """Read noise of the only amplifier, electron."""
        return float(self._only.read_noise.value)

    @property
    def largest_value(self) -> int:
        """The raw value at which integer frames of the only amplifier saturate, adu."""
        self._only  # noqa: B018  there must be one
        return largest_value(self.detector.saturations()[0])

    @property
    def linearity(self) -> Linearity | None:
        """Linearity of the only amplifier; None for several."""
        return self.detector.amplifiers[0].linearity if len(self.detector.amplifiers) == 1 else None

    @property
    def _only(self) -> Amplifier:
        number = len(self.detector.amplifiers)
        if number > 1:
            msg = f"the camera has {number} amplifiers; camera.detector has the numbers of each."
            raise ValueError(msg)
        return self.detector.amplifiers[0]

    @property
    def image_gain(self) -> float | NDArray[np.float64]:
        """Gain at each pixel of the imaging area, electron / adu; a number for one amplifier."""
        return self._over_image([amplifier.gain.value for amplifier in self.detector.amplifiers])

    @property
    def image_read_noise(self) -> float | NDArray[np.float64]:
        """Read noise at each pixel of the imaging area, electron; a number for one amplifier."""
        return self._over_image([amplifier.read_noise.value for amplifier in self.detector.amplifiers])

    @property
    def image_level_offset(self) -> float | NDArray[np.float64]:
        """What ``level_offsets`` says at each pixel of the imaging area; a number for one amplifier."""
        return self._over_image(self.level_offsets)

    def _over_image(self, values: Sequence[float]) -> float | NDArray[np.float64]:
        return self.layout.over_image(values, self.shape)

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
            adu, uint16 or float32; for several amplifiers of the shape that their sections need.
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
        >>> rng = np.random.default_rng(2)
        >>> frame, truth = camera.expose(
        ...     "flat", 5, filter="V", sky=4000, rng=rng
        ... )
        >>> frame.shape, frame.meta["IMAGETYP"], frame.meta["BIASSEC"]
        ((100, 152), 'FLAT', '[121:152,1:100]')
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
            stars=stars_on_frame(stars, self.shape, exposure_time),
            integer=integer,
        )
        data = read_out_frame(self, truth, rng)
        if integer:
            data = self.digital_step * np.rint(data / self.digital_step)
            largest = self._largest_values()
            truth = replace(truth, saturated=(data >= largest)[self.layout.image])
            data = np.clip(data, 0, largest)

        from astro_calib.frame.frame import CCDFrame

        meta = header_of(self, truth)
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

    def _largest_values(self) -> float | NDArray[np.float64]:
        """The raw value at which each pixel of the raw frame saturates; a number for one amplifier."""
        levels = [largest_value(level) for level in self.detector.saturations()]
        if len(set(levels)) == 1:
            return float(levels[0])
        result = np.full(self.layout.shape, float(max(levels)))
        for reading, level in zip(self.layout.readings, levels, strict=True):
            result[np.ix_(reading.rows, reading.columns)] = level
        return result
