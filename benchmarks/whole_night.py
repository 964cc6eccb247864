"""
A night from files to files: masters and calibrated frames, without stars and pictures.

Beside it a script that does the same with ccdproc, and the bare reading of all inputs and writing of all outputs with
astropy.io.fits. Run it alone:

    python benchmarks/whole_night.py
    python benchmarks/whole_night.py --quick
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData

if TYPE_CHECKING:
    from collections.abc import Callable

GAIN = 1.5 * u.electron / u.adu
READ_NOISE = 6.0 * u.electron
NUMBERS = {"bias": 10, "dark": 10, "flat": 10, "science": 20}
LEVELS = {"bias": 1000, "dark": 1020, "flat": 21000, "science": 1400}


def take(directory: Path, size: int) -> dict[str, list[Path]]:
    """Write raw frames of 16 bits."""
    rng = np.random.default_rng(0)
    pattern = rng.normal(0, 3, (size, size))
    paths: dict[str, list[Path]] = {}
    for kind, number in NUMBERS.items():
        for index in range(number):
            path = directory / f"{kind}-{index:02d}.fits"
            noise = np.sqrt(16 + (LEVELS[kind] - 1000) / 1.5)
            pixels = rng.normal(LEVELS[kind] + pattern, noise).round().clip(0, 65535).astype(np.uint16)
            header = fits.Header({"EXPTIME": {"bias": 0.0, "dark": 100.0, "flat": 3.0}.get(kind, 50.0)})
            fits.PrimaryHDU(pixels, header).writeto(path)
            paths.setdefault(kind, []).append(path)
    return paths


def ours(paths: dict[str, list[Path]], out: Path) -> None:
    """The night with this package."""
    import astro_calib as ac

    camera = ac.Detector(gain=GAIN, read_noise=READ_NOISE, saturation=60000 * u.adu)

    def calibrated(kind: str, **masters: object) -> list[ac.CCDFrame]:
        return [ac.calibrate(ac.CCDFrame.read(path, unit="adu"), camera, **masters) for path in paths[kind]]

    bias = ac.combine(calibrated("bias", pedestal=0, shot_noise=0), clip="sigma")
    dark = ac.combine(calibrated("dark", bias=bias), clip="sigma")
    dark.meta["EXPTIME"] = 100.0
    flat = ac.combine(calibrated("flat", bias=bias, dark=dark), clip="sigma", scale="median")
    for name, master in (("bias", bias), ("dark", dark), ("flat", flat)):
        master.write(out / f"{name}.fits", overwrite=True)
    for path in paths["science"]:
        raw = ac.CCDFrame.read(path, unit="adu")
        ac.calibrate(raw, camera, bias=bias, dark=dark, flat=flat).write(out / path.name, overwrite=True)


def theirs(paths: dict[str, list[Path]], out: Path) -> None:
    """The night with ccdproc."""
    import ccdproc

    exposure = {"exposure_time": "EXPTIME", "exposure_unit": u.s, "scale": True}
    clip = {"sigma_clip": True, "sigma_clip_low_thresh": 3, "sigma_clip_high_thresh": 3}

    def prepared(path: Path) -> CCDData:
        ccd = ccdproc.create_deviation(CCDData.read(path, unit="adu"), gain=GAIN, readnoise=READ_NOISE)
        return ccdproc.gain_correct(ccd, GAIN)

    bias = ccdproc.combine([prepared(path) for path in paths["bias"]], **clip)
    dark = ccdproc.combine([ccdproc.subtract_bias(prepared(path), bias) for path in paths["dark"]], **clip)
    dark.meta["EXPTIME"] = 100.0
    flats = [
        ccdproc.subtract_dark(ccdproc.subtract_bias(prepared(path), bias), dark, **exposure) for path in paths["flat"]
    ]
    flat = ccdproc.combine(flats, scale=lambda values: 1 / np.median(values), **clip)
    for name, master in (("bias", bias), ("dark", dark), ("flat", flat)):
        master.write(out / f"{name}.fits", overwrite=True)
    for path in paths["science"]:
        ccd = ccdproc.subtract_dark(ccdproc.subtract_bias(prepared(path), bias), dark, **exposure)
        ccdproc.flat_correct(ccd, flat).write(out / path.name, overwrite=True)


def bare(paths: dict[str, list[Path]], made: Path, out: Path) -> Callable[[], None]:
    """Reading the inputs, and writing what `ours` has written, with astropy.io.fits alone."""
    outputs: dict[str, list[tuple[str, np.ndarray]]] = {}
    for path in sorted(made.iterdir()):
        with fits.open(path) as hdus:
            outputs[path.name] = [
                (hdu.name, np.array(hdu.data).astype(hdu.data.dtype.newbyteorder("=")), hdu.header) for hdu in hdus
            ]
    # Science frames have the same arrays each; one of them stands for all, so that they need not all be in memory.
    one = outputs["science-00.fits"]

    def run() -> None:
        for several in paths.values():
            for path in several:
                fits.getdata(path)
        for name, own in outputs.items():
            (_, image), *others = one if name.startswith("science") else own
            hdus = [fits.PrimaryHDU(image), *(fits.ImageHDU(data, name=label) for label, data in others)]
            fits.HDUList(hdus).writeto(out / name, overwrite=True)

    return run


def main() -> None:
    """Time the three, several times in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small frames, once")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for part in ("raw", "ours", "theirs", "bare"):
            (directory / part).mkdir()
        paths = take(directory / "raw", 512 if options.quick else 2048)
        ours(paths, directory / "ours")
        runs = {
            "this package": lambda: ours(paths, directory / "ours"),
            "bare reading and writing": bare(paths, directory / "ours", directory / "bare"),
            "ccdproc": lambda: theirs(paths, directory / "theirs"),
        }
        times: dict[str, list[float]] = {what: [] for what in runs}
        for repeat in range(1 if options.quick else 5):
            for what, run in runs.items():
                if what == "ccdproc" and repeat:
                    continue
                start = time.perf_counter()
                run()
                times[what].append(time.perf_counter() - start)
        seconds = {what: float(np.median(found)) for what, found in times.items()}
        for what, found in seconds.items():
            print(f"{what:26}{found:8.2f} s{found / seconds['bare reading and writing']:8.2f} times the bare files")


if __name__ == "__main__":
    main()
