"""Files that were written by earlier versions are read by this one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.nddata import CCDData

from astro_calib import CCDFrame, covariance
from tests.io.make_fixtures import weights

DATA = Path(__file__).parent / "data"
VERSIONS = sorted(path.stem.removeprefix("version-") for path in DATA.glob("version-*.json"))


@pytest.mark.parametrize("ending", ["fits", "asdf"])
@pytest.mark.parametrize("version", VERSIONS)
def test_files_of_earlier_versions_are_read(version, ending):
    directory = DATA / f"version-{version}-{ending}"
    expected = json.loads((DATA / f"version-{version}.json").read_text(encoding="utf-8"))
    one, other = (CCDFrame.read(directory / f"science{number}.{ending}", checksum=True) for number in range(2))
    np.testing.assert_array_equal(one.data, np.asarray(expected["data"], np.float32))
    np.testing.assert_array_equal(one.variance, np.asarray(expected["variance"], np.float32))
    np.testing.assert_allclose(covariance(one, other), expected["covariance"], rtol=1e-5)
    assert [repr(source.key) for source, _ in one.budget.terms] == expected["keys"]
    for name, part in one.budget.variances().items():
        np.testing.assert_allclose(part, expected["variances"][name], atol=2e-5 * one.variance.max())
    if "sums" in expected:
        sums = one.budget.variances_of_sum(weights(one.shape))
        assert sums == pytest.approx(expected["sums"], rel=1e-4)
    assert one.meta["OBJECT"] == "target 0"
    assert one.meta["FLATFILE"] == f"flat.{ending}"
    assert one.wcs.pixel_to_world_values(19, 14)[0] == pytest.approx(250.42)
    assert one.flags.min() == 2
    (step,) = one.provenance
    assert step["parameters"] == {"read_noise": 5.0}
    assert CCDFrame.read(directory / f"bias.{ending}").n_used.max() == 5


def test_there_are_files_of_the_present_version():
    from astro_calib.io.tree import VERSION

    assert str(VERSION) in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_plain_ccddata_reads_them_too(version):
    plain = CCDData.read(DATA / f"version-{version}-fits" / "science0.fits")
    expected = json.loads((DATA / f"version-{version}.json").read_text(encoding="utf-8"))
    np.testing.assert_array_equal(plain.data, np.asarray(expected["data"], np.float32))
    np.testing.assert_array_equal(plain.uncertainty.array, np.asarray(expected["variance"], np.float32))
