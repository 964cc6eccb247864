"""Apertures of one radius on every frame of a night."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table
from click.testing import CliRunner

from astro_calib import CCDFrame, Detector, create_deviation, reduce_night, simulate
from astro_calib.cli import main
from astro_calib.night.science import measured


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    raw = tmp_path_factory.mktemp("night") / "raw"
    camera = simulate.camera((160, 180), seed=3, filters=["V"])
    simulate.night(raw, seed=3, camera=camera, biases=3, darks=3, flats=3, science=2, stars=30)
    return raw


def with_wings(fwhm):
    """Stars of which a part of the light is in wings, as through air, at 40 000 electrons each."""
    y, x = np.mgrid[40:360:80, 40:360:80]
    stars = Table({"x": x.ravel() + 0.3, "y": y.ravel() - 0.2, "flux": np.full(x.size, 20000.0)})
    light = simulate.stars((400, 400), stars, fwhm) + simulate.stars((400, 400), stars, 2 * fwhm)
    camera = Detector(gain=1 * u.electron / u.adu, read_noise=5 * u.electron)
    return create_deviation(
        CCDFrame(np.random.default_rng(4).poisson(light + 100).astype(float), unit="electron"), camera
    )


@pytest.mark.long
def test_a_fixed_radius_holds_the_same_light_in_any_seeing():
    frames = [with_wings(fwhm) for fwhm in (2.5, 3.0, 3.5)]
    tables = [measured(frame, frame, 12.0).stars for frame in frames]
    for table in tables:
        np.testing.assert_allclose(table["flux"].value, 40000, rtol=0.02)
        np.testing.assert_array_equal(table["aperture_radius"], 12 * u.pix)
        assert (table.meta["radius"], table.meta["annulus"]) == (12.0, tables[0].meta["annulus"])
    assert len({table.meta["fwhm"] for table in tables}) == 3
    following = [measured(frame, frame).stars for frame in frames]
    assert len({table.meta["radius"] for table in following}) == 3
    assert all(np.median(table["flux"].value) < 0.95 * 40000 for table in following)


@pytest.mark.long
def test_reduce_takes_the_radius_and_says_it(night, tmp_path):
    result = CliRunner().invoke(main, ["reduce", str(night), "-o", str(tmp_path / "out"), "--aperture", "6.5", "-q"])
    assert result.exit_code == 0, result.output
    paths = sorted((tmp_path / "out" / "tables").iterdir())
    assert len(paths) == 2
    for path in paths:
        table = QTable.read(path)
        np.testing.assert_array_equal(table["aperture_radius"].to_value(u.pix), 6.5)
        assert table.meta["radius"] == 6.5
        assert {"n_edge", "n_blended", "n_too_sharp", "n_too_elongated", "n_too_flat"} < set(table.meta)
    text = (tmp_path / "out" / "summary.txt").read_text(encoding="utf-8")
    assert "apertures: a radius of 6.5 pixels on every frame" in text


def test_without_a_radius_the_summary_says_that_it_follows_the_frames(night, tmp_path):
    summary = reduce_night(night, tmp_path / "out", pictures=False, progress=False)
    text = str(summary)
    assert summary.aperture is None
    assert "apertures: one width of each frame's stars in radius" in text
    for frame in summary.frames:
        table = QTable.read(frame.table)
        assert frame.aperture == table.meta["radius"]
        assert dict(frame.left_out) == {
            name[2:].replace("_", " "): number
            for name, number in table.meta.items()
            if number and name.startswith("n_") and name not in {"n_found", "n_partial", "n_empty"}
        }
        for reason, number in frame.left_out.items():
            assert f"{number} {reason}" in text


@pytest.mark.parametrize("aperture", [0, -3, float("nan"), float("inf")])
def test_a_radius_that_is_none_is_refused_before_anything_is_read(tmp_path, aperture):
    with pytest.raises(ValueError, match=r"aperture is .*; it must be a positive number of pixels"):
        reduce_night(tmp_path / "none", tmp_path / "out", aperture=aperture)
    result = CliRunner().invoke(
        main, ["reduce", str(tmp_path), "-o", str(tmp_path / "out"), "--aperture", str(aperture)]
    )
    assert result.exit_code != 0
    assert "aperture" in result.output
    assert not (tmp_path / "out").exists()
