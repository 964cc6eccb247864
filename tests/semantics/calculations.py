"""Random calculations, done alike with frames and with their models."""

from __future__ import annotations

from copy import copy, deepcopy
from dataclasses import replace

import astropy.units as u
import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from astro_calib import CCDFrame, DataQuality, flat_correct, gain_correct, subtract_bias, subtract_dark
from tests.noise.test_identity import through_pickle
from tests.semantics.linear_model import LinearModel

#: Sizes of data and variances that float32 can hold.
REASONABLE = 1e-6, 1e6
#: The least divisor, in units of the terms that it is a sum of.
SAFE = 0.2
#: Flags of a flat that mean that there is none.
SPOILED = np.uint16(DataQuality.SATURATED | DataQuality.COSMIC_RAY | DataQuality.NO_DATA)

numbers = st.floats(-3, 3).filter(lambda number: abs(number) > 0.1)


class UnsuitableError(Exception):
    """A calculation would be refused, or leave nothing but rounding errors."""


class Calculation:
    """A function of the results of others, or of nothing; what a failing test shows is name and text."""

    def __init__(self, text, model, function, *operands):
        self.text, self.model, self.function, self.operands = text, model, function, operands
        self.name = None

    def __str__(self):
        return self.name or self.text

    def __repr__(self):
        return f"{self.name} = {self.text}" if self.name else self.text

    def result(self, known=None):
        """The result of the calculation; with a dictionary for what is known already."""
        known = {} if known is None else known
        if self not in known:
            known[self] = self.function(*(operand.result(known) for operand in self.operands))
        return known[self]


def chained(text, function, *operands):
    """The calculation that ``function`` makes of the results of others."""
    model = function(*(operand.model for operand in operands))
    low, high = REASONABLE
    variance, scale = model.variance()[0], model.variance()[1] / model.rounding
    for size, zero in ((model.size, model.value == 0), (scale, variance == 0)):
        if not np.all((size < high**2 if size is scale else size < high) & ((size > low) | zero)):
            raise UnsuitableError
    return Calculation(text.format(*operands), model, function, *operands)


def either(for_frames, for_models):
    """One function for frames and another for their models."""
    return lambda first, *others: (for_models if isinstance(first, LinearModel) else for_frames)(first, *others)


def same(again):
    """What makes no difference to a model."""
    return either(again, lambda model: model)


def unmarked(frame):
    """A frame that does not remember its masters: a random calculation may take two of a kind, or one twice."""
    return CCDFrame(frame, history=replace(frame.history, applied=()))


OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}
UNARY = {
    "-{}": lambda one: -one,
    "{}.convert_unit_to(milli)": lambda one: one.convert_unit_to(u.Unit(1e-3 * one.unit)),
    "{}.copy()": same(lambda frame: frame.copy()),
    "copy({})": same(copy),
    "deepcopy({})": same(deepcopy),
    "CCDFrame({})": same(CCDFrame),
    "pickled({})": same(through_pickle),
}


class Calculator:
    """Calculates with the frames of a pool, one operation after the other; without cuts if asked."""

    def __init__(self, draw, pool, *, cuts=True):
        self.draw = draw
        self.pool = pool
        self.cuts = cuts
        self.operations = [self.with_frame, self.with_exact, self.unary, self.with_frame, self.calibrated]
        if cuts:
            self.operations.insert(2, self.cut)
        self.results = [self.leaf(name) for name, model in pool.models.items() if model.shape]
        #: Operands that are only good together with a frame: CCDData, and numbers with an uncertainty.
        self.partners = [
            Calculation(name, pool.models[name], lambda frame=frame: frame)
            for name, frame in pool.frames.items()
            if not isinstance(frame, CCDFrame)
        ]

    def leaf(self, name):
        """A frame of the pool."""
        frame = self.pool.frames[name]
        return Calculation(
            name, self.pool.models[name], lambda: frame if isinstance(frame, CCDFrame) else CCDFrame(frame)
        )

    def pick(self, *more):
        """One of the results so far; the latest first, because hypothesis simplifies towards the first."""
        return self.draw(st.sampled_from([*self.results[::-1], *more]))

    def step(self):
        """Add one more result, if the operation that is drawn makes sense."""
        operation = self.draw(st.sampled_from(self.operations))
        try:
            result = operation(self.pick())
        except UnsuitableError:
            return
        result.name = result.name or f"r{len(self.results)}"
        self.results.append(result)

    def with_frame(self, left):
        """With another frame, with a CCDData, or with a number that has an uncertainty."""
        right = self.pick(*self.partners)
        sign = self.draw(st.sampled_from("+-*/"))
        if sign in "+-":
            right = self.in_unit_of(left, right)
        if right.model.shape:
            left, right = self.same_shape(left, right)
        if self.draw(st.booleans()):
            left, right = right, left
        return self.operation(sign, left, right)

    def with_exact(self, frame):
        """With a number, an array or a Quantity."""
        sign = self.draw(st.sampled_from("+-*/"))
        unit = frame.model.unit if sign in "+-" else self.draw(st.sampled_from([u.dimensionless_unscaled, u.s]))
        ny, nx = frame.model.shape
        shape = self.draw(st.sampled_from([(), (ny, nx), (nx,), (ny, 1)]))
        if shape:
            seed = self.draw(st.integers(0, 9))
            value = np.random.default_rng(seed).uniform(0.5, 2, shape).astype(self.pool.floating)
            text = f"array({shape}, seed={seed})"
        else:
            value = self.draw(numbers)
            text = f"{value}"
        if unit != u.dimensionless_unscaled:
            value, text = u.Quantity(value, unit), f"{text}[{unit}]"
        operands = [frame, Calculation(text, LinearModel.exact(value), lambda: value)]
        if self.draw(st.booleans()):
            operands.reverse()
        return self.operation(sign, *operands)

    @staticmethod
    def operation(sign, left, right):
        """One of the four operators."""
        if sign == "/" and not np.all(np.abs(right.model.value) > SAFE * right.model.size):
            raise UnsuitableError
        return chained(f"({{}} {sign} {{}})", OPERATORS[sign], left, right)

    def cut(self, frame):
        """A slice."""
        item = tuple(self.draw(slices(length)) for length in frame.model.shape)
        return chained(f"{{}}[{shown(item)}]", lambda one: one[item], frame)

    def unary(self, frame):
        """A sign, a unit or a copy."""
        text = self.draw(st.sampled_from(list(UNARY)))
        return chained(text, UNARY[text], frame)

    def calibrated(self, frame):
        """A step of the calibration."""
        step = self.draw(st.sampled_from(["gain_correct", "subtract_bias", "subtract_dark", "flat_correct"]))
        number = self.draw(st.floats(0.2, 5))
        if step == "gain_correct":
            # With its unit it makes electrons of digital units, and is refused for anything else.
            gain = number * (u.electron / u.adu if frame.model.unit == u.adu else u.dimensionless_unscaled)
            function = either(lambda one: gain_correct(one, gain), lambda model: model * gain)
            return chained(f"gain_correct({{}}, {gain})", function, frame)
        frame, master = self.same_shape(frame, self.pick())
        if step == "flat_correct":
            if not np.all(master.model.value > np.maximum(SAFE * master.model.size, 0.02 * number)):
                raise UnsuitableError
            good = ~master.model.mask & ((master.model.flags & np.uint16(DataQuality.UNUSABLE)) == 0)
            if not (good.any() if self.cuts else good.all()):
                raise UnsuitableError
            function = either(
                lambda one, flat: flat_correct(unmarked(one), flat, norm_value=number),
                lambda one, flat: like(one, one / as_flat(flat / u.Quantity(number, flat.unit))),
            )
            return chained(f"flat_correct({{}}, {{}}, norm_value={number})", function, frame, master)
        master = self.in_unit_of(frame, master)
        if step == "subtract_bias":
            function = either(
                lambda one, bias: subtract_bias(unmarked(one), bias), lambda one, bias: like(one, one - bias)
            )
            return chained("subtract_bias({}, {})", function, frame, master)
        times = {"data_exposure": number * u.s, "dark_exposure": 1 * u.s, "scale": True}
        function = either(
            lambda one, dark: subtract_dark(unmarked(one), dark, **times),
            lambda one, dark: like(one, one - number * dark),
        )
        return chained(f"subtract_dark({{}}, {{}}, {number})", function, frame, master)

    def in_unit_of(self, left, right):
        """The right operand in a unit that can be added to the left."""
        if right.model.unit.is_equivalent(left.model.unit):
            return right
        ratio = u.Quantity(1.0, left.model.unit / right.model.unit)
        function = either(lambda one: CCDFrame(one) * ratio, lambda model: model * ratio)
        return chained(f"{{}} * ({ratio})", function, right)

    def same_shape(self, left, right):
        """Cuts of both that have one shape."""
        return self.cut_to(left, right.model.shape), self.cut_to(right, left.model.shape)

    def cut_to(self, one, shape):
        """A cut that is not larger than ``shape``."""
        starts = [
            self.draw(st.integers(0, max(0, length - wanted)))
            for length, wanted in zip(one.model.shape, shape, strict=True)
        ]
        if one.model.shape == tuple(np.minimum(one.model.shape, shape)):
            return one
        item = tuple(slice(start, start + wanted) for start, wanted in zip(starts, shape, strict=True))
        function = either(lambda frame: CCDFrame(frame)[item], lambda model: model[item])
        return chained(f"{{}}[{shown(item)}]", function, one)


def like(frame, result):
    """The steps give a frame the type that it had."""
    return replace(result, dtype=frame.dtype, epsilon=max(result.epsilon, frame.epsilon))


def as_flat(flat):
    """What was saturated in the flat is not saturated in the frame: it has no flat there."""
    spoiled = (flat.flags & SPOILED) != 0
    flags = np.where(spoiled, flat.flags & ~SPOILED | np.uint16(DataQuality.NO_FLAT), flat.flags)
    return replace(flat, flags=flags, mask=flat.mask | spoiled)


def slices(length):
    """Slices of an axis that leave at least a pixel."""
    ends = st.none() | st.integers(-length, length)
    parts = st.builds(slice, ends, ends, st.sampled_from([None, 1, 2, -1, -2]))
    return parts.filter(lambda part: len(range(*part.indices(length))) > 0)


def shown(item):
    """An index as it is written."""
    return ", ".join(
        ":".join("" if number is None else str(number) for number in (part.start, part.stop, part.step))
        for part in item
    )


@st.composite
def calculations(draw, pool, most=8, **options):
    """Calculations with the frames of a pool, these first; each may have gone into the later ones."""
    calculator = Calculator(draw, pool, **options)
    for _ in range(draw(st.integers(1, most))):
        calculator.step()
    return calculator.results


def evaluated(calculations):
    """The frames that come out of calculations."""
    known = {}
    return [calculation.result(known) for calculation in calculations]


@st.composite
def operands(draw, pool, number, most=5):
    """So many results of calculations, of one shape and in one unit, which can be added."""
    calculator = Calculator(draw, pool)
    for _ in range(draw(st.integers(0, most))):
        calculator.step()
    chosen = [calculator.pick() for _ in range(number)]
    shape = tuple(np.min([one.model.shape for one in chosen], axis=0))
    try:
        return [calculator.cut_to(calculator.in_unit_of(chosen[0], one), shape) for one in chosen]
    except UnsuitableError:
        reject()
