"""What the reference says of each public name is complete: numpydoc's own checks, and an example."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
import tomllib
from pathlib import Path

import pytest
from numpydoc.validate import validate

CHECKOUT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["numpydoc_validation"]
MODULES = [
    *("", ".photometry", ".night", ".simulate", ".validation", ".estimators", ".noise.coefficient", ".errors"),
    *(".characterize", ".noise.protocol"),
]

#: What numpydoc cannot know: parameters behind ``**kwargs``, those of an enumeration, what astropy adds.
EXCEPTIONS = {
    "astro_calib.CCDFrame": {"PR01", "PR02"},
    "astro_calib.DataQuality": {"PR01"},
    # What Python gives to every protocol.
    "astro_calib.noise.protocol.Budget": {"PR01"},
    # Its constructor is that of QTable.
    "astro_calib.photometry.StarTable": {"PR01"},
    "astro_calib.CCDFrame.read": {"GL02", "PR02"},
    "astro_calib.CCDFrame.write": {"GL02", "PR02"},
}


def public() -> dict[str, object]:
    """Each class and function in an ``__all__`` once, under the first name that it has."""
    found: dict[int, tuple[str, object]] = {}
    for suffix in MODULES:
        module = importlib.import_module(f"astro_calib{suffix}")
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                found.setdefault(id(value), (f"{module.__name__}.{name}", value))
    return dict(found.values())


def members(name: str, value: object) -> list[str]:
    """The public methods and properties of a class, those of a frame's parts included."""
    if not inspect.isclass(value):
        return []
    kinds = (property, classmethod, staticmethod)
    own = [value, *(base for base in value.__mro__[1:] if base.__module__.startswith("astro_calib.frame"))]
    found = {key: one for part in own for key, one in vars(part).items()}
    callables = {key for key, one in found.items() if inspect.isfunction(one) or isinstance(one, kinds)}
    return [f"{name}.{key}" for key in found if key in callables and not key.startswith("_")]


PUBLIC = public()


@pytest.mark.parametrize("name", [one for name, value in PUBLIC.items() for one in (name, *members(name, value))])
def test_docstring_is_what_numpydoc_wants(name):
    checks = SETTINGS["checks"]
    assert checks[0] == "all"
    left_out = {*checks[1:], *EXCEPTIONS.get(name, ())}
    found = [f"{code}: {message}" for code, message in validate(name)["errors"] if code not in left_out]
    assert found == []


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_has_an_example_that_the_tests_run(name):
    example = (inspect.getdoc(PUBLIC[name]) or "").partition("Examples\n--------\n")[2]
    assert ">>> " in example
    assert "+SKIP" not in example
    assert "doctest-skip" not in example


def raised(function: object) -> set[str]:
    """The exceptions that stand in the ``raise`` statements of a function, by the names of their classes."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [node.exc.func for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    return {ast.unparse(call).rpartition(".")[2] for call in calls}


@pytest.mark.parametrize("name", [name for name, value in PUBLIC.items() if inspect.isfunction(value)])
def test_docstring_says_what_is_raised(name):
    function = PUBLIC[name]
    section = (inspect.getdoc(function) or "").partition("Raises\n------\n")[2]
    missing = {error for error in raised(function) if error not in section}
    assert missing == set()
