"""
Many simulated cameras, none like the other, measured by `photon_transfer`, and how far it and its errors are right.

    python benchmarks/photon_transfer.py --cameras 60
    python benchmarks/photon_transfer.py --cameras 12 --shape 120 160

Gains of 0.2 to 5 electrons a step, read noise of 1.5 to 15 electrons, 12 to 16 bits, 2 to 40 flats; vignetted, dusty,
with a lamp that fades, hits and dead pixels; half of them with charge that repels charge, with rows, with tones, with
a level that drifts. A camera's number is its seed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from astro_calib.characterize import AmplifierTransfer, photon_transfer
from astro_calib.characterize.lags import REACH, folded
from astro_calib.simulate.components import make_cosmic_rays
from astro_calib.simulate.electronics import BrighterFatter, ReadOut, ReadOutTone


@dataclass(frozen=True)
class Camera:
    """What is true of a simulated camera."""

    seed: int
    shape: tuple[int, int]
    bits: int
    step: int
    gain: float
    read_out: ReadOut
    charge: BrighterFatter
    drift: float
    levels: tuple[float, ...]
    biases: int
    vignetting: float

    @property
    def bias_level(self) -> float:
        """Level of the biases, in digital steps: high enough for their noise."""
        return 100 + 8 * np.sqrt(self.read_out.variance) / self.gain / self.step

    @property
    def varied(self) -> int:
        """How many levels there are."""
        return len(set(self.levels))

    def frames(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Flats and biases, uint16."""
        rng = np.random.default_rng([self.seed, 1])
        ny, nx = self.shape
        y, x = np.mgrid[-1 : 1 : ny * 1j, -1 : 1 : nx * 1j]
        light = 1 - self.vignetting * (x**2 + y**2) / 2
        for _ in range(4):
            place, size = rng.uniform(-1, 1, 2), rng.uniform(0.03, 0.1)
            ring = np.hypot(y - place[0], x - place[1])
            light *= 1 - 0.05 * (ring < size)
        light *= 1 + 0.01 * rng.standard_normal(self.shape)
        dead = rng.random(self.shape) < 2e-4
        light[dead] = 0.3
        structure = 0.5 * rng.standard_normal(nx) + 0.3 * rng.standard_normal(self.shape)

        def read(charge: np.ndarray | float) -> np.ndarray:
            level = self.bias_level + self.drift * rng.standard_normal()
            native = (charge + self.read_out.draw(self.shape, rng)) / self.gain / self.step
            native = np.rint(native + structure + level)
            return (self.step * np.clip(native, 0, 2**self.bits - 1)).astype(np.uint16)

        biases = [read(0.0) for _ in range(self.biases)]
        flats = []
        for level in self.levels:
            # The lamp fades, and moves a little.
            tilt = 1 + 0.02 * (rng.uniform(-1, 1) * x + rng.uniform(-1, 1) * y)
            expected = level * rng.uniform(0.85, 1) * tilt * light + make_cosmic_rays(self.shape, 3, rng)
            flats.append(read(self.charge.collect(expected, rng)))
        return flats, biases


def draw_camera(seed: int, shape: tuple[int, int]) -> Camera:
    """A camera by its number."""
    rng = np.random.default_rng([seed, 0])
    bits = int(rng.choice([12, 14, 16]))
    step = 2 ** (16 - bits) if rng.random() < 0.5 else 1
    per_step = float(np.exp(rng.uniform(np.log(0.2), np.log(5))))
    white = float(np.exp(rng.uniform(np.log(1.5), np.log(15))))
    row = white * rng.uniform(0.05, 0.4) if rng.random() < 0.5 else 0.0
    tones: tuple[ReadOutTone, ...] = ()
    if rng.random() < 0.5:
        tones = tuple(
            ReadOutTone(
                power=white**2 * rng.uniform(0.1, 1),
                wx=rng.uniform(0.3, np.pi - 0.2),
                wy=rng.uniform(-3, 3),
                coherent=bool(rng.random() < 0.5),
            )
            for _ in range(rng.integers(1, 3))
        )
    charge = BrighterFatter(
        a_00=-rng.uniform(0.5e-6, 3e-6) if rng.random() < 0.5 else 0.0,
        decay=rng.uniform(2.7, 3.5),
        anisotropy=rng.uniform(0.7, 1.7),
    )
    number = int(np.rint(np.exp(rng.uniform(np.log(2), np.log(40)))))
    full = min(0.6 * 2**bits * per_step, 100_000.0)
    if number >= 8 and rng.random() < 0.5:
        several = full * np.geomspace(0.1, 1, 5)
        levels = tuple(float(several[index % 5]) for index in sorted(range(number), key=lambda index: index % 5))
    else:
        levels = (full * float(rng.uniform(0.3, 1)),) * number
    biases = int(rng.integers(2, 21))
    drift = float(rng.uniform(0.1, 2)) if rng.random() < 0.5 else 0.0
    return Camera(
        seed=seed,
        shape=shape,
        bits=bits,
        step=step,
        gain=per_step / step,
        read_out=ReadOut(white=white, row=row, tones=tones),
        charge=charge,
        drift=drift,
        levels=levels,
        biases=biases,
        vignetting=float(rng.uniform(0, 0.5)),
    )


class Verdict(NamedTuple):
    """How far a measurement is from the truth: relative, and in standard uncertainties."""

    camera: Camera
    result: AmplifierTransfer
    gain: float
    gain_pull: float
    noise: float
    noise_pull: float
    white_pull: float
    charge_pull: float
    beyond: float

    @property
    def resolved(self) -> bool:
        """Whether the noise is not hidden by the digital step."""
        return np.sqrt(self.camera.read_out.variance) > 0.3 * self.camera.gain * self.camera.step


def judge(camera: Camera) -> Verdict:
    """Simulate and measure a camera."""
    flats, biases = camera.frames()
    one = photon_transfer(flats, biases).amplifiers[0]
    noise = np.sqrt(camera.read_out.variance)
    dy, dx = np.mgrid[0 : REACH + 1, -REACH : REACH + 1]
    truth = camera.read_out.autocovariance(dx, dy) / camera.gain**2
    truth[0, REACH] += camera.step**2 / 12
    off = np.abs(one.lags - folded(truth)) / one.lags_uncertainty

    def pull(value: object, true: float) -> float:
        return float((value.value.value - true) / value.uncertainty.value)

    return Verdict(
        camera,
        one,
        one.gain.value.value / camera.gain - 1,
        pull(one.gain, camera.gain),
        one.read_noise.value.value / noise - 1,
        pull(one.read_noise, noise),
        pull(one.white, camera.read_out.white),
        pull(one.a_00, camera.charge.a_00),
        float(np.mean(off > 3)),
    )


def table(verdicts: list[Verdict]) -> str:
    """The figures that count."""
    resolved = [one for one in verdicts if one.resolved]

    def line(name: str, values: list[float], percent: bool = False) -> str:
        scale, unit = (100, "%") if percent else (1, "")
        error = np.std(values) / np.sqrt(len(values))
        return (
            f"{name:44} mean {scale * np.mean(values):+.3f} +- {scale * error:.3f}{unit}, "
            f"standard deviation {scale * np.std(values):.3f}{unit} ({len(values)})"
        )

    few = [one.charge_pull for one in verdicts if one.camera.varied < 4]
    weights = np.array([1 / (one.result.gain.uncertainty / one.result.gain.value).value ** 2 for one in verdicts])
    weighted = np.average([one.gain for one in verdicts], weights=weights)
    plain = [one for one in resolved if not any(tone.coherent for tone in one.camera.read_out.tones)]
    return "\n".join(
        [
            line("gain, relative", [one.gain for one in verdicts], percent=True),
            f"{'gain, relative, weighted':44} mean {100 * weighted:+.3f} +- {100 / np.sqrt(weights.sum()):.3f}%",
            line("read noise, relative", [one.noise for one in resolved], percent=True),
            line("read noise, relative, no coherent tones", [one.noise for one in plain], percent=True),
            line("pulls of the gain", [one.gain_pull for one in verdicts]),
            line("pulls of the read noise", [one.noise_pull for one in resolved]),
            line("pulls of the read noise, no coherent tones", [one.noise_pull for one in plain]),
            line("pulls of the white part", [one.white_pull for one in resolved]),
            line("pulls of a_00", [one.charge_pull for one in verdicts]),
            f"a_00 within 1.96 errors, fewer than four levels  {100 * np.mean(np.abs(few) < 1.96):.1f}% of {len(few)}",
            f"autocovariance beyond 3 errors  {100 * np.mean([one.beyond for one in resolved]):.2f}%",
        ]
    )


def main() -> None:
    """Judge cameras and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first camera")
    parser.add_argument("--shape", type=int, nargs=2, default=(200, 300))
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    verdicts = []
    for seed in range(options.first, options.first + options.cameras):
        one = judge(draw_camera(seed, tuple(options.shape)))
        verdicts.append(one)
        if options.verbose:
            c = one.camera
            tones = "".join("C" if tone.coherent else "i" for tone in c.read_out.tones)
            print(
                f"{seed:4} {len(c.levels):2} flats {c.varied} levels {max(c.levels):8.0f} e {c.biases:2} biases, "
                f"gain {c.gain * c.step:.2f} noise {np.sqrt(c.read_out.variance):5.2f} {tones:2}: "
                f"gain {100 * one.gain:+.2f}% {one.gain_pull:+.2f}, "
                f"noise {100 * one.noise:+.2f}% {one.noise_pull:+.2f} "
                f"white {one.white_pull:+.2f} a_00 {one.charge_pull:+.2f} beyond {one.beyond:.3f}",
                *one.result.remarks,
                sep=" | ",
                file=sys.stderr,
                flush=True,
            )
    print(table(verdicts))


if __name__ == "__main__":
    main()
