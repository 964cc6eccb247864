"""What installing the package gives: its version, its command, its dependencies, and a quick import."""

from __future__ import annotations

import ast
import math
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import astro_calib

CHECKOUT = Path(__file__).parents[1]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")

#: Distributions that are imported under another name.
IMPORTED_AS = {"pillow": "PIL", "pyyaml": "yaml"}
HEAVY = {
    "asdf",
    "ccdproc",
    "dask",
    "distributed",
    "jinja2",
    "matplotlib",
    "numba",
    "photutils",
    "scipy",
    "tqdm",
}


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a new interpreter holds after `statement`."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in run.stdout.split()}


def imported_by_the_package() -> set[str]:
    """Top-level modules named by the import statements of astro_calib, wherever they are in a file."""
    names = set()
    for path in Path(astro_calib.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module)
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"astro_calib"}


def readme_block(marker: str) -> str:
    return re.search(rf"^<!-- {marker} -->\n```\w+\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)[1]


def test_version_is_that_of_the_installed_distribution_and_of_the_citation():
    assert astro_calib.__version__ == PROJECT["version"]
    # After a change of version: pip install -e .
    assert metadata.version("astro-calib") == PROJECT["version"]
    citation = (CHECKOUT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {PROJECT['version']}\n" in citation


def test_command_is_installed_and_can_be_called():
    (command,) = metadata.entry_points(group="console_scripts", name="astro-calib")
    assert callable(command.load())


def test_import_loads_no_heavy_library():
    # astropy.nddata itself loads scipy (astropy 8) and, where asdf-astropy is installed, asdf.
    added = modules_after("import astro_calib") - modules_after("import astropy.nddata")
    assert "astro_calib" in added
    assert added & HEAVY == set()


def test_all_public_modules_are_offered_and_imported_when_they_are_asked_for():
    code = "import sys, astro_calib as ac\nprint(*dir(ac))\nprint(*sys.modules)\nprint(ac.night, ac.characterize)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    offered, loaded, asked = (line.split() for line in run.stdout.splitlines())
    modules = {"characterize", "errors", "estimators", "night", "photometry", "simulate", "validation"}
    assert modules <= {*offered}
    assert not {f"astro_calib.{name}" for name in modules - {"errors", "estimators"}} & {*loaded}
    assert [name for name in asked if "astro_calib." in name] == ["'astro_calib.night'", "'astro_calib.characterize'"]
    # The reference has each of them.
    reference = (CHECKOUT / "docs" / "reference.rst").read_text(encoding="utf-8")
    assert modules <= {*re.findall(r"automodapi:: astro_calib\.(\w+)$", reference, re.MULTILINE)}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported():
    lines = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["distributed"]]
    declared = {re.match(r"[\w.-]+", line)[0].replace("-", "_") for line in lines}
    # asdf-astropy is called by asdf: it writes WCS and the uncertainties of astropy.
    assert {*imported_by_the_package(), "asdf_astropy"} == {IMPORTED_AS.get(name, name) for name in declared}


@pytest.mark.parametrize("marker", ["demo command", "test command"])
def test_readme_commands_are_one_line_each(marker):
    command = readme_block(marker)
    assert command.count("\n") == 1
    assert command.startswith("python3 -m venv .venv && ")


def test_readme_example_imports_this_package_first():
    # astropy by itself cannot be imported where there is no home.
    assert readme_block("python example").startswith("import astro_calib as ac\n")


def test_all_checks_take_the_commands_in_their_order_and_then_the_package_from_elsewhere():
    run = (CHECKOUT / ".ci" / "run").read_text(encoding="utf-8")
    parts = ['"demo command"', '"test command"', "bash .ci/elsewhere", "-m long", "bash .ci/packages"]
    assert parts == sorted(parts, key=run.index)


def test_readme_example_runs(capsys):
    exec(compile(readme_block("python example"), "<README.md>", "exec"), {})  # noqa: S102  the example of our own README
    printed = capsys.readouterr().out
    assert f"```text\n{printed}```\n" in README
    # RDNOISE of that frame is 5 electrons, its GAIN 1.9; rounding to whole ADU adds gain^2 / 12.
    assert f"read noise: {math.sqrt(5.0**2 + 1.9**2 / 12):.2f} electrons\n" in printed
