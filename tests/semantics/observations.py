"""Random raw frames of a random detector, and what calculus makes of their calibration."""

from __future__ import annotations

from dataclasses import replace

import astropy.units as u
import numpy as np
from hypothesis import strategies as st

from astro_calib import (
    Amplifier,
    CCDFrame,
    DataQuality,
    Detector,
    create_deviation,
    flag_bad_pixels,
    flag_saturated,
    flat_correct,
    gain_correct,
    subtract_bias,
    subtract_dark,
    subtract_overscan,
    trim_image,
)
from tests.semantics.calculations import as_flat
from tests.semantics.linear_model import LinearModel, Noise
from tests.semantics.strategies import one_hot

E_PER_ADU = u.electron / u.adu
#: Levels of the raw frames in adu, and their exposure times.
LEVELS = {"bias": 100, "dark": 140, "flat": 3000, "science": 300}
TIMES = {"bias": 0.0, "dark": 60.0, "flat": 5.0, "science": 30.0}


class Telescope:
    """A detector with one or two amplifiers, the noise of their gains, and raw frames."""

    def __init__(self, draw):
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)).filter(lambda shape: max(shape) > 1))
        #: Rows and columns of overscan.
        self.overscan = draw(st.sampled_from([(0, 0), (0, 3), (3, 0)]))
        self.dtype = draw(st.sampled_from([np.uint16, np.float32, np.float64]))
        ny, nx = self.shape
        columns = [(0, nx)] if nx == 1 or draw(st.booleans()) else [(0, nx // 2), (nx // 2, nx)]
        uncertain = draw(st.booleans())
        self.amplifiers = [
            Amplifier(
                gain=self.rng.uniform(0.5, 3) * E_PER_ADU,
                read_noise=self.rng.uniform(2, 9) * u.electron,
                gain_uncertainty=self.rng.uniform(0.005, 0.03) * E_PER_ADU if uncertain else None,
                data_section=None if len(columns) == 1 else f"[{first + 1}:{last},1:{ny}]",
            )
            for first, last in columns
        ]
        saturation = draw(st.sampled_from([None, 1.2 * LEVELS["flat"] * u.adu]))
        only = self.amplifiers[0]
        self.detector = (
            Detector(amplifiers=self.amplifiers, saturation=saturation)
            if len(columns) > 1
            else Detector(
                gain=only.gain,
                read_noise=only.read_noise,
                gain_uncertainty=only.gain_uncertainty,
                saturation=saturation,
            )
        )
        self.of_amplifier = [np.zeros(self.shape) for _ in columns]
        for section, (first, last) in zip(self.of_amplifier, columns, strict=True):
            section[:, first:last] = 1
        self.gain = self._gain()

    def __repr__(self):
        return f"Telescope({self.shape}, {np.dtype(self.dtype)}, overscan {self.overscan}, {self.detector})"

    def of_amplifiers(self, attribute):
        """An attribute at each pixel."""
        values = [getattr(amplifier, attribute).value for amplifier in self.amplifiers]
        return sum(value * section for value, section in zip(values, self.of_amplifier, strict=True))

    def _gain(self):
        jacobian = {
            Noise(amplifier.gain_uncertainty.value**2): section[..., None]
            for amplifier, section in zip(self.amplifiers, self.of_amplifier, strict=True)
            if amplifier.gain_uncertainty is not None
        }
        return LinearModel(self.of_amplifiers("gain"), E_PER_ADU, np.float32, jacobian, epsilon=0.0)

    def raw(self, kind):
        """A raw frame, with its overscan."""
        (ny, nx), (rows, columns) = self.shape, self.overscan
        pixels = self.rng.normal(60, 5, (ny + rows, nx + columns))
        pixels[:ny, :nx] = self.rng.normal(LEVELS[kind], np.sqrt(LEVELS[kind]), (ny, nx))
        return CCDFrame(np.round(pixels).astype(self.dtype), unit="adu", meta={"EXPTIME": TIMES[kind]}, name=kind)

    def sections(self):
        """FITS sections of the image and of the overscan."""
        (ny, nx), (rows, columns) = self.shape, self.overscan
        first, below = (nx + 1, 1) if columns else (1, ny + 1)
        return f"[1:{nx},1:{ny}]", f"[{first}:{nx + columns},{below}:{ny + rows}]"


def options_of(draw, telescope):
    """Which steps are done, and how; the masters are added later."""
    options = {"pedestal": draw(st.sampled_from([0, 40, 40 * u.adu]))}
    if any(telescope.overscan):
        options["trim"], options["overscan"] = telescope.sections()
        options["overscan_axis"] = draw(st.sampled_from([(0, 1), 1 if telescope.overscan[1] else 0]))
        options["overscan_median"] = draw(st.booleans())
    return options


def step_by_step(raw, detector, options):
    """The steps that `calibrate` says it takes, one at a time."""
    given = {"overscan_axis": (0, 1), "overscan_median": True, "shot_noise": "data", **options}
    frame = flag_saturated(raw, detector)
    if "overscan" in given:
        frame = subtract_overscan(
            frame,
            fits_section=given["overscan"],
            overscan_axis=given["overscan_axis"],
            median=given["overscan_median"],
        )
    if "pedestal" in given:
        frame = frame - u.Quantity(given["pedestal"], u.adu)
    if "trim" in given:
        frame = trim_image(frame, given["trim"])
    if "bad_pixels" in given:
        frame = flag_bad_pixels(frame, given["bad_pixels"])
    frame = gain_correct(frame, detector)
    if "bias" in given:
        frame = subtract_bias(frame, given["bias"])
    frame = create_deviation(frame, detector, shot_noise=given["shot_noise"])
    if "dark" in given:
        frame = subtract_dark(frame, given["dark"], exposure_time="EXPTIME", scale=True)
    if "flat" in given:
        frame = flat_correct(frame, given["flat"], min_value=given.get("min_value"), norm_value=given.get("norm_value"))
    return frame


class Notebook:
    """The noise of each raw frame, which is the same however often it is calibrated."""

    def __init__(self, telescope):
        self.telescope = telescope
        self.levels, self.own = {}, {}

    def model(self, raw, options, masters):
        """
        What calculus makes of the calibration of a raw frame.

        ``masters`` are the models of bias, dark and flat. The overscan's level and its variance are taken from
        `subtract_overscan`, which other tests are about.
        """
        telescope = self.telescope
        ny, nx = telescope.shape
        value = raw.data[:ny, :nx].astype(float)
        dtype = np.float64 if raw.dtype == np.float64 else np.float32
        frame = LinearModel(value, u.adu, dtype)
        if telescope.detector.saturation is not None:
            saturated = value >= telescope.detector.saturation.value
            frame = replace(frame, mask=saturated, flags=saturated * np.uint16(DataQuality.SATURATED))
        if "pedestal" in options:
            frame = frame - u.Quantity(options["pedestal"], u.adu)
        if "overscan" in options:
            frame = frame - self._level(raw, options)
        if "bad_pixels" in options:
            bad = options["bad_pixels"]
            frame = replace(frame, mask=frame.mask | bad, flags=frame.flags | bad * np.uint16(DataQuality.BAD))
        frame = frame * telescope.gain
        if "bias" in masters:
            frame = frame - masters["bias"]
        frame = frame + self._own_noise(raw, frame, options.get("shot_noise", "data"))
        if "dark" in masters:
            frame = frame - raw.meta["EXPTIME"] / TIMES["dark"] * masters["dark"]
        if "flat" in masters:
            frame = frame / as_flat(masters["flat"] / (options["norm_value"] * u.electron))
        return replace(frame, dtype=dtype)

    def _level(self, raw, options):
        ny, nx = self.telescope.shape
        axis, median = options["overscan_axis"], options["overscan_median"]
        one = subtract_overscan(raw, fits_section=options["overscan"], overscan_axis=axis, median=median)
        level = (raw.data.astype(float) - one.data)[:ny, :nx]
        # One draw for the frame, for each row or for each column.
        cells = {(0, 1): np.zeros((1, 1), int), 1: np.arange(ny)[:, None], 0: np.arange(nx)[None]}[axis]
        variance = one.variance[:ny, :nx][tuple(slice(length) for length in cells.shape)]
        noise = self.levels.setdefault((id(raw), axis, median), (raw, Noise(variance)))[1]
        jacobian = {noise: one_hot(np.broadcast_to(cells, (ny, nx)), cells.size)}
        return LinearModel(level, u.adu, one.dtype, jacobian)

    def _own_noise(self, raw, frame, shot_noise):
        """Read noise with digitisation, and shot noise so that both make max(R^2 + q^2/12 + s, R^2/4)."""
        telescope = self.telescope
        read_noise, step = telescope.of_amplifiers("read_noise"), telescope.gain.value * (raw.dtype.kind in "ui")
        fixed = read_noise**2 + step**2 / 12
        by_signal = isinstance(shot_noise, str)
        signal = frame.value if by_signal else np.broadcast_to(np.maximum(shot_noise, 0), frame.shape)
        shot = np.maximum(signal, read_noise**2 / 4 - fixed)
        # The signal is rounded as the data are.
        size = frame.size if by_signal else np.abs(shot)
        pixels = one_hot(np.arange(shot.size).reshape(shot.shape), shot.size)
        jacobian, largest = {}, {}
        for name, variance, scale in (("read", fixed, fixed), ("shot", shot, size)):
            # A negative signal lowers the variance.
            sign = np.where(variance < 0, -1.0, 1.0)
            noise = self.own.setdefault((id(raw), name, sign.tobytes()), (raw, Noise(sign)))[1]
            jacobian[noise] = pixels * np.sqrt(np.abs(variance))[..., None]
            largest[noise] = pixels * np.sqrt(scale)[..., None]
        return LinearModel(np.zeros(frame.shape), u.electron, frame.dtype, jacobian, largest=largest)
