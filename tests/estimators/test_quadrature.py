from __future__ import annotations

import math

import pytest
from scipy import stats

from astro_calib.estimators.quadrature import middle_values, panels


def test_panels_integrate_polynomials_exactly():
    x, weights = panels([-1.0, 0.5, 2.0], 3)
    assert len(x) == 6
    assert weights @ x**5 == pytest.approx((2**6 - 1) / 6, rel=1e-13)


@pytest.mark.parametrize(
    ("number", "half_distance"),
    [
        (2, 1 / math.sqrt(math.pi)),
        # Expectations of the upper middle value (Harter 1961, Biometrika 48, 151).
        (4, 0.29701), (6, 0.20155), (10, 0.12267), (20, 0.06200),
    ],
)  # fmt: skip
def test_middle_two_are_at_their_published_distance(number, half_distance):
    m, t, weights = middle_values(number)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert weights @ m == pytest.approx(0, abs=1e-12)
    assert weights @ t == pytest.approx(half_distance, abs=6e-6)


@pytest.mark.parametrize("jumps", [(0.3,), (0.3, 1.2), (1.2, 0.3), (0.3, 0.3)])
def test_integrands_may_jump(jumps):
    # Half the distance of two values is half normal.
    _, t, weights = middle_values(2, jumps)
    for jump in jumps:
        expected = stats.halfnorm(scale=math.sqrt(0.5)).sf(jump)
        assert weights[t > jump].sum() == pytest.approx(expected, abs=1e-10)


def test_middle_of_an_odd_number_is_one_value():
    _, t, _ = middle_values(5, jumps=(0.3,))
    assert (t == 0).all()
