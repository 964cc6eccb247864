"""The picture of signal-to-noise ratios has a point for each star, at its ratios."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import QTable, Table
from matplotlib.figure import Figure

from astro_calib import compare_snr, measure_snr, plot_snr


def drawn(axes):
    return {line.get_label(): np.transpose(line.get_data()) for line in axes.lines}


def test_each_star_is_at_its_ratios_before_and_after(patterned):
    table = compare_snr(patterned.before, patterned.after)
    axes = Figure().subplots()
    assert plot_snr(table, axes) is axes
    before, after = (np.asarray(table[name]) for name in ("snr_empirical_before", "snr_empirical"))
    good = (before > 0) & (after > 0)
    lines = drawn(axes)
    np.testing.assert_allclose(lines[f"{good.sum()} stars"], np.transpose([before, after])[good])
    np.testing.assert_array_equal(lines["no change"][:, 0], lines["no change"][:, 1])
    told = float(axes.get_title().rpartition(" ")[2])
    assert told == pytest.approx(np.median(after[good] / before[good]), rel=0.01)


def test_without_a_frame_before_the_ratios_stand_against_the_flux(patterned):
    table = measure_snr(patterned.after)
    axes = plot_snr(table, Figure().subplots())
    assert (axes.get_xlabel(), axes.get_xscale(), axes.get_yscale()) == ("flux (electron)", "log", "log")
    for name, label in (("snr", "flux / its predicted error"), ("snr_empirical", "flux / scatter of empty apertures")):
        flux, ratio = table["flux"].value, np.asarray(table[name])
        good = (flux > 0) & (ratio > 0)
        np.testing.assert_allclose(drawn(axes)[label], np.transpose([flux, ratio])[good])


@pytest.mark.parametrize(
    "table",
    [
        Table({"flux": [], "snr": [], "snr_empirical": []}),
        Table({"flux": [np.nan, -1], "snr": [np.nan, -1.0], "snr_empirical": [np.inf, np.nan]}),
        QTable({"snr_empirical_before": [np.nan, 1.0], "snr_empirical": [1.0, -1.0]}),
    ],
    ids=range(3),
)
def test_a_table_without_a_star_is_no_error(table):
    assert plot_snr(table, Figure().subplots()).get_title() == "no star could be measured"


def test_what_is_no_table_of_stars_is_told_what_to_give(patterned):
    with pytest.raises(TypeError, match=r"a table of measure_snr or compare_snr, not a CCDFrame"):
        plot_snr(patterned.after)
    with pytest.raises(ValueError, match=r"lacks flux, snr, snr_empirical; .*measure_snr\(frame\).* has x, y\."):
        plot_snr(Table({"x": [1], "y": [2]}))
