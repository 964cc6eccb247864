"""A mean of frames is their sum over their number, whichever way it is written."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from astro_calib import DataQuality, combine, covariance
from astro_calib.errors import NoiseWarning
from tests.semantics import linear_model
from tests.semantics.calculations import evaluated, numbers, operands
from tests.semantics.checks import assert_agrees, assert_same_noise, assert_within
from tests.semantics.strategies import examples, pools

#: Frames that have error bars from the start: of others `combine` takes the scatter.
KNOWN = ("own", "flat", "plain", "number")
NUMBER = st.integers(1, 4)


def to_combine(data, *, marked=False):
    """A pool, frames that were calculated from it, and the models of these."""
    pool = data.draw(pools(kinds=KNOWN, marked=marked))
    chosen = data.draw(operands(pool, data.draw(NUMBER)))
    models = [one.model for one in chosen]
    assume(all(np.any(model.variance()[0] > model.variance()[1]) for model in models))
    frames = [frame.copy() for frame in evaluated(chosen)]
    return pool, frames, models


def combined(frames, **options):
    """The stack, without the remark that the same exposure is in it twice."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*the same exposure", NoiseWarning)
        return combine(frames, **options)


def mean(models, weights=None):
    """The weighted mean of models, or of frames."""
    weights = [1] * len(models) if weights is None else weights
    terms = [model * (weight / sum(weights)) for model, weight in zip(models, weights, strict=True)]
    return sum(terms[1:], start=terms[0])


def assert_goes_along(stack, model, frames, models):
    """A stack shares with the frames that went into it what its model shares with theirs."""
    for frame, other in zip(frames, models, strict=True):
        exact, error = linear_model.covariance(model, other)
        assert_within(covariance(stack, frame), exact, error, "covariance with a frame that went in")


@examples(60)
@given(st.data())
def test_a_mean_is_the_sum_over_the_number(data):
    pool, frames, models = to_combine(data)
    stack, model = combined(frames), mean(models)
    assert_agrees(stack, model, pool.rng)
    assert_goes_along(stack, model, frames, models)
    assert_same_noise(stack, mean(frames), model, model)


@pytest.mark.long
@examples(40)
@given(st.data(), st.lists(st.floats(0.1, 5), min_size=4, max_size=4))
def test_weights_factors_and_the_order_are_as_in_arithmetic(data, factors):
    pool, frames, models = to_combine(data)
    weights = factors[: len(frames)]
    weighted = combined(frames, weights=weights)
    assert_agrees(weighted, mean(models, weights), pool.rng)
    assert_goes_along(weighted, mean(models, weights), frames, models)
    backwards = combined(frames[::-1], weights=weights[::-1])
    assert_same_noise(backwards, weighted, mean(models, weights), mean(models, weights), "order")
    total, scaled = combined(frames, method="sum"), combined(frames, scale=weights)
    assert_same_noise(total, len(frames) * combined(frames), mean(models) * len(frames), mean(models) * len(frames))
    in_proportion = [factor * model for factor, model in zip(weights, models, strict=True)]
    assert_agrees(scaled, mean(in_proportion), pool.rng)
    assert_goes_along(scaled, mean(in_proportion), frames, models)
    again = combined([factor * frame for factor, frame in zip(weights, frames, strict=True)])
    assert_same_noise(again, scaled, mean(in_proportion), mean(in_proportion), "frames scaled before")


@examples(40)
@given(st.data(), numbers)
def test_a_stack_of_scaled_frames_is_the_scaled_stack(data, factor):
    pool, frames, models = to_combine(data)
    model = factor * mean(models)
    assert_agrees(combined([factor * frame for frame in frames]), model, pool.rng)
    assert_agrees(factor * combined(frames), model, pool.rng)


@pytest.mark.long
@examples(40)
@given(st.data())
def test_values_that_are_left_out_have_no_weight(data):
    pool, frames, models = to_combine(data, marked=True)
    stack = combined(frames)
    model = linear_model.mean_of_used(models, np.uint16(DataQuality.UNUSABLE))
    assert_agrees(stack, model, pool.rng)
    assert_goes_along(stack, model, frames, models)
