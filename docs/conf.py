"""How Sphinx builds this documentation."""

from __future__ import annotations

import builtins
import urllib.error
import urllib.request
from importlib import metadata

from sphinx_astropy.conf.v3 import *

project = "astro-calib"
author = "astro-calib developers"
copyright = f"2026, {author}"
release = metadata.version("astro-calib")
version = ".".join(release.split(".")[:2])

html_title = f"{project} {release}"
html_static_path: list[str] = []

nitpicky = True
# The docstrings give the types, in words that can also say shape and unit.
autodoc_typehints = "none"
# An amount, a shape or a choice in a docstring's type is not a class to link to.
numpydoc_xref_param_type = False


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
nitpick_ignore_regex = [
    ("py:.*", r"(astropy|ccdproc|numpy|photutils|u|np)\..*"),
    ("py:.*", r"(collections|datetime|enum|os|pathlib|typing)\..*"),
    ("py:.*", "|".join(name for name in dir(builtins) if not name.startswith("_"))),
]
