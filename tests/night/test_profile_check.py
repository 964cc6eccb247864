"""The linearity in a profile: what it becomes, and what is refused."""

from __future__ import annotations

import re

import astropy.units as u
import pytest

from astro_calib import LinearityPolynomial, LinearityTable
from astro_calib.errors import ProfileError
from astro_calib.night import load_profile


@pytest.fixture
def load(tmp_path):
    """Load a profile with this linearity."""

    def load_linearity(text):
        path = tmp_path / "mine.toml"
        path.write_text(f"[detector]\nlinearity = {text}\n", encoding="utf-8")
        return load_profile(path).linearity

    return load_linearity


def test_without_one_the_response_is_linear():
    assert load_profile("nickel").linearity is None


def test_a_polynomial(load):
    exact = LinearityPolynomial([6e-7, -2e-12], limit=55000 * u.adu)
    assert load("{ coefficients = [6e-7, -2e-12], limit = 55000 }") == exact
    uncertain = LinearityPolynomial([6e-7], limit=55000 * u.adu, uncertainties=[3e-8])
    assert load("{ coefficients = [6e-7], uncertainties = [3e-8], limit = 55000.0 }") == uncertain


def test_a_table(load):
    exact = LinearityTable([10000, 60000] * u.adu, [10000, 62000] * u.adu)
    assert load("{ measured = [10000, 60000], corrected = [10000, 62000] }") == exact
    uncertain = LinearityTable([10000, 60000] * u.adu, [10000, 62000] * u.adu, [20, 80] * u.adu)
    found = load("{ measured = [10000, 60000], corrected = [10000, 62000], uncertainties = [20, 80] }")
    assert found == uncertain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[6e-7]", "detector.linearity is [6e-07]; it must be { coefficients = [...], limit = number } or { measured"),
        ("{ limit = 5 }", "detector.linearity is {'limit': 5}; it must be { coefficients"),
        ("{ coefficients = [6e-7] }", "it needs limit as well"),
        ("{ measured = [5] }", "it needs corrected as well"),
        ("{ coefficients = [6e-7], limits = 5 }", "unknown key 'limits' in detector.linearity; did you mean 'limit'?"),
        ("{ measured = [1], corrected = [1], limit = 5 }", "unknown key 'limit' in detector.linearity"),
        ("{ coefficients = [-6e-5], limit = 60000 }", "detector.linearity: the corrected signal does not rise"),
        ("{ coefficients = ['a'], limit = 60000 }", "detector.linearity.coefficients is ['a']; it must hold numbers"),
        ("{ coefficients = [6e-7], limit = '60000' }", "detector.linearity.limit is '60000'; it must hold numbers"),
        ("{ coefficients = 6e-7, limit = 60000 }", "detector.linearity: coefficients are 6e-07; expected"),
        ("{ measured = [1], corrected = [true] }", "detector.linearity.corrected is [True]; it must hold numbers"),
        ("{ measured = [2, 1], corrected = [1, 2] }", "detector.linearity: measured must increase"),
        ("{ measured = [2, 1], corrected = [1, 2], uncertainties = [1] }", "detector.linearity: the columns"),
    ],
)
def test_what_is_refused(load, text, message):
    with pytest.raises(ProfileError, match=r"mine\.toml.*" + re.escape(message)):
        load(text)
