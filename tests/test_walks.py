"""
How many files a reader goes through who follows a master's noise, or a pixel, and whether he comes back to any.

What is counted: a file is on a walk if one of its functions or methods is called with the thing in hand, as it is
said below, by itself or inside of lists, tuples and dictionaries; the files of the thing's own classes are among them.
What is not: files whose functions are called on the way without it, such as those that check an argument, edit a header
or compute a checksum, and loops over pixels, which have arrays in hand. The files in which any function is called at
all are some seventy and some ninety.

What is a return: a file is entered when one of its functions has the thing while none of its functions further out is
still running, so that what a function calls, and what these call, is no return to it. It was left when another file
was entered after that function had ended. Only the files of the thing's own classes may be come back to: whoever has a
frame or a source asks it for this and that.

The page on the architecture names the files of both walks, and no others there.
"""

from __future__ import annotations

import inspect
import itertools
import re
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
PAGE = Path(__file__).parents[1] / "docs" / "developers" / "architecture.rst"
MOST = 12


class Visit(NamedTuple):
    """A call that had the thing in hand: when it began and ended, in which file, and the files that had called it."""

    start: int
    end: int
    file: str
    callers: tuple[str, ...]


def contents(value):
    """A value, and what is in it if it is a list, a tuple or a dictionary."""
    yield value
    if isinstance(value, (list, tuple, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from contents(one)


def files_of(*things):
    """The files of classes and of those that these are made of."""
    return {
        inspect.getfile(cls) for thing in things for cls in thing.__mro__ if cls.__module__.startswith("astro_calib")
    }


def visits(walk, held):
    """The calls of a walk for which ``held(arguments, results)`` says that they had the thing in hand."""
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
            if held(list(contents(arguments)), list(contents(result))):
                found.append(Visit(start, next(time), file, tuple(one for one, *_ in stack)))

    sys.setprofile(watch)
    try:
        walk()
    finally:
        sys.setprofile(None)
    return sorted(found)


def returned_to(found, own):
    """The files that were entered again after they had been left, but for the thing's own ones."""
    found = [visit for visit in found if visit.file not in own]
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


def files_named(walk):
    """The files that the page names for one of the walks."""
    section = PAGE.read_text(encoding="utf-8").partition("\nTwo walks\n")[2].partition("\nThe ideas\n")[0]
    paragraph = section.partition(f"\n{walk}, ")[2].partition("\n\n")[0]
    return set(re.findall(r"``([\w/]+\.py)``", paragraph))


def assert_few_and_named(files, walk):
    assert len(files) <= MOST, files
    assert files_named(walk) == {Path(file).relative_to(PACKAGE).as_posix() for file in files}


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

    def held(arguments, results):
        """Takes or returns the source of the master's noise, in whichever region and under whichever name."""
        sources = [one for one in (*arguments, *results) if isinstance(one, NoiseSource)]
        return any(getattr(one, "identity", "").startswith("stack:") for one in sources)

    found = visits(walk, held)
    # It has come back, and is the same noise.
    np.testing.assert_allclose(covariance(frames[2], frames[1]), covariance(frames[0], frames[1]), rtol=1e-6)
    files = {visit.file for visit in found}
    assert any("/io/" in file for file in files)
    assert_few_and_named(files, "A master's noise")
    assert returned_to(found, files_of(NoiseSource, astro_calib.UncertaintyBudget)) == set()


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

    def held(arguments, results):
        """Hands on what it was not given: a frame or a table that the pixel is in."""
        made = [one for one in results if all(one is not given for given in arguments)]
        return any(
            isinstance(one, Table)
            or (isinstance(one, CCDFrame) and not any(np.shares_memory(one.pixels, master) for master in masters))
            for one in made
        )

    found = visits(walk, held)
    assert tables[0]["flux"][0] > 10 * 3000 * 2 * u.electron
    assert_few_and_named({visit.file for visit in found}, "A pixel")
    assert returned_to(found, files_of(CCDFrame)) == set()
