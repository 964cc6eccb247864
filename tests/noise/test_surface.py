"""Polynomials that are kept as a few numbers, and the noise of stacks that has them as coefficients: against NumPy."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from numpy.polynomial.legendre import leggrid2d

from astro_calib import CCDFrame, NoiseSource, UncertaintyBudget, combine
from astro_calib.errors import FrameError
from astro_calib.io.surfaces import surface_of_entry
from astro_calib.noise.arrays import ArrayRef
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.surface import SurfaceArray, sum_of_squares

MATRIX = np.array([[3.0, -1.0, 0.4], [0.5, 0.2, 0.0], [-0.3, 0.0, 0.0]])
SHAPE = (20, 30)
CUTS = [np.s_[2:15, 4:28], np.s_[::3, ::2], np.s_[::-1, 5:20], np.s_[18:3:-2, :]]


def expected(matrix=MATRIX, shape=SHAPE):
    y, x = (2 * np.arange(length) / (length - 1) - 1 for length in shape)
    return leggrid2d(y, x, matrix)


def test_values_are_those_of_numpy():
    surface = SurfaceArray(MATRIX, SHAPE)
    np.testing.assert_allclose(surface.array, expected(), rtol=1e-12)
    assert surface.shape == SHAPE
    assert surface.degree == 2
    pixels = np.array([0, 77, 599])
    np.testing.assert_allclose(surface.at(pixels, SHAPE), expected().ravel()[pixels])


@pytest.mark.parametrize("item", CUTS, ids=str)
def test_a_part_is_a_surface_again(item):
    part = SurfaceArray(MATRIX, SHAPE).cut(item)
    np.testing.assert_allclose(part.array, expected()[item], rtol=1e-12)
    # In polynomials of the part itself.
    matrix = part.numbers(2).reshape(3, 3)
    np.testing.assert_allclose(expected(matrix, part.shape), expected()[item], atol=1e-12)
    again = (slice(1, 4), slice(None, None, 2))
    np.testing.assert_allclose(part.cut(again).array, expected()[item][again], rtol=1e-12)


def test_equal_surfaces_are_one_array():
    one, same = SurfaceArray(MATRIX, SHAPE), SurfaceArray(MATRIX.copy(), SHAPE)
    assert one == same == copy.deepcopy(one)
    assert one != SurfaceArray(MATRIX, (20, 31))
    assert one != ArrayRef(one.array)
    assert (Coefficient(1.0).times(one) + Coefficient(-1.0).times(same)).is_zero


def frames_with_surfaces(rng, number, cuts, numbers_a_frame=3):
    """Frames with errors that are surfaces, and these as rows of (frame, source) over the pixels of the cut frames."""
    frames, errors = [], []
    for index in range(number):
        terms = []
        row = np.zeros((numbers_a_frame, 16 * 24))
        for source in range(numbers_a_frame):
            matrix = np.triu(rng.normal(size=(3, 3)))[:, ::-1]
            variance = rng.uniform(0.5, 2)
            terms.append((NoiseSource("sky", variance, axes=()), Coefficient(1.0).times(SurfaceArray(matrix, SHAPE))))
            row[source] = np.sqrt(variance) * expected(matrix)[cuts[index]].ravel()
        data = rng.normal(100, 1, SHAPE)
        terms.append((NoiseSource("read noise", 1.0), 1.0))
        frames.append(CCDFrame(data, unit="electron", budget=UncertaintyBudget(SHAPE, terms, data=data)))
        errors.append(row)
    return [frame[cuts[index]] for index, frame in enumerate(frames)], errors


@pytest.mark.parametrize("dithered", [False, True])
def test_a_stack_has_the_covariance_of_all_its_surfaces(dithered):
    rng = np.random.default_rng(4)
    shifts = rng.integers(0, 4, (8, 2)) if dithered else np.zeros((8, 2), dtype=int)
    cuts = [np.s_[y : y + 16, x : x + 24] for y, x in shifts]
    frames, errors = frames_with_surfaces(rng, 8, cuts)
    stack = combine(frames)
    # As many sources as a surface has numbers, of 24.
    smooth = [source for source, _ in stack.budget.terms if source.name == "sky"]
    assert len(smooth) <= 9
    together = np.concatenate(errors) / 8
    np.testing.assert_allclose(stack.budget.variances()["sky"].ravel(), np.square(together).sum(axis=0), rtol=1e-6)
    for weights in (np.ones(16 * 24), rng.normal(size=16 * 24), np.arange(16 * 24) % 24 - 11.5):
        variance = np.square(together @ weights).sum() + np.square(weights).sum() / 8
        assert stack.budget.variance_of_sum(weights.reshape(16, 24)) == pytest.approx(variance, rel=1e-6)
    # It remembers what went into it.
    difference = stack - sum(frames[1:], start=frames[0]) / 8
    assert np.abs(difference.variance).max() < 1e-10
    without = stack - frames[2] / 8
    left = np.concatenate([error for index, error in enumerate(errors) if index != 2]) / 8
    variance = np.square(left.sum(axis=1)).sum() + 7 * 16 * 24 / 64
    assert without.budget.variance_of_sum(np.ones((16, 24))) == pytest.approx(variance, rel=1e-6)


def test_values_that_are_left_out_do_not_change_what_pixels_have():
    rng = np.random.default_rng(5)
    frames, errors = frames_with_surfaces(rng, 6, [np.s_[:16, :24]] * 6)
    for index, frame in enumerate(frames):
        frame.mask = np.zeros((16, 24), dtype=bool)
        frame.mask[index, :] = True
    stack = combine(frames)
    kept = np.array([~frame.mask.ravel() for frame in frames])
    weights = kept / kept.sum(axis=0)
    exact = sum(np.square(error * weight).sum(axis=0) for error, weight in zip(errors, weights, strict=True))
    np.testing.assert_allclose(stack.budget.variances()["sky"].ravel(), exact, rtol=1e-6)


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
def test_files_hold_the_numbers_alone(tmp_path, suffix):
    rng = np.random.default_rng(6)
    frames, _ = frames_with_surfaces(rng, 4, [np.s_[1:17, 2:26]] * 4)
    stack = combine(frames)
    path = tmp_path / f"stack.{suffix}"
    stack.write(path)
    read = CCDFrame.read(path)
    for weights in (np.ones((16, 24)), rng.normal(size=(16, 24))):
        assert read.budget.variance_of_sum(weights) == pytest.approx(stack.budget.variance_of_sum(weights), rel=1e-6)
    np.testing.assert_allclose((read - stack).variance, 0, atol=1e-9)
    large = frames[0].replace(frames[0].pixels, frames[0].known_budget)
    large.write(tmp_path / f"one.{suffix}")
    again = CCDFrame.read(tmp_path / f"one.{suffix}")
    assert all(not isinstance(field, np.ndarray) for source, c in again.budget.terms for field in c.arrays)
    assert again.budget.terms[0][1].arrays[0] == frames[0].budget.terms[0][1].arrays[0]


@pytest.mark.parametrize(
    "changed",
    [
        {"surface": []},
        {"surface": [[float("nan")]]},
        {"surface": [[0.0] * 100]},
        {"whole": [20]},
        {"region": [[0, 21, 1], [0, 30, 1]]},
        {"region": [[0, 0, 1], [0, 30, 1]]},
        {"dtype": "int16"},
    ],
    ids=lambda changed: "-".join(changed) + str(len(str(changed))),
)
def test_a_damaged_surface_is_refused(changed):
    entry = {"surface": MATRIX.tolist(), "whole": [20, 30], "region": [[0, 20, 1], [0, 30, 1]], "dtype": "float64"}
    assert surface_of_entry(entry) == SurfaceArray(MATRIX, SHAPE)
    with pytest.raises(FrameError, match="surface"):
        surface_of_entry(entry | changed)


@pytest.mark.parametrize("item", CUTS, ids=str)
def test_a_sum_of_squares_is_a_surface(item):
    others = [MATRIX, np.array([[0.5], [2.0]])]
    surfaces = [SurfaceArray(matrix, SHAPE).cut(item) for matrix in others]
    total = sum_of_squares(surfaces, [2.0, 0.5])
    assert total.degree == 4
    np.testing.assert_allclose(total.array, (2 * expected() ** 2 + expected(others[1]) ** 2 / 2)[item], rtol=1e-12)


def test_products_that_differ_in_a_surface_are_one():
    flat = ArrayRef(np.full(SHAPE, 2.0))
    parts = [Coefficient(number).times(SurfaceArray(MATRIX * number, SHAPE)).times(flat, -1) for number in range(1, 9)]
    total = Coefficient.of_products(monomial for part in parts for monomial in part.monomials)
    assert [type(field) for field in total.arrays] == [SurfaceArray, ArrayRef]
    np.testing.assert_allclose(total.evaluate(), 204 * expected() / 2, rtol=1e-12)
