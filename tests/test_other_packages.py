"""What goes through the functions of other packages is what the page says, and what the page says is so."""

from __future__ import annotations

import importlib.util
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.visualization import PercentileInterval

from astro_calib import CCDFrame
from astro_calib.errors import FrameError, NoiseWarning

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def page():
    """The script that makes the tables; the packages that it calls are imported with it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        spec = importlib.util.spec_from_file_location("make_other_packages", DOCS / "make_other_packages.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def shown(call):
    """The outcome that the page shows of a call: whether it works, unit, mask, error, remark."""
    text = (DOCS / "other_packages_table.inc").read_text(encoding="utf-8")
    (words,) = re.findall(rf'^   "?``{re.escape(call)}``"?,(.*)$', text, re.MULTILINE)
    return [word.strip() for word in words.split(",")]


def test_the_page_shows_what_the_calls_give(page):
    assert (DOCS / "other_packages_table.inc").read_text(encoding="utf-8") == page.table()


def test_pictures_leave_out_masked_pixels(page):
    frame, other = page.frame_of_star(), page.frame_of_star(other_values=True)
    good = frame.data[~frame.mask]
    limits = PercentileInterval(100).get_limits(other)
    assert limits == (good.min(), good.max())
    np.testing.assert_array_equal(page.picture(frame).mask, frame.mask)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(TypeError):
            page.ImageNormalize(frame)
    norm = page.ImageNormalize(frame.pixels, vmin=0)
    assert norm.vmax == frame.data.max()
    assert shown("ImageNormalize(frame)")[0] == "no: TypeError"


@pytest.mark.parametrize("function", ["reproject_interp", "reproject_exact"])
def test_reprojection_onto_the_own_grid_gives_the_pixels_and_no_more(page, function):
    frame = page.frame_of_star()
    values, footprint = getattr(page, function)(frame, page.wcs_of_frame(), page.SHAPE)
    # What is masked counts, too.
    inside = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(values[inside], frame.data[inside], rtol=1e-5)
    assert type(values) is np.ndarray
    np.testing.assert_allclose(footprint[inside], 1)
    assert shown(f"{function}(frame, ...)") == ["yes", "dropped", "counted", "none", ""]


def test_dask_takes_the_pixels_and_a_frame_takes_no_lazy_array(page):
    frame = page.frame_of_star()
    assert page.da.from_array(frame.pixels, chunks=9).mean().compute() == pytest.approx(np.mean(frame.pixels))
    lazy = page.da.from_array(frame.pixels, chunks=9)
    with pytest.raises(FrameError, match=r"dask array .*\.compute\(\)"):
        CCDFrame(lazy, unit="electron")
    np.testing.assert_array_equal(CCDFrame(lazy.compute(), unit="electron").data, frame.data)
    # Where the mask gets lost nothing says so.
    whole = page.da.from_array(frame, chunks=16).compute()
    assert not np.any(np.ma.getmaskarray(whole))
    assert shown("from_array(frame)")[2] == "counted"


def test_specreduce_takes_the_noise_of_each_pixel_for_its_own(page):
    frame = page.frame_of_star()
    trace = page.FlatTrace(frame, 16.0)
    with pytest.warns(NoiseWarning, match=r"star\.fits: specreduce adds up the errors of pixels as if"):
        found = page.BoxcarExtract(frame, trace, width=3).spectrum
    # Three rows of variance 29, far from the star; the level, of variance 4, is in each of them.
    assert found.uncertainty.array[5] == pytest.approx(3 * 29)
    ours = page.boxcar_spectrum(frame, page.BoxcarExtract(frame, trace, width=3))
    assert ours.uncertainty.array[5] ** 2 == pytest.approx(3 * 25 + 9 * 4)
    assert shown("BoxcarExtract(frame, ...)")[3] == "as if independent"
    assert shown("ac.photometry.boxcar_spectrum(frame, ...)")[3] == "with shared noise"


def test_a_fit_by_photutils_has_the_errors_of_the_frame_however_it_gets_them(page):
    frame = page.frame_of_star()
    with pytest.warns(NoiseWarning, match=r"star\.fits: photutils adds up the errors of pixels as if"):
        by_itself = page.stars(frame)
    handed_over = page.stars(**page.as_photutils(frame))
    np.testing.assert_allclose(by_itself.error, handed_over.error)
    # Of white noise sigma, the error of a fit with the right model P is sigma / sqrt(sum P^2).
    y, x = np.indices(page.SHAPE)
    model = page.CircularGaussianPRF(fwhm=3.3, x_0=13.0, y_0=10.0, flux=1.0)(x, y)
    model[frame.mask | (np.abs(y - 10) > 3) | (np.abs(x - 13) > 3)] = 0
    assert by_itself.error[0].value == pytest.approx(np.sqrt(29 / np.sum(model**2)), rel=0.05)
