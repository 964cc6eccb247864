"""Two filter wheels: flats of one pair of filters are not those of another."""

from __future__ import annotations

import pytest
from astropy.io import fits

from astro_calib.night import plan_night
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
