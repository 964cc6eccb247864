"""The rooms of the package: a folder imports from those below it, and no module from itself by way of others."""

from __future__ import annotations

import ast
import importlib
import types
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import astro_calib

PACKAGE = Path(astro_calib.__file__).parent
DEVELOPERS = Path(__file__).parents[1] / "docs" / "developers"

#: From the bottom to the top: each imports from itself and from those before it.
ROOMS = [
    *("errors", "flags", "dtypes", "arguments", "home", "resources"),
    *("detector", "kernels", "estimators", "noise", "frame", "masters", "io", "steps", "stack"),
    *("simulate", "photometry", "characterize", "validation", "report", "night", "cli"),
]
#: The same within ``night``: its folders, the modules that lead through them, and what is said without a reduction.
NIGHT = [
    *("headers", "profiles", "common", "matching", "setups", "files", "library", "detector", "plan", "summary"),
    *("masters", "pixel_pass", "planning", "comparing", "science", "tasks", "run", "to_audit", "preview"),
]
#: What users call, beside what `astro_calib` itself offers.
PUBLIC = ["", ".photometry", ".night", ".simulate", ".validation", ".estimators", ".characterize"]


def dotted(path: Path) -> str:
    parts = ("astro_calib", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports() -> dict[str, set[str]]:
    """The modules that each module imports: at its top, when they are needed, and for their types only."""
    paths = {dotted(path): path for path in PACKAGE.rglob("*.py")}
    found: dict[str, set[str]] = {}
    for module, path in paths.items():
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert node.level == 0, f"{module} imports relative to itself"
                whole = [f"{node.module}.{alias.name}" for alias in node.names]
                names |= {name if name in paths else node.module for name in whole}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
        found[module] = {name for name in names if name in paths} - {module}
    return found


def room(module: str) -> str:
    # ``python -m astro_calib`` is the command.
    return module.split(".")[1].replace("__main__", "cli")


def test_a_folder_imports_from_those_below_it():
    order = {name: place for place, name in enumerate(ROOMS)}
    against = {
        (module, imported)
        for module, several in imports().items()
        for imported in several
        if module != "astro_calib" and imported != "astro_calib" and order[room(imported)] > order[room(module)]
    }
    assert against == set()


def test_a_folder_of_a_night_imports_from_those_below_it():
    order = {name: place for place, name in enumerate(NIGHT)}
    inside = {path.stem for path in (PACKAGE / "night").iterdir() if path.name not in {"__init__.py", "__pycache__"}}
    assert inside == set(NIGHT)

    def place(module: str) -> int:
        return order[module.split(".")[2]]

    within = "astro_calib.night."
    against = {
        (module, imported)
        for module, several in imports().items()
        for imported in several
        if module.startswith(within) and imported.startswith(within) and place(imported) > place(module)
    }
    assert against == set()


def test_no_module_imports_itself_by_way_of_others():
    # Raises CycleError with the modules of a circle.
    TopologicalSorter(imports()).prepare()


def test_every_folder_is_a_room_and_few_modules_stand_outside_of_them():
    inside = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    outside = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert inside | outside == set(ROOMS)
    assert len(outside) <= 6


def test_no_module_has_the_name_of_a_public_function():
    same = set()
    for suffix in PUBLIC:
        folder = importlib.import_module(f"astro_calib{suffix}")
        functions = {name for name in folder.__all__ if isinstance(getattr(folder, name), types.FunctionType)}
        assert functions
        # The functions of the package against all modules, those of a folder against the modules in it.
        inside = [module for module in imports() if module.startswith(f"{folder.__name__}.")]
        same |= {module for module in inside if module.rpartition(".")[2] in functions}
    assert same == set()


def test_the_page_on_the_architecture_has_every_room():
    page = (DEVELOPERS / "architecture.rst").read_text(encoding="utf-8")
    picture = (DEVELOPERS / "architecture.svg").read_text(encoding="utf-8")
    for name in set(ROOMS) - {"resources"}:
        assert f"``{name}``" in page
        assert f">{name}<" in picture
