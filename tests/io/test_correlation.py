"""Correlated noise in files of both formats."""

from __future__ import annotations

import copy
import pickle

import asdf
import astropy.units as u
import numpy as np
import pytest

from astro_calib import CCDFrame, Correlation, NoiseSource, UncertaintyBudget, combine
from astro_calib.detector.waves import Level
from astro_calib.errors import FrameError
from astro_calib.io.budget_reader import source_of_tree
from astro_calib.io.stored_arrays import MALFORMED
from astro_calib.io.tree import WITHOUT_MAPS, budget_tree, source_tree
from tests.correlated_fields import CASES, aperture_less_annulus, draw
from tests.io.frames import forget

SHAPE = (30, 32)
WEIGHTS = aperture_less_annulus(SHAPE, 3, (14.6, 15.2))


def frames_of(correlation, number, seed=1):
    fields = 100 + draw(np.random.default_rng(seed), number, SHAPE, *CASES["all"], 5.0)
    result = []
    for field in fields.astype(np.float32):
        read, shot = NoiseSource("read noise", 25.0, correlation=correlation), NoiseSource("shot noise", field)
        budget = UncertaintyBudget(SHAPE, [(read, 1.0), (shot, 1.0)], np.float32, field)
        result.append(CCDFrame(field, unit=u.electron, budget=budget))
    return result


def made(kind):
    correlation = Correlation(*CASES["all"])
    if kind == "a level subtracted":
        level = Level((0,), np.array([0.9, 0.1, 0.1j, 0.05]), np.array([0.9, 0.1, 0.1, 0.1]))
        correlation, _ = correlation.less_level(level)
    frames = frames_of(correlation, 6)
    if kind == "a median":
        return combine(frames, method="median")
    if kind == "a clipped mean":
        return combine(frames, clip="sigma", sigma=1.5)
    if kind == "less a stack that holds it":
        return frames[0] - combine(frames, clip="sigma", sigma=1.5)
    if kind == "less a master":
        return frames[0] - combine(frames[1:])
    return frames[0][1:, ::-1] - frames[0][:-1] if kind == "a difference" else frames[0]


KINDS = [
    *("single", "a level subtracted", "a median", "a clipped mean", "less a stack that holds it", "less a master"),
    "a difference",
]


@pytest.mark.parametrize("include_masters", [False, True], ids=["alone", "with masters"])
@pytest.mark.parametrize("ending", ["fits", "asdf"])
@pytest.mark.parametrize("kind", KINDS)
def test_sums_over_a_frame_that_was_read(kind, ending, include_masters, tmp_path):
    frame = made(kind)
    weights = WEIGHTS[: frame.shape[0]]
    expected = frame.budget.variance_of_sum(weights)
    white = UncertaintyBudget(frame.shape, [(s.replace(correlation=None), c) for s, c in frame.budget.terms])
    assert abs(expected / white.variance_of_sum(weights) - 1) > 0.02
    frame.write(tmp_path / f"frame.{ending}", include_masters=include_masters)
    again = CCDFrame.read(tmp_path / f"frame.{ending}")
    assert again.budget.variance_of_sum(weights) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_array_equal(again.variance, frame.variance)
    # A frame that was read has what is to be told from others, too.
    assert (again - frame).budget.variance_of_sum(weights) == pytest.approx(0, abs=1e-6 * expected)


@pytest.mark.parametrize("ending", ["fits", "asdf"])
def test_a_master_lends_its_correlation(ending, tmp_path):
    correlation = Correlation(*CASES["all"])
    master = combine(frames_of(correlation, 4))
    master.write(tmp_path / f"bias.{ending}")
    frame = frames_of(None, 1, seed=2)[0] - master
    expected = frame.budget.variance_of_sum(WEIGHTS)
    frame.write(tmp_path / f"frame.{ending}")
    del master
    forget()
    again = CCDFrame.read(tmp_path / f"frame.{ending}")
    assert again.budget.variance_of_sum(WEIGHTS) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"])  # noqa: S301  our own bytes
def test_copies_keep_it(copied):
    frame = made("a clipped mean")
    assert copied(frame).budget.variance_of_sum(WEIGHTS) == frame.budget.variance_of_sum(WEIGHTS)


def test_a_budget_and_a_source_by_themselves(tmp_path):
    budget = made("a level subtracted").budget
    source = budget.terms[0][0]
    asdf.AsdfFile({"budget": budget, "source": source}).write_to(tmp_path / "parts.asdf")
    with asdf.open(tmp_path / "parts.asdf") as file:
        assert file["source"].correlation == source.correlation
        assert file["budget"].variance_of_sum(WEIGHTS) == budget.variance_of_sum(WEIGHTS)


def test_older_readers_refuse_what_they_would_take_for_white():
    tree = budget_tree(made("single").budget)
    assert tree["version"] == WITHOUT_MAPS == 3
    # Those look for a number or a list, or for the type of the rest.
    assert all("correlation" in term["source"]["variance"] for term in tree["terms"][:1])
    white = budget_tree(UncertaintyBudget(SHAPE, [(NoiseSource("read noise", 25.0), 1.0)]))
    assert white["version"] == 1
    assert "correlations" not in white


def changed(change):
    tree = source_tree(
        NoiseSource("read noise", 25.0, correlation=made("a level subtracted").budget.terms[0][0].correlation)
    )
    change(tree)
    return tree


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree["variance"].update(correlation=5),
        lambda tree: tree["variance"].update(correlation=-1),
        lambda tree: tree.update(axes=[0]),
        lambda tree: tree["correlations"][0].update(waves=[]),
        lambda tree: tree["correlations"][0].update(waves=[[0.1, 0.0, None]] * 10_000),
        lambda tree: tree["correlations"][0]["waves"][1].__setitem__(0, -0.5),
        lambda tree: tree["correlations"][0]["waves"][1].__setitem__(0, 5.0),
        lambda tree: tree["correlations"][0]["waves"][1].__setitem__(0, float("nan")),
        lambda tree: tree["correlations"][0]["waves"][1].__setitem__(1, float("inf")),
        lambda tree: tree["correlations"][0]["waves"][0].__setitem__(1, 0.5),
        lambda tree: tree["correlations"][0]["waves"][1].append(0.5),
        lambda tree: tree["correlations"][0]["waves"][1].__setitem__(1, 40.0),
        lambda tree: tree["correlations"][0]["waves"][1].__setitem__(2, -1e18),
        lambda tree: tree["correlations"][0]["waves"][1].__setitem__(1, "0.5"),
        lambda tree: tree["correlations"][0]["waves"][1].__setitem__(0, True),
        lambda tree: tree["correlations"][0]["waves"][1].__setitem__(0, None),
        lambda tree: tree["correlations"][0]["level"]["waves"][1].__setitem__(2, "0.5"),
        lambda tree: tree["correlations"][0]["level"].update(axes=[0, 1]),
        lambda tree: tree["correlations"][0]["level"]["waves"].pop(),
        lambda tree: tree["correlations"][0]["level"]["waves"][1].__setitem__(2, float("nan")),
    ],
    ids=[
        *("no such number", "negative number", "axes", "no waves", "too many", "negative part", "parts above one"),
        *("no number", "infinite frequency", "rows with a frequency", "too long"),
        *("above ten pi", "far above", "text", "true", "nothing", "text in a level", "axes of the level", "too short"),
        "no square",
    ],
)
def test_what_makes_no_sense_is_refused(change):
    with pytest.raises((FrameError, *MALFORMED)):
        source_of_tree(changed(change))


def test_what_is_refused_is_named():
    def change(tree):
        tree["correlations"][0]["waves"][1][1] = "0.5"

    with pytest.raises(FrameError, match=r"wave 1 of a correlation is \[0.*'0.5'.*\]; expected 3 numbers"):
        source_of_tree(changed(change))


def test_many_waves_in_a_file_are_refused_before_each_is_looked_at(tmp_path, monkeypatch):
    frame = made("single")
    tree = {"correlations": [{"waves": [[0.1, 0.0, None]] + [[1e-7, 0.5, 0.5]] * 3000}]}
    asdf.AsdfFile({"frame": frame, "beside": tree}).write_to(tmp_path / "frame.asdf")
    opened = []
    monkeypatch.setattr(asdf, "open", lambda *_, **__: opened.append(1))
    with pytest.raises(FrameError, match="a correlation has 3001 waves; expected 1 to 257"):
        CCDFrame.read(tmp_path / "frame.asdf")
    assert not opened


def test_a_level_that_was_written_without_its_mean_over_the_image():
    def change(tree):
        for row in tree["correlations"][0]["level"]["waves"]:
            row.pop()

    assert source_of_tree(changed(change)).correlation.level.axes == (0,)


def test_a_level_that_is_more_than_its_variance_allows_is_put_right():
    def change(tree):
        tree["correlations"][0]["level"]["waves"][1] = [0.5, 0.0, 0.0]

    waves = source_of_tree(changed(change)).correlation.level
    assert np.all(waves.squares >= np.abs(waves.amplitudes) ** 2)
