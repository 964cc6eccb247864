"""The pieces of a frame, against their definitions."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import simulate

SHAPE = (120, 200)


def test_read_noise_is_gaussian_of_the_given_sigma() -> None:
    noise = simulate.read_noise((400, 500), 9.4 * u.electron, np.random.default_rng(1))
    standard_error = 9.4 / np.sqrt(noise.size)
    assert abs(noise.mean()) < 4 * standard_error
    assert abs(noise.std() - 9.4) < 4 * standard_error / np.sqrt(2)
    assert np.mean(np.abs(noise) < 9.4) == pytest.approx(0.6827, abs=0.005)


def test_bias_without_structure_is_its_level() -> None:
    np.testing.assert_array_equal(simulate.bias(SHAPE, 1000.0), np.full(SHAPE, 1000.0))


def test_bias_structure_has_the_stated_size() -> None:
    pattern = simulate.bias((400, 4000), 0.0, structure=2.0, rng=5)
    columns = pattern.mean(axis=0)
    # Away from the rise at the first columns, and robust against the one bright column in 200.
    quiet = columns[3200:]
    assert 1.4826 * np.median(np.abs(quiet - np.median(quiet))) == pytest.approx(2.0, rel=0.1)
    assert np.sum(quiet > 2 * 4.5) == pytest.approx(800 / 200, abs=4)
    # The rise falls by e every 500 columns; the median of 100 columns of scatter 2 is good to 0.25.
    rise = np.median(columns[:100]) - np.median(quiet)
    assert rise == pytest.approx(4 * 2.0 * np.exp(-50 / 500), abs=4 * 0.25)
    assert (pattern - columns).std() == pytest.approx(0.3 * 2.0, rel=0.01)


def test_hot_pixels_are_as_many_and_as_hot_as_asked() -> None:
    rate = simulate.dark_current(SHAPE, 0.1, hot_pixels=0.05, hot_rates=(1.0, 100.0), rng=2)
    excess = rate[rate > 0.1] - 0.1
    assert excess.size == 0.05 * SHAPE[0] * SHAPE[1]
    assert excess.min() >= 1.0 * (1 - 1e-12)
    assert excess.max() <= 100.0 * (1 + 1e-12)
    # Evenly spread in the logarithm: half of them are below the geometric mean, 10.
    assert np.mean(excess < 10) == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / excess.size))


def test_glow_falls_by_e_every_tenth_of_the_diagonal() -> None:
    rate = simulate.dark_current((301, 401), 0.5, glow=3.0)
    assert rate[-1, -1] == pytest.approx(3.5)
    # 3:4:5: along the diagonal of 500 pixels, 30 rows and 40 columns are 50 pixels.
    assert (rate[-31, -41] - 0.5) / 3.0 == pytest.approx(np.exp(-1), rel=0.01)
    assert rate[0, 0] == pytest.approx(0.5, abs=3 * np.exp(-9))


@pytest.mark.parametrize("shape", [(100, 100), (61, 201), (201, 61)])
def test_vignetting_takes_its_fraction_from_every_corner(shape: tuple[int, int]) -> None:
    flat = simulate.sensitivity_variations(shape, vignetting=0.05, dust=0, pixel_scatter=0)
    corners = flat[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners / flat.max(), 0.95, atol=1e-4)
    assert flat.min() == pytest.approx(corners[0])
    assert flat.mean() == pytest.approx(1)


def test_vignetting_is_round_on_a_frame_that_is_not_square() -> None:
    flat = simulate.sensitivity_variations((101, 301), vignetting=0.2, dust=0, pixel_scatter=0)
    assert flat[50 + 40, 150] == pytest.approx(flat[50, 150 + 40])
    assert flat[50, 0] < flat[0, 150]


def test_pixels_scatter_by_the_given_fraction() -> None:
    flat = simulate.sensitivity_variations((300, 400), vignetting=0, dust=0, pixel_scatter=0.01, rng=4)
    assert flat.std() == pytest.approx(0.01, rel=4 / np.sqrt(2 * flat.size))


def test_dust_takes_one_to_four_percent_in_rings() -> None:
    flat = simulate.sensitivity_variations((300, 400), vignetting=0, dust=1, pixel_scatter=0, rng=4)
    relative = flat / flat.max()
    assert 0.96 <= relative.min() <= 0.99
    # The ring lies between 0.4 and 1 times its outer radius, which is 0.025 to 0.06 of the 300 pixels.
    area = np.sum(relative < 1 - 0.5 * (1 - relative.min()))
    assert 0 < area <= np.pi * 18**2 * (1 - 0.4**2) * 1.1


def test_cosmic_rays_bring_the_charge_of_their_length() -> None:
    hits = simulate.make_cosmic_rays((1000, 1200), 3000, 7, charge=1500.0, length=6.0)
    # A log-normal of 0.5 has a mean of exp(0.125) medians; from hit to hit the spread is 1.25 of the mean.
    assert hits.sum() / 3000 == pytest.approx(1500 * np.exp(0.125) * 6.0, rel=0.1)
    assert (hits >= 0).all()
    assert (hits > 0).any(axis=1).mean() > 0.9
    assert (hits > 0).any(axis=0).mean() > 0.9


def test_no_cosmic_rays() -> None:
    assert not simulate.make_cosmic_rays(SHAPE, 0, 1).any()


def test_a_number_as_seed_stands_for_one_detector() -> None:
    for make in (
        lambda rng: simulate.bias(SHAPE, 0, structure=1, rng=rng),
        lambda rng: simulate.dark_current(SHAPE, 0.1, hot_pixels=0.01, rng=rng),
        lambda rng: simulate.sensitivity_variations(SHAPE, rng=rng),
        lambda rng: simulate.make_cosmic_rays(SHAPE, 5, rng),
        lambda rng: simulate.read_noise(SHAPE, 5, rng),
    ):
        np.testing.assert_array_equal(make(1), make(1))
        assert (make(1) != make(2)).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simulate.read_noise(SHAPE, -1, 1), "sigma is -1; it must be finite and at least 0 electron"),
        (lambda: simulate.read_noise((10,), 1, 1), r"shape is \(10,\); it must be \(ny, nx\)"),
        (lambda: simulate.read_noise((10, 0), 1, 1), "neither axis may be empty"),
        (lambda: simulate.bias(SHAPE, np.nan), "level is nan"),
        (
            lambda: simulate.bias(SHAPE, [1, 2]),
            r"level must be a single number, not an array of shape \(2,\)",
        ),
        (lambda: simulate.dark_current(SHAPE, 0.1, hot_pixels=1.5), "hot_pixels is 1.5; .* from 0 to 1"),
        (lambda: simulate.dark_current(SHAPE, 0.1, hot_rates=(0, 10)), "a positive least"),
        (lambda: simulate.dark_current(SHAPE, 0.1, hot_rates=(20, 10)), "a positive least"),
        (lambda: simulate.sensitivity_variations(SHAPE, vignetting=-0.1), "vignetting is -0.1"),
        (lambda: simulate.sensitivity_variations(SHAPE, dust=2.5), "dust is 2.5; it must be a whole number"),
        (lambda: simulate.make_cosmic_rays(SHAPE, -3, 1), "number is -3"),
    ],
)
def test_what_is_out_of_range_is_named(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]  # a parameter of pytest has no type


def test_a_wrong_unit_is_named() -> None:
    with pytest.raises(u.UnitConversionError, match="sigma is in adu; it must be in electron"):
        simulate.read_noise(SHAPE, 5 * u.adu, 1)
    with pytest.raises(TypeError, match="level must be made of numbers in adu, not 'high'"):
        simulate.bias(SHAPE, "high")
