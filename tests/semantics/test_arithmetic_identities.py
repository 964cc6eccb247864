"""What holds for calculations with any frames."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from astro_calib import covariance
from tests.semantics import linear_model
from tests.semantics.calculations import SAFE, calculations, evaluated, numbers, operands
from tests.semantics.checks import assert_agrees, assert_same_noise, assert_within
from tests.semantics.strategies import examples, pools


@examples(100)
@given(st.data())
def test_variances_and_covariances_are_those_of_the_dense_jacobian(data):
    pool = data.draw(pools())
    results = data.draw(calculations(pool))
    frames = evaluated(results)
    for frame, result in zip(frames, results, strict=True):
        assert_agrees(frame, result.model, pool.rng)
    last, model = frames[-1], results[-1].model
    for frame, result in zip(frames, results, strict=True):
        if frame.shape == last.shape:
            exact, error = linear_model.covariance(result.model, model)
            assert_within(covariance(frame, last), exact, error)
            assert_within(covariance(last, frame), exact, error)


#: Two ways to write the same; s and t are numbers, b and c can be divided by.
IDENTITIES = {
    "s (a + b) = s a + s b": (lambda a, b, c, s, t: s * (a + b), lambda a, b, c, s, t: s * a + s * b),
    "(s + t) a = s a + t a": (lambda a, b, c, s, t: (s + t) * a, lambda a, b, c, s, t: s * a + t * a),
    "a + b = b + a": (lambda a, b, c, s, t: a + b, lambda a, b, c, s, t: b + a),
    "(a + b) + c = a + (b + c)": (lambda a, b, c, s, t: (a + b) + c, lambda a, b, c, s, t: a + (b + c)),
    "(a - b) + b = a": (lambda a, b, c, s, t: (a - b) + b, lambda a, b, c, s, t: a),
    "(a + b) - b = a": (lambda a, b, c, s, t: (a + b) - b, lambda a, b, c, s, t: a),
    "a - (b - c) = (a - b) + c": (lambda a, b, c, s, t: a - (b - c), lambda a, b, c, s, t: (a - b) + c),
    "-(a - b) = b - a": (lambda a, b, c, s, t: -(a - b), lambda a, b, c, s, t: b - a),
    "-(-a) = a": (lambda a, b, c, s, t: operator.neg(-a), lambda a, b, c, s, t: a),
    "a b = b a": (lambda a, b, c, s, t: a * b, lambda a, b, c, s, t: b * a),
    "(a b) c = a (b c)": (lambda a, b, c, s, t: (a * b) * c, lambda a, b, c, s, t: a * (b * c)),
    "a (b + c) = a b + a c": (lambda a, b, c, s, t: a * (b + c), lambda a, b, c, s, t: a * b + a * c),
    "(a + b) / c = a / c + b / c": (lambda a, b, c, s, t: (a + b) / c, lambda a, b, c, s, t: a / c + b / c),
    "(a / b) b = a": (lambda a, b, c, s, t: (a / b) * b, lambda a, b, c, s, t: a),
    "(a b) / b = a": (lambda a, b, c, s, t: (a * b) / b, lambda a, b, c, s, t: a),
    "a / b = a (1 / b)": (lambda a, b, c, s, t: a / b, lambda a, b, c, s, t: a * (1 / b)),
    "(a / b) / c = a / (b c)": (lambda a, b, c, s, t: (a / b) / c, lambda a, b, c, s, t: a / (b * c)),
    "a / (b / c) = (a c) / b": (lambda a, b, c, s, t: a / (b / c), lambda a, b, c, s, t: (a * c) / b),
    "s / (t b) = (s / t) / b": (lambda a, b, c, s, t: s / (t * b), lambda a, b, c, s, t: (s / t) / b),
}


@pytest.mark.long
@examples(60)
@given(st.data(), numbers, numbers)
def test_two_ways_to_write_the_same_are_the_same_noise(data, s, t):
    pool = data.draw(pools())
    chosen = data.draw(operands(pool, 3))
    assume(all(np.all(np.abs(one.model.value) > SAFE * one.model.size) for one in chosen[1:]))
    frames = evaluated(chosen)
    models = [one.model for one in chosen]
    for what, (left, right) in IDENTITIES.items():
        pair = left(*frames, s, t), right(*frames, s, t)
        expected = left(*models, s, t), right(*models, s, t)
        assert_same_noise(*pair, *expected, what)


@pytest.mark.long
@examples(60)
@given(st.data())
def test_a_frame_less_itself_has_no_noise_at_all(data):
    pool = data.draw(pools())
    for frame in evaluated(data.draw(calculations(pool))):
        for difference in (frame - frame, frame + -frame, -frame + frame, frame - frame.copy()):
            np.testing.assert_array_equal(difference.data, 0)
            if frame.variance is not None:
                np.testing.assert_array_equal(difference.variance, 0)
                assert difference.budget.variance_of_sum(np.ones(frame.shape)) == 0
