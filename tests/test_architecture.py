"""A module imports from its own layer and from those below, as the page on the architecture says."""

from __future__ import annotations

import ast
from pathlib import Path

import astro_calib

PACKAGE = Path(astro_calib.__file__).parent
SVG = Path(__file__).parents[1] / "docs" / "developers" / "architecture.svg"

LAYERS = [
    ["cli", "night", "characterize", "simulate"],
    ["photometry", "io", "provenance"],
    ["calibrate", "one_pass", "steps", "combine", "stacking", "rejection", "scaling", "slabs", "estimators"],
    ["frame", "arithmetic", "operands", "derive", "statistics", "detector", "linearity"],
    ["budget", "source", "merge", "factored", "shot_variance", "identity", "digital_step", "masters"],
    ["kernels"],
    ["arguments", "errors", "flags", "header_values", "home", "resources", "sections", "wcs"],
]
LAYER = {module: number for number, layer in enumerate(LAYERS) for module in layer}

#: Which floating type is taken for whole numbers; and that a frame's ``read`` is one of astropy's registry.
EXCEPTIONS = {("masters", "arithmetic"), ("kernels", "arithmetic"), ("frame", "io")}


def imports() -> set[tuple[str, str]]:
    """(importing, imported) modules or packages of the first level, by the imports at the top of each module."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        importing = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if importing == "__init__":
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "astro_calib":
                below = node.module.split(".")[1:]
                found |= {(importing, name) for name in below[:1] or [alias.name for alias in node.names]}
    return found


def test_imports_point_down():
    up = {(importing, imported) for importing, imported in imports() if LAYER[imported] < LAYER[importing]}
    assert up == EXCEPTIONS


def test_every_module_is_in_a_layer_and_in_the_diagram():
    modules = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert set(LAYER) == modules
    diagram = SVG.read_text(encoding="utf-8")
    assert {name for layer in LAYERS[:-1] for name in layer if name not in diagram} == {"slabs"}
