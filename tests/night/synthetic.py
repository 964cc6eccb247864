"""Small nights with true pixels: what a camera records of a known sky, by the settings of its frames."""

from __future__ import annotations

import numpy as np
from astropy.io import fits

from astro_calib import simulate

GAIN, READ_NOISE = 1.5, 5.0
#: Electrons of the sky, of a flat, and of the dark current in a second at 0 C, which halves every 6 degrees.
SKY, LIT, DARK = 400.0, 30000.0, 0.6


def two_filters(directory):
    """A night of 64 x 96 pixels that is reduced in a second, with two science frames in each of two filters."""
    camera = simulate.camera((64, 96), seed=2, filters=["V", "R"])
    simulate.night(directory, seed=2, camera=camera, science=2, biases=3, darks=3, flats=3)
    return directory


class Camera:
    """A camera of which each setting has its own bias, and each filter its own flat; all as they are on the chip."""

    def __init__(self, shape=(40, 48), seed=1, pedestal=500.0, **cards):
        rng = np.random.default_rng(seed)
        self.shape, self.pedestal, self.cards = shape, pedestal, cards
        self.bias = rng.normal(0, 20, shape)
        self.rate = DARK * rng.gamma(4, 0.25, shape)
        self.flats = {name: rng.normal(1, 0.05, shape) for name in "BVR"}
        self.sky = SKY + 200 * rng.random(shape)
        self.rng = rng

    def truth(self, seconds):
        """Electrons of a calibrated frame."""
        return self.sky * seconds / 30.0

    def response(self, name):
        """What a filter's light is multiplied by."""
        return self.flats[name] if name else 1.0

    def pixels(self, kind, seconds, name="", temperature=-20.0):
        """The numbers in a raw frame, in adu."""
        electrons = self.rate * seconds * 2 ** (temperature / 6)
        if kind == "LIGHT":
            electrons = electrons + self.truth(seconds) * self.response(name)
        if kind == "FLAT":
            electrons = electrons + LIT * self.response(name)
        seen = self.rng.poisson(electrons) + self.bias + self.rng.normal(0, READ_NOISE, self.shape)
        return np.clip(np.round(seen / GAIN + self.pedestal), 0, 65535).astype(np.uint16)

    def write(self, path, kind, seconds=0.0, name="", temperature=-20.0, flip=False, pixels=None, **cards):
        """Write a raw frame; ``flip`` for one whose first row is the other end of the chip."""
        path.parent.mkdir(parents=True, exist_ok=True)
        header = fits.Header([("IMAGETYP", kind), ("EXPTIME", float(seconds)), ("CCD-TEMP", float(temperature))])
        if name:
            header["FILTER"] = name
        header.update({"RDNOISE": READ_NOISE, "EGAIN": GAIN} | self.cards | cards)
        data = self.pixels(kind, seconds, name, temperature) if pixels is None else pixels
        fits.writeto(path, data[::-1] if flip else data, header)
        return path

    def night(self, directory, filters="V", *, biases=4, darks=4, flats=3, lights=1, temperature=-20.0, prefix=""):
        """Biases, darks of 30 s, flats of 2 s and lights of 30 s of one setup."""
        for index in range(biases):
            self.write(directory / f"{prefix}bias{index}.fits", "BIAS", 0, temperature=temperature)
        for index in range(darks):
            self.write(directory / f"{prefix}dark{index}.fits", "DARK", 30, temperature=temperature)
        for name in filters:
            for index in range(flats):
                self.write(directory / f"{prefix}flat{name}{index}.fits", "FLAT", 2, name, temperature)
            for index in range(lights):
                self.write(directory / f"{prefix}light{name}{index}.fits", "LIGHT", 30, name, temperature)
        return directory
