"""The table of derivatives is the one place that they come from: who edits it changes all ways of calculating alike."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import CCDFrame, NoiseSource, UncertaintyBudget, covariance
from astro_calib.noise.propagation import RULES, Power
from astro_calib.steps import LinearStep, apply_steps

SHAPE = (6, 8)


def edited(power):
    """A power with each of its numbers changed."""
    yield "number", power._replace(number=-3 * power.number)
    yield "z", power._replace(z=power.z + 1)
    yield "y", power._replace(y=power.y + 1)


def edits():
    """The rule that each edit of the table makes."""
    for operation, rule in RULES.items():
        for name in ("of_x", "of_y"):
            for what, power in edited(getattr(rule, name)):
                yield pytest.param(operation, rule._replace(**{name: power}), id=f"{operation.__name__}-{name}-{what}")
        for place, one in enumerate(rule.x):
            for what, power in edited(one):
                x = (*rule.x[:place], power, *rule.x[place + 1 :])
                yield pytest.param(operation, rule._replace(x=x), id=f"{operation.__name__}-x{place}-{what}")


EDITS = list(edits())


@pytest.fixture(scope="module")
def masters():
    """A bias and a dark with noise of their own, and some that they share with the flat."""
    rng = np.random.default_rng(4)
    common = NoiseSource("common", rng.uniform(0.5, 2, SHAPE))
    result = {}
    for kind, level, own, shared in (("bias", 30.0, 2.0, 0.7), ("dark", 12.0, 1.0, -0.4), ("flat", 1.5, 0.02, 0.01)):
        data = rng.uniform(0.8, 1.2, SHAPE) * level
        budget = UncertaintyBudget(SHAPE, [(NoiseSource(kind, own**2), 1.0), (common, shared)], data=data)
        result[kind] = CCDFrame(data, unit="" if kind == "flat" else "electron", budget=budget)
    return result


class Does(LinearStep):
    """One operation."""

    def __init__(self, do):
        self.do = do

    def apply(self, frame):
        self.do(frame)


def add_read_noise(frame):
    frame.add_noise(NoiseSource("read noise", 25.0, identity=f"{frame.name}:read"))


AFTERWARDS = {
    "nothing": [],
    "a row is added": [lambda frame, _: frame.add(np.arange(8.0))],
    "multiplied by a row": [lambda frame, _: frame.multiply(np.linspace(1, 2, 8))],
    "divided by a row": [lambda frame, _: frame.divide(np.linspace(1, 2, 8))],
    "multiplied by a flat": [lambda frame, masters: frame.multiply(masters["flat"])],
}


def chain(masters, afterwards):
    """What a calibration does to the pixels, and something more."""
    return [
        Does(add_read_noise),
        Does(lambda frame: frame.multiply(3.0)),
        Does(lambda frame: frame.add(masters["bias"], -1.0)),
        Does(lambda frame: frame.add(masters["dark"], -0.5)),
        Does(lambda frame: frame.divide(masters["flat"])),
        *(Does(lambda frame, do=do: do(frame, masters)) for do in AFTERWARDS[afterwards]),
    ]


@pytest.fixture(scope="module")
def raws():
    rng = np.random.default_rng(5)
    return [CCDFrame(rng.uniform(100, 200, SHAPE), unit="electron", name=f"raw{i}") for i in range(2)]


def variances_and_covariance(raws, steps, fused):
    """Of two frames; nothing, where no budget can follow the rules."""
    try:
        frames = [apply_steps(raw, steps, fused=fused) for raw in raws]
    except NotImplementedError:
        return []
    return [*(frame.variance for frame in frames), covariance(*frames)]


@pytest.fixture(scope="module")
def unedited(raws, masters):
    """What the table gives as it is."""
    return {name: variances_and_covariance(raws, chain(masters, name), fused=True) for name in AFTERWARDS}


@pytest.mark.parametrize(("operation", "rule"), EDITS)
def test_an_edited_rule_is_followed_in_one_pass_as_it_is_step_by_step(
    raws, masters, unedited, monkeypatch, operation, rule
):
    changes = []
    for afterwards in AFTERWARDS:
        steps = chain(masters, afterwards)
        with monkeypatch.context() as patch:
            patch.setitem(RULES, operation, rule)
            together, apart = (variances_and_covariance(raws, steps, fused) for fused in (True, False))
        assert len(together) == len(apart)
        for one, other in zip(together, apart, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9)
        changes.append(together and not np.allclose(together, unedited[afterwards], rtol=1e-3))
    # Every number of the table is used.
    assert any(changes)


@pytest.mark.parametrize("number", [1.0, 2.0])
def test_a_product_with_zeros_takes_its_derivative_from_the_table(monkeypatch, number):
    rule = RULES[np.multiply]
    monkeypatch.setitem(RULES, np.multiply, rule._replace(of_y=rule.of_y._replace(number=number)))
    zeros = CCDFrame(np.array([[0.0, 2.0]]), unit="", uncertainty=np.array([[0.5, 0.5]]))
    raw = CCDFrame(np.array([[3.0, 3.0]]), unit="electron", uncertainty=np.array([[1.0, 1.0]]))
    expected = [[number**2 * 2.25, number**2 * 2.25 + 4]]
    for fused in (True, False):
        product = apply_steps(raw, [Does(lambda frame: frame.multiply(zeros))], fused=fused)
        np.testing.assert_allclose(product.variance, expected)
    np.testing.assert_allclose((raw * zeros).variance, expected)


def test_a_sum_with_a_number_keeps_its_variance_only_if_the_table_says_so(monkeypatch):
    raw = CCDFrame(np.array([[3.0, 3.0]]), unit="electron", uncertainty=np.array([[1.0, 1.0]]))
    assert raw.variance.tolist() == [[1.0, 1.0]]
    monkeypatch.setitem(RULES, np.add, RULES[np.add]._replace(of_x=Power(2)))
    assert (raw + 1 * u.electron).variance.tolist() == [[4.0, 4.0]]
