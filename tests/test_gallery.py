"""Every page of the gallery runs, and the noise that it predicts is the noise that it observes."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
PAGES = sorted(EXAMPLES.glob("plot_*.py"))
COLUMNS = {"quantity", "predicted", "observed", "ratio", "standard error"}


@pytest.fixture
def pyplot(monkeypatch):
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "show", lambda **_: None)
    yield plt
    plt.close("all")


def test_pages_are_numbered_from_one():
    numbers = [re.findall(r"^plot_(\d\d)_[a-z0-9_]+$", page.stem) for page in PAGES]
    assert numbers == [[f"{number:02d}"] for number in range(1, 19)]


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_runs_and_what_it_observes_is_what_it_predicts(page, pyplot, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    comparison = runpy.run_path(str(page))["comparison"]

    assert set(comparison.colnames) >= COLUMNS
    assert len(comparison) > 0
    np.testing.assert_allclose(comparison["ratio"], comparison["observed"] / comparison["predicted"], rtol=1e-6)
    for row in comparison:
        error = float(row["standard error"])
        # A ratio that is not known to a tenth would say nothing.
        assert 0 < error < 0.1, row["quantity"]
        assert abs(float(row["ratio"]) - 1) < max(0.02, 4 * error), row["quantity"]

    assert pyplot.get_fignums(), "the page shows no picture"
    assert list(tmp_path.iterdir()) == [], "the page left files behind"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_ends_with_the_comparison(page):
    text = page.read_text(encoding="utf-8")
    assert re.search(r"^# Predicted and observed\n# -+$", text, re.MULTILINE)
    assert text.rstrip().endswith("\ncomparison")


def test_from_a_folder_to_a_figure_is_twelve_cells_without_numpy():
    (page,) = EXAMPLES.glob("plot_*_folder_to_figure.py")
    text = page.read_text(encoding="utf-8")
    tree = ast.parse(text)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [name for name in imported if name.startswith(("numpy", "scipy"))]
    cells = [re.sub(r"^#.*", "", cell, flags=re.MULTILINE).strip() for cell in text.split("\n# %%\n")[1:]]
    assert 6 <= len([cell for cell in cells if cell]) <= 12
    assert re.search(r"reduce_night\(\s*raw,\s*reduced,", text)
    assert "savefig(" in text
