"""Frames of all kinds for the tests of files, and what it means that one came back as it was."""

from __future__ import annotations

import itertools
import string
import warnings
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from astro_calib import (
    Amplifier,
    CCDFrame,
    Detector,
    LinearityPolynomial,
    NoiseSource,
    UncertaintyBudget,
    calibrate,
    combine,
)
from astro_calib.errors import NoiseWarning
from astro_calib.frame.write_guard import WriteGuard
from astro_calib.noise import place
from astro_calib.noise.arrays import SELF_DATA
from astro_calib.noise.coefficient import Coefficient

CAMERA = Detector(gain=2 * u.electron / u.adu, read_noise=5 * u.electron)
SHAPE = (24, 30)


def tangent_plane():
    """A WCS."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = 250.42, 36.46
    wcs.wcs.crpix = 20, 15
    wcs.wcs.cdelt = -1e-4, 1e-4
    return wcs


class Night:
    """Masters made of simulated frames, and science frames that they were applied to."""

    #: Each night is another, so that no test finds what another test has left in memory.
    seeds = itertools.count(100)

    def __init__(self, seed=None, shape=SHAPE, camera=CAMERA):
        self.rng = np.random.default_rng(next(self.seeds) if seed is None else seed)
        self.shape, self.camera = shape, camera
        self.bias = combine([self.calibrated(self.raw(0), pedestal=0, shot_noise=0) for _ in range(5)])
        self.dark = combine([self.calibrated(self.raw(20), bias=self.bias) for _ in range(5)], clip="sigma")
        self.dark.meta["EXPTIME"] = 10.0
        flats = [self.calibrated(self.raw(20000), bias=self.bias, dark=self.dark) for _ in range(5)]
        self.flat = combine(flats, clip="sigma", scale="median")

    def raw(self, level):
        """A raw frame with a pedestal of 1000 adu."""
        pixels = self.rng.poisson(level, self.shape) + self.rng.normal(1000, 2.5, self.shape)
        return CCDFrame(pixels.round().astype(np.uint16), unit="adu", meta=fits.Header([("EXPTIME", 10.0)]))

    def science(self):
        """A calibrated frame."""
        raw = self.raw(500)
        raw.wcs = tangent_plane()
        return self.calibrated(raw, bias=self.bias, dark=self.dark, flat=self.flat)

    def calibrated(self, raw, **masters):
        """What the masters, too, are made of."""
        return calibrate(raw, self.camera, **masters)

    def write_masters(self, directory, ending, **options):
        """Write the three masters."""
        for name in ("bias", "dark", "flat"):
            getattr(self, name).write(directory / f"{name}.{ending}", **options)


def assert_same(again, frame):
    """That a frame came back as it was."""
    assert isinstance(again, CCDFrame)
    assert again.pixels.dtype == frame.pixels.dtype
    assert again.unit == frame.unit
    for attribute in ("data", "variance", "mask", "flags", "psf", "n_used"):
        one, other = getattr(again, attribute), getattr(frame, attribute)
        assert (one is None) == (other is None), attribute
        if other is not None:
            assert one.dtype == other.dtype, attribute
            assert one.dtype.isnative
            np.testing.assert_array_equal(one, other, err_msg=attribute)
    assert {str(key).upper(): again.meta[key] for key in again.meta} == {
        str(key).upper(): frame.meta[key] for key in frame.meta
    }
    assert (again.wcs is None) == (frame.wcs is None)
    if frame.wcs is not None:
        assert again.wcs.wcs.compare(frame.wcs.wcs)
    one, other = again.origin, frame.origin
    assert (one is None) == (other is None)
    # A raw frame of one constant value has nothing to be known by: its identity is another one each time.
    if other is not None and not (frame.history.origin is None and other.raw.identity().startswith("drawn:")):
        assert (one.raw.identity(), tuple(one.raw.shape)) == (other.raw.identity(), tuple(other.raw.shape))
        assert (one.window, one.quantum) == (other.window, other.quantum)
    assert_same_budget(again.budget, frame.budget)
    if frame.budget:
        difference = again.budget.covariance(frame.budget)
        np.testing.assert_allclose(difference, frame.variance, rtol=2e-5)


def assert_same_budget(again, budget):
    """That a budget came back as it was, one source to the rounding of the total."""
    assert bool(again) == bool(budget)
    if not budget:
        return
    assert (again.shape, again.dtype, again.names) == (budget.shape, budget.dtype, budget.names)
    assert len(again.terms) == len(budget.terms)
    for (one, c_one), (other, c_other) in zip(again.terms, budget.terms, strict=True):
        assert one.key == other.key
        assert (one.name, one.slope) == (other.name, other.slope)
        assert one.linear == other.linear or not other.constituents
        np.testing.assert_array_equal(c_one.evaluate(again.data), c_other.evaluate(budget.data))
        assert list(one.constituents) == list(other.constituents)
        for key, constituent in other.constituents.items():
            assert one.constituents[key].variance == constituent.variance
            np.testing.assert_array_equal(one.constituents[key].weight.evaluate(), constituent.weight.evaluate())
        scale = np.square(c_other.evaluate(budget.data))
        error = np.abs(one.variance.evaluate() - np.asarray(other.variance.evaluate())) * scale
        assert np.all(error <= 2e-5 * budget.variance())


def forget():
    """Forget what this process knows of masters, as if another one had made the files."""
    place._known.clear()


# -- strategies ------------------------------------------------------------------------------------------------------

NUMBERS = st.floats(-1e4, 1e4, width=32).map(lambda x: round(x, 3))
POSITIVE = st.floats(0.125, 1e4, width=32)
UNITS = st.sampled_from(["", "adu", "electron", "electron / s", "adu2", "1e-3 electron"])
TYPES = st.sampled_from(["float32", "float64", "uint8", "int16", "uint16", "int32", "float16"])
TEXT = st.text(string.ascii_letters + string.digits + " '&/", max_size=30).map(str.strip)
HEADERS = st.dictionaries(
    st.text(string.ascii_uppercase, min_size=3, max_size=8).map(lambda name: "Q" + name[:7]),
    st.one_of(st.booleans(), st.integers(-(10**9), 10**9), st.floats(-1e30, 1e30), TEXT),
    max_size=4,
)


@st.composite
def coefficients(draw, shape, dtype):
    """A number, an array, or a product that the frame's own data may be a factor of."""
    kind = draw(st.sampled_from(["number", "array", "product", "own"]))
    if kind == "number":
        return Coefficient(draw(NUMBERS.filter(lambda x: x != 0)))
    array = draw(hnp.arrays(dtype, shape, elements=POSITIVE))
    if kind == "array":
        return Coefficient(array)
    if kind == "product":
        return Coefficient(draw(POSITIVE)).times(array, -1) + Coefficient(draw(POSITIVE))
    return Coefficient(draw(POSITIVE)).times(SELF_DATA).times(array, -1)


@st.composite
def sources(draw, shape, dtype):
    """A source of noise of any shape, some of them merged of others."""
    axes = draw(st.sampled_from([(), (0,), (1,), (0, 1)]))
    whole = tuple(length if axis in axes else 1 for axis, length in enumerate(shape))
    variance = draw(st.one_of(POSITIVE, hnp.arrays(dtype, whole, elements=POSITIVE)))
    window = tuple((draw(st.integers(0, 9)), draw(st.integers(1, 3))) for _ in axes)
    slope = draw(st.sampled_from([0.0, 1.0, 0.5]))
    return NoiseSource(draw(TEXT.filter(bool)), variance, axes, window=window, slope=slope)


@st.composite
def frames(draw):
    """A frame with whatever a frame can have."""
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    dtype = np.dtype(draw(TYPES))
    elements = NUMBERS if dtype.kind == "f" else st.integers(0, 100)
    data = draw(hnp.arrays(dtype, shape, elements=elements if dtype != np.float16 else st.integers(0, 100)))
    floating = np.float64 if dtype in (np.float64, np.int32) else np.float32
    terms = draw(st.lists(st.tuples(sources(shape, floating), coefficients(shape, floating)), max_size=4))
    budget = UncertaintyBudget(shape, terms, floating, data) if draw(st.booleans()) else None
    maybe = st.booleans()
    step = draw(st.sampled_from(["none", "slice", "twice", "stack", "difference"]))
    frame = CCDFrame(
        data,
        unit=draw(UNITS),
        budget=budget,
        mask=draw(hnp.arrays(bool, shape)) if draw(maybe) else None,
        flags=draw(hnp.arrays(np.uint16, shape)) if draw(maybe) else None,
        psf=draw(hnp.arrays(np.float64, (3, 3), elements=POSITIVE)) if step == "none" and draw(maybe) else None,
        meta=fits.Header(draw(HEADERS)) if draw(maybe) else draw(HEADERS),
        wcs=tangent_plane() if draw(maybe) else None,
        guard=WriteGuard(),
    )
    if step == "slice":
        return frame[: draw(st.integers(1, shape[0])), :: draw(st.integers(1, 2))]
    if step == "twice":
        return frame * draw(POSITIVE)
    if budget is not None and terms and step == "stack":
        with warnings.catch_warnings():
            # It is the same exposure several times.
            warnings.simplefilter("ignore", NoiseWarning)
            return combine([frame, frame * 2.0, frame * 3.0])
    if budget is not None and step == "difference":
        return frame - frame * 0.5
    return frame


GAIN = u.electron / u.adu


@st.composite
def cameras(draw):
    """A detector with one or two amplifiers, whose gain may be uncertain and whose response may be curved."""
    height, width = SHAPE
    uncertainty = draw(st.sampled_from([None, 0.02 * GAIN]))
    curve = LinearityPolynomial([1e-6], limit=6e4 * u.adu, uncertainties=[1e-7])
    options = {"gain_uncertainty": uncertainty, "linearity": draw(st.sampled_from([None, curve]))}
    if draw(st.booleans()):
        return Detector(gain=2 * GAIN, read_noise=5 * u.electron, saturation=6e4 * u.adu, **options)
    sections = f"[1:{width // 2},1:{height}]", f"[{width // 2 + 1}:{width},1:{height}]"
    amplifiers = [
        Amplifier(gain=gain * GAIN, read_noise=noise * u.electron, data_section=section, **options)
        for gain, noise, section in zip((2.0, 2.2), (5.0, 6.0), sections, strict=True)
    ]
    return Detector(amplifiers=amplifiers)


def sliced(frames):
    """A region of each."""
    return [frame[2:20, 1:25:3] for frame in frames]


def upside_down(frames):
    """Each with its rows in the opposite order."""
    return [frame[::-1] for frame in frames]


def rates(frames):
    """Electrons in each second."""
    return [frame / (10 * u.s) if frame.unit == u.electron else frame * 0.5 for frame in frames]


def stacks(frames):
    """Stacks, some of whose frames are the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseWarning)
        return [combine(frames), combine(frames[:2], method="median"), frames[0]]


def differences(frames):
    """Each less the last."""
    return [*(frame - frames[-1] * 0.5 for frame in frames[:-1]), frames[-1]]


class Reduction(NamedTuple):
    """Masters by their kinds, and frames that were made with them."""

    masters: dict[str, CCDFrame]
    frames: list[CCDFrame]

    def __repr__(self):
        # Not all their pixels.
        return f"{len(self.frames)} frames with masters {sorted(self.masters)}"


@st.composite
def reductions(draw):
    """A `Reduction` of any kind."""
    camera, rng = draw(cameras()), np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from([np.uint16, np.float32, np.float64]))
    kinds = draw(st.sets(st.sampled_from(["bias", "dark", "flat"])))

    def raw(level):
        pixels = (rng.poisson(level, SHAPE) + rng.normal(1000, 2.5, SHAPE)).round()
        pixels[tuple(rng.integers(0, SHAPE))] = 60000
        return CCDFrame(pixels.astype(dtype), unit="adu", meta=fits.Header([("EXPTIME", 10.0)]))

    made = {}

    def calibrated(level, *used):
        known = {kind: made[kind] for kind in used if kind in made}
        return calibrate(raw(level), camera, **known, **({} if "bias" in known else {"pedestal": 1000}))

    levels = {"bias": (0, ()), "dark": (20, ("bias",)), "flat": (20000, ("bias", "dark"))}
    for kind, (level, used) in levels.items():
        if kind in kinds:
            how = {"method": draw(st.sampled_from(["mean", "median"])), "clip": draw(st.sampled_from([None, "sigma"]))}
            made[kind] = combine([calibrated(level, *used) for _ in range(draw(st.integers(2, 4)))], **how)
            made[kind].meta["EXPTIME"] = 10.0
    frames = [calibrated(500, "bias", "dark", "flat") for _ in range(3)]
    for change in draw(st.lists(st.sampled_from([sliced, upside_down, rates, stacks, differences]), max_size=3)):
        frames = change(frames)
    return Reduction(made, frames)
