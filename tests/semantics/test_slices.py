"""Cutting before or after anything is the same."""

from __future__ import annotations

import numpy as np
from astropy.nddata import CCDData
from hypothesis import given
from hypothesis import strategies as st

from astro_calib import CCDFrame, covariance
from tests.semantics import linear_model
from tests.semantics.calculations import calculations, slices
from tests.semantics.checks import assert_agrees, assert_same_noise, assert_within, flags_of
from tests.semantics.strategies import examples, pools


def part_of(operand, item):
    """What of an operand belongs to a cut of a frame: a number has no pixels, and an array may be that of a row."""
    if not np.shape(operand):
        return operand
    if isinstance(operand, CCDData):
        return CCDFrame(operand)[item]
    part = tuple(slice(None) if n == 1 else one for n, one in zip(operand.shape[::-1], item[::-1], strict=False))
    return operand[part[::-1]]


@examples(60)
@given(st.data())
def test_cutting_before_is_cutting_after(data):
    pool = data.draw(pools())
    results = data.draw(calculations(pool, cuts=False))
    item = tuple(data.draw(slices(length)) for length in pool.shape)
    known = {}
    after = [result.result(known)[item] for result in results]
    parts = {leaf: part_of(operand, item) for leaf, operand in known.items() if not leaf.operands}
    before = [result.result(parts) for result in results]
    assert_agrees(before[-1], results[-1].model[item], pool.rng)
    for one, other, result in zip(before, after, results, strict=True):
        model = result.model[item]
        np.testing.assert_array_equal(one.mask, other.mask)
        np.testing.assert_array_equal(flags_of(one), flags_of(other))
        assert_same_noise(one, other, model, model, result)
        exact, error = linear_model.covariance(model, results[-1].model[item])
        assert_within(covariance(one, after[-1]), exact, error)
        assert_within(covariance(other, before[-1]), exact, error)
