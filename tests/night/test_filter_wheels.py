"""Two filter wheels: flats of one pair of filters are not those of another."""

from __future__ import annotations

import pytest
from astropy.io import fits

from astro_calib.night import load_profile, plan_night
from tests.night.synthetic import Camera


@pytest.mark.parametrize(("first", "second"), [("FILTER", "FILTER2"), ("FILTER1", "FILTER2")])
def test_flats_of_the_other_wheel_are_others(tmp_path, first, second):
    raw = Camera(seed=41).night(tmp_path / "raw", flats=2, lights=1)
    for path in raw.iterdir():
        if "flat" in path.name or "light" in path.name:
            fits.delval(path, "FILTER")
            fits.setval(path, first, value="Clear")
            fits.setval(path, second, value="R" if "light" in path.name else "V")
    plan = plan_night(raw)
    (match,) = plan.setups[0].matches()
    assert match.flat.name == ""
    assert "no flat for filter " in match.flat.why


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"FILTER1": "V", "FILTER2": "Clear"}, "V"),
        ({"FILTER1": "V", "FILTER2": "ND1"}, "V+ND1"),
        ({"FILTER": "V", "FILTER2": "ND1"}, "V+ND1"),
        ({"FILTER": "V", "FILTER1": "V", "FILTER2": "Clear"}, "V"),
        ({"FILTER2": "R"}, "R"),
        ({"WFFBAND": "V", "FILTER2": "Clear"}, "V"),
        ({"FILTER": "Clear"}, "Clear"),
        ({"FILTER1": "open1-6", "FILTER2": "r_G0303"}, "r_G0303"),
        ({"FILTER1": "open", "FILTER2": "Clear"}, "open"),
    ],
)
def test_the_filter_is_what_the_wheels_say_that_have_one(cards, expected):
    keyword_and_value = load_profile("generic").find(fits.Header(list(cards.items())), "filter")
    assert keyword_and_value[1] == expected


@pytest.mark.parametrize("flats", ["B", "VB"])
def test_a_wheel_that_nobody_knows_is_named_where_flats_and_lights_differ_in_it(tmp_path, flats):
    raw = Camera(seed=42).night(tmp_path / "raw", flats, flats=2, lights=0)
    Camera(seed=42).write(raw / "light.fits", "LIGHT", 30, "V")
    for number, path in enumerate(sorted(raw.glob("*t*.fits"))):
        name = fits.getval(path, "FILTER")
        fits.delval(path, "FILTER")
        fits.setval(path, "WHEELA", value=name)
        # The names of the flats tell their filter, too.
        path.rename(raw / f"t{number}.fits")
    (remark,) = [one for one in plan_night(raw).remarks if "WHEELA" in one]
    assert "do not go together" in remark
    assert "WHEELA is 'b'" in remark


def test_wheels_that_agree_are_no_remark_and_the_place_on_a_wheel_is_no_filter(tmp_path):
    raw = Camera(seed=43).night(tmp_path / "raw", "VB", flats=2, lights=2)
    for path in raw.iterdir():
        fits.setval(path, "WHEELA", value="Johnson V" if "V" in path.name else "Johnson B")
        fits.setval(path, "WHEELPOS", value=3 if "flat" in path.name else 1)
    assert not [one for one in plan_night(raw).remarks if "WHEEL" in one]
