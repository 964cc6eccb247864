"""Headers that hold several exposure times, or one that cannot be read."""

from __future__ import annotations

import pytest
from astropy.io import fits

from astro_calib.night import load_profile, plan_night
from tests.night.synthetic import Camera


def said_of(raw):
    plan = plan_night(raw)
    return plan, [remark for remark in plan.remarks if "exposure time" in remark or "darks" in remark]


@pytest.mark.parametrize(
    ("cards", "seconds", "contradicted"),
    [
        ({"EXPTIME": 1.0, "EXPOSURE": 60.0}, 1.0, "EXPOSURE=60.0"),
        ({"EXPTIME": 0.0, "EXPOSURE": 60.0}, 0.0, "EXPOSURE=60.0"),
        ({"EXPTIME": 60.0, "EXP_TIME": 6.0}, 60.0, "EXP_TIME=6.0"),
        # Of these the second is in ms, and the first would be.
        ({"EXPTIME": 60.0, "EXPOSURE": 60000}, 60.0, ""),
        ({"EXPTIME": 60000.0, "EXPOSURE": 60}, 60000.0, "EXPOSURE=60"),
        # What was set and what was measured, a card that nobody has filled, and other meanings.
        ({"EXPTIME": 60.0, "EXPOSURE": 59.9}, 60.0, ""),
        ({"EXPTIME": 0.1, "EXPOSURE": 0.15}, 0.1, ""),
        ({"EXPTIME": 60.0, "EXPOSURE": 0.0}, 60.0, ""),
        ({"EXPTIME": 60.0, "ELAPTIME": 75.0, "XPOSURE": 20.0, "EXP": 3}, 60.0, ""),
        ({"EXPTIME": 60.0, "EXPOINUS": 60_000_000}, 60.0, ""),
        ({"EXPOINUS": 60_000_000}, 60.0, ""),
    ],
    ids=str,
)
def test_exposure_times_that_contradict_each_other(cards, seconds, contradicted):
    found = load_profile("generic").exposure_time(fits.Header(cards))
    assert (found.seconds, found.contradicted) == (seconds, contradicted)


def test_a_contradiction_is_said(tmp_path):
    camera = Camera(seed=1)
    raw = camera.night(tmp_path / "raw")
    camera.write(raw / "odd.fits", "LIGHT", 1, "V", EXPOSURE=30.0)
    _, (said,) = said_of(raw)
    assert said.startswith("odd.fits: EXPTIME=1.0 is taken to be the exposure time, although EXPOSURE=30.0; ")
    assert said.endswith("exposure_time under [keywords] in a profile says which is right")


def test_darks_without_an_exposure_time_are_missed(tmp_path):
    camera = Camera(seed=2)
    raw = camera.night(tmp_path / "raw", darks=0, lights=0)
    camera.write(raw / "light.fits", "LIGHT", 60, "V")
    for index in range(5):
        path = camera.write(raw / f"dark{index}.fits", "DARK")
        fits.delval(path, "EXPTIME")
    plan, (said,) = said_of(raw)
    assert said.startswith("none of the 5 darks can be used (no exposure time: its header has none of EXPTIME, ")
    assert said.endswith("): the dark current of up to 60 s stays in the frames")
    assert len(plan.unused) == 5


def test_a_science_frame_of_0_s_is_named_and_gets_no_dark(tmp_path):
    camera = Camera(seed=3)
    raw = camera.night(tmp_path / "raw")
    camera.write(raw / "zero.fits", "LIGHT", 30, "V", EXPTIME=0)
    plan, _ = said_of(raw)
    (said,) = [remark for remark in plan.remarks if "EXPTIME=0" in remark]
    assert said.startswith("zero.fits: EXPTIME=0: a science frame of 0 s, of which no dark current is subtracted")
    choices = {match.frame.path.name: match.dark for match in plan.setups[0].matches()}
    assert (choices["zero.fits"].name, choices["zero.fits"].mend) == ("", "")
    assert choices["zero.fits"].why == "an exposure of 0 s has no dark current"
    assert choices["lightV0.fits"].name == "dark-30s"
