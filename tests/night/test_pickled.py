"""What a worker of another process needs can be sent there."""

from __future__ import annotations

import pickle

from astro_calib import simulate
from astro_calib.night import plan_night
from astro_calib.night.common.remarks import FileRemark


def test_a_night_and_its_profile_come_back_from_pickle_as_they_were(tmp_path):
    camera = simulate.camera((64, 96), seed=1, filters=["V"])
    simulate.night(tmp_path, seed=1, camera=camera, science=1)
    night = plan_night(tmp_path)
    again = pickle.loads(pickle.dumps(night))  # noqa: S301  made here
    assert [frame.path for frame in again.frames] == [frame.path for frame in night.frames]
    assert again.setups[0].profile == night.setups[0].profile
    assert type(again.setups[0].profile.keywords) is type(night.setups[0].profile.keywords)
    assert str(again) == str(night)


def test_a_remark_on_a_file_comes_back_from_pickle_with_its_name():
    again = pickle.loads(pickle.dumps(FileRemark("d1.fits", "no star found")))  # noqa: S301  made here
    assert (again.name, again.text, str(again)) == ("d1.fits", "no star found", "d1.fits: no star found")
