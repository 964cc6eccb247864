"""
Simulated cameras with one fault each, and as many without: how often `audit_noise` names the right one.

    python benchmarks/audit.py --cameras 200 --first 100000
    python benchmarks/audit.py --cameras 20 --verbose

Gains of 0.5 to 4 electrons a step, read noise of 3 to 12 electrons, 6 to 12 biases, 3 darks, 4 flats at two levels and
2 to 4 science frames of 128 x 128 pixels with an overscan of 24 columns. A camera's number is its seed, and its fault
is the one whose turn it is. The audit was built with cameras of numbers below 10,000.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from dataclasses import dataclass

import astropy.units as u
import numpy as np

from astro_calib import CCDFrame, Detector, calibrate, combine
from astro_calib.characterize import NoiseAudit, audit_noise
from astro_calib.simulate.components import make_cosmic_rays, sensitivity_variations
from astro_calib.simulate.electronics import ReadOut, ReadOutTone

SHAPE, OVERSCAN = (128, 128), 24
#: The faults, and what the audit calls them.
FAULTS = {
    "gain off by 10%": "gain",
    "gain off by 20%": "gain",
    "read noise off by 30%": "read noise",
    "rows": "rows",
    "tones": "tone",
    "drifting overscan": "overscan drift",
    "wrong dark": "dark",
    "wrong flat": "flat",
    "clamped level": "clamp",
    "master of another temperature": "dark's temperature",
}
#: What may be named together with the right one, because no frame of this kind tells them apart.
PAIRS = ({"dark", "dark's temperature"}, {"rows", "tone"})


@dataclass(frozen=True)
class Camera:
    """A simulated camera: the truth, what is stated of it, and what is wrong."""

    seed: int
    fault: str | None

    def frames(self) -> tuple[dict[str, list[CCDFrame]], Detector]:
        """The frames for `audit_noise`, and the stated detector."""
        rng = np.random.default_rng([self.seed, 17])
        shape = SHAPE[0], SHAPE[1] + OVERSCAN
        gain, white = float(np.exp(rng.uniform(np.log(0.5), np.log(4)))), float(rng.uniform(3, 12))
        white = max(white, gain)
        stated_gain, stated_noise = gain, white
        number = int(rng.integers(6, 13))
        science = int(rng.integers(2, 5))
        sky = float(rng.uniform(500, 3000))
        if self.fault in ("gain off by 10%", "gain off by 20%"):
            part = 0.1 if "10" in self.fault else 0.2
            stated_gain *= 1 + part * rng.choice([-1, 1])
        if self.fault == "read noise off by 30%":
            stated_noise *= rng.choice([1.3, 1 / 1.3])
        row = white * rng.uniform(0.2, 0.5) if self.fault == "rows" else 0.0
        tones: tuple[ReadOutTone, ...] = ()
        if self.fault == "tones":
            tones = (
                ReadOutTone(
                    power=white**2 * rng.uniform(0.1, 1),
                    wx=rng.uniform(0.4, np.pi - 0.2),
                    wy=rng.uniform(-3, 3),
                    coherent=bool(rng.random() < 0.5),
                ),
            )
        read_out = ReadOut(white=white, row=row, tones=tones)
        drift = rng.uniform(0.1, 0.4) * white if self.fault == "drifting overscan" else 0.0
        level = 500.0
        clamped = self.fault == "clamped level"
        falls = 0.0
        if clamped and rng.random() < 0.5:
            level = rng.uniform(0, 1.5) * white / gain
        elif clamped:
            falls = rng.uniform(1, 5) * white / gain
        # Dark current, of which hot pixels have most.
        rate = np.full(SHAPE, rng.uniform(0.01, 0.1))
        hot = rng.random(SHAPE) < 0.005
        rate[hot] += np.exp(rng.uniform(np.log(0.5), np.log(30), hot.sum()))
        of_master = rate
        if self.fault == "wrong dark":
            of_master = rate * rng.choice([rng.uniform(0.3, 0.7), rng.uniform(1.5, 3)])
        if self.fault == "master of another temperature":
            doubling = rng.normal(6.5, 1.0, SHAPE).clip(4, 10)
            of_master = rate * 2 ** (rng.choice([-1, 1]) * rng.uniform(4, 9) / doubling)
        scatter = rng.uniform(0.01, 0.02)
        sensitivity = sensitivity_variations(SHAPE, pixel_scatter=scatter, dust=3, rng=self.seed)
        of_flat = sensitivity
        if self.fault == "wrong flat":
            of_flat = sensitivity_variations(SHAPE, pixel_scatter=scatter, dust=3, rng=self.seed + 1_000_000)
        structure = 0.5 * rng.standard_normal(shape[1]) + 0.3 * rng.standard_normal(shape)

        def read(electrons: np.ndarray, exposure: float) -> CCDFrame:
            charge = read_out.draw(shape, rng)
            charge[:, : SHAPE[1]] += rng.poisson(electrons) + drift * rng.standard_normal()
            values = charge / gain + structure + level + 3 * rng.standard_normal()
            if falls:
                values[:, : SHAPE[1]] -= falls * exposure / 300
            pixels = np.clip(np.rint(values), 0, 65535).astype(np.uint16)
            frame = CCDFrame(pixels, unit="adu")
            frame.meta["EXPTIME"] = exposure
            return frame

        nothing = np.zeros(SHAPE)
        biases = [read(nothing, 0.0) for _ in range(number)]
        darks = [read(300 * of_master, 300.0) for _ in range(3)]
        full = min(40_000.0, 50_000 * gain)
        levels = [full * rng.uniform(0.85, 1) for _ in range(2)] + [0.3 * full * rng.uniform(0.85, 1) for _ in range(2)]
        flats = [read(one * of_flat + make_cosmic_rays(SHAPE, 2, rng), 5.0) for one in levels]
        lights = [
            read(sky * rng.uniform(0.8, 1.2) * sensitivity + 300 * rate + make_cosmic_rays(SHAPE, 2, rng), 300.0)
            for _ in range(science)
        ]
        detector = Detector(
            gain=stated_gain * u.electron / u.adu, read_noise=stated_noise * u.electron, saturation=65000 * u.adu
        )
        options = {"overscan": self.overscan, "trim": self.trim}
        bias = combine([calibrate(one, detector, **options) for one in biases])
        dark = combine([calibrate(one, detector, bias=bias, **options) for one in darks])
        flat = combine([calibrate(one, detector, bias=bias, **options) for one in flats], scale="median")
        finished = [calibrate(one, detector, bias=bias, dark=dark, flat=flat, **options) for one in lights]
        frames = {"bias": biases, "dark": darks, "flat": flats, "science": finished, "master dark": dark}
        return frames, detector

    @property
    def overscan(self) -> str:
        """FITS section of the overscan."""
        return f"[{SHAPE[1] + 1}:{SHAPE[1] + OVERSCAN},1:{SHAPE[0]}]"

    @property
    def trim(self) -> str:
        """FITS section of the image."""
        return f"[1:{SHAPE[1]},1:{SHAPE[0]}]"

    def audit(self) -> NoiseAudit:
        """Simulate and audit it."""
        with warnings.catch_warnings():
            # Faults make the package say a lot.
            warnings.simplefilter("ignore")
            frames, detector = self.frames()
            return audit_noise(frames, detector, overscan=self.overscan, trim=self.trim)


def keys_of(result: NoiseAudit) -> tuple[set[str], set[str]]:
    """What the audit names, and what it names as one of those that it cannot tell apart."""

    def keys(word: str) -> set[str]:
        names = result.faults["fault"][result.faults["named"] == word]
        return {"gain" if name.startswith("gain") else str(name) for name in names}

    return keys("yes"), keys("perhaps")


def judgement(camera: Camera, result: NoiseAudit) -> str:
    """``right``, ``pair`` (or what cannot be told from it), ``more`` (another fault, too) or ``wrong``."""
    sure, perhaps = keys_of(result)
    if camera.fault is None:
        return "right" if not sure | perhaps else "wrong"
    truth = FAULTS[camera.fault]
    if sure == {truth} and not perhaps:
        return "right"
    if not sure and truth in perhaps and perhaps in PAIRS:
        return "pair"
    return "more" if truth in sure | perhaps else "wrong"


def main() -> None:
    """Judge cameras and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=200, help="with a fault, and as many without")
    parser.add_argument("--first", type=int, default=0, help="number of the first camera")
    parser.add_argument("--fault", choices=list(FAULTS), help="this fault only")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    faults = [options.fault] if options.fault else list(FAULTS)
    counts: dict[str, Counter[str]] = {}
    for number in range(options.cameras):
        for fault in (faults[number % len(faults)], None):
            # Those without a fault have numbers of their own.
            camera = Camera(options.first + number + (0 if fault else 5000), fault)
            result = camera.audit()
            word = judgement(camera, result)
            counts.setdefault(fault or "none", Counter())[word] += 1
            if options.verbose and number % 20 == 19 and fault is None:
                print(number + 1, {name: dict(count) for name, count in counts.items()}, file=sys.stderr, flush=True)
            if options.verbose and (word != "right" or options.cameras <= 40):
                print(
                    f"{camera.seed} {fault}: {word}\n    {result.verdict!r}",
                    *result.remarks,
                    file=sys.stderr,
                    flush=True,
                )
    print(f"cameras from {options.first}")
    print(f"{'fault':32} {'cameras':>7} {'right':>6} {'pair':>6} {'more':>6} {'wrong':>6}")
    for name, count in counts.items():
        print(f"{name:32} {count.total():7}", *(f"{count[word]:6}" for word in ("right", "pair", "more", "wrong")))
    faulty = sum((count for name, count in counts.items() if name != "none"), Counter())
    print(
        f"named: {100 * (faulty['right'] + faulty['pair']) / faulty.total():.1f}%; "
        f"right ones accused: {100 * counts['none']['wrong'] / counts['none'].total():.1f}%"
    )


if __name__ == "__main__":
    main()
