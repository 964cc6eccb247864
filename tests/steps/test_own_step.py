"""A step of somebody's own, anywhere in the sequence: fused with its neighbours, and as right as they are."""

from __future__ import annotations

import re

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData

from astro_calib import CCDFrame, Detector, LinearityPolynomial, NoiseSource, UncertaintyBudget, calibrate, covariance
from astro_calib.errors import ShapeMismatchError
from astro_calib.flags import DataQuality
from astro_calib.kernels import fused
from astro_calib.steps import LinearStep, NamedStep, apply_steps, calibration_steps, place_of
from astro_calib.steps.amplifiers import PerAmplifier

GAIN, READ_NOISE = 2.0, 5.0
CAMERA = Detector(gain=GAIN * u.electron / u.adu, read_noise=READ_NOISE * u.electron, saturation=60000 * u.adu)
SHAPE = (32, 40)
SIGMA = {"bias": 1.5, "dark": 0.5, "flat": 20.0, "fringes": 0.02}
#: Before which step, if any, the own one comes.
PLACES = {"before the bias": "bias", "before the flat": "flat", "after the flat": None}


# Beginning of the simplest in the developers' guide.
class SubtractScatteredLight(LinearStep):
    """Subtract a level in electrons that is known with an error, one for all frames."""

    name = "scattered light"

    def __init__(self, level, sigma):
        self.level, self.source = level, NoiseSource("scattered light", sigma**2, axes=())

    def apply(self, frame):
        frame.add(-self.level)
        frame.add_noise(self.source)


# End of the simplest.
# Beginning of the example in the developers' guide.
class SubtractFringes(LinearStep):
    """Subtract a pattern, as strong as a fit to every fourth row says."""

    def __init__(self, pattern):
        self.pattern = pattern

    def apply(self, frame):
        some = np.s_[::4, :]
        values, fringes = frame.values(some), self.pattern.pixels[some]
        amplitude, _ = np.polyfit(fringes.ravel(), values.ravel(), 1)
        frame.add(self.pattern, -amplitude)


# End of the example.
def subtracted_sine(frame):
    """A step of which nothing is known but what comes out."""
    return frame - np.sin(np.arange(SHAPE[1])) * np.ones(SHAPE) * u.electron


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def masters(rng):
    levels = {"bias": 300.0, "dark": 20.0, "flat": 1000.0}
    return {
        kind: CCDFrame(
            rng.normal(level, level / 50, SHAPE).astype(np.float32),
            unit="electron",
            uncertainty=np.full(SHAPE, SIGMA[kind], np.float32),
            meta={"EXPTIME": 60.0},
        )
        for kind, level in levels.items()
    }


@pytest.fixture
def pattern():
    fringes = np.sin(np.arange(SHAPE[1]) / 3 + np.arange(SHAPE[0])[:, None] / 9).astype(np.float32)
    sigmas = np.full(SHAPE, SIGMA["fringes"], np.float32)
    return CCDFrame(fringes, unit="electron", uncertainty=sigmas, name="fringes")


def raw_frame(rng, pattern, strength):
    counts = rng.poisson(500 + strength * (1 + pattern.pixels)) + rng.normal(300, READ_NOISE, SHAPE)
    return CCDFrame(np.round(counts / GAIN).astype(np.uint16), unit="adu", meta={"EXPTIME": 30.0})


def steps_with(own, before, masters):
    """Those of `calibrate`, and one's own before one of them, or after all."""
    steps = calibration_steps(CAMERA, **masters)
    steps.insert(len(steps) if before is None else place_of(steps, before), own)
    return steps


@pytest.fixture
def passed(monkeypatch):
    """How many pixels each pass went over."""
    passed, run = [], fused.run

    def counted(program, raw, **arguments):
        passed.append(raw.size)
        return run(program, raw, **arguments)

    monkeypatch.setattr(fused, "run", counted)
    return passed


def assert_same(one, other):
    np.testing.assert_allclose(one.data, other.data, rtol=1e-5, atol=1e-2)
    np.testing.assert_allclose(one.variance, other.variance, rtol=1e-5)
    np.testing.assert_allclose(covariance(one, other), other.variance, rtol=1e-4)
    assert one.budget.names == other.budget.names


@pytest.mark.parametrize("place", PLACES)
def test_it_is_fused_with_its_neighbours(rng, masters, pattern, passed, place):
    raw = raw_frame(rng, pattern, 200.0)
    steps = steps_with(SubtractFringes(pattern), PLACES[place], masters)
    calibrate(raw, CAMERA, **masters)
    passed.clear()
    together = apply_steps(raw, steps)
    whole = [size for size in passed if size == raw.size]
    # The fit looks at a quarter of the pixels, a check at a row.
    assert len(whole) == 1
    assert sum(passed) < 1.5 * raw.size
    passed.clear()
    assert_same(together, apply_steps(raw, steps, fused=False))
    assert len([size for size in passed if size == raw.size]) >= len(steps)
    frame = raw
    for step in steps:
        frame = step(frame)
    assert_same(together, frame)
    # The pattern was found and is gone, to the noise of the fit.
    without = calibrate(raw, CAMERA, **masters)
    left, had = (np.polyfit(pattern.pixels.ravel(), image.pixels.ravel(), 1)[0] for image in (together, without))
    assert had == pytest.approx(200, abs=5)
    assert left == pytest.approx(0, abs=5)


class Facts:
    """What plain NumPy says of a frame from which the pattern was taken off, given how strong it was."""

    def __init__(self, raw, masters, pattern, place, image):
        self.flat = masters["flat"].pixels / masters["flat"].pixels.mean(dtype=float)
        #: What the pattern was divided by with the frame.
        self.over = 1.0 if PLACES[place] is None else 1 / self.flat
        electrons = GAIN * raw.pixels - masters["bias"].pixels.astype(float)
        without = (electrons - 0.5 * masters["dark"].pixels) / self.flat
        bright = pattern.pixels > 0.5
        self.strength = np.median(((without - image.pixels) / self.over)[bright] / pattern.pixels[bright])
        self.data = without - self.strength * pattern.pixels * self.over
        #: What came out of the division by the flat.
        self.divided = without if PLACES[place] is None else self.data
        # Before the deviation is created the pattern is taken off what counts as collected.
        self.collected = electrons - (self.strength * pattern.pixels if place == "before the bias" else 0)

    def common(self, other):
        """The covariance with a frame under the same masters: their noise, and that of the pattern."""
        of_flat = SIGMA["flat"] / 1000 / self.flat
        return (
            (SIGMA["bias"] ** 2 + (0.5 * SIGMA["dark"]) ** 2) / self.flat**2
            + self.divided * other.divided * of_flat**2
            + self.strength * other.strength * (SIGMA["fringes"] * self.over) ** 2
        )

    @property
    def variance(self):
        own = READ_NOISE**2 + GAIN**2 / 12 + self.collected
        return own / self.flat**2 + self.common(self)


@pytest.mark.parametrize("place", PLACES)
def test_it_is_as_right_as_plain_numpy(rng, masters, pattern, place):
    raws = [raw_frame(rng, pattern, strength) for strength in (200.0, 400.0)]
    own = SubtractFringes(pattern)
    images = [apply_steps(raw, steps_with(own, PLACES[place], masters)) for raw in raws]
    facts = [Facts(raw, masters, pattern, place, image) for raw, image in zip(raws, images, strict=True)]
    for image, fact, strength in zip(images, facts, (200, 400), strict=True):
        assert fact.strength == pytest.approx(strength, abs=15)
        np.testing.assert_allclose(image.data, fact.data, atol=0.02)
        np.testing.assert_allclose(image.variance, fact.variance, rtol=2e-3)
    np.testing.assert_allclose(covariance(*images), facts[0].common(facts[1]), rtol=2e-3)
    # What the two share is gone from their difference.
    difference = (images[0] - images[1]).variance
    np.testing.assert_allclose(
        difference, facts[0].variance + facts[1].variance - 2 * facts[0].common(facts[1]), rtol=2e-3
    )


@pytest.mark.parametrize("place", PLACES)
def test_a_function_ends_a_run_and_another_begins(rng, masters, pattern, passed, place):
    raw = raw_frame(rng, pattern, 0.0)
    steps = steps_with(subtracted_sine, PLACES[place], masters)
    passed.clear()
    image = apply_steps(raw, steps)
    # Two runs, and what the function wants to know.
    assert len([size for size in passed if size == raw.size]) <= 3
    plain = calibrate(raw, CAMERA, **masters)
    over = 1.0 if PLACES[place] is None else masters["flat"].pixels.mean() / masters["flat"].pixels
    np.testing.assert_allclose(plain.data - image.data, np.sin(np.arange(SHAPE[1])) * np.ones(SHAPE) * over, atol=1e-3)
    assert_same(image, apply_steps(raw, steps, fused=False))


def test_factors_and_frames_that_are_multiplied(rng, masters, pattern):
    class Brighten(LinearStep):
        def apply(self, frame):
            frame.multiply(self.by)

        def __init__(self, by):
            self.by = by

    raw = raw_frame(rng, pattern, 0.0)
    zeros = CCDFrame(np.arange(32.0 * 40).reshape(SHAPE) % 5, unit="", uncertainty=np.full(SHAPE, 0.1))
    for by in (3.0, np.linspace(1, 2, 32)[:, None], rng.uniform(1, 2, SHAPE).astype(np.float32), zeros):
        for place in PLACES.values():
            steps = steps_with(Brighten(by), place, masters)
            together, apart = (apply_steps(raw, steps, fused=fused) for fused in (True, False))
            assert_same(together, apart)
    # The last one comes after all others.
    plain = calibrate(raw, CAMERA, **masters)
    np.testing.assert_allclose(together.data, plain.data * zeros.data, rtol=1e-5)
    expected = plain.variance * zeros.data**2 + plain.data**2 * 0.01
    np.testing.assert_allclose(together.variance, expected, rtol=1e-4)


class Applies(LinearStep):
    """Does to a frame what it is told."""

    def __init__(self, do):
        self.do = do

    def apply(self, frame):
        self.do(frame)


@pytest.mark.parametrize(
    ("do", "error", "says"),
    [
        (lambda frame: frame.add(np.ones(5)), ShapeMismatchError, "(5,)"),
        (lambda frame: frame.add(CCDFrame(np.ones((5, 8)), unit="adu", name="part")), ShapeMismatchError, "part"),
        (lambda frame: frame.add(CCDFrame(np.ones((20, 12)), unit="adu")), ShapeMismatchError, "(20, 12)"),
        (lambda frame: frame.add(np.ones((10, 8)) * u.electron), u.UnitConversionError, "in adu, what a step adds is"),
        (lambda frame: frame.add(np.ones(5) * u.adu), ShapeMismatchError, "(5,)"),
        (lambda frame: frame.multiply("2"), TypeError, "'2'"),
        (lambda frame: frame.divide(0.0), ZeroDivisionError, "raw.fits"),
        (lambda frame: frame.combine(np.true_divide, 3.0, 2.0), ValueError, "factor"),
        (lambda frame: frame.add(CCDData(np.ones((10, 8)), unit="electron")), u.UnitConversionError, "electron"),
    ],
)
def test_what_a_step_cannot_use_is_refused(do, error, says):
    with pytest.raises(error, match=re.escape(says)):
        apply_steps(CCDFrame(np.ones((10, 8)), unit="adu", name="raw.fits"), [Applies(do)])


@pytest.mark.parametrize("fused", [True, False])
def test_numbers_with_a_unit_are_added_in_that_of_the_frame_and_change_it_where_they_multiply(fused):
    steps = [
        Applies(lambda frame: frame.add(np.arange(8.0) * u.m)),
        Applies(lambda frame: frame.add(200 * u.cm, -1.0)),
        Applies(lambda frame: frame.multiply(3 * u.electron / u.m)),
        Applies(lambda frame: frame.divide(np.full((10, 8), 2.0) * u.s)),
    ]
    result = apply_steps(CCDFrame(np.ones((10, 8)), unit="m"), steps, fused=fused)
    assert result.unit == u.electron / u.s
    np.testing.assert_allclose(result.data, np.ones((10, 1)) * (np.arange(8.0) - 1) * 1.5)


@pytest.mark.parametrize("coefficient", [2, 2.0, np.full(8, 2.0), np.full((10, 8), 2.0)])
def test_noise_is_added_with_a_number_or_an_array_for_its_coefficient(coefficient):
    step = Applies(lambda frame: frame.add_noise(NoiseSource("scattered light", 3.0, axes=()), coefficient))
    frames = [apply_steps(CCDFrame(np.ones((10, 8)), unit="adu"), [step], fused=fused) for fused in (True, False)]
    for frame in frames:
        np.testing.assert_allclose(frame.variance, 12.0)
        # One draw for the whole frame.
        assert frame.budget.variance_of_sum(np.ones((10, 8))) == pytest.approx(12.0 * 80**2)


@pytest.mark.parametrize("operation", ["add", "multiply", "divide"])
def test_the_noise_of_an_operand_is_called_what_the_step_says(operation):
    sources = [(NoiseSource("read noise", 0.01), 1.0), (NoiseSource("flat", 0.04), 1.0)]
    data = np.full((10, 8), 2.0)
    operand = CCDFrame(data, unit="", budget=UncertaintyBudget(data.shape, sources))
    step = Applies(lambda frame: getattr(frame, operation)(operand, kind="fringes"))
    assert set(step(CCDFrame(np.ones((10, 8)), unit="")).budget.names) == {"fringes", "flat"}


def test_each_step_of_a_calibration_is_found_by_its_name(masters):
    curve = LinearityPolynomial([1e-7], limit=20000 * u.adu)
    camera = Detector(gain=GAIN * u.electron / u.adu, read_noise=READ_NOISE * u.electron, linearity=curve)
    options = {"overscan": "[37:40, 1:32]", "trim": "[1:36, 1:32]", "bad_pixels": np.zeros((32, 36)), "pedestal": 0}
    steps = calibration_steps(camera, **masters, **options, cosmic_rays=True)
    order = ["saturation", "overscan", "pedestal", "trim", "bad_pixels", "gain", "bias", "deviation", "linearity"]
    assert [place_of(steps, name) for name in [*order, "dark", "flat", "cosmic_rays"]] == list(range(len(steps)))
    with pytest.raises(ValueError, match=r"no step is called 'fringes'; there are saturation, .*, cosmic_rays\.$"):
        place_of(steps, "fringes")
    steps.append(NamedStep("fringes", subtracted_sine))
    assert place_of(steps, "fringes") == len(steps) - 1


def test_a_row_of_numbers_is_one_for_each_column_whatever_is_cut_afterwards():
    def do(frame):
        frame.add(np.arange(8.0))
        assert frame.values((slice(0, 1), slice(2, 4))).tolist() == [[3.0, 4.0]]
        frame.cut((slice(2, 5), slice(3, 8)))

    result = apply_steps(CCDFrame(np.ones((10, 8)), unit="adu"), [Applies(do)])
    np.testing.assert_array_equal(result.data, np.ones((3, 5)) + np.arange(3.0, 8.0))


def test_shot_noise_that_is_replaced_is_gone_fused_and_one_by_one():
    floor = PerAmplifier(((slice(0, 10, 1), slice(0, 8, 1)),), (0.0,), (10, 8))
    steps = [
        Applies(lambda frame: frame.add(100.0)),
        Applies(lambda frame: frame.add_shot_noise(NoiseSource("shot noise", 0.0, identity="own"), floor)),
        Applies(lambda frame: frame.add_noise(NoiseSource("other noise", 4.0, identity="own"))),
    ]
    frame = CCDFrame(np.ones((10, 8)), unit="electron")
    for fused_ in (True, False):
        np.testing.assert_allclose(apply_steps(frame, steps, fused=fused_).variance, 4.0)


@pytest.mark.parametrize("noisy", [True, False], ids=["uncertain divisor", "exact divisor"])
@pytest.mark.parametrize("then", ["nothing", "add", "multiply", "divide"])
def test_what_was_divided_by_zero_is_known_as_little_fused_as_one_by_one(noisy, then):
    divisor = CCDFrame(
        np.array([[1.0, 0.0], [2.0, 0.0]]), unit="", uncertainty=np.full((2, 2), 0.01) if noisy else None
    )
    other = CCDFrame(np.full((2, 2), 2.0), unit="electron", uncertainty=np.full((2, 2), 0.3))
    without_unit = CCDFrame(np.full((2, 2), 2.0), unit="", uncertainty=np.full((2, 2), 0.3))
    steps = [
        Applies(lambda frame: frame.add_noise(NoiseSource("noise", 1.0, identity="own"))),
        Applies(lambda frame: frame.divide(divisor)),
        Applies(
            lambda frame: {
                "nothing": lambda: None,
                "add": lambda: frame.add(other),
                "multiply": lambda: frame.multiply(without_unit),
                "divide": lambda: frame.divide(without_unit),
            }[then]()
        ),
    ]
    raw = CCDFrame(np.full((2, 2), 14.0), unit="electron")
    together, apart = (apply_steps(raw, steps, fused=fused) for fused in (True, False))
    np.testing.assert_array_equal(together.data, apart.data)
    np.testing.assert_allclose(together.variance, apart.variance)
    assert not np.isfinite(together.variance[:, 1]).any()
    assert np.isfinite(together.variance[:, 0]).all()
    flags = [0 if frame.flags is None else frame.flags & DataQuality.UNCERTAIN_DIVISOR for frame in (together, apart)]
    np.testing.assert_array_equal(flags[0], flags[1])
    assert not noisy or np.all(flags[0][:, 1])


def test_the_error_of_a_level_is_in_all_pixels_and_frames(rng, masters, pattern, passed):
    own = SubtractScatteredLight(12.0, 0.8)
    raws = [raw_frame(rng, pattern, 0) for _ in range(2)]
    steps = steps_with(own, "flat", masters)
    images = [apply_steps(raw, steps) for raw in raws]
    plain = [calibrate(raw, CAMERA, **masters) for raw in raws]
    flat = masters["flat"].pixels / masters["flat"].pixels.mean()

    for image, other in zip(images, plain, strict=True):
        np.testing.assert_allclose(other.data - image.data, 12 / flat, rtol=1e-4)
        np.testing.assert_allclose(image.budget.variances()["scattered light"], (0.8 / flat) ** 2, rtol=1e-5)
    # The level is one for both frames, and cancels in their difference.
    difference, without = images[0] - images[1], plain[0] - plain[1]
    np.testing.assert_allclose(difference.variance, without.variance, rtol=1e-3)
    assert_same(images[0], apply_steps(raws[0], steps, fused=False))
    # A row is tried first; the pass is one.
    assert passed[:2] == [SHAPE[1], SHAPE[0] * SHAPE[1]]
