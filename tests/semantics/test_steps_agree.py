"""The steps one at a time, `calibrate` all at once, ccdproc's functions, and calculus: the same numbers."""

from __future__ import annotations

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from astro_calib import CCDFrame, DataQuality, calibrate, combine, covariance
from astro_calib.frame.rebuild import usable
from tests.semantics import linear_model
from tests.semantics.checks import assert_agrees, assert_same_noise, assert_within
from tests.semantics.observations import LEVELS, TIMES, Notebook, Telescope, options_of, step_by_step
from tests.semantics.strategies import Pool, add_exact, add_own, add_plain, examples

UNFIT = np.uint16(DataQuality.UNUSABLE)


def masters_of(draw, telescope, book, options, how):
    """
    Some of bias, dark and flat, each a mean of two frames that were calibrated with the ones before.

    With their models, and the raw frames with the options that are theirs alone.
    """
    frames, models, raws = {}, {}, []
    for kind in ("bias", "dark", "flat"):
        if not draw(st.booleans()):
            continue
        more = {"shot_noise": 0} if kind == "bias" else {}
        here = [telescope.raw(kind) for _ in range(2)]
        of_frames = [how(raw, telescope.detector, {**options, **more, **frames}) for raw in here]
        of_models = [book.model(raw, {**options, **more}, models) for raw in here]
        frames[kind], models[kind] = combine(of_frames), linear_model.mean_of_used(of_models, UNFIT)
        raws += [(raw, more) for raw in here]
    return frames, models, raws


def at_once(raw, detector, options):
    return calibrate(raw, detector, **options)


@examples(60)
@given(st.data(), st.sampled_from([at_once, step_by_step]))
def test_calibrated_frames_are_what_calculus_makes_of_raw_ones(data, how):
    telescope = Telescope(data.draw)
    book = Notebook(telescope)
    options = options_of(data.draw, telescope)
    frames, models, raws = masters_of(data.draw, telescope, book, options, how)
    if "flat" in frames:
        options["norm_value"] = LEVELS["flat"] * float(np.mean(telescope.gain.value))
    # A raw frame may be one of those that the masters are made of.
    new = [(telescope.raw("science"), {}) for _ in range(2)]
    science = [new[0], data.draw(st.sampled_from([new[1], *raws]))]
    calibrated = [how(raw, telescope.detector, {**options, **more, **frames}) for raw, more in science]
    expected = [book.model(raw, {**options, **more}, models) for raw, more in science]
    for frame, model in zip([*frames.values(), *calibrated], [*models.values(), *expected], strict=True):
        assert_agrees(frame, model, telescope.rng)
        for other, model_of_other in zip(calibrated, expected, strict=True):
            exact, error = linear_model.covariance(model, model_of_other)
            assert_within(covariance(frame, other), exact, error, "covariance")


def any_master(draw, telescope, kind):
    """A master of any make, and the model of its noise."""
    pool = Pool(telescope.shape, u.electron, draw(st.sampled_from([np.float32, np.float64])), telescope.rng)
    add = draw(st.sampled_from([add_own, add_own, add_exact, add_plain]))
    add(pool, kind, draw)
    master = pool.frames[kind]
    master.meta["EXPTIME"] = TIMES[kind]
    return master, pool.models[kind]


def divisor_of(flat, model, norm, threshold):
    """The flat as it is divided by, with one where that is not possible."""
    usable = flat.data >= threshold
    return replace(
        model / norm,
        value=np.where(usable, model.value / norm, 1),
        size=np.where(usable, model.value / norm, 1),
        unit=u.dimensionless_unscaled,
    )


@pytest.mark.long
@examples(60)
@given(st.data())
def test_calibrate_is_its_steps_one_at_a_time(data):
    draw = data.draw
    telescope = Telescope(draw)
    rng, shape = telescope.rng, telescope.shape
    options = options_of(draw, telescope)
    options["shot_noise"] = draw(st.sampled_from(["data", "data", 0, 0, "smooth", 50.0, rng.uniform(10, 90, shape)]))
    if draw(st.booleans()):
        options["bad_pixels"] = rng.random(shape) < 0.2
    raw = telescope.raw("science")
    if draw(st.booleans()):
        raw.mask = rng.random(raw.shape) < 0.1
        # Of each row and column of the overscan something is left.
        raw.mask[:, -1] = raw.mask[-1] = False
    models = {}
    for kind in draw(st.sets(st.sampled_from(["bias", "dark", "flat"]))):
        options[kind], models[kind] = any_master(draw, telescope, kind)
    if "flat" in options:
        flat = options["flat"]
        good = usable(CCDFrame(flat))
        options |= draw(st.sampled_from([{}, {"norm_value": 200.0}, {"min_value": float(np.median(flat.data))}]))
        assume(good.any())
        norm = options.get("norm_value", float(np.mean(flat.data[good])))
        models["flat"] = divisor_of(flat, models["flat"], norm, options.get("min_value", 0.01 * norm))
    one = calibrate(raw, telescope.detector, **options)
    other = step_by_step(raw, telescope.detector, options)
    # The model is here for the sizes of rounding errors only.
    model = Notebook(telescope).model(raw, options | {"norm_value": 1 / u.electron}, models)
    assert (one.unit, one.dtype, dict(one.meta), one.name) == (other.unit, other.dtype, dict(other.meta), other.name)
    for attribute in ("mask", "flags"):
        values = [getattr(frame, attribute) for frame in (one, other)]
        np.testing.assert_array_equal(*(0 if value is None else value for value in values), err_msg=attribute)
    assert_same_noise(one, other, model, model)
    assert_within(one.variance, other.variance, model.variance()[1], "variance")
    parts, others = one.budget.variances(), other.budget.variances()
    assert parts.keys() == others.keys()
    for name, part in parts.items():
        assert_within(part, others[name], model.variance()[1], name)
