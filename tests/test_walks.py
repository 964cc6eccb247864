"""
How many files a reader goes through who follows a master's noise, or a pixel, and whether he comes back to any.

A file is on a walk if one of its functions has the thing in hand, as it is said below. The files of the thing's own
classes are left out: whoever has a frame or a source asks it for this and that. A file is entered when one of its
functions has the thing while none of its functions further out is still running, so that what a function calls, and
what these call, is no return to it. It was left when another file was entered after that function had ended.
"""

from __future__ import annotations

import inspect
import itertools
import sys
from pathlib import Path
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.table import Table

import astro_calib
from astro_calib import CCDFrame, NoiseSource, calibrate, combine, covariance, measure_snr
from tests.io.frames import Night, forget

PACKAGE = str(Path(astro_calib.__file__).parent)
MOST = 12


class Visit(NamedTuple):
    """A call that had the thing in hand: when it began and ended, in which file, and the files that had called it."""

    start: int
    end: int
    file: str
    callers: tuple[str, ...]


def visits(walk, held, *things):
    """The calls of a walk for which ``held(arguments, result)`` says that they had the thing in hand."""
    own = {
        inspect.getfile(cls) for thing in things for cls in thing.__mro__ if cls.__module__.startswith("astro_calib")
    }
    time, stack, found = itertools.count(), [], []

    def watch(frame, event, result):
        file = frame.f_code.co_filename
        if not file.startswith(PACKAGE):
            return
        if event == "call":
            code = frame.f_code
            names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            stack.append((file, next(time), [frame.f_locals.get(name) for name in names]))
        elif event == "return" and stack:
            _, start, arguments = stack.pop()
            if file not in own and held(arguments, result):
                found.append(Visit(start, next(time), file, tuple(one for one, *_ in stack)))

    sys.setprofile(watch)
    try:
        walk()
    finally:
        sys.setprofile(None)
    return sorted(found)


def returned_to(found):
    """The files that were entered again after they had been left."""
    entered = [visit for visit in found if visit.file not in visit.callers]
    ended, again = {}, set()
    for visit in entered:
        if visit.file in ended and any(
            ended[visit.file] < other.start < visit.start
            and visit.file not in other.callers
            and other.file != visit.file
            for other in entered
        ):
            again.add(visit.file)
        ended[visit.file] = visit.end
    return again


def test_a_masters_noise_goes_through_few_files_to_the_file_of_another_frame_and_back(tmp_path):
    night = Night(shape=(64, 64))
    biases = [calibrate(night.raw(0), night.camera, pedestal=0, shot_noise=0) for _ in range(5)]
    frames = []

    def walk():
        bias = combine(biases)
        frame = calibrate(night.raw(500), night.camera, bias=bias)
        bias.write(tmp_path / "bias.fits")
        frame.write(tmp_path / "frame.fits")
        frames.extend([frame, bias])
        forget()
        frames.append(CCDFrame.read(tmp_path / "frame.fits"))

    def held(arguments, result):
        """Takes or returns the source of the master's noise, in whichever region and under whichever name."""
        sources = [one for one in (*arguments, result) if isinstance(one, NoiseSource)]
        return any(getattr(one, "identity", "").startswith("stack:") for one in sources)

    found = visits(walk, held, NoiseSource, astro_calib.UncertaintyBudget)
    # It has come back, and is the same noise.
    np.testing.assert_allclose(covariance(frames[2], frames[1]), covariance(frames[0], frames[1]), rtol=1e-6)
    files = {visit.file for visit in found}
    assert any("/io/" in file for file in files)
    assert len(files) <= MOST, files
    assert returned_to(found) == set()


def test_a_pixel_goes_through_few_files_from_the_raw_file_to_the_star_table(tmp_path):
    night = Night(shape=(64, 64))
    pixels = night.rng.poisson(1000, night.shape).astype(np.uint16) + np.uint16(1000)
    pixels[30:34, 30:34] += np.uint16(3000)
    fits.PrimaryHDU(pixels, fits.Header([("EXPTIME", 10.0)])).writeto(tmp_path / "raw.fits")
    tables = []

    def walk():
        raw = CCDFrame.read(tmp_path / "raw.fits", unit="adu")
        image = calibrate(raw, night.camera, bias=night.bias, dark=night.dark, flat=night.flat)
        tables.append(measure_snr(image, positions=[(31.5, 31.5)], radius=4, annulus=(8, 14), n_empty=0))

    walk()  # so that all modules are imported
    masters = [night.bias.pixels, night.dark.pixels, night.flat.pixels]

    def held(arguments, result):
        """
        Hands on what it was not given: a frame or a table that the pixel is in.

        The loops over pixels, which get the frame's arrays and return numbers or arrays, are not counted.
        """
        if isinstance(result, CCDFrame):
            return not any(np.shares_memory(result.pixels, one) for one in masters) and all(
                result is not one for one in arguments
            )
        return isinstance(result, Table) and all(result is not one for one in arguments)

    found = visits(walk, held, CCDFrame)
    assert tables[0]["flux"][0] > 10 * 3000 * 2 * u.electron
    files = {visit.file for visit in found}
    assert len(files) <= MOST, files
    assert returned_to(found) == set()
