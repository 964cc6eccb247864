"""What the documentation states about names, files and keys is so."""

from __future__ import annotations

import ast
import re
import runpy
import tomllib
from dataclasses import fields
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import matplotlib as mpl
import pytest
from click.testing import CliRunner

from astro_calib import simulate
from astro_calib.cli import main
from astro_calib.detector.table_layout import KEYS as AMPLIFIER_KEYS
from astro_calib.night import load_profile
from astro_calib.night.profiles.check import DETECTOR_KEYS, KINDS, ROLES
from astro_calib.night.profiles.matching_rules import Matching
from astro_calib.night.profiles.steps import Steps

MATCHING_KEYS = {one.name for one in fields(Matching)}
DOCS = Path(__file__).parents[1] / "docs"


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The code blocks of a page in one language, with their options, without indentation."""
    found = re.findall(rf"^\.\. code-block:: {language}\n((?:   .*\n|\n)+)", text(name), re.MULTILINE)
    return [re.sub(r"^   ", "", block, flags=re.MULTILINE).strip() for block in found]


def test_no_public_name_of_ccdproc_is_missing():
    import ccdproc

    public = {name for name, value in vars(ccdproc).items() if name[0] != "_" and not isinstance(value, ModuleType)}
    table = text("fromccdproc.rst").partition("* - ccdproc\n")[2].partition("\nCombining\n")[0]
    listed = re.findall(r"^   \* - ``(\w+)``$", table, re.MULTILINE)
    assert sorted(listed) == sorted(public)


def test_no_method_of_the_combiner_is_missing():
    from ccdproc import Combiner

    section = text("fromccdproc.rst").partition("\nCombining\n")[2]
    methods = {name for name in dir(Combiner) if not name.startswith("_")} - {"dtype"}
    assert {name for name in methods if f"``{name}" not in section} == set()


@pytest.mark.long
def test_quick_start_makes_the_plot(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    (commands, *_), (script,) = blocks("quickstart.rst", "bash"), blocks("quickstart.rst", "python")
    name, _, code = script.partition("\n\n")
    assert name == ":name: snr.py"
    *_, command = commands.splitlines()
    result = CliRunner().invoke(main, command.split()[1:])
    assert result.exit_code == 0, result.output

    Path("snr.py").write_text(code, encoding="utf-8")
    runpy.run_path("snr.py")

    assert Path("snr.png").stat().st_size > 10_000
    printed = capsys.readouterr().out
    total, *parts = (float(number) for number in re.findall(r"(?:\+-|:) ([\d.]+)", printed))
    # The squares of the parts add up, the overscan's apart, which is not printed; the total is a whole number.
    assert sum(part**2 for part in parts) == pytest.approx(total**2, rel=0.01)


def test_plan_of_a_night_is_as_the_page_shows_it(tmp_path):
    simulate.night(tmp_path / "raw", camera=simulate.camera((64, 96), filters=["V"]), science=2)
    result = CliRunner().invoke(main, ["reduce", "--dry-run", str(tmp_path / "raw")])
    (shown,) = (block for block in blocks("commandline.rst", "text") if "nothing was written" in block)
    assert shown in result.output


def test_page_on_profiles_lists_every_key():
    first_cells = set(re.findall(r"^``(\w+)``", text("profiles.rst"), re.MULTILINE))
    steps = {field.name for field in fields(Steps)}
    assert first_cells >= {"name", "description", *ROLES, *DETECTOR_KEYS, *MATCHING_KEYS, *steps}
    assert first_cells <= {"name", "description", *ROLES, *DETECTOR_KEYS, *MATCHING_KEYS, *steps, *AMPLIFIER_KEYS}
    assert all(f"``[{kind}]``" in text("profiles.rst") for kind in KINDS)


def test_complete_profile_is_valid_and_complete(tmp_path):
    path = tmp_path / "mountain.toml"
    path.write_text(blocks("profiles.rst", "toml")[-1], encoding="utf-8")
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    assert set(table) == {"name", "description", "keywords", "detector", "matching", *KINDS}
    assert set(table["keywords"]) == set(ROLES)
    assert set(table["detector"]) == set(DETECTOR_KEYS)
    assert set(table["matching"]) == MATCHING_KEYS
    assert load_profile(path).gain == 1.5


#: What fits on a page 1280 pixels wide; what the commands print is as wide as a terminal.
WIDTH, TERMINAL = 76, 80
BLOCK = re.compile(r"^( *)\.\. (?:code-block:: (\w+)|parsed-literal::)\n((?:\1 +.*\n|\n)+)", re.MULTILINE)
PROMPT = re.compile(r"^ *((?:>>>|\.\.\.)(?: .*)?)$", re.MULTILINE)


def pages() -> list[Path]:
    made = {DOCS / "_build", DOCS / "api", DOCS / "gallery"}
    found = [*DOCS.rglob("*.rst"), *DOCS.rglob("*.inc")]
    return [path for path in found if not made & set(path.parents)]


def test_code_on_pages_is_not_cut():
    long = []
    for path in pages():
        content = path.read_text(encoding="utf-8")
        for _, language, block in BLOCK.findall(content):
            limit = TERMINAL if language == "text" else WIDTH
            long += [(path.name, line) for line in dedent(block).splitlines() if len(line) > limit]
        long += [(path.name, line) for line in PROMPT.findall(content) if len(line) > WIDTH]
    assert long == []


def test_examples_in_docstrings_are_not_cut():
    modules = (DOCS.parent / "astro_calib").rglob("*.py")
    found = ((path.name, PROMPT.findall(path.read_text(encoding="utf-8"))) for path in modules)
    assert [(name, line) for name, lines in found for line in lines if len(line) > WIDTH] == []


def code_of_cells(path: Path) -> list[str]:
    """The lines of a page of the gallery, without its text: the docstring, and the comments after each "# %%"."""
    content = path.read_text(encoding="utf-8")
    head = ast.parse(content).body[0].end_lineno
    code, in_text = [], False
    for line in content.splitlines()[head:]:
        in_text = line.startswith("#") and (in_text or line.startswith("# %%"))
        if not in_text:
            code.append(line)
    return code


def test_code_in_the_gallery_is_not_cut():
    cells = {path.name: code_of_cells(path) for path in (DOCS / "examples").glob("*.py")}
    assert len(cells) > 10
    assert [(name, line) for name, code in cells.items() for line in code if len(line) > WIDTH] == []
