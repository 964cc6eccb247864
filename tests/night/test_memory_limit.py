"""Masters whose frames do not fit into memory: the same as of frames that do."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from astro_calib import CCDFrame, reduce_night, simulate
from astro_calib.io.memory import memory_taken
from astro_calib.night.tasks import crew
from astro_calib.night.tasks.crew import memory_for_each

QUICK = {"progress": False, "pictures": False, "stars": False}
GB = 10**9


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    directory = tmp_path_factory.mktemp("memory") / "raw"
    camera = simulate.camera((80, 96), seed=4, filters=["V"])
    simulate.night(directory, seed=4, camera=camera, science=1, biases=4, darks=4, flats=4)
    return directory


@pytest.fixture(scope="module")
def usual(raw, tmp_path_factory):
    return reduce_night(raw, tmp_path_factory.mktemp("usual") / "out", **QUICK)


def test_masters_are_the_same_when_no_frame_fits(raw, usual, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "astro_calib"):
        summary = reduce_night(raw, tmp_path, memory_limit=1.0, **QUICK)
    # Bias, dark and flat.
    assert caplog.text.count("temporary files") == len(summary.masters) == 3
    assert summary.remarks == usual.remarks
    for one, other in zip(summary.masters, usual.masters, strict=True):
        a, b = CCDFrame.read(one.path), CCDFrame.read(other.path)
        for what in ("pixels", "variance", "flags", "mask"):
            np.testing.assert_array_equal(getattr(a, what), getattr(b, what))
        assert [source.identity for source, _ in a.budget.terms] == [source.identity for source, _ in b.budget.terms]
        for name, part in a.budget.variances().items():
            np.testing.assert_array_equal(part, b.budget.variances()[name])
        assert (one.noise_ratio, one.rejected) == (other.noise_ratio, other.rejected)
        assert a.provenance[-1]["parameters"] == b.provenance[-1]["parameters"]


def test_another_limit_is_no_reason_to_do_anything_again(raw, usual):
    with pytest.raises(FileExistsError, match="all of them are complete, and nothing has changed since"):
        reduce_night(raw, usual.out, memory_limit=GB, **QUICK)


@pytest.mark.parametrize("limit", [0, -GB, "2GB", None])
def test_what_is_no_limit(raw, tmp_path, limit):
    with pytest.raises(ValueError, match="memory_limit is"):
        reduce_night(raw, tmp_path / "out", memory_limit=limit, **QUICK)
    assert not (tmp_path / "out").exists()


def test_workers_share_half_of_what_is_free(monkeypatch):
    monkeypatch.setattr(crew, "available_memory", lambda: 8 * GB)
    assert memory_for_each("auto", None) == "auto"
    assert memory_for_each(2 * GB, 4) == 2 * GB
    # Beside what a process takes anyway.
    assert memory_for_each("auto", 4) == pytest.approx(memory_taken() + GB, rel=0.05)
