"""An estimator of one's own in `combine`: the Hodges-Lehmann estimator, the median of the means of all pairs."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from astro_calib import CCDFrame, combine, covariance
from astro_calib.estimators import Estimator, median_variance_factor, trimmed_mean_variance_factor
from tests.noise_checks import assert_scatters_as_predicted, make_frame

LARGE = (300, 300)


# docs/developers/estimators.rst shows this class.
class HodgesLehmann(Estimator):
    """The median of the means of all pairs of values, each with itself included."""

    def value(self, values):
        first, second = np.triu_indices(len(values))
        # NaN comes last.
        means = np.sort((values[first] + values[second]) / 2, axis=0)
        last = np.count_nonzero(np.isfinite(means), axis=0) - 1
        low = np.take_along_axis(means, last[np.newaxis] // 2, axis=0)
        high = np.take_along_axis(means, (last[np.newaxis] + 1) // 2, axis=0)
        return (low[0] + high[0]) / 2


@dataclass(frozen=True)
class Trimmed(Estimator):
    """The mean without the lowest and the highest values, if there are so many; its factor is known."""

    each: int

    def value(self, values):
        number = np.count_nonzero(np.isfinite(values), axis=0)
        out = np.minimum(self.each, (number - 1) // 2)
        place = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
        return np.mean(np.sort(values, axis=0), axis=0, where=(place >= out) & (place < number - out))

    def variance_factor(self, number):
        out = min(self.each, (number - 1) // 2)
        return number / (number - 2 * out) * trimmed_mean_variance_factor(number, out, out)


class Middle(Estimator):
    """The median, of which everything is known."""

    def value(self, values):
        return np.nanmedian(values, axis=0)


@pytest.fixture
def rng():
    return np.random.default_rng(20261128)


def frames_of(rng, sigmas, *, master=0.0, masked=0.0, weights=None):
    """Frames of these sigmas from which one master was subtracted, some of their values masked and far off."""
    bias = make_frame(rng, 0.0, master, LARGE) if master else None
    frames = []
    for position, sigma in enumerate(sigmas):
        frame = make_frame(rng, 100.0, sigma, LARGE)
        if bias is not None:
            frame = frame - bias * (1.0 if weights is None else weights[position])
        mask = rng.random(LARGE) < masked
        frames.append(CCDFrame(np.where(mask, 1e6, frame.data), unit="electron", budget=frame.budget, mask=mask))
    return frames


def test_it_takes_few_lines():
    assert len(inspect.getsource(HodgesLehmann).splitlines()) <= 25


def test_its_factor_is_that_of_theory():
    # Hodges and Lehmann 1963: pi / 3 for many Gaussian values. The estimate from two is their mean.
    assert HodgesLehmann().variance_factor(50) == pytest.approx(np.pi / 3, rel=0.01)
    assert HodgesLehmann().variance_factor(2) == pytest.approx(1, abs=1e-12)
    assert HodgesLehmann().variance_factor(1) == 1


@pytest.mark.parametrize("number", [3, 4, 11])
def test_a_simulated_factor_is_that_of_quadrature(number):
    assert Middle().variance_factor(number) == pytest.approx(median_variance_factor(number), rel=0.01)


def test_simulated_weights_are_the_probabilities_of_the_median():
    # Noise-model.md: of 1, 1, 3 each is the median with the probability 0.428, 0.428, 0.144.
    np.testing.assert_allclose(Middle().weights(np.array([2.0, 2.0, 6.0])), [0.428, 0.428, 0.144], atol=0.006)


@pytest.mark.long
@pytest.mark.parametrize("sigmas", [[5.0] * 9, [5.0] * 8 + [15.0], [4.0, 5.0, 6.0, 8.0, 5.0, 5.0, 5.0]])
@pytest.mark.parametrize("masked", [0.0, 0.1])
def test_its_error_bars_are_right(rng, sigmas, masked):
    frames = frames_of(rng, sigmas, master=3.0, masked=masked)
    stack = combine(frames, method=HodgesLehmann())
    # The master's noise does not average down.
    assert stack.variance.min() > 9
    np.testing.assert_array_equal(stack.n_used, np.sum([~frame.mask for frame in frames], axis=0))
    assert_scatters_as_predicted(stack.data - 100, stack.variance, tolerance=0.01)
    # The same without the master, whose noise would hide that of the estimator.
    alone = combine(frames_of(rng, sigmas, masked=masked), method=HodgesLehmann())
    assert_scatters_as_predicted(alone.data - 100, alone.variance, tolerance=0.01)


def test_its_error_bars_are_right_at_each_number_of_values(rng):
    stack = combine(frames_of(rng, [5.0] * 6, masked=0.4), method=HodgesLehmann())
    for number in range(1, 7):
        here = stack.n_used == number
        assert_scatters_as_predicted(stack.data[here] - 100, stack.variance[here], tolerance=0.04)


def test_shared_noise_that_frames_hold_to_different_amounts(rng):
    parts = [1.0, 1.0, 1.0, 1.0, 0.0]
    stack = combine(frames_of(rng, [5.0] * 5, master=2.0, weights=parts), method=HodgesLehmann())
    assert_scatters_as_predicted(stack.data - 100, stack.variance, tolerance=0.01)


@pytest.mark.parametrize("sigmas", [[5.0] * 5, [5.0] * 4 + [15.0]])
def test_a_stack_remembers_its_frames(rng, sigmas):
    frames = frames_of(rng, sigmas)
    stack = combine(frames, method=HodgesLehmann())
    for frame in (frames[0], frames[-1]):
        observed = np.mean((stack.data - 100) * (frame.data - 100))
        assert np.mean(covariance(stack, frame)) == pytest.approx(observed, abs=0.15)


@pytest.mark.parametrize("options", [{"clip": "sigma", "sigma": 2.5}, {"clip": "scatter"}, {"clip": "minmax"}])
def test_after_a_rejection(rng, options):
    stack = combine(frames_of(rng, [5.0] * 8, masked=0.1), method=HodgesLehmann(), **options)
    assert_scatters_as_predicted(stack.data - 100, stack.variance, tolerance=0.015)


def test_frames_without_noise_of_their_own(rng):
    raw = [CCDFrame(rng.normal(1000, 5, LARGE).astype(np.float32), unit="adu") for _ in range(6)]
    stack = combine(raw, method=HodgesLehmann())
    assert stack.dtype == np.float32
    assert_scatters_as_predicted(stack.data - 1000, stack.variance, tolerance=0.01)


def test_what_was_simulated_is_kept_for_equal_estimators(rng):
    asked = []

    class Noted(Middle):
        def value(self, values):
            asked.append(values.shape)
            return super().value(values)

    frames = frames_of(rng, [5.0] * 5)
    combine(frames, method=Noted())
    first = len(asked)
    combine(frames, method=Noted())
    assert len(asked) - first < first
    one, other = Noted(), Noted()
    assert one == other
    one.part = 0.5
    assert one != other
    assert Trimmed(1) == Trimmed(1)
    assert Trimmed(1) != Trimmed(2)


def test_whole_numbers_come_as_floating_ones(rng):
    raw = [CCDFrame(rng.integers(900, 1100, (20, 30)).astype(np.uint16), unit="adu") for _ in range(5)]
    expected = np.median([frame.data for frame in raw], axis=0)
    np.testing.assert_array_equal(combine(raw, method=Middle()).data, expected)


def test_a_factor_that_is_given_is_taken(rng):
    stack = combine(frames_of(rng, [5.0] * 10), method=Trimmed(2))
    np.testing.assert_allclose(stack.variance, 25 / 6 * trimmed_mean_variance_factor(10, 2, 2))
    assert_scatters_as_predicted(stack.data - 100, stack.variance, tolerance=0.01)


def test_where_no_value_is_fit_for_use_the_pixel_is_masked(rng):
    frames = frames_of(rng, [5.0] * 3)
    data = frames[0].data.copy()
    data[0, 0] = np.nan
    mask = np.zeros(LARGE, dtype=bool)
    mask[0, :2] = True
    frames = [CCDFrame(data, unit="electron", uncertainty=np.full(LARGE, 5.0), mask=mask) for _ in range(1)]
    frames += [CCDFrame(f, mask=mask) for f in frames_of(rng, [5.0] * 2)]
    frames[1].data[0, 0] = frames[2].data[0, 0] = np.nan
    stack = combine(frames, method=HodgesLehmann())
    np.testing.assert_array_equal(stack.mask, mask)
    np.testing.assert_array_equal(stack.n_used, np.where(mask, 0, 3))
    assert np.isfinite(stack.data[0, 1])


class OfOneRow(Estimator):
    def value(self, values):
        return values.mean()


class Careless(Estimator):
    def value(self, values):
        return values.mean(axis=0)


class Hungry(Estimator):
    def value(self, values):
        return np.where(np.isfinite(values).sum(axis=0) > 1, np.nanmean(values, axis=0), 0.0)


class Geometric(Estimator):
    def value(self, values):
        return np.exp(np.nanmean(np.log(np.abs(values)), axis=0))


@dataclass
class Changing(Middle):
    part: float = 0.5


@pytest.mark.parametrize(
    ("method", "match"),
    [
        (OfOneRow(), r"OfOneRow.value gave the shape \(\) for values of shape \(5, 8\); expected \(8,\)"),
        (Careless(), "Careless.value gave nan where one value is NaN"),
        (Hungry(), "and 0 where all but .* are; expected that they are left out"),
        (Geometric(), "all values were multiplied by 3 and raised by 100; expected"),
        (Changing(), r"write @dataclass\(frozen=True\)"),
        (HodgesLehmann, r"expected one of mean, median, sum, or an Estimator. Write HodgesLehmann\(\)"),
    ],
    ids=["shape", "nan", "one", "moves", "hash", "class"],
)
def test_what_is_no_estimator_is_refused(rng, method, match):
    with pytest.raises(ValueError, match=match):
        combine(frames_of(rng, [5.0] * 3), method=method)


def test_weights_are_those_of_a_mean(rng):
    with pytest.raises(ValueError, match="HodgesLehmann takes no weights; use method='mean'"):
        combine(frames_of(rng, [5.0] * 3), method=HodgesLehmann(), weights=[1, 2, 3])


@dataclass(frozen=True)
class Counted(Estimator):
    """The mean, which notes for which numbers of values its factor was asked for."""

    asked: ClassVar[list[int]] = []

    def value(self, values):
        return np.nanmean(values, axis=0)

    def variance_factor(self, number):
        self.asked.append(number)
        return 1.0


@pytest.mark.parametrize("with_noise", [True, False], ids=["known noise", "scatter"])
def test_its_factor_is_asked_for_the_numbers_of_values_that_occur_and_no_others(rng, with_noise):
    frames = [make_frame(rng, 100.0, 5.0, (4, 6)) for _ in range(20)]
    if not with_noise:
        frames = [CCDFrame(frame.data, unit=frame.unit) for frame in frames]
    for frame in frames[3:]:
        frame.mask = np.zeros(frame.shape, dtype=bool)
        frame.mask[1, 2] = True
    Counted.asked.clear()
    stack = combine(frames, method=Counted())
    assert set(Counted.asked) == {3, 20}
    if with_noise:
        np.testing.assert_allclose(stack.variance[:2, 2], [25 / 20, 25 / 3], rtol=1e-5)
