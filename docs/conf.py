"""How Sphinx builds this documentation."""

from __future__ import annotations

import builtins
import re
import sys
import urllib.error
import urllib.request
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from astropy import log
from sphinx_astropy.conf.v2 import *

if TYPE_CHECKING:
    from sphinx.application import Sphinx

sys.path.append(str(Path(__file__).parent / "_extensions"))

project = "astro-calib"
author = "astro-calib developers"
copyright = f"2026, {author}"
release = metadata.version("astro-calib")
version = ".".join(release.split(".")[:2])

extensions += ["mathml", "sphinx_click", "sphinx_gallery.gen_gallery"]
exclude_patterns += ["examples"]  # the gallery is made from them

html_title = f"{project} {release}"
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
html_sidebars = {page: [] for page in ("index", "install", "quickstart", "cite")}
html_context = {"default_mode": "auto"}
html_math_renderer = "mathml"
smartquotes_action = "qe"  # two hyphens begin an option, they are no dash
html_theme_options = {
    "logo": {"text": project},
    "header_links_before_dropdown": 9,
    "navbar_persistent": ["search-button"],
    "collapse_navigation": True,
    "navigation_depth": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}

nitpicky = True
# The docstrings give the types, in words that can also say shape and unit.
autodoc_typehints = "none"
# An amount, a shape or a choice in a docstring's type is not a class to link to.
numpydoc_xref_param_type = False

# Pages show what their examples print, and not that a loop was compiled on the machine that built them.
log.setLevel("WARNING")

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    # Names in the code link to the reference.
    "reference_url": {"astro_calib": None},
    # Tables are shown; the text of other objects may hold their address in memory.
    "capture_repr": ("_repr_html_",),
    "image_srcset": ["2x"],
    "min_reported_time": float("inf"),
    "write_computation_times": False,
    "remove_config_comments": True,
    "show_signature": False,
    "download_all_examples": False,
}


def answers(base: str) -> bool:
    """Whether the inventory of the documentation at `base` can be fetched now."""
    try:
        with urllib.request.urlopen(f"{base}objects.inv", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, TimeoutError):
        return False


# Links to other packages are made where their documentation can be reached. Without a network the same pages
# are built without these links and without a warning. References within this package are always checked.
intersphinx_mapping = {
    name: (base, None)
    for name, base in {
        "python": "https://docs.python.org/3/",
        "numpy": "https://numpy.org/doc/stable/",
        "astropy": "https://docs.astropy.org/en/stable/",
        "ccdproc": "https://ccdproc.readthedocs.io/en/stable/",
        "photutils": "https://photutils.readthedocs.io/en/stable/",
    }.items()
    if answers(base)
}
# Where none of them answers there is no network, and the links lead nowhere that could be looked at.
linkcheck_ignore = [] if intersphinx_mapping else [r"https?://"]
nitpick_ignore_regex = [
    ("py:.*", r"(astropy|ccdproc|numpy|photutils|u|np)\..*"),
    # What the plans of a setup and of a night have in common is told on the pages of both.
    ("py:class", r"astro_calib\.night\.matching\.by_kind\.FramesByKind"),
    ("py:.*", r"(collections|datetime|enum|os|pathlib|typing)\..*"),
    ("py:.*", "|".join(name for name in dir(builtins) if not name.startswith("_"))),
]


def without_addresses(_: Sphinx, document: str, source: list[str]) -> None:
    """Take the address in memory out of the name of a table, so that the same code gives the same page."""
    if document.startswith("gallery/"):
        source[0] = re.sub(r'<table id="table\d+"', "<table", source[0])


def literal_examples(_: Sphinx, __: object, lines: list[str]) -> None:
    """Show the examples of a command as they are typed; their lines come with a bar, which keeps lines apart."""
    if lines:
        typed = [line.removeprefix("|").strip() for line in lines[1:]]
        # What goes on from the line before is indented.
        typed = [line if line.startswith("astro-calib") else f"    {line}" for line in typed]
        lines[:] = ["Example::", "", *(f"   {line}" for line in typed)]


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("sphinx-click-process-epilog", literal_examples)
    app.connect("source-read", without_addresses)
