"""Random frames that share noise in random ways, each with the `LinearModel` that it should agree with."""

from __future__ import annotations

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty, VarianceUncertainty
from hypothesis import settings
from hypothesis import strategies as st

from astro_calib import CCDFrame, DataQuality, Detector, NoiseSource, UncertaintyBudget, combine, create_deviation
from astro_calib.noise.arrays import SELF_DATA
from astro_calib.noise.coefficient import Coefficient
from tests.semantics.linear_model import LinearModel, Noise

#: Cells along each axis of a source of which frames hold regions.
FIELD = 12
UNITS = (u.adu, u.electron, u.dimensionless_unscaled)


def examples(number):
    """So many examples, the same on every run."""
    return settings(max_examples=number, derandomize=True, deadline=None)


class Pool:
    """Frames and other operands of one shape, by name, and the models of the same names."""

    def __init__(self, shape, unit, dtype, rng, *, marked=True):
        self.shape, self.unit, self.dtype, self.rng, self.marked = shape, unit, dtype, rng, marked
        self.frames = {}
        self.models = {}

    def __repr__(self):
        return f"Pool({self.shape}, {str(self.unit)!r}, {self.dtype.__name__}: {', '.join(self.frames)})"

    @property
    def floating(self):
        """The type of the values that are not digitised."""
        return np.float32 if self.dtype is np.uint16 else self.dtype

    def add(self, name, frame, jacobian, **more):
        """Take in a frame (or a CCDData) and its derivatives with respect to draws."""
        dtype = np.float64 if frame.data.dtype == np.float64 else np.float32
        marks = [None if array is None else array.copy() for array in (frame.mask, frame.flags)]
        self.frames[name] = frame
        self.models[name] = LinearModel(np.array(frame.data, dtype=float), frame.unit, dtype, jacobian, *marks, **more)

    def add_with_own_noise(self, name, frame, variance):
        """Take in a frame whose pixels have independent noise."""
        pixels = np.arange(frame.data.size).reshape(frame.shape)
        self.add(name, frame, {Noise(variance): one_hot(pixels, pixels.size)})

    def values(self, level, dtype=None):
        """Data that differ from pixel to pixel."""
        return (level * self.rng.uniform(0.7, 1.3, self.shape)).astype(dtype or self.dtype)

    def sigmas(self, level):
        """Standard deviations that differ from pixel to pixel."""
        return (level * self.rng.uniform(0.3, 1.5, self.shape)).astype(self.floating)

    def marks(self, draw):
        """Mask and flags, or none."""
        if not self.marked:
            return {}
        bits = [0, 0, 0, DataQuality.BAD, DataQuality.SATURATED | DataQuality.REJECTED]
        marks = {
            "mask": self.rng.random(self.shape) < 0.2,
            "flags": self.rng.choice(bits, self.shape).astype(np.uint16),
        }
        return {key: marks[key] for key in draw(st.sets(st.sampled_from(sorted(marks))))}


def one_hot(cells, number):
    """The derivative of pixels with respect to draws, from the draw that is under each pixel; shape (ny, nx, draws)."""
    return (np.asarray(cells)[..., None] == np.arange(number)).astype(float)


# -- frames on their own ------------------------------------------------------------------------------------------


def add_own(pool, name, draw):
    """A frame with an uncertainty of its own, of any kind; sometimes nothing is known of a pixel's, or it has none."""
    sigma = pool.sigmas(5.0)
    kinds = {
        "bare array": lambda: sigma,
        "standard deviation": lambda: StdDevUncertainty(sigma),
        "variance": lambda: VarianceUncertainty(sigma**2),
        "inverse variance": lambda: InverseVariance(1 / sigma**2),
    }
    kind = draw(st.sampled_from(sorted(kinds)))
    if kind != "inverse variance" and draw(st.integers(0, 5)) == 0:
        sigma[0] = 0
    data = pool.values(draw(st.sampled_from([30.0, 100.0, 1000.0])))
    frame = CCDFrame(data, unit=pool.unit, uncertainty=kinds[kind](), **pool.marks(draw))
    pool.add_with_own_noise(name, frame, sigma.astype(float) ** 2)


def add_flat(pool, name, draw):
    """A frame without unit, of values near one."""
    sigma = pool.sigmas(0.02)
    frame = CCDFrame(pool.values(1.0, pool.floating), unit="", uncertainty=sigma, **pool.marks(draw))
    pool.add_with_own_noise(name, frame, sigma.astype(float) ** 2)


def add_exact(pool, name, draw):
    """A frame without uncertainty."""
    pool.add(name, CCDFrame(pool.values(50.0), unit=pool.unit, **pool.marks(draw)), {})


def add_plain(pool, name, draw):
    """A plain CCDData, which is the same noise each time that it is used."""
    sigma = pool.sigmas(5.0)
    mask = pool.marks(draw).get("mask")
    plain = CCDData(pool.values(80.0), unit=pool.unit, uncertainty=StdDevUncertainty(sigma), mask=mask)
    pool.add_with_own_noise(name, plain, sigma.astype(float) ** 2)


def add_number(pool, name, _draw):
    """A number with an uncertainty: one draw for all pixels."""
    number, sigma = pool.rng.uniform(2, 4), pool.rng.uniform(0.05, 0.2)
    plain = CCDData(number, unit="", uncertainty=StdDevUncertainty(np.array(sigma)))
    pool.add(name, plain, {Noise(sigma**2): np.ones(1)})


def add_raw(pool, name, draw):
    """Whole numbers, read twice, with the noise that they are born with: max(R^2 + q^2/12 + s, R^2/4) in electrons."""
    gain, read_noise, pedestal = pool.rng.uniform(0.5, 3), pool.rng.uniform(3, 9), 100
    pixels = pool.rng.integers(90, 400, pool.shape).astype(np.uint16)
    detector = Detector(gain=gain * u.electron / u.adu, read_noise=read_noise * u.electron)
    fixed = read_noise**2 + gain**2 / 12
    signal = gain * (pixels.astype(float) - pedestal)
    noise = Noise(np.maximum(fixed + signal, read_noise**2 / 4) / gain**2)
    pixel = one_hot(np.arange(pixels.size).reshape(pool.shape), pixels.size)
    marks = pool.marks(draw)
    for again in ("", " again"):
        raw = CCDFrame(pixels.copy(), unit="adu", **marks)
        if pixels.size > 1 or not again:
            # A single pixel cannot be recognised.
            pool.add(name + again, create_deviation(raw, detector, pedestal=pedestal), {noise: pixel})


# -- frames that share noise --------------------------------------------------------------------------------------


class SharedSource:
    """A source of which frames hold regions: noise of pixels, of rows, of columns or of whole frames."""

    def __init__(self, rng, axes):
        self.axes = axes
        self.variance = np.asarray(rng.uniform(0.5, 9, (FIELD,) * len(axes)))
        self.noise = Noise(self.variance)
        self.identity = f"shared:{rng.integers(2**62)}"

    def region(self, shape, draw):
        """The source as a frame sees it, and the derivative of the frame's pixels with respect to its draws."""
        window, places = [], []
        for axis in self.axes:
            step = draw(st.sampled_from([1, 1, 2, -1]))
            reach = step * (shape[axis] - 1)
            origin = draw(st.integers(max(0, -reach), FIELD - 1 - max(0, reach)))
            window.append((origin, step))
            places.append(origin + step * np.arange(shape[axis]))
        held = np.ix_(*places) if places else ()
        spread = tuple(slice(None) if axis in self.axes else None for axis in range(len(shape)))
        variance = np.asarray(self.variance[held])[spread]
        cells = np.asarray(np.arange(self.variance.size).reshape(self.variance.shape)[held])[spread]
        source = NoiseSource("shared", variance, self.axes, identity=self.identity, window=tuple(window))
        return source, one_hot(np.broadcast_to(cells, shape), self.variance.size)


def add_regions(pool, names, draw):
    """Frames that are made of regions of the same few sources, each with a coefficient of its own."""
    kinds = draw(st.lists(st.sampled_from([(0, 1), (0,), (1,), ()]), min_size=1, max_size=3))
    sources = [SharedSource(pool.rng, axes) for axes in kinds]
    for name in names:
        data = pool.values(60.0, pool.floating)
        terms, jacobian, largest = [], {}, {}
        for shared in draw(st.lists(st.sampled_from(sources), min_size=1, max_size=4)):
            source, cells = shared.region(pool.shape, draw)
            kind = draw(st.sampled_from(["number", "array", "row", "data"]))
            if kind == "data":
                coefficient, value = Coefficient(0.02).times(SELF_DATA), 0.02 * data.astype(float)
            else:
                value = pool.rng.uniform(-2, 2, {"number": (), "array": pool.shape, "row": pool.shape[1:]}[kind])
                coefficient = value
            terms.append((source, coefficient))
            derivative = np.broadcast_to(value, pool.shape)[..., None] * cells
            jacobian[shared.noise] = jacobian.get(shared.noise, 0) + derivative
            largest[shared.noise] = largest.get(shared.noise, 0) + np.abs(derivative)
        budget = UncertaintyBudget(pool.shape, terms, pool.floating, data)
        frame = CCDFrame(data, unit=pool.unit, budget=budget, **pool.marks(draw))
        pool.add(name, frame, jacobian, largest=largest)


def add_calibrated(pool, names, draw):
    """Frames that were calibrated with the same bias, dark and flat, and these masters."""
    for name in ("bias", "dark", *names):
        add_own(pool, name, draw)
    add_flat(pool, "flat", draw)
    for table in (pool.frames, pool.models):
        for name in names:
            net_dark = table["dark"] - table["bias"]
            table[name] = (table[name] - table["bias"] - 0.5 * net_dark) / table["flat"]


def add_stacks(pool, names, draw):
    """Means of some frames, and these frames; what stacks share is exact for sigmas that go together."""
    pattern = pool.sigmas(1.0)
    inputs = [f"{names[0]} of {number}" for number in range(4)]
    for name in inputs:
        sigma = pool.rng.uniform(1, 8) * pattern
        frame = CCDFrame(pool.values(100.0), unit=pool.unit, uncertainty=sigma)
        pool.add_with_own_noise(name, frame, sigma.astype(float) ** 2)
    for name in names:
        chosen = draw(st.lists(st.sampled_from(inputs), min_size=2, max_size=4, unique=True))
        pool.frames[name] = combine([pool.frames[one] for one in chosen])
        pool.models[name] = sum((pool.models[one] for one in chosen[1:]), start=pool.models[chosen[0]]) / len(chosen)


KINDS = {
    "own": add_own,
    "flat": add_flat,
    "exact": add_exact,
    "plain": add_plain,
    "number": add_number,
    "raw": add_raw,
}
FAMILIES = {"region": add_regions, "calibrated": add_calibrated, "stack": add_stacks}


@st.composite
def pools(draw, families=tuple(FAMILIES), kinds=tuple(KINDS), *, marked=True):
    """A few frames of one shape, some of which share noise; some with mask and flags, if these are asked for."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 5)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.float32, np.float64, np.uint16]))
    pool = Pool(shape, draw(st.sampled_from(UNITS)), dtype, rng, marked=marked)
    add_own(pool, "a", draw)
    for number, kind in enumerate(draw(st.lists(st.sampled_from(kinds), max_size=3))):
        KINDS[kind](pool, f"{kind} {number}", draw)
    for family in draw(st.lists(st.sampled_from(families), max_size=2, unique=True)):
        FAMILIES[family](pool, [f"{family} one", f"{family} two"], draw)
    return pool
