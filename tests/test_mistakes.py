"""What users get wrong on their first evening: each mistake gets a sentence that says what to write."""

from __future__ import annotations

import operator
import os
import re
import subprocess
import sys
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.modeling.models import Gaussian2D
from astropy.nddata import CCDData, NDData, StdDevUncertainty
from astropy.table import QTable, Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS, DistortionLookupTable, Sip
from click.testing import CliRunner

from astro_calib import (
    Amplifier,
    CCDFrame,
    Detector,
    LinearityPolynomial,
    NoiseSource,
    UncertaintyBudget,
    calibrate,
    ccd_process,
    combine,
    compare_snr,
    correct_linearity,
    cosmicray_lacosmic,
    covariance,
    create_deviation,
    flag_bad_pixels,
    flag_saturated,
    flat_correct,
    gain_correct,
    measure_snr,
    plot_snr,
    reduce_night,
    simulate,
    subtract_bias,
    subtract_dark,
    subtract_overscan,
    trim_image,
)
from astro_calib.arguments import described
from astro_calib.cli import main
from astro_calib.photometry import before_calibration

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPE = (40, 48)
GAIN = 2 * u.electron / u.adu
NOISE = 5 * u.electron
CAMERA = Detector(gain=GAIN, read_noise=NOISE, saturation=65000 * u.adu)
LINEAR = LinearityPolynomial([1e-6], limit=60000 * u.adu)
ARRAY = np.full(SHAPE, 3.0)


def frame(value: float, unit: Any, name: str, sigma: float | None = None) -> CCDFrame:
    uncertainty = None if sigma is None else StdDevUncertainty(np.full(SHAPE, sigma))
    return CCDFrame(np.full(SHAPE, value), unit=unit, name=name, uncertainty=uncertainty, meta={"EXPTIME": 60.0})


def raw() -> CCDFrame:
    pixels = np.random.default_rng(1).normal(1100, 5, SHAPE).astype(np.uint16)
    return CCDFrame(pixels, unit="adu", name="d1048.fits", meta={"EXPTIME": 60.0})


def image() -> CCDFrame:
    return frame(100, "electron", "image.fits", 10.0)


def dark() -> CCDFrame:
    return frame(3, "electron", "dark.fits", 0.5)


def flat() -> CCDFrame:
    return frame(30000, "electron", "flat.fits", 100.0)


def small(name: str) -> CCDFrame:
    return CCDFrame(np.full((20, 24), 3.0), unit="electron", name=name)


def sectioned() -> CCDFrame:
    result = raw()
    result.meta["BIASSEC"] = "[41:48,1:40]"
    return result


def cube() -> CCDFrame:
    return CCDFrame(np.zeros((3, *SHAPE)), unit="adu", name="cube.fits")


class Lazy:
    """What dask's arrays have in common with NumPy's, and what not."""

    shape, ndim, dtype = SHAPE, 2, np.dtype(float)

    def compute(self) -> np.ndarray:
        return ARRAY.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return ARRAY.copy()


def refused(call: Callable[[], Any], *fragments: str) -> BaseException:
    """The error of a call, in which each fragment stands; TypeErrors and ValueErrors are what a caller expects."""
    with pytest.raises((TypeError, ValueError, IndexError, ZeroDivisionError, OSError)) as caught:
        call()
    message = str(caught.value)
    missing = [fragment for fragment in fragments if fragment not in message]
    assert not missing, f"{missing} not in: {message}"
    return caught.value


#: Each function that takes a frame, called with something.
TAKES_FRAME: dict[str, Callable[[Any], Any]] = {
    "calibrate": lambda x: calibrate(x, CAMERA, pedestal=1000),
    "create_deviation": lambda x: create_deviation(x, CAMERA, pedestal=0),
    "gain_correct": lambda x: gain_correct(x, CAMERA),
    "gain_correct quantity": lambda x: gain_correct(x, GAIN),
    "subtract_bias": lambda x: subtract_bias(x, raw()),
    "subtract_dark": lambda x: subtract_dark(x, dark()),
    "flat_correct": lambda x: flat_correct(x, flat()),
    "subtract_overscan": lambda x: subtract_overscan(x, fits_section="[1:5,1:40]"),
    "trim_image": lambda x: trim_image(x, "[1:5,1:40]"),
    "flag_saturated": lambda x: flag_saturated(x, CAMERA),
    "flag_bad_pixels": lambda x: flag_bad_pixels(x, np.zeros(SHAPE, bool)),
    "correct_linearity": lambda x: correct_linearity(x, CAMERA),
    "cosmicray_lacosmic": cosmicray_lacosmic,
    "ccd_process": lambda x: ccd_process(x, oscan="[1:5,1:40]", error=True, gain=GAIN, readnoise=NOISE),
    "measure_snr": measure_snr,
    "measure_snr before": lambda x: measure_snr(image(), x if x is not None else [], fwhm=3.0),
    "compare_snr": lambda x: compare_snr(x, image()),
    "before_calibration": lambda x: before_calibration(x, CAMERA, pedestal=0),
    "bias": lambda x: calibrate(raw(), CAMERA, bias=x if x is not None else [], pedestal=0),
    "dark": lambda x: calibrate(raw(), CAMERA, dark=x if x is not None else [], pedestal=0),
    "flat": lambda x: calibrate(raw(), CAMERA, flat=x if x is not None else [], pedestal=0),
    "master of subtract_bias": lambda x: subtract_bias(raw(), x),
    "master of subtract_dark": lambda x: subtract_dark(image(), x),
    "master of flat_correct": lambda x: flat_correct(image(), x),
    "overscan": lambda x: subtract_overscan(raw(), x if x is not None else []),
}

NO_FRAMES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "None": (None, ("expected a CCDFrame",)),
    "True": (True, ("is True", "expected a CCDFrame")),
    "number": (1.5, ("is 1.5", "expected a CCDFrame")),
    "NaN": (float("nan"), ("is nan", "expected a CCDFrame")),
    "array": (ARRAY, ("an ndarray of shape (40, 48)", "CCDFrame(array, unit='adu')")),
    "masked array": (np.ma.masked_array(ARRAY), ("a MaskedArray", "mask=array.mask")),
    "dask": (Lazy(), ("compute()",)),
    "list": ([1, 2], ("[1, 2]", "one frame at a time")),
    "NDData": (NDData(ARRAY), ("an NDData", "unit")),
    "HDU": (fits.PrimaryHDU(ARRAY), ("a PrimaryHDU", "CCDFrame(hdu.data, unit='adu', meta=hdu.header)")),
    "HDUList": (fits.HDUList([fits.PrimaryHDU(ARRAY)]), ("an HDUList", "CCDFrame.read(path)")),
    "table": (Table({"a": [1]}), ("a Table", "expected a CCDFrame")),
    "dict": ({}, ("a dict", "expected a CCDFrame")),
    "class": (CCDFrame, ("the class CCDFrame itself",)),
    "detector": (CAMERA, ("a Detector", "expected a CCDFrame")),
    "path": ("d1048.fits", ("CCDFrame.read('d1048.fits')",)),
}


@pytest.mark.parametrize("function", TAKES_FRAME)
@pytest.mark.parametrize("mistake", NO_FRAMES)
def test_what_is_no_frame_is_told_how_to_become_one(function, mistake):
    value, fragments = NO_FRAMES[mistake]
    if value is None and (function.startswith("measure_snr b") or function in ("bias", "dark", "flat", "overscan")):
        fragments = ("expected a CCDFrame",)  # None is nothing to correct with; they are given a list
    refused(lambda: TAKES_FRAME[function](value), *fragments)


@pytest.mark.parametrize("function", TAKES_FRAME)
@pytest.mark.parametrize(
    ("make", "fragments"),
    [
        (cube, ("cube.fits has shape (3, 40, 48)", "two axes", "frame[0]")),
        (lambda: CCDFrame(np.zeros(7), unit="adu", name="row.fits"), ("row.fits has shape (7,)", "frame[5:6]")),
        (lambda: CCDFrame(5.0, unit="adu", name="one.fits"), ("one.fits has shape ()", "two axes")),
    ],
    ids=["cube", "row", "number"],
)
def test_an_image_has_two_axes(function, make, fragments):
    refused(lambda: TAKES_FRAME[function](make()), *fragments)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1.5, "Detector(gain=1.5 * u.electron / u.adu, read_noise="),
        (GAIN, "Detector(gain=2 * u.electron / u.adu, read_noise="),
        (None, "Detector(gain="),
        (True, "not True"),
        ("nickel", "not 'nickel'"),
        (Detector, "the class Detector itself"),
        (Amplifier(gain=GAIN, read_noise=NOISE), "Detector(amplifiers=[amplifier])"),
        ({"gain": 1.5}, "a dict"),
        (dark(), "a CCDFrame"),
    ],
    ids=["number", "gain", "None", "bool", "name", "class", "amplifier", "dict", "frame"],
)
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("calibrate", lambda x: calibrate(raw(), x, pedestal=1000)),
        ("create_deviation", lambda x: create_deviation(image(), x)),
        ("flag_saturated", lambda x: flag_saturated(raw(), x)),
        ("correct_linearity", lambda x: correct_linearity(create_deviation(dark(), CAMERA), x)),
        ("combine", lambda x: combine([image(), image()], detector=x if x is not None else [])),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_detector_is_answered_with_the_line_to_write(name, call, value, written):
    if name == "correct_linearity":
        frame = image()
        call = partial(correct_linearity, frame)
    if name == "combine" and value is None:
        written = "Detector("
    refused(lambda: call(value), name, written)


MISTAKES: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    # Arithmetic
    "frame + number": (lambda: image() + 5, ("image.fits is in electron", "no unit", "write 5 * u.electron")),
    "number - frame": (lambda: 5 - image(), ("write 5 * u.electron",)),
    "frame - array": (lambda: image() - ARRAY, ("image.fits", "write array * u.electron")),
    "frame += number": (lambda: operator.iadd(raw(), 2.5), ("d1048.fits", "write 2.5 * u.adu")),
    "adu + electron": (lambda: raw() + image(), ("d1048.fits is in adu", "electron", "gain_correct")),
    "electron + second": (lambda: image() + 5 * u.s, ("electron", "in s", "converts to electron")),
    "division by 0 s": (lambda: image() / (0 * u.s), ("image.fits", "0 s", "other than zero")),
    "division by 0": (lambda: image() / 0, ("image.fits", "by 0", "other than zero")),
    "divide(0)": (lambda: image().divide(0.0), ("image.fits", "by 0")),
    "division by a frame of no axes": (lambda: image() / CCDFrame(0.0, unit="s"), ("image.fits", "0 s")),
    "times dask": (lambda: image() * Lazy(), ("compute()",)),
    "plus NDData": (lambda: image() + NDData(ARRAY), ("no unit", "CCDFrame(data")),
    "comparison": (lambda: image() > 5, ("image.fits", "frame.data > 5")),
    "comparison with a Quantity": (lambda: image() <= 5 * u.electron, ("image.fits", "frame.data <=")),
    "power": (lambda: image() ** 2, ("image.fits", "frame * frame")),
    "to another unit": (lambda: image().convert_unit_to("s"), ("image.fits", "electron", "to s")),
    "adu to electron": (lambda: raw().convert_unit_to("electron"), ("d1048.fits", "gain_correct")),
    "to no unit": (lambda: image().convert_unit_to("elektron"), ("image.fits", "'elektron'", "not a unit")),
    "covariance with a number": (lambda: covariance(image(), 5), ("5", "CCDFrames")),
    "covariance with a CCDData": (lambda: covariance(CCDData(ARRAY, unit="adu"), image()), ("CCDFrame(data)",)),
    # Cutting
    "item by FITS section": (lambda: image()["[1:3,1:3]"], ("image.fits", "trim_image(frame, '[1:3,1:3]')")),
    "item by float": (lambda: image()[1.5], ("image.fits", "(40, 48)", "1.5", "frame[10:20, 5:15]")),
    "row too far": (lambda: image()[100], ("image.fits", "(40, 48)", "100")),
    "three indices": (lambda: image()[1, 2, 3], ("image.fits", "(40, 48)", "(1, 2, 3)")),
    "assignment": (lambda: image().__setitem__(0, 5), ("image.fits", "frame.data[")),
    # Making frames
    "no unit": (lambda: CCDFrame(ARRAY), ("unit='adu'",)),
    "number as unit": (lambda: CCDFrame(ARRAY, unit=1.5), ("is 1.5", "expected a unit", "'adu'")),
    "bool as unit": (lambda: CCDFrame(ARRAY, unit=True), ("is True", "expected a unit")),
    "list of frames": (lambda: CCDFrame([raw(), raw()], unit="adu"), ("list of frames", "combine")),
    "dask as data": (lambda: CCDFrame(Lazy(), unit="adu"), ("compute()",)),
    "number as budget": (lambda: CCDFrame(ARRAY, unit="adu", budget=25.0), ("25.0", "UncertaintyBudget")),
    "number as uncertainty": (lambda: CCDFrame(ARRAY, unit="adu", uncertainty=5.0), ("Not 5.0", "StdDevUncertainty")),
    "image as mask": (lambda: CCDFrame(ARRAY, unit="adu", mask=ARRAY), ("mask", "holds 3", "True and False")),
    "Quantity as mask": (lambda: CCDFrame(ARRAY, unit="adu", mask=ARRAY * u.adu), ("mask", "a Quantity")),
    "frame as flags": (lambda: CCDFrame(ARRAY, unit="adu", flags=raw()), ("flags", "DataQuality")),
    "header as WCS": (lambda: CCDFrame(ARRAY, unit="adu", wcs=fits.Header()), ("a Header", "WCS(header)")),
    "text as header": (lambda: CCDFrame(ARRAY, unit="adu", meta="d1048.fits"), ("'d1048.fits'", "fits.Header")),
    "array as name": (lambda: CCDFrame(ARRAY, unit="adu", name=ARRAY), ("name", "ndarray")),
    "data = list": (lambda: setattr(image(), "data", [[1.0]]), ("image.fits", "[[1.0]]", "np.asarray(values)")),
    "data = Quantity": (lambda: setattr(image(), "data", ARRAY * u.s), ("values.to_value(u.electron)",)),
    "data = dask": (lambda: setattr(image(), "data", Lazy()), ("values.compute()",)),
    "data = CCDData": (lambda: setattr(image(), "data", CCDData(ARRAY, unit="adu")), ("values.data",)),
    "unit = None": (lambda: setattr(image(), "unit", None), ("image.fits", "None", "'adu'")),
    "read a table": (lambda: CCDFrame.read(Table({"a": [1]})), ("a Table", "path")),
    "read a frame": (lambda: CCDFrame.read(image()), ("a CCDFrame", "path")),
    "read a file that is not there": (lambda: CCDFrame.read("nothere.fits"), ("nothere.fits",)),
    "write to None": (lambda: image().write(None), ("None", "frame.write('image.fits')")),
    # Detectors
    "gain without unit": (lambda: Detector(gain=1.5, read_noise=NOISE), ("gain has no unit", "1.5 * u.Unit")),
    "gain upside down": (lambda: Detector(gain=0.5 / GAIN.unit, read_noise=NOISE), ("inverse", "1 / (0.5 adu")),
    "read noise in adu": (lambda: Detector(gain=GAIN, read_noise=5 * u.adu), ("read_noise is 5.0 adu", "gain")),
    "gain True": (lambda: Detector(gain=True, read_noise=NOISE), ("gain is True", "electron / adu")),
    "gain as text": (lambda: Detector(gain="high", read_noise=NOISE), ("gain is 'high'", "electron / adu")),
    "Detector(readnoise=)": (lambda: Detector(gain=GAIN, readnoise=NOISE), ("'readnoise'", "read_noise=5 * u.elec")),
    "Detector by position": (lambda: Detector(GAIN, NOISE), ("2 electron / adu", "Detector(gain=")),
    "amplifiers that are none": (lambda: Detector(amplifiers=[GAIN]), ("amplifiers", "Amplifier(gain=")),
    "one amplifier": (lambda: Detector(amplifiers=Amplifier(gain=GAIN, read_noise=NOISE)), ("a list of Amplifier",)),
    "number as name": (lambda: Detector(gain=GAIN, read_noise=NOISE, name=3), ("name", "3", "text")),
    "section as slices": (
        lambda: Amplifier(gain=GAIN, read_noise=NOISE, data_section=(slice(3), slice(3))),
        ("data_section", "'[1:512, 1:1024]'"),
    ),
    "linearity of text": (lambda: LinearityPolynomial("1e-6", limit=6e4 * u.adu), ("'1e-6'", "[a1, a2, ...]")),
    "limit without unit": (lambda: LinearityPolynomial([1e-6], limit=60000), ("limit has no unit", "60000 * u.adu")),
    "limit of text": (lambda: LinearityPolynomial([1e-6], limit="full"), ("limit is 'full'", "60000 * u.adu")),
    # Calibrating
    "no detector": (lambda: calibrate(raw()), ("calibrate needs detector", "Write calibrate(frame, Detector(gain=")),
    "no detector of create_deviation": (lambda: create_deviation(raw()), ("needs detector", "Detector(gain=")),
    "no gain": (lambda: Detector(read_noise=NOISE), ("needs gain and read_noise", "missing: gain", "manual")),
    "nothing tells zero": (
        lambda: calibrate(raw(), CAMERA),
        ("d1048.fits", "overscan nor bias nor pedestal", "Give one"),
    ),
    "calibrated twice": (
        lambda: calibrate(image(), CAMERA),
        ("image.fits is in electron", "calibrated already", "in adu"),
    ),
    "multiplied by the gain twice": (lambda: gain_correct(image(), CAMERA), ("image.fits is in electron", "in adu")),
    "bias of another shape": (
        lambda: calibrate(raw(), CAMERA, bias=small("bias.fits")),
        ("d1048.fits has shape (40, 48)", "bias (bias.fits) has (20, 24)", "trim both", "binning"),
    ),
    "flat of another shape": (lambda: flat_correct(image(), small("flat.fits")), ("flat (flat.fits) has (20, 24)",)),
    "bias in other units": (lambda: subtract_bias(image(), raw()), ("image.fits", "in adu", "Apply gain_correct")),
    "dark without exposure time": (
        lambda: calibrate(raw(), CAMERA, pedestal=0, dark=CCDFrame(ARRAY, unit="electron", name="dark.fits")),
        ("dark.fits", "no EXPTIME", "exposure_time="),
    ),
    "flat without light": (
        lambda: flat_correct(image(), frame(0, "electron", "flat.fits", 1.0)),
        ("flat.fits", "mean of 0", "its bias was subtracted once"),
    ),
    "keyword instead of section": (
        lambda: calibrate(sectioned(), CAMERA, overscan="BIASSEC"),
        ("d1048.fits", "'BIASSEC'", "Write frame.header['BIASSEC']"),
    ),
    "slices instead of section": (
        lambda: calibrate(raw(), CAMERA, overscan=np.s_[:, 40:]),
        ("a slice", "FITS section"),
    ),
    "section from zero": (lambda: calibrate(raw(), CAMERA, overscan="[0:5,0:40]"), ("[0:5,0:40]", "FITS section")),
    "section beyond the frame": (
        lambda: calibrate(raw(), CAMERA, overscan="[41:60,1:40]"),
        ("[41:60,1:40] does not lie inside", "48 columns and 40 rows"),
    ),
    "misspelt option": (lambda: calibrate(raw(), CAMERA, biass=raw()), ("no argument 'biass'", "did you mean bias=?")),
    "misspelt option of combine": (lambda: combine([image()], methode="mean"), ("'methode'", "did you mean method=?")),
    "nothing to combine": (lambda: combine([]), ("no frames to combine", "glob('bias*.fits')")),
    "frames in two units": (lambda: combine([image(), raw()]), ("image.fits", "d1048.fits", "in adu", "gain_correct")),
    "stars on a raw frame": (lambda: measure_snr(raw()), ("d1048.fits has no variance", "Calibrate it")),
    "stars on a CCDData without error": (
        lambda: measure_snr(CCDData(ARRAY, unit="adu")),
        ("has no variance", "Calibrate it", "create_deviation"),
    ),
    "picture of a frame instead of a table": (lambda: plot_snr(image()), ("measure_snr or compare_snr", "a CCDFrame")),
    "picture of a raw frame's budget": (lambda: raw().budget.plot(None), ("d1048.fits", "no noise yet", "calibrate(")),
    # Steps, in ccdproc's words
    "create_deviation of ccdproc": (
        lambda: create_deviation(raw(), gain=1.5 * u.electron / u.adu, readnoise=NOISE),
        ("create_deviation(frame, Detector(gain=1.5 * u.electron / u.adu, read_noise=5 * u.electron))",),
    ),
    "create_deviation of ccdproc without gain": (
        lambda: create_deviation(image(), readnoise=NOISE),
        ("Detector(gain=..., read_noise=5 * u.electron)",),
    ),
    "create_deviation by position": (lambda: create_deviation(image(), GAIN, NOISE), ("5 electron", "Detector(")),
    "calibrate(gain=)": (lambda: calibrate(raw(), gain=GAIN, readnoise=NOISE), ("Detector(gain=2 * u.electron",)),
    "calibrate(oscan=)": (lambda: calibrate(raw(), CAMERA, oscan="[1:5,1:40]"), ("overscan='[1:5,1:40]'",)),
    "calibrate(master_bias=)": (lambda: calibrate(raw(), CAMERA, master_bias=raw()), ("write bias=",)),
    "calibrate by position": (lambda: calibrate(raw(), CAMERA, raw()), ("a CCDFrame", "bias=bias")),
    "add_keyword": (lambda: subtract_bias(raw(), raw(), add_keyword=None), ("add_keyword", "provenance")),
    "combine of average": (lambda: combine([image(), image()], method="average"), ("'average'", "'mean'")),
    "combine of names in a text": (lambda: combine("a.fits, b.fits"), ("combine(['a.fits', 'b.fits'])",)),
    "combine(sigma_clip=)": (lambda: combine([image()] * 2, sigma_clip=True), ("clip='sigma'", "sigma=3")),
    "combine(nlow=)": (
        lambda: combine([image()] * 3, clip_extrema=True, nlow=1, nhigh=2),
        ("clip='minmax', extremes=(1, 2)",),
    ),
    "combine(mem_limit=)": (lambda: combine([image()] * 2, mem_limit=4e9), ("memory_limit=4000000000.0",)),
    "combine(output_file=)": (
        lambda: combine([image()] * 2, output_file="bias.fits"),
        ("combine(frames).write('bias.fits')",),
    ),
    "combine(a, b)": (lambda: combine(image(), image()), ("combine([frame, frame]",)),
    "combine an array": (lambda: combine(np.ones((3, *SHAPE))), ("(3, 40, 48)", "CCDFrame(image, unit='adu')")),
    "combine a number": (lambda: combine(5), ("not 5", "combine([frame, frame, ...])")),
    "combine None": (lambda: combine(None), ("None", "a list of frames")),
    "combine a list of arrays": (lambda: combine([ARRAY, ARRAY]), ("frame 0", "CCDFrame(array, unit='adu')")),
    "clip=True": (lambda: combine([image()] * 3, clip=True), ("clip is True", "'sigma'")),
    "sigma with a unit": (lambda: combine([image()] * 3, clip="sigma", sigma=3 * u.s), ("sigma is in s",)),
    "sigma of three": (lambda: combine([image()] * 3, clip="sigma", sigma=(1, 2, 3)), ("(1, 2, 3)", "above")),
    "sigma True": (lambda: combine([image()] * 3, clip="sigma", sigma=True), ("sigma", "not True")),
    "extremes of one": (lambda: combine([image()] * 3, clip="minmax", extremes=1), ("extremes is 1", "two whole")),
    "extremes of text": (lambda: combine([image()] * 3, clip="minmax", extremes="11"), ("'11'", "two whole")),
    "weights of text": (lambda: combine([image()] * 2, weights="ab"), ("weights", "not 'ab'")),
    "scale of frames": (lambda: combine([image()] * 2, scale=[image(), image()]), ("scale", "not a list of 2")),
    "memory_limit True": (lambda: combine([image()] * 2, memory_limit=True), ("memory_limit is True",)),
    # Numbers, times and switches
    "pedestal True": (lambda: calibrate(raw(), CAMERA, pedestal=True), ("d1048.fits", "pedestal is True")),
    "pedestal of text": (lambda: calibrate(raw(), CAMERA, pedestal="1000"), ("d1048.fits", "'1000'", "in adu")),
    "pedestal in electrons": (lambda: calibrate(raw(), CAMERA, pedestal=5 * u.electron), ("electron", "in adu")),
    "pedestal of create_deviation": (lambda: create_deviation(raw(), CAMERA, pedestal=5 * u.s), ("d1048.fits", "in s")),
    "pedestal NaN": (lambda: create_deviation(raw(), CAMERA, pedestal=np.nan), ("d1048.fits", "nan", "finite")),
    "shot_noise True": (lambda: create_deviation(image(), CAMERA, shot_noise=True), ("image.fits", "True")),
    "shot_noise in seconds": (lambda: create_deviation(image(), CAMERA, shot_noise=5 * u.s), ("shot noise", "in s")),
    "shot_noise None": (lambda: create_deviation(image(), CAMERA, shot_noise=None), ("shot noise", "None")),
    "shot_noise NaN": (lambda: create_deviation(image(), CAMERA, shot_noise=np.nan), ("shot noise", "nan")),
    "min_value of text": (lambda: flat_correct(image(), flat(), min_value="low"), ("min_value", "'low'")),
    "min_value an array": (lambda: flat_correct(image(), flat(), min_value=ARRAY), ("min_value", "(40, 48)")),
    "norm_value True": (lambda: flat_correct(image(), flat(), norm_value=True), ("norm_value", "True")),
    "norm_value in seconds": (lambda: flat_correct(image(), flat(), norm_value=1 * u.s), ("norm_value is in s",)),
    "exposures without unit": (
        lambda: subtract_dark(image(), dark(), dark_exposure=60, data_exposure=60, scale=True),
        ("image.fits", "write 60 * u.s"),
    ),
    "exposures in metres": (
        lambda: subtract_dark(image(), dark(), dark_exposure=60 * u.m, data_exposure=60 * u.m),
        ("60.0 m", "60.0 * u.s"),
    ),
    "exposure keyword a number": (
        lambda: subtract_dark(image(), dark(), exposure_time=60, scale=True),
        ("exposure_time is 60", "'EXPTIME'"),
    ),
    "exposure unit a time": (
        lambda: subtract_dark(image(), dark(), exposure_time="EXPTIME", exposure_unit=60 * u.s, scale=True),
        ("exposure_unit is 60 s", "such as u.s"),
    ),
    "exposure unit a number": (
        lambda: calibrate(raw(), CAMERA, pedestal=0, dark=dark(), exposure_unit=60),
        ("exposure_unit is 60", "u.s"),
    ),
    "scale of a dark": (lambda: subtract_dark(image(), dark(), scale="median"), ("scale is 'median'", "True or False")),
    "cosmic_rays": (lambda: calibrate(raw(), CAMERA, pedestal=0, cosmic_rays="yes"), ("cosmic_rays", "True or False")),
    "overscan_median": (
        lambda: calibrate(raw(), CAMERA, overscan="[1:5,1:40]", overscan_median="mean"),
        ("overscan_median", "'mean'", "True or False"),
    ),
    "overscan_axis True": (
        lambda: subtract_overscan(raw(), fits_section="[1:5,1:40]", overscan_axis=True),
        ("overscan_axis is True", "(0, 1)"),
    ),
    "overscan_axis 1.5": (
        lambda: subtract_overscan(raw(), fits_section="[1:5,1:40]", overscan_axis=1.5),
        ("overscan_axis is 1.5", "(0, 1)"),
    ),
    "overscan model of text": (
        lambda: subtract_overscan(raw(), fits_section="[1:5,1:40]", model="chebyshev"),
        ("'chebyshev'", "Chebyshev1D(2)"),
    ),
    "overscan model of two variables": (
        lambda: subtract_overscan(raw(), fits_section="[1:5,1:40]", model=Gaussian2D()),
        ("Gaussian2D", "one variable"),
    ),
    "overscan clip": (lambda: subtract_overscan(raw(), fits_section="[1:5,1:40]", clip=True), ("clip", "True")),
    "section as slices in trim": (lambda: trim_image(raw(), (slice(3), slice(3))), ("d1048.fits", "FITS section")),
    "sigclip": (lambda: cosmicray_lacosmic(image(), sigclip=-1), ("sigclip is -1", "positive")),
    "bad pixels an image": (lambda: flag_bad_pixels(raw(), ARRAY), ("map of bad pixels", "holds 3")),
    "bad pixels a raw frame": (lambda: flag_bad_pixels(raw(), raw()), ("map of bad pixels", "True and False")),
    "bad pixels a path": (lambda: flag_bad_pixels(raw(), "bad.fits"), ("map of bad pixels", "'bad.fits'")),
    "gain of a keyword": (lambda: gain_correct(raw(), "GAIN"), ("d1048.fits", "frame.header['GAIN'] * u.electron")),
    "gain True in gain_correct": (lambda: gain_correct(raw(), True), ("d1048.fits", "gain is True")),
    "gain upside down in gain_correct": (lambda: gain_correct(raw(), 0.5 / GAIN.unit), ("d1048.fits", "1 / (0.5")),
    "gain in seconds": (lambda: gain_correct(raw(), 5 * u.s), ("d1048.fits", "5.0 s", "1.5 * u.electron / u.adu")),
    "gain_unit a number": (lambda: gain_correct(raw(), 1.5, gain_unit=2), ("gain_unit is 2", "u.electron / u.adu")),
    "saturation of a frame in electrons": (lambda: flag_saturated(image(), CAMERA), ("image.fits", "in adu")),
    "gain_corrected": (
        lambda: ccd_process(raw(), "[1:5,1:40]", error=True, gain=GAIN, readnoise=NOISE, gain_corrected="no"),
        ("gain_corrected is 'no'",),
    ),
    "gain without unit in ccd_process": (
        lambda: ccd_process(raw(), "[1:5,1:40]", error=True, gain=1.5, readnoise=NOISE),
        ("gain has no unit", "electron / adu"),
    ),
    # Stars
    "fwhm in arcsec": (lambda: measure_snr(image(), fwhm=2 * u.arcsec), ("fwhm is in arcsec", "scale of a pixel")),
    "fwhm of text": (lambda: measure_snr(image(), fwhm="4"), ("fwhm", "'4'")),
    "fwhm True": (lambda: measure_snr(image(), fwhm=True), ("fwhm", "True")),
    "fwhm larger than the frame": (lambda: measure_snr(image(), fwhm=1e9), ("fwhm is 1e+09", "image.fits", "(40, 48)")),
    "radius of two": (lambda: measure_snr(image(), fwhm=3, radius=(3, 5)), ("radius", "single number")),
    "radius larger than the frame": (lambda: measure_snr(image(), fwhm=3, radius=500), ("radius is 500", "(40, 48)")),
    "annulus of one": (lambda: measure_snr(image(), fwhm=3, annulus=12), ("annulus is 12", "(10, 15)")),
    "annulus in seconds": (lambda: measure_snr(image(), fwhm=3, annulus=(8 * u.s, 9 * u.s)), ("annulus", "in s")),
    "max_stars 1.5": (lambda: measure_snr(image(), fwhm=3, max_stars=1.5), ("max_stars is 1.5", "whole number")),
    "n_empty -1": (lambda: measure_snr(image(), fwhm=3, n_empty=-1), ("n_empty is -1", "whole number")),
    "seed of text": (lambda: measure_snr(image(), fwhm=3, seed="one"), ("seed is 'one'", "whole number")),
    "threshold None": (lambda: measure_snr(image(), fwhm=3, threshold=None), ("threshold", "None")),
    "positions in the sky": (
        lambda: measure_snr(image(), fwhm=3, positions=SkyCoord([1] * u.deg, [2] * u.deg)),
        ("sky coordinates", "world_to_pixel"),
    ),
    "positions of photutils": (
        lambda: measure_snr(image(), fwhm=3, positions=Table({"xcentroid": [1.0], "ycentroid": [2.0]})),
        ("xcentroid, ycentroid", "expected x and y"),
    ),
    "positions a path": (lambda: measure_snr(image(), fwhm=3, positions="stars.txt"), ("positions", "'stars.txt'")),
    "recenter of text": (
        lambda: measure_snr(image(), fwhm=3, positions=[[9, 9]], recenter="no"),
        ("recenter is 'no'", "True or False"),
    ),
    "recenter without positions": (
        lambda: measure_snr(image(), fwhm=3, recenter=True),
        ("recenter moves positions", "image.fits", "are centred"),
    ),
    "aperture of text": (lambda: reduce_night(".", "out", aperture="8", progress=False), ("'8'", "positive number of")),
    "aperture True": (lambda: reduce_night(".", "out", aperture=True, progress=False), ("True", "positive number of")),
    "aperture with a unit": (
        lambda: reduce_night(".", "out", aperture=8 * u.arcsec, progress=False),
        ("8 arcsec", "positive number of pixels"),
    ),
    "positions in degrees": (lambda: measure_snr(image(), fwhm=3, positions=[[1, 2]] * u.deg), ("positions", "in deg")),
    # Sources, nights, simulations
    "variance with a unit": (lambda: NoiseSource("read noise", 25 * u.adu**2), ("'read noise'", "a Quantity")),
    "variance None": (lambda: NoiseSource("read noise", None), ("'read noise'", "None", "square")),
    "axes 0": (lambda: NoiseSource("overscan", 1.0, axes=0), ("'overscan'", "0", "(0, 1)")),
    "shape of a budget": (lambda: UncertaintyBudget(40), ("40", "(1024, 1024)")),
    "variances of a raw frame": (
        lambda: dict(raw().budget.variances()),
        ("d1048.fits", "create_deviation(frame, detector)"),
    ),
    "variance of a raw frame": (
        lambda: np.sqrt(raw().budget.variance()),
        ("d1048.fits", "create_deviation(frame, detector)"),
    ),
    "sum over a raw frame": (
        lambda: raw().budget.variances_of_sum(ARRAY),
        ("d1048.fits", "no noise yet", "calibrate("),
    ),
    "source of a raw frame": (lambda: raw().budget["read noise"], ("d1048.fits", "no noise yet", "uncertainty")),
    "raw frame in a sum of budgets": (
        lambda: UncertaintyBudget.linear([(raw().budget, 1.0)]),
        ("d1048.fits", "create_deviation(frame, detector)"),
    ),
    "covariance with a raw frame": (lambda: image().budget.covariance(raw().budget), ("d1048.fits", "no noise yet")),
    "source by name": (lambda: image().budget["read noise"], ("budget.variances()['read noise']",)),
    "raw a frame": (lambda: reduce_night(raw(), "out", progress=False), ("a raw file is a CCDFrame", "path")),
    "raw None": (lambda: reduce_night(None, "out", progress=False), ("a raw file is None", "path")),
    "raw a list of frames": (lambda: reduce_night([raw()], "out", progress=False), ("a CCDFrame", "path")),
    "out None": (lambda: reduce_night(".", None, progress=False), ("results is None", "path")),
    "seed of a night": (lambda: simulate.night("never", seed=-1), ("seed is -1", "zero or positive")),
    "seed of half a night": (lambda: simulate.night("never", seed=1.5), ("seed is 1.5", "whole number")),
    "directory of a night": (lambda: simulate.night(None), ("directory", "None", "path")),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_with_what_to_write(mistake):
    call, fragments = MISTAKES[mistake]
    refused(call, *fragments)


def test_python_says_which_name_of_the_package_may_be_meant():
    run = subprocess.run(
        [sys.executable, "-c", "import astro_calib as ac\nac.callibrate"], check=False, capture_output=True, text=True
    )
    assert "no attribute 'callibrate'. Did you mean: 'calibrate'?" in run.stderr


def test_a_raw_frame_has_a_budget_that_is_false_and_empty():
    budget = raw().budget
    assert not budget
    assert (budget.terms, budget.names, budget.shape) == ((), (), SHAPE)
    assert not hasattr(budget, "variances")
    assert not CCDFrame(ARRAY, unit="adu", budget=budget).budget
    assert image().budget


def test_a_flat_is_not_spoiled_by_a_mistake():
    flat_field, science = flat(), image()
    refused(lambda: flat_correct(science, flat_field, min_value=Lazy()), "min_value")
    np.testing.assert_array_equal(flat_correct(science, flat_field).data, 100)


@pytest.mark.parametrize("kind", ["bias", "dark", "flat"])
def test_a_ccddata_is_as_good_a_master(kind):
    """With its uncertainty: both ways give the same pixels and variances."""
    master = {"bias": lambda: raw() * 1.0, "dark": dark, "flat": flat}[kind]()
    if kind == "bias":
        master = CCDFrame(master.data, unit="adu", uncertainty=StdDevUncertainty(np.full(SHAPE, 0.5)), name="bias")
    plain = CCDData(master.data.copy(), unit=master.unit, meta=dict(master.meta))
    plain.uncertainty = StdDevUncertainty(np.sqrt(master.variance))
    given: dict[str, Any] = {} if kind == "bias" else {"pedestal": 1000}
    ours, theirs = (calibrate(raw(), CAMERA, **{kind: one}, **given) for one in (master, plain))
    np.testing.assert_array_equal(theirs.data, ours.data)
    np.testing.assert_allclose(theirs.variance, ours.variance, rtol=1e-6)


def test_pixels_may_have_their_unit():
    y, x = np.mgrid[:60, :60]
    star = 500 * np.exp(-((x - 30.0) ** 2 + (y - 30.0) ** 2) / (2 * 1.5**2))
    noise = np.random.default_rng(1).normal(100 + star, 10)
    frame = CCDFrame(noise, unit="electron", uncertainty=StdDevUncertainty(np.full((60, 60), 10.0)))
    options: dict[str, Any] = {"fwhm": 3.5, "radius": 4.0, "annulus": (9.0, 14.0), "positions": [[30.0, 30.0]]}
    bare = measure_snr(frame, n_empty=0, **options)
    in_pixels = {name: value * u.pix for name, value in options.items()}
    mixed = options | {"annulus": (9 * u.pix, 14 * u.pix), "positions": QTable({"x": [30] * u.pix, "y": [30] * u.pix})}
    for given in (in_pixels, mixed):
        table = measure_snr(frame, n_empty=0, **given)
        assert table["flux"][0] == bare["flux"][0]
        assert (table.meta["fwhm"], table.meta["radius"], table.meta["annulus"]) == (3.5, 4.0, [9.0, 14.0])


@pytest.mark.parametrize(
    "mask", [ARRAY > 2, (ARRAY > 2).astype(np.uint8), 4 * (ARRAY > 2), (ARRAY > 2).astype(float)], ids="bcid"
)
def test_maps_of_bad_pixels_come_in_several_types(mask):
    assert flag_bad_pixels(raw(), mask).mask.all()
    assert CCDFrame(ARRAY, unit="adu", mask=mask).mask.all()


def test_a_map_of_bad_pixels_may_be_a_frame():
    for unit in ("", "adu"):
        assert flag_bad_pixels(raw(), CCDData((ARRAY > 2).astype(np.uint8), unit=unit)).mask.all()


# -- the WCS of a cut ------------------------------------------------------------------------------------------------


def sky(*, cd: bool = False, sip: bool = False, tables: bool = False, crota: bool = False) -> WCS:
    """A turned and distorted view of the sky."""
    if crota:
        cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 5.0, "CRPIX2": 7.0, "CDELT1": -0.01}
        return WCS(fits.Header(cards | {"CDELT2": 0.02, "CRVAL1": 10.0, "CRVAL2": 20.0, "CROTA2": 30.0}))
    wcs = WCS(naxis=2)
    wcs.wcs.crpix, wcs.wcs.crval = [5.3, 7.1], [10, 20]
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"] if sip else ["RA---TAN", "DEC--TAN"]
    cos, sin = np.cos(0.3), np.sin(0.3)
    if cd:
        wcs.wcs.cd = [[-0.01 * cos, 0.02 * sin], [0.01 * sin, 0.02 * cos]]
    else:
        wcs.wcs.cdelt, wcs.wcs.pc = [-0.01, 0.02], [[cos, -sin], [sin, cos]]
    if sip:
        a = np.zeros((3, 3))
        a[2, 0], a[1, 1], a[0, 2] = 1e-3, 2e-3, 5e-4
        wcs.sip = Sip(a, 1.5 * a.T, -a, -a, wcs.wcs.crpix)
    if tables:
        rng = np.random.default_rng(1)
        for name in ("cpdis1", "cpdis2", "det2im1", "det2im2"):
            offsets = rng.normal(0, 1, (6, 6)).astype(np.float32)
            setattr(wcs, name, DistortionLookupTable(offsets, (1, 1), (1, 1), (10, 10)))
    wcs.wcs.set()
    return wcs


@pytest.mark.parametrize("kind", [{}, {"cd": True}, {"sip": True}, {"sip": True, "cd": True}, {"crota": True}], ids=str)
@pytest.mark.parametrize(
    "item",
    [np.s_[::-1], np.s_[:, ::-1], np.s_[::-1, ::-1], np.s_[::2], np.s_[::-3, 1::2], np.s_[-5:, 3:9], np.s_[30:2:-2]],
    ids=str,
)
def test_a_pixel_stays_at_its_place_in_the_sky(kind, item):
    frame = CCDFrame(np.arange(40.0 * 48).reshape(40, 48), unit="adu", wcs=sky(**kind))
    rows, columns = (index[item] for index in np.mgrid[:40, :48])
    cut = frame[item]
    np.testing.assert_array_equal(cut.data, frame.data[item])
    expected = frame.wcs.all_pix2world(columns, rows, 0)
    np.testing.assert_allclose(cut.wcs.all_pix2world(*np.mgrid[: cut.shape[0], : cut.shape[1]][::-1], 0), expected)
    # And in a file.
    again = WCS(cut.wcs.to_header(relax=True))
    np.testing.assert_allclose(again.all_pix2world(*np.mgrid[: cut.shape[0], : cut.shape[1]][::-1], 0), expected)


def test_distortion_tables_follow_a_cut():
    frame = CCDFrame(ARRAY, unit="adu", wcs=sky(tables=True))
    item = np.s_[::-1, 3::2]
    rows, columns = (index[item] for index in np.mgrid[:40, :48])
    found = frame[item].wcs.all_pix2world(*np.mgrid[: rows.shape[0], : rows.shape[1]][::-1], 0)
    # The tables are in single precision: a millionth of a pixel.
    np.testing.assert_allclose(found, frame.wcs.all_pix2world(columns, rows, 0), atol=1e-7)


def test_a_frame_turned_twice_is_as_it_was():
    frame = CCDFrame(ARRAY, unit="adu", wcs=sky(sip=True))
    again = frame[::-1, ::-1][::-1, ::-1]
    np.testing.assert_allclose(again.wcs.wcs.crpix, frame.wcs.wcs.crpix)
    np.testing.assert_allclose(again.wcs.pixel_scale_matrix, frame.wcs.pixel_scale_matrix)


def test_a_turned_frame_keeps_its_noise():
    science = image()
    np.testing.assert_array_equal((science[::-1] - science[::-1]).variance, 0)
    assert science[::-1].budget.names == science.budget.names


@pytest.mark.parametrize("item", [np.s_[5], np.s_[:, 3], np.s_[5, 6], np.s_[[1, 2]], np.s_[ARRAY > 5]], ids=range(5))
def test_what_no_wcs_can_follow_keeps_its_pixels(item):
    frame = CCDFrame(ARRAY, unit="adu", wcs=sky(), name="wcs.fits")
    with pytest.warns(AstropyUserWarning, match=r"wcs\.fits: its WCS cannot follow.*Cut by slices"):
        part = frame[item]
    assert part.wcs is None
    np.testing.assert_array_equal(part.data, ARRAY[item])


# -- the command -----------------------------------------------------------------------------------------------------


def run(*arguments: Any) -> SimpleNamespace:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return SimpleNamespace(code=result.exit_code, text=result.output)


@pytest.mark.parametrize("seed", ["-1", "1e3", "x", "1.5"])
def test_a_seed_is_a_whole_number_and_nothing_is_lost_for_it(tmp_path, seed):
    simulate.night(tmp_path / "raw", camera=simulate.camera((16, 16)), biases=1, darks=0, flats=0, science=0)
    result = run("demo", tmp_path, "--seed", seed, "--overwrite", "-q")
    assert result.code == 2
    assert re.search(rf"Error: Invalid value for '--seed': '?{re.escape(seed)}'? is not", result.text)
    assert len(list((tmp_path / "raw").iterdir())) == 1


@pytest.mark.parametrize("place", ["file", "file/below", "file/far/below"])
def test_a_demo_needs_a_directory(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    result = run("demo", tmp_path / place, "-q")
    assert result.code == 1
    assert result.text.startswith("Error: ")
    assert "is a file" in result.text
    assert "give" in result.text
    assert "Errno" not in result.text
    assert (tmp_path / "file").read_text() == "mine"


def test_a_demo_says_where_it_cannot_write(tmp_path, monkeypatch):
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(tmp_path) and access(path, mode))
    result = run("demo", tmp_path / "demo", "-q")
    assert result.code == 1
    assert f"no permission to write in {tmp_path}; give another directory" in result.text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--gain", "--read-noise", "--saturation"])
@pytest.mark.parametrize("value", ["inf", "nan", "-1"])
def test_options_are_numbers(tmp_path, option, value):
    result = run("reduce", tmp_path, "-o", tmp_path / "out", option, value)
    assert result.code == 1
    assert f"{option[2:].replace('-', '_')} is {float(value)}; it must be a number" in result.text


def test_a_night_is_not_simulated_into_a_file(tmp_path):
    (tmp_path / "file").touch()
    refused(lambda: simulate.night(tmp_path / "file"), "file is a file", "directory of its own")


@pytest.mark.parametrize("function", [calibrate, combine, create_deviation, subtract_dark, Detector])
def test_what_answers_to_other_names_shows_its_own(function: Any):
    """Editors and help() still show the arguments that there are."""
    from inspect import signature

    names = set(signature(function).parameters)
    assert names & {"detector", "clip", "ccd", "read_noise"}
    assert not names & {"args", "kwargs", "readnoise", "mem_limit"}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "None"),
        ("a" * 100, "'" + "a" * 60 + "'..."),
        (5 * u.s, "5 s (a Quantity)"),
        (5 * u.dimensionless_unscaled, "5 (a Quantity)"),
        (u.s, "the unit s"),
        (list(range(100)), "a list of 100"),
        (np.zeros((2, 3)), "an ndarray of shape (2, 3)"),
        (sys, "a module"),
    ],
    ids=range(8),
)
def test_what_was_given_is_described_in_few_words(value, words):
    assert described(value) == words
