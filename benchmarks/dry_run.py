"""
The plan of a large night from its headers alone: ``astro-calib reduce --dry-run``.

Half of the files are plain, a quarter each compressed with gzip and tile by tile; of 1024 x 1024 pixels, with 60 cards.
Plain files are sparse, for nobody reads their pixels. Run it alone:

    python benchmarks/dry_run.py
    python benchmarks/dry_run.py --files 1000
"""

from __future__ import annotations

import argparse
import resource
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
from astropy.io import fits
from clock import timed

SIZE = 1024
CARDS = 60
EXPOSURES = {"BIAS": 0.0, "DARK": 120.0, "FLAT": 5.0, "LIGHT": 120.0}
#: Kinds and filters in the order of the files; most of a night are science frames.
ORDER = [("BIAS", "V"), ("DARK", "V"), *(("FLAT", name) for name in "BVR"), *(("LIGHT", name) for name in "BVRBVRBVRB")]
BLOCK = 2880


def cards(number: int) -> fits.Header:
    """The header of a file of the night."""
    kind, name = ORDER[number % len(ORDER)]
    header = fits.Header()
    header["IMAGETYP"] = (kind, "kind of frame")
    header["EXPTIME"] = (EXPOSURES[kind], "[s] exposure time")
    header["FILTER"] = (name, "name of the filter")
    header["OBJECT"] = (f"field {number % 40}", "what was observed")
    header["DATE-OBS"] = (str(np.datetime64("2024-05-13T00:00:00") + 150 * number), "UT")
    header["INSTRUME"] = ("camera of the benchmark", "")
    header["EGAIN"] = (1.5, "electron/adu")
    header["RDNOISE"] = (8.0, "electron")
    header["CCD-TEMP"] = (-20 + 0.01 * (number % 7), "C")
    header["SET-TEMP"] = (-20.0, "C")
    header["XBINNING"], header["YBINNING"] = 1, 1
    header["AIRMASS"] = (1 + number % 100 / 100, "at the beginning")
    while len(header) < CARDS - 8:
        header[f"NUMBER{len(header)}"] = (number + len(header) / 10, "one of many that nobody asks for")
    return header


def write(directory: Path, number: int) -> None:
    """Write as many files."""
    pixels = np.random.default_rng(1).normal(1000, 3, (SIZE, SIZE)).round().astype(np.uint16)
    stored = fits.PrimaryHDU(pixels)
    stored.writeto(directory / "pixels")
    data = (directory / "pixels").read_bytes()[BLOCK:]
    (directory / "pixels").unlink()
    packed = zlib.compressobj(1, wbits=-15)
    body = packed.compress(data) + packed.flush()
    tiles = fits.CompImageHDU(pixels)
    tiles.writeto(directory / "tiles")
    with fits.open(directory / "tiles", disable_image_compression=True) as hdus:
        end = hdus[1].fileinfo()["datLoc"]
        table = hdus[1].header.copy()
    tiled = (directory / "tiles").read_bytes()[end:]
    (directory / "tiles").unlink()
    for index in range(number):
        header = fits.PrimaryHDU(pixels, cards(index)).header
        content = header.tostring().encode()
        way = index % 4
        if way < 2:
            with (directory / f"frame-{index:05d}.fits").open("wb") as file:
                file.write(content)
                file.truncate(len(content) + len(data))
        elif way == 2:
            first = zlib.compressobj(6, wbits=-15)
            beginning = first.compress(content) + first.flush(zlib.Z_FULL_FLUSH)
            check = struct.pack("<II", zlib.crc32(data, zlib.crc32(content)), (len(content) + len(data)) % 2**32)
            (directory / f"frame-{index:05d}.fits.gz").write_bytes(
                b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + beginning + body + check
            )
        else:
            primary = fits.PrimaryHDU()
            primary.header["EXTEND"] = True
            extension = table.copy()
            extension.extend(cards(index), unique=True)
            (directory / f"frame-{index:05d}.fits.fz").write_bytes(
                primary.header.tostring().encode() + extension.tostring().encode() + tiled
            )


def main() -> None:
    """Write a night, and plan it twice: the first time brings the headers into the memory of the system."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--directory", type=Path, help="with the files, which are written if it is not there, and kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.directory or Path(temporary) / "raw"
        if not directory.is_dir():
            directory.mkdir()
            write(directory, options.files)
        command = [sys.executable, "-m", "astro_calib", "reduce", "--dry-run", str(directory)]
        for run in ("cold", "warm"):
            seconds = timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
            print(f"{run}: {seconds:.1f} s for {sum(1 for _ in directory.iterdir())} files")
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"memory: {memory:.0f} MB")


if __name__ == "__main__":
    main()
