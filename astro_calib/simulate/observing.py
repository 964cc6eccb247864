"""A night at a simulated telescope: raw FITS files, and the truth about each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import as_path, check_count, check_number
from astro_calib.io.terminal import progress_bar
from astro_calib.simulate.realistic import camera as make_camera
from astro_calib.simulate.scene import random_stars, sky_background

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from astropy.nddata import CCDData
    from astropy.table import QTable
    from astropy.wcs import WCS

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.simulate.exposure import Truth
    from astro_calib.simulate.instrument import Camera

__all__ = ["Night", "night", "write_frame"]

START = datetime(2024, 5, 13, 2, 30, tzinfo=UTC)
READ_OUT_TIME = 15.0  # s
FLAT_EXPOSURE_TIMES = (4.0, 5.0, 6.0, 7.0, 8.0)  # s, again from the start if there are more flats
SCIENCE_EXPOSURE_TIMES = (120.0, 60.0)  # s, as for the flats
TWILIGHT = 6000.0  # electron / s for each pixel
SKY = 20.0  # electron / s for each pixel
COSMIC_RAY_RATE = 8e-7  # hits / s for each pixel
STAR_DENSITY = 6e-4  # stars for each pixel
DITHER = 12  # pixels, the largest shift between science frames
PIXEL_SCALE = 0.5  # arcsec
POINTING = (187.5, 12.25)  # degrees


@dataclass(frozen=True, kw_only=True, eq=False)
class Night:
    """
    A simulated night on disk.

    Parameters
    ----------
    directory : pathlib.Path
        Where the files are.
    camera : Camera
        The camera that took them.
    truths : dict of pathlib.Path to Truth
        The truth about each file, in the order in which the files were taken.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from astro_calib import simulate
    >>> with TemporaryDirectory() as directory:
    ...     night = simulate.night(
    ...         directory,
    ...         camera=simulate.camera((64, 96), filters=["V"]),
    ...         science=1,
    ...     )
    >>> len(night.paths("bias")), len(night.paths("flat", filter="V"))
    (10, 5)
    >>> night.truths[night.paths("dark")[0]].exposure_time
    120.0
    """

    directory: Path
    camera: Camera
    truths: dict[Path, Truth]

    def paths(self, kind: str | None = None, *, filter: str | None = None) -> list[Path]:  # noqa: A002  the word of FITS headers
        """
        Files of the night, in the order in which they were taken.

        Parameters
        ----------
        kind : {"bias", "dark", "flat", "science"}, optional
            Return only files of this kind.
        filter : str, optional
            Return only files that were taken through this filter.

        Returns
        -------
        list of pathlib.Path
            Empty if there are none.
        """
        return [
            path for path, truth in self.truths.items() if kind in (None, truth.kind) and filter in (None, truth.filter)
        ]


def write_frame(path: str | os.PathLike[str], frame: CCDData, *, overwrite: bool = False) -> None:
    """
    Write a frame as a camera does: one plain FITS image with its header, without mask or uncertainty.

    Parameters
    ----------
    path : path-like
        File to write.
    frame : CCDFrame or CCDData
        As `Camera.expose` returns it; unsigned integers become signed ones with BZERO, as FITS demands.
    overwrite : bool
        Whether to replace a file.

    Raises
    ------
    OSError
        If the file exists and ``overwrite`` is False.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from astropy.io import fits
    >>> from astro_calib import simulate
    >>> frame, truth = simulate.camera((20, 30)).expose("bias", 0, rng=1)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     simulate.write_frame(Path(directory) / "bias.fits", frame)
    ...     header = fits.getheader(Path(directory) / "bias.fits")
    >>> print(header["IMAGETYP"], header["BITPIX"], header["BZERO"])
    BIAS 16 32768
    """
    from astropy.io import fits

    from astro_calib.io.atomic import write_atomically
    from astro_calib.io.paths import file_to_write

    header = fits.Header(frame.meta)
    if frame.wcs is not None:
        header.extend(frame.wcs.to_header(), update=True)
    write_atomically(file_to_write(path, overwrite=overwrite), fits.PrimaryHDU(frame.data, header).writeto)


def night(
    directory: str | os.PathLike[str],
    *,
    seed: int = 0,
    shape: tuple[int, int] | None = None,
    camera: Camera | None = None,
    biases: int = 10,
    darks: int = 10,
    flats: int = 5,
    science: int = 2,
    stars: int | None = None,
    dark_exposure_time: float = 120.0,
    progress: bool = False,
) -> Night:
    """
    Simulate a night and write its raw frames.

    All science frames show one field of stars; those after the first are shifted by up to 12 whole pixels,
    and their exposure times are 120 s and 60 s in turn. The flats have 4 to 8 s of a twilight of varying
    brightness. Everything but the biases is hit by cosmic rays.

    Parameters
    ----------
    directory : path-like
        Where to write the files. It is made if it does not exist, and must be empty if it does.
    seed : int
        The same seed gives the same files, byte for byte. The pixels of a frame do not depend on how many
        other frames are taken.
    shape : (int, int), optional
        Shape (ny, nx) of the imaging area of the camera that ``camera(shape, seed=seed)`` makes; (512, 512)
        if neither this nor ``camera`` is given.
    camera : Camera, optional
        The camera that takes the frames, instead of ``shape``.
    biases, darks : int
        Number of frames.
    flats, science : int
        Number of frames for each filter of the camera.
    stars : int, optional
        Number of stars, including those up to 24 pixels outside of the frame; by default 6 for each 10000
        pixels.
    dark_exposure_time : float or Quantity
        s.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Night
        The files, and the truth about each.

    Raises
    ------
    FileExistsError
        If the directory is not empty.
    ValueError
        If a number is out of range, or both ``shape`` and ``camera`` are given.

    Examples
    --------
    >>> import tempfile
    >>> from astro_calib import simulate
    >>> camera = simulate.camera((64, 96), seed=1, filters=["V"])
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     taken = simulate.night(
    ...         directory,
    ...         seed=1,
    ...         camera=camera,
    ...         biases=2,
    ...         darks=1,
    ...         flats=1,
    ...         science=1,
    ...     )
    >>> print([path.name for path in taken.paths()])
    ['bias-001.fits', 'bias-002.fits', 'dark-001.fits',
     'flat-001-V.fits', 'science-001-V.fits']
    """
    from astro_calib.io.atomic import remove_leftovers

    seed = check_count("seed", seed)
    directory = as_path("the directory of the night", directory)
    if shape is not None and camera is not None:
        msg = "give either a shape, or a camera, which has one; not both."
        raise ValueError(msg)
    dark_exposure_time = check_number("dark_exposure_time", dark_exposure_time, u.s)
    numbers = {
        "bias": check_count("biases", biases),
        "dark": check_count("darks", darks),
        "flat": check_count("flats", flats),
        "science": check_count("science", science),
    }
    if camera is None:
        camera = make_camera((512, 512) if shape is None else shape, seed=seed)
    plan = _plan(camera, numbers, dark_exposure_time)
    field = _field(camera.shape, seed, stars)
    if directory.exists() and not directory.is_dir():
        msg = f"{directory} is a file; a simulated night needs a directory of its own."
        raise FileExistsError(msg)
    directory.mkdir(parents=True, exist_ok=True)
    remove_leftovers(directory)
    if any(directory.iterdir()):
        msg = f"{directory} is not empty; a simulated night needs a directory of its own."
        raise FileExistsError(msg)

    truths = {}
    time = START
    for shot in progress_bar(plan, desc="simulating", unit="frame", show=progress):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=shot.key))
        # FITS names the time scale in a card of its own, not in the date.
        date = time.replace(tzinfo=None).isoformat(timespec="milliseconds")
        header = {"DATE-OBS": date, "TIMESYS": "UTC"}
        frame, truth = _take(camera, shot, field, header, rng)
        path = directory / shot.name
        write_frame(path, frame)
        truths[path] = truth
        time += timedelta(seconds=shot.exposure_time + READ_OUT_TIME)
    return Night(directory=directory, camera=camera, truths=truths)


@dataclass(frozen=True)
class _Shot:
    """A frame to be taken; `key` is its own and picks its random numbers."""

    name: str
    kind: str
    filter: str | None
    exposure_time: float
    key: tuple[int, int, int]


def _plan(camera: Camera, numbers: dict[str, int], dark_exposure_time: float) -> list[_Shot]:
    """The frames of a night in order, `numbers` of each kind, for flats and science frames of each filter."""
    times = {
        "bias": (0.0,),
        "dark": (dark_exposure_time,),
        "flat": FLAT_EXPOSURE_TIMES,
        "science": SCIENCE_EXPOSURE_TIMES,
    }
    plan = []
    for kind_index, (kind, number) in enumerate(numbers.items()):
        filters = list(camera.sensitivity) if kind in ("flat", "science") else [None]
        for filter_index, name in enumerate(filters):
            for index, exposure_time in enumerate(islice(cycle(times[kind]), number)):
                # Counted over the filters: on some systems r.fits and R.fits are one file.
                label = f"{kind}-{filter_index * number + index + 1:03d}" + (f"-{name}" if name else "")
                key = (kind_index, filter_index, index)
                plan.append(_Shot(f"{label}.fits", kind, name, exposure_time, key))
    return plan


def _field(shape: tuple[int, int], seed: int, number: int | None) -> QTable:
    """The stars of the field, as the first science frame sees them."""
    margin = 2 * DITHER
    if number is None:
        number = round(STAR_DENSITY * (shape[0] + 2 * margin) * (shape[1] + 2 * margin))
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(4,)))
    return random_stars(shape, check_count("stars", number), rng, margin=margin)


def _take(
    camera: Camera, shot: _Shot, field: QTable, header: dict[str, Any], rng: np.random.Generator
) -> tuple[CCDFrame, Truth]:
    """One frame of the night."""
    light: dict[str, Any] = {}
    if shot.kind == "flat":
        light["sky"] = TWILIGHT * rng.uniform(0.8, 1.2)
    elif shot.kind == "science":
        first = shot.key[-1] == 0
        shift_x, shift_y = (0, 0) if first else rng.integers(-DITHER, DITHER, size=2, endpoint=True)
        light["stars"] = field.copy()
        light["stars"]["x"] += shift_x
        light["stars"]["y"] += shift_y
        light["sky"] = sky_background(camera.shape, SKY * rng.uniform(0.9, 1.1), gradient=(0.02, 0.01))
        light["wcs"] = _wcs(camera.shape, shift_x, shift_y)
        header = {**header, "OBJECT": "simulated field"}
    hits = rng.poisson(COSMIC_RAY_RATE * camera.shape[0] * camera.shape[1] * shot.exposure_time)
    return camera.expose(
        shot.kind,
        shot.exposure_time,
        rng=rng,
        filter=shot.filter,
        cosmic_rays=int(hits),
        header=header,
        **light,
    )


def _wcs(shape: tuple[int, int], shift_x: float, shift_y: float) -> WCS:
    """North up, east left; the field's centre is on the middle of the frame, moved by the shift."""
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crpix = [(shape[1] + 1) / 2 + shift_x, (shape[0] + 1) / 2 + shift_y]
    wcs.wcs.crval = POINTING
    wcs.wcs.cdelt = [-PIXEL_SCALE / 3600, PIXEL_SCALE / 3600]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs
